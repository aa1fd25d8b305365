/* Which rows of which input a shard holds: what makes it possible to go on with an ingest that was cut off.
 *
 * An input is what one `dfaiss build` reads: some files whose rows are numbered through. What they are is a text that only those who read them
 * understand; here it is carried along.
 */
#ifndef BASE_INPUTS_H
#define BASE_INPUTS_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ranges.h"

enum { INPUT_IDENTITY_LIMIT = 64 << 20 }; /* bytes of a text */

typedef struct input {
    uint64_t number;  /* >= 1; inputs of an index are numbered in the order in which they were begun */
    int64_t rows;     /* that it has */
    int64_t first_id; /* of its row 0, where the index assigns ids; else 0 */
    char *identity;   /* what it is; owned */
    ranges_t held;    /* those of its rows that are here */
} input_t;

/* Zeroed there are none. */
typedef struct inputs {
    input_t *list; /* ascending numbers; owned; inputs_clear frees it */
    int64_t count;
} inputs_t;

void inputs_clear(inputs_t *inputs);

/* *to must be empty, and stays so on failure. */
CHECKED dfaiss_status_t inputs_copy(const inputs_t *from, inputs_t *to, dfaiss_error_t *err);

/* NULL where there is none of that number. */
input_t *inputs_find(const inputs_t *inputs, uint64_t number);

/* Adds an input without rows (`what`'s text is copied, its rows are not looked at), unless it is there. ERR_STATE where another one has its number,
 * ERR_ARG where it makes no sense. */
CHECKED dfaiss_status_t inputs_declare(inputs_t *inputs, const input_t *what, dfaiss_error_t *err);

/* Adds all inputs and rows of `more`. ERR_STATE where two of one number differ; some may have been added then. */
CHECKED dfaiss_status_t inputs_merge(inputs_t *inputs, const inputs_t *more, dfaiss_error_t *err);

void inputs_encode(const inputs_t *inputs, bytes_writer_t *out);
/* Adds what was encoded, as inputs_merge; the reader may hold more behind it. ERR_PEER where it makes no sense. */
CHECKED dfaiss_status_t inputs_decode(bytes_reader_t *in, inputs_t *inputs, dfaiss_error_t *err);

#endif
