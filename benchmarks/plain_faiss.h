/* An index by faiss's C API alone, as a user of faiss would make it. */
#ifndef BENCHMARKS_PLAIN_FAISS_H
#define BENCHMARKS_PLAIN_FAISS_H

#include <faiss/c_api/Index_c.h>

#include "bench.h"

/* An index by options->factory (L2), trained on options->sample random rows of the data with the calling thread's OpenMP threads; *seconds: what
 * training took. The caller frees it with faiss_Index_free. */
CHECKED dfaiss_status_t plain_faiss_train(const bench_options_t *options, const dataset_t *dataset, FaissIndex **out, double *seconds,
                                          dfaiss_error_t *err);

/* Sets nprobe or efSearch. */
CHECKED dfaiss_status_t plain_faiss_set_effort(const bench_options_t *options, FaissIndex *index, dfaiss_error_t *err);

/* ERR_FAISS with faiss's text where code is not 0. */
CHECKED dfaiss_status_t plain_faiss_check(int code, const char *action, dfaiss_error_t *err);

#endif
