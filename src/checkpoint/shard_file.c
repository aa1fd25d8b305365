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

enum { CHECKSUM_TEXT = 17 };

/* ---- writing ---- */

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
    int64_t row = 0, indexed = shard_content_indexed(content);
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

static void checksum_text(uint64_t checksum, char text[CHECKSUM_TEXT]) {
    snprintf(text, CHECKSUM_TEXT, "%016" PRIx64, checksum);
}

/* What the file goes on from, where it is not the first one of its chain. */
static dfaiss_status_t write_previous(hdf5_file_t *file, const kept_rows_t *kept) {
    char text[CHECKSUM_TEXT];
    if (!kept->follows)
        return DFAISS_OK;
    checksum_text(kept->start.previous, text);
    return hdf5_put_text(file, "/", "previous", text);
}

static dfaiss_status_t write_root(hdf5_file_t *file, const shard_content_t *content) {
    const char *class = content->template ? engine_class_name(engine_template_class(content->template)) : "none";
    TRY(hdf5_put_text(file, "/", "format", SHARD_FORMAT));
    TRY(hdf5_put_integer(file, "/", "format_version", SHARD_FORMAT_VERSION));
    TRY(hdf5_put_text(file, "/", "index", content->index));
    TRY(hdf5_put_integer(file, "/", "generation", content->generation));
    TRY(hdf5_put_integer(file, "/", "server", content->server));
    TRY(hdf5_put_integer(file, "/", "servers", content->servers));
    TRY(write_previous(file, content->kept));
    TRY(hdf5_put_integer(file, "/", "first_row", content->kept->first_row));
    TRY(hdf5_put_integer(file, "/", "rows", content->kept->rows));
    TRY(hdf5_put_integer(file, "/", "first_indexed", content->kept->first_indexed));
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

static dfaiss_status_t write_trained(hdf5_file_t *file, const shard_content_t *content) {
    bytes_writer_t bytes = {0};
    char checksum[CHECKSUM_TEXT];
    dfaiss_status_t status = engine_template_write(content->template, &bytes, file->err);
    if (status == DFAISS_OK && bytes.failed)
        status = error_memory(file->err, bytes.size, "the trained state");
    if (status == DFAISS_OK)
        status = hdf5_write_all(file, "/trained", HDF5_U8, (int64_t)bytes.size, bytes.data);
    if (status == DFAISS_OK) {
        checksum_text(XXH3_64bits(bytes.data, bytes.size), checksum);
        status = hdf5_put_text(file, "/trained", "xxh3", checksum);
    }
    bytes_writer_destroy(&bytes);
    return status;
}

static dfaiss_status_t write_all(hdf5_file_t *file, const shard_content_t *content) {
    TRY(write_root(file, content));
    TRY(write_config(file, content));
    if (content->template && !content->kept->follows)
        TRY(write_trained(file, content));
    if (content->template)
        TRY(shard_store_write(file, content));
    TRY(shard_living_write(file, content));
    TRY(shard_rows_write(file, content, shard_content_indexed(content)));
    TRY(shard_inputs_write(file, content));
    return shard_attributes_write(file, content);
}

static dfaiss_status_t write_file(const char *path, const shard_content_t *content, hdf5_file_t *file, dfaiss_error_t *err) {
    kept_rows_t kept = {0};
    shard_content_t written = *content;
    TRY(check_content(path, content, err));
    TRY(hdf5_create(file, path, err));
    if (!content->kept) {
        kept_rows_make(content, &kept);
        written.kept = &kept;
    }
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
