/* Training: a sample is collected, the builder trains a template on it, and a trained template is installed on every server. */
#include <stdlib.h>

#include "base/memory.h"
#include "shard/shard_internal.h"

static void free_sample(shard_t *shard) {
    for (int64_t i = 0; i < shard->sample_count; i++)
        memory_unmap(shard->sample[i].vectors, shard->sample[i].bytes);
    free(shard->sample);
    shard->sample = NULL;
    shard->sample_count = 0;
    shard->sample_rows = 0;
}

static size_t sample_bytes(const shard_t *shard) {
    return (size_t)shard->sample_rows * (size_t)shard->config->dim * sizeof(float);
}

dfaiss_status_t shard_train_check(const shard_t *shard, dfaiss_error_t *err) {
    if (shard_trained(shard))
        return error_set(err, DFAISS_ERR_STATE, shard->name, "index '%s' is trained already", shard->name);
    int64_t min, max;
    engine_template_sample(shard->template, &min, &max);
    if (shard->sample_rows < min)
        return error_set(err, DFAISS_ERR_CONFIG, "centroids", "training index '%s' needs at least %lld vectors, but there are %lld: use fewer centroids or another kind",
                         shard->name, (long long)min, (long long)shard->sample_rows);
    size_t wanted = sample_bytes(shard) + engine_template_training_bytes(shard->template, shard->sample_rows);
    size_t available = memory_available();
    if (wanted > available)
        return error_set(err, DFAISS_ERR_MEMORY, shard->name, "training index '%s' on %lld vectors needs %zu bytes of memory; %zu are free", shard->name,
                         (long long)shard->sample_rows, wanted, available);
    return DFAISS_OK;
}

dfaiss_status_t shard_train_work(void *context, dfaiss_error_t *err) {
    shard_t *shard = context;
    size_t bytes = sample_bytes(shard);
    float *x = memory_map(bytes);
    if (!x)
        return error_memory(err, bytes, "the training sample");
    float *next = x;
    for (int64_t i = 0; i < shard->sample_count; i++) {
        const sample_piece_t *piece = &shard->sample[i];
        engine_prepare(shard->template, piece->element, piece->vectors, piece->n, next);
        next += piece->n * shard->config->dim;
    }
    engine_template_t *template = NULL;
    dfaiss_status_t status = engine_template_create(shard->config, shard->expected_rows, &template, err);
    if (status == DFAISS_OK)
        status = engine_template_train(template, shard->sample_rows, x, err);
    memory_unmap(x, bytes);
    if (status != DFAISS_OK) {
        engine_template_destroy(template);
        return status;
    }
    shard->trained = template;
    return DFAISS_OK;
}

engine_template_t *shard_take_trained(shard_t *shard) {
    engine_template_t *template = shard->trained;
    shard->trained = NULL;
    free_sample(shard);
    return template;
}

dfaiss_status_t shard_install(shard_t *shard, engine_template_t *template, dfaiss_error_t *err) {
    engine_store_t *store = NULL;
    dfaiss_status_t status = DFAISS_OK;
    if (shard_trained(shard))
        status = error_set(err, DFAISS_ERR_STATE, shard->name, "index '%s' is trained already", shard->name);
    else
        status = engine_store_create(template, shard->config->segment_rows, &store, err);
    if (status != DFAISS_OK) {
        engine_template_destroy(template);
        return status;
    }
    free_sample(shard);
    shard->pending_template = template;
    shard->pending_store = store;
    return DFAISS_OK;
}
