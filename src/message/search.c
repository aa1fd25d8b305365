#include "message/search.h"

#include <math.h>

#include "base/memory.h"

void message_search_encode(const message_search_t *message, bytes_writer_t *out) {
    bytes_put_string(out, message->index);
    bytes_put_u64(out, message->incarnation);
    bytes_put_i64(out, message->nq);
    bytes_put_i64(out, message->dim);
    bytes_put_i64(out, message->k);
    bytes_put_i64(out, message->nprobe);
    bytes_put_block(out, message->filter, message->filter_size);
    bytes_put_u8(out, message->has_radius);
    bytes_put_f64(out, (double)message->radius);
    bytes_put_i64(out, message->client);
    bytes_put_u64(out, message->updates);
}

static bool in_range(const message_search_t *message, size_t bulk_size) {
    size_t components, bytes;
    return message->nq >= 1 && message->dim >= 1 && message->k >= 1 && message->k <= MESSAGE_SEARCH_MAX_K + message->has_radius &&
           message->nprobe >= 0 && isfinite(message->radius) && message->filter_size <= MESSAGE_SEARCH_FILTER &&
           size_multiply((size_t)message->nq, (size_t)message->dim, &components) && size_multiply(components, sizeof(float), &bytes) &&
           bytes == bulk_size;
}

dfaiss_status_t message_search_decode(const void *body, size_t size, size_t bulk_size, message_search_t *message, dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    *message = (message_search_t){0};
    bytes_get_string(&in, message->index, sizeof message->index);
    message->incarnation = bytes_get_u64(&in);
    message->nq = bytes_get_i64(&in);
    message->dim = bytes_get_i64(&in);
    message->k = bytes_get_i64(&in);
    message->nprobe = bytes_get_i64(&in);
    message->filter = bytes_get_block(&in, &message->filter_size);
    message->filter = message->filter_size > 0 ? message->filter : NULL;
    message->has_radius = bytes_get_u8(&in) != 0;
    message->radius = (float)bytes_get_f64(&in);
    message->client = bytes_get_i64(&in);
    message->updates = bytes_get_u64(&in);
    return bytes_reader_done(&in) && in_range(message, bulk_size) ? DFAISS_OK : message_malformed(MESSAGE_SEARCH, err);
}

void message_found_encode(const message_found_t *message, bytes_writer_t *out) {
    bytes_put_u64(out, message->incarnation);
    bytes_put_u8(out, message->metric);
    bytes_put_u8(out, message->larger_is_better);
}

dfaiss_status_t message_found_decode(bytes_reader_t *in, message_found_t *message, dfaiss_error_t *err) {
    message->incarnation = bytes_get_u64(in);
    message->metric = bytes_get_u8(in);
    message->larger_is_better = bytes_get_u8(in) != 0;
    return bytes_reader_done(in) ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}
