/* Requests that name an index ("" for the servers themselves) and a number: RESERVE_IDS (how many), SET_DIM, SET_NPROBE, SET_THREADS. */
#ifndef MESSAGE_SETTING_H
#define MESSAGE_SETTING_H

#include "message/message.h"

enum { MESSAGE_MAX_NPROBE = 1 << 20, MESSAGE_MAX_THREADS = 4096 };

void message_setting_encode(const char *index, int64_t value, bytes_writer_t *out);
CHECKED dfaiss_status_t message_setting_decode(message_kind_t kind, const void *body, size_t size, char index[MESSAGE_NAME], int64_t *value,
                                               dfaiss_error_t *err);

#endif
