/* The world as users of the library hold it: the transport with its role. */
#include "transport/public_world.h"

#include <stdlib.h>

static dfaiss_status_t check_mpi(MPI_Comm communicator, dfaiss_error_t *err) {
    int begun = 0, ended = 0, between_groups = 0;
    if (MPI_Initialized(&begun) != MPI_SUCCESS || MPI_Finalized(&ended) != MPI_SUCCESS || !begun || ended)
        return error_set(err, DFAISS_ERR_STATE, "MPI", "MPI %s; a world lives between MPI_Init and MPI_Finalize",
                         ended ? "is finalised" : "is not initialised");
    if (communicator == MPI_COMM_NULL)
        return error_set(err, DFAISS_ERR_ARG, "communicator", "communicator is MPI_COMM_NULL; a communicator is needed");
    if (MPI_Comm_test_inter(communicator, &between_groups) != MPI_SUCCESS || between_groups)
        return error_set(err, DFAISS_ERR_ARG, "communicator", "communicator is an intercommunicator; one of a single group is needed");
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_world_create(MPI_Comm communicator, dfaiss_role_t role, dfaiss_world_t **out, dfaiss_error_t *err) {
    if (!out)
        return error_null(err, "out");
    if (role != DFAISS_ROLE_CLIENT && role != DFAISS_ROLE_SERVER)
        return error_set(err, DFAISS_ERR_ARG, "role", "role is %d; expected DFAISS_ROLE_CLIENT or DFAISS_ROLE_SERVER", (int)role);
    TRY(check_mpi(communicator, err));
    dfaiss_world_t *world = calloc(1, sizeof *world);
    if (!world)
        return error_memory(err, sizeof *world, "a world");
    world->role = role;
    dfaiss_status_t status = transport_create(communicator, role == DFAISS_ROLE_SERVER, &world->transport, err);
    if (status != DFAISS_OK) {
        free(world);
        return status;
    }
    *out = world;
    return DFAISS_OK;
}

void dfaiss_world_destroy(dfaiss_world_t *world) {
    if (!world)
        return;
    transport_destroy(world->transport);
    free(world);
}

int dfaiss_world_servers(const dfaiss_world_t *world) {
    return transport_servers(world->transport);
}

int dfaiss_world_clients(const dfaiss_world_t *world) {
    return transport_clients(world->transport);
}

int dfaiss_world_number(const dfaiss_world_t *world) {
    return transport_number(world->transport);
}
