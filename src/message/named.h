/* Requests that say nothing but which index they are about: TRAIN, TRAIN_START, CENTROIDS, FLUSH, SAVE, DROP, GET_CONFIG, GET_IDS (whose answer's
 * bulk is int64_t[n]), STATISTICS ("" = the server), LIST (""), SHUTDOWN
 * (""). */
#ifndef MESSAGE_NAMED_H
#define MESSAGE_NAMED_H

#include "message/message.h"

void message_named_encode(const char *index, bytes_writer_t *out);
CHECKED dfaiss_status_t message_named_decode(message_kind_t kind, const void *body, size_t size, char index[MESSAGE_NAME], dfaiss_error_t *err);

#endif
