#include "filter/columns.h"

#include <stdlib.h>
#include <string.h>

#include "filter/columns_internal.h"

dfaiss_status_t attribute_columns_create(const attribute_schema_t *schema, attribute_columns_t **out, dfaiss_error_t *err) {
    attribute_columns_t *columns = calloc(1, sizeof *columns);
    if (!columns)
        return error_memory(err, sizeof *columns, "attributes");
    columns->schema = schema;
    *out = columns;
    return DFAISS_OK;
}

void attribute_columns_destroy(attribute_columns_t *columns) {
    if (!columns)
        return;
    for (int64_t i = 0; i < columns->count; i++)
        attribute_block_release(columns->blocks[i]);
    free(columns->blocks);
    free(columns);
}

const attribute_schema_t *attribute_columns_schema(const attribute_columns_t *columns) {
    return columns->schema;
}

int64_t attribute_columns_rows(const attribute_columns_t *columns) {
    return columns->rows;
}

size_t attribute_columns_bytes(const attribute_columns_t *columns) {
    size_t bytes = sizeof *columns + (size_t)columns->capacity * sizeof columns->blocks[0] + columns->sealed_bytes;
    for (int64_t i = columns->sealed; i < columns->count; i++)
        bytes += attribute_block_memory(columns->blocks[i]);
    return bytes;
}

bool attribute_columns_push(attribute_columns_t *columns, attribute_block_t *block) {
    if (columns->count == columns->capacity) {
        int64_t capacity = columns->capacity ? columns->capacity * 2 : 4;
        attribute_block_t **blocks = realloc(columns->blocks, (size_t)capacity * sizeof *blocks);
        if (!blocks)
            return false;
        columns->blocks = blocks;
        columns->capacity = capacity;
    }
    columns->blocks[columns->count++] = block;
    return true;
}

/* ---- appending ---- */

/* Only now, at the next append, can nothing undo the last one. */
static void seal_full_blocks(attribute_columns_t *columns) {
    while (columns->sealed < columns->rows / ATTRIBUTE_BLOCK_ROWS) {
        attribute_block_t *block = columns->blocks[columns->sealed++];
        attribute_block_seal(block);
        columns->sealed_bytes += attribute_block_memory(block);
    }
}

/* Adds at most n rows without values to the last block or a new one; *added: how many. NULL: no memory. */
static attribute_block_t *extend(attribute_columns_t *columns, int64_t n, int64_t *added) {
    if (columns->rows == columns->count * ATTRIBUTE_BLOCK_ROWS) {
        attribute_block_t *fresh = attribute_block_create(columns->schema);
        if (!fresh || !attribute_columns_push(columns, fresh)) {
            attribute_block_release(fresh);
            return NULL;
        }
    }
    attribute_block_t *block = columns->blocks[columns->count - 1];
    int64_t room = ATTRIBUTE_BLOCK_ROWS - block->rows;
    *added = n < room ? n : room;
    if (!attribute_block_extend(block, *added))
        return NULL;
    columns->rows += *added;
    return block;
}

static bool take_metadata(const attribute_columns_t *columns, attribute_block_t *block, int64_t row, const attribute_rows_t *rows, const bool *wanted,
                          int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint64_t begin = first + i > 0 ? rows->metadata_ends[first + i - 1] : 0;
        size_t size = (size_t)(rows->metadata_ends[first + i] - begin);
        if (!attribute_take_metadata(block, row + i, columns->schema, wanted, rows->metadata + begin, size))
            return false;
    }
    return true;
}

/* Fills n rows of a block from number `row` on with those to append from number `first` on. */
static bool fill(const attribute_columns_t *columns, attribute_block_t *block, int64_t row, const attribute_rows_t *rows, int64_t first, int64_t n) {
    bool wanted[ATTRIBUTE_MOST];
    int wanted_count = columns->schema->count;
    memset(wanted, true, sizeof wanted);
    for (int i = 0; i < rows->given_count; i++) {
        const attribute_given_t *given = &rows->given[i];
        if (!attribute_take_given(&block->parts[given->field], row, given, first, n))
            return false;
        wanted[given->field] = false;
        wanted_count--;
    }
    bool from_metadata = wanted_count > 0 && rows->metadata && rows->metadata_ends;
    return !from_metadata || take_metadata(columns, block, row, rows, wanted, first, n);
}

static dfaiss_status_t begin_append(attribute_columns_t *columns, dfaiss_error_t *err) {
    if (columns->snapshot)
        return error_set(err, DFAISS_ERR_INTERNAL, "", "rows were to be appended to a snapshot of attributes");
    seal_full_blocks(columns);
    columns->undo_to = columns->rows;
    return DFAISS_OK;
}

static dfaiss_status_t no_memory(attribute_columns_t *columns, int64_t n, dfaiss_error_t *err) {
    attribute_columns_undo(columns);
    return error_memory(err, (size_t)n * (size_t)columns->schema->count * sizeof(int64_t), "attributes");
}

dfaiss_status_t attribute_columns_append(attribute_columns_t *columns, const attribute_rows_t *rows, dfaiss_error_t *err) {
    TRY(begin_append(columns, err));
    for (int64_t done = 0, added = 0; done < rows->n; done += added) {
        attribute_block_t *block = extend(columns, rows->n - done, &added);
        if (!block || !fill(columns, block, block->rows - added, rows, done, added))
            return no_memory(columns, rows->n, err);
    }
    return DFAISS_OK;
}

static bool copy_value(attribute_part_t *to, int64_t to_row, const attribute_part_t *from, int64_t row) {
    if (!attribute_part_has(from, row))
        return true;
    size_t size;
    const uint8_t *data;
    switch (from->type) {
    case ATTRIBUTE_INTEGER:
        attribute_put_integer(to, to_row, from->integers[row]);
        return true;
    case ATTRIBUTE_FLOAT:
        attribute_put_float(to, to_row, from->floats[row]);
        return true;
    case ATTRIBUTE_BOOLEAN:
        attribute_put_boolean(to, to_row, attribute_bit(from->booleans, row));
        return true;
    default:
        data = dictionary_get(&from->dictionary, from->codes[row], &size);
        return attribute_put_string(to, to_row, data, size);
    }
}

static bool copy_rows(attribute_block_t *block, int64_t row, const attribute_columns_t *from, const int64_t *rows, int64_t n) {
    for (int field = 0; field < block->part_count; field++) {
        for (int64_t i = 0; i < n; i++) {
            const attribute_block_t *source = from->blocks[rows[i] / ATTRIBUTE_BLOCK_ROWS];
            if (!copy_value(&block->parts[field], row + i, &source->parts[field], rows[i] % ATTRIBUTE_BLOCK_ROWS))
                return false;
        }
    }
    return true;
}

dfaiss_status_t attribute_columns_append_from(attribute_columns_t *columns, const attribute_columns_t *from, const int64_t *rows, int64_t n,
                                              dfaiss_error_t *err) {
    TRY(begin_append(columns, err));
    for (int64_t done = 0, added = 0; done < n; done += added) {
        attribute_block_t *block = extend(columns, n - done, &added);
        if (!block || !copy_rows(block, block->rows - added, from, rows + done, added))
            return no_memory(columns, n, err);
    }
    return DFAISS_OK;
}

void attribute_columns_undo(attribute_columns_t *columns) {
    int64_t kept = (columns->undo_to + ATTRIBUTE_BLOCK_ROWS - 1) / ATTRIBUTE_BLOCK_ROWS;
    while (columns->count > kept)
        attribute_block_release(columns->blocks[--columns->count]);
    if (columns->undo_to % ATTRIBUTE_BLOCK_ROWS != 0)
        attribute_block_shrink(columns->blocks[kept - 1], columns->undo_to % ATTRIBUTE_BLOCK_ROWS);
    columns->rows = columns->undo_to;
}

/* ---- snapshots ---- */

static bool share_blocks(const attribute_columns_t *columns, attribute_columns_t *snapshot) {
    for (int64_t i = 0; i < columns->count; i++) {
        attribute_block_t *block = columns->blocks[i];
        if (block->sealed)
            attribute_block_share(block);
        else
            block = attribute_block_copy(block, columns->schema);
        if (!block || !attribute_columns_push(snapshot, block)) {
            attribute_block_release(block);
            return false;
        }
        snapshot->sealed_bytes += attribute_block_memory(block);
    }
    return true;
}

dfaiss_status_t attribute_columns_snapshot(const attribute_columns_t *columns, attribute_columns_t **out, dfaiss_error_t *err) {
    attribute_columns_t *snapshot = NULL;
    TRY(attribute_columns_create(columns->schema, &snapshot, err));
    if (!share_blocks(columns, snapshot)) {
        size_t bytes = attribute_columns_bytes(columns);
        attribute_columns_destroy(snapshot);
        return error_memory(err, bytes, "a snapshot of attributes");
    }
    snapshot->snapshot = true;
    snapshot->sealed = snapshot->count;
    snapshot->rows = snapshot->undo_to = columns->rows;
    *out = snapshot;
    return DFAISS_OK;
}
