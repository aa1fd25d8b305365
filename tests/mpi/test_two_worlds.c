/* Clients of two worlds at once: each process has a client in either, with requests under way in both, and what happens in one is nothing to the
 * other. The first two ranks are servers, each the only one of its world; the others are clients of both.
 */
#include "check.h"

#include <stdbool.h>

#include <dfaiss/dfaiss.h>
#include <mpi.h>

#include "base/file.h"

enum { WORLDS = 2, DIM = 8, ROWS = 60, ROUNDS = 10, K = 1 };

static dfaiss_world_t *worlds[WORLDS];
static dfaiss_client_t *clients[WORLDS];
static dfaiss_error_t error;
static int number;
static float vectors[ROUNDS][WORLDS][ROWS][DIM];
static const char *const indexes[] = {"index"};

/* Every vector of all rounds, worlds and clients is another one. */
static void make_vectors(void) {
    for (int round = 0; round < ROUNDS; round++) {
        for (int world = 0; world < WORLDS; world++) {
            for (int row = 0; row < ROWS; row++) {
                float *vector = vectors[round][world][row];
                vector[0] = (float)row;
                vector[1] = (float)round;
                vector[2] = (float)world;
                vector[3] = (float)number;
            }
        }
    }
}

static dfaiss_status_t create(int world) {
    static const char text[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}";
    dfaiss_config_t *config = NULL;
    assert_ok(dfaiss_config_parse(text, strlen(text), &config, &error), error);
    dfaiss_status_t status = dfaiss_create_index(clients[world], indexes[0], config, NULL, &error);
    dfaiss_config_destroy(config);
    return status == DFAISS_ERR_EXISTS ? DFAISS_OK : status;
}

static void add_to_both(int round) {
    dfaiss_request_t *requests[WORLDS];
    for (int world = 0; world < WORLDS; world++) {
        dfaiss_batch_t batch = {.element = DFAISS_F32, .n = ROWS, .dim = DIM, .vectors = vectors[round][world]};
        assert_ok(dfaiss_add_start(clients[world], indexes[0], &batch, NULL, &requests[world], &error), error);
    }
    for (int world = WORLDS - 1; world >= 0; world--)
        assert_ok(dfaiss_request_wait(requests[world], NULL, &error), error);
}

/* What is in the one world is not in the other. */
static void search_both(int round) {
    dfaiss_request_t *requests[WORLDS];
    for (int world = 0; world < WORLDS; world++)
        assert_ok(dfaiss_search_start(clients[world], 1, indexes, ROWS, DIM, vectors[round][0][0], K, NULL, &requests[world], &error), error);
    for (int world = WORLDS - 1; world >= 0; world--) {
        dfaiss_result_t *result = NULL;
        assert_ok(dfaiss_request_wait(requests[world], &result, &error), error);
        for (int row = 0; row < ROWS; row++)
            assert_true(dfaiss_result_scores(result)[row] == (float)world);
        dfaiss_result_destroy(result);
    }
}

static void test_requests_in_both(void **state) {
    (void)state;
    make_vectors();
    for (int world = 0; world < WORLDS; world++)
        assert_ok(create(world), error);
    for (int round = 0; round < ROUNDS; round++) {
        add_to_both(round);
        search_both(round);
    }
}

/* One client leaves with a request under way, and the other goes on. */
static void test_one_client_leaves(void **state) {
    (void)state;
    dfaiss_request_t *request;
    dfaiss_result_t *result = NULL;
    int64_t total = 0;
    assert_ok(dfaiss_search_start(clients[0], 1, indexes, ROWS, DIM, vectors[0][0][0], K, NULL, &request, &error), error);
    assert_ok(dfaiss_search_start(clients[1], 1, indexes, ROWS, DIM, vectors[0][1][0], K, NULL, &request, &error), error);
    dfaiss_client_destroy(clients[0]);
    clients[0] = NULL;
    dfaiss_world_destroy(worlds[0]);
    worlds[0] = NULL;
    assert_ok(dfaiss_request_wait(request, &result, &error), error);
    assert_true(dfaiss_result_scores(result)[0] == 0);
    dfaiss_result_destroy(result);
    assert_ok(dfaiss_get_ntotal(clients[1], indexes[0], &total, &error), error);
    assert_true(total >= ROUNDS * ROWS);
}

static int be_client(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests_in_both), cmocka_unit_test(test_one_client_leaves)};
    for (int world = 0; world < WORLDS; world++) {
        if (dfaiss_client_create(worlds[world], NULL, &clients[world], &error) != DFAISS_OK)
            return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int world = 0; world < WORLDS && !failed; world++)
        dfaiss_client_destroy(clients[world]);
    return failed;
}

static int serve(int world, const char *storage) {
    dfaiss_server_options_t options = {.storage = storage, .threads = 1};
    return dfaiss_serve(worlds[world], &options, &error) != DFAISS_OK;
}

/* Clients enter both in the same order. */
static int enter(int rank) {
    for (int world = 0; world < WORLDS; world++) {
        MPI_Comm communicator;
        bool server = rank == world, takes_part = server || rank >= WORLDS;
        MPI_Comm_split(MPI_COMM_WORLD, takes_part ? 1 : MPI_UNDEFINED, rank, &communicator);
        if (!takes_part)
            continue;
        if (dfaiss_world_create(communicator, server ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT, &worlds[world], &error) != DFAISS_OK)
            return 1;
        MPI_Comm_free(&communicator);
    }
    return 0;
}

int main(int argc, char **argv) {
    int granted, rank;
    char storage[256] = "";
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &granted);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    number = rank - WORLDS;
    if (rank < WORLDS)
        check_make_folder(storage, sizeof storage);
    int failed = enter(rank);
    if (!failed)
        failed = rank < WORLDS ? serve(rank, storage) : be_client();
    if (failed) {
        fprintf(stderr, "rank %d: %s\n", rank, error.text);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    for (int world = 0; world < WORLDS; world++)
        dfaiss_world_destroy(worlds[world]);
    if (rank < WORLDS)
        failed = file_remove_tree(storage, &error) != DFAISS_OK;
    MPI_Finalize();
    return failed;
}
