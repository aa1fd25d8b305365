/* Columns as the arrays of a checkpoint, and back from such arrays, sound or damaged. */
#include "test_filter.h"

#include "base/random.h"

/* The arrays of columns in memory, which stand for a file. */
typedef struct store {
    size_t element[4][ATTRIBUTE_ARRAYS];
    int64_t counts[4][ATTRIBUTE_ARRAYS];
    uint8_t *arrays[4][ATTRIBUTE_ARRAYS];
    int64_t reads_until_failure; /* -1: none fails */
} store_t;

static int64_t store_count(void *context, int field, attribute_array_t array) {
    return ((store_t *)context)->counts[field][array];
}

static dfaiss_status_t store_read(void *context, int field, attribute_array_t array, int64_t first, int64_t count, void *out, dfaiss_error_t *err) {
    store_t *store = context;
    assert_true(first >= 0 && count > 0 && count <= store->counts[field][array] && first <= store->counts[field][array] - count);
    if (store->reads_until_failure == 0) {
        err->code = DFAISS_ERR_IO;
        return DFAISS_ERR_IO;
    }
    store->reads_until_failure--;
    size_t width = store->element[field][array];
    memcpy(out, store->arrays[field][array] + (size_t)first * width, (size_t)count * width);
    return DFAISS_OK;
}

/* Reads in pieces, as a writer of files would. */
static void store_columns(const attribute_columns_t *columns, store_t *store) {
    *store = (store_t){.reads_until_failure = -1};
    for (int field = 0; field < 4; field++) {
        for (int i = 0; i < ATTRIBUTE_ARRAYS; i++) {
            attribute_array_t array = (attribute_array_t)i;
            size_t width = attribute_element_size(attribute_array_element(attribute_columns_schema(columns)->fields[field].type, array));
            int64_t count = attribute_array_count(columns, field, array);
            uint8_t *data = malloc((size_t)count * width + 1);
            for (int64_t first = 0; first < count; first += 10007)
                attribute_array_read(columns, field, array, first, first + 10007 < count ? 10007 : count - first, data + (size_t)first * width);
            store->element[field][i] = width;
            store->counts[field][i] = count;
            store->arrays[field][i] = data;
        }
    }
}

static void store_clear(store_t *store) {
    for (int field = 0; field < 4; field++)
        for (int array = 0; array < ATTRIBUTE_ARRAYS; array++)
            free(store->arrays[field][array]);
}

static dfaiss_status_t restore(const attribute_schema_t *schema, int64_t rows, store_t *store, attribute_columns_t **columns) {
    attribute_source_t source = {.context = store, .count = store_count, .read = store_read};
    *columns = NULL;
    dfaiss_status_t status = attribute_columns_restore(schema, rows, &source, columns, &error);
    assert_true((status == DFAISS_OK) == (*columns != NULL));
    return status;
}

static void assert_stored_alike(const store_t *a, const store_t *b) {
    for (int field = 0; field < 4; field++) {
        for (int array = 0; array < ATTRIBUTE_ARRAYS; array++) {
            assert_int_equal(a->counts[field][array], b->counts[field][array]);
            assert_memory_equal(a->arrays[field][array], b->arrays[field][array], (size_t)a->counts[field][array] * a->element[field][array]);
        }
    }
}

static void what_is_stored_is_restored(void **state) {
    fixture_t *fixture = *state;
    static const int64_t sizes[] = {0, 1, 1000, 65535, 65536, 133000};
    for (int i = 0; i < 6; i++) {
        attribute_columns_t *columns = columns_of(fixture->schema), *restored;
        store_t store, again;
        append_many(columns, sizes[i]);
        store_columns(columns, &store);
        assert_int_equal(store.counts[YEAR][ATTRIBUTE_ARRAY_PRESENT], 0);
        assert_int_equal(store.counts[SCORE][ATTRIBUTE_ARRAY_PRESENT], sizes[i]);
        assert_int_equal(store.counts[SCORE][ATTRIBUTE_ARRAY_STRING_BLOCKS], 0);
        assert_ok(restore(fixture->schema, sizes[i], &store, &restored), error);
        assert_some_made(restored, sizes[i]);
        attribute_columns_undo(restored);
        store_columns(restored, &again);
        assert_stored_alike(&store, &again);
        store_clear(&again);
        append_made(restored, sizes[i], 2000);
        append_made(columns, sizes[i], 2000);
        store_columns(columns, &again);
        store_clear(&store);
        store_columns(restored, &store);
        assert_stored_alike(&store, &again);
        attribute_columns_undo(restored);
        assert_some_made(restored, sizes[i]);
        store_clear(&again);
        store_clear(&store);
        attribute_columns_destroy(columns);
        attribute_columns_destroy(restored);
    }
}

static void arrays_have_names_and_types(void **state) {
    (void)state;
    assert_string_equal(attribute_array_name(ATTRIBUTE_ARRAY_VALUES), "values");
    assert_string_equal(attribute_array_name(ATTRIBUTE_ARRAY_STRING_BYTES), "string_bytes");
    assert_string_equal(attribute_array_name(ATTRIBUTE_ARRAYS), "?");
    assert_int_equal(attribute_array_element(ATTRIBUTE_FLOAT, ATTRIBUTE_ARRAY_VALUES), ATTRIBUTE_F64);
    assert_int_equal(attribute_array_element(ATTRIBUTE_BOOLEAN, ATTRIBUTE_ARRAY_VALUES), ATTRIBUTE_U8);
    assert_int_equal(attribute_array_element(ATTRIBUTE_STRING, ATTRIBUTE_ARRAY_STRING_ENDS), ATTRIBUTE_U64);
}

/* One element of an array gets another value, as its type has it. */
static void put_element(store_t *store, int field, attribute_array_t array, int64_t element, uint64_t value) {
    memcpy(store->arrays[field][array] + (size_t)element * store->element[field][array], &value, store->element[field][array]);
}

static void refuses_restored(const attribute_schema_t *schema, int64_t rows, store_t *store, const char *part) {
    attribute_columns_t *columns;
    assert_fails(restore(schema, rows, store, &columns), DFAISS_ERR_CHECKPOINT, error, part);
    assert_int_equal(strncmp(error.where, "attribute ", 10), 0);
}

typedef struct damage {
    int field;
    attribute_array_t array;
    int64_t element; /* -1: the array's count changes */
    uint64_t value;
    const char *part; /* of the error's text */
} damage_t;

/* In rows 0 to 19999: of their 5005 strings the first five have two bytes, the others ten. */
static const damage_t damages[] = {
    {YEAR, ATTRIBUTE_ARRAY_VALUES, -1, 19999, "attribute year, values: expected 20000 elements, found 19999"},
    {YEAR, ATTRIBUTE_ARRAY_PRESENT, -1, 1, "attribute year, present: expected 20000 elements, found 1"},
    {YEAR, ATTRIBUTE_ARRAY_STRING_BYTES, -1, 1, "attribute year, string_bytes: expected 0 elements, found 1"},
    {LANG, ATTRIBUTE_ARRAY_STRING_BLOCKS, -1, 0, "attribute lang, string_blocks: expected 1 elements, found 0"},
    {LANG, ATTRIBUTE_ARRAY_STRING_ENDS, -1, 5004, "attribute lang, string_ends: expected 5005 elements, found 5004"},
    {LANG, ATTRIBUTE_ARRAY_STRING_BYTES, -1, 50009, "attribute lang, string_bytes: expected 50010 elements, found 50009"},
    {LANG, ATTRIBUTE_ARRAY_STRING_BLOCKS, 0, 5004, "attribute lang, string_ends: expected 5004 elements, found 5005"},
    {LANG, ATTRIBUTE_ARRAY_STRING_BLOCKS, 0, UINT64_MAX, "attribute lang, string_ends: expected -1 elements, found 5005"},
    {LANG, ATTRIBUTE_ARRAY_STRING_ENDS, 5004, 1, "attribute lang, string_bytes: expected 1 elements, found 50010"},
    {LANG, ATTRIBUTE_ARRAY_STRING_ENDS, 1, 1, "attribute lang, string_ends: expected 2 to 50010 in element 1, found 1"},
    {LANG, ATTRIBUTE_ARRAY_STRING_ENDS, 1, UINT64_MAX, "attribute lang, string_ends: expected 2 to 50010 in element 1, found 18446744073709551615"},
    {LANG, ATTRIBUTE_ARRAY_VALUES, 7, 5005, "attribute lang, values: expected a number below 5005 in element 7, found 5005"},
    {RETRACTED, ATTRIBUTE_ARRAY_VALUES, 70, 2, "attribute retracted, values: expected 0 or 1 in element 70, found 2"},
    {SCORE, ATTRIBUTE_ARRAY_PRESENT, 9000, 255, "attribute score, present: expected 0 or 1 in element 9000, found 255"},
    {SCORE, ATTRIBUTE_ARRAY_VALUES, 9, UINT64_MAX, "attribute score, values: expected a number in element 9, found NaN"},
    {SCORE, ATTRIBUTE_ARRAY_VALUES, 1000, 5, "attribute score, values: expected 0 in element 1000, which has no value"},
};

static void damaged_arrays_are_refused(void **state) {
    fixture_t *fixture = *state;
    append_many(fixture->columns, 20000);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const damage_t *damage = &damages[i];
        store_t store;
        store_columns(fixture->columns, &store);
        if (damage->element < 0)
            store.counts[damage->field][damage->array] = (int64_t)damage->value;
        else
            put_element(&store, damage->field, damage->array, damage->element, damage->value);
        refuses_restored(fixture->schema, 20000, &store, damage->part);
        store_clear(&store);
    }
    store_t store;
    store_columns(fixture->columns, &store);
    refuses_restored(fixture->schema, 19999, &store, "expected 19999 elements, found 20000");
    store_clear(&store);
}

static void a_block_has_no_more_strings_than_rows(void **state) {
    fixture_t *fixture = *state;
    store_t store;
    append_many(fixture->columns, 70000);
    store_columns(fixture->columns, &store);
    memset(store.arrays[LANG][ATTRIBUTE_ARRAY_VALUES], 0, ATTRIBUTE_BLOCK_ROWS * sizeof(uint16_t));
    put_element(&store, LANG, ATTRIBUTE_ARRAY_STRING_BLOCKS, 0, 3);
    refuses_restored(fixture->schema, 70000, &store, "attribute lang, string_blocks: expected at most 4464 strings in block 1, found");
    put_element(&store, LANG, ATTRIBUTE_ARRAY_STRING_BLOCKS, 0, UINT64_MAX / 2);
    refuses_restored(fixture->schema, 70000, &store, "attribute lang, string_blocks: expected 0 to");
    store_clear(&store);
}

/* Random damage: refused, or columns that a filter can be evaluated on. */
static void random_damage_is_harmless(void **state) {
    fixture_t *fixture = *state;
    random_state_t random = random_stream(42, 0);
    filter_t *filter = filter_of(fixture->schema, "lang >= \"l2\" and (year in (1, 2, 3) or score > 2 or retracted)");
    append_many(fixture->columns, 500);
    int refused = 0;
    for (int round = 0; round < 2000; round++) {
        store_t store;
        attribute_columns_t *columns;
        uint64_t bits[8];
        store_columns(fixture->columns, &store);
        for (uint64_t change = 1 + random_below(&random, 3); change > 0; change--) {
            int field = (int)random_below(&random, 4);
            attribute_array_t array = (attribute_array_t)random_below(&random, ATTRIBUTE_ARRAYS);
            size_t bytes = (size_t)store.counts[field][array] * store.element[field][array];
            if (bytes > 0)
                store.arrays[field][array][random_below(&random, bytes)] ^= (uint8_t)(1 << random_below(&random, 8));
        }
        if (restore(fixture->schema, 500, &store, &columns) == DFAISS_OK) {
            filter_evaluate(filter, columns, 0, 500, bits);
            append_made(columns, 500, 10);
            attribute_columns_undo(columns);
        } else {
            refused++;
        }
        attribute_columns_destroy(columns);
        store_clear(&store);
    }
    assert_in_range(refused, 100, 1900);
    filter_destroy(filter);
}

static void a_failed_read_is_passed_on(void **state) {
    fixture_t *fixture = *state;
    store_t store;
    attribute_columns_t *columns;
    append_many(fixture->columns, 70000);
    store_columns(fixture->columns, &store);
    int64_t failures = 0;
    for (int64_t reads = 0;; reads++) {
        store.reads_until_failure = reads;
        dfaiss_status_t status = restore(fixture->schema, 70000, &store, &columns);
        if (status == DFAISS_OK)
            break;
        assert_int_equal(status, DFAISS_ERR_IO);
        failures++;
    }
    assert_true(failures > 10);
    attribute_columns_destroy(columns);
    store_clear(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_stored_is_restored, set_up, tear_down),
        cmocka_unit_test(arrays_have_names_and_types),
        cmocka_unit_test_setup_teardown(damaged_arrays_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_block_has_no_more_strings_than_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_damage_is_harmless, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_read_is_passed_on, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
