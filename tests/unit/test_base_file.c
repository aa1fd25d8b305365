/* Files: whole reads, replacement that leaves the old file alone when it fails, removal, checksums. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/file.h"

static dfaiss_error_t error;
static char folder[256];

static int make_folder(void **state) {
    (void)state;
    check_make_folder(folder, sizeof folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    assert_ok(file_remove_tree(folder, &error), error);
    assert_false(file_exists(folder));
    return 0;
}

/* FOLDER/NAME; valid until the fourth call after. */
static const char *in_folder(const char *name) {
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    assert_ok(file_join(path, sizeof paths[0], folder, name, &error), error);
    return path;
}

static void assert_content(const char *path, const char *expected) {
    char *data;
    size_t size;
    assert_ok(file_read_whole(path, 1 << 20, &data, &size, &error), error);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(data, expected);
    free(data);
}

static void write_text(const char *path, const char *text) {
    assert_ok(file_replace(path, text, strlen(text), &error), error);
}

static void test_join(void **state) {
    (void)state;
    char path[8];
    assert_ok(file_join(path, sizeof path, "abc", "def", &error), error);
    assert_string_equal(path, "abc/def");
    assert_fails(file_join(path, sizeof path, "abc", "defg", &error), DFAISS_ERR_ARG, error, "abc/defg");
}

static void test_whole_file(void **state) {
    (void)state;
    const char *path = in_folder("whole");
    char *data = NULL;
    size_t size = 7;
    uint64_t bytes = 7;
    write_text(path, "content");
    assert_content(path, "content");
    assert_ok(file_size(path, &bytes, &error), error);
    assert_int_equal(bytes, 7);
    write_text(path, "");
    assert_content(path, "");
    write_text(path, "12345");
    assert_fails(file_read_whole(path, 4, &data, &size, &error), DFAISS_ERR_DATA, error, "has 5 bytes; at most 4");
    assert_fails(file_read_whole(in_folder("none"), 4, &data, &size, &error), DFAISS_ERR_NOT_FOUND, error, "none");
    assert_fails(file_read_whole(folder, 4, &data, &size, &error), DFAISS_ERR_DATA, error, "not a regular file");
    assert_fails(file_size(in_folder("none"), &bytes, &error), DFAISS_ERR_NOT_FOUND, error, "none");
    assert_null(data);
    assert_int_equal(size, 7);
    assert_int_equal(bytes, 7);
}

static void test_replace(void **state) {
    (void)state;
    const char *path = in_folder("replaced");
    write_text(path, "first, and longer");
    write_text(path, "second");
    assert_content(path, "second");
    assert_false(file_exists(in_folder("replaced.new")));
}

static void test_replace_in_a_missing_folder(void **state) {
    (void)state;
    assert_fails(file_replace(in_folder("no/file"), "x", 1, &error), DFAISS_ERR_NOT_FOUND, error, "no/file");
    assert_non_null(strstr(error.where, "no/file"));
}

/* What stands in the way of the file written beside stops the replacement before the old file is touched. */
static void test_failed_replace_keeps_the_old_file(void **state) {
    (void)state;
    const char *path = in_folder("kept");
    write_text(path, "old");
    assert_int_equal(mkdir(in_folder("kept.new"), 0700), 0);
    assert_fails(file_replace(path, "new", 3, &error), DFAISS_ERR_IO, error, "kept");
    assert_content(path, "old");
}

static void test_replace_on_a_full_device(void **state) {
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    const char *path = in_folder("full");
    write_text(path, "old");
    assert_int_equal(symlink("/dev/full", in_folder("full.new")), 0);
    assert_fails(file_replace(path, "new", 3, &error), DFAISS_ERR_SPACE, error, "full");
    assert_content(path, "old");
    assert_false(file_exists(in_folder("full.new")));
}

static void test_replace_in_a_read_only_folder(void **state) {
    (void)state;
    if (geteuid() == 0)
        skip(); /* root may write anywhere */
    assert_int_equal(mkdir(in_folder("closed"), 0700), 0);
    write_text(in_folder("closed/file"), "old");
    assert_int_equal(chmod(in_folder("closed"), 0500), 0);
    assert_fails(file_replace(in_folder("closed/file"), "new", 3, &error), DFAISS_ERR_IO, error, "closed/file");
    assert_content(in_folder("closed/file"), "old");
    assert_int_equal(chmod(in_folder("closed"), 0700), 0);
}

static void test_replace_does_not_leave_half_a_file(void **state) {
    (void)state;
    assert_int_equal(mkdir(in_folder("directory"), 0700), 0);
    assert_fails(file_replace(in_folder("directory"), "x", 1, &error), DFAISS_ERR_IO, error, "directory");
    assert_false(file_exists(in_folder("directory.new")));
}

static void test_make_directories(void **state) {
    (void)state;
    assert_ok(file_make_directories(in_folder("a/b/c"), &error), error);
    assert_ok(file_make_directories(in_folder("a/b/c"), &error), error);
    assert_ok(file_make_directories(in_folder("a//d/"), &error), error);
    assert_true(file_exists(in_folder("a/b/c")) && file_exists(in_folder("a/d")));
    write_text(in_folder("a/file"), "x");
    assert_fails(file_make_directories(in_folder("a/file"), &error), DFAISS_ERR_IO, error, "a/file");
    assert_fails(file_make_directories(in_folder("a/file/below"), &error), DFAISS_ERR_IO, error, "a/file");
    assert_fails(file_make_directories("", &error), DFAISS_ERR_ARG, error, "empty");
}

static void test_remove_tree(void **state) {
    (void)state;
    write_text(in_folder("outside"), "stays");
    assert_ok(file_make_directories(in_folder("tree/deep/er"), &error), error);
    write_text(in_folder("tree/deep/file"), "x");
    assert_int_equal(symlink("../outside", in_folder("tree/link")), 0);
    assert_int_equal(symlink("..", in_folder("tree/deep/up")), 0);
    assert_ok(file_remove_tree(in_folder("tree"), &error), error);
    assert_false(file_exists(in_folder("tree")));
    assert_content(in_folder("outside"), "stays");
    assert_ok(file_remove_tree(in_folder("tree"), &error), error);
    assert_ok(file_remove_tree(in_folder("outside"), &error), error);
    assert_false(file_exists(in_folder("outside")));
}

static void test_sync(void **state) {
    (void)state;
    write_text(in_folder("synced"), "x");
    assert_ok(file_sync(in_folder("synced"), &error), error);
    assert_ok(file_sync_directory(folder, &error), error);
    assert_fails(file_sync(in_folder("none"), &error), DFAISS_ERR_NOT_FOUND, error, "none");
    assert_fails(file_sync_directory(in_folder("synced"), &error), DFAISS_ERR_IO, error, "synced");
}

/* Sizes around the pieces that a file is read in. */
static void test_checksum(void **state) {
    (void)state;
    enum { LARGEST = (2 << 20) + 1 };
    static const size_t sizes[] = {0, 1, 1000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, LARGEST};
    uint8_t *data = malloc(LARGEST);
    assert_non_null(data);
    for (size_t i = 0; i < LARGEST; i++)
        data[i] = (uint8_t)(i * i >> 7);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t checksum = 0, bytes = 1;
        assert_ok(file_replace(in_folder("summed"), data, sizes[i], &error), error);
        assert_ok(file_checksum(in_folder("summed"), &checksum, &bytes, &error), error);
        assert_true(checksum == XXH3_64bits(data, sizes[i]));
        assert_int_equal(bytes, sizes[i]);
    }
    free(data);
}

static void test_checksum_of_what_cannot_be_read(void **state) {
    (void)state;
    uint64_t checksum = 5, bytes = 6;
    assert_fails(file_checksum(in_folder("none"), &checksum, &bytes, &error), DFAISS_ERR_NOT_FOUND, error, "none");
    assert_fails(file_checksum(folder, &checksum, &bytes, &error), DFAISS_ERR_IO, error, folder);
    assert_int_equal(checksum, 5);
    assert_int_equal(bytes, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_whole_file),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_replace_in_a_missing_folder),
        cmocka_unit_test(test_failed_replace_keeps_the_old_file),
        cmocka_unit_test(test_replace_on_a_full_device),
        cmocka_unit_test(test_replace_in_a_read_only_folder),
        cmocka_unit_test(test_replace_does_not_leave_half_a_file),
        cmocka_unit_test(test_make_directories),
        cmocka_unit_test(test_remove_tree),
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_checksum_of_what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
