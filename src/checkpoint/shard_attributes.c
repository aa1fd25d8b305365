/* The attributes of a shard's rows: /attributes/NAME, a group a declared attribute, with the arrays that filter/stored.h takes a column apart into.
 */
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/shard_parts.h"
#include "filter/stored.h"

enum { PIECE = 1 << 16 }; /* elements copied at a time */

hdf5_type_t shard_attribute_type(const attribute_schema_t *schema, int field, attribute_array_t array) {
    static const hdf5_type_t types[] = {
        [ATTRIBUTE_U8] = HDF5_U8, [ATTRIBUTE_U16] = HDF5_U16, [ATTRIBUTE_I64] = HDF5_I64, [ATTRIBUTE_U64] = HDF5_U64, [ATTRIBUTE_F64] = HDF5_F64};
    return types[attribute_array_element(schema->fields[field].type, array)];
}

void shard_attribute_name(const attribute_schema_t *schema, int field, attribute_array_t array, char name[HDF5_NAME]) {
    if (array == ATTRIBUTE_ARRAYS)
        snprintf(name, HDF5_NAME, "/attributes/%s", schema->fields[field].name);
    else
        snprintf(name, HDF5_NAME, "/attributes/%s/%s", schema->fields[field].name, attribute_array_name(array));
}

/* ---- writing ---- */

static dfaiss_status_t write_pieces(const attribute_columns_t *columns, int field, attribute_array_t array, hdf5_dataset_t *dataset, void *piece) {
    for (int64_t first = 0; first < dataset->rows; first += PIECE) {
        int64_t count = dataset->rows - first < PIECE ? dataset->rows - first : PIECE;
        attribute_array_read(columns, field, array, first, count, piece);
        TRY(hdf5_dataset_write(dataset, first, count, piece));
    }
    return hdf5_dataset_finish(dataset);
}

static dfaiss_status_t write_array(hdf5_file_t *file, const attribute_columns_t *columns, int field, attribute_array_t array, void *piece) {
    const attribute_schema_t *schema = attribute_columns_schema(columns);
    int64_t count = attribute_array_count(columns, field, array);
    char name[HDF5_NAME];
    hdf5_dataset_t dataset;
    if (count == 0)
        return DFAISS_OK;
    shard_attribute_name(schema, field, array, name);
    TRY(hdf5_dataset_create(file, name, shard_attribute_type(schema, field, array), count, 0, &dataset));
    dfaiss_status_t status = write_pieces(columns, field, array, &dataset, piece);
    hdf5_dataset_close(&dataset);
    return status;
}

static dfaiss_status_t write_columns(hdf5_file_t *file, const attribute_columns_t *columns, void *piece) {
    const attribute_schema_t *schema = attribute_columns_schema(columns);
    TRY(hdf5_make_group(file, "/attributes"));
    for (int field = 0; field < schema->count; field++) {
        char name[HDF5_NAME];
        shard_attribute_name(schema, field, ATTRIBUTE_ARRAYS, name);
        TRY(hdf5_make_group(file, name));
        for (int array = 0; array < ATTRIBUTE_ARRAYS; array++)
            TRY(write_array(file, columns, field, (attribute_array_t)array, piece));
    }
    return DFAISS_OK;
}

static dfaiss_status_t append_kept(const shard_content_t *content, int64_t *rows, attribute_columns_t *columns, dfaiss_error_t *err) {
    for (int64_t row = content->kept->start.row; row < content->rows;) {
        int64_t count = 0;
        for (; row < content->rows && count < PIECE; row++) {
            if (kept_rows_has(content->kept, row))
                rows[count++] = row;
        }
        TRY(attribute_columns_append_from(columns, content->attributes, rows, count, err));
    }
    return DFAISS_OK;
}

/* The columns without the rows that are left out, or are in earlier files. */
static dfaiss_status_t copy_kept(hdf5_file_t *file, const shard_content_t *content, attribute_columns_t **out) {
    attribute_columns_t *columns = NULL;
    int64_t *rows = malloc(PIECE * sizeof *rows);
    dfaiss_status_t status = rows ? DFAISS_OK : error_memory(file->err, PIECE * sizeof *rows, "attributes");
    if (status == DFAISS_OK)
        status = attribute_columns_create(attribute_columns_schema(content->attributes), &columns, file->err);
    if (status == DFAISS_OK)
        status = append_kept(content, rows, columns, file->err);
    free(rows);
    if (status != DFAISS_OK) {
        attribute_columns_destroy(columns);
        return status;
    }
    *out = columns;
    return DFAISS_OK;
}

static dfaiss_status_t write_all(hdf5_file_t *file, const attribute_columns_t *columns) {
    void *piece = malloc(PIECE * sizeof(uint64_t));
    if (!piece)
        return error_memory(file->err, PIECE * sizeof(uint64_t), "attributes");
    dfaiss_status_t status = write_columns(file, columns, piece);
    free(piece);
    return status;
}

dfaiss_status_t shard_attributes_write(hdf5_file_t *file, const shard_content_t *content) {
    attribute_columns_t *kept = NULL;
    if (!content->attributes)
        return DFAISS_OK;
    if (!content->kept->bits && !content->kept->follows)
        return write_all(file, content->attributes);
    TRY(copy_kept(file, content, &kept));
    dfaiss_status_t status = write_all(file, kept);
    attribute_columns_destroy(kept);
    return status;
}
