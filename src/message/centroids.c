#include "message/centroids.h"

#include "base/memory.h"

void message_centroids_encode(const message_centroids_t *message, bytes_writer_t *out) {
    bytes_put_i64(out, message->lists);
    bytes_put_i64(out, message->dim);
}

dfaiss_status_t message_centroids_decode(bytes_reader_t *in, size_t bulk_size, message_centroids_t *message, dfaiss_error_t *err) {
    size_t components, bytes;
    message->lists = bytes_get_i64(in);
    message->dim = bytes_get_i64(in);
    bool fits = bytes_reader_done(in) && message->lists > 0 && message->dim > 0 &&
                size_multiply((size_t)message->lists, (size_t)message->dim, &components) && size_multiply(components, sizeof(float), &bytes) &&
                bytes == bulk_size;
    return fits ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}
