/* Vectors that are removed and replaced through the public calls, on any number of servers: what is told of them and found of them is that of an
 * array in which the same was done.
 */
#include "api_job.h"

#include <unistd.h>

enum { DIM = 16, ROWS = 2000, BATCH = 100, K = 10, QUERIES = 10 };

static const char flat_config[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16, \"attributes\": {\"year\": \"int\"}}";
static const char ivf_config[] = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 8, "
                                 "\"attributes\": {\"year\": \"int\"}}";

static float *base, *queries;

/* ---- what ought to be there ---- */

typedef struct expected {
    bool gone[ROWS];
    int64_t living;
} expected_t;

static int64_t year_of(int64_t id) {
    return 2000 + id % 50;
}

static void add_rows(const char *index, int64_t first, int64_t n) {
    for (int64_t row = first; row < first + n; row += BATCH) {
        int64_t ids[BATCH], years[BATCH];
        uint64_t ends[BATCH];
        char text[BATCH * 16];
        size_t size = 0;
        for (int64_t i = 0; i < BATCH; i++) {
            ids[i] = row + i;
            years[i] = year_of(row + i);
            size += (size_t)snprintf(text + size, sizeof text - size, "row %d", (int)(row + i));
            ends[i] = size;
        }
        dfaiss_column_t column = {.name = "year", .integers = years};
        dfaiss_batch_t batch = {.element = DFAISS_F32,
                                .n = BATCH,
                                .dim = DIM,
                                .vectors = base + row * DIM,
                                .ids = ids,
                                .metadata = text,
                                .metadata_ends = ends,
                                .columns = &column,
                                .column_count = 1};
        assert_ok(dfaiss_add(job.client, index, &batch, NULL, &job.error), job.error);
    }
}

static void fill(const char *index, const char *config, expected_t *expected) {
    api_create(index, config, true);
    add_rows(index, 0, ROWS);
    *expected = (expected_t){.living = ROWS};
}

static void expect_gone(expected_t *expected, int64_t id) {
    expected->living -= !expected->gone[id];
    expected->gone[id] = true;
}

static void remove_every(const char *index, int64_t first, int64_t step, expected_t *expected) {
    int64_t ids[ROWS], n = 0, removed = -1, before = expected->living;
    /* In no order. */
    for (int64_t id = first; id < ROWS; id += step) {
        ids[n++] = id;
        expect_gone(expected, id);
    }
    for (int64_t i = 0; i < n / 2; i += 2) {
        int64_t id = ids[i];
        ids[i] = ids[n - 1 - i];
        ids[n - 1 - i] = id;
    }
    assert_ok(dfaiss_remove_ids(job.client, index, n, ids, &removed, &job.error), job.error);
    assert_int_equal(removed, before - expected->living);
}

static void remove_years(const char *index, int64_t from, int64_t to, expected_t *expected) {
    char filter[64];
    int64_t removed = -1, before = expected->living;
    snprintf(filter, sizeof filter, "year >= %d and year <= %d", (int)from, (int)to);
    for (int64_t id = 0; id < ROWS; id++) {
        if (year_of(id) >= from && year_of(id) <= to)
            expect_gone(expected, id);
    }
    assert_ok(dfaiss_remove_matching(job.client, index, filter, &removed, &job.error), job.error);
    assert_int_equal(removed, before - expected->living);
}

/* ---- answers ---- */

static float distance(const float *a, const float *b) {
    float sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

static void check_query(const dfaiss_result_t *result, int64_t query, int64_t k, const expected_t *expected) {
    const int64_t *ids = dfaiss_result_ids(result) + query * k;
    const float *scores = dfaiss_result_scores(result) + query * k;
    int64_t found = dfaiss_result_count(result, query), nearer = 0;
    assert_int_equal(found, expected->living < k ? expected->living : k);
    for (int64_t i = 0; i < found; i++) {
        size_t size = 0;
        char text[16];
        assert_false(expected->gone[ids[i]]);
        assert_true(scores[i] == distance(queries + query * DIM, base + ids[i] * DIM));
        const void *metadata = dfaiss_result_metadata(result, query, i, &size);
        assert_int_equal(size, snprintf(text, sizeof text, "row %d", (int)ids[i]));
        assert_memory_equal(metadata, text, size);
    }
    for (int64_t id = 0; found > 0 && id < ROWS; id++)
        nearer += !expected->gone[id] && distance(queries + query * DIM, base + id * DIM) < scores[found - 1];
    assert_true(nearer < k);
}

static void check_searches(const char *index, int64_t k, const expected_t *expected) {
    dfaiss_result_t *result;
    dfaiss_search_options_t options = {.metadata = true};
    assert_ok(dfaiss_search(job.client, 1, &index, QUERIES, DIM, queries, k, &options, &result, &job.error), job.error);
    for (int64_t query = 0; query < QUERIES; query++)
        check_query(result, query, k, expected);
    dfaiss_result_destroy(result);
}

static void check_ids(const char *index, const expected_t *expected) {
    int64_t *ids = NULL, n = -1, next = 0;
    assert_ok(dfaiss_get_ids(job.client, index, &ids, &n, &job.error), job.error);
    assert_int_equal(n, expected->living);
    for (int64_t id = 0; id < ROWS; id++) {
        if (!expected->gone[id])
            assert_int_equal(ids[next++], id);
    }
    free(ids);
}

static void check_statistics(const char *index, const expected_t *expected) {
    dfaiss_statistics_t statistics[64];
    int64_t vectors = 0;
    assert_ok(dfaiss_get_statistics(job.client, index, statistics, &job.error), job.error);
    for (int i = 0; i < job.servers; i++) {
        vectors += statistics[i].vectors;
        assert_true(statistics[i].removed >= 0 && statistics[i].buffered >= 0 && statistics[i].buffered <= statistics[i].vectors);
    }
    assert_int_equal(vectors, expected->living);
    assert_int_equal(api_ntotal(index), expected->living);
}

static void check(const char *index, const expected_t *expected) {
    check_searches(index, K, expected);
    check_searches(index, ROWS, expected);
    check_ids(index, expected);
    check_statistics(index, expected);
}

/* ---- removing ---- */

static void test_remove(void **state) {
    (void)state;
    expected_t expected;
    fill("flat", flat_config, &expected);
    remove_every("flat", 3, 9, &expected);
    check("flat", &expected);
    assert_ok(dfaiss_flush(job.client, "flat", &job.error), job.error);
    remove_years("flat", 2010, 2020, &expected);
    check("flat", &expected);
    remove_every("flat", 0, 2, &expected);
    remove_years("flat", 1900, 1999, &expected);
    check("flat", &expected);
    remove_years("flat", 0, 9999, &expected);
    assert_int_equal(expected.living, 0);
    check("flat", &expected);
    add_rows("flat", 0, BATCH);
    assert_int_equal(api_ntotal("flat"), BATCH);
    api_drop("flat");
}

static void test_remove_around_training(void **state) {
    (void)state;
    expected_t expected;
    fill("lists", ivf_config, &expected);
    remove_every("lists", 0, 3, &expected);
    check("lists", &expected);
    assert_ok(dfaiss_train(job.client, "lists", &job.error), job.error);
    remove_every("lists", 1, 6, &expected);
    check("lists", &expected);
    assert_ok(dfaiss_flush(job.client, "lists", &job.error), job.error);
    check("lists", &expected);
    remove_years("lists", 2000, 2005, &expected);
    check("lists", &expected);
    api_drop("lists");
}

static void test_remove_survives_a_save(void **state) {
    (void)state;
    expected_t expected;
    for (int flushed = 0; flushed < 2; flushed++) {
        fill("kept", flat_config, &expected);
        if (flushed)
            assert_ok(dfaiss_flush(job.client, "kept", &job.error), job.error);
        remove_every("kept", 1, 4, &expected);
        remove_years("kept", 2030, 2049, &expected);
        assert_ok(dfaiss_save_index(job.client, "kept", NULL, &job.error), job.error);
        assert_ok(dfaiss_remove_matching(job.client, "kept", "has(year)", NULL, &job.error), job.error);
        assert_int_equal(api_ntotal("kept"), 0);
        assert_ok(dfaiss_load_index(job.client, "kept", NULL, true, &job.error), job.error);
        check("kept", &expected);
        remove_every("kept", 0, 5, &expected);
        check("kept", &expected);
        api_drop("kept");
    }
}

static int64_t removed_bytes(const char *index, int64_t *removed) {
    dfaiss_statistics_t statistics[64];
    int64_t bytes = 0;
    *removed = 0;
    assert_ok(dfaiss_get_statistics(job.client, index, statistics, &job.error), job.error);
    for (int i = 0; i < job.servers; i++) {
        *removed += statistics[i].removed;
        bytes += statistics[i].metadata_bytes;
    }
    return bytes;
}

/* By and by, and a save holds what is left alone. */
static void test_memory_is_given_back(void **state) {
    (void)state;
    expected_t expected;
    int64_t removed;
    fill("lists", ivf_config, &expected);
    assert_ok(dfaiss_train(job.client, "lists", &job.error), job.error);
    assert_ok(dfaiss_flush(job.client, "lists", &job.error), job.error);
    int64_t before = removed_bytes("lists", &removed);
    assert_int_equal(removed, 0);
    remove_every("lists", 0, 2, &expected);
    while (removed_bytes("lists", &removed) >= before || removed > 0)
        usleep(1000);
    check("lists", &expected);
    assert_ok(dfaiss_save_index(job.client, "lists", NULL, &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "lists", NULL, true, &job.error), job.error);
    check("lists", &expected);
    remove_every("lists", 1, 2, &expected);
    while (removed_bytes("lists", &removed) >= before || removed > 0)
        usleep(1000);
    check("lists", &expected);
    assert_ok(dfaiss_save_index(job.client, "lists", NULL, &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "lists", NULL, true, &job.error), job.error);
    check("lists", &expected);
    add_rows("lists", 0, BATCH);
    assert_int_equal(api_ntotal("lists"), BATCH);
    api_drop("lists");
}

static void test_wrong_removals(void **state) {
    (void)state;
    int64_t removed = -7;
    const int64_t twice[] = {5, 1, 5}, negative[] = {4, -3}, large[] = {INT64_MAX}, id = 5;
    api_create("strict", flat_config, true);
    add_rows("strict", 0, BATCH);
    assert_fails(dfaiss_remove_ids(job.client, "strict", 3, twice, &removed, &job.error), DFAISS_ERR_ARG, job.error, "id 5 is twice");
    assert_fails(dfaiss_remove_ids(job.client, "strict", 2, negative, &removed, &job.error), DFAISS_ERR_ARG, job.error, "id -3");
    assert_fails(dfaiss_remove_ids(job.client, "strict", 1, large, &removed, &job.error), DFAISS_ERR_ARG, job.error, "9223372036854775807");
    assert_fails(dfaiss_remove_ids(job.client, "strict", -1, &id, &removed, &job.error), DFAISS_ERR_ARG, job.error, "n is -1");
    assert_fails(dfaiss_remove_ids(job.client, "strict", 1, NULL, &removed, &job.error), DFAISS_ERR_ARG, job.error, "ids is NULL");
    assert_fails(dfaiss_remove_ids(job.client, "nowhere", 1, &id, &removed, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_remove_ids(NULL, "strict", 1, &id, &removed, &job.error), DFAISS_ERR_ARG, job.error, "client is NULL");
    assert_fails(dfaiss_remove_matching(job.client, "strict", "yaer == 2000", &removed, &job.error), DFAISS_ERR_ARG, job.error,
                 "did you mean \"year\"?");
    assert_fails(dfaiss_remove_matching(job.client, "strict", "year = 2000", &removed, &job.error), DFAISS_ERR_ARG, job.error, "character 6");
    assert_fails(dfaiss_remove_matching(job.client, "strict", NULL, &removed, &job.error), DFAISS_ERR_ARG, job.error, "filter is NULL");
    assert_fails(dfaiss_remove_matching(job.client, "strict", "", &removed, &job.error), DFAISS_ERR_ARG, job.error, "empty");
    assert_int_equal(removed, -7);
    assert_int_equal(api_ntotal("strict"), BATCH);
    assert_ok(dfaiss_remove_ids(job.client, "strict", 0, NULL, &removed, &job.error), job.error);
    assert_int_equal(removed, 0);
    assert_ok(dfaiss_remove_ids(job.client, "strict", 1, &id, NULL, &job.error), job.error);
    assert_int_equal(api_ntotal("strict"), BATCH - 1);
    api_drop("strict");
}

/* ---- several clients ---- */

/* One removes, the others search: none finds a vector whose removal had ended before its search began. */
static void test_searches_beside_removals(void **state) {
    (void)state;
    expected_t expected;
    if (job.number == 0)
        fill("shared", flat_config, &expected);
    for (int64_t year = 2000; year < 2040; year += 2) {
        int64_t gone_before = year;
        api_barrier();
        if (job.number == 0) {
            remove_years("shared", year, year + 1, &expected);
            continue;
        }
        for (int round = 0; round < 4; round++) {
            const char *index = "shared";
            dfaiss_result_t *result;
            assert_ok(dfaiss_search(job.client, 1, &index, QUERIES, DIM, queries, ROWS, NULL, &result, &job.error), job.error);
            for (int64_t query = 0; query < QUERIES; query++) {
                int64_t found = dfaiss_result_count(result, query);
                assert_in_range(found, ROWS / 50 * (2050 - year - 2), ROWS / 50 * (2050 - year));
                for (int64_t i = 0; i < found; i++)
                    assert_true(year_of(dfaiss_result_ids(result)[query * ROWS + i]) >= gone_before);
            }
            dfaiss_result_destroy(result);
        }
    }
    api_barrier();
    if (job.number == 0) {
        check("shared", &expected);
        api_drop("shared");
    }
}

/* Whether rows were found that had gone when what they bring along was asked for: then they bring nothing. */
static bool meet_rows_that_go(int round) {
    expected_t expected;
    const char *index = "going";
    bool met = false;
    dfaiss_request_t *request = NULL;
    dfaiss_search_options_t options = {.metadata = true, .embeddings = true};
    if (job.number == 0)
        fill(index, flat_config, &expected);
    api_barrier();
    if (job.number == 1)
        assert_ok(dfaiss_search_start(job.client, 1, &index, 1, DIM, queries, BATCH, &options, &request, &job.error), job.error);
    api_barrier();
    if (job.number == 0) {
        usleep(1000 * (unsigned)round); /* the search is likely to have been answered, but nobody has looked at that */
        assert_ok(dfaiss_remove_matching(job.client, index, "year >= 0", NULL, &job.error), job.error);
    }
    api_barrier();
    if (job.number == 1) {
        dfaiss_result_t *result = NULL;
        assert_ok(dfaiss_request_wait(request, &result, &job.error), job.error);
        int64_t found = dfaiss_result_count(result, 0);
        for (int64_t hit = 0; hit < found; hit++) {
            size_t size = 1;
            (void)dfaiss_result_metadata(result, 0, hit, &size);
            assert_int_equal(size, 0);
            assert_null(dfaiss_result_embedding(result, 0, hit));
        }
        met = found > 0;
        dfaiss_result_destroy(result);
    }
    api_share(1, &met, sizeof met);
    if (job.number == 0)
        api_drop(index);
    return met;
}

static void test_rows_that_go_bring_nothing(void **state) {
    (void)state;
    enum { ROUNDS = 100 };
    int round = 0;
    while (job.clients > 1 && !meet_rows_that_go(round))
        assert_true(++round < ROUNDS);
}

static int run_alone(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_remove_around_training),
        cmocka_unit_test(test_remove_survives_a_save),
        cmocka_unit_test(test_memory_is_given_back),
        cmocka_unit_test(test_wrong_removals),
    };
    return job.number == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

static int run_together(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_searches_beside_removals),
        cmocka_unit_test(test_rows_that_go_bring_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int run(void) {
    base = api_vectors(ROWS, DIM, 41);
    queries = api_vectors(QUERIES, DIM, 42);
    int failures = run_alone();
    api_barrier();
    if (failures == 0)
        failures = run_together();
    free(queries);
    free(base);
    return failures;
}

int main(int argc, char **argv) {
    const api_phase_t phase = {.run = run};
    return api_job_main(argc, argv, api_two, 1, &phase);
}
