/* SPREAD and GATHER: an operation that all servers take part in, down the tree of servers and back up.
 *
 * A SPREAD's body ends with the operation's own argument, and its bulk is the operation's; a GATHER's body ends with an outcome and the operation's
 * result. The pair (root, number) names the operation.
 */
#ifndef MESSAGE_SPREAD_H
#define MESSAGE_SPREAD_H

#include "message/message.h"

typedef struct message_spread {
    uint32_t operation;   /* server's operation table */
    uint32_t root;        /* server that began it */
    uint64_t number;      /* counted by the root */
    const void *argument; /* borrowed */
    size_t argument_size;
} message_spread_t;

void message_spread_encode(const message_spread_t *message, bytes_writer_t *out);
CHECKED dfaiss_status_t message_spread_decode(const void *body, size_t size, message_spread_t *message, dfaiss_error_t *err);

/* The head of a GATHER; outcome and result follow in `in`. */
void message_gather_encode(uint32_t root, uint64_t number, bytes_writer_t *out);
CHECKED dfaiss_status_t message_gather_decode(bytes_reader_t *in, uint32_t *root, uint64_t *number, dfaiss_error_t *err);

#endif
