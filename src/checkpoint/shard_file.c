/* A shard's file as a whole: what it says of itself, its configuration and trained state; the rest stands in shard_store.c and shard_rows.c.
 * FORMAT.md has the layout. */
#include "checkpoint/shard_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/shard_parts.h"

enum { FORMAT_VERSION = 2, CHECKSUM_TEXT = 17 };

static const char format_name[] = "dfaiss shard";

/* ---- writing ---- */

static int64_t indexed_rows(const shard_content_t *content) {
    return content->store ? engine_store_rows(content->store) : 0;
}

/* Does a batch follow at `row`, with vectors where they are needed and ends that do not decrease? */
static bool batch_is_whole(const shard_content_t *content, const shard_batch_t *batch, int64_t row, int64_t indexed) {
    if (batch->first_row != row || batch->n < 1 || batch->n > content->rows - row)
        return false;
    for (int64_t i = 1; batch->metadata_ends && i < batch->n; i++)
        if (batch->metadata_ends[i] < batch->metadata_ends[i - 1])
            return false;
    if (row + batch->n <= indexed || (!batch->vectors && batch->removed == batch->n))
        return true;
    size_t bytes = 0;
    return batch->vectors && content->config->dim > 0 && size_multiply((size_t)content->config->dim, element_size(batch->element), &bytes) &&
           bytes > 0 && size_multiply(bytes, (size_t)batch->n, &bytes) && batch->vector_bytes >= bytes;
}

static dfaiss_status_t check_content(const char *path, const shard_content_t *content, dfaiss_error_t *err) {
    int64_t row = 0, indexed = indexed_rows(content);
    if (!content->template != !content->store || indexed > content->rows)
        return error_set(err, DFAISS_ERR_INTERNAL, path, "%s: a shard of %" PRId64 " rows with %" PRId64 " indexed, template and store do not fit",
                         path, content->rows, indexed);
    for (int64_t i = 0; i < content->batch_count; row += content->batches[i].n, i++)
        if (!batch_is_whole(content, &content->batches[i], row, indexed))
            return error_set(err, DFAISS_ERR_INTERNAL, path, "%s: batch %" PRId64 " at row %" PRId64 " is not whole", path, i, row);
    if (content->attributes && attribute_columns_rows(content->attributes) != row)
        return error_set(err, DFAISS_ERR_INTERNAL, path, "%s: attributes have %" PRId64 " rows of %" PRId64, path,
                         attribute_columns_rows(content->attributes), row);
    if (content->living && content->living->rows != row)
        return error_set(err, DFAISS_ERR_INTERNAL, path, "%s: bits of %" PRId64 " rows of %" PRId64, path, content->living->rows, row);
    if (row != content->rows)
        return error_set(err, DFAISS_ERR_INTERNAL, path, "%s: batches have %" PRId64 " rows of %" PRId64, path, row, content->rows);
    return DFAISS_OK;
}

static dfaiss_status_t write_root(hdf5_file_t *file, const shard_content_t *content) {
    const char *class = content->template ? engine_class_name(engine_template_class(content->template)) : "none";
    TRY(hdf5_put_text(file, "/", "format", format_name));
    TRY(hdf5_put_integer(file, "/", "format_version", FORMAT_VERSION));
    TRY(hdf5_put_text(file, "/", "index", content->index));
    TRY(hdf5_put_integer(file, "/", "generation", content->generation));
    TRY(hdf5_put_integer(file, "/", "server", content->server));
    TRY(hdf5_put_integer(file, "/", "servers", content->servers));
    TRY(hdf5_put_integer(file, "/", "rows", content->kept->rows));
    TRY(hdf5_put_integer(file, "/", "indexed_rows", content->kept->indexed));
    return hdf5_put_text(file, "/", "class", class);
}

static dfaiss_status_t write_config(hdf5_file_t *file, const shard_content_t *content) {
    char *text = NULL;
    TRY(index_config_print(content->config, true, &text, file->err));
    dfaiss_status_t status = hdf5_write_text(file, "/config", text);
    free(text);
    return status;
}

static void checksum_text(const void *bytes, size_t size, char *text) {
    snprintf(text, CHECKSUM_TEXT, "%016" PRIx64, (uint64_t)XXH3_64bits(bytes, size));
}

static dfaiss_status_t write_trained(hdf5_file_t *file, const shard_content_t *content) {
    bytes_writer_t bytes = {0};
    char checksum[CHECKSUM_TEXT];
    dfaiss_status_t status = engine_template_write(content->template, &bytes, file->err);
    if (status == DFAISS_OK && bytes.failed)
        status = error_memory(file->err, bytes.size, "the trained state");
    if (status == DFAISS_OK)
        status = hdf5_write_all(file, "/trained", HDF5_U8, (int64_t)bytes.size, bytes.data);
    if (status == DFAISS_OK) {
        checksum_text(bytes.data, bytes.size, checksum);
        status = hdf5_put_text(file, "/trained", "xxh3", checksum);
    }
    bytes_writer_destroy(&bytes);
    return status;
}

static dfaiss_status_t write_all(hdf5_file_t *file, const shard_content_t *content) {
    TRY(write_root(file, content));
    TRY(write_config(file, content));
    if (content->template) {
        TRY(write_trained(file, content));
        TRY(shard_store_write(file, content));
    }
    TRY(shard_living_write(file, content));
    TRY(shard_rows_write(file, content, indexed_rows(content)));
    TRY(shard_inputs_write(file, content));
    return shard_attributes_write(file, content);
}

static dfaiss_status_t write_file(const char *path, const shard_content_t *content, hdf5_file_t *file, dfaiss_error_t *err) {
    kept_rows_t kept;
    shard_content_t written = *content;
    TRY(check_content(path, content, err));
    TRY(hdf5_create(file, path, err));
    kept_rows_make(content, &kept);
    written.kept = &kept;
    dfaiss_status_t status = write_all(file, &written);
    kept_rows_clear(&kept);
    return hdf5_close(file, status);
}

dfaiss_status_t shard_file_write(const char *path, const shard_content_t *content, dfaiss_error_t *err) {
    hdf5_file_t written;
    return write_file(path, content, &written, err);
}

/* ---- verifying ---- */

static dfaiss_status_t compare_with_file(const char *path, const hdf5_file_t *written, uint64_t *checksum, uint64_t *bytes, dfaiss_error_t *err) {
    content_sum_t sum = {0};
    uint64_t found = 0;
    dfaiss_status_t status = file_checksum_and_sum(path, checksum, &found, &sum, err);
    if (status == DFAISS_OK && (found != written->bytes || !content_sum_equal(&sum, &written->sum)))
        status = error_set(err, DFAISS_ERR_IO, path, "%s: what is read back is not what was written: %" PRIu64 " bytes of %" PRIu64 "%s", path, found,
                           written->bytes, found == written->bytes ? ", and some of them are others" : "");
    *bytes = found;
    return status;
}

dfaiss_status_t shard_file_save(const char *path, const shard_content_t *content, uint64_t *checksum, uint64_t *bytes, dfaiss_error_t *err) {
    hdf5_file_t written;
    TRY(write_file(path, content, &written, err));
    dfaiss_status_t status = compare_with_file(path, &written, checksum, bytes, err);
    if (status != DFAISS_OK)
        (void)fault_remove(path);
    return status;
}

/* ---- reading ---- */

/* What the root says beyond the fields of a content. */
typedef struct root {
    int64_t version;
    int64_t indexed;
    char class[32];
} root_t;

static dfaiss_status_t check_format(hdf5_file_t *file, int64_t *version) {
    char format[64] = "";
    TRY(hdf5_get_text(file, "/", "format", format, sizeof format));
    if (strcmp(format, format_name) != 0)
        return hdf5_unexpected(file, "attribute format of /", "expected \"%s\", found \"%s\"", format_name, format);
    TRY(hdf5_get_integer(file, "/", "format_version", 1, INT64_MAX, version));
    if (*version > FORMAT_VERSION)
        return error_set(file->err, DFAISS_ERR_CHECKPOINT, file->path, "%s has format version %" PRId64 "; this dfaiss reads up to version %d",
                         file->path, *version, FORMAT_VERSION);
    return DFAISS_OK;
}

static dfaiss_status_t read_root(hdf5_file_t *file, shard_content_t *content, root_t *root) {
    int64_t server = 0, servers = 0;
    TRY(check_format(file, &root->version));
    TRY(hdf5_get_text(file, "/", "index", content->index, sizeof content->index));
    TRY(hdf5_get_integer(file, "/", "generation", 0, INT64_MAX, &content->generation));
    TRY(hdf5_get_integer(file, "/", "servers", 1, INT32_MAX, &servers));
    TRY(hdf5_get_integer(file, "/", "server", 0, servers - 1, &server));
    content->servers = (int)servers;
    content->server = (int)server;
    TRY(hdf5_get_integer(file, "/", "rows", 0, INT64_MAX, &content->rows));
    TRY(hdf5_get_integer(file, "/", "indexed_rows", 0, content->rows, &root->indexed));
    return hdf5_get_text(file, "/", "class", root->class, sizeof root->class);
}

static dfaiss_status_t read_config(hdf5_file_t *file, shard_content_t *content) {
    char *text = NULL;
    size_t size = 0;
    TRY(hdf5_read_text(file, "/config", &text, &size));
    dfaiss_status_t status = index_config_parse(text, size, file->path, &content->config, file->err);
    free(text);
    return status == DFAISS_OK ? status : shard_blame(file, "/config", status);
}

/* faiss believes the bytes that it reads: it gets them only when their checksum is right. */
static dfaiss_status_t restore_template(hdf5_file_t *file, shard_content_t *content, hdf5_dataset_t *dataset, uint8_t *bytes) {
    char expected[64] = "", found[CHECKSUM_TEXT];
    TRY(hdf5_get_text(file, "/trained", "xxh3", expected, sizeof expected));
    TRY(hdf5_dataset_read(dataset, 0, dataset->rows, bytes));
    checksum_text(bytes, (size_t)dataset->rows, found);
    if (strcmp(expected, found) != 0)
        return hdf5_unexpected(file, "dataset /trained", "expected checksum %s, found %s", expected, found);
    dfaiss_status_t status = engine_template_read(content->config, bytes, (size_t)dataset->rows, &content->template, file->err);
    return status == DFAISS_OK ? status : shard_blame(file, "/trained", status);
}

static dfaiss_status_t read_trained(hdf5_file_t *file, shard_content_t *content, const root_t *root) {
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_open(file, "/trained", HDF5_U8, HDF5_ANY, 0, &dataset));
    size_t size = (size_t)dataset.rows;
    uint8_t *bytes = memory_map(size ? size : 1);
    dfaiss_status_t status = bytes ? restore_template(file, content, &dataset, bytes) : error_memory(file->err, size, "the trained state");
    memory_unmap(bytes, size ? size : 1);
    hdf5_dataset_close(&dataset);
    TRY(status);
    const char *class = engine_class_name(engine_template_class(content->template));
    if (strcmp(root->class, class) != 0)
        return hdf5_unexpected(file, "attribute class of /", "expected \"%s\" as the configuration makes it, found \"%s\"", class, root->class);
    return DFAISS_OK;
}

static dfaiss_status_t read_all(hdf5_file_t *file, shard_content_t *content) {
    root_t root = {0};
    TRY(read_root(file, content, &root));
    TRY(read_config(file, content));
    TRY(shard_living_read(file, content));
    bool trained = strcmp(root.class, "none") != 0;
    if (!trained && root.indexed != 0)
        return hdf5_unexpected(file, "attribute indexed_rows of /", "expected 0 without a trained state, found %" PRId64, root.indexed);
    if (trained) {
        TRY(read_trained(file, content, &root));
        TRY(shard_store_read(file, content, root.indexed));
    }
    TRY(shard_rows_read(file, content, root.indexed));
    TRY(shard_inputs_read(file, &content->inputs));
    return shard_attributes_read(file, content, root.version);
}

dfaiss_status_t shard_file_read(const char *path, shard_content_t *content, dfaiss_error_t *err) {
    hdf5_file_t file;
    *content = (shard_content_t){0};
    TRY(hdf5_open(&file, path, err));
    dfaiss_status_t status = hdf5_close(&file, read_all(&file, content));
    if (status != DFAISS_OK)
        shard_content_clear(content);
    return status;
}

void shard_content_clear(shard_content_t *content) {
    for (int64_t i = 0; i < content->batch_count; i++)
        shard_batch_clear(&content->batches[i]);
    free(content->batches);
    attribute_columns_destroy(content->attributes);
    bitmap_release(content->living);
    inputs_clear(&content->inputs);
    attribute_schema_destroy(content->schema);
    engine_store_destroy(content->store);
    engine_template_destroy(content->template);
    index_config_destroy(content->config);
    *content = (shard_content_t){0};
}
