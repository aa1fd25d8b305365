/* The server half of a world, for programs that hold the servers themselves instead of starting `dfaiss serve` beside them. */
#ifndef DFAISS_SERVER_H
#define DFAISS_SERVER_H

#include <dfaiss/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dfaiss_server_options {
    const char *storage;     /* folder of the checkpoints, the same for all servers; borrowed for the call */
    const char *const *load; /* names of indexes that are loaded before the first request is answered, the same for all servers; borrowed */
    int load_count;
    int threads; /* of searches, 1 to 4096; 0: the physical cores this rank is bound to, shared out over the servers that share them */
} dfaiss_server_options_t;

/* Serves until all clients have left the world.
 *
 * Collective over the servers; blocks. Starts threads of its own, for which MPI must have been started with MPI_THREAD_FUNNELED at least; the calling
 * thread alone uses MPI. The failure of a client's call goes to that client. DFAISS_ERR_ARG; DFAISS_ERR_STATE (this rank is a client, or MPI allows
 * no threads). Any failure, also that of an index which cannot be loaded, means that this rank cannot go on; the other ranks do not know of it, so
 * the job has to be aborted (MPI_Abort).
 */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_serve(dfaiss_world_t *world, const dfaiss_server_options_t *options, dfaiss_error_t *err);

#ifdef __cplusplus
}
#endif
#endif
