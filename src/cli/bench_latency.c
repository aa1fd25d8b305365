#include "cli/bench_latency.h"

#include <math.h>

/* Below 2^FINE a bucket a nanosecond; above, 2^FINE buckets between a power of two and the next. */
static int bucket_of(uint64_t nanoseconds) {
    if (nanoseconds >> BENCH_LATENCY_BITS)
        return BENCH_LATENCY_BUCKETS - 1;
    if (nanoseconds >> BENCH_LATENCY_FINE == 0)
        return (int)nanoseconds;
    int shift = 63 - __builtin_clzll(nanoseconds) - BENCH_LATENCY_FINE;
    return (shift << BENCH_LATENCY_FINE) + (int)(nanoseconds >> shift);
}

static double bucket_middle(int bucket) {
    if (bucket >> BENCH_LATENCY_FINE == 0)
        return bucket;
    int shift = (bucket >> BENCH_LATENCY_FINE) - 1;
    uint64_t first = (uint64_t)(bucket - (shift << BENCH_LATENCY_FINE)) << shift;
    return (double)first + (double)(((uint64_t)1 << shift) - 1) / 2;
}

void bench_latency_add(bench_latency_t *latency, int64_t nanoseconds) {
    latency->counts[bucket_of(nanoseconds > 0 ? (uint64_t)nanoseconds : 0)]++;
}

uint64_t bench_latency_count(const bench_latency_t *latency) {
    uint64_t count = 0;
    for (int bucket = 0; bucket < BENCH_LATENCY_BUCKETS; bucket++)
        count += latency->counts[bucket];
    return count;
}

double bench_latency_percentile(const bench_latency_t *latency, double share) {
    double wanted = ceil(share * (double)bench_latency_count(latency));
    uint64_t rank = wanted > 1 ? (uint64_t)wanted : 1, seen = 0;
    for (int bucket = 0; bucket < BENCH_LATENCY_BUCKETS; bucket++) {
        seen += latency->counts[bucket];
        if (seen >= rank)
            return bucket_middle(bucket);
    }
    return 0;
}
