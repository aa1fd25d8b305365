/* Random numbers that depend on nothing but a seed and a stream number: the same on every machine and for every number of threads.
 * SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

typedef struct random_state {
    uint64_t state;
} random_state_t;

/* Stream number `stream` of a seed. */
random_state_t random_stream(uint64_t seed, uint64_t stream);
uint64_t random_u64(random_state_t *state);
/* Uniform in [0, bound), bound >= 1, without bias that could be seen. */
uint64_t random_below(random_state_t *state, uint64_t bound);
/* Uniform in [0, 1). */
double random_unit(random_state_t *state);
/* Normal with mean 0 and standard deviation 1. */
double random_normal(random_state_t *state);

/* `count` different numbers of [0, n), ascending, drawn uniformly: out int64_t[count]; count <= n. */
void random_sample(random_state_t *state, int64_t n, int64_t count, int64_t *out);

#endif
