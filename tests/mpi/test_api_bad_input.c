/* Wrong calls: each answers with a status and a text that names the value, leaves its outputs as they were and the servers unharmed: a good call
 * follows every wrong one. All clients make them at the same time, each on indexes of its own. */
#include "api_job.h"

#include <limits.h>
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

static void test_wrong_searches(void **state) {
    (void)state;
    float wrong[3 * DIM] = {0};
    search_fails(own, 1, DIM - 3, base, K, NULL, DFAISS_ERR_ARG, "13");
    search_fails(own, 1, 0, base, K, NULL, DFAISS_ERR_ARG, "0");
    search_fails(own, 1, -4, base, K, NULL, DFAISS_ERR_ARG, "-4");
    search_fails(own, 0, DIM, base, K, NULL, DFAISS_ERR_ARG, "0");
    search_fails(own, -7, DIM, base, K, NULL, DFAISS_ERR_ARG, "-7");
    search_fails(own, 1, DIM, base, 0, NULL, DFAISS_ERR_ARG, "0");
    search_fails(own, 1, DIM, base, -9, NULL, DFAISS_ERR_ARG, "-9");
    search_fails(own, 1, DIM, base, (1 << 20) + 1, NULL, DFAISS_ERR_ARG, "1048577");
    search_fails(own, 1, DIM, base, INT64_MAX, NULL, DFAISS_ERR_ARG, "9223372036854775807");
    search_fails(own, INT64_MAX, DIM, base, K, NULL, DFAISS_ERR_ARG, "9223372036854775807");
    search_fails("nowhere", 1, DIM, base, K, NULL, DFAISS_ERR_NOT_FOUND, "nowhere");
    search_fails("../up", 1, DIM, base, K, NULL, DFAISS_ERR_NOT_FOUND, "../up");
    search_fails("", 1, DIM, base, K, NULL, DFAISS_ERR_ARG, "");
    wrong[2 * DIM + 3] = NAN;
    search_fails(own, 3, DIM, wrong, K, NULL, DFAISS_ERR_DATA, "query 2");
    wrong[2 * DIM + 3] = -INFINITY;
    search_fails(own, 3, DIM, wrong, K, NULL, DFAISS_ERR_DATA, "query 2");
    search_fails(own, 1, DIM, base, K, &(dfaiss_search_options_t){.nprobe = -2}, DFAISS_ERR_ARG, "-2");
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
    assert_ptr_equal(result, UNTOUCHED);
    good_call();
    api_drop(narrow);
    api_drop(dot);
}

/* ---- adding ---- */

static dfaiss_batch_t good_batch(const int64_t *ids) {
    return (dfaiss_batch_t){.element = DFAISS_F32, .n = 3, .dim = DIM, .vectors = base + ROWS * DIM, .ids = ids};
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
    add_fails("sub/folder", &batch, DFAISS_ERR_NOT_FOUND, "sub/folder");
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
    add_fails(own, &batch, DFAISS_ERR_MEMORY, "");
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
    search_fails(index, 1, DIM, base, K, &options, DFAISS_ERR_ARG, part);
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
    remove_fails("no/where", 1, (const int64_t[]){5}, DFAISS_ERR_NOT_FOUND, "no/where");
}

/* ---- indexes as a whole ---- */

static void create_fails(const char *index, const char *config, dfaiss_status_t status, const char *part) {
    dfaiss_config_t *parsed;
    assert_ok(dfaiss_config_parse(config, strlen(config), &parsed, &job.error), job.error);
    assert_fails(dfaiss_create_index(job.client, index, parsed, NULL, &job.error), status, job.error, part);
    dfaiss_config_destroy(parsed);
    good_call();
}

static void test_wrong_creations(void **state) {
    (void)state;
    char long_name[300];
    dfaiss_config_t *config = NULL;
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    create_fails(own, flat_config, DFAISS_ERR_EXISTS, own);
    create_fails("-dash", flat_config, DFAISS_ERR_ARG, "-dash");
    create_fails(".hidden", flat_config, DFAISS_ERR_ARG, ".hidden");
    create_fails("a b", flat_config, DFAISS_ERR_ARG, "a b");
    create_fails(long_name, flat_config, DFAISS_ERR_ARG, "299");
    create_fails("wrong", "{\"dim\": 16}", DFAISS_ERR_CONFIG, "faiss_factory");
    create_fails("wrong", "{\"faiss_factory\": \"Nonsense7\", \"dim\": 16}", DFAISS_ERR_CONFIG, "Nonsense7");
    create_fails("wrong", "{\"faiss_factory\": \"BFlat\", \"dim\": 16}", DFAISS_ERR_CONFIG, "BFlat");
    create_fails("wrong", "{\"index_builder_type\": \"knnlm\", \"dim\": 16, \"centroids\": 4, \"code_size\": 7}", DFAISS_ERR_CONFIG, "7");
    create_fails("wrong", "{\"index_builder_type\": \"ivf_simple\", \"dim\": 16, \"centroids\": 0}", DFAISS_ERR_CONFIG, "centroids");
    assert_ok(dfaiss_config_create(&config, &job.error), job.error);
    assert_fails(dfaiss_create_index(job.client, NULL, config, NULL, &job.error), DFAISS_ERR_ARG, job.error, "index");
    assert_fails(dfaiss_create_index(NULL, "wrong", config, NULL, &job.error), DFAISS_ERR_ARG, job.error, "client");
    assert_fails(dfaiss_create_index(job.client, "wrong", NULL, NULL, &job.error), DFAISS_ERR_ARG, job.error, "config");
    assert_fails(dfaiss_create_index(job.client, "wrong", config, &(dfaiss_create_options_t){.expected_vectors = -12}, &job.error), DFAISS_ERR_ARG,
                 job.error, "-12");
    dfaiss_config_destroy(config);
    good_call();
}

static void test_wrong_configurations(void **state) {
    (void)state;
    dfaiss_config_t *config = UNTOUCHED;
    char *value = UNTOUCHED;
    assert_fails(dfaiss_config_parse("{\"dmi\": 4}", 10, &config, &job.error), DFAISS_ERR_CONFIG, job.error, "dim");
    assert_fails(dfaiss_config_parse("{\"dim\": ", 8, &config, &job.error), DFAISS_ERR_CONFIG, job.error, "");
    assert_fails(dfaiss_config_parse("[]", 2, &config, &job.error), DFAISS_ERR_CONFIG, job.error, "object");
    assert_fails(dfaiss_config_parse(NULL, 2, &config, &job.error), DFAISS_ERR_ARG, job.error, "text");
    assert_fails(dfaiss_config_read("/nowhere/at/all.json", &config, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "/nowhere/at/all.json");
    assert_ptr_equal(config, UNTOUCHED);
    assert_ok(dfaiss_config_create(&config, &job.error), job.error);
    assert_fails(dfaiss_config_set(config, "nprob", "3", &job.error), DFAISS_ERR_CONFIG, job.error, "nprobe");
    assert_fails(dfaiss_config_set(config, "nprobe", "-3", &job.error), DFAISS_ERR_CONFIG, job.error, "-3");
    assert_fails(dfaiss_config_set(config, "metric", "l3", &job.error), DFAISS_ERR_CONFIG, job.error, "l3");
    assert_fails(dfaiss_config_get(config, "nprob", &value, &job.error), DFAISS_ERR_CONFIG, job.error, "nprobe");
    assert_ptr_equal(value, UNTOUCHED);
    assert_ok(dfaiss_config_get(config, "nprobe", &value, &job.error), job.error);
    assert_string_equal(value, "1");
    free(value);
    dfaiss_config_destroy(config);
}

static void test_unknown_indexes(void **state) {
    (void)state;
    int64_t number = 77;
    int64_t *ids = UNTOUCHED;
    int64_t lists = 77, dim = 77;
    float *centroids = UNTOUCHED;
    dfaiss_config_t *config = UNTOUCHED;
    dfaiss_state_t index_state = DFAISS_ADD;
    dfaiss_statistics_t statistics = {.server = 77};
    dfaiss_client_t *client = job.client;
    assert_fails(dfaiss_drop_index(client, "nowhere", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_save_index(client, "nowhere", &number, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_load_index(client, "nowhere", NULL, false, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_config(client, "nowhere", &config, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_train(client, "nowhere", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_train_start(client, "nowhere", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_flush(client, "nowhere", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_state(client, "nowhere", &index_state, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_wait_state(client, "nowhere", DFAISS_TRAINED, 1, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_ids(client, "nowhere", &ids, &number, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_centroids(client, "nowhere", 0, &centroids, &lists, &dim, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_set_nprobe(client, "nowhere", 3, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_get_statistics(client, "nowhere", &statistics, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_ptr_equal(ids, UNTOUCHED);
    assert_ptr_equal(centroids, UNTOUCHED);
    assert_ptr_equal(config, UNTOUCHED);
    assert_int_equal(index_state, DFAISS_ADD);
    assert_int_equal(statistics.server, 77);
    assert_int_equal(number, 77);
    assert_int_equal(lists + dim, 2 * 77);
    good_call();
}

static void test_wrong_settings(void **state) {
    (void)state;
    int64_t lists = 77, dim = 77;
    float *centroids = UNTOUCHED;
    dfaiss_client_t *client = job.client;
    assert_fails(dfaiss_set_nprobe(client, own, 0, &job.error), DFAISS_ERR_ARG, job.error, "0");
    assert_fails(dfaiss_set_nprobe(client, own, (1 << 20) + 1, &job.error), DFAISS_ERR_ARG, job.error, "1048577");
    assert_fails(dfaiss_set_threads(client, 0, &job.error), DFAISS_ERR_ARG, job.error, "0");
    assert_fails(dfaiss_set_threads(client, 4097, &job.error), DFAISS_ERR_ARG, job.error, "4097");
    assert_fails(dfaiss_wait_state(client, own, (dfaiss_state_t)44, 1, &job.error), DFAISS_ERR_ARG, job.error, "44");
    assert_fails(dfaiss_wait_state(client, own, DFAISS_TRAINED, -6, &job.error), DFAISS_ERR_ARG, job.error, "-6");
    assert_fails(dfaiss_get_centroids(client, own, job.servers, &centroids, &lists, &dim, &job.error), DFAISS_ERR_ARG, job.error, "server");
    assert_fails(dfaiss_get_centroids(client, own, -1, &centroids, &lists, &dim, &job.error), DFAISS_ERR_ARG, job.error, "-1");
    assert_ptr_equal(centroids, UNTOUCHED);
    assert_int_equal(lists + dim, 2 * 77);
    good_call();
}

/* ---- what a kind, or a state, cannot do ---- */

static void test_what_a_kind_cannot_do(void **state) {
    (void)state;
    int64_t lists = 77, dim = 77;
    float *centroids = UNTOUCHED;
    assert_fails(dfaiss_get_centroids(job.client, own, 0, &centroids, &lists, &dim, &job.error), DFAISS_ERR_UNSUPPORTED, job.error, "flat");
    assert_ptr_equal(centroids, UNTOUCHED);
    assert_fails(dfaiss_train(job.client, own, &job.error), DFAISS_ERR_STATE, job.error, own);
    assert_fails(dfaiss_train_start(job.client, own, &job.error), DFAISS_ERR_STATE, job.error, own);
    good_call();
}

static void test_what_an_untrained_index_cannot_do(void **state) {
    (void)state;
    char index[32];
    snprintf(index, sizeof index, "untrained-%d", job.number);
    api_create(index, "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 64, \"nprobe\": 64}", true);
    assert_fails(dfaiss_flush(job.client, index, &job.error), DFAISS_ERR_STATE, job.error, index);
    assert_fails(dfaiss_train(job.client, index, &job.error), DFAISS_ERR_CONFIG, job.error, index);
    api_add(index, base, DIM, 0, 20, 10);
    /* Fewer vectors than lists. */
    assert_fails(dfaiss_train(job.client, index, &job.error), DFAISS_ERR_CONFIG, job.error, "20");
    assert_fails(dfaiss_wait_state(job.client, index, DFAISS_TRAINED, 0.1, &job.error), DFAISS_ERR_TIMEOUT, job.error, index);
    assert_int_equal(api_state(index), DFAISS_NOT_TRAINED);
    api_check_exact(index, false, base, 20, DIM, base, 3, K);
    /* Enough: what failed before is forgotten. */
    api_add(index, base, DIM, 20, 2 * ROWS - 20, 50);
    assert_ok(dfaiss_train(job.client, index, &job.error), job.error);
    assert_ok(dfaiss_wait_state(job.client, index, DFAISS_TRAINED, 60, &job.error), job.error);
    api_check_exact(index, false, base, 2 * ROWS, DIM, base, 3, K);
    api_drop(index);
    good_call();
}

static void test_one_client_a_world(void **state) {
    (void)state;
    dfaiss_client_t *second = UNTOUCHED;
    assert_fails(dfaiss_client_create(job.world, NULL, &second, &job.error), DFAISS_ERR_STATE, job.error, "client");
    assert_fails(dfaiss_client_create(NULL, NULL, &second, &job.error), DFAISS_ERR_ARG, job.error, "world");
    assert_ptr_equal(second, UNTOUCHED);
    good_call();
}

static void test_worlds_without_servers(void **state) {
    (void)state;
    dfaiss_world_t *world = UNTOUCHED;
    assert_fails(dfaiss_world_create(job.fellows, DFAISS_ROLE_CLIENT, &world, &job.error), DFAISS_ERR_ARG, job.error, "server");
    assert_fails(dfaiss_world_create(job.fellows, DFAISS_ROLE_SERVER, &world, &job.error), DFAISS_ERR_ARG, job.error, "client");
    assert_fails(dfaiss_world_create(job.fellows, (dfaiss_role_t)9, &world, &job.error), DFAISS_ERR_ARG, job.error, "9");
    assert_fails(dfaiss_world_create(job.fellows, DFAISS_ROLE_CLIENT, NULL, &job.error), DFAISS_ERR_ARG, job.error, "out");
    assert_ptr_equal(world, UNTOUCHED);
}

static int run(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_searches),
        cmocka_unit_test(test_missing_arguments_of_a_search),
        cmocka_unit_test(test_searches_over_indexes_that_differ),
        cmocka_unit_test(test_wrong_ids),
        cmocka_unit_test(test_wrong_vectors),
        cmocka_unit_test(test_wrong_metadata),
        cmocka_unit_test(test_missing_arguments_of_an_add),
        cmocka_unit_test(test_wrong_filters),
        cmocka_unit_test(test_wrong_columns),
        cmocka_unit_test(test_wrong_removals),
        cmocka_unit_test(test_wrong_creations),
        cmocka_unit_test(test_wrong_configurations),
        cmocka_unit_test(test_unknown_indexes),
        cmocka_unit_test(test_wrong_settings),
        cmocka_unit_test(test_what_a_kind_cannot_do),
        cmocka_unit_test(test_what_an_untrained_index_cannot_do),
        cmocka_unit_test(test_one_client_a_world),
        cmocka_unit_test(test_worlds_without_servers),
    };
    return cmocka_run_group_tests(tests, make_indexes, drop_indexes);
}

int main(int argc, char **argv) {
    return api_job_main(argc, argv, api_two, 1, &(api_phase_t){.run = run});
}
