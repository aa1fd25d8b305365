/* Which rows of a shard are still there: all, until the first is removed. */
#include "shard/shard_internal.h"

int64_t shard_living(const shard_t *shard) {
    return shard->rows.rows - shard->dead;
}

int64_t shard_living_indexed(const shard_t *shard) {
    return shard_indexed(shard) - shard->dead_indexed;
}

int64_t shard_removed(const shard_t *shard) {
    int64_t held = shard->store ? engine_store_held(shard->store) - shard_living_indexed(shard) : 0;
    return held + shard->dead - shard->dead_indexed;
}

bool shard_lives(const shard_t *shard, int64_t row) {
    return row >= 0 && row < shard->rows.rows && (!shard->living || bitmap_get(shard->living, row));
}

bool shard_tells(const shard_t *shard, int64_t row) {
    return shard_lives(shard, row) || shard_was_replaced(shard, row);
}

dfaiss_status_t shard_prepare_to_remove(shard_t *shard, int64_t row, dfaiss_error_t *err) {
    if (!shard->living)
        shard->living = bitmap_create_shared(shard->rows.rows, true);
    if (!shard->living || !bitmap_own(&shard->living, row))
        return error_memory(err, ENGINE_ROWS_A_BLOCK / 8, "removing vectors");
    return DFAISS_OK;
}

bool shard_remove_row(shard_t *shard, int64_t row, bool replaced, int64_t *batch) {
    shard_rows_t *rows = &shard->rows;
    const shard_batch_t *near = &rows->batches[*batch];
    if (!bitmap_get(shard->living, row))
        return false;
    if (row < near->first_row || row >= near->first_row + near->n)
        *batch = shard_rows_find(rows, row);
    bitmap_set(shard->living, row, false);
    rows->batches[*batch].removed++;
    if (!replaced)
        shard_rows_loosen(rows, *batch);
    shard->dead++;
    shard->dead_indexed += row < shard_indexed(shard);
    return true;
}

void shard_take_living(shard_t *shard, bitmap_t *living) {
    shard->living = living;
    for (int64_t i = 0; living && i < shard->rows.count; i++) {
        shard_batch_t *batch = &shard->rows.batches[i];
        batch->removed = batch->n - bitmap_count(living, batch->first_row, batch->first_row + batch->n);
        batch->loose = batch->removed;
        shard->dead += batch->removed;
        shard->rows.due += shard_batch_due(batch);
    }
    if (living)
        shard_note_indexed(shard, 0);
}

void shard_note_indexed(shard_t *shard, int64_t before) {
    int64_t now = shard_indexed(shard);
    if (shard->living && now > before)
        shard->dead_indexed += now - before - bitmap_count(shard->living, before, now);
}
