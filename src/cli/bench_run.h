/* The part of `dfaiss bench` that runs on the ranks of a job. */
#ifndef CLI_BENCH_RUN_H
#define CLI_BENCH_RUN_H

#include "cli/bench_result.h"
#include "cli/program.h"

/* Called by every rank, before MPI is initialised; afterwards MPI is finalized. Every rank gets the same status. program->speaks is set on exactly
 * one rank, which has *result (bench_result_clear) on success and the error's text on failure. ERR_UNSUPPORTED where the job has another number of
 * servers than saved the index. */
CHECKED dfaiss_status_t bench_run(program_t *program, const bench_options_t *options, bench_result_t *result, dfaiss_error_t *err);

#endif
