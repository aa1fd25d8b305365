/* The class of inverted lists: one contiguous piece of codes and rows a list.
 *
 * The builder writes behind what searches see of a list or, where there is no room, into larger memory (an eighth more) to which it copies the list.
 * Linking a block swaps the memory of the lists that grew, and their sizes: about ten nanoseconds a list. Lists lose rows that are gone in the same
 * way. Rows ascend in every list.
 */
#include "engine/ivf.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include <faiss/c_api/IndexIVF_c.h>

#include "base/clock.h"

enum {
    MAPPED_FROM = 1 << 20,   /* bytes of a list from which on its memory is a mapping of its own */
    COMPACT_BYTES = 8 << 20, /* that are copied for one block that drops rows, about */
    WORTH_DEAD = 8           /* a list is replaced where one row in so many is gone */
};

/* What a block does to a list. Once it is shown, memory is what it replaced. */
typedef struct ivf_change {
    int64_t list;
    ivf_memory_t memory; /* larger memory; data NULL: the list's own has room */
    int64_t size;        /* afterwards */
} ivf_change_t;

typedef struct ivf_block {
    ivf_change_t *changes;
    int64_t count;
    int64_t cleaned;    /* changes whose memory is freed */
    int64_t *assigned;  /* the list of each vector; only while it is built */
    float *transformed; /* likewise, where there are transforms */
    uint8_t *codes;     /* of one piece; likewise */
} ivf_block_t;

/* ---- memory of a list ---- */

static bool memory_size(size_t code_size, int64_t capacity, size_t *bytes) {
    size_t rows, codes;
    if (!size_multiply((size_t)capacity, sizeof(int64_t), &rows) || !size_multiply((size_t)capacity, code_size, &codes) || rows + codes + 64 < codes)
        return false;
    *bytes = ((rows + 63) / 64 * 64 + codes + 63) / 64 * 64;
    return true;
}

static dfaiss_status_t take_memory(size_t code_size, int64_t capacity, ivf_memory_t *memory, dfaiss_error_t *err) {
    size_t bytes;
    *memory = (ivf_memory_t){.capacity = capacity};
    if (!memory_size(code_size, capacity, &bytes))
        return error_memory(err, SIZE_MAX, "an inverted list");
    if (bytes >= MAPPED_FROM) {
        memory->data = memory_map(bytes);
        memory->mapped = memory->data != NULL;
    }
    if (!memory->data) /* also where the system has no further mappings */
        memory->data = aligned_alloc(64, bytes);
    return memory->data ? DFAISS_OK : error_memory(err, bytes, "an inverted list");
}

/* Takes the pages of memory that is filled right away all at once, which is faster than one by one; a wish, not a need. */
static void populate(size_t code_size, const ivf_memory_t *memory) {
#ifdef MADV_POPULATE_WRITE
    size_t bytes;
    if (memory->mapped && memory_size(code_size, memory->capacity, &bytes))
        (void)madvise(memory->data, bytes, MADV_POPULATE_WRITE);
#else
    (void)code_size;
    (void)memory;
#endif
}

static void give_memory(size_t code_size, ivf_memory_t *memory) {
    size_t bytes;
    if (memory->mapped && memory_size(code_size, memory->capacity, &bytes))
        memory_unmap(memory->data, bytes);
    else
        free(memory->data);
    *memory = (ivf_memory_t){.data = NULL};
}

/* ---- the store ---- */

static void ivf_destroy(engine_store_t *store) {
    ivf_parts_t *parts = store->parts;
    for (int64_t i = 0; parts->lists && i < parts->count; i++)
        give_memory(parts->code_size, &parts->lists[i].memory);
    free(parts->lists);
    ivf_rows_free(&parts->located);
    free(parts->change_of);
    free(parts);
}

static dfaiss_status_t ivf_create(engine_store_t *store, dfaiss_error_t *err) {
    const shim_layout_t *layout = &store->template->layout;
    ivf_parts_t *parts = calloc(1, sizeof *parts);
    if (!parts)
        return error_memory(err, sizeof *parts, "a store");
    store->parts = parts;
    parts->count = layout->lists;
    parts->code_size = layout->code_size;
    parts->lists = calloc((size_t)parts->count, sizeof *parts->lists);
    parts->change_of = malloc((size_t)parts->count * sizeof *parts->change_of);
    if (!parts->lists || !parts->change_of)
        return error_memory(err, (size_t)parts->count * (sizeof *parts->lists + sizeof *parts->change_of), "inverted lists");
    for (int64_t i = 0; i < parts->count; i++)
        parts->change_of[i] = -1;
    return DFAISS_OK;
}

static size_t ivf_bytes(const engine_store_t *store) {
    const ivf_parts_t *parts = store->parts;
    size_t bytes = (size_t)parts->count * sizeof *parts->lists;
    for (int64_t i = 0; i < parts->count; i++)
        bytes += (size_t)parts->lists[i].memory.capacity * (parts->code_size + sizeof(int64_t));
    return bytes + ivf_rows_bytes(&parts->located);
}

static int64_t ivf_held(const engine_store_t *store) {
    return ((const ivf_parts_t *)store->parts)->held;
}

/* ---- building ---- */

/* Finds the list of every vector. A quantizer that is a graph may find none: list 0 then. */
static dfaiss_status_t assign(const engine_template_t *template, ivf_block_t *made, int64_t n, const float *x, dfaiss_error_t *err) {
    FaissIndex *quantizer = faiss_IndexIVF_quantizer((FaissIndexIVF *)template->layout.inner);
    for (int64_t at = 0; at < n; at += BUILD_PIECE) {
        int64_t count = n - at < BUILD_PIECE ? n - at : BUILD_PIECE;
        int code = faiss_Index_assign(quantizer, count, x + at * template->inner_dim, made->assigned + at, 1);
        if (code != 0)
            return engine_failure_c(code, DFAISS_ERR_FAISS, "assigning vectors to lists", err);
    }
    for (int64_t i = 0; i < n; i++)
        if (made->assigned[i] < 0 || made->assigned[i] >= template->layout.lists)
            made->assigned[i] = 0;
    return DFAISS_OK;
}

/* Counts what every list gets; change->size is the size that the list will have. */
static dfaiss_status_t count_changes(const ivf_parts_t *parts, ivf_block_t *made, int64_t n, dfaiss_error_t *err) {
    size_t most = (size_t)(n < parts->count ? n : parts->count);
    made->changes = calloc(most ? most : 1, sizeof *made->changes);
    if (!made->changes)
        return error_memory(err, most * sizeof *made->changes, "a block");
    for (int64_t i = 0; i < n; i++) {
        int64_t list = made->assigned[i];
        if (parts->change_of[list] < 0) {
            parts->change_of[list] = made->count;
            made->changes[made->count++] = (ivf_change_t){.list = list, .size = parts->lists[list].size};
        }
        made->changes[parts->change_of[list]].size++;
    }
    return DFAISS_OK;
}

/* Takes larger memory for the lists that need it, and copies them there. change->size goes back to what is filled. */
static dfaiss_status_t make_room(const ivf_parts_t *parts, ivf_block_t *made, dfaiss_error_t *err) {
    for (int64_t i = 0; i < made->count; i++) {
        ivf_change_t *change = &made->changes[i];
        const ivf_list_t *list = &parts->lists[change->list];
        if (change->size > list->memory.capacity) {
            TRY(take_memory(parts->code_size, change->size + change->size / 8, &change->memory, err));
            if (list->size) {
                memcpy(ivf_rows(&change->memory), ivf_rows(&list->memory), (size_t)list->size * sizeof(int64_t));
                memcpy(ivf_codes(&change->memory), ivf_codes(&list->memory), (size_t)list->size * parts->code_size);
            }
        }
        change->size = list->size;
    }
    return DFAISS_OK;
}

static void put(const ivf_parts_t *parts, ivf_block_t *made, int64_t list, int64_t row, const uint8_t *code) {
    ivf_change_t *change = &made->changes[parts->change_of[list]];
    const ivf_memory_t *memory = change->memory.data ? &change->memory : &parts->lists[list].memory;
    ivf_rows(memory)[change->size] = row;
    memcpy(ivf_codes(memory) + (size_t)change->size * parts->code_size, code, parts->code_size);
    change->size++;
}

static dfaiss_status_t encode(const engine_store_t *store, ivf_block_t *made, int64_t n, const float *x, dfaiss_error_t *err) {
    const ivf_parts_t *parts = store->parts;
    for (int64_t at = 0; at < n; at += BUILD_PIECE) {
        int64_t count = n - at < BUILD_PIECE ? n - at : BUILD_PIECE;
        const int64_t *lists = made->assigned + at;
        int code = shim_encode_for_lists(store->template->layout.inner, count, x + at * store->template->inner_dim, lists, made->codes);
        if (code != SHIM_OK)
            return engine_failure(code, DFAISS_ERR_FAISS, "encoding vectors", err);
        for (int64_t i = 0; i < count; i++)
            put(parts, made, lists[i], store->built + at + i, made->codes + (size_t)i * parts->code_size);
    }
    return DFAISS_OK;
}

static dfaiss_status_t take_build_memory(const engine_store_t *store, ivf_block_t *made, int64_t n, dfaiss_error_t *err) {
    const engine_template_t *template = store->template;
    size_t piece = (size_t)(n < BUILD_PIECE ? n : BUILD_PIECE) * template->layout.code_size;
    size_t vectors = template->layout.transformed ? (size_t)n * (size_t) template->inner_dim * sizeof(float) : 0;
    made->assigned = malloc((size_t)n * sizeof *made->assigned + 1);
    made->codes = malloc(piece + 1);
    made->transformed = vectors ? malloc(vectors) : NULL;
    if (!made->assigned || !made->codes || (vectors && !made->transformed))
        return error_memory(err, (size_t)n * sizeof *made->assigned + piece + vectors, "building vectors in");
    return DFAISS_OK;
}

static void free_build_memory(ivf_block_t *made) {
    free(made->assigned);
    free(made->codes);
    free(made->transformed);
    made->assigned = NULL;
    made->codes = NULL;
    made->transformed = NULL;
}

static dfaiss_status_t build_lists(engine_block_t *block, int64_t n, const float *x, dfaiss_error_t *err) {
    const engine_store_t *store = block->store;
    const ivf_parts_t *parts = store->parts;
    ivf_block_t *made = block->parts;
    TRY(take_build_memory(store, made, n, err));
    if (n > 0)
        TRY(engine_transform(store->template, n, x, made->transformed, &x, err));
    TRY(assign(store->template, made, n, x, err));
    TRY(count_changes(parts, made, n, err));
    TRY(make_room(parts, made, err));
    return encode(store, made, n, x, err);
}

static dfaiss_status_t ivf_build(engine_block_t *block, int64_t n, const float *x, bool seal, dfaiss_error_t *err) {
    (void)seal;
    const ivf_parts_t *parts = block->store->parts;
    ivf_block_t *made = calloc(1, sizeof *made);
    if (!made)
        return error_memory(err, sizeof *made, "a block");
    block->parts = made;
    dfaiss_status_t status = build_lists(block, n, x, err);
    for (int64_t i = 0; i < made->count; i++)
        parts->change_of[made->changes[i].list] = -1;
    free_build_memory(made);
    block->rows = n;
    return status;
}

/* ---- dropping rows ---- */

static int64_t count_alive(const ivf_list_t *list, const uint64_t *const *alive) {
    const int64_t *rows = list->size ? ivf_rows(&list->memory) : NULL;
    int64_t count = 0;
    for (int64_t i = 0; i < list->size; i++)
        count += row_bits_get(alive, rows[i]);
    return count;
}

static dfaiss_status_t copy_alive(const ivf_parts_t *parts, const ivf_list_t *list, const uint64_t *const *alive, int64_t count, ivf_change_t *change,
                                  dfaiss_error_t *err) {
    TRY(take_memory(parts->code_size, count > 0 ? count : 1, &change->memory, err));
    const int64_t *rows = ivf_rows(&list->memory);
    for (int64_t i = 0; i < list->size; i++) {
        if (!row_bits_get(alive, rows[i]))
            continue;
        ivf_rows(&change->memory)[change->size] = rows[i];
        memcpy(ivf_codes(&change->memory) + (size_t)change->size * parts->code_size, ivf_codes(&list->memory) + (size_t)i * parts->code_size,
               parts->code_size);
        change->size++;
    }
    return DFAISS_OK;
}

/* Replaces lists of which many rows are gone, from where the block before left off. */
static dfaiss_status_t ivf_compact(engine_block_t *block, const uint64_t *const *alive, bool *worth, dfaiss_error_t *err) {
    ivf_parts_t *parts = block->store->parts;
    ivf_block_t *made = calloc(1, sizeof *made);
    if (!made)
        return error_memory(err, sizeof *made, "a block");
    block->parts = made;
    made->changes = calloc((size_t)parts->count, sizeof *made->changes);
    if (!made->changes)
        return error_memory(err, (size_t)parts->count * sizeof *made->changes, "a block");
    int64_t at = parts->compacted % parts->count;
    size_t copied = 0;
    for (int64_t seen = 0; seen < parts->count && copied < COMPACT_BYTES; seen++, at = (at + 1) % parts->count) {
        const ivf_list_t *list = &parts->lists[at];
        int64_t living = count_alive(list, alive), dead = list->size - living;
        if (dead == 0 || dead < list->size / WORTH_DEAD)
            continue;
        ivf_change_t *change = &made->changes[made->count++];
        change->list = at;
        TRY(copy_alive(parts, list, alive, living, change, err));
        copied += (size_t)living * (parts->code_size + sizeof(int64_t));
    }
    parts->compacted = at;
    *worth = made->count > 0;
    return DFAISS_OK;
}

static void ivf_show(engine_block_t *block) {
    ivf_parts_t *parts = block->store->parts;
    const ivf_block_t *made = block->parts;
    bool located = ivf_rows_are_located(block->store);
    for (int64_t i = 0; i < made->count; i++) {
        ivf_change_t *change = &made->changes[i];
        ivf_list_t *list = &parts->lists[change->list];
        int64_t before = list->size;
        if (change->memory.data) {
            ivf_memory_t replaced = list->memory;
            list->memory = change->memory;
            change->memory = replaced;
        }
        parts->held += change->size - before;
        list->size = change->size;
        if (located && block->rows > 0)
            located = ivf_rows_put(&parts->located, change->list, list, before);
    }
    if (located)
        parts->located.rows = block->store->rows + block->rows;
}

/* Frees one at least, whatever the deadline. */
static bool ivf_clean(engine_block_t *block, int64_t deadline) {
    const ivf_parts_t *parts = block->store->parts;
    ivf_block_t *made = block->parts;
    for (int64_t freed = 0; made->cleaned < made->count; made->cleaned++) {
        ivf_memory_t *memory = &made->changes[made->cleaned].memory;
        if (!memory->data)
            continue;
        if (freed++ > 0 && clock_nanoseconds() >= deadline)
            return false;
        give_memory(parts->code_size, memory);
    }
    return true;
}

static void ivf_give_up(engine_block_t *block) {
    (void)block; /* what was written lies behind what searches see, and is overwritten */
}

static void ivf_release(engine_block_t *block) {
    ivf_block_t *made = block->parts;
    if (!made)
        return;
    const ivf_parts_t *parts = block->store->parts;
    for (int64_t i = made->cleaned; i < made->count; i++)
        give_memory(parts->code_size, &made->changes[i].memory);
    free_build_memory(made);
    free(made->changes);
    free(made);
}

/* ---- saving and restoring ---- */

static void ivf_list(const engine_store_t *store, int64_t list, int64_t *size, const uint8_t **codes, const int64_t **rows) {
    const ivf_list_t *from = &((const ivf_parts_t *)store->parts)->lists[list];
    *size = from->size;
    *codes = from->size ? ivf_codes(&from->memory) : NULL;
    *rows = from->size ? ivf_rows(&from->memory) : NULL;
}

static dfaiss_status_t ivf_restore_list(engine_store_t *store, int64_t list, int64_t size, uint8_t **codes, int64_t **rows, dfaiss_error_t *err) {
    ivf_parts_t *parts = store->parts;
    ivf_list_t *to = &parts->lists[list];
    ivf_memory_t memory = {.data = NULL};
    if (size > 0)
        TRY(take_memory(parts->code_size, size, &memory, err));
    populate(parts->code_size, &memory);
    give_memory(parts->code_size, &to->memory);
    parts->held += size - to->size;
    to->memory = memory;
    to->size = size;
    *codes = size ? ivf_codes(&memory) : NULL;
    *rows = size ? ivf_rows(&memory) : NULL;
    return DFAISS_OK;
}

/* Marks the rows of a list in a bitmap; the first that is out of range, marked already, or below the one before it is an error. */
static dfaiss_status_t mark_rows(const ivf_list_t *list, int64_t number, int64_t rows, uint64_t *held, dfaiss_error_t *err) {
    for (int64_t i = 0; i < list->size; i++) {
        int64_t row = ivf_rows(&list->memory)[i];
        if (row < 0 || row >= rows)
            return error_set(err, DFAISS_ERR_CHECKPOINT, "list", "list %" PRId64 " holds row %" PRId64 "; rows 0 to %" PRId64 " were expected",
                             number, row, rows - 1);
        if (i > 0 && row < ivf_rows(&list->memory)[i - 1])
            return error_set(err, DFAISS_ERR_CHECKPOINT, "list",
                             "list %" PRId64 " holds row %" PRId64 " behind row %" PRId64 "; rows ascend in a list", number, row,
                             ivf_rows(&list->memory)[i - 1]);
        uint64_t bit = UINT64_C(1) << (row & 63);
        if (held[row >> 6] & bit)
            return error_set(err, DFAISS_ERR_CHECKPOINT, "list", "row %" PRId64 " stands in the lists twice (again in list %" PRId64 ")", row,
                             number);
        held[row >> 6] |= bit;
    }
    return DFAISS_OK;
}

static dfaiss_status_t ivf_mark_rows(const engine_store_t *store, int64_t rows, uint64_t *held, dfaiss_error_t *err) {
    const ivf_parts_t *parts = store->parts;
    for (int64_t i = 0; i < parts->count; i++)
        TRY(mark_rows(&parts->lists[i], i, rows, held, err));
    return DFAISS_OK;
}

const store_class_t ivf_class = {
    .segment_rows = 65536,
    .create = ivf_create,
    .destroy = ivf_destroy,
    .bytes = ivf_bytes,
    .build = ivf_build,
    .show = ivf_show,
    .clean = ivf_clean,
    .give_up = ivf_give_up,
    .release = ivf_release,
    .compact = ivf_compact,
    .held = ivf_held,
    .search = ivf_search,
    .locate = ivf_locate,
    .find_code = ivf_find_code,
    .list = ivf_list,
    .restore_list = ivf_restore_list,
    .mark_rows = ivf_mark_rows,
};
