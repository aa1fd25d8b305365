/* Exact shares of numbers whose products need more than 64 bits. */
#ifndef BASE_SHARE_H
#define BASE_SHARE_H

#include <stdint.h>

/* total * part / whole, rounded down: what the first `part` of `whole` get of `total`. None is negative; part <= whole, whole >= 1. */
static inline int64_t share_of(int64_t total, int64_t part, int64_t whole) {
    return (int64_t)((unsigned __int128)total * (uint64_t)part / (uint64_t)whole);
}

#endif
