/* Filters: expressions over the attributes of vectors, which say which vectors a call is about.
 *
 *   lang == "de" and year >= 2019
 *   (topic in ("physics", 'maths') or score > 0.5) and not retracted
 *
 *   expression  and-part { ("or" | "||") and-part }
 *   and-part    condition { ("and" | "&&") condition }
 *   condition   ("not" | "!") condition  |  "(" expression ")"  |  "has" "(" NAME ")"
 *               NAME                                   a bool that is true
 *               NAME OPERATOR VALUE                    OPERATOR: == != < <= > >=; of a bool only == and !=
 *               NAME ["not"] "in" "(" VALUE { "," VALUE } ")"
 *   VALUE       an int or float as in JSON for int and float attributes, true or false for bool, for string a text in double or single quotes with
 *               the escapes \\ \/ \" \' \b \f \n \r \t \uXXXX
 *
 * Ints and floats are compared by their exact values, strings byte by byte. A vector without a value of the attribute fulfils no comparison but !=
 * and "not in", which mean that the attribute differs from the value; has(NAME) says whether there is a value. At most 64 parentheses and "not"
 * within each other, at most 64 KiB.
 */
#ifndef FILTER_EXPRESSION_H
#define FILTER_EXPRESSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "filter/columns.h"
#include "filter/schema.h"

enum { FILTER_BYTES = 64 << 10, FILTER_NESTING = 64 };

/* Of one thread at a time, since it holds what evaluating it needs. Does not need the schema any more. */
typedef struct filter filter_t;

/* ERR_ARG where the expression is wrong: "filter, character 6: expected ..., found ...: lang >>> = "de"", one line that shows the expression with the
 * place behind ">>>"; `where` is "filter, character 6". Characters count from 1. ERR_MEMORY. */
CHECKED dfaiss_status_t filter_parse(const attribute_schema_t *schema, const char *text, size_t size, filter_t **out, dfaiss_error_t *err);
void filter_destroy(filter_t *filter);

/* Comparisons that each row needs, where "in" with a list counts its length, up to 8: about a nanosecond each, to cut evaluation into slices. */
int64_t filter_comparisons(const filter_t *filter);

/* Which of the rows first to first + count - 1, which exist, match: bits uint64_t[(count + 63) / 64], bit i % 64 of word i / 64 is row first + i;
 * bits behind the last row are 0. The columns are of a schema equal to that of filter_parse. Faster where `first` is a multiple of
 * ATTRIBUTE_BLOCK_ROWS; allocates nothing. */
void filter_evaluate(filter_t *filter, const attribute_columns_t *columns, int64_t first, int64_t count, uint64_t *bits);

#endif
