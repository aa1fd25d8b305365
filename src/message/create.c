#include "message/create.h"

void message_create_encode(const message_create_t *message, bytes_writer_t *out) {
    bytes_put_string(out, message->index);
    bytes_put_u8(out, message->overwrite);
    bytes_put_u8(out, message->own_ids);
    bytes_put_i64(out, message->expected_rows);
    bytes_put_block(out, message->config, message->config_size);
}

dfaiss_status_t message_create_decode(const void *body, size_t size, message_create_t *message, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    *message = (message_create_t){0};
    bytes_get_string(&in, message->index, sizeof message->index);
    message->overwrite = bytes_get_u8(&in) != 0;
    message->own_ids = bytes_get_u8(&in) != 0;
    message->expected_rows = bytes_get_i64(&in);
    message->config = bytes_get_block(&in, &message->config_size);
    return bytes_reader_done(&in) && message->expected_rows >= 0 ? DFAISS_OK : message_malformed(MESSAGE_CREATE, err);
}
