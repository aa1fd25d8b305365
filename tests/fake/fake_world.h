/* A world whose ranks are threads of one process, for tests that look for races: ThreadSanitizer does not know how MPI orders things, and a server
 * that shares a process with its clients is seen whole.
 *
 * fake_transport.c does what transport/transport.h says, with queues in memory instead of MPI. A bulk is read from the sender's memory by the
 * receiving thread, some time before `done` is called, so that whoever changes or frees what he has lent is caught; and the bulk of a message may be
 * overtaken by later messages. All of it is seeded, as far as threads let themselves be.
 */
#ifndef FAKE_WORLD_H
#define FAKE_WORLD_H

#include <stdint.h>

#include <mpi.h>

typedef struct fake_world fake_world_t;

/* Ends the process where there is no memory. */
fake_world_t *fake_world_create(int ranks, uint64_t seed);
/* After all ranks have destroyed their transports. */
void fake_world_destroy(fake_world_t *world);
/* What the thread of a rank gives to transport_create. */
MPI_Comm fake_world_rank(fake_world_t *world, int rank);

#endif
