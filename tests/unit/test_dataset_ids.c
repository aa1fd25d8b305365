/* Files of integers read back, refused where they are no ids, recall counted by hand; and the writer of .bin files. */
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "dataset/id_file.h"
#include "dataset/vector_writer.h"

typedef struct fixture {
    char folder[256];
    char path[512];
    dfaiss_error_t error;
} fixture_t;

static int set_up(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    check_make_folder(fixture->folder, sizeof fixture->folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_t *fixture = *state;
    assert_ok(file_remove_tree(fixture->folder, &fixture->error), fixture->error);
    free(fixture);
    return 0;
}

static const char *write_file(fixture_t *fixture, const char *name, const void *data, size_t size) {
    snprintf(fixture->path, sizeof fixture->path, "%s/%s", fixture->folder, name);
    FILE *file = fopen(fixture->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return fixture->path;
}

/* A .npy file of version 1 with this dictionary and data. */
static const char *write_npy(fixture_t *fixture, const char *dictionary, const void *data, size_t size) {
    char bytes[1024] = "\x93NUMPY\1";
    size_t length = strlen(dictionary);
    bytes[8] = (char)length;
    memcpy(bytes + 10, dictionary, length);
    memcpy(bytes + 10 + length, data, size);
    return write_file(fixture, "x.npy", bytes, 10 + length + size);
}

#define BYTES(text) text, sizeof text - 1

static void check_matrix(fixture_t *fixture, const char *path, int64_t rows, int64_t columns, const int64_t *values) {
    id_matrix_t matrix;
    assert_ok(id_matrix_read(path, &matrix, &fixture->error), fixture->error);
    assert_int_equal(matrix.rows, rows);
    assert_int_equal(matrix.columns, columns);
    assert_memory_equal(matrix.values, values, (size_t)(rows * columns) * sizeof *values);
    id_matrix_destroy(&matrix);
    assert_null(matrix.values);
}

static void every_format_reads_back(void **state) {
    fixture_t *fixture = *state;
    const int64_t values[] = {3, -1, 70000, 2}, large[] = {INT64_C(1) << 40, -1};
    const int32_t narrow[] = {3, -1, 70000, 2};
    check_matrix(fixture, write_file(fixture, "a.ibin", BYTES("\2\0\0\0\2\0\0\0\3\0\0\0\xff\xff\xff\xff\x70\x11\1\0\2\0\0\0")), 2, 2, values);
    check_matrix(fixture, write_file(fixture, "a.ivecs", BYTES("\2\0\0\0\3\0\0\0\xff\xff\xff\xff\2\0\0\0\x70\x11\1\0\2\0\0\0")), 2, 2, values);
    check_matrix(fixture, write_file(fixture, "a.i64bin", BYTES("\1\0\0\0\2\0\0\0\0\0\0\0\0\1\0\0\xff\xff\xff\xff\xff\xff\xff\xff")), 1, 2, large);
    check_matrix(fixture, write_npy(fixture, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }", narrow, sizeof narrow), 2, 2, values);
    check_matrix(fixture, write_npy(fixture, "{'descr': '<i4', 'fortran_order': False, 'shape': (4,), }", narrow, sizeof narrow), 4, 1, values);
    check_matrix(fixture, write_npy(fixture, "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 1), }", large, sizeof large), 2, 1, large);
}

static void damage_is_refused(void **state) {
    fixture_t *fixture = *state;
    id_matrix_t matrix;
    assert_fails(id_matrix_read(write_file(fixture, "a.ibin", BYTES("\2\0\0\0\2\0\0\0abcd")), &matrix, &fixture->error), DFAISS_ERR_DATA,
                 fixture->error, "has 12 bytes, but 24 are expected");
    assert_fails(id_matrix_read(write_file(fixture, "a.i64bin", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff")), &matrix, &fixture->error),
                 DFAISS_ERR_DATA, fixture->error, "are expected");
    assert_fails(id_matrix_read(write_file(fixture, "a.ivecs", BYTES("\xff\xff\xff\x7f")), &matrix, &fixture->error), DFAISS_ERR_DATA, fixture->error,
                 "has 4 bytes, but 8589934592 are expected");
    assert_fails(id_matrix_read(write_file(fixture, "a.fbin", BYTES("\1\0\0\0\1\0\0\0abcd")), &matrix, &fixture->error), DFAISS_ERR_ARG,
                 fixture->error, "known are .ivecs .ibin .i64bin .npy");
    assert_fails(
        id_matrix_read(write_npy(fixture, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", "abcd", 4), &matrix, &fixture->error),
        DFAISS_ERR_DATA, fixture->error, "accepted are '<i4', '<i8'");
    assert_fails(id_matrix_read("/nonexistent/a.ibin", &matrix, &fixture->error), DFAISS_ERR_NOT_FOUND, fixture->error, "/nonexistent/a.ibin");
}

static void ids_are_one_column_or_one_row(void **state) {
    fixture_t *fixture = *state;
    int64_t *ids = NULL, n = 0;
    assert_ok(id_file_read(write_file(fixture, "row.ibin", BYTES("\1\0\0\0\3\0\0\0\7\0\0\0\1\0\0\0\5\0\0\0")), &ids, &n, &fixture->error),
              fixture->error);
    assert_int_equal(n, 3);
    assert_int_equal(ids[2], 5);
    free(ids);
    assert_ok(id_file_read(write_file(fixture, "column.ivecs", BYTES("\1\0\0\0\7\0\0\0\1\0\0\0\x9\0\0\0")), &ids, &n, &fixture->error),
              fixture->error);
    assert_int_equal(n, 2);
    assert_int_equal(ids[1], 9);
    free(ids);
    assert_fails(id_file_read(write_file(fixture, "both.ibin", BYTES("\2\0\0\0\2\0\0\0aaaabbbbccccdddd")), &ids, &n, &fixture->error),
                 DFAISS_ERR_DATA, fixture->error, "2 rows of 2; ids are expected as one column or one row");
}

static void ids_must_be_ids(void **state) {
    fixture_t *fixture = *state;
    int64_t *ids = NULL, n = 0;
    assert_fails(id_file_read(write_file(fixture, "a.ibin", BYTES("\3\0\0\0\1\0\0\0\7\0\0\0\1\0\0\0\xfd\xff\xff\xff")), &ids, &n, &fixture->error),
                 DFAISS_ERR_DATA, fixture->error, "row 2: -3 is no id");
    assert_fails(id_file_read(write_file(fixture, "b.ibin", BYTES("\4\0\0\0\1\0\0\0\7\0\0\0\1\0\0\0\2\0\0\0\1\0\0\0")), &ids, &n, &fixture->error),
                 DFAISS_ERR_DATA, fixture->error, "row 3: id 1 is also that of row 1");
    assert_null(ids);
}

static void recall_counts_sets(void **state) {
    (void)state;
    int64_t truth_values[] = {1, 2, 3, 4, 5, 6, -1, -1};
    id_matrix_t truth = {.rows = 2, .columns = 4, .values = truth_values};
    const int64_t same[] = {1, 2, 3, 4, 5, 6, -1, -1}, shuffled[] = {4, 3, 2, 1, 6, 5, 9, 9}, repeated[] = {1, 1, 1, 1, 5, 5, 5, 5};
    assert_true(recall_at(4, 2, 4, same, &truth) == 1);
    assert_true(recall_at(4, 2, 4, shuffled, &truth) == 1);
    assert_true(recall_at(1, 2, 4, shuffled, &truth) == 0);
    assert_true(recall_at(2, 2, 4, shuffled, &truth) == 0.5);
    assert_true(recall_at(4, 2, 4, repeated, &truth) == (0.25 + 0.5) / 2);
    /* More was found than is compared: k and the columns of the truth differ. */
    const int64_t wide[] = {2, 9, 9, 9, 9, 1, 6, 5, 9, 9, 9, 9};
    assert_true(recall_at(2, 2, 6, wide, &truth) == (0.5 + 1) / 2);
    int64_t none[] = {-1, -1};
    id_matrix_t empty = {.rows = 1, .columns = 2, .values = none};
    assert_true(recall_at(2, 1, 4, same, &empty) == 1);
}

static void written_files_read_back(void **state) {
    fixture_t *fixture = *state;
    enum { COLUMNS = 300, ROWS = 3000 }; /* several times the writer's buffer */
    char path[512];
    snprintf(path, sizeof path, "%s/w.i64bin", fixture->folder);
    int64_t *values = malloc(ROWS * COLUMNS * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < ROWS * COLUMNS; i++)
        values[i] = i * 12345678;
    vector_writer_t *writer = NULL;
    assert_ok(vector_writer_create(path, ROWS, COLUMNS, sizeof *values, &writer, &fixture->error), fixture->error);
    const int64_t steps[] = {1, 2, 1000, 97, 0, 1900}; /* pieces smaller and larger than the buffer */
    int64_t done = 0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_ok(vector_writer_append(writer, values + done * COLUMNS, steps[i], &fixture->error), fixture->error);
        done += steps[i];
    }
    assert_false(file_exists(path));
    assert_fails(vector_writer_append(writer, values, 1, &fixture->error), DFAISS_ERR_ARG, fixture->error, "was to hold 3000 rows");
    assert_ok(vector_writer_finish(writer, &fixture->error), fixture->error);
    check_matrix(fixture, path, ROWS, COLUMNS, values);
    free(values);
}

static bool folder_is_empty(const fixture_t *fixture) {
    char command[512];
    snprintf(command, sizeof command, "test -z \"$(ls -A '%s')\"", fixture->folder);
    return system(command) == 0;
}

static void incomplete_files_vanish(void **state) {
    fixture_t *fixture = *state;
    char path[512];
    vector_writer_t *writer = NULL;
    snprintf(path, sizeof path, "%s/w.u8bin", fixture->folder);
    assert_ok(vector_writer_create(path, 3, 2, 1, &writer, &fixture->error), fixture->error);
    assert_ok(vector_writer_append(writer, "abcd", 2, &fixture->error), fixture->error);
    assert_fails(vector_writer_finish(writer, &fixture->error), DFAISS_ERR_ARG, fixture->error, "was to hold 3 rows; only 2 came");
    assert_true(folder_is_empty(fixture));
    assert_ok(vector_writer_create(path, 3, 2, 1, &writer, &fixture->error), fixture->error);
    vector_writer_abort(writer);
    assert_true(folder_is_empty(fixture));
    vector_writer_abort(NULL);
}

static void writer_refuses_what_it_cannot_do(void **state) {
    fixture_t *fixture = *state;
    char path[512];
    vector_writer_t *writer = NULL;
    assert_fails(vector_writer_create("x.fbin", INT64_C(1) << 32, 2, 4, &writer, &fixture->error), DFAISS_ERR_ARG, fixture->error, "4294967296 rows");
    assert_fails(vector_writer_create("x.fbin", 1, INT64_C(1) << 32, 4, &writer, &fixture->error), DFAISS_ERR_ARG, fixture->error, "32 bits");
    assert_fails(vector_writer_create("/nonexistent/x.fbin", 1, 2, 4, &writer, &fixture->error), DFAISS_ERR_NOT_FOUND, fixture->error,
                 "/nonexistent/x.fbin");
    /* A folder of the final name: renaming fails, and nothing is left beside it. */
    snprintf(path, sizeof path, "%s/w.u8bin", fixture->folder);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_ok(vector_writer_create(path, 1, 2, 1, &writer, &fixture->error), fixture->error);
    assert_ok(vector_writer_append(writer, "ab", 1, &fixture->error), fixture->error);
    assert_fails(vector_writer_finish(writer, &fixture->error), DFAISS_ERR_IO, fixture->error, "w.u8bin");
    assert_int_equal(rmdir(path), 0);
    assert_true(folder_is_empty(fixture));
}

static void a_full_device_is_reported(void **state) {
    fixture_t *fixture = *state;
    char beside[512];
    if (access("/dev/full", W_OK) != 0)
        skip();
    snprintf(fixture->path, sizeof fixture->path, "%s/w.u8bin", fixture->folder);
    snprintf(beside, sizeof beside, "%s/w.u8bin.new", fixture->folder);
    assert_int_equal(symlink("/dev/full", beside), 0);
    vector_writer_t *writer = NULL;
    assert_ok(vector_writer_create(fixture->path, 1, 2, 1, &writer, &fixture->error), fixture->error);
    assert_ok(vector_writer_append(writer, "ab", 1, &fixture->error), fixture->error);
    assert_fails(vector_writer_finish(writer, &fixture->error), DFAISS_ERR_SPACE, fixture->error, "w.u8bin");
    assert_true(folder_is_empty(fixture));
}

static void real_ids_read(void **state) {
    fixture_t *fixture = *state;
    const char *folder = getenv("DFAISS_TEST_DATA");
    const char *names[] = {"siftsmall_groundtruth.ivecs", "bge768_groundtruth_dot.ibin"};
    const int64_t rows[] = {100, 500}, vectors[] = {10000, 10247};
    for (int i = 0; i < 2; i++) {
        id_matrix_t matrix;
        snprintf(fixture->path, sizeof fixture->path, "%s/%s", folder ? folder : PROJECT_SOURCE_DIR "/../shared/data", names[i]);
        if (!file_exists(fixture->path)) {
            print_message("skipped: there is no %s\n", fixture->path);
            skip();
        }
        assert_ok(id_matrix_read(fixture->path, &matrix, &fixture->error), fixture->error);
        assert_int_equal(matrix.rows, rows[i]);
        assert_int_equal(matrix.columns, 100);
        for (int64_t j = 0; j < matrix.rows * matrix.columns; j++)
            assert_in_range(matrix.values[j], 0, vectors[i] - 1);
        assert_true(recall_at(100, matrix.rows, 100, matrix.values, &matrix) == 1);
        id_matrix_destroy(&matrix);
    }
}

#define FILES_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILES_TEST(every_format_reads_back),       FILES_TEST(damage_is_refused),
        FILES_TEST(ids_are_one_column_or_one_row), FILES_TEST(ids_must_be_ids),
        cmocka_unit_test(recall_counts_sets),      FILES_TEST(written_files_read_back),
        FILES_TEST(incomplete_files_vanish),       FILES_TEST(writer_refuses_what_it_cannot_do),
        FILES_TEST(a_full_device_is_reported),     FILES_TEST(real_ids_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
