/* Element types: conversions against a scalar reference, and the search for values that are not finite. */
#include "check.h"

#include <math.h>

#include "base/element.h"

/* Half precision by its definition: sign, 5 bits of exponent with bias 15, 10 bits of fraction. */
static float half_by_definition(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float sign = bits & 0x8000 ? -1.0f : 1.0f;
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexpf((float)fraction, -24);
    return sign * ldexpf((float)(1024 + fraction), exponent - 25);
}

enum { HALVES = 65536 };

static uint16_t *every_half(void) {
    uint16_t *halves = malloc(HALVES * sizeof *halves);
    assert_non_null(halves);
    for (unsigned i = 0; i < HALVES; i++)
        halves[i] = (uint16_t)i;
    return halves;
}

static void test_every_half_widens_and_narrows(void **state) {
    (void)state;
    uint16_t *halves = every_half(), *back = malloc(HALVES * sizeof *back);
    float *wide = malloc(HALVES * sizeof *wide);
    assert_true(wide && back);
    element_widen(ELEMENT_f16, halves, HALVES, wide);
    element_narrow(ELEMENT_f16, wide, HALVES, back);
    for (unsigned i = 0; i < HALVES; i++) {
        float expected = half_by_definition((uint16_t)i);
        if (isnan(expected)) {
            assert_true(isnan(wide[i]));
            continue;
        }
        assert_true(wide[i] == expected && signbit(wide[i]) == signbit(expected));
        assert_int_equal(back[i], i);
    }
    free(halves);
    free(back);
    free(wide);
}

/* Between two neighbours the nearer one, in the middle the even one; beyond the largest, infinity. */
static void test_narrowing_to_half_rounds_to_nearest(void **state) {
    (void)state;
    for (unsigned i = 0; i < 0x7bff; i++) {
        float low = half_by_definition((uint16_t)i), high = half_by_definition((uint16_t)(i + 1)), middle = (low + high) / 2;
        float from[3] = {nextafterf(middle, 0), middle, nextafterf(middle, INFINITY)};
        uint16_t to[3];
        element_narrow(ELEMENT_f16, from, 3, to);
        assert_int_equal(to[0], i);
        assert_int_equal(to[1], i + (i & 1));
        assert_int_equal(to[2], i + 1);
    }
    uint16_t to[2];
    element_narrow(ELEMENT_f16, (const float[]){65519, -65520}, 2, to);
    assert_int_equal(to[0], 0x7bff);
    assert_int_equal(to[1], 0xfc00);
}

static void test_bytes_widen_and_narrow(void **state) {
    (void)state;
    uint8_t unsigned_bytes[256], unsigned_back[256];
    int8_t signed_bytes[256], signed_back[256];
    float wide[256];
    for (int i = 0; i < 256; i++) {
        unsigned_bytes[i] = (uint8_t)i;
        signed_bytes[i] = (int8_t)(i - 128);
    }
    element_widen(ELEMENT_u8, unsigned_bytes, 256, wide);
    for (int i = 0; i < 256; i++)
        assert_true(wide[i] == (float)i);
    element_narrow(ELEMENT_u8, wide, 256, unsigned_back);
    assert_memory_equal(unsigned_bytes, unsigned_back, 256);
    element_widen(ELEMENT_i8, signed_bytes, 256, wide);
    for (int i = 0; i < 256; i++)
        assert_true(wide[i] == (float)(i - 128));
    element_narrow(ELEMENT_i8, wide, 256, signed_back);
    assert_memory_equal(signed_bytes, signed_back, 256);
}

static void test_narrowing_to_bytes_saturates(void **state) {
    (void)state;
    static const float from[] = {-1e30f, -129, -0.4f, 0.6f, 127.4f, 128, 255.4f, 300, INFINITY, -INFINITY, NAN};
    static const uint8_t unsigned_expected[] = {0, 0, 0, 1, 127, 128, 255, 255, 255, 0, 0};
    static const int8_t signed_expected[] = {-128, -128, 0, 1, 127, 127, 127, 127, 127, -128, -128};
    uint8_t unsigned_bytes[sizeof unsigned_expected];
    int8_t signed_bytes[sizeof signed_expected];
    element_narrow(ELEMENT_u8, from, sizeof unsigned_bytes, unsigned_bytes);
    element_narrow(ELEMENT_i8, from, sizeof signed_bytes, signed_bytes);
    assert_memory_equal(unsigned_bytes, unsigned_expected, sizeof unsigned_bytes);
    assert_memory_equal(signed_bytes, signed_expected, sizeof signed_bytes);
}

static void test_floats_are_copied(void **state) {
    (void)state;
    const float from[] = {1, -2.5f, 0x1p-149f};
    float to[3] = {0}, back[3] = {0};
    element_widen(ELEMENT_f32, from, 3, to);
    element_narrow(ELEMENT_f32, to, 3, back);
    assert_memory_equal(back, from, sizeof from);
    element_widen(ELEMENT_f32, NULL, 0, to);
    element_narrow(ELEMENT_f32, from, 0, NULL);
}

/* At every position of every count up to beyond the widest vector register, also when several are there. */
static void test_first_not_finite_float(void **state) {
    (void)state;
    enum { COUNT = 70 };
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float x[COUNT];
    for (size_t count = 0; count <= COUNT; count++) {
        for (size_t i = 0; i < COUNT; i++)
            x[i] = i % 2 ? 3.4e38f : -0x1p-149f;
        assert_int_equal(element_first_not_finite(ELEMENT_f32, x, count), count);
        for (size_t place = count; place-- > 0;) {
            x[place] = bad[place % 3];
            assert_int_equal(element_first_not_finite(ELEMENT_f32, x, count), place);
        }
    }
}

static void test_first_not_finite_half(void **state) {
    (void)state;
    enum { COUNT = 70 };
    static const uint16_t bad[] = {0x7c00, 0xfc00, 0x7e00, 0xffff, 0x7c01};
    uint16_t x[COUNT];
    for (size_t count = 0; count <= COUNT; count++) {
        for (size_t i = 0; i < COUNT; i++)
            x[i] = i % 2 ? 0x7bff : 0x8001;
        assert_int_equal(element_first_not_finite(ELEMENT_f16, x, count), count);
        for (size_t place = count; place-- > 0;) {
            x[place] = bad[place % 5];
            assert_int_equal(element_first_not_finite(ELEMENT_f16, x, count), place);
        }
    }
    uint16_t *halves = every_half();
    for (size_t i = 0; i < HALVES; i++)
        assert_int_equal(element_first_not_finite(ELEMENT_f16, halves + i, 1), isfinite(half_by_definition(halves[i])) ? 1 : 0);
    free(halves);
}

static void test_integers_are_finite(void **state) {
    (void)state;
    static const uint8_t x[] = {0, 127, 128, 255};
    assert_int_equal(element_first_not_finite(ELEMENT_u8, x, 4), 4);
    assert_int_equal(element_first_not_finite(ELEMENT_i8, x, 4), 4);
}

static void test_names_and_sizes(void **state) {
    (void)state;
    static const size_t sizes[ELEMENT_COUNT] = {4, 2, 1, 1};
    for (int i = 0; i < ELEMENT_COUNT; i++) {
        element_t element = ELEMENT_COUNT;
        assert_int_equal(element_size((element_t)i), sizes[i]);
        assert_true(element_from_name(element_name((element_t)i), &element));
        assert_int_equal(element, i);
    }
    element_t element = ELEMENT_i8;
    assert_false(element_from_name("f64", &element));
    assert_int_equal(element, ELEMENT_i8);
    assert_int_equal(element_size((element_t)99), 0);
    assert_string_equal(element_name((element_t)99), "?");
}

static void test_normalize(void **state) {
    (void)state;
    float rows[5][2] = {{3, 4}, {0, 0}, {-0x1p-149f, 0}, {3e38f, 3e38f}, {0, 1e-30f}};
    static const float expected[5][2] = {{0.6f, 0.8f}, {0, 0}, {-1, 0}, {0.70710678f, 0.70710678f}, {0, 1}};
    element_normalize(&rows[0][0], 5, 2);
    for (size_t row = 0; row < 5; row++) {
        for (size_t i = 0; i < 2; i++)
            assert_true(fabsf(rows[row][i] - expected[row][i]) < 1e-6f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half_widens_and_narrows),
        cmocka_unit_test(test_narrowing_to_half_rounds_to_nearest),
        cmocka_unit_test(test_bytes_widen_and_narrow),
        cmocka_unit_test(test_narrowing_to_bytes_saturates),
        cmocka_unit_test(test_floats_are_copied),
        cmocka_unit_test(test_first_not_finite_float),
        cmocka_unit_test(test_first_not_finite_half),
        cmocka_unit_test(test_integers_are_finite),
        cmocka_unit_test(test_names_and_sizes),
        cmocka_unit_test(test_normalize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
