/* Finding a place in ascending numbers. */
#ifndef BASE_BISECT_H
#define BASE_BISECT_H

#include <stdint.h>

/* The place of the first of `count` ascending numbers that is not below `least`; `count` where there is none. */
static inline int64_t bisect_place(const int64_t *numbers, int64_t count, int64_t least) {
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (numbers[middle] < least)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
