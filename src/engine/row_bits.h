/* A bit a row, in blocks, so that bitmaps of many rows can be shared and changed block by block: bit r % 64 of word r % ENGINE_ROWS_A_BLOCK / 64 of
 * block r / ENGINE_ROWS_A_BLOCK is that of row r. */
#ifndef ENGINE_ROW_BITS_H
#define ENGINE_ROW_BITS_H

#include <stdbool.h>
#include <stdint.h>

enum { ENGINE_ROWS_A_BLOCK = 1 << 16 };

/* The word with a row's bit. */
static inline uint64_t row_bits_word(const uint64_t *const *blocks, int64_t row) {
    uint64_t place = (uint64_t)row;
    return blocks[place / ENGINE_ROWS_A_BLOCK][place % ENGINE_ROWS_A_BLOCK / 64];
}

static inline bool row_bits_get(const uint64_t *const *blocks, int64_t row) {
    return (row_bits_word(blocks, row) >> (row & 63) & 1) != 0;
}

#endif
