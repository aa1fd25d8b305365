#include "shard/filters.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"

enum {
    FILTERS_KEPT = 8,          /* that nobody uses */
    PIECE_NANOSECONDS = 500000 /* about what looking at a piece takes */
};

static void destroy(shard_filter_t *filter) {
    if (!filter)
        return;
    filter_destroy(filter->program);
    bitmap_release(filter->matches);
    free(filter);
}

static shard_filter_t *find(const shard_filters_t *filters, const char *text, size_t size) {
    shard_filter_t *filter = filters->first;
    while (filter && (filter->size != size || memcmp(filter->text, text, size) != 0))
        filter = filter->next;
    return filter;
}

static dfaiss_status_t make(const attribute_schema_t *schema, const char *text, size_t size, shard_filter_t **out, dfaiss_error_t *err) {
    filter_t *program = NULL;
    TRY(filter_parse(schema, text, size, &program, err));
    shard_filter_t *filter = calloc(1, sizeof *filter + size);
    if (!filter) {
        filter_destroy(program);
        return error_memory(err, sizeof *filter + size, "a filter");
    }
    filter->program = program;
    filter->size = size;
    memcpy(filter->text, text, size);
    filter->matches = bitmap_create(0, false);
    if (!filter->matches) {
        destroy(filter);
        return error_memory(err, sizeof(bitmap_t), "a filter");
    }
    *out = filter;
    return DFAISS_OK;
}

/* Drops those that were not used for the longest time. */
static void drop_old(shard_filters_t *filters) {
    int unused = 0;
    for (shard_filter_t **place = &filters->first; *place;) {
        shard_filter_t *filter = *place;
        if (filter->users > 0 || ++unused <= FILTERS_KEPT) {
            place = &filter->next;
            continue;
        }
        *place = filter->next;
        destroy(filter);
    }
}

dfaiss_status_t shard_filters_use(shard_filters_t *filters, const attribute_schema_t *schema, const char *text, size_t size, shard_filter_t **out,
                                  dfaiss_error_t *err) {
    shard_filter_t *filter = find(filters, text, size);
    if (filter)
        LIST_REMOVE(filters->first, filter);
    else
        TRY(make(schema, text, size, &filter, err));
    filter->users++;
    filter->next = filters->first;
    filters->first = filter;
    drop_old(filters);
    *out = filter;
    return DFAISS_OK;
}

void shard_filters_leave(shard_filters_t *filters, shard_filter_t *filter) {
    filter->users--;
    drop_old(filters);
}

void shard_filters_clear(shard_filters_t *filters) {
    while (filters->first) {
        shard_filter_t *filter = filters->first;
        filters->first = filter->next;
        destroy(filter);
    }
}

/* Rows that take about PIECE_NANOSECONDS: whole words, and at most a block of the columns. */
static int64_t piece_rows(const shard_filter_t *filter) {
    int64_t comparisons = filter_comparisons(filter->program);
    int64_t rows = PIECE_NANOSECONDS / (comparisons > 0 ? comparisons : 1) / 64 * 64;
    return rows < 64 ? 64 : rows > ATTRIBUTE_BLOCK_ROWS ? ATTRIBUTE_BLOCK_ROWS : rows;
}

_Static_assert(ENGINE_ROWS_A_BLOCK % ATTRIBUTE_BLOCK_ROWS == 0, "a piece lies in one block of bits");

/* The next piece begins with the word that is not whole yet, if there is one, and ends with a block of the columns at the latest. */
static dfaiss_status_t look_at_piece(shard_filter_t *filter, const attribute_columns_t *columns, dfaiss_error_t *err) {
    int64_t first = filter->matches->rows / 64 * 64, rows = attribute_columns_rows(columns), count = piece_rows(filter);
    int64_t left = ATTRIBUTE_BLOCK_ROWS - first % ATTRIBUTE_BLOCK_ROWS;
    count = count < left ? count : left;
    count = count < rows - first ? count : rows - first;
    if (!bitmap_reserve(&filter->matches, first + count))
        return error_memory(err, (size_t)(first + count) / 8, "the rows that match a filter");
    filter->matched -= bitmap_count(filter->matches, first, filter->matches->rows);
    bitmap_extend(filter->matches, first + count, false);
    uint64_t *block = filter->matches->blocks[first / ENGINE_ROWS_A_BLOCK];
    filter_evaluate(filter->program, columns, first, count, block + first % ENGINE_ROWS_A_BLOCK / 64);
    filter->matched += bitmap_count(filter->matches, first, first + count);
    return DFAISS_OK;
}

dfaiss_status_t shard_filter_advance(shard_filter_t *filter, const attribute_columns_t *columns, int64_t deadline, bool *done, dfaiss_error_t *err) {
    while (filter->matches->rows < attribute_columns_rows(columns)) {
        *done = false;
        TRY(look_at_piece(filter, columns, err));
        if (clock_nanoseconds() >= deadline)
            break;
    }
    *done = filter->matches->rows == attribute_columns_rows(columns);
    return DFAISS_OK;
}
