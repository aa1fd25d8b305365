/* Saved and restarted equals never stopped: indexes are searched on the servers that built them, saved, loaded by servers that know nothing of them,
 * and searched again. The last rank is the client. */
#include "check.h"

#include <math.h>
#include <dfaiss/dfaiss.h>
#include <mpi.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "client/bulk_load.h"

enum { DIM = 24, ROWS = 3000, MORE = 500, QUERIES = 60, K = 10, SEED = 20261124 };

typedef struct kind {
    const char *name; /* of the index */
    const char *config;
    bool trained;
    bool waits; /* rows wait to be indexed when it is saved */
    int64_t ids[QUERIES * K];
    float scores[QUERIES * K];
} kind_t;

#define L2 "\"metric\": \"l2\", \"dim\": 24"
static kind_t kinds[] = {
    {.name = "flat", .config = "{\"index_builder_type\": \"flat\", " L2 "}", .waits = true},
    {.name = "untrained", .config = "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 32, " L2 "}", .waits = true},
    {.name = "ivf", .config = "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 32, \"nprobe\": 3, " L2 "}", .trained = true},
    {.name = "exact",
     .config = "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 32, \"nprobe\": 32, " L2 "}",
     .trained = true,
     .waits = true},
    {.name = "pq", .config = "{\"index_builder_type\": \"knnlm\", \"centroids\": 32, \"code_size\": 8, \"nprobe\": 3, " L2 "}", .trained = true},
    {.name = "hnsw", .config = "{\"index_builder_type\": \"hnswsq\", \"store_n\": 16, \"nprobe\": 16, " L2 "}", .trained = true},
    {.name = "opaque", .config = "{\"faiss_factory\": \"IVF32,PQ8x4fs\", \"nprobe\": 3, " L2 "}", .trained = true},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static dfaiss_client_t *client;
static dfaiss_error_t error;
static float *base, *queries;

static float *make_vectors(int64_t n, uint64_t stream) {
    float *vectors = malloc((size_t)n * DIM * sizeof *vectors);
    assert_non_null(vectors);
    random_state_t random = random_stream(SEED, stream);
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i] = (float)random_below(&random, 200) - 100;
    return vectors;
}

static void add(const kind_t *kind, int64_t first, int64_t n) {
    enum { EACH = 100 };
    for (int64_t row = first; row < first + n; row += EACH) {
        client_batch_t batch = {.element = ELEMENT_f32, .n = EACH, .dim = DIM, .vectors = base + row * DIM, .first_id = row};
        assert_ok(client_add(client, kind->name, &batch, &error), error);
    }
    assert_ok(client_add_wait(client, NULL, &error), error);
}

static void search(const kind_t *kind, int64_t *ids, float *scores) {
    dfaiss_result_t *result = NULL;
    assert_ok(dfaiss_search(client, 1, &kind->name, QUERIES, DIM, queries, K, NULL, &result, &error), error);
    memcpy(ids, dfaiss_result_ids(result), QUERIES * K * sizeof *ids);
    memcpy(scores, dfaiss_result_scores(result), QUERIES * K * sizeof *scores);
    dfaiss_result_destroy(result);
}

static void build(kind_t *kind) {
    dfaiss_config_t *config = NULL;
    dfaiss_create_options_t options = {.expected_vectors = ROWS + MORE};
    assert_ok(dfaiss_config_parse(kind->config, strlen(kind->config), &config, &error), error);
    assert_ok(dfaiss_create_index(client, kind->name, config, &options, &error), error);
    dfaiss_config_destroy(config);
    if (kind->trained) {
        assert_ok(client_sample(client, kind->name, 0, ELEMENT_f32, ROWS, DIM, base, &error), error);
        assert_ok(client_train(client, kind->name, &error), error);
    }
    add(kind, 0, ROWS);
    if (kind->trained)
        assert_ok(dfaiss_flush(client, kind->name, &error), error);
    if (kind->waits)
        add(kind, ROWS, MORE);
    search(kind, kind->ids, kind->scores);
    assert_ok(dfaiss_save_index(client, kind->name, NULL, &error), error);
}

static void check_restarted(const kind_t *kind) {
    static int64_t ids[QUERIES * K];
    static float scores[QUERIES * K];
    int64_t rows = 0;
    assert_ok(dfaiss_load_index(client, kind->name, NULL, false, &error), error);
    assert_ok(dfaiss_get_ntotal(client, kind->name, &rows, &error), error);
    assert_int_equal(rows, kind->waits ? ROWS + MORE : ROWS);
    search(kind, ids, scores);
    for (int i = 0; i < QUERIES * K; i++) {
        if (ids[i] != kind->ids[i] || fabsf(scores[i] - kind->scores[i]) > 1e-5F * fabsf(kind->scores[i]))
            fail_msg("index %s, query %d, place %d: id %lld with score %.9g before, id %lld with score %.9g after", kind->name, i / K, i % K,
                     (long long)kind->ids[i], (double)kind->scores[i], (long long)ids[i], (double)scores[i]);
    }
}

static void builds_and_saves(void **state) {
    (void)state;
    for (int i = 0; i < KINDS; i++)
        build(&kinds[i]);
}

static void answers_as_before(void **state) {
    (void)state;
    for (int i = 0; i < KINDS; i++)
        check_restarted(&kinds[i]);
}

static int run_client(int job) {
    const struct CMUnitTest first[] = {cmocka_unit_test(builds_and_saves)}, second[] = {cmocka_unit_test(answers_as_before)};
    return job == 0 ? cmocka_run_group_tests(first, NULL, NULL) : cmocka_run_group_tests(second, NULL, NULL);
}

/* Collective: servers serve until the client has run its test. */
static int run_job(bool server, const char *storage, int job) {
    dfaiss_world_t *world = NULL;
    int failed = dfaiss_world_create(MPI_COMM_WORLD, server ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT, &world, &error) != DFAISS_OK;
    if (!failed && server) {
        dfaiss_server_options_t options = {.storage = storage, .threads = 1};
        failed = dfaiss_serve(world, &options, &error) != DFAISS_OK;
    } else if (!failed) {
        dfaiss_client_options_t options = {.timeout = 60};
        failed = dfaiss_client_create(world, &options, &client, &error) != DFAISS_OK;
        failed = failed || run_client(job) != 0;
        dfaiss_client_destroy(client);
    }
    if (failed && error.code != DFAISS_OK)
        fprintf(stderr, "%s: %s\n", server ? "server" : "client", error.text);
    dfaiss_world_destroy(world);
    return failed;
}

int main(int argc, char **argv) {
    int granted, rank, size, failed = 0;
    char storage[256] = "";
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &granted);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (rank == 0)
        check_make_folder(storage, sizeof storage);
    MPI_Bcast(storage, sizeof storage, MPI_CHAR, 0, MPI_COMM_WORLD);
    if (rank == size - 1) {
        base = make_vectors(ROWS + MORE, 1);
        queries = make_vectors(QUERIES, 2);
    }
    for (int job = 0; job < 2; job++)
        failed |= run_job(rank < size - 1, storage, job);
    free(base);
    free(queries);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        failed |= file_remove_tree(storage, &error) != DFAISS_OK;
    MPI_Finalize();
    return failed;
}
