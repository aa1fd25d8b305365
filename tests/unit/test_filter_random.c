/* Filters made at random: each finds exactly the rows that a naive reading of it finds, in whatever part of the rows it is evaluated. */
#include "test_filter.h"

#include <math.h>

#include "base/random.h"

enum { RANDOM_ROWS = 70000, WORDS = (RANDOM_ROWS + 63) / 64 };

/* A row as the test itself knows it. */
typedef struct row {
    bool has[4];
    char lang[24];
    bool retracted;
    double score;
    int64_t year;
} row_t;

static const int64_t integers[] = {0,
                                   1,
                                   -1,
                                   2,
                                   3,
                                   100,
                                   9007199254740991,
                                   9007199254740992,
                                   9007199254740993,
                                   9007199254740994,
                                   -9007199254740993,
                                   INT64_MAX,
                                   INT64_MAX - 1,
                                   INT64_MIN,
                                   INT64_MIN + 1,
                                   INT64_MAX - 1023,
                                   5000000000000000000,
                                   -5000000000000000000,
                                   -7000000000000000000};
static const double floats[] = {0,
                                -0.0,
                                0.5,
                                1,
                                -1,
                                2.5,
                                3,
                                1e-320,
                                9007199254740992.0,
                                9007199254740994.0,
                                -9007199254740992.0,
                                9223372036854775808.0,
                                9223372036854774784.0,
                                -9223372036854775808.0,
                                -9223372036854777856.0,
                                6e18,
                                -6e18,
                                1e300,
                                -1e300,
                                1.7976931348623157e308};
static const char *const strings[] = {"", "a", "b", "ab", "de", "den", "\xc3\xa4", "\xff", "'\"\\", "z\nz"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static int64_t random_integer(random_state_t *random) {
    return random_below(random, 2) ? integers[random_below(random, COUNT(integers))] : (int64_t)random_below(random, 8);
}

static double random_float(random_state_t *random) {
    return random_below(random, 2) ? floats[random_below(random, COUNT(floats))] : (double)random_below(random, 16) / 2;
}

static void random_string(random_state_t *random, bool many, char *text, size_t capacity) {
    if (many)
        snprintf(text, capacity, "s%d", (int)random_below(random, 100000));
    else
        snprintf(text, capacity, "%s", strings[random_below(random, COUNT(strings))]);
}

static void random_row(random_state_t *random, int64_t number, row_t *row) {
    for (int field = 0; field < 4; field++)
        row->has[field] = number % 3000 < 1000 || random_below(random, 5) > 0;
    random_string(random, number / 20000 % 2, row->lang, sizeof row->lang);
    row->retracted = random_below(random, 2);
    row->score = random_float(random);
    row->year = random_integer(random);
}

/* Appends rows as given columns, of those that have all values or none. */
static void append_rows(attribute_columns_t *columns, const row_t *rows, int64_t n) {
    const char **langs = calloc((size_t)n, sizeof *langs);
    double *scores = calloc((size_t)n, sizeof *scores);
    bytes_writer_t bytes = {0}, metadata = {0};
    uint64_t *ends = calloc((size_t)n, sizeof *ends);
    for (int64_t i = 0; i < n; i++) {
        char year[64] = "", retracted[64] = "", text[160];
        langs[i] = rows[i].has[LANG] ? rows[i].lang : NULL;
        scores[i] = rows[i].has[SCORE] ? rows[i].score : NAN;
        if (rows[i].has[YEAR])
            snprintf(year, sizeof year, "\"year\": %" PRId64 ", ", rows[i].year);
        if (rows[i].has[RETRACTED])
            snprintf(retracted, sizeof retracted, "\"retracted\": %s, ", rows[i].retracted ? "true" : "false");
        snprintf(text, sizeof text, "{%s%s\"x\": 0}", year, retracted);
        bytes_put(&metadata, text, strlen(text));
        ends[i] = metadata.size;
    }
    attribute_arrays_t arrays[] = {{.name = "lang", .strings = langs}, {.name = "score", .floats = scores}};
    attribute_given_t *given = NULL;
    int count = 0;
    assert_ok(attribute_given_encode(arrays, 2, n, &bytes, &error), error);
    assert_ok(attribute_given_decode(attribute_columns_schema(columns), n, bytes.data, bytes.size, &given, &count, &error), error);
    attribute_rows_t all = {.n = n, .metadata = metadata.data, .metadata_ends = ends, .given = given, .given_count = count};
    assert_ok(attribute_columns_append(columns, &all, &error), error);
    free(given);
    free(langs);
    free(scores);
    free(ends);
    bytes_writer_destroy(&bytes);
    bytes_writer_destroy(&metadata);
}

/* Makes a random expression and what it finds, at the same time. long double holds every int64_t and every double exactly. */
typedef struct maker {
    random_state_t random;
    const row_t *rows;
    char text[1 << 14];
    size_t size;
} maker_t;

__attribute__((format(printf, 2, 3))) static void say(maker_t *maker, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    maker->size += (size_t)vsnprintf(maker->text + maker->size, sizeof maker->text - maker->size, format, arguments);
    va_end(arguments);
    assert_true(maker->size < sizeof maker->text);
}

static void say_string(maker_t *maker, const char *text) {
    char quote = random_below(&maker->random, 2) ? '"' : '\'';
    say(maker, "%c", quote);
    for (; *text; text++) {
        if (*text == quote || *text == '\\')
            say(maker, "\\%c", *text);
        else if (*text == '\n' && random_below(&maker->random, 2))
            say(maker, "\\n");
        else if (*text >= 'a' && random_below(&maker->random, 4) == 0)
            say(maker, "\\u%04x", (unsigned)*text);
        else
            say(maker, "%c", *text);
    }
    say(maker, "%c", quote);
}

static long double say_number(maker_t *maker) {
    if (random_below(&maker->random, 2)) {
        int64_t integer = random_integer(&maker->random);
        say(maker, "%" PRId64, integer);
        return integer;
    }
    double number = random_float(&maker->random);
    char text[64];
    snprintf(text, sizeof text, "%.17g", number);
    say(maker, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
    return number;
}

static const char *const operators[] = {"==", "!=", "<", "<=", ">", ">="};

static bool holds(int operation, int order) {
    switch (operation) {
    case 0:
        return order == 0;
    case 1:
        return order != 0;
    case 2:
        return order < 0;
    case 3:
        return order <= 0;
    case 4:
        return order > 0;
    default:
        return order >= 0;
    }
}

typedef bool row_holds_t(const row_t *row, const void *what);

static void put_rows(const maker_t *maker, uint64_t *bits, row_holds_t *row_holds, const void *what) {
    memset(bits, 0, WORDS * sizeof *bits);
    for (int64_t i = 0; i < RANDOM_ROWS; i++)
        bits[i / 64] |= (uint64_t)row_holds(&maker->rows[i], what) << (i % 64);
}

enum { LONGEST_LIST = 14 };

/* A comparison as the test reads it. */
typedef struct condition {
    int field;
    int operation; /* of operators; 6 in, 7 not in, 8 has, 9 the bool alone */
    int count;
    long double numbers[LONGEST_LIST];
    char texts[LONGEST_LIST][24];
    bool booleans[LONGEST_LIST];
} condition_t;

static int order_of(const row_t *row, const condition_t *condition, int value) {
    long double number = condition->field == SCORE ? (long double)row->score : (long double)row->year;
    if (condition->field == LANG) {
        int order = strcmp(row->lang, condition->texts[value]);
        return (order > 0) - (order < 0);
    }
    if (condition->field == RETRACTED)
        return row->retracted != condition->booleans[value];
    return (number > condition->numbers[value]) - (number < condition->numbers[value]);
}

static bool condition_holds(const row_t *row, const void *what) {
    const condition_t *condition = what;
    bool found = false;
    if (!row->has[condition->field])
        return condition->operation == 1 || condition->operation == 7;
    if (condition->operation >= 8)
        return condition->operation == 8 || row->retracted;
    if (condition->operation < 6)
        return holds(condition->operation, order_of(row, condition, 0));
    for (int i = 0; i < condition->count; i++)
        found = found || order_of(row, condition, i) == 0;
    return found == (condition->operation == 6);
}

static void say_value(maker_t *maker, condition_t *condition, int value) {
    switch (condition->field) {
    case LANG:
        random_string(&maker->random, random_below(&maker->random, 2), condition->texts[value], sizeof condition->texts[value]);
        say_string(maker, condition->texts[value]);
        break;
    case RETRACTED:
        condition->booleans[value] = random_below(&maker->random, 2);
        say(maker, condition->booleans[value] ? "true" : "false");
        break;
    default:
        condition->numbers[value] = say_number(maker);
    }
}

static void make_condition(maker_t *maker, uint64_t *bits) {
    static const char *const names[] = {"lang", "retracted", "score", "year"};
    condition_t condition = {.field = (int)random_below(&maker->random, 4), .operation = (int)random_below(&maker->random, 9)};
    if (condition.field == RETRACTED && condition.operation > 1 && condition.operation < 6)
        condition.operation = 9;
    if (condition.operation == 8) {
        say(maker, "has(%s)", names[condition.field]);
    } else if (condition.operation == 9) {
        say(maker, "%s", names[condition.field]);
    } else if (condition.operation < 6) {
        say(maker, "%s %s ", names[condition.field], operators[condition.operation]);
        say_value(maker, &condition, 0);
    } else {
        condition.count = 1 + (int)random_below(&maker->random, LONGEST_LIST);
        say(maker, "%s %s (", names[condition.field], condition.operation == 6 ? "in" : "not in");
        for (int i = 0; i < condition.count; i++) {
            say(maker, i ? ", " : "");
            say_value(maker, &condition, i);
        }
        say(maker, ")");
    }
    put_rows(maker, bits, condition_holds, &condition);
}

static void make_expression(maker_t *maker, int depth, uint64_t *bits) {
    uint64_t form = depth > 0 ? random_below(&maker->random, 4) : 0;
    bool words = random_below(&maker->random, 2);
    if (form == 0) {
        make_condition(maker, bits);
    } else if (form == 1) {
        say(maker, words ? "not (" : "!(");
        make_expression(maker, depth - 1, bits);
        say(maker, ")");
        for (int w = 0; w < WORDS; w++)
            bits[w] = ~bits[w];
    } else {
        uint64_t *right = malloc(WORDS * sizeof *right);
        say(maker, "(");
        make_expression(maker, depth - 1, bits);
        say(maker, form == 2 ? words ? ") and (" : ") && (" : words ? ") or (" : ") || (");
        make_expression(maker, depth - 1, right);
        say(maker, ")");
        for (int w = 0; w < WORDS; w++)
            bits[w] = form == 2 ? bits[w] & right[w] : bits[w] | right[w];
        free(right);
    }
}

static void assert_range_matches(const maker_t *maker, filter_t *filter, const attribute_columns_t *columns, int64_t first, int64_t count,
                                 const uint64_t *expected) {
    static uint64_t bits[WORDS + 2];
    const uint64_t guard = 0x5555;
    int64_t words = (count + 63) / 64;
    memset(bits, 0xff, sizeof bits);
    bits[words] = guard;
    filter_evaluate(filter, columns, first, count, bits);
    assert_int_equal(bits[words], guard);
    for (int64_t i = 0; i < words * 64; i++) {
        int64_t row = first + i;
        bool found = bits[i / 64] >> (i % 64) & 1, wanted = i < count && (expected[row / 64] >> (row % 64) & 1);
        if (found != wanted)
            fail_msg("row %" PRId64 " of %" PRId64 " from %" PRId64 " on: found %d, expected %d: %s", row, count, first, found, wanted, maker->text);
    }
}

static void any_expression_finds_what_it_says(void **state) {
    const fixture_t *fixture = *state;
    static row_t rows[RANDOM_ROWS];
    static uint64_t expected[WORDS];
    static maker_t maker;
    maker = (maker_t){.random = random_stream(43, 0), .rows = rows};
    attribute_columns_t *columns = fixture->columns;
    for (int64_t i = 0; i < RANDOM_ROWS; i++)
        random_row(&maker.random, i, &rows[i]);
    for (int64_t done = 0, n; done < RANDOM_ROWS; done += n) {
        n = 1 + (int64_t)random_below(&maker.random, 5000);
        n = n < RANDOM_ROWS - done ? n : RANDOM_ROWS - done;
        append_rows(columns, rows + done, n);
    }
    for (int round = 0; round < 250; round++) {
        maker.size = 0;
        make_expression(&maker, round % 5, expected);
        filter_t *filter = filter_of(fixture->schema, maker.text);
        int64_t first = (int64_t)random_below(&maker.random, RANDOM_ROWS),
                count = (int64_t)random_below(&maker.random, (uint64_t)(RANDOM_ROWS - first + 1));
        assert_range_matches(&maker, filter, columns, first, count, expected);
        first = (int64_t)random_below(&maker.random, RANDOM_ROWS - 300);
        assert_range_matches(&maker, filter, columns, first, (int64_t)random_below(&maker.random, 300), expected);
        assert_range_matches(&maker, filter, columns, 0, RANDOM_ROWS, expected);
        filter_destroy(filter);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_expression_finds_what_it_says, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
