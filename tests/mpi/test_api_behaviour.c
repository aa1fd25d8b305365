/* What the tests of the Python library that dfaiss follows check, and what its calls are for: several servers and clients answer as one server does;
 * vectors are dealt out evenly; training starts by itself; a configuration is kept, and can be overridden; centroids, metadata and scores have their
 * shapes. The second phase has one server, which is given the same data; in the third, new servers load what the first have saved. */
#include "api_job.h"

#include <math.h>

enum { DIM = 16, ROWS = 3000, QUERIES = 40, K = 10, PART = 50 };

/* ---- several servers answer as one ---- */

static const struct {
    const char *index, *config;
    bool trains;
} kinds[] = {
    {.index = "flat-l2", .config = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}"},
    {.index = "flat-dot", .config = "{\"index_builder_type\": \"flat\", \"metric\": \"dot\", \"dim\": 16}"},
    {.index = "flat-cosine", .config = "{\"index_builder_type\": \"flat\", \"metric\": \"cosine\", \"dim\": 16}"},
    {.index = "lists-l2",
     .config = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 12, \"nprobe\": 12}",
     .trains = true},
    {.index = "lists-dot",
     .config = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"dot\", \"dim\": 16, \"centroids\": 12, \"nprobe\": 12}",
     .trains = true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* What the servers of the first phase have answered. */
static float kept_scores[KINDS][QUERIES * K];
static int64_t kept_ids[KINDS][QUERIES * K];
static bool kept;

/* Every client adds its share. */
static void add_together(const char *index, const float *base) {
    for (int64_t part = job.number; part < ROWS / PART; part += job.clients)
        api_add(index, base, DIM, part * PART, PART, PART / 2);
}

static bool near(float a, float b) {
    return fabsf(a - b) <= 1e-5F * fmaxf(1, fabsf(a));
}

/* The same ids, except among scores that are nearly equal; those at the end may stand for some that were cut off. */
static void assert_same_answer(const float *scores, const int64_t *ids, const float *other_scores, const int64_t *other_ids) {
    for (int i = 0; i < K; i++) {
        bool found = near(scores[i], other_scores[K - 1]);
        assert_true(near(scores[i], other_scores[i]));
        for (int j = 0; j < K; j++)
            found |= ids[i] == other_ids[j] && near(scores[i], other_scores[j]);
        assert_true(found);
    }
}

static void keep_or_compare(size_t kind, const dfaiss_result_t *result) {
    const float *scores = dfaiss_result_scores(result);
    const int64_t *ids = dfaiss_result_ids(result);
    if (!kept) {
        memcpy(kept_scores[kind], scores, sizeof kept_scores[kind]);
        memcpy(kept_ids[kind], ids, sizeof kept_ids[kind]);
    }
    for (int query = 0; query < QUERIES; query++)
        assert_same_answer(scores + query * K, ids + query * K, kept_scores[kind] + query * K, kept_ids[kind] + query * K);
}

static void answer_one_kind(size_t kind, const float *base, const float *queries) {
    const char *index = kinds[kind].index;
    if (job.number == 0)
        api_create(index, kinds[kind].config, true);
    api_barrier();
    add_together(index, base);
    api_barrier();
    if (kinds[kind].trains && job.number == 0)
        assert_ok(dfaiss_train(job.client, index, &job.error), job.error);
    api_barrier();
    dfaiss_result_t *result;
    assert_ok(dfaiss_search(job.client, 1, &index, QUERIES, DIM, queries, K, NULL, &result, &job.error), job.error);
    keep_or_compare(kind, result);
    dfaiss_result_destroy(result);
    if (!strstr(kinds[kind].config, "cosine"))
        api_check_exact(index, strstr(kinds[kind].config, "dot") != NULL, base, ROWS, DIM, queries, QUERIES, K);
    api_barrier();
    if (job.number == 0)
        api_drop(index);
}

static void test_servers_answer_as_one(void **state) {
    (void)state;
    float *base = api_vectors(ROWS, DIM, 1), *queries = api_vectors(QUERIES, DIM, 2);
    for (size_t kind = 0; kind < KINDS; kind++)
        answer_one_kind(kind, base, queries);
    kept = true;
    free(queries);
    free(base);
}

/* ---- balance ---- */

static void vectors_by_server(const char *index, int64_t *least, int64_t *most, int64_t *sum) {
    dfaiss_statistics_t *statistics = calloc((size_t)job.servers, sizeof *statistics);
    assert_non_null(statistics);
    assert_ok(dfaiss_get_statistics(job.client, index, statistics, &job.error), job.error);
    *least = INT64_MAX;
    *most = *sum = 0;
    for (int server = 0; server < job.servers; server++) {
        assert_int_equal(statistics[server].server, server);
        *least = statistics[server].vectors < *least ? statistics[server].vectors : *least;
        *most = statistics[server].vectors > *most ? statistics[server].vectors : *most;
        *sum += statistics[server].vectors;
    }
    for (int server = 0; server<job.servers && * sum> 0; server++)
        assert_true(fabs(statistics[server].imbalance - (double)statistics[server].vectors * job.servers / (double)*sum) < 1e-6);
    free(statistics);
}

static void test_vectors_are_dealt_out_evenly(void **state) {
    (void)state;
    enum { EACH = 7 };
    int64_t least, most, sum, rounds = 2 * job.servers * EACH, first = job.number * (rounds + EACH);
    float *base = api_vectors(job.clients * (rounds + EACH), DIM, 3);
    if (job.number == 0)
        api_create("even", kinds[0].config, true);
    api_barrier();
    api_add("even", base, DIM, first, rounds, EACH);
    api_barrier();
    vectors_by_server("even", &least, &most, &sum);
    assert_int_equal(sum, job.clients * rounds);
    assert_int_equal(least, most);
    api_barrier();
    /* One more each: servers may differ by as many batches as there are clients. */
    api_add("even", base, DIM, first + rounds, EACH, EACH);
    api_barrier();
    vectors_by_server("even", &least, &most, &sum);
    assert_int_equal(sum, job.clients * (rounds + EACH));
    assert_true(most - least <= job.clients * EACH);
    api_barrier();
    if (job.number == 0)
        api_drop("even");
    free(base);
}

/* ---- training starts by itself ---- */

static void test_training_starts_by_itself(void **state) {
    (void)state;
    enum { TRAIN = 120 };
    int64_t before = TRAIN * job.servers - 1;
    float *base = api_vectors(before + 1, DIM, 4);
    if (job.number == 0) {
        api_create("self",
                   "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 4, \"nprobe\": 4, \"train_num\": 120}",
                   true);
        api_add("self", base, DIM, 0, before, 13);
    }
    api_barrier();
    for (int i = 0; i < 5; i++)
        assert_int_equal(api_state("self"), DFAISS_NOT_TRAINED);
    api_check_exact("self", false, base, before, DIM, base, 5, K);
    api_barrier();
    if (job.number == job.clients - 1)
        api_add("self", base, DIM, before, 1, 1);
    assert_ok(dfaiss_wait_state(job.client, "self", DFAISS_TRAINED, 60, &job.error), job.error);
    api_barrier();
    assert_true(api_state("self") == DFAISS_TRAINED);
    api_check_exact("self", false, base, before + 1, DIM, base, 20, K);
    assert_fails(dfaiss_train(job.client, "self", &job.error), DFAISS_ERR_STATE, job.error, "self");
    api_barrier();
    if (job.number == 0)
        api_drop("self");
    free(base);
}

/* With local training, each server at its own train_num. One client alone, so that it knows where its batches go: round and round. */
static void local_training_starts_by_itself(void) {
    enum { TRAIN = 100 };
    float *base = api_vectors(TRAIN * job.servers, DIM, 5);
    api_create("self-local",
               "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 4, \"nprobe\": 4, \"train_num\": 100,"
               " \"training\": \"local\"}",
               true);
    int64_t almost = (TRAIN - 1) * job.servers;
    api_add("self-local", base, DIM, 0, almost, TRAIN - 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(api_state("self-local"), DFAISS_NOT_TRAINED);
    api_add("self-local", base, DIM, almost, job.servers, 1);
    assert_ok(dfaiss_wait_state(job.client, "self-local", DFAISS_TRAINED, 60, &job.error), job.error);
    api_check_exact("self-local", false, base, TRAIN * job.servers, DIM, base, 20, K);
    api_drop("self-local");
    free(base);
}

static void test_local_training_starts_by_itself(void **state) {
    (void)state;
    if (job.number == 0)
        local_training_starts_by_itself();
    api_barrier();
}

/* ---- the configuration ---- */

static void assert_key(const dfaiss_config_t *config, const char *key, const char *expected) {
    char *value;
    assert_ok(dfaiss_config_get(config, key, &value, &job.error), job.error);
    assert_string_equal(value, expected);
    free(value);
}

static void assert_index_key(const char *index, const char *key, const char *expected) {
    dfaiss_config_t *config;
    assert_ok(dfaiss_get_config(job.client, index, &config, &job.error), job.error);
    assert_key(config, key, expected);
    dfaiss_config_destroy(config);
}

static dfaiss_config_t *one_key(const char *key, const char *value) {
    dfaiss_config_t *config;
    assert_ok(dfaiss_config_create(&config, &job.error), job.error);
    assert_ok(dfaiss_config_set(config, key, value, &job.error), job.error);
    return config;
}

static void configuration_is_kept(const float *base) {
    int64_t generation = 0;
    api_create("kept",
               "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": \"16\", \"centroids\": 8, \"nprobe\": 8,"
               " \"keep_generations\": 3, \"buffer_bsz\": 64, \"extra\": {\"mine\": [1, null]}}",
               true);
    api_add("kept", base, DIM, 0, 900, 50);
    assert_ok(dfaiss_save_index(job.client, "kept", &generation, &job.error), job.error);
    assert_int_equal(generation, 1);
    assert_ok(dfaiss_train(job.client, "kept", &job.error), job.error);
    api_add("kept", base, DIM, 900, 100, 20);
    assert_ok(dfaiss_set_nprobe(job.client, "kept", 7, &job.error), job.error);
    assert_index_key("kept", "nprobe", "7");
    assert_ok(dfaiss_save_index(job.client, "kept", &generation, &job.error), job.error);
    assert_int_equal(generation, 2);
}

static void configuration_comes_back(const float *base) {
    dfaiss_config_t *overrides = one_key("nprobe", "5"), *wrong = one_key("dim", "17");
    assert_fails(dfaiss_load_index(job.client, "kept", NULL, false, &job.error), DFAISS_ERR_EXISTS, job.error, "kept");
    assert_ok(dfaiss_load_index(job.client, "kept", NULL, true, &job.error), job.error);
    assert_index_key("kept", "nprobe", "7");
    assert_ok(dfaiss_set_nprobe(job.client, "kept", 8, &job.error), job.error);
    api_check_exact("kept", false, base, 1000, DIM, base, 20, K);
    assert_ok(dfaiss_load_index(job.client, "kept", overrides, true, &job.error), job.error);
    assert_index_key("kept", "nprobe", "5");
    assert_index_key("kept", "keep_generations", "3");
    assert_index_key("kept", "buffer_bsz", "64");
    assert_index_key("kept", "metric", "\"l2\"");
    assert_index_key("kept", "dim", "16");
    assert_index_key("kept", "extra", "{\"mine\": [1, null]}");
    assert_fails(dfaiss_load_index(job.client, "kept", wrong, true, &job.error), DFAISS_ERR_CONFIG, job.error, "dim");
    assert_int_equal(api_ntotal("kept"), 1000);
    dfaiss_config_destroy(wrong);
    dfaiss_config_destroy(overrides);
}

static void test_configuration_is_kept(void **state) {
    (void)state;
    float *base = api_vectors(1000, DIM, 6);
    if (job.number == 0) {
        configuration_is_kept(base);
        configuration_comes_back(base);
        api_create("forgotten", kinds[0].config, false);
        assert_ok(dfaiss_save_index(job.client, "forgotten", NULL, &job.error), job.error);
    }
    api_barrier();
    free(base);
}

/* In the third phase: what the servers of the first have saved. */
static void test_new_servers_load_it(void **state) {
    (void)state;
    float *base = api_vectors(1000, DIM, 6);
    dfaiss_config_t *overrides = one_key("nprobe", "8");
    if (job.number == 0) {
        assert_int_equal(api_ntotal("kept"), 0);
        assert_ok(dfaiss_load_index(job.client, "kept", overrides, false, &job.error), job.error);
    }
    api_barrier();
    assert_int_equal(api_ntotal("kept"), 1000);
    assert_index_key("kept", "extra", "{\"mine\": [1, null]}");
    api_check_exact("kept", false, base, 1000, DIM, base, 20, K);
    api_barrier();
    if (job.number == 0)
        api_drop("kept");
    dfaiss_config_destroy(overrides);
    free(base);
}

/* In the third phase: one that is in the storage alone is dropped without being loaded. */
static void test_stored_index_is_dropped(void **state) {
    (void)state;
    if (job.number == 0) {
        api_drop("forgotten");
        assert_fails(dfaiss_load_index(job.client, "forgotten", NULL, false, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "forgotten");
        assert_fails(dfaiss_drop_index(job.client, "forgotten", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "forgotten");
    }
    api_barrier();
}

/* ---- centroids ---- */

static void check_centroids(const char *index, int64_t expected_lists, bool same) {
    float *first = NULL;
    for (int server = 0; server < job.servers; server++) {
        float *centroids;
        int64_t lists, dim;
        assert_ok(dfaiss_get_centroids(job.client, index, server, &centroids, &lists, &dim, &job.error), job.error);
        assert_int_equal(lists, expected_lists);
        assert_int_equal(dim, DIM);
        for (int64_t i = 0; i < lists * dim; i++)
            assert_true(fabsf(centroids[i]) <= 100);
        if (!first)
            first = centroids;
        else if (same)
            assert_memory_equal(centroids, first, (size_t)(lists * dim) * sizeof *centroids);
        if (centroids != first)
            free(centroids);
    }
    free(first);
}

static void train_and_check_centroids(const char *index, const char *config, int64_t n, int64_t lists, bool same) {
    float *base = api_vectors(n, DIM, 7), *centroids;
    int64_t found, dim;
    api_create(index, config, true);
    api_add(index, base, DIM, 0, n, 50);
    assert_fails(dfaiss_get_centroids(job.client, index, 0, &centroids, &found, &dim, &job.error), DFAISS_ERR_STATE, job.error, index);
    assert_ok(dfaiss_train(job.client, index, &job.error), job.error);
    check_centroids(index, lists, same);
    api_check_exact(index, false, base, n, DIM, base, 10, K);
    api_drop(index);
    free(base);
}

static void test_centroids_have_their_shape(void **state) {
    (void)state;
    if (job.number == 0) {
        train_and_check_centroids(
            "shared", "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 8}", 600, 8, true);
        train_and_check_centroids(
            "local",
            "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 8, \"training\": \"local\"}",
            600 * job.servers, 8, false);
        /* 2 * sqrt(1600), of the whole index. */
        train_and_check_centroids(
            "inferred", "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"infer_centroids\": true, \"nprobe\": 80}", 1600,
            80, true);
    }
    api_barrier();
}

/* ---- small things ---- */

static void test_unknown_index_has_no_vectors(void **state) {
    (void)state;
    assert_int_equal(api_ntotal("never-made"), 0);
}

static void check_names(int count, const char *const *expected) {
    char **names;
    int64_t found;
    assert_ok(dfaiss_list_indexes(job.client, &names, &found, &job.error), job.error);
    assert_int_equal(found, count);
    for (int i = 0; i < count; i++)
        assert_string_equal(names[i], expected[i]);
    free(names);
}

static void test_indexes_are_listed(void **state) {
    (void)state;
    if (job.number == 0) {
        api_create("b.2", kinds[0].config, false);
        api_create("a_1", kinds[1].config, false);
        api_create("c-3", kinds[2].config, true);
        check_names(3, (const char *[]){"a_1", "b.2", "c-3"});
        api_drop("b.2");
        check_names(2, (const char *[]){"a_1", "c-3"});
        assert_fails(dfaiss_load_index(job.client, "b.2", NULL, false, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "b.2");
        api_drop("a_1");
        api_drop("c-3");
        check_names(0, NULL);
    }
    api_barrier();
}

static void test_dimension_of_the_first_vectors(void **state) {
    (void)state;
    float *base = api_vectors(400, 5, 8);
    if (job.number == 0)
        api_create("any", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 0}", true);
    api_barrier();
    /* All of them may be the first. */
    for (int64_t i = job.number; i < 40; i += job.clients)
        api_add("any", base, 5, i * 10, 10, 3);
    api_barrier();
    assert_index_key("any", "dim", "5");
    api_check_exact("any", false, base, 400, 5, base, 20, K);
    api_barrier();
    if (job.number == 0)
        api_drop("any");
    free(base);
}

static void test_number_of_servers(void **state) {
    (void)state;
    assert_int_equal(dfaiss_world_servers(job.world), job.servers);
    assert_int_equal(dfaiss_world_clients(job.world), job.clients);
    assert_int_equal(dfaiss_world_number(job.world), job.number);
}

static void test_after_shutdown(void **state) {
    (void)state;
    dfaiss_config_t *config;
    int64_t ntotal = 5;
    if (job.number == 0) {
        api_create("gone", kinds[0].config, false);
        assert_ok(dfaiss_shutdown(job.client, &job.error), job.error);
    }
    api_barrier();
    assert_fails(dfaiss_get_ntotal(job.client, "gone", &ntotal, &job.error), DFAISS_ERR_STATE, job.error, "shut down");
    assert_int_equal(ntotal, 5);
    assert_fails(dfaiss_get_config(job.client, "gone", &config, &job.error), DFAISS_ERR_STATE, job.error, "shut down");
    assert_fails(dfaiss_drop_index(job.client, "gone", &job.error), DFAISS_ERR_STATE, job.error, "shut down");
}

static int run_many(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_of_servers),
        cmocka_unit_test(test_unknown_index_has_no_vectors),
        cmocka_unit_test(test_indexes_are_listed),
        cmocka_unit_test(test_servers_answer_as_one),
        cmocka_unit_test(test_vectors_are_dealt_out_evenly),
        cmocka_unit_test(test_training_starts_by_itself),
        cmocka_unit_test(test_local_training_starts_by_itself),
        cmocka_unit_test(test_centroids_have_their_shape),
        cmocka_unit_test(test_dimension_of_the_first_vectors),
        cmocka_unit_test(test_configuration_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int run_one(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_of_servers),
        cmocka_unit_test(test_servers_answer_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int run_again(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_servers_load_it),
        cmocka_unit_test(test_stored_index_is_dropped),
        cmocka_unit_test(test_after_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv) {
    const api_phase_t phases[] = {{.run = run_many}, {.servers = 1, .run = run_one}, {.run = run_again}};
    return api_job_main(argc, argv, api_half, 3, phases);
}
