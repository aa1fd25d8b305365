/* Work with servers that listen (dfaiss serve --listen FILE), by one process without mpirun, in place of a job with servers of its own. */
#ifndef CLI_CONNECTED_H
#define CLI_CONNECTED_H

#include "cli/job.h"
#include "cli/saved_index.h"

/* Connects, works as their client, and leaves. Of several ranks the first one works, and program->speaks; the others have nothing to do. timeout:
 * seconds that a server may be silent; 0: no limit. */
CHECKED dfaiss_status_t connected_run(program_t *program, const char *listen_file, double timeout, job_client_t *work, void *context,
                                      dfaiss_error_t *err);

/* What the servers tell of an index in their memory, in the form of a saved one (generation and ids are not known); ERR_NOT_FOUND. */
CHECKED dfaiss_status_t connected_index(dfaiss_client_t *client, const char *index, saved_index_t *out, dfaiss_error_t *err);

#endif
