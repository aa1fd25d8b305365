/* Wrong calls about indexes as a whole, configurations, settings, training, and worlds; what test_api_bad_input.c says holds for them too. */
#include "api_job.h"

#include <math.h>

enum { DIM = 16, ROWS = 200, K = 5 };

static const char *flat_config = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}";
static char own[32]; /* the index of this client */
static float *base;  /* float[2 * ROWS][DIM]: own's rows are the first ROWS */

/* What outputs hold before a call that fails, and still after it. */
static char sentinel;
#define UNTOUCHED ((void *)&sentinel)

/* The servers still answer, and nothing was added or lost. */
static void good_call(void) {
    api_check_exact(own, false, base, ROWS, DIM, base + ROWS * DIM, 3, K);
}

static int make_index(void **state) {
    (void)state;
    snprintf(own, sizeof own, "own-%d", job.number);
    base = api_vectors(2 * ROWS, DIM, 1 + (uint64_t)job.number);
    api_create(own, flat_config, true);
    api_add(own, base, DIM, 0, ROWS, 20);
    return 0;
}

static int drop_index(void **state) {
    (void)state;
    api_drop(own);
    free(base);
    return 0;
}

/* ---- indexes as a whole ---- */

static void create_fails(const char *index, const char *config, dfaiss_status_t status, const char *part) {
    dfaiss_config_t *parsed;
    assert_ok(dfaiss_config_parse(config, strlen(config), &parsed, &job.error), job.error);
    assert_fails(dfaiss_create_index(job.client, index, parsed, NULL, &job.error), status, job.error, part);
    dfaiss_config_destroy(parsed);
    good_call();
}

static void test_wrong_creations(void **state) {
    (void)state;
    char long_name[300];
    dfaiss_config_t *config = NULL;
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    create_fails(own, flat_config, DFAISS_ERR_EXISTS, own);
    create_fails("-dash", flat_config, DFAISS_ERR_ARG, "-dash");
    create_fails(".hidden", flat_config, DFAISS_ERR_ARG, ".hidden");
    create_fails("a b", flat_config, DFAISS_ERR_ARG, "a b");
    create_fails(long_name, flat_config, DFAISS_ERR_ARG, "299");
    create_fails("wrong", "{\"dim\": 16}", DFAISS_ERR_CONFIG, "faiss_factory");
    create_fails("wrong", "{\"faiss_factory\": \"Nonsense7\", \"dim\": 16}", DFAISS_ERR_CONFIG, "Nonsense7");
    create_fails("wrong", "{\"faiss_factory\": \"BFlat\", \"dim\": 16}", DFAISS_ERR_CONFIG, "BFlat");
    create_fails("wrong", "{\"index_builder_type\": \"knnlm\", \"dim\": 16, \"centroids\": 4, \"code_size\": 7}", DFAISS_ERR_CONFIG, "7");
    create_fails("wrong", "{\"index_builder_type\": \"ivf_simple\", \"dim\": 16, \"centroids\": 0}", DFAISS_ERR_CONFIG, "centroids");
    assert_ok(dfaiss_config_create(&config, &job.error), job.error);
    assert_fails(dfaiss_create_index(job.client, NULL, config, NULL, &job.error), DFAISS_ERR_ARG, job.error, "index");
    assert_fails(dfaiss_create_index(NULL, "wrong", config, NULL, &job.error), DFAISS_ERR_ARG, job.error, "client");
    assert_fails(dfaiss_create_index(job.client, "wrong", NULL, NULL, &job.error), DFAISS_ERR_ARG, job.error, "config");
    assert_fails(dfaiss_create_index(job.client, "wrong", config, &(dfaiss_create_options_t){.expected_vectors = -12}, &job.error), DFAISS_ERR_ARG,
                 job.error, "-12");
    dfaiss_config_destroy(config);
    good_call();
}

static void test_wrong_configurations(void **state) {
    (void)state;
    dfaiss_config_t *config = UNTOUCHED;
    char *value = UNTOUCHED;
    assert_fails(dfaiss_config_parse("{\"dmi\": 4}", 10, &config, &job.error), DFAISS_ERR_CONFIG, job.error, "dim");
    assert_fails(dfaiss_config_parse("{\"dim\": ", 8, &config, &job.error), DFAISS_ERR_CONFIG, job.error, "");
    assert_fails(dfaiss_config_parse("[]", 2, &config, &job.error), DFAISS_ERR_CONFIG, job.error, "object");
    assert_fails(dfaiss_config_parse(NULL, 2, &config, &job.error), DFAISS_ERR_ARG, job.error, "text");
    assert_fails(dfaiss_config_read("/nowhere/at/all.json", &config, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "/nowhere/at/all.json");
    assert_ptr_equal(config, UNTOUCHED);
    assert_ok(dfaiss_config_create(&config, &job.error), job.error);
    assert_fails(dfaiss_config_set(config, "nprob", "3", &job.error), DFAISS_ERR_CONFIG, job.error, "nprobe");
    assert_fails(dfaiss_config_set(config, "nprobe", "-3", &job.error), DFAISS_ERR_CONFIG, job.error, "-3");
    assert_fails(dfaiss_config_set(config, "metric", "l3", &job.error), DFAISS_ERR_CONFIG, job.error, "l3");
    assert_fails(dfaiss_config_get(config, "nprob", &value, &job.error), DFAISS_ERR_CONFIG, job.error, "nprobe");
    assert_ptr_equal(value, UNTOUCHED);
    assert_ok(dfaiss_config_get(config, "nprobe", &value, &job.error), job.error);
    assert_string_equal(value, "1");
    free(value);
    dfaiss_config_destroy(config);
}

static void test_unknown_indexes(void **state) {
    (void)state;
    int64_t number = 77;
    int64_t *ids = UNTOUCHED;
    int64_t lists = 77, dim = 77;
    float *centroids = UNTOUCHED;
    dfaiss_config_t *config = UNTOUCHED;
    dfaiss_state_t index_state = DFAISS_ADD;
    dfaiss_statistics_t statistics = {.server = 77};
    dfaiss_client_t *client = job.client;
    assert_fails(dfaiss_drop_index(client, "nowhere", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_save_index(client, "nowhere", &number, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_load_index(client, "nowhere", NULL, false, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_config(client, "nowhere", &config, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_train(client, "nowhere", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_train_start(client, "nowhere", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_flush(client, "nowhere", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_state(client, "nowhere", &index_state, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_wait_state(client, "nowhere", DFAISS_TRAINED, 60, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_ids(client, "nowhere", &ids, &number, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_centroids(client, "nowhere", 0, &centroids, &lists, &dim, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_set_nprobe(client, "nowhere", 3, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_statistics(client, "nowhere", &statistics, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_ptr_equal(ids, UNTOUCHED);
    assert_ptr_equal(centroids, UNTOUCHED);
    assert_ptr_equal(config, UNTOUCHED);
    assert_int_equal(index_state, DFAISS_ADD);
    assert_int_equal(statistics.server, 77);
    assert_int_equal(number, 77);
    assert_int_equal(lists + dim, 2 * 77);
    good_call();
}

static void test_wrong_settings(void **state) {
    (void)state;
    int64_t lists = 77, dim = 77;
    float *centroids = UNTOUCHED;
    dfaiss_client_t *client = job.client;
    assert_fails(dfaiss_set_nprobe(client, own, 0, &job.error), DFAISS_ERR_ARG, job.error, "0");
    assert_fails(dfaiss_set_nprobe(client, own, (1 << 20) + 1, &job.error), DFAISS_ERR_ARG, job.error, "1048577");
    assert_fails(dfaiss_set_threads(client, 0, &job.error), DFAISS_ERR_ARG, job.error, "0");
    assert_fails(dfaiss_set_threads(client, 4097, &job.error), DFAISS_ERR_ARG, job.error, "4097");
    assert_fails(dfaiss_wait_state(client, own, (dfaiss_state_t)44, 1, &job.error), DFAISS_ERR_ARG, job.error, "44");
    assert_fails(dfaiss_wait_state(client, own, DFAISS_TRAINED, -6, &job.error), DFAISS_ERR_ARG, job.error, "-6");
    assert_fails(dfaiss_get_centroids(client, own, job.servers, &centroids, &lists, &dim, &job.error), DFAISS_ERR_ARG, job.error, "server");
    assert_fails(dfaiss_get_centroids(client, own, -1, &centroids, &lists, &dim, &job.error), DFAISS_ERR_ARG, job.error, "-1");
    assert_ptr_equal(centroids, UNTOUCHED);
    assert_int_equal(lists + dim, 2 * 77);
    good_call();
}

/* ---- what a kind, or a state, cannot do ---- */

static void test_what_a_kind_cannot_do(void **state) {
    (void)state;
    int64_t lists = 77, dim = 77;
    float *centroids = UNTOUCHED;
    assert_fails(dfaiss_get_centroids(job.client, own, 0, &centroids, &lists, &dim, &job.error), DFAISS_ERR_UNSUPPORTED, job.error, "flat");
    assert_ptr_equal(centroids, UNTOUCHED);
    assert_fails(dfaiss_train(job.client, own, &job.error), DFAISS_ERR_STATE, job.error, own);
    assert_fails(dfaiss_train_start(job.client, own, &job.error), DFAISS_ERR_STATE, job.error, own);
    good_call();
}

static void test_what_an_untrained_index_cannot_do(void **state) {
    (void)state;
    char index[32];
    snprintf(index, sizeof index, "untrained-%d", job.number);
    api_create(index, "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 64, \"nprobe\": 64}", true);
    assert_fails(dfaiss_flush(job.client, index, &job.error), DFAISS_ERR_STATE, job.error, index);
    assert_fails(dfaiss_train(job.client, index, &job.error), DFAISS_ERR_CONFIG, job.error, index);
    api_add(index, base, DIM, 0, 20, 10);
    /* Fewer vectors than lists. */
    assert_fails(dfaiss_train(job.client, index, &job.error), DFAISS_ERR_CONFIG, job.error, "20");
    assert_fails(dfaiss_wait_state(job.client, index, DFAISS_TRAINED, 2, &job.error), DFAISS_ERR_TIMEOUT, job.error, index);
    assert_int_equal(api_state(index), DFAISS_NOT_TRAINED);
    api_check_exact(index, false, base, 20, DIM, base, 3, K);
    /* Enough: what failed before is forgotten. */
    api_add(index, base, DIM, 20, 2 * ROWS - 20, 50);
    assert_ok(dfaiss_train(job.client, index, &job.error), job.error);
    assert_ok(dfaiss_wait_state(job.client, index, DFAISS_TRAINED, 60, &job.error), job.error);
    api_check_exact(index, false, base, 2 * ROWS, DIM, base, 3, K);
    api_drop(index);
    good_call();
}

static void test_one_client_a_world(void **state) {
    (void)state;
    dfaiss_client_t *second = UNTOUCHED;
    if (!job.gateway)
        assert_fails(dfaiss_client_create(job.world, NULL, &second, &job.error), DFAISS_ERR_STATE, job.error, "client");
    assert_fails(dfaiss_client_create(NULL, NULL, &second, &job.error), DFAISS_ERR_ARG, job.error, "world");
    assert_ptr_equal(second, UNTOUCHED);
    good_call();
}

static void test_worlds_without_servers(void **state) {
    (void)state;
    dfaiss_world_t *world = UNTOUCHED;
    assert_fails(dfaiss_world_create(job.fellows, DFAISS_ROLE_CLIENT, &world, &job.error), DFAISS_ERR_ARG, job.error, "server");
    assert_fails(dfaiss_world_create(job.fellows, (dfaiss_role_t)9, &world, &job.error), DFAISS_ERR_ARG, job.error, "9");
    assert_fails(dfaiss_world_create(job.fellows, DFAISS_ROLE_CLIENT, NULL, &job.error), DFAISS_ERR_ARG, job.error, "out");
    assert_ptr_equal(world, UNTOUCHED);
}

/* Servers that nobody can ask would serve for ever. */
static void test_worlds_without_clients(void **state) {
    (void)state;
    dfaiss_world_t *world = NULL;
    dfaiss_server_options_t options = {.storage = job.storage};
    assert_ok(dfaiss_world_create(job.fellows, DFAISS_ROLE_SERVER, &world, &job.error), job.error);
    assert_fails(dfaiss_serve(world, &options, &job.error), DFAISS_ERR_ARG, job.error, "at least one client is needed");
    options.listen = "listen";
    options.port = 65536;
    assert_fails(dfaiss_serve(world, &options, &job.error), DFAISS_ERR_ARG, job.error, "port is 65536");
    options.port = 0;
    options.connections = -1;
    assert_fails(dfaiss_serve(world, &options, &job.error), DFAISS_ERR_ARG, job.error, "connections is -1");
    options.connections = 0;
    options.idle = NAN;
    assert_fails(dfaiss_serve(world, &options, &job.error), DFAISS_ERR_ARG, job.error, "idle is");
    dfaiss_world_destroy(world);
    good_call();
}

static int run(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_creations),        cmocka_unit_test(test_wrong_configurations),
        cmocka_unit_test(test_unknown_indexes),        cmocka_unit_test(test_wrong_settings),
        cmocka_unit_test(test_what_a_kind_cannot_do),  cmocka_unit_test(test_what_an_untrained_index_cannot_do),
        cmocka_unit_test(test_one_client_a_world),     cmocka_unit_test(test_worlds_without_clients),
        cmocka_unit_test(test_worlds_without_servers),
    };
    return cmocka_run_group_tests(tests, make_index, drop_index);
}

int main(int argc, char **argv) {
    return api_job_main(argc, argv, api_two, 1, &(api_phase_t){.run = run});
}
