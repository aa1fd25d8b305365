#include "message/rows.h"

void message_rows_encode(const message_rows_t *message, bytes_writer_t *out) {
    bytes_put_string(out, message->index);
    bytes_put_i64(out, message->server);
    bytes_put_i64(out, message->rows);
}

dfaiss_status_t message_rows_decode(const void *body, size_t size, message_rows_t *message, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    bytes_get_string(&in, message->index, sizeof message->index);
    message->server = bytes_get_i64(&in);
    message->rows = bytes_get_i64(&in);
    return bytes_reader_done(&in) && message->server >= 0 && message->rows >= 0 ? DFAISS_OK : message_malformed(MESSAGE_ROWS, err);
}
