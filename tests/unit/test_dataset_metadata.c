/* Metadata in JSON lines: what is read, and that every error names the line. */
#include "check.h"

#include "base/file.h"
#include "dataset/metadata_file.h"

typedef struct fixture {
    char folder[256];
    char path[512];
    dfaiss_error_t error;
} fixture_t;

static int set_up(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    check_make_folder(fixture->folder, sizeof fixture->folder);
    snprintf(fixture->path, sizeof fixture->path, "%s/meta.jsonl", fixture->folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_t *fixture = *state;
    assert_ok(file_remove_tree(fixture->folder, &fixture->error), fixture->error);
    free(fixture);
    return 0;
}

static void write_text(fixture_t *fixture, const char *text, size_t size) {
    FILE *file = fopen(fixture->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

typedef struct check_case {
    const char *text;
    int64_t n;
    const char *part; /* of the error's text; NULL: it is fine */
} check_case_t;

static const check_case_t check_cases[] = {
    {"{\"a\": 1}\n{}\n", 2, NULL},
    {"{\"a\": 1}\n{}", 2, NULL},
    {"{\"a\": 1}\n{}\n\n", 2, NULL},
    {"{\"a\": 1}\r\n{}\r\n\r\n", 2, NULL},
    {" {\"a\": {\"b\": [1, null, \"\xc3\xa4\"]}} \n{}\n", 2, NULL},
    {"", 0, NULL},
    {"", 1, "meta.jsonl has 0 lines, 1 vectors need one each"},
    {"{}\n{}\n", 3, "meta.jsonl has 2 lines, 3 vectors need one each"},
    {"{}\n{}\n\n", 3, "meta.jsonl has 2 lines, 3 vectors need one each"},
    {"{}\n{}\n", 1, "meta.jsonl has more lines than the 1 vectors"},
    {"{}\n{}", 1, "meta.jsonl has more lines than the 1 vectors"},
    {"{}\n[1]\n", 2, "meta.jsonl line 2: expected a JSON object, found an array"},
    {"{}\n\"x\"\n", 2, "meta.jsonl line 2: expected a JSON object, found a string"},
    {"{}\n17\n", 2, "meta.jsonl line 2: expected a JSON object, found a number"},
    {"{}\nnull\n", 2, "meta.jsonl line 2: expected a JSON object, found null"},
    {"{}\ntrue\n", 2, "meta.jsonl line 2: expected a JSON object, found true or false"},
    {"{}\n\n{}\n", 2, "meta.jsonl line 2: expected a JSON object, found an empty line"},
    {"\n{}\n", 1, "meta.jsonl line 1: expected a JSON object, found an empty line"},
    {"{}\n{}\n \n\n{}\n", 3, "meta.jsonl line 3: expected a JSON object, found an empty line"},
    {"{}\n{\"a\": }\n", 2, "meta.jsonl line 2, column 7: expected a JSON object"},
    {"{}\n{} {}\n", 2, "meta.jsonl line 2, column 4: expected a JSON object"},
    {"{}\n{\"a\": 1, \"a\": 2}\n", 2, "meta.jsonl line 2, column "},
    {"{}\n{\"a\": \"\xff\"}\n", 2, "meta.jsonl line 2, column "},
    {"{}\n{\"a\"", 2, "meta.jsonl line 2, column "},
};

static void lines_are_checked(void **state) {
    fixture_t *fixture = *state;
    for (size_t i = 0; i < sizeof check_cases / sizeof check_cases[0]; i++) {
        const check_case_t *one = &check_cases[i];
        write_text(fixture, one->text, strlen(one->text));
        if (one->part)
            assert_fails(metadata_file_check(fixture->path, one->n, &fixture->error), DFAISS_ERR_DATA, fixture->error, one->part);
        else
            assert_ok(metadata_file_check(fixture->path, one->n, &fixture->error), fixture->error);
    }
}

static void zero_bytes_are_refused(void **state) {
    fixture_t *fixture = *state;
    write_text(fixture, "{}\n{\"a\": \"\0\"}\n", 14);
    assert_fails(metadata_file_check(fixture->path, 2, &fixture->error), DFAISS_ERR_DATA, fixture->error, "line 2");
}

static void missing_files_are_refused(void **state) {
    fixture_t *fixture = *state;
    metadata_file_t *file = NULL;
    assert_fails(metadata_file_open(fixture->path, &file, &fixture->error), DFAISS_ERR_NOT_FOUND, fixture->error, "meta.jsonl");
    assert_fails(metadata_file_open(fixture->folder, &file, &fixture->error), DFAISS_ERR_DATA, fixture->error, "not a regular file");
    metadata_file_close(NULL);
}

static void lines_come_without_newlines(void **state) {
    fixture_t *fixture = *state;
    metadata_file_t *file = NULL;
    bytes_writer_t out = {0};
    uint64_t ends[2];
    const char *text = "{\"a\": 1}\n{}\r\n{\"b\": 2}";
    write_text(fixture, text, strlen(text));
    assert_ok(metadata_file_open(fixture->path, &file, &fixture->error), fixture->error);
    bytes_put(&out, "before", 6);
    assert_ok(metadata_file_read(file, 2, &out, ends, &fixture->error), fixture->error);
    assert_int_equal(ends[0], 8);
    assert_int_equal(ends[1], 10);
    assert_ok(metadata_file_read(file, 1, &out, ends, &fixture->error), fixture->error);
    assert_int_equal(ends[0], 8);
    assert_int_equal(out.size, 6 + 18);
    assert_memory_equal(out.data, "before{\"a\": 1}{}{\"b\": 2}", 24);
    /* A failed read leaves the output as it was. */
    assert_fails(metadata_file_read(file, 1, &out, ends, &fixture->error), DFAISS_ERR_DATA, fixture->error, "meta.jsonl ends after line 3");
    assert_int_equal(out.size, 24);
    metadata_file_close(file);
    bytes_writer_destroy(&out);
}

/* Lines of all lengths around the pieces in which the file is read. */
static void long_lines_are_put_together(void **state) {
    fixture_t *fixture = *state;
    enum { LINES = 40, STEP = 77777 };
    FILE *stream = fopen(fixture->path, "wb");
    assert_non_null(stream);
    for (int line = 0; line < LINES; line++)
        fprintf(stream, "{\"text\": \"%0*d\"}\n", line * STEP + 1, line);
    assert_int_equal(fclose(stream), 0);
    metadata_file_t *file = NULL;
    assert_ok(metadata_file_open(fixture->path, &file, &fixture->error), fixture->error);
    for (int line = 0; line < LINES; line++) {
        bytes_writer_t out = {0};
        uint64_t end = 0;
        char digits[32];
        assert_ok(metadata_file_read(file, 1, &out, &end, &fixture->error), fixture->error);
        size_t width = (size_t)(line * STEP + 1);
        size_t printed = (size_t)snprintf(digits, sizeof digits, "%d\"}", line);
        if (width < printed - 2)
            width = printed - 2;
        assert_int_equal(end, strlen("{\"text\": \"\"}") + width);
        assert_int_equal(out.size, end);
        assert_memory_equal(out.data + end - printed, digits, printed);
        bytes_writer_destroy(&out);
    }
    metadata_file_close(file);
    assert_ok(metadata_file_check(fixture->path, LINES, &fixture->error), fixture->error);
}

static void lines_are_passed_over(void **state) {
    fixture_t *fixture = *state;
    const char *text = "{\"a\": 0}\nno object\r\n{\"a\": 2}\n";
    metadata_file_t *file = NULL;
    bytes_writer_t out = {0};
    uint64_t end = 0;
    write_text(fixture, text, strlen(text));
    assert_ok(metadata_file_open(fixture->path, &file, &fixture->error), fixture->error);
    assert_ok(metadata_file_skip(file, 0, &fixture->error), fixture->error);
    assert_ok(metadata_file_skip(file, 2, &fixture->error), fixture->error);
    assert_ok(metadata_file_read(file, 1, &out, &end, &fixture->error), fixture->error);
    assert_int_equal(end, 8);
    assert_memory_equal(out.data, "{\"a\": 2}", 8);
    assert_fails(metadata_file_skip(file, 1, &fixture->error), DFAISS_ERR_DATA, fixture->error, "meta.jsonl ends after line 3");
    bytes_writer_destroy(&out);
    metadata_file_close(file);
}

/* A first line, and a second of `size` bytes. */
static void write_long_line(fixture_t *fixture, size_t size, const char *end) {
    FILE *stream = fopen(fixture->path, "wb");
    char *letters = malloc(size);
    assert_non_null(stream);
    assert_non_null(letters);
    memset(letters, 'x', size);
    memcpy(letters, "{\"a\": \"", 7);
    memcpy(letters + size - 2, "\"}", 2);
    fputs("{}\n", stream);
    assert_int_equal(fwrite(letters, 1, size, stream), size);
    fputs(end, stream);
    assert_int_equal(fclose(stream), 0);
    free(letters);
}

static void endless_lines_are_refused(void **state) {
    fixture_t *fixture = *state;
    const size_t most = 16 << 20;
    write_long_line(fixture, most, "\n");
    assert_ok(metadata_file_check(fixture->path, 2, &fixture->error), fixture->error);
    write_long_line(fixture, most + 1, "\n");
    assert_fails(metadata_file_check(fixture->path, 2, &fixture->error), DFAISS_ERR_DATA, fixture->error, "line 2: the line is longer than 16 MiB");
    write_long_line(fixture, most * 3, "");
    assert_fails(metadata_file_check(fixture->path, 2, &fixture->error), DFAISS_ERR_DATA, fixture->error, "line 2: the line is longer than 16 MiB");
}

static void real_metadata_reads(void **state) {
    fixture_t *fixture = *state;
    const char *folder = getenv("DFAISS_TEST_DATA");
    snprintf(fixture->path, sizeof fixture->path, "%s/bge768_base_meta.jsonl", folder ? folder : PROJECT_SOURCE_DIR "/../shared/data");
    if (!file_exists(fixture->path)) {
        print_message("skipped: there is no %s\n", fixture->path);
        skip();
    }
    assert_ok(metadata_file_check(fixture->path, 10247, &fixture->error), fixture->error);
    assert_fails(metadata_file_check(fixture->path, 10246, &fixture->error), DFAISS_ERR_DATA, fixture->error, "more lines than the 10246 vectors");
}

#define FILES_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILES_TEST(lines_are_checked),           FILES_TEST(zero_bytes_are_refused),      FILES_TEST(missing_files_are_refused),
        FILES_TEST(lines_come_without_newlines), FILES_TEST(long_lines_are_put_together), FILES_TEST(endless_lines_are_refused),
        FILES_TEST(lines_are_passed_over),       FILES_TEST(real_metadata_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
