/* Values of attributes from a row's metadata. */
#include <math.h>

#include <jansson.h>

#include "filter/columns_internal.h"

/* 12.0 is an integer to the people who write it. */
static void take_integer(attribute_part_t *part, int64_t row, const json_t *value) {
    if (json_is_integer(value)) {
        attribute_put_integer(part, row, json_integer_value(value));
        return;
    }
    double number = json_real_value(value);
    if (json_is_real(value) && number == floor(number) && number >= -0x1p63 && number < 0x1p63)
        attribute_put_integer(part, row, (int64_t)number);
}

static bool take(attribute_part_t *part, int64_t row, const json_t *value) {
    switch (part->type) {
    case ATTRIBUTE_INTEGER:
        take_integer(part, row, value);
        return true;
    case ATTRIBUTE_FLOAT:
        if (json_is_number(value))
            attribute_put_float(part, row, json_number_value(value));
        return true;
    case ATTRIBUTE_BOOLEAN:
        if (json_is_boolean(value))
            attribute_put_boolean(part, row, json_is_true(value));
        return true;
    default:
        return !json_is_string(value) || attribute_put_string(part, row, json_string_value(value), json_string_length(value));
    }
}

bool attribute_take_metadata(attribute_block_t *block, int64_t row, const attribute_schema_t *schema, const bool *wanted, const uint8_t *text,
                             size_t size) {
    json_error_t failure = {0};
    json_t *object = json_loadb((const char *)text, size, JSON_ALLOW_NUL, &failure);
    bool whole = object || json_error_code(&failure) != json_error_out_of_memory;
    for (int field = 0; whole && object && field < schema->count; field++) {
        if (wanted[field])
            whole = take(&block->parts[field], row, json_object_get(object, schema->fields[field].name));
    }
    json_decref(object);
    return whole;
}
