/* Random numbers: the same for a seed, different for another, and as evenly spread as chance allows. Seeds are fixed, so nothing is left to it. */
#include "check.h"

#include <math.h>

#include "base/random.h"

static void test_streams(void **state) {
    (void)state;
    random_state_t a = random_stream(5, 0), same = random_stream(5, 0), stream = random_stream(5, 1), seed = random_stream(6, 0);
    for (int i = 0; i < 100; i++) {
        uint64_t number = random_u64(&a);
        assert_true(number == random_u64(&same));
        assert_true(number != random_u64(&stream));
        assert_true(number != random_u64(&seed));
    }
}

/* Written down once: data sets that were generated from a seed must stay what they are. */
static void test_numbers_never_change(void **state) {
    (void)state;
    random_state_t numbers = random_stream(1, 2);
    assert_true(random_u64(&numbers) == 0x19e02eb5a04a258du);
    assert_true(random_u64(&numbers) == 0xa4d3812a24d46f09u);
}

static void test_below(void **state) {
    (void)state;
    enum { BOUND = 10, DRAWS = 100000 };
    random_state_t numbers = random_stream(3, 0);
    int counts[BOUND] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t number = random_below(&numbers, BOUND);
        assert_true(number < BOUND);
        counts[number]++;
    }
    /* 5 standard deviations of a binomial count */
    for (int i = 0; i < BOUND; i++)
        assert_true(fabs(counts[i] - (double)DRAWS / BOUND) < 5 * sqrt(DRAWS * 0.1 * 0.9));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(random_below(&numbers, 1), 0);
        assert_true(random_below(&numbers, UINT64_MAX) < UINT64_MAX);
    }
}

static void test_unit_and_normal(void **state) {
    (void)state;
    enum { DRAWS = 100000 };
    random_state_t numbers = random_stream(4, 0);
    double sum = 0, normal_sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        double unit = random_unit(&numbers), normal = random_normal(&numbers);
        assert_true(unit >= 0 && unit < 1);
        assert_true(isfinite(normal));
        sum += unit;
        normal_sum += normal;
        squares += normal * normal;
    }
    assert_true(fabs(sum / DRAWS - 0.5) < 0.01);
    assert_true(fabs(normal_sum / DRAWS) < 0.02);
    assert_true(fabs(squares / DRAWS - 1) < 0.03);
}

static void assert_sample(const int64_t *sample, int64_t count, int64_t n) {
    for (int64_t i = 0; i < count; i++) {
        assert_true(sample[i] >= 0 && sample[i] < n);
        assert_true(i == 0 || sample[i] > sample[i - 1]);
    }
}

/* Every n and count up to 20: ascending, different, in range; all of them when count is n. */
static void test_small_samples(void **state) {
    (void)state;
    int64_t sample[20];
    random_state_t numbers = random_stream(9, 0);
    for (int64_t n = 0; n <= 20; n++) {
        for (int64_t count = 0; count <= n; count++) {
            random_sample(&numbers, n, count, sample);
            assert_sample(sample, count, n);
        }
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(sample[i], i);
    }
}

static void test_samples_are_uniform(void **state) {
    (void)state;
    enum { N = 50, COUNT = 10, SAMPLES = 20000 };
    int counts[N] = {0};
    random_state_t numbers = random_stream(11, 0);
    for (int i = 0; i < SAMPLES; i++) {
        int64_t sample[COUNT];
        random_sample(&numbers, N, COUNT, sample);
        assert_sample(sample, COUNT, N);
        for (int j = 0; j < COUNT; j++)
            counts[sample[j]]++;
    }
    for (int i = 0; i < N; i++)
        assert_true(fabs(counts[i] - (double)SAMPLES * COUNT / N) < 5 * sqrt(SAMPLES * 0.2 * 0.8));
}

static void test_sample_depends_on_the_seed_alone(void **state) {
    (void)state;
    int64_t a[100], b[100];
    random_state_t numbers = random_stream(1, 0), again = random_stream(1, 0), other = random_stream(2, 0);
    random_sample(&numbers, 100000, 100, a);
    random_sample(&again, 100000, 100, b);
    assert_memory_equal(a, b, sizeof a);
    random_sample(&other, 100000, 100, b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_numbers_never_change),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_unit_and_normal),
        cmocka_unit_test(test_small_samples),
        cmocka_unit_test(test_samples_are_uniform),
        cmocka_unit_test(test_sample_depends_on_the_seed_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
