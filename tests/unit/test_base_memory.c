/* Memory: blocks that are zero and can be written to the end, products that do not fit, and what the system says of itself; log lines. */
#include "check.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/memory_limit.h"

static void test_blocks(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 63, 4096, 4097, 262143, 262144, 1 << 20, (64u << 20) + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *block = memory_map(sizes[i]);
        assert_non_null(block);
        for (size_t byte = 0; byte < sizes[i]; byte += byte + 64 < sizes[i] ? 64 : 1)
            assert_int_equal(block[byte], 0);
        block[0] = 1;
        block[sizes[i] - 1] = 1;
        memory_unmap(block, sizes[i]);
    }
}

static void test_blocks_that_cannot_be(void **state) {
    (void)state;
    assert_null(memory_map(0));
    assert_null(memory_map(SIZE_MAX));
    assert_null(memory_map(SIZE_MAX / 2));
    memory_unmap(NULL, 0);
    memory_unmap(NULL, 1 << 20);
}

static void test_products(void **state) {
    (void)state;
    size_t product = 5;
    assert_true(size_multiply(SIZE_MAX, 1, &product));
    assert_true(product == SIZE_MAX);
    assert_true(size_multiply(0, SIZE_MAX, &product));
    assert_int_equal(product, 0);
    assert_false(size_multiply(SIZE_MAX / 2 + 1, 2, &product));
    assert_false(size_multiply(SIZE_MAX, SIZE_MAX, &product));
}

/* A block takes memory only where it is written, and gives it back. */
static void test_resident(void **state) {
    (void)state;
    enum { BYTES = 64 << 20, SLACK = 16 << 20 };
    size_t before = memory_resident();
    if (before == 0)
        skip();
    uint8_t *block = memory_map(BYTES);
    assert_non_null(block);
    assert_true(memory_resident() < before + SLACK);
    memset(block, 1, BYTES);
    assert_true(memory_resident() > before + BYTES - SLACK);
    assert_true(memory_resident_peak() > before + BYTES - SLACK);
    memory_unmap(block, BYTES);
    assert_true(memory_resident() < before + SLACK);
    assert_true(memory_resident_peak() >= memory_resident());
    assert_true(memory_available() > 0);
}

static dfaiss_error_t error;
static char folder[256];

/* FOLDER/NAME, written with its folders. */
static void write_file(const char *name, const char *text) {
    char path[512];
    assert_ok(file_join(path, sizeof path, folder, name, &error), error);
    *strrchr(path, '/') = 0;
    assert_ok(file_make_directories(path, &error), error);
    assert_ok(file_join(path, sizeof path, folder, name, &error), error);
    assert_ok(file_replace(path, text, strlen(text), &error), error);
}

static size_t room(void) {
    char membership[512];
    assert_ok(file_join(membership, sizeof membership, folder, "groups", &error), error);
    return memory_limit_room(membership, folder);
}

/* The tightest of a group and those above it counts; the files that the kernel caches for it do not. */
static void test_limit_of_a_group(void **state) {
    (void)state;
    check_make_folder(folder, sizeof folder);
    assert_true(room() == SIZE_MAX);
    write_file("groups", "12:cpu:/job\n0::/job/step\n");
    assert_true(room() == SIZE_MAX);
    write_file("job/step/memory.max", "max\n");
    assert_true(room() == SIZE_MAX);
    write_file("job/memory.max", "10000\n");
    write_file("job/memory.current", "4000\n");
    assert_int_equal(room(), 6000);
    write_file("job/memory.stat", "anon 5\nfile 3000\ninactive_file 1000\nactive_file 500\n");
    assert_int_equal(room(), 7500);
    write_file("job/step/memory.max", "900\n");
    assert_int_equal(room(), 900);
    write_file("job/step/memory.current", "901\n");
    assert_int_equal(room(), 0);
    assert_ok(file_remove_tree(folder, &error), error);
}

static void test_limit_of_a_group_of_version_1(void **state) {
    (void)state;
    check_make_folder(folder, sizeof folder);
    write_file("groups", "9:memoryless:/none\n4:cpu,memory:/slurm/job\n0::/\nnonsense\n");
    assert_true(room() == SIZE_MAX);
    write_file("memory/slurm/job/memory.limit_in_bytes", "9223372036854771712\n");
    write_file("memory/slurm/memory.limit_in_bytes", "5000\n");
    write_file("memory/slurm/memory.usage_in_bytes", "3000\n");
    write_file("memory/slurm/memory.stat", "inactive_file 7\ntotal_inactive_file 100\n");
    assert_int_equal(room(), 2100);
    write_file("memory/memory.limit_in_bytes", "50\n");
    assert_int_equal(room(), 50);
    assert_ok(file_remove_tree(folder, &error), error);
}

static char last_line[1200];
static log_level_t last_level;

static void keep_line(void *context, log_level_t level, const char *text) {
    (*(int *)context)++;
    last_level = level;
    snprintf(last_line, sizeof last_line, "%s", text);
}

static void test_log(void **state) {
    (void)state;
    int lines = 0;
    char text[3000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    log_write(LOG_LEVEL_WARNING, "goes nowhere");
    log_set_sink(keep_line, &lines);
    log_write(LOG_LEVEL_INFO, "row %d", 5);
    assert_int_equal(lines, 1);
    assert_int_equal(last_level, LOG_LEVEL_INFO);
    assert_string_equal(last_line, "row 5");
    log_write(LOG_LEVEL_DEBUG, "%s", text);
    assert_int_equal(strlen(last_line), 1023);
    log_set_sink(NULL, NULL);
    log_write(LOG_LEVEL_WARNING, "goes nowhere");
    assert_int_equal(lines, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),   cmocka_unit_test(test_blocks_that_cannot_be), cmocka_unit_test(test_products),
        cmocka_unit_test(test_resident), cmocka_unit_test(test_limit_of_a_group),      cmocka_unit_test(test_limit_of_a_group_of_version_1),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
