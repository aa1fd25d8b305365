/* Saves that no client asks for: by themselves, and because a server's program wishes for them; and what is left when the servers are told to stop
 * while vectors come: a later world sends exactly what is missing. The last rank is the client. */
#include "check.h"

#include <time.h>

#include <dfaiss/server.h>
#include <mpi.h>

#include "base/file.h"
#include "base/random.h"
#include "checkpoint/manifest.h"
#include "client/bulk_load.h"

enum { DIM = 16, ROWS = 60000, EACH = 500, SOME = 3000, PATIENCE = 30000 };

static char storage[256];
static dfaiss_client_t *client;
static dfaiss_error_t error;
static MPI_Comm wires; /* by which the client tells servers what to wish */
static int servers;
static float *base;

/* What this server was told of its wishes. */
static int saves_ended, stops_ended;

static void make_vectors(void) {
    random_state_t random = random_stream(77, 0);
    base = malloc((size_t)ROWS * DIM * sizeof *base);
    assert_non_null(base);
    for (int64_t i = 0; i < (int64_t)ROWS * DIM; i++)
        base[i] = (float)random_below(&random, 200) - 100;
}

/* ---- servers ---- */

static dfaiss_wish_t wish(void *context) {
    int there = 0, told = DFAISS_WISH_NONE;
    (void)context;
    MPI_Iprobe(MPI_ANY_SOURCE, 0, wires, &there, MPI_STATUS_IGNORE);
    if (there)
        MPI_Recv(&told, 1, MPI_INT, MPI_ANY_SOURCE, 0, wires, MPI_STATUS_IGNORE);
    return (dfaiss_wish_t)told;
}

static void wish_ended(void *context, dfaiss_wish_t ended, dfaiss_status_t status, const dfaiss_error_t *why) {
    (void)context;
    if (status != DFAISS_OK)
        fprintf(stderr, "wish %d: %s\n", (int)ended, why->text);
    saves_ended += ended == DFAISS_WISH_SAVE && status == DFAISS_OK;
    stops_ended += ended == DFAISS_WISH_STOP && status == DFAISS_OK && strstr(why->text, "stopped after a checkpoint: 2 indexes are saved");
}

/* The first world is stopped, the second one is left. */
static bool serve(dfaiss_world_t *world, int phase) {
    dfaiss_server_options_t options = {.storage = storage, .threads = 1, .wish = wish, .wish_ended = wish_ended};
    dfaiss_status_t status = dfaiss_serve(world, &options, &error);
    bool first = dfaiss_world_number(world) == 0;
    if (phase == 0)
        return status == DFAISS_ERR_INTERRUPTED && stops_ended == 1 && (!first || saves_ended >= 1) && (first || saves_ended == 0);
    return status == DFAISS_OK && stops_ended == 1;
}

/* ---- the client ---- */

static void rest(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void create(const char *index, const char *text) {
    dfaiss_config_t *config = NULL;
    assert_ok(dfaiss_config_parse(text, strlen(text), &config, &error), error);
    assert_ok(dfaiss_create_index(client, index, config, NULL, &error), error);
    dfaiss_config_destroy(config);
}

static dfaiss_status_t add(const char *index, uint64_t input, int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row += EACH) {
        int64_t n = end - row < EACH ? end - row : EACH;
        client_batch_t batch = {
            .element = ELEMENT_f32, .n = n, .dim = DIM, .vectors = base + row * DIM, .first_id = row, .input = input, .input_row = row};
        dfaiss_status_t status = client_add(client, index, &batch, &error);
        if (status != DFAISS_OK)
            return status;
    }
    return DFAISS_OK;
}

/* Of the newest generation: its number, and how many vectors it has. */
static int64_t saved(const char *index, int64_t *vectors) {
    manifest_t manifest;
    int64_t number = 0;
    *vectors = 0;
    if (!manifest_exists(storage, index) || manifest_read(storage, index, &manifest, &error) != DFAISS_OK)
        return 0;
    number = manifest_newest(&manifest)->number;
    *vectors = manifest_newest(&manifest)->vectors;
    manifest_clear(&manifest);
    return number;
}

static int64_t wait_for_vectors(const char *index, int64_t wanted) {
    int64_t vectors = 0, number = 0;
    for (int i = 0; i < PATIENCE && vectors < wanted; i++, rest())
        number = saved(index, &vectors);
    assert_int_equal(vectors, wanted);
    return number;
}

static void saves_by_itself(void **state) {
    (void)state;
    int64_t vectors;
    create("itself", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16, \"save_interval_sec\": 0.02}");
    assert_ok(add("itself", 0, 0, SOME), error);
    assert_ok(client_add_wait(client, NULL, &error), error);
    assert_ok(dfaiss_flush(client, "itself", &error), error);
    int64_t number = wait_for_vectors("itself", SOME);
    /* What was indexed meanwhile may come with one more, and then there is nothing new. */
    for (int i = 0; i < 100; i++)
        rest();
    int64_t quiet = saved("itself", &vectors);
    assert_true(quiet >= number);
    for (int i = 0; i < 200; i++)
        rest();
    assert_int_equal(saved("itself", &vectors), quiet);
    assert_ok(add("itself", 0, SOME, 2 * SOME), error);
    assert_ok(client_add_wait(client, NULL, &error), error);
    assert_true(wait_for_vectors("itself", 2 * SOME) > quiet);
}

static void wishes(int server, dfaiss_wish_t what) {
    int told = (int)what;
    MPI_Send(&told, 1, MPI_INT, server, 0, wires);
}

static void saves_when_wished(void **state) {
    (void)state;
    input_t input = {.number = 1, .rows = ROWS, .identity = (char *)"an input"};
    create("wished",
           "{\"index_builder_type\": \"hnswsq\", \"metric\": \"l2\", \"dim\": 16, \"store_n\": 8, \"ef_construction\": 20, \"buffer_bsz\": 500}");
    assert_ok(client_sample(client, "wished", 0, ELEMENT_f32, SOME, DIM, base, &error), error);
    assert_ok(client_train(client, "wished", &error), error);
    assert_ok(client_declare_input(client, "wished", &input, &error), error);
    for (int server = 0; server < servers; server++) {
        assert_ok(add("wished", 1, server * SOME, (server + 1) * SOME), error);
        assert_ok(client_add_wait(client, NULL, &error), error);
        wishes(server, DFAISS_WISH_SAVE);
        (void)wait_for_vectors("wished", (server + 1) * SOME);
    }
}

/* A row comes once; which batches are on their way when the servers stop is left to chance. */
static void stops_while_vectors_come(void **state) {
    (void)state;
    assert_ok(add("wished", 1, servers * SOME, servers * SOME + SOME), error);
    wishes(servers - 1, DFAISS_WISH_STOP);
    dfaiss_status_t status = add("wished", 1, servers * SOME + SOME, ROWS);
    if (status == DFAISS_OK)
        status = client_add_wait(client, NULL, &error);
    for (int i = 0; i < PATIENCE && status == DFAISS_OK; i++, rest())
        status = dfaiss_flush(client, "wished", &error);
    assert_int_equal(status, DFAISS_ERR_INTERRUPTED);
    assert_string_equal(error.text, "stopped after a checkpoint: 2 indexes are saved");
    assert_fails(dfaiss_save_index(client, "wished", NULL, &error), DFAISS_ERR_INTERRUPTED, error, "stopped after a checkpoint");
    assert_fails(dfaiss_get_ntotal(client, "wished", &(int64_t){0}, &error), DFAISS_ERR_INTERRUPTED, error, "stopped after a checkpoint");
}

static void expect_all_rows(void) {
    int64_t *ids = NULL, n = 0;
    bool *there = calloc(ROWS, sizeof *there);
    assert_non_null(there);
    assert_ok(dfaiss_get_ids(client, "wished", &ids, &n, &error), error);
    assert_int_equal(n, ROWS);
    for (int64_t i = 0; i < n; i++) {
        assert_true(ids[i] >= 0 && ids[i] < ROWS && !there[ids[i]]);
        there[ids[i]] = true;
    }
    free(there);
    free(ids);
}

static void goes_on_exactly(void **state) {
    (void)state;
    inputs_t held = {0};
    ranges_t missing = {0};
    int64_t n = 0;
    assert_ok(dfaiss_load_index(client, "wished", NULL, false, &error), error);
    assert_ok(dfaiss_get_ntotal(client, "wished", &n, &error), error);
    assert_ok(client_inputs(client, "wished", &held, &error), error);
    assert_int_equal(held.count, 1);
    assert_string_equal(held.list[0].identity, "an input");
    assert_int_equal(ranges_rows(&held.list[0].held), n);
    assert_true(n >= servers * SOME);
    assert_true(ranges_missing(&held.list[0].held, ROWS, &missing));
    assert_ok(client_declare_input(client, "wished", &held.list[0], &error), error);
    for (int64_t i = 0; i < missing.count; i++)
        assert_ok(add("wished", 1, missing.list[i].first, missing.list[i].end), error);
    assert_ok(client_add_wait(client, NULL, &error), error);
    expect_all_rows();
    input_t other = {.number = 1, .rows = ROWS, .identity = (char *)"another"};
    assert_fails(client_declare_input(client, "wished", &other, &error), DFAISS_ERR_STATE, error, "input 1 is another one already");
    ranges_clear(&missing);
    inputs_clear(&held);
}

static bool run_client(dfaiss_world_t *world, int phase) {
    const struct CMUnitTest first[] = {cmocka_unit_test(saves_by_itself), cmocka_unit_test(saves_when_wished),
                                       cmocka_unit_test(stops_while_vectors_come)};
    const struct CMUnitTest second[] = {cmocka_unit_test(goes_on_exactly)};
    if (dfaiss_client_create(world, NULL, &client, &error) != DFAISS_OK)
        return false;
    int failures = phase == 0 ? cmocka_run_group_tests(first, NULL, NULL) : cmocka_run_group_tests(second, NULL, NULL);
    dfaiss_client_destroy(client);
    return failures == 0;
}

int main(int argc, char **argv) {
    int granted, rank, size;
    bool good = true;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &granted);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_dup(MPI_COMM_WORLD, &wires);
    servers = size - 1;
    if (rank == 0)
        check_make_folder(storage, sizeof storage);
    MPI_Bcast(storage, sizeof storage, MPI_CHAR, 0, MPI_COMM_WORLD);
    make_vectors();
    for (int phase = 0; good && phase < 2; phase++) {
        dfaiss_world_t *world = NULL;
        good = dfaiss_world_create(MPI_COMM_WORLD, rank < servers ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT, &world, &error) == DFAISS_OK;
        good = good && (rank < servers ? serve(world, phase) : run_client(world, phase));
        if (!good) {
            fprintf(stderr, "rank %d, phase %d: %s (%d saves and %d stops ended)\n", rank, phase, error.text, saves_ended, stops_ended);
            MPI_Abort(MPI_COMM_WORLD, 1);
        }
        dfaiss_world_destroy(world);
    }
    if (rank == 0)
        good = file_remove_tree(storage, &error) == DFAISS_OK;
    free(base);
    MPI_Comm_free(&wires);
    MPI_Finalize();
    return good ? 0 : 1;
}
