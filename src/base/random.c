#include "base/random.h"

#include <math.h>

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

random_state_t random_stream(uint64_t seed, uint64_t stream) {
    return (random_state_t){.state = mix(seed + 0x9e3779b97f4a7c15u) ^ mix(stream * 0xd1342543de82ef95u + 1)};
}

uint64_t random_u64(random_state_t *state) {
    state->state += 0x9e3779b97f4a7c15u;
    return mix(state->state);
}

uint64_t random_below(random_state_t *state, uint64_t bound) {
    return (uint64_t)(((unsigned __int128)random_u64(state) * bound) >> 64);
}

double random_unit(random_state_t *state) {
    return (double)(random_u64(state) >> 11) * 0x1p-53;
}

double random_normal(random_state_t *state) {
    /* Box and Muller; one of the two values is dropped so that a stream has no hidden state. */
    double radius = sqrt(-2 * log(1 - random_unit(state)));
    return radius * cos(6.283185307179586 * random_unit(state));
}

void random_sample(random_state_t *state, int64_t n, int64_t count, int64_t *out) {
    /* Selection sampling: Knuth, The Art of Computer Programming, volume 2, algorithm 3.4.2 S. */
    int64_t taken = 0;
    for (int64_t row = 0; taken < count; row++) {
        if ((int64_t)random_below(state, (uint64_t)(n - row)) < count - taken)
            out[taken++] = row;
    }
}
