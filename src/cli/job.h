/* One rank of a job: servers serve, clients do the work of a subcommand, and all of them end together. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "cli/program.h"
#include "client/bulk_load.h"

typedef struct job_options {
    const char *storage;
    int64_t servers; /* as asked for; 0: all ranks but the last, which is the client */
    int64_t threads; /* of each server; 0: as its cores allow */
    double timeout;  /* seconds that a server may be silent; 0: no limit */
} job_options_t;

/* The work of the client rank. */
typedef dfaiss_status_t job_client_t(dfaiss_client_t *client, void *context, dfaiss_error_t *err);

/* Collective over all ranks: starts MPI, lets servers serve until the last rank, which works as their client, has finished, and ends MPI. Every rank
 * returns the same status; the one that speaks has the error's text. Where ranks cannot be waited for any more (a peer is lost, MPI failed, a server
 * cannot go on) the failure is reported and the job aborted with its exit code. */
CHECKED dfaiss_status_t job_run(program_t *program, const job_options_t *options, job_client_t *work, void *context, dfaiss_error_t *err);

#endif
