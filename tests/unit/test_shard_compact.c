/* The memory of removed rows is given back, whatever moment that is, and nothing else changes. */
#include "test_shard_rows.h"

#include "shard/removal.h"

enum { BATCH = 400, ROWS = 4000, K = 10 };

/* Every row has as many bytes of metadata as its number has digits, and a hundred more. */
static void append(shard_t *shard, bool own_ids) {
    int64_t first = shard_rows(shard);
    shard_batch_t batch = make_batch(BATCH, first);
    batch.metadata_ends = malloc(BATCH * sizeof *batch.metadata_ends);
    batch.metadata = malloc(BATCH * 128);
    assert_true(batch.metadata_ends && batch.metadata);
    if (own_ids) {
        batch.ids = malloc(BATCH * sizeof *batch.ids);
        assert_non_null(batch.ids);
        for (int64_t i = 0; i < BATCH; i++)
            batch.ids[i] = first + i;
    }
    uint64_t end = 0;
    for (int64_t i = 0; i < BATCH; i++)
        batch.metadata_ends[i] = end += (uint64_t)snprintf((char *)batch.metadata + end, 128, "%0100d%lld", 0, (long long)(first + i));
    assert_ok(shard_append(shard, &batch, NULL, 0, &error), error);
}

static void check_metadata(const shard_t *shard, int64_t row) {
    char expected[128];
    int64_t id;
    const uint8_t *metadata;
    size_t size;
    assert_true(shard_row(shard, row, &id, &metadata, &size));
    assert_int_equal(id, row);
    assert_int_equal(size, snprintf(expected, sizeof expected, "%0100d%lld", 0, (long long)row));
    assert_memory_equal(metadata, expected, size);
}

typedef bool goes_t(int64_t row);

static bool odd(int64_t row) {
    return row % 2 == 1;
}

static bool first_half(int64_t row) {
    return row < ROWS / 2;
}

static bool one_in_sixteen(int64_t row) {
    return row % 16 == 0;
}

static bool all(int64_t row) {
    (void)row;
    return true;
}

static void remove_rows(shard_t *shard, goes_t *goes) {
    int64_t ids[2 * ROWS], n = 0;
    bool done = false;
    shard_removal_t *removal = NULL;
    for (int64_t row = 0; row < shard_rows(shard); row++) {
        if (goes(row))
            ids[n++] = row;
    }
    assert_ok(shard_removal_by_ids(shard, n, ids, &removal, &error), error);
    while (!done)
        assert_ok(shard_removal_step(removal, INT64_MAX, &done, &error), error);
    shard_removal_destroy(removal);
}

/* A search for all finds the rows that have not gone. */
static void check(shard_t *shard, goes_t *goes) {
    const float query[DIM] = {0};
    int64_t k = shard_rows(shard), found = 0, expected = 0;
    topk_t hits = make_hits(k);
    search_in_steps(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = k}, &hits);
    for (int64_t row = 0; row < k; row++)
        expected += !goes(row);
    while (found < k && hits.ids[found] >= 0) {
        assert_false(goes(hits.ids[found]));
        check_metadata(shard, hits.rows[found++]);
    }
    assert_int_equal(found, expected);
    free(hits.ids);
}

static bool none(int64_t row) {
    (void)row;
    return false;
}

/* A shard that is trained, indexed and searched once. */
static shard_t *make_filled(const kind_t *kind, bool own_ids) {
    shard_t *shard = make_shard(kind->config);
    while (shard_rows(shard) < ROWS)
        append(shard, own_ids);
    if (kind->trains)
        train(shard);
    build_all(shard);
    check(shard, none);
    return shard;
}

/* Rows whose memory can be given back at least where all of them go: not those of a segment that grows, and none of an opaque index. */
static int64_t rows_given_up(int kind) {
    static const int64_t most[KINDS] = {0, 3072, ROWS, ROWS, 0};
    return most[kind];
}

/* ---- what goes ---- */

static void check_kind(int kind, goes_t *goes, bool own_ids) {
    shard_t *shard = make_filled(&kinds[kind], own_ids);
    shard_bytes_t before = shard_bytes(shard);
    int64_t removed = 0, given_up = 0;
    print_message("%s\n", kinds[kind].config);
    for (int64_t row = 0; row < ROWS; row++) {
        removed += goes(row);
        given_up += goes(row) && row < rows_given_up(kind);
    }
    remove_rows(shard, goes);
    assert_int_equal(shard_removed(shard), removed);
    check(shard, goes);
    build_all(shard);
    shard_bytes_t after = shard_bytes(shard);
    check(shard, goes);
    assert_int_equal(shard_living(shard), ROWS - removed);
    assert_int_equal(shard_removed(shard), removed - given_up);
    assert_true(after.metadata < before.metadata * 7 / 10);
    assert_true(given_up > 0 ? after.index < before.index : after.index == before.index);
    assert_false(shard_changing(shard));
    assert_false(build_once(shard));
    /* It goes on as before. */
    append(shard, own_ids);
    check(shard, goes);
    shard_destroy(shard);
}

static bool odd_of_the_first(int64_t row) {
    return row < ROWS && row % 2 == 1;
}

static bool half_of_the_first(int64_t row) {
    return row < ROWS && first_half(row);
}

static void test_every_kind(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        check_kind(kind, odd_of_the_first, false);
        check_kind(kind, half_of_the_first, true);
    }
}

/* Too few to be worth the work, then enough. */
static void test_an_eighth(void **state) {
    (void)state;
    shard_t *shard = make_filled(&kinds[2], false);
    size_t metadata = shard_bytes(shard).metadata;
    remove_rows(shard, one_in_sixteen);
    assert_false(build_once(shard));
    assert_int_equal(shard_removed(shard), ROWS / 16);
    assert_true(shard_bytes(shard).metadata == metadata);
    check(shard, one_in_sixteen);
    remove_rows(shard, odd);
    build_all(shard);
    assert_int_equal(shard_removed(shard), 0);
    assert_true(shard_bytes(shard).metadata < metadata * 7 / 10);
    shard_destroy(shard);
}

/* What was not worth it while a segment grew is worth it when others have come. */
static void test_segments_that_grew(void **state) {
    (void)state;
    shard_t *shard = make_shard(kinds[1].config);
    append(shard, false);
    build_all(shard);
    remove_rows(shard, all);
    assert_true(build_once(shard)); /* its metadata */
    while (shard_changing(shard))
        (void)shard_advance(shard, INT64_MAX);
    assert_false(build_once(shard));
    assert_int_equal(shard_removed(shard), BATCH);
    while (shard_rows(shard) < 7 * BATCH)
        append(shard, false);
    build_all(shard);
    assert_int_equal(shard_removed(shard), 0);
    assert_int_equal(shard_living(shard), 6 * BATCH);
    shard_destroy(shard);
}

static void test_everything(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        shard_t *shard = make_filled(&kinds[kind], true);
        size_t metadata = shard_bytes(shard).metadata;
        remove_rows(shard, all);
        build_all(shard);
        check(shard, all);
        assert_int_equal(shard_living(shard), 0);
        assert_int_equal(shard_removed(shard), ROWS - rows_given_up(kind));
        assert_true(shard_bytes(shard).metadata < metadata / 4); /* of attributes */
        shard_destroy(shard);
    }
}

/* ---- when ---- */

static bool first_half_or_last(int64_t row) {
    return first_half(row) || row == ROWS - 1;
}

static bool last(int64_t row) {
    return row == ROWS - 1;
}

/* A search that began before rows went finds them still, although their memory is to be given back, which waits for it; later searches do not wait.
 * before: a row has gone before it begins, so that it has bits.
 */
static void check_older_search(shard_t *shard, bool before) {
    const float query[DIM] = {0};
    shard_search_t *older = NULL;
    bool done = false;
    topk_t hits = make_hits(2 * ROWS);
    shard_bytes_t bytes = shard_bytes(shard);
    goes_t *gone = before ? first_half_or_last : first_half;
    int64_t found = before ? ROWS - 1 : ROWS;
    if (before)
        remove_rows(shard, last);
    assert_ok(shard_search_create(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = 2 * ROWS}, &older, &error), error);
    assert_ok(shard_search_step(older, 0, &done, &error), error);
    assert_false(done);
    remove_rows(shard, first_half);
    assert_true(build_once(shard));
    assert_false(shard_advance(shard, INT64_MAX));
    assert_true(shard_compacting(shard));
    assert_true(shard_changing(shard) && !shard_indexing(shard));
    check(shard, gone);
    assert_true(shard_bytes(shard).metadata == bytes.metadata && shard_bytes(shard).buffered == bytes.buffered);
    while (!done)
        assert_ok(shard_search_step(older, 0, &done, &error), error);
    shard_search_result(older, &hits);
    shard_search_destroy(older);
    for (int64_t i = 0; i < 2 * ROWS; i++)
        assert_true(i < found ? hits.ids[i] >= 0 : hits.ids[i] == -1);
    free(hits.ids);
    while (shard_changing(shard))
        (void)shard_advance(shard, INT64_MAX);
    assert_true(shard_bytes(shard).metadata < bytes.metadata);
    check(shard, gone);
}

static void test_older_searches(void **state) {
    (void)state;
    for (int kind = 0; kind < 2 * KINDS; kind++) {
        shard_t *shard = make_filled(&kinds[kind / 2], true);
        check_older_search(shard, kind % 2);
        shard_destroy(shard);
    }
    shard_t *shard = make_shard(kinds[2].config);
    while (shard_rows(shard) < ROWS)
        append(shard, true);
    check_older_search(shard, true);
    assert_true(shard_bytes(shard).buffered == ROWS / 2 * DIM * sizeof(float));
    shard_destroy(shard);
}

static void replace_first_half(shard_t *shard) {
    int64_t ids[ROWS / 2];
    shard_removal_t *removal = NULL;
    bool done = false;
    for (int64_t i = 0; i < ROWS / 2; i++)
        ids[i] = i;
    assert_ok(shard_removal_by_ids(shard, ROWS / 2, ids, &removal, &error), error);
    shard_removal_replace(removal);
    while (!done)
        assert_ok(shard_removal_step(removal, INT64_MAX, &done, &error), error);
    shard_removal_hide(removal, 1);
    shard_removal_destroy(removal);
}

/* What an update has hidden is needed until it is settled, and then is kept for a while. */
static void test_replaced_rows_stay(void **state) {
    (void)state;
    shard_t *shard = make_filled(&kinds[2], true);
    shard_set_keep_replaced(shard, 0);
    replace_first_half(shard);
    assert_false(build_once(shard));
    check_metadata(shard, 5);
    shard_settle_update(shard, 1);
    shard_set_keep_replaced(shard, INT64_MAX);
    build_all(shard);
    assert_true(shard_tells(shard, 5) && !shard_lives(shard, 5));
    check_metadata(shard, 5);
    check(shard, first_half);
    assert_int_equal(shard_removed(shard), ROWS / 2);
    shard_set_keep_replaced(shard, 0);
    for (int i = 0; i < 10; i++)
        build_all(shard);
    assert_false(shard_tells(shard, 5));
    assert_int_equal(shard_removed(shard), 0);
    check(shard, first_half);
    shard_destroy(shard);
}

static void test_hidden_rows_stay(void **state) {
    (void)state;
    shard_t *shard = make_filled(&kinds[2], true);
    shard_set_keep_replaced(shard, 0);
    replace_first_half(shard);
    for (int i = 0; i < 10; i++)
        assert_false(build_once(shard));
    assert_int_equal(shard_removed(shard), ROWS / 2);
    shard_settle_update(shard, 1);
    build_all(shard);
    assert_int_equal(shard_removed(shard), 0);
    shard_destroy(shard);
}

/* Rows that are kept keep everything, although others around them go for good. */
static void test_kept_rows_among_others(void **state) {
    (void)state;
    for (int kind = 1; kind < 4; kind++) {
        int64_t ids[ROWS / 4];
        bool done = false, there = false;
        float vector[DIM];
        shard_removal_t *removal = NULL;
        shard_t *shard = make_filled(&kinds[kind], true);
        shard_set_keep_replaced(shard, INT64_MAX);
        for (int64_t i = 0; i < ROWS / 4; i++)
            ids[i] = 2 * i;
        assert_ok(shard_removal_by_ids(shard, ROWS / 4, ids, &removal, &error), error);
        shard_removal_replace(removal);
        while (!done)
            assert_ok(shard_removal_step(removal, INT64_MAX, &done, &error), error);
        shard_removal_destroy(removal);
        remove_rows(shard, odd);
        build_all(shard);
        assert_true(shard_removed(shard) < ROWS * 3 / 4);
        for (int64_t row = 0; row < ROWS / 2; row += 2) {
            assert_true(shard_tells(shard, row) && !shard_lives(shard, row));
            check_metadata(shard, row);
            assert_ok(shard_vector(shard, row, vector, &there, &error), error);
            assert_true(there);
        }
        shard_destroy(shard);
    }
}

/* More goes while the builder is at it: that is given back the next time. */
static void test_more_goes_meanwhile(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        shard_t *shard = make_filled(&kinds[kind], true);
        size_t metadata = shard_bytes(shard).metadata;
        remove_rows(shard, odd);
        assert_true(build_once(shard));
        remove_rows(shard, all);
        while (shard_changing(shard))
            (void)shard_advance(shard, INT64_MAX);
        check(shard, all);
        build_all(shard);
        assert_true(shard_bytes(shard).metadata < metadata / 4); /* of attributes */
        check(shard, all);
        shard_destroy(shard);
    }
}

/* While an update hides rows nobody else may come to share the bits. */
static void test_held_searches(void **state) {
    (void)state;
    shard_t *shard = make_filled(&kinds[2], true);
    remove_rows(shard, odd);
    shard_hold_searches(shard, true);
    assert_false(build_once(shard));
    shard_hold_searches(shard, false);
    build_all(shard);
    assert_int_equal(shard_removed(shard), 0);
    shard_destroy(shard);
}

/* ---- rows that wait ---- */

/* Vectors of batches of which nothing is left are given back before they are indexed, and their rows are indexed all the same. */
static void test_waiting_rows(void **state) {
    (void)state;
    for (int kind = 2; kind < KINDS; kind++) {
        shard_t *shard = make_shard(kinds[kind].config);
        while (shard_rows(shard) < ROWS)
            append(shard, true);
        size_t buffered = shard_bytes(shard).buffered;
        remove_rows(shard, first_half);
        build_all(shard);
        bool freed = kind == 2;
        assert_true(shard_bytes(shard).buffered == (freed ? buffered / 2 : buffered));
        check(shard, first_half);
        append(shard, true);
        train(shard);
        check(shard, first_half);
        build_all(shard);
        check(shard, first_half);
        assert_int_equal(shard_indexed(shard), ROWS + BATCH);
        assert_int_equal(shard_removed(shard), rows_given_up(kind) > 0 ? 0 : ROWS / 2);
        shard_destroy(shard);
    }
}

/* Batches of which nothing is left become one: an index whose vectors are replaced one by one does not grow with every call. */
static void test_batches_are_joined(void **state) {
    (void)state;
    enum { SMALL = 5000 };
    const float query[DIM] = {0};
    shard_t *shard = make_shard("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"segment_rows\": 1024}");
    shard_removal_t *removal = NULL;
    int64_t ids[SMALL];
    bool done = false;
    for (int64_t i = 0; i < SMALL; i++) {
        shard_batch_t batch = make_batch(1, i);
        assert_ok(shard_append(shard, &batch, NULL, 0, &error), error);
        ids[i] = i;
    }
    build_all(shard);
    size_t described = shard_bytes(shard).metadata;
    assert_ok(shard_removal_by_ids(shard, SMALL - 2, ids + 1, &removal, &error), error);
    for (int steps = 0; !done; steps++) {
        assert_ok(shard_removal_step(removal, 0, &done, &error), error);
        if (steps == 2)
            build_all(shard);
    }
    assert_int_equal(shard_removal_count(removal), SMALL - 2);
    shard_removal_destroy(removal);
    build_all(shard);
    assert_true(shard_bytes(shard).metadata < described / 4);
    append(shard, false);
    topk_t hits = make_hits(K);
    search_in_steps(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = K}, &hits);
    for (int i = 0; i < K; i++)
        assert_true(hits.ids[i] == 0 || hits.ids[i] >= SMALL - 1);
    for (int64_t row = SMALL; row < SMALL + BATCH; row += 7)
        check_metadata(shard, row);
    free(hits.ids);
    build_all(shard);
    assert_int_equal(shard_living(shard), 2 + BATCH);
    assert_true(shard_bytes(shard).buffered == 0);
    shard_destroy(shard);
}

/* A snapshot describes batches without vectors. */
static void test_snapshot_of_waiting_rows(void **state) {
    (void)state;
    shard_t *shard = make_shard(kinds[2].config);
    shard_snapshot_t snapshot;
    while (shard_rows(shard) < 2 * BATCH)
        append(shard, false);
    remove_rows(shard, first_half);
    build_all(shard);
    assert_ok(shard_snapshot(shard, &snapshot, &error), error);
    assert_null(snapshot.batches[0].vectors);
    assert_int_equal(snapshot.batches[0].removed, BATCH);
    shard_snapshot_clear(&snapshot);
    shard_destroy(shard);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),          cmocka_unit_test(test_an_eighth),
        cmocka_unit_test(test_segments_that_grew),  cmocka_unit_test(test_everything),
        cmocka_unit_test(test_older_searches),      cmocka_unit_test(test_replaced_rows_stay),
        cmocka_unit_test(test_hidden_rows_stay),    cmocka_unit_test(test_kept_rows_among_others),
        cmocka_unit_test(test_more_goes_meanwhile), cmocka_unit_test(test_held_searches),
        cmocka_unit_test(test_waiting_rows),        cmocka_unit_test(test_snapshot_of_waiting_rows),
        cmocka_unit_test(test_batches_are_joined),
    };
    return cmocka_run_group_tests(tests, set_up_team, tear_down_team);
}
