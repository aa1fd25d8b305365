/* The configuration that users of the library hold: set key by key, parsed, read, printed; and what a wrong key or value is answered with. */
#include "check.h"

#include <dfaiss/config.h>
#include <dfaiss/version.h>

#include "base/file.h"
#include "config/public_config.h"

static dfaiss_error_t error;

static dfaiss_config_t *parsed(const char *text) {
    dfaiss_config_t *config;
    assert_ok(dfaiss_config_parse(text, strlen(text), &config, &error), error);
    return config;
}

static void assert_value(const dfaiss_config_t *config, const char *key, const char *expected) {
    char *value;
    assert_ok(dfaiss_config_get(config, key, &value, &error), error);
    assert_string_equal(value, expected);
    free(value);
}

static void assert_given(const dfaiss_config_t *config, const char *expected) {
    char *text;
    assert_ok(config_given_text(config, &text, &error), error);
    assert_string_equal(text, expected);
    free(text);
}

static void test_version(void **state) {
    (void)state;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", DFAISS_VERSION_MAJOR, DFAISS_VERSION_MINOR, DFAISS_VERSION_PATCH);
    assert_string_equal(dfaiss_version(), text);
    assert_int_equal(DFAISS_VERSION, DFAISS_VERSION_MAJOR * 10000 + DFAISS_VERSION_MINOR * 100 + DFAISS_VERSION_PATCH);
}

static void test_defaults(void **state) {
    (void)state;
    dfaiss_config_t *config;
    assert_ok(dfaiss_config_create(&config, &error), error);
    assert_value(config, "dim", "768");
    assert_value(config, "metric", "\"dot\"");
    assert_value(config, "attributes", "null");
    assert_given(config, "{}");
    dfaiss_config_destroy(config);
    dfaiss_config_destroy(NULL);
}

static void test_set(void **state) {
    (void)state;
    dfaiss_config_t *config = parsed("{\"nprobe\": \"4\"}");
    assert_ok(dfaiss_config_set(config, "dim", "128", &error), error);
    assert_ok(dfaiss_config_set(config, "metric", "l2", &error), error);
    assert_ok(dfaiss_config_set(config, "index_builder_type", "\"flat\"", &error), error);
    assert_ok(dfaiss_config_set(config, "infer_centroids", "true", &error), error);
    assert_ok(dfaiss_config_set(config, "attributes", "{\"year\": \"int\"}", &error), error);
    assert_ok(dfaiss_config_set(config, "train_ratio", "0.5", &error), error);
    assert_value(config, "nprobe", "4");
    assert_value(config, "dim", "128");
    assert_value(config, "metric", "\"l2\"");
    assert_value(config, "index_builder_type", "\"flat\"");
    assert_value(config, "infer_centroids", "true");
    assert_value(config, "attributes", "{\"year\": \"int\"}");
    assert_value(config, "train_ratio", "0.5");
    dfaiss_config_destroy(config);
}

static void test_wrong_values_change_nothing(void **state) {
    (void)state;
    dfaiss_config_t *config = parsed("{\"dim\": 64}");
    assert_fails(dfaiss_config_set(config, "dmi", "3", &error), DFAISS_ERR_CONFIG, error, "'dim'");
    assert_fails(dfaiss_config_set(config, "dim", "-3", &error), DFAISS_ERR_CONFIG, error, "-3");
    assert_fails(dfaiss_config_set(config, "dim", "many", &error), DFAISS_ERR_CONFIG, error, "many");
    assert_fails(dfaiss_config_set(config, "nprobe", "0", &error), DFAISS_ERR_CONFIG, error, "nprobe");
    assert_fails(dfaiss_config_set(config, "metric", "L3", &error), DFAISS_ERR_CONFIG, error, "L3");
    assert_fails(dfaiss_config_set(config, "faiss_factory", "\xff", &error), DFAISS_ERR_CONFIG, error, "UTF-8");
    assert_given(config, "{\"dim\": 64}");
    assert_value(config, "dim", "64");
    char *value = NULL;
    assert_fails(dfaiss_config_get(config, "dmi", &value, &error), DFAISS_ERR_CONFIG, error, "'dim'");
    assert_null(value);
    dfaiss_config_destroy(config);
}

static void test_wrong_texts(void **state) {
    (void)state;
    dfaiss_config_t *config = NULL;
    assert_fails(dfaiss_config_parse("{\"dim\": ", 8, &config, &error), DFAISS_ERR_CONFIG, error, "line 1");
    assert_fails(dfaiss_config_parse("[]", 2, &config, &error), DFAISS_ERR_CONFIG, error, "JSON object");
    assert_fails(dfaiss_config_parse("{\"dim\": true}", 13, &config, &error), DFAISS_ERR_CONFIG, error, "dim");
    assert_fails(dfaiss_config_read("/nowhere/index.json", &config, &error), DFAISS_ERR_NOT_FOUND, error, "/nowhere/index.json");
    assert_null(config);
}

static void test_null_arguments(void **state) {
    (void)state;
    dfaiss_config_t *config = parsed("{}"), *out = NULL;
    char *text = NULL;
    assert_fails(dfaiss_config_create(NULL, &error), DFAISS_ERR_ARG, error, "out is NULL");
    assert_fails(dfaiss_config_read(NULL, &out, &error), DFAISS_ERR_ARG, error, "path");
    assert_fails(dfaiss_config_parse(NULL, 0, &out, &error), DFAISS_ERR_ARG, error, "text");
    assert_fails(dfaiss_config_set(NULL, "dim", "1", &error), DFAISS_ERR_ARG, error, "config");
    assert_fails(dfaiss_config_set(config, "dim", NULL, &error), DFAISS_ERR_ARG, error, "value");
    assert_fails(dfaiss_config_get(config, NULL, &text, &error), DFAISS_ERR_ARG, error, "key");
    assert_fails(dfaiss_config_print(config, NULL, &error), DFAISS_ERR_ARG, error, "text");
    assert_int_equal(dfaiss_config_print(NULL, &text, NULL), DFAISS_ERR_ARG);
    dfaiss_config_destroy(config);
}

/* What is printed parses again, to the same. */
static void test_read_and_printed(void **state) {
    (void)state;
    char folder[256], path[300], *text, *again;
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/index.json", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("{\"index_builder_type\": \"ivf_simple\", \"dim\": \"24\", \"centroids\": 16, \"extra\": {\"mine\": 1}}", file);
    assert_int_equal(fclose(file), 0);
    dfaiss_config_t *config;
    assert_ok(dfaiss_config_read(path, &config, &error), error);
    assert_ok(dfaiss_config_print(config, &text, &error), error);
    dfaiss_config_t *copy = parsed(text);
    assert_ok(dfaiss_config_print(copy, &again, &error), error);
    assert_string_equal(text, again);
    assert_value(copy, "centroids", "16");
    free(text);
    free(again);
    dfaiss_config_destroy(copy);
    dfaiss_config_destroy(config);
    assert_ok(file_remove_tree(folder, &error), error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_wrong_values_change_nothing),
        cmocka_unit_test(test_wrong_texts),
        cmocka_unit_test(test_null_arguments),
        cmocka_unit_test(test_read_and_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
