/* Rows that are removed from a shard in one process: whatever moment they go, later searches find the others and no others. */
#include "test_shard_rows.h"

#include "shard/removal.h"

enum { BATCH = 400, ROWS = 3200, MOST_ROWS = 8000 };

/* Which rows ought to be there; rows have their number as id. */
typedef struct expected {
    bool gone[MOST_ROWS];
    int64_t living;
} expected_t;

static void append(shard_t *shard, int64_t n, expected_t *expected) {
    append_years(shard, n, year_of(shard_rows(shard)));
    expected->living += n;
}

static void expect_gone(expected_t *expected, int64_t row) {
    expected->living -= !expected->gone[row];
    expected->gone[row] = true;
}

/* In the shortest slices, with links in between. */
static int64_t finish(shard_t *shard, shard_removal_t *removal) {
    bool done = false;
    while (!done) {
        assert_ok(shard_removal_step(removal, 0, &done, &error), error);
        (void)shard_advance(shard, INT64_MAX);
    }
    int64_t removed = shard_removal_count(removal);
    shard_removal_destroy(removal);
    return removed;
}

static int64_t remove_ids(shard_t *shard, int64_t n, const int64_t *ids) {
    shard_removal_t *removal = NULL;
    assert_ok(shard_removal_by_ids(shard, n, ids, &removal, &error), error);
    return finish(shard, removal);
}

/* Rows `first` and every `step`-th from there on, before `end`. */
static void remove_rows(shard_t *shard, int64_t first, int64_t end, int64_t step, expected_t *expected) {
    int64_t ids[MOST_ROWS], n = 0, before = expected->living;
    for (int64_t row = first; row < end; row += step) {
        ids[n++] = row;
        expect_gone(expected, row);
    }
    assert_int_equal(remove_ids(shard, n, ids), before - expected->living);
}

static void remove_years(shard_t *shard, const char *filter, int64_t first, int64_t end, expected_t *expected) {
    shard_removal_t *removal = NULL;
    int64_t before = expected->living;
    for (int64_t row = first; row < end; row++)
        expect_gone(expected, row);
    assert_ok(shard_removal_by_filter(shard, filter, strlen(filter), &removal, &error), error);
    assert_int_equal(finish(shard, removal), before - expected->living);
}

/* A search for as many as there are finds those that are there, each once. */
static void check(shard_t *shard, const expected_t *expected) {
    const float query[DIM] = {2, -1};
    int64_t k = shard_rows(shard), found = 0;
    bool seen[MOST_ROWS] = {false};
    topk_t hits = make_hits(k);
    assert_int_equal(shard_living(shard), expected->living);
    search_in_steps(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = k}, &hits);
    for (; found < k && hits.ids[found] >= 0; found++) {
        assert_in_range(hits.ids[found], 0, k - 1);
        assert_false(expected->gone[hits.ids[found]] || seen[hits.ids[found]]);
        assert_true(shard_lives(shard, hits.rows[found]));
        seen[hits.ids[found]] = true;
    }
    assert_int_equal(found, expected->living);
    free(hits.ids);
}

/* Before training, before indexing, half indexed, and indexed, by ids and by filters. */
static void test_every_kind(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        expected_t expected = {.living = 0};
        shard_t *shard = make_shard(kinds[kind].config);
        print_message("%s\n", kinds[kind].config);
        while (shard_rows(shard) < ROWS)
            append(shard, BATCH, &expected);
        remove_rows(shard, 5, ROWS, 7, &expected);
        check(shard, &expected);
        remove_years(shard, "year >= 2390 and year < 2810", 390, 810, &expected);
        check(shard, &expected);
        if (kinds[kind].trains)
            train(shard);
        (void)build_once(shard);
        remove_rows(shard, 0, ROWS, 5, &expected);
        check(shard, &expected);
        build_all(shard);
        check(shard, &expected);
        append(shard, BATCH, &expected);
        remove_years(shard, "year in (2001, 2002)", 1, 3, &expected);
        remove_rows(shard, ROWS + 100, ROWS + 200, 1, &expected);
        check(shard, &expected);
        remove_rows(shard, 0, shard_rows(shard), 1, &expected);
        check(shard, &expected);
        append(shard, BATCH, &expected);
        check(shard, &expected);
        shard_destroy(shard);
    }
}

static void test_what_is_not_there(void **state) {
    (void)state;
    expected_t expected = {.living = 0};
    shard_t *shard = make_shard(flat);
    const int64_t ids[] = {0, 399, 400, INT64_MAX - 1};
    assert_int_equal(remove_ids(shard, 4, ids), 0);
    append(shard, BATCH, &expected);
    assert_int_equal(remove_ids(shard, 0, NULL), 0);
    assert_int_equal(remove_ids(shard, 2, ids + 2), 0);
    remove_years(shard, "year > 9999", 0, 0, &expected);
    assert_int_equal(remove_ids(shard, 4, ids), 2);
    assert_int_equal(remove_ids(shard, 4, ids), 0);
    expect_gone(&expected, 0);
    expect_gone(&expected, 399);
    check(shard, &expected);
    shard_removal_t *removal = NULL;
    assert_fails(shard_removal_by_filter(shard, "yaer == 1", 9, &removal, &error), DFAISS_ERR_ARG, error, "yaer");
    shard_destroy(shard);
}

/* Ids in no order, some of them on two rows. */
static void test_own_ids(void **state) {
    (void)state;
    enum { N = 1000 };
    const int64_t asked[] = {3, 30, 999, 1000, 2997, 500000};
    shard_t *shard = make_shard(flat);
    for (int round = 0; round < 2; round++) {
        shard_batch_t batch = make_batch(N, round);
        batch.ids = malloc(N * sizeof *batch.ids);
        assert_non_null(batch.ids);
        for (int64_t i = 0; i < N; i++)
            batch.ids[i] = i * 7919 % N * (round ? 3 : 1);
        assert_ok(shard_append(shard, &batch, NULL, 0, &error), error);
    }
    /* 3, 30 and 999 are in both batches, 2997 in the second alone. */
    assert_int_equal(remove_ids(shard, 6, asked), 7);
    assert_int_equal(shard_living(shard), 2 * N - 7);
    for (int64_t row = 0; row < 2 * N; row++) {
        int64_t id = -1;
        const uint8_t *metadata;
        size_t size;
        assert_true(shard_row(shard, row, &id, &metadata, &size));
        assert_int_equal(shard_lives(shard, row), id != 3 && id != 30 && id != 999 && id != 2997);
    }
    shard_destroy(shard);
}

/* A search that has begun finds what was there then, however it is met by removals, appends and links. */
static void test_searches_keep_what_they_began_with(void **state) {
    (void)state;
    const float query[DIM] = {0};
    for (int indexed = 0; indexed < 2; indexed++) {
        expected_t expected = {.living = 0};
        shard_t *shard = make_shard(flat);
        while (shard_rows(shard) < ROWS)
            append(shard, BATCH, &expected);
        if (indexed)
            build_all(shard);
        remove_rows(shard, 0, ROWS, 10, &expected);
        int64_t living = expected.living;
        shard_search_t *search = NULL;
        bool done = false;
        topk_t hits = make_hits(ROWS);
        assert_ok(shard_search_create(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = ROWS}, &search, &error), error);
        assert_ok(shard_search_step(search, 0, &done, &error), error);
        assert_false(done);
        remove_rows(shard, 1, ROWS, 3, &expected);
        append(shard, BATCH, &expected);
        remove_rows(shard, 0, shard_rows(shard), 2, &expected);
        while (!done) {
            (void)shard_advance(shard, INT64_MAX);
            assert_ok(shard_search_step(search, 0, &done, &error), error);
        }
        shard_search_result(search, &hits);
        shard_search_destroy(search);
        for (int64_t i = 0; i < ROWS; i++)
            assert_true(i < living ? hits.ids[i] % 10 != 0 && hits.ids[i] < ROWS : hits.ids[i] == -1);
        check(shard, &expected);
        free(hits.ids);
        shard_destroy(shard);
    }
}

/* A filter that is kept does not bring back rows that went. */
static void test_filters_leave_out_what_went(void **state) {
    (void)state;
    const float query[DIM] = {0};
    const char filter[] = "year < 2010";
    expected_t expected = {.living = 0};
    shard_t *shard = make_shard(flat);
    shard_question_t question = {.nq = 1, .dim = DIM, .queries = query, .k = 10, .filter = filter, .filter_size = sizeof filter - 1};
    topk_t hits = make_hits(10);
    append(shard, BATCH, &expected);
    search_in_steps(shard, &question, &hits);
    assert_true(hits.ids[9] >= 0);
    remove_rows(shard, 0, 10, 2, &expected);
    search_in_steps(shard, &question, &hits);
    assert_true(hits.ids[4] >= 0 && hits.ids[5] == -1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(hits.ids[i] % 2, 1);
    remove_rows(shard, 0, 10, 1, &expected);
    search_in_steps(shard, &question, &hits);
    assert_int_equal(hits.ids[0], -1);
    free(hits.ids);
    shard_destroy(shard);
}

/* The rows that match and are there are put together in slices, of many rows at a time. */
static void test_filters_over_many_rows(void **state) {
    (void)state;
    enum { MANY = 150000, EACH = 15000, K = 2 * EACH };
    const float query[DIM] = {0};
    const char filter[] = "year in (2003, 67000, 140000) or year > 140000";
    shard_t *shard = make_shard(flat);
    const int64_t ids[] = {3, 138001, 140000, MANY - 1};
    topk_t hits = make_hits(K);
    while (shard_rows(shard) < MANY)
        append_years(shard, EACH, year_of(shard_rows(shard)));
    assert_int_equal(remove_ids(shard, 4, ids), 4);
    shard_question_t question = {.nq = 1, .dim = DIM, .queries = query, .k = K, .filter = filter, .filter_size = sizeof filter - 1};
    for (int indexed = 0; indexed < 2; indexed++) {
        int64_t found = 0;
        search_in_steps(shard, &question, &hits);
        for (; found < K && hits.ids[found] >= 0; found++)
            assert_true(hits.ids[found] == 65000 || (hits.ids[found] >= 138000 && hits.ids[found] < MANY - 1));
        assert_int_equal(found, 1 + MANY - 138000 - 3);
        build_all(shard);
    }
    free(hits.ids);
    shard_destroy(shard);
}

/* ---- updates ---- */

static int64_t count_hits(shard_t *shard, uint64_t updates, const char *filter) {
    const float query[DIM] = {0};
    int64_t k = shard_rows(shard), found = 0;
    topk_t hits = make_hits(k);
    shard_question_t question = {
        .nq = 1, .dim = DIM, .queries = query, .k = k, .updates = updates, .filter = filter, .filter_size = filter ? strlen(filter) : 0};
    search_in_steps(shard, &question, &hits);
    while (found < k && hits.ids[found] >= 0)
        found++;
    free(hits.ids);
    return found;
}

/* Hides the rows of ids 0 to 9 and of 390 to 399 but those from row `keep` on. */
static void hide(shard_t *shard, uint64_t number, int64_t keep) {
    int64_t ids[20];
    shard_removal_t *removal = NULL;
    bool done = false;
    for (int64_t i = 0; i < 20; i++)
        ids[i] = i < 10 ? i : 380 + i;
    assert_ok(shard_removal_by_ids(shard, 20, ids, &removal, &error), error);
    shard_removal_keep(removal, keep, shard_rows(shard) - keep);
    shard_removal_replace(removal);
    while (!done)
        assert_ok(shard_removal_find(removal, 0, &done, &error), error);
    for (done = false; !done;)
        assert_ok(shard_removal_step(removal, 0, &done, &error), error);
    shard_removal_hide(removal, number);
    shard_removal_destroy(removal);
}

/* A search that does not know of an update finds what it has hidden, until it is settled. */
static void test_hidden_rows(void **state) {
    (void)state;
    expected_t expected = {.living = 0};
    shard_t *shard = make_shard(flat);
    append(shard, BATCH, &expected);
    assert_int_equal(count_hits(shard, 0, NULL), BATCH);
    hide(shard, 7, shard_rows(shard));
    assert_int_equal(shard_living(shard), BATCH - 20);
    assert_int_equal(count_hits(shard, 6, NULL), BATCH);
    assert_int_equal(count_hits(shard, 7, NULL), BATCH - 20);
    assert_int_equal(count_hits(shard, 6, "year < 2012"), 12);
    assert_int_equal(count_hits(shard, 8, "year < 2012"), 2);
    assert_true(!shard_lives(shard, 3) && shard_tells(shard, 3) && shard_tells(shard, 30));
    append(shard, BATCH, &expected);
    assert_int_equal(count_hits(shard, 6, NULL), 2 * BATCH);
    build_all(shard);
    assert_int_equal(count_hits(shard, 6, NULL), 2 * BATCH);
    shard_settle_update(shard, 6);
    assert_int_equal(count_hits(shard, 6, NULL), 2 * BATCH);
    shard_settle_update(shard, 7);
    assert_int_equal(count_hits(shard, 6, NULL), 2 * BATCH - 20);
    assert_true(shard_tells(shard, 3) && !shard_tells(shard, 2 * BATCH));
    int64_t two = 2;
    assert_int_equal(remove_ids(shard, 1, &two), 0);
    shard_destroy(shard);
}

/* Nothing but hidden rows is there. */
static void test_all_rows_are_hidden(void **state) {
    (void)state;
    expected_t expected = {.living = 0};
    shard_t *shard = make_shard(flat);
    append(shard, BATCH, &expected);
    remove_rows(shard, 10, 390, 1, &expected);
    hide(shard, 7, shard_rows(shard));
    assert_int_equal(shard_living(shard), 0);
    assert_int_equal(count_hits(shard, 7, NULL), 0);
    assert_int_equal(count_hits(shard, 6, NULL), 20);
    shard_destroy(shard);
}

/* The rows that an update has brought have the ids of those that it hides. */
static void test_rows_that_are_kept(void **state) {
    (void)state;
    shard_t *shard = make_shard(flat);
    for (int i = 0; i < 3; i++) {
        shard_batch_t batch = make_batch(BATCH, 0);
        assert_ok(shard_append(shard, &batch, NULL, 0, &error), error);
    }
    hide(shard, 1, 2 * BATCH);
    assert_int_equal(shard_living(shard), 3 * BATCH - 2 * 20);
    assert_true(!shard_lives(shard, 5) && !shard_lives(shard, BATCH + 5) && shard_lives(shard, 2 * BATCH + 5));
    shard_destroy(shard);
}

/* A search that began before anything was ever removed finds the old vectors of an update, and not the new ones beside them when these are indexed.
 */
static void test_searches_find_old_or_new(void **state) {
    (void)state;
    const float query[DIM] = {0};
    for (int kind = 0; kind < KINDS; kind++) {
        expected_t expected = {.living = 0};
        shard_t *shard = make_shard(kinds[kind].config);
        shard_search_t *search = NULL;
        bool done = false, seen[ROWS] = {false};
        topk_t hits = make_hits(2 * ROWS);
        if (kinds[kind].trains)
            train(shard);
        while (shard_rows(shard) < ROWS)
            append(shard, BATCH, &expected);
        shard_flush(shard);
        assert_ok(shard_search_create(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = 2 * ROWS}, &search, &error), error);
        assert_ok(shard_search_step(search, 0, &done, &error), error);
        shard_batch_t batch = make_batch(BATCH, 0);
        assert_ok(shard_append(shard, &batch, NULL, 0, &error), error);
        hide(shard, 1, ROWS);
        shard_flush(shard);
        while (!done) {
            if (!shard_changing(shard))
                (void)build_once(shard);
            (void)shard_advance(shard, INT64_MAX);
            assert_ok(shard_search_step(search, 0, &done, &error), error);
        }
        shard_search_result(search, &hits);
        shard_search_destroy(search);
        for (int64_t i = 0; i < 2 * ROWS && hits.ids[i] >= 0; i++) {
            assert_false(seen[hits.ids[i]]);
            seen[hits.ids[i]] = true;
        }
        build_all(shard);
        assert_int_equal(count_hits(shard, 1, NULL), shard_living(shard));
        free(hits.ids);
        shard_destroy(shard);
    }
}

static void test_held_searches(void **state) {
    (void)state;
    const float query[DIM] = {0};
    expected_t expected = {.living = 0};
    shard_t *shard = make_shard(flat);
    shard_search_t *search = NULL;
    bool done = false;
    topk_t hits = make_hits(1);
    append(shard, BATCH, &expected);
    shard_hold_searches(shard, true);
    assert_ok(shard_search_create(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = 1}, &search, &error), error);
    for (int i = 0; i < 10; i++)
        assert_ok(shard_search_step(search, INT64_MAX, &done, &error), error);
    assert_false(done);
    remove_rows(shard, 0, BATCH - 1, 1, &expected);
    shard_hold_searches(shard, false);
    while (!done)
        assert_ok(shard_search_step(search, INT64_MAX, &done, &error), error);
    shard_search_result(search, &hits);
    assert_int_equal(hits.ids[0], BATCH - 1);
    shard_search_destroy(search);
    free(hits.ids);
    shard_destroy(shard);
}

/* ---- beside searches ---- */

static void test_training_draws_what_is_there(void **state) {
    (void)state;
    enum { N = 100 };
    expected_t expected = {.living = 0};
    float drawn[N * DIM];
    shard_t *shard = make_shard(kinds[2].config);
    while (shard_rows(shard) < ROWS)
        append(shard, BATCH, &expected);
    remove_rows(shard, 0, ROWS, 2, &expected);
    remove_rows(shard, 0, 1200, 1, &expected);
    assert_ok(shard_draw(shard, shard_living(shard), N, 0, 30, drawn, &error), error);
    assert_ok(shard_draw(shard, shard_living(shard), N, 30, N - 30, drawn + 30 * DIM, &error), error);
    int64_t next = 0;
    for (int64_t row = 0; row < ROWS && next < N; row++) {
        shard_batch_t batch = make_batch(BATCH, row / BATCH * BATCH);
        const float *vector = (const float *)batch.vectors + row % BATCH * DIM;
        next += !expected.gone[row] && memcmp(vector, drawn + next * DIM, DIM * sizeof *drawn) == 0;
        shard_batch_clear(&batch);
    }
    assert_int_equal(next, N);
    remove_rows(shard, 0, ROWS, 1, &expected);
    assert_fails(shard_draw(shard, 10, 1, 0, 1, drawn, &error), DFAISS_ERR_STATE, error, "has 0 vectors");
    shard_destroy(shard);
}

static void test_snapshots(void **state) {
    (void)state;
    expected_t expected = {.living = 0};
    shard_t *shard = make_shard(flat);
    shard_snapshot_t snapshot;
    append(shard, BATCH, &expected);
    assert_ok(shard_snapshot(shard, &snapshot, &error), error);
    assert_null(snapshot.living);
    assert_int_equal(shard_snapshot_living(&snapshot, 100), 300);
    shard_snapshot_clear(&snapshot);
    remove_rows(shard, 0, 200, 1, &expected);
    assert_ok(shard_snapshot(shard, &snapshot, &error), error);
    remove_rows(shard, 0, 300, 1, &expected);
    append(shard, BATCH, &expected);
    assert_int_equal(snapshot.living->rows, BATCH);
    assert_int_equal(shard_snapshot_living(&snapshot, 0), 200);
    assert_int_equal(shard_snapshot_living(&snapshot, 250), 150);
    shard_snapshot_clear(&snapshot);
    shard_destroy(shard);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_own_ids),
        cmocka_unit_test(test_searches_keep_what_they_began_with),
        cmocka_unit_test(test_filters_leave_out_what_went),
        cmocka_unit_test(test_filters_over_many_rows),
        cmocka_unit_test(test_hidden_rows),
        cmocka_unit_test(test_all_rows_are_hidden),
        cmocka_unit_test(test_rows_that_are_kept),
        cmocka_unit_test(test_searches_find_old_or_new),
        cmocka_unit_test(test_held_searches),
        cmocka_unit_test(test_training_draws_what_is_there),
        cmocka_unit_test(test_snapshots),
    };
    return cmocka_run_group_tests(tests, set_up_team, tear_down_team);
}
