/* What becomes of single rows: vectors that are given back from their codes, and rows that are dropped. */
#include "test_engine.h"

enum { ROWS = 1000, QUERIES = 20 };

typedef struct kind {
    const char *factory;
    config_metric_t metric;
} kind_t;

static const kind_t kinds[] = {
    {"Flat", CONFIG_METRIC_l2},
    {"Flat", CONFIG_METRIC_cosine},
    {"SQ8", CONFIG_METRIC_l2},
    {"SQfp16", CONFIG_METRIC_dot},
    {"PQ8np", CONFIG_METRIC_l2},
    {"PQ8x5np", CONFIG_METRIC_dot},
    {"PCA16,Flat", CONFIG_METRIC_l2},
    {"OPQ4_16,PQ4np", CONFIG_METRIC_l2},
    {"RR32,SQ8", CONFIG_METRIC_cosine},
    {"IVF16,Flat", CONFIG_METRIC_l2},
    {"IVF16,SQ8", CONFIG_METRIC_dot},
    {"IVF16,PQ8x8np", CONFIG_METRIC_l2},
    {"IVF16,PQ8x8np", CONFIG_METRIC_dot},
    {"PCA16,IVF16_HNSW8,PQ4x5np", CONFIG_METRIC_l2},
    {"IVF16(IVF4,Flat),SQ8", CONFIG_METRIC_l2},
    {"HNSW16_SQ8", CONFIG_METRIC_l2},
    {"HNSW16,Flat", CONFIG_METRIC_dot},
    {"PCA16,HNSW16_PQ4np", CONFIG_METRIC_l2},
    {"IVF16,PQ8x4fs", CONFIG_METRIC_l2},
    {"PQ8x4fs", CONFIG_METRIC_dot},
    {"IVF16,SQ8,RFlat", CONFIG_METRIC_l2},
    {"HNSW16,Flat,RFlat", CONFIG_METRIC_l2},
};

static world_t open_kind(const kind_t *kind, int64_t segment_rows) {
    world_t world = open_world(engine_config(kind->factory, 32, kind->metric), ROWS, QUERIES, 2);
    open_store(&world, segment_rows);
    build_rows(&world, 0, ROWS, 430);
    return world;
}

/* ---- vectors given back ---- */

/* float[ROWS][dim] of plain faiss. */
static float *plain_vectors(const world_t *world) {
    float *vectors = malloc(sizeof *vectors * (size_t)(ROWS * world->dim));
    FaissIndex *index = plain_faiss(world, ROWS);
    assert_int_equal(faiss_Index_reconstruct_n(index, 0, ROWS, vectors), 0);
    faiss_Index_free(index);
    return vectors;
}

static void assert_vector(const world_t *world, const char *factory, const float *vector, const float *expected) {
    for (int64_t i = 0; i < world->dim; i++)
        if (fabsf(vector[i] - expected[i]) > 1e-4f)
            fail_msg("%s: component %d is %g, expected %g", factory, (int)i, (double)vector[i], (double)expected[i]);
}

static void vectors_come_back_as_from_faiss(void **state) {
    (void)state;
    static const int64_t rows[] = {0, 999, 429, 430, 17, 17, 860, 500};
    enum { COUNT = sizeof rows / sizeof *rows };
    dfaiss_error_t err;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_t world = open_kind(&kinds[i], 0);
        float *plain = plain_vectors(&world), *vectors = malloc(sizeof *vectors * (size_t)(COUNT * world.dim));
        assert_ok(engine_store_reconstruct(world.store, COUNT, rows, vectors, &err), err);
        for (int64_t j = 0; j < COUNT; j++)
            assert_vector(&world, kinds[i].factory, vectors + j * world.dim, plain + rows[j] * world.dim);
        assert_ok(engine_store_reconstruct(world.store, 0, NULL, NULL, &err), err);
        free(plain);
        free(vectors);
        close_world(&world);
    }
}

/* Rows that came after the first question are known to the next. */
static void later_rows_come_back_too(void **state) {
    (void)state;
    dfaiss_error_t err;
    const kind_t ivf = {"IVF16,Flat", CONFIG_METRIC_l2};
    world_t world = open_world(engine_config(ivf.factory, 32, ivf.metric), ROWS, QUERIES, 1);
    float vector[32];
    for (int64_t rows = 0; rows < ROWS; rows += 250) {
        build_rows(&world, rows, rows + 250, 100);
        for (int64_t row = 0; row < rows + 250; row += 49) {
            assert_ok(engine_store_reconstruct(world.store, 1, &row, vector, &err), err);
            assert_memory_equal(vector, world.x + row * 32, sizeof vector);
        }
    }
    close_world(&world);
}

static void rows_that_are_not_there_are_refused(void **state) {
    (void)state;
    dfaiss_error_t err;
    static const int64_t wrong[] = {-1, ROWS, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i += 3) {
        world_t world = open_kind(&kinds[i], 0);
        for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
            int64_t rows[] = {3, wrong[w]};
            float vectors[2 * 32] = {42};
            assert_int_equal(engine_store_reconstruct(world.store, 2, rows, vectors, &err), DFAISS_ERR_ARG);
            assert_non_null(strstr(err.text, "row"));
            assert_true(vectors[0] == 42);
        }
        close_world(&world);
    }
}

/* What faiss has no way back from is named. */
static void kinds_without_a_way_back_say_so(void **state) {
    (void)state;
    static const kind_t without[] = {{"PCAW16,Flat", CONFIG_METRIC_l2}, {"IVF4,FlatDedup", CONFIG_METRIC_l2}};
    static const char *const classes[] = {"codes", "opaque"};
    dfaiss_error_t err;
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        world_t world = open_kind(&without[i], 0);
        int64_t row = 5;
        float vector[32] = {42};
        assert_int_equal(engine_store_reconstruct(world.store, 1, &row, vector, &err), DFAISS_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, classes[i]));
        assert_true(vector[0] == 42);
        close_world(&world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_come_back_as_from_faiss),
        cmocka_unit_test(later_rows_come_back_too),
        cmocka_unit_test(rows_that_are_not_there_are_refused),
        cmocka_unit_test(kinds_without_a_way_back_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
