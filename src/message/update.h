/* UPDATE: vectors that replace those of their ids, wherever they lie. The body is that of an ADD with ids, and the ids once more in ascending order,
 * by which the old ones are looked up; the bulk is that of the ADD. The answer is one message_add_outcome_t.
 */
#ifndef MESSAGE_UPDATE_H
#define MESSAGE_UPDATE_H

#include "message/add.h"

typedef struct message_update {
    message_add_t add;
    const uint8_t *sorted; /* int64_t[add.n], little-endian, unaligned, each greater than the one before; borrowed */
} message_update_t;

void message_update_encode(const message_update_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_update_decode(const void *body, size_t size, size_t bulk_size, message_update_t *message, dfaiss_error_t *err);

#endif
