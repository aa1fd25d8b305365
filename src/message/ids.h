/* The answer to RESERVE_IDS: ids first to first + count - 1, which nobody else gets. */
#ifndef MESSAGE_IDS_H
#define MESSAGE_IDS_H

#include "message/message.h"

typedef struct message_ids {
    int64_t first;
    int64_t count;        /* at least 1 */
    uint64_t incarnation; /* of the index: a later one of the same name has other ids */
} message_ids_t;

void message_ids_encode(const message_ids_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_ids_decode(bytes_reader_t *in, message_ids_t *message, dfaiss_error_t *err);

#endif
