/* Inside the engine room: memory that a search keeps from one call to the next and that only grows. */
#ifndef ENGINE_SCRATCH_H
#define ENGINE_SCRATCH_H

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

typedef struct scratch {
    void *data; /* 64-byte aligned; its content is lost when it grows */
    size_t bytes;
} scratch_t;

CHECKED static inline dfaiss_status_t scratch_need(scratch_t *scratch, size_t count, size_t size, dfaiss_error_t *err) {
    size_t bytes;
    if (!size_multiply(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return error_memory(err, SIZE_MAX, "searching");
    if (bytes <= scratch->bytes)
        return DFAISS_OK;
    bytes = (bytes + bytes / 8 + 63) / 64 * 64;
    void *data = aligned_alloc(64, bytes);
    if (!data)
        return error_memory(err, bytes, "searching");
    free(scratch->data);
    *scratch = (scratch_t){.data = data, .bytes = bytes};
    return DFAISS_OK;
}

static inline void scratch_free(scratch_t *scratch) {
    free(scratch->data);
    *scratch = (scratch_t){.data = NULL};
}

#endif
