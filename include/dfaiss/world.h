/* The ranks that work together, and whether each of them is a server or a client.
 *
 * A world and everything made from it belongs to one thread; that thread makes all calls (MPI_THREAD_FUNNELED is enough).
 */
#ifndef DFAISS_WORLD_H
#define DFAISS_WORLD_H

#include <mpi.h>

#include <dfaiss/export.h>
#include <dfaiss/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dfaiss_world dfaiss_world_t;

typedef enum dfaiss_role { DFAISS_ROLE_CLIENT, DFAISS_ROLE_SERVER } dfaiss_role_t;

/* Makes a world of all ranks of a communicator.
 *
 * Collective over the communicator; every rank says what it is. Ranks started with `dfaiss serve` are servers of the world of MPI_COMM_WORLD.
 *
 *   communicator  in, duplicated: it stays the caller's, and his messages never meet ours. MPI must be initialised
 *   out           out, the caller's; dfaiss_world_destroy
 *   err           out, optional text; may be NULL
 *
 * Returns DFAISS_OK; DFAISS_ERR_ARG on all ranks where there is no server; DFAISS_ERR_PEER where a rank runs another version of dfaiss;
 * DFAISS_ERR_MPI, DFAISS_ERR_MEMORY. Failures of MPI are returned; MPICH asks the error handler of MPI_COMM_WORLD in some calls, so a program that
 * wants them returned there too sets MPI_ERRORS_RETURN on it.
 */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_world_create(MPI_Comm communicator, dfaiss_role_t role, dfaiss_world_t **out, dfaiss_error_t *err);

/* Leaves the world and frees it. A server ends to serve when all clients have left.
 *
 * Collective over the world: waits until every client has left and every server has ended. The client made from it must be destroyed before; MPI must
 * not be finalised yet. NULL is fine.
 */
DFAISS_API void dfaiss_world_destroy(dfaiss_world_t *world);

/* How many there are. Not collective. */
DFAISS_API int dfaiss_world_servers(const dfaiss_world_t *world);
DFAISS_API int dfaiss_world_clients(const dfaiss_world_t *world);

/* This rank's number among the servers, or among the clients. Not collective. */
DFAISS_API int dfaiss_world_number(const dfaiss_world_t *world);

#ifdef __cplusplus
}
#endif
#endif
