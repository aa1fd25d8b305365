/* Datasets of numbers: contiguous, without filters, in little-endian types that h5dump and h5py name as they are. */
#include "checkpoint/hdf5_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[HDF5_TYPES] = {
    [HDF5_F32] = {"float32", 4}, [HDF5_F16] = {"float16", 2}, [HDF5_U8] = {"uint8", 1},   [HDF5_I8] = {"int8", 1},
    [HDF5_I64] = {"int64", 8},   [HDF5_U64] = {"uint64", 8},  [HDF5_U16] = {"uint16", 2}, [HDF5_F64] = {"float64", 8},
};

/* IEEE half from a float type: sign bit 15, exponent of 5 bits from bit 10 on, mantissa of 10. */
static hid_t half_of(hid_t single) {
    hid_t type = H5Tcopy(single);
    if (type >= 0 && H5Tset_fields(type, 15, 10, 5, 0, 10) >= 0 && H5Tset_size(type, 2) >= 0 && H5Tset_ebias(type, 15) >= 0)
        return type;
    if (type >= 0)
        H5Tclose(type);
    return H5I_INVALID_HID;
}

/* The type in a file, or in memory; the caller closes it. */
static hid_t make_type(hdf5_type_t type, bool in_memory) {
    switch (type) {
    case HDF5_F32:
        return H5Tcopy(in_memory ? H5T_NATIVE_FLOAT : H5T_IEEE_F32LE);
    case HDF5_F16:
        return half_of(in_memory ? H5T_NATIVE_FLOAT : H5T_IEEE_F32LE);
    case HDF5_U8:
        return H5Tcopy(in_memory ? H5T_NATIVE_UINT8 : H5T_STD_U8LE);
    case HDF5_I8:
        return H5Tcopy(in_memory ? H5T_NATIVE_INT8 : H5T_STD_I8LE);
    case HDF5_I64:
        return H5Tcopy(in_memory ? H5T_NATIVE_INT64 : H5T_STD_I64LE);
    case HDF5_U64:
        return H5Tcopy(in_memory ? H5T_NATIVE_UINT64 : H5T_STD_U64LE);
    case HDF5_U16:
        return H5Tcopy(in_memory ? H5T_NATIVE_UINT16 : H5T_STD_U16LE);
    case HDF5_F64:
        return H5Tcopy(in_memory ? H5T_NATIVE_DOUBLE : H5T_IEEE_F64LE);
    case HDF5_TYPES:
        break;
    }
    return H5I_INVALID_HID;
}

/* False where the bytes do not fit a number. */
static bool set_shape(hdf5_dataset_t *dataset, int64_t rows, int64_t width) {
    size_t whole = 0;
    dataset->rows = rows;
    dataset->width = width;
    return rows >= 0 && width > 0 && !__builtin_mul_overflow((size_t)width, types[dataset->type].size, &dataset->row_bytes) &&
           !__builtin_mul_overflow(dataset->row_bytes, (size_t)rows, &whole) && whole <= INT64_MAX;
}

/* A dataset that is not open yet; width 0 makes rank 1. */
static void name_dataset(hdf5_dataset_t *dataset, hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t width) {
    *dataset = (hdf5_dataset_t){.file = file, .id = H5I_INVALID_HID, .type = type, .rank = width ? 2 : 1};
    snprintf(dataset->name, sizeof dataset->name, "%s", name);
}

/* ---- creating ---- */

/* Contiguous space is not filled before it is written, since every row is; the end of a last chunk is not, and must not hold what memory held. */
static hid_t creation_properties(bool growing) {
    const hsize_t chunk[1] = {HDF5_CHUNK};
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list < 0)
        return list;
    if (H5Pset_obj_track_times(list, 0) >= 0 && H5Pset_fill_time(list, growing ? H5D_FILL_TIME_ALLOC : H5D_FILL_TIME_NEVER) >= 0 &&
        (growing ? H5Pset_chunk(list, 1, chunk) : H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY)) >= 0)
        return list;
    H5Pclose(list);
    return H5I_INVALID_HID;
}

static dfaiss_status_t create(hdf5_dataset_t *dataset) {
    const hsize_t shape[2] = {(hsize_t)dataset->rows, (hsize_t)dataset->width}, unlimited[2] = {H5S_UNLIMITED, H5S_UNLIMITED};
    hid_t type = make_type(dataset->type, false);
    hid_t space = H5Screate_simple(dataset->rank, shape, dataset->growing ? unlimited : NULL);
    hid_t properties = creation_properties(dataset->growing);
    if (type >= 0 && space >= 0 && properties >= 0)
        dataset->id = H5Dcreate2(dataset->file->id, dataset->name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    dfaiss_status_t status = dataset->id >= 0 ? DFAISS_OK : hdf5_failed(dataset->file, "make dataset", dataset->name);
    if (properties >= 0)
        H5Pclose(properties);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

dfaiss_status_t hdf5_dataset_create(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, int64_t width, hdf5_dataset_t *dataset) {
    name_dataset(dataset, file, name, type, width);
    if (!set_shape(dataset, rows, width ? width : 1))
        return error_set(file->err, DFAISS_ERR_INTERNAL, file->path, "%s: dataset %s would have %" PRId64 " rows of %" PRId64, file->path, name, rows,
                         width);
    return create(dataset);
}

dfaiss_status_t hdf5_dataset_create_growing(hdf5_file_t *file, const char *name, hdf5_dataset_t *dataset) {
    name_dataset(dataset, file, name, HDF5_U8, 0);
    (void)set_shape(dataset, 0, 1);
    dataset->growing = true;
    return create(dataset);
}

dfaiss_status_t hdf5_dataset_finish(hdf5_dataset_t *dataset) {
    hid_t id = dataset->id;
    dataset->id = H5I_INVALID_HID;
    return H5Dclose(id) >= 0 ? DFAISS_OK : hdf5_failed(dataset->file, "write dataset", dataset->name);
}

void hdf5_dataset_close(hdf5_dataset_t *dataset) {
    if (dataset->file && dataset->id >= 0)
        H5Dclose(dataset->id);
    dataset->id = H5I_INVALID_HID;
}

dfaiss_status_t hdf5_dataset_grow(hdf5_dataset_t *dataset, int64_t rows) {
    const hsize_t shape[1] = {(hsize_t)rows};
    if (H5Dset_extent(dataset->id, shape) < 0)
        return hdf5_failed(dataset->file, "extend dataset", dataset->name);
    dataset->rows = rows;
    return DFAISS_OK;
}

/* ---- opening ---- */

/* "int64[any][4]" */
static void shape_text(const char *type, int rank, const int64_t *shape, char *text, size_t capacity) {
    int length = snprintf(text, capacity, "%s", type);
    for (int i = 0; i < rank && length >= 0 && (size_t)length < capacity; i++) {
        char *at = text + length;
        size_t left = capacity - (size_t)length;
        length += shape[i] == HDF5_ANY ? snprintf(at, left, "[any]") : snprintf(at, left, "[%" PRIu64 "]", (uint64_t)shape[i]);
    }
}

/* What a type found in a file is called. */
static const char *type_text(hid_t type) {
    for (int i = 0; i < HDF5_TYPES; i++) {
        hid_t known = make_type((hdf5_type_t)i, false);
        htri_t equal = known >= 0 ? H5Tequal(known, type) : -1;
        if (known >= 0)
            H5Tclose(known);
        if (equal > 0)
            return types[i].name;
    }
    return "another type";
}

/* The shape of an open dataset; a rank of 0 where it is neither 1 nor 2. */
static int shape_of(hid_t id, int64_t *shape) {
    hsize_t found[2] = {0, 0};
    hid_t space = H5Dget_space(id);
    int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : 0;
    if (rank < 1 || rank > 2 || H5Sget_simple_extent_dims(space, found, NULL) != rank)
        rank = 0;
    if (space >= 0)
        H5Sclose(space);
    shape[0] = (int64_t)found[0];
    shape[1] = (int64_t)found[1];
    return rank;
}

/* Data lies in the file itself, without filters, and all of it is there: what is read is bounded by the file's size. */
static bool plainly_stored(const hdf5_dataset_t *dataset) {
    uint64_t bytes = (uint64_t)dataset->rows * dataset->row_bytes;
    hid_t list = H5Dget_create_plist(dataset->id);
    if (list < 0)
        return false;
    H5D_layout_t layout = H5Pget_layout(list);
    bool plain = (layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT) && H5Pget_nfilters(list) == 0;
    if (layout == H5D_CONTIGUOUS)
        plain = plain && H5Pget_external_count(list) == 0;
    H5Pclose(list);
    return plain && bytes <= dataset->file->bytes && H5Dget_storage_size(dataset->id) >= bytes;
}

/* Compares an open dataset with what is expected and fills in the rest. */
static dfaiss_status_t check_opened(hdf5_dataset_t *dataset, int64_t rows, int64_t width) {
    hdf5_file_t *file = dataset->file;
    const int64_t expected[2] = {rows, width};
    int64_t found[2];
    char what[HDF5_NAME + 16], expected_text[96], found_text[96];
    int rank = shape_of(dataset->id, found);
    hid_t type = H5Dget_type(dataset->id);
    const char *type_name = type >= 0 ? type_text(type) : "no type";
    if (type >= 0)
        H5Tclose(type);
    bool same = rank == dataset->rank && strcmp(type_name, types[dataset->type].name) == 0;
    for (int i = 0; same && i < rank; i++)
        same = found[i] == expected[i] || expected[i] == HDF5_ANY;
    snprintf(what, sizeof what, "dataset %s", dataset->name);
    if (same && set_shape(dataset, found[0], rank == 2 ? found[1] : 1) && plainly_stored(dataset))
        return DFAISS_OK;
    shape_text(types[dataset->type].name, width ? 2 : 1, expected, expected_text, sizeof expected_text);
    shape_text(type_name, rank, found, found_text, sizeof found_text);
    if (same)
        return hdf5_unexpected(file, what, "expected %s stored plainly, found that not all of it is in the file", found_text);
    return hdf5_unexpected(file, what, "expected %s, found %s", expected_text, found_text);
}

dfaiss_status_t hdf5_dataset_open(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, int64_t width, hdf5_dataset_t *dataset) {
    name_dataset(dataset, file, name, type, width);
    if (!hdf5_exists(file, name)) {
        char what[HDF5_NAME + 16];
        snprintf(what, sizeof what, "dataset %s", name);
        return hdf5_unexpected(file, what, "expected %s, found nothing", types[type].name);
    }
    dataset->id = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (dataset->id < 0)
        return hdf5_failed(file, "open dataset", name);
    dfaiss_status_t status = check_opened(dataset, rows, width);
    if (status != DFAISS_OK)
        hdf5_dataset_close(dataset);
    return status;
}

/* ---- reading and writing rows ---- */

static herr_t transfer(hdf5_dataset_t *dataset, hid_t type, hid_t in_file, hid_t in_memory, int64_t first, int64_t rows, const void *from, void *to) {
    const hsize_t start[2] = {(hsize_t)first, 0}, count[2] = {(hsize_t)rows, (hsize_t)dataset->width};
    if (type < 0 || in_file < 0 || in_memory < 0 || H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, count, NULL) < 0)
        return -1;
    return to ? H5Dread(dataset->id, type, in_memory, in_file, H5P_DEFAULT, to) : H5Dwrite(dataset->id, type, in_memory, in_file, H5P_DEFAULT, from);
}

/* Writes from `from`, or reads to `to`; the other one is NULL. */
static dfaiss_status_t move_rows(hdf5_dataset_t *dataset, int64_t first, int64_t rows, const void *from, void *to) {
    const hsize_t count[2] = {(hsize_t)rows, (hsize_t)dataset->width};
    if (rows == 0)
        return DFAISS_OK;
    if (first < 0 || rows < 0 || first > dataset->rows || rows > dataset->rows - first)
        return error_set(dataset->file->err, DFAISS_ERR_INTERNAL, dataset->file->path,
                         "%s: rows %" PRId64 " to %" PRId64 " of dataset %s, which has %" PRId64, dataset->file->path, first, first + rows,
                         dataset->name, dataset->rows);
    hid_t type = make_type(dataset->type, true);
    hid_t in_file = H5Dget_space(dataset->id);
    hid_t in_memory = H5Screate_simple(dataset->rank, count, NULL);
    herr_t moved = transfer(dataset, type, in_file, in_memory, first, rows, from, to);
    bool done = moved >= 0 && !dataset->file->device->action;
    dfaiss_status_t status = done ? DFAISS_OK : hdf5_failed(dataset->file, to ? "read dataset" : "write dataset", dataset->name);
    if (in_memory >= 0)
        H5Sclose(in_memory);
    if (in_file >= 0)
        H5Sclose(in_file);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

dfaiss_status_t hdf5_dataset_write(hdf5_dataset_t *dataset, int64_t first, int64_t rows, const void *data) {
    return move_rows(dataset, first, rows, data, NULL);
}

dfaiss_status_t hdf5_dataset_read(hdf5_dataset_t *dataset, int64_t first, int64_t rows, void *data) {
    return move_rows(dataset, first, rows, NULL, data);
}

dfaiss_status_t hdf5_write_all(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, const void *data) {
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_create(file, name, type, rows, 0, &dataset));
    dfaiss_status_t status = hdf5_dataset_write(&dataset, 0, rows, data);
    if (status == DFAISS_OK)
        status = hdf5_dataset_finish(&dataset);
    hdf5_dataset_close(&dataset);
    return status;
}

dfaiss_status_t hdf5_read_all(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, void *data) {
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_open(file, name, type, rows, 0, &dataset));
    dfaiss_status_t status = hdf5_dataset_read(&dataset, 0, rows, data);
    hdf5_dataset_close(&dataset);
    return status;
}
