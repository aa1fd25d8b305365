/* How long requests took: a histogram of fixed size, so that any number of requests can be counted without memory for each, and the counts of several
 * clients are added up by a sum. A bucket is at most 1/256 of its value wide, so that a percentile is off by 0.2 % at most. */
#ifndef CLI_BENCH_LATENCY_H
#define CLI_BENCH_LATENCY_H

#include <stdint.h>

/* From 2^44 ns (5 hours) on everything counts as that. */
enum { BENCH_LATENCY_BITS = 44, BENCH_LATENCY_FINE = 8, BENCH_LATENCY_BUCKETS = (BENCH_LATENCY_BITS - BENCH_LATENCY_FINE + 1) << BENCH_LATENCY_FINE };

typedef struct bench_latency {
    uint64_t counts[BENCH_LATENCY_BUCKETS]; /* all 0: nothing was counted */
} bench_latency_t;

/* Counts one request; what is below 0 counts as 0. */
void bench_latency_add(bench_latency_t *latency, int64_t nanoseconds);

uint64_t bench_latency_count(const bench_latency_t *latency);

/* The time that a share (0 to 1) of the requests did not exceed, by nearest rank, in nanoseconds; 0 where nothing was counted. */
double bench_latency_percentile(const bench_latency_t *latency, double share);

#endif
