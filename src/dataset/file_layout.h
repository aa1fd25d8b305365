/* Where the rows of a file lie: the one place that knows the formats.
 *
 *   ending                        before the rows              before each row
 *   .fvecs .bvecs .ivecs          -                            int32 columns
 *   .fbin .f16bin .u8bin .i8bin   uint32 rows, uint32 columns  -
 *   .ibin .i64bin                 uint32 rows, uint32 columns  -
 *   .npy                          numpy's header, version 1-3  -
 *   any, with a raw description   -                            -
 *
 * All numbers are little-endian. Headers are hostile until the file's size agrees with them, exactly.
 */
#ifndef DATASET_FILE_LAYOUT_H
#define DATASET_FILE_LAYOUT_H

#include <stdint.h>

#include "base/error.h"
#include "dataset/dataset.h"
#include "dataset/file_map.h"

/* name, bytes, numpy's name. The first ones are those of element_t, in its order. */
#define COMPONENT_MAP(X) \
    X(f32, 4, "<f4")     \
    X(f16, 2, "<f2")     \
    X(u8, 1, "|u1")      \
    X(i8, 1, "|i1")      \
    X(i32, 4, "<i4")     \
    X(i64, 8, "<i8")

typedef enum component {
#define COMPONENT_ENUM(name, bytes, numpy) COMPONENT_##name,
    COMPONENT_MAP(COMPONENT_ENUM)
#undef COMPONENT_ENUM
        COMPONENT_COUNT
} component_t;

size_t component_size(component_t component);
const char *component_name(component_t component);
const char *component_numpy_name(component_t component);

/* What a file is read as: vectors have the types of element_t and at most DATASET_DIM_MAX columns, ids are i32 or i64. */
typedef enum file_use { FILE_USE_VECTORS, FILE_USE_IDS } file_use_t;
enum { DATASET_DIM_MAX = 65536 };

component_t file_use_first(file_use_t use);
component_t file_use_last(file_use_t use);

typedef struct file_layout {
    component_t component;
    int64_t rows;
    int64_t columns;
    size_t offset; /* of the first component of row 0 */
    size_t stride; /* bytes from one row to the next */
} file_layout_t;

/* The layout by the path's ending. ERR_ARG where the ending is not known, or not for this use; ERR_DATA where header and size disagree. The counts
 * before the rows of .*vecs are all compared in files below 1 GiB, and in larger ones the first, the last and a thousand between. */
CHECKED dfaiss_status_t file_layout_read(const char *path, const file_map_t *map, file_use_t use, file_layout_t *out, dfaiss_error_t *err);

/* The layout of a file without a header. */
CHECKED dfaiss_status_t file_layout_raw(const char *path, const file_map_t *map, const dataset_raw_t *raw, file_layout_t *out, dfaiss_error_t *err);

#endif
