/* A bit a row, with several owners: a search that began keeps the bits that it began with, whatever happens to the rows.
 *
 * The bits lie in blocks, which several bitmaps may share. What a copy costs is a pointer a block, and a block is copied only when one of its bits
 * changes that others see. Owners come and go on the main thread alone. Bits of more rows may be put behind those that there are, also where others
 * share them, who look at none but the rows that there were; a bit that is there changes only in a block that no other bitmap has.
 */
#ifndef SHARD_BITMAP_H
#define SHARD_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

enum { BITMAP_BLOCK_WORDS = ENGINE_ROWS_A_BLOCK / 64 };

typedef struct bitmap {
    int owners;
    int64_t rows;
    int64_t count;     /* of blocks: some may be there that no row needs yet, all 0 */
    int64_t capacity;  /* of the array */
    uint64_t **blocks; /* bit row % 64 of word row % ENGINE_ROWS_A_BLOCK / 64 of block row / ENGINE_ROWS_A_BLOCK */
} bitmap_t;

/* All bits 0, or 1, and every block its own; NULL: no memory. */
bitmap_t *bitmap_create(int64_t rows, bool value);
/* The same, with blocks that are shared until they are owned: it costs next to nothing, whatever the number of rows. */
bitmap_t *bitmap_create_shared(int64_t rows, bool value);
/* Another bitmap with the same bits, which shares the blocks; NULL: no memory. */
bitmap_t *bitmap_copy(const bitmap_t *bitmap);
/* The same for another thread to read: nothing is put behind its bits. */
bitmap_t *bitmap_snapshot(const bitmap_t *bitmap);
/* One owner more; returns the bitmap. */
bitmap_t *bitmap_share(bitmap_t *bitmap);
/* One owner less: the last one frees it. NULL is fine. */
void bitmap_release(bitmap_t *bitmap);

/* Room for so many rows. *bitmap, which the caller owns, may become another one. False: no memory, nothing has changed. */
CHECKED bool bitmap_reserve(bitmap_t **bitmap, int64_t rows);
/* Bits of this value for the rows up to `rows`, which are not fewer than before, and which there is room for. */
void bitmap_extend(bitmap_t *bitmap, int64_t rows, bool value);
/* *bitmap, which the caller owns, becomes one that nobody else does, as does its block with this row. False: no memory. */
CHECKED bool bitmap_own(bitmap_t **bitmap, int64_t row);

/* Block `number` of `into`, which has none there yet, becomes what is set in both others, which have as many rows. False: no memory. */
CHECKED bool bitmap_intersect(bitmap_t *into, const bitmap_t *a, const bitmap_t *b, int64_t number);
/* A bitmap for that; NULL: no memory. */
bitmap_t *bitmap_create_empty(int64_t rows);
/* A block becomes what is set in either. *into is the caller's. False: no memory. */
CHECKED bool bitmap_unite(bitmap_t **into, const bitmap_t *with, int64_t number);

static inline int64_t bitmap_blocks(int64_t rows) {
    return (rows + ENGINE_ROWS_A_BLOCK - 1) / ENGINE_ROWS_A_BLOCK;
}

/* As the engine takes them. */
static inline const uint64_t *const *bitmap_rows(const bitmap_t *bitmap) {
    return (const uint64_t *const *)bitmap->blocks;
}

/* The bits of rows 64 * number and on. */
static inline uint64_t bitmap_word(const bitmap_t *bitmap, int64_t number) {
    return bitmap->blocks[number / BITMAP_BLOCK_WORDS][number % BITMAP_BLOCK_WORDS];
}

static inline bool bitmap_get(const bitmap_t *bitmap, int64_t row) {
    return bitmap_word(bitmap, row / 64) >> (row % 64) & 1;
}

/* For an owner who is alone, also in the block. */
static inline void bitmap_set(bitmap_t *bitmap, int64_t row, bool value) {
    uint64_t *word = bitmap->blocks[row / ENGINE_ROWS_A_BLOCK] + row % ENGINE_ROWS_A_BLOCK / 64, bit = (uint64_t)1 << (row % 64);
    *word = value ? *word | bit : *word & ~bit;
}

/* How many bits of rows first to end - 1 are 1. */
int64_t bitmap_count(const bitmap_t *bitmap, int64_t first, int64_t end);

/* The first row from `row` on whose bit is 1 in both (b NULL: in a); `end` where there is none before. */
int64_t bitmap_next_of_both(const bitmap_t *a, const bitmap_t *b, int64_t row, int64_t end);

/* The row whose bit is number `number`, from 0, of those that are 1 from row `first` on, a multiple of 64. There is one. */
int64_t bitmap_select(const bitmap_t *bitmap, int64_t first, int64_t number);

#endif
