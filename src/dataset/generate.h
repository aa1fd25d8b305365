/* Data sets made from a seed: Gaussian clusters, queries drawn from the same clusters, and the queries' exact neighbours. The same vectors come out
 * on every machine and for every number of threads. */
#ifndef DATASET_GENERATE_H
#define DATASET_GENERATE_H

#include <stdint.h>

#include "base/element.h"
#include "base/error.h"
#include "config/index_config.h"

typedef struct generate_options {
    const char *directory; /* made where it is missing */
    int64_t rows, dim, queries;
    element_t element;
    int64_t clusters; /* 0: sqrt(rows) */
    uint64_t seed;
    int64_t k; /* columns of groundtruth.ibin; rows beyond `rows` are -1 */
    config_metric_t metric;
    int threads;
} generate_options_t;

typedef void generate_progress_t(void *context, const char *step, double fraction);

/* Writes base.{fbin,f16bin,u8bin,i8bin}, query.<same>, groundtruth.ibin; progress may be NULL. Blocks of bounded memory: rows may exceed it, queries
 * may not. Rows are below 2^31. ERR_ARG names the option that is out of range; on failure no file is left half-written under its name. */
CHECKED dfaiss_status_t dataset_generate(const generate_options_t *options, generate_progress_t *progress, void *context, dfaiss_error_t *err);

#endif
