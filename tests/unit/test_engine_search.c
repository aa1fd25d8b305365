/* What searches answer: every kind of index against plain faiss and against brute force, in slices, with several threads, and beside a buffer. */
#include "test_engine.h"

typedef struct kind {
    const char *factory;
    config_metric_t metric;
    bool exact; /* the same rows as brute force */
    double allowance;
} kind_t;

static const kind_t kinds[] = {
    {"Flat", CONFIG_METRIC_l2, true, 0},
    {"Flat", CONFIG_METRIC_dot, true, 0},
    {"Flat", CONFIG_METRIC_cosine, true, 0},
    {"SQ8", CONFIG_METRIC_l2, false, 0.01},
    {"SQfp16", CONFIG_METRIC_dot, false, 0.01},
    {"PQ8np", CONFIG_METRIC_l2, false, 0.01},
    {"PQ8np", CONFIG_METRIC_dot, false, 0.01},
    {"PQ8x5np", CONFIG_METRIC_l2, false, 0.01},
    {"PCA16,Flat", CONFIG_METRIC_l2, false, 0.01},
    {"IVF16,Flat", CONFIG_METRIC_l2, false, 0.01},
    {"IVF{centroids},Flat", CONFIG_METRIC_dot, false, 0.01},
    {"IVF16,Flat", CONFIG_METRIC_cosine, false, 0.01},
    {"IVF16,SQfp16", CONFIG_METRIC_l2, false, 0.01},
    {"IVF16,SQ8", CONFIG_METRIC_dot, false, 0.01},
    {"IVF16,PQ8x8np", CONFIG_METRIC_l2, false, 0.01},
    {"IVF16,PQ8x8np", CONFIG_METRIC_dot, false, 0.01},
    {"IVF16_HNSW8,Flat", CONFIG_METRIC_l2, false, 0.01},
    {"OPQ4_16,IVF16_HNSW8,PQ4x5np", CONFIG_METRIC_l2, false, 0.01},
    {"HNSW16_SQ8", CONFIG_METRIC_l2, false, 0.01},
    {"HNSW16,Flat", CONFIG_METRIC_dot, false, 0.01},
    {"HNSW16_PQ4np", CONFIG_METRIC_l2, false, 0.01},
    {"PCA16,HNSW16_SQ8", CONFIG_METRIC_cosine, false, 0.01},
    {"IVF16,PQ8x4fs", CONFIG_METRIC_l2, false, 0.02},
    {"IVF16,SQ8,RFlat", CONFIG_METRIC_l2, false, 0.01},
    {"PCA16,IVF16,PQ8x4fs", CONFIG_METRIC_l2, false, 0.02},
    {"IVF16(IVF4,Flat),SQ8", CONFIG_METRIC_l2, false, 0.01},
    {"IVF16(IVF4,Flat),PQ8x4fs", CONFIG_METRIC_l2, false, 0.02},
    {"LSH", CONFIG_METRIC_l2, false, 0.02},
};

static void check_against_faiss(const kind_t *kind, world_t *world) {
    int64_t results = world->nq * world->k;
    int64_t *exact = malloc((size_t)results * sizeof *exact), *plain = malloc((size_t)results * sizeof *plain);
    float *plain_scores = malloc((size_t)results * sizeof *plain_scores);
    brute_force(world, world->n, world->x, exact);
    FaissIndex *index = plain_faiss(world, world->n);
    assert_int_equal(faiss_Index_search(index, world->nq, world->queries, world->k, plain_scores, plain), 0);
    faiss_Index_free(index);
    search_all(world, NEVER);
    assert_well_formed(world, world->n);
    if (kind->exact)
        assert_nearest_rows(world, exact);
    double ours = recall(world, world->rows, exact), theirs = recall(world, plain, exact);
    if (ours < theirs - kind->allowance)
        fail_msg("%s: recall is %.4f, plain faiss has %.4f", kind->factory, ours, theirs);
    free(exact);
    free(plain);
    free(plain_scores);
}

static void kinds_answer_like_faiss(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int64_t n = strstr(kinds[i].factory, "OPQ") ? 1000 : 3000; /* its training takes long */
        world_t world = open_world(engine_config(kinds[i].factory, 32, kinds[i].metric), n, 50, 2);
        if (engine_template_class(world.template) == ENGINE_HNSW)
            world.effort = 80; /* graphs differ with the order of their vectors, and less so when searched well */
        build_rows(&world, 0, world.n, world.n);
        check_against_faiss(&kinds[i], &world);
        open_store(&world, 0);
        build_rows(&world, 0, world.n, world.n * 4 / 7);
        check_against_faiss(&kinds[i], &world);
        close_world(&world);
    }
}

static void builder_types_answer_like_faiss(void **state) {
    (void)state;
    static const config_kind_t types[] = {CONFIG_KIND_flat, CONFIG_KIND_ivf_simple, CONFIG_KIND_knnlm, CONFIG_KIND_hnswsq, CONFIG_KIND_ivfsq};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        index_config_t config = engine_config("", 32, CONFIG_METRIC_l2);
        config.index_builder_type = types[i];
        kind_t kind = {.factory = "builder type", .exact = types[i] == CONFIG_KIND_flat, .allowance = 0.01};
        world_t world = open_world(config, 2500, 40, 1);
        if (types[i] == CONFIG_KIND_hnswsq)
            world.effort = 80;
        build_rows(&world, 0, world.n, 1000);
        check_against_faiss(&kind, &world);
        close_world(&world);
    }
}

/* One, few and many queries take different ways through the code; so do one and several threads. */
static void batches_and_slices_change_nothing(void **state) {
    (void)state;
    static const char *const factories[] = {"Flat", "SQ8", "PQ8np", "IVF16,Flat", "RR16,IVF16_HNSW8,PQ8x5np", "HNSW16_SQ8", "IVF16,SQ8,RFlat"};
    static const int64_t batches[] = {1, 3, 19, 20, 70};
    for (size_t i = 0; i < sizeof factories / sizeof *factories; i++) {
        world_t world = open_world(engine_config(factories[i], 32, CONFIG_METRIC_l2), 2600, 70, 1);
        int64_t *expected = malloc((size_t)(world.nq * world.k) * sizeof *expected);
        build_rows(&world, 0, world.n, 1300);
        search_all(&world, NEVER);
        memcpy(expected, world.rows, (size_t)(world.nq * world.k) * sizeof *expected);
        for (int threads = 1; threads <= 3; threads++) {
            open_search(&world, threads);
            for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
                world.nq = batches[b];
                search_all(&world, 0); /* the deadline is past when the slice begins */
                assert_same_rows(&world, world.rows, expected);
                search_all(&world, 50000);
                assert_same_rows(&world, world.rows, expected);
            }
        }
        free(expected);
        close_world(&world);
    }
}

/* Vectors with few different values: equal scores everywhere, at the k-th place too. */
static void ties_stand_by_row(void **state) {
    (void)state;
    static const int64_t ks[] = {1, 2, 10, 100, 400}, segments[] = {100, 333, 65536}, batches[] = {1, 7, 33};
    static const config_metric_t metrics[] = {CONFIG_METRIC_l2, CONFIG_METRIC_dot};
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        world_t world = open_world(engine_config("Flat", 8, metrics[m]), 2000, 33, 1);
        random_state_t random = random_stream(3, 3);
        for (int64_t i = 0; i < world.n * world.dim; i++)
            world.x[i] = (float)random_below(&random, 3);
        for (int64_t i = 0; i < world.nq * world.dim; i++)
            world.queries[i] = (float)random_below(&random, 3);
        int64_t *expected = malloc((size_t)world.nq * 400 * sizeof *expected);
        for (size_t s = 0; s < sizeof segments / sizeof *segments; s++) {
            open_store(&world, segments[s]);
            build_rows(&world, 0, world.n, 700);
            for (size_t i = 0; i < 3 * (sizeof ks / sizeof *ks); i++) {
                world.k = ks[i / 3];
                world.nq = batches[i % 3];
                brute_force(&world, world.n, world.x, expected);
                for (int threads = 1; threads <= 3; threads++) {
                    open_search(&world, threads);
                    search_all(&world, NEVER);
                    assert_same_rows(&world, world.rows, expected);
                }
            }
        }
        free(expected);
        close_world(&world);
    }
}

/* Every vector stands there ten times. Of equal ones those with lower rows are the better answers, so that fewer neighbours are a start of more. */
static void equal_vectors_come_in_order(void **state) {
    (void)state;
    static const char *const factories[] = {"Flat", "SQ8", "PQ4np", "PQ4x5np", "IVF8,Flat", "IVF8,SQ8", "IVF8,PQ4np"};
    static const int64_t ks[] = {3, 8, 15, 64};
    enum { DIFFERENT = 100, ROWS = 1000 };
    for (size_t f = 0; f < 2 * (sizeof factories / sizeof *factories); f++) {
        world_t world = open_world(engine_config(factories[f / 2], 16, f % 2 ? CONFIG_METRIC_dot : CONFIG_METRIC_l2), ROWS, 5, 1);
        for (int64_t row = DIFFERENT; row < ROWS; row++)
            memcpy(world.x + row * world.dim, world.x + row % DIFFERENT * world.dim, (size_t)world.dim * sizeof *world.x);
        world.effort = 8;
        build_rows(&world, 0, ROWS, 430);
        int64_t *all = malloc((size_t)world.nq * ROWS * sizeof *all);
        world.k = ROWS;
        search_all(&world, NEVER);
        assert_well_formed(&world, ROWS);
        memcpy(all, world.rows, (size_t)world.nq * ROWS * sizeof *all);
        for (size_t i = 0; i < 3 * (sizeof ks / sizeof *ks); i++) {
            open_search(&world, (int)(1 + i % 3));
            world.k = ks[i / 3];
            search_all(&world, NEVER);
            for (int64_t query = 0; query < world.nq; query++)
                assert_memory_equal(world.rows + query * world.k, all + query * ROWS, (size_t)world.k * sizeof *all);
        }
        free(all);
        close_world(&world);
    }
}

/* Rows from `first` on, as they would lie in a buffer of this type; x takes the rounded values. */
static void *narrow_rows(world_t *world, element_t element, int64_t first) {
    size_t count = (size_t)((world->n - first) * world->dim);
    void *narrow = malloc(count * element_size(element));
    element_narrow(element, world->x + first * world->dim, count, narrow);
    element_widen(element, narrow, count, world->x + first * world->dim);
    return narrow;
}

static void scan_buffer(world_t *world, element_t element, const void *vectors, int64_t first, int64_t n, int64_t slice) {
    dfaiss_error_t err;
    for (int64_t cursor = 0; cursor < n;)
        assert_ok(
            engine_search_vectors(world->search, element, vectors, first, n, &cursor, slice == NEVER ? NEVER : clock_nanoseconds() + slice, &err),
            err);
}

static void buffered_vectors_are_found(void **state) {
    (void)state;
    static const config_metric_t metrics[] = {CONFIG_METRIC_l2, CONFIG_METRIC_dot, CONFIG_METRIC_cosine};
    enum { INDEXED = 1200 };
    dfaiss_error_t err;
    for (size_t m = 0; m < 3 * ELEMENT_COUNT; m++) {
        element_t element = (element_t)(m / 3);
        world_t world = open_world(engine_config("Flat", 24, metrics[m % 3]), 3000, 30, 2);
        if (element == ELEMENT_u8 || element == ELEMENT_i8)
            for (int64_t i = 0; i < world.n * world.dim; i++)
                world.x[i] = roundf(world.x[i] * 20);
        void *buffer = narrow_rows(&world, element, INDEXED);
        if (metrics[m % 3] == CONFIG_METRIC_cosine)
            element_normalize(world.x, world.n, world.dim);
        int64_t *expected = malloc((size_t)(world.nq * world.k) * sizeof *expected);
        brute_force(&world, world.n, world.x, expected);
        build_rows(&world, 0, INDEXED, 500);
        for (int order = 0; order < 2; order++) {
            assert_ok(engine_search_begin(world.search, world.nq, world.queries, world.k, world.effort, &err), err);
            if (order)
                search_store(&world, 0);
            scan_buffer(&world, element, buffer, INDEXED, 1000, 0);
            scan_buffer(&world, element, (const uint8_t *)buffer + (size_t)(1000 * world.dim) * element_size(element), INDEXED + 1000,
                        world.n - INDEXED - 1000, NEVER);
            if (!order)
                search_store(&world, NEVER);
            engine_search_end(world.search, world.scores, world.rows);
            assert_well_formed(&world, world.n);
            assert_nearest_rows(&world, expected);
        }
        free(expected);
        free(buffer);
        close_world(&world);
    }
}

/* Rows that are linked in while their search is under way stand in the buffer and in the store. */
static void rows_in_both_appear_once(void **state) {
    (void)state;
    static const char *const factories[] = {"Flat", "IVF16,PQ8np", "HNSW16_SQ8", "SQ8"};
    dfaiss_error_t err;
    for (size_t f = 0; f < 2 * (sizeof factories / sizeof *factories); f++) {
        world_t world = open_world(engine_config(factories[f / 2], 32, CONFIG_METRIC_l2), 2000, 25, 2);
        world.effort = 64;
        int64_t *expected = malloc((size_t)(world.nq * world.k) * sizeof *expected);
        brute_force(&world, world.n, world.x, expected);
        build_rows(&world, 0, world.n, 2000);
        assert_ok(engine_search_begin(world.search, world.nq, world.queries, world.k, world.effort, &err), err);
        if (f % 2)
            search_store(&world, NEVER);
        scan_buffer(&world, ELEMENT_f32, world.x, 0, world.n, NEVER);
        if (f % 2 == 0)
            search_store(&world, NEVER);
        engine_search_end(world.search, world.scores, world.rows);
        assert_well_formed(&world, world.n);
        assert_nearest_rows(&world, expected); /* the exact scores decide */
        free(expected);
        close_world(&world);
    }
}

/* A buffer is searched in the space of the vectors that came, whatever the transform in front of the index. */
static void buffers_are_scanned_untransformed(void **state) {
    (void)state;
    dfaiss_error_t err;
    world_t world = open_world(engine_config("PCA8,Flat", 32, CONFIG_METRIC_l2), 1500, 25, 2);
    int64_t *expected = malloc((size_t)(world.nq * world.k) * sizeof *expected);
    brute_force(&world, world.n, world.x, expected);
    assert_ok(engine_search_begin(world.search, world.nq, world.queries, world.k, world.effort, &err), err);
    scan_buffer(&world, ELEMENT_f32, world.x, 0, world.n, NEVER);
    search_store(&world, NEVER);
    engine_search_end(world.search, world.scores, world.rows);
    assert_nearest_rows(&world, expected);
    free(expected);
    close_world(&world);
}

/* Before training too, when no transform can be applied. */
static void buffers_are_scanned_before_training(void **state) {
    (void)state;
    static const char *const factories[] = {"PCA8,Flat", "OPQ4_16,IVF16,PQ4"};
    dfaiss_error_t err;
    for (size_t f = 0; f < sizeof factories / sizeof *factories; f++) {
        world_t world = open_world(engine_config("Flat", 32, CONFIG_METRIC_l2), 1500, 25, 2);
        index_config_t config = engine_config(factories[f], 32, CONFIG_METRIC_l2);
        int64_t *expected = malloc((size_t)(world.nq * world.k) * sizeof *expected);
        brute_force(&world, world.n, world.x, expected);
        engine_template_t *trained = world.template;
        assert_ok(engine_template_create(&config, world.n, &world.template, &err), err);
        assert_false(engine_template_trained(world.template));
        open_search(&world, 2);
        assert_ok(engine_search_begin(world.search, world.nq, world.queries, world.k, world.effort, &err), err);
        scan_buffer(&world, ELEMENT_f32, world.x, 0, world.n, NEVER);
        engine_search_end(world.search, world.scores, world.rows);
        assert_nearest_rows(&world, expected);
        free(expected);
        close_world(&world);
        engine_template_destroy(trained);
    }
}

/* faiss takes memory for as many candidates or lists as it is asked for, and ends the process where there is none. */
static void no_effort_is_too_large(void **state) {
    (void)state;
    static const char *const factories[] = {"Flat",          "IVF16,Flat",          "IVF16_HNSW8,SQ8", "HNSW16_SQ8",
                                            "IVF16,PQ8x4fs", "IVF16,PQ8x4fs,RFlat", "HNSW16,RFlat"};
    static const int64_t efforts[] = {INT32_MAX, INT64_C(1) << 31, INT64_MAX};
    for (size_t f = 0; f < sizeof factories / sizeof *factories; f++) {
        world_t world = open_world(engine_config(factories[f], 32, CONFIG_METRIC_l2), 600, 3, 2);
        int64_t *expected = malloc((size_t)(world.nq * world.k) * sizeof *expected);
        build_rows(&world, 0, 600, 600);
        world.effort = 600;
        search_all(&world, NEVER);
        memcpy(expected, world.rows, (size_t)(world.nq * world.k) * sizeof *expected);
        for (size_t i = 0; i < sizeof efforts / sizeof *efforts; i++) {
            world.effort = efforts[i];
            limit_memory((rlim_t)1 << 30);
            search_all(&world, NEVER);
            limit_memory(RLIM_INFINITY);
            assert_same_rows(&world, world.rows, expected);
        }
        free(expected);
        close_world(&world);
    }
}

static void empty_stores_and_large_k_are_fine(void **state) {
    (void)state;
    static const char *const factories[] = {"Flat", "SQ8", "IVF16,Flat", "HNSW16_SQ8", "IVF16,PQ8x4fs"};
    for (size_t f = 0; f < sizeof factories / sizeof *factories; f++) {
        world_t world = open_world(engine_config(factories[f], 32, CONFIG_METRIC_dot), 600, 3, 2);
        world.k = 700;
        world.effort = 1000;
        search_all(&world, NEVER);
        for (int64_t i = 0; i < world.nq * world.k; i++)
            assert_int_equal(world.rows[i], -1);
        build_rows(&world, 0, 600, 600);
        search_all(&world, 0);
        assert_well_formed(&world, 600);
        assert_true(world.rows[499] >= 0);
        assert_int_equal(world.rows[600], -1);
        close_world(&world);
    }
}

/* All rows are found where all are asked for, however few there are. */
static void whole_stores_are_found(void **state) {
    (void)state;
    static const char *const factories[] = {"SQ4",         "PQ8x4fs",     "IVF4,PQ8x4fs,RFlat", "LSH", "RQ4x5", "HNSW8,SQ8",
                                            "HNSW8,RFlat", "IMI2x2,Flat", "PCA8,IVF4,FlatDedup"};
    static const int64_t rows[] = {1, 2, 40};
    for (size_t f = 0; f < 3 * (sizeof factories / sizeof *factories); f++) {
        world_t world = open_world(engine_config(factories[f / 3], 32, CONFIG_METRIC_l2), 600, 3, 2);
        int64_t n = rows[f % 3];
        world.k = n + 7;
        world.effort = 16;
        build_rows(&world, 0, n, n);
        search_all(&world, NEVER);
        assert_well_formed(&world, n);
        for (int64_t query = 0; query < world.nq; query++)
            if (world.rows[query * world.k + n - 1] < 0)
                fail_msg("%s: not all of %d rows are found", factories[f / 3], (int)n);
        close_world(&world);
    }
}

static void searches_refuse_what_makes_no_sense(void **state) {
    (void)state;
    dfaiss_error_t err;
    world_t world = open_world(engine_config("Flat", 8, CONFIG_METRIC_l2), 100, 2, 1);
    assert_fails(engine_search_begin(world.search, 0, world.queries, 1, 1, &err), DFAISS_ERR_ARG, err, "at least 1");
    assert_fails(engine_search_begin(world.search, 1, world.queries, 0, 1, &err), DFAISS_ERR_ARG, err, "at least 1");
    close_world(&world);
}

static void exact_neighbours_of_files(void **state) {
    (void)state;
    dfaiss_error_t err;
    static const config_metric_t metrics[] = {CONFIG_METRIC_l2, CONFIG_METRIC_dot};
    for (size_t m = 0; m < 2; m++) {
        world_t world = open_world(engine_config("Flat", 20, metrics[m]), 5000, 60, 3);
        int64_t *expected = malloc((size_t)(world.nq * world.k) * sizeof *expected);
        brute_force(&world, world.n, world.x, expected);
        for (int64_t i = 0; i < world.nq * world.k; i++)
            world.rows[i] = -1;
        for (int64_t at = 0; at < world.n; at += 1234) {
            int64_t count = world.n - at < 1234 ? world.n - at : 1234;
            assert_ok(engine_exact_merge(metrics[m], world.dim, world.nq, world.queries, count, world.x + at * world.dim, at, world.k, world.scores,
                                         world.rows, world.team, &err),
                      err);
        }
        assert_nearest_rows(&world, expected);
        assert_fails(engine_exact_merge(metrics[m], 0, 1, world.queries, 1, world.x, 0, 1, world.scores, world.rows, world.team, &err),
                     DFAISS_ERR_ARG, err, "out of range");
        free(expected);
        close_world(&world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_answer_like_faiss),
        cmocka_unit_test(builder_types_answer_like_faiss),
        cmocka_unit_test(batches_and_slices_change_nothing),
        cmocka_unit_test(ties_stand_by_row),
        cmocka_unit_test(equal_vectors_come_in_order),
        cmocka_unit_test(buffered_vectors_are_found),
        cmocka_unit_test(rows_in_both_appear_once),
        cmocka_unit_test(buffers_are_scanned_untransformed),
        cmocka_unit_test(buffers_are_scanned_before_training),
        cmocka_unit_test(no_effort_is_too_large),
        cmocka_unit_test(empty_stores_and_large_k_are_fine),
        cmocka_unit_test(whole_stores_are_found),
        cmocka_unit_test(searches_refuse_what_makes_no_sense),
        cmocka_unit_test(exact_neighbours_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
