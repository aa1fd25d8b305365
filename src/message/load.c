#include "message/load.h"

void message_load_encode(const message_load_t *message, bytes_writer_t *out) {
    bytes_put_string(out, message->index);
    bytes_put_u8(out, message->force);
    bytes_put_block(out, message->overrides, message->overrides_size);
}

dfaiss_status_t message_load_decode(const void *body, size_t size, message_load_t *message, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    *message = (message_load_t){0};
    bytes_get_string(&in, message->index, sizeof message->index);
    message->force = bytes_get_u8(&in) != 0;
    message->overrides = bytes_get_block(&in, &message->overrides_size);
    return bytes_reader_done(&in) ? DFAISS_OK : message_malformed(MESSAGE_LOAD, err);
}
