/* Comparing values with literals, exactly. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "filter/program.h"

/* ---- ranges of ints ---- */

static const filter_integer_range_t no_integers = {1, 0};

static filter_integer_range_t integers_at_most(const filter_token_t *literal) {
    if (literal->kind == FILTER_TOKEN_INTEGER)
        return (filter_integer_range_t){INT64_MIN, literal->value.integer};
    double high = floor(literal->value.number);
    if (high < -0x1p63)
        return no_integers;
    return (filter_integer_range_t){INT64_MIN, high >= 0x1p63 ? INT64_MAX : (int64_t)high};
}

static filter_integer_range_t integers_at_least(const filter_token_t *literal) {
    if (literal->kind == FILTER_TOKEN_INTEGER)
        return (filter_integer_range_t){literal->value.integer, INT64_MAX};
    double low = ceil(literal->value.number);
    if (low >= 0x1p63)
        return no_integers;
    return (filter_integer_range_t){low < -0x1p63 ? INT64_MIN : (int64_t)low, INT64_MAX};
}

/* What is left of all ints without a range that begins at the lowest one, or ends at the highest. */
static filter_integer_range_t other_integers(filter_integer_range_t range) {
    if (range.low > range.high)
        return (filter_integer_range_t){INT64_MIN, INT64_MAX};
    if (range.low == INT64_MIN)
        return range.high == INT64_MAX ? no_integers : (filter_integer_range_t){range.high + 1, INT64_MAX};
    return (filter_integer_range_t){INT64_MIN, range.low - 1};
}

filter_integer_range_t filter_integer_range(filter_token_kind_t comparison, const filter_token_t *literal) {
    filter_integer_range_t at_most = integers_at_most(literal), at_least = integers_at_least(literal);
    switch (comparison) {
    case FILTER_TOKEN_AT_MOST:
        return at_most;
    case FILTER_TOKEN_AT_LEAST:
        return at_least;
    case FILTER_TOKEN_BELOW:
        return other_integers(at_least);
    case FILTER_TOKEN_ABOVE:
        return other_integers(at_most);
    default:
        if (at_most.low > at_most.high || at_least.low > at_least.high)
            return no_integers;
        return (filter_integer_range_t){at_least.low, at_most.high};
    }
}

/* ---- ranges of floats ---- */

static const filter_float_range_t no_floats = {1, 0};

/* The difference in sign: the double nearest to an int may lie on either side of it. */
static int compare_with_integer(double number, int64_t integer) {
    if (number >= 0x1p63)
        return 1;
    int64_t whole = (int64_t)number;
    return (whole > integer) - (whole < integer);
}

static double highest_at_most(const filter_token_t *literal) {
    if (literal->kind == FILTER_TOKEN_FLOAT)
        return literal->value.number;
    double number = (double)literal->value.integer;
    return compare_with_integer(number, literal->value.integer) > 0 ? nextafter(number, -INFINITY) : number;
}

static double lowest_at_least(const filter_token_t *literal) {
    if (literal->kind == FILTER_TOKEN_FLOAT)
        return literal->value.number;
    double number = (double)literal->value.integer;
    return compare_with_integer(number, literal->value.integer) < 0 ? nextafter(number, INFINITY) : number;
}

filter_float_range_t filter_float_range(filter_token_kind_t comparison, const filter_token_t *literal) {
    double high = highest_at_most(literal), low = lowest_at_least(literal);
    switch (comparison) {
    case FILTER_TOKEN_AT_MOST:
        return (filter_float_range_t){-INFINITY, high};
    case FILTER_TOKEN_AT_LEAST:
        return (filter_float_range_t){low, INFINITY};
    case FILTER_TOKEN_BELOW:
        return (filter_float_range_t){-INFINITY, nextafter(low, -INFINITY)};
    case FILTER_TOKEN_ABOVE:
        return (filter_float_range_t){nextafter(high, INFINITY), INFINITY};
    default:
        return low > high ? no_floats : (filter_float_range_t){low, high};
    }
}

/* ---- lists ---- */

int filter_compare_strings(const void *a, size_t a_size, const void *b, size_t b_size) {
    size_t size = a_size < b_size ? a_size : b_size;
    int order = size ? memcmp(a, b, size) : 0;
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int by_integer(const void *a, const void *b) {
    int64_t x = ((const filter_value_t *)a)->integer, y = ((const filter_value_t *)b)->integer;
    return (x > y) - (x < y);
}

static int by_number(const void *a, const void *b) {
    double x = ((const filter_value_t *)a)->number, y = ((const filter_value_t *)b)->number;
    return (x > y) - (x < y);
}

static int by_string(const void *a, const void *b) {
    const filter_value_t *x = a, *y = b;
    return filter_compare_strings(x->string.data, x->string.size, y->string.data, y->string.size);
}

void filter_sort_values(attribute_type_t type, filter_value_t *values, int64_t count) {
    qsort(values, (size_t)count, sizeof *values, type == ATTRIBUTE_INTEGER ? by_integer : type == ATTRIBUTE_FLOAT ? by_number : by_string);
}
