#include "engine/graphs.h"

#include <string.h>

dfaiss_status_t graphs_create(engine_store_t *store, dfaiss_error_t *err) {
    store->parts = calloc(1, sizeof(graphs_parts_t));
    return store->parts ? DFAISS_OK : error_memory(err, sizeof(graphs_parts_t), "a store");
}

void graph_free(graph_t *graph) {
    faiss_Index_free(graph->index);
    free(graph->span.rows);
    *graph = (graph_t){.index = NULL};
}

static void wait_for_cleaner(graphs_parts_t *parts) {
    if (parts->has_cleaner)
        pthread_join(parts->cleaner, NULL);
    parts->has_cleaner = false;
}

void graphs_destroy(engine_store_t *store) {
    graphs_parts_t *parts = store->parts;
    wait_for_cleaner(parts);
    for (int64_t i = 0; i < parts->count; i++)
        graph_free(&parts->graphs[i]);
    faiss_Index_free(parts->open);
    graph_free(&parts->renewed);
    free(parts->graphs);
    free(parts);
}

size_t graphs_bytes(const engine_store_t *store) {
    const graphs_parts_t *parts = store->parts;
    size_t bytes = 0;
    for (int64_t i = 0; i < parts->count; i++)
        bytes += parts->graphs[i].bytes + (span_has_holes(&parts->graphs[i].span) ? (size_t)parts->graphs[i].span.count * sizeof(int64_t) : 0);
    return bytes;
}

int64_t graphs_held(const engine_store_t *store) {
    const graphs_parts_t *parts = store->parts;
    return spans_held(parts->graphs, parts->count, sizeof *parts->graphs);
}

/* 0 where faiss does not say. */
static size_t index_bytes(const FaissIndex *index) {
    size_t bytes = 0;
    return shim_index_bytes(index, &bytes) == SHIM_OK ? bytes : 0;
}

/* NULL where the index is not a graph of the class hnsw. */
static const uint8_t *codes_of(const FaissIndex *index) {
    const uint8_t *codes = NULL;
    return shim_graph_codes(index, &codes) == SHIM_OK ? codes : NULL;
}

graph_t graph_made(FaissIndex *index, const row_span_t *span) {
    return (graph_t){.span = *span, .index = index, .bytes = index_bytes(index), .codes = codes_of(index)};
}

/* ---- building ---- */

dfaiss_status_t graphs_block_begin(engine_block_t *block, int64_t n, dfaiss_error_t *err) {
    const graphs_parts_t *parts = block->store->parts;
    graphs_block_t *made = calloc(1, sizeof *made);
    if (!made)
        return error_memory(err, sizeof *made, "a block");
    made->open_before = parts->open;
    made->open_rows_before = parts->open_rows;
    made->open_extends_before = parts->open_extends;
    block->parts = made;
    size_t most = (size_t)(parts->count + (parts->open_rows + n) / block->store->segment_rows + 2);
    made->graphs = calloc(most, sizeof *made->graphs);
    if (!made->graphs)
        return error_memory(err, most * sizeof *made->graphs, "a block");
    if (parts->count)
        memcpy(made->graphs, parts->graphs, (size_t)parts->count * sizeof *made->graphs);
    made->count = made->own = parts->count;
    made->end = block->store->rows;
    return DFAISS_OK;
}

const graph_t *graphs_at(const engine_store_t *store, int64_t position) {
    const graphs_parts_t *parts = store->parts;
    return &parts->graphs[spans_at_position(parts->graphs, parts->count, sizeof *parts->graphs, position)];
}

const graph_t *graphs_of_row(const engine_store_t *store, int64_t row, int64_t *place) {
    const graphs_parts_t *parts = store->parts;
    if (parts->count == 0)
        return NULL;
    const graph_t *graph = &parts->graphs[spans_at_row(parts->graphs, parts->count, sizeof *parts->graphs, row)];
    *place = span_place(&graph->span, row);
    return *place < graph->span.count && span_row(&graph->span, *place) == row ? graph : NULL;
}

graph_t *graphs_last(const graphs_block_t *made) {
    return made->count ? &made->graphs[made->count - 1] : NULL;
}

dfaiss_status_t graphs_block_put(graphs_block_t *made, FaissIndex *index, int64_t rows, bool in_place_of_last, dfaiss_error_t *err) {
    row_span_t span = {.first = made->end, .count = rows};
    const graph_t *last = graphs_last(made);
    int64_t more = in_place_of_last ? rows - last->span.count : rows;
    if (in_place_of_last) {
        TRY(span_extended(&last->span, made->end, more, &span, err));
        if (made->own == made->count) { /* else the last one is the block's own, which does not happen */
            made->replaced = *last;
            made->own--;
        }
        made->count--;
    }
    made->graphs[made->count++] = graph_made(index, &span);
    made->end += more;
    return DFAISS_OK;
}

void graphs_block_replace(graphs_block_t *made, int64_t segment, const graph_t *graph) {
    made->replaced = made->graphs[segment];
    made->fresh = *graph;
    made->graphs[segment] = *graph;
    if (graph->index)
        return;
    made->count = --made->own;
    memmove(made->graphs + segment, made->graphs + segment + 1, (size_t)(made->count - segment) * sizeof *made->graphs);
}

void graphs_block_end(engine_block_t *block) {
    block->rows = ((const graphs_block_t *)block->parts)->end - block->store->rows;
}

dfaiss_status_t graphs_add(const engine_store_t *store, FaissIndex *index, int64_t n, const float *x, dfaiss_error_t *err) {
    const engine_template_t *template = store->template;
    size_t bytes = template->layout.transformed ? (size_t)n * (size_t) template->inner_dim * sizeof(float) : 0;
    float *transformed = bytes ? malloc(bytes) : NULL;
    if (bytes && !transformed)
        return error_memory(err, bytes, "transforming vectors");
    dfaiss_status_t status = engine_transform(template, n, x, transformed, &x, err);
    if (status == DFAISS_OK) {
        int code = faiss_Index_add(index, n, x);
        if (code != 0)
            status = engine_failure_c(code, DFAISS_ERR_FAISS, "adding vectors", err);
    }
    free(transformed);
    return status;
}

void graphs_show(engine_block_t *block) {
    graphs_parts_t *parts = block->store->parts;
    graphs_block_t *made = block->parts;
    graph_t *replaced = parts->graphs;
    parts->graphs = made->graphs;
    parts->count = made->count;
    spans_number(parts->graphs, parts->count, sizeof *parts->graphs);
    parts->effort = 0;
    made->graphs = replaced;
}

static void *free_index(void *index) {
    faiss_Index_free(index);
    return NULL;
}

/* Giving a gigabyte back to the system takes far longer than a step may. */
bool graphs_clean(engine_block_t *block, int64_t deadline) {
    graphs_parts_t *parts = block->store->parts;
    graphs_block_t *made = block->parts;
    (void)deadline;
    if (!made->replaced.index)
        return true;
    wait_for_cleaner(parts);
    if (pthread_create(&parts->cleaner, NULL, free_index, made->replaced.index) == 0)
        parts->has_cleaner = true;
    else
        faiss_Index_free(made->replaced.index);
    made->replaced.index = NULL;
    graph_free(&made->replaced);
    return true;
}

void graphs_give_up(engine_block_t *block) {
    graphs_parts_t *parts = block->store->parts;
    graphs_block_t *made = block->parts;
    for (int64_t i = made->own; i < made->count; i++) {
        if (made->graphs[i].index == made->open_before)
            made->graphs[i].index = NULL;
        graph_free(&made->graphs[i]);
    }
    graph_free(&made->fresh);
    if (parts->open != made->open_before)
        faiss_Index_free(parts->open);
    parts->open = made->open_before;
    parts->open_rows = made->open_rows_before;
    parts->open_extends = made->open_extends_before;
}

void graphs_release(engine_block_t *block) {
    graphs_block_t *made = block->parts;
    if (!made)
        return;
    if (block->shown)
        graph_free(&made->replaced);
    free(made->graphs);
    free(made);
}

/* ---- saving and restoring ---- */

int64_t graphs_segments(const engine_store_t *store) {
    return ((const graphs_parts_t *)store->parts)->count;
}

const row_span_t *graphs_segment(const engine_store_t *store, int64_t segment) {
    return &((const graphs_parts_t *)store->parts)->graphs[segment].span;
}

const FaissIndex *graphs_segment_index(const engine_store_t *store, int64_t segment) {
    return ((const graphs_parts_t *)store->parts)->graphs[segment].index;
}

dfaiss_status_t graphs_restore_index(engine_store_t *store, FaissIndex *index, const row_span_t *span, dfaiss_error_t *err) {
    graphs_parts_t *parts = store->parts;
    graph_t *graphs = realloc(parts->graphs, (size_t)(parts->count + 1) * sizeof *graphs);
    if (!graphs) {
        faiss_Index_free(index);
        return error_memory(err, (size_t)(parts->count + 1) * sizeof *graphs, "segments");
    }
    parts->graphs = graphs;
    graphs[parts->count++] = graph_made(index, span);
    spans_number(graphs, parts->count, sizeof *graphs);
    return DFAISS_OK;
}
