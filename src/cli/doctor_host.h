/* What the ranks of a job tell of themselves and their hosts, and what is wrong with how they were placed: binding, threads, processors, memory that
 * is shared. */
#ifndef CLI_DOCTOR_HOST_H
#define CLI_DOCTOR_HOST_H

#include <stdint.h>

#include "cli/bench_machine.h"
#include "cli/doctor_findings.h"

/* One rank; gathered as bytes. */
typedef struct doctor_rank {
    bench_rank_t rank;       /* its host, processor, SIMD level, cores */
    double start_seconds;    /* from the start of the process until MPI_Init was done */
    int64_t memory;          /* bytes that could be had; INT64_MAX: not known */
    int64_t shared_memory;   /* free bytes of /dev/shm; INT64_MAX: not known */
    int64_t locked_memory;   /* limit of it, bytes; INT64_MAX: none */
    int32_t host_processors; /* of the whole host, hyperthreads too */
    int32_t numa_nodes;      /* that the rank may run on */
    int32_t thread_level;    /* that MPI has granted */
    int32_t avx2;            /* 1: the processor has it */
    int32_t infiniband;      /* 1: the host has such adapters */
    char bound_threads[64];  /* NAME=VALUE of a variable that binds threads; "": none */
} doctor_rank_t;

/* Describes this process. */
void doctor_rank_describe(int thread_level, doctor_rank_t *rank);

/* Seconds since this process was started; 0 where the system does not say. */
double doctor_process_age(void);

/* The number of the host of a rank: the place of the first rank that is on it. */
int doctor_host_of(const doctor_rank_t *ranks, int rank);

/* Finds out from what n ranks say. */
void doctor_check_hosts(const doctor_rank_t *ranks, int n, doctor_findings_t *findings);

#endif
