/* Stores and blocks: what all classes have in common. */
#include "engine/store.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "engine/blob.h"

const store_class_t *store_class_of(const engine_template_t *template) {
    static const store_class_t *const classes[] = {
        [ENGINE_CODES] = &codes_class, [ENGINE_IVF] = &ivf_class, [ENGINE_HNSW] = &hnsw_class, [ENGINE_OPAQUE] = &opaque_class};
    return classes[engine_template_class(template)];
}

dfaiss_status_t store_misuse(const engine_store_t *store, const char *what, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_INTERNAL, "", "%s (store of class %s)", what, engine_class_name(engine_template_class(store->template)));
}

void engine_store_destroy(engine_store_t *store) {
    if (!store)
        return;
    if (store->parts)
        store->class->destroy(store);
    free(store->next_span.rows);
    free(store);
}

dfaiss_status_t engine_store_create(const engine_template_t *template, int64_t segment_rows, engine_store_t **out, dfaiss_error_t *err) {
    if (!engine_template_trained(template))
        return error_set(err, DFAISS_ERR_STATE, "", "the index is not trained yet");
    if (segment_rows < 0 || segment_rows > INT_MAX)
        return error_set(err, DFAISS_ERR_CONFIG, "segment_rows", "segment_rows is %" PRId64 "; 0 to %d is possible", segment_rows, INT_MAX);
    engine_store_t *store = calloc(1, sizeof *store);
    if (!store)
        return error_memory(err, sizeof *store, "a store");
    store->template = template;
    store->class = store_class_of(template);
    store->segment_rows = segment_rows ? segment_rows : store->class->segment_rows;
    dfaiss_status_t status = store->class->create(store, err);
    if (status != DFAISS_OK) {
        engine_store_destroy(store);
        return status;
    }
    *out = store;
    return DFAISS_OK;
}

int64_t engine_store_rows(const engine_store_t *store) {
    return store->rows;
}

size_t engine_store_bytes(const engine_store_t *store) {
    return store->class->bytes(store);
}

int64_t engine_store_held(const engine_store_t *store) {
    return store->class->held(store);
}

static dfaiss_status_t make_block(engine_store_t *store, engine_block_t **out, dfaiss_error_t *err) {
    if (store->has_block)
        return store_misuse(store, "the block before is neither linked nor destroyed", err);
    engine_block_t *block = calloc(1, sizeof *block);
    if (!block)
        return error_memory(err, sizeof *block, "a block");
    block->store = store;
    block->built_before = store->built;
    *out = block;
    return DFAISS_OK;
}

dfaiss_status_t engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                   dfaiss_error_t *err) {
    engine_block_t *block = NULL;
    if (first != store->built || n < 0)
        return store_misuse(store, "vectors are not built in one after the other", err);
    TRY(make_block(store, &block, err));
    dfaiss_status_t status = store->class->build(block, n, x, seal, err);
    if (status != DFAISS_OK) {
        store->class->release(block);
        free(block);
        return status;
    }
    store->built += n;
    store->has_block = true;
    *out = block;
    return DFAISS_OK;
}

dfaiss_status_t engine_block_compact(engine_store_t *store, const uint64_t *const *alive, engine_block_t **out, dfaiss_error_t *err) {
    engine_block_t *block = NULL;
    TRY(make_block(store, &block, err));
    bool worth = false;
    dfaiss_status_t status = store->class->compact && store->rows > 0 ? store->class->compact(block, alive, &worth, err) : DFAISS_OK;
    if (status != DFAISS_OK || !worth) {
        store->class->release(block);
        free(block);
        block = NULL;
    }
    if (status != DFAISS_OK)
        return status;
    store->has_block = block != NULL;
    *out = block;
    return DFAISS_OK;
}

int64_t engine_block_rows(const engine_block_t *block) {
    return block->rows;
}

bool engine_block_link(engine_store_t *store, engine_block_t *block, int64_t deadline) {
    if (!block->shown) {
        store->class->show(block);
        store->rows += block->rows;
        store->has_block = false;
        block->shown = true;
    }
    return store->class->clean(block, deadline);
}

void engine_block_destroy(engine_block_t *block) {
    if (!block)
        return;
    engine_store_t *store = block->store;
    if (!block->shown) {
        store->class->give_up(block);
        store->built = block->built_before;
        store->has_block = false;
    }
    store->class->release(block);
    free(block);
}

/* ---- saving and restoring ---- */

int64_t engine_store_segments(const engine_store_t *store) {
    return store->class->segments ? store->class->segments(store) : 0;
}

void engine_store_segment(const engine_store_t *store, int64_t segment, int64_t *first, int64_t *rows) {
    const row_span_t *span = store->class->segment(store, segment);
    *first = span->first;
    *rows = span->count;
}

const int64_t *engine_store_segment_rows(const engine_store_t *store, int64_t segment) {
    return store->class->segment(store, segment)->rows;
}

const uint8_t *engine_store_segment_codes(const engine_store_t *store, int64_t segment) {
    return store->class->segment_codes ? store->class->segment_codes(store, segment) : NULL;
}

dfaiss_status_t engine_store_segment_write(const engine_store_t *store, int64_t segment, engine_sink_t *sink, void *context, dfaiss_error_t *err) {
    if (!store->class->segment_index)
        return store_misuse(store, "its segments are not written as indexes", err);
    return blob_write(store->class->segment_index(store, segment), sink, context, err);
}

void engine_store_list(const engine_store_t *store, int64_t list, int64_t *size, const uint8_t **codes, const int64_t **rows) {
    store->class->list(store, list, size, codes, rows);
}

static dfaiss_status_t check_empty(const engine_store_t *store, dfaiss_error_t *err) {
    return store->rows == 0 && store->built == 0 ? DFAISS_OK : store_misuse(store, "only an empty store is restored", err);
}

dfaiss_status_t engine_store_restore_rows(engine_store_t *store, int64_t n, const int64_t *rows, dfaiss_error_t *err) {
    TRY(check_empty(store, err));
    if (n < 1 || n > INT_MAX)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "segment", "a segment has %" PRId64 " rows; 1 to %d are possible", n, INT_MAX);
    int64_t least = store->restored_end;
    for (int64_t i = 0; i < n; i++) {
        if (rows[i] < least || rows[i] == INT64_MAX)
            return error_set(err, DFAISS_ERR_CHECKPOINT, "segment",
                             "row %" PRId64 " stands where rows from %" PRId64 " on were expected: they ascend", rows[i], least);
        least = rows[i] + 1;
    }
    row_span_t span;
    TRY(span_of_rows(rows, n, &span, err));
    free(store->next_span.rows);
    store->next_span = span;
    return DFAISS_OK;
}

/* The rows of the segment that comes, which has n of them. */
static dfaiss_status_t next_span(const engine_store_t *store, int64_t n, row_span_t *span, dfaiss_error_t *err) {
    *span = store->next_span.count ? store->next_span : (row_span_t){.first = store->restored_end, .count = n};
    if (span->count != n)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "segment", "a segment has %" PRId64 " vectors and %" PRId64 " rows", n, span->count);
    return DFAISS_OK;
}

static void take_span(engine_store_t *store, const row_span_t *span) {
    store->restored_end = span_end(span);
    store->next_span = (row_span_t){.count = 0};
}

dfaiss_status_t engine_store_restore_segment(engine_store_t *store, int64_t rows, uint8_t **codes, dfaiss_error_t *err) {
    TRY(check_empty(store, err));
    if (!store->class->restore_segment)
        return store_misuse(store, "it is not restored from segments of codes", err);
    if (rows < 1 || rows > INT_MAX)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "segment", "a segment has %" PRId64 " rows; 1 to %d are possible", rows, INT_MAX);
    row_span_t span;
    TRY(next_span(store, rows, &span, err));
    TRY(store->class->restore_segment(store, &span, codes, err));
    take_span(store, &span);
    return DFAISS_OK;
}

dfaiss_status_t engine_store_restore_list(engine_store_t *store, int64_t list, int64_t size, uint8_t **codes, int64_t **rows, dfaiss_error_t *err) {
    TRY(check_empty(store, err));
    if (!store->class->restore_list)
        return store_misuse(store, "it is not restored from lists", err);
    if (list < 0 || list >= engine_template_lists(store->template))
        return error_set(err, DFAISS_ERR_CHECKPOINT, "list", "a list has number %" PRId64 "; the index has lists 0 to %" PRId64, list,
                         engine_template_lists(store->template) - 1);
    if (size < 0)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "list", "list %" PRId64 " has %" PRId64 " vectors", list, size);
    return store->class->restore_list(store, list, size, codes, rows, err);
}

/* A segment must be what the index behind the template's transforms would have become. */
static dfaiss_status_t check_restored(const engine_store_t *store, FaissIndex *index, int64_t rows, dfaiss_error_t *err) {
    FaissIndex *model = store->template->layout.inner;
    shim_layout_t layout, wanted;
    int code = shim_describe(index, &layout);
    if (code == SHIM_OK)
        code = shim_describe(model, &wanted);
    if (code != SHIM_OK)
        return engine_failure(code, DFAISS_ERR_CHECKPOINT, "looking into a segment", err);
    const char *differs = NULL;
    if (faiss_Index_d(index) != faiss_Index_d(model))
        differs = "dimension";
    else if (faiss_Index_metric_type(index) != faiss_Index_metric_type(model))
        differs = "metric";
    else if (strcmp(layout.type, wanted.type) != 0 || layout.lists != wanted.lists || layout.code_size != wanted.code_size ||
             !faiss_Index_is_trained(index))
        differs = "kind of index";
    if (differs)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "segment", "a segment has another %s than the trained index", differs);
    if (faiss_Index_ntotal(index) != rows || rows < 1)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "segment", "a segment holds %" PRId64 " vectors; %" PRId64 " were expected",
                         (int64_t)faiss_Index_ntotal(index), rows);
    return DFAISS_OK;
}

dfaiss_status_t store_take_index(engine_store_t *store, FaissIndex *index, int64_t rows, dfaiss_error_t *err) {
    row_span_t span;
    dfaiss_status_t status = check_restored(store, index, rows, err);
    if (status == DFAISS_OK)
        status = next_span(store, rows, &span, err);
    if (status != DFAISS_OK) {
        faiss_Index_free(index);
        return status;
    }
    TRY(store->class->restore_index(store, index, &span, err));
    take_span(store, &span);
    return DFAISS_OK;
}

dfaiss_status_t engine_store_restore_blob(engine_store_t *store, const void *bytes, size_t size, int64_t rows, dfaiss_error_t *err) {
    TRY(check_empty(store, err));
    if (!store->class->restore_index)
        return store_misuse(store, "it is not restored from indexes", err);
    FaissIndex *index = NULL;
    TRY(blob_read(bytes, size, "a segment of an index", &index, err));
    return store_take_index(store, index, rows, err);
}

/* Sets the bits of the rows in segments, of which the last ends before `rows`. */
static dfaiss_status_t mark_segments(const engine_store_t *store, int64_t rows, uint64_t *held, dfaiss_error_t *err) {
    if (store->restored_end > rows)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "segments", "the segments hold row %" PRId64 "; rows 0 to %" PRId64 " were expected",
                         store->restored_end - 1, rows - 1);
    for (int64_t i = 0; i < engine_store_segments(store); i++) {
        const row_span_t *span = store->class->segment(store, i);
        for (int64_t place = 0; place < span->count; place++)
            held[span_row(span, place) >> 6] |= UINT64_C(1) << (span_row(span, place) & 63);
    }
    return DFAISS_OK;
}

/* The first row that is not held and may not be missing; `rows` where there is none. */
static int64_t first_missing(int64_t rows, const uint64_t *held, const uint64_t *const *alive) {
    for (int64_t row = 0; row < rows; row++)
        if ((held[row >> 6] >> (row & 63) & 1) == 0 && (!alive || row_bits_get(alive, row)))
            return row;
    return rows;
}

static dfaiss_status_t check_rows(const engine_store_t *store, int64_t rows, const uint64_t *const *alive, uint64_t *held, dfaiss_error_t *err) {
    TRY(store->class->mark_rows ? store->class->mark_rows(store, rows, held, err) : mark_segments(store, rows, held, err));
    int64_t row = first_missing(rows, held, alive);
    if (row < rows)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "rows", "row %" PRId64 " is not there; rows 0 to %" PRId64 " were expected%s", row, rows - 1,
                         alive ? ", but for those that were removed" : "");
    return DFAISS_OK;
}

dfaiss_status_t engine_store_restore_end(engine_store_t *store, int64_t rows, const uint64_t *const *alive, dfaiss_error_t *err) {
    TRY(check_empty(store, err));
    int64_t held_count = engine_store_held(store);
    if (held_count > rows || (!alive && held_count != rows))
        return error_set(err, DFAISS_ERR_CHECKPOINT, "rows", "the parts of the index hold %" PRId64 " vectors; %" PRId64 " were expected", held_count,
                         rows);
    uint64_t *held = calloc((size_t)rows / 64 + 1, sizeof *held);
    if (!held)
        return error_memory(err, ((size_t)rows / 64 + 1) * sizeof *held, "checking the rows of an index");
    dfaiss_status_t status = check_rows(store, rows, alive, held, err);
    free(held);
    TRY(status);
    store->rows = rows;
    store->built = rows;
    return DFAISS_OK;
}
