/* Memory for arrays whose size comes from outside: products are checked, and large blocks come from the kernel directly, so that they are
 * backed by pages only where they are written and go back when freed. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *product = a * b; false where that does not fit. */
static inline bool size_multiply(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}

/* A block, zeroed; a large one is a mapping of its own, page-aligned. NULL when bytes is 0 or there is no memory. */
void *memory_map(size_t bytes);

/* Frees a block of memory_map; `bytes` as given there. NULL is fine. */
void memory_unmap(void *block, size_t bytes);

/* Has the C library give large blocks back to the system as soon as they are freed, where it would otherwise keep ever larger ones for reuse. For a
 * process that holds most of a node's memory; once, before other threads run. */
void memory_return_freed(void);

/* Gives memory back to the system that was freed and is kept for reuse, where the C library can. Takes milliseconds. */
void memory_trim(void);

/* Bytes of memory that this process has resident now (0 where the system does not say), and the most it ever had. */
size_t memory_resident(void);
size_t memory_resident_peak(void);

/* Bytes of memory that could be had now without swapping, on this node and within the limit of the job or container (SIZE_MAX where the system
 * does not say). */
size_t memory_available(void);

#endif
