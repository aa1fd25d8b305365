/* What the program needs beyond the public calls: many batches under way at once, whose vectors are given back one by one and whose ids are row
 * numbers, samples to train on, and statistics in detail. The rules of <dfaiss/client.h> hold.
 */
#ifndef CLIENT_BULK_LOAD_H
#define CLIENT_BULK_LOAD_H

#include <dfaiss/client.h>

#include "base/element.h"
#include "base/error.h"
#include "base/inputs.h"
#include "message/statistics.h"

/* Deals out `count` ids in a row: *first is greater than every id that was dealt out before. ERR_ARG where the index has the caller's ids. */
CHECKED dfaiss_status_t client_reserve_ids(dfaiss_client_t *client, const char *index, int64_t count, int64_t *first, dfaiss_error_t *err);

/* Which rows of which input the servers hold together: inputs_clear frees *inputs. */
CHECKED dfaiss_status_t client_inputs(dfaiss_client_t *client, const char *index, inputs_t *inputs, dfaiss_error_t *err);
/* Batches of an input may come from now on, so that a save knows which of its rows it has; fine where it was declared before. ERR_STATE where another
 * one has its number. */
CHECKED dfaiss_status_t client_declare_input(dfaiss_client_t *client, const char *index, const input_t *input, dfaiss_error_t *err);

/* A batch to be added: n vectors element[n][dim]. They are borrowed until `released` (may be NULL) is called, once and also on failure; ids and
 * metadata are copied. */
typedef struct client_batch {
    element_t element;
    int64_t n;
    int64_t dim;
    const void *vectors;
    int64_t first_id;   /* where ids is NULL: row i has id first_id + i, which was reserved */
    const int64_t *ids; /* int64_t[n] or NULL */
    uint64_t input;     /* number of the input whose rows input_row to input_row + n - 1 these are; 0: of none */
    int64_t input_row;
    const uint64_t *metadata_ends; /* uint64_t[n] or NULL: where each row's metadata ends in `metadata` */
    const uint8_t *metadata;
    void (*released)(void *context);
    void *context;
} client_batch_t;

/* Sends a batch to the next server in turn; blocks while too many are under way there. A failure of an earlier batch is reported by a later call. */
CHECKED dfaiss_status_t client_add(dfaiss_client_t *client, const char *index, const client_batch_t *batch, dfaiss_error_t *err);
/* Waits until all batches are acknowledged. On failure *failed_id (may be NULL) is the first id of the batch that failed. */
CHECKED dfaiss_status_t client_add_wait(dfaiss_client_t *client, int64_t *failed_id, dfaiss_error_t *err);
/* The client goes. */
void batches_clear(dfaiss_client_t *client);

/* Vectors to train on, for one server: vectors element[n][dim]. Blocks until they are there. */
CHECKED dfaiss_status_t client_sample(dfaiss_client_t *client, const char *index, int server, element_t element, int64_t n, int64_t dim,
                                      const void *vectors, dfaiss_error_t *err);
/* Trains on the samples: server 0's for all (shared), or each server's for itself (local). ERR_CONFIG (too few samples), ERR_STATE (trained already);
 * then no server is trained, and samples of servers that failed are kept. */
CHECKED dfaiss_status_t client_train(dfaiss_client_t *client, const char *index, dfaiss_error_t *err);

/* As dfaiss_save_index; *bytes: of all files. */
CHECKED dfaiss_status_t client_save(dfaiss_client_t *client, const char *index, int64_t *generation, int64_t *bytes, dfaiss_error_t *err);

/* One entry a server, by number: statistics message_statistics_t[client_servers]. index "": of the servers alone. */
CHECKED dfaiss_status_t client_statistics(dfaiss_client_t *client, const char *index, message_statistics_t *statistics, dfaiss_error_t *err);

#endif
