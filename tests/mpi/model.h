/* An index as it ought to be: rows in memory, and a search that looks at all of them. The randomised test makes every call on an index and on its
 * model, and compares.
 *
 * Vectors have small whole numbers, which all types of components hold and all computations keep exactly, except where they are normalised (cosine).
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include "check.h"

#include <stdbool.h>

#include <dfaiss/dfaiss.h>

#include "base/random.h"

enum { MODEL_DIM_MOST = 16, MODEL_INDEXES_MOST = 4 };

/* ---- attributes and filters (model_filter.c) ---- */

/* As the configuration declares them. */
#define MODEL_ATTRIBUTES "{\"year\": \"int\", \"weight\": \"float\", \"lang\": \"string\", \"free\": \"bool\"}"

typedef enum model_field { MODEL_YEAR, MODEL_WEIGHT, MODEL_LANG, MODEL_FREE, MODEL_FIELDS } model_field_t;

typedef struct model_attributes {
    bool has[MODEL_FIELDS];
    int64_t year;
    double weight;
    const char *lang;
    bool free;
} model_attributes_t;

model_attributes_t model_attributes_draw(random_state_t *random);

typedef struct model_filter model_filter_t;

/* A random expression. */
model_filter_t *model_filter_draw(random_state_t *random);
void model_filter_destroy(model_filter_t *filter);
const char *model_filter_text(const model_filter_t *filter);
/* NULL matches everything. */
bool model_filter_matches(const model_filter_t *filter, const model_attributes_t *attributes);

/* ---- rows (model.c) ---- */

typedef struct model_row {
    int64_t id;
    float vector[MODEL_DIM_MOST];
    char *metadata;
    size_t metadata_size;
    model_attributes_t attributes;
} model_row_t;

typedef enum model_metric { MODEL_DOT, MODEL_L2, MODEL_COSINE } model_metric_t;

typedef struct model {
    model_metric_t metric;
    int64_t dim;
    model_row_t *rows;
    int64_t count, capacity;
} model_t;

/* Forgets the rows. */
void model_clear(model_t *model);
/* *to, which is cleared first, gets the same rows. */
void model_copy(const model_t *from, model_t *to);
/* The row of an id; NULL where there is none. */
model_row_t *model_find(const model_t *model, int64_t id);
/* Adds a row, or replaces that of the same id. The row is copied. */
void model_put(model_t *model, const model_row_t *row);
bool model_remove(model_t *model, int64_t id);
int64_t model_remove_matching(model_t *model, const model_filter_t *filter);
/* The score of two vectors. */
double model_score(const model_t *model, const float *a, const float *b);

/* ---- batches (model_batch.c) ---- */

typedef struct model_batch {
    dfaiss_batch_t batch; /* what the call is given */
    model_row_t *rows;    /* what the model is given: model_row_t[batch.n], whose ids the caller sets before the call, or after it */
    int64_t *ids;
    dfaiss_column_t columns[MODEL_FIELDS];
    void *memory[12]; /* that the batch points into */
    int memory_count;
} model_batch_t;

/* n vectors of a type drawn at random, with metadata or without; attributes: with attributes in columns or in the metadata. ids are all 0. */
void model_batch_draw(model_batch_t *out, random_state_t *random, int64_t n, int64_t dim, bool attributes);
/* Sets an id in the rows and in what the call is given. */
void model_batch_set_id(model_batch_t *batch, int64_t i, int64_t id);
void model_batch_clear(model_batch_t *batch);
void model_vector_draw(random_state_t *random, int64_t dim, float *vector);

/* ---- answers (model_answer.c) ---- */

/* One query to one index or several. */
typedef struct model_question {
    int model_count;
    const model_t *models[MODEL_INDEXES_MOST];
    bool exact; /* the answer is the model's; else hits are live, match and are ordered, and `recall` counts how many of the model's were found */
    const float *query;
    bool range;
    float radius;
    int64_t k; /* or the limit of a range search */
    const model_filter_t *filter;
    bool metadata, embeddings;
} model_question_t;

typedef struct model_recall {
    int64_t found, expected;
} model_recall_t;

/* Fails the test where the answer to query number `query` is wrong. recall is counted up. */
void model_check_answer(const model_question_t *question, const dfaiss_result_t *result, int64_t query, model_recall_t *recall);

#endif
