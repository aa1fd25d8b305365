/* A set of row numbers, as ranges that neither touch nor overlap, in ascending order. */
#ifndef BASE_RANGES_H
#define BASE_RANGES_H

#include <stdbool.h>
#include <stdint.h>

/* Rows first to end - 1; first < end. */
typedef struct range {
    int64_t first, end;
} range_t;

/* Zeroed it is empty. */
typedef struct ranges {
    range_t *list; /* owned; ranges_clear frees it */
    int64_t count;
    int64_t capacity;
} ranges_t;

void ranges_clear(ranges_t *ranges);

/* Makes room, so that the next ranges_add cannot fail. False: no memory. */
bool ranges_reserve(ranges_t *ranges);

/* Adds rows first to end - 1 (first < end), whether some of them are there or not. False: no memory, and nothing has changed. */
bool ranges_add(ranges_t *ranges, int64_t first, int64_t end);
/* Adds all of another set. False: no memory, and some of them may be there. */
bool ranges_add_all(ranges_t *ranges, const ranges_t *more);

/* How many rows there are. */
int64_t ranges_rows(const ranges_t *ranges);
/* Is any of rows first to end - 1 there? */
bool ranges_overlap(const ranges_t *ranges, int64_t first, int64_t end);
/* The rows of 0 to rows - 1 that are not there: *out must be empty. */
bool ranges_missing(const ranges_t *ranges, int64_t rows, ranges_t *out);

/* May such a list, from a file or another process, be that of a set of rows of 0 to rows - 1? */
bool ranges_are_valid(const range_t *list, int64_t count, int64_t rows);

#endif
