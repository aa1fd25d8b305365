/* In the world of tests/fake there is no MPI: a communicator is the place of one rank in it (fake_world.h). */
#ifndef FAKE_MPI_H
#define FAKE_MPI_H

typedef struct fake_rank *MPI_Comm;
#define MPI_COMM_NULL ((MPI_Comm)0)

enum { MPI_SUCCESS, MPI_THREAD_SINGLE = 0, MPI_THREAD_FUNNELED };

static inline int MPI_Initialized(int *begun) {
    *begun = 1;
    return MPI_SUCCESS;
}

static inline int MPI_Finalized(int *ended) {
    *ended = 0;
    return MPI_SUCCESS;
}

static inline int MPI_Comm_test_inter(MPI_Comm communicator, int *between_groups) {
    (void)communicator;
    *between_groups = 0;
    return MPI_SUCCESS;
}

static inline int MPI_Query_thread(int *threads) {
    *threads = MPI_THREAD_FUNNELED;
    return MPI_SUCCESS;
}

#endif
