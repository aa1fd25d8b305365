/* Messages between ranks, and the roles of ranks.
 *
 * A message is an envelope (kind, correlation number), a small body, and optionally bulk data (vectors, results, trained indexes) of any size, which
 * travels in pieces and is received straight into memory of its own. Everything is point to point and non-blocking; a rank without work polls ever
 * more slowly, so that it costs next to no core. All calls come from one thread (MPI_THREAD_FUNNELED is enough).
 *
 * Messages of one sender may arrive in another order than they were sent: a small one overtakes the bulk of an earlier one.
 */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mpi.h>

#include "base/error.h"

typedef struct transport transport_t;

/* Collective over `world` (duplicated: the caller's communicator stays his): every rank says whether it is a server. ERR_ARG on all ranks where there
 * is no server; ERR_PEER where a rank runs another version of dfaiss. MPI must be initialised. Failures of MPI are returned, not fatal;
 * MPICH asks the error handler of MPI_COMM_WORLD in some calls, so a program that wants them returned there too sets MPI_ERRORS_RETURN on it. */
CHECKED dfaiss_status_t transport_create(MPI_Comm world, bool server, transport_t **out, dfaiss_error_t *err);

/* Decides what the ranks are that joined undecided: collective over them alone, which are those of `ranks` (the callee's for this call; errors are
 * returned). `served`: other ranks are servers already. The answer must be the same on all of them, *server need not. */
typedef dfaiss_status_t transport_decide_t(void *context, MPI_Comm ranks, bool served, bool *server, dfaiss_error_t *err);

/* transport_create for a rank that does not know what it is before it has seen what the others are; those join by any of the two calls. */
CHECKED dfaiss_status_t transport_create_undecided(MPI_Comm world, transport_decide_t *decide, void *context, transport_t **out, dfaiss_error_t *err);

/* Collective: a client tells all servers that it leaves; waits until what was sent has left, on all ranks; cancels the posted receives, frees the
 * communicator. NULL is fine. */
void transport_destroy(transport_t *transport);

int transport_rank(const transport_t *transport);    /* in the world */
int transport_servers(const transport_t *transport); /* how many */
int transport_clients(const transport_t *transport);
bool transport_is_server(const transport_t *transport, int rank);
int transport_server_rank(const transport_t *transport, int server); /* world rank of server 0.. */
int transport_client_rank(const transport_t *transport, int client);
int transport_number(const transport_t *transport); /* this rank's number among the servers, or among the clients */

/* Clients that have left. What one has sent before it left may still arrive after it was counted. */
int transport_clients_gone(const transport_t *transport);

/* Servers of this node that may run on the cores that this rank may run on, itself counted where it is one. */
int transport_core_sharers(const transport_t *transport);

typedef struct transport_message {
    int source; /* world rank */
    uint32_t kind;
    uint64_t correlation; /* chosen by the sender; an answer carries that of its question */
    void *body;           /* owned; transport_message_clear, or free() when taken over */
    size_t body_size;
    void *bulk; /* owned; memory_unmap(bulk, bulk_size) when taken over; NULL where there is none */
    size_t bulk_size;
} transport_message_t;

void transport_message_clear(transport_message_t *message);

/* Called once when the bulk of a sent message is no longer needed. */
typedef void transport_done_t(void *context);

enum { TRANSPORT_BODY_LIMIT = 1 << 30 };

/* Starts sending. The body (at most TRANSPORT_BODY_LIMIT) is copied; the bulk is borrowed until `done` (may be NULL) is called from within
 * transport_progress, or at once where it was small enough to be copied; done may send, but not progress. On failure nothing was sent and done is not
 * called. Sending to oneself works. What is small belongs into the body: up to 16 KiB travel as one MPI message, and a bulk costs memory of its own.
 */
CHECKED dfaiss_status_t transport_send(transport_t *transport, int rank, uint32_t kind, uint64_t correlation, const void *body, size_t body_size,
                                       const void *bulk, size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err);

/* Advances everything that is under way; *message receives the next complete message (then the caller's) and *arrived says whether there is one.
 * Fails where a message is not understood (wrong magic, lengths that do not fit: ERR_PEER, naming its rank) or finds no memory (ERR_MEMORY; *message
 * then has its source, kind and correlation, so that whoever waits for an answer can be told): that message is dropped, everything else goes on with
 * the next call, unless transport_failed. */
CHECKED dfaiss_status_t transport_progress(transport_t *transport, transport_message_t *message, bool *arrived, dfaiss_error_t *err);

/* MPI has failed (ERR_MPI), or there was no memory for the transport's own needs (ERR_MEMORY): every later call fails too. */
bool transport_failed(const transport_t *transport);

/* Nothing to do just now: spins a while after the last activity, then sleeps a little longer each time, at most 1 ms. */
void transport_idle(transport_t *transport);
/* A descriptor that may become readable while there is nothing to do: sleep ends then. -1: none. */
void transport_set_waker(transport_t *transport, int descriptor);
/* There was something to do: the next transport_idle spins again. (transport_progress says so by itself when something arrived.) */
void transport_busy(transport_t *transport);

/* Messages and bytes (envelopes included) that this rank has sent and received so far. A message counts once, however many pieces it has; one to
 * oneself does not travel and is not counted. */
typedef struct transport_counts {
    uint64_t sent_messages, sent_bytes, received_messages, received_bytes;
} transport_counts_t;
transport_counts_t transport_counts(const transport_t *transport);

#endif
