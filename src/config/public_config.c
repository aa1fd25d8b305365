/* The configuration that users of the library hold: keys set one by one, from a text or from a file. Each value is checked when it is set, the rules
 * between keys when an index is made of it. */
#include "config/public_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config/key_table.h"
#include "config/key_value.h"

static const char nowhere[] = "configuration"; /* stands where a file's name would */

dfaiss_status_t dfaiss_config_create(dfaiss_config_t **out, dfaiss_error_t *err) {
    if (!out)
        return error_null(err, "out");
    dfaiss_config_t *config = calloc(1, sizeof *config);
    if (!config)
        return error_memory(err, sizeof *config, nowhere);
    config->given = json_object();
    dfaiss_status_t status = config->given ? index_config_defaults(&config->values, err) : error_memory(err, 0, nowhere);
    if (status != DFAISS_OK) {
        dfaiss_config_destroy(config);
        return status;
    }
    *out = config;
    return DFAISS_OK;
}

void dfaiss_config_destroy(dfaiss_config_t *config) {
    if (!config)
        return;
    json_decref(config->given);
    index_config_destroy(config->values);
    free(config);
}

/* ---- setting ---- */

static dfaiss_status_t set_value(dfaiss_config_t *config, const char *name, json_t *value, const char *where, dfaiss_error_t *err) {
    const config_key_t *key = NULL;
    TRY(index_config_find_key(name, where, &key, err));
    /* Into what was given first: it can be taken back, whereas a value in its field cannot fail any more. */
    json_t *before = json_incref(json_object_get(config->given, name));
    dfaiss_status_t status = DFAISS_OK;
    if (json_object_set(config->given, name, value) != 0)
        status = error_memory(err, 0, nowhere);
    else
        status = key_value_set(config->values, key, value, where, err);
    if (status != DFAISS_OK) {
        if (before)
            (void)json_object_set(config->given, name, before);
        else
            (void)json_object_del(config->given, name);
    }
    json_decref(before);
    return status;
}

/* Text that is no JSON is the value itself where a key takes text; elsewhere the check of the value says what is wrong with it. */
static json_t *value_from_text(const config_key_t *key, const char *text) {
    bool takes_text = key->type == KEY_TEXT || key->type == KEY_CHOICE;
    json_t *value = takes_text && text[0] != '"' ? NULL : json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    return value ? value : json_string(text);
}

dfaiss_status_t dfaiss_config_set(dfaiss_config_t *config, const char *key, const char *value, dfaiss_error_t *err) {
    const config_key_t *found = NULL;
    if (!config || !key || !value)
        return error_null(err, !config ? "config" : !key ? "key" : "value");
    TRY(index_config_find_key(key, nowhere, &found, err));
    json_t *json = value_from_text(found, value);
    if (!json)
        return error_set(err, DFAISS_ERR_CONFIG, key, "the value of %s is no text in UTF-8", key);
    dfaiss_status_t status = set_value(config, key, json, nowhere, err);
    json_decref(json);
    return status;
}

static dfaiss_status_t set_all(dfaiss_config_t *config, json_t *object, const char *where, dfaiss_error_t *err) {
    const char *name;
    json_t *value;
    if (!json_is_object(object))
        return error_set(err, DFAISS_ERR_CONFIG, where, "%s: a configuration is a JSON object: {\"key\": value, ...}", where);
    json_object_foreach(object, name, value) TRY(set_value(config, name, value, where, err));
    return DFAISS_OK;
}

static dfaiss_status_t parse(const char *text, size_t size, const char *where, dfaiss_config_t **out, dfaiss_error_t *err) {
    dfaiss_config_t *config;
    json_t *object;
    TRY(index_config_load_json(text, size, where, &object, err));
    dfaiss_status_t status = dfaiss_config_create(&config, err);
    if (status == DFAISS_OK) {
        status = set_all(config, object, where, err);
        if (status == DFAISS_OK)
            *out = config;
        else
            dfaiss_config_destroy(config);
    }
    json_decref(object);
    return status;
}

dfaiss_status_t dfaiss_config_parse(const char *text, size_t size, dfaiss_config_t **out, dfaiss_error_t *err) {
    if (!text || !out)
        return error_null(err, !text ? "text" : "out");
    return parse(text, size, nowhere, out, err);
}

dfaiss_status_t dfaiss_config_read(const char *path, dfaiss_config_t **out, dfaiss_error_t *err) {
    char *text;
    size_t size;
    if (!path || !out)
        return error_null(err, !path ? "path" : "out");
    TRY(file_read_whole(path, INDEX_CONFIG_FILE_LIMIT, &text, &size, err));
    dfaiss_status_t status = parse(text, size, path, out, err);
    free(text);
    return status;
}

/* ---- reading ---- */

static dfaiss_status_t take_text(char *made, char **text, dfaiss_error_t *err) {
    if (!made)
        return error_memory(err, 0, "the text of a configuration");
    *text = made;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_config_get(const dfaiss_config_t *config, const char *key, char **value, dfaiss_error_t *err) {
    const config_key_t *found = NULL;
    if (!config || !key || !value)
        return error_null(err, !config ? "config" : !key ? "key" : "value");
    TRY(index_config_find_key(key, nowhere, &found, err));
    json_t *json = key_value_get(config->values, found);
    char *made = json ? json_dumps(json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(json);
    return take_text(made, value, err);
}

dfaiss_status_t dfaiss_config_print(const dfaiss_config_t *config, char **text, dfaiss_error_t *err) {
    if (!config || !text)
        return error_null(err, !config ? "config" : "text");
    return index_config_print(config->values, true, text, err);
}

dfaiss_status_t config_given_text(const dfaiss_config_t *config, char **text, dfaiss_error_t *err) {
    return take_text(json_dumps(config->given, JSON_REAL_PRECISION(17)), text, err);
}
