#include "shard/removal.h"

#include <stdlib.h>

#include "base/bisect.h"
#include "base/clock.h"
#include "shard/shard_internal.h"

enum {
    ROWS_A_LOOK = 2048,    /* between two looks at the clock */
    GONE_A_LOOK = 256,     /* the same for rows that go: the bits around each may have to be copied */
    BITS_A_LOOK = 1 << 20, /* the same for bits of rows that do not match */
};

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
    int64_t reserved, gone; /* of those found */
    int64_t batch;          /* that held the last one */
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

/* Rows `first` to `end` - 1 of a batch whose ids follow each other. */
static dfaiss_status_t look_at_run(shard_removal_t *removal, const shard_batch_t *batch, int64_t first, int64_t end, dfaiss_error_t *err) {
    int64_t last_id = shard_batch_id(batch, end - 1);
    for (int64_t i = bisect_place(removal->ids, removal->n, shard_batch_id(batch, first)); i < removal->n && removal->ids[i] <= last_id; i++)
        TRY(collect(removal, batch->first_row + (removal->ids[i] - batch->first_id), err));
    return DFAISS_OK;
}

static dfaiss_status_t look_at_ids(shard_removal_t *removal, const shard_batch_t *batch, int64_t first, int64_t end, dfaiss_error_t *err) {
    for (int64_t row = first; row < end; row++) {
        int64_t id = shard_batch_id(batch, row);
        if (id < removal->ids[0] || id > removal->ids[removal->n - 1])
            continue;
        int64_t place = bisect_place(removal->ids, removal->n, id);
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
    removal->batch = shard_rows_find(&removal->shard->rows, removal->row); /* numbers may have changed since the last slice */
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
    return DFAISS_OK;
}

/* ---- going ---- */

/* The next row that is to go; -1: none of those that were looked at now. *all: all have gone. */
static int64_t next_to_go(shard_removal_t *removal, bool *all) {
    *all = removal->filter ? removal->row >= removal->end : removal->gone == removal->found_count;
    if (*all)
        return -1;
    if (!removal->filter)
        return removal->found[removal->gone++];
    int64_t until = removal->end - removal->row < BITS_A_LOOK ? removal->end : removal->row + BITS_A_LOOK;
    int64_t row = bitmap_next_of_both(removal->filter->matches, removal->shard->living, removal->row, until);
    removal->row = row < until ? row + 1 : until;
    return row < until ? row : -1;
}

static dfaiss_status_t let_go(shard_removal_t *removal, int64_t row, dfaiss_error_t *err) {
    shard_t *shard = removal->shard;
    if (!shard_lives(shard, row))
        return DFAISS_OK;
    TRY(shard_prepare_to_remove(shard, row, err));
    bool kept = removal->replaces && shard_keep_replaced(shard, row);
    removal->removed += shard_remove_row(shard, row, kept, &removal->batch);
    return DFAISS_OK;
}

static dfaiss_status_t go(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err) {
    removal->batch = 0;
    for (int64_t looked = 1;; looked++) {
        int64_t row = next_to_go(removal, done);
        if (*done)
            return DFAISS_OK;
        if (row >= 0)
            TRY(let_go(removal, row, err));
        if ((row < 0 || looked % GONE_A_LOOK == 0) && clock_nanoseconds() >= deadline)
            return DFAISS_OK;
    }
}

dfaiss_status_t shard_removal_reserve(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err) {
    *done = false;
    while (removal->reserved < removal->found_count) {
        TRY(shard_prepare_to_remove(removal->shard, removal->found[removal->reserved++], err));
        if (removal->reserved % GONE_A_LOOK == 0 && clock_nanoseconds() >= deadline)
            return DFAISS_OK;
    }
    *done = true;
    return DFAISS_OK;
}

dfaiss_status_t shard_removal_find(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err) {
    if (!removal->all_found)
        TRY(find(removal, deadline, err));
    *done = removal->all_found;
    return DFAISS_OK;
}

dfaiss_status_t shard_removal_step(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err) {
    TRY(shard_removal_find(removal, deadline, done, err));
    return *done ? go(removal, deadline, done, err) : DFAISS_OK;
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
