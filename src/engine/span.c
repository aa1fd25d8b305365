#include "engine/span.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bisect.h"

int64_t span_place(const row_span_t *span, int64_t row) {
    if (span->rows)
        return bisect_place(span->rows, span->count, row);
    return row <= span->first ? 0 : row - span->first < span->count ? row - span->first : span->count;
}

static int64_t *new_rows(int64_t n, dfaiss_error_t *err) {
    int64_t *rows = calloc((size_t)n + 1, sizeof *rows);
    if (!rows)
        (void)error_memory(err, (size_t)n * sizeof *rows, "the rows of a segment");
    return rows;
}

/* Takes over the rows; drops them where they follow each other. */
static row_span_t span_from(int64_t *rows, int64_t n) {
    row_span_t span = {.count = n, .rows = rows};
    if (n > 0)
        span.first = rows[0];
    if (n == 0 || rows[n - 1] - rows[0] == n - 1) {
        free(rows);
        span.rows = NULL;
    }
    return span;
}

dfaiss_status_t span_of_rows(const int64_t *rows, int64_t n, row_span_t *out, dfaiss_error_t *err) {
    int64_t *copy = new_rows(n, err);
    if (!copy)
        return DFAISS_ERR_MEMORY;
    if (n > 0)
        memcpy(copy, rows, (size_t)n * sizeof *copy);
    *out = span_from(copy, n);
    return DFAISS_OK;
}

dfaiss_status_t span_extended(const row_span_t *span, int64_t first, int64_t n, row_span_t *out, dfaiss_error_t *err) {
    if (!span->rows && span_end(span) == first) {
        *out = (row_span_t){.first = span->first, .count = span->count + n};
        return DFAISS_OK;
    }
    int64_t *rows = new_rows(span->count + n, err);
    if (!rows)
        return DFAISS_ERR_MEMORY;
    for (int64_t i = 0; i < span->count; i++)
        rows[i] = span_row(span, i);
    for (int64_t i = 0; i < n; i++)
        rows[span->count + i] = first + i;
    *out = span_from(rows, span->count + n);
    return DFAISS_OK;
}

int64_t span_count_alive(const row_span_t *span, const uint64_t *const *alive) {
    int64_t count = 0;
    for (int64_t i = 0; i < span->count; i++)
        count += row_bits_get(alive, span_row(span, i));
    return count;
}

dfaiss_status_t span_alive(const row_span_t *span, const uint64_t *const *alive, row_span_t *out, dfaiss_error_t *err) {
    int64_t *rows = new_rows(span->count, err), count = 0;
    if (!rows)
        return DFAISS_ERR_MEMORY;
    for (int64_t i = 0; i < span->count; i++)
        if (row_bits_get(alive, span_row(span, i)))
            rows[count++] = span_row(span, i);
    *out = span_from(rows, count);
    return DFAISS_OK;
}

static const row_span_t *span_in(const void *segments, size_t size, int64_t i) {
    return (const row_span_t *)(const void *)((const uint8_t *)segments + (size_t)i * size);
}

int64_t spans_at_position(const void *segments, int64_t count, size_t size, int64_t position) {
    int64_t low = 0, high = count - 1;
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        if (span_in(segments, size, middle)->position <= position)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int64_t spans_at_row(const void *segments, int64_t count, size_t size, int64_t row) {
    int64_t low = 0, high = count - 1;
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        if (span_in(segments, size, middle)->first <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

void spans_number(void *segments, int64_t count, size_t size) {
    int64_t position = 0;
    for (int64_t i = 0; i < count; i++) {
        row_span_t *span = (row_span_t *)(void *)((uint8_t *)segments + (size_t)i * size);
        span->position = position;
        position += span->count;
    }
}

int64_t spans_held(const void *segments, int64_t count, size_t size) {
    const row_span_t *last = count ? span_in(segments, size, count - 1) : NULL;
    return last ? last->position + last->count : 0;
}
