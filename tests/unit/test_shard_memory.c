/* What a shard does when memory runs out while rows go: every allocation fails once, and nothing is lost, or there twice. */
#include "test_shard_rows.h"

#include "shard/removal.h"

enum { BATCH = 400, ROWS = 1600, GONE = 100 };

/* Allocations that still succeed; -1: all do. The linker sends those of the program here, those of shared libraries not. */
static int64_t allocations_left = -1, failures;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

static bool refused(void) {
    if (allocations_left > 0) {
        allocations_left--;
        return false;
    }
    failures += allocations_left == 0;
    return allocations_left == 0;
}

void *__wrap_malloc(size_t size) {
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size) {
    return refused() ? NULL : __real_realloc(block, size);
}

static shard_t *make_filled(const kind_t *kind) {
    shard_t *shard = make_shard(kind->config);
    while (shard_rows(shard) < ROWS)
        append_years(shard, BATCH, year_of(shard_rows(shard)));
    if (kind->trains)
        train(shard);
    build_all(shard);
    return shard;
}

/* Every 16th row, from `first` on. */
static void ids_from(int64_t first, int64_t *ids) {
    for (int64_t i = 0; i < GONE; i++)
        ids[i] = first + 16 * i;
}

static int64_t count_hits(shard_t *shard) {
    const float query[DIM] = {0};
    int64_t found = 0;
    topk_t hits = make_hits(ROWS);
    search_in_steps(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = ROWS}, &hits);
    while (found < ROWS && hits.ids[found] >= 0)
        assert_true(shard_lives(shard, hits.rows[found++]));
    free(hits.ids);
    return found;
}

static dfaiss_status_t finish(shard_removal_t *removal) {
    dfaiss_status_t status = DFAISS_OK;
    bool done = false;
    while (status == DFAISS_OK && !done)
        status = shard_removal_step(removal, INT64_MAX, &done, &error);
    return status;
}

/* With a search under way that shares the bits of rows, so that they must be copied. */
static shard_search_t *begin_search(shard_t *shard) {
    static const float query[DIM];
    shard_search_t *search = NULL;
    bool done;
    assert_ok(shard_search_create(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = 1}, &search, &error), error);
    assert_ok(shard_search_step(search, 0, &done, &error), error);
    return search;
}

/* What has gone has gone, and is counted; the rest can go later. */
static void test_removals(void **state) {
    (void)state;
    int64_t ids[GONE], removed = 0, failures_before = failures;
    shard_t *shard = make_filled(&kinds[0]);
    ids_from(0, ids);
    for (int64_t allocations = 0, more = true; more; allocations++) {
        shard_removal_t *removal = NULL;
        shard_search_t *search = begin_search(shard);
        allocations_left = allocations;
        dfaiss_status_t status = shard_removal_by_ids(shard, GONE, ids, &removal, &error);
        if (status == DFAISS_OK)
            status = finish(removal);
        allocations_left = -1;
        more = status != DFAISS_OK;
        assert_true(!more || status == DFAISS_ERR_MEMORY);
        removed += removal ? shard_removal_count(removal) : 0;
        shard_removal_destroy(removal);
        shard_search_destroy(search);
        assert_int_equal(shard_living(shard), ROWS - removed);
        assert_int_equal(count_hits(shard), ROWS - removed);
    }
    assert_int_equal(removed, GONE);
    assert_true(failures > failures_before + 2);
    shard_destroy(shard);
}

/* An update reserves what it takes, and then its rows go without any memory. */
static void test_updates(void **state) {
    (void)state;
    int64_t ids[GONE], failures_before = failures;
    for (int before = 0; before < 2; before++) {
        shard_t *shard = make_filled(&kinds[0]);
        shard_removal_t *removal = NULL;
        bool done = false;
        for (int i = 0; i < before; i++) {
            ids_from(5, ids);
            assert_ok(shard_removal_by_ids(shard, GONE, ids, &removal, &error), error);
            assert_ok(finish(removal), error);
            shard_removal_destroy(removal);
        }
        ids_from(0, ids);
        shard_search_t *search = begin_search(shard);
        assert_ok(shard_removal_by_ids(shard, GONE, ids, &removal, &error), error);
        shard_removal_replace(removal);
        assert_ok(shard_removal_find(removal, INT64_MAX, &done, &error), error);
        shard_hold_searches(shard, true);
        for (int64_t allocations = 0; shard_living(shard) > 0; allocations++) {
            allocations_left = allocations;
            dfaiss_status_t status = shard_removal_reserve(removal, INT64_MAX, &done, &error);
            allocations_left = -1;
            assert_int_equal(shard_living(shard), ROWS - before * GONE);
            if (status == DFAISS_OK)
                break;
            assert_int_equal(status, DFAISS_ERR_MEMORY);
            shard_removal_destroy(removal);
            assert_ok(shard_removal_by_ids(shard, GONE, ids, &removal, &error), error);
            shard_removal_replace(removal);
            assert_ok(shard_removal_find(removal, INT64_MAX, &done, &error), error);
        }
        assert_true(done);
        allocations_left = 0;
        dfaiss_status_t status = finish(removal);
        shard_removal_hide(removal, 1);
        allocations_left = -1;
        assert_ok(status, error);
        shard_hold_searches(shard, false);
        shard_removal_destroy(removal);
        shard_search_destroy(search);
        assert_int_equal(shard_living(shard), ROWS - (before + 1) * GONE);
        shard_settle_update(shard, 1);
        shard_set_keep_replaced(shard, 0);
        build_all(shard);
        shard_destroy(shard);
    }
    assert_true(failures > failures_before + 4);
}

static void test_searches(void **state) {
    (void)state;
    static const float query[DIM];
    static const char filter[] = "year >= 2100";
    int64_t ids[GONE], failures_before = failures;
    shard_t *shard = make_filled(&kinds[0]);
    shard_removal_t *removal = NULL;
    ids_from(0, ids);
    assert_ok(shard_removal_by_ids(shard, GONE, ids, &removal, &error), error);
    shard_removal_replace(removal);
    assert_ok(finish(removal), error);
    shard_removal_hide(removal, 7);
    shard_removal_destroy(removal);
    /* Searches that know of the update, and others. */
    for (uint64_t updates = 6; updates < 8; updates++) {
        bool ended = false;
        for (int64_t allocations = 0; !ended; allocations++) {
            shard_search_t *search = NULL;
            shard_question_t question = {
                .nq = 1, .dim = DIM, .queries = query, .k = ROWS, .updates = updates, .filter = filter, .filter_size = sizeof filter - 1};
            allocations_left = allocations;
            dfaiss_status_t status = shard_search_create(shard, &question, &search, &error);
            while (status == DFAISS_OK && !ended)
                status = shard_search_step(search, INT64_MAX, &ended, &error);
            allocations_left = -1;
            assert_true(status == DFAISS_OK || status == DFAISS_ERR_MEMORY);
            if (ended) {
                topk_t hits = make_hits(ROWS);
                shard_search_result(search, &hits);
                int64_t expected = ROWS - 100 - (updates < 7 ? 0 : GONE - 7);
                assert_true(hits.ids[expected - 1] >= 0 && hits.ids[expected] == -1);
                free(hits.ids);
            }
            shard_search_destroy(search);
        }
    }
    assert_true(failures > failures_before + 10);
    shard_destroy(shard);
}

/* Memory of removed rows that cannot be given back now is given back later. */
static void test_compaction(void **state) {
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        int64_t left = ROWS / 2;
        shard_t *shard = make_filled(&kinds[kind]);
        int64_t *ids = malloc(ROWS * sizeof *ids);
        shard_removal_t *removal = NULL;
        for (int64_t i = 0; i < left; i++)
            ids[i] = 2 * i;
        assert_ok(shard_removal_by_ids(shard, left, ids, &removal, &error), error);
        assert_ok(finish(removal), error);
        shard_removal_destroy(removal);
        for (int64_t allocations = 0; allocations < 40; allocations++) {
            bool work = false;
            allocations_left = allocations;
            dfaiss_status_t status = shard_build_prepare(shard, &work, &error);
            if (work)
                status = shard_build_work(shard, &error);
            if (work)
                shard_build_done(shard, status);
            allocations_left = -1;
            while (shard_changing(shard))
                (void)shard_advance(shard, INT64_MAX);
            assert_int_equal(count_hits(shard), left);
        }
        append_years(shard, BATCH, year_of(ROWS));
        build_all(shard);
        assert_int_equal(shard_living(shard), left + BATCH);
        free(ids);
        shard_destroy(shard);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_removals),
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_searches),
        cmocka_unit_test(test_compaction),
    };
    return cmocka_run_group_tests(tests, set_up_team, tear_down_team);
}
