/* The calls of the client library that need no large index: requests under way at once, several indexes in one search, ids, dimensions that the first
 * vectors bring, settings, and loading in place of what is there.
 */
#include "api_job.h"

#include <math.h>

enum { DIM = 16, K = 5 };

static const char flat[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}";
static const char unsized[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 0}";
static const char lists[] = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 2}";

static dfaiss_config_t *parse(const char *text) {
    dfaiss_config_t *config = NULL;
    assert_ok(dfaiss_config_parse(text, strlen(text), &config, &job.error), job.error);
    return config;
}

static dfaiss_status_t try_create(const char *index, const char *text, bool own_ids) {
    dfaiss_config_t *config = parse(text);
    dfaiss_create_options_t options = {.own_ids = own_ids, .overwrite = true};
    dfaiss_status_t status = dfaiss_create_index(job.client, index, config, &options, &job.error);
    dfaiss_config_destroy(config);
    return status;
}

static void create(const char *index, const char *text) {
    assert_ok(try_create(index, text, false), job.error);
}

static void drop(const char *index) {
    assert_ok(dfaiss_drop_index(job.client, index, &job.error), job.error);
}

static dfaiss_batch_t batch_of(const float *vectors, int64_t n) {
    return (dfaiss_batch_t){.element = DFAISS_F32, .n = n, .dim = DIM, .vectors = vectors};
}

static void add(const char *index, const float *vectors, int64_t n, int64_t *ids) {
    dfaiss_batch_t batch = batch_of(vectors, n);
    assert_ok(dfaiss_add(job.client, index, &batch, ids, &job.error), job.error);
}

static dfaiss_result_t *search(const char *index, const float *queries, int64_t nq, int64_t k) {
    dfaiss_result_t *result = NULL;
    assert_ok(dfaiss_search(job.client, 1, &index, nq, DIM, queries, k, NULL, &result, &job.error), job.error);
    return result;
}

static int64_t ntotal(const char *index) {
    int64_t total = -1;
    assert_ok(dfaiss_get_ntotal(job.client, index, &total, &job.error), job.error);
    return total;
}

static void assert_config(const char *index, const char *key, const char *expected) {
    dfaiss_config_t *config = NULL;
    char *value;
    assert_ok(dfaiss_get_config(job.client, index, &config, &job.error), job.error);
    assert_ok(dfaiss_config_get(config, key, &value, &job.error), job.error);
    assert_string_equal(value, expected);
    free(value);
    dfaiss_config_destroy(config);
}

/* ---- requests under way ---- */

static void test_requests_end_in_any_order(void **state) {
    (void)state;
    enum { REQUESTS = 40, EACH = 30 };
    float *vectors = api_vectors(REQUESTS * EACH, DIM, 1);
    const char *const indexes[] = {"many"};
    dfaiss_request_t *adds[REQUESTS], *searches[REQUESTS];
    int64_t ids[REQUESTS][EACH];
    create("many", flat);
    for (int i = 0; i < REQUESTS; i++) {
        dfaiss_batch_t batch = batch_of(vectors + (size_t)i * EACH * DIM, EACH);
        assert_ok(dfaiss_add_start(job.client, "many", &batch, ids[i], &adds[i], &job.error), job.error);
    }
    for (int i = REQUESTS - 1; i >= 0; i--)
        assert_ok(dfaiss_request_wait(adds[i], NULL, &job.error), job.error);
    for (int i = 0; i < REQUESTS; i++)
        assert_ok(dfaiss_search_start(job.client, 1, indexes, 2, DIM, vectors + (size_t)i * EACH * DIM, 1, NULL, &searches[i], &job.error),
                  job.error);
    for (int i = REQUESTS - 1; i >= 0; i--) {
        bool done = false;
        dfaiss_result_t *result = NULL;
        while (i % 2 == 0 && !done)
            assert_ok(dfaiss_request_test(searches[i], &done, &job.error), job.error);
        assert_ok(dfaiss_request_wait(searches[i], &result, &job.error), job.error);
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
    float *vectors = api_vectors(2, DIM, 2);
    const char *const indexes[] = {"nowhere"};
    dfaiss_request_t *request;
    dfaiss_result_t *result = NULL;
    int64_t ids[2] = {-7, -7};
    dfaiss_batch_t batch = batch_of(vectors, 2);
    assert_ok(dfaiss_search_start(job.client, 1, indexes, 1, DIM, vectors, K, NULL, &request, &job.error), job.error);
    assert_fails(dfaiss_request_wait(request, &result, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_null(result);
    assert_ok(dfaiss_add_start(job.client, "nowhere", &batch, ids, &request, &job.error), job.error);
    assert_fails(dfaiss_request_wait(request, NULL, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_int_equal(ids[0], -7);
    free(vectors);
}

/* ---- several indexes ---- */

static void test_hits_are_labelled_with_their_index(void **state) {
    (void)state;
    enum { N = 90 };
    float *vectors = api_vectors(N, DIM, 3);
    const char *const indexes[] = {"red", "green", "blue"}, *const wrong[] = {"red", "dot"}, *const missing[] = {"red", "nowhere"};
    dfaiss_result_t *all = NULL, *together = NULL;
    for (int i = 0; i < 3; i++) {
        create(indexes[i], flat);
        add(indexes[i], vectors + (size_t)i * N / 3 * DIM, N / 3, NULL);
    }
    create("whole", flat);
    add("whole", vectors, N, NULL);
    all = search("whole", vectors, N, K);
    assert_ok(dfaiss_search(job.client, 3, indexes, N, DIM, vectors, K, NULL, &together, &job.error), job.error);
    assert_memory_equal(dfaiss_result_scores(all), dfaiss_result_scores(together), N * K * sizeof(float));
    for (int i = 0; i < N; i++) {
        assert_int_equal(dfaiss_result_indexes(together)[i * K], i / (N / 3));
        assert_int_equal(dfaiss_result_ids(together)[i * K], i % (N / 3));
        assert_int_equal(dfaiss_result_count(together, i), K);
    }
    dfaiss_result_destroy(together);
    dfaiss_result_destroy(all);
    create("dot", "{\"index_builder_type\": \"flat\", \"metric\": \"dot\", \"dim\": 16}");
    assert_fails(dfaiss_search(job.client, 2, wrong, 1, DIM, vectors, K, NULL, &together, &job.error), DFAISS_ERR_ARG, job.error,
                 "different metrics");
    assert_fails(dfaiss_search(job.client, 2, missing, 1, DIM, vectors, K, NULL, &together, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
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
    float *vectors = api_vectors(N, DIM, 4);
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
    assert_ok(dfaiss_add(job.client, "heavy", &batch, ids, &job.error), job.error);
    const char *const indexes[] = {"heavy"};
    const dfaiss_search_options_t options = {.metadata = true};
    dfaiss_result_t *result = NULL;
    assert_ok(dfaiss_search(job.client, 1, indexes, 1, DIM, vectors, N, &options, &result, &job.error), job.error);
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
    float *vectors = api_vectors(N, DIM, 5);
    int64_t first[N], second[N], *all = NULL, n = -1;
    create("assigned", flat);
    assert_ok(dfaiss_get_ids(job.client, "assigned", &all, &n, &job.error), job.error);
    assert_int_equal(n, 0);
    assert_null(all);
    add("assigned", vectors, N, first);
    add("assigned", vectors, N, second);
    assert_ok(dfaiss_get_ids(job.client, "assigned", &all, &n, &job.error), job.error);
    assert_int_equal(n, 2 * N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(first[i], first[0] + i);
        assert_int_equal(all[i], first[i]);
        assert_int_equal(all[N + i], second[i]);
    }
    free(all);
    dfaiss_batch_t batch = batch_of(vectors, N);
    batch.ids = first;
    assert_fails(dfaiss_add(job.client, "assigned", &batch, NULL, &job.error), DFAISS_ERR_ARG, job.error, "ids");
    assert_fails(dfaiss_get_ids(job.client, "nowhere", &all, &n, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    drop("assigned");
    free(vectors);
}

static void test_own_ids(void **state) {
    (void)state;
    float *vectors = api_vectors(3, DIM, 6);
    int64_t ids[3] = {INT64_MAX - 1, 0, 77}, *all, n, out[3] = {0};
    assert_ok(try_create("own", flat, true), job.error);
    dfaiss_batch_t batch = batch_of(vectors, 3);
    assert_fails(dfaiss_add(job.client, "own", &batch, NULL, &job.error), DFAISS_ERR_ARG, job.error, "caller's ids");
    batch.ids = ids;
    assert_ok(dfaiss_add(job.client, "own", &batch, out, &job.error), job.error);
    assert_memory_equal(ids, out, sizeof ids);
    assert_ok(dfaiss_get_ids(job.client, "own", &all, &n, &job.error), job.error);
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
    float *vectors = api_vectors(4, DIM, 7);
    const char text[] = "[\"a\", 900] [\"b\", \"c\"]{\"d\": 901}";
    const uint64_t ends[] = {10, 21, 31, 31};
    int64_t *all, n, out[4];
    create("arrays", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16, \"custom_meta_id_idx\": 1}");
    dfaiss_batch_t batch = batch_of(vectors, 4);
    batch.metadata = text;
    batch.metadata_ends = ends;
    assert_ok(dfaiss_add(job.client, "arrays", &batch, out, &job.error), job.error);
    assert_ok(dfaiss_get_ids(job.client, "arrays", &all, &n, &job.error), job.error);
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
    float *vectors = api_vectors(N, DIM, 8);
    int64_t ids[N];
    create("unsized", unsized);
    assert_config("unsized", "dim", "0");
    assert_int_equal(ntotal("unsized"), 0);
    dfaiss_result_t *result = search("unsized", vectors, 3, K);
    assert_int_equal(dfaiss_result_count(result, 2), 0);
    dfaiss_result_destroy(result);
    assert_ok(dfaiss_save_index(job.client, "unsized", NULL, &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "unsized", NULL, true, &job.error), job.error);
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
    assert_fails(dfaiss_add(job.client, "unsized", &narrow, NULL, &job.error), DFAISS_ERR_ARG, job.error, "dimension 8");
    drop("unsized");
    create("product", "{\"index_builder_type\": \"knnlm\", \"metric\": \"l2\", \"dim\": 0, \"centroids\": 4, \"code_size\": 7}");
    dfaiss_batch_t batch = batch_of(vectors, N);
    assert_fails(dfaiss_add(job.client, "product", &batch, NULL, &job.error), DFAISS_ERR_CONFIG, job.error, "multiple of code_size");
    assert_config("product", "dim", "0");
    drop("product");
    free(vectors);
}

/* ---- settings and configurations ---- */

static void test_settings(void **state) {
    (void)state;
    float *vectors = api_vectors(200, DIM, 9);
    dfaiss_statistics_t statistics[64];
    const char *const indexes[] = {"set"};
    create("set", lists);
    add("set", vectors, 200, NULL);
    assert_ok(dfaiss_set_nprobe(job.client, "set", 8, &job.error), job.error);
    assert_config("set", "nprobe", "8");
    assert_fails(dfaiss_set_nprobe(job.client, "set", 0, &job.error), DFAISS_ERR_ARG, job.error, "nprobe is 0");
    assert_fails(dfaiss_set_nprobe(job.client, "nowhere", 1, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    for (int threads = 3; threads > 0; threads--) {
        dfaiss_request_t *request;
        dfaiss_result_t *result = NULL;
        assert_ok(dfaiss_search_start(job.client, 1, indexes, 200, DIM, vectors, 1, NULL, &request, &job.error), job.error);
        assert_ok(dfaiss_set_threads(job.client, threads, &job.error), job.error);
        assert_ok(dfaiss_request_wait(request, &result, &job.error), job.error);
        for (int i = 0; i < 200; i++)
            assert_true(dfaiss_result_scores(result)[i] == 0);
        dfaiss_result_destroy(result);
        assert_ok(dfaiss_get_statistics(job.client, "set", statistics, &job.error), job.error);
        for (int server = 0; server < dfaiss_world_servers(job.world); server++)
            assert_int_equal(statistics[server].threads, threads);
    }
    assert_fails(dfaiss_set_threads(job.client, 0, &job.error), DFAISS_ERR_ARG, job.error, "threads is 0");
    assert_ok(dfaiss_save_index(job.client, "set", NULL, &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "set", NULL, true, &job.error), job.error);
    assert_config("set", "nprobe", "8");
    drop("set");
    free(vectors);
}

static void test_load_overrides_and_replaces(void **state) {
    (void)state;
    float *vectors = api_vectors(30, DIM, 10);
    dfaiss_config_t *allowed = parse("{\"nprobe\": 5, \"buffer_bsz\": 123, \"dim\": 16}"), *refused = parse("{\"metric\": \"dot\"}");
    int64_t generation = 0;
    create("kept", lists);
    add("kept", vectors, 20, NULL);
    assert_fails(dfaiss_load_index(job.client, "kept", NULL, true, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "kept");
    assert_ok(dfaiss_save_index(job.client, "kept", &generation, &job.error), job.error);
    assert_int_equal(generation, 1);
    add("kept", vectors, 10, NULL);
    assert_int_equal(ntotal("kept"), 30);
    assert_fails(dfaiss_load_index(job.client, "kept", NULL, false, &job.error), DFAISS_ERR_EXISTS, job.error, "kept");
    assert_fails(dfaiss_load_index(job.client, "kept", refused, true, &job.error), DFAISS_ERR_CONFIG, job.error, "saved with metric \"l2\"");
    assert_int_equal(ntotal("kept"), 30);
    assert_ok(dfaiss_load_index(job.client, "kept", allowed, true, &job.error), job.error);
    assert_int_equal(ntotal("kept"), 20);
    assert_config("kept", "nprobe", "5");
    assert_config("kept", "buffer_bsz", "123");
    assert_config("kept", "centroids", "8");
    /* New ids follow those that were saved. */
    int64_t ids[10], *all, n;
    add("kept", vectors, 10, ids);
    assert_ok(dfaiss_get_ids(job.client, "kept", &all, &n, &job.error), job.error);
    for (int64_t i = 1; i < n; i++)
        assert_true(all[i] > all[i - 1]);
    free(all);
    drop("kept");
    dfaiss_config_destroy(allowed);
    dfaiss_config_destroy(refused);
    free(vectors);
}

/* The folder is in the configuration, and whoever loads the index says it again; in memory it is known. */
static void test_index_with_a_folder_of_its_own(void **state) {
    (void)state;
    float *vectors = api_vectors(20, DIM, 13);
    char folder[300];
    dfaiss_config_t *where = parse("{}"), *config = parse(flat);
    snprintf(folder, sizeof folder, "%s/elsewhere", job.storage);
    assert_ok(dfaiss_config_set(where, "index_storage_dir", folder, &job.error), job.error);
    assert_ok(dfaiss_config_set(config, "index_storage_dir", folder, &job.error), job.error);
    assert_ok(dfaiss_create_index(job.client, "apart", config, NULL, &job.error), job.error);
    add("apart", vectors, 20, NULL);
    assert_ok(dfaiss_save_index(job.client, "apart", NULL, &job.error), job.error);
    add("apart", vectors, 20, NULL);
    assert_ok(dfaiss_load_index(job.client, "apart", NULL, true, &job.error), job.error);
    assert_int_equal(ntotal("apart"), 20);
    assert_ok(dfaiss_load_index(job.client, "apart", where, true, &job.error), job.error);
    assert_int_equal(ntotal("apart"), 20);
    drop("apart");
    assert_fails(dfaiss_load_index(job.client, "apart", where, false, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "elsewhere");
    assert_fails(dfaiss_load_index(job.client, "apart", NULL, false, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "apart");
    dfaiss_config_destroy(config);
    dfaiss_config_destroy(where);
    free(vectors);
}

static void test_each_index_is_spread_evenly(void **state) {
    (void)state;
    enum { TURNS = 40 };
    float *vectors = api_vectors(TURNS, DIM, 12);
    dfaiss_statistics_t statistics[64];
    int servers = dfaiss_world_servers(job.world);
    create("left", flat);
    create("right", flat);
    /* With two servers the turns of one index would fall on the same server each time, if indexes shared them. Calls that fail take no turn back. */
    for (int i = 0; i < TURNS; i++) {
        add("left", vectors + i * DIM, 1, NULL);
        assert_int_equal(try_create("left", flat, false), DFAISS_ERR_EXISTS);
        assert_int_equal(dfaiss_load_index(job.client, "left", NULL, false, &job.error), DFAISS_ERR_EXISTS);
        add("right", vectors + i * DIM, 1, NULL);
    }
    for (int index = 0; index < 2; index++) {
        assert_ok(dfaiss_get_statistics(job.client, index ? "right" : "left", statistics, &job.error), job.error);
        for (int i = 0; i < servers; i++)
            assert_in_range(statistics[i].vectors, TURNS / servers, TURNS / servers + 1);
    }
    drop("left");
    drop("right");
    free(vectors);
}

static void test_servers_tell_what_there_is(void **state) {
    (void)state;
    enum { BATCHES = 60 };
    float *vectors = api_vectors(BATCHES, DIM, 11);
    char **names = NULL;
    int64_t count = -1;
    dfaiss_statistics_t statistics[64];
    assert_ok(dfaiss_list_indexes(job.client, &names, &count, &job.error), job.error);
    assert_int_equal(count, 0);
    free(names);
    create("zebra", flat);
    create("ant", flat);
    for (int i = 0; i < BATCHES; i++)
        add("ant", vectors + i * DIM, 1, NULL);
    assert_ok(dfaiss_list_indexes(job.client, &names, &count, &job.error), job.error);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "ant");
    assert_string_equal(names[1], "zebra");
    free(names);
    assert_int_equal(ntotal("nowhere"), 0);
    assert_ok(dfaiss_get_statistics(job.client, "ant", statistics, &job.error), job.error);
    int servers = dfaiss_world_servers(job.world);
    for (int i = 0; i < servers; i++) {
        assert_int_equal(statistics[i].server, i);
        assert_in_range(statistics[i].vectors, BATCHES / servers, BATCHES / servers + 1);
        assert_true(fabs(statistics[i].imbalance - (double)statistics[i].vectors * servers / BATCHES) < 1e-12);
        assert_true(statistics[i].resident_bytes > 0 && statistics[i].received_bytes > 0);
    }
    assert_ok(dfaiss_get_statistics(job.client, NULL, statistics, &job.error), job.error);
    assert_int_equal(statistics[0].vectors, 0);
    assert_fails(dfaiss_get_statistics(job.client, "nowhere", statistics, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    drop("ant");
    drop("zebra");
    free(vectors);
}

/* ---- two clients ---- */

/* One client has ids left of an index that the other one drops and makes again. */
static void test_ids_of_an_index_that_is_gone(void **state) {
    (void)state;
    if (job.clients < 2)
        skip();
    float *vectors = api_vectors(10, DIM, 13);
    int64_t ids[10], *all, n;
    if (job.number == 0)
        create("again", flat);
    api_barrier();
    add("again", vectors, 10, ids);
    api_barrier();
    if (job.number == 0) {
        drop("again");
        create("again", unsized);
        add("again", vectors, 10, ids);
        assert_int_equal(ids[0], 0);
    }
    api_barrier();
    if (job.number == 1)
        add("again", vectors, 10, ids);
    api_barrier();
    assert_ok(dfaiss_get_ids(job.client, "again", &all, &n, &job.error), job.error);
    assert_int_equal(n, 20);
    for (int i = 1; i < 20; i++)
        assert_true(all[i] > all[i - 1]);
    free(all);
    api_barrier();
    if (job.number == 0)
        drop("again");
    free(vectors);
}

static int run_all(void) {
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
        cmocka_unit_test(test_index_with_a_folder_of_its_own),
        cmocka_unit_test(test_each_index_is_spread_evenly),
        cmocka_unit_test(test_servers_tell_what_there_is),
    };
    const struct CMUnitTest together[] = {cmocka_unit_test(test_ids_of_an_index_that_is_gone)};
    int failures = job.number == 0 ? cmocka_run_group_tests(alone, NULL, NULL) : 0;
    if (failures)
        return failures;
    api_barrier();
    return cmocka_run_group_tests(together, NULL, NULL);
}

int main(int argc, char **argv) {
    const api_phase_t phases[] = {{.run = run_all}};
    return api_job_main(argc, argv, api_two, 1, phases);
}
