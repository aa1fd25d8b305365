/* The name that a mistyped word most likely meant. */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#include <stddef.h>

/* A search for the nearest of several names: start with {.word = ...}, offer each name, then read `name` (NULL: none is near). Everything is
 * borrowed. */
typedef struct nearest {
    const char *word;
    const char *name;
    size_t distance;
} nearest_t;

void nearest_offer(nearest_t *nearest, const char *name);

#endif
