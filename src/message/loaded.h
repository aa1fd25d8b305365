/* The answer to CREATE and LOAD: what a client needs to know of the index. */
#ifndef MESSAGE_LOADED_H
#define MESSAGE_LOADED_H

#include <stdbool.h>

#include "message/message.h"

typedef struct message_loaded {
    int64_t generation; /* 0: never saved */
    int64_t rows;
    int64_t next_id;
    bool own_ids;
    const char *config; /* JSON; borrowed from the message when decoded */
    size_t config_size;
} message_loaded_t;

void message_loaded_encode(const message_loaded_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_loaded_decode(bytes_reader_t *in, message_loaded_t *message, dfaiss_error_t *err);

#endif
