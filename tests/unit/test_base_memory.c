/* Memory: blocks that are zero and can be written to the end, products that do not fit, and what the system says of itself; log lines. */
#include "check.h"

#include "base/log.h"
#include "base/memory.h"

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
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_blocks_that_cannot_be),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_resident),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
