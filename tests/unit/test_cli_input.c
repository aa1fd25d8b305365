/* What an input is: known again wherever its files lie, refused by name where one of them is not what it was, and the one that is not complete is
 * gone on with. */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/input_identity.h"

static char folder[256], other_folder[300];
static dfaiss_error_t error;

static int set_up(void **state) {
    (void)state;
    check_make_folder(folder, sizeof folder);
    snprintf(other_folder, sizeof other_folder, "%s/other", folder);
    return file_make_directories(other_folder, &error) == DFAISS_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    return file_remove_tree(folder, &error) == DFAISS_OK ? 0 : -1;
}

/* Rows of two bytes, and a time that does not depend on when the test runs. */
static void write_rows(const char *in, const char *name, int rows, char content, int64_t modified) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", in, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 2 * rows; i++)
        assert_int_not_equal(fputc(content, file), EOF);
    assert_int_equal(fclose(file), 0);
    struct timespec times[2] = {{.tv_sec = modified}, {.tv_sec = modified, .tv_nsec = 17}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* The text of an input of the files one and two in a folder. */
static char *make_identity(const char *in, const char *metadata) {
    char one[PATH_MAX], two[PATH_MAX];
    const char *paths[] = {one, two};
    const dataset_raw_t raw = {.element = ELEMENT_u8, .dim = 2};
    dataset_t *dataset = NULL;
    char *text = NULL;
    snprintf(one, sizeof one, "%s/one", in);
    snprintf(two, sizeof two, "%s/two", in);
    assert_ok(dataset_open(paths, 2, &raw, &dataset, &error), error);
    assert_ok(input_identity_make(dataset, NULL, metadata, &text, &error), error);
    dataset_close(dataset);
    return text;
}

static void write_usual(const char *in) {
    write_rows(in, "one", 10, 'a', 1000);
    write_rows(in, "two", 100000, 'b', 2000);
}

/* `held` of its 100010 rows are there. */
static input_t make_input(uint64_t number, char *identity, int64_t held) {
    input_t input = {.number = number, .rows = 100010, .identity = identity};
    assert_true(held == 0 || ranges_add(&input.held, 0, held));
    return input;
}

static void test_known_again(void **state) {
    (void)state;
    const input_t *found = NULL;
    write_usual(folder);
    write_usual(other_folder);
    char *before = make_identity(folder, NULL), *now = make_identity(other_folder, NULL);
    input_t list[] = {make_input(1, before, 100010), make_input(2, before, 5), make_input(3, before, 100010)};
    inputs_t held = {.list = list, .count = 3};
    assert_ok(input_identity_find("demo", &held, now, &found, &error), error);
    assert_int_equal(found->number, 2);
    assert_int_equal(input_identity_begun(&held, now)->number, 2);
    held.count = 1;
    assert_ok(input_identity_find("demo", &held, now, &found, &error), error);
    assert_int_equal(found->number, 1);
    assert_null(input_identity_begun(&held, now));
    for (int i = 0; i < 3; i++)
        ranges_clear(&list[i].held);
    free(before);
    free(now);
}

static void expect_changed(const inputs_t *held, const char *text) {
    const input_t *found = NULL;
    char *now = make_identity(folder, NULL);
    assert_fails(input_identity_find("demo", held, now, &found, &error), DFAISS_ERR_DATA, error, text);
    assert_null(input_identity_begun(held, now));
    free(now);
}

static void test_changes_are_named(void **state) {
    (void)state;
    write_usual(folder);
    char *before = make_identity(folder, NULL);
    input_t input = make_input(1, before, 5);
    inputs_t held = {.list = &input, .count = 1};
    write_rows(folder, "two", 100001, 'b', 2000);
    expect_changed(&held, "two has changed since the index demo took rows of it: it has 200002 bytes, expected 200000");
    write_rows(folder, "two", 100000, 'c', 2000);
    expect_changed(&held, "two has changed since the index demo took rows of it: its first and last bytes have checksum ");
    write_rows(folder, "two", 100000, 'b', 2001);
    expect_changed(
        &held,
        "two has changed since the index demo took rows of it: modified 1970-01-01T00:33:21.000000017Z, expected 1970-01-01T00:33:20.000000017Z");
    write_rows(folder, "one", 10, 'x', 1000);
    expect_changed(&held, "/one has changed");
    ranges_clear(&input.held);
    free(before);
}

static void test_other_files(void **state) {
    (void)state;
    const input_t *found = NULL;
    char metadata[PATH_MAX];
    write_usual(folder);
    char *before = make_identity(folder, NULL);
    snprintf(metadata, sizeof metadata, "%s/one", folder);
    char *now = make_identity(folder, metadata);
    input_t input = make_input(1, before, 5);
    inputs_t held = {.list = &input, .count = 1}, none = {0};
    assert_fails(input_identity_find("demo", &held, now, &found, &error), DFAISS_ERR_ARG, error, "/one and 1 other file, not from ");
    assert_fails(input_identity_find("demo", &none, now, &found, &error), DFAISS_ERR_ARG, error, "the index demo was not built from files");
    /* What another version may have written there. */
    input.identity = (char *)"{\"no\": \"array\"}";
    assert_fails(input_identity_find("demo", &held, now, &found, &error), DFAISS_ERR_ARG, error, "the index demo was built last from ");
    ranges_clear(&input.held);
    free(before);
    free(now);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_known_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changes_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
