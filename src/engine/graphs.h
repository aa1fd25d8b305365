/* Inside the engine room: stores made of whole faiss indexes, one a segment, as the classes hnsw and opaque keep them.
 *
 * A segment that searches see is never added to. What grows is a copy, which takes its segment's place when a block is linked.
 */
#ifndef ENGINE_GRAPHS_H
#define ENGINE_GRAPHS_H

#include <pthread.h>

#include "engine/span.h"
#include "engine/store.h"

typedef struct graph {
    row_span_t span;
    FaissIndex *index; /* owned by the store once it is shown */
    size_t bytes;
    const uint8_t *codes; /* what a graph of the class hnsw stores; NULL for other indexes */
} graph_t;

/* Takes over index and span. */
graph_t graph_made(FaissIndex *index, const row_span_t *span);
void graph_free(graph_t *graph);

typedef struct graphs_parts {
    graph_t *graphs;
    int64_t count;
    int64_t effort;    /* that all of them are set to; 0: not all */
    pthread_t cleaner; /* frees a replaced index, which may take long */
    bool has_cleaner;
    /* The builder's: a graph that grows (hnsw alone). */
    FaissIndex *open;
    int64_t open_rows;       /* how many of its vectors count: more may be in it, after a block that was given up */
    bool open_extends;       /* it is a copy of the last segment, with more */
    graph_t renewed;         /* a segment that is built anew without rows that are gone (hnsw alone); index NULL: none is */
    int64_t renewed_segment; /* which one */
    int64_t renewed_rows;    /* that are in it */
} graphs_parts_t;

/* The builder's side as it was before a block. */
typedef struct graphs_block {
    graph_t *graphs; /* the store's array with the block's in it; once it is shown, the array that it replaced */
    int64_t count;
    int64_t own; /* graphs from this one on are the block's */
    int64_t end; /* the row behind those of all graphs, and behind rows that were dropped */
    graph_t replaced;
    graph_t fresh; /* in a place before `own` */
    FaissIndex *open_before;
    int64_t open_rows_before;
    bool open_extends_before;
} graphs_block_t;

CHECKED dfaiss_status_t graphs_create(engine_store_t *store, dfaiss_error_t *err);
void graphs_destroy(engine_store_t *store);
size_t graphs_bytes(const engine_store_t *store);

/* Fills block->parts with a copy of the store's array that has room for what n more rows need. */
CHECKED dfaiss_status_t graphs_block_begin(engine_block_t *block, int64_t n, dfaiss_error_t *err);
/* The segment that holds a position, and the one that holds a row, with its place there (NULL: the row was dropped). */
const graph_t *graphs_at(const engine_store_t *store, int64_t position);
const graph_t *graphs_of_row(const engine_store_t *store, int64_t row, int64_t *place);
int64_t graphs_held(const engine_store_t *store);

/* The last segment that there will be; NULL: none. */
graph_t *graphs_last(const graphs_block_t *made);
/* Puts an index of `rows` vectors behind the segments, or in the place of the last one; takes it over where that succeeds. */
CHECKED dfaiss_status_t graphs_block_put(graphs_block_t *made, FaissIndex *index, int64_t rows, bool in_place_of_last, dfaiss_error_t *err);
/* Puts a graph in the place of any segment, or takes the segment away (index NULL); block->rows stays 0. */
void graphs_block_replace(graphs_block_t *made, int64_t segment, const graph_t *graph);
/* Sets block->rows from what was put. */
void graphs_block_end(engine_block_t *block);
/* Adds n vectors, transformed on the way. */
CHECKED dfaiss_status_t graphs_add(const engine_store_t *store, FaissIndex *index, int64_t n, const float *x, dfaiss_error_t *err);

void graphs_show(engine_block_t *block);
bool graphs_clean(engine_block_t *block, int64_t deadline);
void graphs_give_up(engine_block_t *block);
void graphs_release(engine_block_t *block);

/* How the segments are asked. */
typedef struct graphs_way {
    const char *parameter; /* faiss's name of what effort is the value of */
    int64_t effort;
    bool candidates;     /* effort is, for a segment, its number of rows at most: faiss takes memory for as many as it is told */
    bool selects;        /* a segment leaves out rows that may not be found by itself */
    int64_t most_wanted; /* hits that a segment may be asked for to find k of the rows that may be found */
} graphs_way_t;

CHECKED dfaiss_status_t graphs_begin(engine_search_t *search, dfaiss_error_t *err);
CHECKED dfaiss_status_t graphs_search(engine_search_t *search, const graphs_way_t *way, int64_t deadline, bool *done, dfaiss_error_t *err);

int64_t graphs_segments(const engine_store_t *store);
const row_span_t *graphs_segment(const engine_store_t *store, int64_t segment);
const FaissIndex *graphs_segment_index(const engine_store_t *store, int64_t segment);
CHECKED dfaiss_status_t graphs_restore_index(engine_store_t *store, FaissIndex *index, const row_span_t *span, dfaiss_error_t *err);

#endif
