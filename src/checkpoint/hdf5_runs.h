/* Reading runs of rows out of a dataset, one after the other: those that lie close together are read at once, what lies far between them is not.
 * Private to this room.
 */
#ifndef CHECKPOINT_HDF5_RUNS_H
#define CHECKPOINT_HDF5_RUNS_H

#include "checkpoint/hdf5_file.h"

typedef struct row_run {
    int64_t first, count; /* rows of the dataset; count may be 0 */
} row_run_t;

typedef struct hdf5_runs {
    hdf5_dataset_t dataset; /* owned */
    const row_run_t *runs;  /* borrowed */
    int64_t count;
    int64_t next;                 /* run to be read */
    uint8_t *buffer;              /* owned */
    int64_t capacity;             /* rows */
    int64_t held_first, held_end; /* rows of the dataset in the buffer */
} hdf5_runs_t;

/* Takes over an open dataset of `rank` 1 or 2. Runs ascend, do not overlap, and lie in it. On failure the dataset is closed. */
CHECKED dfaiss_status_t hdf5_runs_start(hdf5_runs_t *runs, hdf5_dataset_t *dataset, const row_run_t *ranges, int64_t count);
/* The rows of the next run. */
CHECKED dfaiss_status_t hdf5_runs_get(hdf5_runs_t *runs, void *to);
/* Fine on one that was never started but zeroed. */
void hdf5_runs_destroy(hdf5_runs_t *runs);

#endif
