/* The class of flat, SQ and PQ codes: segments of fixed capacity, one after the other.
 *
 * Memory of a segment is reserved whole and takes pages as codes come, so that a growing segment never moves: the builder writes behind the rows
 * that searches see, and linking only counts them in.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/scan.h"

typedef struct segment {
    uint8_t *codes; /* memory_map'ed */
    int64_t first;
    int64_t rows;
    int64_t capacity;
} segment_t;

typedef struct codes_parts {
    segment_t *segments;
    int64_t count;
    size_t code_size;
} codes_parts_t;

typedef struct codes_block {
    segment_t *segments; /* the store's array with those of the block behind, or with the block shown the array that it replaced */
    int64_t count;
    int64_t old_count;
} codes_block_t;

static size_t segment_bytes(const codes_parts_t *parts, const segment_t *segment) {
    return (size_t)segment->capacity * parts->code_size;
}

static dfaiss_status_t codes_create(engine_store_t *store, dfaiss_error_t *err) {
    codes_parts_t *parts = calloc(1, sizeof *parts);
    if (!parts)
        return error_memory(err, sizeof *parts, "a store");
    parts->code_size = store->template->layout.code_size;
    store->parts = parts;
    return DFAISS_OK;
}

static void codes_destroy(engine_store_t *store) {
    codes_parts_t *parts = store->parts;
    for (int64_t i = 0; i < parts->count; i++)
        memory_unmap(parts->segments[i].codes, segment_bytes(parts, &parts->segments[i]));
    free(parts->segments);
    free(parts);
}

static size_t codes_bytes(const engine_store_t *store) {
    const codes_parts_t *parts = store->parts;
    return (size_t)store->rows * parts->code_size;
}

/* ---- building ---- */

static dfaiss_status_t open_segment(const codes_parts_t *parts, int64_t first, int64_t capacity, segment_t *segment, dfaiss_error_t *err) {
    *segment = (segment_t){.first = first, .capacity = capacity};
    size_t bytes;
    if (size_multiply((size_t)capacity, parts->code_size, &bytes))
        segment->codes = memory_map(bytes);
    else
        bytes = SIZE_MAX;
    if (segment->codes)
        (void)madvise(segment->codes, bytes, MADV_HUGEPAGE); /* codes are read from end to end: fewer page walks; a wish, not a need */
    return segment->codes ? DFAISS_OK : error_memory(err, bytes, "a segment of codes");
}

/* Copies the store's array, with room for the segments that n more rows may need. */
static dfaiss_status_t copy_segments(const engine_store_t *store, int64_t n, codes_block_t *made, dfaiss_error_t *err) {
    const codes_parts_t *parts = store->parts;
    size_t count = (size_t)(parts->count + n / store->segment_rows + 1);
    made->segments = calloc(count, sizeof *made->segments);
    if (!made->segments)
        return error_memory(err, count * sizeof *made->segments, "segments of codes");
    if (parts->count)
        memcpy(made->segments, parts->segments, (size_t)parts->count * sizeof *made->segments);
    made->count = made->old_count = parts->count;
    return DFAISS_OK;
}

/* Encodes n vectors, transformed already, into the last segments. */
static dfaiss_status_t encode(const engine_store_t *store, codes_block_t *made, int64_t n, const float *x, dfaiss_error_t *err) {
    const codes_parts_t *parts = store->parts;
    while (n > 0) {
        segment_t *last = made->count ? &made->segments[made->count - 1] : NULL;
        if (!last || last->rows == last->capacity) {
            TRY(open_segment(parts, last ? last->first + last->rows : 0, store->segment_rows, &made->segments[made->count], err));
            last = &made->segments[made->count++];
        }
        int64_t count = n < last->capacity - last->rows ? n : last->capacity - last->rows;
        int code = faiss_Index_sa_encode(store->template->layout.inner, count, x, last->codes + (size_t)last->rows * parts->code_size);
        if (code != 0)
            return engine_failure_c(code, DFAISS_ERR_FAISS, "encoding vectors", err);
        last->rows += count;
        x += count * store->template->inner_dim;
        n -= count;
    }
    return DFAISS_OK;
}

static dfaiss_status_t transform_and_encode(engine_block_t *block, int64_t n, const float *x, dfaiss_error_t *err) {
    const engine_template_t *template = block->store->template;
    float *transformed = template->layout.transformed ? malloc((size_t)BUILD_PIECE * (size_t) template->inner_dim * sizeof(float)) : NULL;
    if (template->layout.transformed && !transformed)
        return error_memory(err, (size_t)BUILD_PIECE * (size_t) template->inner_dim * sizeof(float), "transforming vectors");
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t at = 0; status == DFAISS_OK && at < n; at += BUILD_PIECE) {
        int64_t count = n - at < BUILD_PIECE ? n - at : BUILD_PIECE;
        const float *piece = NULL;
        status = engine_transform(template, count, x + at * template->dim, transformed, &piece, err);
        if (status == DFAISS_OK)
            status = encode(block->store, block->parts, count, piece, err);
    }
    free(transformed);
    return status;
}

static dfaiss_status_t codes_build(engine_block_t *block, int64_t n, const float *x, bool seal, dfaiss_error_t *err) {
    (void)seal;
    codes_block_t *made = calloc(1, sizeof *made);
    if (!made)
        return error_memory(err, sizeof *made, "a block");
    block->parts = made;
    TRY(copy_segments(block->store, n, made, err));
    TRY(transform_and_encode(block, n, x, err));
    block->rows = n;
    return DFAISS_OK;
}

static void codes_show(engine_block_t *block) {
    codes_parts_t *parts = block->store->parts;
    codes_block_t *made = block->parts;
    segment_t *replaced = parts->segments;
    parts->segments = made->segments;
    parts->count = made->count;
    made->segments = replaced;
    made->count = made->old_count;
}

static bool codes_clean(engine_block_t *block, int64_t deadline) {
    (void)block;
    (void)deadline;
    return true;
}

static void codes_give_up(engine_block_t *block) {
    (void)block; /* what was written lies behind the visible rows and is overwritten */
}

static void codes_release(engine_block_t *block) {
    codes_block_t *made = block->parts;
    if (!made)
        return;
    for (int64_t i = made->old_count; i < made->count; i++)
        memory_unmap(made->segments[i].codes, segment_bytes(block->store->parts, &made->segments[i]));
    free(made->segments);
    free(made);
}

/* ---- searching ---- */

static const segment_t *segment_of(const codes_parts_t *parts, int64_t row) {
    int64_t low = 0, high = parts->count - 1;
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        if (parts->segments[middle].first <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return &parts->segments[low];
}

static int64_t codes_held(const engine_store_t *store) {
    return store->rows;
}

static stored_run_t codes_at(const engine_store_t *store, int64_t position, int64_t most) {
    const codes_parts_t *parts = store->parts;
    const segment_t *segment = segment_of(parts, position);
    int64_t at = position - segment->first, left = segment->rows - at;
    return (stored_run_t){.codes = segment->codes + (size_t)at * parts->code_size, .first = position, .count = left < most ? left : most};
}

static dfaiss_status_t codes_find_code(engine_store_t *store, int64_t row, const uint8_t **code, int64_t *list, dfaiss_error_t *err) {
    (void)list;
    (void)err;
    *code = codes_at(store, row, 1).codes;
    return DFAISS_OK;
}

static const float *vectors_from(void *context, int64_t row, int64_t *count, float *scratch) {
    const engine_search_t *search = context;
    (void)scratch;
    stored_run_t run = codes_at(search->store, row, *count);
    *count = run.count;
    return (const float *)(const void *)run.codes;
}

static int64_t next_row(const void *context, int64_t row, int64_t end) {
    const engine_search_t *search = context;
    return row_next(&search->filter, row, end);
}

static void take_from_scan(void *context, int64_t query, int64_t n, float *scores, int64_t *rows, int thread) {
    search_take(context, query, n, scores, rows, thread);
}

static dfaiss_status_t begin_vectors(engine_search_t *search, dfaiss_error_t *err) {
    exact_job_t job = {.larger_is_better = search->template->larger_is_better,
                       .gathers = search_gathers(search),
                       .has_radius = search->has_radius,
                       .radius = search->radius,
                       .dim = search->template->inner_dim,
                       .nq = search->nq,
                       .queries = search->inner_queries,
                       .k = search->k,
                       .rows = codes_held(search->store),
                       .rows_of = vectors_from,
                       .next = search->filter.words ? next_row : NULL,
                       .take = take_from_scan,
                       .context = search};
    if (!search->store_scan)
        TRY(exact_scan_create(search->team, &search->store_scan, err));
    return exact_scan_begin(search->store_scan, &job, err);
}

static dfaiss_status_t codes_search(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err) {
    (void)store;
    bool exact = search->template->layout.holds_vectors;
    if (search->stage == STAGE_NONE)
        TRY(exact ? begin_vectors(search, err) : scan_store_begin(search, err));
    search->stage = STAGE_SCAN;
    return exact ? exact_scan_run(search->store_scan, deadline, done, err) : scan_store_run(search, deadline, done, err);
}

/* ---- saving and restoring ---- */

static int64_t codes_segments(const engine_store_t *store) {
    return ((const codes_parts_t *)store->parts)->count;
}

static void codes_segment(const engine_store_t *store, int64_t segment, int64_t *first, int64_t *rows) {
    const codes_parts_t *parts = store->parts;
    *first = parts->segments[segment].first;
    *rows = parts->segments[segment].rows;
}

static const uint8_t *codes_segment_codes(const engine_store_t *store, int64_t segment) {
    return ((const codes_parts_t *)store->parts)->segments[segment].codes;
}

static dfaiss_status_t codes_restore_segment(engine_store_t *store, int64_t rows, uint8_t **codes, dfaiss_error_t *err) {
    codes_parts_t *parts = store->parts;
    segment_t *segments = realloc(parts->segments, (size_t)(parts->count + 1) * sizeof *segments);
    if (!segments)
        return error_memory(err, (size_t)(parts->count + 1) * sizeof *segments, "segments of codes");
    parts->segments = segments;
    segment_t *last = parts->count ? &segments[parts->count - 1] : NULL;
    segment_t *made = &segments[parts->count];
    TRY(open_segment(parts, last ? last->first + last->rows : 0, rows > store->segment_rows ? rows : store->segment_rows, made, err));
    made->rows = rows;
    parts->count++;
    *codes = made->codes;
    return DFAISS_OK;
}

static dfaiss_status_t codes_restore_end(engine_store_t *store, int64_t rows, dfaiss_error_t *err) {
    const codes_parts_t *parts = store->parts;
    int64_t restored = parts->count ? parts->segments[parts->count - 1].first + parts->segments[parts->count - 1].rows : 0;
    if (restored != rows)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "segments", "the segments hold %" PRId64 " vectors; %" PRId64 " were expected", restored, rows);
    return DFAISS_OK;
}

const store_class_t codes_class = {
    .segment_rows = 65536,
    .create = codes_create,
    .destroy = codes_destroy,
    .bytes = codes_bytes,
    .build = codes_build,
    .show = codes_show,
    .clean = codes_clean,
    .give_up = codes_give_up,
    .release = codes_release,
    .search = codes_search,
    .codes_held = codes_held,
    .codes_at = codes_at,
    .find_code = codes_find_code,
    .segments = codes_segments,
    .segment = codes_segment,
    .segment_codes = codes_segment_codes,
    .restore_segment = codes_restore_segment,
    .restore_end = codes_restore_end,
};
