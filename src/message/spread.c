#include "message/spread.h"

void message_spread_encode(const message_spread_t *message, bytes_writer_t *out) {
    bytes_put_u32(out, message->operation);
    bytes_put_u32(out, message->root);
    bytes_put_u64(out, message->number);
    bytes_put(out, message->argument, message->argument_size);
}

dfaiss_status_t message_spread_decode(const void *body, size_t size, message_spread_t *message, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    message->operation = bytes_get_u32(&in);
    message->root = bytes_get_u32(&in);
    message->number = bytes_get_u64(&in);
    message->argument = in.next;
    message->argument_size = in.left;
    return in.failed ? message_malformed(MESSAGE_SPREAD, err) : DFAISS_OK;
}

void message_gather_encode(uint32_t root, uint64_t number, bytes_writer_t *out) {
    bytes_put_u32(out, root);
    bytes_put_u64(out, number);
}

dfaiss_status_t message_gather_decode(bytes_reader_t *in, uint32_t *root, uint64_t *number, dfaiss_error_t *err) {
    *root = bytes_get_u32(in);
    *number = bytes_get_u64(in);
    return in->failed ? message_malformed(MESSAGE_GATHER, err) : DFAISS_OK;
}
