/* Wrong searches and wrong vectors: each call answers with a status and a text that names the value, leaves its outputs as they were and the servers
 * unharmed: a good call follows every wrong one. All clients make them at the same time, each on indexes of its own. */
#include "api_job.h"

#include <math.h>

enum { DIM = 16, ROWS = 200, K = 5 };

static const char *flat_config = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}";
static char own[32], assigned[32]; /* the indexes of this client: with own ids, and with assigned ones */
static float *base;                /* float[2 * ROWS][DIM]: own's rows are the first ROWS */

/* What outputs hold before a call that fails, and still after it. */
static char sentinel;
#define UNTOUCHED ((void *)&sentinel)

/* The servers still answer, and nothing was added or lost. */
static void good_call(void) {
    api_check_exact(own, false, base, ROWS, DIM, base + ROWS * DIM, 3, K);
}

static int make_indexes(void **state) {
    (void)state;
    snprintf(own, sizeof own, "own-%d", job.number);
    snprintf(assigned, sizeof assigned, "assigned-%d", job.number);
    base = api_vectors(2 * ROWS, DIM, 1 + (uint64_t)job.number);
    api_create(own, flat_config, true);
    api_create(assigned, flat_config, false);
    api_add(own, base, DIM, 0, ROWS, 20);
    return 0;
}

static int drop_indexes(void **state) {
    (void)state;
    api_drop(own);
    api_drop(assigned);
    free(base);
    return 0;
}

/* ---- searches ---- */

static void search_fails(const char *index, int64_t nq, int64_t dim, const float *queries, int64_t k, const dfaiss_search_options_t *options,
                         dfaiss_status_t status, const char *part) {
    dfaiss_result_t *result = UNTOUCHED;
    dfaiss_request_t *request = UNTOUCHED;
    assert_fails(dfaiss_search(job.client, 1, &index, nq, dim, queries, k, options, &result, &job.error), status, job.error, part);
    assert_ptr_equal(result, UNTOUCHED);
    good_call();
    /* Begun without waiting, it fails at the start or at the end. */
    dfaiss_status_t started = dfaiss_search_start(job.client, 1, &index, nq, dim, queries, k, options, &request, &job.error);
    if (started == DFAISS_OK)
        started = dfaiss_request_wait(request, &result, &job.error);
    assert_fails(started, status, job.error, part);
    assert_ptr_equal(result, UNTOUCHED);
    good_call();
}

static void range_fails(const char *index, int64_t nq, int64_t dim, const float *queries, float radius, int64_t limit,
                        const dfaiss_search_options_t *options, dfaiss_status_t status, const char *part) {
    dfaiss_result_t *result = UNTOUCHED;
    assert_fails(dfaiss_range_search(job.client, 1, &index, nq, dim, queries, radius, limit, options, &result, &job.error), status, job.error, part);
    assert_ptr_equal(result, UNTOUCHED);
    good_call();
}

/* Searches of both kinds. */
static void searches_fail(const char *index, int64_t nq, int64_t dim, const float *queries, int64_t k, const dfaiss_search_options_t *options,
                          dfaiss_status_t status, const char *part) {
    search_fails(index, nq, dim, queries, k, options, status, part);
    range_fails(index, nq, dim, queries, 1e9F, k, options, status, part);
}

static void test_wrong_searches(void **state) {
    (void)state;
    float wrong[3 * DIM] = {0};
    searches_fail(own, 1, DIM - 3, base, K, NULL, DFAISS_ERR_ARG, "13");
    searches_fail(own, 1, 0, base, K, NULL, DFAISS_ERR_ARG, "0");
    searches_fail(own, 1, -4, base, K, NULL, DFAISS_ERR_ARG, "-4");
    searches_fail(own, 0, DIM, base, K, NULL, DFAISS_ERR_ARG, "0");
    searches_fail(own, -7, DIM, base, K, NULL, DFAISS_ERR_ARG, "-7");
    searches_fail(own, 1, DIM, base, 0, NULL, DFAISS_ERR_ARG, "0");
    searches_fail(own, 1, DIM, base, -9, NULL, DFAISS_ERR_ARG, "-9");
    searches_fail(own, 1, DIM, base, (1 << 20) + 1, NULL, DFAISS_ERR_ARG, "1048577");
    searches_fail(own, 1, DIM, base, INT64_MAX, NULL, DFAISS_ERR_ARG, "9223372036854775807");
    searches_fail(own, INT64_MAX, DIM, base, K, NULL, DFAISS_ERR_ARG, "9223372036854775807");
    searches_fail("nowhere", 1, DIM, base, K, NULL, DFAISS_ERR_NOT_FOUND, "nowhere");
    searches_fail("../up", 1, DIM, base, K, NULL, DFAISS_ERR_ARG, "../up");
    searches_fail("", 1, DIM, base, K, NULL, DFAISS_ERR_ARG, "");
    wrong[2 * DIM + 3] = NAN;
    searches_fail(own, 3, DIM, wrong, K, NULL, DFAISS_ERR_DATA, "query 2");
    wrong[2 * DIM + 3] = -INFINITY;
    searches_fail(own, 3, DIM, wrong, K, NULL, DFAISS_ERR_DATA, "query 2");
    searches_fail(own, 1, DIM, base, K, &(dfaiss_search_options_t){.nprobe = -2}, DFAISS_ERR_ARG, "-2");
}

static void test_wrong_radii(void **state) {
    (void)state;
    range_fails(own, 1, DIM, base, NAN, K, NULL, DFAISS_ERR_ARG, "radius");
    range_fails(own, 1, DIM, base, INFINITY, K, NULL, DFAISS_ERR_ARG, "inf");
    range_fails(own, 1, DIM, base, -INFINITY, K, NULL, DFAISS_ERR_ARG, "-inf");
}

/* No squared distance is less than a negative number: that is no mistake, and nothing is found. */
static void test_negative_radius(void **state) {
    (void)state;
    const char *name = own;
    dfaiss_result_t *result = NULL;
    assert_ok(dfaiss_range_search(job.client, 1, &name, 3, DIM, base, -1, K, NULL, &result, &job.error), job.error);
    for (int query = 0; query < 3; query++) {
        assert_int_equal(dfaiss_result_count(result, query), 0);
        assert_false(dfaiss_result_truncated(result, query));
    }
    dfaiss_result_destroy(result);
    good_call();
}

/* More lists, or candidates, than any index has are all of them. */
static void test_effort_without_measure(void **state) {
    (void)state;
    static const char *const configs[] = {
        "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}",
        "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 4}",
        "{\"index_builder_type\": \"hnswsq\", \"metric\": \"l2\", \"dim\": 16}",
        "{\"faiss_factory\": \"IVF4,Flat,RFlat\", \"metric\": \"l2\", \"dim\": 16}",
    };
    char index[32];
    const char *name = index;
    snprintf(index, sizeof index, "effort-%d", job.number);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        const dfaiss_search_options_t options = {.nprobe = INT64_MAX};
        dfaiss_result_t *result = NULL;
        api_create(index, configs[i], true);
        api_add(index, base, DIM, 0, 2 * ROWS, 50);
        if (api_state(index) == DFAISS_NOT_TRAINED)
            assert_ok(dfaiss_train(job.client, index, &job.error), job.error);
        assert_ok(dfaiss_flush(job.client, index, &job.error), job.error);
        assert_ok(dfaiss_search(job.client, 1, &name, ROWS, DIM, base, K, &options, &result, &job.error), job.error);
        for (int64_t query = 0; query < ROWS; query++)
            assert_int_equal(dfaiss_result_ids(result)[query * K], query);
        dfaiss_result_destroy(result);
        api_drop(index);
    }
    good_call();
}

/* 5 TB of hits: more than any server has. */
static void test_answers_that_are_too_large(void **state) {
    (void)state;
    enum { MANY = 200000, LARGEST = 1 << 20 };
    float *queries = calloc((size_t)MANY * DIM, sizeof *queries);
    assert_non_null(queries);
    search_fails(own, MANY, DIM, queries, LARGEST, NULL, DFAISS_ERR_MEMORY, "1048576");
    range_fails(own, MANY, DIM, queries, 1, LARGEST, NULL, DFAISS_ERR_MEMORY, "104857");
    free(queries);
}

static void test_missing_arguments_of_a_search(void **state) {
    (void)state;
    dfaiss_result_t *result = UNTOUCHED;
    const char *name = own, *none = NULL;
    assert_fails(dfaiss_search(NULL, 1, &name, 1, DIM, base, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "client");
    assert_fails(dfaiss_search(job.client, 1, NULL, 1, DIM, base, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "index");
    assert_fails(dfaiss_search(job.client, 1, &none, 1, DIM, base, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "index");
    assert_fails(dfaiss_search(job.client, 0, &name, 1, DIM, base, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "0");
    assert_fails(dfaiss_search(job.client, -3, &name, 1, DIM, base, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "-3");
    assert_fails(dfaiss_search(job.client, 1, &name, 1, DIM, NULL, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "queries");
    assert_fails(dfaiss_search(job.client, 1, &name, 1, DIM, base, K, NULL, NULL, &job.error), DFAISS_ERR_ARG, job.error, "out");
    assert_fails(dfaiss_range_search(NULL, 1, &name, 1, DIM, base, 1, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "client");
    assert_fails(dfaiss_range_search(job.client, 1, NULL, 1, DIM, base, 1, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "index");
    assert_fails(dfaiss_range_search(job.client, 1, &none, 1, DIM, base, 1, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "index");
    assert_fails(dfaiss_range_search(job.client, 0, &name, 1, DIM, base, 1, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "0");
    assert_fails(dfaiss_range_search(job.client, 1, &name, 1, DIM, NULL, 1, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error, "queries");
    assert_fails(dfaiss_range_search(job.client, 1, &name, 1, DIM, base, 1, K, NULL, NULL, &job.error), DFAISS_ERR_ARG, job.error, "out");
    assert_fails(dfaiss_search_start(job.client, 1, &name, 1, DIM, base, K, NULL, NULL, &job.error), DFAISS_ERR_ARG, job.error, "out");
    assert_ptr_equal(result, UNTOUCHED);
    /* Without room for a text. */
    assert_int_equal(dfaiss_search(job.client, 1, &name, 1, DIM, NULL, K, NULL, &result, NULL), DFAISS_ERR_ARG);
    good_call();
}

static void test_searches_over_indexes_that_differ(void **state) {
    (void)state;
    char dot[32], narrow[32];
    dfaiss_result_t *result = UNTOUCHED;
    snprintf(dot, sizeof dot, "dot-%d", job.number);
    snprintf(narrow, sizeof narrow, "narrow-%d", job.number);
    api_create(dot, "{\"index_builder_type\": \"flat\", \"metric\": \"dot\", \"dim\": 16}", true);
    api_create(narrow, "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}", true);
    assert_fails(dfaiss_search(job.client, 2, (const char *[]){own, dot}, 1, DIM, base, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error,
                 dot);
    assert_fails(dfaiss_search(job.client, 2, (const char *[]){own, narrow}, 1, DIM, base, K, NULL, &result, &job.error), DFAISS_ERR_ARG, job.error,
                 narrow);
    assert_fails(dfaiss_search(job.client, 2, (const char *[]){own, "nowhere"}, 1, DIM, base, K, NULL, &result, &job.error), DFAISS_ERR_NOT_FOUND,
                 job.error, "nowhere");
    assert_fails(dfaiss_range_search(job.client, 2, (const char *[]){own, dot}, 1, DIM, base, 1, K, NULL, &result, &job.error), DFAISS_ERR_ARG,
                 job.error, dot);
    assert_ptr_equal(result, UNTOUCHED);
    good_call();
    api_drop(narrow);
    api_drop(dot);
}

/* ---- adding ---- */

static dfaiss_batch_t good_batch(const int64_t *ids) {
    return (dfaiss_batch_t){.element = DFAISS_F32, .n = 3, .dim = DIM, .vectors = base + ROWS * DIM, .ids = ids};
}

/* An update needs ids in any case. */
static void update_fails(const char *index, const dfaiss_batch_t *batch, dfaiss_status_t status, const char *part) {
    bool without = !batch->ids;
    assert_fails(dfaiss_update(job.client, index, batch, &job.error), without ? DFAISS_ERR_ARG : status, job.error, without ? "ids" : part);
    good_call();
}

static void add_fails(const char *index, const dfaiss_batch_t *batch, dfaiss_status_t status, const char *part) {
    int64_t ids[3] = {-5, -6, -7};
    dfaiss_request_t *request = NULL;
    assert_fails(dfaiss_add(job.client, index, batch, ids, &job.error), status, job.error, part);
    good_call();
    dfaiss_status_t started = dfaiss_add_start(job.client, index, batch, ids, &request, &job.error);
    if (started == DFAISS_OK)
        started = dfaiss_request_wait(request, NULL, &job.error);
    assert_fails(started, status, job.error, part);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ids[i], -5 - i);
    good_call();
    if (strcmp(index, assigned) != 0)
        update_fails(index, batch, status, part);
    assert_int_equal(api_ntotal(assigned), 0);
}

static void test_wrong_ids(void **state) {
    (void)state;
    dfaiss_batch_t batch = good_batch((const int64_t[]){1000, 1001, 1000});
    add_fails(own, &batch, DFAISS_ERR_ARG, "1000");
    batch.ids = (const int64_t[]){1000, -33, 1001};
    add_fails(own, &batch, DFAISS_ERR_ARG, "-33");
    batch.ids = (const int64_t[]){1000, INT64_MAX, 1001};
    add_fails(own, &batch, DFAISS_ERR_ARG, "9223372036854775807");
    batch.ids = NULL;
    add_fails(own, &batch, DFAISS_ERR_ARG, own);
    batch.ids = (const int64_t[]){1000, 1001, 1002};
    add_fails(assigned, &batch, DFAISS_ERR_ARG, assigned);
    add_fails("nowhere", &batch, DFAISS_ERR_NOT_FOUND, "nowhere");
    add_fails("sub/folder", &batch, DFAISS_ERR_ARG, "sub/folder");
}

static void test_wrong_vectors(void **state) {
    (void)state;
    float vectors[3 * DIM] = {0};
    const int64_t ids[] = {1000, 1001, 1002};
    const uint16_t half[3 * DIM] = {[DIM] = 0x7c00};
    dfaiss_batch_t batch = good_batch(ids);
    batch.dim = 15;
    add_fails(own, &batch, DFAISS_ERR_ARG, "15");
    batch.dim = -1;
    add_fails(own, &batch, DFAISS_ERR_ARG, "-1");
    batch.dim = INT64_MAX;
    add_fails(own, &batch, DFAISS_ERR_ARG, "9223372036854775807");
    batch = good_batch(ids);
    batch.n = 0;
    add_fails(own, &batch, DFAISS_ERR_ARG, "0");
    batch.n = -8;
    add_fails(own, &batch, DFAISS_ERR_ARG, "-8");
    batch.n = INT64_MAX / 2;
    add_fails(own, &batch, DFAISS_ERR_ARG, "4611686018427387903");
    batch = good_batch(ids);
    batch.vectors = NULL;
    add_fails(own, &batch, DFAISS_ERR_ARG, "vectors");
    batch = good_batch(ids);
    batch.element = (dfaiss_element_t)77;
    add_fails(own, &batch, DFAISS_ERR_ARG, "77");
    batch = good_batch(ids);
    batch.vectors = vectors;
    vectors[DIM + 2] = INFINITY;
    add_fails(own, &batch, DFAISS_ERR_DATA, "vector 1");
    vectors[DIM + 2] = NAN;
    add_fails(own, &batch, DFAISS_ERR_DATA, "vector 1");
    batch.element = DFAISS_F16;
    batch.vectors = half;
    add_fails(own, &batch, DFAISS_ERR_DATA, "vector 1");
}

static void test_wrong_metadata(void **state) {
    (void)state;
    const int64_t ids[] = {1000, 1001, 1002};
    dfaiss_batch_t batch = good_batch(ids);
    batch.metadata = "abcdef";
    add_fails(own, &batch, DFAISS_ERR_ARG, "metadata_ends");
    batch.metadata_ends = (const uint64_t[]){2, 1, 6};
    add_fails(own, &batch, DFAISS_ERR_ARG, "1");
    batch.metadata = NULL;
    batch.metadata_ends = (const uint64_t[]){2, 4, 6};
    add_fails(own, &batch, DFAISS_ERR_ARG, "metadata");
    batch.metadata = "abcdef";
    batch.metadata_ends = (const uint64_t[]){2, 4, UINT64_MAX};
    add_fails(own, &batch, DFAISS_ERR_ARG, "vector 2 has 18446744073709551611 bytes");
    batch.metadata_ends = (const uint64_t[]){2, 5 + (1 << 28), 5 + (1 << 28)};
    add_fails(own, &batch, DFAISS_ERR_ARG, "vector 1 has 268435459 bytes");
}

static void test_missing_arguments_of_an_add(void **state) {
    (void)state;
    dfaiss_request_t *request = UNTOUCHED;
    dfaiss_batch_t batch = good_batch((const int64_t[]){1000, 1001, 1002});
    assert_fails(dfaiss_add(NULL, own, &batch, NULL, &job.error), DFAISS_ERR_ARG, job.error, "client");
    assert_fails(dfaiss_add(job.client, NULL, &batch, NULL, &job.error), DFAISS_ERR_ARG, job.error, "index");
    assert_fails(dfaiss_add(job.client, own, NULL, NULL, &job.error), DFAISS_ERR_ARG, job.error, "batch");
    assert_fails(dfaiss_add_start(job.client, own, &batch, NULL, NULL, &job.error), DFAISS_ERR_ARG, job.error, "out");
    assert_fails(dfaiss_add_start(job.client, own, NULL, NULL, &request, &job.error), DFAISS_ERR_ARG, job.error, "batch");
    assert_ptr_equal(request, UNTOUCHED);
    good_call();
}

/* ---- filters, attributes, removal and update ---- */

static char attributed[32];

/* An index with attributes, of which only some vectors have values. */
static void make_attributed(void) {
    bool frees[ROWS];
    int64_t ids[ROWS];
    for (int i = 0; i < ROWS; i++) {
        ids[i] = i;
        frees[i] = i % 2;
    }
    dfaiss_column_t column = {.name = "free", .booleans = frees};
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = ROWS, .dim = DIM, .vectors = base, .ids = ids, .columns = &column, .column_count = 1};
    snprintf(attributed, sizeof attributed, "attributed-%d", job.number);
    api_create(attributed,
               "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16, \"attributes\": {\"free\": \"bool\", \"year\": \"int\"}}", true);
    assert_ok(dfaiss_add(job.client, attributed, &batch, NULL, &job.error), job.error);
}

static void filter_fails(const char *index, const char *filter, const char *part) {
    int64_t removed = 77;
    dfaiss_search_options_t options = {.filter = filter};
    searches_fail(index, 1, DIM, base, K, &options, DFAISS_ERR_ARG, part);
    assert_fails(dfaiss_remove_matching(job.client, index, filter, &removed, &job.error), DFAISS_ERR_ARG, job.error, part);
    assert_int_equal(removed, 77);
}

static void test_wrong_filters(void **state) {
    (void)state;
    make_attributed();
    filter_fails(attributed, "fre == true", "fre");
    filter_fails(attributed, "free == ", "character 9");
    filter_fails(attributed, "free = true", "character 6");
    filter_fails(attributed, "year == \"x\"", "character 9");
    filter_fails(attributed, "(year > 3", "character 10");
    filter_fails(attributed, "year > 3 free", "character 10");
    filter_fails(attributed, "", "empty");
    filter_fails(attributed, " ", "character 2");
    filter_fails(own, "free", "free");
    assert_int_equal(api_ntotal(attributed), ROWS);
    assert_fails(dfaiss_remove_matching(job.client, attributed, NULL, NULL, &job.error), DFAISS_ERR_ARG, job.error, "filter");
    assert_fails(dfaiss_remove_matching(job.client, "nowhere", "free", NULL, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    api_drop(attributed);
}

static void test_wrong_columns(void **state) {
    (void)state;
    bool frees[3] = {0};
    int64_t years[3] = {0};
    dfaiss_column_t columns[2];
    dfaiss_batch_t batch = good_batch((const int64_t[]){1000, 1001, 1002});
    make_attributed();
    batch.columns = columns;
    batch.column_count = 1;
    columns[0] = (dfaiss_column_t){.name = "frei", .booleans = frees};
    add_fails(attributed, &batch, DFAISS_ERR_ARG, "frei");
    columns[0] = (dfaiss_column_t){.name = "free", .integers = years};
    add_fails(attributed, &batch, DFAISS_ERR_ARG, "free");
    columns[0] = (dfaiss_column_t){.name = "free"};
    add_fails(attributed, &batch, DFAISS_ERR_ARG, "free");
    columns[0] = (dfaiss_column_t){.name = "free", .booleans = frees, .integers = years};
    add_fails(attributed, &batch, DFAISS_ERR_ARG, "free");
    columns[0] = (dfaiss_column_t){.booleans = frees};
    add_fails(attributed, &batch, DFAISS_ERR_ARG, "name");
    batch.column_count = 2;
    columns[0] = columns[1] = (dfaiss_column_t){.name = "free", .booleans = frees};
    add_fails(attributed, &batch, DFAISS_ERR_ARG, "free");
    batch.column_count = -2;
    add_fails(attributed, &batch, DFAISS_ERR_ARG, "-2");
    batch.column_count = 1;
    batch.columns = NULL;
    add_fails(attributed, &batch, DFAISS_ERR_ARG, "columns");
    batch.columns = columns;
    add_fails(own, &batch, DFAISS_ERR_ARG, "free");
    assert_int_equal(api_ntotal(attributed), ROWS);
    api_drop(attributed);
}

static void remove_fails(const char *index, int64_t n, const int64_t *ids, dfaiss_status_t status, const char *part) {
    int64_t removed = 77;
    assert_fails(dfaiss_remove_ids(job.client, index, n, ids, &removed, &job.error), status, job.error, part);
    assert_int_equal(removed, 77);
    good_call();
}

static void test_wrong_removals(void **state) {
    (void)state;
    remove_fails(own, 3, (const int64_t[]){5, 6, 5}, DFAISS_ERR_ARG, "5");
    remove_fails(own, 2, (const int64_t[]){5, -31}, DFAISS_ERR_ARG, "-31");
    remove_fails(own, 2, NULL, DFAISS_ERR_ARG, "ids");
    remove_fails(own, -2, (const int64_t[]){5}, DFAISS_ERR_ARG, "-2");
    remove_fails("nowhere", 1, (const int64_t[]){5}, DFAISS_ERR_NOT_FOUND, "nowhere");
    remove_fails("no/where", 1, (const int64_t[]){5}, DFAISS_ERR_ARG, "no/where");
}

static int run(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_searches),
        cmocka_unit_test(test_wrong_radii),
        cmocka_unit_test(test_negative_radius),
        cmocka_unit_test(test_effort_without_measure),
        cmocka_unit_test(test_answers_that_are_too_large),
        cmocka_unit_test(test_missing_arguments_of_a_search),
        cmocka_unit_test(test_searches_over_indexes_that_differ),
        cmocka_unit_test(test_wrong_ids),
        cmocka_unit_test(test_wrong_vectors),
        cmocka_unit_test(test_wrong_metadata),
        cmocka_unit_test(test_missing_arguments_of_an_add),
        cmocka_unit_test(test_wrong_filters),
        cmocka_unit_test(test_wrong_columns),
        cmocka_unit_test(test_wrong_removals),
    };
    return cmocka_run_group_tests(tests, make_indexes, drop_indexes);
}

int main(int argc, char **argv) {
    return api_job_main(argc, argv, api_two, 1, &(api_phase_t){.run = run});
}
