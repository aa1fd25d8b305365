/* Which rows of a shard a file gets, and under which numbers. Removed rows that are in no part of the index any more take room all the same, in
 * memory and in every file; when there are many of them a file that begins a chain leaves them out, and numbers the others anew. The files behind it
 * go on with these numbers, and with the first row that the chain does not have yet. Private to this room.
 */
#ifndef CHECKPOINT_KEPT_ROWS_H
#define CHECKPOINT_KEPT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "shard/bitmap.h"

struct shard_content;

/* What a file goes on from; all 0 where it begins a chain. Rows are the shard's. */
typedef struct kept_start {
    int64_t row;           /* rows before this one are in earlier files */
    int64_t indexed;       /* the index of rows before this one is */
    uint64_t previous;     /* checksum of the file before */
    const bitmap_t *known; /* which of the rows before were there according to earlier files; NULL: all, as far as is known */
} kept_start_t;

typedef struct kept_rows {
    bitmap_t *bits;  /* of the rows that have numbers; NULL: all, as they are numbered */
    int64_t *before; /* rows kept before each 64 of them */
    int64_t rows;    /* of the part */
    int64_t indexed; /* those of them that are indexed */
    bool follows;    /* an earlier file; else all rows are written */
    kept_start_t start;
    int64_t first_row, first_indexed; /* the same as numbers of the part */
    int64_t held;                     /* vectors in the index that is written */
} kept_rows_t;

/* Of a whole part. Where there is no memory for it, all rows are kept. */
void kept_rows_make(const struct shard_content *content, kept_rows_t *out);
/* Of a file that follows others: `bits` says which rows had numbers in them (NULL: all), rows behind them have. False: the index has got
 * rows without a number, or there is no memory. */
bool kept_rows_follow(const struct shard_content *content, const bitmap_t *bits, const kept_start_t *start, kept_rows_t *out);
void kept_rows_clear(kept_rows_t *kept);

static inline bool kept_rows_has(const kept_rows_t *kept, int64_t row) {
    return !kept->bits || bitmap_get(kept->bits, row);
}

/* Rows kept of first to end - 1. */
int64_t kept_rows_count(const kept_rows_t *kept, int64_t first, int64_t end);
/* The number in the part of a row that is kept; where it is not, or is none any more, that of the next. */
int64_t kept_rows_number(const kept_rows_t *kept, int64_t row);

/* The places in a segment, or in a list, from which on its rows are written. */
int64_t kept_rows_segment(const kept_rows_t *kept, const engine_store_t *store, int64_t segment);
int64_t kept_rows_place(const kept_rows_t *kept, const int64_t *rows, int64_t count);

#endif
