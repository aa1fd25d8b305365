#include "dataset/file_layout.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "dataset/npy_header.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vector files are read in place");
_Static_assert((int)COMPONENT_f32 == ELEMENT_f32 && (int)COMPONENT_i8 == ELEMENT_i8 && (int)COMPONENT_i32 == ELEMENT_COUNT,
               "components begin with the elements");

enum { PREFIX_SAMPLES = 1000 };
static const size_t prefix_check_all = (size_t)1 << 30;

static const struct {
    const char *name;
    size_t size;
    const char *numpy;
} components[] = {
#define COMPONENT_ROW(name, bytes, numpy) {#name, bytes, numpy},
    COMPONENT_MAP(COMPONENT_ROW)
#undef COMPONENT_ROW
};

size_t component_size(component_t component) {
    return components[component].size;
}

const char *component_name(component_t component) {
    return components[component].name;
}

const char *component_numpy_name(component_t component) {
    return components[component].numpy;
}

component_t file_use_first(file_use_t use) {
    return use == FILE_USE_VECTORS ? COMPONENT_f32 : COMPONENT_i32;
}

component_t file_use_last(file_use_t use) {
    return use == FILE_USE_VECTORS ? COMPONENT_i8 : COMPONENT_i64;
}

typedef enum family { FAMILY_VECS, FAMILY_BIN, FAMILY_NPY } family_t;

typedef struct format {
    const char *ending;
    family_t family;
    component_t component; /* not for .npy, whose header says it */
} format_t;

static const format_t formats[] = {
    {".fvecs", FAMILY_VECS, COMPONENT_f32}, {".bvecs", FAMILY_VECS, COMPONENT_u8},  {".ivecs", FAMILY_VECS, COMPONENT_i32},
    {".fbin", FAMILY_BIN, COMPONENT_f32},   {".f16bin", FAMILY_BIN, COMPONENT_f16}, {".u8bin", FAMILY_BIN, COMPONENT_u8},
    {".i8bin", FAMILY_BIN, COMPONENT_i8},   {".ibin", FAMILY_BIN, COMPONENT_i32},   {".i64bin", FAMILY_BIN, COMPONENT_i64},
    {".npy", FAMILY_NPY, COMPONENT_COUNT},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

static bool fits_use(const format_t *format, file_use_t use) {
    return format->family == FAMILY_NPY || (format->component >= file_use_first(use) && format->component <= file_use_last(use));
}

static dfaiss_status_t find_format(const char *path, file_use_t use, const format_t **out, dfaiss_error_t *err) {
    const char *slash = strrchr(path, '/');
    const char *ending = strrchr(slash ? slash : path, '.');
    char known[128] = "";
    for (int i = 0; i < FORMATS; i++) {
        if (!fits_use(&formats[i], use))
            continue;
        if (ending && strcmp(ending, formats[i].ending) == 0) {
            *out = &formats[i];
            return DFAISS_OK;
        }
        size_t length = strlen(known);
        snprintf(known + length, sizeof known - length, " %s", formats[i].ending);
    }
    const char *what = use == FILE_USE_VECTORS ? "vectors" : "integers";
    return error_set(err, DFAISS_ERR_ARG, path, "the ending of %s is none of a file of %s; known are%s%s", path, what, known,
                     use == FILE_USE_VECTORS ? " (a file without a header needs its element type and dimension)" : "");
}

static dfaiss_status_t check_shape(const char *path, file_use_t use, const file_layout_t *layout, dfaiss_error_t *err) {
    if (layout->rows < 1)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has no rows", path);
    if (layout->columns < 1)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has rows of dimension %lld; at least 1 is expected", path, (long long)layout->columns);
    if (use == FILE_USE_VECTORS && layout->columns > DATASET_DIM_MAX)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has rows of dimension %lld; at most %d is accepted", path, (long long)layout->columns,
                         DATASET_DIM_MAX);
    return DFAISS_OK;
}

/* The size that a header announces, saturated: a product that does not fit agrees with no file. */
static size_t announced_size(const file_layout_t *layout) {
    size_t bytes;
    if (!size_multiply((size_t)layout->rows, layout->stride, &bytes) || bytes > SIZE_MAX - layout->offset)
        return SIZE_MAX;
    return layout->offset + bytes;
}

static dfaiss_status_t check_size(const char *path, const file_map_t *map, const file_layout_t *layout, dfaiss_error_t *err) {
    size_t expected = announced_size(layout);
    if (map->size == expected)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_DATA, path, "%s has %zu bytes, but %zu are expected: its header says %lld rows of %lld %s (%s)", path, map->size,
                     expected, (long long)layout->rows, (long long)layout->columns, component_name(layout->component),
                     map->size < expected ? "truncated?" : "bytes are left over");
}

static dfaiss_status_t read_bin(const char *path, const file_map_t *map, component_t component, file_use_t use, file_layout_t *out,
                                dfaiss_error_t *err) {
    uint32_t header[2];
    if (map->size < sizeof header)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has %zu bytes, but its header alone takes %zu (truncated?)", path, map->size, sizeof header);
    memcpy(header, map->bytes, sizeof header);
    file_layout_t layout = {.component = component, .rows = header[0], .columns = header[1], .offset = sizeof header};
    layout.stride = (size_t)layout.columns * component_size(component);
    TRY(check_shape(path, use, &layout, err));
    TRY(check_size(path, map, &layout, err));
    *out = layout;
    return DFAISS_OK;
}

static int32_t prefix_of_row(const file_map_t *map, const file_layout_t *layout, int64_t row) {
    int32_t columns;
    memcpy(&columns, map->bytes + (size_t)row * layout->stride, sizeof columns);
    return columns;
}

static dfaiss_status_t check_prefix(const char *path, const file_map_t *map, const file_layout_t *layout, int64_t row, dfaiss_error_t *err) {
    int32_t columns = prefix_of_row(map, layout, row);
    if (columns == layout->columns)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_DATA, path, "%s, row %lld: its dimension is given as %d, that of the first row is %lld", path, (long long)row,
                     columns, (long long)layout->columns);
}

static dfaiss_status_t check_prefixes(const char *path, const file_map_t *map, const file_layout_t *layout, dfaiss_error_t *err) {
    int64_t step = map->size < prefix_check_all || layout->rows < PREFIX_SAMPLES ? 1 : layout->rows / PREFIX_SAMPLES;
    for (int64_t row = 0; row < layout->rows; row += step)
        TRY(check_prefix(path, map, layout, row, err));
    TRY(check_prefix(path, map, layout, layout->rows - 1, err));
    file_map_release(map, 0, map->size);
    return DFAISS_OK;
}

static dfaiss_status_t read_vecs(const char *path, const file_map_t *map, component_t component, file_use_t use, file_layout_t *out,
                                 dfaiss_error_t *err) {
    int32_t columns;
    if (map->size < sizeof columns)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has %zu bytes, but a row begins with %zu (truncated?)", path, map->size, sizeof columns);
    memcpy(&columns, map->bytes, sizeof columns);
    file_layout_t layout = {.component = component, .rows = 1, .columns = columns, .offset = sizeof columns};
    TRY(check_shape(path, use, &layout, err));
    layout.stride = sizeof columns + (size_t)columns * component_size(component);
    layout.rows = (int64_t)(map->size / layout.stride);
    size_t expected = (size_t)(layout.rows > 0 ? layout.rows : 1) * layout.stride;
    if (map->size != expected)
        return error_set(err, DFAISS_ERR_DATA, path,
                         "%s has %zu bytes, but %zu are expected for %lld rows of %zu bytes (dimension %d; truncated, or another format?)", path,
                         map->size, expected, (long long)(expected / layout.stride), layout.stride, columns);
    TRY(check_prefixes(path, map, &layout, err));
    *out = layout;
    return DFAISS_OK;
}

static dfaiss_status_t read_npy(const char *path, const file_map_t *map, file_use_t use, file_layout_t *out, dfaiss_error_t *err) {
    file_layout_t layout;
    TRY(npy_header_read(path, map, use, &layout, err));
    TRY(check_shape(path, use, &layout, err));
    if (!size_multiply((size_t)layout.columns, component_size(layout.component), &layout.stride))
        layout.stride = SIZE_MAX;
    TRY(check_size(path, map, &layout, err));
    *out = layout;
    return DFAISS_OK;
}

dfaiss_status_t file_layout_read(const char *path, const file_map_t *map, file_use_t use, file_layout_t *out, dfaiss_error_t *err) {
    const format_t *format = NULL;
    TRY(find_format(path, use, &format, err));
    switch (format->family) {
    case FAMILY_VECS:
        return read_vecs(path, map, format->component, use, out, err);
    case FAMILY_BIN:
        return read_bin(path, map, format->component, use, out, err);
    default:
        return read_npy(path, map, use, out, err);
    }
}

static dfaiss_status_t check_raw(const dataset_raw_t *raw, dfaiss_error_t *err) {
    if (element_size(raw->element) == 0)
        return error_set(err, DFAISS_ERR_ARG, "raw", "the element type of a raw file must be one of f32, f16, u8, i8");
    if (raw->dim < 1 || raw->dim > DATASET_DIM_MAX)
        return error_set(err, DFAISS_ERR_ARG, "dim", "a raw file needs a dimension from 1 to %d; %lld was given", DATASET_DIM_MAX,
                         (long long)raw->dim);
    if (raw->rows < 0)
        return error_set(err, DFAISS_ERR_ARG, "rows", "the rows of a raw file must be 0 (all) or more; %lld were given", (long long)raw->rows);
    return DFAISS_OK;
}

dfaiss_status_t file_layout_raw(const char *path, const file_map_t *map, const dataset_raw_t *raw, file_layout_t *out, dfaiss_error_t *err) {
    TRY(check_raw(raw, err));
    size_t stride = (size_t)raw->dim * element_size(raw->element);
    size_t held = map->size / stride, left_over = map->size % stride;
    if (raw->rows > 0 && (size_t)raw->rows > held)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has %zu bytes, which hold %zu rows of %lld %s; %lld rows are expected", path, map->size,
                         held, (long long)raw->dim, element_name(raw->element), (long long)raw->rows);
    if (raw->rows == 0 && left_over > 0)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has %zu bytes, which is no whole number of rows of %zu bytes (%lld %s): %zu are left over",
                         path, map->size, stride, (long long)raw->dim, element_name(raw->element), left_over);
    *out = (file_layout_t){
        .component = (component_t)raw->element, .rows = raw->rows > 0 ? raw->rows : (int64_t)held, .columns = raw->dim, .stride = stride};
    return DFAISS_OK;
}
