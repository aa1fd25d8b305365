/* SEARCH: queries for the client's lead; the bulk is float[nq][dim]. The answer's bulk is a topk block (transport/topk.h). */
#ifndef MESSAGE_SEARCH_H
#define MESSAGE_SEARCH_H

#include "message/message.h"

enum { MESSAGE_SEARCH_MAX_K = 1 << 20 };

typedef struct message_search {
    char index[MESSAGE_NAME];
    int64_t nq;
    int64_t dim;
    int64_t k;
    int64_t nprobe; /* 0: as configured */
} message_search_t;

void message_search_encode(const message_search_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_search_decode(const void *body, size_t size, size_t bulk_size, message_search_t *message, dfaiss_error_t *err);

#endif
