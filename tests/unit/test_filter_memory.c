/* What filters do when memory runs out: every allocation fails once, and nothing has changed then. */
#include "test_filter.h"

/* Allocations that still succeed; -1: all do. The linker sends those of the program here, those of shared libraries not. */
static int64_t allocations_left = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

static bool refused(void) {
    if (allocations_left > 0)
        allocations_left--;
    else if (allocations_left == 0)
        return true;
    return false;
}

void *__wrap_malloc(size_t size) {
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size) {
    return refused() ? NULL : __real_realloc(block, size);
}

/* Calls something with ever more allocations until it succeeds; it must fail with ERR_MEMORY before. */
typedef dfaiss_status_t attempt_t(void *context);

static void fails_until_it_succeeds(attempt_t *attempt, void *context, attempt_t *after_failure) {
    int failures = 0;
    for (int64_t allocations = 0;; allocations++) {
        allocations_left = allocations;
        dfaiss_status_t status = attempt(context);
        allocations_left = -1;
        if (status == DFAISS_OK)
            break;
        assert_int_equal(status, DFAISS_ERR_MEMORY);
        failures++;
        if (after_failure)
            assert_ok(after_failure(context), error);
    }
    assert_true(failures > 0);
}

enum { TEXT = 128, ROWS = 3000 };

typedef struct appended {
    attribute_schema_t *schema;
    attribute_columns_t *columns;
    attribute_columns_t *other; /* restored, or a snapshot */
    int64_t before;
    char text[ROWS * TEXT];
    uint64_t ends[ROWS];
} appended_t;

static void make_rows(appended_t *appended) {
    size_t size = 0;
    for (int i = 0; i < ROWS; i++) {
        size += (size_t)snprintf(appended->text + size, TEXT, "{\"lang\": \"language %d\", \"year\": %d, \"score\": 0.5, \"retracted\": true}", i, i);
        appended->ends[i] = size;
    }
}

static appended_t *appended_create(int64_t before) {
    appended_t *appended = calloc(1, sizeof *appended);
    appended->schema = schema_of(TEST_ATTRIBUTES);
    appended->columns = columns_of(appended->schema);
    appended->before = before;
    make_rows(appended);
    for (int64_t done = 0, n; done < before; done += n) {
        n = before - done < ROWS ? before - done : ROWS;
        attribute_rows_t rows = {.n = n, .metadata = (const uint8_t *)appended->text, .metadata_ends = appended->ends};
        assert_ok(attribute_columns_append(appended->columns, &rows, &error), error);
    }
    return appended;
}

static void appended_destroy(appended_t *appended) {
    attribute_columns_destroy(appended->columns);
    attribute_columns_destroy(appended->other);
    attribute_schema_destroy(appended->schema);
    free(appended);
}

static dfaiss_status_t append_all(void *context) {
    appended_t *appended = context;
    attribute_rows_t rows = {.n = ROWS, .metadata = (const uint8_t *)appended->text, .metadata_ends = appended->ends};
    return attribute_columns_append(appended->columns, &rows, &error);
}

static dfaiss_status_t nothing_was_appended(void *context) {
    appended_t *appended = context;
    assert_int_equal(attribute_columns_rows(appended->columns), appended->before);
    if (appended->before > 0)
        assert_row(appended->columns, appended->before - 1, "language 99 true 0.5 99");
    return DFAISS_OK;
}

/* From the first row, within a block, and over the end of one. */
static void an_append_is_whole_or_nothing(void **state) {
    (void)state;
    static const int64_t before[] = {0, 100, 63100};
    for (int i = 0; i < 3; i++) {
        appended_t *appended = appended_create(before[i]);
        fails_until_it_succeeds(append_all, appended, nothing_was_appended);
        assert_int_equal(attribute_columns_rows(appended->columns), before[i] + ROWS);
        assert_row(appended->columns, before[i] + ROWS - 1, "language 2999 true 0.5 2999");
        assert_row(appended->columns, before[i], "language 0 true 0.5 0");
        appended_destroy(appended);
    }
}

static dfaiss_status_t append_from(void *context) {
    appended_t *appended = context;
    static const int64_t rows[] = {2999, 5, 0, 5};
    return attribute_columns_append_from(appended->other, appended->columns, rows, 4, &error);
}

static void rows_of_others_come_whole_or_not(void **state) {
    (void)state;
    appended_t *appended = appended_create(ROWS);
    appended->other = columns_of(appended->schema);
    fails_until_it_succeeds(append_from, appended, NULL);
    assert_int_equal(attribute_columns_rows(appended->other), 4);
    assert_row(appended->other, 0, "language 2999 true 0.5 2999");
    appended_destroy(appended);
}

static dfaiss_status_t take_snapshot(void *context) {
    appended_t *appended = context;
    return attribute_columns_snapshot(appended->columns, &appended->other, &error);
}

static void a_snapshot_is_made_or_not(void **state) {
    (void)state;
    appended_t *appended = appended_create(70000);
    fails_until_it_succeeds(take_snapshot, appended, NULL);
    assert_int_equal(attribute_columns_rows(appended->other), 70000);
    appended_destroy(appended);
}

static int64_t count_of(void *context, int field, attribute_array_t array) {
    return attribute_array_count(((appended_t *)context)->columns, field, array);
}

static dfaiss_status_t read_of(void *context, int field, attribute_array_t array, int64_t first, int64_t count, void *out, dfaiss_error_t *err) {
    (void)err;
    attribute_array_read(((appended_t *)context)->columns, field, array, first, count, out);
    return DFAISS_OK;
}

static dfaiss_status_t restore_all(void *context) {
    appended_t *appended = context;
    attribute_source_t source = {.context = appended, .count = count_of, .read = read_of};
    return attribute_columns_restore(appended->schema, appended->before, &source, &appended->other, &error);
}

static void columns_are_restored_or_not(void **state) {
    (void)state;
    appended_t *appended = appended_create(70000);
    fails_until_it_succeeds(restore_all, appended, NULL);
    assert_int_equal(attribute_columns_rows(appended->other), 70000);
    appended_destroy(appended);
}

static dfaiss_status_t create_and_destroy(void *context) {
    attribute_schema_t *schema = NULL;
    attribute_columns_t *columns = NULL;
    dfaiss_status_t status = attribute_schema_create(context, "my.json", &schema, &error);
    if (status == DFAISS_OK)
        status = attribute_columns_create(schema, &columns, &error);
    attribute_columns_destroy(columns);
    attribute_schema_destroy(schema);
    return status;
}

static void schemas_and_columns_are_made_or_not(void **state) {
    (void)state;
    json_t *attributes = json_loads(TEST_ATTRIBUTES, 0, NULL);
    fails_until_it_succeeds(create_and_destroy, attributes, NULL);
    json_decref(attributes);
}

static dfaiss_status_t encode_and_decode(void *context) {
    const int64_t years[] = {1, 2};
    const attribute_arrays_t arrays = {.name = "year", .integers = years};
    bytes_writer_t bytes = {0};
    attribute_given_t *given = NULL;
    int count = 0;
    dfaiss_status_t status = attribute_given_encode(&arrays, 1, 2, &bytes, &error);
    if (status == DFAISS_OK)
        status = attribute_given_decode(context, 2, bytes.data, bytes.size, &given, &count, &error);
    bytes_writer_destroy(&bytes);
    free(given);
    return status;
}

static dfaiss_status_t parse_and_destroy(void *context) {
    static const char text[] = "lang in ('de', 'en') and year > 2000";
    filter_t *filter = NULL;
    dfaiss_status_t status = filter_parse(context, text, strlen(text), &filter, &error);
    filter_destroy(filter);
    return status;
}

static void given_columns_and_filters_are_made_or_not(void **state) {
    (void)state;
    attribute_schema_t *schema = schema_of(TEST_ATTRIBUTES);
    fails_until_it_succeeds(encode_and_decode, schema, NULL);
    fails_until_it_succeeds(parse_and_destroy, schema, NULL);
    attribute_schema_destroy(schema);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_is_whole_or_nothing),       cmocka_unit_test(rows_of_others_come_whole_or_not),
        cmocka_unit_test(a_snapshot_is_made_or_not),           cmocka_unit_test(columns_are_restored_or_not),
        cmocka_unit_test(schemas_and_columns_are_made_or_not), cmocka_unit_test(given_columns_and_filters_are_made_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
