#include "config/index_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config/attributes.h"
#include "config/key_table.h"
#include "config/key_value.h"

void index_config_destroy(index_config_t *config) {
    if (!config)
        return;
    json_decref(config->attributes);
    json_decref(config->extra);
    free(config);
}

dfaiss_status_t index_config_defaults(index_config_t **out, dfaiss_error_t *err) {
    index_config_t *config = calloc(1, sizeof *config);
    if (!config)
        return error_memory(err, sizeof *config, "a configuration");
    dfaiss_status_t status = DFAISS_OK;
    for (size_t i = 0; status == DFAISS_OK && i < config_key_count; i++) {
        json_t *fallback = json_loads(config_keys[i].fallback, JSON_DECODE_ANY, NULL);
        status = fallback ? key_value_set(config, &config_keys[i], fallback, "defaults", err) : error_memory(err, 0, "a configuration");
        json_decref(fallback);
    }
    if (status != DFAISS_OK) {
        index_config_destroy(config);
        return status;
    }
    *out = config;
    return DFAISS_OK;
}

dfaiss_status_t index_config_copy(const index_config_t *config, index_config_t **out, dfaiss_error_t *err) {
    index_config_t *copy = malloc(sizeof *copy);
    if (!copy)
        return error_memory(err, sizeof *copy, "a configuration");
    *copy = *config;
    copy->attributes = json_deep_copy(config->attributes);
    copy->extra = json_deep_copy(config->extra);
    if ((config->attributes && !copy->attributes) || (config->extra && !copy->extra)) {
        index_config_destroy(copy);
        return error_memory(err, 0, "a configuration");
    }
    *out = copy;
    return DFAISS_OK;
}

/* ---- rules between keys ---- */

static bool has_lists(config_kind_t kind) {
    return kind == CONFIG_KIND_ivf_simple || kind == CONFIG_KIND_knnlm || kind == CONFIG_KIND_ivfsq || kind == CONFIG_KIND_ivf_gpu;
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* faiss's binary indexes hold bits, not vectors of numbers; their factory strings are BFlat, BIVF..., BHNSW... and BHash... */
static bool is_binary(const char *factory) {
    return starts_with(factory, "BFlat") || starts_with(factory, "BIVF") || starts_with(factory, "BHNSW") || starts_with(factory, "BHash");
}

static const char placeholder[] = "{centroids}";

static dfaiss_status_t check_factory(const char *factory, const char *where, dfaiss_error_t *err) {
    if (is_binary(factory))
        return error_set(err, DFAISS_ERR_CONFIG, where, "%s: faiss_factory '%s' makes a binary index; only indexes of numbers are supported", where,
                         factory);
    for (const char *brace = strpbrk(factory, "{}"); brace; brace = strpbrk(brace + strlen(placeholder), "{}")) {
        if (!starts_with(brace, placeholder))
            return error_set(err, DFAISS_ERR_CONFIG, where, "%s: faiss_factory '%s' may hold %s, and no other braces", where, factory, placeholder);
    }
    return DFAISS_OK;
}

static dfaiss_status_t check_kind(const index_config_t *config, const char *where, dfaiss_error_t *err) {
    bool kind = config->index_builder_type != CONFIG_KIND_factory, factory = config->faiss_factory[0] != 0;
    if (kind && factory)
        return error_set(err, DFAISS_ERR_CONFIG, where, "%s: index_builder_type and faiss_factory are both given; expected one of them", where);
    if (!kind && !factory)
        return error_set(err, DFAISS_ERR_CONFIG, where, "%s: neither index_builder_type nor faiss_factory is given; expected one of them", where);
    return check_factory(config->faiss_factory, where, err);
}

static dfaiss_status_t check_lists(const index_config_t *config, const char *where, dfaiss_error_t *err) {
    bool needed = has_lists(config->index_builder_type) || strstr(config->faiss_factory, placeholder);
    if (needed && config->centroids == 0 && !config->infer_centroids)
        return error_set(err, DFAISS_ERR_CONFIG, where,
                         "%s: centroids is 0, but this index has inverted lists; expected centroids of 1 or more, or infer_centroids true", where);
    return DFAISS_OK;
}

dfaiss_status_t index_config_check(const index_config_t *config, const char *where, dfaiss_error_t *err) {
    TRY(check_kind(config, where, err));
    TRY(check_lists(config, where, err));
    if (config->index_builder_type == CONFIG_KIND_knnlm && config->dim % config->code_size != 0)
        return error_set(err, DFAISS_ERR_CONFIG, where, "%s: dim is %lld and code_size is %lld; expected a dim that is a multiple of code_size",
                         where, (long long)config->dim, (long long)config->code_size);
    if (config->segment_rows != 0 && config->segment_rows < 1024)
        return error_set(err, DFAISS_ERR_CONFIG, where, "%s: segment_rows is %lld; expected 0, or 1024 or more", where,
                         (long long)config->segment_rows);
    return attributes_check(config->attributes, where, err);
}

/* ---- reading ---- */

static dfaiss_status_t unknown_key(const char *name, const char *where, dfaiss_error_t *err) {
    char shown[80], place[sizeof err->where];
    json_t *quoted = json_string(name);
    key_value_show(quoted, shown, sizeof shown);
    json_decref(quoted);
    snprintf(place, sizeof place, "%s: %s", where, shown);
    return error_set(err, DFAISS_ERR_CONFIG, place, "%s: unknown key %s; did you mean '%s'?", where, shown, config_key_nearest(name)->name);
}

dfaiss_status_t index_config_find_key(const char *name, const char *where, const config_key_t **key, dfaiss_error_t *err) {
    const config_key_t *found = config_key_find(name);
    if (!found)
        return unknown_key(name, where, err);
    *key = found;
    return DFAISS_OK;
}

static dfaiss_status_t apply(index_config_t *config, const json_t *object, const char *where, dfaiss_error_t *err) {
    const char *name;
    json_t *value;
    /* jansson's iterator takes no const object; it changes nothing. */
    json_object_foreach((json_t *)object, name, value) {
        const config_key_t *key = NULL;
        TRY(index_config_find_key(name, where, &key, err));
        TRY(key_value_set(config, key, value, where, err));
    }
    return index_config_check(config, where, err);
}

dfaiss_status_t index_config_from_json(const json_t *object, const char *where, index_config_t **config_out, dfaiss_error_t *err) {
    if (!json_is_object(object))
        return error_set(err, DFAISS_ERR_CONFIG, where, "%s: a configuration is a JSON object: {\"key\": value, ...}", where);
    index_config_t *config;
    TRY(index_config_defaults(&config, err));
    dfaiss_status_t status = apply(config, object, where, err);
    if (status != DFAISS_OK) {
        index_config_destroy(config);
        return status;
    }
    *config_out = config;
    return DFAISS_OK;
}

dfaiss_status_t index_config_load_json(const char *text, size_t size, const char *where, json_t **object, dfaiss_error_t *err) {
    json_error_t failure;
    json_t *loaded = json_loadb(text, size, JSON_REJECT_DUPLICATES, &failure);
    if (!loaded) {
        char place[sizeof err->where];
        snprintf(place, sizeof place, "%s:%d", where, failure.line);
        return error_set(err, DFAISS_ERR_CONFIG, place, "%s, line %d, column %d: %s", where, failure.line, failure.column, failure.text);
    }
    *object = loaded;
    return DFAISS_OK;
}

dfaiss_status_t index_config_parse(const char *text, size_t size, const char *where, index_config_t **config, dfaiss_error_t *err) {
    json_t *object;
    TRY(index_config_load_json(text, size, where, &object, err));
    dfaiss_status_t status = index_config_from_json(object, where, config, err);
    json_decref(object);
    return status;
}

dfaiss_status_t index_config_read(const char *path, index_config_t **config, dfaiss_error_t *err) {
    char *text;
    size_t size;
    TRY(file_read_whole(path, INDEX_CONFIG_FILE_LIMIT, &text, &size, err));
    dfaiss_status_t status = index_config_parse(text, size, path, config, err);
    free(text);
    return status;
}

/* ---- writing ---- */

static bool put_key(json_t *object, const index_config_t *config, const index_config_t *defaults, const config_key_t *key) {
    json_t *value = key_value_get(config, key);
    json_t *fallback = defaults ? key_value_get(defaults, key) : NULL;
    bool wanted = !defaults || !json_equal(value, fallback);
    json_decref(fallback);
    if (value && wanted)
        return json_object_set_new(object, key->name, value) == 0;
    json_decref(value);
    return value != NULL;
}

json_t *index_config_json(const index_config_t *config, bool all) {
    index_config_t *defaults = NULL;
    json_t *object = json_object();
    bool whole = object && (all || index_config_defaults(&defaults, NULL) == DFAISS_OK);
    for (size_t i = 0; whole && i < config_key_count; i++)
        whole = put_key(object, config, defaults, &config_keys[i]);
    index_config_destroy(defaults);
    if (whole)
        return object;
    json_decref(object);
    return NULL;
}

dfaiss_status_t index_config_print(const index_config_t *config, bool all, char **text, dfaiss_error_t *err) {
    json_t *object = index_config_json(config, all);
    char *made = object ? json_dumps(object, JSON_INDENT(4) | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(object);
    if (!made)
        return error_memory(err, 0, "the text of a configuration");
    *text = made;
    return DFAISS_OK;
}

void index_config_document(FILE *out) {
    fprintf(out, "%-18s  %-8s  %-60s  %s\n", "key", "default", "value", "meaning");
    for (size_t i = 0; i < config_key_count; i++) {
        const config_key_t *key = &config_keys[i];
        char expected[192];
        config_key_expected(key, expected, sizeof expected);
        const char *fallback = strcmp(key->fallback, "null") == 0 ? "none" : key->fallback;
        fprintf(out, "%-18s  %-8s  %-60s  %s\n", key->name, fallback, expected, key->help);
    }
}

/* ---- what follows from a configuration ---- */

const char *index_config_kind(const index_config_t *config) {
    if (config->faiss_factory[0])
        return config->faiss_factory;
    return config_key_find("index_builder_type")->choices[config->index_builder_type];
}

const char *index_config_storage(const index_config_t *config, const char *otherwise) {
    return config->index_storage_dir[0] ? config->index_storage_dir : otherwise;
}

void index_config_found_in(index_config_t *config, const char *storage) {
    if (config->index_storage_dir[0])
        snprintf(config->index_storage_dir, sizeof config->index_storage_dir, "%s", storage);
}

static int64_t inferred_centroids(int64_t n) {
    if (n < 1000000)
        return (int64_t)(2 * sqrt((double)(n > 0 ? n : 0)));
    if (n < 10000000)
        return 65536;
    return n < 100000000 ? 262144 : 1048576;
}

int64_t index_config_centroids(const index_config_t *config, int64_t n) {
    int64_t centroids = config->infer_centroids ? inferred_centroids(n) : config->centroids;
    return centroids > 1 ? centroids : 1;
}

static int64_t least_of(int64_t a, int64_t b) {
    return a < b ? a : b;
}

int64_t index_config_sample_rows(const index_config_t *config, int64_t rows, int64_t servers, int64_t most) {
    int64_t asked = config->train_num * servers, usual = most / 4;
    return least_of(rows, least_of(most, asked > usual ? asked : usual));
}

int64_t index_config_arrived_sample_rows(const index_config_t *config, int64_t rows, int64_t servers, int64_t most) {
    if (config->train_num > 0)
        return index_config_sample_rows(config, rows, servers, most);
    return least_of(least_of(rows, most), (int64_t)ceil(config->train_ratio * (double)rows));
}
