/* Evaluating a filter, a column at a time over a block of rows, into bitmaps. Whatever lies behind a block's last row is computed too, and left out
 * at the end. */
#include <math.h>
#include <string.h>

#include "filter/columns_internal.h"
#include "filter/program.h"

enum { WORDS = ATTRIBUTE_BLOCK_ROWS / 64, SEARCHED_FROM = 8 };

/* Words of a block that are evaluated: all rows of 64 each. */
typedef struct span {
    int64_t first, count;
} span_t;

/* ---- numbers ---- */

static inline uint64_t integer_word(const int64_t *values, int64_t low, uint64_t width) {
    uint64_t word = 0;
    for (int i = 0; i < 64; i++)
        word |= (uint64_t)((uint64_t)values[i] - (uint64_t)low <= width) << i;
    return word;
}

static inline uint64_t float_word(const double *values, double low, double high) {
    uint64_t word = 0;
    for (int i = 0; i < 64; i++)
        word |= (uint64_t)((values[i] >= low) & (values[i] <= high)) << i;
    return word;
}

static void integer_range(const attribute_part_t *part, filter_integer_range_t range, span_t span, uint64_t *out) {
    const int64_t *values = part->integers + span.first * 64;
    if (range.low > range.high) {
        memset(out, 0, (size_t)span.count * sizeof *out);
        return;
    }
    for (int64_t w = 0; w < span.count; w++)
        out[w] = integer_word(values + w * 64, range.low, (uint64_t)range.high - (uint64_t)range.low);
}

static void float_range(const attribute_part_t *part, filter_float_range_t range, span_t span, uint64_t *out) {
    const double *values = part->floats + span.first * 64;
    for (int64_t w = 0; w < span.count; w++)
        out[w] = float_word(values + w * 64, range.low, range.high);
}

static bool has_integer(const filter_step_t *step, int64_t integer) {
    const filter_value_t *at = step->list.values;
    for (int64_t left = step->list.count; left > 1;) {
        int64_t half = left / 2;
        at = at[half].integer <= integer ? at + half : at;
        left -= half;
    }
    return at->integer == integer;
}

static bool has_float(const filter_step_t *step, double number) {
    const filter_value_t *at = step->list.values;
    for (int64_t left = step->list.count; left > 1;) {
        int64_t half = left / 2;
        at = at[half].number <= number ? at + half : at;
        left -= half;
    }
    return at->number == number;
}

static void integer_list(const attribute_part_t *part, const filter_step_t *step, span_t span, uint64_t *out) {
    for (int64_t w = 0; w < span.count; w++) {
        const int64_t *values = part->integers + (span.first + w) * 64;
        uint64_t word = 0;
        if (step->list.count <= SEARCHED_FROM)
            for (int64_t i = 0; i < step->list.count; i++)
                word |= integer_word(values, step->list.values[i].integer, 0);
        else
            for (int i = 0; i < 64; i++)
                word |= (uint64_t)has_integer(step, values[i]) << i;
        out[w] = word;
    }
}

static void float_list(const attribute_part_t *part, const filter_step_t *step, span_t span, uint64_t *out) {
    for (int64_t w = 0; w < span.count; w++) {
        const double *values = part->floats + (span.first + w) * 64;
        uint64_t word = 0;
        if (step->list.count <= SEARCHED_FROM)
            for (int64_t i = 0; i < step->list.count; i++)
                word |= float_word(values, step->list.values[i].number, step->list.values[i].number);
        else
            for (int i = 0; i < 64; i++)
                word |= (uint64_t)has_float(step, values[i]) << i;
        out[w] = word;
    }
}

/* ---- strings and bools ---- */

static bool in_order(filter_token_kind_t comparison, int order) {
    switch (comparison) {
    case FILTER_TOKEN_BELOW:
        return order < 0;
    case FILTER_TOKEN_AT_MOST:
        return order <= 0;
    case FILTER_TOKEN_ABOVE:
        return order > 0;
    default:
        return order >= 0;
    }
}

static bool has_string(const filter_step_t *step, const uint8_t *data, size_t size) {
    const filter_value_t *values = step->list.values;
    for (int64_t low = 0, high = step->list.count; low < high;) {
        int64_t middle = low + (high - low) / 2;
        int order = filter_compare_strings(data, size, values[middle].string.data, values[middle].string.size);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static bool string_fits(const filter_step_t *step, const dictionary_t *dictionary, uint32_t code) {
    size_t size;
    const uint8_t *data = dictionary_get(dictionary, code, &size);
    if (step->kind == FILTER_STRING_LIST)
        return has_string(step, data, size);
    const filter_value_t *value = step->list.values;
    return in_order(step->list.comparison, filter_compare_strings(data, size, value->string.data, value->string.size));
}

/* Each different string is looked at once; or each row's, where that are fewer. Rows without a value may hold a code that there is not. */
static void strings(const attribute_part_t *part, const filter_step_t *step, span_t span, uint8_t *truths, uint64_t *out) {
    const dictionary_t *dictionary = &part->dictionary;
    const uint16_t *codes = part->codes + span.first * 64;
    bool by_row = span.count * 64 < (int64_t)dictionary->count;
    for (uint32_t code = 0; !by_row && code < dictionary->count; code++)
        truths[code] = string_fits(step, dictionary, code);
    for (int64_t i = 0; by_row && i < span.count * 64; i++)
        truths[codes[i]] = string_fits(step, dictionary, codes[i]);
    for (int64_t w = 0; w < span.count; w++) {
        uint64_t word = 0;
        for (int i = 0; i < 64; i++)
            word |= (uint64_t)truths[codes[w * 64 + i]] << i;
        out[w] = word;
    }
}

static void booleans(const attribute_part_t *part, const filter_step_t *step, span_t span, uint64_t *out) {
    const uint64_t yes = step->accepted.yes ? ~(uint64_t)0 : 0, no = step->accepted.no ? ~(uint64_t)0 : 0;
    for (int64_t w = 0; w < span.count; w++) {
        uint64_t values = part->booleans[span.first + w];
        out[w] = (values & yes) | (~values & no);
    }
}

/* ---- steps ---- */

static uint64_t *bitmap(const filter_t *filter, int64_t number) {
    return filter->stack + number * WORDS;
}

static void intersect(uint64_t *into, const uint64_t *with, int64_t words) {
    for (int64_t w = 0; w < words; w++)
        into[w] &= with[w];
}

static void unite(uint64_t *into, const uint64_t *with, int64_t words) {
    for (int64_t w = 0; w < words; w++)
        into[w] |= with[w];
}

static void invert(uint64_t *bits, int64_t words) {
    for (int64_t w = 0; w < words; w++)
        bits[w] = ~bits[w];
}

static void compare(const filter_t *filter, const filter_step_t *step, const attribute_part_t *part, span_t span, uint64_t *out) {
    switch (step->kind) {
    case FILTER_INTEGER_RANGE:
        integer_range(part, step->integers, span, out);
        break;
    case FILTER_FLOAT_RANGE:
        float_range(part, step->floats, span, out);
        break;
    case FILTER_INTEGER_LIST:
        integer_list(part, step, span, out);
        break;
    case FILTER_FLOAT_LIST:
        float_list(part, step, span, out);
        break;
    case FILTER_BOOLEAN:
        booleans(part, step, span, out);
        break;
    case FILTER_HAS:
        memset(out, 0xff, (size_t)span.count * sizeof *out);
        break;
    default:
        strings(part, step, span, filter->truths, out);
    }
    if (part->present)
        intersect(out, part->present + span.first, span.count);
    if (step->inverted)
        invert(out, span.count);
}

/* The bitmap of a block, at the bottom of the stack. */
static const uint64_t *run(const filter_t *filter, const attribute_block_t *block, span_t span) {
    int64_t depth = 0;
    for (int64_t i = 0; i < filter->step_count; i++) {
        const filter_step_t *step = &filter->steps[i];
        switch (step->kind) {
        case FILTER_AND:
            depth--;
            intersect(bitmap(filter, depth - 1), bitmap(filter, depth), span.count);
            break;
        case FILTER_OR:
            depth--;
            unite(bitmap(filter, depth - 1), bitmap(filter, depth), span.count);
            break;
        case FILTER_NOT:
            invert(bitmap(filter, depth - 1), span.count);
            break;
        default:
            compare(filter, step, &block->parts[step->field], span, bitmap(filter, depth++));
        }
    }
    return filter->stack;
}

/* ---- rows ---- */

/* Puts bits from number `from` on to number `to` on, where zeros are. */
static void copy_bits(const uint64_t *bits, int64_t from, int64_t count, uint64_t *out, int64_t to) {
    while (count > 0) {
        /* As many as lie in one word on either side. */
        int64_t taken = 64 - (from % 64 > to % 64 ? from % 64 : to % 64);
        taken = taken < count ? taken : count;
        uint64_t mask = taken == 64 ? ~(uint64_t)0 : ((uint64_t)1 << taken) - 1;
        out[to / 64] |= (bits[from / 64] >> (from % 64) & mask) << (to % 64);
        from += taken;
        to += taken;
        count -= taken;
    }
}

void filter_evaluate(filter_t *filter, const attribute_columns_t *columns, int64_t first, int64_t count, uint64_t *bits) {
    memset(bits, 0, (size_t)(count + 63) / 64 * sizeof *bits);
    for (int64_t done = 0; done < count;) {
        int64_t row = (first + done) % ATTRIBUTE_BLOCK_ROWS, rows = ATTRIBUTE_BLOCK_ROWS - row;
        rows = rows < count - done ? rows : count - done;
        span_t span = {.first = row / 64, .count = (row + rows + 63) / 64 - row / 64};
        const uint64_t *matches = run(filter, columns->blocks[(first + done) / ATTRIBUTE_BLOCK_ROWS], span);
        copy_bits(matches, row % 64, rows, bits, done);
        done += rows;
    }
}
