#include "message/input.h"

#include <stdlib.h>
#include <string.h>

void message_input_encode(const char *index, const input_t *input, bytes_writer_t *out) {
    bytes_put_string(out, index);
    bytes_put_u64(out, input->number);
    bytes_put_i64(out, input->rows);
    bytes_put_i64(out, input->first_id);
    bytes_put_block(out, input->identity, strlen(input->identity));
}

dfaiss_status_t message_input_decode(const void *body, size_t size, char index[MESSAGE_NAME], input_t *input, dfaiss_error_t *err) {
    size_t length;
    bytes_reader_t in = bytes_reader(body, size);
    bytes_get_string(&in, index, MESSAGE_NAME);
    input_t decoded = {.number = bytes_get_u64(&in), .rows = bytes_get_i64(&in), .first_id = bytes_get_i64(&in)};
    const char *identity = bytes_get_block(&in, &length);
    if (!bytes_reader_done(&in) || memchr(identity, 0, length))
        return message_malformed(MESSAGE_INPUT, err);
    decoded.identity = strndup(identity, length);
    if (!decoded.identity)
        return error_memory(err, length, "an input");
    *input = decoded;
    return DFAISS_OK;
}
