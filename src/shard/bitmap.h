/* A bit a row, with several owners: a search that began keeps the bits that it began with, whatever happens to the rows.
 *
 * Owners come and go on the main thread alone. Bits of more rows may be put behind those that there are, also where others own them, who look at none
 * but the rows that there were; a bit that is there changes only for an owner who is alone, so that others get a copy before.
 */
#ifndef SHARD_BITMAP_H
#define SHARD_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct bitmap {
    int owners;
    int64_t rows;
    int64_t capacity; /* rows that there is room for: a multiple of 64 */
    uint64_t *words;  /* bit row % 64 of word row / 64; those behind the last row are 0 */
} bitmap_t;

/* All bits 0, or 1; NULL: no memory. */
bitmap_t *bitmap_create(int64_t rows, bool value);
/* A copy of one's own; NULL: no memory. */
bitmap_t *bitmap_copy(const bitmap_t *bitmap);
/* One owner more; returns the bitmap. */
bitmap_t *bitmap_share(bitmap_t *bitmap);
/* One owner less: the last one frees it. NULL is fine. */
void bitmap_release(bitmap_t *bitmap);

/* Room for so many rows. *bitmap, which the caller owns, may become another one. False: no memory, nothing has changed. */
CHECKED bool bitmap_reserve(bitmap_t **bitmap, int64_t rows);
/* Bits of this value for the rows up to `rows`, which are not fewer than before, and which there is room for. */
void bitmap_extend(bitmap_t *bitmap, int64_t rows, bool value);
/* *bitmap, which the caller owns, becomes one that nobody else does. False: no memory. */
CHECKED bool bitmap_own(bitmap_t **bitmap);

static inline bool bitmap_get(const bitmap_t *bitmap, int64_t row) {
    return bitmap->words[row / 64] >> (row % 64) & 1;
}
/* For an owner who is alone. */
static inline void bitmap_set(bitmap_t *bitmap, int64_t row, bool value) {
    uint64_t bit = (uint64_t)1 << (row % 64);
    bitmap->words[row / 64] = value ? bitmap->words[row / 64] | bit : bitmap->words[row / 64] & ~bit;
}

/* How many bits of rows first to end - 1 are 1. */
int64_t bitmap_count(const bitmap_t *bitmap, int64_t first, int64_t end);

/* The row whose bit is number `number`, from 0, of those that are 1 from row `first` on, a multiple of 64. There is one. */
int64_t bitmap_select(const bitmap_t *bitmap, int64_t first, int64_t number);

#endif
