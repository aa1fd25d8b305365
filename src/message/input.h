/* INPUT: rows of an input may come from now on. (INPUTS asks which have come: its body is the name of an index, its answer inputs_encode.) */
#ifndef MESSAGE_INPUT_H
#define MESSAGE_INPUT_H

#include "base/inputs.h"
#include "message/message.h"

/* Its rows are not looked at. */
void message_input_encode(const char *index, const input_t *input, bytes_writer_t *out);
/* *input is the caller's on success: free() its identity. */
CHECKED dfaiss_status_t message_input_decode(const void *body, size_t size, char index[MESSAGE_NAME], input_t *input, dfaiss_error_t *err);

#endif
