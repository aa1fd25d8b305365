#include "message/setting.h"

void message_setting_encode(const char *index, int64_t value, bytes_writer_t *out) {
    bytes_put_string(out, index);
    bytes_put_i64(out, value);
}

dfaiss_status_t message_setting_decode(message_kind_t kind, const void *body, size_t size, char index[MESSAGE_NAME], int64_t *value,
                                       dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    bytes_get_string(&in, index, MESSAGE_NAME);
    int64_t got = bytes_get_i64(&in);
    if (!bytes_reader_done(&in))
        return message_malformed(kind, err);
    *value = got;
    return DFAISS_OK;
}
