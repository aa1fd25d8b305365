/* engine/engine.h without faiss, OpenMP and BLAS, for tests that look for races in the rooms above it.
 *
 * Every class of index is there, and every search is exact, by brute force over fp32 vectors; what differs is how vectors lie, because that is
 * what builder and searches have in common:
 *
 *   codes   pieces of segment_rows; the builder writes behind the rows that searches see
 *   ivf     a piece for every list; the builder writes behind what searches see, or into a larger copy
 *   hnsw    pieces that are shown whole, when they have segment_rows vectors or are sealed
 *   opaque  a piece for every block
 *
 * The contract is kept as strictly as can be: each call of a search scans one slice and each call of engine_block_link does one step, whatever the
 * deadline; both sides rest now and then in the middle of what they do, so that they meet there; all memory comes from malloc, so that a sanitizer
 * sees who uses it after it was freed; and what the contract forbids ends the process.
 */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include "engine/engine.h"

struct engine_template {
    engine_class_t class;
    int64_t dim;
    int64_t lists; /* 0 where the class has none */
    bool normalizes, larger_is_better, trained;
    float *centroids; /* float[lists][dim], once trained */
    _Atomic bool cancelled;
    _Atomic int users; /* stores and searches, which it must outlive */
};

/* Vectors that lie together. */
typedef struct fake_piece {
    float *vectors; /* float[capacity][dim] */
    int64_t *rows;  /* int64_t[capacity] */
    int64_t size, capacity;
} fake_piece_t;

struct engine_store {
    engine_template_t *template;
    int64_t segment_rows;
    fake_piece_t *pieces; /* what searches see */
    int64_t count;
    int64_t rows;
    int64_t links;      /* blocks linked so far: a search that is inside must not see it change */
    int64_t built;      /* the builder's */
    int64_t *next_rows; /* of the segment that is restored next; NULL: they follow those before */
    int64_t located;    /* calls of engine_store_locate */
    bool has_block;     /* of the builder until the block is linked */
    fake_piece_t open;  /* the builder's: a graph that nobody sees yet */
};

/* Ends the process with a text: the caller has broken the contract, or there is no memory. */
_Noreturn void fake_engine_abort(const char *what);
/* `memory` itself; ends the process where it is NULL. */
void *fake_engine_need(void *memory);

/* Rests, so that other threads go on. */
void fake_engine_rest(void);

/* The nearest centroid. */
int64_t fake_template_list(const engine_template_t *template, const float *vector);
/* Squared L2 distance, or inner product. */
float fake_template_score(const engine_template_t *template, const float *a, const float *b);

/* More users of a template, or with -1 fewer. */
void fake_template_use(engine_template_t *template, int users);

#endif
