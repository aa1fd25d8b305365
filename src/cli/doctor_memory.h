/* Will an index fit into the memory of the hosts? By its configuration and the number of vectors. */
#ifndef CLI_DOCTOR_MEMORY_H
#define CLI_DOCTOR_MEMORY_H

#include "base/error.h"
#include "cli/doctor_host.h"

/* What an index takes, in bytes. */
typedef struct doctor_need {
    double vector;   /* in a server's memory and, nearly, on disk */
    double server;   /* beside its vectors: centroids, vectors that wait */
    double training; /* on the first server, before the others hold anything but vectors that wait */
    bool known;      /* false: faiss alone knows how large its codes are, and full vectors were taken for them */
    int64_t dim;
} doctor_need_t;

/* dim 0: that of the configuration. ERR_ARG where neither says it. */
CHECKED dfaiss_status_t doctor_memory_estimate(const char *config, int64_t rows, int64_t dim, doctor_need_t *need, dfaiss_error_t *err);

/* servers[n]: whether a rank would be a server. */
void doctor_check_memory(const doctor_rank_t *ranks, int n, const bool *servers, int64_t rows, const doctor_need_t *need,
                         doctor_findings_t *findings);

#endif
