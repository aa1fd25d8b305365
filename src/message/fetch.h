/* FETCH: metadata and vectors of some rows of one server's shard, as a search named them. The answer is of the first ones alone where it takes long
 * or is large, but at least of one. Its body has for each row, in order, whether its vector is there (u8; where vectors are wanted) and its metadata
 * (a block; where they are); the bulk is float[rows][dim] of the vectors. */
#ifndef MESSAGE_FETCH_H
#define MESSAGE_FETCH_H

#include "message/message.h"

enum { FETCH_METADATA = 1, FETCH_EMBEDDINGS = 2 };

typedef struct message_fetch {
    char index[MESSAGE_NAME];
    uint64_t incarnation; /* that was searched: a later one has other rows */
    uint8_t wanted;       /* FETCH_METADATA, FETCH_EMBEDDINGS or both */
    int64_t n;
    const uint8_t *rows; /* int64_t[n], little-endian, unaligned; borrowed */
} message_fetch_t;

void message_fetch_encode(const message_fetch_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_fetch_decode(const void *body, size_t size, message_fetch_t *message, dfaiss_error_t *err);

#endif
