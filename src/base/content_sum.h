/* A sum over a file's content that does not care in which order the content was written: every byte counts with its place, bytes that are zero or
 * were never written count nothing, and what is overwritten can be taken out again. So what was meant to be written can be compared with what is read
 * back afterwards. Against chance, not against intent: two numbers of 64 bits. */
#ifndef BASE_CONTENT_SUM_H
#define BASE_CONTENT_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct content_sum {
    uint64_t words;    /* of 8 bytes, little-endian */
    uint64_t weighted; /* each times its number, counted from 1 */
} content_sum_t;

void content_sum_add(content_sum_t *sum, uint64_t offset, const void *bytes, size_t size);
void content_sum_remove(content_sum_t *sum, uint64_t offset, const void *bytes, size_t size);
bool content_sum_equal(const content_sum_t *one, const content_sum_t *other);

#endif
