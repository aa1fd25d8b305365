/* CREATE: a new index, empty, on all servers. */
#ifndef MESSAGE_CREATE_H
#define MESSAGE_CREATE_H

#include <stdbool.h>

#include "message/message.h"

typedef struct message_create {
    char index[MESSAGE_NAME];
    bool overwrite;        /* an index of that name in the storage is replaced by the next save */
    bool own_ids;          /* ids come from the caller, not from row numbers */
    int64_t expected_rows; /* of the whole index; 0 where nobody knows */
    const char *config;    /* JSON; borrowed from the message when decoded */
    size_t config_size;
} message_create_t;

void message_create_encode(const message_create_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_create_decode(const void *body, size_t size, message_create_t *message, dfaiss_error_t *err);

#endif
