/* The class of every other factory string: whole indexes as faiss makes them, one for each block.
 *
 * A block goes into a copy of the last segment while that is small beside it, so that segments stay few without being copied often. Where the copy
 * does not take it, it makes a segment of its own.
 */
#include "engine/graphs.h"

enum { SMALL_BESIDE = 4 };

static dfaiss_status_t copy_index(const FaissIndex *index, FaissIndex **out, dfaiss_error_t *err) {
    int code = shim_copy_index(index, out);
    return code == SHIM_OK ? DFAISS_OK : engine_failure(code, DFAISS_ERR_FAISS, "copying an index", err);
}

static dfaiss_status_t copy_with(const engine_store_t *store, const FaissIndex *from, int64_t n, const float *x, FaissIndex **out,
                                 dfaiss_error_t *err) {
    FaissIndex *copy = NULL;
    TRY(copy_index(from, &copy, err));
    dfaiss_status_t status = graphs_add(store, copy, n, x, err);
    if (status != DFAISS_OK) {
        faiss_Index_free(copy);
        return status;
    }
    *out = copy;
    return DFAISS_OK;
}

static dfaiss_status_t add_segment(const engine_store_t *store, graphs_block_t *made, int64_t n, const float *x, dfaiss_error_t *err) {
    const graph_t *last = graphs_last(made);
    FaissIndex *index = NULL;
    dfaiss_error_t refused;
    bool extends = last && last->rows / SMALL_BESIDE < n && last->rows + n <= store->segment_rows;
    if (extends && copy_with(store, last->index, n, x, &index, &refused) == DFAISS_OK) {
        graphs_block_put(made, index, last->rows + n, true);
        return DFAISS_OK;
    }
    TRY(copy_with(store, store->template->layout.inner, n, x, &index, err));
    graphs_block_put(made, index, n, false);
    return DFAISS_OK;
}

static dfaiss_status_t opaque_build(engine_block_t *block, int64_t n, const float *x, bool seal, dfaiss_error_t *err) {
    const engine_store_t *store = block->store;
    (void)seal;
    TRY(graphs_block_begin(block, n, err));
    dfaiss_status_t status = DFAISS_OK;
    while (status == DFAISS_OK && n > 0) {
        int64_t count = n < store->segment_rows ? n : store->segment_rows;
        status = add_segment(store, block->parts, count, x, err);
        x += count * store->template->dim;
        n -= count;
    }
    if (status != DFAISS_OK) {
        graphs_give_up(block);
        return status;
    }
    graphs_block_end(block);
    return DFAISS_OK;
}

static dfaiss_status_t opaque_search(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err) {
    (void)store;
    int64_t lists = search->template->layout.lists, effort = search->effort < 1 ? 1 : search->effort;
    if (lists > 0)
        return graphs_search(search, "nprobe", effort < lists ? effort : lists, false, deadline, done, err);
    return graphs_search(search, "efSearch", effort < search->k ? search->k : effort, true, deadline, done, err);
}

const store_class_t opaque_class = {
    .segment_rows = 1048576,
    .create = graphs_create,
    .destroy = graphs_destroy,
    .bytes = graphs_bytes,
    .build = opaque_build,
    .show = graphs_show,
    .clean = graphs_clean,
    .give_up = graphs_give_up,
    .release = graphs_release,
    .search = opaque_search,
    .segments = graphs_segments,
    .segment = graphs_segment,
    .segment_index = graphs_segment_index,
    .restore_index = graphs_restore_index,
    .restore_end = graphs_restore_end,
};
