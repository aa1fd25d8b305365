/* ROWS: a server tells server 0 how many vectors of an index that is not trained it holds. There is no answer. */
#ifndef MESSAGE_ROWS_H
#define MESSAGE_ROWS_H

#include "message/message.h"

typedef struct message_rows {
    char index[MESSAGE_NAME];
    int64_t server; /* number of the one that tells */
    int64_t rows;
} message_rows_t;

void message_rows_encode(const message_rows_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_rows_decode(const void *body, size_t size, message_rows_t *message, dfaiss_error_t *err);

#endif
