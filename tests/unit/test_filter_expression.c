/* Filters: what the grammar takes, where it points when it refuses, and that no text does harm. */
#include "test_filter.h"

#include <locale.h>

#include "base/random.h"

/* Row 7 has no values at all. */
static const char rows_of_fixture[] = "{\"lang\": \"de\", \"year\": 2019, \"score\": 0.5, \"retracted\": true}\n"
                                      "{\"lang\": \"en\", \"year\": 2020, \"score\": 1, \"retracted\": false}\n"
                                      "{\"lang\": \"de\", \"year\": 2021, \"score\": -2.5}\n"
                                      "{\"lang\": \"it's \\\"\\u00e4\\\"\\n\", \"year\": -5, \"score\": 9007199254740992}\n"
                                      "{\"lang\": \"\", \"year\": 9007199254740993, \"score\": 0, \"retracted\": false}\n"
                                      "{\"lang\": \"d\", \"year\": 9223372036854775807, \"score\": 1e300}\n"
                                      "{\"lang\": \"\\ud83d\\ude00\", \"year\": -9223372036854775808, \"score\": -1e300}\n"
                                      "{}\n";
enum { FIXTURE_ROWS = 8 };

static int set_up_rows(void **state) {
    set_up(state);
    append_lines(((fixture_t *)*state)->columns, rows_of_fixture, FIXTURE_ROWS);
    return 0;
}

/* ---- what is found ---- */

typedef struct good {
    const char *text;
    const char *rows; /* the numbers of those that match */
} good_t;

static const good_t goods[] = {
    {"lang == \"de\"", "02"},
    {"lang == 'de'", "02"},
    {"lang==\"de\"", "02"},
    {" \t\r\nlang\n== \"de\" ", "02"},
    {"lang != \"de\"", "134567"},
    {"not lang == \"de\"", "134567"},
    {"!lang == \"de\"", "134567"},
    {"!(lang == \"de\")", "134567"},
    {"not not lang == \"de\"", "02"},
    {"lang < \"de\"", "45"},
    {"lang <= \"de\"", "0245"},
    {"lang > \"de\"", "136"},
    {"lang >= \"de\"", "01236"},
    {"lang == \"\"", "4"},
    {"lang == 'it\\'s \"\\u00e4\"\\n'", "3"},
    {"lang == \"it's \\\"\\u00E4\\\"\\n\"", "3"},
    {"lang == \"it's \\\"\xc3\xa4\\\"\n\"", "3"},
    {"lang == \"\\ud83d\\uDE00\"", "6"},
    {"lang == \"\\u0064e\"", "02"},
    {"lang == \"d\\u0000\"", ""},
    {"lang == '\\\\\\/\\b\\f\\r\\t'", ""},
    {"lang in (\"de\")", "02"},
    {"lang in (\"de\", 'en',\"xx\")", "012"},
    {"lang not in (\"de\", \"en\")", "34567"},
    {"not lang in (\"de\", \"en\")", "34567"},
    {"lang in (\"en\", \"de\", \"en\", \"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\")", "0125"},
    {"year == 2020", "1"},
    {"year == 2020.0", "1"},
    {"year == 2.02e3", "1"},
    {"year == 2020.5", ""},
    {"year != 2020.5", "01234567"},
    {"year < 2020.5", "0136"},
    {"year <= 2020.5", "0136"},
    {"year > 2019.5", "1245"},
    {"year >= 2019.5", "1245"},
    {"year < 2020", "036"},
    {"year > 2020", "245"},
    {"year <= -5", "36"},
    {"year >= -0", "01245"},
    {"year == 9007199254740992.0", ""},
    {"year > 9007199254740992.0", "45"},
    {"year == 9007199254740993", "4"},
    {"year < 9223372036854775808.0", "0123456"},
    {"year >= 9223372036854775808.0", ""},
    {"year == 9223372036854775807", "5"},
    {"year == 9223372036854775808.0", ""},
    {"year > 9223372036854775807", ""},
    {"year <= 9223372036854775807", "0123456"},
    {"year < -9223372036854775808", ""},
    {"year < -9223372036854775808.0", ""},
    {"year <= -9223372036854775808.0", "6"},
    {"year >= -9223372036854775808", "0123456"},
    {"year > -9223372036854775808", "012345"},
    {"year > 1e300", ""},
    {"year < 1e300", "0123456"},
    {"year > -1e300", "0123456"},
    {"year <= -1e300", ""},
    {"year in (2019, 2021.0, 2020.5, -5)", "023"},
    {"year in (2020.5)", ""},
    {"year not in (2020.5)", "01234567"},
    {"year in (1, 2, 3, 4, 5, 6, 7, 8, 9, 2020, 2021, 2022)", "12"},
    {"year not in (1, 2, 3, 4, 5, 6, 7, 8, 9, 2020, 2021, 2022)", "034567"},
    {"score == 0.5", "0"},
    {"score == 1", "1"},
    {"score != 1", "0234567"},
    {"score > 0.5", "135"},
    {"score >= 0.5", "0135"},
    {"score < 0", "26"},
    {"score <= -0.0", "246"},
    {"score == -0.0", "4"},
    {"score < 9007199254740993", "012346"},
    {"score <= 9007199254740993", "012346"},
    {"score == 9007199254740993", ""},
    {"score >= 9007199254740993", "5"},
    {"score > 9007199254740993", "5"},
    {"score > 9007199254740991", "35"},
    {"score >= 9223372036854775807", "5"},
    {"score < 9223372036854775807", "012346"},
    {"score < -9223372036854775808", "6"},
    {"score in (0, 1, 9007199254740993)", "14"},
    {"score in (1, 2, 3, 4, 5, 6, 7, 8, 9, 0.5, -2.5, 0)", "0124"},
    {"retracted", "0"},
    {"not retracted", "1234567"},
    {"retracted == true", "0"},
    {"retracted == false", "14"},
    {"retracted != true", "1234567"},
    {"retracted != false", "023567"},
    {"retracted in (true, false)", "014"},
    {"retracted not in (true, false)", "23567"},
    {"has(retracted)", "014"},
    {"not has ( year )", "7"},
    {"has(lang) and has(year)and has(score)", "0123456"},
    {"lang == \"de\" and year >= 2020", "2"},
    {"lang == \"de\" && year >= 2020", "2"},
    {"lang == \"de\" or year >= 2020", "01245"},
    {"lang == \"de\" || year >= 2020", "01245"},
    {"year == 2019 or year == 2020 and lang == \"de\"", "0"},
    {"(year == 2019 or year == 2020) and lang == \"en\"", "1"},
    {"lang == \"en\" and year == 2020 or year == 2019", "01"},
    {"lang == \"en\" and (year == 2020 or year == 2019)", "1"},
    {"((((year == 2019))))", "0"},
    {"not (year == 2019 or retracted) and not lang == \"en\"", "234567"},
};

static void assert_matches(const fixture_t *fixture, const good_t *good) {
    uint64_t bits[1] = {~(uint64_t)0};
    char found[FIXTURE_ROWS + 1];
    size_t size = 0;
    filter_t *filter = filter_of(fixture->schema, good->text);
    filter_evaluate(filter, fixture->columns, 0, FIXTURE_ROWS, bits);
    for (int row = 0; row < FIXTURE_ROWS; row++)
        if (bits[0] >> row & 1)
            found[size++] = (char)('0' + row);
    found[size] = 0;
    if (strcmp(found, good->rows) != 0 || bits[0] >> FIXTURE_ROWS)
        fail_msg("%s found %s, expected %s", good->text, found, good->rows);
    filter_destroy(filter);
}

static void expressions_find_rows(void **state) {
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++)
        assert_matches(*state, &goods[i]);
}

/* Numbers are JSON's in every locale. */
static void the_locale_does_not_matter(void **state) {
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        skip();
    expressions_find_rows(state);
    setlocale(LC_NUMERIC, "C");
}

static void comparisons_are_counted(void **state) {
    const attribute_schema_t *schema = ((fixture_t *)*state)->schema;
    static const struct {
        const char *text;
        int64_t comparisons;
    } counts[] = {{"retracted", 1},
                  {"year == 1 and not year == 2 or lang in (\"a\", \"b\")", 3},
                  {"year in (1, 2, 3)", 3},
                  {"year in (0.5)", 1},
                  {"year in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)", 8}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        filter_t *filter = filter_of(schema, counts[i].text);
        assert_int_equal(filter_comparisons(filter), counts[i].comparisons);
        filter_destroy(filter);
    }
    filter_destroy(NULL);
}

/* ---- what is refused ---- */

typedef struct bad {
    const char *text;
    int character;
    const char *part; /* of the error's text, behind the place */
} bad_t;

static const bad_t bads[] = {
    {"", 1, "expected a condition (an attribute, has, not or '('), found the end: >>>"},
    {"   ", 4, "expected a condition (an attribute, has, not or '('), found the end:    >>>"},
    {"lang", 5, "expected a comparison (== != < <= > >= in, not in), found the end: lang>>>"},
    {"lang = \"de\"", 6, "expected ==, found a single one: lang >>>= \"de\""},
    {"lang == \"de\" & year > 1", 14, "expected &&, found a single one: lang == \"de\" >>>& year > 1"},
    {"lang == \"de\" | year > 1", 14, "expected ||, found a single one"},
    {"lang == 5", 9, "expected a string in quotes for \"lang\" (string), found the int 5: lang == >>>5"},
    {"lang == de", 9, "expected a string in quotes for \"lang\" (string), found the name de"},
    {"lang == true", 9, "expected a string in quotes for \"lang\" (string), found 'true'"},
    {"year >= \"2019\"", 9, "expected a number for \"year\" (int), found the string \"2019\": year >= >>>\"2019\""},
    {"score > false", 9, "expected a number for \"score\" (float), found 'false'"},
    {"retracted == 1", 14, "expected true or false for \"retracted\" (bool), found the int 1"},
    {"retracted < true", 11, "expected == or != for a bool, found '<'"},
    {"retracted in (1.5)", 15, "expected true or false for \"retracted\" (bool), found the float 1.5"},
    {"lang in \"de\"", 9, "expected '(' behind in, found the string \"de\""},
    {"lang in ()", 10, "expected a string in quotes for \"lang\" (string), found ')'"},
    {"lang in (\"de\" \"en\")", 15, "expected ',' or ')' in a list, found the string \"en\""},
    {"lang in (\"de\",)", 15, "expected a string in quotes for \"lang\" (string), found ')'"},
    {"lang in (\"de\", 5)", 16, "expected a string in quotes for \"lang\" (string), found the int 5"},
    {"lang in (\"de\"", 14, "expected ',' or ')' in a list, found the end"},
    {"lang not \"de\"", 10, "expected in, found the string \"de\""},
    {"lang not in \"de\"", 13, "expected '(' behind in, found"},
    {"langg == \"de\"", 1, "unknown attribute \"langg\"; did you mean \"lang\"?: >>>langg == \"de\""},
    {"year > 1 and Retracted", 14, "unknown attribute \"Retracted\"; did you mean \"retracted\"?"},
    {"has(yeer)", 5, "unknown attribute \"yeer\"; did you mean \"year\"?"},
    {"a234567890123456789012345678901234567890123456789012345678901234567890 == 1", 1, "unknown attribute \"a23456"},
    {"has(5)", 5, "expected the name of an attribute, found the int 5"},
    {"has year", 5, "expected '(' behind has, found the name year"},
    {"has(year", 9, "expected ')', found the end"},
    {"lang == \"de", 9, "expected a string that ends with \", found the end: lang == >>>\"de"},
    {"lang == 'de\"", 9, "expected a string that ends with ', found the end"},
    {"lang == \"de\\", 12, "expected one of \\\\ \\/ \\\" \\' \\b \\f \\n \\r \\t \\uXXXX"},
    {"lang == \"de\\x\"", 12, "expected one of \\\\"},
    {"lang == \"\\u12g4\"", 10, "expected four hexadecimal digits behind \\u"},
    {"lang == \"\\u12", 10, "expected four hexadecimal digits behind \\u"},
    {"lang == \"\\ud83d\"", 10, "expected a character, found half of one"},
    {"lang == \"\\ud83d\\u0041\"", 10, "expected a character, found half of one"},
    {"lang == \"\\udc00\"", 10, "expected a character, found half of one"},
    {"lang == \"de\" year > 1", 14, "expected and, or, or the end, found the name year: lang == \"de\" >>>year > 1"},
    {"lang == \"de\")", 13, "expected and, or, or the end, found ')'"},
    {"(lang == \"de\"", 14, "expected and, or, or ')', found the end"},
    {"(lang == \"de\" year", 15, "expected and, or, or ')', found the name year"},
    {"()", 2, "expected a condition (an attribute, has, not or '('), found ')'"},
    {"lang == \"de\" and", 17, "expected a condition (an attribute, has, not or '('), found the end"},
    {"and lang == \"de\"", 1, "expected a condition (an attribute, has, not or '('), found 'and'"},
    {"true", 1, "expected a condition (an attribute, has, not or '('), found 'true'"},
    {"2019 <= year", 1, "expected a condition (an attribute, has, not or '('), found the int 2019"},
    {"not", 4, "expected a condition"},
    {"year == 9223372036854775808", 9, "expected an int from -2^63 to 2^63 - 1, or a float below 1.8e308"},
    {"year == 1e999", 9, "expected an int from -2^63 to 2^63 - 1, or a float below 1.8e308"},
    {"year == 01", 9, "expected a number as in JSON"},
    {"year == -", 9, "expected a number as in JSON"},
    {"year == 1.", 9, "expected a number as in JSON"},
    {"year == 1e", 9, "expected a number as in JSON"},
    {"year == 12x", 11, "expected the end of a number"},
    {"year == 1.2.3", 12, "expected the end of a number"},
    {"year == +1", 9, "expected a name, a value or an operator"},
    {"year == nan", 9, "expected a number for \"year\" (int), found the name nan"},
    {"year == .5", 9, "expected a name, a value or an operator"},
    {"year <> 5", 7, "expected a number for \"year\" (int), found '>'"},
    {"year == year", 9, "expected a number for \"year\" (int), found the name year"},
    {"lang == \"\xc3\xa4\xe2\x82\xac\" ; year", 14, "expected a name, a value or an operator: lang == \"\xc3\xa4\xe2\x82\xac\" >>>; year"},
    {"lang == 'a\nb' AND year", 15, "found the name AND: lang == 'a b' >>>AND year"},
    {"lang == '\x01\x7f\xff' x", 15, "found the name x: lang == '?\?\?' >>>x"},
    {"\xc3\xa4 == 1", 1, "expected a name, a value or an operator: >>>\xc3\xa4 == 1"},
};

static void wrong_expressions_point_at_the_place(void **state) {
    const attribute_schema_t *schema = ((fixture_t *)*state)->schema;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        char where[64], prefix[80];
        filter_t *filter = NULL;
        snprintf(where, sizeof where, "filter, character %d", bads[i].character);
        snprintf(prefix, sizeof prefix, "%s: ", where);
        assert_fails(filter_parse(schema, bads[i].text, strlen(bads[i].text), &filter, &error), DFAISS_ERR_ARG, error, bads[i].part);
        assert_null(filter);
        assert_string_equal(error.where, where);
        assert_int_equal(strncmp(error.text, prefix, strlen(prefix)), 0);
        assert_null(strpbrk(error.text, "\r\n\t"));
    }
}

static void a_zero_byte_is_no_word(void **state) {
    filter_t *filter = NULL;
    assert_fails(filter_parse(((fixture_t *)*state)->schema, "year == 1\0", 10, &filter, &error), DFAISS_ERR_ARG, error,
                 "filter, character 10: expected a name, a value or an operator: year == 1>>>?");
}

static void an_index_without_attributes_has_no_filters(void **state) {
    (void)state;
    attribute_schema_t *schema = schema_of("{}");
    filter_t *filter = NULL;
    assert_fails(filter_parse(schema, "lang == 1", 9, &filter, &error), DFAISS_ERR_ARG, error,
                 "unknown attribute \"lang\"; the index's configuration declares no attributes: >>>lang == 1");
    attribute_schema_destroy(schema);
}

/* `times` times one text, then another, then `times` times a third. */
static char *repeated(const char *before, const char *middle, const char *behind, size_t times) {
    char *text = calloc(1, times * (strlen(before) + strlen(behind)) + strlen(middle) + 1), *at = text;
    for (size_t i = 0; i < times; i++)
        at = stpcpy(at, before);
    at = stpcpy(at, middle);
    for (size_t i = 0; i < times; i++)
        at = stpcpy(at, behind);
    return text;
}

static void nesting_has_a_limit(void **state) {
    const fixture_t *fixture = *state;
    static const struct {
        const char *before, *behind;
        int nested;
    } forms[] = {{"(", ")", 1}, {"!", "", 1}, {"not ", "", 1}, {"!(", ")", 2}, {"lang == \"x\" or retracted and (", ")", 1}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t most = 64 / (size_t)forms[i].nested;
        filter_t *filter = NULL;
        uint64_t bits[1];
        char *text = repeated(forms[i].before, "retracted", forms[i].behind, most);
        filter = filter_of(fixture->schema, text);
        filter_evaluate(filter, fixture->columns, 0, FIXTURE_ROWS, bits);
        assert_int_equal(bits[0], 1);
        filter_destroy(filter);
        free(text);
        filter = NULL;
        text = repeated(forms[i].before, "retracted", forms[i].behind, most + 1);
        assert_fails(filter_parse(fixture->schema, text, strlen(text), &filter, &error), DFAISS_ERR_ARG, error,
                     "expected at most 64 parentheses and \"not\" within each other");
        assert_null(filter);
        free(text);
    }
}

static void length_has_a_limit(void **state) {
    const fixture_t *fixture = *state;
    filter_t *filter = NULL;
    uint64_t bits[1];
    char *text = repeated("retracted||", "has(year)", "", 5957); /* 65536 bytes */
    assert_int_equal(strlen(text), FILTER_BYTES);
    filter = filter_of(fixture->schema, text);
    assert_int_equal(filter_comparisons(filter), 5958);
    filter_evaluate(filter, fixture->columns, 0, FIXTURE_ROWS, bits);
    assert_int_equal(bits[0], 0x7f);
    filter_destroy(filter);
    free(text);
    filter = NULL;
    text = repeated("retracted||", "has(year) ", "", 5957);
    assert_fails(filter_parse(fixture->schema, text, strlen(text), &filter, &error), DFAISS_ERR_ARG, error,
                 "filter, character 65537: expected at most 65536 bytes, found 65537: ...");
    assert_null(filter);
    free(text);
}

/* A long expression is shown around the place, and what is cut is cut between characters. */
static void long_expressions_are_shown_in_part(void **state) {
    const fixture_t *fixture = *state;
    for (size_t shift = 0; shift < 4; shift++) {
        filter_t *filter = NULL;
        char *strings = repeated("\xf0\x9f\x98\x80", "", "", 200);
        char text[4096];
        snprintf(text, sizeof text, "lang == \"%.*s%s\" oder lang == \"%.*s%s\"", (int)shift, "abc", strings, (int)shift, "abc", strings);
        assert_fails(filter_parse(fixture->schema, text, strlen(text), &filter, &error), DFAISS_ERR_ARG, error, ">>>oder lang == \"");
        assert_int_equal(strncmp(error.text, "filter, character 2", 19), 0);
        json_t *valid = json_string(error.text); /* NULL where it is no UTF-8 */
        assert_non_null(valid);
        json_decref(valid);
        assert_non_null(strstr(error.text, ": ..."));
        assert_string_equal(error.text + strlen(error.text) - 3, "...");
        free(strings);
    }
}

/* ---- any text ---- */

#define COUNT(array) (sizeof(array) / sizeof *(array))
static const char *const pieces[] = {"lang", "year", "score",    "retracted", " and ", " or ",   " not ", " in ",
                                     "(",    ")",    "has(",     "true",      "false", "==",     "!=",    "<",
                                     ">=",   "&&",   "||",       "!",         ",",     "\"de\"", "'",     "\"",
                                     "\\",   "\\u",  "d83d",     "0",         "-",     "1.5",    "e9",    "99999999999999999999",
                                     " ",    "\n",   "\xc3\xa4", "\xff",      "=",     ";"};

static size_t mutate(random_state_t *random, const char *from, char *text, size_t capacity) {
    size_t size = strlen(from);
    memcpy(text, from, size);
    for (uint64_t change = random_below(random, 5); change > 0; change--) {
        size_t place = (size_t)random_below(random, size + 1), cut = (size_t)random_below(random, 4);
        const char *piece = pieces[random_below(random, COUNT(pieces))];
        size_t put = random_below(random, 3) ? strlen(piece) : 0;
        cut = cut < size - place ? cut : size - place;
        if (size + put >= capacity)
            continue;
        memmove(text + place + put, text + place + cut, size - place - cut);
        memcpy(text + place, piece, put);
        size = size - cut + put;
    }
    return size;
}

/* No text does harm; one that is refused has a text that can be shown. */
static void any_text_is_taken_or_refused(void **state) {
    const fixture_t *fixture = *state;
    random_state_t random = random_stream(44, 0);
    int taken = 0, refused = 0;
    for (int round = 0; round < 30000; round++) {
        char text[512];
        uint64_t bits[1] = {0};
        size_t size = mutate(&random, goods[random_below(&random, COUNT(goods))].text, text, sizeof text);
        char *exact = malloc(size ? size : 1); /* reading beyond it is seen */
        filter_t *filter = NULL;
        memcpy(exact, text, size);
        if (filter_parse(fixture->schema, exact, size, &filter, &error) == DFAISS_OK) {
            free(exact); /* the filter needs it no more */
            filter_evaluate(filter, fixture->columns, 0, FIXTURE_ROWS, bits);
            assert_int_equal(bits[0] >> FIXTURE_ROWS, 0);
            taken++;
        } else {
            json_t *valid = json_string(error.text);
            free(exact);
            assert_null(filter);
            assert_int_equal(error.code, DFAISS_ERR_ARG);
            assert_non_null(valid);
            assert_null(strchr(error.text, '\n'));
            assert_int_equal(strncmp(error.text, error.where, strlen(error.where)), 0);
            json_decref(valid);
            refused++;
        }
        filter_destroy(filter);
    }
    assert_true(taken > 5000 && refused > 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(expressions_find_rows, set_up_rows, tear_down),
        cmocka_unit_test_setup_teardown(the_locale_does_not_matter, set_up_rows, tear_down),
        cmocka_unit_test_setup_teardown(comparisons_are_counted, set_up_rows, tear_down),
        cmocka_unit_test_setup_teardown(wrong_expressions_point_at_the_place, set_up_rows, tear_down),
        cmocka_unit_test_setup_teardown(a_zero_byte_is_no_word, set_up_rows, tear_down),
        cmocka_unit_test(an_index_without_attributes_has_no_filters),
        cmocka_unit_test_setup_teardown(nesting_has_a_limit, set_up_rows, tear_down),
        cmocka_unit_test_setup_teardown(length_has_a_limit, set_up_rows, tear_down),
        cmocka_unit_test_setup_teardown(long_expressions_are_shown_in_part, set_up_rows, tear_down),
        cmocka_unit_test_setup_teardown(any_text_is_taken_or_refused, set_up_rows, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
