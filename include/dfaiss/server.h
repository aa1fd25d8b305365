/* The server half of a world, for programs that hold the servers themselves instead of starting `dfaiss serve` beside them. */
#ifndef DFAISS_SERVER_H
#define DFAISS_SERVER_H

#include <dfaiss/world.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a program wishes of the servers that it holds, for instance because a signal has come. */
typedef enum dfaiss_wish {
    DFAISS_WISH_NONE,
    DFAISS_WISH_SAVE, /* indexes that have changed are saved, and everything goes on */
    DFAISS_WISH_STOP, /* the same, and then the servers stop: calls of clients fail with DFAISS_ERR_INTERRUPTED */
} dfaiss_wish_t;

/* Asked very often, so it must be quick; answers a wish once. */
typedef dfaiss_wish_t dfaiss_wish_function_t(void *context);
/* A wish is fulfilled, or has failed (status and error say how; nothing stops then, and the storage holds what it held). After DFAISS_WISH_STOP the
 * error has a text in any case. */
typedef void dfaiss_wish_ended_t(void *context, dfaiss_wish_t wish, dfaiss_status_t status, const dfaiss_error_t *error);

typedef struct dfaiss_server_options {
    const char *storage;     /* folder of the checkpoints, the same for all servers; borrowed for the call */
    const char *const *load; /* names of indexes that are loaded before the first request is answered, the same for all servers; borrowed */
    int load_count;
    int threads; /* of searches, 1 to 4096; 0: the physical cores this rank is bound to, shared out over the servers that share them */
    /* Clients of other jobs, and programs without MPI, connect over TCP to server 0 (dfaiss_connect). All of it is the same for all servers. */
    const char *listen; /* the file that tells them how, written when the indexes are loaded, readable by its owner alone; NULL: nobody connects */
    const char *bind;   /* name or address to listen at; NULL: loopback, which only programs of the same host reach. Nothing is encrypted */
    int port;           /* 0: one that is free */
    int connections;    /* at once, 1 to 65536; 0: 512 */
    double idle;        /* seconds after which a client that asks nothing is disconnected; 0: 3600 */
    /* What is wished on one server all of them do. NULL: nothing ever. Both are called by the serving thread; wish_ended (may be NULL) on server 0,
     * and after a stop that succeeded on every server. */
    dfaiss_wish_function_t *wish;
    dfaiss_wish_ended_t *wish_ended;
    void *context; /* of both */
} dfaiss_server_options_t;

/* Serves until all clients have left the world; servers that listen stay until a client shuts them down (dfaiss_shutdown).
 * Indexes whose configuration has save_interval_sec save themselves in the background.
 *
 * Collective over the servers; blocks. Starts threads of its own, for which MPI must have been started with MPI_THREAD_FUNNELED at least; the calling
 * thread alone uses MPI. The failure of a client's call goes to that client. DFAISS_ERR_ARG (also on all servers of a world that has no client,
 * unless they listen); DFAISS_ERR_STATE (this rank is a client, or MPI allows no threads); DFAISS_ERR_INTERRUPTED on all
 * servers after DFAISS_WISH_STOP, when all clients have left. Any other failure, also that of an index which cannot be
 * loaded, means that this rank cannot go on; the other ranks do not know of it, so the job has to be aborted (MPI_Abort).
 */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_serve(dfaiss_world_t *world, const dfaiss_server_options_t *options, dfaiss_error_t *err);

#ifdef __cplusplus
}
#endif
#endif
