#include "cli/ingest.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "dataset/metadata_file.h"
#include "engine/engine.h"

enum {
    BATCH_BYTES = 4 << 20,
    BATCH_ROWS_MAX = 65536,
    BATCHES_A_SERVER = 8, /* at least, so that few rows are spread evenly too */
};

/* Rows of a batch: the same for all of a job, so that the server of a row is known. */
static int64_t batch_rows(const ingest_t *ingest) {
    int64_t rows = BATCH_BYTES / (int64_t)dataset_row_bytes(ingest->dataset);
    int64_t even = dataset_rows(ingest->dataset) / ((int64_t)dfaiss_client_servers(ingest->client) * BATCHES_A_SERVER);
    rows = rows > BATCH_ROWS_MAX ? BATCH_ROWS_MAX : rows;
    rows = rows > even ? even : rows;
    return rows < 1 ? 1 : rows;
}

/* A server has found a value that is not finite in what it was sent; here is the place to say in which file and row it stands. */
static dfaiss_status_t locate_not_finite(const ingest_t *ingest, dfaiss_status_t status, dfaiss_error_t *err) {
    const dataset_t *dataset = ingest->dataset;
    size_t dim = (size_t)dataset_dim(dataset);
    if (status != DFAISS_ERR_DATA)
        return status;
    void *space = malloc(dataset_row_bytes(dataset));
    for (int64_t row = 0; space && row < dataset_rows(dataset); row++) {
        size_t component = element_first_not_finite(dataset_element(dataset), dataset_rows_at(dataset, row, 1, space), dim);
        if (component == dim)
            continue;
        char where[256];
        dataset_describe_row(dataset, row, where, sizeof where);
        free(space);
        return error_set(err, DFAISS_ERR_DATA, where, "%s: component %zu is NaN or infinite", where, component);
    }
    free(space);
    return status;
}

/* ---- training ---- */

/* How many rows training draws, over all servers. */
static dfaiss_status_t sample_rows(const ingest_t *ingest, int64_t *out, dfaiss_error_t *err) {
    int64_t rows = dataset_rows(ingest->dataset), servers = dfaiss_client_servers(ingest->client), parts = 1, min, max;
    if (ingest->config->training == CONFIG_TRAINING_local)
        parts = servers;
    engine_template_t *template;
    TRY(engine_template_create(ingest->config, rows / parts, &template, err));
    bool trained = engine_template_trained(template);
    engine_template_sample(template, &min, &max);
    engine_template_destroy(template);
    *out = trained ? 0 : index_config_sample_rows(ingest->config, rows, servers, max * parts);
    return DFAISS_OK;
}

/* Rows on their way to one server's sample. */
typedef struct sample_sender {
    const ingest_t *ingest;
    int server;
    uint8_t *block;
    int64_t capacity;
    int64_t n;
} sample_sender_t;

static dfaiss_status_t send_sample(sample_sender_t *sender, dfaiss_error_t *err) {
    const ingest_t *ingest = sender->ingest;
    int64_t n = sender->n;
    sender->n = 0;
    if (n == 0)
        return DFAISS_OK;
    return client_sample(ingest->client, ingest->index, sender->server, dataset_element(ingest->dataset), n, dataset_dim(ingest->dataset),
                         sender->block, err);
}

static dfaiss_status_t add_to_sample(sample_sender_t *sender, int64_t row, dfaiss_error_t *err) {
    const dataset_t *dataset = sender->ingest->dataset;
    size_t row_bytes = dataset_row_bytes(dataset);
    uint8_t *place = sender->block + (size_t)sender->n * row_bytes;
    const void *found = dataset_rows_at(dataset, row, 1, place);
    if (found != place)
        memcpy(place, found, row_bytes);
    if (++sender->n < sender->capacity)
        return DFAISS_OK;
    return send_sample(sender, err);
}

/* The rows of the sample go to server 0, or with local training each to the server that will hold it. */
static dfaiss_status_t send_samples(const ingest_t *ingest, const int64_t *rows, int64_t n, dfaiss_error_t *err) {
    bool local = ingest->config->training == CONFIG_TRAINING_local;
    int servers = dfaiss_client_servers(ingest->client);
    int64_t each = batch_rows(ingest);
    sample_sender_t sender = {.ingest = ingest, .capacity = BATCH_BYTES / (int64_t)dataset_row_bytes(ingest->dataset) + 1};
    sender.block = malloc((size_t)sender.capacity * dataset_row_bytes(ingest->dataset));
    if (!sender.block)
        return error_memory(err, BATCH_BYTES, "the training sample");
    dfaiss_status_t status = DFAISS_OK;
    for (sender.server = 0; status == DFAISS_OK && sender.server < (local ? servers : 1); sender.server++) {
        for (int64_t i = 0; status == DFAISS_OK && i < n; i++) {
            if (!local || rows[i] / each % servers == sender.server)
                status = add_to_sample(&sender, rows[i], err);
        }
        if (status == DFAISS_OK)
            status = send_sample(&sender, err);
    }
    free(sender.block);
    return status;
}

dfaiss_status_t ingest_train(ingest_t *ingest, dfaiss_error_t *err) {
    int64_t n;
    TRY(sample_rows(ingest, &n, err));
    if (n == 0)
        return DFAISS_OK;
    progress_update(ingest->progress, "train", PROGRESS_UNKNOWN);
    int64_t *rows = malloc((size_t)n * sizeof *rows);
    if (!rows)
        return error_memory(err, (size_t)n * sizeof *rows, "the training sample");
    random_state_t random = random_stream((uint64_t)ingest->config->seed, 0);
    random_sample(&random, dataset_rows(ingest->dataset), n, rows);
    dfaiss_status_t status = send_samples(ingest, rows, n, err);
    free(rows);
    TRY(locate_not_finite(ingest, status, err));
    return client_train(ingest->client, ingest->index, err);
}

/* ---- streaming ---- */

/* One batch on its way; freed when its vectors have left. */
typedef struct batch {
    void *space; /* for rows that do not lie together in the file; NULL where they do */
    const dataset_t *dataset;
    int64_t first;
    int64_t n;
} batch_t;

static void release_batch(void *context) {
    batch_t *batch = context;
    if (!batch->space)
        dataset_release(batch->dataset, batch->first, batch->n);
    free(batch->space);
    free(batch);
}

/* The metadata of one batch. */
typedef struct batch_metadata {
    metadata_file_t *file;
    bytes_writer_t text;
    uint64_t *ends;
    int64_t row; /* of the input whose metadata come next */
} batch_metadata_t;

static dfaiss_status_t open_metadata(const ingest_t *ingest, int64_t each, batch_metadata_t *metadata, dfaiss_error_t *err) {
    if (!ingest->metadata_path)
        return DFAISS_OK;
    metadata->ends = malloc((size_t)each * sizeof *metadata->ends);
    if (!metadata->ends)
        return error_memory(err, (size_t)each * sizeof *metadata->ends, "metadata");
    return metadata_file_open(ingest->metadata_path, &metadata->file, err);
}

static void close_metadata(batch_metadata_t *metadata) {
    metadata_file_close(metadata->file);
    bytes_writer_destroy(&metadata->text);
    free(metadata->ends);
}

static dfaiss_status_t read_metadata(batch_metadata_t *metadata, int64_t first, int64_t n, dfaiss_error_t *err) {
    metadata->text.size = 0;
    TRY(metadata_file_skip(metadata->file, first - metadata->row, err));
    TRY(metadata_file_read(metadata->file, n, &metadata->text, metadata->ends, err));
    metadata->row = first + n;
    return DFAISS_OK;
}

static dfaiss_status_t read_batch(const ingest_t *ingest, int64_t first, int64_t n, batch_metadata_t *metadata, batch_t **out, const void **vectors,
                                  dfaiss_error_t *err) {
    batch_t *batch = calloc(1, sizeof *batch);
    void *space = malloc((size_t)n * dataset_row_bytes(ingest->dataset));
    if (!batch || !space) {
        free(batch);
        free(space);
        return error_memory(err, (size_t)n * dataset_row_bytes(ingest->dataset), "a batch");
    }
    *batch = (batch_t){.space = space, .dataset = ingest->dataset, .first = first, .n = n};
    *vectors = dataset_rows_at(ingest->dataset, first, n, space);
    if (*vectors != space) {
        free(space);
        batch->space = NULL;
    }
    dfaiss_status_t status = metadata->file ? read_metadata(metadata, first, n, err) : DFAISS_OK;
    if (status != DFAISS_OK) {
        release_batch(batch);
        return status;
    }
    *out = batch;
    return DFAISS_OK;
}

static dfaiss_status_t send_rows(ingest_t *ingest, int64_t first, int64_t n, batch_metadata_t *metadata, dfaiss_error_t *err) {
    batch_t *batch = NULL;
    const void *vectors = NULL;
    double begin = clock_seconds();
    TRY(read_batch(ingest, first, n, metadata, &batch, &vectors, err));
    double read = clock_seconds();
    client_batch_t sent = {
        .element = dataset_element(ingest->dataset),
        .n = n,
        .dim = dataset_dim(ingest->dataset),
        .vectors = vectors,
        .first_id = ingest->first_id + first,
        .input = ingest->input,
        .input_row = first,
        .ids = ingest->ids ? ingest->ids + first : NULL,
        .metadata_ends = metadata->file ? metadata->ends : NULL,
        .metadata = metadata->text.data,
        .released = release_batch,
        .context = batch,
    };
    dfaiss_status_t status = locate_not_finite(ingest, client_add(ingest->client, ingest->index, &sent, err), err);
    ingest->read_seconds += read - begin;
    ingest->send_seconds += clock_seconds() - read;
    return status;
}

/* Where part `part` of `parts` of so many rows begins. */
static int64_t part_begin(int64_t rows, int64_t part, int64_t parts) {
    return rows / parts * part + rows % parts * part / parts;
}

static dfaiss_status_t send_range(ingest_t *ingest, const range_t *range, int64_t each, batch_metadata_t *metadata, dfaiss_error_t *err) {
    for (int64_t n, first = range->first; first < range->end; first += n) {
        n = range->end - first < each ? range->end - first : each;
        if (ingest->cancelled && ingest->cancelled(ingest->context))
            return DFAISS_OK;
        dataset_prefetch(ingest->dataset, first, n);
        TRY(send_rows(ingest, first, n, metadata, err));
        ingest->sent += n;
        progress_update(ingest->progress, "send", (double)ingest->sent / (double)ingest->rows);
    }
    return DFAISS_OK;
}

/* part: places among the rows that are missing. */
static dfaiss_status_t send_part(ingest_t *ingest, const range_t *part, int64_t each, batch_metadata_t *metadata, dfaiss_error_t *err) {
    int64_t place = 0; /* of the first row of a range */
    ingest->rows = part->end - part->first;
    for (int64_t i = 0; i < ingest->missing->count && place < part->end; i++) {
        range_t range = ingest->missing->list[i];
        int64_t rows = range.end - range.first, begin = place;
        place += rows;
        if (part->first > begin)
            range.first += part->first - begin < rows ? part->first - begin : rows;
        if (part->end < place)
            range.end -= place - part->end;
        TRY(send_range(ingest, &range, each, metadata, err));
    }
    return DFAISS_OK;
}

dfaiss_status_t ingest_stream(ingest_t *ingest, dfaiss_error_t *err) {
    int64_t each = batch_rows(ingest);
    batch_metadata_t metadata = {0};
    int64_t missing = ranges_rows(ingest->missing);
    range_t part = {part_begin(missing, ingest->part, ingest->parts), part_begin(missing, ingest->part + 1, ingest->parts)};
    dfaiss_status_t status = open_metadata(ingest, each, &metadata, err);
    if (status == DFAISS_OK)
        status = send_part(ingest, &part, each, &metadata, err);
    close_metadata(&metadata);
    double begin = clock_seconds();
    dfaiss_error_t late = {0};
    dfaiss_status_t acknowledged = client_add_wait(ingest->client, NULL, &late);
    ingest->send_seconds += clock_seconds() - begin;
    if (status != DFAISS_OK || acknowledged == DFAISS_OK)
        return status;
    *err = late;
    return locate_not_finite(ingest, acknowledged, err);
}
