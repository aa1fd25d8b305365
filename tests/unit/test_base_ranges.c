/* Sets of rows against a plain array of flags, and the inputs whose rows they are. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/inputs.h"
#include "base/random.h"
#include "base/ranges.h"

enum { ROWS = 300 };

static dfaiss_error_t error;

static void expect_flags(const ranges_t *ranges, const bool *flags) {
    int64_t rows = 0;
    for (int64_t row = 0; row < ROWS; row++) {
        rows += flags[row];
        assert_int_equal(ranges_overlap(ranges, row, row + 1), flags[row]);
    }
    assert_int_equal(ranges_rows(ranges), rows);
    assert_true(ranges_are_valid(ranges->list, ranges->count, ROWS));
}

static void expect_missing(const ranges_t *ranges, const bool *flags) {
    ranges_t missing = {0};
    bool not_there[ROWS];
    for (int64_t row = 0; row < ROWS; row++)
        not_there[row] = !flags[row];
    assert_true(ranges_missing(ranges, ROWS, &missing));
    expect_flags(&missing, not_there);
    ranges_clear(&missing);
}

static void test_against_flags(void **state) {
    (void)state;
    random_state_t random = random_stream(11, 0);
    for (int round = 0; round < 20; round++) {
        ranges_t ranges = {0}, other = {0};
        bool flags[ROWS] = {false};
        for (int i = 0; i < 40; i++) {
            int64_t first = (int64_t)random_below(&random, ROWS), end = first + 1 + (int64_t)random_below(&random, (uint64_t)(ROWS - first));
            end = end - first > 12 ? first + 12 : end;
            for (int64_t row = first; row < end; row++)
                flags[row] = true;
            assert_true(ranges_add(i % 2 ? &ranges : &other, first, end));
        }
        assert_true(ranges_add_all(&ranges, &other));
        expect_flags(&ranges, flags);
        expect_missing(&ranges, flags);
        ranges_clear(&ranges);
        ranges_clear(&other);
    }
}

/* Rows that arrive in order make one range, whatever the order of two servers' batches is. */
static void test_neighbours_join(void **state) {
    (void)state;
    ranges_t ranges = {0};
    for (int64_t row = 0; row < 100; row += 20)
        assert_true(ranges_add(&ranges, row, row + 10));
    assert_int_equal(ranges.count, 5);
    for (int64_t row = 90; row > 0; row -= 20)
        assert_true(ranges_add(&ranges, row, row + 10));
    assert_int_equal(ranges.count, 1);
    assert_int_equal(ranges.list[0].first, 0);
    assert_int_equal(ranges.list[0].end, 100);
    ranges_clear(&ranges);
}

static void test_invalid_lists(void **state) {
    (void)state;
    const range_t fine[] = {{0, 3}, {4, 5}, {9, INT64_MAX}}, touching[] = {{0, 3}, {3, 5}}, empty[] = {{2, 2}}, back[] = {{4, 5}, {0, 1}};
    assert_true(ranges_are_valid(fine, 3, INT64_MAX));
    assert_true(ranges_are_valid(NULL, 0, 0));
    assert_false(ranges_are_valid(fine, 2, 4));
    assert_false(ranges_are_valid(touching, 2, 10));
    assert_false(ranges_are_valid(empty, 1, 10));
    assert_false(ranges_are_valid(back, 2, 10));
    assert_false(ranges_are_valid(&(range_t){-1, 1}, 1, 10));
}

/* ---- inputs ---- */

static void declare(inputs_t *inputs, uint64_t number, const char *identity) {
    input_t what = {.number = number, .rows = ROWS, .first_id = 7, .identity = (char *)identity};
    assert_ok(inputs_declare(inputs, &what, &error), error);
}

static void test_declaring(void **state) {
    (void)state;
    inputs_t inputs = {0};
    declare(&inputs, 2, "two");
    declare(&inputs, 1, "one");
    declare(&inputs, 2, "two");
    assert_int_equal(inputs.count, 2);
    assert_string_equal(inputs.list[0].identity, "one");
    assert_string_equal(inputs_find(&inputs, 2)->identity, "two");
    assert_null(inputs_find(&inputs, 3));
    input_t other = {.number = 2, .rows = ROWS, .first_id = 7, .identity = (char *)"three"}, none = {.identity = (char *)"none"};
    assert_fails(inputs_declare(&inputs, &other, &error), DFAISS_ERR_STATE, error, "input 2 is another one already");
    assert_fails(inputs_declare(&inputs, &none, &error), DFAISS_ERR_ARG, error, "makes no sense");
    inputs_clear(&inputs);
}

static void test_travelling(void **state) {
    (void)state;
    inputs_t one = {0}, other = {0}, both = {0}, copy = {0};
    bytes_writer_t bytes = {0};
    declare(&one, 1, "first");
    declare(&other, 1, "first");
    declare(&other, 2, "second");
    assert_true(ranges_add(&one.list[0].held, 0, 10));
    assert_true(ranges_add(&other.list[0].held, 5, 20));
    assert_true(ranges_add(&other.list[1].held, 299, 300));
    inputs_encode(&one, &bytes);
    inputs_encode(&other, &bytes);
    bytes_reader_t in = bytes_reader(bytes.data, bytes.size);
    assert_ok(inputs_decode(&in, &both, &error), error);
    assert_ok(inputs_decode(&in, &both, &error), error);
    assert_true(bytes_reader_done(&in));
    assert_ok(inputs_copy(&both, &copy, &error), error);
    assert_int_equal(copy.count, 2);
    assert_int_equal(copy.list[0].held.count, 1);
    assert_int_equal(ranges_rows(&copy.list[0].held), 20);
    assert_int_equal(copy.list[0].first_id, 7);
    assert_int_equal(ranges_rows(&copy.list[1].held), 1);
    inputs_t *all[] = {&one, &other, &both, &copy};
    for (int i = 0; i < 4; i++)
        inputs_clear(all[i]);
    bytes_writer_destroy(&bytes);
}

/* Every cut, and every byte changed: read or refused, nothing else. */
static void test_hostile_bytes(void **state) {
    (void)state;
    inputs_t inputs = {0};
    bytes_writer_t bytes = {0};
    declare(&inputs, 1, "first");
    assert_true(ranges_add(&inputs.list[0].held, 3, 10));
    inputs_encode(&inputs, &bytes);
    for (size_t i = 0; i < bytes.size; i++) {
        inputs_t found = {0};
        bytes_reader_t cut = bytes_reader(bytes.data, i);
        assert_fails(inputs_decode(&cut, &found, &error), DFAISS_ERR_PEER, error, "malformed");
        inputs_clear(&found);
        bytes.data[i] ^= 0x80;
        bytes_reader_t changed = bytes_reader(bytes.data, bytes.size);
        if (inputs_decode(&changed, &found, NULL) == DFAISS_OK && found.count > 0)
            assert_true(ranges_are_valid(found.list[0].held.list, found.list[0].held.count, found.list[0].rows));
        inputs_clear(&found);
        bytes.data[i] ^= 0x80;
    }
    inputs_clear(&inputs);
    bytes_writer_destroy(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_flags), cmocka_unit_test(test_neighbours_join), cmocka_unit_test(test_invalid_lists),
        cmocka_unit_test(test_declaring),     cmocka_unit_test(test_travelling),      cmocka_unit_test(test_hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
