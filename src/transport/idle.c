/* Waiting without burning a core: spin for a while after something happened, then sleep ever longer. MPI has no wait that does not spin.
 *
 * Measured: with a timer slack of 1 ns, sleeps that grow by a quarter up to 1 ms cost 1 to 2 % of a core and add at most a millisecond; a
 * fixed sleep of 10 us would cost half a core.
 */
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "transport/internal.h"

enum {
    MICROSECOND = 1000,
    MILLISECOND = 1000 * MICROSECOND,
    FIRST_NAP = 5 * MICROSECOND,
};

/* How long to spin, and how long to sleep at most. */
typedef struct patience {
    int64_t spin, nap;
} patience_t;

/* What a rank tells the others of its node. */
typedef struct node_rank {
    cpu_set_t cores; /* that it may run on */
    bool server;
} node_rank_t;

static bool share_cores(const node_rank_t *a, const node_rank_t *b) {
    cpu_set_t both;
    CPU_AND(&both, &a->cores, &b->cores);
    return CPU_COUNT(&both) > 0;
}

/* Ranks of a node against the cores that they may run on, all their masks together; and the servers that run on this rank's cores. */
static void count_sharers(transport_t *transport, const node_rank_t *node, int ranks, const node_rank_t *mine) {
    cpu_set_t all;
    CPU_ZERO(&all);
    transport->core_sharers = 0;
    for (int i = 0; i < ranks; i++) {
        CPU_OR(&all, &all, &node[i].cores);
        transport->core_sharers += node[i].server && share_cores(&node[i], mine);
    }
    transport->crowded = ranks > CPU_COUNT(&all);
}

static dfaiss_status_t compare_cores(transport_t *transport, MPI_Comm node, dfaiss_error_t *err) {
    node_rank_t mine = {.server = transport->server[transport->rank]};
    int ranks = 0;
    /* More cores than a mask holds: nothing is known, and a core for everybody is the likely case. */
    if (sched_getaffinity(0, sizeof mine.cores, &mine.cores) != 0)
        memset(&mine.cores, 0xff, sizeof mine.cores);
    int code = MPI_Comm_size(node, &ranks);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Comm_size", err);
    node_rank_t *all = calloc((size_t)ranks, sizeof *all);
    if (!all)
        return error_memory(err, (size_t)ranks * sizeof *all, "the ranks of a node");
    code = MPI_Allgather(&mine, (int)sizeof mine, MPI_BYTE, all, (int)sizeof mine, MPI_BYTE, node);
    if (code == MPI_SUCCESS)
        count_sharers(transport, all, ranks, &mine);
    free(all);
    return code == MPI_SUCCESS ? DFAISS_OK : transport_mpi_error(code, "MPI_Allgather", err);
}

int transport_core_sharers(const transport_t *transport) {
    return transport->core_sharers;
}

dfaiss_status_t transport_idle_prepare(transport_t *transport, dfaiss_error_t *err) {
    /* Only the accuracy of sleeps depends on it. */
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    MPI_Comm node;
    int code = MPI_Comm_split_type(transport->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Comm_split_type", err);
    dfaiss_status_t status = compare_cores(transport, node, err);
    code = MPI_Comm_free(&node);
    if (status == DFAISS_OK && code != MPI_SUCCESS)
        status = transport_mpi_error(code, "MPI_Comm_free", err);
    transport->active = true;
    return status;
}

/* While messages are under way, MPI may need both ends to call it often; that counts as work until the other end has shown no life for long. */
static patience_t patience(const transport_t *transport, int64_t idle) {
    bool under_way = transport->count > RECEIVES;
    if (under_way && idle < 1000 * MILLISECOND)
        return (patience_t){.spin = (transport->crowded ? 1 : 10) * MILLISECOND, .nap = 50 * MICROSECOND};
    return (patience_t){.spin = (transport->crowded ? 20 : 200) * MICROSECOND, .nap = MILLISECOND};
}

void transport_idle(transport_t *transport) {
    int64_t now = clock_nanoseconds();
    if (transport->active) {
        transport->active = false;
        transport->idle_since = now;
        transport->nap = FIRST_NAP;
    }
    int64_t idle = now - transport->idle_since;
    patience_t wait = patience(transport, idle);
    if (idle < wait.spin) {
        if (transport->crowded)
            sched_yield();
        return;
    }
    if (transport->nap > wait.nap)
        transport->nap = wait.nap;
    struct timespec nap = {.tv_nsec = transport->nap};
    struct pollfd waker = {.fd = transport->waker, .events = POLLIN};
    /* A signal ends it early: the program may have something to do. */
    (void)ppoll(&waker, transport->waker >= 0 ? 1 : 0, &nap, NULL);
    transport->nap += transport->nap / 4;
    transport->napped = true;
}

void transport_set_waker(transport_t *transport, int descriptor) {
    transport->waker = descriptor;
}

void transport_busy(transport_t *transport) {
    transport->active = true;
}
