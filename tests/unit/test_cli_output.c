/* The files that the answers of a search are written to: each form read back, and what is refused. */
#include "check.h"

#include <dirent.h>

#include <hdf5.h>

#include "base/file.h"
#include "cli/search_output.h"
#include "dataset/dataset.h"
#include "dataset/id_file.h"

enum { QUERIES = 2, K = 3 };

static int64_t ids[QUERIES * K] = {7, 2147483647, 0, 5, -1, -1};
static float scores[QUERIES * K] = {0.5F, 1.5F, 2.5F, 0.25F, 0, 0};
static uint64_t ends[QUERIES * K] = {9, 9, 12, 15, 15, 15};
static uint8_t metadata[] = "{\"a\":1.5}{}\n\xff\xfe\xfd";

static search_answers_t answers(void) {
    return (search_answers_t){.nq = QUERIES, .k = K, .ids = ids, .scores = scores};
}

static char folder[256];
static char path[512];

static int set_up(void **state) {
    (void)state;
    check_make_folder(folder, sizeof folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return file_remove_tree(folder, NULL) == DFAISS_OK ? 0 : -1;
}

static const char *in_folder(const char *name) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void) {
    int count = 0;
    DIR *opened = opendir(folder);
    assert_non_null(opened);
    for (struct dirent *entry; (entry = readdir(opened));)
        count += entry->d_name[0] != '.';
    closedir(opened);
    return count;
}

static void assert_ids(const char *name, const int64_t *expected) {
    dfaiss_error_t err = {0};
    id_matrix_t read = {0};
    assert_ok(id_matrix_read(in_folder(name), &read, &err), err);
    assert_int_equal(read.rows, QUERIES);
    assert_int_equal(read.columns, K);
    assert_memory_equal(read.values, expected, sizeof ids);
    id_matrix_destroy(&read);
}

static void assert_scores(const char *name) {
    dfaiss_error_t err = {0};
    dataset_t *read = NULL;
    float space[QUERIES * K];
    const char *file = in_folder(name);
    assert_ok(dataset_open(&file, 1, NULL, &read, &err), err);
    assert_memory_equal(dataset_rows_at(read, 0, QUERIES, space), scores, sizeof scores);
    dataset_close(read);
}

static void ids_of_32_bits(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    search_answers_t found = answers();
    char written[512];
    assert_ok(search_output_write(in_folder("a.ibin"), &found, written, sizeof written, &err), err);
    assert_string_equal(written, in_folder("a.ibin"));
    assert_ids("a.ibin", ids);
    assert_scores("a.fbin");
    assert_int_equal(files_in_folder(), 2);
}

static void ids_of_64_bits(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    search_answers_t found = answers();
    int64_t large[QUERIES * K] = {7, 2147483648, 0, 5, -1, -1};
    char written[512];
    assert_ok(search_output_write(in_folder("a.ibin"), &found, written, sizeof written, &err), err);
    found.ids = large;
    assert_ok(search_output_write(in_folder("a.ibin"), &found, written, sizeof written, &err), err);
    assert_string_equal(written, in_folder("a.i64bin"));
    assert_ids("a.i64bin", large);
    /* The older answer is not mistaken for this one. */
    assert_false(file_exists(in_folder("a.ibin")));
    found.ids = ids;
    assert_ok(search_output_write(in_folder("b.i64bin"), &found, written, sizeof written, &err), err);
    assert_ids("b.i64bin", ids);
}

static void json_lines(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    search_answers_t found = answers();
    char written[512], *text = NULL;
    size_t size;
    assert_ok(search_output_write(in_folder("a.jsonl"), &found, written, sizeof written, &err), err);
    assert_ok(file_read_whole(written, 4096, &text, &size, &err), err);
    assert_string_equal(text, "{\"query\":0,\"ids\":[7,2147483647,0],\"scores\":[0.5,1.5,2.5],\"metadata\":null}\n"
                              "{\"query\":1,\"ids\":[5,-1,-1],\"scores\":[0.25,null,null],\"metadata\":null}\n");
    free(text);
    found.metadata_ends = ends;
    found.metadata = metadata;
    assert_ok(search_output_write(in_folder("a.jsonl"), &found, written, sizeof written, &err), err);
    assert_ok(file_read_whole(written, 4096, &text, &size, &err), err);
    /* No metadata, and bytes that are neither JSON nor text, are null. */
    assert_string_equal(text, "{\"query\":0,\"ids\":[7,2147483647,0],\"scores\":[0.5,1.5,2.5],\"metadata\":[{\"a\":1.5},null,{}]}\n"
                              "{\"query\":1,\"ids\":[5,-1,-1],\"scores\":[0.25,null,null],\"metadata\":[null,null,null]}\n");
    free(text);
    assert_int_equal(files_in_folder(), 1);
}

static void hdf5_file(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    search_answers_t found = answers();
    char written[512];
    int64_t read_ids[QUERIES * K];
    float read_scores[QUERIES * K];
    assert_ok(search_output_write(in_folder("a.h5"), &found, written, sizeof written, &err), err);
    hid_t file = H5Fopen(written, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t neighbors = H5Dopen2(file, "neighbors", H5P_DEFAULT), distances = H5Dopen2(file, "distances", H5P_DEFAULT);
    assert_true(H5Dread(neighbors, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, read_ids) >= 0);
    assert_true(H5Dread(distances, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, read_scores) >= 0);
    assert_memory_equal(read_ids, ids, sizeof ids);
    assert_memory_equal(read_scores, scores, sizeof scores);
    H5Dclose(neighbors);
    H5Dclose(distances);
    H5Fclose(file);
    assert_int_equal(files_in_folder(), 1);
}

static void refused(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    search_output_form_t form;
    static const char *const endings[] = {"a.ibin", "a.i64bin", "a.jsonl", "a.h5"};
    search_answers_t found = answers();
    char written[512];
    assert_fails(search_output_form("answers.txt", &form, &err), DFAISS_ERR_ARG, err, "must end in .ibin");
    assert_fails(search_output_form(".ibin", &form, &err), DFAISS_ERR_ARG, err, "must end in");
    assert_fails(search_output_check(in_folder("none/a.h5"), &err), DFAISS_ERR_NOT_FOUND, err, "none");
    assert_ok(search_output_check(in_folder("a.h5"), &err), err);
    assert_int_equal(files_in_folder(), 0);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "none/%s", endings[i]);
        assert_true(search_output_write(in_folder(name), &found, written, sizeof written, &err) != DFAISS_OK);
        assert_non_null(strstr(err.text, "none"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ids_of_32_bits, set_up, tear_down), cmocka_unit_test_setup_teardown(ids_of_64_bits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_lines, set_up, tear_down),     cmocka_unit_test_setup_teardown(hdf5_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
