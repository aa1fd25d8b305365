/* What columns are made of. Of this room alone. */
#ifndef FILTER_COLUMNS_INTERNAL_H
#define FILTER_COLUMNS_INTERNAL_H

#include "filter/block.h"
#include "filter/columns.h"

struct attribute_columns {
    const attribute_schema_t *schema;
    attribute_block_t **blocks; /* each but the last is full */
    int64_t count;
    int64_t capacity; /* of blocks */
    int64_t rows;
    int64_t sealed; /* the first blocks, which are; the others have one owner */
    size_t sealed_bytes;
    int64_t undo_to; /* rows before the last append */
    bool snapshot;
};

/* A block behind the others, taken over; it stays the caller's where there is no memory. Its rows are counted by the caller. */
CHECKED bool attribute_columns_push(attribute_columns_t *columns, attribute_block_t *block);

/* Fills row `row` of a block with the values that a JSON text has for the fields with wanted[field]. A text that is no object has none. False: no
 * memory. */
CHECKED bool attribute_take_metadata(attribute_block_t *block, int64_t row, const attribute_schema_t *schema, const bool *wanted, const uint8_t *text,
                                     size_t size);

/* Fills n rows of a part from number `row` on with the given values from number `first` on. False: no memory. */
CHECKED bool attribute_take_given(attribute_part_t *part, int64_t row, const attribute_given_t *given, int64_t first, int64_t n);

#endif
