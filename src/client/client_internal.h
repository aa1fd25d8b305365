/* What the files of the client room share.
 *
 *   question   one message to a server and its answer; any number may be under way (question.c)
 *   request    what a caller started and waits for: a search or an add, each made of several questions, one after the other (request.c)
 *
 * A call that blocks asks one question and waits for it, or starts a request and waits for it.
 */
#ifndef CLIENT_CLIENT_INTERNAL_H
#define CLIENT_CLIENT_INTERNAL_H

#include <dfaiss/client.h>

#include "base/bytes.h"
#include "client/carrier.h"
#include "message/add.h"
#include "message/message.h"
#include "message/statistics.h"

enum { COORDINATOR = 0 }; /* the server that is asked what concerns an index as a whole */

/* ---- questions ---- */

/* How long an answer may take. */
typedef enum patience {
    PATIENCE_SHORT, /* options.timeout */
    PATIENCE_LONG,  /* options.long_timeout */
} patience_t;

typedef struct question {
    struct question *next;
    dfaiss_client_t *client; /* NULL: the client is gone, and the bulk has not left yet */
    uint64_t correlation;
    int server;
    message_kind_t kind;
    int64_t since;                   /* when it was asked; or answered, where the bulk was to depart yet */
    double limit;                    /* seconds from then on; 0: none */
    bool departed;                   /* the bulk is not read any more */
    bool answered;                   /* or failed: status says which */
    bool forgotten;                  /* nobody waits for it any more */
    bool credit;                     /* counts against the server's credits until its last answer */
    void (*released)(void *context); /* called once, when the bulk has departed; may be NULL */
    void *context;
    dfaiss_status_t status;
    dfaiss_error_t error;
    transport_message_t answer; /* status DFAISS_OK: `result` reads what stands behind its outcome */
    bytes_reader_t result;
} question_t;

/* Sends. body's memory is taken over, also on failure; the bulk is lent until the question is over. */
CHECKED dfaiss_status_t question_ask(dfaiss_client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk,
                                     size_t bulk_size, patience_t patience, question_t **out, dfaiss_error_t *err);
/* It is answered or has failed, and what was lent to it is free (where it never will be, the client is broken). */
bool question_over(const question_t *question);
/* How it ended; it must be over. */
CHECKED dfaiss_status_t question_outcome(const question_t *question, dfaiss_error_t *err);
/* Nobody asks for it any more, whether it is over or not. NULL is fine. */
void question_forget(question_t *question);
/* The client goes, whether it is over or not. */
void question_abandon(question_t *question);
/* It need not be answered later than in so many seconds; what its patience says stays the limit where that is less. */
void question_hurry(question_t *question, double seconds);
/* Calls `released` when the bulk has departed, which may be now; also after the client is gone. */
void question_when_departed(question_t *question, void (*released)(void *context), void *context);
/* Gives the credit back that it counts as. */
void question_release_credit(question_t *question);

/* Waits until a question is over, and says how it ended. */
CHECKED dfaiss_status_t client_await(dfaiss_client_t *client, const question_t *question, dfaiss_error_t *err);
/* Asks a question and waits for it. On success the answer stands in *out (question_forget), otherwise there is none. */
CHECKED dfaiss_status_t client_ask(dfaiss_client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size,
                                   patience_t patience, question_t **out, dfaiss_error_t *err);
/* The same where nothing but the outcome matters. */
CHECKED dfaiss_status_t client_tell(dfaiss_client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk,
                                    size_t bulk_size, patience_t patience, dfaiss_error_t *err);
/* What names nothing but an index goes to the coordinator. */
CHECKED dfaiss_status_t client_tell_named(dfaiss_client_t *client, message_kind_t kind, const char *index, patience_t patience, dfaiss_error_t *err);

/* One turn: takes a message that arrived, lets questions fail whose time is over, goes on with requests; where nothing happened and `rest`, rests. */
void client_turn(dfaiss_client_t *client, bool rest);

/* Waits for everything that is under way. */
void client_settle(dfaiss_client_t *client);

/* ERR_ARG: client is NULL, or index cannot be a name; the failure of a broken client. Every call that names an index begins with it. */
CHECKED dfaiss_status_t client_check(const dfaiss_client_t *client, const char *index, dfaiss_error_t *err);
CHECKED dfaiss_status_t client_check_broken(const dfaiss_client_t *client, dfaiss_error_t *err);

/* n ids in ascending order, malloc'ed and the caller's. ERR_ARG: one is out of range, or twice. */
CHECKED dfaiss_status_t client_sort_ids(int64_t n, const int64_t *ids, int64_t **out, dfaiss_error_t *err);

/* What can be said of a batch without knowing the index: ERR_ARG. */
CHECKED dfaiss_status_t client_check_batch(const dfaiss_batch_t *batch, dfaiss_error_t *err);
/* The attributes of a batch as they travel; nothing where it has none. ERR_ARG. */
CHECKED dfaiss_status_t client_encode_columns(const dfaiss_batch_t *batch, bytes_writer_t *out, dfaiss_error_t *err);
/* A batch as it travels; everything in it is borrowed. */
message_add_t client_describe_batch(const char *index, const dfaiss_batch_t *batch, const bytes_writer_t *columns);

/* ERR_ARG: the text of a filter is empty or too long. What is wrong with an expression the servers say, who know the attributes. */
CHECKED dfaiss_status_t client_check_filter(const char *filter, dfaiss_error_t *err);

/* As client_statistics (client/bulk_load.h), but within so many seconds; 0: as other calls. */
CHECKED dfaiss_status_t client_statistics_within(dfaiss_client_t *client, const char *index, double seconds, message_statistics_t *statistics,
                                                 dfaiss_error_t *err);

/* ---- requests ---- */

struct dfaiss_request {
    dfaiss_request_t *next;
    dfaiss_client_t *client;
    /* Goes on as far as that goes without waiting, until it has called request_end. */
    void (*advance)(dfaiss_request_t *request);
    /* Forgets its questions and frees it. */
    void (*destroy)(dfaiss_request_t *request);
    bool ended;
    dfaiss_status_t status;
    dfaiss_error_t error;
    dfaiss_result_t *result; /* of a search that has ended well */
};

/* Goes on with it at once; from now on `advance` is called in every turn. */
void request_begin(dfaiss_client_t *client, dfaiss_request_t *request);
/* error: may be NULL where status is DFAISS_OK. */
void request_end(dfaiss_request_t *request, dfaiss_status_t status, const dfaiss_error_t *error);

/* ---- adding ---- */

enum { CREDITS = 3 }; /* batches under way to a server: one arrives, one is taken in, one is on its way */

/* What this client remembers of an index that it adds to. */
typedef struct filled_index {
    struct filled_index *next;
    char name[MESSAGE_NAME];
    int next_server;      /* whose turn it is: by index, so that each index is spread evenly whatever else is added to in between */
    uint64_t incarnation; /* of the index that the ids below belong to: a later one of the same name has other ids */
    int64_t first_id;     /* ids that server 0 has dealt out to this client and that it has not used */
    int64_t ids_left;
    const dfaiss_request_t *reserver; /* the add that has more of them dealt out, which others wait for; NULL: none has */
    int refusals;                     /* how often that has failed, and how it did last */
    dfaiss_error_t refusal;
} filled_index_t;

/* After a call that makes another index of a name. */
void client_forget_index(dfaiss_client_t *client, const char *index);

/* The server whose turn it is for an index, once it has a credit, which is taken. */
CHECKED dfaiss_status_t client_next_server(dfaiss_client_t *client, const char *index, int *server, dfaiss_error_t *err);
/* Sends vectors with a credit that was taken, which the question then has; without one on failure. */
CHECKED dfaiss_status_t client_send_batch(dfaiss_client_t *client, int server, const message_add_t *message, const void *vectors, question_t **out,
                                          dfaiss_error_t *err);

/* ---- the client ---- */

typedef struct sent_batch sent_batch_t; /* bulk_load.c */

struct dfaiss_client {
    carrier_t carrier;
    dfaiss_client_options_t options;
    uint64_t last_correlation;
    question_t *questions;
    dfaiss_request_t *requests;

    /* Why no call can be answered any more: an answer was lost, or an earlier call was left in the middle, and MPI may still read what it was lent.
     */
    dfaiss_status_t broken;
    dfaiss_error_t broken_error;

    /* The servers stop: nothing is asked any more, while what was lent still leaves. */
    dfaiss_status_t refused;
    dfaiss_error_t refused_error;

    int *under_way; /* ADDs that count against the credits, by server */
    filled_index_t *filled;

    sent_batch_t *batches;
    dfaiss_status_t batch_status; /* the first failure of a batch */
    dfaiss_error_t batch_error;
    int64_t failed_id;
};

/* No call can be answered any more. */
void client_break(dfaiss_client_t *client, dfaiss_status_t status, const dfaiss_error_t *error);

#endif
