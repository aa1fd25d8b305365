/* Training: a sample is collected, the trainer trains a template on it, and a trained template is installed on every server. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/share.h"
#include "shard/shard_internal.h"
#include "shard/training.h"

struct training {
    int64_t dim;
    engine_template_t *template; /* trained by training_work */
    sample_t sample;             /* that was brought */
    int64_t rows;                /* of the sample, brought or drawn */
    float *vectors;              /* float[rows][dim], memory_map */
    size_t bytes;
};

/* ---- samples that are brought ---- */

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

/* ---- a training ---- */

void training_destroy(training_t *training) {
    if (!training)
        return;
    engine_template_destroy(training->template);
    shard_sample_clear(&training->sample);
    memory_unmap(training->vectors, training->bytes);
    free(training);
}

/* The number of lists follows from the rows that are expected, or from those that have come. */
static int64_t rows_to_train_for(const shard_t *shard, int64_t rows) {
    int64_t most = rows > shard->expected_rows ? rows : shard->expected_rows;
    return most > shard->sample.rows ? most : shard->sample.rows;
}

static dfaiss_status_t plan_sample(training_t *training, const shard_t *shard, int64_t rows, int64_t servers, dfaiss_error_t *err) {
    int64_t least, most;
    engine_template_sample(training->template, &least, &most);
    training->rows = shard->sample.rows;
    if (training->rows == 0)
        training->rows = index_config_arrived_sample_rows(shard->config, rows, servers, most);
    if (training->rows >= least)
        return DFAISS_OK;
    if (shard->sample.rows == 0 && shard->config->train_num == 0 && rows >= least)
        return error_set(err, DFAISS_ERR_CONFIG, "train_ratio",
                         "training index '%s' needs at least %" PRId64 " vectors, but a share train_ratio %g of %" PRId64 " is only %" PRId64
                         ": use a larger share, or fewer centroids",
                         shard->name, least, shard->config->train_ratio, rows, training->rows);
    return error_set(err, DFAISS_ERR_CONFIG, "centroids",
                     "training index '%s' needs at least %" PRId64 " vectors, but there are %" PRId64 ": use fewer centroids or another kind",
                     shard->name, least, training->rows);
}

static dfaiss_status_t check_memory(training_t *training, const shard_t *shard, dfaiss_error_t *err) {
    size_t training_bytes = engine_template_training_bytes(training->template, training->rows), available = memory_available(), row, wanted;
    bool fits = size_multiply((size_t)training->dim, sizeof(float), &row) && size_multiply((size_t)training->rows, row, &training->bytes) &&
                !__builtin_add_overflow(training->bytes, training_bytes, &wanted);
    if (fits && wanted <= available)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_MEMORY, shard->name, "training index '%s' on %" PRId64 " vectors needs %zu bytes of memory; %zu are free",
                     shard->name, training->rows, fits ? wanted : SIZE_MAX, available);
}

static dfaiss_status_t plan(training_t *training, shard_t *shard, int64_t rows, int64_t servers, dfaiss_error_t *err) {
    TRY(engine_template_create(shard->config, rows_to_train_for(shard, rows), &training->template, err));
    training->dim = shard->config->dim;
    TRY(plan_sample(training, shard, rows, servers, err));
    TRY(check_memory(training, shard, err));
    if (shard->sample.rows == 0) {
        training->vectors = memory_map(training->bytes);
        return training->vectors ? DFAISS_OK : error_memory(err, training->bytes, "the training sample");
    }
    training->sample = shard->sample;
    shard->sample = (sample_t){0};
    return DFAISS_OK;
}

dfaiss_status_t training_create(shard_t *shard, int64_t rows, int64_t servers, training_t **out, dfaiss_error_t *err) {
    TRY(check_untrained(shard, err));
    training_t *training = calloc(1, sizeof *training);
    if (!training)
        return error_memory(err, sizeof *training, "training");
    dfaiss_status_t status = plan(training, shard, rows, servers, err);
    if (status != DFAISS_OK) {
        training_destroy(training);
        return status;
    }
    *out = training;
    return DFAISS_OK;
}

int64_t training_drawn_rows(const training_t *training) {
    return training->sample.rows > 0 ? 0 : training->rows;
}

float *training_room(training_t *training, int64_t first) {
    return training->vectors + first * training->dim;
}

static dfaiss_status_t widen_sample(training_t *training, dfaiss_error_t *err) {
    sample_t *sample = &training->sample;
    if (training->vectors)
        return DFAISS_OK;
    training->vectors = memory_map(training->bytes);
    if (!training->vectors)
        return error_memory(err, training->bytes, "the training sample");
    float *next = training->vectors;
    for (int64_t i = 0; i < sample->count; i++) {
        sample_piece_t *piece = &sample->pieces[i];
        engine_prepare(training->template, piece->element, piece->vectors, piece->n, next);
        next += piece->n * training->dim;
        memory_unmap(piece->vectors, piece->bytes);
        piece->vectors = NULL;
    }
    return DFAISS_OK;
}

dfaiss_status_t training_work(void *context, dfaiss_error_t *err) {
    training_t *training = context;
    TRY(widen_sample(training, err));
    dfaiss_status_t status = engine_template_train(training->template, training->rows, training->vectors, err);
    memory_unmap(training->vectors, training->bytes);
    training->vectors = NULL;
    memory_trim();
    return status;
}

void training_cancel(training_t *training) {
    engine_template_cancel(training->template);
}

const engine_template_t *training_template(const training_t *training) {
    return training->template;
}

engine_template_t *training_take(training_t *training) {
    engine_template_t *template = training->template;
    training->template = NULL;
    return template;
}

/* ---- drawing from the rows that have arrived ---- */

/* Rows are drawn among those that were not removed; this is the number of one among them. Where some were removed since the sample was planned,
 * others are drawn twice. */
static int64_t drawn_number(const shard_t *shard, int64_t rows, int64_t n, int64_t i) {
    random_state_t random = random_stream((uint64_t)shard->config->seed, (uint64_t)shard->server << 40 ^ (uint64_t)i);
    int64_t begin = share_of(rows, i, n), end = share_of(rows, i + 1, n);
    return (begin + (int64_t)random_below(&random, (uint64_t)(end - begin))) % shard_living(shard);
}

/* How far counting rows that were not removed has come. */
typedef struct row_counter {
    int64_t word; /* its first row */
    int64_t before;
} row_counter_t;

static int64_t row_of_number(const bitmap_t *living, row_counter_t *counter, int64_t number) {
    if (!living)
        return number;
    if (number < counter->before)
        *counter = (row_counter_t){0};
    int64_t row = bitmap_select(living, counter->word, number - counter->before), word = row / 64 * 64;
    counter->before += bitmap_count(living, counter->word, word);
    counter->word = word;
    return row;
}

static dfaiss_status_t take_row(const shard_t *shard, int64_t row, float *to, dfaiss_error_t *err) {
    const shard_batch_t *batch = &shard->rows.batches[shard_rows_find(&shard->rows, row)];
    if (!batch->vectors)
        return error_set(err, DFAISS_ERR_STATE, shard->name, "index '%s' is trained already", shard->name);
    size_t row_bytes = (size_t)shard->config->dim * element_size(batch->element);
    engine_prepare(shard->template, batch->element, (const char *)batch->vectors + (size_t)(row - batch->first_row) * row_bytes, 1, to);
    return DFAISS_OK;
}

dfaiss_status_t shard_draw(const shard_t *shard, int64_t rows, int64_t n, int64_t first, int64_t count, float *to, dfaiss_error_t *err) {
    if (rows > shard->rows.rows || n > rows || first < 0 || count < 0 || count > n - first || (count > 0 && shard_living(shard) == 0))
        return error_set(err, DFAISS_ERR_STATE, shard->name, "index '%s' has %" PRId64 " vectors on server %d; training draws from %" PRId64,
                         shard->name, shard_living(shard), shard->server, rows);
    row_counter_t counter = {0};
    for (int64_t i = 0; i < count; i++)
        TRY(take_row(shard, row_of_number(shard->living, &counter, drawn_number(shard, rows, n, first + i)), to + i * shard->config->dim, err));
    return DFAISS_OK;
}

/* ---- trained templates ---- */

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

dfaiss_status_t shard_has_centroids(const shard_t *shard, dfaiss_error_t *err) {
    if (shard->template && engine_template_lists(shard->template) == 0)
        return error_set(err, DFAISS_ERR_UNSUPPORTED, shard->name, "index '%s' has no centroids: %s has no inverted lists", shard->name,
                         index_config_kind(shard->config));
    if (!shard_trained(shard))
        return error_set(err, DFAISS_ERR_STATE, shard->name, "index '%s' has no centroids before it is trained", shard->name);
    return DFAISS_OK;
}

dfaiss_status_t shard_centroids(const shard_t *shard, float **out, size_t *bytes, int64_t *lists, int64_t *dim, dfaiss_error_t *err) {
    const engine_template_t *template = shard->template;
    int64_t count = engine_template_lists(template), components;
    size_t size = (size_t)count * (size_t)engine_template_list_dim(template) * sizeof(float);
    float *block = memory_map(size);
    if (!block)
        return error_memory(err, size, "centroids");
    dfaiss_status_t status = engine_template_centroids(template, block, &components, err);
    if (status != DFAISS_OK) {
        memory_unmap(block, size);
        return status;
    }
    *out = block;
    *bytes = size;
    *lists = count;
    *dim = components;
    return DFAISS_OK;
}
