/* The attributes of an index: which typed fields its vectors have, as `attributes` in the configuration declares them. */
#ifndef FILTER_SCHEMA_H
#define FILTER_SCHEMA_H

#include <jansson.h>

#include "base/error.h"
#include "config/attributes.h"

typedef struct attribute_field {
    char name[ATTRIBUTE_NAME];
    attribute_type_t type;
} attribute_field_t;

typedef struct attribute_schema {
    int count;
    attribute_field_t fields[]; /* by name, so that equal configurations number their fields alike */
} attribute_schema_t;

/* From the configuration's object; NULL makes a schema without fields. ERR_CONFIG as attributes_check. */
CHECKED dfaiss_status_t attribute_schema_create(const json_t *attributes, const char *where, attribute_schema_t **out, dfaiss_error_t *err);
void attribute_schema_destroy(attribute_schema_t *schema);

/* The number of the field of this name; -1 where there is none. */
int attribute_schema_find(const attribute_schema_t *schema, const char *name);

/* ERR_ARG for a name that is no field: names it and the nearest one. */
dfaiss_status_t attribute_schema_unknown(const attribute_schema_t *schema, const char *name, dfaiss_error_t *err);

/* What attribute_schema_unknown says behind the name, for a text of the caller's: `did you mean "lang"?`. */
void attribute_schema_suggest(const attribute_schema_t *schema, const char *name, char *text, size_t capacity);

#endif
