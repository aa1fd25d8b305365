/* Servers whose world has no client: all that ask them connect. The last rank is such a client, and makes others by fork, some of which are killed.
 * All other ranks are the servers. */
#include "check.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mpi.h>

#include <dfaiss/dfaiss.h>

#include "base/file.h"
#include "base/random.h"

enum { DIM = 8, ROWS = 600, EACH = 20, CHILDREN = 10, KILLED = 3, K = 3 };

static int rank, size;
static char folder[256], storage[300], listen_path[300], stop_path[300];
static dfaiss_error_t error;
static dfaiss_client_t *client;

static void rest(double seconds) {
    nanosleep(&(struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)}, NULL);
}

static void wait_for_all(void) {
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    while (!done) {
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        rest(0.001);
    }
}

static void give_up(const char *what) {
    fprintf(stderr, "rank %d: %s: %s\n", rank, what, error.text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* ---- servers ---- */

/* The servers stop when there is a file that says so. */
static dfaiss_wish_t wish(void *context) {
    bool *wished = context;
    if (*wished || !file_exists(stop_path))
        return DFAISS_WISH_NONE;
    *wished = true;
    return DFAISS_WISH_STOP;
}

static void serve(MPI_Comm servers, dfaiss_status_t expected) {
    dfaiss_world_t *world;
    bool wished = false;
    dfaiss_server_options_t options = {.storage = storage, .threads = 1, .listen = listen_path, .wish = rank == 0 ? wish : NULL, .context = &wished};
    if (dfaiss_world_create(servers, DFAISS_ROLE_SERVER, &world, &error) != DFAISS_OK)
        give_up("making a world");
    if (dfaiss_serve(world, &options, &error) != expected)
        give_up("serving");
    dfaiss_world_destroy(world);
}

/* ---- clients ---- */

static dfaiss_client_t *new_client(void) {
    dfaiss_client_t *made = NULL;
    dfaiss_client_options_t options = {.timeout = 100, .long_timeout = 200};
    assert_ok(dfaiss_connect(listen_path, &options, &made, &error), error);
    return made;
}

static void create(const char *index, const char *config) {
    dfaiss_config_t *parsed;
    assert_ok(dfaiss_config_parse(config, strlen(config), &parsed, &error), error);
    assert_ok(dfaiss_create_index(client, index, parsed, NULL, &error), error);
    dfaiss_config_destroy(parsed);
}

static dfaiss_status_t add_some(dfaiss_client_t *to, const char *index, int64_t n, random_state_t *random) {
    float vectors[ROWS * DIM];
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = n, .dim = DIM, .vectors = vectors};
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i] = (float)random_unit(random);
    return dfaiss_add(to, index, &batch, NULL, &error);
}

static dfaiss_status_t search_one(dfaiss_client_t *with, const char *index, random_state_t *random) {
    float query[DIM];
    dfaiss_result_t *result = NULL;
    for (int i = 0; i < DIM; i++)
        query[i] = (float)random_unit(random);
    dfaiss_status_t status = dfaiss_search(with, 1, &index, 1, DIM, query, K, NULL, &result, &error);
    dfaiss_result_destroy(result);
    return status;
}

static void test_who_connects_is_told_what_is_wrong(void **state) {
    (void)state;
    dfaiss_client_t *none = NULL;
    dfaiss_client_options_t options = {.timeout = -1};
    assert_fails(dfaiss_connect(NULL, NULL, &none, &error), DFAISS_ERR_ARG, error, "listen_file");
    assert_fails(dfaiss_connect(listen_path, NULL, NULL, &error), DFAISS_ERR_ARG, error, "out");
    assert_fails(dfaiss_connect(listen_path, &options, &none, &error), DFAISS_ERR_ARG, error, "timeout");
    assert_fails(dfaiss_connect(stop_path, NULL, &none, &error), DFAISS_ERR_NOT_FOUND, error, stop_path);
    assert_null(none);
    assert_int_equal(dfaiss_client_servers(client), size - 1);
}

/* Nobody but those that connect is there to ask for it. */
static void test_training_begins_by_itself(void **state) {
    (void)state;
    random_state_t random = random_stream(1, 1);
    create("own", "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 8, \"centroids\": 4, \"train_num\": 50}");
    for (int i = 0; i < size - 1; i++)
        assert_ok(add_some(client, "own", 200, &random), error);
    assert_ok(dfaiss_wait_state(client, "own", DFAISS_TRAINED, 60, &error), error);
    assert_ok(dfaiss_drop_index(client, "own", &error), error);
}

static void test_one_process_has_several_clients(void **state) {
    (void)state;
    random_state_t random = random_stream(1, 2);
    dfaiss_client_t *other = new_client();
    int64_t ntotal = 0;
    create("shared", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}");
    for (int i = 0; i < 5; i++) {
        assert_ok(add_some(i % 2 ? client : other, "shared", EACH, &random), error);
        assert_ok(search_one(i % 2 ? other : client, "shared", &random), error);
    }
    assert_ok(dfaiss_get_ntotal(other, "shared", &ntotal, &error), error);
    assert_int_equal(ntotal, 5 * EACH);
    dfaiss_client_destroy(other);
    assert_ok(dfaiss_drop_index(client, "shared", &error), error);
}

/* Connects, works, leaves, again and again; exit code 0: everything went well. */
static void live_as_child(int number, int rounds) {
    random_state_t random = random_stream(2, (uint64_t)number);
    for (int round = 0; round < rounds; round++) {
        dfaiss_client_t *mine = NULL;
        if (dfaiss_connect(listen_path, NULL, &mine, &error) != DFAISS_OK)
            _exit(1);
        for (int i = 0; i < 5; i++) {
            bool adds = random_below(&random, 2) == 0;
            if ((adds ? add_some(mine, "many", EACH, &random) : search_one(mine, "many", &random)) != DFAISS_OK)
                _exit(2);
        }
        dfaiss_client_destroy(mine);
    }
    _exit(0);
}

static void test_clients_come_and_go_and_die(void **state) {
    (void)state;
    random_state_t random = random_stream(1, 3);
    pid_t children[CHILDREN];
    int64_t before = 0, after = 0;
    create("many", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"buffer_bsz\": 100}");
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            live_as_child(i, i < KILLED ? 1000000 : 5);
    }
    for (int i = 0; i < 30; i++)
        assert_ok(search_one(client, "many", &random), error);
    for (int i = 0; i < KILLED; i++)
        assert_int_equal(kill(children[i], SIGKILL), 0);
    for (int i = 0; i < CHILDREN; i++) {
        int how = -1;
        assert_int_equal(waitpid(children[i], &how, 0), children[i]);
        if (i >= KILLED)
            assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
    /* What was under way of those that were killed ends by itself. */
    assert_ok(dfaiss_flush(client, "many", &error), error);
    assert_ok(dfaiss_get_ntotal(client, "many", &before, &error), error);
    assert_int_equal(before % EACH, 0);
    assert_ok(add_some(client, "many", EACH, &random), error);
    assert_ok(dfaiss_get_ntotal(client, "many", &after, &error), error);
    assert_int_equal(after, before + EACH);
    assert_ok(dfaiss_drop_index(client, "many", &error), error);
}

static void test_all_are_told_of_the_shut_down(void **state) {
    (void)state;
    int64_t ntotal = 0;
    dfaiss_client_t *other = new_client();
    assert_ok(dfaiss_shutdown(other, &error), error);
    assert_fails(dfaiss_get_ntotal(client, "many", &ntotal, &error), DFAISS_ERR_STATE, error, "the servers were shut down");
    assert_fails(dfaiss_get_ntotal(other, "many", &ntotal, &error), DFAISS_ERR_STATE, error, "the servers were shut down");
    dfaiss_client_destroy(other);
}

static int run_calls(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_connects_is_told_what_is_wrong), cmocka_unit_test(test_training_begins_by_itself),
        cmocka_unit_test(test_one_process_has_several_clients),    cmocka_unit_test(test_clients_come_and_go_and_die),
        cmocka_unit_test(test_all_are_told_of_the_shut_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What was added is saved, and a call that waits is told. */
static void test_servers_that_stop_save_and_say_so(void **state) {
    (void)state;
    random_state_t random = random_stream(1, 4);
    int64_t ntotal = 0;
    char manifest[400];
    dfaiss_status_t status = DFAISS_OK;
    create("kept", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}");
    assert_ok(add_some(client, "kept", EACH, &random), error);
    assert_ok(file_replace(stop_path, "", 0, &error), error);
    for (int i = 0; status == DFAISS_OK && i < 60000; i++) {
        rest(0.001);
        status = dfaiss_get_ntotal(client, "kept", &ntotal, &error);
    }
    assert_fails(status, DFAISS_ERR_INTERRUPTED, error, "stopped after a checkpoint: 1 index is saved");
    snprintf(manifest, sizeof manifest, "%s/kept/manifest.json", storage);
    assert_true(file_exists(manifest));
}

static int run_stop(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_servers_that_stop_save_and_say_so)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ---- the job ---- */

static void connect_and(int (*tests)(void)) {
    dfaiss_client_options_t options = {.timeout = 100, .long_timeout = 200};
    while (!file_exists(listen_path))
        rest(0.001);
    if (dfaiss_connect(listen_path, &options, &client, &error) != DFAISS_OK)
        give_up("connecting");
    if (tests() != 0)
        give_up("a test has failed");
    dfaiss_client_destroy(client);
}

static void run_phase(MPI_Comm servers, int (*tests)(void), dfaiss_status_t expected) {
    if (rank == size - 1)
        connect_and(tests);
    else
        serve(servers, expected);
    wait_for_all();
    /* Nobody else can tell: rank 0 may be listening again. */
    if (rank == 0 && file_exists(listen_path))
        give_up("the listen file is still there");
}

int main(int argc, char **argv) {
    int granted;
    MPI_Comm servers;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &granted);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_split(MPI_COMM_WORLD, rank == size - 1, rank, &servers);
    if (rank == 0)
        check_make_folder(folder, sizeof folder);
    MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, MPI_COMM_WORLD);
    snprintf(storage, sizeof storage, "%s/storage", folder);
    snprintf(listen_path, sizeof listen_path, "%s/listen", folder);
    snprintf(stop_path, sizeof stop_path, "%s/stop", folder);
    run_phase(servers, run_calls, DFAISS_OK);
    run_phase(servers, run_stop, DFAISS_ERR_INTERRUPTED);
    if (rank == 0 && file_remove_tree(folder, &error) != DFAISS_OK)
        give_up("removing the folder");
    MPI_Comm_free(&servers);
    MPI_Finalize();
    return 0;
}
