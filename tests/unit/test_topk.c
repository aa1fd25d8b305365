/* The merge of answers against a naive one: sort all hits, keep each id once. */
#include "check.h"

#include <stdbool.h>

#include "base/random.h"
#include "transport/topk.h"

enum { ID_STRIDE = 1000003 };

typedef struct hit {
    int64_t id, row;
    float score;
    int32_t server;
} hit_t;

static topk_t make(int64_t nq, int64_t k) {
    size_t bytes;
    assert_true(topk_bytes(nq, k, &bytes));
    void *block = malloc(bytes ? bytes : 1);
    assert_non_null(block);
    topk_t hits = topk_view(block, nq, k);
    topk_clear(&hits);
    return hits;
}

static bool larger_first;

static int compare(const void *left, const void *right) {
    const hit_t *a = left, *b = right;
    if (a->score != b->score)
        return (a->score < b->score) == !larger_first ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static hit_t hit_at(const topk_t *hits, int64_t i) {
    return (hit_t){.id = hits->ids[i], .row = hits->rows[i], .score = hits->scores[i], .server = hits->servers[i]};
}

static void put(topk_t *hits, int64_t i, const hit_t *hit) {
    hits->ids[i] = hit->id;
    hits->rows[i] = hit->row;
    hits->scores[i] = hit->score;
    hits->servers[i] = hit->server;
}

/* What the merge should leave of one query. */
static void merge_naively(const topk_t *a, const topk_t *b, int64_t query, hit_t *expected) {
    int64_t k = a->k, count = 0, kept = 0;
    hit_t *all = calloc((size_t)(2 * k), sizeof *all);
    assert_non_null(all);
    for (int64_t i = query * k; i < (query + 1) * k; i++) {
        if (a->ids[i] >= 0)
            all[count++] = hit_at(a, i);
        if (b->ids[i] >= 0)
            all[count++] = hit_at(b, i);
    }
    qsort(all, (size_t)count, sizeof *all, compare);
    for (int64_t i = 0; i < count && kept < k; i++) {
        bool seen = false;
        for (int64_t j = 0; j < kept; j++)
            seen = seen || expected[j].id == all[i].id;
        if (!seen)
            expected[kept++] = all[i];
    }
    while (kept < k)
        expected[kept++] = (hit_t){.id = -1};
    free(all);
}

/* k hits at most for each query, of `ids` different ids and with `scores` different scores; an id once in a query. */
static void fill(topk_t *hits, random_state_t *random, int32_t server, uint64_t ids, uint64_t scores) {
    int64_t *chosen = calloc((size_t)hits->k, sizeof *chosen);
    hit_t *sorted = calloc((size_t)hits->k, sizeof *sorted);
    assert_true(chosen && sorted);
    for (int64_t query = 0; query < hits->nq; query++) {
        uint64_t most = ids < (uint64_t)hits->k ? ids : (uint64_t)hits->k;
        int64_t count = random_below(random, 3) ? (int64_t)most : (int64_t)random_below(random, most + 1);
        random_sample(random, (int64_t)ids, count, chosen);
        for (int64_t i = 0; i < count; i++)
            sorted[i] = (hit_t){chosen[i] * ID_STRIDE, (int64_t)random_below(random, 1000), (float)random_below(random, scores), server};
        qsort(sorted, (size_t)count, sizeof *sorted, compare);
        for (int64_t i = 0; i < count; i++)
            put(hits, query * hits->k + i, &sorted[i]);
    }
    free(chosen);
    free(sorted);
}

static void check_merge(int64_t nq, int64_t k, uint64_t ids, uint64_t scores, bool larger, random_state_t *random) {
    larger_first = larger;
    topk_t a = make(nq, k), b = make(nq, k), scratch = make(1, k);
    fill(&a, random, 1, ids, scores);
    fill(&b, random, 2, ids, scores);
    hit_t *expected = calloc((size_t)(nq * k), sizeof *expected);
    assert_non_null(expected);
    for (int64_t query = 0; query < nq; query++)
        merge_naively(&a, &b, query, expected + query * k);
    topk_merge(&a, &b, larger, scratch.ids);
    for (int64_t i = 0; i < nq * k; i++) {
        assert_int_equal(a.ids[i], expected[i].id);
        if (expected[i].id >= 0)
            assert_true(a.scores[i] == expected[i].score);
    }
    free(expected);
    free(a.ids);
    free(b.ids);
    free(scratch.ids);
}

static void merges_as_sorting_would(void **state) {
    (void)state;
    random_state_t random = random_stream(11, 0);
    static const int64_t ks[] = {1, 2, 3, 10, 17, 64, 100, 129};
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++)
        for (int round = 0; round < 40; round++) {
            uint64_t ids = (uint64_t)ks[i] * (round % 4 == 0 ? 1 : round % 4 == 1 ? 3 : 100);
            uint64_t scores = round % 3 == 0 ? 3 : 100000;
            check_merge(5, ks[i], ids, scores, round % 2 == 0, &random);
        }
}

static void keeps_the_better_one_of_an_id_with_its_row_and_server(void **state) {
    (void)state;
    topk_t a = make(1, 3), b = make(1, 3), scratch = make(1, 3);
    put(&a, 0, &(hit_t){7, 70, 1.0f, 1});
    put(&a, 1, &(hit_t){5, 50, 4.0f, 1});
    put(&a, 2, &(hit_t){9, 90, 5.0f, 1});
    put(&b, 0, &(hit_t){5, 51, 2.0f, 2});
    put(&b, 1, &(hit_t){7, 71, 3.0f, 2});
    put(&b, 2, &(hit_t){8, 81, 6.0f, 2});
    topk_merge(&a, &b, false, scratch.ids);
    static const hit_t expected[] = {{7, 70, 1.0f, 1}, {5, 51, 2.0f, 2}, {9, 90, 5.0f, 1}};
    for (int64_t i = 0; i < 3; i++) {
        hit_t hit = hit_at(&a, i);
        assert_int_equal(hit.id, expected[i].id);
        assert_int_equal(hit.row, expected[i].row);
        assert_int_equal(hit.server, expected[i].server);
        assert_true(hit.score == expected[i].score);
    }
    free(a.ids);
    free(b.ids);
    free(scratch.ids);
}

static void moves_row_and_server_with_the_id(void **state) {
    (void)state;
    topk_t a = make(1, 4), b = make(1, 4), scratch = make(1, 4);
    for (int64_t i = 0; i < 4; i++) {
        put(&a, i, &(hit_t){10 + i, 100 + i, (float)(8 - 2 * i), 1});
        put(&b, i, &(hit_t){20 + i, 200 + i, (float)(7 - 2 * i), 2});
    }
    topk_merge(&a, &b, true, scratch.ids);
    static const int64_t ids[] = {10, 20, 11, 21};
    for (int64_t i = 0; i < 4; i++) {
        assert_int_equal(a.ids[i], ids[i]);
        assert_int_equal(a.rows[i], ids[i] * 10 - (ids[i] % 10) * 9);
        assert_int_equal(a.servers[i], ids[i] / 10);
        assert_true(a.scores[i] == (float)(8 - i));
    }
    free(a.ids);
    free(b.ids);
    free(scratch.ids);
}

static void an_empty_answer_changes_nothing(void **state) {
    (void)state;
    topk_t a = make(2, 2), empty = make(2, 2), scratch = make(1, 2);
    put(&a, 0, &(hit_t){3, 30, 0.5f, 1});
    topk_merge(&a, &empty, false, scratch.ids);
    assert_int_equal(a.ids[0], 3);
    assert_int_equal(a.ids[1], -1);
    assert_int_equal(a.ids[2], -1);
    topk_merge(&empty, &a, false, scratch.ids);
    assert_memory_equal(empty.ids, a.ids, 4 * sizeof *a.ids);
    assert_int_equal(empty.rows[0], 30);
    topk_t none = make(0, 5);
    topk_merge(&none, &none, false, scratch.ids);
    free(none.ids);
    free(a.ids);
    free(empty.ids);
    free(scratch.ids);
}

static void lays_out_one_block(void **state) {
    (void)state;
    size_t bytes = 0;
    assert_true(topk_bytes(3, 7, &bytes));
    assert_int_equal(bytes, 3 * 7 * 24);
    int64_t block[3 * 7 * 3];
    topk_t view = topk_view(block, 3, 7);
    assert_ptr_equal(view.ids, block);
    assert_ptr_equal(view.servers + 3 * 7, (char *)block + bytes);
    assert_true(topk_bytes(0, 7, &bytes));
    assert_int_equal(bytes, 0);
    assert_false(topk_bytes(INT64_MAX, 2, &bytes));
    assert_false(topk_bytes(INT64_MAX / 8, 2, &bytes));
    assert_false(topk_bytes(-1, 2, &bytes));
    assert_false(topk_bytes(2, -1, &bytes));
}

static void keeps_the_first_hits_of_each_query(void **state) {
    (void)state;
    random_state_t random = random_stream(12, 0);
    topk_t hits = make(4, 7), before = make(4, 7);
    size_t bytes;
    fill(&hits, &random, 3, 100, 50);
    assert_true(topk_bytes(4, 7, &bytes));
    memcpy(before.ids, hits.ids, bytes);
    topk_cut(&hits, 5);
    assert_int_equal(hits.k, 5);
    assert_ptr_equal(hits.rows, hits.ids + 20);
    for (int64_t i = 0; i < 20; i++) {
        hit_t cut = hit_at(&hits, i), whole = hit_at(&before, i / 5 * 7 + i % 5);
        assert_memory_equal(&cut, &whole, sizeof cut);
    }
    free(hits.ids);
    free(before.ids);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_as_sorting_would),
        cmocka_unit_test(keeps_the_better_one_of_an_id_with_its_row_and_server),
        cmocka_unit_test(moves_row_and_server_with_the_id),
        cmocka_unit_test(an_empty_answer_changes_nothing),
        cmocka_unit_test(lays_out_one_block),
        cmocka_unit_test(keeps_the_first_hits_of_each_query),
    };
    return cmocka_run_group_tests_name("topk", tests, NULL, NULL);
}
