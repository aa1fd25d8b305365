/* Errors: codes, names, prefixes, what a failed system call becomes, and texts that are too long. */
#include "check.h"

#include <errno.h>

#include "base/error.h"

static void test_set(void **state) {
    (void)state;
    dfaiss_error_t error;
    assert_int_equal(error_set(&error, DFAISS_ERR_DATA, "x.fbin", "row %d is %s", 7, "NaN"), DFAISS_ERR_DATA);
    assert_int_equal(error.code, DFAISS_ERR_DATA);
    assert_string_equal(error.text, "row 7 is NaN");
    assert_string_equal(error.where, "x.fbin");
    error_set(&error, DFAISS_ERR_ARG, NULL, "k");
    assert_string_equal(error.where, "");
    assert_int_equal(error_set(NULL, DFAISS_ERR_MPI, "x", "%d", 1), DFAISS_ERR_MPI);
}

static void test_arguments_may_lie_in_the_error(void **state) {
    (void)state;
    dfaiss_error_t error;
    error_set(&error, DFAISS_ERR_IO, "a file", "inner");
    error_set(&error, DFAISS_ERR_CHECKPOINT, error.where, "outer: %s", error.text);
    assert_string_equal(error.text, "outer: inner");
    assert_string_equal(error.where, "a file");
}

static void test_prefix(void **state) {
    (void)state;
    dfaiss_error_t error;
    error_set(&error, DFAISS_ERR_IO, "here", "inner");
    assert_int_equal(error_prefix(&error, DFAISS_ERR_MPI, "server %d: ", 3), DFAISS_ERR_IO);
    assert_string_equal(error.text, "server 3: inner");
    assert_string_equal(error.where, "here");
    assert_int_equal(error_prefix(NULL, DFAISS_ERR_MPI, "server %d: ", 3), DFAISS_ERR_MPI);
}

static void test_system(void **state) {
    (void)state;
    static const struct {
        int number;
        dfaiss_status_t status;
    } expected[] = {{ENOSPC, DFAISS_ERR_SPACE},  {EDQUOT, DFAISS_ERR_SPACE}, {ENOENT, DFAISS_ERR_NOT_FOUND}, {ENOMEM, DFAISS_ERR_MEMORY},
                    {EEXIST, DFAISS_ERR_EXISTS}, {EIO, DFAISS_ERR_IO},       {EACCES, DFAISS_ERR_IO},        {EROFS, DFAISS_ERR_IO}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        dfaiss_error_t error;
        assert_int_equal(error_system(&error, "read", "a/file", expected[i].number), expected[i].status);
        assert_int_equal(error.code, expected[i].status);
        assert_non_null(strstr(error.text, "cannot read a/file: "));
        assert_non_null(strstr(error.text, strerror(expected[i].number)));
        assert_string_equal(error.where, "a/file");
    }
}

static void test_memory(void **state) {
    (void)state;
    dfaiss_error_t error;
    assert_fails(error_memory(&error, 123456, "a buffer"), DFAISS_ERR_MEMORY, error, "123456 bytes were wanted for a buffer");
}

static void test_long_texts_are_cut(void **state) {
    (void)state;
    dfaiss_error_t error;
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    error_set(&error, DFAISS_ERR_IO, text, "%s", text);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_int_equal(strlen(error.where), sizeof error.where - 1);
    error_prefix(&error, DFAISS_ERR_IO, "in front: ");
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_int_equal(strncmp(error.text, "in front: xxx", 13), 0);
    error_prefix(&error, DFAISS_ERR_IO, "%s", text);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_int_equal(error.code, DFAISS_ERR_IO);
}

/* Wherever the cut falls, only whole characters stay: of 2, 3 and 4 bytes, shifted by every number of bytes. */
static void test_cut_between_characters(void **state) {
    (void)state;
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t kind = 0; kind < 3; kind++) {
        size_t width = strlen(characters[kind]);
        for (size_t shift = 0; shift < width; shift++) {
            dfaiss_error_t error;
            char text[2048] = "xxx";
            size_t length = shift;
            for (; length < 1500; length += width)
                memcpy(text + length, characters[kind], width);
            text[length] = 0;
            error_set(&error, DFAISS_ERR_IO, text, "%s", text);
            assert_int_equal((strlen(error.text) - shift) % width, 0);
            assert_true(strlen(error.text) + width >= sizeof error.text);
            assert_int_equal((strlen(error.where) - shift) % width, 0);
        }
    }
}

static void test_names_of_statuses(void **state) {
    (void)state;
    assert_string_equal(dfaiss_status_name(DFAISS_OK), "OK");
    assert_string_equal(dfaiss_status_name(DFAISS_ERR_INTERNAL), "ERR_INTERNAL");
    assert_string_equal(dfaiss_status_name((dfaiss_status_t)-1), "UNKNOWN");
    assert_string_equal(dfaiss_status_name(DFAISS_STATUS_COUNT), "UNKNOWN");
    for (int i = 0; i < DFAISS_STATUS_COUNT; i++)
        assert_true(strlen(dfaiss_status_meaning((dfaiss_status_t)i)) > 0);
    assert_non_null(dfaiss_status_meaning(DFAISS_STATUS_COUNT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_arguments_may_lie_in_the_error),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_cut_between_characters),
        cmocka_unit_test(test_names_of_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
