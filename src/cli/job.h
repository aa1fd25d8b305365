/* One rank of a job: servers serve, clients do the work of a subcommand, and all of them end together. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include <mpi.h>

#include "cli/program.h"
#include "client/bulk_load.h"

/* What every rank does before it works. Collective over `ranks` (the job's for this call), which are those that run this command: first `servers`
 * servers, then the clients. servers 0: others serve, with `dfaiss serve`. */
typedef dfaiss_status_t job_meet_t(MPI_Comm ranks, int servers, void *context, dfaiss_error_t *err);

/* Who is a server, as the command line says it. Ranks that run `dfaiss serve` beside this command are servers in any case, and then none of its own
 * ranks is. */
typedef struct job_roles {
    int64_t servers;  /* so many ranks, the first ones; 0: all but the clients, which are the last */
    int64_t per_node; /* so many of each node, its first ones; 0: not given */
} job_roles_t;

typedef struct job_options {
    const char *storage;
    job_roles_t roles;
    int64_t clients;  /* that the work needs; where the roles leave more ranks, those are clients, too. 0: one, and any other has nothing to do */
    int64_t threads;  /* of each server; 0: as its cores allow */
    double timeout;   /* seconds that a server may be silent; 0: no limit */
    double grace;     /* seconds that the save may take that a signal asks for before the job ends; 0: no limit */
    job_meet_t *meet; /* NULL: nothing */
} job_options_t;

/* The work of a client rank. */
typedef dfaiss_status_t job_client_t(dfaiss_client_t *client, void *context, dfaiss_error_t *err);

/* Collective over all ranks: starts MPI, lets servers serve until the ranks that work as their clients have finished, and ends MPI. Every
 * rank returns the same status; the first client is the one that speaks, with the error's text where it has failed itself. Where ranks cannot be
 * waited for any more (a peer is lost, MPI failed, a server cannot go on) the failure is reported and the job aborted with its exit code. */
CHECKED dfaiss_status_t job_run(program_t *program, const job_options_t *options, job_client_t *work, void *context, dfaiss_error_t *err);

/* For a rank that cannot take part, since its command or its input is wrong: joins the others, which wait for it, and lets them all end. False where
 * there are none, or MPI runs already; otherwise the reason was reported, by the first rank that has one. */
bool job_refuse(program_t *program, const dfaiss_error_t *reason);

/* Loads the newest generation of an index, unless the servers have an index of that name in memory: `dfaiss serve --load` beside this command. */
CHECKED dfaiss_status_t job_load_index(dfaiss_client_t *client, const char *index, dfaiss_error_t *err);

/* Does a client's failure of this status end the whole job at once? Then it must not wait for other clients before it returns. */
bool job_must_abort(dfaiss_status_t status);

#endif
