/* Inside the engine room: which rows a segment of a store holds. Rows that were dropped leave holes; those that are held are also numbered by
 * positions, one after the other over all segments.
 *
 * Segments are structs whose first member is their span, in arrays by row.
 */
#ifndef ENGINE_SPAN_H
#define ENGINE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/row_bits.h"

typedef struct row_span {
    int64_t first;
    int64_t count;    /* rows held, at least 1 */
    int64_t position; /* rows held by the segments before */
    int64_t *rows;    /* ascending, malloc'ed; NULL: first, first + 1, ... */
} row_span_t;

static inline int64_t span_row(const row_span_t *span, int64_t i) {
    return span->rows ? span->rows[i] : span->first + i;
}

/* The row behind the last. */
static inline int64_t span_end(const row_span_t *span) {
    return span_row(span, span->count - 1) + 1;
}

static inline bool span_has_holes(const row_span_t *span) {
    return span->rows != NULL;
}

/* The place of the first row that is not below `row`: count where there is none. */
int64_t span_place(const row_span_t *span, int64_t row);

/* A span of n rows, copied; without holes where there are none. */
CHECKED dfaiss_status_t span_of_rows(const int64_t *rows, int64_t n, row_span_t *out, dfaiss_error_t *err);
/* The rows of a span, and n more from `first` on. */
CHECKED dfaiss_status_t span_extended(const row_span_t *span, int64_t first, int64_t n, row_span_t *out, dfaiss_error_t *err);
/* Those of a span whose bits are set. *out has count 0 where none is. */
CHECKED dfaiss_status_t span_alive(const row_span_t *span, const uint64_t *const *alive, row_span_t *out, dfaiss_error_t *err);
int64_t span_count_alive(const row_span_t *span, const uint64_t *const *alive);

/* Of an array of `count` segments of `size` bytes each: the one that holds a position, and the one whose rows begin at or before a row (the first one
 * where none does); count >= 1. */
int64_t spans_at_position(const void *segments, int64_t count, size_t size, int64_t position);
int64_t spans_at_row(const void *segments, int64_t count, size_t size, int64_t row);
/* Sets the positions of all. */
void spans_number(void *segments, int64_t count, size_t size);
/* Rows held by all. */
int64_t spans_held(const void *segments, int64_t count, size_t size);

#endif
