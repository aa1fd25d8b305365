/* A client rank's view of the servers.
 *
 * Not collective: every client works for itself. All calls of one client come from one thread. A call that talks to servers blocks until the answer
 * is there, except client_add, which lets a bounded number of batches be under way to every server.
 *
 * Every call may fail with ERR_MEMORY, ERR_MPI, ERR_PEER (an answer was not understood) and ERR_TIMEOUT. On failure outputs are untouched. After
 * ERR_MPI, ERR_PEER or ERR_TIMEOUT the client is broken: what it had lent to MPI may still be read until the transport is destroyed, and every later
 * call fails alike. All other failures leave servers and client as they were. Calls that name an index fail with ERR_NOT_FOUND where the servers have
 * none of that name.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/element.h"
#include "base/error.h"
#include "message/statistics.h"
#include "transport/topk.h"
#include "transport/transport.h"

typedef struct client client_t;

/* transport is borrowed. timeout: seconds that a search, add or fetch may take without an answer (ERR_TIMEOUT); 0: no limit. */
CHECKED dfaiss_status_t client_create(transport_t *transport, double timeout, client_t **out, dfaiss_error_t *err);
/* NULL is fine. Batches under way are waited for. */
void client_destroy(client_t *client);
int client_servers(const client_t *client);

/* What CREATE and LOAD tell. config is malloc'ed JSON and the caller's; client_index_clear frees it. */
typedef struct client_index {
    int64_t generation; /* 0: never saved */
    int64_t rows;
    int64_t next_id;
    bool own_ids;
    char *config;
} client_index_t;
void client_index_clear(client_index_t *index);

/* Makes an empty index on all servers. config: JSON with dim given; expected_rows: of the whole index, 0 where unknown; overwrite: the next save
 * replaces an index of that name in the storage; own_ids: every batch brings ids. ERR_EXISTS, ERR_CONFIG. */
CHECKED dfaiss_status_t client_create_index(client_t *client, const char *index, const char *config, int64_t expected_rows, bool overwrite,
                                            bool own_ids, client_index_t *out, dfaiss_error_t *err);
/* Loads the newest generation. ERR_NOT_FOUND, ERR_EXISTS, ERR_ARG (another number of servers), ERR_CHECKPOINT. */
CHECKED dfaiss_status_t client_load_index(client_t *client, const char *index, client_index_t *out, dfaiss_error_t *err);
/* Removes an index from servers and storage. ERR_IO where its files cannot be removed. */
CHECKED dfaiss_status_t client_drop_index(client_t *client, const char *index, dfaiss_error_t *err);

/* Vectors to train on, for one server: vectors element[n][dim]. Blocks until they are there. */
CHECKED dfaiss_status_t client_sample(client_t *client, const char *index, int server, element_t element, int64_t n, int64_t dim, const void *vectors,
                                      dfaiss_error_t *err);
/* Trains on the samples: server 0's for all (shared), or each server's for itself (local). ERR_CONFIG (too few samples), ERR_STATE (trained already);
 * then no server is trained, and samples of servers that failed are kept. */
CHECKED dfaiss_status_t client_train(client_t *client, const char *index, dfaiss_error_t *err);

/* A batch to be added: n vectors element[n][dim]. Everything is borrowed until `released` (may be NULL) is called, once and also on failure. */
typedef struct client_batch {
    element_t element;
    int64_t n;
    int64_t dim;
    const void *vectors;
    int64_t first_id;              /* where ids is NULL: row i has id first_id + i */
    const int64_t *ids;            /* int64_t[n] or NULL; copied */
    const uint64_t *metadata_ends; /* uint64_t[n] or NULL: where each row's metadata ends in `metadata`; copied */
    const uint8_t *metadata;       /* copied */
    void (*released)(void *context);
    void *context;
} client_batch_t;

/* Sends a batch to the next server in turn; blocks while too many are under way there. A failure of an earlier batch is reported by a later call. */
CHECKED dfaiss_status_t client_add(client_t *client, const char *index, const client_batch_t *batch, dfaiss_error_t *err);
/* Waits until all batches are acknowledged: in a server's memory, seen by every search begun afterwards. On failure *failed_id (may be NULL) is the
 * first id of the batch that failed: ERR_DATA (a value is not finite), ERR_ARG (ids out of range or twice in the batch, another dimension, or ids
 * where none belong). */
CHECKED dfaiss_status_t client_add_wait(client_t *client, int64_t *failed_id, dfaiss_error_t *err);

/* Waits until everything that was added is indexed. ERR_STATE where the index is not trained. */
CHECKED dfaiss_status_t client_flush(client_t *client, const char *index, dfaiss_error_t *err);
/* Writes a new generation and makes it the newest: *generation and *bytes (of all its files) tell which and how large. On failure (ERR_IO, ERR_SPACE)
 * the generations before are as they were. */
CHECKED dfaiss_status_t client_save(client_t *client, const char *index, int64_t *generation, int64_t *bytes, dfaiss_error_t *err);

/* The k best of all servers for queries float[nq][dim]; nprobe 0: as configured. On success *block (memory_map, *block_size bytes; topk_view shows
 * it) is the caller's. ERR_ARG (dimension, k), ERR_DATA (a query is not finite). */
CHECKED dfaiss_status_t client_search(client_t *client, const char *index, int64_t nq, int64_t dim, const float *queries, int64_t k, int64_t nprobe,
                                      void **block, size_t *block_size, dfaiss_error_t *err);

/* The metadata of n hits, which a search named by server and row: ends uint64_t[n] out (written also on failure); *metadata is malloc'ed and the
 * caller's (NULL where there is none at all). Hits with id -1 are not asked for. ERR_ARG where a server has no such row. */
CHECKED dfaiss_status_t client_fetch(client_t *client, const char *index, int64_t n, const int32_t *servers, const int64_t *rows, const int64_t *ids,
                                     uint8_t **metadata, uint64_t *ends, dfaiss_error_t *err);

/* One entry a server, by number: statistics message_statistics_t[client_servers]. index "": of the servers alone. */
CHECKED dfaiss_status_t client_statistics(client_t *client, const char *index, message_statistics_t *statistics, dfaiss_error_t *err);

/* Asks all servers to stop, which they do when what is under way has ended. A request that comes later, of whichever client, is never answered: other
 * clients must have ended their work. */
CHECKED dfaiss_status_t client_shutdown(client_t *client, dfaiss_error_t *err);

#endif
