/* What can be said of single vectors through the public calls, on any number of servers: filters over attributes. The data is such that brute force
 * over the vectors that match gives the one right answer.
 */
#include "api_job.h"

#include <math.h>

enum { DIM = 16, ROWS = 2400, BATCH = 100, K = 12, QUERIES = 20 };

static const char flat_config[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16, "
                                  "\"attributes\": {\"year\": \"int\", \"lang\": \"string\", \"weight\": \"float\", \"free\": \"bool\"}}";
static const char *const langs[] = {"de", "en", "fr", "a b"};

static float *base, *queries;

/* ---- rows ---- */

static int64_t year_of(int64_t id) {
    return 2000 + id % 40;
}

static const char *lang_of(int64_t id) {
    return langs[id / 7 % 4];
}

/* Every ninth row has no weight. */
static double weight_of(int64_t id) {
    return (double)(id % 9) / 4;
}

static bool free_of(int64_t id) {
    return id % 3 == 0;
}

typedef bool matches_t(int64_t id);

/* Attributes as columns. */
static void add_columns(const char *index, int64_t first, int64_t n) {
    int64_t ids[BATCH], years[BATCH];
    const char *texts[BATCH];
    double weights[BATCH];
    bool flags[BATCH];
    for (int64_t i = 0; i < n; i++) {
        ids[i] = first + i;
        years[i] = year_of(first + i);
        texts[i] = lang_of(first + i);
        weights[i] = (first + i) % 9 ? weight_of(first + i) : (double)NAN;
        flags[i] = free_of(first + i);
    }
    dfaiss_column_t columns[] = {{.name = "lang", .strings = texts},
                                 {.name = "year", .integers = years},
                                 {.name = "weight", .floats = weights},
                                 {.name = "free", .booleans = flags}};
    dfaiss_batch_t batch = {
        .element = DFAISS_F32, .n = n, .dim = DIM, .vectors = base + first * DIM, .ids = ids, .columns = columns, .column_count = 4};
    assert_ok(dfaiss_add(job.client, index, &batch, NULL, &job.error), job.error);
}

/* Attributes in the metadata, but for the year, which comes as a column. */
static void add_metadata(const char *index, int64_t first, int64_t n) {
    int64_t ids[BATCH], years[BATCH];
    uint64_t ends[BATCH];
    char text[BATCH * 96];
    size_t size = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t id = first + i;
        ids[i] = id;
        years[i] = year_of(id);
        size += (size_t)snprintf(text + size, sizeof text - size, "{\"year\": 1, \"lang\": \"%s\", \"free\": %s", lang_of(id),
                                 free_of(id) ? "true" : "false");
        if (id % 9)
            size += (size_t)snprintf(text + size, sizeof text - size, ", \"weight\": %g", weight_of(id));
        size += (size_t)snprintf(text + size, sizeof text - size, "}");
        ends[i] = size;
    }
    dfaiss_column_t column = {.name = "year", .integers = years};
    dfaiss_batch_t batch = {.element = DFAISS_F32,
                            .n = n,
                            .dim = DIM,
                            .vectors = base + first * DIM,
                            .ids = ids,
                            .metadata = text,
                            .metadata_ends = ends,
                            .columns = &column,
                            .column_count = 1};
    assert_ok(dfaiss_add(job.client, index, &batch, NULL, &job.error), job.error);
}

static void fill(const char *index) {
    for (int64_t first = 0; first < ROWS; first += BATCH) {
        if (first / BATCH % 2)
            add_columns(index, first, BATCH);
        else
            add_metadata(index, first, BATCH);
    }
}

/* ---- answers ---- */

static float distance(const float *a, const float *b) {
    float sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* How many of the rows match, and how many of those are nearer than `score`. */
static int64_t count_matching(matches_t *matches, const float *query, float score, int64_t *nearer) {
    int64_t count = 0;
    *nearer = 0;
    for (int64_t id = 0; id < ROWS; id++) {
        count += matches(id);
        *nearer += matches(id) && distance(query, base + id * DIM) < score;
    }
    return count;
}

static void check_answer(const dfaiss_result_t *result, matches_t *matches) {
    for (int64_t query = 0; query < dfaiss_result_queries(result); query++) {
        const int64_t *ids = dfaiss_result_ids(result) + query * K;
        const float *scores = dfaiss_result_scores(result) + query * K;
        int64_t found = dfaiss_result_count(result, query), nearer;
        for (int64_t i = 0; i < found; i++) {
            assert_in_range(ids[i], 0, ROWS - 1);
            assert_true(matches(ids[i]));
            assert_true(scores[i] == distance(queries + query * DIM, base + ids[i] * DIM));
        }
        int64_t expected = count_matching(matches, queries + query * DIM, found > 0 ? scores[found - 1] : 0, &nearer);
        assert_int_equal(found, expected < K ? expected : K);
        assert_true(nearer < found || found == 0);
    }
}

static void check_filter(const char *index, const char *filter, matches_t *matches) {
    dfaiss_result_t *result;
    dfaiss_search_options_t options = {.filter = filter, .nprobe = 1 << 10};
    assert_ok(dfaiss_search(job.client, 1, &index, QUERIES, DIM, queries, K, &options, &result, &job.error), job.error);
    check_answer(result, matches);
    dfaiss_result_destroy(result);
}

static bool german_and_late(int64_t id) {
    return id / 7 % 4 == 0 && year_of(id) >= 2019;
}

static bool one_year(int64_t id) {
    return year_of(id) == 2033 && !free_of(id);
}

static bool rare(int64_t id) {
    return id % 9 == 5 && year_of(id) == 2005;
}

static bool without_weight(int64_t id) {
    return id % 9 == 0;
}

static bool none(int64_t id) {
    (void)id;
    return false;
}

static bool every(int64_t id) {
    (void)id;
    return true;
}

static void check_filters(const char *index) {
    check_filter(index, "lang == \"de\" and year >= 2019", german_and_late);
    check_filter(index, "year in (2033) && !free", one_year);
    check_filter(index, "weight == 1.25 and year == 2005", rare);
    check_filter(index, "not has(weight)", without_weight);
    check_filter(index, "year < 2000", none);
    check_filter(index, "year >= 2000", every);
}

/* ---- filters ---- */

static void test_filters(void **state) {
    (void)state;
    api_create("filtered", flat_config, true);
    fill("filtered");
    check_filters("filtered");
    assert_ok(dfaiss_flush(job.client, "filtered", &job.error), job.error);
    check_filters("filtered");
    api_drop("filtered");
}

static void test_filters_over_several_indexes(void **state) {
    (void)state;
    const char *indexes[] = {"first", "second"};
    dfaiss_search_options_t options = {.filter = "lang == 'de' and year >= 2019"};
    dfaiss_result_t *result;
    for (int i = 0; i < 2; i++)
        api_create(indexes[i], flat_config, true);
    for (int64_t first = 0; first < ROWS; first += BATCH)
        add_columns(indexes[first / BATCH % 2], first, BATCH);
    assert_ok(dfaiss_search(job.client, 2, indexes, QUERIES, DIM, queries, K, &options, &result, &job.error), job.error);
    check_answer(result, german_and_late);
    dfaiss_result_destroy(result);
    for (int i = 0; i < 2; i++)
        api_drop(indexes[i]);
}

static void test_filters_survive_a_save(void **state) {
    (void)state;
    api_create("kept", flat_config, true);
    fill("kept");
    assert_ok(dfaiss_save_index(job.client, "kept", NULL, &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "kept", NULL, true, &job.error), job.error);
    check_filters("kept");
    api_drop("kept");
}

/* Both clients at once, with filters that differ: neither gets the other's answer. */
static void test_clients_with_different_filters(void **state) {
    (void)state;
    if (job.number == 0) {
        api_create("shared", flat_config, true);
        fill("shared");
    }
    api_barrier();
    for (int round = 0; round < 20; round++) {
        if ((job.number + round) % 2)
            check_filter("shared", "year in (2033) && !free", one_year);
        else
            check_filter("shared", "lang == \"de\" and year >= 2019", german_and_late);
    }
    api_barrier();
    if (job.number == 0)
        api_drop("shared");
}

/* ---- bad input ---- */

static void refuse_filter(const char *filter, const char *text) {
    static char mark;
    const char *index = "strict";
    dfaiss_result_t *result = (dfaiss_result_t *)(void *)&mark;
    dfaiss_search_options_t options = {.filter = filter};
    assert_fails(dfaiss_search(job.client, 1, &index, 1, DIM, queries, K, &options, &result, &job.error), DFAISS_ERR_ARG, job.error, text);
    assert_true((void *)result == (void *)&mark);
}

static void test_wrong_filters(void **state) {
    (void)state;
    api_create("strict", flat_config, true);
    add_columns("strict", 0, BATCH);
    refuse_filter("yaer == 2000", "did you mean \"year\"?");
    refuse_filter("year = 2000", "character 6");
    refuse_filter("year == \"2000\"", "character 9");
    refuse_filter("(year == 2000", "character 14");
    refuse_filter("", "empty");
    char *long_one = malloc(70000);
    assert_non_null(long_one);
    memset(long_one, ' ', 69999);
    long_one[69999] = 0;
    refuse_filter(long_one, "69999");
    free(long_one);
    api_drop("strict");
    api_create("strict", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}", true);
    refuse_filter("year == 2000", "declares no attributes");
    api_drop("strict");
}

static void refuse_column(const dfaiss_column_t *column, int count, const char *text) {
    int64_t id = 7;
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 1, .dim = DIM, .vectors = base, .ids = &id, .columns = column, .column_count = count};
    assert_fails(dfaiss_add(job.client, "strict", &batch, NULL, &job.error), DFAISS_ERR_ARG, job.error, text);
    assert_int_equal(api_ntotal("strict"), 0);
}

static void test_wrong_columns(void **state) {
    (void)state;
    int64_t year = 2000;
    double weight = 1;
    const dfaiss_column_t unknown = {.name = "yaer", .integers = &year}, other_type = {.name = "year", .floats = &weight};
    const dfaiss_column_t two_arrays = {.name = "year", .integers = &year, .floats = &weight}, no_array = {.name = "year"};
    const dfaiss_column_t no_name = {.integers = &year}, twice[] = {{.name = "year", .integers = &year}, {.name = "year", .integers = &year}};
    api_create("strict", flat_config, true);
    refuse_column(&unknown, 1, "did you mean \"year\"?");
    refuse_column(&other_type, 1, "year");
    refuse_column(&two_arrays, 1, "2 arrays");
    refuse_column(&no_array, 1, "0 arrays");
    refuse_column(&no_name, 1, "name");
    refuse_column(twice, 2, "year");
    refuse_column(&unknown, -1, "column_count is -1");
    refuse_column(NULL, 1, "columns is NULL");
    api_drop("strict");
}

static int run_alone(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_filters_over_several_indexes),
        cmocka_unit_test(test_filters_survive_a_save),
        cmocka_unit_test(test_wrong_filters),
        cmocka_unit_test(test_wrong_columns),
    };
    return job.number == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

static int run_together(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clients_with_different_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int run(void) {
    base = api_vectors(ROWS, DIM, 31);
    queries = api_vectors(QUERIES, DIM, 32);
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
