/* The class of every other factory string: whole indexes as faiss makes them, one for each block.
 *
 * A block goes into a copy of the last segment while that is small beside it, so that segments stay few without being copied often. Where the copy
 * does not take it, it makes a segment of its own.
 */
#include "engine/graphs.h"

enum {
    SMALL_BESIDE = 4,
    MOST_OF_GRAPH = 4096 /* hits that a graph is asked for: what it takes grows with their square */
};

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
    bool extends = last && last->span.count / SMALL_BESIDE < n && last->span.count + n <= store->segment_rows;
    extends = extends && copy_with(store, last->index, n, x, &index, &refused) == DFAISS_OK;
    if (!extends)
        TRY(copy_with(store, store->template->layout.inner, n, x, &index, err));
    dfaiss_status_t status = graphs_block_put(made, index, extends ? last->span.count + n : n, extends, err);
    if (status != DFAISS_OK)
        faiss_Index_free(index);
    return status;
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

/* ---- searching ---- */

static const float *vectors_from(void *context, int64_t row, int64_t *count, float *scratch) {
    const engine_search_t *search = context;
    int64_t place = 0;
    const graph_t *graph = graphs_of_row(search->store, row, &place);
    *count = 1;
    return graph && shim_reconstruct(graph->index, place, scratch) == SHIM_OK ? scratch : NULL;
}

static int64_t next_row(const void *context, int64_t row, int64_t end) {
    const engine_search_t *search = context;
    return row_next(&search->filter, row, end);
}

static void take_vectors(void *context, int64_t query, int64_t n, float *scores, int64_t *rows, int thread) {
    search_take(context, query, n, scores, rows, thread);
}

/* Compares all queries with the vectors as the index gives them back. */
static dfaiss_status_t begin_scan(engine_search_t *search, dfaiss_error_t *err) {
    exact_job_t job = {.larger_is_better = search->template->larger_is_better,
                       .copies = true,
                       .gathers = true,
                       .dim = search->template->inner_dim,
                       .nq = search->nq,
                       .queries = search->inner_queries,
                       .k = search->k,
                       .rows = search->store->rows,
                       .rows_of = vectors_from,
                       .next = next_row,
                       .take = take_vectors,
                       .context = search};
    if (!search->store_scan)
        TRY(exact_scan_create(search->team, &search->store_scan, err));
    TRY(exact_scan_begin(search->store_scan, &job, err));
    for (int64_t query = 0; query < search->nq; query++)
        search_forget_store(search, query);
    search->stage = STAGE_SCAN;
    return DFAISS_OK;
}

static graphs_way_t way_to_search(const engine_search_t *search) {
    int64_t lists = search->template->layout.lists, k = search->k;
    int64_t effort = search->widened ? search->widened : search->effort < 1 ? 1 : search->effort;
    if (lists > 0)
        return (graphs_way_t){.parameter = "nprobe", .effort = effort < lists ? effort : lists, .most_wanted = INT32_MAX};
    return (graphs_way_t){.parameter = "efSearch",
                          .effort = effort < k ? k : effort,
                          .candidates = true,
                          .most_wanted = search->template->layout.walks ? MOST_OF_GRAPH : INT32_MAX};
}

/* Queries that have found too few of the rows that may be found go round again: everything is asked for, or, of a graph, for which that would take
 * longer the square of it, the vectors themselves. */
static dfaiss_status_t search_further(engine_search_t *search, bool *done, dfaiss_error_t *err) {
    int64_t most = search->template->layout.lists > 0 ? search->template->layout.lists : search->store->rows;
    if (search->widened == most || !search_again(search))
        return DFAISS_OK;
    *done = false;
    search->widened = most;
    return search->template->layout.walks ? begin_scan(search, err) : graphs_begin(search, err);
}

static dfaiss_status_t opaque_search(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err) {
    (void)store;
    if (search->stage == STAGE_SCAN)
        return exact_scan_run(search->store_scan, deadline, done, err);
    if (search->stage == STAGE_NONE)
        TRY(graphs_begin(search, err));
    graphs_way_t way = way_to_search(search);
    TRY(graphs_search(search, &way, deadline, done, err));
    return *done ? search_further(search, done, err) : DFAISS_OK;
}

static int opaque_reconstruct(const engine_store_t *store, int64_t row, float *to) {
    int64_t place = 0;
    const graph_t *graph = graphs_of_row(store, row, &place);
    return graph ? shim_reconstruct(graph->index, place, to) : SHIM_FAILED;
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
    .held = graphs_held,
    .search = opaque_search,
    .reconstruct = opaque_reconstruct,
    .segments = graphs_segments,
    .segment = graphs_segment,
    .segment_index = graphs_segment_index,
    .restore_index = graphs_restore_index,
};
