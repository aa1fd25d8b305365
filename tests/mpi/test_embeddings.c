/* Vectors that a search brings along: as they came while they wait, and afterwards those that the index compares queries with, for every kind and
 * metric and on any number of servers.
 */
#include "api_job.h"

#include <math.h>

enum { DIM = 16, ROWS = 600, BATCH = 100, QUERIES = 3, K = 40 };

static float *base, *queries;

static const char *const kinds[] = {"\"index_builder_type\": \"flat\"",
                                    "\"index_builder_type\": \"ivf_simple\", \"centroids\": 8, \"nprobe\": 8",
                                    "\"index_builder_type\": \"ivfsq\", \"centroids\": 8, \"nprobe\": 8",
                                    "\"index_builder_type\": \"hnswsq\", \"store_n\": 8",
                                    "\"index_builder_type\": \"knnlm\", \"centroids\": 4, \"nprobe\": 4, \"code_size\": 4",
                                    "\"faiss_factory\": \"OPQ4,IVF4,PQ4\", \"nprobe\": 4"};
static const char *const metrics[] = {"l2", "dot", "cosine"};

static void create(const char *index, const char *kind, const char *metric) {
    char config[256];
    snprintf(config, sizeof config, "{%s, \"metric\": \"%s\", \"dim\": %d}", kind, metric, DIM);
    api_create(index, config, true);
}

static void train(const char *index) {
    if (api_state(index) == DFAISS_NOT_TRAINED)
        assert_ok(dfaiss_train(job.client, index, &job.error), job.error);
    assert_ok(dfaiss_flush(job.client, index, &job.error), job.error);
}

static dfaiss_result_t *search(const char *index, int64_t nprobe) {
    dfaiss_result_t *result = NULL;
    dfaiss_search_options_t options = {.nprobe = nprobe, .embeddings = true};
    assert_ok(dfaiss_search(job.client, 1, &index, QUERIES, DIM, queries, K, &options, &result, &job.error), job.error);
    return result;
}

static double length_of(const float *vector) {
    double sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += (double)vector[i] * vector[i];
    return sqrt(sum);
}

/* A vector as the index of a metric keeps it. */
static double kept(const char *metric, const float *vector, int i) {
    return strcmp(metric, "cosine") == 0 ? vector[i] / length_of(vector) : vector[i];
}

static void assert_near(double a, double b) {
    if (fabs(a - b) > 1e-3 * (1 + fabs(a)))
        fail_msg("%g is not %g", a, b);
}

static double score_of(const char *metric, const float *query, const float *vector) {
    double sum = 0;
    for (int i = 0; i < DIM; i++) {
        double difference = (double)query[i] - vector[i];
        sum += strcmp(metric, "l2") == 0 ? difference * difference : kept(metric, query, i) * vector[i];
    }
    return sum;
}

static void check(const char *index, const char *metric, bool exact) {
    dfaiss_result_t *result = search(index, 0);
    for (int64_t query = 0; query < QUERIES; query++) {
        assert_int_equal(dfaiss_result_count(result, query), K);
        for (int64_t hit = 0; hit < K; hit++) {
            const float *vector = dfaiss_result_embedding(result, query, hit);
            int64_t at = query * K + hit;
            size_t size = 1;
            assert_non_null(vector);
            assert_null(dfaiss_result_metadata(result, query, hit, &size));
            assert_near(dfaiss_result_scores(result)[at], score_of(metric, queries + query * DIM, vector));
            for (int i = 0; exact && i < DIM; i++)
                assert_near(kept(metric, base + dfaiss_result_ids(result)[at] * DIM, i), vector[i]);
        }
    }
    dfaiss_result_destroy(result);
}

static void test_all_kinds_and_metrics(void **state) {
    (void)state;
    for (int kind = 0; kind < (int)(sizeof kinds / sizeof *kinds); kind++) {
        for (int metric = 0; metric < 3; metric++) {
            create("vectors", kinds[kind], metrics[metric]);
            api_add("vectors", base, DIM, 0, ROWS / 2, BATCH);
            check("vectors", metrics[metric], true);
            train("vectors");
            api_add("vectors", base, DIM, ROWS / 2, ROWS / 2, BATCH);
            if (kind < 2) /* of others one may be indexed after it was found and before it is brought */
                check("vectors", metrics[metric], true);
            train("vectors");
            check("vectors", metrics[metric], kind < 2);
            api_drop("vectors");
        }
    }
}

/* They come a portion at a time. */
static void test_many_large_vectors(void **state) {
    (void)state;
    enum { LARGE = 1500, MANY = 3000 };
    const char *const indexes[] = {"large"};
    float *vectors = api_vectors(MANY, LARGE, 43);
    api_create("large", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 1500}", true);
    api_add("large", vectors, LARGE, 0, MANY, BATCH);
    for (int flushed = 0; flushed < 2; flushed++) {
        dfaiss_result_t *result = NULL;
        dfaiss_search_options_t options = {.embeddings = true};
        assert_ok(dfaiss_search(job.client, 1, indexes, 1, LARGE, vectors, MANY, &options, &result, &job.error), job.error);
        assert_int_equal(dfaiss_result_count(result, 0), MANY);
        for (int64_t hit = 0; hit < MANY; hit++)
            assert_memory_equal(dfaiss_result_embedding(result, 0, hit), vectors + dfaiss_result_ids(result)[hit] * LARGE, LARGE * sizeof *vectors);
        dfaiss_result_destroy(result);
        assert_ok(dfaiss_flush(job.client, "large", &job.error), job.error);
    }
    api_drop("large");
    free(vectors);
}

static void test_vectors_of_small_numbers_are_widened(void **state) {
    (void)state;
    uint8_t vectors[ROWS * DIM];
    int64_t ids[ROWS];
    create("vectors", kinds[4], "l2"); /* waits for training */
    for (int64_t i = 0; i < ROWS * DIM; i++)
        vectors[i] = (uint8_t)(i * 37 % 251);
    for (int64_t i = 0; i < ROWS; i++)
        ids[i] = i;
    dfaiss_batch_t batch = {.element = DFAISS_U8, .n = ROWS, .dim = DIM, .vectors = vectors, .ids = ids};
    assert_ok(dfaiss_add(job.client, "vectors", &batch, NULL, &job.error), job.error);
    dfaiss_result_t *result = search("vectors", 0);
    for (int64_t hit = 0; hit < QUERIES * K; hit++) {
        const float *vector = dfaiss_result_embedding(result, hit / K, hit % K);
        for (int i = 0; i < DIM; i++)
            assert_true(vector[i] == vectors[dfaiss_result_ids(result)[hit] * DIM + i]);
    }
    dfaiss_result_destroy(result);
    api_drop("vectors");
}

/* With metadata, within a radius, out of two indexes. */
static void test_with_everything_else(void **state) {
    (void)state;
    const char *const indexes[] = {"red", "green"};
    dfaiss_result_t *result = NULL;
    dfaiss_search_options_t options = {.metadata = true, .embeddings = true};
    for (int i = 0; i < 2; i++) {
        uint64_t ends[ROWS / 2];
        int64_t ids[ROWS / 2];
        char text[ROWS * 8];
        size_t size = 0;
        create(indexes[i], kinds[i], "l2");
        for (int row = 0; row < ROWS / 2; row++) {
            ids[row] = i * ROWS / 2 + row;
            size += (size_t)snprintf(text + size, sizeof text - size, "row %d", (int)ids[row]);
            ends[row] = size;
        }
        dfaiss_batch_t batch = {.n = ROWS / 2, .dim = DIM, .vectors = base + ids[0] * DIM, .ids = ids, .metadata = text, .metadata_ends = ends};
        assert_ok(dfaiss_add(job.client, indexes[i], &batch, NULL, &job.error), job.error);
    }
    train("green");
    assert_ok(dfaiss_range_search(job.client, 2, indexes, QUERIES, DIM, queries, 1e9F, K, &options, &result, &job.error), job.error);
    for (int64_t at = 0; at < QUERIES * K; at++) {
        char text[16];
        size_t size;
        int64_t id = dfaiss_result_ids(result)[at];
        assert_memory_equal(dfaiss_result_embedding(result, at / K, at % K), base + id * DIM, DIM * sizeof *base);
        const void *metadata = dfaiss_result_metadata(result, at / K, at % K, &size);
        assert_int_equal(size, snprintf(text, sizeof text, "row %d", (int)id));
        assert_memory_equal(metadata, text, size);
    }
    dfaiss_result_destroy(result);
    options = (dfaiss_search_options_t){.metadata = true};
    assert_ok(dfaiss_search(job.client, 2, indexes, 1, DIM, queries, K, &options, &result, &job.error), job.error);
    assert_null(dfaiss_result_embedding(result, 0, 0));
    dfaiss_result_destroy(result);
    for (int i = 0; i < 2; i++)
        api_drop(indexes[i]);
}

static void check_refused(const char *factory) {
    const char *const indexes[] = {"vectors"};
    char kind[64];
    dfaiss_result_t *result = NULL;
    dfaiss_search_options_t options = {.embeddings = true};
    snprintf(kind, sizeof kind, "\"faiss_factory\": \"%s\"", factory);
    create("vectors", kind, "l2");
    api_add("vectors", base, DIM, 0, ROWS, BATCH);
    train("vectors");
    assert_fails(dfaiss_search(job.client, 1, indexes, 1, DIM, queries, K, &options, &result, &job.error), DFAISS_ERR_UNSUPPORTED, job.error,
                 factory);
    assert_null(result);
    options.embeddings = false;
    assert_ok(dfaiss_search(job.client, 1, indexes, 1, DIM, queries, K, &options, &result, &job.error), job.error);
    dfaiss_result_destroy(result);
    api_drop("vectors");
}

static void test_kinds_that_cannot(void **state) {
    (void)state;
    check_refused("IVF4,FlatDedup");
    check_refused("PCAW8,Flat");
}

static int run(void) {
    base = api_vectors(ROWS, DIM, 41);
    queries = api_vectors(QUERIES, DIM, 42);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds_and_metrics),
        cmocka_unit_test(test_many_large_vectors),
        cmocka_unit_test(test_vectors_of_small_numbers_are_widened),
        cmocka_unit_test(test_with_everything_else),
        cmocka_unit_test(test_kinds_that_cannot),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(base);
    free(queries);
    return failed;
}

int main(int argc, char **argv) {
    static const api_phase_t phases[] = {{.run = run}};
    return api_job_main(argc, argv, api_one, 1, phases);
}
