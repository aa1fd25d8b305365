#include "filter/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/edit_distance.h"

static int by_name(const void *a, const void *b) {
    return strcmp(((const attribute_field_t *)a)->name, ((const attribute_field_t *)b)->name);
}

static void take_fields(attribute_schema_t *schema, const json_t *attributes) {
    const char *name;
    json_t *value;
    /* jansson's iterator takes no const object; it changes nothing. */
    json_object_foreach((json_t *)attributes, name, value) {
        attribute_field_t *field = &schema->fields[schema->count++];
        snprintf(field->name, sizeof field->name, "%s", name);
        if (!attribute_type_from_name(json_string_value(value), &field->type))
            field->type = ATTRIBUTE_STRING; /* cannot be: attributes_check has seen it */
    }
    qsort(schema->fields, (size_t)schema->count, sizeof schema->fields[0], by_name);
}

dfaiss_status_t attribute_schema_create(const json_t *attributes, const char *where, attribute_schema_t **out, dfaiss_error_t *err) {
    if (attributes && !json_is_object(attributes))
        return error_set(err, DFAISS_ERR_CONFIG, where, "%s: attributes is no object", where);
    TRY(attributes_check(attributes, where, err));
    size_t bytes = sizeof(attribute_schema_t) + json_object_size(attributes) * sizeof(attribute_field_t);
    attribute_schema_t *schema = calloc(1, bytes);
    if (!schema)
        return error_memory(err, bytes, "the attributes of an index");
    take_fields(schema, attributes);
    *out = schema;
    return DFAISS_OK;
}

void attribute_schema_destroy(attribute_schema_t *schema) {
    free(schema);
}

int attribute_schema_find(const attribute_schema_t *schema, const char *name) {
    for (int i = 0; i < schema->count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0)
            return i;
    }
    return -1;
}

static const char *nearest(const attribute_schema_t *schema, const char *name) {
    const char *best = schema->fields[0].name;
    unsigned fewest = edit_distance(name, best);
    for (int i = 1; i < schema->count; i++) {
        unsigned edits = edit_distance(name, schema->fields[i].name);
        if (edits < fewest) {
            best = schema->fields[i].name;
            fewest = edits;
        }
    }
    return best;
}

void attribute_schema_suggest(const attribute_schema_t *schema, const char *name, char *text, size_t capacity) {
    if (schema->count == 0)
        snprintf(text, capacity, "the index's configuration declares no attributes");
    else
        snprintf(text, capacity, "did you mean \"%s\"?", nearest(schema, name));
}

dfaiss_status_t attribute_schema_unknown(const attribute_schema_t *schema, const char *name, dfaiss_error_t *err) {
    char place[sizeof err->where], suggestion[ATTRIBUTE_NAME + 32];
    snprintf(place, sizeof place, "attribute %s", name);
    attribute_schema_suggest(schema, name, suggestion, sizeof suggestion);
    return error_set(err, DFAISS_ERR_ARG, place, "unknown attribute \"%s\"; %s", name, suggestion);
}
