/* How something ended: the head of every ANSWER and GATHER. A result may follow it in the same body. */
#ifndef MESSAGE_OUTCOME_H
#define MESSAGE_OUTCOME_H

#include "message/message.h"

/* status DFAISS_OK: error is not looked at. */
void message_outcome_encode(dfaiss_status_t status, const dfaiss_error_t *error, bytes_writer_t *out);

/* Reads the head; what follows stays in `in`. *status is what the other side said; the returned one says whether the head could be read. */
CHECKED dfaiss_status_t message_outcome_decode(message_kind_t kind, bytes_reader_t *in, dfaiss_status_t *status, dfaiss_error_t *said,
                                               dfaiss_error_t *err);

#endif
