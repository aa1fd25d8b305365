/* A filter as it is evaluated: steps in the order of a calculator that works on a stack of bitmaps. A comparison pushes the bitmap of the rows that
 * fulfil it, `and` and `or` make one of the two on top, `not` inverts the top. Of this room alone.
 */
#ifndef FILTER_PROGRAM_H
#define FILTER_PROGRAM_H

#include "filter/expression.h"
#include "filter/lexer.h"

typedef enum filter_step_kind {
    FILTER_AND,
    FILTER_OR,
    FILTER_NOT,
    FILTER_HAS,
    FILTER_INTEGER_RANGE, /* low to high */
    FILTER_FLOAT_RANGE,
    FILTER_INTEGER_LIST, /* one of values, which ascend */
    FILTER_FLOAT_LIST,
    FILTER_STRING_LIST,
    FILTER_STRING_ORDER, /* comparison with the only value */
    FILTER_BOOLEAN,      /* rows whose value is in `accepted` */
} filter_step_kind_t;

typedef struct filter_integer_range {
    int64_t low, high; /* both belong to it; low above high: nothing does */
} filter_integer_range_t;

typedef struct filter_float_range {
    double low, high;
} filter_float_range_t;

typedef struct filter_step {
    filter_step_kind_t kind;
    int field;
    bool inverted; /* the opposite, which rows without a value fulfil too */
    union {
        filter_integer_range_t integers;
        filter_float_range_t floats;
        struct {
            const filter_value_t *values;
            int64_t count;
            filter_token_kind_t comparison;
        } list;
        struct {
            bool yes, no;
        } accepted;
    };
} filter_step_t;

struct filter {
    filter_step_t *steps;
    int64_t step_count;
    filter_value_t *values; /* of lists */
    char *strings;
    int64_t comparisons;
    int64_t depth;   /* bitmaps that are on the stack at the same time */
    uint64_t *stack; /* uint64_t[depth][ATTRIBUTE_BLOCK_ROWS / 64] */
    uint8_t *truths; /* uint8_t[ATTRIBUTE_BLOCK_ROWS], by code of a string */
};

/* The values that fulfil a comparison (== < <= > >=) with an int or a float: none is rounded, a literal between two values that the attribute can
 * have moves to the one on the right side. */
filter_integer_range_t filter_integer_range(filter_token_kind_t comparison, const filter_token_t *literal);
filter_float_range_t filter_float_range(filter_token_kind_t comparison, const filter_token_t *literal);

/* Sorts the values of a list of an attribute of this type. */
void filter_sort_values(attribute_type_t type, filter_value_t *values, int64_t count);

/* Negative, 0, positive as strcmp, over all bytes. */
int filter_compare_strings(const void *a, size_t a_size, const void *b, size_t b_size);

#endif
