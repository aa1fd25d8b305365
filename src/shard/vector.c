/* The vector of a row, from the batch that it came in or from the index. */
#include "shard/shard_internal.h"

static dfaiss_status_t indexed_vector(shard_t *shard, int64_t row, float *out, bool *there, dfaiss_error_t *err) {
    dfaiss_status_t status = engine_store_reconstruct(shard->store, 1, &row, out, err);
    *there = status == DFAISS_OK;
    /* The row is one of the store's, which has dropped it. */
    if (status == DFAISS_ERR_ARG)
        return DFAISS_OK;
    if (status == DFAISS_ERR_UNSUPPORTED)
        return error_prefix(err, status, "vectors of index '%s', of kind '%s', cannot be given back: ", shard->name,
                            index_config_kind(shard->config));
    return status;
}

dfaiss_status_t shard_locate(shard_t *shard, int64_t deadline, bool *ready, dfaiss_error_t *err) {
    *ready = true;
    return shard->store ? engine_store_locate(shard->store, deadline, ready, err) : DFAISS_OK;
}

dfaiss_status_t shard_vector(shard_t *shard, int64_t row, float *out, bool *there, dfaiss_error_t *err) {
    *there = false;
    if (row < 0 || row >= shard->rows.rows)
        return DFAISS_OK;
    if (row < shard_indexed(shard))
        return indexed_vector(shard, row, out, there, err);
    const shard_batch_t *batch = &shard->rows.batches[shard_rows_find(&shard->rows, row)];
    if (!batch->vectors) /* all of its rows were removed */
        return DFAISS_OK;
    size_t skipped = (size_t)((row - batch->first_row) * shard->config->dim);
    engine_prepare(shard->template, batch->element, (const uint8_t *)batch->vectors + skipped * element_size(batch->element), 1, out);
    *there = true;
    return DFAISS_OK;
}
