#include "cli/doctor_network.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { SMALL = 8, LARGE = 4 << 20, SMALL_TURNS = 200, LARGE_TURNS = 8, TAG_GO = 1, TAG_PING = 2 };

/* A message that takes longer is lost; what is slower, or takes longer, than these is worth a word. */
static const double lost_after = 15, low_bandwidth_near = 1e9, low_bandwidth_far = 1e9, high_latency_far = 20e-6;

static const struct timespec nap = {.tv_nsec = 200000};

int doctor_network_partners(const doctor_rank_t *ranks, int n, int most, int *partners) {
    int hosts = 0, count = 0, near = 0, seen = 0;
    for (int i = 1; i < n; i++) {
        int host = doctor_host_of(ranks, i);
        hosts += host == i;
        if (host == 0 && !near)
            near = i;
    }
    if (near)
        partners[count++] = near;
    for (int i = 1; i < n && count < most; i++) {
        if (doctor_host_of(ranks, i) != i)
            continue;
        /* Of `hosts` others every so-manieth. */
        int room = most - (near != 0);
        if (hosts <= room || (int64_t)seen * room / hosts != (int64_t)(seen + 1) * room / hosts)
            partners[count++] = i;
        seen++;
    }
    return count;
}

static dfaiss_status_t failed(const char *call, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_MPI, call, "the ranks cannot reach each other (%s)", call);
}

/* *late where the request did not end in time. `sleeps`: nothing is measured meanwhile. */
static dfaiss_status_t wait_for(MPI_Request *request, double seconds, bool sleeps, bool *late, dfaiss_error_t *err) {
    double begin = clock_seconds();
    for (;;) {
        int done = 0;
        if (MPI_Test(request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return failed("MPI_Test", err);
        if (done)
            return DFAISS_OK;
        if (seconds > 0 && clock_seconds() - begin > seconds) {
            *late = true;
            return DFAISS_OK;
        }
        if (sleeps)
            nanosleep(&nap, NULL);
        else
            sched_yield();
    }
}

static dfaiss_status_t pass(MPI_Comm comm, int peer, bool sends, unsigned char *bytes, int size, bool *late, dfaiss_error_t *err) {
    MPI_Request request;
    int code =
        sends ? MPI_Isend(bytes, size, MPI_BYTE, peer, TAG_PING, comm, &request) : MPI_Irecv(bytes, size, MPI_BYTE, peer, TAG_PING, comm, &request);
    if (code != MPI_SUCCESS)
        return failed(sends ? "MPI_Isend" : "MPI_Irecv", err);
    return wait_for(&request, lost_after, false, late, err);
}

/* To and fro; the seconds of one way are the best that was seen. */
static dfaiss_status_t play(MPI_Comm comm, int peer, bool begins, unsigned char *bytes, int size, int turns, double *way, bool *late,
                            dfaiss_error_t *err) {
    *way = lost_after;
    for (int turn = 0; turn < turns && !*late; turn++) {
        double begin = clock_seconds();
        TRY(pass(comm, peer, begins, bytes, size, late, err));
        if (!*late)
            TRY(pass(comm, peer, !begins, bytes, size, late, err));
        double seconds = (clock_seconds() - begin) / 2;
        *way = seconds < *way ? seconds : *way;
    }
    return DFAISS_OK;
}

static void fill(unsigned char *bytes, int seed) {
    for (int i = 0; i < LARGE; i++)
        bytes[i] = (unsigned char)(seed + i * 7 + (i >> 8));
}

static bool is_filled(const unsigned char *bytes, int seed) {
    for (int i = 0; i < LARGE; i++)
        if (bytes[i] != (unsigned char)(seed + i * 7 + (i >> 8)))
            return false;
    return true;
}

static dfaiss_status_t measure_as_root(MPI_Comm comm, unsigned char *bytes, doctor_link_t *link, dfaiss_error_t *err) {
    MPI_Request go;
    bool late = false;
    double way;
    fill(bytes, link->rank);
    if (MPI_Isend(bytes, 1, MPI_BYTE, link->rank, TAG_GO, comm, &go) != MPI_SUCCESS)
        return failed("MPI_Isend", err);
    TRY(wait_for(&go, lost_after, true, &late, err));
    if (!late)
        TRY(play(comm, link->rank, true, bytes, SMALL, SMALL_TURNS, &link->latency, &late, err));
    if (!late)
        TRY(play(comm, link->rank, true, bytes, LARGE, LARGE_TURNS, &way, &late, err));
    if (late)
        return DFAISS_OK;
    link->bandwidth = LARGE / way;
    link->arrived = is_filled(bytes, link->rank);
    return DFAISS_OK;
}

static dfaiss_status_t measure_as_partner(MPI_Comm comm, unsigned char *bytes, dfaiss_error_t *err) {
    MPI_Request go;
    bool late = false;
    double way;
    if (MPI_Irecv(bytes, 1, MPI_BYTE, 0, TAG_GO, comm, &go) != MPI_SUCCESS)
        return failed("MPI_Irecv", err);
    TRY(wait_for(&go, 0, true, &late, err));
    TRY(play(comm, 0, false, bytes, SMALL, SMALL_TURNS, &way, &late, err));
    return late ? DFAISS_OK : play(comm, 0, false, bytes, LARGE, LARGE_TURNS, &way, &late, err);
}

static dfaiss_status_t measure(MPI_Comm comm, int rank, int count, const int *partners, unsigned char *bytes, doctor_link_t *links, bool *broken,
                               dfaiss_error_t *err) {
    for (int i = 0; i < count && !*broken; i++) {
        if (rank == partners[i])
            TRY(measure_as_partner(comm, bytes, err));
        if (rank != 0)
            continue;
        links[i] = (doctor_link_t){.rank = partners[i]};
        TRY(measure_as_root(comm, bytes, &links[i], err));
        *broken = !links[i].arrived;
    }
    if (*broken)
        return DFAISS_OK;
    MPI_Request all_here;
    bool late = false;
    if (MPI_Ibarrier(comm, &all_here) != MPI_SUCCESS)
        return failed("MPI_Ibarrier", err);
    return wait_for(&all_here, 0, true, &late, err);
}

dfaiss_status_t doctor_network_measure(MPI_Comm comm, int count, const int *partners, doctor_link_t *links, bool *broken, dfaiss_error_t *err) {
    int rank;
    if (MPI_Comm_rank(comm, &rank) != MPI_SUCCESS)
        return failed("MPI_Comm_rank", err);
    unsigned char *bytes = malloc(LARGE);
    if (!bytes)
        return error_memory(err, LARGE, "messages to measure with");
    *broken = false;
    dfaiss_status_t status = measure(comm, rank, count, partners, bytes, links, broken, err);
    /* What has not arrived may be written or read still. */
    if (!*broken)
        free(bytes);
    return status;
}

static void check_lost(const doctor_rank_t *ranks, const doctor_link_t *link, doctor_findings_t *findings) {
    doctor_find(findings, "network", DOCTOR_PROBLEM, "messages between %s (rank 0) and %s (rank %d) do not arrive", ranks[0].rank.host,
                ranks[link->rank].rank.host, link->rank);
    doctor_advise(findings, "a firewall, or an interface that the hosts do not share: name the right one (OMPI_MCA_btl_tcp_if_include=NETWORK/BITS, "
                            "OMPI_MCA_oob_tcp_if_include), or UCX's (UCX_NET_DEVICES)");
}

/* The link that is the slowest by its bandwidth among those on this host (near), or to other hosts. NULL: none. */
static const doctor_link_t *find_slowest(const doctor_rank_t *ranks, int count, const doctor_link_t *links, bool near) {
    const doctor_link_t *slowest = NULL;
    for (int i = 0; i < count; i++)
        if ((doctor_host_of(ranks, links[i].rank) == 0) == near && (!slowest || links[i].bandwidth < slowest->bandwidth))
            slowest = &links[i];
    return slowest;
}

static void check_link(const doctor_rank_t *ranks, const doctor_link_t *link, bool near, doctor_findings_t *findings) {
    bool slow = link->bandwidth < (near ? low_bandwidth_near : low_bandwidth_far) || (!near && link->latency > high_latency_far);
    char where[600];
    if (near)
        snprintf(where, sizeof where, "within %s", ranks[0].rank.host);
    else
        snprintf(where, sizeof where, "%s to %s", ranks[0].rank.host, ranks[link->rank].rank.host);
    doctor_find(findings, "network", slow ? DOCTOR_ADVICE : DOCTOR_OK, "%.2f GB/s, %.1f us a message %s", link->bandwidth * 1e-9, link->latency * 1e6,
                where);
    if (slow && near)
        doctor_advise(findings, "slow for one host: are there more ranks than cores? Where a container denies reading another process's memory, "
                                "OMPI_MCA_btl_vader_single_copy_mechanism=none");
    else if (slow)
        doctor_advise(findings,
                      "this looks like TCP over Ethernet: where there is a faster network, MPI must be built for it (UCX: OMPI_MCA_pml=ucx) and "
                      "see its adapters");
}

void doctor_check_network(const doctor_rank_t *ranks, int count, const doctor_link_t *links, doctor_findings_t *findings) {
    for (int i = 0; i < count; i++)
        if (!links[i].arrived) {
            check_lost(ranks, &links[i], findings);
            return;
        }
    const doctor_link_t *near = find_slowest(ranks, count, links, true), *far = find_slowest(ranks, count, links, false);
    if (near)
        check_link(ranks, near, true, findings);
    if (far)
        check_link(ranks, far, false, findings);
}
