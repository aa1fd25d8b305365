/* The columns of a shard as plain arrays, for a checkpoint: what each column consists of, reading any part of it, and columns made of such arrays,
 * which may be damaged.
 *
 * Strings are kept once a block of 65536 rows: string number `string_blocks[r / 65536 - 1] + values[r]` (nothing before the first block) belongs to
 * row r, and it lies before string_ends of that number, behind those of the one before.
 */
#ifndef FILTER_STORED_H
#define FILTER_STORED_H

#include <stdint.h>

#include "base/error.h"
#include "filter/columns.h"

/* array, name, what it holds */
#define ATTRIBUTE_ARRAY_MAP(X)                                                                            \
    X(VALUES, "values", "[rows]; int: i64, float: f64, bool: u8 (0 or 1), string: u16; 0: no value")      \
    X(PRESENT, "present", "u8[rows]: 1 where the row has a value; no array where all have one")           \
    X(STRING_BLOCKS, "string_blocks", "u64[blocks]: how many strings there are up to the end of a block") \
    X(STRING_ENDS, "string_ends", "u64[strings]: where each one ends in string_bytes")                    \
    X(STRING_BYTES, "string_bytes", "u8[...]: the strings, one after the other")

typedef enum attribute_array {
#define ATTRIBUTE_ARRAY_ENUM(array, name, content) ATTRIBUTE_ARRAY_##array,
    ATTRIBUTE_ARRAY_MAP(ATTRIBUTE_ARRAY_ENUM)
#undef ATTRIBUTE_ARRAY_ENUM
        ATTRIBUTE_ARRAYS
} attribute_array_t;

typedef enum attribute_element { ATTRIBUTE_U8, ATTRIBUTE_U16, ATTRIBUTE_I64, ATTRIBUTE_U64, ATTRIBUTE_F64 } attribute_element_t;

const char *attribute_array_name(attribute_array_t array);
/* The type of its elements, and their size. */
attribute_element_t attribute_array_element(attribute_type_t type, attribute_array_t array);
size_t attribute_element_size(attribute_element_t element);

/* Elements of an array of a column; 0: there is no such array. */
int64_t attribute_array_count(const attribute_columns_t *columns, int field, attribute_array_t array);
/* Copies elements first to first + count - 1, which exist, in the machine's byte order. */
void attribute_array_read(const attribute_columns_t *columns, int field, attribute_array_t array, int64_t first, int64_t count, void *out);

/* Where restored columns come from. `count` says how many elements an array has (0: no such array); `read` copies some that exist. */
typedef struct attribute_source {
    void *context;
    int64_t (*count)(void *context, int field, attribute_array_t array);
    dfaiss_status_t (*read)(void *context, int field, attribute_array_t array, int64_t first, int64_t count, void *out, dfaiss_error_t *err);
} attribute_source_t;

/* Columns of `rows` rows, to which more can be appended. ERR_CHECKPOINT where arrays contradict each other or hold what they must not: names
 * attribute, array, place and what was expected. ERR_MEMORY; what source->read fails with. */
CHECKED dfaiss_status_t attribute_columns_restore(const attribute_schema_t *schema, int64_t rows, const attribute_source_t *source,
                                                  attribute_columns_t **out, dfaiss_error_t *err);

#endif
