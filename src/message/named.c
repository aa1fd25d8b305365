#include "message/named.h"

void message_named_encode(const char *index, bytes_writer_t *out) {
    bytes_put_string(out, index);
}

dfaiss_status_t message_named_decode(message_kind_t kind, const void *body, size_t size, char index[MESSAGE_NAME], dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    bytes_get_string(&in, index, MESSAGE_NAME);
    return bytes_reader_done(&in) ? DFAISS_OK : message_malformed(kind, err);
}
