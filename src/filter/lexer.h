/* The words of a filter expression. Of this room alone. */
#ifndef FILTER_LEXER_H
#define FILTER_LEXER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "config/attributes.h"

/* token, as people write it */
#define FILTER_SIGN_MAP(X) \
    X(EQUAL, "==")         \
    X(DIFFERENT, "!=")     \
    X(AT_MOST, "<=")       \
    X(AT_LEAST, ">=")      \
    X(BELOW, "<")          \
    X(ABOVE, ">")          \
    X(AND, "&&")           \
    X(OR, "||")            \
    X(NOT, "!")            \
    X(OPEN, "(")           \
    X(CLOSE, ")")          \
    X(COMMA, ",")

typedef enum filter_token_kind {
#define FILTER_SIGN_ENUM(token, sign) FILTER_TOKEN_##token,
    FILTER_SIGN_MAP(FILTER_SIGN_ENUM)
#undef FILTER_SIGN_ENUM
        FILTER_TOKEN_IN,
    FILTER_TOKEN_HAS,
    FILTER_TOKEN_TRUE,
    FILTER_TOKEN_FALSE,
    FILTER_TOKEN_NAME,
    FILTER_TOKEN_INTEGER,
    FILTER_TOKEN_FLOAT,
    FILTER_TOKEN_STRING,
    FILTER_TOKEN_END,
} filter_token_kind_t;

/* A value in an expression. */
typedef union filter_value {
    int64_t integer;
    double number;
    struct {
        const char *data;
        size_t size;
    } string;
} filter_value_t;

typedef struct filter_token {
    filter_token_kind_t kind;
    const char *begin; /* in the expression */
    const char *end;
    filter_value_t value; /* of INTEGER, FLOAT and STRING */
} filter_token_t;

typedef struct filter_lexer {
    const char *text;
    const char *end;
    const char *next;
    char *strings; /* where the next string goes; there is room for all of the expression */
    dfaiss_error_t *err;
} filter_lexer_t;

/* The next word; ERR_ARG where there is none that makes sense. */
CHECKED dfaiss_status_t filter_next(filter_lexer_t *lexer, filter_token_t *token);

/* ERR_ARG for a place in the expression: the error as expression.h describes it. */
dfaiss_status_t filter_wrong(const filter_lexer_t *lexer, const char *place, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ERR_ARG: "expected EXPECTED, found" what the token is. */
dfaiss_status_t filter_unexpected(const filter_lexer_t *lexer, const filter_token_t *token, const char *expected);

#endif
