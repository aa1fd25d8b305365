/* The part of `dfaiss build` that runs on the ranks of a job. */
#ifndef CLI_BUILD_RUN_H
#define CLI_BUILD_RUN_H

#include "cli/build_input.h"

typedef struct build_result {
    int64_t servers, vectors, dim; /* vectors: that this run added */
    struct {
        double read, send, train, add, save, total;
    } seconds;
    double vectors_per_second;
    int64_t generation;
    uint64_t bytes_on_disk; /* of that generation */
    uint64_t rss_bytes;     /* of all servers together */
} build_result_t;

/* Says that a saved index has all of an input (input->complete), so that nothing is left to be done; *result tells of that index. */
void build_tell_complete(const program_t *program, const build_options_t *options, const build_input_t *input, build_result_t *result);

/* Called by every rank, before MPI is initialised; afterwards MPI is finalized. Every rank gets the same status. program->speaks is set on exactly
 * one rank, which has *result on success and the error's text on failure. ERR_ARG where options->servers is given and the job has another number of
 * servers. */
CHECKED dfaiss_status_t build_run(program_t *program, const build_options_t *options, build_result_t *result, dfaiss_error_t *err);

#endif
