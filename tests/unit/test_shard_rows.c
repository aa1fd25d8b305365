/* The rows of a shard in one process: their attributes, and searches that find some of them alone. */
#include "check.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "base/random.h"
#include "filter/expression.h"
#include "shard/search.h"
#include "shard/training.h"

enum { DIM = 8, SEED = 815 };

static const char flat[] =
    "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"attributes\": {\"year\": \"int\", \"lang\": \"string\"}}";

static dfaiss_error_t error;
static team_t *team;

static shard_t *make_shard(const char *text) {
    shard_t *shard = NULL;
    index_config_t *config = NULL;
    assert_ok(index_config_parse(text, strlen(text), "test", &config, &error), error);
    assert_ok(shard_create("test", config, 1000, 0, team, &shard, &error), error);
    return shard;
}

/* n random vectors with ids from first_id on. */
static shard_batch_t make_batch(int64_t n, int64_t first_id) {
    shard_batch_t batch = {.n = n, .first_id = first_id, .element = ELEMENT_f32, .vector_bytes = (size_t)n * DIM * sizeof(float)};
    float *vectors = memory_map(batch.vector_bytes);
    assert_non_null(vectors);
    random_state_t random = random_stream(SEED, (uint64_t)first_id);
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i] = (float)(int64_t)random_below(&random, 50) - 25;
    batch.vectors = vectors;
    return batch;
}

/* As `year`, an attribute of its own, goes along with a batch: first, first + 1, ... */
static bytes_writer_t make_years(int64_t n, int64_t first, const char *name) {
    bytes_writer_t columns = {0};
    int64_t *years = malloc((size_t)n * sizeof *years);
    assert_non_null(years);
    for (int64_t i = 0; i < n; i++)
        years[i] = first + i;
    attribute_arrays_t arrays = {.name = name, .integers = years};
    assert_ok(attribute_given_encode(&arrays, 1, n, &columns, &error), error);
    free(years);
    return columns;
}

static void append_years(shard_t *shard, int64_t n, int64_t first) {
    shard_batch_t batch = make_batch(n, shard_rows(shard));
    bytes_writer_t columns = make_years(n, first, "year");
    assert_ok(shard_append(shard, &batch, columns.data, columns.size, &error), error);
    bytes_writer_destroy(&columns);
}

/* ---- attributes ---- */

static void refuse(shard_t *shard, shard_batch_t batch, const void *columns, size_t bytes, dfaiss_status_t status, const char *text) {
    int64_t rows = shard_rows(shard);
    size_t held = shard_bytes(shard).metadata;
    assert_fails(shard_append(shard, &batch, columns, bytes, &error), status, error, text);
    assert_int_equal(shard_rows(shard), rows);
    assert_true(shard_bytes(shard).metadata == held);
    shard_batch_clear(&batch);
}

static void test_attributes_are_all_or_nothing(void **state) {
    (void)state;
    shard_t *shard = make_shard(flat);
    append_years(shard, 10, 2000);
    bytes_writer_t columns = make_years(5, 2000, "yera");
    refuse(shard, make_batch(5, 10), columns.data, columns.size, DFAISS_ERR_ARG, "did you mean \"year\"?");
    bytes_writer_destroy(&columns);
    columns = make_years(5, 2000, "lang");
    refuse(shard, make_batch(5, 10), columns.data, columns.size, DFAISS_ERR_ARG, "lang");
    bytes_writer_destroy(&columns);
    columns = make_years(5, 2000, "year");
    refuse(shard, make_batch(5, 10), columns.data, columns.size - 1, DFAISS_ERR_PEER, "");
    refuse(shard, make_batch(6, 10), columns.data, columns.size, DFAISS_ERR_PEER, "");
    bytes_writer_destroy(&columns);
    append_years(shard, 10, 2010);
    assert_int_equal(shard_rows(shard), 20);
    shard_destroy(shard);
}

static void test_columns_need_attributes(void **state) {
    (void)state;
    shard_t *shard = make_shard("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}");
    bytes_writer_t columns = make_years(5, 2000, "year");
    refuse(shard, make_batch(5, 0), columns.data, columns.size, DFAISS_ERR_ARG, "declares no attributes");
    bytes_writer_destroy(&columns);
    shard_destroy(shard);
}

static void test_attributes_are_counted(void **state) {
    (void)state;
    enum { ROWS = 100000 };
    shard_t *shard = make_shard(flat);
    append_years(shard, ROWS, 0);
    size_t bytes = shard_bytes(shard).metadata;
    assert_true(bytes >= ROWS * (8 + 2) && bytes < ROWS * 20);
    shard_destroy(shard);
}

static void test_snapshot_holds_attributes(void **state) {
    (void)state;
    shard_t *shard = make_shard(flat);
    shard_snapshot_t snapshot;
    append_years(shard, 10, 2000);
    assert_ok(shard_snapshot(shard, &snapshot, &error), error);
    append_years(shard, 10, 2010);
    assert_int_equal(attribute_columns_rows(snapshot.attributes), 10);
    assert_int_equal(snapshot.batch_count, 1);
    shard_snapshot_clear(&snapshot);
    shard_destroy(shard);
}

/* ---- filters ---- */

typedef struct kind {
    const char *config;
    bool trains;
    bool exact; /* finds the nearest, not some that are near */
} kind_t;

#define ATTRIBUTES "\"dim\": 8, \"metric\": \"l2\", \"nprobe\": 8, \"attributes\": {\"year\": \"int\", \"lang\": \"string\"}"

static const kind_t kinds[] = {
    {"{\"index_builder_type\": \"flat\", " ATTRIBUTES "}", false, true},
    {"{\"index_builder_type\": \"flat\", \"segment_rows\": 1024, " ATTRIBUTES "}", false, true},
    {"{\"index_builder_type\": \"ivf_simple\", \"centroids\": 8, " ATTRIBUTES "}", true, true},
    {"{\"index_builder_type\": \"hnswsq\", \"store_n\": 8, \"segment_rows\": 1024, " ATTRIBUTES "}", true, false},
    {"{\"faiss_factory\": \"IVF8,PQ4x4fs\", " ATTRIBUTES "}", true, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void train(shard_t *shard) {
    enum { SAMPLE = 1000 };
    shard_batch_t batch = make_batch(SAMPLE, 1 << 20);
    assert_ok(shard_sample(shard, ELEMENT_f32, SAMPLE, batch.vectors, batch.vector_bytes, &error), error);
    training_t *training = NULL;
    assert_ok(training_create(shard, shard_rows(shard), 1, &training, &error), error);
    assert_ok(training_work(training, &error), error);
    assert_ok(shard_install(shard, training_take(training), &error), error);
    training_destroy(training);
    assert_true(shard_advance(shard, INT64_MAX));
}

/* One piece of the builder's work; false: there was none. */
static bool build_once(shard_t *shard) {
    bool work = false;
    assert_ok(shard_build_prepare(shard, &work, &error), error);
    if (!work)
        return false;
    dfaiss_status_t status = shard_build_work(shard, &error);
    assert_ok(status, error);
    shard_build_done(shard, status);
    return true;
}

static void build_all(shard_t *shard) {
    shard_flush(shard);
    while (build_once(shard)) {
        while (shard_changing(shard))
            (void)shard_advance(shard, INT64_MAX);
    }
}

static topk_t make_hits(int64_t k) {
    size_t bytes = 0;
    assert_true(topk_bytes(1, k, &bytes));
    void *block = malloc(bytes);
    assert_non_null(block);
    return topk_view(block, 1, k);
}

/* In the shortest slices, with links in between. */
static void search_in_steps(shard_t *shard, const shard_question_t *question, topk_t *hits) {
    shard_search_t *search = NULL;
    bool done = false;
    assert_ok(shard_search_create(shard, question, &search, &error), error);
    while (!done) {
        (void)shard_advance(shard, INT64_MAX);
        assert_ok(shard_search_step(search, 0, &done, &error), error);
    }
    shard_search_result(search, hits);
    shard_search_destroy(search);
}

/* What append_years gives to row r, whose id is r too, where the first one has year 2000. */
static int64_t year_of(int64_t id) {
    return 2000 + id;
}

static double distance(const float *query, int64_t id, int64_t batch) {
    shard_batch_t made = make_batch(batch, id / batch * batch);
    const float *vector = (const float *)made.vectors + id % batch * DIM;
    double sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += (double)(query[i] - vector[i]) * (double)(query[i] - vector[i]);
    shard_batch_clear(&made);
    return sum;
}

/* Years from `from` to `to` of a shard with as many rows, which came in batches of `batch`: hits match, are ordered and as many as there can be, and
 * where the kind is exact no other is nearer. */
static void check_years(shard_t *shard, int64_t batch, int64_t from, int64_t to, int64_t k, bool exact) {
    char filter[64];
    float query[DIM] = {1, -2, 3};
    topk_t hits = make_hits(k);
    int length = snprintf(filter, sizeof filter, "year >= %lld and year <= %lld", (long long)from, (long long)to);
    shard_question_t question = {.nq = 1, .dim = DIM, .queries = query, .k = k, .filter = filter, .filter_size = (size_t)length};
    search_in_steps(shard, &question, &hits);
    int64_t last = to < year_of(shard_rows(shard) - 1) ? to : year_of(shard_rows(shard) - 1), matching = last < from ? 0 : last - from + 1, found = 0;
    while (found < k && hits.ids[found] >= 0)
        found++;
    assert_int_equal(found, matching < k ? matching : k);
    for (int64_t i = 0; i < found; i++) {
        assert_in_range(year_of(hits.ids[i]), from, to);
        assert_true(i == 0 || hits.scores[i] >= hits.scores[i - 1]);
    }
    int64_t nearer = 0;
    for (int64_t year = from; exact && found > 0 && year <= last; year++)
        nearer += distance(query, year - 2000, batch) < (double)hits.scores[found - 1];
    assert_true(nearer < k);
    free(hits.ids);
}

static void check_ranges(shard_t *shard, int64_t batch, bool exact) {
    check_years(shard, batch, 2000, 9000, 10, exact);
    check_years(shard, batch, 2100, 2119, 10, exact);
    check_years(shard, batch, 2100, 2106, 10, exact);
    check_years(shard, batch, 3500, 9000, 10, exact);
    check_years(shard, batch, 9000, 9999, 10, exact);
}

/* Waiting, indexed in part, indexed, and with more that waits. */
static void test_filters_find_what_matches(void **state) {
    (void)state;
    enum { BATCH = 500, ROWS = 3000 };
    for (int kind = 0; kind < KINDS; kind++) {
        shard_t *shard = make_shard(kinds[kind].config);
        print_message("%s\n", kinds[kind].config);
        for (int64_t row = 0; row < ROWS; row += BATCH)
            append_years(shard, BATCH, year_of(row));
        check_ranges(shard, BATCH, true);
        if (kinds[kind].trains)
            train(shard);
        check_ranges(shard, BATCH, true);
        (void)build_once(shard);
        check_ranges(shard, BATCH, kinds[kind].exact);
        build_all(shard);
        check_ranges(shard, BATCH, kinds[kind].exact);
        append_years(shard, BATCH, year_of(ROWS));
        check_ranges(shard, BATCH, kinds[kind].exact);
        shard_destroy(shard);
    }
}

/* The rows that match are looked up again for those alone that came since, and the filters of long ago are forgotten. */
static void test_filters_are_kept(void **state) {
    (void)state;
    enum { ROWS = 70000 };
    shard_t *shard = make_shard(flat);
    for (int64_t row = 0; row < ROWS; row += 1000)
        append_years(shard, 1000, year_of(row));
    for (int64_t i = 0; i < 20; i++) {
        check_years(shard, 1000, year_of(i * 3500), year_of(i * 3500 + 4), 10, true);
        append_years(shard, 1000, year_of(ROWS + i * 1000));
        check_years(shard, 1000, year_of(i * 3500), year_of(i * 3500 + 4), 10, true);
        check_years(shard, 1000, year_of(ROWS + i * 1000 - 2), year_of(ROWS + 100000), 10, false);
        check_years(shard, 1000, year_of(ROWS + i * 1000 + 995), year_of(ROWS + 100000), 10, false);
    }
    shard_destroy(shard);
}

/* A search that began keeps its filter and what matched, whatever is asked and appended meanwhile. */
static void test_searches_with_filters_meet(void **state) {
    (void)state;
    enum { SEARCHES = 12 };
    shard_t *shard = make_shard(flat);
    shard_search_t *searches[SEARCHES];
    float query[DIM] = {0};
    append_years(shard, 5000, year_of(0));
    for (int i = 0; i < SEARCHES; i++) {
        char filter[64];
        bool done;
        int length = snprintf(filter, sizeof filter, "year == %lld", (long long)year_of(i));
        shard_question_t question = {.nq = 1, .dim = DIM, .queries = query, .k = 2, .filter = filter, .filter_size = (size_t)length};
        assert_ok(shard_search_create(shard, &question, &searches[i], &error), error);
        assert_ok(shard_search_step(searches[i], 0, &done, &error), error);
        append_years(shard, 100000, year_of(shard_rows(shard)));
    }
    topk_t hits = make_hits(2);
    for (int i = 0; i < SEARCHES; i++) {
        bool done = false;
        while (!done)
            assert_ok(shard_search_step(searches[i], 0, &done, &error), error);
        shard_search_result(searches[i], &hits);
        assert_int_equal(hits.ids[0], i);
        assert_int_equal(hits.ids[1], -1);
        shard_search_destroy(searches[i]);
    }
    free(hits.ids);
    shard_destroy(shard);
}

static void test_wrong_filters_are_refused(void **state) {
    (void)state;
    shard_t *shard = make_shard(flat);
    append_years(shard, 10, 2000);
    assert_fails(shard_check_filter(shard, "yaer == 1", 9, &error), DFAISS_ERR_ARG, error, "did you mean \"year\"?");
    assert_fails(shard_check_filter(shard, "year = 1", 8, &error), DFAISS_ERR_ARG, error, "character 6");
    assert_ok(shard_check_filter(shard, "year == 1", 9, &error), error);
    float query[DIM] = {0};
    shard_search_t *search = NULL;
    shard_question_t question = {.nq = 1, .dim = DIM, .queries = query, .k = 1, .filter = "year", .filter_size = 4};
    assert_fails(shard_search_create(shard, &question, &search, &error), DFAISS_ERR_ARG, error, "year");
    shard_destroy(shard);
    shard = make_shard("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}");
    assert_fails(shard_check_filter(shard, "year == 1", 9, &error), DFAISS_ERR_ARG, error, "declares no attributes");
    shard_destroy(shard);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes_are_all_or_nothing), cmocka_unit_test(test_columns_need_attributes),
        cmocka_unit_test(test_attributes_are_counted),        cmocka_unit_test(test_snapshot_holds_attributes),
        cmocka_unit_test(test_filters_find_what_matches),     cmocka_unit_test(test_filters_are_kept),
        cmocka_unit_test(test_searches_with_filters_meet),    cmocka_unit_test(test_wrong_filters_are_refused),
    };
    if (team_create(2, &team, &error) != DFAISS_OK)
        return 1;
    printf("seed %d\n", SEED);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    team_destroy(team);
    return failures;
}
