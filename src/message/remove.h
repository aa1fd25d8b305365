/* REMOVE: vectors go, those of some ids or those that match a filter. The bulk is int64_t[n], ids in ascending order, each once; none with a filter.
 * The answer is an i64: how many there were.
 */
#ifndef MESSAGE_REMOVE_H
#define MESSAGE_REMOVE_H

#include "message/message.h"

typedef struct message_remove {
    char index[MESSAGE_NAME];
    int64_t n;          /* 0 with a filter */
    const char *filter; /* char[filter_size]; NULL: none; borrowed from the message when decoded */
    size_t filter_size;
} message_remove_t;

void message_remove_encode(const message_remove_t *message, bytes_writer_t *out);
/* bulk: the ids, which are looked at too. */
CHECKED dfaiss_status_t message_remove_decode(const void *body, size_t size, const void *bulk, size_t bulk_size, message_remove_t *message,
                                              dfaiss_error_t *err);

#endif
