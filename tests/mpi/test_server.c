/* Servers and clients as a job has them: indexes are created, filled, trained, searched, saved and dropped over MPI, and every answer is compared
 * with a search by brute force. All ranks but the last one or two are servers; the clients run the tests. */
#include "check.h"

#include <math.h>
#include <dfaiss/dfaiss.h>
#include <mpi.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "client/bulk_load.h"
#include "transport/topk.h"

enum { DIM = 24, K = 10, SEED = 20261123 };
enum { REFUSED_ROWS = 997 }; /* no server has memory for a message with so many vectors */

static dfaiss_client_t *client;
static MPI_Comm clients; /* the client ranks */
static int client_number, client_count;
static dfaiss_error_t error;

/* The linker puts this in the place of memory_map: a block of this many bytes is not to be had. */
static size_t refused_bytes;
void *__real_memory_map(size_t bytes);
void *__wrap_memory_map(size_t bytes);

void *__wrap_memory_map(size_t bytes) {
    return bytes > 0 && bytes == refused_bytes ? NULL : __real_memory_map(bytes);
}

/* ---- data and brute force ---- */

static float *make_vectors(int64_t n, uint64_t stream) {
    float *vectors = malloc((size_t)n * DIM * sizeof *vectors);
    assert_non_null(vectors);
    random_state_t random = random_stream(SEED, stream);
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i] = (float)(int64_t)random_below(&random, 200) - 100;
    return vectors;
}

static double squared_distance(const float *a, const float *b) {
    double sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    return sum;
}

/* Ids (row numbers) of the K nearest by brute force, ties by id. */
static void brute_force(const float *base, int64_t n, const float *query, int64_t *ids) {
    double best[K];
    int found = 0;
    for (int64_t row = 0; row < n; row++) {
        double distance = squared_distance(base + row * DIM, query);
        int place = found < K ? found++ : K;
        while (place > 0 && best[place - 1] > distance) {
            if (place < K) {
                best[place] = best[place - 1];
                ids[place] = ids[place - 1];
            }
            place--;
        }
        if (place < K) {
            best[place] = distance;
            ids[place] = row;
        }
    }
    for (; found < K; found++)
        ids[found] = -1;
}

static dfaiss_status_t try_create(const char *index, const char *text, const dfaiss_create_options_t *options) {
    dfaiss_config_t *config;
    TRY(dfaiss_config_parse(text, strlen(text), &config, &error));
    dfaiss_status_t status = dfaiss_create_index(client, index, config, options, &error);
    dfaiss_config_destroy(config);
    return status;
}

static void create(const char *index, const char *config, int64_t expected_rows) {
    dfaiss_create_options_t options = {.expected_vectors = expected_rows};
    assert_ok(try_create(index, config, &options), error);
}

static dfaiss_status_t search(const char *index, int64_t nq, int64_t dim, const float *queries, int64_t k, int64_t nprobe, dfaiss_result_t **result) {
    dfaiss_search_options_t options = {.nprobe = nprobe};
    return dfaiss_search(client, 1, &index, nq, dim, queries, k, &options, result, &error);
}

static dfaiss_result_t *search_with_metadata(const char *index, int64_t nq, const float *queries, int64_t k) {
    dfaiss_search_options_t options = {.metadata = true};
    dfaiss_result_t *result = NULL;
    assert_ok(dfaiss_search(client, 1, &index, nq, DIM, queries, k, &options, &result, &error), error);
    return result;
}

static void drop(const char *index) {
    assert_ok(dfaiss_drop_index(client, index, &error), error);
}

/* Adds rows first to first + n - 1 of base, in batches of `each`; ids are row numbers. */
static void add(const char *index, const float *base, int64_t first, int64_t n, int64_t each) {
    for (int64_t row = first; row < first + n; row += each) {
        client_batch_t batch = {
            .element = ELEMENT_f32,
            .n = first + n - row < each ? first + n - row : each,
            .dim = DIM,
            .vectors = base + row * DIM,
            .first_id = row,
        };
        assert_ok(client_add(client, index, &batch, &error), error);
    }
    assert_ok(client_add_wait(client, NULL, &error), error);
}

/* Searches and counts how many of the true neighbours were found. */
static double search_recall(const char *index, const float *base, int64_t n, const float *queries, int64_t nq, int64_t nprobe) {
    dfaiss_result_t *result = NULL;
    int64_t right = 0;
    assert_ok(search(index, nq, DIM, queries, K, nprobe, &result), error);
    const int64_t *ids = dfaiss_result_ids(result);
    for (int64_t query = 0; query < nq; query++) {
        int64_t truth[K];
        brute_force(base, n, queries + query * DIM, truth);
        for (int i = 0; i < K; i++) {
            for (int j = 0; j < K; j++)
                right += truth[i] == ids[query * K + j];
        }
    }
    dfaiss_result_destroy(result);
    return (double)right / (double)(nq * K);
}

static void check_exact(const char *index, const float *base, int64_t n, const float *queries, int64_t nq) {
    assert_true(search_recall(index, base, n, queries, nq, 0) == 1.0);
}

/* ---- tests that one client runs ---- */

static void test_flat_is_exact(void **state) {
    (void)state;
    float *base = make_vectors(5000, 1), *queries = make_vectors(300, 2);
    create("flat", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 24}", 5000);
    add("flat", base, 0, 2500, 333);
    check_exact("flat", base, 2500, queries, 300);
    add("flat", base, 2500, 2500, 100);
    check_exact("flat", base, 5000, queries, 1);
    assert_ok(dfaiss_flush(client, "flat", &error), error);
    check_exact("flat", base, 5000, queries, 300);
    drop("flat");
    free(queries);
    free(base);
}

static void test_fewer_vectors_than_k(void **state) {
    (void)state;
    float *base = make_vectors(3, 3);
    dfaiss_result_t *result = NULL;
    create("few", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 24}", 3);
    assert_ok(search("few", 1, DIM, base, K, 0, &result), error);
    assert_int_equal(dfaiss_result_ids(result)[0], -1);
    dfaiss_result_destroy(result);
    add("few", base, 0, 3, 1);
    assert_ok(search("few", 1, DIM, base, K, 0, &result), error);
    assert_int_equal(dfaiss_result_ids(result)[0], 0);
    assert_true(dfaiss_result_scores(result)[0] == 0);
    assert_int_equal(dfaiss_result_count(result, 0), 3);
    assert_int_equal(dfaiss_result_ids(result)[3], -1);
    assert_int_equal(dfaiss_result_indexes(result)[2], 0);
    assert_int_equal(dfaiss_result_indexes(result)[3], -1);
    dfaiss_result_destroy(result);
    drop("few");
    free(base);
}

static void test_ivf_before_and_after_training(void **state) {
    (void)state;
    float *base = make_vectors(6000, 4), *queries = make_vectors(100, 5);
    create("ivf", "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 24, \"centroids\": 16, \"nprobe\": 16}", 6000);
    add("ivf", base, 0, 3000, 200);
    check_exact("ivf", base, 3000, queries, 100);
    assert_ok(client_sample(client, "ivf", 0, ELEMENT_f32, 2000, DIM, base, &error), error);
    assert_ok(client_train(client, "ivf", &error), error);
    check_exact("ivf", base, 3000, queries, 100);
    add("ivf", base, 3000, 3000, 200);
    check_exact("ivf", base, 6000, queries, 100);
    assert_ok(dfaiss_flush(client, "ivf", &error), error);
    check_exact("ivf", base, 6000, queries, 100);
    assert_true(search_recall("ivf", base, 6000, queries, 100, 1) < 1);
    message_statistics_t statistics[64];
    int64_t rows = 0;
    assert_ok(client_statistics(client, "ivf", statistics, &error), error);
    for (int server = 0; server < dfaiss_client_servers(client); server++) {
        rows += statistics[server].rows;
        assert_int_equal(statistics[server].buffered, 0);
        assert_int_equal(statistics[server].server, server);
        /* Balanced to within one batch. */
        assert_true(llabs(statistics[server].rows - 6000 / dfaiss_client_servers(client)) <= 400);
    }
    assert_int_equal(rows, 6000);
    drop("ivf");
    free(queries);
    free(base);
}

static void test_local_training(void **state) {
    (void)state;
    float *base = make_vectors(4000, 6), *queries = make_vectors(50, 7);
    create("local",
           "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 24, \"centroids\": 8, \"nprobe\": 8, \"training\": \"local\"}",
           4000);
    for (int server = 0; server < dfaiss_client_servers(client); server++)
        assert_ok(client_sample(client, "local", server, ELEMENT_f32, 400, DIM, base + server * 10 * DIM, &error), error);
    assert_ok(client_train(client, "local", &error), error);
    add("local", base, 0, 4000, 150);
    assert_ok(dfaiss_flush(client, "local", &error), error);
    check_exact("local", base, 4000, queries, 50);
    drop("local");
    free(queries);
    free(base);
}

static void test_failed_training_can_be_repeated(void **state) {
    (void)state;
    float *base = make_vectors(1000, 12);
    int servers = dfaiss_client_servers(client);
    create("again",
           "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 24, \"centroids\": 8, \"nprobe\": 8, \"training\": \"local\"}",
           1000);
    /* The last server has too few: none of them may be trained then. */
    for (int server = 0; server < servers; server++)
        assert_ok(client_sample(client, "again", server, ELEMENT_f32, server == servers - 1 ? 2 : 400, DIM, base, &error), error);
    assert_fails(client_train(client, "again", &error), DFAISS_ERR_CONFIG, error, "again");
    for (int server = 0; server < servers; server++)
        assert_ok(client_sample(client, "again", server, ELEMENT_f32, 400, DIM, base, &error), error);
    assert_ok(client_train(client, "again", &error), error);
    assert_fails(client_train(client, "again", &error), DFAISS_ERR_STATE, error, "trained");
    assert_fails(client_sample(client, "again", 0, ELEMENT_f32, 10, DIM, base, &error), DFAISS_ERR_STATE, error, "trained");
    add("again", base, 0, 1000, 50);
    assert_ok(dfaiss_flush(client, "again", &error), error);
    check_exact("again", base, 1000, base, 20);
    drop("again");
    free(base);
}

/* More than fits a message's body in an earlier version: a batch's metadata, and what a fetch brings back. */
static void test_large_metadata(void **state) {
    (void)state;
    enum { N = 40, SIZE = 1 << 20 };
    float *base = make_vectors(N, 13);
    uint8_t *text = malloc((size_t)N * SIZE);
    uint64_t ends[N];
    assert_non_null(text);
    for (int i = 0; i < N; i++) {
        memset(text + (size_t)i * SIZE, 'a' + i % 26, SIZE);
        ends[i] = (uint64_t)(i + 1) * SIZE;
    }
    create("large", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 24}", N);
    client_batch_t batch = {.element = ELEMENT_f32, .n = N, .dim = DIM, .vectors = base, .metadata_ends = ends, .metadata = text};
    assert_ok(client_add(client, "large", &batch, &error), error);
    assert_ok(client_add_wait(client, NULL, &error), error);
    dfaiss_result_t *result = search_with_metadata("large", N, base, 1);
    for (int i = 0; i < N; i++) {
        size_t size;
        const void *metadata = dfaiss_result_metadata(result, i, 0, &size);
        assert_int_equal(size, SIZE);
        assert_memory_equal(metadata, text + (size_t)i * SIZE, SIZE);
    }
    dfaiss_result_destroy(result);
    drop("large");
    free(text);
    free(base);
}

static void test_metadata_comes_back(void **state) {
    (void)state;
    enum { N = 60 };
    float *base = make_vectors(N, 8);
    create("told", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 24}", N);
    for (int64_t row = 0; row < N; row += 4) {
        uint64_t ends[4];
        char text[64];
        int length = 0;
        for (int i = 0; i < 4; i++) {
            /* Every fourth has none. */
            length += i == 3 ? 0 : snprintf(text + length, sizeof text - (size_t)length, "row %d", (int)row + i);
            ends[i] = (uint64_t)length;
        }
        client_batch_t batch = {.element = ELEMENT_f32,
                                .n = 4,
                                .dim = DIM,
                                .vectors = base + row * DIM,
                                .first_id = 1000 + row,
                                .metadata_ends = ends,
                                .metadata = (const uint8_t *)text};
        assert_ok(client_add(client, "told", &batch, &error), error);
    }
    assert_ok(client_add_wait(client, NULL, &error), error);
    dfaiss_result_t *result = search_with_metadata("told", N, base, 1);
    for (int i = 0; i < N; i++) {
        char expected[16] = "";
        if (i % 4 != 3)
            snprintf(expected, sizeof expected, "row %d", i);
        size_t size;
        const void *metadata = dfaiss_result_metadata(result, i, 0, &size);
        assert_int_equal(dfaiss_result_ids(result)[i], 1000 + i);
        assert_int_equal(size, strlen(expected));
        assert_true(size > 0 ? memcmp(metadata, expected, size) == 0 : !metadata);
    }
    dfaiss_result_destroy(result);
    drop("told");
    free(base);
}

static void test_wrong_calls_leave_servers_unharmed(void **state) {
    (void)state;
    float *base = make_vectors(100, 9);
    dfaiss_result_t *result = NULL;
    const char *flat = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 24}";
    assert_fails(search("nowhere", 1, DIM, base, K, 0, &result), DFAISS_ERR_NOT_FOUND, error, "nowhere");
    assert_fails(dfaiss_load_index(client, "nowhere", NULL, false, &error), DFAISS_ERR_NOT_FOUND, error, "nowhere");
    assert_fails(dfaiss_drop_index(client, "nowhere", &error), DFAISS_ERR_NOT_FOUND, error, "nowhere");
    assert_fails(try_create("../up", flat, NULL), DFAISS_ERR_ARG, error, "../up");
    assert_fails(try_create("wrong", "{\"index_builder_type\": \"flat\", \"dmi\": 24}", NULL), DFAISS_ERR_CONFIG, error, "dim");
    create("once", flat, 100);
    assert_fails(try_create("once", flat, NULL), DFAISS_ERR_EXISTS, error, "once");
    add("once", base, 0, 100, 10);
    assert_fails(search("once", 1, DIM / 2, base, K, 0, &result), DFAISS_ERR_ARG, error, "dimension");
    assert_fails(search("once", 1, DIM, base, 0, 0, &result), DFAISS_ERR_ARG, error, "k is 0");
    float query[DIM] = {0};
    query[3] = NAN;
    assert_fails(search("once", 1, DIM, query, K, 0, &result), DFAISS_ERR_DATA, error, "NaN");
    client_batch_t batch = {.element = ELEMENT_f32, .n = 1, .dim = DIM, .vectors = query, .first_id = 100};
    assert_ok(client_add(client, "once", &batch, &error), error);
    assert_fails(client_add_wait(client, NULL, &error), DFAISS_ERR_DATA, error, "NaN");
    assert_fails(client_train(client, "once", &error), DFAISS_ERR_STATE, error, "trained");
    int64_t id = 7;
    client_batch_t identified = {.element = ELEMENT_f32, .n = 1, .dim = DIM, .vectors = base, .ids = &id};
    assert_ok(client_add(client, "once", &identified, &error), error);
    assert_fails(client_add_wait(client, NULL, &error), DFAISS_ERR_ARG, error, "ids");
    client_batch_t beyond = {.element = ELEMENT_f32, .n = 1, .dim = DIM, .vectors = base, .first_id = INT64_MAX};
    assert_ok(client_add(client, "once", &beyond, &error), error);
    assert_fails(client_add_wait(client, NULL, &error), DFAISS_ERR_ARG, error, "out of range");
    check_exact("once", base, 100, base, 20);
    drop("once");
    free(base);
}

static void assert_not_enough_memory(dfaiss_status_t status) {
    assert_fails(status, DFAISS_ERR_MEMORY, error, "bytes were wanted");
}

/* A question that finds no memory at a server is answered, and an answer that finds none here is a failure of that call alone. */
static void test_messages_without_memory(void **state) {
    (void)state;
    float *base = make_vectors(REFUSED_ROWS, 16);
    dfaiss_result_t *result = NULL;
    create("narrow", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 24}", 100);
    assert_not_enough_memory(client_sample(client, "narrow", 0, ELEMENT_f32, REFUSED_ROWS, DIM, base, &error));
    assert_not_enough_memory(search("narrow", REFUSED_ROWS, DIM, base, K, 0, &result));
    client_batch_t batch = {.element = ELEMENT_f32, .n = REFUSED_ROWS, .dim = DIM, .vectors = base};
    assert_ok(client_add(client, "narrow", &batch, &error), error);
    assert_not_enough_memory(client_add_wait(client, NULL, &error));
    add("narrow", base, 0, 100, 10);
    assert_true(topk_bytes(30, K, &refused_bytes));
    assert_not_enough_memory(search("narrow", 30, DIM, base, K, 0, &result));
    refused_bytes = 0;
    check_exact("narrow", base, 100, base, 30);
    drop("narrow");
    free(base);
}

static void test_saved_and_dropped(void **state) {
    (void)state;
    float *base = make_vectors(500, 10);
    int64_t generation, bytes;
    create("kept", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 24}", 500);
    add("kept", base, 0, 300, 10);
    assert_ok(client_save(client, "kept", &generation, &bytes, &error), error);
    assert_int_equal(generation, 1);
    assert_true(bytes >= 300 * DIM * (int64_t)sizeof *base);
    add("kept", base, 300, 200, 10);
    assert_ok(dfaiss_flush(client, "kept", &error), error);
    assert_ok(client_save(client, "kept", &generation, &bytes, &error), error);
    assert_int_equal(generation, 2);
    check_exact("kept", base, 500, base, 30);
    drop("kept");
    assert_fails(dfaiss_load_index(client, "kept", NULL, false, &error), DFAISS_ERR_NOT_FOUND, error, "kept");
    free(base);
}

/* ---- tests that two clients run together ---- */

/* Queries of both clients share tiles; those of one that are not finite must not fail the other's. */
static void test_wrong_queries_fail_their_client_alone(void **state) {
    (void)state;
    if (client_count < 2)
        skip();
    float *base = make_vectors(200, 14), query[DIM] = {0};
    query[5] = INFINITY;
    if (client_number == 0) {
        create("shared", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 24}", 200);
        add("shared", base, 0, 200, 10);
    }
    MPI_Barrier(clients);
    for (int i = 0; i < 200; i++) {
        dfaiss_result_t *result = NULL;
        if (client_number == 0)
            check_exact("shared", base, 200, base + i * DIM, 1);
        else
            assert_fails(search("shared", 1, DIM, query, K, 0, &result), DFAISS_ERR_DATA, error, "query 0");
    }
    MPI_Barrier(clients);
    if (client_number == 0)
        drop("shared");
    free(base);
}

/* One client fills and trains an index; the other searches all the while, and every search sees what was acknowledged before it. */
static void fill_while_searched(const float *base, int64_t n, int64_t step) {
    for (int64_t row = 0; row < n; row += step) {
        add("busy", base, row, step, 50);
        int64_t acknowledged = row + step;
        MPI_Send(&acknowledged, 1, MPI_INT64_T, 1, 0, clients);
        if (row == 2 * step) {
            assert_ok(client_sample(client, "busy", 0, ELEMENT_f32, 1000, DIM, base, &error), error);
            assert_ok(client_train(client, "busy", &error), error);
        }
    }
    assert_ok(dfaiss_flush(client, "busy", &error), error);
}

static void search_while_filled(const float *base, int64_t n) {
    int64_t acknowledged = 0, searches = 0;
    while (acknowledged < n || searches < 20) {
        int there;
        MPI_Iprobe(0, 0, clients, &there, MPI_STATUS_IGNORE);
        if (there)
            MPI_Recv(&acknowledged, 1, MPI_INT64_T, 0, 0, clients, MPI_STATUS_IGNORE);
        if (acknowledged == 0)
            continue;
        dfaiss_result_t *result = NULL;
        int64_t row = (searches++ * 7919) % acknowledged;
        assert_ok(search("busy", 1, DIM, base + row * DIM, 1, 0, &result), error);
        assert_int_equal(dfaiss_result_ids(result)[0], row);
        dfaiss_result_destroy(result);
    }
}

static void test_search_during_ingest_and_training(void **state) {
    (void)state;
    enum { N = 8000, STEP = 1000 };
    if (client_count < 2)
        skip();
    float *base = make_vectors(N, 11);
    if (client_number == 0)
        create("busy", "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 24, \"centroids\": 32, \"nprobe\": 32}", N);
    MPI_Barrier(clients);
    if (client_number == 0)
        fill_while_searched(base, N, STEP);
    else
        search_while_filled(base, N);
    MPI_Barrier(clients);
    if (client_number == 0)
        drop("busy");
    free(base);
}

/* What a client does with an index that another one makes, trains, saves and drops meanwhile; the sets are of answers that some order allows. */
static void assert_one_of(uint32_t allowed, dfaiss_status_t status) {
    if (!(allowed >> status & 1))
        fail_msg("%s: %s", dfaiss_status_name(status), error.text);
}

static void contend(const float *base, int64_t n) {
    const char *config = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 24, \"centroids\": 4}";
    const uint32_t made = 1u << DFAISS_OK | 1u << DFAISS_ERR_EXISTS, there = 1u << DFAISS_OK | 1u << DFAISS_ERR_NOT_FOUND;
    const uint32_t trained = there | 1u << DFAISS_ERR_STATE, sampled = trained | 1u << DFAISS_ERR_CONFIG;
    dfaiss_create_options_t options = {.expected_vectors = n, .overwrite = true};
    dfaiss_result_t *result = NULL;
    int64_t generation, bytes;
    client_batch_t batch = {.element = ELEMENT_f32, .n = n, .dim = DIM, .vectors = base};
    assert_one_of(made, try_create("contended", config, &options));
    dfaiss_status_t status = client_add(client, "contended", &batch, &error);
    assert_one_of(there, status == DFAISS_OK ? client_add_wait(client, NULL, &error) : status);
    assert_one_of(trained, client_sample(client, "contended", 0, ELEMENT_f32, n, DIM, base, &error));
    assert_one_of(sampled, client_train(client, "contended", &error));
    assert_one_of(there, search("contended", 1, DIM, base, K, 0, &result));
    dfaiss_result_destroy(result);
    assert_one_of(trained, dfaiss_flush(client, "contended", &error));
    assert_one_of(there, client_save(client, "contended", &generation, &bytes, &error));
    assert_one_of(there, dfaiss_drop_index(client, "contended", &error));
}

/* Two clients with leads of their own: whatever the order, every call is answered, and all servers agree afterwards. */
static void test_two_clients_contend_for_an_index(void **state) {
    (void)state;
    enum { N = 300, ROUNDS = 6 };
    if (client_count < 2)
        skip();
    float *base = make_vectors(N, 17);
    for (int round = 0; round < ROUNDS; round++)
        contend(base, N);
    MPI_Barrier(clients);
    if (client_number == 0) {
        assert_fails(dfaiss_drop_index(client, "contended", &error), DFAISS_ERR_NOT_FOUND, error, "contended");
        create("contended", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 24}", N);
        add("contended", base, 0, N, 20);
        check_exact("contended", base, N, base, 20);
        drop("contended");
    }
    MPI_Barrier(clients);
    free(base);
}

/* Whoever shuts the servers down has waited for his own batches, also for those that servers hold back until they have caught up with indexing. */
static int shut_down_with_batches_under_way(void) {
    enum { N = 4000, EACH = 500 };
    float *base = make_vectors(N, 15);
    create("late", "{\"index_builder_type\": \"hnswsq\", \"metric\": \"l2\", \"dim\": 24, \"buffer_bsz\": 1, \"segment_rows\": 1024}", N);
    assert_ok(client_sample(client, "late", 0, ELEMENT_f32, 1000, DIM, base, &error), error);
    assert_ok(client_train(client, "late", &error), error);
    for (int64_t row = 0; row < N; row += EACH) {
        client_batch_t batch = {.element = ELEMENT_f32, .n = EACH, .dim = DIM, .vectors = base + row * DIM, .first_id = row};
        assert_ok(client_add(client, "late", &batch, &error), error);
    }
    assert_ok(dfaiss_shutdown(client, &error), error);
    dfaiss_status_t status = client_add_wait(client, NULL, &error);
    assert_fails(dfaiss_flush(client, "late", &error), DFAISS_ERR_STATE, error, "shut down");
    dfaiss_client_destroy(client);
    free(base);
    return status != DFAISS_OK;
}

static int run_client(void) {
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_flat_is_exact),
        cmocka_unit_test(test_fewer_vectors_than_k),
        cmocka_unit_test(test_ivf_before_and_after_training),
        cmocka_unit_test(test_local_training),
        cmocka_unit_test(test_failed_training_can_be_repeated),
        cmocka_unit_test(test_metadata_comes_back),
        cmocka_unit_test(test_large_metadata),
        cmocka_unit_test(test_wrong_calls_leave_servers_unharmed),
        cmocka_unit_test(test_messages_without_memory),
        cmocka_unit_test(test_saved_and_dropped),
    };
    const struct CMUnitTest together[] = {
        cmocka_unit_test(test_search_during_ingest_and_training),
        cmocka_unit_test(test_wrong_queries_fail_their_client_alone),
        cmocka_unit_test(test_two_clients_contend_for_an_index),
    };
    int failures = client_number == 0 ? cmocka_run_group_tests(alone, NULL, NULL) : 0;
    /* The others wait for a failure too: an assertion that fails leaves servers and clients behind. */
    if (failures)
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Barrier(clients);
    failures = cmocka_run_group_tests(together, NULL, NULL);
    if (failures)
        MPI_Abort(MPI_COMM_WORLD, 1);
    return 0;
}

int main(int argc, char **argv) {
    int granted, rank, size;
    char storage[256] = "";
    dfaiss_world_t *world = NULL;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &granted);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    client_count = size > 2 ? 2 : 1;
    bool server = rank < size - client_count;
    client_number = rank - (size - client_count);
    if (rank == 0) {
        check_make_folder(storage, sizeof storage);
        printf("seed %d\n", SEED);
    }
    MPI_Bcast(storage, sizeof storage, MPI_CHAR, 0, MPI_COMM_WORLD);
    MPI_Comm_split(MPI_COMM_WORLD, server, rank, &clients);
    int failed = dfaiss_world_create(MPI_COMM_WORLD, server ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT, &world, &error) != DFAISS_OK;
    if (!failed && server) {
        refused_bytes = (size_t)REFUSED_ROWS * DIM * sizeof(float);
        dfaiss_server_options_t options = {.storage = storage, .threads = 1};
        failed = dfaiss_serve(world, &options, &error) != DFAISS_OK;
    } else if (!failed) {
        dfaiss_client_options_t options = {.timeout = 60};
        failed = dfaiss_client_create(world, &options, &client, &error) != DFAISS_OK || run_client() != 0;
        MPI_Barrier(clients);
        if (client_number == 0)
            failed |= shut_down_with_batches_under_way();
        else
            dfaiss_client_destroy(client);
    }
    if (failed)
        fprintf(stderr, "rank %d: %s\n", rank, error.text);
    dfaiss_world_destroy(world);
    if (rank == 0)
        failed |= file_remove_tree(storage, &error) != DFAISS_OK;
    MPI_Comm_free(&clients);
    MPI_Finalize();
    return failed;
}
