/* Columns are kept in blocks of 65536 rows. The last block grows; a full one is sealed: it never changes again, has no spare room, and may be shared
 * by several columns objects, on several threads. So nothing that is large is ever copied or hashed anew while rows are added. Of this room alone.
 */
#ifndef FILTER_BLOCK_H
#define FILTER_BLOCK_H

#include <stdatomic.h>

#include "filter/columns.h"
#include "filter/dictionary.h"
#include "filter/schema.h"

/* One column in one block. Arrays have room for a multiple of 64 rows; those behind the last row are zero in a block that grows. */
typedef struct attribute_part {
    attribute_type_t type;
    union {
        void *values;
        int64_t *integers;
        double *floats;
        uint16_t *codes;    /* of strings in the dictionary */
        uint64_t *booleans; /* a bit a row */
    };
    uint64_t *present; /* a bit a row; NULL: every row has a value */
    int64_t filled;    /* rows with a value */
    dictionary_t dictionary;
} attribute_part_t;

typedef struct attribute_block {
    atomic_int owners;
    bool sealed;
    int64_t rows;
    int64_t capacity; /* rows that there is room for: a multiple of 64 */
    int part_count;
    attribute_part_t parts[];
} attribute_block_t;

/* NULL: no memory. */
attribute_block_t *attribute_block_create(const attribute_schema_t *schema);
/* One owner more, or one less: the last one frees it. */
void attribute_block_share(attribute_block_t *block);
void attribute_block_release(attribute_block_t *block);

/* Adds rows without values, at most to ATTRIBUTE_BLOCK_ROWS. False: no memory, nothing has changed. */
CHECKED bool attribute_block_extend(attribute_block_t *block, int64_t rows);
/* Drops rows from number `rows` on; not from a sealed block. */
void attribute_block_shrink(attribute_block_t *block, int64_t rows);
void attribute_block_seal(attribute_block_t *block);
/* A sealed copy; NULL: no memory. */
attribute_block_t *attribute_block_copy(const attribute_block_t *block, const attribute_schema_t *schema);
/* Bytes allocated. */
size_t attribute_block_memory(const attribute_block_t *block);

static inline bool attribute_bit(const uint64_t *bits, int64_t row) {
    return bits[row / 64] >> (row % 64) & 1;
}
static inline bool attribute_part_has(const attribute_part_t *part, int64_t row) {
    return !part->present || attribute_bit(part->present, row);
}

/* A value for a row of a growing block that has none yet; the type of the part is the caller's care. NaN is no value. */
void attribute_put_integer(attribute_part_t *part, int64_t row, int64_t value);
void attribute_put_float(attribute_part_t *part, int64_t row, double value);
void attribute_put_boolean(attribute_part_t *part, int64_t row, bool value);
CHECKED bool attribute_put_string(attribute_part_t *part, int64_t row, const void *data, size_t size);

#endif
