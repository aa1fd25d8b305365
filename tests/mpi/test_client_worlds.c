/* Worlds of servers and clients: indexes that servers load before they answer, a shut-down, servers that do not answer in time, and communicators
 * that make no world. All ranks but the last one or two are servers. Each phase makes a world of its own.
 */
#include "check.h"

#include <dfaiss/dfaiss.h>
#include <mpi.h>

#include "base/file.h"

enum { DIM = 16, LARGE_ROWS = 1 << 20 };

static dfaiss_world_t *world;
static dfaiss_client_t *client;
static MPI_Comm fellows; /* the clients, or the servers */
static int client_number, client_count;
static dfaiss_error_t error;

static dfaiss_status_t try_create(const char *index) {
    static const char text[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}";
    dfaiss_config_t *config = NULL;
    assert_ok(dfaiss_config_parse(text, strlen(text), &config, &error), error);
    dfaiss_status_t status = dfaiss_create_index(client, index, config, NULL, &error);
    dfaiss_config_destroy(config);
    return status;
}

static void fill(const char *index, const float *vectors, int64_t n) {
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = n, .dim = DIM, .vectors = vectors};
    assert_ok(try_create(index), error);
    assert_ok(dfaiss_add(client, index, &batch, NULL, &error), error);
}

static const float vectors[9 * DIM] = {1, 2, 3};

static void test_communicators_that_make_no_world(void **state) {
    (void)state;
    dfaiss_world_t *made = NULL;
    dfaiss_client_t *second = NULL;
    dfaiss_server_options_t options = {.storage = "nowhere"};
    assert_fails(dfaiss_world_create(MPI_COMM_NULL, DFAISS_ROLE_CLIENT, &made, &error), DFAISS_ERR_ARG, error, "MPI_COMM_NULL");
    assert_fails(dfaiss_world_create(MPI_COMM_SELF, DFAISS_ROLE_CLIENT, &made, &error), DFAISS_ERR_ARG, error, "none of the 1 ranks is a server");
    assert_fails(dfaiss_world_create(MPI_COMM_SELF, (dfaiss_role_t)2, &made, &error), DFAISS_ERR_ARG, error, "role is 2");
    assert_fails(dfaiss_world_create(MPI_COMM_SELF, DFAISS_ROLE_CLIENT, NULL, &error), DFAISS_ERR_ARG, error, "out");
    assert_null(made);
    assert_fails(dfaiss_client_create(world, NULL, &second, &error), DFAISS_ERR_STATE, error, "has a client already");
    assert_fails(dfaiss_serve(world, &options, &error), DFAISS_ERR_STATE, error, "client 0");
    assert_null(second);
    dfaiss_world_destroy(NULL);
}

/* ---- the end ---- */

static void test_shut_down_refuses_everybody(void **state) {
    (void)state;
    const char *const indexes[] = {"there"};
    dfaiss_result_t *result = NULL;
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 1, .dim = DIM, .vectors = vectors};
    int64_t total = -1;
    if (client_number == 0) {
        fill("there", vectors, 1);
        assert_ok(dfaiss_shutdown(client, &error), error);
        assert_fails(dfaiss_shutdown(client, &error), DFAISS_ERR_STATE, error, "shut down");
    }
    MPI_Barrier(fellows);
    assert_fails(dfaiss_search(client, 1, indexes, 1, DIM, vectors, 1, NULL, &result, &error), DFAISS_ERR_STATE, error, "shut down");
    assert_fails(dfaiss_add(client, "there", &batch, NULL, &error), DFAISS_ERR_STATE, error, "shut down");
    assert_fails(dfaiss_get_ntotal(client, "there", &total, &error), DFAISS_ERR_STATE, error, "shut down");
    assert_fails(try_create("new"), DFAISS_ERR_STATE, error, "shut down");
    assert_int_equal(total, -1);
}

/* ---- servers that load before they answer ---- */

static void test_index_for_the_next_servers(void **state) {
    (void)state;
    if (client_number == 0) {
        fill("stored", vectors, 9);
        assert_ok(dfaiss_save_index(client, "stored", NULL, &error), error);
    }
}

static void test_index_was_loaded(void **state) {
    (void)state;
    const char *const indexes[] = {"stored"};
    dfaiss_result_t *result = NULL;
    assert_ok(dfaiss_search(client, 1, indexes, 1, DIM, vectors, 1, NULL, &result, &error), error);
    assert_true(dfaiss_result_scores(result)[0] == 0);
    dfaiss_result_destroy(result);
}

/* ---- servers that do not answer ---- */

static float *large;

/* A small message has left: its late answer is of no interest, and the client goes on. */
static void test_time_out_of_a_small_message(void **state) {
    (void)state;
    int64_t total;
    assert_fails(dfaiss_get_ntotal(client, "late", &total, &error), DFAISS_ERR_TIMEOUT, error, "STATISTICS");
    assert_fails(dfaiss_get_ntotal(client, "late", &total, &error), DFAISS_ERR_TIMEOUT, error, "STATISTICS");
}

static void test_late_answers_are_dropped(void **state) {
    (void)state;
    dfaiss_status_t status;
    int64_t total = -1;
    /* The servers have begun by now, or soon will. */
    do
        status = dfaiss_get_ntotal(client, "late", &total, &error);
    while (status == DFAISS_ERR_TIMEOUT);
    assert_ok(status, error);
    assert_int_equal(total, 0);
}

/* MPI still reads what a large message was lent: nothing more can be promised. */
static void test_time_out_of_a_large_message(void **state) {
    (void)state;
    const char *const indexes[] = {"late"};
    dfaiss_result_t *result = NULL;
    int64_t total;
    assert_fails(dfaiss_search(client, 1, indexes, LARGE_ROWS, DIM, large, 1, NULL, &result, &error), DFAISS_ERR_TIMEOUT, error, "SEARCH");
    assert_fails(dfaiss_get_ntotal(client, "late", &total, &error), DFAISS_ERR_TIMEOUT, error, "SEARCH");
    assert_null(result);
}

/* ---- phases ---- */

static int run_alone(const struct CMUnitTest *tests, size_t count) {
    int failures = client_number == 0 ? _cmocka_run_group_tests("alone", tests, count, NULL, NULL) : 0;
    MPI_Barrier(fellows);
    return failures;
}

static int usual_phase(void) {
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_communicators_that_make_no_world),
        cmocka_unit_test(test_index_for_the_next_servers),
    };
    const struct CMUnitTest together[] = {cmocka_unit_test(test_shut_down_refuses_everybody)};
    int failures = run_alone(alone, sizeof alone / sizeof *alone);
    return failures ? failures : cmocka_run_group_tests(together, NULL, NULL);
}

static int loaded_phase(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_index_was_loaded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The servers of this phase begin when the small messages of client 0 have timed out. */
static int late_phase(void) {
    const struct CMUnitTest before[] = {cmocka_unit_test(test_time_out_of_a_small_message)};
    const struct CMUnitTest after[] = {cmocka_unit_test(test_late_answers_are_dropped)};
    int go = 0;
    int failures = run_alone(before, 1);
    if (client_number == 0)
        MPI_Send(&go, 1, MPI_INT, 0, 0, MPI_COMM_WORLD);
    return failures + run_alone(after, 1);
}

/* The servers of this phase begin when the large message has timed out. */
static int broken_phase(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_time_out_of_a_large_message)};
    int go = 0;
    large = calloc((size_t)LARGE_ROWS * DIM, sizeof *large);
    int failures = run_alone(tests, 1);
    if (client_number == 0)
        MPI_Send(&go, 1, MPI_INT, 0, 0, MPI_COMM_WORLD);
    return failures;
}

static const struct phase {
    int (*run)(void);
    double timeout;
    bool late; /* servers begin when client 0 says so */
    const char *const *load;
} phases[] = {
    {usual_phase, 60, false, NULL},
    {loaded_phase, 60, false, (const char *const[]){"stored", NULL}},
    {late_phase, 0.2, true, NULL},
    {broken_phase, 0.2, true, NULL},
};

/* Server 0 hears of it, and tells the others. */
static void wait_for_go(int rank) {
    int go = 0;
    if (rank == 0)
        MPI_Recv(&go, 1, MPI_INT, MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Barrier(fellows);
}

static int serve(const struct phase *phase, const char *storage, int rank) {
    dfaiss_server_options_t options = {.storage = storage, .load = phase->load, .load_count = phase->load ? 1 : 0, .threads = 1};
    if (phase->late)
        wait_for_go(rank);
    return dfaiss_serve(world, &options, &error) != DFAISS_OK;
}

static int be_client(const struct phase *phase) {
    dfaiss_client_options_t options = {.timeout = phase->timeout};
    if (dfaiss_client_create(world, &options, &client, &error) != DFAISS_OK)
        return 1;
    int failures = phase->run();
    /* An assertion that fails leaves servers and clients behind. */
    if (failures)
        MPI_Abort(MPI_COMM_WORLD, 1);
    dfaiss_client_destroy(client);
    return 0;
}

static int run_phase(const struct phase *phase, bool server, const char *storage, int rank) {
    int failed = dfaiss_world_create(MPI_COMM_WORLD, server ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT, &world, &error) != DFAISS_OK;
    if (!failed)
        failed = server ? serve(phase, storage, rank) : be_client(phase);
    if (failed) {
        fprintf(stderr, "rank %d: %s\n", rank, error.text);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    dfaiss_world_destroy(world);
    free(large);
    large = NULL;
    return failed;
}

int main(int argc, char **argv) {
    int granted, rank, size, failed = 0;
    char storage[256] = "";
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &granted);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    client_count = size > 2 ? 2 : 1;
    client_number = rank - (size - client_count);
    bool server = client_number < 0;
    if (rank == 0)
        check_make_folder(storage, sizeof storage);
    MPI_Bcast(storage, sizeof storage, MPI_CHAR, 0, MPI_COMM_WORLD);
    MPI_Comm_split(MPI_COMM_WORLD, server, rank, &fellows);
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        failed |= run_phase(&phases[i], server, storage, rank);
    if (rank == 0)
        failed |= file_remove_tree(storage, &error) != DFAISS_OK;
    MPI_Comm_free(&fellows);
    MPI_Finalize();
    return failed;
}
