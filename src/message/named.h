/* Requests that say nothing but which index they are about: LOAD, TRAIN, FLUSH, SAVE, DROP, STATISTICS ("" = the server), SHUTDOWN (""). */
#ifndef MESSAGE_NAMED_H
#define MESSAGE_NAMED_H

#include "message/message.h"

void message_named_encode(const char *index, bytes_writer_t *out);
CHECKED dfaiss_status_t message_named_decode(message_kind_t kind, const void *body, size_t size, char index[MESSAGE_NAME], dfaiss_error_t *err);

#endif
