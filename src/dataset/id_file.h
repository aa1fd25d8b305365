/* Files of integers: ids of vectors, and neighbours (ground truth, results): .ivecs .ibin .i64bin .npy (int32, int64; 1 or 2 dimensions). */
#ifndef DATASET_ID_FILE_H
#define DATASET_ID_FILE_H

#include <stdint.h>

#include "base/error.h"

typedef struct id_matrix {
    int64_t rows;
    int64_t columns;
    int64_t *values; /* int64_t[rows][columns]; id_matrix_destroy frees it */
} id_matrix_t;

CHECKED dfaiss_status_t id_matrix_read(const char *path, id_matrix_t *out, dfaiss_error_t *err);
void id_matrix_destroy(id_matrix_t *matrix);

/* Ids of vectors: one column (or one row), each >= 0 and different from all others (ERR_DATA names file, row and value otherwise). */
CHECKED dfaiss_status_t id_file_read(const char *path, int64_t **ids, int64_t *n, dfaiss_error_t *err);

/* recall@r: |first r found, in the true first r| / r, averaged over queries; found int64_t[nq][k], k >= r, truth columns >= r. */
double recall_at(int64_t r, int64_t nq, int64_t k, const int64_t *found, const id_matrix_t *truth);

#endif
