/* Which rows of a shard a file gets, and under which numbers. Removed rows that are in no part of the index any more take room all the same, in
 * memory and in every file; when there are many of them a file leaves them out, and numbers the others anew. Private to this room.
 */
#ifndef CHECKPOINT_KEPT_ROWS_H
#define CHECKPOINT_KEPT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "shard/bitmap.h"

struct shard_content;

typedef struct kept_rows {
    bitmap_t *bits;  /* of the rows that the file gets; NULL: all, as they are numbered */
    int64_t *before; /* rows kept before each 64 of them */
    int64_t rows;    /* of the file */
    int64_t indexed; /* those of them that are indexed */
} kept_rows_t;

/* Where there is no memory for it, all rows are kept. */
void kept_rows_make(const struct shard_content *content, kept_rows_t *out);
void kept_rows_clear(kept_rows_t *kept);

static inline bool kept_rows_has(const kept_rows_t *kept, int64_t row) {
    return !kept->bits || bitmap_get(kept->bits, row);
}

/* Rows kept of first to end - 1. */
int64_t kept_rows_count(const kept_rows_t *kept, int64_t first, int64_t end);
/* The number in the file of a row that is kept. */
int64_t kept_rows_number(const kept_rows_t *kept, int64_t row);

#endif
