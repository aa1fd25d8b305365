#include "message/remove.h"

#include <stdbool.h>

#include "base/memory.h"
#include "message/search.h"

void message_remove_encode(const message_remove_t *message, bytes_writer_t *out) {
    bytes_put_string(out, message->index);
    bytes_put_i64(out, message->n);
    bytes_put_block(out, message->filter, message->filter_size);
}

static bool ids_fit(int64_t n, const int64_t *ids, size_t bulk_size) {
    size_t bytes;
    if (n < 0 || !size_multiply((size_t)n, sizeof *ids, &bytes) || bytes != bulk_size)
        return false;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] == INT64_MAX || (i > 0 && ids[i] <= ids[i - 1]))
            return false;
    }
    return true;
}

dfaiss_status_t message_remove_decode(const void *body, size_t size, const void *bulk, size_t bulk_size, message_remove_t *message,
                                      dfaiss_error_t *err) {
    bytes_reader_t in = bytes_reader(body, size);
    *message = (message_remove_t){0};
    bytes_get_string(&in, message->index, sizeof message->index);
    message->n = bytes_get_i64(&in);
    message->filter = bytes_get_block(&in, &message->filter_size);
    message->filter = message->filter_size > 0 ? message->filter : NULL;
    bool fits = message->filter_size <= MESSAGE_SEARCH_FILTER && !(message->filter && message->n > 0) && ids_fit(message->n, bulk, bulk_size);
    return bytes_reader_done(&in) && fits ? DFAISS_OK : message_malformed(MESSAGE_REMOVE, err);
}
