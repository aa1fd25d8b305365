/* SEARCH: queries for the client's lead; the bulk is float[nq][dim]. The answer's body is a message_found_t, its bulk a topk block
 * (transport/topk.h). */
#ifndef MESSAGE_SEARCH_H
#define MESSAGE_SEARCH_H

#include <stdbool.h>

#include "message/message.h"

enum { MESSAGE_SEARCH_MAX_K = 1 << 20, MESSAGE_SEARCH_FILTER = 1 << 16 /* bytes of an expression */ };

typedef struct message_search {
    char index[MESSAGE_NAME];
    uint64_t incarnation; /* of the index, as the lead knows it, so that all servers search the same; 0: a client's, whichever is there */
    int64_t nq;
    int64_t dim;
    int64_t k;          /* with a radius one more than the client asked for, which tells whether there are more */
    int64_t nprobe;     /* 0: as configured; with a radius: all lists */
    const char *filter; /* char[filter_size]: an expression; NULL: none; borrowed from the message when decoded */
    size_t filter_size;
    bool has_radius; /* hits must be better than radius */
    float radius;    /* finite */
    int64_t client; /* whose queries these are (of a tile of several: the first one's), by the number that the lead knows him by; a client's own: 0 */
    uint64_t updates; /* of the index that the lead knows to have brought their new vectors to where they belong */
} message_search_t;

void message_search_encode(const message_search_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_search_decode(const void *body, size_t size, size_t bulk_size, message_search_t *message, dfaiss_error_t *err);

/* What was searched, and what the scores mean: answers of indexes with different metrics cannot be compared. */
typedef struct message_found {
    uint64_t incarnation;
    uint8_t metric; /* config_metric_t */
    bool larger_is_better;
} message_found_t;

void message_found_encode(const message_found_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_found_decode(bytes_reader_t *in, message_found_t *message, dfaiss_error_t *err);

#endif
