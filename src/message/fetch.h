/* FETCH: the metadata of some rows of one server's shard, as a search named them. The answer's body is a block for each row, in order;
 * where they are large, of the first ones alone, but at least of one. */
#ifndef MESSAGE_FETCH_H
#define MESSAGE_FETCH_H

#include "message/message.h"

typedef struct message_fetch {
    char index[MESSAGE_NAME];
    uint64_t incarnation; /* that was searched: a later one has other rows */
    int64_t n;
    const uint8_t *rows; /* int64_t[n], little-endian, unaligned; borrowed */
} message_fetch_t;

void message_fetch_encode(const message_fetch_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_fetch_decode(const void *body, size_t size, message_fetch_t *message, dfaiss_error_t *err);

#endif
