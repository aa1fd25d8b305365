#include "config/key_value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *field_of(index_config_t *config, const config_key_t *key) {
    return (char *)config + key->offset;
}

static const void *field_in(const index_config_t *config, const config_key_t *key) {
    return (const char *)config + key->offset;
}

void key_value_show(const json_t *value, char *text, size_t capacity) {
    char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
    size_t length = dump ? strlen(dump) : 0;
    if (length < capacity)
        snprintf(text, capacity, "%s", dump ? dump : "?");
    else
        snprintf(text, capacity, "%.*s...", (int)(capacity - 4), dump);
    free(dump);
}

static bool take_choice(void *field, const config_key_t *key, const json_t *value) {
    const char *text = json_string_value(value);
    for (int i = 0; text && *text && key->choices[i]; i++) {
        if (strcmp(text, key->choices[i]) == 0) {
            memcpy(field, &i, sizeof i);
            return true;
        }
    }
    return false;
}

static bool take_text(void *field, const config_key_t *key, const json_t *value) {
    if (!json_is_string(value) || json_string_length(value) >= key->capacity)
        return false;
    memcpy(field, json_string_value(value), json_string_length(value) + 1);
    return true;
}

static bool take_integer(void *field, const config_key_t *key, const json_t *value) {
    /* 12.0 is an integer to the people who write it. The range lies within 2^53, so that the comparison in double is exact where it matters. */
    double number = json_number_value(value);
    if (!json_is_number(value) || number < key->low || number > key->high || number != floor(number))
        return false;
    int64_t integer = json_is_integer(value) ? json_integer_value(value) : (int64_t)number;
    memcpy(field, &integer, sizeof integer);
    return true;
}

static bool take_number(void *field, const json_t *value, bool in_range) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !in_range)
        return false;
    memcpy(field, &number, sizeof number);
    return true;
}

static bool take_switch(void *field, const json_t *value) {
    bool on = json_is_true(value);
    if (!json_is_boolean(value))
        return false;
    memcpy(field, &on, sizeof on);
    return true;
}

static bool take_object(void *field, const json_t *value) {
    json_t *copy = json_is_object(value) ? json_deep_copy(value) : NULL;
    if (!copy)
        return false;
    json_t *old;
    memcpy(&old, field, sizeof old);
    json_decref(old);
    memcpy(field, &copy, sizeof copy);
    return true;
}

/* null: back to nothing, which all fields without a default write as zeros. */
static bool take_nothing(void *field, const config_key_t *key) {
    if (strcmp(key->fallback, "null") != 0)
        return false;
    if (key->type == KEY_OBJECT) {
        json_t *old;
        memcpy(&old, field, sizeof old);
        json_decref(old);
        memset(field, 0, sizeof old);
    } else if (key->type == KEY_TEXT) {
        *(char *)field = 0;
    } else {
        memset(field, 0, sizeof(int));
    }
    return true;
}

static bool take(void *field, const config_key_t *key, const json_t *value) {
    double number = json_number_value(value);
    if (json_is_null(value))
        return take_nothing(field, key);
    switch (key->type) {
    case KEY_CHOICE:
        return take_choice(field, key, value);
    case KEY_TEXT:
        return take_text(field, key, value);
    case KEY_INTEGER:
        return take_integer(field, key, value);
    case KEY_NUMBER:
        return take_number(field, value, number >= key->low && number <= key->high);
    case KEY_SHARE:
        return take_number(field, value, number > 0 && number <= 1);
    case KEY_SWITCH:
        return take_switch(field, value);
    case KEY_OBJECT:
        return take_object(field, value);
    }
    return false;
}

/* What a string says when it is read as JSON itself: "768" is 768, "true" is true. A new reference; NULL where it is nothing of the kind. */
static json_t *unquoted(const config_key_t *key, const json_t *value) {
    bool may_come_as_string = key->type == KEY_INTEGER || key->type == KEY_NUMBER || key->type == KEY_SHARE || key->type == KEY_SWITCH;
    if (!may_come_as_string || !json_is_string(value))
        return NULL;
    json_t *inner = json_loadb(json_string_value(value), json_string_length(value), JSON_DECODE_ANY, NULL);
    if (!json_is_null(inner))
        return inner;
    json_decref(inner);
    return NULL;
}

dfaiss_status_t key_value_set(index_config_t *config, const config_key_t *key, const json_t *value, const char *where, dfaiss_error_t *err) {
    json_t *inner = unquoted(key, value);
    bool taken = take(field_of(config, key), key, inner ? inner : value);
    json_decref(inner);
    if (taken)
        return DFAISS_OK;
    char place[sizeof err->where], shown[96], expected[192];
    snprintf(place, sizeof place, "%s: %s", where, key->name);
    key_value_show(value, shown, sizeof shown);
    config_key_expected(key, expected, sizeof expected);
    return error_set(err, DFAISS_ERR_CONFIG, place, "%s: %s is %s; expected %s", where, key->name, shown, expected);
}

static json_t *choice_name(const void *field, const config_key_t *key) {
    int choice;
    memcpy(&choice, field, sizeof choice);
    return *key->choices[choice] ? json_string(key->choices[choice]) : json_null();
}

json_t *key_value_get(const index_config_t *config, const config_key_t *key) {
    const void *field = field_in(config, key);
    int64_t integer;
    double number;
    bool on;
    json_t *object;
    switch (key->type) {
    case KEY_CHOICE:
        return choice_name(field, key);
    case KEY_TEXT:
        return *(const char *)field ? json_string(field) : json_null();
    case KEY_INTEGER:
        memcpy(&integer, field, sizeof integer);
        return json_integer(integer);
    case KEY_NUMBER:
    case KEY_SHARE:
        memcpy(&number, field, sizeof number);
        return json_real(number);
    case KEY_SWITCH:
        memcpy(&on, field, sizeof on);
        return json_boolean(on);
    case KEY_OBJECT:
        memcpy(&object, field, sizeof object);
        return object ? json_deep_copy(object) : json_null();
    }
    return NULL;
}
