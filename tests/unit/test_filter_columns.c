/* Attributes of rows: declared, taken from metadata and from given columns, undone, and shared. */
#include "test_filter.h"

#include <math.h>

#include "base/random.h"

/* ---- schema ---- */

static void schema_is_sorted_and_searched(void **state) {
    const attribute_schema_t *schema = ((fixture_t *)*state)->schema;
    assert_int_equal(schema->count, 4);
    assert_string_equal(schema->fields[LANG].name, "lang");
    assert_int_equal(schema->fields[LANG].type, ATTRIBUTE_STRING);
    assert_int_equal(schema->fields[RETRACTED].type, ATTRIBUTE_BOOLEAN);
    assert_int_equal(schema->fields[SCORE].type, ATTRIBUTE_FLOAT);
    assert_int_equal(schema->fields[YEAR].type, ATTRIBUTE_INTEGER);
    assert_int_equal(attribute_schema_find(schema, "year"), YEAR);
    assert_int_equal(attribute_schema_find(schema, "years"), -1);
    assert_fails(attribute_schema_unknown(schema, "years", &error), DFAISS_ERR_ARG, error, "unknown attribute \"years\"; did you mean \"year\"?");
    assert_string_equal(error.where, "attribute years");
}

static void schema_of_nothing_or_of_nonsense(void **state) {
    (void)state;
    attribute_schema_t *schema = NULL;
    assert_ok(attribute_schema_create(NULL, "my.json", &schema, &error), error);
    assert_int_equal(schema->count, 0);
    assert_fails(attribute_schema_unknown(schema, "year", &error), DFAISS_ERR_ARG, error, "the index's configuration declares no attributes");
    attribute_schema_destroy(schema);
    attribute_schema_destroy(NULL);
    schema = NULL;
    json_t *array = json_array(), *object = json_pack("{s:s}", "year", "date");
    assert_fails(attribute_schema_create(array, "my.json", &schema, &error), DFAISS_ERR_CONFIG, error, "my.json: attributes is no object");
    assert_fails(attribute_schema_create(object, "my.json", &schema, &error), DFAISS_ERR_CONFIG, error, "\"year\" is \"date\"; expected \"int\"");
    assert_null(schema);
    json_decref(array);
    json_decref(object);
}

/* ---- from metadata ---- */

static void metadata_gives_values_of_the_right_type(void **state) {
    attribute_columns_t *columns = ((fixture_t *)*state)->columns;
    append_lines(columns,
                 "{\"lang\": \"de\", \"year\": 2019, \"score\": 0.5, \"retracted\": true, \"other\": [1, {\"year\": 3}]}\n"
                 "{\"lang\": \"\", \"year\": -9223372036854775808, \"score\": 3, \"retracted\": false}\n"
                 "{}\n"
                 "{\"lang\": 3, \"year\": \"2019\", \"score\": true, \"retracted\": 1}\n"
                 "{\"lang\": null, \"year\": 2019.0, \"score\": -0.25, \"retracted\": null}\n"
                 "{\"lang\": \"\xc3\xa4\\u00e4\", \"year\": 2019.5, \"score\": 9007199254740993}\n"
                 "{\"lang\": \"de\", \"year\": 9223372036854775807, \"score\": [1]}\n"
                 "{\"year\": 1e30}\n",
                 8);
    assert_int_equal(attribute_columns_rows(columns), 8);
    assert_row(columns, 0, "de true 0.5 2019");
    assert_row(columns, 1, " false 3 -9223372036854775808");
    assert_row(columns, 2, "- - - -");
    assert_row(columns, 3, "- - - -");
    assert_row(columns, 4, "- - -0.25 2019");
    assert_row(columns, 5, "\xc3\xa4\xc3\xa4 - 9007199254740992 -");
    assert_row(columns, 6, "de - - 9223372036854775807");
    assert_row(columns, 7, "- - - -");
    assert_int_equal(attribute_array_count(columns, LANG, ATTRIBUTE_ARRAY_STRING_ENDS), 3);
}

static void metadata_that_is_no_object_has_no_values(void **state) {
    attribute_columns_t *columns = ((fixture_t *)*state)->columns;
    append_lines(columns, "\nplain text\n[{\"year\": 1}]\n{\"year\": 1\n{\"year\": 2} {}\n{\"year\": 3}\n\"year\"\n\xff\xfe\n", 8);
    for (int row = 0; row < 8; row++)
        assert_row(columns, row, row == 5 ? "- - - 3" : "- - - -");
    attribute_rows_t rows = {.n = 2};
    assert_ok(attribute_columns_append(columns, &rows, &error), error);
    assert_int_equal(attribute_columns_rows(columns), 10);
    assert_row(columns, 9, "- - - -");
}

/* ---- from given columns ---- */

static void encode(const attribute_arrays_t *arrays, int count, int64_t n, bytes_writer_t *out) {
    *out = (bytes_writer_t){0};
    assert_ok(attribute_given_encode(arrays, count, n, out, &error), error);
}

static void given_columns_have_precedence(void **state) {
    fixture_t *fixture = *state;
    const int64_t years[] = {1999, -1, 0}, scores[] = {1, 2, 9007199254740993};
    const char *const langs[] = {"en", NULL, ""};
    const bool retracted[] = {true, false, true};
    attribute_arrays_t arrays[] = {{.name = "year", .integers = years},
                                   {.name = "lang", .strings = langs},
                                   {.name = "score", .integers = scores},
                                   {.name = "retracted", .booleans = retracted}};
    bytes_writer_t bytes;
    attribute_given_t *given = NULL;
    int count = 0;
    encode(arrays, 4, 3, &bytes);
    assert_ok(attribute_given_decode(fixture->schema, 3, bytes.data, bytes.size, &given, &count, &error), error);
    assert_int_equal(count, 4);
    append_lines_with(fixture->columns, "{\"lang\": \"de\", \"year\": 5}\n{\"lang\": \"de\"}\n{}\n", 3, given, 2);
    append_lines_with(fixture->columns, "{\"lang\": \"de\", \"year\": 5}\n{\"lang\": \"de\"}\n{}\n", 3, given + 2, 2);
    assert_row(fixture->columns, 0, "en - - 1999");
    assert_row(fixture->columns, 1, "- - - -1");
    assert_row(fixture->columns, 2, " - - 0");
    assert_row(fixture->columns, 3, "de true 1 5");
    assert_row(fixture->columns, 4, "de false 2 -");
    assert_row(fixture->columns, 5, "- true 9007199254740992 -");
    free(given);
    bytes_writer_destroy(&bytes);
}

static void not_a_number_is_no_value(void **state) {
    fixture_t *fixture = *state;
    const double scores[] = {NAN, INFINITY, -0.0};
    attribute_arrays_t arrays = {.name = "score", .floats = scores};
    bytes_writer_t bytes;
    attribute_given_t *given = NULL;
    int count = 0;
    encode(&arrays, 1, 3, &bytes);
    assert_ok(attribute_given_decode(fixture->schema, 3, bytes.data, bytes.size, &given, &count, &error), error);
    attribute_rows_t rows = {.n = 3, .given = given, .given_count = count};
    assert_ok(attribute_columns_append(fixture->columns, &rows, &error), error);
    assert_string_equal(value_of(fixture->columns, SCORE, 0), "-");
    assert_string_equal(value_of(fixture->columns, SCORE, 1), "inf");
    assert_string_equal(value_of(fixture->columns, SCORE, 2), "-0");
    free(given);
    bytes_writer_destroy(&bytes);
}

static void wrong_arrays_are_not_encoded(void **state) {
    (void)state;
    const int64_t integers[] = {1};
    const double floats[] = {1};
    const attribute_arrays_t wrong[] = {
        {.name = "year"}, {.name = "year", .integers = integers, .floats = floats}, {.integers = integers}, {.name = "a b", .integers = integers}};
    const char *const texts[] = {"attribute \"year\" has 0 arrays; expected one", "attribute \"year\" has 2 arrays", "\"\" is no name",
                                 "\"a b\" is no name"};
    for (int i = 0; i < 4; i++) {
        bytes_writer_t bytes = {0};
        assert_fails(attribute_given_encode(&wrong[i], 1, 1, &bytes, &error), DFAISS_ERR_ARG, error, texts[i]);
        assert_int_equal(bytes.size, 0);
    }
}

static void refuses_given(const attribute_schema_t *schema, const attribute_arrays_t *arrays, int count, const char *part) {
    bytes_writer_t bytes;
    attribute_given_t *given = NULL;
    encode(arrays, count, 1, &bytes);
    assert_fails(attribute_given_decode(schema, 1, bytes.data, bytes.size, &given, &count, &error), DFAISS_ERR_ARG, error, part);
    assert_null(given);
    bytes_writer_destroy(&bytes);
}

static void given_columns_must_fit_the_schema(void **state) {
    const attribute_schema_t *schema = ((fixture_t *)*state)->schema;
    const int64_t integers[] = {1};
    const double floats[] = {1};
    const char *const strings[] = {"x"};
    const attribute_arrays_t twice[] = {{.name = "year", .integers = integers}, {.name = "year", .integers = integers}};
    refuses_given(schema, &(attribute_arrays_t){.name = "jear", .integers = integers}, 1, "unknown attribute \"jear\"; did you mean \"year\"?");
    refuses_given(schema, &(attribute_arrays_t){.name = "year", .floats = floats}, 1, "attribute \"year\" is given as float; expected int");
    refuses_given(schema, &(attribute_arrays_t){.name = "score", .strings = strings}, 1, "attribute \"score\" is given as string; expected float");
    refuses_given(schema, &(attribute_arrays_t){.name = "lang", .integers = integers}, 1, "attribute \"lang\" is given as int; expected string");
    refuses_given(schema, twice, 2, "attribute \"year\" is given twice");
}

/* Whatever bytes come, they are refused or make columns that can be appended. */
static void damaged_given_columns_are_harmless(void **state) {
    fixture_t *fixture = *state;
    const int64_t years[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const char *const langs[] = {"en", NULL, "", "deutsch", "fr", "en", "x", "y", NULL};
    const bool retracted[] = {true, false, true, true, false, true, true, false, true};
    attribute_arrays_t arrays[] = {
        {.name = "year", .integers = years}, {.name = "lang", .strings = langs}, {.name = "retracted", .booleans = retracted}};
    bytes_writer_t bytes;
    encode(arrays, 3, 9, &bytes);
    random_state_t random = random_stream(41, 0);
    int refused = 0, taken = 0;
    for (int round = 0; round < 20000; round++) {
        size_t size = round % 3 == 0 ? (size_t)random_below(&random, bytes.size) : bytes.size;
        uint8_t *copy = malloc(size ? size : 1); /* exactly as large, so that reading beyond is seen */
        memcpy(copy, bytes.data, size);
        for (uint64_t change = random_below(&random, 3); change > 0 && size > 0; change--)
            copy[random_below(&random, size)] = (uint8_t)(random_below(&random, 2) ? random_u64(&random) : random_below(&random, 4));
        attribute_given_t *given = NULL;
        int count = 0;
        if (attribute_given_decode(fixture->schema, 9, copy, size, &given, &count, &error) == DFAISS_OK) {
            attribute_rows_t rows = {.n = 9, .given = given, .given_count = count};
            assert_ok(attribute_columns_append(fixture->columns, &rows, &error), error);
            free(given);
            taken++;
        } else {
            assert_null(given);
            refused++;
        }
        free(copy);
    }
    assert_true(refused > 1000 && taken > 1000);
    bytes_writer_destroy(&bytes);
}

static void hostile_counts_are_refused(void **state) {
    const attribute_schema_t *schema = ((fixture_t *)*state)->schema;
    bytes_writer_t bytes = {0};
    attribute_given_t *given = NULL;
    int count = 0;
    bytes_put_u32(&bytes, UINT32_MAX);
    assert_fails(attribute_given_decode(schema, 1, bytes.data, bytes.size, &given, &count, &error), DFAISS_ERR_PEER, error, "damaged");
    assert_fails(attribute_given_decode(schema, INT64_MAX, bytes.data, bytes.size, &given, &count, &error), DFAISS_ERR_PEER, error, "damaged");
    assert_fails(attribute_given_decode(schema, -1, bytes.data, bytes.size, &given, &count, &error), DFAISS_ERR_PEER, error, "damaged");
    assert_fails(attribute_given_decode(schema, 1, bytes.data, 3, &given, &count, &error), DFAISS_ERR_PEER, error, "damaged");
    bytes.size = 0;
    bytes_put_u32(&bytes, 0);
    assert_ok(attribute_given_decode(schema, 5, bytes.data, bytes.size, &given, &count, &error), error);
    assert_int_equal(count, 0);
    assert_null(given);
    bytes_put_u8(&bytes, 0);
    assert_fails(attribute_given_decode(schema, 5, bytes.data, bytes.size, &given, &count, &error), DFAISS_ERR_PEER, error, "damaged");
    bytes_writer_destroy(&bytes);
}

/* ---- many rows ---- */

static void rows_fill_block_after_block(void **state) {
    attribute_columns_t *columns = ((fixture_t *)*state)->columns;
    append_many(columns, 140000);
    assert_some_made(columns, 140000);
    /* Without spare room: 8 bytes for year and score, 2 for lang, the strings, and bits for retracted and for which rows have a score. */
    attribute_columns_t *snapshot = NULL;
    size_t strings = (size_t)attribute_array_count(columns, LANG, ATTRIBUTE_ARRAY_STRING_BYTES) +
                     8 * (size_t)attribute_array_count(columns, LANG, ATTRIBUTE_ARRAY_STRING_ENDS);
    assert_ok(attribute_columns_snapshot(columns, &snapshot, &error), error);
    assert_in_range(attribute_columns_bytes(snapshot), 140000 * 18 + strings, 140000 * 18 + strings + 140000 * 2 / 8 + 4000);
    assert_in_range(attribute_columns_bytes(columns), 140000 * 18 + strings, 140000 * 18 + strings + 2000000);
    attribute_columns_destroy(snapshot);
}

static void an_append_can_be_undone(void **state) {
    attribute_columns_t *columns = ((fixture_t *)*state)->columns;
    static const int64_t kept[] = {0, 10, 65000, 65536, 131000};
    static const int64_t dropped[] = {1, 5, 536, 537, 70000};
    for (int i = 0; i < 5; i++) {
        append_made(columns, attribute_columns_rows(columns), kept[i] - attribute_columns_rows(columns));
        for (int j = 0; j < 5; j++) {
            append_made(columns, 510000 + j, dropped[j]);
            assert_int_equal(attribute_columns_rows(columns), kept[i] + dropped[j]);
            assert_made(columns, kept[i], 510000 + j);
            attribute_columns_undo(columns);
            attribute_columns_undo(columns);
            assert_int_equal(attribute_columns_rows(columns), kept[i]);
        }
    }
    append_made(columns, 131000, 100);
    assert_some_made(columns, 131100);
    /* What was dropped left no strings behind. */
    attribute_columns_t *fresh = columns_of(((fixture_t *)*state)->schema);
    append_many(fresh, 131100);
    assert_int_equal(attribute_array_count(columns, LANG, ATTRIBUTE_ARRAY_STRING_BYTES),
                     attribute_array_count(fresh, LANG, ATTRIBUTE_ARRAY_STRING_BYTES));
    attribute_columns_destroy(fresh);
}

static void a_snapshot_stays_as_it_is(void **state) {
    fixture_t *fixture = *state;
    attribute_columns_t *snapshots[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        append_made(fixture->columns, i * 50000, 50000);
        assert_ok(attribute_columns_snapshot(fixture->columns, &snapshots[i], &error), error);
    }
    attribute_columns_undo(fixture->columns);
    append_made(fixture->columns, 700000, 50000);
    assert_made(fixture->columns, 100000, 700000);
    attribute_rows_t rows = {.n = 1};
    assert_int_equal(attribute_columns_append(snapshots[0], &rows, &error), DFAISS_ERR_INTERNAL);
    for (int i = 0; i < 3; i++)
        assert_some_made(snapshots[i], (i + 1) * 50000);
    attribute_columns_destroy(fixture->columns);
    fixture->columns = NULL;
    for (int i = 0; i < 3; i++) {
        assert_some_made(snapshots[i], (i + 1) * 50000);
        attribute_columns_destroy(snapshots[i]);
    }
}

static void rows_come_from_other_columns(void **state) {
    fixture_t *fixture = *state;
    attribute_columns_t *kept = columns_of(fixture->schema);
    append_many(fixture->columns, 140000);
    int64_t *rows = malloc(70000 * sizeof *rows);
    for (int64_t i = 0; i < 70000; i++)
        rows[i] = i * 7919 % 140000;
    assert_ok(attribute_columns_append_from(kept, fixture->columns, rows, 100, &error), error);
    assert_ok(attribute_columns_append_from(kept, fixture->columns, rows + 100, 69900, &error), error);
    assert_int_equal(attribute_columns_rows(kept), 70000);
    for (int64_t i = 0; i < 70000; i += 11)
        assert_made(kept, i, rows[i]);
    attribute_columns_undo(kept);
    assert_int_equal(attribute_columns_rows(kept), 100);
    free(rows);
    attribute_columns_destroy(kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(schema_is_sorted_and_searched, set_up, tear_down),
        cmocka_unit_test(schema_of_nothing_or_of_nonsense),
        cmocka_unit_test_setup_teardown(metadata_gives_values_of_the_right_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(metadata_that_is_no_object_has_no_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(given_columns_have_precedence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_a_number_is_no_value, set_up, tear_down),
        cmocka_unit_test(wrong_arrays_are_not_encoded),
        cmocka_unit_test_setup_teardown(given_columns_must_fit_the_schema, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_given_columns_are_harmless, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hostile_counts_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_fill_block_after_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_append_can_be_undone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_stays_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_come_from_other_columns, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
