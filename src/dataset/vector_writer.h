/* Writing vector and id files in the .bin forms (uint32 rows, uint32 dimension, then the rows). The file gets its name when it is complete. */
#ifndef DATASET_VECTOR_WRITER_H
#define DATASET_VECTOR_WRITER_H

#include <stdint.h>

#include "base/error.h"

typedef struct vector_writer vector_writer_t;

/* A file of `rows` rows of row_bytes bytes (rows and columns must fit 32 bits: ERR_ARG). */
CHECKED dfaiss_status_t vector_writer_create(const char *path, int64_t rows, int64_t columns, size_t component_bytes, vector_writer_t **out,
                                             dfaiss_error_t *err);
CHECKED dfaiss_status_t vector_writer_append(vector_writer_t *writer, const void *rows, int64_t n, dfaiss_error_t *err);
/* Checks that all rows came, syncs, and renames. Frees the writer in any case; on failure no file is left. */
CHECKED dfaiss_status_t vector_writer_finish(vector_writer_t *writer, dfaiss_error_t *err);
/* Gives up: no file is left. NULL is fine. */
void vector_writer_abort(vector_writer_t *writer);

#endif
