#include "checkpoint/hdf5_runs.h"

#include <stdlib.h>
#include <string.h>

enum {
    BUFFER_BYTES = 4 << 20,
    GAP_BYTES = 16 << 10, /* are read along, since asking once more takes longer */
    DIRECT_PART = 32      /* what is larger than one part in so many of the buffer passes it by */
};

dfaiss_status_t hdf5_runs_start(hdf5_runs_t *runs, hdf5_dataset_t *dataset, const row_run_t *ranges, int64_t count) {
    *runs = (hdf5_runs_t){.dataset = *dataset, .runs = ranges, .count = count};
    runs->capacity = dataset->row_bytes < BUFFER_BYTES ? (int64_t)(BUFFER_BYTES / dataset->row_bytes) : 1;
    runs->buffer = malloc((size_t)runs->capacity * dataset->row_bytes);
    if (runs->buffer)
        return DFAISS_OK;
    hdf5_runs_destroy(runs);
    return error_memory(dataset->file->err, BUFFER_BYTES, dataset->name);
}

void hdf5_runs_destroy(hdf5_runs_t *runs) {
    hdf5_dataset_close(&runs->dataset);
    free(runs->buffer);
    *runs = (hdf5_runs_t){0};
}

/* Fills the buffer with the next run and those behind it that are near and fit. */
static dfaiss_status_t fill(hdf5_runs_t *runs) {
    const row_run_t *run = &runs->runs[runs->next];
    int64_t first = run->first, end = run->first + run->count, gap = GAP_BYTES / (int64_t)runs->dataset.row_bytes;
    for (int64_t i = runs->next + 1; i < runs->count; i++) {
        const row_run_t *more = &runs->runs[i];
        if (more->count == 0)
            continue;
        if (more->first - end > gap || more->first + more->count - first > runs->capacity)
            break;
        end = more->first + more->count;
    }
    runs->held_first = runs->held_end = first;
    TRY(hdf5_dataset_read(&runs->dataset, first, end - first, runs->buffer));
    runs->held_end = end;
    return DFAISS_OK;
}

dfaiss_status_t hdf5_runs_get(hdf5_runs_t *runs, void *to) {
    const row_run_t *run = &runs->runs[runs->next];
    if (run->count > runs->capacity / DIRECT_PART) {
        TRY(hdf5_dataset_read(&runs->dataset, run->first, run->count, to));
    } else if (run->count > 0) {
        if (run->first < runs->held_first || run->first + run->count > runs->held_end)
            TRY(fill(runs));
        memcpy(to, runs->buffer + (size_t)(run->first - runs->held_first) * runs->dataset.row_bytes, (size_t)run->count * runs->dataset.row_bytes);
    }
    runs->next++;
    return DFAISS_OK;
}
