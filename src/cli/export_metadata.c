#include "cli/export_metadata.h"

#include <errno.h>

#include <jansson.h>

/* Metadata is JSON text where it came from a file; a program may have added other bytes, which become a string. */
static json_t *value_of(const uint8_t *text, size_t size) {
    json_t *value = json_loadb((const char *)text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!value)
        value = json_stringn((const char *)text, size);
    return value ? value : json_null();
}

static dfaiss_status_t open_file(export_metadata_t *metadata, dfaiss_error_t *err) {
    if (!metadata->file)
        metadata->file = fopen(metadata->path, "we");
    return metadata->file ? DFAISS_OK : error_system(err, "create", metadata->path, errno);
}

static dfaiss_status_t write_line(export_metadata_t *metadata, int64_t id, const uint8_t *text, size_t size, dfaiss_error_t *err) {
    TRY(open_file(metadata, err));
    json_t *line = json_pack("{s:I, s:o}", "id", (json_int_t)id, "metadata", value_of(text, size));
    if (!line)
        return error_memory(err, size, "a line of metadata");
    int failed = json_dumpf(line, metadata->file, JSON_COMPACT);
    json_decref(line);
    if (failed || fputc('\n', metadata->file) == EOF)
        return error_system(err, "write", metadata->path, errno);
    metadata->lines++;
    return DFAISS_OK;
}

static dfaiss_status_t write_batch(export_metadata_t *metadata, const shard_batch_t *batch, const bitmap_t *living, dfaiss_error_t *err) {
    for (int64_t i = 0; i < batch->n; i++) {
        int64_t row = batch->first_row + i;
        uint64_t first = i > 0 ? batch->metadata_ends[i - 1] : 0;
        size_t size = (size_t)(batch->metadata_ends[i] - first);
        if (size > 0 && (!living || bitmap_get(living, row)))
            TRY(write_line(metadata, shard_batch_id(batch, row), batch->metadata + first, size, err));
    }
    return DFAISS_OK;
}

dfaiss_status_t export_metadata_write(export_metadata_t *metadata, const shard_content_t *content, dfaiss_error_t *err) {
    for (int64_t i = 0; i < content->batch_count; i++)
        if (content->batches[i].metadata_ends)
            TRY(write_batch(metadata, &content->batches[i], content->living, err));
    return DFAISS_OK;
}

dfaiss_status_t export_metadata_close(export_metadata_t *metadata, dfaiss_error_t *err) {
    FILE *file = metadata->file;
    metadata->file = NULL;
    return !file || fclose(file) == 0 ? DFAISS_OK : error_system(err, "close", metadata->path, errno);
}
