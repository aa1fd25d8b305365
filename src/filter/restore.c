/* Columns from the arrays of a checkpoint. Everything is looked at before it is used: the arrays may be damaged. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter/columns_internal.h"
#include "filter/stored.h"

enum { PIECE = 4096 }; /* bytes of flags read at a time */

/* Where restoring a column stands. */
typedef struct restorer {
    const attribute_source_t *source;
    const attribute_schema_t *schema;
    int field;
    int64_t rows; /* in all */
    int64_t counts[ATTRIBUTE_ARRAYS];
    dfaiss_error_t *err;
} restorer_t;

/* ERR_CHECKPOINT: "attribute NAME, ARRAY: TEXT". */
__attribute__((format(printf, 3, 4))) static dfaiss_status_t damaged(const restorer_t *restorer, attribute_array_t array, const char *format, ...) {
    char place[sizeof restorer->err->where], text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(place, sizeof place, "attribute %s, %s", restorer->schema->fields[restorer->field].name, attribute_array_name(array));
    return error_set(restorer->err, DFAISS_ERR_CHECKPOINT, place, "%s: %s", place, text);
}

static dfaiss_status_t read_array(const restorer_t *restorer, attribute_array_t array, int64_t first, int64_t count, void *out) {
    const attribute_source_t *source = restorer->source;
    return count > 0 ? source->read(source->context, restorer->field, array, first, count, out, restorer->err) : DFAISS_OK;
}

/* ---- counts ---- */

static dfaiss_status_t expect_count(const restorer_t *restorer, attribute_array_t array, int64_t expected) {
    if (restorer->counts[array] == expected)
        return DFAISS_OK;
    return damaged(restorer, array, "expected %" PRId64 " elements, found %" PRId64, expected, restorer->counts[array]);
}

static dfaiss_status_t check_string_counts(const restorer_t *restorer) {
    uint64_t strings = 0, bytes = 0;
    int64_t blocks = (restorer->rows + ATTRIBUTE_BLOCK_ROWS - 1) / ATTRIBUTE_BLOCK_ROWS;
    TRY(expect_count(restorer, ATTRIBUTE_ARRAY_STRING_BLOCKS, blocks));
    if (blocks > 0)
        TRY(read_array(restorer, ATTRIBUTE_ARRAY_STRING_BLOCKS, blocks - 1, 1, &strings));
    TRY(expect_count(restorer, ATTRIBUTE_ARRAY_STRING_ENDS, (int64_t)strings));
    if (strings > 0)
        TRY(read_array(restorer, ATTRIBUTE_ARRAY_STRING_ENDS, (int64_t)strings - 1, 1, &bytes));
    return expect_count(restorer, ATTRIBUTE_ARRAY_STRING_BYTES, (int64_t)bytes);
}

static dfaiss_status_t begin_column(restorer_t *restorer) {
    for (int array = 0; array < ATTRIBUTE_ARRAYS; array++)
        restorer->counts[array] = restorer->source->count(restorer->source->context, restorer->field, (attribute_array_t)array);
    TRY(expect_count(restorer, ATTRIBUTE_ARRAY_VALUES, restorer->rows));
    if (restorer->counts[ATTRIBUTE_ARRAY_PRESENT] != 0)
        TRY(expect_count(restorer, ATTRIBUTE_ARRAY_PRESENT, restorer->rows));
    if (restorer->schema->fields[restorer->field].type == ATTRIBUTE_STRING)
        return check_string_counts(restorer);
    for (int array = ATTRIBUTE_ARRAY_STRING_BLOCKS; array < ATTRIBUTE_ARRAYS; array++)
        TRY(expect_count(restorer, (attribute_array_t)array, 0));
    return DFAISS_OK;
}

/* ---- strings ---- */

/* The elements before and of a block in an array of ends: *begin to *end, which is at most `limit`. */
static dfaiss_status_t read_range(const restorer_t *restorer, attribute_array_t array, int64_t number, uint64_t limit, uint64_t *begin,
                                  uint64_t *end) {
    *begin = 0;
    if (number > 0)
        TRY(read_array(restorer, array, number - 1, 1, begin));
    TRY(read_array(restorer, array, number, 1, end));
    if (*begin <= *end && *end <= limit)
        return DFAISS_OK;
    return damaged(restorer, array, "expected %" PRIu64 " to %" PRIu64 " in element %" PRId64 ", found %" PRIu64, *begin, limit, number, *end);
}

/* Reads the ends of `count` strings from number `first` on, which follow `base`, and counts them from there. */
static dfaiss_status_t read_ends(const restorer_t *restorer, uint64_t first, uint32_t count, uint64_t base, uint64_t *ends) {
    uint64_t limit = (uint64_t)restorer->counts[ATTRIBUTE_ARRAY_STRING_BYTES], last = base;
    TRY(read_array(restorer, ATTRIBUTE_ARRAY_STRING_ENDS, (int64_t)first, count, ends));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end = ends[i];
        if (end < last || end > limit)
            return damaged(restorer, ATTRIBUTE_ARRAY_STRING_ENDS, "expected %" PRIu64 " to %" PRIu64 " in element %" PRIu64 ", found %" PRIu64, last,
                           limit, first + i, end);
        last = end;
        ends[i] = end - base;
    }
    return DFAISS_OK;
}

static dfaiss_status_t read_dictionary(const restorer_t *restorer, int64_t number, int64_t rows, dictionary_t *dictionary) {
    uint64_t begin, end, base = 0;
    TRY(read_range(restorer, ATTRIBUTE_ARRAY_STRING_BLOCKS, number, (uint64_t)restorer->counts[ATTRIBUTE_ARRAY_STRING_ENDS], &begin, &end));
    if (end - begin > (uint64_t)rows)
        return damaged(restorer, ATTRIBUTE_ARRAY_STRING_BLOCKS, "expected at most %" PRId64 " strings in block %" PRId64 ", found %" PRIu64, rows,
                       number, end - begin);
    uint32_t count = (uint32_t)(end - begin);
    if (count == 0)
        return DFAISS_OK;
    if (begin > 0)
        TRY(read_array(restorer, ATTRIBUTE_ARRAY_STRING_ENDS, (int64_t)begin - 1, 1, &base));
    if (!dictionary_reserve(dictionary, count, 0))
        return error_memory(restorer->err, count * sizeof(uint64_t), "attributes");
    TRY(read_ends(restorer, begin, count, base, dictionary->ends));
    size_t bytes = (size_t)dictionary->ends[count - 1];
    if (!dictionary_reserve(dictionary, count, bytes ? bytes : 1))
        return error_memory(restorer->err, bytes, "attributes");
    TRY(read_array(restorer, ATTRIBUTE_ARRAY_STRING_BYTES, (int64_t)base, (int64_t)bytes, dictionary->bytes));
    dictionary->count = count;
    return DFAISS_OK;
}

/* ---- values ---- */

/* Reads flags of 0 and 1 from element `first` on into a bitmap that is zero. */
static dfaiss_status_t read_flags(const restorer_t *restorer, attribute_array_t array, int64_t first, int64_t rows, uint64_t *bits) {
    uint8_t flags[PIECE];
    for (int64_t row = 0; row < rows; row++) {
        if (row % PIECE == 0)
            TRY(read_array(restorer, array, first + row, rows - row < PIECE ? rows - row : PIECE, flags));
        uint8_t flag = flags[row % PIECE];
        if (flag > 1)
            return damaged(restorer, array, "expected 0 or 1 in element %" PRId64 ", found %d", first + row, flag);
        bits[row / 64] |= (uint64_t)flag << (row % 64);
    }
    return DFAISS_OK;
}

static dfaiss_status_t read_present(const restorer_t *restorer, int64_t first, int64_t rows, attribute_part_t *part) {
    part->filled = 0;
    if (restorer->counts[ATTRIBUTE_ARRAY_PRESENT] > 0)
        TRY(read_flags(restorer, ATTRIBUTE_ARRAY_PRESENT, first, rows, part->present));
    for (int64_t row = 0; restorer->counts[ATTRIBUTE_ARRAY_PRESENT] == 0 && row < rows; row++)
        part->present[row / 64] |= (uint64_t)1 << (row % 64);
    for (int64_t word = 0; word < (rows + 63) / 64; word++)
        part->filled += __builtin_popcountll(part->present[word]);
    return DFAISS_OK;
}

/* Rows without a value hold 0, as where they were written; others a code that there is, or a number. */
static dfaiss_status_t check_value(const restorer_t *restorer, const attribute_part_t *part, int64_t first, int64_t row) {
    const attribute_array_t array = ATTRIBUTE_ARRAY_VALUES;
    bool has = attribute_part_has(part, row);
    if (part->type == ATTRIBUTE_STRING && part->codes[row] >= (has ? part->dictionary.count : 1))
        return damaged(restorer, array, "expected a number below %u in element %" PRId64 ", found %d", has ? part->dictionary.count : 1, first + row,
                       part->codes[row]);
    if (part->type == ATTRIBUTE_FLOAT && isnan(part->floats[row]))
        return damaged(restorer, array, "expected a number in element %" PRId64 ", found NaN", first + row);
    if (!has && (part->type == ATTRIBUTE_INTEGER || part->type == ATTRIBUTE_FLOAT) && part->integers[row] != 0)
        return damaged(restorer, array, "expected 0 in element %" PRId64 ", which has no value", first + row);
    return DFAISS_OK;
}

static dfaiss_status_t read_part(const restorer_t *restorer, int64_t number, int64_t rows, attribute_part_t *part) {
    int64_t first = number * ATTRIBUTE_BLOCK_ROWS;
    TRY(read_present(restorer, first, rows, part));
    if (part->type == ATTRIBUTE_BOOLEAN)
        return read_flags(restorer, ATTRIBUTE_ARRAY_VALUES, first, rows, part->booleans);
    if (part->type == ATTRIBUTE_STRING)
        TRY(read_dictionary(restorer, number, rows, &part->dictionary));
    TRY(read_array(restorer, ATTRIBUTE_ARRAY_VALUES, first, rows, part->values));
    for (int64_t row = 0; row < rows; row++)
        TRY(check_value(restorer, part, first, row));
    return DFAISS_OK;
}

/* ---- blocks ---- */

/* A block behind the others, full or the last one, without values. */
static dfaiss_status_t add_block(attribute_columns_t *columns, int64_t rows, dfaiss_error_t *err) {
    attribute_block_t *block = attribute_block_create(columns->schema);
    if (!block || !attribute_block_extend(block, rows) || !attribute_columns_push(columns, block)) {
        attribute_block_release(block);
        return error_memory(err, (size_t)rows * (size_t)columns->schema->count * sizeof(int64_t), "attributes");
    }
    columns->rows += rows;
    return DFAISS_OK;
}

/* Strings are looked up only where more may be added. */
static void seal(attribute_columns_t *columns, attribute_block_t *block) {
    attribute_block_seal(block);
    columns->sealed++;
    columns->sealed_bytes += attribute_block_memory(block);
}

static dfaiss_status_t restore_block(restorer_t *restorers, attribute_columns_t *columns, int64_t rows, dfaiss_error_t *err) {
    TRY(add_block(columns, rows, err));
    attribute_block_t *block = columns->blocks[columns->count - 1];
    for (int field = 0; field < block->part_count; field++)
        TRY(read_part(&restorers[field], columns->count - 1, rows, &block->parts[field]));
    if (rows == ATTRIBUTE_BLOCK_ROWS)
        seal(columns, block);
    return DFAISS_OK;
}

static dfaiss_status_t restore_blocks(restorer_t *restorers, int64_t rows, attribute_columns_t *columns, dfaiss_error_t *err) {
    for (int field = 0; field < columns->schema->count; field++)
        TRY(begin_column(&restorers[field]));
    for (int64_t left = rows; left > 0; left = rows - columns->rows)
        TRY(restore_block(restorers, columns, left < ATTRIBUTE_BLOCK_ROWS ? left : ATTRIBUTE_BLOCK_ROWS, err));
    columns->undo_to = rows;
    return DFAISS_OK;
}

dfaiss_status_t attribute_columns_restore(const attribute_schema_t *schema, int64_t rows, const attribute_source_t *source, attribute_columns_t **out,
                                          dfaiss_error_t *err) {
    attribute_columns_t *columns = NULL;
    TRY(attribute_columns_create(schema, &columns, err));
    restorer_t *restorers = calloc((size_t)schema->count + 1, sizeof *restorers);
    dfaiss_status_t status = restorers ? DFAISS_OK : error_memory(err, (size_t)schema->count * sizeof *restorers, "attributes");
    for (int field = 0; status == DFAISS_OK && field < schema->count; field++)
        restorers[field] = (restorer_t){.source = source, .schema = schema, .field = field, .rows = rows, .err = err};
    if (status == DFAISS_OK)
        status = restore_blocks(restorers, rows, columns, err);
    free(restorers);
    if (status != DFAISS_OK) {
        attribute_columns_destroy(columns);
        return status;
    }
    *out = columns;
    return DFAISS_OK;
}
