/* A server rank: keeps its shard of every index, answers clients, and takes part in what the servers do together. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <dfaiss/server.h>

#include "base/error.h"
#include "transport/transport.h"

typedef struct server_options {
    const char *storage;     /* folder of checkpoints; borrowed */
    const char *const *load; /* names of indexes that are loaded before the first request is answered, the same for all servers; borrowed */
    int load_count;
    int threads;        /* of searches, and of the builder; 0: the cores this rank may use, shared out over the servers that share them */
    const char *listen; /* as in dfaiss_server_options_t, down to idle; zeros stand for what is usual */
    const char *bind;
    int port;
    int connections;
    double idle;
    dfaiss_wish_function_t *wish; /* as in dfaiss_server_options_t, all three */
    dfaiss_wish_ended_t *wish_ended;
    void *context;
} server_options_t;

/* Serves until all clients have left. Collective over the servers; blocks. The failure of a request goes to the client that asked. It returns a
 * failure where this rank cannot go on (MPI failed, no memory for its own threads or messages): the other ranks do not know of it, so the job has to
 * be aborted. ERR_INTERRUPTED: it was wished that the servers stop; all of them return it, when all clients have left. */
CHECKED dfaiss_status_t server_run(transport_t *transport, const server_options_t *options, dfaiss_error_t *err);

#endif
