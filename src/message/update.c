#include "message/update.h"

#include <stdbool.h>
#include <string.h>

void message_update_encode(const message_update_t *message, bytes_writer_t *out) {
    bytes_writer_t add = {0};
    message_add_encode(&message->add, &add);
    bytes_put_string(out, message->add.index);
    bytes_put_block(out, add.data, add.size);
    bytes_put_block(out, message->sorted, (size_t)message->add.n * 8);
    out->failed |= add.failed;
    bytes_writer_destroy(&add);
}

static bool ids_ascend(const uint8_t *sorted, int64_t n) {
    int64_t last = -1;
    for (int64_t i = 0; i < n; i++) {
        int64_t id;
        memcpy(&id, sorted + 8 * i, sizeof id);
        if (id <= last || id == INT64_MAX)
            return false;
        last = id;
    }
    return true;
}

dfaiss_status_t message_update_decode(const void *body, size_t size, size_t bulk_size, message_update_t *message, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    size_t add_size, sorted_size;
    bytes_reader_t in = bytes_reader(body, size);
    bytes_get_string(&in, index, sizeof index);
    const void *add = bytes_get_block(&in, &add_size);
    message->sorted = bytes_get_block(&in, &sorted_size);
    if (!bytes_reader_done(&in))
        return message_malformed(MESSAGE_UPDATE, err);
    TRY(message_add_decode(MESSAGE_UPDATE, add, add_size, bulk_size, &message->add, err));
    bool fits = message->add.ids && strcmp(index, message->add.index) == 0 && sorted_size == (size_t)message->add.n * 8;
    return fits && ids_ascend(message->sorted, message->add.n) ? DFAISS_OK : message_malformed(MESSAGE_UPDATE, err);
}
