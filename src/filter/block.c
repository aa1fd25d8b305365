#include "filter/block.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEWEST_ROWS = 1024 };

/* Bytes of a part's values for a number of rows that is a multiple of 64. */
static size_t value_bytes(attribute_type_t type, int64_t rows) {
    switch (type) {
    case ATTRIBUTE_BOOLEAN:
        return (size_t)rows / 8;
    case ATTRIBUTE_STRING:
        return (size_t)rows * sizeof(uint16_t);
    default:
        return (size_t)rows * sizeof(int64_t);
    }
}

static size_t bitmap_bytes(int64_t rows) {
    return (size_t)rows / 8;
}

attribute_block_t *attribute_block_create(const attribute_schema_t *schema) {
    attribute_block_t *block = calloc(1, sizeof *block + (size_t)schema->count * sizeof block->parts[0]);
    if (!block)
        return NULL;
    atomic_init(&block->owners, 1);
    block->part_count = schema->count;
    for (int i = 0; i < schema->count; i++)
        block->parts[i].type = schema->fields[i].type;
    return block;
}

void attribute_block_share(attribute_block_t *block) {
    atomic_fetch_add(&block->owners, 1);
}

void attribute_block_release(attribute_block_t *block) {
    if (!block || atomic_fetch_sub(&block->owners, 1) > 1)
        return;
    for (int i = 0; i < block->part_count; i++) {
        free(block->parts[i].values);
        free(block->parts[i].present);
        dictionary_clear(&block->parts[i].dictionary);
    }
    free(block);
}

/* ---- growing ---- */

static void *grow_zeroed(void *array, size_t old_bytes, size_t bytes) {
    uint8_t *grown = realloc(array, bytes);
    if (grown)
        memset(grown + old_bytes, 0, bytes - old_bytes);
    return grown;
}

static bool grow_part(attribute_part_t *part, int64_t old_rows, int64_t rows) {
    void *values = grow_zeroed(part->values, value_bytes(part->type, old_rows), value_bytes(part->type, rows));
    if (!values)
        return false;
    part->values = values;
    uint64_t *present = grow_zeroed(part->present, bitmap_bytes(old_rows), bitmap_bytes(rows));
    if (!present)
        return false;
    part->present = present;
    return true;
}

bool attribute_block_extend(attribute_block_t *block, int64_t rows) {
    int64_t wanted = block->rows + rows, capacity = block->capacity ? block->capacity : FEWEST_ROWS;
    while (capacity < wanted)
        capacity *= 2;
    if (capacity > block->capacity) {
        /* A part that was grown before another one failed is larger than it need be, and grown once more next time. */
        for (int i = 0; i < block->part_count; i++) {
            if (!grow_part(&block->parts[i], block->capacity, capacity))
                return false;
        }
        block->capacity = capacity;
    }
    block->rows = wanted;
    return true;
}

/* ---- values ---- */

static void mark_filled(attribute_part_t *part, int64_t row) {
    part->present[row / 64] |= (uint64_t)1 << (row % 64);
    part->filled++;
}

void attribute_put_integer(attribute_part_t *part, int64_t row, int64_t value) {
    part->integers[row] = value;
    mark_filled(part, row);
}

void attribute_put_float(attribute_part_t *part, int64_t row, double value) {
    if (isnan(value))
        return;
    part->floats[row] = value;
    mark_filled(part, row);
}

void attribute_put_boolean(attribute_part_t *part, int64_t row, bool value) {
    part->booleans[row / 64] |= (uint64_t)value << (row % 64);
    mark_filled(part, row);
}

bool attribute_put_string(attribute_part_t *part, int64_t row, const void *data, size_t size) {
    uint32_t code;
    if (!dictionary_put(&part->dictionary, data, size, &code))
        return false;
    part->codes[row] = (uint16_t)code;
    mark_filled(part, row);
    return true;
}

/* ---- shrinking ---- */

static void clear_bits(uint64_t *bits, int64_t from, int64_t to) {
    for (int64_t row = from; row < to; row++)
        bits[row / 64] &= ~((uint64_t)1 << (row % 64));
}

static int64_t count_bits(const uint64_t *bits, int64_t rows) {
    int64_t count = 0;
    for (int64_t word = 0; word < (rows + 63) / 64; word++)
        count += __builtin_popcountll(bits[word]);
    return count;
}

/* Codes are given out in the order of the rows, so those that the first rows use come before all others. */
static uint32_t codes_used(const attribute_part_t *part, int64_t rows) {
    uint32_t used = 0;
    for (int64_t row = 0; row < rows; row++) {
        if (attribute_part_has(part, row) && part->codes[row] >= used)
            used = (uint32_t)part->codes[row] + 1;
    }
    return used;
}

static void shrink_part(attribute_part_t *part, int64_t old_rows, int64_t rows) {
    clear_bits(part->present, rows, old_rows);
    part->filled = count_bits(part->present, rows);
    if (part->type == ATTRIBUTE_BOOLEAN) {
        clear_bits(part->booleans, rows, old_rows);
        return;
    }
    size_t width = value_bytes(part->type, 64) / 64;
    memset((uint8_t *)part->values + (size_t)rows * width, 0, (size_t)(old_rows - rows) * width);
    if (part->type == ATTRIBUTE_STRING)
        dictionary_shrink(&part->dictionary, codes_used(part, rows));
}

void attribute_block_shrink(attribute_block_t *block, int64_t rows) {
    if (rows >= block->rows)
        return;
    for (int i = 0; i < block->part_count; i++)
        shrink_part(&block->parts[i], block->rows, rows);
    block->rows = rows;
}

/* ---- sealing ---- */

static void trim(attribute_block_t *block) {
    int64_t capacity = (block->rows + 63) / 64 * 64;
    for (int i = 0; i < block->part_count && capacity > 0; i++) {
        attribute_part_t *part = &block->parts[i];
        void *values = realloc(part->values, value_bytes(part->type, capacity));
        if (values)
            part->values = values;
        uint64_t *present = part->present ? realloc(part->present, bitmap_bytes(capacity)) : NULL;
        if (present)
            part->present = present;
    }
    block->capacity = capacity;
}

void attribute_block_seal(attribute_block_t *block) {
    for (int i = 0; i < block->part_count; i++) {
        attribute_part_t *part = &block->parts[i];
        if (part->filled == block->rows) {
            free(part->present);
            part->present = NULL;
        }
        dictionary_seal(&part->dictionary);
    }
    if (block->rows < block->capacity)
        trim(block);
    block->sealed = true;
}

static bool copy_part(const attribute_part_t *from, attribute_part_t *to, int64_t capacity) {
    memcpy(to->values, from->values, value_bytes(from->type, capacity));
    if (from->present)
        memcpy(to->present, from->present, bitmap_bytes(capacity));
    to->filled = from->filled;
    return dictionary_copy(&from->dictionary, &to->dictionary);
}

attribute_block_t *attribute_block_copy(const attribute_block_t *block, const attribute_schema_t *schema) {
    attribute_block_t *copy = attribute_block_create(schema);
    bool whole = copy && attribute_block_extend(copy, block->rows);
    for (int i = 0; whole && i < block->part_count; i++)
        whole = copy_part(&block->parts[i], &copy->parts[i], (block->rows + 63) / 64 * 64);
    if (!whole) {
        attribute_block_release(copy);
        return NULL;
    }
    attribute_block_seal(copy);
    return copy;
}

size_t attribute_block_memory(const attribute_block_t *block) {
    size_t bytes = sizeof *block + (size_t)block->part_count * sizeof block->parts[0];
    for (int i = 0; i < block->part_count; i++) {
        const attribute_part_t *part = &block->parts[i];
        bytes += value_bytes(part->type, block->capacity) + dictionary_memory(&part->dictionary);
        bytes += part->present ? bitmap_bytes(block->capacity) : 0;
    }
    return bytes;
}
