#include "config/attributes.h"

#include <string.h>

#include "config/index_config.h"
#include "config/key_value.h"

static const char *const type_names[] = {
#define TYPE_NAME(type, name) name,
    ATTRIBUTE_TYPE_MAP(TYPE_NAME)
#undef TYPE_NAME
};

static const char *const keywords[] = {
#define KEYWORD(token, word) word,
    ATTRIBUTE_KEYWORD_MAP(KEYWORD)
#undef KEYWORD
};

const char *attribute_type_name(attribute_type_t type) {
    return (unsigned)type < ATTRIBUTE_TYPES ? type_names[type] : "?";
}

bool attribute_type_from_name(const char *name, attribute_type_t *type) {
    for (int i = 0; i < ATTRIBUTE_TYPES; i++) {
        if (strcmp(type_names[i], name) == 0) {
            *type = (attribute_type_t)i;
            return true;
        }
    }
    return false;
}

static bool is_keyword(const char *name) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (strcmp(keywords[i], name) == 0)
            return true;
    }
    return false;
}

bool attribute_name_valid(const char *name) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char letters_and_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    size_t length = strlen(name);
    return length > 0 && length < ATTRIBUTE_NAME && strspn(name, letters) > 0 && strspn(name, letters_and_digits) == length && !is_keyword(name);
}

/* ERR_CONFIG: "WHERE: attributes: TEXT". */
static dfaiss_status_t refuse(const char *name, const char *found, const char *expected, const char *where, dfaiss_error_t *err) {
    char place[sizeof err->where], shown[96];
    json_t *quoted = json_string(name);
    key_value_show(quoted, shown, sizeof shown);
    json_decref(quoted);
    snprintf(place, sizeof place, "%s: attributes: %s", where, shown);
    return error_set(err, DFAISS_ERR_CONFIG, place, "%s: attributes: %s is %s; expected %s", where, shown, found, expected);
}

static dfaiss_status_t check_attribute(const char *name, const json_t *value, const char *where, dfaiss_error_t *err) {
    attribute_type_t type;
    if (is_keyword(name))
        return refuse(name, "a word of filter expressions", "another name", where, err);
    if (!attribute_name_valid(name))
        return refuse(name, "no name that filters can use",
                      "a letter or an underscore, then letters, digits and underscores, fewer than 64 bytes in all", where, err);
    if (json_is_string(value) && attribute_type_from_name(json_string_value(value), &type))
        return DFAISS_OK;
    char shown[96];
    key_value_show(value, shown, sizeof shown);
    return refuse(name, shown, "\"int\", \"float\", \"string\" or \"bool\"", where, err);
}

dfaiss_status_t attributes_check(const json_t *attributes, const char *where, dfaiss_error_t *err) {
    const char *name;
    json_t *value;
    if (json_object_size(attributes) > ATTRIBUTE_MOST)
        return error_set(err, DFAISS_ERR_CONFIG, where, "%s: attributes has %zu names; expected at most %d", where, json_object_size(attributes),
                         ATTRIBUTE_MOST);
    /* jansson's iterator takes no const object; it changes nothing. */
    json_object_foreach((json_t *)attributes, name, value) TRY(check_attribute(name, value, where, err));
    return DFAISS_OK;
}
