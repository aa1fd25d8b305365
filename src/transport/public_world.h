/* What a dfaiss_world_t is made of, for the rooms that make something of it. */
#ifndef TRANSPORT_PUBLIC_WORLD_H
#define TRANSPORT_PUBLIC_WORLD_H

#include <dfaiss/world.h>

#include "transport/transport.h"

struct dfaiss_world {
    transport_t *transport;
    dfaiss_role_t role;
    bool taken;                /* a client was made of it, or it serves */
    uint64_t last_correlation; /* of its earlier clients' questions, so that what is answered late is no answer to a later one's */
};

/* dfaiss_world_create for a rank that decides what it is when it has seen the others: transport_create_undecided. */
CHECKED dfaiss_status_t world_create_undecided(MPI_Comm communicator, transport_decide_t *decide, void *context, dfaiss_world_t **out,
                                               dfaiss_error_t *err);

#endif
