/* The header of a .npy file: magic, version, length, and a Python dictionary of three keys (numpy.lib.format). The text is read strictly: what
 * numpy does not write is refused. */
#ifndef DATASET_NPY_HEADER_H
#define DATASET_NPY_HEADER_H

#include "dataset/file_layout.h"

/* Fills component, rows, columns (1 for one dimension), offset and stride. The file's size is the caller's to check. */
CHECKED dfaiss_status_t npy_header_read(const char *path, const file_map_t *map, file_use_t use, file_layout_t *out, dfaiss_error_t *err);

#endif
