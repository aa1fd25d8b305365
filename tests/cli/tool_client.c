/* tool_client HOW: a client beside servers. `leave`: a call of it fails, and it ends with that, with requests under way. `die`: it ends at once,
 * without a word to anybody, while servers take in what it has sent. `work` and `outlive`: it waits until the other one is gone, and then uses the
 * servers for everything; `outlive` ends the job, in which the dead one would be waited for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <dfaiss/dfaiss.h>
#include <mpi.h>

enum { DIM = 32, LARGE = 80000, ROWS = 50, ROUNDS = 10, ENDED = 3 };

static const char *const gone = "gone"; /* the file that says so */
static const char *const indexes[] = {"shared"};
static float vectors[LARGE * DIM];
static dfaiss_error_t error;
static dfaiss_client_t *client;

static void must(dfaiss_status_t status) {
    if (status == DFAISS_OK)
        return;
    fprintf(stderr, "tool_client: %s: %s\n", dfaiss_status_name(status), error.text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void must_be(int what, const char *text) {
    if (what)
        return;
    fprintf(stderr, "tool_client: expected %s\n", text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void create(const char *index) {
    static const char text[] = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 32, \"centroids\": 4, \"nprobe\": 4}";
    dfaiss_config_t *config;
    must(dfaiss_config_parse(text, strlen(text), &config, &error));
    dfaiss_status_t status = dfaiss_create_index(client, index, config, NULL, &error);
    must(status == DFAISS_ERR_EXISTS ? DFAISS_OK : status);
    dfaiss_config_destroy(config);
}

static void say_gone(void) {
    FILE *file = fopen(gone, "w");
    must_be(file && fclose(file) == 0, "a file in this folder");
}

static void wait_until_gone(void) {
    while (access(gone, F_OK) != 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Large ones, which servers are still taking in. Nothing is found, so that it takes no longer than that. */
static void start_requests(void) {
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = LARGE, .dim = DIM, .vectors = vectors};
    dfaiss_request_t *request;
    static const char *const empty[] = {"empty"};
    create(empty[0]);
    create(indexes[0]);
    must(dfaiss_add_start(client, indexes[0], &batch, NULL, &request, &error));
    must(dfaiss_search_start(client, 1, empty, LARGE, DIM, vectors, 1, NULL, &request, &error));
}

static int leave(void) {
    int64_t generation;
    start_requests();
    dfaiss_status_t status = dfaiss_save_index(client, "nowhere", &generation, &error);
    must_be(status == DFAISS_ERR_NOT_FOUND, "a failure");
    say_gone();
    return ENDED;
}

static int die(void) {
    start_requests();
    say_gone();
    _exit(ENDED);
}

static void search_own(const char *index) {
    const char *const own[] = {index};
    dfaiss_result_t *result;
    must(dfaiss_search(client, 1, own, ROWS, DIM, vectors, 1, NULL, &result, &error));
    for (int i = 0; i < ROWS; i++)
        must_be(dfaiss_result_scores(result)[i] == 0, "each vector to be found");
    dfaiss_result_destroy(result);
}

/* An index of its own, and the one that the other client has left behind. */
static int work(void) {
    char index[32];
    int64_t total = 0;
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = ROWS, .dim = DIM, .vectors = vectors};
    wait_until_gone();
    snprintf(index, sizeof index, "own-%d", (int)getpid());
    create(index);
    create(indexes[0]);
    for (int round = 0; round < ROUNDS; round++) {
        must(dfaiss_add(client, index, &batch, NULL, &error));
        must(dfaiss_add(client, indexes[0], &batch, NULL, &error));
        search_own(index);
        search_own(indexes[0]);
    }
    must(dfaiss_get_ntotal(client, index, &total, &error));
    must_be(total == ROUNDS * ROWS, "all vectors");
    must(dfaiss_train(client, index, &error));
    must(dfaiss_flush(client, index, &error));
    must(dfaiss_save_index(client, index, NULL, &error));
    must(dfaiss_load_index(client, index, NULL, true, &error));
    search_own(index);
    must(dfaiss_drop_index(client, index, &error));
    printf("served\n");
    fflush(stdout);
    return 0;
}

static int outlive(void) {
    int failed = work();
    must(dfaiss_shutdown(client, &error));
    MPI_Abort(MPI_COMM_WORLD, 0);
    return failed;
}

static const struct {
    const char *name;
    int (*run)(void);
} ways[] = {{"leave", leave}, {"die", die}, {"work", work}, {"outlive", outlive}};

int main(int argc, char **argv) {
    dfaiss_world_t *world;
    int ended = 2;
    MPI_Init(&argc, &argv);
    for (int i = 0; i < LARGE * DIM; i++)
        vectors[i] = (float)(rand() % 1000);
    must(dfaiss_world_create(MPI_COMM_WORLD, DFAISS_ROLE_CLIENT, &world, &error));
    must(dfaiss_client_create(world, NULL, &client, &error));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (argc == 2 && strcmp(argv[1], ways[i].name) == 0)
            ended = ways[i].run();
    }
    dfaiss_client_destroy(client);
    dfaiss_world_destroy(world);
    MPI_Finalize();
    return ended;
}
