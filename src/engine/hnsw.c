/* The class of HNSW graphs: few and large ones, since each is searched.
 *
 * Vectors go into an open graph that only the builder knows. When it has segment_rows vectors, or the caller asks for what there is to be seen
 * (seal), it becomes a segment. What comes later goes into a copy of the last segment as long as that has room (copying a graph costs less than a
 * hundredth of building it), and the copy takes the segment's place when it is sealed. A segment of which many rows are gone is built anew from the
 * codes of the others, in pieces: whoever else waits for the builder, to save or to index, has its turn between them.
 *
 * Searches walk the graphs. Where a graph cannot answer (within a radius, or among few rows) its codes are scanned like any others.
 */
#include "engine/graphs.h"
#include "engine/scan.h"

enum {
    CODES_A_CANDIDATE = 64, /* that are scanned in the time in which a graph looks at a candidate's neighbours */
    WORTH_DEAD = 4,         /* a graph is built anew where one row in so many is gone */
    RENEW_BYTES = 16 << 20, /* of vectors that are put into the new graph at a time */
    RENEW_ROWS_LEAST = 256,
    RENEW_ROWS_MOST = 8192
};

static dfaiss_status_t copy_graph(const FaissIndex *graph, FaissIndex **out, dfaiss_error_t *err) {
    int code = shim_copy_graph(graph, out);
    return code == SHIM_OK ? DFAISS_OK : engine_failure(code, DFAISS_ERR_FAISS, "copying a graph", err);
}

static void forget_renewed(graphs_parts_t *parts) {
    graph_free(&parts->renewed);
    parts->renewed_rows = 0;
}

static dfaiss_status_t open_graph(engine_store_t *store, const graphs_block_t *made, int64_t n, dfaiss_error_t *err) {
    graphs_parts_t *parts = store->parts;
    const graph_t *last = graphs_last(made);
    bool extends = last && last->span.count + n <= store->segment_rows;
    TRY(copy_graph(extends ? last->index : store->template->layout.inner, &parts->open, err));
    if (extends && parts->renewed_segment == made->count - 1)
        forget_renewed(parts); /* the segment gets another graph */
    parts->open_extends = extends;
    parts->open_rows = extends ? last->span.count : 0;
    return DFAISS_OK;
}

/* A graph cannot lose vectors: after a block was given up it is built anew, from the codes of the vectors that count. */
static dfaiss_status_t rebuild_open(engine_store_t *store, dfaiss_error_t *err) {
    graphs_parts_t *parts = store->parts;
    FaissIndex *rebuilt = NULL;
    float *vectors = malloc((size_t)parts->open_rows * (size_t)store->template->inner_dim * sizeof(float) + 1);
    if (!vectors)
        return error_memory(err, (size_t)parts->open_rows * (size_t)store->template->inner_dim * sizeof(float), "building a graph anew");
    dfaiss_status_t status = copy_graph(store->template->layout.inner, &rebuilt, err);
    if (status == DFAISS_OK) {
        int code = faiss_Index_reconstruct_n(parts->open, 0, parts->open_rows, vectors);
        if (code == 0)
            code = faiss_Index_add(rebuilt, parts->open_rows, vectors);
        if (code != 0)
            status = engine_failure_c(code, DFAISS_ERR_FAISS, "building a graph anew", err);
    }
    free(vectors);
    if (status != DFAISS_OK) {
        faiss_Index_free(rebuilt);
        return status;
    }
    faiss_Index_free(parts->open);
    parts->open = rebuilt;
    return DFAISS_OK;
}

static dfaiss_status_t seal_open(graphs_parts_t *parts, graphs_block_t *made, dfaiss_error_t *err) {
    TRY(graphs_block_put(made, parts->open, parts->open_rows, parts->open_extends, err));
    parts->open = NULL;
    parts->open_rows = 0;
    parts->open_extends = false;
    return DFAISS_OK;
}

static dfaiss_status_t add_to_open(engine_store_t *store, graphs_block_t *made, int64_t n, const float *x, dfaiss_error_t *err) {
    graphs_parts_t *parts = store->parts;
    while (n > 0) {
        if (!parts->open)
            TRY(open_graph(store, made, n, err));
        int64_t room = store->segment_rows - parts->open_rows, count = n < room ? n : room;
        TRY(graphs_add(store, parts->open, count, x, err));
        parts->open_rows += count;
        x += count * store->template->dim;
        n -= count;
        if (parts->open_rows == store->segment_rows)
            TRY(seal_open(parts, made, err));
    }
    return DFAISS_OK;
}

static dfaiss_status_t hnsw_build(engine_block_t *block, int64_t n, const float *x, bool seal, dfaiss_error_t *err) {
    engine_store_t *store = block->store;
    graphs_parts_t *parts = store->parts;
    if (parts->open && faiss_Index_ntotal(parts->open) != parts->open_rows)
        TRY(rebuild_open(store, err));
    TRY(graphs_block_begin(block, n, err));
    dfaiss_status_t status = add_to_open(store, block->parts, n, x, err);
    if (status == DFAISS_OK && seal && parts->open)
        status = seal_open(parts, block->parts, err);
    if (status != DFAISS_OK) {
        graphs_give_up(block);
        return status;
    }
    graphs_block_end(block);
    return DFAISS_OK;
}

/* ---- dropping rows ---- */

static bool is_worth_it(const graphs_parts_t *parts, int64_t segment, const uint64_t *const *alive) {
    const row_span_t *span = &parts->graphs[segment].span;
    bool grows = segment == parts->count - 1 && parts->open_extends;
    int64_t dead = grows ? 0 : span->count - span_count_alive(span, alive);
    return dead > 0 && dead >= span->count / WORTH_DEAD;
}

/* Decodes vectors of a graph by their places in it. */
static dfaiss_status_t decode_places(const engine_store_t *store, const graph_t *graph, const row_span_t *wanted, int64_t first, int64_t n, float *to,
                                     dfaiss_error_t *err) {
    shim_decoder_t *decoder = NULL;
    size_t code_size = store->template->layout.code_size;
    int code = shim_decoder_new(store->template->layout.inner, &decoder);
    for (int64_t i = 0; code == SHIM_OK && i < n; i++)
        code = shim_decoder_decode(decoder, 0, graph->codes + (size_t)span_place(&graph->span, span_row(wanted, first + i)) * code_size,
                                   to + i * store->template->inner_dim);
    shim_decoder_free(decoder);
    return code == SHIM_OK ? DFAISS_OK : engine_failure(code, DFAISS_ERR_FAISS, "building a graph anew", err);
}

/* Begins a graph of the living rows of a segment. */
static dfaiss_status_t begin_renewed(const engine_store_t *store, int64_t segment, const uint64_t *const *alive, dfaiss_error_t *err) {
    graphs_parts_t *parts = store->parts;
    row_span_t span;
    FaissIndex *index = NULL;
    TRY(span_alive(&parts->graphs[segment].span, alive, &span, err));
    dfaiss_status_t status = copy_graph(store->template->layout.inner, &index, err);
    if (status != DFAISS_OK) {
        free(span.rows);
        return status;
    }
    parts->renewed = (graph_t){.span = span, .index = index};
    parts->renewed_segment = segment;
    return DFAISS_OK;
}

/* Puts the next rows of the segment, from its codes, into the graph. */
static dfaiss_status_t add_renewed(const engine_store_t *store, dfaiss_error_t *err) {
    graphs_parts_t *parts = store->parts;
    int64_t row_bytes = store->template->inner_dim * (int64_t)sizeof(float), count = RENEW_BYTES / row_bytes;
    int64_t left = parts->renewed.span.count - parts->renewed_rows;
    count = count < RENEW_ROWS_LEAST ? RENEW_ROWS_LEAST : count > RENEW_ROWS_MOST ? RENEW_ROWS_MOST : count;
    count = count < left ? count : left;
    float *vectors = malloc((size_t)(count * row_bytes) + 1);
    if (!vectors)
        return error_memory(err, (size_t)(count * row_bytes), "building a graph anew");
    const graph_t *from = &parts->graphs[parts->renewed_segment];
    dfaiss_status_t status = decode_places(store, from, &parts->renewed.span, parts->renewed_rows, count, vectors, err);
    int code = status == DFAISS_OK && count > 0 ? faiss_Index_add(parts->renewed.index, count, vectors) : 0;
    free(vectors);
    TRY(status);
    if (code != 0)
        return engine_failure_c(code, DFAISS_ERR_FAISS, "building a graph anew", err);
    parts->renewed_rows += count;
    return DFAISS_OK;
}

/* The graph takes the segment's place; where none of its rows lives there is no segment any more. */
static void end_renewed(graphs_parts_t *parts, graphs_block_t *made) {
    graph_t whole = {.index = NULL};
    if (parts->renewed.span.count > 0) {
        whole = graph_made(parts->renewed.index, &parts->renewed.span);
        parts->renewed = (graph_t){.index = NULL};
    }
    graphs_block_replace(made, parts->renewed_segment, &whole);
    forget_renewed(parts);
}

static dfaiss_status_t go_on_renewing(engine_block_t *block, dfaiss_error_t *err) {
    graphs_parts_t *parts = block->store->parts;
    TRY(add_renewed(block->store, err));
    TRY(graphs_block_begin(block, 0, err));
    if (parts->renewed_rows == parts->renewed.span.count)
        end_renewed(parts, block->parts);
    return DFAISS_OK;
}

/* A piece of one graph a block, which changes nothing until the last of them. */
static dfaiss_status_t hnsw_compact(engine_block_t *block, const uint64_t *const *alive, bool *worth, dfaiss_error_t *err) {
    graphs_parts_t *parts = block->store->parts;
    int64_t segment = 0;
    while (!parts->renewed.index && segment < parts->count && !is_worth_it(parts, segment, alive))
        segment++;
    *worth = segment < parts->count;
    if (!*worth)
        return DFAISS_OK;
    if (!parts->renewed.index)
        TRY(begin_renewed(block->store, segment, alive, err));
    dfaiss_status_t status = go_on_renewing(block, err);
    if (status != DFAISS_OK)
        forget_renewed(parts); /* a part of a piece may be in it */
    return status;
}

/* ---- searching ---- */

static stored_run_t hnsw_codes_at(const engine_store_t *store, int64_t position, int64_t most) {
    const graph_t *graph = graphs_at(store, position);
    int64_t at = position - graph->span.position, left = graph->span.count - at;
    return (stored_run_t){.codes = graph->codes + (size_t)at * store->template->layout.code_size,
                          .rows = graph->span.rows ? graph->span.rows + at : NULL,
                          .first = graph->span.first + at,
                          .count = left < most ? left : most};
}

static dfaiss_status_t hnsw_find_code(engine_store_t *store, int64_t row, const uint8_t **code, int64_t *list, dfaiss_error_t *err) {
    int64_t place = 0;
    const graph_t *graph = graphs_of_row(store, row, &place);
    (void)list;
    (void)err;
    *code = graph ? graph->codes + (size_t)place * store->template->layout.code_size : NULL;
    return DFAISS_OK;
}

/* A graph meets rows that may not be found on its way: the fewer others there are, the more candidates it needs. */
static int64_t walk_effort(const engine_search_t *search) {
    double effort = (double)(search->effort < search->k ? search->k : search->effort) / search_passing(search);
    return effort < (double)INT32_MAX ? (int64_t)effort : INT32_MAX;
}

/* Whether the codes of all rows that may be found are scanned rather than graphs walked: within a radius, and where that is less work. */
static bool should_scan(const engine_search_t *search) {
    return search->has_radius || (search->filter.blocks && search->allowed_rows / CODES_A_CANDIDATE <= walk_effort(search));
}

static dfaiss_status_t begin_scan(engine_search_t *search, dfaiss_error_t *err) {
    TRY(scan_store_begin(search, err));
    search->stage = STAGE_SCAN;
    return DFAISS_OK;
}

static dfaiss_status_t hnsw_search(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err) {
    (void)store;
    graphs_way_t way = {.parameter = "efSearch", .effort = walk_effort(search), .candidates = true, .selects = true, .most_wanted = search->k};
    if (search->stage == STAGE_NONE)
        TRY(should_scan(search) ? begin_scan(search, err) : graphs_begin(search, err));
    if (search->stage == STAGE_SCAN)
        return scan_store_run(search, deadline, done, err);
    TRY(graphs_search(search, &way, deadline, done, err));
    if (*done && search_again(search)) {
        TRY(begin_scan(search, err)); /* another slice goes on */
        *done = false;
    }
    return DFAISS_OK;
}

const store_class_t hnsw_class = {
    .segment_rows = 1048576,
    .create = graphs_create,
    .destroy = graphs_destroy,
    .bytes = graphs_bytes,
    .build = hnsw_build,
    .show = graphs_show,
    .clean = graphs_clean,
    .give_up = graphs_give_up,
    .release = graphs_release,
    .compact = hnsw_compact,
    .held = graphs_held,
    .search = hnsw_search,
    .codes_at = hnsw_codes_at,
    .find_code = hnsw_find_code,
    .segments = graphs_segments,
    .segment = graphs_segment,
    .segment_index = graphs_segment_index,
    .restore_index = graphs_restore_index,
};
