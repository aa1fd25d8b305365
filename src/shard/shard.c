#include "shard/shard.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "shard/removal.h"
#include "shard/shard_internal.h"

void shard_destroy(shard_t *shard) {
    if (!shard)
        return;
    shard_search_drop_idle(shard);
    free(shard->idle_searches);
    shard_sample_clear(&shard->sample);
    engine_block_destroy(shard->job.block);
    free(shard->job.pieces);
    memory_unmap(shard->job.vectors, shard->job.vector_bytes);
    engine_block_destroy(shard->pending_block);
    engine_store_destroy(shard->store);
    engine_store_destroy(shard->pending_store);
    engine_template_destroy(shard->template);
    engine_template_destroy(shard->pending_template);
    shard_rows_clear(&shard->rows);
    inputs_clear(&shard->inputs);
    shard_filters_clear(&shard->filters);
    shard_compaction_clear(&shard->compaction);
    bitmap_release(shard->living);
    free(shard->hidden.rows);
    bitmap_release(shard->kept);
    for (int i = 0; i < 2; i++)
        free(shard->replaced[i].rows);
    attribute_columns_destroy(shard->attributes);
    attribute_schema_destroy(shard->schema);
    index_config_destroy(shard->config);
    free(shard->name);
    free(shard);
}

/* A shard without configuration, template and rows. */
static dfaiss_status_t make_shard(const char *name, int server, team_t *team, shard_t **out, dfaiss_error_t *err) {
    shard_t *shard = calloc(1, sizeof *shard);
    if (!shard)
        return error_memory(err, sizeof *shard, "a shard");
    shard->server = server;
    shard->team = team;
    shard->keep_replaced = SHARD_KEEP_REPLACED;
    shard->name = strdup(name);
    if (!shard->name) {
        shard_destroy(shard);
        return error_memory(err, strlen(name) + 1, "a shard");
    }
    *out = shard;
    return DFAISS_OK;
}

/* Kinds that need no training are ready at once. */
static dfaiss_status_t make_template(shard_t *shard, const index_config_t *config, dfaiss_error_t *err) {
    if (config->dim == 0)
        return DFAISS_OK;
    TRY(engine_template_create(config, shard->expected_rows, &shard->template, err));
    if (!engine_template_trained(shard->template))
        return DFAISS_OK;
    return engine_store_create(shard->template, config->segment_rows, &shard->store, err);
}

dfaiss_status_t shard_create(const char *name, index_config_t *config, int64_t expected_rows, int server, team_t *team, shard_t **out,
                             dfaiss_error_t *err) {
    shard_t *shard = NULL;
    if (config->placement == CONFIG_PLACEMENT_lists)
        return error_set(err, DFAISS_ERR_UNSUPPORTED, "placement", "placement is \"lists\", which this version cannot do; use \"rows\"");
    TRY(make_shard(name, server, team, &shard, err));
    shard->expected_rows = expected_rows;
    dfaiss_status_t status = make_template(shard, config, err);
    if (status == DFAISS_OK)
        status = shard_attributes_create(shard, config, err);
    if (status != DFAISS_OK) {
        shard_destroy(shard);
        return status;
    }
    shard->config = config;
    shard->nprobe = config->nprobe;
    *out = shard;
    return DFAISS_OK;
}

dfaiss_status_t shard_restore(const char *name, const shard_restored_t *restored, int64_t expected_rows, int server, team_t *team, shard_t **out,
                              dfaiss_error_t *err) {
    shard_t *shard = NULL;
    TRY(make_shard(name, server, team, &shard, err));
    shard->expected_rows = expected_rows;
    dfaiss_status_t status = restored->template ? DFAISS_OK : make_template(shard, restored->config, err);
    for (int64_t i = 0; status == DFAISS_OK && i < restored->batch_count; i++)
        status = shard_rows_append(&shard->rows, &restored->batches[i], err);
    if (status != DFAISS_OK) {
        /* What the batches own stays the caller's. */
        shard->rows.count = 0;
        shard_destroy(shard);
        return status;
    }
    free(restored->batches);
    shard->config = restored->config;
    shard->nprobe = restored->config->nprobe;
    shard->schema = restored->schema;
    shard->attributes = restored->attributes;
    if (restored->template) {
        shard->template = restored->template;
        shard->store = restored->store;
        shard->built = engine_store_rows(restored->store);
        shard->flush_target = restored->index_anew > 0 ? shard->built + restored->index_anew : 0;
    }
    shard_take_living(shard, restored->living);
    shard->inputs = restored->inputs;
    *out = shard;
    return DFAISS_OK;
}

const char *shard_name(const shard_t *shard) {
    return shard->name;
}

const index_config_t *shard_config(const shard_t *shard) {
    return shard->config;
}

dfaiss_status_t shard_config_copy(const shard_t *shard, index_config_t **out, dfaiss_error_t *err) {
    TRY(index_config_copy(shard->config, out, err));
    (*out)->nprobe = shard->nprobe;
    return DFAISS_OK;
}

dfaiss_status_t shard_set_dim(shard_t *shard, int64_t dim, dfaiss_error_t *err) {
    index_config_t *config = shard->config;
    if (config->dim == dim)
        return DFAISS_OK;
    if (config->dim != 0)
        return error_set(err, DFAISS_ERR_ARG, shard->name, "vectors of dimension %lld; index '%s' has %lld", (long long)dim, shard->name,
                         (long long)config->dim);
    config->dim = dim;
    dfaiss_status_t status = index_config_check(config, shard->name, err);
    if (status == DFAISS_OK)
        status = make_template(shard, config, err);
    if (status == DFAISS_OK)
        return DFAISS_OK;
    engine_template_destroy(shard->template);
    shard->template = NULL;
    config->dim = 0;
    return status;
}

void shard_set_nprobe(shard_t *shard, int64_t nprobe) {
    shard->nprobe = nprobe;
}

void shard_set_team(shard_t *shard, team_t *team) {
    shard_search_drop_idle(shard);
    shard->team = team;
}

bool shard_trained(const shard_t *shard) {
    return shard->store || shard->pending_store;
}

int64_t shard_rows(const shard_t *shard) {
    return shard->rows.rows;
}

int64_t shard_indexed(const shard_t *shard) {
    return shard->store ? engine_store_rows(shard->store) : 0;
}

int64_t shard_next_id(const shard_t *shard) {
    return shard->rows.next_id;
}

int64_t shard_backlog(const shard_t *shard) {
    return shard_trained(shard) ? shard->rows.rows - shard->built : 0;
}

shard_bytes_t shard_bytes(const shard_t *shard) {
    return (shard_bytes_t){
        .index = shard->store ? engine_store_bytes(shard->store) : 0,
        .metadata = shard->rows.metadata_bytes + (shard->attributes ? attribute_columns_bytes(shard->attributes) : 0),
        .buffered = shard->rows.buffered_bytes,
    };
}

dfaiss_status_t shard_check_vectors(const shard_t *shard, element_t element, int64_t n, const void *vectors, size_t bytes, dfaiss_error_t *err) {
    size_t dim = (size_t)shard->config->dim, components, wanted;
    if (n < 1 || !size_multiply((size_t)n, dim, &components) || !size_multiply(components, element_size(element), &wanted) || wanted != bytes)
        return error_set(err, DFAISS_ERR_ARG, shard->name, "vectors of dimension %zu; index '%s' has %zu",
                         n < 1 ? 0 : bytes / (size_t)n / element_size(element), shard->name, dim);
    size_t bad = element_first_not_finite(element, vectors, components);
    if (bad == components)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_DATA, shard->name, "component %zu of vector %zu of a batch for index '%s' is NaN or infinite", bad % dim,
                     bad / dim, shard->name);
}

dfaiss_status_t shard_append(shard_t *shard, shard_batch_t *batch, const void *columns, size_t column_bytes, dfaiss_error_t *err) {
    TRY(shard_check_vectors(shard, batch->element, batch->n, batch->vectors, batch->vector_bytes, err));
    TRY(shard_check_ids(batch, shard->name, err));
    TRY(shard_check_input(shard, batch, err));
    if (shard->living && !bitmap_reserve(&shard->living, shard->rows.rows + batch->n))
        return error_memory(err, (size_t)(shard->rows.rows + batch->n) / 8, "the rows of a shard");
    TRY(shard_attributes_append(shard, batch, columns, column_bytes, err));
    dfaiss_status_t status = shard_rows_append(&shard->rows, batch, err);
    if (status != DFAISS_OK && shard->attributes)
        attribute_columns_undo(shard->attributes);
    if (status == DFAISS_OK)
        shard_note_input(shard, batch);
    if (status == DFAISS_OK && shard->living)
        bitmap_extend(shard->living, shard->rows.rows, true);
    return status;
}

bool shard_row(const shard_t *shard, int64_t row, int64_t *id, const uint8_t **metadata, size_t *metadata_size) {
    if (row < 0 || row >= shard->rows.rows)
        return false;
    const shard_batch_t *batch = &shard->rows.batches[shard_rows_find(&shard->rows, row)];
    int64_t i = row - batch->first_row;
    *id = shard_batch_id(batch, row);
    uint64_t begin = batch->metadata_ends && i > 0 ? batch->metadata_ends[i - 1] : 0;
    uint64_t end = batch->metadata_ends ? batch->metadata_ends[i] : 0;
    *metadata = batch->metadata ? batch->metadata + begin : NULL;
    *metadata_size = (size_t)(end - begin);
    return true;
}

dfaiss_status_t shard_snapshot(const shard_t *shard, shard_snapshot_t *out, dfaiss_error_t *err) {
    size_t bytes = (size_t)shard->rows.count * sizeof *shard->rows.batches;
    shard_snapshot_t made = {
        .template = shard->store ? shard->template : NULL,
        .store = shard->store,
        .rows = shard->rows.rows,
        .batches = malloc(bytes ? bytes : 1),
        .batch_count = shard->rows.count,
    };
    dfaiss_status_t status = made.batches ? DFAISS_OK : error_memory(err, bytes, "a snapshot of a shard");
    if (status == DFAISS_OK && bytes)
        memcpy(made.batches, shard->rows.batches, bytes);
    if (status == DFAISS_OK)
        status = shard_config_copy(shard, &made.config, err);
    if (status == DFAISS_OK && shard->attributes)
        status = attribute_columns_snapshot(shard->attributes, &made.attributes, err);
    if (status == DFAISS_OK && shard->living && !(made.living = bitmap_snapshot(shard->living)))
        status = error_memory(err, ENGINE_ROWS_A_BLOCK / 8, "a snapshot of a shard");
    if (status == DFAISS_OK)
        status = inputs_copy(&shard->inputs, &made.inputs, err);
    if (status != DFAISS_OK) {
        shard_snapshot_clear(&made);
        return status;
    }
    *out = made;
    return DFAISS_OK;
}

shard_mark_t shard_mark(const shard_t *shard) {
    return (shard_mark_t){
        .rows = shard->rows.rows, .indexed = shard_indexed(shard), .removed = shard->dead, .nprobe = shard->nprobe, .trained = shard->store != NULL};
}

bool shard_mark_equal(const shard_mark_t *one, const shard_mark_t *other) {
    return one->rows == other->rows && one->indexed == other->indexed && one->removed == other->removed && one->nprobe == other->nprobe &&
           one->trained == other->trained;
}

int64_t shard_snapshot_living(const shard_snapshot_t *snapshot, int64_t first) {
    return snapshot->living ? bitmap_count(snapshot->living, first, snapshot->rows) : snapshot->rows - first;
}

void shard_snapshot_clear(shard_snapshot_t *snapshot) {
    index_config_destroy(snapshot->config);
    free(snapshot->batches);
    attribute_columns_destroy(snapshot->attributes);
    bitmap_release(snapshot->living);
    inputs_clear(&snapshot->inputs);
    *snapshot = (shard_snapshot_t){0};
}
