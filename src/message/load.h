/* LOAD: an index from the storage. */
#ifndef MESSAGE_LOAD_H
#define MESSAGE_LOAD_H

#include <stdbool.h>

#include "message/message.h"

typedef struct message_load {
    char index[MESSAGE_NAME];
    bool force;            /* in place of one in memory */
    const char *overrides; /* JSON of the keys that have precedence over what was saved; borrowed when decoded */
    size_t overrides_size; /* 0: none */
} message_load_t;

void message_load_encode(const message_load_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_load_decode(const void *body, size_t size, message_load_t *message, dfaiss_error_t *err);

#endif
