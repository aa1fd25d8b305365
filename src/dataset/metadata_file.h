/* Metadata of vectors: JSON lines, one object a vector, in the order of the vectors. Read in pieces: a file larger than memory works. */
#ifndef DATASET_METADATA_FILE_H
#define DATASET_METADATA_FILE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

typedef struct metadata_file metadata_file_t;

CHECKED dfaiss_status_t metadata_file_open(const char *path, metadata_file_t **out, dfaiss_error_t *err);
void metadata_file_close(metadata_file_t *file);

/* Appends the next n lines to `out`, without their newlines; ends uint64_t[n] receives where each ends, counted from out's size at the call. A line
 * that is not a JSON object, or too few lines: ERR_DATA with file and line. */
CHECKED dfaiss_status_t metadata_file_read(metadata_file_t *file, int64_t n, bytes_writer_t *out, uint64_t *ends, dfaiss_error_t *err);

/* Passes over the next n lines, without looking at what they are. */
CHECKED dfaiss_status_t metadata_file_skip(metadata_file_t *file, int64_t n, dfaiss_error_t *err);

/* Checks that the file has exactly n lines, each a JSON object, without keeping them (the whole check before a build starts). */
CHECKED dfaiss_status_t metadata_file_check(const char *path, int64_t n, dfaiss_error_t *err);

#endif
