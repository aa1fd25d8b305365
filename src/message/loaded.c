#include "message/loaded.h"

void message_loaded_encode(const message_loaded_t *message, bytes_writer_t *out) {
    bytes_put_i64(out, message->generation);
    bytes_put_i64(out, message->rows);
    bytes_put_i64(out, message->next_id);
    bytes_put_u8(out, message->own_ids);
    bytes_put_block(out, message->config, message->config_size);
}

dfaiss_status_t message_loaded_decode(bytes_reader_t *in, message_loaded_t *message, dfaiss_error_t *err) {
    message->generation = bytes_get_i64(in);
    message->rows = bytes_get_i64(in);
    message->next_id = bytes_get_i64(in);
    message->own_ids = bytes_get_u8(in) != 0;
    message->config = bytes_get_block(in, &message->config_size);
    return bytes_reader_done(in) ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}
