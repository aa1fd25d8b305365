/* From an expression to the steps that evaluate it: a function for each rule of the grammar in expression.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/program.h"

typedef struct parser {
    const attribute_schema_t *schema;
    filter_lexer_t lexer;
    filter_token_t token; /* that is looked at */
    filter_t *filter;
    int64_t value_count;
    int64_t depth;   /* bitmaps on the stack behind the last step */
    int64_t nesting; /* of parentheses and "not" around the token */
} parser_t;

void filter_destroy(filter_t *filter) {
    if (!filter)
        return;
    free(filter->steps);
    free(filter->values);
    free(filter->strings);
    free(filter->stack);
    free(filter->truths);
    free(filter);
}

int64_t filter_comparisons(const filter_t *filter) {
    return filter->comparisons;
}

static dfaiss_status_t advance(parser_t *parser) {
    return filter_next(&parser->lexer, &parser->token);
}

static dfaiss_status_t expect(parser_t *parser, filter_token_kind_t kind, const char *expected) {
    return parser->token.kind == kind ? advance(parser) : filter_unexpected(&parser->lexer, &parser->token, expected);
}

/* There is room for a step for each byte of the expression, and none comes from less than one. */
static void emit(parser_t *parser, filter_step_t step) {
    filter_t *filter = parser->filter;
    filter->steps[filter->step_count++] = step;
    if (step.kind == FILTER_AND || step.kind == FILTER_OR)
        parser->depth--;
    else if (step.kind != FILTER_NOT)
        parser->depth++;
    filter->depth = parser->depth > filter->depth ? parser->depth : filter->depth;
}

static void emit_comparison(parser_t *parser, filter_step_t step, int64_t comparisons) {
    enum { SEARCHED_FROM = 8 };
    parser->filter->comparisons += comparisons < 1 ? 1 : comparisons < SEARCHED_FROM ? comparisons : SEARCHED_FROM;
    emit(parser, step);
}

/* ---- comparisons ---- */

static const attribute_field_t *field_of(const parser_t *parser, int field) {
    return &parser->schema->fields[field];
}

/* The value at the token must be of a type that fits the attribute. */
static dfaiss_status_t check_value(const parser_t *parser, int field) {
    static const char *const expected[] = {[ATTRIBUTE_INTEGER] = "a number",
                                           [ATTRIBUTE_FLOAT] = "a number",
                                           [ATTRIBUTE_STRING] = "a string in quotes",
                                           [ATTRIBUTE_BOOLEAN] = "true or false"};
    const attribute_field_t *attribute = field_of(parser, field);
    filter_token_kind_t kind = parser->token.kind;
    bool number = kind == FILTER_TOKEN_INTEGER || kind == FILTER_TOKEN_FLOAT, string = kind == FILTER_TOKEN_STRING;
    bool boolean = kind == FILTER_TOKEN_TRUE || kind == FILTER_TOKEN_FALSE;
    if (attribute->type == ATTRIBUTE_STRING ? string : attribute->type == ATTRIBUTE_BOOLEAN ? boolean : number)
        return DFAISS_OK;
    char text[160];
    snprintf(text, sizeof text, "%s for \"%s\" (%s)", expected[attribute->type], attribute->name, attribute_type_name(attribute->type));
    return filter_unexpected(&parser->lexer, &parser->token, text);
}

/* Puts the value at the token behind the others of a list. A number that the attribute cannot have is left out. */
static void add_value(parser_t *parser, attribute_type_t type, filter_step_t *step) {
    filter_value_t *value = &parser->filter->values[parser->value_count];
    *value = parser->token.value;
    if (type == ATTRIBUTE_INTEGER) {
        filter_integer_range_t range = filter_integer_range(FILTER_TOKEN_EQUAL, &parser->token);
        if (range.low > range.high)
            return;
        value->integer = range.low;
    } else if (type == ATTRIBUTE_FLOAT) {
        filter_float_range_t range = filter_float_range(FILTER_TOKEN_EQUAL, &parser->token);
        if (range.low > range.high)
            return;
        value->number = range.low;
    }
    parser->value_count++;
    step->list.count++;
}

static void accept_boolean(const parser_t *parser, filter_step_t *step) {
    if (parser->token.kind == FILTER_TOKEN_TRUE)
        step->accepted.yes = true;
    else
        step->accepted.no = true;
}

static const filter_step_kind_t kinds_of_lists[] = {[ATTRIBUTE_INTEGER] = FILTER_INTEGER_LIST,
                                                    [ATTRIBUTE_FLOAT] = FILTER_FLOAT_LIST,
                                                    [ATTRIBUTE_STRING] = FILTER_STRING_LIST,
                                                    [ATTRIBUTE_BOOLEAN] = FILTER_BOOLEAN};

/* The token is behind "in". */
static dfaiss_status_t parse_list(parser_t *parser, int field, bool inverted) {
    attribute_type_t type = field_of(parser, field)->type;
    filter_value_t *values = &parser->filter->values[parser->value_count];
    filter_step_t step = {.kind = kinds_of_lists[type], .field = field, .inverted = inverted};
    if (type != ATTRIBUTE_BOOLEAN)
        step.list.values = values;
    TRY(expect(parser, FILTER_TOKEN_OPEN, "'(' behind in"));
    for (;;) {
        TRY(check_value(parser, field));
        if (type == ATTRIBUTE_BOOLEAN)
            accept_boolean(parser, &step);
        else
            add_value(parser, type, &step);
        TRY(advance(parser));
        if (parser->token.kind != FILTER_TOKEN_COMMA)
            break;
        TRY(advance(parser));
    }
    TRY(expect(parser, FILTER_TOKEN_CLOSE, "',' or ')' in a list"));
    if (type != ATTRIBUTE_BOOLEAN)
        filter_sort_values(type, values, step.list.count);
    emit_comparison(parser, step, type == ATTRIBUTE_INTEGER || type == ATTRIBUTE_FLOAT ? step.list.count : 1);
    return DFAISS_OK;
}

/* The token is the value behind an operator. */
static dfaiss_status_t parse_value(parser_t *parser, int field, filter_token_kind_t comparison) {
    attribute_type_t type = field_of(parser, field)->type;
    filter_step_t step = {.field = field, .inverted = comparison == FILTER_TOKEN_DIFFERENT};
    TRY(check_value(parser, field));
    if (type == ATTRIBUTE_INTEGER) {
        step.kind = FILTER_INTEGER_RANGE;
        step.integers = filter_integer_range(comparison, &parser->token);
    } else if (type == ATTRIBUTE_FLOAT) {
        step.kind = FILTER_FLOAT_RANGE;
        step.floats = filter_float_range(comparison, &parser->token);
    } else if (type == ATTRIBUTE_BOOLEAN) {
        step.kind = FILTER_BOOLEAN;
        accept_boolean(parser, &step);
    } else {
        bool equality = comparison == FILTER_TOKEN_EQUAL || comparison == FILTER_TOKEN_DIFFERENT;
        step.kind = equality ? FILTER_STRING_LIST : FILTER_STRING_ORDER;
        step.list.values = &parser->filter->values[parser->value_count];
        step.list.comparison = comparison;
        add_value(parser, type, &step);
    }
    emit_comparison(parser, step, 1);
    return advance(parser);
}

/* A name that is no attribute, in a place for one. */
static dfaiss_status_t unknown_name(const parser_t *parser) {
    char name[ATTRIBUTE_NAME + 1], suggestion[ATTRIBUTE_NAME + 64];
    snprintf(name, sizeof name, "%.*s", (int)(parser->token.end - parser->token.begin), parser->token.begin);
    attribute_schema_suggest(parser->schema, name, suggestion, sizeof suggestion);
    return filter_wrong(&parser->lexer, parser->token.begin, "unknown attribute \"%s\"; %s", name, suggestion);
}

static dfaiss_status_t parse_name(parser_t *parser, int *field) {
    char name[ATTRIBUTE_NAME];
    size_t size = (size_t)(parser->token.end - parser->token.begin);
    if (parser->token.kind != FILTER_TOKEN_NAME)
        return filter_unexpected(&parser->lexer, &parser->token, "the name of an attribute");
    if (size >= sizeof name)
        return unknown_name(parser);
    memcpy(name, parser->token.begin, size);
    name[size] = 0;
    *field = attribute_schema_find(parser->schema, name);
    return *field < 0 ? unknown_name(parser) : advance(parser);
}

/* An attribute and what it is compared with; a bool alone is a condition too. */
static dfaiss_status_t parse_comparison(parser_t *parser) {
    int field = 0;
    TRY(parse_name(parser, &field));
    bool boolean = field_of(parser, field)->type == ATTRIBUTE_BOOLEAN, inverted = parser->token.kind == FILTER_TOKEN_NOT;
    filter_token_kind_t comparison = parser->token.kind;
    if (inverted)
        TRY(advance(parser));
    if (inverted || comparison == FILTER_TOKEN_IN) {
        TRY(expect(parser, FILTER_TOKEN_IN, "in"));
        return parse_list(parser, field, inverted);
    }
    if (comparison <= (boolean ? FILTER_TOKEN_DIFFERENT : FILTER_TOKEN_ABOVE)) {
        TRY(advance(parser));
        return parse_value(parser, field, comparison);
    }
    if (!boolean)
        return filter_unexpected(&parser->lexer, &parser->token, "a comparison (== != < <= > >= in, not in)");
    if (comparison <= FILTER_TOKEN_ABOVE)
        return filter_unexpected(&parser->lexer, &parser->token, "== or != for a bool");
    emit_comparison(parser, (filter_step_t){.kind = FILTER_BOOLEAN, .field = field, .accepted.yes = true}, 1);
    return DFAISS_OK;
}

static dfaiss_status_t parse_has(parser_t *parser) {
    int field = 0;
    TRY(advance(parser));
    TRY(expect(parser, FILTER_TOKEN_OPEN, "'(' behind has"));
    TRY(parse_name(parser, &field));
    TRY(expect(parser, FILTER_TOKEN_CLOSE, "')'"));
    emit_comparison(parser, (filter_step_t){.kind = FILTER_HAS, .field = field}, 1);
    return DFAISS_OK;
}

/* ---- conditions ---- */

static dfaiss_status_t parse_expression(parser_t *parser);

static dfaiss_status_t nest(parser_t *parser) {
    if (++parser->nesting > FILTER_NESTING)
        return filter_wrong(&parser->lexer, parser->token.begin, "expected at most %d parentheses and \"not\" within each other", FILTER_NESTING);
    return advance(parser);
}

static dfaiss_status_t parse_condition(parser_t *parser) {
    switch (parser->token.kind) {
    case FILTER_TOKEN_NOT:
        TRY(nest(parser));
        TRY(parse_condition(parser));
        emit(parser, (filter_step_t){.kind = FILTER_NOT});
        break;
    case FILTER_TOKEN_OPEN:
        TRY(nest(parser));
        TRY(parse_expression(parser));
        TRY(expect(parser, FILTER_TOKEN_CLOSE, "and, or, or ')'"));
        break;
    case FILTER_TOKEN_HAS:
        return parse_has(parser);
    case FILTER_TOKEN_NAME:
        return parse_comparison(parser);
    default:
        return filter_unexpected(&parser->lexer, &parser->token, "a condition (an attribute, has, not or '(')");
    }
    parser->nesting--;
    return DFAISS_OK;
}

static dfaiss_status_t parse_and(parser_t *parser) {
    TRY(parse_condition(parser));
    while (parser->token.kind == FILTER_TOKEN_AND) {
        TRY(advance(parser));
        TRY(parse_condition(parser));
        emit(parser, (filter_step_t){.kind = FILTER_AND});
    }
    return DFAISS_OK;
}

static dfaiss_status_t parse_expression(parser_t *parser) {
    TRY(parse_and(parser));
    while (parser->token.kind == FILTER_TOKEN_OR) {
        TRY(advance(parser));
        TRY(parse_and(parser));
        emit(parser, (filter_step_t){.kind = FILTER_OR});
    }
    return DFAISS_OK;
}

static dfaiss_status_t parse_all(parser_t *parser) {
    if (parser->lexer.end - parser->lexer.text > FILTER_BYTES)
        return filter_wrong(&parser->lexer, parser->lexer.text + FILTER_BYTES, "expected at most %d bytes, found %zu", FILTER_BYTES,
                            (size_t)(parser->lexer.end - parser->lexer.text));
    TRY(advance(parser));
    TRY(parse_expression(parser));
    return expect(parser, FILTER_TOKEN_END, "and, or, or the end");
}

/* ---- the whole ---- */

/* Room for what an expression of this size may need at most while it is parsed. */
static dfaiss_status_t create(size_t size, filter_t **out, dfaiss_error_t *err) {
    size_t most = (size < FILTER_BYTES ? size : FILTER_BYTES) + 1;
    filter_t *filter = calloc(1, sizeof *filter);
    if (filter) {
        filter->steps = calloc(most, sizeof *filter->steps);
        filter->values = calloc(most, sizeof *filter->values);
        filter->strings = malloc(most);
    }
    *out = filter;
    if (!filter || !filter->steps || !filter->values || !filter->strings)
        return error_memory(err, most * (sizeof *filter->steps + sizeof *filter->values + 1), "a filter");
    return DFAISS_OK;
}

static dfaiss_status_t create_scratch(filter_t *filter, dfaiss_error_t *err) {
    size_t bytes = (size_t)filter->depth * (ATTRIBUTE_BLOCK_ROWS / 8);
    filter->stack = malloc(bytes);
    filter->truths = calloc(1, ATTRIBUTE_BLOCK_ROWS);
    return filter->stack && filter->truths ? DFAISS_OK : error_memory(err, bytes, "a filter");
}

dfaiss_status_t filter_parse(const attribute_schema_t *schema, const char *text, size_t size, filter_t **out, dfaiss_error_t *err) {
    parser_t parser = {.schema = schema, .lexer = {.text = text, .end = text + size, .next = text, .err = err}};
    dfaiss_status_t status = create(size, &parser.filter, err);
    if (status == DFAISS_OK) {
        parser.lexer.strings = parser.filter->strings;
        status = parse_all(&parser);
    }
    if (status == DFAISS_OK)
        status = create_scratch(parser.filter, err);
    if (status != DFAISS_OK) {
        filter_destroy(parser.filter);
        return status;
    }
    *out = parser.filter;
    return DFAISS_OK;
}
