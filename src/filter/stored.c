#include "filter/stored.h"

#include <string.h>

#include "filter/columns_internal.h"

const char *attribute_array_name(attribute_array_t array) {
    static const char *const names[] = {
#define ARRAY_NAME(array, name, content) name,
        ATTRIBUTE_ARRAY_MAP(ARRAY_NAME)
#undef ARRAY_NAME
    };
    return (unsigned)array < ATTRIBUTE_ARRAYS ? names[array] : "?";
}

attribute_element_t attribute_array_element(attribute_type_t type, attribute_array_t array) {
    static const attribute_element_t of_values[] = {[ATTRIBUTE_INTEGER] = ATTRIBUTE_I64,
                                                    [ATTRIBUTE_FLOAT] = ATTRIBUTE_F64,
                                                    [ATTRIBUTE_STRING] = ATTRIBUTE_U16,
                                                    [ATTRIBUTE_BOOLEAN] = ATTRIBUTE_U8};
    switch (array) {
    case ATTRIBUTE_ARRAY_VALUES:
        return of_values[type];
    case ATTRIBUTE_ARRAY_STRING_BLOCKS:
    case ATTRIBUTE_ARRAY_STRING_ENDS:
        return ATTRIBUTE_U64;
    default:
        return ATTRIBUTE_U8;
    }
}

size_t attribute_element_size(attribute_element_t element) {
    static const size_t sizes[] = {[ATTRIBUTE_U8] = 1, [ATTRIBUTE_U16] = 2, [ATTRIBUTE_I64] = 8, [ATTRIBUTE_U64] = 8, [ATTRIBUTE_F64] = 8};
    return sizes[element];
}

/* Elements that a block contributes to an array of a column, counted without the rule that `present` is left out where all rows have values. */
static int64_t count_in_block(const attribute_block_t *block, int field, attribute_array_t array) {
    const attribute_part_t *part = &block->parts[field];
    if (array == ATTRIBUTE_ARRAY_VALUES || array == ATTRIBUTE_ARRAY_PRESENT)
        return block->rows;
    if (part->type != ATTRIBUTE_STRING)
        return 0;
    if (array == ATTRIBUTE_ARRAY_STRING_BLOCKS)
        return 1;
    return array == ATTRIBUTE_ARRAY_STRING_ENDS ? part->dictionary.count : (int64_t)dictionary_string_bytes(&part->dictionary);
}

static bool every_row_has(const attribute_columns_t *columns, int field) {
    int64_t filled = 0;
    for (int64_t i = 0; i < columns->count; i++)
        filled += columns->blocks[i]->parts[field].filled;
    return filled == columns->rows;
}

int64_t attribute_array_count(const attribute_columns_t *columns, int field, attribute_array_t array) {
    int64_t count = 0;
    if (array == ATTRIBUTE_ARRAY_PRESENT && every_row_has(columns, field))
        return 0;
    for (int64_t i = 0; i < columns->count; i++)
        count += count_in_block(columns->blocks[i], field, array);
    return count;
}

/* Strings and their bytes in the blocks before. */
typedef struct before {
    uint64_t strings, bytes;
} before_t;

static void read_bits(const uint64_t *bits, int64_t first, int64_t count, uint8_t *out) {
    for (int64_t i = 0; i < count; i++)
        out[i] = !bits || attribute_bit(bits, first + i);
}

static void read_values(const attribute_part_t *part, int64_t first, int64_t count, uint8_t *out) {
    size_t width = attribute_element_size(attribute_array_element(part->type, ATTRIBUTE_ARRAY_VALUES));
    if (part->type == ATTRIBUTE_BOOLEAN)
        read_bits(part->booleans, first, count, out);
    else
        memcpy(out, (const uint8_t *)part->values + (size_t)first * width, (size_t)count * width);
}

/* Elements first to first + count - 1 of what a block contributes. */
static void read_in_block(const attribute_part_t *part, attribute_array_t array, before_t before, int64_t first, int64_t count, uint8_t *out) {
    uint64_t number;
    switch (array) {
    case ATTRIBUTE_ARRAY_VALUES:
        read_values(part, first, count, out);
        break;
    case ATTRIBUTE_ARRAY_PRESENT:
        read_bits(part->present, first, count, out);
        break;
    case ATTRIBUTE_ARRAY_STRING_BLOCKS:
        number = before.strings + part->dictionary.count;
        memcpy(out, &number, sizeof number);
        break;
    case ATTRIBUTE_ARRAY_STRING_ENDS:
        for (int64_t i = 0; i < count; i++) {
            number = before.bytes + part->dictionary.ends[first + i];
            memcpy(out + (size_t)i * sizeof number, &number, sizeof number);
        }
        break;
    default:
        memcpy(out, part->dictionary.bytes + first, (size_t)count);
    }
}

void attribute_array_read(const attribute_columns_t *columns, int field, attribute_array_t array, int64_t first, int64_t count, void *out) {
    size_t width = attribute_element_size(attribute_array_element(columns->schema->fields[field].type, array));
    before_t before = {0};
    uint8_t *to = out;
    for (int64_t i = 0, begin = 0; i < columns->count && count > 0; i++) {
        const attribute_part_t *part = &columns->blocks[i]->parts[field];
        int64_t end = begin + count_in_block(columns->blocks[i], field, array);
        int64_t taken = (end < first + count ? end : first + count) - first;
        if (taken > 0) {
            read_in_block(part, array, before, first - begin, taken, to);
            first += taken;
            count -= taken;
            to += (size_t)taken * width;
        }
        begin = end;
        before.strings += part->dictionary.count;
        before.bytes += dictionary_string_bytes(&part->dictionary);
    }
}
