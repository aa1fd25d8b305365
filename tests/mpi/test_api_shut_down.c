/* Every call after a shut-down: a status that says so, outputs untouched, and clients that leave as always. What is wrong with a call itself is said
 * as before. */
#include "api_job.h"

enum { DIM = 4, ROWS = 40 };

static float *base;
static const char *const index_name = "gone";

static char sentinel;
#define UNTOUCHED ((void *)&sentinel)

#define assert_shut_down(call) assert_fails(call, DFAISS_ERR_STATE, job.error, "shut down")

/* With a search and an add under way, which end before. */
static int shut_down(void **state) {
    (void)state;
    base = api_vectors(ROWS, DIM, 1);
    if (job.number == 0) {
        dfaiss_batch_t batch = {.element = DFAISS_F32, .n = ROWS, .dim = DIM, .vectors = base};
        dfaiss_request_t *add, *search;
        dfaiss_result_t *result = NULL;
        int64_t ids[ROWS];
        api_create(index_name, "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 4, \"attributes\": {\"year\": \"int\"}}", false);
        assert_ok(dfaiss_save_index(job.client, index_name, NULL, &job.error), job.error);
        assert_ok(dfaiss_add_start(job.client, index_name, &batch, ids, &add, &job.error), job.error);
        assert_ok(dfaiss_search_start(job.client, 1, &index_name, 1, DIM, base, 1, NULL, &search, &job.error), job.error);
        assert_ok(dfaiss_shutdown(job.client, &job.error), job.error);
        assert_ok(dfaiss_request_wait(add, NULL, &job.error), job.error);
        assert_int_equal(ids[ROWS - 1], ROWS - 1);
        assert_ok(dfaiss_request_wait(search, &result, &job.error), job.error);
        dfaiss_result_destroy(result);
    }
    api_barrier();
    return 0;
}

static int leave(void **state) {
    (void)state;
    free(base);
    return 0;
}

static void test_indexes(void **state) {
    (void)state;
    int64_t number = 77;
    char **names = UNTOUCHED;
    dfaiss_config_t *config = NULL, *found = UNTOUCHED;
    assert_ok(dfaiss_config_create(&config, &job.error), job.error);
    assert_shut_down(dfaiss_create_index(job.client, "new", config, NULL, &job.error));
    assert_shut_down(dfaiss_drop_index(job.client, index_name, &job.error));
    assert_shut_down(dfaiss_save_index(job.client, index_name, &number, &job.error));
    assert_shut_down(dfaiss_load_index(job.client, index_name, config, true, &job.error));
    assert_shut_down(dfaiss_get_config(job.client, index_name, &found, &job.error));
    assert_shut_down(dfaiss_list_indexes(job.client, &names, &number, &job.error));
    assert_ptr_equal(names, UNTOUCHED);
    assert_ptr_equal(found, UNTOUCHED);
    assert_int_equal(number, 77);
    dfaiss_config_destroy(config);
}

static void test_vectors(void **state) {
    (void)state;
    int64_t ids[] = {-5, -6}, removed = 77;
    dfaiss_request_t *request = NULL;
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 2, .dim = DIM, .vectors = base};
    assert_shut_down(dfaiss_add(job.client, index_name, &batch, ids, &job.error));
    assert_ok(dfaiss_add_start(job.client, index_name, &batch, ids, &request, &job.error), job.error);
    assert_shut_down(dfaiss_request_wait(request, NULL, &job.error));
    batch.ids = (const int64_t[]){1, 2};
    assert_shut_down(dfaiss_add(job.client, index_name, &batch, ids, &job.error));
    assert_shut_down(dfaiss_update(job.client, index_name, &batch, &job.error));
    assert_shut_down(dfaiss_remove_ids(job.client, index_name, 2, batch.ids, &removed, &job.error));
    assert_shut_down(dfaiss_remove_matching(job.client, index_name, "year == 1", &removed, &job.error));
    assert_int_equal(ids[0] + ids[1], -11);
    assert_int_equal(removed, 77);
}

static void test_training(void **state) {
    (void)state;
    dfaiss_state_t found = (dfaiss_state_t)77;
    assert_shut_down(dfaiss_train(job.client, index_name, &job.error));
    assert_shut_down(dfaiss_train_start(job.client, index_name, &job.error));
    assert_shut_down(dfaiss_get_state(job.client, index_name, &found, &job.error));
    assert_shut_down(dfaiss_wait_state(job.client, index_name, DFAISS_TRAINED, 0, &job.error));
    assert_shut_down(dfaiss_flush(job.client, index_name, &job.error));
    assert_int_equal(found, 77);
}

static void test_searches(void **state) {
    (void)state;
    const char *const two[] = {index_name, "other"};
    dfaiss_result_t *result = UNTOUCHED;
    dfaiss_request_t *request = NULL;
    dfaiss_search_options_t options = {.filter = "year == 1", .metadata = true, .embeddings = true};
    assert_shut_down(dfaiss_search(job.client, 1, &index_name, 1, DIM, base, 1, NULL, &result, &job.error));
    assert_shut_down(dfaiss_search(job.client, 2, two, 1, DIM, base, 1, &options, &result, &job.error));
    assert_shut_down(dfaiss_range_search(job.client, 1, &index_name, 1, DIM, base, 1, 1, &options, &result, &job.error));
    assert_ok(dfaiss_search_start(job.client, 1, &index_name, 1, DIM, base, 1, NULL, &request, &job.error), job.error);
    assert_shut_down(dfaiss_request_wait(request, &result, &job.error));
    assert_ptr_equal(result, UNTOUCHED);
}

static void test_what_servers_tell(void **state) {
    (void)state;
    int64_t number = 77, other = 77, *ids = UNTOUCHED;
    float *centroids = UNTOUCHED;
    dfaiss_statistics_t statistics[64] = {{.server = 77}};
    assert_shut_down(dfaiss_get_ntotal(job.client, index_name, &number, &job.error));
    assert_shut_down(dfaiss_get_ids(job.client, index_name, &ids, &number, &job.error));
    assert_shut_down(dfaiss_get_centroids(job.client, index_name, 0, &centroids, &number, &other, &job.error));
    assert_shut_down(dfaiss_get_statistics(job.client, index_name, statistics, &job.error));
    assert_shut_down(dfaiss_get_statistics(job.client, NULL, statistics, &job.error));
    assert_shut_down(dfaiss_set_nprobe(job.client, index_name, 3, &job.error));
    assert_shut_down(dfaiss_set_threads(job.client, 1, &job.error));
    assert_shut_down(dfaiss_shutdown(job.client, &job.error));
    assert_ptr_equal(ids, UNTOUCHED);
    assert_ptr_equal(centroids, UNTOUCHED);
    assert_int_equal(statistics[0].server, 77);
    assert_int_equal(number + other, 2 * 77);
}

static void test_wrong_arguments(void **state) {
    (void)state;
    dfaiss_result_t *result = UNTOUCHED;
    assert_fails(dfaiss_search(job.client, 1, &index_name, 1, DIM, base, 0, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "k is 0");
    assert_fails(dfaiss_get_state(job.client, index_name, NULL, &job.error), DFAISS_ERR_ARG, job.error, "state");
    /* What servers do not have to be asked. */
    assert_int_equal(dfaiss_world_servers(job.world), job.servers);
}

static int run(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_indexes),  cmocka_unit_test(test_vectors),           cmocka_unit_test(test_training),
        cmocka_unit_test(test_searches), cmocka_unit_test(test_what_servers_tell), cmocka_unit_test(test_wrong_arguments),
    };
    return cmocka_run_group_tests(tests, shut_down, leave);
}

int main(int argc, char **argv) {
    return api_job_main(argc, argv, api_two, 1, &(api_phase_t){.run = run});
}
