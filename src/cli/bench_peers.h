/* The clients of a benchmark among themselves: they start together, learn of each other's failures, and add up what they have counted.
 *
 * All calls are collective over the clients. Whoever waits gives its core away: clients that have nothing to do must not slow down those that
 * measure.
 */
#ifndef CLI_BENCH_PEERS_H
#define CLI_BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mpi.h>

#include "base/error.h"

typedef struct bench_peers {
    MPI_Comm communicator; /* MPI_COMM_NULL on servers */
    int number, count;     /* this client's number, and how many there are */
} bench_peers_t;

/* Collective over `ranks`, whose first `servers` are the servers. */
CHECKED dfaiss_status_t bench_peers_create(MPI_Comm ranks, int servers, bench_peers_t *peers, dfaiss_error_t *err);
void bench_peers_destroy(bench_peers_t *peers);

/* Returns when all clients have come here. */
CHECKED dfaiss_status_t bench_peers_meet(const bench_peers_t *peers, dfaiss_error_t *err);

/* All clients return the same status: their own, DFAISS_OK, or that of the first client which has failed, with its text. A failure that ends the job
 * at once (job_must_abort) is returned by itself, without the others. */
CHECKED dfaiss_status_t bench_peers_agree(const bench_peers_t *peers, dfaiss_status_t status, dfaiss_error_t *err);

/* Tells the others, before they come to agree, that this one has failed; and whether another one has told so. Not collective. */
void bench_peers_fail(const bench_peers_t *peers);
bool bench_peers_failed(const bench_peers_t *peers);

/* What client 0 has in `data`, all have afterwards. */
CHECKED dfaiss_status_t bench_peers_share(const bench_peers_t *peers, void *data, size_t size, dfaiss_error_t *err);

/* Adds up numbers of all clients, each with its like, on client 0 in place: counts uint64_t[count_n], rates double[rate_n]. */
CHECKED dfaiss_status_t bench_peers_add(const bench_peers_t *peers, uint64_t *counts, int count_n, double *rates, int rate_n, dfaiss_error_t *err);

#endif
