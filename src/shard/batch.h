/* The rows that arrived together at a shard: their ids, metadata, and, until they are indexed, their vectors. */
#ifndef SHARD_BATCH_H
#define SHARD_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/element.h"

typedef struct shard_batch {
    int64_t first_row; /* batches of a shard follow each other without gaps */
    int64_t n;
    int64_t removed;         /* rows that are not there any more */
    int64_t loose;           /* those of them that nobody asks for any more */
    int64_t dropped;         /* how many of these there were when their memory was last given back */
    int64_t first_id;        /* where ids is NULL: row i has id first_id + i */
    int64_t *ids;            /* int64_t[n] or NULL; owned, free() */
    uint64_t *metadata_ends; /* uint64_t[n]: where each row's metadata ends in `metadata`; NULL where the batch has none; owned, free() */
    uint8_t *metadata;       /* owned, free() */
    element_t element;
    void *vectors; /* n * dim components of `element`; NULL once indexed or when all rows are gone; owned, memory_unmap(vectors, vector_bytes) */
    size_t vector_bytes; /* size of that block */
    uint64_t input; /* number of the input whose rows input_row to input_row + n - 1 these are; 0: of none. Means nothing once they have arrived */
    int64_t input_row;
} shard_batch_t;

static inline int64_t shard_batch_id(const shard_batch_t *batch, int64_t row) {
    return batch->ids ? batch->ids[row - batch->first_row] : batch->first_id + (row - batch->first_row);
}

/* An eighth of its rows has come loose since memory was last given back, and there is something to be given back. */
bool shard_batch_due(const shard_batch_t *batch);
/* Bytes of its metadata and explicit ids. */
size_t shard_batch_bytes(const shard_batch_t *batch);

/* Frees what a batch owns. */
void shard_batch_clear(shard_batch_t *batch);

#endif
