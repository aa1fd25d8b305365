/* The answer to CENTROIDS: the shape of its bulk, float[lists][dim]. */
#ifndef MESSAGE_CENTROIDS_H
#define MESSAGE_CENTROIDS_H

#include "message/message.h"

typedef struct message_centroids {
    int64_t lists;
    int64_t dim;
} message_centroids_t;

void message_centroids_encode(const message_centroids_t *message, bytes_writer_t *out);
/* The numbers fit bulk_size. */
CHECKED dfaiss_status_t message_centroids_decode(bytes_reader_t *in, size_t bulk_size, message_centroids_t *message, dfaiss_error_t *err);

#endif
