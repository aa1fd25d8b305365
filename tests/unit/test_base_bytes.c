/* Bytes: what is written is read back, and no shortened or lying message is read past its end. */
#include "check.h"

#include <math.h>

#include "base/bytes.h"

static void write_one_of_each(bytes_writer_t *writer) {
    bytes_put_u8(writer, 0xab);
    bytes_put_u32(writer, 0x01020304);
    bytes_put_u64(writer, UINT64_MAX - 1);
    bytes_put_i64(writer, INT64_MIN);
    bytes_put_f64(writer, -0.1);
    bytes_put_string(writer, "four");
    bytes_put_string(writer, NULL);
    bytes_put_block(writer, "\0\1\2", 3);
    bytes_put_block(writer, NULL, 0);
}

/* Whether all of it could be read. */
static bool read_one_of_each(const void *data, size_t size) {
    bytes_reader_t reader = bytes_reader(data, size);
    char text[5], empty[1];
    size_t three, none;
    bool right = bytes_get_u8(&reader) == 0xab;
    right = bytes_get_u32(&reader) == 0x01020304 && right;
    right = bytes_get_u64(&reader) == UINT64_MAX - 1 && right;
    right = bytes_get_i64(&reader) == INT64_MIN && right;
    right = bytes_get_f64(&reader) == -0.1 && right;
    bytes_get_string(&reader, text, sizeof text);
    bytes_get_string(&reader, empty, sizeof empty);
    const void *block = bytes_get_block(&reader, &three);
    right = right && strcmp(text, "four") == 0 && strcmp(empty, "") == 0 && block && three == 3 && memcmp(block, "\0\1\2", 3) == 0;
    right = bytes_get_block(&reader, &none) && none == 0 && right;
    return bytes_reader_done(&reader) && right;
}

static void test_round_trip(void **state) {
    (void)state;
    bytes_writer_t writer = {0};
    write_one_of_each(&writer);
    assert_false(writer.failed);
    assert_true(read_one_of_each(writer.data, writer.size));
    bytes_writer_destroy(&writer);
    assert_null(writer.data);
    bytes_writer_destroy(&writer);
}

static void test_cut_at_every_length(void **state) {
    (void)state;
    bytes_writer_t writer = {0};
    write_one_of_each(&writer);
    for (size_t size = 0; size < writer.size; size++) {
        /* A block of its own, so that a sanitizer sees a read past the end. */
        void *cut = malloc(size ? size : 1);
        assert_non_null(cut);
        memcpy(cut, writer.data, size);
        assert_false(read_one_of_each(cut, size));
        free(cut);
    }
    bytes_writer_destroy(&writer);
}

static void test_left_over_bytes(void **state) {
    (void)state;
    bytes_writer_t writer = {0};
    write_one_of_each(&writer);
    bytes_put_u8(&writer, 0);
    assert_false(read_one_of_each(writer.data, writer.size));
    bytes_writer_destroy(&writer);
}

static void test_numbers_are_little_endian(void **state) {
    (void)state;
    static const uint8_t expected[] = {4, 3, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0};
    bytes_writer_t writer = {0};
    bytes_put_u32(&writer, 0x01020304);
    bytes_put_u64(&writer, 1);
    assert_int_equal(writer.size, sizeof expected);
    assert_memory_equal(writer.data, expected, sizeof expected);
    bytes_writer_destroy(&writer);
}

static void test_special_doubles(void **state) {
    (void)state;
    bytes_writer_t writer = {0};
    bytes_put_f64(&writer, INFINITY);
    bytes_put_f64(&writer, NAN);
    bytes_put_f64(&writer, -0.0);
    bytes_reader_t reader = bytes_reader(writer.data, writer.size);
    assert_true(isinf(bytes_get_f64(&reader)));
    assert_true(isnan(bytes_get_f64(&reader)));
    assert_true(signbit(bytes_get_f64(&reader)));
    assert_true(bytes_reader_done(&reader));
    bytes_writer_destroy(&writer);
}

/* Lengths that no message can have, alone or added to where the reader stands. */
static void test_huge_lengths(void **state) {
    (void)state;
    static const uint64_t lengths[] = {1, 8, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX - 8, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        bytes_writer_t writer = {0};
        size_t size = 1;
        bytes_put_u64(&writer, lengths[i]);
        bytes_reader_t reader = bytes_reader(writer.data, writer.size);
        assert_null(bytes_get_block(&reader, &size));
        assert_int_equal(size, 0);
        assert_false(bytes_reader_done(&reader));
        reader = bytes_reader(writer.data, writer.size);
        assert_non_null(bytes_get(&reader, 1));
        assert_null(bytes_get(&reader, (size_t)lengths[i] | 8));
        bytes_writer_destroy(&writer);
    }
}

static void test_strings_that_do_not_fit(void **state) {
    (void)state;
    bytes_writer_t writer = {0};
    char text[5] = "old";
    bytes_put_string(&writer, "fives");
    bytes_reader_t reader = bytes_reader(writer.data, writer.size);
    bytes_get_string(&reader, text, sizeof text);
    assert_true(reader.failed);
    assert_string_equal(text, "");
    bytes_writer_destroy(&writer);

    bytes_put_u32(&writer, 3);
    bytes_put(&writer, "a\0b", 3);
    reader = bytes_reader(writer.data, writer.size);
    bytes_get_string(&reader, text, sizeof text);
    assert_true(reader.failed);
    bytes_writer_destroy(&writer);
}

static void test_failure_is_remembered(void **state) {
    (void)state;
    bytes_reader_t reader = bytes_reader("abcd", 4);
    assert_null(bytes_get(&reader, 5));
    assert_int_equal(bytes_get_u8(&reader), 0);
    assert_false(bytes_reader_done(&reader));

    bytes_writer_t writer = {0};
    bytes_put_u8(&writer, 1);
    bytes_put(&writer, "", SIZE_MAX); /* more than fits beside what is there: nothing is read */
    assert_true(writer.failed);
    bytes_put_u8(&writer, 2);
    assert_int_equal(writer.size, 1);
    bytes_writer_destroy(&writer);
}

static void test_growth(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    bytes_writer_t writer = {0};
    for (uint32_t i = 0; i < COUNT; i++)
        bytes_put_u32(&writer, i);
    assert_int_equal(writer.size, 4 * COUNT);
    bytes_reader_t reader = bytes_reader(writer.data, writer.size);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(bytes_get_u32(&reader), i);
    assert_true(bytes_reader_done(&reader));
    bytes_writer_destroy(&writer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_left_over_bytes),
        cmocka_unit_test(test_numbers_are_little_endian),
        cmocka_unit_test(test_special_doubles),
        cmocka_unit_test(test_huge_lengths),
        cmocka_unit_test(test_strings_that_do_not_fit),
        cmocka_unit_test(test_failure_is_remembered),
        cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
