/* In the world of tests/fake there is no MPI: a communicator is the place of one rank in it (fake_world.h). */
#ifndef FAKE_MPI_H
#define FAKE_MPI_H

typedef struct fake_rank *MPI_Comm;

#endif
