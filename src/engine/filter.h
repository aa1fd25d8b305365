/* Inside the engine room: which rows a search may find, as one bit a row. */
#ifndef ENGINE_FILTER_H
#define ENGINE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/row_bits.h"

typedef struct row_filter {
    const uint64_t *const *blocks; /* of bits (row_bits.h); NULL: every row may be found */
    int64_t rows;                  /* that they cover: later ones may not be found */
} row_filter_t;

/* There are blocks. */
static inline bool row_passes(const row_filter_t *filter, int64_t row) {
    return row < filter->rows && row_bits_get(filter->blocks, row);
}

/* The first row from `row` on that may be found; `end` where there is none before. There are blocks. */
static inline int64_t row_next(const row_filter_t *filter, int64_t row, int64_t end) {
    int64_t last = end < filter->rows ? end : filter->rows;
    while (row < last) {
        uint64_t word = row_bits_word(filter->blocks, row) >> (row & 63);
        if (word) {
            row += __builtin_ctzll(word);
            return row < last ? row : end;
        }
        row = (row | 63) + 1;
    }
    return end;
}

#endif
