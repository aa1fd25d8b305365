/* The attributes of a shard's rows: typed values, column by column, appended batch by batch.
 *
 * Memory a row: 8 bytes for an int or a float, 2 for a string plus the different strings of each block of 65536 rows, a bit for a bool, and a bit an
 * attribute in blocks where a row has no value. Nothing is moved when columns grow large: an append takes as long as its rows need.
 * Appending, undoing, snapshots and evaluating filters belong to one thread; a snapshot may be used by another.
 */
#ifndef FILTER_COLUMNS_H
#define FILTER_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "filter/given.h"
#include "filter/schema.h"

enum { ATTRIBUTE_BLOCK_ROWS = 1 << 16 };

typedef struct attribute_columns attribute_columns_t;

/* Without rows. The schema is borrowed until the columns and all snapshots of them are destroyed. */
CHECKED dfaiss_status_t attribute_columns_create(const attribute_schema_t *schema, attribute_columns_t **out, dfaiss_error_t *err);
void attribute_columns_destroy(attribute_columns_t *columns);

const attribute_schema_t *attribute_columns_schema(const attribute_columns_t *columns);
int64_t attribute_columns_rows(const attribute_columns_t *columns);
/* Bytes allocated. */
size_t attribute_columns_bytes(const attribute_columns_t *columns);

/* Rows to append; all borrowed. Attributes that are not given come from the metadata, where it is a JSON object with a value of the right type under
 * the attribute's name: a number fits float, one without a fraction fits int. Everything else is no value. */
typedef struct attribute_rows {
    int64_t n;
    const uint8_t *metadata;        /* all rows' metadata, one after the other; NULL: none */
    const uint64_t *metadata_ends;  /* uint64_t[n]: where each one's ends, ascending; NULL: none */
    const attribute_given_t *given; /* of n rows, no field twice */
    int given_count;
} attribute_rows_t;

/* Appends all of the rows, or none: ERR_MEMORY. */
CHECKED dfaiss_status_t attribute_columns_append(attribute_columns_t *columns, const attribute_rows_t *rows, dfaiss_error_t *err);

/* Appends rows of other columns of an equal schema, in the given order (int64_t[n], each below the other's rows). */
CHECKED dfaiss_status_t attribute_columns_append_from(attribute_columns_t *columns, const attribute_columns_t *from, const int64_t *rows, int64_t n,
                                                      dfaiss_error_t *err);

/* Drops the rows of the last append again, for a caller that fails after it. Always succeeds; a second time it does nothing. */
void attribute_columns_undo(attribute_columns_t *columns);

/* The columns as they are now, unmoved by later appends: full blocks are shared, the last one is copied (well below a millisecond). Nothing can be
 * appended to a snapshot. The caller's, to be destroyed on any thread. */
CHECKED dfaiss_status_t attribute_columns_snapshot(const attribute_columns_t *columns, attribute_columns_t **out, dfaiss_error_t *err);

#endif
