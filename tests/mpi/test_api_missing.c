/* NULL where none may be: each call names what is missing, and the servers are unharmed. */
#include "api_job.h"

enum { DIM = 4, ROWS = 20, K = 3 };

static const char *flat_config = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 4}";
static float *base;

static int make_index(void **state) {
    (void)state;
    base = api_vectors(ROWS, DIM, 1);
    api_create("there", flat_config, true);
    api_add("there", base, DIM, 0, ROWS, 5);
    return 0;
}

static int drop_index(void **state) {
    (void)state;
    api_check_exact("there", false, base, ROWS, DIM, base, 3, K);
    api_drop("there");
    free(base);
    return 0;
}

#define assert_missing(call, what) assert_fails(call, DFAISS_ERR_ARG, job.error, what)

static void test_no_client(void **state) {
    (void)state;
    int64_t number, other, *ids;
    char **names;
    dfaiss_config_t *config;
    dfaiss_state_t state_of_index;
    dfaiss_statistics_t statistics;
    dfaiss_error_t *error = &job.error;
    assert_missing(dfaiss_drop_index(NULL, "there", error), "client");
    assert_missing(dfaiss_save_index(NULL, "there", &number, error), "client");
    assert_missing(dfaiss_load_index(NULL, "there", NULL, true, error), "client");
    assert_missing(dfaiss_get_config(NULL, "there", &config, error), "client");
    assert_missing(dfaiss_list_indexes(NULL, &names, &number, error), "client");
    assert_missing(dfaiss_train(NULL, "there", error), "client");
    assert_missing(dfaiss_train_start(NULL, "there", error), "client");
    assert_missing(dfaiss_wait_state(NULL, "there", DFAISS_TRAINED, 1, error), "client");
    assert_missing(dfaiss_flush(NULL, "there", error), "client");
    assert_missing(dfaiss_get_ntotal(NULL, "there", &number, error), "client");
    assert_missing(dfaiss_get_ids(NULL, "there", &ids, &other, error), "client");
    assert_missing(dfaiss_set_nprobe(NULL, "there", 3, error), "client");
    assert_missing(dfaiss_set_threads(NULL, 1, error), "client");
    assert_missing(dfaiss_remove_ids(NULL, "there", 1, (const int64_t[]){1}, &number, error), "client");
    assert_missing(dfaiss_remove_matching(NULL, "there", "a", &number, error), "client");
    assert_missing(dfaiss_update(NULL, "there", &(dfaiss_batch_t){.n = 1}, error), "client");
    assert_missing(dfaiss_get_statistics(NULL, "there", &statistics, error), "client");
    assert_missing(dfaiss_get_state(NULL, "there", &state_of_index, error), "client");
    assert_missing(dfaiss_shutdown(NULL, error), "client");
    dfaiss_client_destroy(NULL);
    dfaiss_world_destroy(NULL);
}

static void test_no_name(void **state) {
    (void)state;
    int64_t number, other, *ids;
    dfaiss_config_t *config;
    dfaiss_state_t state_of_index;
    dfaiss_client_t *client = job.client;
    dfaiss_error_t *error = &job.error;
    assert_missing(dfaiss_drop_index(client, NULL, error), "index");
    assert_missing(dfaiss_save_index(client, NULL, &number, error), "index");
    assert_missing(dfaiss_load_index(client, NULL, NULL, true, error), "index");
    assert_missing(dfaiss_get_config(client, NULL, &config, error), "index");
    assert_missing(dfaiss_train(client, NULL, error), "index");
    assert_missing(dfaiss_train_start(client, NULL, error), "index");
    assert_missing(dfaiss_wait_state(client, NULL, DFAISS_TRAINED, 1, error), "index");
    assert_missing(dfaiss_flush(client, NULL, error), "index");
    assert_missing(dfaiss_get_ntotal(client, NULL, &number, error), "index");
    assert_missing(dfaiss_get_ids(client, NULL, &ids, &other, error), "index");
    assert_missing(dfaiss_set_nprobe(client, NULL, 3, error), "index");
    assert_missing(dfaiss_remove_ids(client, NULL, 1, (const int64_t[]){1}, &number, error), "index");
    assert_missing(dfaiss_remove_matching(client, NULL, "a", &number, error), "index");
    assert_missing(dfaiss_update(client, NULL, &(dfaiss_batch_t){.n = 1}, error), "index");
    assert_missing(dfaiss_get_state(client, NULL, &state_of_index, error), "index");
}

static void test_no_vectors(void **state) {
    (void)state;
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 1, .dim = DIM, .ids = (const int64_t[]){1}};
    assert_missing(dfaiss_add(job.client, "there", NULL, NULL, &job.error), "batch");
    assert_missing(dfaiss_add(job.client, "there", &batch, NULL, &job.error), "vectors");
    assert_missing(dfaiss_update(job.client, "there", NULL, &job.error), "batch");
    assert_missing(dfaiss_update(job.client, "there", &batch, &job.error), "vectors");
    batch.vectors = base;
    batch.ids = NULL;
    assert_missing(dfaiss_update(job.client, "there", &batch, &job.error), "ids");
    assert_missing(dfaiss_remove_ids(job.client, "there", 1, NULL, NULL, &job.error), "ids");
    assert_missing(dfaiss_remove_matching(job.client, "there", NULL, NULL, &job.error), "filter");
    assert_missing(dfaiss_create_index(job.client, "new", NULL, NULL, &job.error), "config");
}

static void test_servers_without_options(void **state) {
    (void)state;
    dfaiss_server_options_t options = {.threads = 1};
    assert_missing(dfaiss_serve(NULL, &options, &job.error), "world");
    assert_missing(dfaiss_serve(job.world, NULL, &job.error), "options");
    assert_missing(dfaiss_serve(job.world, &options, &job.error), "storage");
    options = (dfaiss_server_options_t){.storage = "nowhere", .load_count = 1};
    assert_missing(dfaiss_serve(job.world, &options, &job.error), "load");
    options.load = (const char *const[]){NULL};
    assert_missing(dfaiss_serve(job.world, &options, &job.error), "load");
    options = (dfaiss_server_options_t){.storage = "nowhere", .load_count = -1};
    assert_missing(dfaiss_serve(job.world, &options, &job.error), "-1");
    options = (dfaiss_server_options_t){.storage = "nowhere", .threads = -3};
    assert_missing(dfaiss_serve(job.world, &options, &job.error), "-3");
}

static void test_no_output(void **state) {
    (void)state;
    int64_t number = 77, *ids = &number;
    char **names = NULL;
    dfaiss_client_t *client = job.client;
    dfaiss_error_t *error = &job.error;
    assert_missing(dfaiss_get_config(client, "there", NULL, error), "config");
    assert_missing(dfaiss_list_indexes(client, NULL, &number, error), "names");
    assert_missing(dfaiss_list_indexes(client, &names, NULL, error), "count");
    assert_missing(dfaiss_get_ntotal(client, "there", NULL, error), "ntotal");
    assert_missing(dfaiss_get_state(client, "there", NULL, error), "state");
    assert_missing(dfaiss_get_ids(client, "there", NULL, &number, error), "ids");
    assert_missing(dfaiss_get_ids(client, "there", &ids, NULL, error), "n");
    assert_missing(dfaiss_get_statistics(client, "there", NULL, error), "statistics");
    assert_missing(dfaiss_client_create(job.world, NULL, NULL, error), "out");
    assert_missing(dfaiss_config_create(NULL, error), "out");
    assert_missing(dfaiss_config_parse("{}", 2, NULL, error), "out");
    assert_ptr_equal(ids, &number);
    assert_null(names);
    assert_int_equal(number, 77);
}

static void test_no_output_for_centroids(void **state) {
    (void)state;
    int64_t lists = 77, dim = 77;
    float *centroids = NULL;
    dfaiss_error_t *error = &job.error;
    assert_missing(dfaiss_get_centroids(job.client, "there", 0, NULL, &lists, &dim, error), "centroids");
    assert_missing(dfaiss_get_centroids(job.client, "there", 0, &centroids, NULL, &dim, error), "lists");
    assert_missing(dfaiss_get_centroids(job.client, "there", 0, &centroids, &lists, NULL, error), "dim");
    assert_missing(dfaiss_get_centroids(NULL, "there", 0, &centroids, &lists, &dim, error), "client");
    assert_missing(dfaiss_get_centroids(job.client, NULL, 0, &centroids, &lists, &dim, error), "index");
    assert_null(centroids);
    assert_int_equal(lists + dim, 2 * 77);
}

/* A request is freed by its wait, whatever else is missing. */
static void test_requests_without_a_place(void **state) {
    (void)state;
    const char *index = "there";
    bool done = true;
    dfaiss_request_t *request;
    dfaiss_result_t *result = NULL;
    assert_missing(dfaiss_request_test(NULL, &done, &job.error), "request");
    assert_missing(dfaiss_request_wait(NULL, &result, &job.error), "request");
    assert_ok(dfaiss_search_start(job.client, 1, &index, 1, DIM, base, K, NULL, &request, &job.error), job.error);
    assert_missing(dfaiss_request_test(request, NULL, &job.error), "done");
    /* Who does not want the hits need not take them. */
    assert_ok(dfaiss_request_wait(request, NULL, &job.error), job.error);
    dfaiss_result_destroy(NULL);
    dfaiss_config_destroy(NULL);
}

/* Texts of errors are optional everywhere. */
static void test_no_place_for_a_text(void **state) {
    (void)state;
    int64_t ntotal = 77;
    const char *index = "nowhere";
    dfaiss_result_t *result = NULL;
    dfaiss_config_t *config = NULL;
    assert_int_equal(dfaiss_get_ntotal(job.client, NULL, &ntotal, NULL), DFAISS_ERR_ARG);
    assert_int_equal(dfaiss_get_config(job.client, index, &config, NULL), DFAISS_ERR_NOT_FOUND);
    assert_int_equal(dfaiss_search(job.client, 1, &index, 1, DIM, base, K, NULL, &result, NULL), DFAISS_ERR_NOT_FOUND);
    assert_int_equal(dfaiss_drop_index(job.client, index, NULL), DFAISS_ERR_NOT_FOUND);
    assert_int_equal(dfaiss_config_parse("{", 1, &config, NULL), DFAISS_ERR_CONFIG);
    assert_int_equal(dfaiss_get_ntotal(job.client, "there", &ntotal, NULL), DFAISS_OK);
    assert_int_equal(ntotal, ROWS);
}

static int run(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_client),
        cmocka_unit_test(test_no_name),
        cmocka_unit_test(test_no_vectors),
        cmocka_unit_test(test_servers_without_options),
        cmocka_unit_test(test_no_output),
        cmocka_unit_test(test_no_output_for_centroids),
        cmocka_unit_test(test_requests_without_a_place),
        cmocka_unit_test(test_no_place_for_a_text),
    };
    return cmocka_run_group_tests(tests, make_index, drop_index);
}

int main(int argc, char **argv) {
    return api_job_main(argc, argv, api_one, 1, &(api_phase_t){.run = run});
}
