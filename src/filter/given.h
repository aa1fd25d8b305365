/* Attributes that come with vectors as columns of their own, instead of in metadata: from a caller's arrays to bytes that travel, and from such
 * bytes, which may be anything, to columns that were checked.
 *
 *   u32            columns, then each:
 *     string       name
 *     u8           type (attribute_type_t)
 *     u8           1: the bitmap follows; 0: every row has a value
 *     u8[(n+7)/8]  bitmap: bit i % 8 of byte i / 8 is row i
 *     then         int: i64[n]; float: f64[n] (NaN: no value); bool: a bitmap; string: u64[n], where each ends, ascending, and a block of bytes
 */
#ifndef FILTER_GIVEN_H
#define FILTER_GIVEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "filter/schema.h"

/* One attribute of n rows in a caller's arrays, of which one is given; it says the type. */
typedef struct attribute_arrays {
    const char *name;
    const int64_t *integers;
    const double *floats;       /* NaN: no value */
    const char *const *strings; /* NULL in it: no value */
    const bool *booleans;
} attribute_arrays_t;

/* ERR_ARG: a column whose name is none, or without exactly one array. Nothing is written then. ERR_MEMORY. */
CHECKED dfaiss_status_t attribute_given_encode(const attribute_arrays_t *arrays, int count, int64_t n, bytes_writer_t *out, dfaiss_error_t *err);

/* One attribute of n rows among the bytes that were decoded, which it borrows. */
typedef struct attribute_given {
    int field;              /* of the schema */
    attribute_type_t type;  /* the field's, or int for a float */
    const uint8_t *present; /* the bitmap; NULL: every row has a value */
    const uint8_t *values;  /* numbers, or the bitmap */
    const uint8_t *ends;    /* of strings */
    const uint8_t *bytes;   /* of strings */
} attribute_given_t;

/* All columns in `size` bytes, checked against the schema: *given is the caller's (free), NULL where there is none. ERR_PEER: the bytes make no
 * sense; ERR_ARG: a name that the schema lacks or that comes twice, or another type than the schema's. */
CHECKED dfaiss_status_t attribute_given_decode(const attribute_schema_t *schema, int64_t n, const void *data, size_t size, attribute_given_t **given,
                                               int *count, dfaiss_error_t *err);

#endif
