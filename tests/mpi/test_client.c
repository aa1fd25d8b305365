/* The calls of the client library that need no large index: requests under way at once, several indexes in one search, ids, dimensions that the first
 * vectors bring, settings, loading in place of what is there, time-outs, and the end of servers. All ranks but the last one or two are servers. Each
 * phase makes a world of its own.
 */
#include "check.h"

#include <math.h>
#include <unistd.h>

#include <dfaiss/dfaiss.h>
#include <mpi.h>

#include "base/file.h"
#include "base/random.h"

enum { DIM = 16, K = 5, SEED = 20261124, LARGE_ROWS = 1 << 20 };

static dfaiss_world_t *world;
static dfaiss_client_t *client;
static MPI_Comm fellows; /* the clients, or the servers */
static int client_number, client_count;
static dfaiss_error_t error;

static const char flat[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}";
static const char unsized[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 0}";
static const char lists[] = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 2}";

static float *make_vectors(int64_t n, uint64_t stream) {
    float *vectors = malloc((size_t)n * DIM * sizeof *vectors);
    assert_non_null(vectors);
    random_state_t random = random_stream(SEED, stream);
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i] = (float)random_below(&random, 100);
    return vectors;
}

static dfaiss_config_t *parse(const char *text) {
    dfaiss_config_t *config = NULL;
    assert_ok(dfaiss_config_parse(text, strlen(text), &config, &error), error);
    return config;
}

static dfaiss_status_t try_create(const char *index, const char *text, bool own_ids) {
    dfaiss_config_t *config = parse(text);
    dfaiss_create_options_t options = {.own_ids = own_ids, .overwrite = true};
    dfaiss_status_t status = dfaiss_create_index(client, index, config, &options, &error);
    dfaiss_config_destroy(config);
    return status;
}

static void create(const char *index, const char *text) {
    assert_ok(try_create(index, text, false), error);
}

static void drop(const char *index) {
    assert_ok(dfaiss_drop_index(client, index, &error), error);
}

static dfaiss_batch_t batch_of(const float *vectors, int64_t n) {
    return (dfaiss_batch_t){.element = DFAISS_F32, .n = n, .dim = DIM, .vectors = vectors};
}

static void add(const char *index, const float *vectors, int64_t n, int64_t *ids) {
    dfaiss_batch_t batch = batch_of(vectors, n);
    assert_ok(dfaiss_add(client, index, &batch, ids, &error), error);
}

static dfaiss_result_t *search(const char *index, const float *queries, int64_t nq, int64_t k) {
    dfaiss_result_t *result = NULL;
    assert_ok(dfaiss_search(client, 1, &index, nq, DIM, queries, k, NULL, &result, &error), error);
    return result;
}

static int64_t ntotal(const char *index) {
    int64_t total = -1;
    assert_ok(dfaiss_get_ntotal(client, index, &total, &error), error);
    return total;
}

static void assert_config(const char *index, const char *key, const char *expected) {
    dfaiss_config_t *config = NULL;
    char *value;
    assert_ok(dfaiss_get_config(client, index, &config, &error), error);
    assert_ok(dfaiss_config_get(config, key, &value, &error), error);
    assert_string_equal(value, expected);
    free(value);
    dfaiss_config_destroy(config);
}

/* ---- requests under way ---- */

static void test_requests_end_in_any_order(void **state) {
    (void)state;
    enum { REQUESTS = 40, EACH = 30 };
    float *vectors = make_vectors(REQUESTS * EACH, 1);
    const char *const indexes[] = {"many"};
    dfaiss_request_t *adds[REQUESTS], *searches[REQUESTS];
    int64_t ids[REQUESTS][EACH];
    create("many", flat);
    for (int i = 0; i < REQUESTS; i++) {
        dfaiss_batch_t batch = batch_of(vectors + (size_t)i * EACH * DIM, EACH);
        assert_ok(dfaiss_add_start(client, "many", &batch, ids[i], &adds[i], &error), error);
    }
    for (int i = REQUESTS - 1; i >= 0; i--)
        assert_ok(dfaiss_request_wait(adds[i], NULL, &error), error);
    for (int i = 0; i < REQUESTS; i++)
        assert_ok(dfaiss_search_start(client, 1, indexes, 2, DIM, vectors + (size_t)i * EACH * DIM, 1, NULL, &searches[i], &error), error);
    for (int i = REQUESTS - 1; i >= 0; i--) {
        bool done = false;
        dfaiss_result_t *result = NULL;
        while (i % 2 == 0 && !done)
            assert_ok(dfaiss_request_test(searches[i], &done, &error), error);
        assert_ok(dfaiss_request_wait(searches[i], &result, &error), error);
        assert_int_equal(dfaiss_result_ids(result)[0], ids[i][0]);
        assert_int_equal(dfaiss_result_ids(result)[1], ids[i][1]);
        dfaiss_result_destroy(result);
    }
    assert_int_equal(ntotal("many"), REQUESTS * EACH);
    drop("many");
    free(vectors);
}

/* What nobody waits for ends with the client, and a failure comes with the wait. */
static void test_failures_come_with_the_wait(void **state) {
    (void)state;
    float *vectors = make_vectors(2, 2);
    const char *const indexes[] = {"nowhere"};
    dfaiss_request_t *request;
    dfaiss_result_t *result = NULL;
    int64_t ids[2] = {-7, -7};
    dfaiss_batch_t batch = batch_of(vectors, 2);
    assert_ok(dfaiss_search_start(client, 1, indexes, 1, DIM, vectors, K, NULL, &request, &error), error);
    assert_fails(dfaiss_request_wait(request, &result, &error), DFAISS_ERR_NOT_FOUND, error, "nowhere");
    assert_null(result);
    assert_ok(dfaiss_add_start(client, "nowhere", &batch, ids, &request, &error), error);
    assert_fails(dfaiss_request_wait(request, NULL, &error), DFAISS_ERR_NOT_FOUND, error, "nowhere");
    assert_int_equal(ids[0], -7);
    free(vectors);
}

/* ---- several indexes ---- */

static void test_hits_are_labelled_with_their_index(void **state) {
    (void)state;
    enum { N = 90 };
    float *vectors = make_vectors(N, 3);
    const char *const indexes[] = {"red", "green", "blue"}, *const wrong[] = {"red", "dot"}, *const missing[] = {"red", "nowhere"};
    dfaiss_result_t *all = NULL, *together = NULL;
    for (int i = 0; i < 3; i++) {
        create(indexes[i], flat);
        add(indexes[i], vectors + (size_t)i * N / 3 * DIM, N / 3, NULL);
    }
    create("whole", flat);
    add("whole", vectors, N, NULL);
    all = search("whole", vectors, N, K);
    assert_ok(dfaiss_search(client, 3, indexes, N, DIM, vectors, K, NULL, &together, &error), error);
    assert_memory_equal(dfaiss_result_scores(all), dfaiss_result_scores(together), N * K * sizeof(float));
    for (int i = 0; i < N; i++) {
        assert_int_equal(dfaiss_result_indexes(together)[i * K], i / (N / 3));
        assert_int_equal(dfaiss_result_ids(together)[i * K], i % (N / 3));
        assert_int_equal(dfaiss_result_count(together, i), K);
    }
    dfaiss_result_destroy(together);
    dfaiss_result_destroy(all);
    create("dot", "{\"index_builder_type\": \"flat\", \"metric\": \"dot\", \"dim\": 16}");
    assert_fails(dfaiss_search(client, 2, wrong, 1, DIM, vectors, K, NULL, &together, &error), DFAISS_ERR_ARG, error, "different metrics");
    assert_fails(dfaiss_search(client, 2, missing, 1, DIM, vectors, K, NULL, &together, &error), DFAISS_ERR_NOT_FOUND, error, "nowhere");
    for (int i = 0; i < 3; i++)
        drop(indexes[i]);
    drop("whole");
    drop("dot");
    free(vectors);
}

/* More metadata than one answer brings. */
static void test_large_metadata_come_in_portions(void **state) {
    (void)state;
    enum { N = 24, SIZE = 5 << 20 };
    float *vectors = make_vectors(N, 4);
    uint8_t *metadata = calloc(N, SIZE);
    uint64_t ends[N];
    assert_non_null(metadata);
    for (int i = 0; i < N; i++) {
        memset(metadata + (size_t)i * SIZE, 'A' + i, SIZE);
        ends[i] = (uint64_t)(i + 1) * SIZE;
    }
    create("heavy", flat);
    dfaiss_batch_t batch = batch_of(vectors, N);
    batch.metadata = metadata;
    batch.metadata_ends = ends;
    int64_t ids[N];
    assert_ok(dfaiss_add(client, "heavy", &batch, ids, &error), error);
    const char *const indexes[] = {"heavy"};
    const dfaiss_search_options_t options = {.metadata = true};
    dfaiss_result_t *result = NULL;
    assert_ok(dfaiss_search(client, 1, indexes, 1, DIM, vectors, N, &options, &result, &error), error);
    for (int hit = 0; hit < N; hit++) {
        size_t size;
        const uint8_t *found = dfaiss_result_metadata(result, 0, hit, &size);
        assert_int_equal(size, SIZE);
        assert_int_equal(found[0], 'A' + (int)(dfaiss_result_ids(result)[hit] - ids[0]));
        assert_int_equal(found[SIZE - 1], found[0]);
    }
    dfaiss_result_destroy(result);
    drop("heavy");
    free(metadata);
    free(vectors);
}

/* ---- ids ---- */

static void test_ids_are_assigned_once(void **state) {
    (void)state;
    enum { N = 50 };
    float *vectors = make_vectors(N, 5);
    int64_t first[N], second[N], *all = NULL, n = -1;
    create("assigned", flat);
    assert_ok(dfaiss_get_ids(client, "assigned", &all, &n, &error), error);
    assert_int_equal(n, 0);
    assert_null(all);
    add("assigned", vectors, N, first);
    add("assigned", vectors, N, second);
    assert_ok(dfaiss_get_ids(client, "assigned", &all, &n, &error), error);
    assert_int_equal(n, 2 * N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(first[i], first[0] + i);
        assert_int_equal(all[i], first[i]);
        assert_int_equal(all[N + i], second[i]);
    }
    free(all);
    dfaiss_batch_t batch = batch_of(vectors, N);
    batch.ids = first;
    assert_fails(dfaiss_add(client, "assigned", &batch, NULL, &error), DFAISS_ERR_ARG, error, "ids");
    assert_fails(dfaiss_get_ids(client, "nowhere", &all, &n, &error), DFAISS_ERR_NOT_FOUND, error, "nowhere");
    drop("assigned");
    free(vectors);
}

static void test_own_ids(void **state) {
    (void)state;
    float *vectors = make_vectors(3, 6);
    int64_t ids[3] = {INT64_MAX - 1, 0, 77}, *all, n, out[3] = {0};
    assert_ok(try_create("own", flat, true), error);
    dfaiss_batch_t batch = batch_of(vectors, 3);
    assert_fails(dfaiss_add(client, "own", &batch, NULL, &error), DFAISS_ERR_ARG, error, "caller's ids");
    batch.ids = ids;
    assert_ok(dfaiss_add(client, "own", &batch, out, &error), error);
    assert_memory_equal(ids, out, sizeof ids);
    assert_ok(dfaiss_get_ids(client, "own", &all, &n, &error), error);
    assert_int_equal(n, 3);
    assert_int_equal(all[0], 0);
    assert_true(all[2] == INT64_MAX - 1);
    free(all);
    drop("own");
    free(vectors);
}

/* Metadata that are arrays may hold the ids that a caller goes by. */
static void test_ids_out_of_metadata(void **state) {
    (void)state;
    float *vectors = make_vectors(4, 7);
    const char text[] = "[\"a\", 900] [\"b\", \"c\"]{\"d\": 901}";
    const uint64_t ends[] = {10, 21, 31, 31};
    int64_t *all, n, out[4];
    create("arrays", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16, \"custom_meta_id_idx\": 1}");
    dfaiss_batch_t batch = batch_of(vectors, 4);
    batch.metadata = text;
    batch.metadata_ends = ends;
    assert_ok(dfaiss_add(client, "arrays", &batch, out, &error), error);
    assert_ok(dfaiss_get_ids(client, "arrays", &all, &n, &error), error);
    assert_int_equal(n, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(all[i], out[i + 1]);
    assert_int_equal(all[3], 900);
    free(all);
    drop("arrays");
    free(vectors);
}

/* ---- a dimension that the first vectors bring ---- */

static void test_first_vectors_bring_the_dimension(void **state) {
    (void)state;
    enum { N = 20 };
    float *vectors = make_vectors(N, 8);
    int64_t ids[N];
    create("unsized", unsized);
    assert_config("unsized", "dim", "0");
    assert_int_equal(ntotal("unsized"), 0);
    dfaiss_result_t *result = search("unsized", vectors, 3, K);
    assert_int_equal(dfaiss_result_count(result, 2), 0);
    dfaiss_result_destroy(result);
    assert_ok(dfaiss_save_index(client, "unsized", NULL, &error), error);
    assert_ok(dfaiss_load_index(client, "unsized", NULL, true, &error), error);
    assert_config("unsized", "dim", "0");
    add("unsized", vectors, N, ids);
    assert_config("unsized", "dim", "16");
    add("unsized", vectors, N, NULL);
    result = search("unsized", vectors + DIM, 1, 2 * N);
    assert_int_equal(dfaiss_result_count(result, 0), 2 * N);
    assert_int_equal(dfaiss_result_ids(result)[0], ids[1]);
    dfaiss_result_destroy(result);
    dfaiss_batch_t narrow = batch_of(vectors, N);
    narrow.dim = DIM / 2;
    assert_fails(dfaiss_add(client, "unsized", &narrow, NULL, &error), DFAISS_ERR_ARG, error, "dimension 8");
    drop("unsized");
    create("product", "{\"index_builder_type\": \"knnlm\", \"metric\": \"l2\", \"dim\": 0, \"centroids\": 4, \"code_size\": 7}");
    dfaiss_batch_t batch = batch_of(vectors, N);
    assert_fails(dfaiss_add(client, "product", &batch, NULL, &error), DFAISS_ERR_CONFIG, error, "multiple of code_size");
    assert_config("product", "dim", "0");
    drop("product");
    free(vectors);
}

/* ---- settings and configurations ---- */

static void test_settings(void **state) {
    (void)state;
    float *vectors = make_vectors(200, 9);
    dfaiss_statistics_t statistics[64];
    const char *const indexes[] = {"set"};
    create("set", lists);
    add("set", vectors, 200, NULL);
    assert_ok(dfaiss_set_nprobe(client, "set", 8, &error), error);
    assert_config("set", "nprobe", "8");
    assert_fails(dfaiss_set_nprobe(client, "set", 0, &error), DFAISS_ERR_ARG, error, "nprobe is 0");
    assert_fails(dfaiss_set_nprobe(client, "nowhere", 1, &error), DFAISS_ERR_NOT_FOUND, error, "nowhere");
    for (int threads = 3; threads > 0; threads--) {
        dfaiss_request_t *request;
        dfaiss_result_t *result = NULL;
        assert_ok(dfaiss_search_start(client, 1, indexes, 200, DIM, vectors, 1, NULL, &request, &error), error);
        assert_ok(dfaiss_set_threads(client, threads, &error), error);
        assert_ok(dfaiss_request_wait(request, &result, &error), error);
        for (int i = 0; i < 200; i++)
            assert_true(dfaiss_result_scores(result)[i] == 0);
        dfaiss_result_destroy(result);
        assert_ok(dfaiss_get_statistics(client, "set", statistics, &error), error);
        for (int server = 0; server < dfaiss_world_servers(world); server++)
            assert_int_equal(statistics[server].threads, threads);
    }
    assert_fails(dfaiss_set_threads(client, 0, &error), DFAISS_ERR_ARG, error, "threads is 0");
    assert_ok(dfaiss_save_index(client, "set", NULL, &error), error);
    assert_ok(dfaiss_load_index(client, "set", NULL, true, &error), error);
    assert_config("set", "nprobe", "8");
    drop("set");
    free(vectors);
}

static void test_load_overrides_and_replaces(void **state) {
    (void)state;
    float *vectors = make_vectors(30, 10);
    dfaiss_config_t *allowed = parse("{\"nprobe\": 5, \"buffer_bsz\": 123, \"dim\": 16}"), *refused = parse("{\"metric\": \"dot\"}");
    int64_t generation = 0;
    create("kept", lists);
    add("kept", vectors, 20, NULL);
    assert_fails(dfaiss_load_index(client, "kept", NULL, true, &error), DFAISS_ERR_NOT_FOUND, error, "kept");
    assert_ok(dfaiss_save_index(client, "kept", &generation, &error), error);
    assert_int_equal(generation, 1);
    add("kept", vectors, 10, NULL);
    assert_int_equal(ntotal("kept"), 30);
    assert_fails(dfaiss_load_index(client, "kept", NULL, false, &error), DFAISS_ERR_EXISTS, error, "kept");
    assert_fails(dfaiss_load_index(client, "kept", refused, true, &error), DFAISS_ERR_CONFIG, error, "saved with metric \"l2\"");
    assert_int_equal(ntotal("kept"), 30);
    assert_ok(dfaiss_load_index(client, "kept", allowed, true, &error), error);
    assert_int_equal(ntotal("kept"), 20);
    assert_config("kept", "nprobe", "5");
    assert_config("kept", "buffer_bsz", "123");
    assert_config("kept", "centroids", "8");
    /* New ids follow those that were saved. */
    int64_t ids[10], *all, n;
    add("kept", vectors, 10, ids);
    assert_ok(dfaiss_get_ids(client, "kept", &all, &n, &error), error);
    for (int64_t i = 1; i < n; i++)
        assert_true(all[i] > all[i - 1]);
    free(all);
    drop("kept");
    dfaiss_config_destroy(allowed);
    dfaiss_config_destroy(refused);
    free(vectors);
}

static void test_servers_tell_what_there_is(void **state) {
    (void)state;
    enum { BATCHES = 60 };
    float *vectors = make_vectors(BATCHES, 11);
    char **names = NULL;
    int64_t count = -1;
    dfaiss_statistics_t statistics[64];
    assert_ok(dfaiss_list_indexes(client, &names, &count, &error), error);
    assert_int_equal(count, 0);
    free(names);
    create("zebra", flat);
    create("ant", flat);
    for (int i = 0; i < BATCHES; i++)
        add("ant", vectors + i * DIM, 1, NULL);
    assert_ok(dfaiss_list_indexes(client, &names, &count, &error), error);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "ant");
    assert_string_equal(names[1], "zebra");
    free(names);
    assert_int_equal(ntotal("nowhere"), 0);
    assert_ok(dfaiss_get_statistics(client, "ant", statistics, &error), error);
    int servers = dfaiss_world_servers(world);
    for (int i = 0; i < servers; i++) {
        assert_int_equal(statistics[i].server, i);
        assert_in_range(statistics[i].vectors, BATCHES / servers, BATCHES / servers + 1);
        assert_true(fabs(statistics[i].imbalance - (double)statistics[i].vectors * servers / BATCHES) < 1e-12);
        assert_true(statistics[i].resident_bytes > 0 && statistics[i].received_bytes > 0);
    }
    assert_ok(dfaiss_get_statistics(client, NULL, statistics, &error), error);
    assert_int_equal(statistics[0].vectors, 0);
    assert_fails(dfaiss_get_statistics(client, "nowhere", statistics, &error), DFAISS_ERR_NOT_FOUND, error, "nowhere");
    drop("ant");
    drop("zebra");
    free(vectors);
}

/* ---- bad input that is not the servers' business ---- */

static void test_null_arguments(void **state) {
    (void)state;
    float *vectors = make_vectors(1, 12);
    const char *const indexes[] = {"x"}, *const none[] = {NULL};
    dfaiss_batch_t batch = batch_of(vectors, 1), empty = batch_of(NULL, 1);
    dfaiss_result_t *result = NULL;
    dfaiss_request_t *request = NULL;
    dfaiss_client_t *second = NULL;
    uint64_t descending[] = {4};
    assert_fails(dfaiss_client_create(NULL, NULL, &second, &error), DFAISS_ERR_ARG, error, "world");
    assert_fails(dfaiss_client_create(world, NULL, &second, &error), DFAISS_ERR_STATE, error, "has a client already");
    assert_fails(dfaiss_create_index(client, "x", NULL, NULL, &error), DFAISS_ERR_ARG, error, "config");
    assert_fails(dfaiss_drop_index(NULL, "x", &error), DFAISS_ERR_ARG, error, "client");
    assert_fails(dfaiss_drop_index(client, NULL, &error), DFAISS_ERR_ARG, error, "index");
    assert_fails(dfaiss_drop_index(client, "", &error), DFAISS_ERR_ARG, error, "empty");
    assert_fails(dfaiss_search(client, 1, indexes, 1, DIM, NULL, K, NULL, &result, &error), DFAISS_ERR_ARG, error, "queries");
    assert_fails(dfaiss_search(client, 1, indexes, 1, DIM, vectors, K, NULL, NULL, &error), DFAISS_ERR_ARG, error, "out");
    assert_fails(dfaiss_search(client, 1, none, 1, DIM, vectors, K, NULL, &result, &error), DFAISS_ERR_ARG, error, "index");
    assert_fails(dfaiss_search(client, 0, indexes, 1, DIM, vectors, K, NULL, &result, &error), DFAISS_ERR_ARG, error, "0 indexes");
    assert_fails(dfaiss_search(client, 1, indexes, INT64_MAX, DIM, vectors, K, NULL, &result, &error), DFAISS_ERR_ARG, error, "memory");
    assert_fails(dfaiss_add(client, "x", NULL, NULL, &error), DFAISS_ERR_ARG, error, "batch");
    assert_fails(dfaiss_add(client, "x", &empty, NULL, &error), DFAISS_ERR_ARG, error, "vectors");
    assert_fails(dfaiss_add_start(client, "x", &batch, NULL, NULL, &error), DFAISS_ERR_ARG, error, "out");
    batch.metadata_ends = descending;
    assert_fails(dfaiss_add(client, "x", &batch, NULL, &error), DFAISS_ERR_ARG, error, "metadata is NULL");
    batch.metadata = "text";
    batch.metadata_ends = NULL;
    assert_fails(dfaiss_add(client, "x", &batch, NULL, &error), DFAISS_ERR_ARG, error, "metadata_ends");
    assert_fails(dfaiss_get_ntotal(client, "x", NULL, &error), DFAISS_ERR_ARG, error, "ntotal");
    assert_fails(dfaiss_request_wait(NULL, &result, &error), DFAISS_ERR_ARG, error, "request");
    assert_int_equal(dfaiss_request_test(request, NULL, NULL), DFAISS_ERR_ARG);
    assert_fails(dfaiss_get_statistics(client, "x", NULL, &error), DFAISS_ERR_ARG, error, "statistics");
    assert_null(result);
    assert_null(second);
    dfaiss_result_destroy(NULL);
    dfaiss_client_destroy(NULL);
    free(vectors);
}

/* ---- two clients ---- */

/* One client has ids left of an index that the other one drops and makes again. */
static void test_ids_of_an_index_that_is_gone(void **state) {
    (void)state;
    if (client_count < 2)
        skip();
    float *vectors = make_vectors(10, 13);
    int64_t ids[10], *all, n;
    if (client_number == 0)
        create("again", flat);
    MPI_Barrier(fellows);
    add("again", vectors, 10, ids);
    MPI_Barrier(fellows);
    if (client_number == 0) {
        drop("again");
        create("again", unsized);
        add("again", vectors, 10, ids);
        assert_int_equal(ids[0], 0);
    }
    MPI_Barrier(fellows);
    if (client_number == 1)
        add("again", vectors, 10, ids);
    MPI_Barrier(fellows);
    assert_ok(dfaiss_get_ids(client, "again", &all, &n, &error), error);
    assert_int_equal(n, 20);
    for (int i = 1; i < 20; i++)
        assert_true(all[i] > all[i - 1]);
    free(all);
    MPI_Barrier(fellows);
    if (client_number == 0)
        drop("again");
    free(vectors);
}

static void test_shut_down_refuses_everybody(void **state) {
    (void)state;
    float *vectors = make_vectors(1, 14);
    const char *const indexes[] = {"there"};
    dfaiss_result_t *result = NULL;
    dfaiss_batch_t batch = batch_of(vectors, 1);
    int64_t total = -1;
    if (client_number == 0) {
        create("there", flat);
        add("there", vectors, 1, NULL);
        assert_ok(dfaiss_shutdown(client, &error), error);
        assert_fails(dfaiss_shutdown(client, &error), DFAISS_ERR_STATE, error, "shut down");
    }
    MPI_Barrier(fellows);
    assert_fails(dfaiss_search(client, 1, indexes, 1, DIM, vectors, K, NULL, &result, &error), DFAISS_ERR_STATE, error, "shut down");
    assert_fails(dfaiss_add(client, "there", &batch, NULL, &error), DFAISS_ERR_STATE, error, "shut down");
    assert_fails(dfaiss_get_ntotal(client, "there", &total, &error), DFAISS_ERR_STATE, error, "shut down");
    assert_fails(try_create("new", flat, false), DFAISS_ERR_STATE, error, "shut down");
    assert_int_equal(total, -1);
    free(vectors);
}

/* ---- servers that load before they answer ---- */

static void test_index_for_the_next_servers(void **state) {
    (void)state;
    float *vectors = make_vectors(9, 15);
    if (client_number == 0) {
        create("stored", flat);
        add("stored", vectors, 9, NULL);
        assert_ok(dfaiss_save_index(client, "stored", NULL, &error), error);
    }
    free(vectors);
}

static void test_index_was_loaded(void **state) {
    (void)state;
    float *vectors = make_vectors(9, 15);
    dfaiss_result_t *result = search("stored", vectors, 1, 1);
    assert_true(dfaiss_result_scores(result)[0] == 0);
    dfaiss_result_destroy(result);
    free(vectors);
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
        cmocka_unit_test(test_requests_end_in_any_order),
        cmocka_unit_test(test_failures_come_with_the_wait),
        cmocka_unit_test(test_hits_are_labelled_with_their_index),
        cmocka_unit_test(test_large_metadata_come_in_portions),
        cmocka_unit_test(test_ids_are_assigned_once),
        cmocka_unit_test(test_own_ids),
        cmocka_unit_test(test_ids_out_of_metadata),
        cmocka_unit_test(test_first_vectors_bring_the_dimension),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_load_overrides_and_replaces),
        cmocka_unit_test(test_servers_tell_what_there_is),
        cmocka_unit_test(test_null_arguments),
        cmocka_unit_test(test_index_for_the_next_servers),
    };
    const struct CMUnitTest together[] = {
        cmocka_unit_test(test_ids_of_an_index_that_is_gone),
        cmocka_unit_test(test_shut_down_refuses_everybody),
    };
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
