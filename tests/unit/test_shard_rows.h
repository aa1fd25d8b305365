/* What the tests of a shard's rows share: shards of every kind whose vectors have a year, and searches in the shortest slices. */
#ifndef TESTS_SHARD_ROWS_H
#define TESTS_SHARD_ROWS_H

#include "check.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "base/random.h"
#include "shard/search.h"
#include "shard/training.h"

enum { DIM = 8, SEED = 815 };

static const char flat[] =
    "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"attributes\": {\"year\": \"int\", \"lang\": \"string\"}}";

static dfaiss_error_t error;
static team_t *team;

/* Around all tests of a program. */
static inline int set_up_team(void **state) {
    (void)state;
    printf("seed %d\n", SEED);
    return team_create(2, &team, &error) == DFAISS_OK ? 0 : -1;
}

static inline int tear_down_team(void **state) {
    (void)state;
    team_destroy(team);
    return 0;
}

static inline shard_t *make_shard(const char *text) {
    shard_t *shard = NULL;
    index_config_t *config = NULL;
    assert_ok(index_config_parse(text, strlen(text), "test", &config, &error), error);
    assert_ok(shard_create("test", config, 1000, 0, team, &shard, &error), error);
    return shard;
}

/* n random vectors with ids from first_id on. */
static inline shard_batch_t make_batch(int64_t n, int64_t first_id) {
    shard_batch_t batch = {.n = n, .first_id = first_id, .element = ELEMENT_f32, .vector_bytes = (size_t)n * DIM * sizeof(float)};
    float *vectors = memory_map(batch.vector_bytes);
    assert_non_null(vectors);
    random_state_t random = random_stream(SEED, (uint64_t)first_id);
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i] = (float)(int64_t)random_below(&random, 50) - 25;
    batch.vectors = vectors;
    return batch;
}

/* As `year`, an attribute of its own, goes along with a batch: first, first + 1, ... */
static inline bytes_writer_t make_years(int64_t n, int64_t first, const char *name) {
    bytes_writer_t columns = {0};
    int64_t *years = malloc((size_t)n * sizeof *years);
    assert_non_null(years);
    for (int64_t i = 0; i < n; i++)
        years[i] = first + i;
    attribute_arrays_t arrays = {.name = name, .integers = years};
    assert_ok(attribute_given_encode(&arrays, 1, n, &columns, &error), error);
    free(years);
    return columns;
}

static inline void append_years(shard_t *shard, int64_t n, int64_t first) {
    shard_batch_t batch = make_batch(n, shard_rows(shard));
    bytes_writer_t columns = make_years(n, first, "year");
    assert_ok(shard_append(shard, &batch, columns.data, columns.size, &error), error);
    bytes_writer_destroy(&columns);
}

typedef struct kind {
    const char *config;
    bool trains;
    bool exact; /* finds the nearest, not some that are near */
} kind_t;

#define ATTRIBUTES "\"dim\": 8, \"metric\": \"l2\", \"nprobe\": 8, \"attributes\": {\"year\": \"int\", \"lang\": \"string\"}"

static const kind_t kinds[] = {
    {"{\"index_builder_type\": \"flat\", " ATTRIBUTES "}", false, true},
    {"{\"index_builder_type\": \"flat\", \"segment_rows\": 1024, " ATTRIBUTES "}", false, true},
    {"{\"index_builder_type\": \"ivf_simple\", \"centroids\": 8, " ATTRIBUTES "}", true, true},
    {"{\"index_builder_type\": \"hnswsq\", \"store_n\": 8, \"segment_rows\": 1024, " ATTRIBUTES "}", true, false},
    {"{\"faiss_factory\": \"IVF8,PQ4x4fs\", " ATTRIBUTES "}", true, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static inline void train(shard_t *shard) {
    enum { SAMPLE = 1000 };
    shard_batch_t batch = make_batch(SAMPLE, 1 << 20);
    assert_ok(shard_sample(shard, ELEMENT_f32, SAMPLE, batch.vectors, batch.vector_bytes, &error), error);
    training_t *training = NULL;
    assert_ok(training_create(shard, shard_rows(shard), 1, &training, &error), error);
    assert_ok(training_work(training, &error), error);
    assert_ok(shard_install(shard, training_take(training), &error), error);
    training_destroy(training);
    assert_true(shard_advance(shard, INT64_MAX));
}

/* One piece of the builder's work; false: there was none. */
static inline bool build_once(shard_t *shard) {
    bool work = false;
    assert_ok(shard_build_prepare(shard, &work, &error), error);
    if (!work)
        return false;
    dfaiss_status_t status = shard_build_work(shard, &error);
    assert_ok(status, error);
    shard_build_done(shard, status);
    return true;
}

static inline void build_all(shard_t *shard) {
    shard_flush(shard);
    while (build_once(shard)) {
        while (shard_changing(shard))
            (void)shard_advance(shard, INT64_MAX);
    }
}

static inline topk_t make_hits(int64_t k) {
    size_t bytes = 0;
    assert_true(topk_bytes(1, k, &bytes));
    void *block = malloc(bytes);
    assert_non_null(block);
    return topk_view(block, 1, k);
}

/* In the shortest slices, with links in between. */
static inline void search_in_steps(shard_t *shard, const shard_question_t *question, topk_t *hits) {
    shard_search_t *search = NULL;
    bool done = false;
    assert_ok(shard_search_create(shard, question, &search, &error), error);
    while (!done) {
        (void)shard_advance(shard, INT64_MAX);
        assert_ok(shard_search_step(search, 0, &done, &error), error);
    }
    shard_search_result(search, hits);
    shard_search_destroy(search);
}

/* What append_years gives to row r, whose id is r too, where the first one has year 2000. */
static inline int64_t year_of(int64_t id) {
    return 2000 + id;
}

static inline double distance(const float *query, int64_t id, int64_t batch) {
    shard_batch_t made = make_batch(batch, id / batch * batch);
    const float *vector = (const float *)made.vectors + id % batch * DIM;
    double sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += (double)(query[i] - vector[i]) * (double)(query[i] - vector[i]);
    shard_batch_clear(&made);
    return sum;
}

#endif
