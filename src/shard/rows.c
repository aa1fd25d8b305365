#include "shard/rows.h"

#include <stdlib.h>

#include "base/memory.h"

enum { HOLLOW_LEAST = 1024, HOLLOW_PART = 8 }; /* batches, and their share of all, that are worth looking at all */

void shard_rows_clear(shard_rows_t *rows) {
    for (int64_t i = 0; i < rows->count; i++)
        shard_batch_clear(&rows->batches[i]);
    free(rows->batches);
    *rows = (shard_rows_t){0};
}

static int64_t greatest_id(const shard_batch_t *batch) {
    int64_t greatest = batch->first_id + batch->n - 1;
    for (int64_t i = 0; batch->ids && i < batch->n; i++)
        greatest = i == 0 || batch->ids[i] > greatest ? batch->ids[i] : greatest;
    return greatest;
}

dfaiss_status_t shard_rows_append(shard_rows_t *rows, shard_batch_t *batch, dfaiss_error_t *err) {
    if (rows->count == rows->capacity) {
        int64_t capacity = rows->capacity ? rows->capacity + rows->capacity / 2 : 64;
        shard_batch_t *batches = realloc(rows->batches, (size_t)capacity * sizeof *batches);
        if (!batches)
            return error_memory(err, (size_t)capacity * sizeof *batches, "the batches of a shard");
        rows->batches = batches;
        rows->capacity = capacity;
    }
    batch->first_row = rows->rows;
    rows->batches[rows->count++] = *batch;
    rows->rows += batch->n;
    int64_t greatest = greatest_id(batch);
    if (greatest >= rows->next_id)
        rows->next_id = greatest + 1;
    rows->metadata_bytes += shard_batch_bytes(batch);
    rows->buffered_bytes += batch->vectors ? batch->vector_bytes : 0;
    return DFAISS_OK;
}

int64_t shard_rows_find(const shard_rows_t *rows, int64_t row) {
    int64_t low = 0, high = rows->count - 1;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        if (rows->batches[middle].first_row <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

void shard_rows_loosen(shard_rows_t *rows, int64_t batch) {
    rows->due -= shard_batch_due(&rows->batches[batch]);
    rows->batches[batch].loose++;
    rows->due += shard_batch_due(&rows->batches[batch]);
}

static bool is_hollow(const shard_batch_t *batch) {
    return batch->dropped == batch->n && !batch->ids && !batch->metadata_ends && !batch->vectors;
}

static void join(shard_batch_t *into, const shard_batch_t *batch) {
    into->n += batch->n;
    into->removed += batch->n;
    into->loose += batch->n;
    into->dropped += batch->n;
}

void shard_rows_join_hollow(shard_rows_t *rows) {
    int64_t kept = 0;
    if (rows->hollow < HOLLOW_LEAST || rows->hollow < rows->count / HOLLOW_PART)
        return;
    for (int64_t i = 0; i < rows->count; i++) {
        const shard_batch_t *batch = &rows->batches[i];
        if (kept > 0 && is_hollow(batch) && is_hollow(&rows->batches[kept - 1])) {
            join(&rows->batches[kept - 1], batch);
            rows->metadata_bytes -= shard_batch_bytes(batch);
        } else {
            rows->batches[kept++] = *batch;
        }
    }
    rows->count = kept;
    rows->hollow = 0;
    rows->freed = 0;
}

void shard_rows_free_vectors(shard_rows_t *rows, int64_t row) {
    for (; rows->freed < rows->count; rows->freed++) {
        shard_batch_t *batch = &rows->batches[rows->freed];
        if (batch->first_row + batch->n > row)
            return;
        if (batch->vectors) {
            memory_unmap(batch->vectors, batch->vector_bytes);
            rows->buffered_bytes -= batch->vector_bytes;
            rows->due -= shard_batch_due(batch);
            batch->vectors = NULL;
            rows->due += shard_batch_due(batch);
            rows->hollow += is_hollow(batch);
        }
    }
}
