/* The batches of a shard, one after the other, and the way from a row to its batch. Of this room alone. */
#ifndef SHARD_ROWS_H
#define SHARD_ROWS_H

#include <stddef.h>

#include "base/error.h"
#include "shard/batch.h"

typedef struct shard_rows {
    shard_batch_t *batches; /* owned, with what they own */
    int64_t count;
    int64_t capacity;
    int64_t rows;
    int64_t freed;   /* batches before this one have no vectors any more */
    int64_t due;     /* batches that have memory of removed rows to give back */
    int64_t hollow;  /* batches that have come to have nothing but the numbers of their rows, since such were joined */
    int64_t next_id; /* greater than every id */
    size_t metadata_bytes;
    size_t buffered_bytes;
} shard_rows_t;

void shard_rows_clear(shard_rows_t *rows);
/* Takes over a batch at the end and sets its first_row; on failure it stays the caller's. */
CHECKED dfaiss_status_t shard_rows_append(shard_rows_t *rows, shard_batch_t *batch, dfaiss_error_t *err);
/* Number of the batch that holds a row; the row must exist. */
int64_t shard_rows_find(const shard_rows_t *rows, int64_t row);
/* One row more of a batch is gone, and nobody asks for it any more. */
void shard_rows_loosen(shard_rows_t *rows, int64_t batch);
/* Joins batches that lie beside each other and have nothing left, when there are many of them: numbers of batches change then. */
void shard_rows_join_hollow(shard_rows_t *rows);
/* Frees the vectors of batches that lie before `row` as a whole. */
void shard_rows_free_vectors(shard_rows_t *rows, int64_t row);

#endif
