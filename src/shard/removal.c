#include "shard/removal.h"

#include <stdlib.h>

#include "base/clock.h"
#include "shard/shard_internal.h"

enum { ROWS_A_LOOK = 2048 }; /* between two looks at the clock */

/* A removal by ids collects the rows that have them; by a filter, the bitmap of the filter says which they are. */
struct shard_removal {
    shard_t *shard;
    const int64_t *ids;
    int64_t n;
    shard_filter_t *filter;
    bool all_found;
    int64_t row; /* the next to be looked at; ids: all before it were; a filter: the next that may go */
    int64_t end; /* a filter: rows that were looked at */
    int64_t *found;
    int64_t found_count, found_capacity;
    int64_t gone;  /* of those found */
    int64_t batch; /* that held the last one */
    int64_t removed;
    int64_t keep_first, keep_end;
    bool replaces;
};

static dfaiss_status_t create(shard_t *shard, shard_removal_t **out, dfaiss_error_t *err) {
    shard_removal_t *removal = calloc(1, sizeof *removal);
    if (!removal)
        return error_memory(err, sizeof *removal, "removing vectors");
    removal->shard = shard;
    *out = removal;
    return DFAISS_OK;
}

dfaiss_status_t shard_removal_by_ids(shard_t *shard, int64_t n, const int64_t *ids, shard_removal_t **out, dfaiss_error_t *err) {
    TRY(create(shard, out, err));
    (*out)->ids = ids;
    (*out)->n = n;
    return DFAISS_OK;
}

dfaiss_status_t shard_removal_by_filter(shard_t *shard, const char *filter, size_t filter_size, shard_removal_t **out, dfaiss_error_t *err) {
    shard_filter_t *used = NULL;
    TRY(shard_filters_use(&shard->filters, shard->schema, filter, filter_size, &used, err));
    dfaiss_status_t status = create(shard, out, err);
    if (status != DFAISS_OK) {
        shard_filters_leave(&shard->filters, used);
        return status;
    }
    (*out)->filter = used;
    return DFAISS_OK;
}

void shard_removal_destroy(shard_removal_t *removal) {
    if (!removal)
        return;
    if (removal->filter)
        shard_filters_leave(&removal->shard->filters, removal->filter);
    free(removal->found);
    free(removal);
}

int64_t shard_removal_count(const shard_removal_t *removal) {
    return removal->removed;
}

void shard_removal_keep(shard_removal_t *removal, int64_t first, int64_t n) {
    removal->keep_first = first;
    removal->keep_end = first + n;
}

/* ---- finding ---- */

static dfaiss_status_t collect(shard_removal_t *removal, int64_t row, dfaiss_error_t *err) {
    if (!shard_lives(removal->shard, row) || (row >= removal->keep_first && row < removal->keep_end))
        return DFAISS_OK;
    if (removal->found_count == removal->found_capacity) {
        int64_t capacity = removal->found_capacity * 2 + 256;
        int64_t *found = realloc(removal->found, (size_t)capacity * sizeof *found);
        if (!found)
            return error_memory(err, (size_t)capacity * sizeof *found, "removing vectors");
        removal->found = found;
        removal->found_capacity = capacity;
    }
    removal->found[removal->found_count++] = row;
    return DFAISS_OK;
}

/* The place of the first id that is at least `least`. */
static int64_t lower_bound(const shard_removal_t *removal, int64_t least) {
    int64_t low = 0, high = removal->n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (removal->ids[middle] < least)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Rows `first` to `end` - 1 of a batch whose ids follow each other. */
static dfaiss_status_t look_at_run(shard_removal_t *removal, const shard_batch_t *batch, int64_t first, int64_t end, dfaiss_error_t *err) {
    int64_t last_id = shard_batch_id(batch, end - 1);
    for (int64_t i = lower_bound(removal, shard_batch_id(batch, first)); i < removal->n && removal->ids[i] <= last_id; i++)
        TRY(collect(removal, batch->first_row + (removal->ids[i] - batch->first_id), err));
    return DFAISS_OK;
}

static dfaiss_status_t look_at_ids(shard_removal_t *removal, const shard_batch_t *batch, int64_t first, int64_t end, dfaiss_error_t *err) {
    for (int64_t row = first; row < end; row++) {
        int64_t id = shard_batch_id(batch, row);
        if (id < removal->ids[0] || id > removal->ids[removal->n - 1])
            continue;
        int64_t place = lower_bound(removal, id);
        if (place < removal->n && removal->ids[place] == id)
            TRY(collect(removal, row, err));
    }
    return DFAISS_OK;
}

static dfaiss_status_t look_at_some(shard_removal_t *removal, dfaiss_error_t *err) {
    const shard_rows_t *rows = &removal->shard->rows;
    while (removal->row >= rows->batches[removal->batch].first_row + rows->batches[removal->batch].n)
        removal->batch++;
    const shard_batch_t *batch = &rows->batches[removal->batch];
    int64_t end = batch->first_row + batch->n, first = removal->row;
    end = end - first > ROWS_A_LOOK ? first + ROWS_A_LOOK : end;
    TRY(batch->ids ? look_at_ids(removal, batch, first, end, err) : look_at_run(removal, batch, first, end, err));
    removal->row = end;
    return DFAISS_OK;
}

static dfaiss_status_t find_ids(shard_removal_t *removal, int64_t deadline, dfaiss_error_t *err) {
    removal->batch = 0; /* their numbers may have changed since the last slice */
    while (removal->n > 0 && removal->row < removal->shard->rows.rows) {
        TRY(look_at_some(removal, err));
        if (clock_nanoseconds() >= deadline)
            return DFAISS_OK;
    }
    removal->all_found = true;
    return DFAISS_OK;
}

static dfaiss_status_t find(shard_removal_t *removal, int64_t deadline, dfaiss_error_t *err) {
    if (removal->filter) {
        TRY(shard_filter_advance(removal->filter, removal->shard->attributes, deadline, &removal->all_found, err));
        removal->end = removal->filter->matches->rows;
    } else {
        TRY(find_ids(removal, deadline, err));
    }
    if (removal->all_found)
        removal->row = removal->batch = 0;
    return DFAISS_OK;
}

/* ---- going ---- */

/* The first row from `row` on that is set in both bitmaps; `end` where there is none before. */
static int64_t next_of_both(const bitmap_t *a, const bitmap_t *b, int64_t row, int64_t end) {
    while (row < end) {
        uint64_t word = a->words[row / 64] & b->words[row / 64] & ~(uint64_t)0 << (row % 64);
        if (word) {
            row = row / 64 * 64 + __builtin_ctzll(word);
            return row < end ? row : end;
        }
        row = row / 64 * 64 + 64;
    }
    return end;
}

/* The next row that is to go; -1: all have gone. */
static int64_t next_to_go(shard_removal_t *removal) {
    if (!removal->filter)
        return removal->gone < removal->found_count ? removal->found[removal->gone++] : -1;
    int64_t row = next_of_both(removal->filter->matches, removal->shard->living, removal->row, removal->end);
    removal->row = row + 1;
    return row < removal->end ? row : -1;
}

static dfaiss_status_t go(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err) {
    TRY(shard_begin_to_remove(removal->shard, err));
    removal->batch = 0;
    for (int64_t looked = 1;; looked++) {
        int64_t row = next_to_go(removal);
        *done = row < 0;
        if (*done)
            return DFAISS_OK;
        bool kept = removal->replaces && shard_lives(removal->shard, row) && shard_keep_replaced(removal->shard, row);
        removal->removed += shard_remove_row(removal->shard, row, kept, &removal->batch);
        if (looked % ROWS_A_LOOK == 0 && clock_nanoseconds() >= deadline)
            return DFAISS_OK;
    }
}

static bool found_none(const shard_removal_t *removal) {
    return removal->filter ? bitmap_count(removal->filter->matches, 0, removal->end) == 0 : removal->found_count == 0;
}

dfaiss_status_t shard_removal_find(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err) {
    if (!removal->all_found)
        TRY(find(removal, deadline, err));
    *done = removal->all_found;
    return DFAISS_OK;
}

dfaiss_status_t shard_removal_step(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err) {
    TRY(shard_removal_find(removal, deadline, done, err));
    *done = removal->all_found && removal->row == 0 && found_none(removal);
    if (!removal->all_found || *done)
        return DFAISS_OK;
    return go(removal, deadline, done, err);
}

/* ---- updates ---- */

void shard_hold_searches(shard_t *shard, bool held) {
    shard->held = held;
}

void shard_removal_replace(shard_removal_t *removal) {
    removal->replaces = true;
}

void shard_removal_hide(shard_removal_t *removal, uint64_t number) {
    shard_t *shard = removal->shard;
    free(shard->hidden.rows);
    shard->hidden = (hidden_rows_t){.update = number, .rows = removal->found, .count = removal->found_count};
    removal->found = NULL;
    removal->found_count = removal->found_capacity = 0;
}

void shard_settle_update(shard_t *shard, uint64_t number) {
    if (shard->hidden.update != number)
        return;
    free(shard->hidden.rows);
    shard->hidden = (hidden_rows_t){0};
}
