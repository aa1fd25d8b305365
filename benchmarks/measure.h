/* Measuring searches of any system, by commands.
 *
 *   search BATCH SECONDS   answers {"batch", "calls", "queries", "seconds", "qps", "p50_us", "p99_us", "recall", "recall_queries",
 *                          "answered"}
 *   quit                   ends, as the end of the commands does
 *
 * A closed loop: one caller sends the next batch when the last is answered. Times are those of the calls alone. The queries are used in order, again
 * from the first when they are used up. Recall is that of fixed queries (the first ones), searched once in batches of that size before any timing.
 * "answered" counts all queries since the command, those that were not timed too.
 */
#ifndef BENCHMARKS_MEASURE_H
#define BENCHMARKS_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "bench.h"

/* The k nearest of nq queries float[nq][dim]: ids int64_t[nq][k], rows of the data file. */
typedef dfaiss_status_t measure_search_t(void *context, int64_t nq, const float *queries, int64_t *ids, dfaiss_error_t *err);

/* What building took, and what it left in memory. */
typedef struct measure_built {
    int64_t vectors;
    double train_seconds;
    double ingest_seconds; /* from the first row read until all rows are in the index */
    size_t rss_bytes;      /* of all processes of the system */
    size_t rss_servers;    /* of those that hold the index */
} measure_built_t;

/* Prints `built`, then obeys commands until they end. */
CHECKED dfaiss_status_t measure_serve(const bench_options_t *options, const measure_built_t *built, measure_search_t *search, void *context,
                                      dfaiss_error_t *err);

#endif
