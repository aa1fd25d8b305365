#include "message/fetch.h"

void message_fetch_encode(const message_fetch_t *message, bytes_writer_t *out) {
    bytes_put_string(out, message->index);
    bytes_put_u64(out, message->incarnation);
    bytes_put_u8(out, message->wanted);
    bytes_put_block(out, message->rows, (size_t)message->n * 8);
}

dfaiss_status_t message_fetch_decode(const void *body, size_t size, message_fetch_t *message, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    size_t bytes;
    bytes_get_string(&in, message->index, sizeof message->index);
    message->incarnation = bytes_get_u64(&in);
    message->wanted = bytes_get_u8(&in);
    message->rows = bytes_get_block(&in, &bytes);
    message->n = (int64_t)(bytes / 8);
    bool known = message->wanted >= FETCH_METADATA && message->wanted <= (FETCH_METADATA | FETCH_EMBEDDINGS);
    return bytes_reader_done(&in) && bytes % 8 == 0 && message->n >= 1 && known ? DFAISS_OK : message_malformed(MESSAGE_FETCH, err);
}
