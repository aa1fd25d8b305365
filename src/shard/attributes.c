/* The attributes of a shard's rows: columns that grow with every batch, from what came with it or from its metadata. */
#include <stdlib.h>

#include "shard/shard_internal.h"

dfaiss_status_t shard_attributes_create(shard_t *shard, const index_config_t *config, dfaiss_error_t *err) {
    TRY(attribute_schema_create(config->attributes, shard->name, &shard->schema, err));
    return shard->schema->count > 0 ? attribute_columns_create(shard->schema, &shard->attributes, err) : DFAISS_OK;
}

dfaiss_status_t shard_attributes_append(shard_t *shard, const shard_batch_t *batch, const void *columns, size_t column_bytes, dfaiss_error_t *err) {
    attribute_rows_t rows = {.n = batch->n, .metadata = batch->metadata, .metadata_ends = batch->metadata_ends};
    attribute_given_t *given = NULL;
    if (column_bytes > 0)
        TRY(attribute_given_decode(shard->schema, batch->n, columns, column_bytes, &given, &rows.given_count, err));
    rows.given = given;
    dfaiss_status_t status = shard->attributes ? attribute_columns_append(shard->attributes, &rows, err) : DFAISS_OK;
    free(given);
    return status;
}
