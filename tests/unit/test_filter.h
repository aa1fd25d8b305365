/* What the tests of filters share: a schema of every type, rows from JSON lines, and values as a checkpoint would see them. */
#ifndef TESTS_TEST_FILTER_H
#define TESTS_TEST_FILTER_H

#include "check.h"

#include <inttypes.h>

#include <jansson.h>

#include "filter/columns.h"
#include "filter/expression.h"
#include "filter/stored.h"

/* Fields are numbered by name: lang 0, retracted 1, score 2, year 3. */
#define TEST_ATTRIBUTES "{\"year\": \"int\", \"score\": \"float\", \"lang\": \"string\", \"retracted\": \"bool\"}"
enum { LANG, RETRACTED, SCORE, YEAR };

static dfaiss_error_t error;

static inline attribute_schema_t *schema_of(const char *attributes) {
    json_t *object = json_loads(attributes, 0, NULL);
    attribute_schema_t *schema = NULL;
    assert_non_null(object);
    assert_ok(attribute_schema_create(object, "my.json", &schema, &error), error);
    json_decref(object);
    return schema;
}

static inline attribute_columns_t *columns_of(const attribute_schema_t *schema) {
    attribute_columns_t *columns = NULL;
    assert_ok(attribute_columns_create(schema, &columns, &error), error);
    return columns;
}

/* Appends a row for each line of a text, and given columns beside them. */
static inline void append_lines_with(attribute_columns_t *columns, const char *lines, int64_t n, const attribute_given_t *given, int given_count) {
    uint64_t *ends = calloc((size_t)n + 1, sizeof *ends);
    char *text = malloc(strlen(lines) + 1);
    size_t size = 0;
    int64_t row = 0;
    for (const char *c = lines; *c; c++) {
        if (*c == '\n')
            ends[row++] = size;
        else
            text[size++] = *c;
    }
    assert_int_equal(row, n);
    attribute_rows_t rows = {.n = n, .metadata = (const uint8_t *)text, .metadata_ends = ends, .given = given, .given_count = given_count};
    assert_ok(attribute_columns_append(columns, &rows, &error), error);
    free(ends);
    free(text);
}

static inline void append_lines(attribute_columns_t *columns, const char *lines, int64_t n) {
    append_lines_with(columns, lines, n, NULL, 0);
}

/* A row's value as text: "-" for none, "true", 12, 0.5, "text". Static, overwritten by the next call. */
static inline const char *value_of(const attribute_columns_t *columns, int field, int64_t row) {
    static char text[256];
    uint8_t present = 1, flag = 0;
    uint16_t code = 0;
    int64_t integer = 0;
    double number = 0;
    if (attribute_array_count(columns, field, ATTRIBUTE_ARRAY_PRESENT) > 0)
        attribute_array_read(columns, field, ATTRIBUTE_ARRAY_PRESENT, row, 1, &present);
    if (!present)
        return "-";
    switch (attribute_columns_schema(columns)->fields[field].type) {
    case ATTRIBUTE_INTEGER:
        attribute_array_read(columns, field, ATTRIBUTE_ARRAY_VALUES, row, 1, &integer);
        snprintf(text, sizeof text, "%" PRId64, integer);
        break;
    case ATTRIBUTE_FLOAT:
        attribute_array_read(columns, field, ATTRIBUTE_ARRAY_VALUES, row, 1, &number);
        snprintf(text, sizeof text, "%.17g", number);
        break;
    case ATTRIBUTE_BOOLEAN:
        attribute_array_read(columns, field, ATTRIBUTE_ARRAY_VALUES, row, 1, &flag);
        snprintf(text, sizeof text, "%s", flag ? "true" : "false");
        break;
    default: {
        uint64_t before = 0, begin = 0, end = 0;
        attribute_array_read(columns, field, ATTRIBUTE_ARRAY_VALUES, row, 1, &code);
        if (row >= ATTRIBUTE_BLOCK_ROWS)
            attribute_array_read(columns, field, ATTRIBUTE_ARRAY_STRING_BLOCKS, row / ATTRIBUTE_BLOCK_ROWS - 1, 1, &before);
        if (before + code > 0)
            attribute_array_read(columns, field, ATTRIBUTE_ARRAY_STRING_ENDS, (int64_t)before + code - 1, 1, &begin);
        attribute_array_read(columns, field, ATTRIBUTE_ARRAY_STRING_ENDS, (int64_t)before + code, 1, &end);
        assert_true(end >= begin && end - begin < sizeof text);
        attribute_array_read(columns, field, ATTRIBUTE_ARRAY_STRING_BYTES, (int64_t)begin, (int64_t)(end - begin), text);
        text[end - begin] = 0;
    }
    }
    return text;
}

/* The values of a row, "lang retracted score year". */
static inline void assert_row(const attribute_columns_t *columns, int64_t row, const char *expected) {
    char text[1024];
    size_t used = 0;
    for (int field = 0; field < attribute_columns_schema(columns)->count; field++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", field ? " " : "", value_of(columns, field, row));
    assert_string_equal(text, expected);
}

/* Row `row` of a made-up shard: strings that repeat and ones that hardly do, and gaps in parts of the rows. */
static inline void made_line(int64_t row, char *text, size_t capacity) {
    char score[32] = "null";
    if (row % 1000 > 2)
        snprintf(score, sizeof score, "%" PRId64 ".5", row % 77);
    if (row / 10000 % 2)
        snprintf(text, capacity, "{\"lang\": \"title %" PRId64 "\", \"year\": %" PRId64 ", \"score\": %s, \"retracted\": %s}\n", row / 2, row, score,
                 row % 3 ? "true" : "false");
    else
        snprintf(text, capacity, "{\"lang\": \"l%" PRId64 "\", \"year\": %" PRId64 ", \"score\": %s, \"retracted\": %s}\n", row % 5, row, score,
                 row % 3 ? "true" : "false");
}

static inline void made_text(int64_t row, char *text, size_t capacity) {
    char score[32] = "-", lang[32];
    if (row % 1000 > 2)
        snprintf(score, sizeof score, "%" PRId64 ".5", row % 77);
    snprintf(lang, sizeof lang, row / 10000 % 2 ? "title %" PRId64 : "l%" PRId64, row / 10000 % 2 ? row / 2 : row % 5);
    snprintf(text, capacity, "%s %s %s %" PRId64, lang, row % 3 ? "true" : "false", score, row);
}

static inline void append_made(attribute_columns_t *columns, int64_t first, int64_t n) {
    char *lines = calloc((size_t)n + 1, 128), *at = lines;
    for (int64_t i = 0; i < n; i++) {
        made_line(first + i, at, 128);
        at += strlen(at);
    }
    append_lines(columns, lines, n);
    free(lines);
}

static inline void assert_made(const attribute_columns_t *columns, int64_t row, int64_t made) {
    char text[128];
    made_text(made, text, sizeof text);
    assert_row(columns, row, text);
}

static inline void assert_some_made(const attribute_columns_t *columns, int64_t rows) {
    assert_int_equal(attribute_columns_rows(columns), rows);
    for (int64_t row = 0; row < rows; row += row % 65536 < 70 || row % 65536 > 65400 ? 1 : 53)
        assert_made(columns, row, row);
}

static inline void append_many(attribute_columns_t *columns, int64_t rows) {
    static const int64_t sizes[] = {1, 999, 64, 20000, 7, 40000, 3000};
    int64_t done = 0;
    for (int i = 0; done < rows; i++) {
        int64_t n = sizes[i % 7] < rows - done ? sizes[i % 7] : rows - done;
        append_made(columns, done, n);
        done += n;
    }
}

static inline filter_t *filter_of(const attribute_schema_t *schema, const char *text) {
    filter_t *filter = NULL;
    assert_ok(filter_parse(schema, text, strlen(text), &filter, &error), error);
    return filter;
}

/* A schema, and columns of it without rows. */
typedef struct fixture {
    attribute_schema_t *schema;
    attribute_columns_t *columns;
} fixture_t;

static inline int set_up(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->schema = schema_of(TEST_ATTRIBUTES);
    fixture->columns = columns_of(fixture->schema);
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state) {
    fixture_t *fixture = *state;
    attribute_columns_destroy(fixture->columns);
    attribute_schema_destroy(fixture->schema);
    free(fixture);
    return 0;
}

#endif
