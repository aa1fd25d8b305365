/* What the files of the client room share: questions that wait for their answers. */
#ifndef CLIENT_CLIENT_INTERNAL_H
#define CLIENT_CLIENT_INTERNAL_H

#include "base/bytes.h"
#include "client/client.h"
#include "message/message.h"

enum { CREDITS = 3 }; /* batches under way to a server: one arrives, one is taken in, one is on its way */

/* A batch that is under way. */
typedef struct sent_batch {
    struct sent_batch *next;
    uint64_t correlation;
    int server;
    int64_t first_id;
    int64_t sent_at;
    bool acknowledged; /* taken in, but the server is behind with indexing: a second answer frees the credit */
} sent_batch_t;

struct client {
    transport_t *transport;
    double timeout;
    uint64_t last_correlation;

    /* Why no call can be answered any more: an earlier one was left in the middle, and what it had lent to MPI may still be read. */
    dfaiss_status_t broken;
    dfaiss_error_t broken_error;

    /* The one question that is waited for (0: none): its answer, when it came. */
    uint64_t asked;
    bool answered;
    transport_message_t answer;
    dfaiss_error_t refusal; /* the answer came, but found no memory here; code DFAISS_OK: it did */

    /* Batches. */
    int next_server;
    int *under_way; /* by server */
    sent_batch_t *batches;
    dfaiss_status_t batch_status; /* the first failure */
    dfaiss_error_t batch_error;
    int64_t failed_id;
};

/* Sends a question to a server (number) and waits for its answer. On success *answer, whose outcome was OK, is the caller's, and *result stands
 * behind the outcome. limited: the client's time-out counts. bulk is borrowed for the call; after a time-out or a failure of the transport, until the
 * transport is destroyed, and every later call fails alike. */
CHECKED dfaiss_status_t client_ask(client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size,
                                   bool limited, transport_message_t *answer, bytes_reader_t *result, dfaiss_error_t *err);
/* The same where nothing but the outcome matters. */
CHECKED dfaiss_status_t client_tell(client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size,
                                    dfaiss_error_t *err);

/* Breaks the client for good; returns status, with `why` in err (may be NULL). */
dfaiss_status_t client_break(client_t *client, dfaiss_status_t status, const dfaiss_error_t *why, dfaiss_error_t *err);
/* Why the client is broken; DFAISS_OK where it is not. */
CHECKED dfaiss_status_t client_check_broken(const client_t *client, dfaiss_error_t *err);

/* One turn of the transport: takes what arrived, or rests. */
CHECKED dfaiss_status_t client_turn(client_t *client, dfaiss_error_t *err);
/* Until all batches are answered, well or not. */
CHECKED dfaiss_status_t client_batches_wait(client_t *client, dfaiss_error_t *err);
/* An answer that may belong to a batch: true where it did. */
CHECKED dfaiss_status_t client_batch_answered(client_t *client, const transport_message_t *message, bool *mine, dfaiss_error_t *err);

/* An index's name fits into a message: ERR_ARG. */
CHECKED dfaiss_status_t client_check_name(const char *index, dfaiss_error_t *err);

#endif
