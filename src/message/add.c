#include "message/add.h"

#include <stdbool.h>
#include <string.h>

#include "base/memory.h"

void message_add_encode(const message_add_t *message, bytes_writer_t *out) {
    bytes_put_string(out, message->index);
    bytes_put_u8(out, (uint8_t)message->element);
    bytes_put_i64(out, message->n);
    bytes_put_i64(out, message->dim);
    bytes_put_i64(out, message->first_id);
    bytes_put_u64(out, message->incarnation);
    bytes_put_u64(out, message->input);
    bytes_put_i64(out, message->input_row);
    bytes_put_block(out, message->ids, message->ids ? (size_t)message->n * 8 : 0);
    bytes_put_block(out, message->ends, message->ends ? (size_t)message->n * 8 : 0);
    bytes_put_block(out, message->metadata, message->metadata_size);
    bytes_put_block(out, message->columns, message->column_bytes);
}

/* A block of n numbers of 8 bytes, or an empty one. */
static const uint8_t *get_numbers(bytes_reader_t *in, int64_t n) {
    size_t size, wanted;
    const uint8_t *numbers = bytes_get_block(in, &size);
    if (size == 0)
        return NULL;
    if (n < 0 || !size_multiply((size_t)n, 8, &wanted) || size != wanted)
        in->failed = true;
    return numbers;
}

static bool ends_fit(const message_add_t *message) {
    uint64_t last = 0;
    for (int64_t i = 0; message->ends && i < message->n; i++) {
        uint64_t end;
        memcpy(&end, message->ends + 8 * i, sizeof end);
        if (end < last || end - last > MESSAGE_METADATA_LIMIT)
            return false;
        last = end;
    }
    return last == message->metadata_size;
}

static bool bulk_fits(const message_add_t *message, size_t bulk_size) {
    size_t components, bytes;
    return message->n >= 1 && message->dim >= 1 && element_size(message->element) > 0 &&
           size_multiply((size_t)message->n, (size_t)message->dim, &components) &&
           size_multiply(components, element_size(message->element), &bytes) && bytes == bulk_size;
}

dfaiss_status_t message_add_decode(message_kind_t kind, const void *body, size_t size, size_t bulk_size, message_add_t *message,
                                   dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    *message = (message_add_t){0};
    bytes_get_string(&in, message->index, sizeof message->index);
    message->element = (element_t)bytes_get_u8(&in);
    message->n = bytes_get_i64(&in);
    message->dim = bytes_get_i64(&in);
    message->first_id = bytes_get_i64(&in);
    message->incarnation = bytes_get_u64(&in);
    message->input = bytes_get_u64(&in);
    message->input_row = bytes_get_i64(&in);
    message->ids = get_numbers(&in, message->n);
    message->ends = get_numbers(&in, message->n);
    message->metadata = bytes_get_block(&in, &message->metadata_size);
    message->columns = bytes_get_block(&in, &message->column_bytes);
    if (!bytes_reader_done(&in) || !bulk_fits(message, bulk_size) || !ends_fit(message))
        return message_malformed(kind, err);
    return DFAISS_OK;
}
