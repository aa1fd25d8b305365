/* What `dfaiss bench` has measured, and what it was measured on. */
#ifndef CLI_BENCH_RESULT_H
#define CLI_BENCH_RESULT_H

#include <stdint.h>

#include <jansson.h>

#include "cli/bench_machine.h"
#include "cli/bench_options.h"

/* One combination. Times are of a request, in microseconds. */
typedef struct bench_run {
    int64_t threads, clients, batch, k, nprobe;
    int64_t requests;              /* counted, of all clients and repeats */
    double qps;                    /* of all clients together; the median of the repeats */
    double qps_least, qps_most;    /* of the repeats */
    double p50_us, p95_us, p99_us; /* over all repeats and clients */
    double recall;                 /* recall@k; below 0 where no truth tells it */
} bench_run_t;

typedef struct bench_result {
    bench_machine_t machine; /* owned */
    char date[32];           /* of the first measurement, as ISO 8601 */
    json_t *config;          /* of the index; owned */
    int servers;
    int64_t vectors, dim, generation;
    int64_t queries;       /* in the file */
    int64_t truth_columns; /* true neighbours known of each; 0: none */
    int64_t count;
    bench_run_t *runs; /* bench_run_t[count], with nprobe varying fastest; owned */
} bench_result_t;

void bench_result_clear(bench_result_t *result);

/* {"environment", "runs"} as a new reference; NULL: no memory. */
json_t *bench_result_json(const bench_options_t *options, const bench_result_t *result);

/* "ivf_simple", or the factory string. Borrowed from the result. */
const char *bench_result_kind(const bench_result_t *result);
const char *bench_result_metric(const bench_result_t *result);

#endif
