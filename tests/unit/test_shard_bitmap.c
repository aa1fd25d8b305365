/* Bitmaps that share blocks: each keeps its own bits, whoever else changes or extends them. */
#include "check.h"

#include "base/random.h"
#include "shard/bitmap.h"

enum { BLOCK = ENGINE_ROWS_A_BLOCK, MOST_ROWS = 5 * BLOCK, BITMAPS = 6, SEED = 4711 };

/* A bitmap, and what ought to be in it. */
typedef struct model {
    bitmap_t *bitmap;
    int64_t rows;
    bool *bits;
} model_t;

static int64_t count(const model_t *model, int64_t first, int64_t end) {
    int64_t count = 0;
    for (int64_t row = first; row < end; row++)
        count += model->bits[row];
    return count;
}

static void check(const model_t *model, random_state_t *random) {
    const uint64_t *const *blocks = bitmap_rows(model->bitmap);
    for (int i = 0; i < 200 && model->rows > 0; i++) {
        int64_t row = (int64_t)random_below(random, (uint64_t)model->rows);
        assert_int_equal(bitmap_get(model->bitmap, row), model->bits[row]);
        assert_int_equal(row_bits_get(blocks, row), model->bits[row]);
    }
    int64_t first = (int64_t)random_below(random, (uint64_t)model->rows + 1);
    int64_t end = first + (int64_t)random_below(random, (uint64_t)(model->rows - first) + 1);
    assert_int_equal(bitmap_count(model->bitmap, first, end), count(model, first, end));
    assert_int_equal(bitmap_count(model->bitmap, 0, model->rows), count(model, 0, model->rows));
    int64_t next = first;
    while (next < end && !model->bits[next])
        next++;
    assert_int_equal(bitmap_next_of_both(model->bitmap, NULL, first, end), next);
    int64_t from = first / 64 * 64, left = count(model, from, model->rows);
    if (left > 0) {
        int64_t number = (int64_t)random_below(random, (uint64_t)left), row = from;
        for (int64_t seen = model->bits[row]; seen <= number; seen += model->bits[row])
            row++;
        assert_int_equal(bitmap_select(model->bitmap, from, number), row);
    }
}

static model_t make(bitmap_t *bitmap, int64_t rows, const bool *bits, bool value) {
    model_t model = {.bitmap = bitmap, .rows = rows, .bits = malloc(MOST_ROWS)};
    assert_non_null(bitmap);
    assert_non_null(model.bits);
    for (int64_t row = 0; row < rows; row++)
        model.bits[row] = bits ? bits[row] : value;
    return model;
}

static void clear(model_t *model) {
    bitmap_release(model->bitmap);
    free(model->bits);
    *model = (model_t){0};
}

static int64_t any_rows(random_state_t *random) {
    static const int64_t some[] = {0, 1, 64, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK};
    enum { SOME = sizeof some / sizeof *some };
    uint64_t choice = random_below(random, 2 * SOME);
    return choice < SOME ? some[choice] : (int64_t)random_below(random, 3 * BLOCK);
}

static void change(model_t *model, random_state_t *random) {
    for (int i = 0; i < 100 && model->rows > 0; i++) {
        int64_t row = (int64_t)random_below(random, (uint64_t)model->rows);
        assert_true(bitmap_own(&model->bitmap, row));
        model->bits[row] = random_below(random, 2);
        bitmap_set(model->bitmap, row, model->bits[row]);
    }
}

static void extend(model_t *model, random_state_t *random) {
    int64_t more = any_rows(random), rows = model->rows + more < MOST_ROWS ? model->rows + more : MOST_ROWS;
    bool value = random_below(random, 2);
    assert_true(bitmap_reserve(&model->bitmap, rows));
    bitmap_extend(model->bitmap, rows, value);
    for (int64_t row = model->rows; row < rows; row++)
        model->bits[row] = value;
    model->rows = rows;
}

/* Only the newest of those that share blocks is extended, as by a shard. */
static void test_each_keeps_its_bits(void **state) {
    (void)state;
    random_state_t random = random_stream(SEED, 1);
    for (int round = 0; round < 20; round++) {
        bool value = round % 2, shared = round % 4 < 2;
        int64_t rows = any_rows(&random);
        model_t models[BITMAPS] = {make(shared ? bitmap_create_shared(rows, value) : bitmap_create(rows, value), rows, NULL, value)};
        for (int step = 0; step < 30; step++) {
            model_t *newest = &models[0], *other = &models[1 + random_below(&random, BITMAPS - 1)];
            uint64_t choice = random_below(&random, 6);
            if (choice == 0)
                extend(newest, &random);
            else if (choice < 3)
                change(newest, &random);
            else if (other->bitmap)
                choice == 3 ? clear(other) : change(other, &random);
            else if (choice == 3)
                *other = make(bitmap_copy(newest->bitmap), newest->rows, newest->bits, false);
            else if (choice == 4)
                *other = make(bitmap_snapshot(newest->bitmap), newest->rows, newest->bits, false);
            else
                *other = make(bitmap_share(newest->bitmap), newest->rows, newest->bits, false);
            for (int i = 0; i < BITMAPS; i++) {
                if (models[i].bitmap)
                    check(&models[i], &random);
            }
        }
        for (int i = 0; i < BITMAPS; i++)
            clear(&models[i]);
    }
}

static void test_two_bitmaps(void **state) {
    (void)state;
    random_state_t random = random_stream(SEED, 2);
    const int64_t rows = 2 * BLOCK + 100;
    model_t a = make(bitmap_create(rows, false), rows, NULL, false), b = make(bitmap_create_shared(rows, true), rows, NULL, true);
    model_t both = make(bitmap_create_empty(rows), rows, NULL, false), either = make(bitmap_snapshot(a.bitmap), rows, NULL, false);
    change(&a, &random);
    change(&b, &random);
    change(&either, &random);
    for (int64_t row = 0; row < rows; row++)
        both.bits[row] = a.bits[row] && b.bits[row];
    for (int64_t number = 0; number < bitmap_blocks(rows); number++)
        assert_true(bitmap_intersect(both.bitmap, a.bitmap, b.bitmap, number));
    check(&both, &random);
    for (int64_t row = 0; row < rows; row = bitmap_next_of_both(a.bitmap, b.bitmap, row, rows) + 1)
        assert_true(row == 0 || both.bits[row - 1]);
    for (int64_t row = 0; row < rows; row++)
        either.bits[row] |= a.bits[row];
    for (int64_t number = 0; number < bitmap_blocks(rows); number++)
        assert_true(bitmap_unite(&either.bitmap, a.bitmap, number));
    for (int i = 0; i < 20; i++) {
        check(&a, &random);
        check(&b, &random);
        check(&both, &random);
        check(&either, &random);
    }
    clear(&a);
    clear(&b);
    clear(&both);
    clear(&either);
}

/* A snapshot is for another thread: what is put behind its bits is not put into its blocks. */
static void test_snapshots_share_no_block_that_grows(void **state) {
    (void)state;
    bitmap_t *bitmap = bitmap_create_shared(BLOCK + 100, true);
    assert_non_null(bitmap);
    bitmap_t *snapshot = bitmap_snapshot(bitmap);
    assert_non_null(snapshot);
    assert_ptr_equal(snapshot->blocks[0], bitmap->blocks[0]);
    assert_ptr_not_equal(snapshot->blocks[1], bitmap->blocks[1]);
    bitmap_release(bitmap);
    assert_int_equal(bitmap_count(snapshot, 0, snapshot->rows), BLOCK + 100);
    bitmap_release(snapshot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_keeps_its_bits),
        cmocka_unit_test(test_two_bitmaps),
        cmocka_unit_test(test_snapshots_share_no_block_that_grows),
    };
    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
