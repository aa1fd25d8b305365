#include "server/override.h"

#include <stdlib.h>
#include <string.h>

#include "config/key_table.h"
#include "config/key_value.h"

/* Nothing that is saved depends on them; index_storage_dir says where it is. */
static const char *const may_change[] = {"nprobe",    "threads",     "buffer_bsz",         "save_interval_sec", "keep_generations",
                                         "train_num", "train_ratio", "custom_meta_id_idx", "index_storage_dir"};

static bool key_may_change(const char *name) {
    for (size_t i = 0; i < sizeof may_change / sizeof *may_change; i++) {
        if (strcmp(may_change[i], name) == 0)
            return true;
    }
    return false;
}

/* A key that must stay: what was saved, and what the override makes of it. */
static dfaiss_status_t check_same(const index_config_t *saved, index_config_t *scratch, const config_key_t *key, const json_t *value,
                                  const char *index, dfaiss_error_t *err) {
    TRY(key_value_set(scratch, key, value, index, err));
    json_t *is = key_value_get(saved, key), *wanted = key_value_get(scratch, key);
    dfaiss_status_t status = DFAISS_OK;
    if (!is || !wanted)
        status = error_memory(err, 0, "a configuration");
    if (status == DFAISS_OK && !json_equal(is, wanted)) {
        char is_text[80], wanted_text[80];
        key_value_show(is, is_text, sizeof is_text);
        key_value_show(wanted, wanted_text, sizeof wanted_text);
        status = error_set(err, DFAISS_ERR_CONFIG, key->name, "index '%s' was saved with %s %s, which cannot become %s when it is loaded", index,
                           key->name, is_text, wanted_text);
    }
    json_decref(is);
    json_decref(wanted);
    return status;
}

static dfaiss_status_t check_keys(const index_config_t *saved, index_config_t *scratch, json_t *object, const char *index, dfaiss_error_t *err) {
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        const config_key_t *key = NULL;
        TRY(index_config_find_key(name, index, &key, err));
        if (key_may_change(name))
            TRY(key_value_set(scratch, key, value, index, err));
        else
            TRY(check_same(saved, scratch, key, value, index, err));
    }
    return DFAISS_OK;
}

dfaiss_status_t override_check(const index_config_t *saved, const char *text, size_t size, const char *index, dfaiss_error_t *err) {
    if (size == 0)
        return DFAISS_OK;
    json_t *object;
    index_config_t *scratch = NULL;
    TRY(index_config_load_json(text, size, index, &object, err));
    dfaiss_status_t status = index_config_defaults(&scratch, err);
    if (status == DFAISS_OK)
        status = check_keys(saved, scratch, object, index, err);
    index_config_destroy(scratch);
    json_decref(object);
    return status;
}

dfaiss_status_t override_storage(const char *text, size_t size, const char *index, char **storage, dfaiss_error_t *err) {
    if (size == 0)
        return DFAISS_OK;
    json_t *object;
    TRY(index_config_load_json(text, size, index, &object, err));
    const char *given = json_string_value(json_object_get(object, "index_storage_dir"));
    bool wanted = given && given[0];
    char *copy = wanted ? strdup(given) : NULL;
    json_decref(object);
    if (wanted && !copy)
        return error_memory(err, 1, "loading");
    *storage = copy;
    return DFAISS_OK;
}

dfaiss_status_t override_apply(index_config_t *config, const char *text, size_t size, const char *index, dfaiss_error_t *err) {
    if (size == 0)
        return DFAISS_OK;
    json_t *object;
    const char *name;
    json_t *value;
    TRY(index_config_load_json(text, size, index, &object, err));
    dfaiss_status_t status = DFAISS_OK;
    json_object_foreach(object, name, value) {
        const config_key_t *key = config_key_find(name);
        if (status == DFAISS_OK && key && key_may_change(name))
            status = key_value_set(config, key, value, index, err);
    }
    json_decref(object);
    return status;
}
