/* The sum of a file's content: the same in whatever order and pieces it was written, another one for other content. */
#include "check.h"

#include "base/content_sum.h"
#include "base/random.h"

enum { SIZE = 3001, ROUNDS = 200 };

static uint8_t content[SIZE];

static content_sum_t sum_of(const uint8_t *bytes) {
    content_sum_t sum = {0};
    content_sum_add(&sum, 0, bytes, SIZE);
    return sum;
}

static int fill(void **state) {
    (void)state;
    random_state_t random = random_stream(3, 0);
    for (int i = 0; i < SIZE; i++)
        content[i] = (uint8_t)random_below(&random, 256);
    return 0;
}

/* Pieces in any order, some of them first with something else in them. */
static void test_order_and_pieces(void **state) {
    (void)state;
    content_sum_t expected = sum_of(content);
    random_state_t random = random_stream(4, 0);
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t junk[SIZE];
        content_sum_t sum = {0};
        size_t cut = (size_t)random_below(&random, SIZE), other = cut + (size_t)random_below(&random, SIZE - cut);
        memset(junk, round + 1, sizeof junk);
        content_sum_add(&sum, cut, junk, other - cut);
        content_sum_add(&sum, other, content + other, SIZE - other);
        content_sum_remove(&sum, cut, junk, other - cut);
        content_sum_add(&sum, 0, content, cut);
        content_sum_add(&sum, cut, content + cut, other - cut);
        assert_true(content_sum_equal(&sum, &expected));
    }
}

static void test_other_content(void **state) {
    (void)state;
    content_sum_t expected = sum_of(content), sum;
    for (int i = 0; i < SIZE; i++) {
        content[i] ^= 1;
        sum = sum_of(content);
        assert_false(content_sum_equal(&sum, &expected));
        content[i] ^= 1;
    }
    /* Pages that have changed places, and a second half that is missing. */
    uint8_t moved[SIZE] = {0};
    memcpy(moved, content + 512, 512);
    memcpy(moved + 512, content, 512);
    memcpy(moved + 1024, content + 1024, SIZE - 1024);
    sum = sum_of(moved);
    assert_false(content_sum_equal(&sum, &expected));
    memset(moved, 0, sizeof moved);
    memcpy(moved, content, SIZE / 2);
    sum = sum_of(moved);
    assert_false(content_sum_equal(&sum, &expected));
}

/* What was never written reads as zero. */
static void test_zeros_count_nothing(void **state) {
    (void)state;
    uint8_t zeros[64] = {0};
    content_sum_t sum = {0}, expected = {0};
    content_sum_add(&sum, 13, zeros, sizeof zeros);
    content_sum_add(&sum, 5, zeros, 0);
    assert_true(content_sum_equal(&sum, &expected));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_pieces),
        cmocka_unit_test(test_other_content),
        cmocka_unit_test(test_zeros_count_nothing),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
