/* The configuration of an index: defaults, what is accepted and what is refused with which words, printing, and the ready files. */
#include "check.h"

#include <dirent.h>
#include <unistd.h>

#include "base/file.h"
#include "config/index_config.h"

static dfaiss_error_t error;

static dfaiss_status_t parse(const char *text, index_config_t **config) {
    return index_config_parse(text, strlen(text), "my.json", config, &error);
}

static index_config_t *parsed(const char *text) {
    index_config_t *config = NULL;
    assert_ok(parse(text, &config), error);
    assert_non_null(config);
    return config;
}

/* A configuration of an ordinary kind with more keys. */
static dfaiss_status_t parse_flat_with(const char *keys, index_config_t **config) {
    char text[1024];
    snprintf(text, sizeof text, "{\"index_builder_type\": \"flat\", %s}", keys);
    return parse(text, config);
}

static index_config_t *flat_with(const char *keys) {
    index_config_t *config = NULL;
    assert_ok(parse_flat_with(keys, &config), error);
    return config;
}

static void refuses(const char *text, const char *part) {
    index_config_t *config = NULL;
    assert_fails(parse(text, &config), DFAISS_ERR_CONFIG, error, part);
    assert_null(config);
    assert_non_null(strstr(error.text, "my.json"));
    assert_int_equal(strncmp(error.where, "my.json", 7), 0);
    assert_null(strchr(error.text, '\n'));
}

static void refuses_flat_with(const char *keys, const char *part) {
    index_config_t *config = NULL;
    assert_fails(parse_flat_with(keys, &config), DFAISS_ERR_CONFIG, error, part);
    assert_null(config);
}

static void test_defaults(void **state) {
    (void)state;
    index_config_t *config = parsed("{\"index_builder_type\": \"flat\"}");
    assert_int_equal(config->index_builder_type, CONFIG_KIND_flat);
    assert_string_equal(config->faiss_factory, "");
    assert_int_equal(config->dim, 768);
    assert_int_equal(config->train_num, 0);
    assert_true(config->train_ratio == 1.0);
    assert_int_equal(config->centroids, 0);
    assert_false(config->infer_centroids);
    assert_int_equal(config->metric, CONFIG_METRIC_dot);
    assert_int_equal(config->nprobe, 1);
    assert_int_equal(config->buffer_bsz, 50000);
    assert_true(config->save_interval_sec == -1);
    assert_string_equal(config->index_storage_dir, "");
    assert_int_equal(config->custom_meta_id_idx, 0);
    assert_int_equal(config->code_size, 64);
    assert_int_equal(config->bits_per_vector, 8);
    assert_int_equal(config->store_n, 128);
    assert_int_equal(config->ef_construction, 100);
    assert_int_equal(config->training, CONFIG_TRAINING_shared);
    assert_int_equal(config->placement, CONFIG_PLACEMENT_rows);
    assert_int_equal(config->keep_generations, 2);
    assert_int_equal(config->threads, 0);
    assert_int_equal(config->segment_rows, 0);
    assert_null(config->attributes);
    assert_null(config->extra);
    index_config_destroy(config);
    index_config_destroy(NULL);
}

static void test_every_choice(void **state) {
    (void)state;
    static const struct {
        const char *name;
        config_kind_t kind;
    } kinds[] = {{"flat", CONFIG_KIND_flat},     {"ivf_simple", CONFIG_KIND_ivf_simple}, {"knnlm", CONFIG_KIND_knnlm},
                 {"hnswsq", CONFIG_KIND_hnswsq}, {"ivfsq", CONFIG_KIND_ivfsq},           {"ivf_gpu", CONFIG_KIND_ivf_gpu}};
    static const char *const metrics[] = {"dot", "l2", "cosine"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"index_builder_type\": \"%s\", \"centroids\": 7}", kinds[i].name);
        index_config_t *config = parsed(text);
        assert_int_equal(config->index_builder_type, kinds[i].kind);
        index_config_destroy(config);
    }
    for (size_t i = 0; i < 3; i++) {
        char keys[64];
        snprintf(keys, sizeof keys, "\"metric\": \"%s\"", metrics[i]);
        index_config_t *config = flat_with(keys);
        assert_int_equal(config->metric, i);
        index_config_destroy(config);
    }
    index_config_t *config = flat_with("\"training\": \"local\", \"placement\": \"lists\"");
    assert_int_equal(config->training, CONFIG_TRAINING_local);
    assert_int_equal(config->placement, CONFIG_PLACEMENT_lists);
    index_config_destroy(config);
}

static void test_numbers_in_other_forms(void **state) {
    (void)state;
    index_config_t *config = flat_with("\"dim\": \"96\", \"nprobe\": 12.0, \"centroids\": \"1e3\", \"train_ratio\": \"0.25\","
                                       "\"infer_centroids\": \"true\", \"save_interval_sec\": 90, \"seed\": 9007199254740991");
    assert_int_equal(config->dim, 96);
    assert_int_equal(config->nprobe, 12);
    assert_int_equal(config->centroids, 1000);
    assert_true(config->train_ratio == 0.25);
    assert_true(config->infer_centroids);
    assert_true(config->save_interval_sec == 90);
    assert_int_equal(config->seed, 9007199254740991);
    index_config_destroy(config);
}

static void test_wrong_types(void **state) {
    (void)state;
    refuses_flat_with("\"dim\": 12.5", "dim is 12.5; expected an integer from 0 to 65536");
    refuses_flat_with("\"dim\": \"12.5\"", "dim is \"12.5\"; expected an integer");
    refuses_flat_with("\"dim\": \"\"", "dim is \"\"; expected an integer");
    refuses_flat_with("\"dim\": \"96 \\u00e9\"", "dim is \"96 \\u00E9\"");
    refuses_flat_with("\"dim\": \"0x60\"", "dim is");
    refuses_flat_with("\"dim\": \"null\"", "dim is");
    refuses_flat_with("\"dim\": \"[96]\"", "dim is");
    refuses_flat_with("\"dim\": [96]", "dim is [96]; expected");
    refuses_flat_with("\"dim\": null", "dim is null; expected");
    refuses_flat_with("\"dim\": true", "dim is true; expected");
    refuses_flat_with("\"train_ratio\": \"nan\"", "train_ratio is \"nan\"");
    refuses_flat_with("\"infer_centroids\": 1", "infer_centroids is 1; expected true or false");
    refuses_flat_with("\"infer_centroids\": \"yes\"", "infer_centroids is \"yes\"; expected true or false");
    refuses_flat_with("\"index_storage_dir\": 5", "index_storage_dir is 5; expected a text");
    refuses_flat_with("\"metric\": 1", "metric is 1; expected one of dot, l2, cosine");
    refuses_flat_with("\"extra\": []", "extra is []; expected an object");
    refuses_flat_with("\"attributes\": \"year\"", "attributes is \"year\"; expected an object");
}

static void test_ranges(void **state) {
    (void)state;
    refuses_flat_with("\"dim\": -1", "dim is -1; expected an integer from 0 to 65536");
    refuses_flat_with("\"dim\": 65537", "dim is 65537; expected an integer from 0 to 65536");
    refuses_flat_with("\"dim\": 1e300", "dim is 1e300; expected an integer from 0 to 65536");
    refuses_flat_with("\"nprobe\": 0", "nprobe is 0; expected an integer from 1");
    refuses_flat_with("\"buffer_bsz\": 0", "buffer_bsz is 0");
    refuses_flat_with("\"keep_generations\": 0", "keep_generations is 0");
    refuses_flat_with("\"threads\": -1", "threads is -1");
    refuses_flat_with("\"store_n\": 1", "store_n is 1; expected an integer from 2");
    refuses_flat_with("\"ef_construction\": 0", "ef_construction is 0");
    refuses_flat_with("\"centroids\": -5", "centroids is -5");
    refuses_flat_with("\"bits_per_vector\": 9", "bits_per_vector is 9; expected an integer from 1 to 8");
    refuses_flat_with("\"train_ratio\": 0", "train_ratio is 0; expected a number above 0 and at most 1");
    refuses_flat_with("\"train_ratio\": 1.01", "train_ratio is 1.01;");
    refuses_flat_with("\"seed\": 9007199254740992", "seed is 9007199254740992; expected an integer from 0 to 9007199254740991");
    refuses_flat_with("\"seed\": 9007199254740993", "seed is");
    refuses_flat_with("\"segment_rows\": 1023", "segment_rows is 1023; expected 0, or 1024 or more");
    assert_string_equal(error.where, "my.json");
    refuses_flat_with("\"dim\": 70000", "dim");
    assert_string_equal(error.where, "my.json: dim");
    index_config_destroy(flat_with("\"dim\": 65536, \"segment_rows\": 1024, \"train_ratio\": 1, \"threads\": 0"));
}

static void test_text_that_is_too_long(void **state) {
    (void)state;
    char keys[400], factory[CONFIG_TEXT + 1];
    index_config_t *config = NULL;
    memset(factory, 'x', sizeof factory);
    factory[CONFIG_TEXT - 1] = 0;
    snprintf(keys, sizeof keys, "{\"faiss_factory\": \"%s\"}", factory);
    config = parsed(keys);
    assert_string_equal(config->faiss_factory, factory);
    index_config_destroy(config);
    factory[CONFIG_TEXT - 1] = 'x';
    factory[CONFIG_TEXT] = 0;
    snprintf(keys, sizeof keys, "{\"faiss_factory\": \"%s\"}", factory);
    refuses(keys, "expected a text of at most 255 bytes");
}

static void test_unknown_keys(void **state) {
    (void)state;
    refuses_flat_with("\"centroid\": 5", "unknown key \"centroid\"; did you mean 'centroids'?");
    assert_string_equal(error.where, "my.json: \"centroid\"");
    refuses_flat_with("\"nprobes\": 5", "did you mean 'nprobe'?");
    refuses_flat_with("\"Metric\": 5", "did you mean 'metric'?");
    refuses_flat_with("\"pnrobe\": 5", "did you mean 'nprobe'?");
    refuses_flat_with("\"index_type\": 5", "did you mean 'index_builder_type'?");
    refuses_flat_with("\"efconstruction\": 5", "did you mean 'ef_construction'?");
    refuses_flat_with("\"train-num\": 5", "did you mean 'train_num'?");
    refuses_flat_with("\"\": 5", "unknown key \"\"");
    refuses_flat_with("\"two\\nlines\": 5", "unknown key \"two\\nlines\"");
    char keys[700];
    memset(keys, 'k', sizeof keys);
    memcpy(keys, "\"", 1);
    memcpy(keys + sizeof keys - 5, "\":5", 4);
    refuses_flat_with(keys, "...; did you mean '");
}

static void test_kind_or_factory(void **state) {
    (void)state;
    refuses("{}", "neither index_builder_type nor faiss_factory is given");
    refuses("{\"index_builder_type\": null, \"faiss_factory\": \"\"}", "neither");
    refuses("{\"index_builder_type\": \"flat\", \"faiss_factory\": \"Flat\"}", "index_builder_type and faiss_factory are both given");
    refuses("{\"index_builder_type\": \"ivf\"}", "expected one of flat, ivf_simple, knnlm, hnswsq, ivfsq, ivf_gpu");
    refuses("{\"index_builder_type\": \"\"}", "expected one of flat");
    refuses("{\"faiss_factory\": \"BIVF1024\"}", "'BIVF1024' makes a binary index");
    refuses("{\"faiss_factory\": \"BFlat\"}", "binary");
    refuses("{\"faiss_factory\": \"IVF{nlist},Flat\"}", "may hold {centroids}, and no other braces");
    refuses("{\"faiss_factory\": \"IVF{centroids}},Flat\", \"centroids\": 5}", "no other braces");
    index_config_t *config = parsed("{\"faiss_factory\": \"IVF{centroids}_HNSW32,Flat\", \"centroids\": 5, \"index_builder_type\": null}");
    assert_int_equal(config->index_builder_type, CONFIG_KIND_factory);
    assert_string_equal(config->faiss_factory, "IVF{centroids}_HNSW32,Flat");
    index_config_destroy(config);
}

static void test_lists_need_a_number(void **state) {
    (void)state;
    refuses("{\"index_builder_type\": \"ivf_simple\"}", "centroids is 0");
    refuses("{\"faiss_factory\": \"IVF{centroids},Flat\"}", "expected centroids of 1 or more, or infer_centroids true");
    index_config_destroy(parsed("{\"index_builder_type\": \"ivf_simple\", \"infer_centroids\": true}"));
    index_config_destroy(parsed("{\"faiss_factory\": \"IVF256,Flat\"}"));
}

static void test_sub_quantizers_divide_dim(void **state) {
    (void)state;
    refuses("{\"index_builder_type\": \"knnlm\", \"centroids\": 4, \"dim\": 100, \"code_size\": 32}", "dim is 100 and code_size is 32");
    index_config_t *config = parsed("{\"index_builder_type\": \"knnlm\", \"centroids\": 4, \"dim\": 0, \"code_size\": 32}");
    config->dim = 100;
    assert_fails(index_config_check(config, "my.json", &error), DFAISS_ERR_CONFIG, error, "dim is 100 and code_size is 32");
    config->dim = 96;
    assert_ok(index_config_check(config, "my.json", &error), error);
    index_config_destroy(config);
}

static void test_broken_json(void **state) {
    (void)state;
    refuses("", "line 1");
    refuses("[]", "a configuration is a JSON object");
    refuses("{\"index_builder_type\": \"flat\",\n \"dim\": 5,\n \"dim\": 6}", "line 3");
    assert_non_null(strstr(error.text, "duplicate"));
    assert_string_equal(error.where, "my.json:3");
    refuses("{\"index_builder_type\": \"flat\"", "line 1");
    refuses("{\"index_builder_type\": \"flat\"} {}", "line 1");
    refuses("{\"index_builder_type\": \"flat\", \"dim\": 99999999999999999999}", "line 1");
    refuses("{\"index_builder_type\": \"fl\xff\"}", "line 1");
    refuses("{\"index_builder_type\": \"flat\\u0000\"}", "line 1");
}

/* Whatever a file is cut to, the answer is a configuration or an error, never a crash. */
static void test_cut_anywhere(void **state) {
    (void)state;
    static const char text[] =
        "{\"index_builder_type\": \"knnlm\", \"centroids\": 4, \"extra\": {\"a\": [1, {\"b\": null}]}, \"train_ratio\": \"0.5\"}";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        index_config_t *config = NULL;
        assert_fails(index_config_parse(text, size, "my.json", &config, &error), DFAISS_ERR_CONFIG, error, "my.json");
        assert_null(config);
    }
}

static void assert_same(const index_config_t *a, const index_config_t *b) {
    json_t *left = index_config_json(a, true), *right = index_config_json(b, true);
    assert_non_null(left);
    assert_true(json_equal(left, right));
    json_decref(left);
    json_decref(right);
}

static void test_attributes(void **state) {
    (void)state;
    index_config_t *config = flat_with("\"attributes\": {\"year\": \"int\", \"_score2\": \"float\", \"lang\": \"string\", \"has_image\": \"bool\"}");
    assert_int_equal(json_object_size(config->attributes), 4);
    index_config_destroy(config);
    index_config_destroy(flat_with("\"attributes\": {}"));
    refuses_flat_with("\"attributes\": [\"year\"]", "attributes is [\"year\"]; expected an object");
    refuses_flat_with("\"attributes\": {\"year\": \"integer\"}",
                      "my.json: attributes: \"year\" is \"integer\"; expected \"int\", \"float\", \"string\" or \"bool\"");
    assert_string_equal(error.where, "my.json: attributes: \"year\"");
    refuses_flat_with("\"attributes\": {\"year\": 4}", "attributes: \"year\" is 4; expected \"int\"");
    refuses_flat_with("\"attributes\": {\"year\": null}", "attributes: \"year\" is null; expected \"int\"");
    refuses_flat_with("\"attributes\": {\"year\": \"Int\"}", "attributes: \"year\" is \"Int\"; expected \"int\"");
    refuses_flat_with("\"attributes\": {\"\": \"int\"}", "attributes: \"\" is no name that filters can use; expected a letter");
    refuses_flat_with("\"attributes\": {\"2d\": \"int\"}", "attributes: \"2d\" is no name");
    refuses_flat_with("\"attributes\": {\"a-b\": \"int\"}", "attributes: \"a-b\" is no name");
    refuses_flat_with("\"attributes\": {\"a\\nb\": \"int\"}", "attributes: \"a\\nb\" is no name");
    refuses_flat_with("\"attributes\": {\"gr\u00f6\u00dfe\": \"int\"}", "is no name");
    refuses_flat_with("\"attributes\": {\"in\": \"int\"}", "attributes: \"in\" is a word of filter expressions; expected another name");
    char keys[256];
    for (int length = 63; length < 65; length++) {
        snprintf(keys, sizeof keys, "\"attributes\": {\"%0*d\": \"int\"}", length, 0);
        *strchr(keys, '0') = 'a';
        if (length == 63)
            index_config_destroy(flat_with(keys));
        else
            refuses_flat_with(keys, "is no name");
    }
}

static void test_too_many_attributes(void **state) {
    (void)state;
    json_t *object = json_pack("{s:s, s:{}}", "index_builder_type", "flat", "attributes");
    json_t *attributes = json_object_get(object, "attributes");
    for (int i = 0; i < 257; i++) {
        char name[16];
        index_config_t *config = NULL;
        snprintf(name, sizeof name, "a%d", i);
        assert_int_equal(json_object_set_new(attributes, name, json_string("int")), 0);
        if (i < 255)
            continue;
        dfaiss_status_t status = index_config_from_json(object, "my.json", &config, &error);
        assert_int_equal(status, i < 256 ? DFAISS_OK : DFAISS_ERR_CONFIG);
        index_config_destroy(config);
    }
    assert_non_null(strstr(error.text, "my.json: attributes has 257 names; expected at most 256"));
    json_decref(object);
}

static void test_printed_parses_again(void **state) {
    (void)state;
    index_config_t *config = parsed("{\"faiss_factory\": \"PCA64,Flat\", \"dim\": 96, \"metric\": \"cosine\", \"train_ratio\": 0.3, \"threads\": 3,"
                                    "\"attributes\": {\"year\": \"int\"}, \"extra\": {\"note\": [1, 2.5, null, {\"x\": \"\\u00e9\"}]}}");
    for (int all = 0; all < 2; all++) {
        char *text;
        assert_ok(index_config_print(config, all, &text, &error), error);
        index_config_t *again = parsed(text);
        assert_same(config, again);
        index_config_destroy(again);
        free(text);
    }
    index_config_destroy(config);
}

static void test_print_leaves_out_defaults(void **state) {
    (void)state;
    index_config_t *config = flat_with("\"dim\": 768, \"nprobe\": 1, \"extra\": {\"b\": 1, \"a\": {}}");
    json_t *object = index_config_json(config, false);
    json_t *expected = json_pack("{s:s, s:{s:i, s:{}}}", "index_builder_type", "flat", "extra", "b", 1, "a");
    assert_true(json_equal(object, expected));
    json_decref(object);
    json_decref(expected);
    object = index_config_json(config, true);
    assert_int_equal(json_integer_value(json_object_get(object, "dim")), 768);
    assert_true(json_is_null(json_object_get(object, "faiss_factory")));
    json_decref(object);
    index_config_destroy(config);
}

static void test_json_of_a_larger_text(void **state) {
    (void)state;
    json_t *object = json_pack("{s:s, s:i, s:{s:i}}", "index_builder_type", "flat", "dim", 5, "extra", "a", 1);
    index_config_t *config = NULL;
    assert_ok(index_config_from_json(object, "manifest.json", &config, &error), error);
    /* What is taken over is a copy. */
    json_object_set_new(json_object_get(object, "extra"), "a", json_integer(2));
    assert_int_equal(json_integer_value(json_object_get(config->extra, "a")), 1);
    json_decref(object);
    index_config_destroy(config);
    config = NULL;
    assert_fails(index_config_from_json(NULL, "manifest.json", &config, &error), DFAISS_ERR_CONFIG, error, "manifest.json");
    assert_null(config);
}

static void test_number_of_lists(void **state) {
    (void)state;
    index_config_t *config = flat_with("\"centroids\": 100");
    assert_int_equal(index_config_centroids(config, 50), 100);
    config->centroids = 0;
    assert_int_equal(index_config_centroids(config, 50), 1);
    config->infer_centroids = true;
    static const int64_t expected[][2] = {{-1, 1},
                                          {0, 1},
                                          {1, 2},
                                          {10000, 200},
                                          {200000, 894},
                                          {999999, 1999},
                                          {1000000, 65536},
                                          {9999999, 65536},
                                          {10000000, 262144},
                                          {99999999, 262144},
                                          {100000000, 1048576},
                                          {INT64_MAX, 1048576}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(index_config_centroids(config, expected[i][0]), expected[i][1]);
    index_config_destroy(config);
}

static void test_document_names_every_key(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    index_config_document(out);
    assert_int_equal(fclose(out), 0);
    index_config_t *config = flat_with("\"dim\": 1");
    json_t *object = index_config_json(config, true);
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) assert_non_null(strstr(text, name));
    assert_non_null(strstr(text, "one of dot, l2, cosine"));
    json_decref(object);
    index_config_destroy(config);
    free(text);
}

static void test_reading_files(void **state) {
    (void)state;
    char folder[256], path[300];
    index_config_t *config = NULL;
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/my.json", folder);
    assert_fails(index_config_read(path, &config, &error), DFAISS_ERR_NOT_FOUND, error, path);
    assert_ok(file_replace(path, "{\"dim\": \"x\"}", 12, &error), error);
    assert_fails(index_config_read(path, &config, &error), DFAISS_ERR_CONFIG, error, path);
    assert_null(config);
    assert_ok(file_replace(path, "{\"faiss_factory\": \"Flat\"}", 25, &error), error);
    assert_ok(index_config_read(path, &config, &error), error);
    assert_string_equal(config->faiss_factory, "Flat");
    index_config_destroy(config);
    assert_ok(file_remove_tree(folder, &error), error);
}

static void test_ready_files(void **state) {
    (void)state;
    static const char *const kinds[] = {"flat", "ivf_simple", "knnlm", "hnswsq", "ivfsq"};
    char path[4096];
    DIR *folder = opendir(CONFIGS_FOLDER);
    assert_non_null(folder);
    int files = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        index_config_t *config = NULL;
        if (!strstr(entry->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, "%s/%s", CONFIGS_FOLDER, entry->d_name);
        assert_ok(index_config_read(path, &config, &error), error);
        assert_int_equal(config->dim, 0);
        assert_int_equal(config->metric, CONFIG_METRIC_l2);
        /* The dimensions that people most often come with suit every file. */
        for (const int *dim = (const int[]){96, 128, 768, 1024, 0}; *dim; dim++) {
            config->dim = *dim;
            assert_ok(index_config_check(config, path, &error), error);
        }
        index_config_destroy(config);
        files++;
    }
    closedir(folder);
    assert_true(files >= 9);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        index_config_t *config = NULL;
        snprintf(path, sizeof path, "%s/%s.json", CONFIGS_FOLDER, kinds[i]);
        assert_ok(index_config_read(path, &config, &error), error);
        assert_int_equal(config->index_builder_type, CONFIG_KIND_flat + i);
        index_config_destroy(config);
    }
}

static void test_rows_to_train_on(void **state) {
    index_config_t config = {.train_ratio = 0.3};
    (void)state;
    assert_int_equal(index_config_sample_rows(&config, 1000, 4, 800), 200);
    assert_int_equal(index_config_sample_rows(&config, 150, 4, 800), 150);
    assert_int_equal(index_config_arrived_sample_rows(&config, 1000, 4, 800), 300);
    assert_int_equal(index_config_arrived_sample_rows(&config, 1001, 4, 800), 301);
    assert_int_equal(index_config_arrived_sample_rows(&config, 10000, 4, 800), 800);
    assert_int_equal(index_config_arrived_sample_rows(&config, 0, 4, 800), 0);
    config.train_num = 100;
    for (int i = 0; i < 2; i++) {
        int64_t (*rows)(const index_config_t *, int64_t, int64_t, int64_t) = i ? index_config_sample_rows : index_config_arrived_sample_rows;
        assert_int_equal(rows(&config, 1000, 4, 800), 400);
        assert_int_equal(rows(&config, 1000, 1, 800), 200);
        assert_int_equal(rows(&config, 1000, 9, 800), 800);
        assert_int_equal(rows(&config, 300, 4, 800), 300);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_choice),
        cmocka_unit_test(test_numbers_in_other_forms),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_text_that_is_too_long),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_kind_or_factory),
        cmocka_unit_test(test_lists_need_a_number),
        cmocka_unit_test(test_sub_quantizers_divide_dim),
        cmocka_unit_test(test_broken_json),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_too_many_attributes),
        cmocka_unit_test(test_printed_parses_again),
        cmocka_unit_test(test_print_leaves_out_defaults),
        cmocka_unit_test(test_json_of_a_larger_text),
        cmocka_unit_test(test_rows_to_train_on),
        cmocka_unit_test(test_number_of_lists),
        cmocka_unit_test(test_document_names_every_key),
        cmocka_unit_test(test_reading_files),
        cmocka_unit_test(test_ready_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
