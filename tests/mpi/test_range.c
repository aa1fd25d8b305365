/* Range searches through the public calls, on any number of servers: what lies within a radius is what a search for all vectors finds with a score
 * that is better, for every kind of index and metric, before, while and after the vectors are indexed.
 */
#include "api_job.h"

#include <math.h>

enum { DIM = 16, ROWS = 600, BATCH = 50, QUERIES = 4 };

static float *base, *queries;

/* Scores of all rows; ROWS of each query, by id. NAN: the row is not there. */
typedef struct scores {
    float of[QUERIES][ROWS];
    int64_t count; /* of each query */
} scores_t;

static const char *const kinds[] = {"\"index_builder_type\": \"flat\"", "\"index_builder_type\": \"ivf_simple\", \"centroids\": 8, \"nprobe\": 1",
                                    "\"index_builder_type\": \"ivfsq\", \"centroids\": 8, \"nprobe\": 1",
                                    "\"index_builder_type\": \"hnswsq\", \"store_n\": 8",
                                    "\"index_builder_type\": \"knnlm\", \"centroids\": 4, \"nprobe\": 1, \"code_size\": 4"};
static const char *const metrics[] = {"l2", "dot", "cosine"};

static void create(const char *index, const char *kind, const char *metric) {
    char config[256];
    snprintf(config, sizeof config, "{%s, \"metric\": \"%s\", \"dim\": %d, \"attributes\": {\"year\": \"int\"}}", kind, metric, DIM);
    api_create(index, config, true);
}

/* The year of a row is its id modulo 10. */
static void add_rows(const char *index, int64_t first, int64_t n) {
    for (int64_t row = first; row < first + n; row += BATCH) {
        int64_t ids[BATCH], years[BATCH];
        uint64_t ends[BATCH];
        char text[BATCH * 16];
        size_t size = 0;
        for (int64_t i = 0; i < BATCH; i++) {
            ids[i] = row + i;
            years[i] = (row + i) % 10;
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

/* Trains what needs it, and has everything indexed. */
static void train(const char *index) {
    dfaiss_state_t state = api_state(index);
    if (state == DFAISS_NOT_TRAINED)
        assert_ok(dfaiss_train(job.client, index, &job.error), job.error);
    assert_ok(dfaiss_flush(job.client, index, &job.error), job.error);
}

/* ---- what ought to be found ---- */

static bool better(bool larger, double a, double b) {
    return larger ? a > b : a < b;
}

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-4 * (1 + fabs(a));
}

static double true_score(const char *metric, const float *a, const float *b) {
    double products = 0, squares = 0, length = 0, other = 0;
    for (int i = 0; i < DIM; i++) {
        products += (double)a[i] * b[i];
        squares += (double)(a[i] - b[i]) * (a[i] - b[i]);
        length += (double)a[i] * a[i];
        other += (double)b[i] * b[i];
    }
    if (strcmp(metric, "l2") == 0)
        return squares;
    return strcmp(metric, "dot") == 0 ? products : products / sqrt(length * other);
}

/* A search with a filter finds all that match, whatever the kind. */
static void search_all(const char *index, const char *filter, scores_t *scores) {
    dfaiss_result_t *result = NULL;
    dfaiss_search_options_t options = {.nprobe = ROWS, .filter = filter};
    assert_ok(dfaiss_search(job.client, 1, &index, QUERIES, DIM, queries, ROWS, &options, &result, &job.error), job.error);
    for (int64_t query = 0; query < QUERIES; query++) {
        scores->count = dfaiss_result_count(result, query);
        assert_false(dfaiss_result_truncated(result, query));
        for (int64_t id = 0; id < ROWS; id++)
            scores->of[query][id] = NAN;
        for (int64_t i = 0; i < scores->count; i++)
            scores->of[query][dfaiss_result_ids(result)[query * ROWS + i]] = dfaiss_result_scores(result)[query * ROWS + i];
    }
    dfaiss_result_destroy(result);
}

static void check_true_scores(const char *metric, const scores_t *scores) {
    for (int64_t query = 0; query < QUERIES; query++) {
        for (int64_t id = 0; id < ROWS; id++) {
            if (!isnan(scores->of[query][id]))
                assert_true(near(true_score(metric, queries + query * DIM, base + id * DIM), scores->of[query][id]));
        }
    }
}

/* How many rows are within; rounding may put those near the radius on either side. */
static int64_t count_within(const float *scores, bool larger, float radius, bool near_by) {
    int64_t count = 0;
    for (int64_t id = 0; id < ROWS; id++) {
        if (!isnan(scores[id]))
            count += near(scores[id], radius) ? near_by : better(larger, scores[id], radius);
    }
    return count;
}

static int compare_ascending(const void *a, const void *b) {
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

/* The scores that are there, best first: float[ROWS] out. Returns how many. */
static int64_t rank_scores(const float *scores, bool larger, float *ranked) {
    int64_t count = 0;
    for (int64_t id = 0; id < ROWS; id++) {
        if (!isnan(scores[id]))
            ranked[count++] = larger ? -scores[id] : scores[id];
    }
    qsort(ranked, (size_t)count, sizeof *ranked, compare_ascending);
    for (int64_t i = 0; larger && i < count; i++)
        ranked[i] = -ranked[i];
    return count;
}

/* The score that `rank` of the query's scores are better than. */
static float score_of_rank(const float *scores, bool larger, int64_t rank) {
    float ranked[ROWS];
    assert_in_range(rank, 0, rank_scores(scores, larger, ranked) - 1);
    return ranked[rank];
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void check_query(const dfaiss_result_t *result, int64_t query, bool larger, float radius, const float *scores) {
    int64_t limit = dfaiss_result_k(result), count = dfaiss_result_count(result, query);
    int64_t inside = count_within(scores, larger, radius, false), at_most = count_within(scores, larger, radius, true);
    const float *found = dfaiss_result_scores(result) + query * limit;
    const int64_t *ids = dfaiss_result_ids(result) + query * limit;
    float ranked[ROWS];
    assert_in_range(count, least(limit, inside), least(limit, at_most));
    assert_in_range(count, 0, rank_scores(scores, larger, ranked));
    for (int64_t i = 0; i < count; i++) {
        assert_in_range(ids[i], 0, ROWS - 1);
        assert_true(better(larger, found[i], radius));
        assert_true(near(found[i], scores[ids[i]]));
        assert_true(near(found[i], ranked[i]));
        assert_true(i == 0 || found[i] == found[i - 1] ? i == 0 || ids[i] > ids[i - 1] : better(larger, found[i - 1], found[i]));
    }
    for (int64_t i = count; i < limit; i++)
        assert_int_equal(ids[i], -1);
    if (inside == at_most)
        assert_int_equal(dfaiss_result_truncated(result, query), inside > limit);
    assert_true(!dfaiss_result_truncated(result, query) || count == limit);
}

static void check_range(const char *index, bool larger, float radius, int64_t limit, const char *filter, const scores_t *scores) {
    dfaiss_result_t *result = NULL;
    dfaiss_search_options_t options = {.filter = filter, .metadata = true};
    assert_ok(dfaiss_range_search(job.client, 1, &index, QUERIES, DIM, queries, radius, limit, &options, &result, &job.error), job.error);
    assert_int_equal(dfaiss_result_queries(result), QUERIES);
    assert_int_equal(dfaiss_result_k(result), limit);
    for (int64_t query = 0; query < QUERIES; query++) {
        check_query(result, query, larger, radius, scores->of[query]);
        for (int64_t i = 0; i < dfaiss_result_count(result, query); i++) {
            char text[16];
            size_t size = 0;
            const void *metadata = dfaiss_result_metadata(result, query, i, &size);
            assert_int_equal(size, snprintf(text, sizeof text, "row %d", (int)dfaiss_result_ids(result)[query * limit + i]));
            assert_memory_equal(metadata, text, size);
        }
    }
    dfaiss_result_destroy(result);
}

/* A radius that holds none, one that holds some and one that holds all, limits that are hit and one that is not. */
static void check_ranges(const char *index, const char *metric, const char *filter, bool exact) {
    scores_t scores;
    bool larger = strcmp(metric, "l2") != 0;
    search_all(index, filter ? filter : "year >= 0", &scores);
    if (exact)
        check_true_scores(metric, &scores);
    float none = larger ? 1e6F : -1.0F, all = -none * 1e6F, some = score_of_rank(scores.of[0], larger, scores.count / 5);
    check_range(index, larger, none, 10, filter, &scores);
    check_range(index, larger, some, 7, filter, &scores);
    check_range(index, larger, some, ROWS, filter, &scores);
    check_range(index, larger, all, scores.count, filter, &scores);
    check_range(index, larger, all, scores.count - 1, filter, &scores);
}

/* ---- tests ---- */

static void check_kind(int kind, const char *metric) {
    const char *index = "ranges";
    create(index, kinds[kind], metric);
    add_rows(index, 0, ROWS / 2);
    check_ranges(index, metric, NULL, kind != 3); /* 8 bits of HNSW need training too; until then all is exact */
    train(index);
    add_rows(index, ROWS / 2, ROWS / 2);
    /* The others take rows in from one search to the next, and score them otherwise then. */
    if (kind < 2 || kind == 3)
        check_ranges(index, metric, NULL, kind < 2);
    train(index);
    check_ranges(index, metric, NULL, kind < 2);
    check_ranges(index, metric, "year in (2, 3, 5)", kind < 2);
    api_drop(index);
}

static void test_all_kinds_and_metrics(void **state) {
    (void)state;
    for (int kind = 0; kind < (int)(sizeof kinds / sizeof *kinds); kind++) {
        for (int metric = 0; metric < 3; metric++)
            check_kind(kind, metrics[metric]);
    }
}

static void test_removed_rows_are_not_found(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind += 3) {
        int64_t removed = 0;
        create("ranges", kinds[kind], "l2");
        add_rows("ranges", 0, ROWS / 2);
        train("ranges");
        add_rows("ranges", ROWS / 2, ROWS / 2);
        assert_ok(dfaiss_remove_matching(job.client, "ranges", "year > 3", &removed, &job.error), job.error);
        assert_int_equal(removed, ROWS / 10 * 6);
        scores_t scores;
        search_all("ranges", "year >= 0", &scores);
        assert_int_equal(scores.count, ROWS - removed);
        check_ranges("ranges", "l2", NULL, kind == 0);
        check_ranges("ranges", "l2", "year != 2", kind == 0);
        api_drop("ranges");
    }
}

static void test_probing_few_lists(void **state) {
    (void)state;
    const char *const indexes[] = {"ranges"};
    int64_t counts[2] = {0};
    create("ranges", kinds[1], "l2");
    add_rows("ranges", 0, ROWS);
    train("ranges");
    for (int64_t nprobe = 0; nprobe < 2; nprobe++) {
        dfaiss_result_t *result = NULL;
        dfaiss_search_options_t options = {.nprobe = nprobe};
        assert_ok(dfaiss_range_search(job.client, 1, indexes, QUERIES, DIM, queries, 1e9F, ROWS, &options, &result, &job.error), job.error);
        for (int64_t query = 0; query < QUERIES; query++)
            counts[nprobe] += dfaiss_result_count(result, query);
        dfaiss_result_destroy(result);
    }
    assert_int_equal(counts[0], QUERIES * ROWS);
    assert_in_range(counts[1], 1, QUERIES * ROWS / 2);
    api_drop("ranges");
}

/* The same rows in one index, and spread over three. */
static void test_several_indexes(void **state) {
    (void)state;
    const char *const indexes[] = {"red", "green", "blue"};
    for (int i = 0; i < 3; i++) {
        create(indexes[i], kinds[i], "dot");
        add_rows(indexes[i], i * ROWS / 3, ROWS / 3);
    }
    create("whole", kinds[0], "dot");
    add_rows("whole", 0, ROWS);
    scores_t scores;
    search_all("whole", "year >= 0", &scores);
    float radius = score_of_rank(scores.of[0], true, ROWS / 4) - 0.5F;
    for (int64_t limit = 5; limit <= ROWS; limit *= 5) {
        dfaiss_result_t *result = NULL;
        assert_ok(dfaiss_range_search(job.client, 3, indexes, QUERIES, DIM, queries, radius, limit, NULL, &result, &job.error), job.error);
        for (int64_t query = 0; query < QUERIES; query++) {
            check_query(result, query, true, radius, scores.of[query]);
            for (int64_t i = 0; i < dfaiss_result_count(result, query); i++)
                assert_int_equal(dfaiss_result_indexes(result)[query * limit + i], dfaiss_result_ids(result)[query * limit + i] / (ROWS / 3));
        }
        dfaiss_result_destroy(result);
    }
    for (int i = 0; i < 3; i++)
        api_drop(indexes[i]);
    api_drop("whole");
}

static void assert_refused(const char *index, float radius, int64_t limit, dfaiss_status_t status, const char *part) {
    dfaiss_result_t *result = NULL;
    assert_fails(dfaiss_range_search(job.client, 1, &index, 1, DIM, queries, radius, limit, NULL, &result, &job.error), status, job.error, part);
    assert_null(result);
}

static void test_wrong_ranges(void **state) {
    (void)state;
    create("ranges", kinds[0], "l2");
    assert_refused("ranges", NAN, 5, DFAISS_ERR_ARG, "radius");
    assert_refused("ranges", INFINITY, 5, DFAISS_ERR_ARG, "radius");
    assert_refused("ranges", 1, 0, DFAISS_ERR_ARG, "limit is 0");
    assert_refused("ranges", 1, (1 << 20) + 1, DFAISS_ERR_ARG, "limit is 1048577");
    scores_t scores = {.count = 0};
    for (int64_t i = 0; i < QUERIES * ROWS; i++)
        scores.of[i / ROWS][i % ROWS] = NAN;
    check_range("ranges", false, 1e9F, 1 << 20, NULL, &scores);
    api_drop("ranges");
}

/* The answer is the same whether the index has taken the vectors in or not. */
static void test_kinds_that_cannot(void **state) {
    (void)state;
    api_create("ranges", "{\"faiss_factory\": \"SQ8,RFlat\", \"metric\": \"l2\", \"dim\": 0}", true);
    assert_refused("ranges", 10, 5, DFAISS_ERR_UNSUPPORTED, "SQ8,RFlat");
    api_drop("ranges");
    create("ranges", "\"faiss_factory\": \"SQ8,RFlat\"", "l2");
    for (int step = 0; step < 3; step++) {
        assert_refused("ranges", 10, 5, DFAISS_ERR_UNSUPPORTED, "SQ8,RFlat");
        assert_refused("ranges", 10, 5, DFAISS_ERR_UNSUPPORTED, "dfaiss_range_search");
        if (step == 0)
            add_rows("ranges", 0, ROWS);
        else
            train("ranges");
    }
    api_drop("ranges");
}

static int run(void) {
    base = api_vectors(ROWS, DIM, 41);
    queries = api_vectors(QUERIES, DIM, 42);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds_and_metrics), cmocka_unit_test(test_removed_rows_are_not_found),
        cmocka_unit_test(test_probing_few_lists),     cmocka_unit_test(test_several_indexes),
        cmocka_unit_test(test_wrong_ranges),          cmocka_unit_test(test_kinds_that_cannot),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(base);
    free(queries);
    return failed;
}

int main(int argc, char **argv) {
    static const api_phase_t phases[] = {{.run = run}};
    return api_job_main(argc, argv, api_one, 1, phases);
}
