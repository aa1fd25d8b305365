#include "model.h"

#include <math.h>

void model_clear(model_t *model) {
    for (int64_t i = 0; i < model->count; i++)
        free(model->rows[i].metadata);
    free(model->rows);
    model->rows = NULL;
    model->count = model->capacity = 0;
}

void model_copy(const model_t *from, model_t *to) {
    model_clear(to);
    to->metric = from->metric;
    to->dim = from->dim;
    for (int64_t i = 0; i < from->count; i++)
        model_put(to, &from->rows[i]);
}

model_row_t *model_find(const model_t *model, int64_t id) {
    for (int64_t i = 0; i < model->count; i++) {
        if (model->rows[i].id == id)
            return &model->rows[i];
    }
    return NULL;
}

/* A place for one more row. */
static model_row_t *extend(model_t *model) {
    if (model->count == model->capacity) {
        model->capacity = model->capacity ? 2 * model->capacity : 64;
        model->rows = realloc(model->rows, (size_t)model->capacity * sizeof *model->rows);
        assert_non_null(model->rows);
    }
    model_row_t *place = &model->rows[model->count++];
    place->metadata = NULL;
    return place;
}

void model_put(model_t *model, const model_row_t *row) {
    model_row_t *place = model_find(model, row->id);
    if (!place)
        place = extend(model);
    free(place->metadata);
    *place = *row;
    place->metadata = malloc(row->metadata_size + 1);
    assert_non_null(place->metadata);
    if (row->metadata_size)
        memcpy(place->metadata, row->metadata, row->metadata_size);
}

static void remove_row(model_t *model, model_row_t *row) {
    free(row->metadata);
    *row = model->rows[--model->count];
}

bool model_remove(model_t *model, int64_t id) {
    model_row_t *row = model_find(model, id);
    if (row)
        remove_row(model, row);
    return row != NULL;
}

int64_t model_remove_matching(model_t *model, const model_filter_t *filter) {
    int64_t before = model->count;
    for (int64_t i = model->count; i-- > 0;) {
        if (model_filter_matches(filter, &model->rows[i].attributes))
            remove_row(model, &model->rows[i]);
    }
    return before - model->count;
}

double model_score(const model_t *model, const float *a, const float *b) {
    double product = 0, distance = 0, a_length = 0, b_length = 0;
    for (int64_t i = 0; i < model->dim; i++) {
        product += (double)a[i] * b[i];
        distance += (double)(a[i] - b[i]) * (a[i] - b[i]);
        a_length += (double)a[i] * a[i];
        b_length += (double)b[i] * b[i];
    }
    if (model->metric == MODEL_L2)
        return distance;
    bool normalised = model->metric == MODEL_COSINE && a_length > 0 && b_length > 0;
    return normalised ? product / sqrt(a_length * b_length) : product;
}
