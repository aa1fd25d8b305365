#include "shard/batch.h"

#include <stdlib.h>

#include "base/memory.h"

enum { PART = 8 };

bool shard_batch_due(const shard_batch_t *batch) {
    bool has_something = batch->metadata_ends || batch->loose == batch->n;
    return has_something && batch->loose > batch->dropped && (batch->loose - batch->dropped) * PART >= batch->n;
}

size_t shard_batch_bytes(const shard_batch_t *batch) {
    size_t n = (size_t)batch->n;
    size_t bytes = sizeof *batch;
    if (batch->ids)
        bytes += n * sizeof *batch->ids;
    if (batch->metadata_ends)
        bytes += n * sizeof *batch->metadata_ends + (size_t)batch->metadata_ends[n - 1];
    return bytes;
}

void shard_batch_clear(shard_batch_t *batch) {
    free(batch->ids);
    free(batch->metadata_ends);
    free(batch->metadata);
    memory_unmap(batch->vectors, batch->vector_bytes);
    *batch = (shard_batch_t){0};
}
