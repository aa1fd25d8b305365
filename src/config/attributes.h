/* The `attributes` of a configuration: the typed fields of vectors that filters may use, an object of names and types. */
#ifndef CONFIG_ATTRIBUTES_H
#define CONFIG_ATTRIBUTES_H

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"

/* type, as the configuration writes it. The order is part of messages. */
#define ATTRIBUTE_TYPE_MAP(X) \
    X(INTEGER, "int")         \
    X(FLOAT, "float")         \
    X(STRING, "string")       \
    X(BOOLEAN, "bool")

typedef enum attribute_type {
#define ATTRIBUTE_TYPE_ENUM(type, name) ATTRIBUTE_##type,
    ATTRIBUTE_TYPE_MAP(ATTRIBUTE_TYPE_ENUM)
#undef ATTRIBUTE_TYPE_ENUM
        ATTRIBUTE_TYPES
} attribute_type_t;

/* token, the word of filter expressions, which names no attribute. */
#define ATTRIBUTE_KEYWORD_MAP(X) \
    X(AND, "and")                \
    X(OR, "or")                  \
    X(NOT, "not")                \
    X(IN, "in")                  \
    X(HAS, "has")                \
    X(TRUE, "true")              \
    X(FALSE, "false")

enum {
    ATTRIBUTE_NAME = 64, /* bytes of a name with its final zero */
    ATTRIBUTE_MOST = 256 /* attributes of an index */
};

/* "int", "float", "string", "bool"; "?" for a number that is no type. */
const char *attribute_type_name(attribute_type_t type);
/* The type of a name; false where there is none. */
bool attribute_type_from_name(const char *name, attribute_type_t *type);

/* A letter or an underscore, then letters, digits and underscores (of ASCII), shorter than ATTRIBUTE_NAME, and no keyword. */
bool attribute_name_valid(const char *name);

/* Checks the value of the key `attributes` (NULL: there is none). ERR_CONFIG names `where`, key, attribute and what was expected. */
CHECKED dfaiss_status_t attributes_check(const json_t *attributes, const char *where, dfaiss_error_t *err);

#endif
