/* What single calls answer, beyond what the randomised test compares: shapes of results, metadata, embeddings, all types of components, several
 * indexes at once, requests under way, filters and the places of errors in them, removal, update, ids out of metadata, settings, time-outs. */
#include "api_job.h"

#include <math.h>

#include "base/element.h"

enum { DIM = 6, ROWS = 120, K = 7 };

static const char *flat_config = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 6}";
static float *base;

/* Row i has the text "row i", or nothing where i is a multiple of 5. */
static void add_told(const char *index, int64_t first, int64_t n) {
    char text[ROWS * 8];
    uint64_t ends[ROWS], size = 0;
    int64_t ids[ROWS];
    for (int64_t i = 0; i < n; i++) {
        ids[i] = first + i;
        if ((first + i) % 5)
            size += (uint64_t)snprintf(text + size, sizeof text - size, "row %d", (int)(first + i));
        ends[i] = size;
    }
    dfaiss_batch_t batch = {
        .element = DFAISS_F32, .n = n, .dim = DIM, .vectors = base + first * DIM, .ids = ids, .metadata = text, .metadata_ends = ends};
    assert_ok(dfaiss_add(job.client, index, &batch, NULL, &job.error), job.error);
}

static void check_told(const dfaiss_result_t *result, int64_t query, int64_t hit, int64_t id) {
    char expected[16];
    size_t size = 99, length = (size_t)snprintf(expected, sizeof expected, "row %d", (int)id);
    const void *metadata = dfaiss_result_metadata(result, query, hit, &size);
    if (id % 5 == 0) {
        assert_null(metadata);
        assert_int_equal(size, 0);
        return;
    }
    assert_int_equal(size, length);
    assert_memory_equal(metadata, expected, length);
}

/* ---- shapes ---- */

static void test_shapes_of_a_result(void **state) {
    (void)state;
    enum { QUERIES = 9 };
    const char *index = "told";
    dfaiss_result_t *result;
    dfaiss_search_options_t all = {.metadata = true, .embeddings = true};
    api_create(index, flat_config, true);
    for (int64_t i = 0; i < ROWS; i += 30)
        add_told(index, i, 30);
    assert_ok(dfaiss_search(job.client, 1, &index, QUERIES, DIM, base, K, &all, &result, &job.error), job.error);
    assert_int_equal(dfaiss_result_queries(result), QUERIES);
    assert_int_equal(dfaiss_result_k(result), K);
    for (int64_t query = 0; query < QUERIES; query++) {
        assert_int_equal(dfaiss_result_count(result, query), K);
        assert_int_equal(dfaiss_result_ids(result)[query * K], query);
        for (int64_t hit = 0; hit < K; hit++) {
            int64_t id = dfaiss_result_ids(result)[query * K + hit];
            check_told(result, query, hit, id);
            assert_memory_equal(dfaiss_result_embedding(result, query, hit), base + id * DIM, DIM * sizeof *base);
            assert_int_equal(dfaiss_result_indexes(result)[query * K + hit], 0);
        }
    }
    dfaiss_result_destroy(result);
    api_drop(index);
}

static void test_fewer_vectors_than_k(void **state) {
    (void)state;
    const char *index = "few";
    dfaiss_result_t *result;
    size_t size = 99;
    api_create(index, flat_config, true);
    assert_ok(dfaiss_search(job.client, 1, &index, 2, DIM, base, K, NULL, &result, &job.error), job.error);
    assert_int_equal(dfaiss_result_count(result, 1), 0);
    assert_int_equal(dfaiss_result_ids(result)[2 * K - 1], -1);
    dfaiss_result_destroy(result);
    add_told(index, 0, 3);
    assert_ok(dfaiss_search(job.client, 1, &index, 2, DIM, base, K, NULL, &result, &job.error), job.error);
    for (int64_t query = 0; query < 2; query++) {
        assert_int_equal(dfaiss_result_count(result, query), 3);
        assert_int_equal(dfaiss_result_ids(result)[query * K], query);
        for (int hit = 3; hit < K; hit++) {
            assert_int_equal(dfaiss_result_ids(result)[query * K + hit], -1);
            assert_int_equal(dfaiss_result_indexes(result)[query * K + hit], -1);
        }
    }
    /* Neither was asked for. */
    assert_null(dfaiss_result_embedding(result, 0, 1));
    assert_null(dfaiss_result_metadata(result, 0, 1, &size));
    assert_int_equal(size, 0);
    dfaiss_result_destroy(result);
    api_drop(index);
}

static void test_all_types_of_components(void **state) {
    (void)state;
    enum { TYPES = 4, EACH = ROWS / TYPES };
    char packed[EACH * DIM * sizeof(float)];
    int64_t ids[EACH];
    api_create("typed", flat_config, true);
    for (int type = 0; type < TYPES; type++) {
        int64_t first = type * EACH;
        for (int64_t i = 0; i < EACH; i++)
            ids[i] = first + i;
        for (int64_t i = 0; i < EACH * DIM && type == DFAISS_U8; i++)
            base[first * DIM + i] = fabsf(base[first * DIM + i]);
        element_narrow((element_t)type, base + first * DIM, EACH * DIM, packed);
        dfaiss_batch_t batch = {.element = (dfaiss_element_t)type, .n = EACH, .dim = DIM, .vectors = packed, .ids = ids};
        assert_ok(dfaiss_add(job.client, "typed", &batch, NULL, &job.error), job.error);
    }
    api_check_exact("typed", false, base, ROWS, DIM, base, 30, K);
    assert_ok(dfaiss_flush(job.client, "typed", &job.error), job.error);
    api_check_exact("typed", false, base, ROWS, DIM, base, 30, K);
    api_drop("typed");
}

/* ---- ids ---- */

static void test_assigned_ids(void **state) {
    (void)state;
    int64_t ids[ROWS], *found, n;
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 40, .dim = DIM, .vectors = base};
    api_create("numbered", flat_config, false);
    for (int i = 0; i < 3; i++)
        assert_ok(dfaiss_add(job.client, "numbered", &batch, ids + i * 40, &job.error), job.error);
    assert_ok(dfaiss_get_ids(job.client, "numbered", &found, &n, &job.error), job.error);
    assert_int_equal(n, ROWS);
    for (int i = 0; i < ROWS; i++) {
        assert_true(found[i] >= 0 && (i == 0 || found[i] > found[i - 1]));
        bool known = false;
        for (int j = 0; j < ROWS; j++)
            known |= ids[j] == found[i];
        assert_true(known);
    }
    free(found);
    /* Ids that were given out are not given out again, after a load either. */
    assert_ok(dfaiss_save_index(job.client, "numbered", NULL, &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "numbered", NULL, true, &job.error), job.error);
    int64_t later[40];
    assert_ok(dfaiss_add(job.client, "numbered", &batch, later, &job.error), job.error);
    for (int i = 0; i < 40; i++) {
        for (int j = 0; j < ROWS; j++)
            assert_true(later[i] != ids[j]);
    }
    api_drop("numbered");
}

static void test_ids_out_of_metadata(void **state) {
    (void)state;
    enum { N = 10 };
    char text[N * 32];
    uint64_t ends[N], size = 0;
    int64_t ids[N], *found, n;
    for (int i = 0; i < N; i++) {
        ids[i] = i;
        size += (uint64_t)snprintf(text + size, sizeof text - size, "[\"title\", %d, null]", 500 - i);
        ends[i] = size;
    }
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = N, .dim = DIM, .vectors = base, .ids = ids, .metadata = text, .metadata_ends = ends};
    api_create("tuples", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 6, \"custom_meta_id_idx\": 1}", true);
    assert_ok(dfaiss_add(job.client, "tuples", &batch, NULL, &job.error), job.error);
    assert_ok(dfaiss_get_ids(job.client, "tuples", &found, &n, &job.error), job.error);
    assert_int_equal(n, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(found[i], 500 - N + 1 + i);
    free(found);
    api_drop("tuples");
}

/* ---- several indexes ---- */

static void test_several_indexes(void **state) {
    (void)state;
    const char *names[] = {"second", "first", "empty"};
    dfaiss_result_t *result;
    dfaiss_search_options_t options = {.metadata = true};
    api_create("first", flat_config, true);
    api_create("second", flat_config, true);
    api_create("empty", flat_config, true);
    add_told("first", 0, 60);
    add_told("second", 60, 60);
    assert_ok(dfaiss_search(job.client, 3, names, ROWS, DIM, base, 2, &options, &result, &job.error), job.error);
    for (int64_t row = 0; row < ROWS; row++) {
        assert_int_equal(dfaiss_result_ids(result)[2 * row], row);
        assert_int_equal(dfaiss_result_indexes(result)[2 * row], row < 60);
        check_told(result, row, 0, row);
    }
    dfaiss_result_destroy(result);
    /* The same index twice: its hits come twice, each with its place in the list. */
    assert_ok(dfaiss_search(job.client, 2, (const char *[]){"first", "first"}, 1, DIM, base, 2, NULL, &result, &job.error), job.error);
    assert_int_equal(dfaiss_result_ids(result)[0], 0);
    assert_int_equal(dfaiss_result_ids(result)[1], 0);
    assert_int_equal(dfaiss_result_indexes(result)[0], 0);
    assert_int_equal(dfaiss_result_indexes(result)[1], 1);
    dfaiss_result_destroy(result);
    for (int i = 0; i < 3; i++)
        api_drop(names[i]);
}

/* ---- requests ---- */

static void test_requests_in_any_order(void **state) {
    (void)state;
    enum { REQUESTS = 10 };
    const char *index = "asked";
    dfaiss_request_t *requests[REQUESTS], *adds[REQUESTS];
    int64_t ids[ROWS];
    api_create(index, flat_config, true);
    for (int i = 0; i < REQUESTS; i++) {
        int64_t each = ROWS / REQUESTS, first = i * each;
        for (int64_t row = first; row < first + each; row++)
            ids[row] = row;
        dfaiss_batch_t batch = {.element = DFAISS_F32, .n = each, .dim = DIM, .vectors = base + first * DIM, .ids = ids + first};
        assert_ok(dfaiss_add_start(job.client, index, &batch, NULL, &adds[i], &job.error), job.error);
    }
    for (int i = REQUESTS; i-- > 0;)
        assert_ok(dfaiss_request_wait(adds[i], NULL, &job.error), job.error);
    for (int i = 0; i < REQUESTS; i++)
        assert_ok(dfaiss_search_start(job.client, 1, &index, 1, DIM, base + i * DIM, K, NULL, &requests[i], &job.error), job.error);
    /* A blocking call between them. */
    assert_int_equal(api_ntotal(index), ROWS);
    for (int i = 0; i < REQUESTS; i++) {
        int other = i * 7 % REQUESTS;
        dfaiss_result_t *result;
        bool done = false;
        while (other % 2 && !done)
            assert_ok(dfaiss_request_test(requests[other], &done, &job.error), job.error);
        assert_ok(dfaiss_request_wait(requests[other], &result, &job.error), job.error);
        assert_int_equal(dfaiss_result_ids(result)[0], other);
        dfaiss_result_destroy(result);
    }
    api_drop(index);
}

/* ---- settings and time-outs ---- */

static void test_nprobe_is_used(void **state) {
    (void)state;
    const char *index = "probed";
    dfaiss_result_t *result;
    int64_t fewer = 0;
    float *many = api_vectors(2000, DIM, 2);
    api_create(index, "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 6, \"centroids\": 40, \"nprobe\": 40}", true);
    api_add(index, many, DIM, 0, 2000, 200);
    assert_ok(dfaiss_train(job.client, index, &job.error), job.error);
    /* What is not indexed yet is searched exactly, whatever nprobe says. */
    assert_ok(dfaiss_flush(job.client, index, &job.error), job.error);
    api_check_exact(index, false, many, 2000, DIM, many, 50, 50);
    assert_ok(dfaiss_set_nprobe(job.client, index, 1, &job.error), job.error);
    /* Lists that are not probed hold some of the 50 nearest. */
    dfaiss_search_options_t all = {.nprobe = 40};
    for (int query = 0; query < 20; query++) {
        dfaiss_result_t *whole;
        assert_ok(dfaiss_search(job.client, 1, &index, 1, DIM, many + query * DIM, 50, NULL, &result, &job.error), job.error);
        assert_ok(dfaiss_search(job.client, 1, &index, 1, DIM, many + query * DIM, 50, &all, &whole, &job.error), job.error);
        fewer += dfaiss_result_scores(result)[49] > dfaiss_result_scores(whole)[49];
        dfaiss_result_destroy(whole);
        dfaiss_result_destroy(result);
    }
    assert_true(fewer > 0);
    api_drop(index);
    free(many);
}

static void test_threads_are_set(void **state) {
    (void)state;
    dfaiss_statistics_t *statistics = calloc((size_t)job.servers, sizeof *statistics);
    assert_non_null(statistics);
    for (int threads = 3; threads > 0; threads--) {
        assert_ok(dfaiss_set_threads(job.client, threads, &job.error), job.error);
        assert_ok(dfaiss_get_statistics(job.client, NULL, statistics, &job.error), job.error);
        for (int server = 0; server < job.servers; server++)
            assert_int_equal(statistics[server].threads, threads);
    }
    for (int server = 0; server < job.servers; server++) {
        assert_true(statistics[server].resident_bytes > 0 && statistics[server].resident_peak >= statistics[server].resident_bytes);
        assert_int_equal(statistics[server].vectors, 0);
    }
    free(statistics);
}

static void test_statistics_of_an_index(void **state) {
    (void)state;
    dfaiss_statistics_t *statistics = calloc((size_t)job.servers, sizeof *statistics);
    assert_non_null(statistics);
    api_create("counted", flat_config, true);
    for (int64_t i = 0; i < ROWS; i += 10)
        add_told("counted", i, 10);
    for (int i = 0; i < 5; i++)
        api_check_exact("counted", false, base, ROWS, DIM, base, 3, K);
    assert_ok(dfaiss_flush(job.client, "counted", &job.error), job.error);
    assert_ok(dfaiss_get_statistics(job.client, "counted", statistics, &job.error), job.error);
    for (int server = 0; server < job.servers; server++) {
        const dfaiss_statistics_t *one = &statistics[server];
        assert_int_equal(one->state, DFAISS_TRAINED);
        assert_int_equal(one->buffered, 0);
        assert_int_equal(one->removed, 0);
        assert_int_equal(one->buffered_bytes, 0);
        assert_int_equal(one->queries, 15);
        assert_true(one->vectors == 0 || (one->index_bytes > 0 && one->metadata_bytes > 0));
        assert_true(one->sent_bytes > 0 && one->received_bytes > 0);
    }
    api_drop("counted");
    free(statistics);
}

static void test_names_of_states(void **state) {
    (void)state;
    assert_string_equal(dfaiss_state_name(DFAISS_NOT_TRAINED), "NOT_TRAINED");
    assert_string_equal(dfaiss_state_name(DFAISS_TRAINING), "TRAINING");
    assert_string_equal(dfaiss_state_name(DFAISS_ADD), "ADD");
    assert_string_equal(dfaiss_state_name(DFAISS_TRAINED), "TRAINED");
    assert_string_equal(dfaiss_state_name((dfaiss_state_t)12), "UNKNOWN");
}

static void make_client(double timeout) {
    dfaiss_client_options_t options = {.timeout = timeout, .long_timeout = timeout};
    dfaiss_client_destroy(job.client);
    assert_ok(api_make_client(&options, &job.client), job.error);
}

/* Calls that wait too long end with a status, and what comes late is no answer to a later call, of a later client either. */
static void test_calls_that_wait_too_long(void **state) {
    (void)state;
    const char *index = "late";
    int64_t ntotal = 77, generation = 77;
    api_create(index, flat_config, true);
    add_told(index, 0, ROWS);
    for (int i = 0; i < 20; i++) {
        make_client(1e-9);
        assert_fails(dfaiss_get_ntotal(job.client, index, &ntotal, &job.error), DFAISS_ERR_TIMEOUT, job.error, "server");
        assert_fails(dfaiss_save_index(job.client, index, &generation, &job.error), DFAISS_ERR_TIMEOUT, job.error, "server");
        assert_int_equal(ntotal + generation, 2 * 77);
        make_client(120);
        api_check_exact(index, false, base, ROWS, DIM, base, 2, K);
        assert_int_equal(api_ntotal(index), ROWS);
    }
    api_drop(index);
}

static int make_base(void **state) {
    (void)state;
    base = api_vectors(ROWS, DIM, 1);
    return 0;
}

static int free_base(void **state) {
    (void)state;
    free(base);
    return 0;
}

static int run(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_of_a_result),       cmocka_unit_test(test_fewer_vectors_than_k),
        cmocka_unit_test(test_all_types_of_components),  cmocka_unit_test(test_assigned_ids),
        cmocka_unit_test(test_ids_out_of_metadata),      cmocka_unit_test(test_several_indexes),
        cmocka_unit_test(test_requests_in_any_order),    cmocka_unit_test(test_nprobe_is_used),
        cmocka_unit_test(test_threads_are_set),          cmocka_unit_test(test_statistics_of_an_index),
        cmocka_unit_test(test_calls_that_wait_too_long), cmocka_unit_test(test_names_of_states),
    };
    return cmocka_run_group_tests(tests, make_base, free_base);
}

int main(int argc, char **argv) {
    return api_job_main(argc, argv, api_one, 1, &(api_phase_t){.run = run});
}
