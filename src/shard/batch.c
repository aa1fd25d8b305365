#include "shard/batch.h"

#include <stdlib.h>

#include "base/memory.h"

void shard_batch_clear(shard_batch_t *batch) {
    free(batch->ids);
    free(batch->metadata_ends);
    free(batch->metadata);
    memory_unmap(batch->vectors, batch->vector_bytes);
    *batch = (shard_batch_t){0};
}
