#include "shard/bitmap.h"

#include <stdlib.h>
#include <string.h>

enum { SPARE_BLOCKS = 8 };

typedef struct block {
    uint64_t words[BITMAP_BLOCK_WORDS]; /* first: bitmaps point to them */
    int64_t owners;
} block_t;

static block_t *block_of(uint64_t *words) {
    return (block_t *)(void *)words;
}

/* ---- blocks ---- */

static uint64_t *new_block(bool value) {
    block_t *block = calloc(1, sizeof *block);
    if (!block)
        return NULL;
    block->owners = 1;
    if (value)
        memset(block->words, 0xff, sizeof block->words);
    return block->words;
}

static uint64_t *copy_block(const uint64_t *words) {
    block_t *block = malloc(sizeof *block);
    if (!block)
        return NULL;
    block->owners = 1;
    memcpy(block->words, words, sizeof block->words);
    return block->words;
}

static uint64_t *share_block(uint64_t *words) {
    block_of(words)->owners++;
    return words;
}

static void release_block(uint64_t *words) {
    if (words && --block_of(words)->owners == 0)
        free(block_of(words));
}

/* ---- bitmaps ---- */

/* With room for so many blocks, and none yet. */
static bitmap_t *allocate(int64_t capacity) {
    bitmap_t *bitmap = calloc(1, sizeof *bitmap);
    if (!bitmap)
        return NULL;
    bitmap->owners = 1;
    bitmap->capacity = capacity + capacity / 4 + SPARE_BLOCKS;
    bitmap->blocks = calloc((size_t)bitmap->capacity, sizeof *bitmap->blocks);
    if (!bitmap->blocks) {
        free(bitmap);
        return NULL;
    }
    return bitmap;
}

bitmap_t *bitmap_create_empty(int64_t rows) {
    bitmap_t *bitmap = allocate(bitmap_blocks(rows));
    if (bitmap)
        bitmap->rows = rows;
    return bitmap;
}

/* Blocks of its own, all 0; false: no memory for all of them. */
static bool add_blocks(bitmap_t *bitmap, int64_t count) {
    for (; bitmap->count < count; bitmap->count++) {
        uint64_t *words = new_block(false);
        if (!words)
            return false;
        bitmap->blocks[bitmap->count] = words;
    }
    return true;
}

bitmap_t *bitmap_create(int64_t rows, bool value) {
    bitmap_t *bitmap = allocate(bitmap_blocks(rows));
    if (!bitmap || !add_blocks(bitmap, bitmap_blocks(rows))) {
        bitmap_release(bitmap);
        return NULL;
    }
    bitmap_extend(bitmap, rows, value);
    return bitmap;
}

bitmap_t *bitmap_create_shared(int64_t rows, bool value) {
    int64_t whole = rows / ENGINE_ROWS_A_BLOCK;
    bitmap_t *bitmap = allocate(bitmap_blocks(rows));
    uint64_t *words = whole > 0 ? new_block(value) : NULL;
    bool made = bitmap && (words || whole == 0);
    for (; made && bitmap->count < whole; bitmap->count++)
        bitmap->blocks[bitmap->count] = share_block(words);
    release_block(words);
    if (!made || !add_blocks(bitmap, bitmap_blocks(rows))) {
        bitmap_release(bitmap);
        return NULL;
    }
    bitmap->rows = whole * ENGINE_ROWS_A_BLOCK;
    bitmap_extend(bitmap, rows, value);
    return bitmap;
}

static bitmap_t *copy_with_room(const bitmap_t *bitmap, int64_t blocks) {
    bitmap_t *copy = allocate(blocks > bitmap->count ? blocks : bitmap->count);
    if (!copy)
        return NULL;
    copy->rows = bitmap->rows;
    for (; copy->count < bitmap->count; copy->count++)
        copy->blocks[copy->count] = share_block(bitmap->blocks[copy->count]);
    return copy;
}

bitmap_t *bitmap_copy(const bitmap_t *bitmap) {
    return copy_with_room(bitmap, 0);
}

bitmap_t *bitmap_snapshot(const bitmap_t *bitmap) {
    bitmap_t *copy = bitmap_copy(bitmap);
    bool whole = bitmap->rows % ENGINE_ROWS_A_BLOCK == 0;
    if (copy && (whole || bitmap_own(&copy, bitmap->rows - 1)))
        return copy;
    bitmap_release(copy);
    return NULL;
}

bitmap_t *bitmap_share(bitmap_t *bitmap) {
    bitmap->owners++;
    return bitmap;
}

void bitmap_release(bitmap_t *bitmap) {
    if (!bitmap || --bitmap->owners > 0)
        return;
    for (int64_t i = 0; i < bitmap->count; i++)
        release_block(bitmap->blocks[i]);
    free(bitmap->blocks);
    free(bitmap);
}

/* ---- more rows ---- */

bool bitmap_reserve(bitmap_t **place, int64_t rows) {
    int64_t blocks = bitmap_blocks(rows);
    /* Others look at the array, which therefore stays where it is. */
    if (blocks > (*place)->capacity) {
        bitmap_t *copy = copy_with_room(*place, blocks);
        if (!copy)
            return false;
        bitmap_release(*place);
        *place = copy;
    }
    return add_blocks(*place, blocks);
}

/* Sets the bits from row `from` on, which are 0, up to row `to`, in one block. */
static void fill(uint64_t *words, int64_t from, int64_t to) {
    for (; from < to && from % 64 != 0; from++)
        words[from / 64] |= (uint64_t)1 << (from % 64);
    int64_t whole = (to - from) / 64 * 64;
    if (whole > 0)
        memset(words + from / 64, 0xff, (size_t)whole / 8);
    for (from += whole; from < to; from++)
        words[from / 64] |= (uint64_t)1 << (from % 64);
}

void bitmap_extend(bitmap_t *bitmap, int64_t rows, bool value) {
    for (int64_t row = bitmap->rows, end; value && row < rows; row = end) {
        int64_t number = row / ENGINE_ROWS_A_BLOCK, first = number * ENGINE_ROWS_A_BLOCK;
        end = rows - first < ENGINE_ROWS_A_BLOCK ? rows : first + ENGINE_ROWS_A_BLOCK;
        fill(bitmap->blocks[number], row - first, end - first);
    }
    bitmap->rows = rows;
}

bool bitmap_own(bitmap_t **place, int64_t row) {
    if ((*place)->owners > 1) {
        bitmap_t *copy = bitmap_copy(*place);
        if (!copy)
            return false;
        bitmap_release(*place);
        *place = copy;
    }
    uint64_t **words = &(*place)->blocks[row / ENGINE_ROWS_A_BLOCK];
    if (block_of(*words)->owners == 1)
        return true;
    uint64_t *copy = copy_block(*words);
    if (!copy)
        return false;
    release_block(*words);
    *words = copy;
    return true;
}

/* ---- two bitmaps ---- */

bool bitmap_intersect(bitmap_t *into, const bitmap_t *a, const bitmap_t *b, int64_t number) {
    uint64_t *words = copy_block(a->blocks[number]);
    if (!words)
        return false;
    for (int64_t i = 0; i < BITMAP_BLOCK_WORDS; i++)
        words[i] &= b->blocks[number][i];
    into->blocks[number] = words;
    into->count = number + 1;
    return true;
}

bool bitmap_unite(bitmap_t **into, const bitmap_t *with, int64_t number) {
    int64_t first = 0;
    while (first < BITMAP_BLOCK_WORDS && with->blocks[number][first] == 0)
        first++;
    if (first == BITMAP_BLOCK_WORDS)
        return true;
    if (!bitmap_own(into, number * ENGINE_ROWS_A_BLOCK))
        return false;
    for (int64_t i = first; i < BITMAP_BLOCK_WORDS; i++)
        (*into)->blocks[number][i] |= with->blocks[number][i];
    return true;
}

/* ---- looking ---- */

int64_t bitmap_count(const bitmap_t *bitmap, int64_t first, int64_t end) {
    int64_t count = 0;
    for (; first < end && first % 64 != 0; first++)
        count += bitmap_get(bitmap, first);
    for (; end - first >= 64; first += 64)
        count += __builtin_popcountll(bitmap_word(bitmap, first / 64));
    for (; first < end; first++)
        count += bitmap_get(bitmap, first);
    return count;
}

int64_t bitmap_next_of_both(const bitmap_t *a, const bitmap_t *b, int64_t row, int64_t end) {
    while (row < end) {
        uint64_t word = bitmap_word(a, row / 64) & (b ? bitmap_word(b, row / 64) : ~(uint64_t)0) & ~(uint64_t)0 << (row % 64);
        if (word) {
            row = row / 64 * 64 + __builtin_ctzll(word);
            return row < end ? row : end;
        }
        row = row / 64 * 64 + 64;
    }
    return end;
}

int64_t bitmap_select(const bitmap_t *bitmap, int64_t first, int64_t number) {
    int64_t word = first / 64;
    for (int count; number >= (count = __builtin_popcountll(bitmap_word(bitmap, word))); word++)
        number -= count;
    uint64_t bits = bitmap_word(bitmap, word);
    for (; number > 0; number--)
        bits &= bits - 1;
    return word * 64 + __builtin_ctzll(bits);
}
