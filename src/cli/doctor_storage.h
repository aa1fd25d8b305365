/* What a storage folder can do, tried out: is it shared, how fast is it, and are rename, link, fsync and locks what they should be. */
#ifndef CLI_DOCTOR_STORAGE_H
#define CLI_DOCTOR_STORAGE_H

#include <limits.h>

#include "base/error.h"
#include "cli/doctor_host.h"

/* One rank's experience; gathered as bytes. */
typedef struct doctor_trial {
    dfaiss_error_t error;         /* code DFAISS_OK, or why it could not go on */
    double seen_after;            /* seconds until what rank 0 wrote was there; below 0: it never was */
    double write_rate, read_rate; /* bytes a second; the write with fsync */
    double sync_seconds;          /* of a small file */
    int32_t renames;              /* a rename replaces a file */
    int32_t links;                /* a second name for a file */
    int32_t locks;                /* a record lock (fcntl) */
    int64_t free_bytes;
    int64_t kind; /* of the file system: statfs's f_type */
} doctor_trial_t;

/* Rank 0: makes a folder of its own in the storage, which is made where it is missing, with a file in it; doctor_storage_end removes the folder. */
CHECKED dfaiss_status_t doctor_storage_begin(const char *storage, char folder[PATH_MAX], dfaiss_error_t *err);
CHECKED dfaiss_status_t doctor_storage_end(const char *folder, dfaiss_error_t *err);

/* One rank of each host at the same time, `number` tells them apart; *trial is filled in whatever happens. */
void doctor_storage_try(const char *folder, int number, doctor_trial_t *trial);

/* trials doctor_trial_t[count] are of the ranks hosts[count] among ranks. index_bytes: what an index will take there; 0: not known. */
void doctor_check_storage(const char *storage, const doctor_rank_t *ranks, int count, const int *hosts, const doctor_trial_t *trials,
                          double index_bytes, doctor_findings_t *findings);

#endif
