/* What `dfaiss search` reads, opened and checked: before mpirun starts, and again by the rank that asks. */
#ifndef CLI_SEARCH_INPUT_H
#define CLI_SEARCH_INPUT_H

#include "cli/saved_index.h"
#include "cli/search_options.h"
#include "dataset/dataset.h"
#include "dataset/id_file.h"

typedef struct search_input {
    saved_index_t index; /* owned */
    dataset_t *queries;  /* owned */
    id_matrix_t truth;   /* rows: those of the queries; 0 rows without --groundtruth; owned */
} search_input_t;

/* Opens and checks everything that can be told without servers. On failure *input is untouched. */
CHECKED dfaiss_status_t search_input_open(const search_options_t *options, search_input_t *input, dfaiss_error_t *err);
/* The same for an index that is known already; taken over, also on failure. */
CHECKED dfaiss_status_t search_input_open_for(const search_options_t *options, saved_index_t *index, search_input_t *input, dfaiss_error_t *err);
void search_input_close(search_input_t *input);

/* Queries first to first + n - 1 as float[n][dim]. ERR_DATA names the place of a value that is not finite. */
CHECKED dfaiss_status_t search_input_read(const search_input_t *input, int64_t first, int64_t n, float *out, dfaiss_error_t *err);

#endif
