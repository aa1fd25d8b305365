/* Training: a sample is collected, the builder trains a template on it, and a trained template is installed on every server. */
#include <stdlib.h>

#include "base/memory.h"
#include "shard/shard_internal.h"

void shard_sample_clear(sample_t *sample) {
    for (int64_t i = 0; i < sample->count; i++)
        memory_unmap(sample->pieces[i].vectors, sample->pieces[i].bytes);
    free(sample->pieces);
    *sample = (sample_t){0};
}

static dfaiss_status_t check_untrained(const shard_t *shard, dfaiss_error_t *err) {
    if (shard_trained(shard))
        return error_set(err, DFAISS_ERR_STATE, shard->name, "index '%s' is trained already", shard->name);
    return DFAISS_OK;
}

dfaiss_status_t shard_sample(shard_t *shard, element_t element, int64_t n, void *vectors, size_t bytes, dfaiss_error_t *err) {
    sample_t *sample = &shard->sample;
    TRY(check_untrained(shard, err));
    TRY(shard_check_vectors(shard, element, n, vectors, bytes, err));
    size_t wanted = (size_t)(sample->count + 1) * sizeof *sample->pieces;
    sample_piece_t *pieces = realloc(sample->pieces, wanted);
    if (!pieces)
        return error_memory(err, wanted, "the training sample");
    sample->pieces = pieces;
    pieces[sample->count++] = (sample_piece_t){.element = element, .n = n, .vectors = vectors, .bytes = bytes};
    sample->rows += n;
    return DFAISS_OK;
}

static size_t sample_bytes(const shard_t *shard, const sample_t *sample) {
    return (size_t)sample->rows * (size_t)shard->config->dim * sizeof(float);
}

dfaiss_status_t shard_train_prepare(shard_t *shard, dfaiss_error_t *err) {
    int64_t rows = shard->sample.rows, min, max;
    TRY(check_untrained(shard, err));
    engine_template_sample(shard->template, &min, &max);
    if (rows < min)
        return error_set(err, DFAISS_ERR_CONFIG, "centroids",
                         "training index '%s' needs at least %lld vectors, but there are %lld: use fewer centroids or another kind", shard->name,
                         (long long)min, (long long)rows);
    size_t wanted = sample_bytes(shard, &shard->sample) + engine_template_training_bytes(shard->template, rows);
    size_t available = memory_available();
    if (wanted > available)
        return error_set(err, DFAISS_ERR_MEMORY, shard->name, "training index '%s' on %lld vectors needs %zu bytes of memory; %zu are free",
                         shard->name, (long long)rows, wanted, available);
    shard->training = shard->sample;
    shard->sample = (sample_t){0};
    return DFAISS_OK;
}

dfaiss_status_t shard_train_work(void *context, dfaiss_error_t *err) {
    shard_t *shard = context;
    const sample_t *sample = &shard->training;
    size_t bytes = sample_bytes(shard, sample);
    float *x = memory_map(bytes);
    if (!x)
        return error_memory(err, bytes, "the training sample");
    float *next = x;
    for (int64_t i = 0; i < sample->count; i++) {
        const sample_piece_t *piece = &sample->pieces[i];
        engine_prepare(shard->template, piece->element, piece->vectors, piece->n, next);
        next += piece->n * shard->config->dim;
    }
    engine_template_t *template = NULL;
    dfaiss_status_t status = engine_template_create(shard->config, shard->expected_rows, &template, err);
    if (status == DFAISS_OK)
        status = engine_template_train(template, sample->rows, x, err);
    memory_unmap(x, bytes);
    memory_trim();
    if (status != DFAISS_OK) {
        engine_template_destroy(template);
        return status;
    }
    shard->trained = template;
    return DFAISS_OK;
}

void shard_put_trained(shard_t *shard, engine_template_t *template) {
    engine_template_destroy(shard->trained);
    shard->trained = template;
}

engine_template_t *shard_take_trained(shard_t *shard) {
    engine_template_t *template = shard->trained;
    shard->trained = NULL;
    shard_sample_clear(&shard->training);
    return template;
}

dfaiss_status_t shard_install(shard_t *shard, engine_template_t *template, dfaiss_error_t *err) {
    engine_store_t *store = NULL;
    dfaiss_status_t status = check_untrained(shard, err);
    if (status == DFAISS_OK)
        status = engine_store_create(template, shard->config->segment_rows, &store, err);
    if (status != DFAISS_OK) {
        engine_template_destroy(template);
        return status;
    }
    shard_sample_clear(&shard->sample);
    shard->pending_template = template;
    shard->pending_store = store;
    return DFAISS_OK;
}
