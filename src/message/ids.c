#include "message/ids.h"

void message_ids_encode(const message_ids_t *message, bytes_writer_t *out) {
    bytes_put_i64(out, message->first);
    bytes_put_i64(out, message->count);
    bytes_put_u64(out, message->incarnation);
}

dfaiss_status_t message_ids_decode(bytes_reader_t *in, message_ids_t *message, dfaiss_error_t *err) {
    message->first = bytes_get_i64(in);
    message->count = bytes_get_i64(in);
    message->incarnation = bytes_get_u64(in);
    bool sound = message->first >= 0 && message->count >= 1 && message->first <= INT64_MAX - message->count;
    return bytes_reader_done(in) && sound ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}
