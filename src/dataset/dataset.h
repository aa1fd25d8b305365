/* Vector files as one input: several files, one after the other, with one dimension and one element type.
 *
 * The format follows from the ending: .fvecs .bvecs .fbin .f16bin .u8bin .i8bin .npy (fp32, fp16, u8, i8; C order), or any name with a raw
 * description (row-major, no header). Files are mapped, so they may be larger than memory. Sizes are checked against headers when opened;
 * a file that is cut short afterwards, while it is read, ends the process (SIGBUS).
 */
#ifndef DATASET_DATASET_H
#define DATASET_DATASET_H

#include <stdint.h>

#include "base/element.h"
#include "base/error.h"

/* How to read files without a header. With it, every file is read so, whatever its ending. rows 0: as many as each file holds (its size must then be
 * a whole number of rows); else the first `rows` of each. */
typedef struct dataset_raw {
    element_t element;
    int64_t dim;
    int64_t rows;
} dataset_raw_t;

typedef struct dataset dataset_t;

/* Opens and checks all files; raw may be NULL. Errors name the file and what was expected: ERR_NOT_FOUND, ERR_DATA (empty, truncated, left-over
 * bytes, another dimension or type than the first file's), ERR_ARG (unknown ending). Thread-safe once open. */
CHECKED dfaiss_status_t dataset_open(const char *const *paths, int count, const dataset_raw_t *raw, dataset_t **out, dfaiss_error_t *err);
void dataset_close(dataset_t *dataset);

int64_t dataset_rows(const dataset_t *dataset);
int64_t dataset_dim(const dataset_t *dataset);
element_t dataset_element(const dataset_t *dataset);
size_t dataset_row_bytes(const dataset_t *dataset);

/* Rows first to first + n - 1, packed one after the other. Returns a pointer into the mapping where they lie so there, else copies them to
 * `space` (dataset_row_bytes * n) and returns that. The range must be within dataset_rows. */
const void *dataset_rows_at(const dataset_t *dataset, int64_t first, int64_t n, void *space);

/* Tells the kernel that rows are done with (a file larger than memory should not push out what is needed) or needed soon. */
void dataset_release(const dataset_t *dataset, int64_t first, int64_t n);
void dataset_prefetch(const dataset_t *dataset, int64_t first, int64_t n);

/* "base.fvecs, row 17" for row 17 of the whole input, counted within its file. */
void dataset_describe_row(const dataset_t *dataset, int64_t row, char *text, size_t capacity);

/* The files of the input in order: path as given, size, modification time (nanoseconds), first row and number of rows. */
typedef struct dataset_file {
    const char *path;
    uint64_t bytes;
    int64_t modified;
    int64_t first;
    int64_t rows;
} dataset_file_t;
int dataset_files(const dataset_t *dataset);
void dataset_file(const dataset_t *dataset, int file, dataset_file_t *out);

#endif
