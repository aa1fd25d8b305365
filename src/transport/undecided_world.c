/* A world of ranks that find out only when they meet who of them is a server: those of one program that may run beside `dfaiss serve` or by itself.
 */
#include <stdlib.h>

#include "transport/public_world.h"

dfaiss_status_t world_create_undecided(MPI_Comm communicator, transport_decide_t *decide, void *context, dfaiss_world_t **out, dfaiss_error_t *err) {
    dfaiss_world_t *world = calloc(1, sizeof *world);
    if (!world)
        return error_memory(err, sizeof *world, "a world");
    dfaiss_status_t status = transport_create_undecided(communicator, decide, context, &world->transport, err);
    if (status != DFAISS_OK) {
        free(world);
        return status;
    }
    world->role = transport_is_server(world->transport, transport_rank(world->transport)) ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT;
    *out = world;
    return DFAISS_OK;
}
