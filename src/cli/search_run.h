/* The part of `dfaiss search` that runs on the ranks of a job. */
#ifndef CLI_SEARCH_RUN_H
#define CLI_SEARCH_RUN_H

#include "cli/program.h"
#include "cli/search_options.h"
#include "cli/search_output.h"

typedef struct search_result {
    int64_t servers;
    int64_t nprobe;           /* that was used */
    double seconds;           /* from the first query sent to the last answer received */
    search_answers_t answers; /* with metadata where options->form is SEARCH_OUTPUT_JSONL and there is some; search_answers_clear frees it */
} search_result_t;

/* With options->connect by one process, which speaks; otherwise called by every rank, before MPI is initialised; afterwards MPI is finalized. Every
 * rank gets the same status. program->speaks is set on exactly one rank, which has *result on success and the error's text on failure; the others get
 * no answers. ERR_UNSUPPORTED where the job has another number of servers than saved the index. */
CHECKED dfaiss_status_t search_run(program_t *program, const search_options_t *options, search_result_t *result, dfaiss_error_t *err);

#endif
