/* The hosts that a job runs on, for whoever reads a benchmark's figures later. */
#ifndef CLI_BENCH_MACHINE_H
#define CLI_BENCH_MACHINE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <mpi.h>

#include "base/error.h"

/* What one rank tells of its host. */
typedef struct bench_rank {
    char host[256];
    char processor[128]; /* as the system names its model */
    char simd[16];       /* that faiss uses there */
    cpu_set_t allowed;   /* processors that the rank may use */
    int32_t cores;       /* the physical cores among them */
    int32_t server;      /* 1: a server; 0: a client */
} bench_rank_t;

/* What they tell together of one host. */
typedef struct bench_host {
    const bench_rank_t *first; /* of its ranks; borrowed */
    int cores;                 /* physical, that its ranks may use */
    int servers, clients;
} bench_host_t;

typedef struct bench_machine {
    int count;
    bench_host_t *hosts; /* bench_host_t[count], in the order of their first ranks; owned */
    bench_rank_t *ranks; /* owned */
} bench_machine_t;

/* Describes this process. */
void bench_rank_describe(bool server, bench_rank_t *rank);

/* Puts the ranks of each host together. Takes over `ranks` bench_rank_t[n], malloc'ed, also on failure. */
CHECKED dfaiss_status_t bench_machine_make(bench_rank_t *ranks, int n, bench_machine_t *out, dfaiss_error_t *err);

/* Collective over `ranks`, whose first `servers` are the servers; the one behind them, the first client, gets *machine. */
CHECKED dfaiss_status_t bench_machine_gather(MPI_Comm ranks, int servers, bench_machine_t *machine, dfaiss_error_t *err);

void bench_machine_clear(bench_machine_t *machine);

/* [{"name", "processor", "cores", "simd", "servers", "clients"}] as a new reference; NULL: no memory. */
json_t *bench_machine_json(const bench_machine_t *machine);

#endif
