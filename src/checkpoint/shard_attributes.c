/* The attributes of a shard's rows: /attributes/NAME, a group a declared attribute, with the arrays that filter/stored.h takes a column apart into.
 */
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/shard_parts.h"
#include "filter/stored.h"

enum { PIECE = 1 << 16 }; /* elements copied at a time */

static hdf5_type_t type_of(const attribute_schema_t *schema, int field, attribute_array_t array) {
    static const hdf5_type_t types[] = {
        [ATTRIBUTE_U8] = HDF5_U8, [ATTRIBUTE_U16] = HDF5_U16, [ATTRIBUTE_I64] = HDF5_I64, [ATTRIBUTE_U64] = HDF5_U64, [ATTRIBUTE_F64] = HDF5_F64};
    return types[attribute_array_element(schema->fields[field].type, array)];
}

static void group_name(const attribute_schema_t *schema, int field, char name[HDF5_NAME]) {
    snprintf(name, HDF5_NAME, "/attributes/%s", schema->fields[field].name);
}

static void array_name(const attribute_schema_t *schema, int field, attribute_array_t array, char name[HDF5_NAME]) {
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
    array_name(schema, field, array, name);
    TRY(hdf5_dataset_create(file, name, type_of(schema, field, array), count, 0, &dataset));
    dfaiss_status_t status = write_pieces(columns, field, array, &dataset, piece);
    hdf5_dataset_close(&dataset);
    return status;
}

static dfaiss_status_t write_columns(hdf5_file_t *file, const attribute_columns_t *columns, void *piece) {
    const attribute_schema_t *schema = attribute_columns_schema(columns);
    TRY(hdf5_make_group(file, "/attributes"));
    for (int field = 0; field < schema->count; field++) {
        char name[HDF5_NAME];
        group_name(schema, field, name);
        TRY(hdf5_make_group(file, name));
        for (int array = 0; array < ATTRIBUTE_ARRAYS; array++)
            TRY(write_array(file, columns, field, (attribute_array_t)array, piece));
    }
    return DFAISS_OK;
}

static dfaiss_status_t append_kept(const shard_content_t *content, int64_t *rows, attribute_columns_t *columns, dfaiss_error_t *err) {
    for (int64_t row = 0; row < content->rows;) {
        int64_t count = 0;
        for (; row < content->rows && count < PIECE; row++) {
            if (kept_rows_has(content->kept, row))
                rows[count++] = row;
        }
        TRY(attribute_columns_append_from(columns, content->attributes, rows, count, err));
    }
    return DFAISS_OK;
}

/* The columns without the rows that are left out. */
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
    if (!content->kept->bits)
        return write_all(file, content->attributes);
    TRY(copy_kept(file, content, &kept));
    dfaiss_status_t status = write_all(file, kept);
    attribute_columns_destroy(kept);
    return status;
}

/* ---- reading ---- */

typedef struct reader {
    hdf5_file_t *file;
    const attribute_schema_t *schema;
    hdf5_dataset_t *datasets; /* [fields][ATTRIBUTE_ARRAYS]; those that there are not have 0 rows and are not open */
} reader_t;

static hdf5_dataset_t *dataset_of(const reader_t *reader, int field, attribute_array_t array) {
    return &reader->datasets[field * ATTRIBUTE_ARRAYS + (int)array];
}

static int64_t count(void *context, int field, attribute_array_t array) {
    return dataset_of(context, field, array)->rows;
}

static dfaiss_status_t read_piece(void *context, int field, attribute_array_t array, int64_t first, int64_t elements, void *out,
                                  dfaiss_error_t *err) {
    (void)err; /* the file's, which the calls on it fill */
    return hdf5_dataset_read(dataset_of(context, field, array), first, elements, out);
}

static dfaiss_status_t open_arrays(const reader_t *reader, int field) {
    char name[HDF5_NAME];
    group_name(reader->schema, field, name);
    if (!hdf5_exists(reader->file, name))
        return hdf5_unexpected(reader->file, name, "expected a group, since the configuration declares the attribute, found nothing");
    for (int array = 0; array < ATTRIBUTE_ARRAYS; array++) {
        array_name(reader->schema, field, (attribute_array_t)array, name);
        if (hdf5_exists(reader->file, name))
            TRY(hdf5_dataset_open(reader->file, name, type_of(reader->schema, field, (attribute_array_t)array), HDF5_ANY, 0,
                                  dataset_of(reader, field, (attribute_array_t)array)));
    }
    return DFAISS_OK;
}

static dfaiss_status_t restore(reader_t *reader, shard_content_t *content) {
    attribute_source_t source = {.context = reader, .count = count, .read = read_piece};
    for (int field = 0; field < reader->schema->count; field++)
        TRY(open_arrays(reader, field));
    dfaiss_status_t status = attribute_columns_restore(reader->schema, content->rows, &source, &content->attributes, reader->file->err);
    return status == DFAISS_ERR_CHECKPOINT ? shard_blame(reader->file, "/attributes", status) : status;
}

static dfaiss_status_t read_columns(hdf5_file_t *file, shard_content_t *content) {
    int datasets = content->schema->count * ATTRIBUTE_ARRAYS;
    reader_t reader = {.file = file, .schema = content->schema, .datasets = calloc((size_t)datasets, sizeof *reader.datasets)};
    if (!reader.datasets)
        return error_memory(file->err, (size_t)datasets * sizeof *reader.datasets, "attributes");
    dfaiss_status_t status = restore(&reader, content);
    for (int i = 0; i < datasets; i++)
        hdf5_dataset_close(&reader.datasets[i]);
    free(reader.datasets);
    return status;
}

/* Files of version 1 have no columns, but the metadata that they came from. */
static dfaiss_status_t take_from_metadata(hdf5_file_t *file, shard_content_t *content) {
    TRY(attribute_columns_create(content->schema, &content->attributes, file->err));
    for (int64_t i = 0; i < content->batch_count; i++) {
        const shard_batch_t *batch = &content->batches[i];
        attribute_rows_t rows = {.n = batch->n, .metadata = batch->metadata, .metadata_ends = batch->metadata_ends};
        TRY(attribute_columns_append(content->attributes, &rows, file->err));
    }
    return DFAISS_OK;
}

dfaiss_status_t shard_attributes_read(hdf5_file_t *file, shard_content_t *content, int64_t version) {
    TRY(attribute_schema_create(content->config->attributes, file->path, &content->schema, file->err));
    if (content->schema->count == 0)
        return DFAISS_OK;
    return version == 1 ? take_from_metadata(file, content) : read_columns(file, content);
}
