#include "server/parts.h"

#include <stdlib.h>

#include "message/message.h"

static void put_file(bytes_writer_t *out, const manifest_file_t *file) {
    bytes_put_string(out, file->name);
    bytes_put_u64(out, file->bytes);
    bytes_put_u64(out, file->checksum);
    bytes_put_i64(out, file->first_row);
    bytes_put_i64(out, file->rows);
    bytes_put_i64(out, file->first_indexed);
    bytes_put_i64(out, file->indexed);
    bytes_put_i64(out, file->held);
}

static void get_file(bytes_reader_t *in, manifest_file_t *file) {
    bytes_get_string(in, file->name, sizeof file->name);
    file->bytes = bytes_get_u64(in);
    file->checksum = bytes_get_u64(in);
    file->first_row = bytes_get_i64(in);
    file->rows = bytes_get_i64(in);
    file->first_indexed = bytes_get_i64(in);
    file->indexed = bytes_get_i64(in);
    file->held = bytes_get_i64(in);
}

void parts_put(bytes_writer_t *out, const manifest_part_t *part) {
    bytes_put_i64(out, part->vectors);
    bytes_put_i64(out, part->buffered);
    bytes_put_u32(out, (uint32_t)part->file_count);
    for (int64_t i = 0; i < part->file_count; i++)
        put_file(out, &part->files[i]);
}

dfaiss_status_t parts_get(bytes_reader_t *in, manifest_part_t *part, dfaiss_error_t *err) {
    part->vectors = bytes_get_i64(in);
    part->buffered = bytes_get_i64(in);
    uint32_t count = bytes_get_u32(in);
    if (count > in->left)
        return message_malformed(MESSAGE_GATHER, err);
    part->files = calloc((size_t)count + 1, sizeof *part->files);
    if (!part->files)
        return error_memory(err, (size_t)count * sizeof *part->files, "saving");
    part->file_count = count;
    for (uint32_t i = 0; i < count; i++)
        get_file(in, &part->files[i]);
    return DFAISS_OK;
}
