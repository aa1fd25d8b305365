/* How fast, and whether at all, messages travel between the hosts of a job. */
#ifndef CLI_DOCTOR_NETWORK_H
#define CLI_DOCTOR_NETWORK_H

#include <mpi.h>

#include "base/error.h"
#include "cli/doctor_host.h"

/* Between rank 0 and another rank. */
typedef struct doctor_link {
    int rank;
    bool arrived;     /* everything came, in time and unchanged */
    double latency;   /* seconds one way, of 8 bytes */
    double bandwidth; /* bytes a second, one way */
} doctor_link_t;

/* Which ranks to try: one of each host, that of rank 0 included where it has two; at most `most`, spread over the hosts. Returns how many. */
int doctor_network_partners(const doctor_rank_t *ranks, int n, int most, int *partners);

/* Collective. Every rank has the same partners; rank 0 gets links doctor_link_t[count]. Where a message does not arrive, *broken is set on rank 0 and
 * on nobody else: messages are under way still, the others wait, and the job can only be aborted. */
CHECKED dfaiss_status_t doctor_network_measure(MPI_Comm comm, int count, const int *partners, doctor_link_t *links, bool *broken,
                                               dfaiss_error_t *err);

void doctor_check_network(const doctor_rank_t *ranks, int count, const doctor_link_t *links, doctor_findings_t *findings);

#endif
