/* Inside the engine room: what a store, a block and a search are made of, and the table of functions that each class fills in.
 *
 * A store has two sides. What searches see (rows, and what hangs on parts) is changed by linking alone. What the builder goes on from (built, and
 * the builder's side of parts) is changed by building and by giving a block up.
 */
#ifndef ENGINE_STORE_H
#define ENGINE_STORE_H

#include "engine/engine.h"
#include "engine/exact.h"
#include "engine/filter.h"
#include "engine/lanes.h"
#include "engine/scratch.h"
#include "engine/span.h"
#include "engine/template.h"

enum {
    BUILD_PIECE = 8192, /* vectors that are transformed and encoded at a time */
};

/* Codes that lie together, and whose they are. */
typedef struct stored_run {
    const uint8_t *codes; /* [count][code_size] */
    const int64_t *rows;  /* ascending; NULL: first, first + 1, ... */
    int64_t first;
    int64_t count;
} stored_run_t;

typedef struct store_class {
    int64_t segment_rows; /* default */

    CHECKED dfaiss_status_t (*create)(engine_store_t *store, dfaiss_error_t *err);
    void (*destroy)(engine_store_t *store);
    size_t (*bytes)(const engine_store_t *store);

    /* Fills block->parts and block->rows. On failure the builder's side is as before, and release is called. */
    CHECKED dfaiss_status_t (*build)(engine_block_t *block, int64_t n, const float *x, bool seal, dfaiss_error_t *err);
    /* Makes the block's rows visible, all at once. */
    void (*show)(engine_block_t *block);
    /* Fills block->parts likewise with copies that are without rows whose bit is 0; *worth false: nothing was left out. NULL: the class cannot. On
     * failure the builder's side is as before, and release is called. */
    CHECKED dfaiss_status_t (*compact)(engine_block_t *block, const uint64_t *const *alive, bool *worth, dfaiss_error_t *err);
    /* Frees what showing replaced; true when nothing is left. */
    bool (*clean)(engine_block_t *block, int64_t deadline);
    /* Puts the builder's side back to what it was before the block. */
    void (*give_up)(engine_block_t *block);
    /* Frees the block's parts, with what is not shown, or was replaced and is not cleaned yet. Copes with half-built ones. */
    void (*release)(engine_block_t *block);

    CHECKED dfaiss_status_t (*search)(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err);

    /* Rows that were not dropped. */
    int64_t (*held)(const engine_store_t *store);
    /* The run of at most `most` codes from a position on; positions number the rows held. NULL where codes are not in their order. */
    stored_run_t (*codes_at)(const engine_store_t *store, int64_t position, int64_t most);

    /* As engine_store_locate; NULL: rows are found at once. */
    CHECKED dfaiss_status_t (*locate)(engine_store_t *store, int64_t deadline, bool *ready, dfaiss_error_t *err);
    /* The code of a row that is located, and its list; *code NULL: it was dropped. NULL where faiss alone knows its codes: then `reconstruct`, a call
     * of the shim. */
    CHECKED dfaiss_status_t (*find_code)(engine_store_t *store, int64_t row, const uint8_t **code, int64_t *list, dfaiss_error_t *err);
    int (*reconstruct)(const engine_store_t *store, int64_t row, float *to);

    /* Saving and restoring; NULL where the class has no such parts. */
    int64_t (*segments)(const engine_store_t *store);
    const row_span_t *(*segment)(const engine_store_t *store, int64_t segment);
    const uint8_t *(*segment_codes)(const engine_store_t *store, int64_t segment);
    const FaissIndex *(*segment_index)(const engine_store_t *store, int64_t segment);
    void (*list)(const engine_store_t *store, int64_t list, int64_t *size, const uint8_t **codes, const int64_t **rows);
    /* Both take over span->rows where they succeed, the latter the index always. */
    CHECKED dfaiss_status_t (*restore_segment)(engine_store_t *store, row_span_t *span, uint8_t **codes, dfaiss_error_t *err);
    CHECKED dfaiss_status_t (*restore_index)(engine_store_t *store, FaissIndex *index, const row_span_t *span, dfaiss_error_t *err);
    CHECKED dfaiss_status_t (*restore_list)(engine_store_t *store, int64_t list, int64_t size, uint8_t **codes, int64_t **rows, dfaiss_error_t *err);
    /* Sets the bits of the rows in lists; one that is not below `rows`, or there twice, is an error. */
    CHECKED dfaiss_status_t (*mark_rows)(const engine_store_t *store, int64_t rows, uint64_t *held, dfaiss_error_t *err);
} store_class_t;

extern const store_class_t codes_class, ivf_class, hnsw_class, opaque_class;
const store_class_t *store_class_of(const engine_template_t *template);

struct engine_store {
    const engine_template_t *template;
    const store_class_t *class;
    int64_t segment_rows;
    int64_t rows;   /* seen by searches */
    int64_t built;  /* taken in by the builder */
    bool has_block; /* a block is neither linked nor destroyed */
    void *parts;    /* the class's own */

    /* While it is restored from segments: */
    row_span_t next_span; /* of the segment that comes next; count 0: its rows follow those before */
    int64_t restored_end; /* the row behind those of the segments so far */
};

struct engine_block {
    engine_store_t *store;
    int64_t rows;         /* that linking makes visible */
    int64_t built_before; /* the builder's rows, if it is given up */
    bool shown;
    void *parts;
};

/* A range of rows whose vectors were scanned exactly: what a store answers for them is left out. */
typedef struct row_range {
    int64_t first, last;
} row_range_t;

typedef struct search_thread {
    shim_scanner_t *scanner;  /* ivf, SQ and PQ codes */
    const lane_t *lane;       /* whose query the scanner has; NULL: none */
    int64_t list;             /* that the scanner is set to; -1: none */
    double query_nanoseconds; /* what faiss takes for one query of a call with several, about; 0: not known yet */
    int64_t query_rows;       /* of the index that was asked then */
    scratch_t scores;         /* float[...]: what one call of faiss found, or spare */
    scratch_t rows;           /* int64_t[...] */
    scratch_t spare_scores;   /* float[k], for merging */
    scratch_t spare_rows;     /* int64_t[k] */
    scratch_t sifted_codes;   /* copies of codes that may be found */
    scratch_t sifted_rows;    /* int64_t[...] */
} search_thread_t;

/* GRAPHS: segments are asked, as whole indexes. SCAN: codes are scanned, or the vectors of a flat index. */
typedef enum search_stage { STAGE_NONE, STAGE_COARSE, STAGE_GRAPHS, STAGE_SCAN } search_stage_t;

struct engine_search {
    const engine_template_t *template;
    const store_class_t *class;
    team_t *team;
    search_thread_t *threads;

    int64_t nq, k, effort;
    scratch_t queries;          /* float[nq][dim] */
    scratch_t transformed;      /* float[nq][inner_dim] */
    const float *inner_queries; /* what the index behind the transforms is asked */
    scratch_t best_scores;      /* float[nq][k]: the answer so far */
    scratch_t best_rows;        /* int64_t[nq][k] */
    scratch_t best_counts;      /* int64_t[nq] */
    row_range_t *ranges;        /* scanned exactly */
    int64_t range_count, range_capacity;

    /* what may be found */
    row_filter_t filter;
    int64_t allowed_rows; /* about, of all that the filter covers */
    bool has_radius;
    float radius;

    /* vectors that are not indexed */
    exact_scan_t *vector_scan;
    bool in_vectors;
    element_t element;
    const void *vectors;
    int64_t vectors_first, vectors_count;

    /* a store */
    const engine_store_t *store;
    bool store_seen; /* the answer may hold rows of a store */
    bool again;      /* the store is searched once more, for the queries that have found too little */
    int64_t widened; /* the effort now; 0: as it was asked for */
    search_stage_t stage;
    exact_scan_t *store_scan;
    lanes_t lanes;
    scratch_t slot_scores; /* float[shares][nq][k] */
    scratch_t slot_rows;
    int64_t probes;
    bool has_coarse;
    bool all_lists;          /* in the order of their numbers */
    scratch_t coarse_scores; /* float[nq][probes] */
    scratch_t coarse_lists;  /* int64_t[nq][probes] */
    scratch_t coarse_counts; /* int64_t[nq] */
};

/* Puts n sorted candidates of a query into the answer. */
void search_take(engine_search_t *search, int64_t query, int64_t n, float *scores, int64_t *rows, int thread);

/* For classes that collect with lanes: memory for k candidates a query and share; the scanners have no query afterwards. */
CHECKED dfaiss_status_t search_slots(engine_search_t *search, int64_t shares, dfaiss_error_t *err);
float *search_slot_scores(const engine_search_t *search, int64_t share, int64_t query);
int64_t *search_slot_rows(const engine_search_t *search, int64_t share, int64_t query);

/* Lanes that scan codes into heaps: the lane's heap is emptied where nothing is in it yet; its thread's scanner gets its query. */
void search_start_lane(const engine_search_t *search, lane_t *lane);
CHECKED dfaiss_status_t search_enter_lane(engine_search_t *search, lane_t *lane, int thread, dfaiss_error_t *err);
/* lane_fold_t for slots that are heaps. */
void search_fold_heaps(void *context, lane_t *lane, int64_t query, int thread);

/* How many of `left` queries one call of faiss should get, which asks an index of `rows`, so that it stays far below a slice (one, where the last
 * index asked was smaller); and what the call took. */
int64_t search_call_size(const search_thread_t *thread, int64_t rows, int64_t left);
void search_call_took(search_thread_t *thread, int64_t rows, int64_t queries, int64_t nanoseconds);

/* Lanes into which the work of one query should be cut, when there are `most` pieces of it. */
int64_t search_shares(const engine_search_t *search, int64_t most);

/* The share of the rows that may be found, about: above 0, at most 1. */
double search_passing(const engine_search_t *search);
/* So few rows may be found that an exact scan should put them together. */
bool search_gathers(const engine_search_t *search);
/* The store is to be searched for a query; at all times until it is folded. */
bool search_is_open(const engine_search_t *search, int64_t query);
/* Keeps of a query's answer what vectors gave that are not indexed. */
void search_forget_store(engine_search_t *search, int64_t query);
/* Forgets what the store gave for queries with fewer than k hits, and lets them alone be searched again; false: there are none, or it is not
 * promised that they find more. */
bool search_again(engine_search_t *search);

/* Restores a segment (hnsw, opaque) from an index of so many vectors, which is taken over, also on failure. */
CHECKED dfaiss_status_t store_take_index(engine_store_t *store, FaissIndex *index, int64_t rows, dfaiss_error_t *err);

/* An error of a store's state that is not the user's fault. */
CHECKED dfaiss_status_t store_misuse(const engine_store_t *store, const char *what, dfaiss_error_t *err);

#endif
