#include "base/ranges.h"

#include <stdlib.h>
#include <string.h>

void ranges_clear(ranges_t *ranges) {
    free(ranges->list);
    *ranges = (ranges_t){0};
}

bool ranges_reserve(ranges_t *ranges) {
    if (ranges->count < ranges->capacity)
        return true;
    int64_t capacity = ranges->capacity + ranges->capacity / 2 + 16;
    range_t *list = realloc(ranges->list, (size_t)capacity * sizeof *list);
    if (!list)
        return false;
    ranges->list = list;
    ranges->capacity = capacity;
    return true;
}

/* The place of the first range that ends at `row` or behind it. */
static int64_t find(const ranges_t *ranges, int64_t row) {
    int64_t low = 0, high = ranges->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (ranges->list[middle].end < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ranges_add(ranges_t *ranges, int64_t first, int64_t end) {
    if (!ranges_reserve(ranges))
        return false;
    int64_t place = find(ranges, first), joined = place;
    while (joined < ranges->count && ranges->list[joined].first <= end) {
        const range_t *old = &ranges->list[joined++];
        first = old->first < first ? old->first : first;
        end = old->end > end ? old->end : end;
    }
    memmove(ranges->list + place + 1, ranges->list + joined, (size_t)(ranges->count - joined) * sizeof *ranges->list);
    ranges->list[place] = (range_t){first, end};
    ranges->count += 1 - (joined - place);
    return true;
}

bool ranges_add_all(ranges_t *ranges, const ranges_t *more) {
    for (int64_t i = 0; i < more->count; i++)
        if (!ranges_add(ranges, more->list[i].first, more->list[i].end))
            return false;
    return true;
}

int64_t ranges_rows(const ranges_t *ranges) {
    int64_t rows = 0;
    for (int64_t i = 0; i < ranges->count; i++)
        rows += ranges->list[i].end - ranges->list[i].first;
    return rows;
}

bool ranges_overlap(const ranges_t *ranges, int64_t first, int64_t end) {
    int64_t place = find(ranges, first + 1);
    return place < ranges->count && ranges->list[place].first < end;
}

bool ranges_missing(const ranges_t *ranges, int64_t rows, ranges_t *out) {
    int64_t next = 0;
    for (int64_t i = 0; i < ranges->count; i++) {
        const range_t *there = &ranges->list[i];
        if (there->first > next && !ranges_add(out, next, there->first))
            return false;
        next = there->end;
    }
    return next >= rows || ranges_add(out, next, rows);
}

bool ranges_are_valid(const range_t *list, int64_t count, int64_t rows) {
    int64_t before = -1; /* the end of the range before */
    for (int64_t i = 0; i < count; i++) {
        if (list[i].first <= before || list[i].first >= list[i].end || list[i].end > rows)
            return false;
        before = list[i].end;
    }
    return true;
}
