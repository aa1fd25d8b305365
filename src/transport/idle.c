/* Waiting without burning a core: spin for a while after something happened, then sleep ever longer. MPI has no wait that does not spin.
 *
 * Measured: with a timer slack of 1 ns, sleeps that grow by a quarter up to 1 ms cost 1 to 2 % of a core and add at most a millisecond; a
 * fixed sleep of 10 us would cost half a core.
 */
#include <sched.h>
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

/* Ranks of a node against the cores that they may run on, all their masks together. */
static dfaiss_status_t compare_cores(MPI_Comm node, bool *crowded, dfaiss_error_t *err) {
    cpu_set_t mine, all;
    int ranks = 0;
    CPU_ZERO(&all);
    /* More cores than a mask holds: nothing is known, and a core for everybody is the likely case. */
    if (sched_getaffinity(0, sizeof mine, &mine) != 0)
        memset(&mine, 0xff, sizeof mine);
    int code = MPI_Allreduce(&mine, &all, (int)sizeof mine, MPI_BYTE, MPI_BOR, node);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_size(node, &ranks);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Allreduce", err);
    *crowded = ranks > CPU_COUNT(&all);
    return DFAISS_OK;
}

dfaiss_status_t transport_idle_prepare(transport_t *transport, dfaiss_error_t *err) {
    /* Only the accuracy of sleeps depends on it. */
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    MPI_Comm node;
    int code = MPI_Comm_split_type(transport->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Comm_split_type", err);
    dfaiss_status_t status = compare_cores(node, &transport->crowded, err);
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
    nanosleep(&nap, NULL); /* a signal ends it early: the program may have something to do */
    transport->nap += transport->nap / 4;
    transport->napped = true;
}

void transport_busy(transport_t *transport) {
    transport->active = true;
}
