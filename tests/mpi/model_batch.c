/* Batches drawn at random: every type of components, metadata of any size and none, attributes in columns and in JSON. */
#include "model.h"

#include "base/element.h"

enum { LARGEST = 20, METADATA_MOST = 300 };

/* Memory that is freed with the batch. */
static void *batch_memory(model_batch_t *batch, size_t bytes) {
    void *memory = calloc(1, bytes + 1);
    assert_non_null(memory);
    assert_true(batch->memory_count < (int)(sizeof batch->memory / sizeof *batch->memory));
    batch->memory[batch->memory_count++] = memory;
    return memory;
}

void model_batch_clear(model_batch_t *batch) {
    for (int64_t i = 0; i < batch->batch.n; i++)
        free(batch->rows[i].metadata);
    for (int i = 0; i < batch->memory_count; i++)
        free(batch->memory[i]);
    *batch = (model_batch_t){0};
}

void model_batch_set_id(model_batch_t *batch, int64_t i, int64_t id) {
    batch->rows[i].id = batch->ids[i] = id;
}

void model_vector_draw(random_state_t *random, int64_t dim, float *vector) {
    for (int64_t i = 0; i < dim; i++)
        vector[i] = (float)(int64_t)random_below(random, 2 * LARGEST + 1) - LARGEST;
}

static void draw_vectors(model_batch_t *batch, random_state_t *random) {
    dfaiss_batch_t *call = &batch->batch;
    size_t dim = (size_t)call->dim, size = element_size((element_t)call->element);
    char *packed = batch_memory(batch, (size_t)call->n * dim * size);
    for (int64_t i = 0; i < call->n; i++) {
        float *vector = batch->rows[i].vector;
        model_vector_draw(random, call->dim, vector);
        for (size_t d = 0; call->element == DFAISS_U8 && d < dim; d++)
            vector[d] = vector[d] < 0 ? -vector[d] : vector[d];
        element_narrow((element_t)call->element, vector, dim, packed + (size_t)i * dim * size);
    }
    call->vectors = packed;
}

/* ---- metadata ---- */

static void set_metadata(model_row_t *row, const void *bytes, size_t size) {
    row->metadata = malloc(size + 1);
    assert_non_null(row->metadata);
    memcpy(row->metadata, bytes, size);
    row->metadata_size = size;
}

/* Any bytes, no JSON among them. */
static void draw_bytes(model_row_t *row, random_state_t *random) {
    char bytes[METADATA_MOST];
    size_t size = random_below(random, 3) ? random_below(random, sizeof bytes) : 0;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)random_below(random, 256);
    if (size)
        bytes[0] = 'x';
    set_metadata(row, bytes, size);
}

/* A JSON object that holds the attributes which the row has, and others. */
static void draw_object(model_row_t *row, random_state_t *random) {
    char text[METADATA_MOST];
    const model_attributes_t *attributes = &row->attributes;
    size_t used = (size_t)snprintf(text, sizeof text, "{\"number\": %d", (int)random_below(random, 1000));
    if (attributes->has[MODEL_YEAR])
        used += (size_t)snprintf(text + used, sizeof text - used, ", \"year\": %lld", (long long)attributes->year);
    if (attributes->has[MODEL_WEIGHT])
        used += (size_t)snprintf(text + used, sizeof text - used, ", \"weight\": %.17g", attributes->weight);
    if (attributes->has[MODEL_LANG])
        used += (size_t)snprintf(text + used, sizeof text - used, ", \"lang\": \"%s\"", attributes->lang);
    if (attributes->has[MODEL_FREE])
        used += (size_t)snprintf(text + used, sizeof text - used, ", \"free\": %s", attributes->free ? "true" : "false");
    used += (size_t)snprintf(text + used, sizeof text - used, "}");
    set_metadata(row, text, used);
}

static void pack_metadata(model_batch_t *batch) {
    size_t size = 0;
    uint64_t *ends = batch_memory(batch, (size_t)batch->batch.n * sizeof *ends);
    for (int64_t i = 0; i < batch->batch.n; i++)
        ends[i] = size += batch->rows[i].metadata_size;
    char *all = batch_memory(batch, size);
    for (int64_t i = 0; i < batch->batch.n; i++)
        memcpy(all + ends[i] - batch->rows[i].metadata_size, batch->rows[i].metadata, batch->rows[i].metadata_size);
    batch->batch.metadata = all;
    batch->batch.metadata_ends = ends;
}

/* ---- columns ---- */

/* Every row has a value in these columns, except in the one of strings. */
static void fill_columns(model_batch_t *batch, random_state_t *random) {
    size_t n = (size_t)batch->batch.n;
    int64_t *years = batch_memory(batch, n * sizeof *years);
    double *weights = batch_memory(batch, n * sizeof *weights);
    const char **langs = batch_memory(batch, n * sizeof *langs);
    bool *frees = batch_memory(batch, n * sizeof *frees);
    const dfaiss_column_t columns[MODEL_FIELDS] = {{.name = "year", .integers = years},
                                                   {.name = "weight", .floats = weights},
                                                   {.name = "lang", .strings = langs},
                                                   {.name = "free", .booleans = frees}};
    bool given[MODEL_FIELDS];
    for (int field = 0; field < MODEL_FIELDS; field++) {
        given[field] = random_below(random, 2) == 0;
        if (given[field])
            batch->columns[batch->batch.column_count++] = columns[field];
    }
    for (size_t i = 0; i < n; i++) {
        model_attributes_t drawn = model_attributes_draw(random), *row = &batch->rows[i].attributes;
        if (given[MODEL_YEAR])
            row->year = years[i] = drawn.year;
        if (given[MODEL_WEIGHT])
            row->weight = weights[i] = drawn.weight;
        if (given[MODEL_LANG]) {
            langs[i] = drawn.has[MODEL_LANG] ? drawn.lang : NULL;
            row->lang = langs[i];
        }
        if (given[MODEL_FREE])
            row->free = frees[i] = drawn.free;
        for (int field = 0; field < MODEL_FIELDS; field++)
            row->has[field] = given[field] ? field != MODEL_LANG || langs[i] : row->has[field];
    }
    batch->batch.columns = batch->columns;
}

void model_batch_draw(model_batch_t *out, random_state_t *random, int64_t n, int64_t dim, bool attributes) {
    *out = (model_batch_t){.batch = {.element = (dfaiss_element_t)random_below(random, 4), .n = n, .dim = dim}};
    out->rows = batch_memory(out, (size_t)n * sizeof *out->rows);
    out->ids = batch_memory(out, (size_t)n * sizeof *out->ids);
    out->batch.ids = out->ids;
    draw_vectors(out, random);
    bool objects = attributes && random_below(random, 3) > 0, bytes = !objects && random_below(random, 3) > 0;
    for (int64_t i = 0; i < n; i++) {
        if (objects) {
            out->rows[i].attributes = model_attributes_draw(random);
            draw_object(&out->rows[i], random);
        } else if (bytes) {
            draw_bytes(&out->rows[i], random);
        }
    }
    if (objects || bytes)
        pack_metadata(out);
    if (attributes && random_below(random, 3) == 0)
        fill_columns(out, random);
}
