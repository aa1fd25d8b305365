/* The class of flat, SQ and PQ codes: segments of fixed capacity, one after the other.
 *
 * Memory of a segment is reserved whole and takes pages as codes come, so that a growing segment never moves: the builder writes behind the rows
 * that searches see, and linking only counts them in. Segments that no longer grow and of which many rows are gone are replaced by shorter ones.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "engine/scan.h"
#include "engine/span.h"

enum {
    COMPACT_BYTES = 32 << 20, /* of codes that one block copies, about */
    WORTH_DEAD = 8            /* a segment is replaced where one row in so many is gone */
};

typedef struct segment {
    row_span_t span;
    uint8_t *codes; /* memory_map'ed */
    int64_t capacity;
} segment_t;

typedef struct codes_parts {
    segment_t *segments;
    int64_t count;
    size_t code_size;
} codes_parts_t;

typedef struct codes_block {
    segment_t *segments; /* the store's array as it will be, or with the block shown the array that it replaced */
    int64_t count;
    segment_t *fresh; /* made by the block: freed if it is not shown */
    int64_t fresh_count;
    segment_t *stale; /* replaced by it: freed when it is */
    int64_t stale_count, cleaned;
} codes_block_t;

static void free_segment(const codes_parts_t *parts, segment_t *segment) {
    memory_unmap(segment->codes, (size_t)segment->capacity * parts->code_size);
    free(segment->span.rows);
    *segment = (segment_t){.codes = NULL};
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
        free_segment(parts, &parts->segments[i]);
    free(parts->segments);
    free(parts);
}

static int64_t codes_held(const engine_store_t *store) {
    const codes_parts_t *parts = store->parts;
    return spans_held(parts->segments, parts->count, sizeof *parts->segments);
}

static size_t codes_bytes(const engine_store_t *store) {
    const codes_parts_t *parts = store->parts;
    size_t bytes = (size_t)codes_held(store) * parts->code_size;
    for (int64_t i = 0; i < parts->count; i++)
        bytes += span_has_holes(&parts->segments[i].span) ? (size_t)parts->segments[i].span.count * sizeof(int64_t) : 0;
    return bytes;
}

/* ---- building ---- */

static dfaiss_status_t open_segment(const codes_parts_t *parts, int64_t first, int64_t capacity, segment_t *segment, dfaiss_error_t *err) {
    *segment = (segment_t){.span = {.first = first}, .capacity = capacity};
    size_t bytes;
    if (size_multiply((size_t)capacity, parts->code_size, &bytes))
        segment->codes = memory_map(bytes);
    else
        bytes = SIZE_MAX;
    if (segment->codes)
        (void)madvise(segment->codes, bytes, MADV_HUGEPAGE); /* codes are read from end to end: fewer page walks; a wish, not a need */
    return segment->codes ? DFAISS_OK : error_memory(err, bytes, "a segment of codes");
}

/* Copies the store's array, with room for `more` segments. */
static dfaiss_status_t begin_block(engine_block_t *block, int64_t more, dfaiss_error_t *err) {
    const codes_parts_t *parts = block->store->parts;
    size_t count = (size_t)(parts->count + more);
    codes_block_t *made = calloc(1, sizeof *made);
    if (!made)
        return error_memory(err, sizeof *made, "a block");
    block->parts = made;
    made->segments = calloc(count, sizeof *made->segments);
    made->fresh = calloc(count, sizeof *made->fresh);
    made->stale = calloc(count, sizeof *made->stale);
    if (!made->segments || !made->fresh || !made->stale)
        return error_memory(err, 3 * count * sizeof *made->segments, "segments of codes");
    if (parts->count)
        memcpy(made->segments, parts->segments, (size_t)parts->count * sizeof *made->segments);
    made->count = parts->count;
    return DFAISS_OK;
}

/* The segment that row `row` can be put into: the last, where it has room, and nothing is missing between. NULL: there is none. */
static segment_t *growing_segment(const codes_block_t *made, int64_t row) {
    segment_t *last = made->count ? &made->segments[made->count - 1] : NULL;
    bool grows = last && last->span.count < last->capacity && !span_has_holes(&last->span) && span_end(&last->span) == row;
    return grows ? last : NULL;
}

static dfaiss_status_t add_segment(const engine_store_t *store, codes_block_t *made, int64_t row, segment_t **out, dfaiss_error_t *err) {
    segment_t *made_last = &made->segments[made->count];
    TRY(open_segment(store->parts, row, store->segment_rows, made_last, err));
    made->count++;
    made->fresh[made->fresh_count++] = *made_last;
    *out = made_last;
    return DFAISS_OK;
}

/* Encodes n vectors, transformed already, from row `row` on into the last segments. */
static dfaiss_status_t encode(const engine_store_t *store, codes_block_t *made, int64_t row, int64_t n, const float *x, dfaiss_error_t *err) {
    const codes_parts_t *parts = store->parts;
    while (n > 0) {
        segment_t *last = growing_segment(made, row);
        if (!last)
            TRY(add_segment(store, made, row, &last, err));
        int64_t room = last->capacity - last->span.count, count = n < room ? n : room;
        int code = faiss_Index_sa_encode(store->template->layout.inner, count, x, last->codes + (size_t)last->span.count * parts->code_size);
        if (code != 0)
            return engine_failure_c(code, DFAISS_ERR_FAISS, "encoding vectors", err);
        last->span.count += count;
        x += count * store->template->inner_dim;
        row += count;
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
            status = encode(block->store, block->parts, block->store->built + at, count, piece, err);
    }
    free(transformed);
    return status;
}

static dfaiss_status_t codes_build(engine_block_t *block, int64_t n, const float *x, bool seal, dfaiss_error_t *err) {
    (void)seal;
    TRY(begin_block(block, n / block->store->segment_rows + 2, err));
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
    spans_number(parts->segments, parts->count, sizeof *parts->segments);
    made->segments = replaced;
}

/* Frees one at least, whatever the deadline. */
static bool codes_clean(engine_block_t *block, int64_t deadline) {
    codes_block_t *made = block->parts;
    while (made->cleaned < made->stale_count) {
        free_segment(block->store->parts, &made->stale[made->cleaned++]);
        if (made->cleaned < made->stale_count && clock_nanoseconds() >= deadline)
            return false;
    }
    return true;
}

static void codes_give_up(engine_block_t *block) {
    (void)block; /* what was written lies behind the visible rows and is overwritten */
}

static void codes_release(engine_block_t *block) {
    codes_block_t *made = block->parts;
    if (!made)
        return;
    for (int64_t i = 0; !block->shown && i < made->fresh_count; i++)
        free_segment(block->store->parts, &made->fresh[i]);
    for (int64_t i = made->cleaned; block->shown && i < made->stale_count; i++)
        free_segment(block->store->parts, &made->stale[i]);
    free(made->segments);
    free(made->fresh);
    free(made->stale);
    free(made);
}

/* ---- dropping rows ---- */

/* A segment with the living rows of another; capacity 0 where there are none. */
static dfaiss_status_t copy_alive(const codes_parts_t *parts, const segment_t *from, const uint64_t *const *alive, segment_t *out,
                                  dfaiss_error_t *err) {
    row_span_t span;
    TRY(span_alive(&from->span, alive, &span, err));
    *out = (segment_t){.codes = NULL};
    if (span.count == 0)
        return DFAISS_OK;
    dfaiss_status_t status = open_segment(parts, span.first, span.count, out, err);
    if (status != DFAISS_OK) {
        free(span.rows);
        return status;
    }
    out->span = span;
    for (int64_t i = 0; i < span.count; i++)
        memcpy(out->codes + (size_t)i * parts->code_size, from->codes + (size_t)span_place(&from->span, span_row(&span, i)) * parts->code_size,
               parts->code_size);
    return DFAISS_OK;
}

/* Which rows are left takes memory too, more than small codes do. */
static bool is_worth_it(const codes_parts_t *parts, int64_t segment, const uint64_t *const *alive) {
    const segment_t *from = &parts->segments[segment];
    bool holes = span_has_holes(&from->span);
    if (segment == parts->count - 1 && from->span.count < from->capacity && !holes)
        return false; /* it grows */
    int64_t living = span_count_alive(&from->span, alive), dead = from->span.count - living;
    size_t before = (size_t)from->span.count * (parts->code_size + (holes ? sizeof(int64_t) : 0));
    size_t after = (size_t)living * (parts->code_size + sizeof(int64_t));
    return dead > 0 && dead >= from->span.count / WORTH_DEAD && after < before;
}

static dfaiss_status_t codes_compact(engine_block_t *block, const uint64_t *const *alive, bool *worth, dfaiss_error_t *err) {
    const codes_parts_t *parts = block->store->parts;
    size_t copied = 0;
    TRY(begin_block(block, 1, err));
    codes_block_t *made = block->parts;
    made->count = 0;
    for (int64_t i = 0; i < parts->count; i++) {
        const segment_t *from = &parts->segments[i];
        if (copied >= COMPACT_BYTES || !is_worth_it(parts, i, alive)) {
            made->segments[made->count++] = *from;
            continue;
        }
        segment_t copy;
        TRY(copy_alive(parts, from, alive, &copy, err));
        if (copy.codes)
            made->fresh[made->fresh_count++] = made->segments[made->count++] = copy;
        made->stale[made->stale_count++] = *from;
        copied += (size_t)copy.span.count * parts->code_size;
    }
    *worth = made->stale_count > 0;
    return DFAISS_OK;
}

/* ---- searching ---- */

static stored_run_t codes_at(const engine_store_t *store, int64_t position, int64_t most) {
    const codes_parts_t *parts = store->parts;
    const segment_t *segment = &parts->segments[spans_at_position(parts->segments, parts->count, sizeof *parts->segments, position)];
    int64_t at = position - segment->span.position, left = segment->span.count - at;
    return (stored_run_t){.codes = segment->codes + (size_t)at * parts->code_size,
                          .rows = segment->span.rows ? segment->span.rows + at : NULL,
                          .first = segment->span.first + at,
                          .count = left < most ? left : most};
}

static dfaiss_status_t codes_find_code(engine_store_t *store, int64_t row, const uint8_t **code, int64_t *list, dfaiss_error_t *err) {
    const codes_parts_t *parts = store->parts;
    (void)list;
    (void)err;
    *code = NULL;
    if (parts->count == 0)
        return DFAISS_OK;
    const segment_t *segment = &parts->segments[spans_at_row(parts->segments, parts->count, sizeof *parts->segments, row)];
    int64_t place = span_place(&segment->span, row);
    if (place < segment->span.count && span_row(&segment->span, place) == row)
        *code = segment->codes + (size_t)place * parts->code_size;
    return DFAISS_OK;
}

static const float *vectors_from(void *context, int64_t row, int64_t *count, float *scratch) {
    const engine_search_t *search = context;
    (void)scratch;
    stored_run_t run = codes_at(search->store, row, *count);
    *count = run.count;
    return (const float *)(const void *)run.codes;
}

/* The first position from `position` on whose row may be found. */
static int64_t next_position(const void *context, int64_t position, int64_t end) {
    const engine_search_t *search = context;
    while (position < end) {
        stored_run_t run = codes_at(search->store, position, end - position);
        int64_t skipped = scan_count_others(&search->filter, &run);
        position += skipped;
        if (skipped < run.count)
            return position;
    }
    return end;
}

static void take_from_scan(void *context, int64_t query, int64_t n, float *scores, int64_t *positions, int thread) {
    engine_search_t *search = context;
    for (int64_t i = 0; search->store->rows != codes_held(search->store) && i < n; i++) {
        stored_run_t run = codes_at(search->store, positions[i], 1);
        positions[i] = run.rows ? run.rows[0] : run.first;
    }
    search_take(search, query, n, scores, positions, thread);
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
                       .next = search->filter.blocks ? next_position : NULL,
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

static const row_span_t *codes_segment(const engine_store_t *store, int64_t segment) {
    return &((const codes_parts_t *)store->parts)->segments[segment].span;
}

static const uint8_t *codes_segment_codes(const engine_store_t *store, int64_t segment) {
    return ((const codes_parts_t *)store->parts)->segments[segment].codes;
}

static dfaiss_status_t codes_restore_segment(engine_store_t *store, row_span_t *span, uint8_t **codes, dfaiss_error_t *err) {
    codes_parts_t *parts = store->parts;
    segment_t *segments = realloc(parts->segments, (size_t)(parts->count + 1) * sizeof *segments);
    if (!segments)
        return error_memory(err, (size_t)(parts->count + 1) * sizeof *segments, "segments of codes");
    parts->segments = segments;
    segment_t *made = &segments[parts->count];
    TRY(open_segment(parts, span->first, span->count > store->segment_rows ? span->count : store->segment_rows, made, err));
    made->span = *span;
    parts->count++;
    spans_number(segments, parts->count, sizeof *segments);
    *codes = made->codes;
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
    .compact = codes_compact,
    .search = codes_search,
    .held = codes_held,
    .codes_at = codes_at,
    .find_code = codes_find_code,
    .segments = codes_segments,
    .segment = codes_segment,
    .segment_codes = codes_segment_codes,
    .restore_segment = codes_restore_segment,
};
