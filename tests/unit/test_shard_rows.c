/* The rows of a shard in one process: their attributes, and searches that find some of them alone. */
#include "test_shard_rows.h"

#include "filter/expression.h"

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
    return cmocka_run_group_tests(tests, set_up_team, tear_down_team);
}
