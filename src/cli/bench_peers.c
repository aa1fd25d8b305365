#include "cli/bench_peers.h"

#include <limits.h>
#include <time.h>

#include "cli/job.h"

/* MPI's own waiting would keep a core busy. Ends of requests are seen this much later at most; nothing that is measured waits here. */
static const struct timespec nap = {.tv_nsec = 100000};

enum { TAG_FAILED = 1 };

static dfaiss_status_t failed(const char *call, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_MPI, call, "the clients of the benchmark cannot reach each other (%s)", call);
}

static dfaiss_status_t wait_for(MPI_Request *request, const char *call, dfaiss_error_t *err) {
    for (;;) {
        int done = 0;
        if (MPI_Test(request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return failed(call, err);
        if (done)
            return DFAISS_OK;
        nanosleep(&nap, NULL);
    }
}

dfaiss_status_t bench_peers_create(MPI_Comm ranks, int servers, bench_peers_t *peers, dfaiss_error_t *err) {
    int rank;
    bench_peers_t made = {.communicator = MPI_COMM_NULL};
    if (MPI_Comm_rank(ranks, &rank) != MPI_SUCCESS ||
        MPI_Comm_split(ranks, rank < servers ? MPI_UNDEFINED : 0, rank, &made.communicator) != MPI_SUCCESS)
        return failed("MPI_Comm_split", err);
    if (made.communicator != MPI_COMM_NULL &&
        (MPI_Comm_rank(made.communicator, &made.number) != MPI_SUCCESS || MPI_Comm_size(made.communicator, &made.count) != MPI_SUCCESS))
        return failed("MPI_Comm_size", err);
    *peers = made;
    return DFAISS_OK;
}

void bench_peers_destroy(bench_peers_t *peers) {
    if (peers->communicator == MPI_COMM_NULL)
        return;
    while (bench_peers_failed(peers) &&
           MPI_Recv(NULL, 0, MPI_BYTE, MPI_ANY_SOURCE, TAG_FAILED, peers->communicator, MPI_STATUS_IGNORE) == MPI_SUCCESS)
        continue;
    MPI_Comm_free(&peers->communicator);
}

dfaiss_status_t bench_peers_meet(const bench_peers_t *peers, dfaiss_error_t *err) {
    MPI_Request request;
    if (MPI_Ibarrier(peers->communicator, &request) != MPI_SUCCESS)
        return failed("MPI_Ibarrier", err);
    return wait_for(&request, "MPI_Ibarrier", err);
}

/* The failure of client `from`, whose text `mine` is there, becomes everybody's. */
static dfaiss_status_t share_failure(const bench_peers_t *peers, int from, const dfaiss_error_t *mine, dfaiss_error_t *err) {
    dfaiss_error_t shared = *mine;
    MPI_Request request;
    if (MPI_Ibcast(&shared, (int)sizeof shared, MPI_BYTE, from, peers->communicator, &request) != MPI_SUCCESS)
        return failed("MPI_Ibcast", err);
    TRY(wait_for(&request, "MPI_Ibcast", err));
    if (err)
        *err = shared;
    return shared.code;
}

dfaiss_status_t bench_peers_agree(const bench_peers_t *peers, dfaiss_status_t status, dfaiss_error_t *err) {
    int mine = status == DFAISS_OK ? INT_MAX : peers->number, first = INT_MAX;
    MPI_Request request;
    if (job_must_abort(status))
        return status;
    if (MPI_Iallreduce(&mine, &first, 1, MPI_INT, MPI_MIN, peers->communicator, &request) != MPI_SUCCESS)
        return failed("MPI_Iallreduce", err);
    TRY(wait_for(&request, "MPI_Iallreduce", err));
    if (first == INT_MAX)
        return DFAISS_OK;
    dfaiss_error_t text = {0};
    if (status != DFAISS_OK && err)
        text = *err;
    text.code = status;
    return share_failure(peers, first, &text, err);
}

void bench_peers_fail(const bench_peers_t *peers) {
    for (int i = 0; i < peers->count; i++)
        if (i != peers->number)
            (void)MPI_Send(NULL, 0, MPI_BYTE, i, TAG_FAILED, peers->communicator);
}

bool bench_peers_failed(const bench_peers_t *peers) {
    int told = 0;
    return MPI_Iprobe(MPI_ANY_SOURCE, TAG_FAILED, peers->communicator, &told, MPI_STATUS_IGNORE) == MPI_SUCCESS && told;
}

dfaiss_status_t bench_peers_share(const bench_peers_t *peers, void *data, size_t size, dfaiss_error_t *err) {
    enum { PIECE = 1 << 30 };
    for (size_t done = 0; done < size;) {
        MPI_Request request;
        int piece = size - done < PIECE ? (int)(size - done) : PIECE;
        if (MPI_Ibcast((char *)data + done, piece, MPI_BYTE, 0, peers->communicator, &request) != MPI_SUCCESS)
            return failed("MPI_Ibcast", err);
        TRY(wait_for(&request, "MPI_Ibcast", err));
        done += (size_t)piece;
    }
    return DFAISS_OK;
}

static dfaiss_status_t reduce(const bench_peers_t *peers, void *values, int n, MPI_Datatype type, dfaiss_error_t *err) {
    MPI_Request request;
    bool root = peers->number == 0;
    if (MPI_Ireduce(root ? MPI_IN_PLACE : values, root ? values : NULL, n, type, MPI_SUM, 0, peers->communicator, &request) != MPI_SUCCESS)
        return failed("MPI_Ireduce", err);
    return wait_for(&request, "MPI_Ireduce", err);
}

dfaiss_status_t bench_peers_add(const bench_peers_t *peers, uint64_t *counts, int count_n, double *rates, int rate_n, dfaiss_error_t *err) {
    TRY(reduce(peers, counts, count_n, MPI_UINT64_T, err));
    return reduce(peers, rates, rate_n, MPI_DOUBLE, err);
}
