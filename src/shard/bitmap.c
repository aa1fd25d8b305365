#include "shard/bitmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { SPARE_ROWS = 1 << 16 }; /* at least so many more than are needed: pages that are not written cost nothing */

static size_t word_bytes(int64_t rows) {
    return (size_t)(rows + 63) / 64 * sizeof(uint64_t);
}

static bitmap_t *allocate(int64_t rows) {
    bitmap_t *bitmap = calloc(1, sizeof *bitmap);
    if (!bitmap)
        return NULL;
    bitmap->owners = 1;
    bitmap->capacity = (rows + rows / 4 + SPARE_ROWS) / 64 * 64;
    bitmap->words = memory_map(word_bytes(bitmap->capacity));
    if (!bitmap->words) {
        free(bitmap);
        return NULL;
    }
    return bitmap;
}

/* Sets the bits from row `from` on, which are 0, up to row `to`. */
static void fill(bitmap_t *bitmap, int64_t from, int64_t to) {
    for (; from < to && from % 64 != 0; from++)
        bitmap_set(bitmap, from, true);
    int64_t whole = (to - from) / 64 * 64;
    if (whole > 0)
        memset(bitmap->words + from / 64, 0xff, (size_t)whole / 8);
    for (from += whole; from < to; from++)
        bitmap_set(bitmap, from, true);
}

bitmap_t *bitmap_create(int64_t rows, bool value) {
    bitmap_t *bitmap = allocate(rows);
    if (!bitmap)
        return NULL;
    bitmap->rows = rows;
    if (value)
        fill(bitmap, 0, rows);
    return bitmap;
}

static bitmap_t *copy_with_room(const bitmap_t *bitmap, int64_t rows) {
    bitmap_t *copy = allocate(rows);
    if (!copy)
        return NULL;
    copy->rows = bitmap->rows;
    memcpy(copy->words, bitmap->words, word_bytes(bitmap->rows));
    return copy;
}

bitmap_t *bitmap_copy(const bitmap_t *bitmap) {
    return copy_with_room(bitmap, bitmap->rows);
}

bitmap_t *bitmap_share(bitmap_t *bitmap) {
    bitmap->owners++;
    return bitmap;
}

void bitmap_release(bitmap_t *bitmap) {
    if (!bitmap || --bitmap->owners > 0)
        return;
    memory_unmap(bitmap->words, word_bytes(bitmap->capacity));
    free(bitmap);
}

bool bitmap_reserve(bitmap_t **place, int64_t rows) {
    if (rows <= (*place)->capacity)
        return true;
    bitmap_t *copy = copy_with_room(*place, rows);
    if (!copy)
        return false;
    bitmap_release(*place);
    *place = copy;
    return true;
}

void bitmap_extend(bitmap_t *bitmap, int64_t rows, bool value) {
    if (value)
        fill(bitmap, bitmap->rows, rows);
    bitmap->rows = rows;
}

bool bitmap_own(bitmap_t **place) {
    if ((*place)->owners == 1)
        return true;
    bitmap_t *copy = bitmap_copy(*place);
    if (!copy)
        return false;
    bitmap_release(*place);
    *place = copy;
    return true;
}

int64_t bitmap_count(const bitmap_t *bitmap, int64_t first, int64_t end) {
    int64_t count = 0;
    for (; first < end && first % 64 != 0; first++)
        count += bitmap_get(bitmap, first);
    for (; end - first >= 64; first += 64)
        count += __builtin_popcountll(bitmap->words[first / 64]);
    for (; first < end; first++)
        count += bitmap_get(bitmap, first);
    return count;
}

int64_t bitmap_select(const bitmap_t *bitmap, int64_t first, int64_t number) {
    int64_t word = first / 64;
    for (int count; number >= (count = __builtin_popcountll(bitmap->words[word])); word++)
        number -= count;
    uint64_t bits = bitmap->words[word];
    for (; number > 0; number--)
        bits &= bits - 1;
    return word * 64 + __builtin_ctzll(bits);
}
