#include "filter/lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* ---- errors ---- */

enum { SHOWN_BEFORE = 60, SHOWN_BEHIND = 120 };

/* Bytes of the character of UTF-8 at text: 1 to 4, or 0 where it is none. */
static size_t character_bytes(const char *text, const char *end) {
    unsigned char lead = (unsigned char)*text;
    size_t bytes = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    if (bytes > (size_t)(end - text))
        return 0;
    for (size_t i = 1; i < bytes; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
    }
    return bytes;
}

/* The number of the character at `place`, from 1; bytes that are no UTF-8 count one each. */
static size_t character_number(const char *text, const char *place) {
    size_t number = 1;
    while (text < place) {
        size_t bytes = character_bytes(text, place);
        text += bytes ? bytes : 1;
        number++;
    }
    return number;
}

/* Part of the expression in one line that any reader takes: char to[4 * SHOWN_BEHIND + 1]. */
static void show(const char *text, const char *end, char *to) {
    while (text < end) {
        size_t bytes = character_bytes(text, end);
        if (bytes > 1)
            memcpy(to, text, bytes);
        else
            *to = bytes == 0 || *text == 0x7f ? '?' : *text == '\n' || *text == '\t' || *text == '\r' ? ' ' : *text < ' ' ? '?' : *text;
        bytes = bytes ? bytes : 1;
        to += bytes;
        text += bytes;
    }
    *to = 0;
}

static bool inside_character(const char *text) {
    return ((unsigned char)*text & 0xc0) == 0x80;
}

dfaiss_status_t filter_wrong(const filter_lexer_t *lexer, const char *place, const char *format, ...) {
    char what[256], where[64], before[4 * SHOWN_BEHIND + 1], behind[4 * SHOWN_BEHIND + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(where, sizeof where, "filter, character %zu", character_number(lexer->text, place));
    const char *from = place - lexer->text > SHOWN_BEFORE ? place - SHOWN_BEFORE : lexer->text;
    const char *to = lexer->end - place > SHOWN_BEHIND ? place + SHOWN_BEHIND : lexer->end;
    const char *cut_before = from > lexer->text ? "..." : "", *cut_behind = to < lexer->end ? "..." : "";
    while (from > lexer->text && from < place && inside_character(from))
        from++;
    while (to < lexer->end && to > place && inside_character(to))
        to--;
    show(from, place, before);
    show(place, to, behind);
    return error_set(lexer->err, DFAISS_ERR_ARG, where, "%s: %s: %s%s>>>%s%s", where, what, cut_before, before, behind, cut_behind);
}

static void describe(const filter_token_t *token, char *text, size_t capacity) {
    enum { LONGEST = 40 };
    size_t size = (size_t)(token->end - token->begin), shown = size < LONGEST ? size : LONGEST;
    const char *more = shown < size ? "..." : "";
    char word[4 * SHOWN_BEHIND + 1];
    while (shown < size && shown > 0 && inside_character(token->begin + shown))
        shown--;
    show(token->begin, token->begin + shown, word);
    switch (token->kind) {
    case FILTER_TOKEN_END:
        snprintf(text, capacity, "the end");
        break;
    case FILTER_TOKEN_NAME:
        snprintf(text, capacity, "the name %s%s", word, more);
        break;
    case FILTER_TOKEN_INTEGER:
        snprintf(text, capacity, "the int %s%s", word, more);
        break;
    case FILTER_TOKEN_FLOAT:
        snprintf(text, capacity, "the float %s%s", word, more);
        break;
    case FILTER_TOKEN_STRING:
        snprintf(text, capacity, "the string %s%s", word, more);
        break;
    default:
        snprintf(text, capacity, "'%s'", word);
    }
}

dfaiss_status_t filter_unexpected(const filter_lexer_t *lexer, const filter_token_t *token, const char *expected) {
    char found[4 * SHOWN_BEHIND + 32];
    describe(token, found, sizeof found);
    return filter_wrong(lexer, token->begin, "expected %s, found %.120s", expected, found);
}

/* ---- names and numbers ---- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static const char *skip_digits(const char *text, const char *end) {
    while (text < end && is_digit(*text))
        text++;
    return text;
}

static void read_name(filter_lexer_t *lexer, filter_token_t *token) {
    static const struct {
        const char *word;
        filter_token_kind_t kind;
    } words[] = {
#define WORD(token, word) {word, FILTER_TOKEN_##token},
        ATTRIBUTE_KEYWORD_MAP(WORD)
#undef WORD
    };
    const char *end = lexer->next;
    while (end < lexer->end && (is_letter(*end) || is_digit(*end)))
        end++;
    size_t size = (size_t)(end - lexer->next);
    token->kind = FILTER_TOKEN_NAME;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i].word) == size && memcmp(words[i].word, lexer->next, size) == 0)
            token->kind = words[i].kind;
    }
    token->end = end;
}

/* Finds the end of what could be a number, and lets the JSON reader say whether it is one and which: it knows the grammar and no locale. */
static dfaiss_status_t read_number(filter_lexer_t *lexer, filter_token_t *token) {
    const char *end = skip_digits(lexer->next + (*lexer->next == '-'), lexer->end);
    if (end < lexer->end && *end == '.')
        end = skip_digits(end + 1, lexer->end);
    if (end < lexer->end && (*end == 'e' || *end == 'E')) {
        end++;
        end = skip_digits(end + (end < lexer->end && (*end == '-' || *end == '+')), lexer->end);
    }
    json_error_t failure = {0};
    json_t *number = json_loadb(lexer->next, (size_t)(end - lexer->next), JSON_DECODE_ANY, &failure);
    bool whole = json_is_number(number), integer = json_is_integer(number);
    token->kind = integer ? FILTER_TOKEN_INTEGER : FILTER_TOKEN_FLOAT;
    token->end = end;
    if (integer)
        token->value.integer = json_integer_value(number);
    else
        token->value.number = json_real_value(number);
    json_decref(number);
    if (!whole && json_error_code(&failure) == json_error_out_of_memory)
        return error_memory(lexer->err, 0, "a filter");
    if (!whole && json_error_code(&failure) == json_error_numeric_overflow)
        return filter_wrong(lexer, lexer->next, "expected an int from -2^63 to 2^63 - 1, or a float below 1.8e308");
    if (!whole)
        return filter_wrong(lexer, lexer->next, "expected a number as in JSON (-1, 0.5, 2e10)");
    if (end < lexer->end && (is_letter(*end) || is_digit(*end) || *end == '.'))
        return filter_wrong(lexer, end, "expected the end of a number");
    return DFAISS_OK;
}

/* ---- strings ---- */

/* The number of four hexadecimal digits; -1 where there are not four. */
static int32_t hexadecimal(const char *text, const char *end) {
    int32_t number = 0;
    for (int i = 0; i < 4; i++) {
        if (text + i >= end)
            return -1;
        char c = text[i];
        int digit = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        number = number * 16 + digit;
    }
    return number;
}

static void put_character(filter_lexer_t *lexer, uint32_t code) {
    char *to = lexer->strings;
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    lexer->strings = to;
}

/* \uXXXX at *text, or two of them that make one character. */
static dfaiss_status_t read_unicode(filter_lexer_t *lexer, const char **text) {
    const char *at = *text;
    int32_t code = hexadecimal(at + 2, lexer->end);
    size_t bytes = 6;
    if (code < 0)
        return filter_wrong(lexer, at, "expected four hexadecimal digits behind \\u");
    if (code >= 0xd800 && code < 0xe000) {
        bool second = code < 0xdc00 && lexer->end - at > 7 && at[6] == '\\' && at[7] == 'u';
        int32_t low = second ? hexadecimal(at + 8, lexer->end) : -1;
        if (low < 0xdc00 || low >= 0xe000)
            return filter_wrong(lexer, at, "expected a character, found half of one (\\uD800 to \\uDFFF come in pairs)");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        bytes = 12;
    }
    put_character(lexer, (uint32_t)code);
    *text = at + bytes;
    return DFAISS_OK;
}

/* A backslash at *text, with what follows. */
static dfaiss_status_t read_escape(filter_lexer_t *lexer, const char **text) {
    static const char letters[] = "\\/\"'bfnrt", meanings[] = "\\/\"'\b\f\n\r\t";
    char letter = *text + 1 < lexer->end ? (*text)[1] : 0;
    if (letter == 'u')
        return read_unicode(lexer, text);
    const char *found = letter ? strchr(letters, letter) : NULL;
    if (!found)
        return filter_wrong(lexer, *text, "expected one of \\\\ \\/ \\\" \\' \\b \\f \\n \\r \\t \\uXXXX");
    *lexer->strings++ = meanings[found - letters];
    *text += 2;
    return DFAISS_OK;
}

static dfaiss_status_t read_string(filter_lexer_t *lexer, filter_token_t *token) {
    const char quote = *lexer->next, *at = lexer->next + 1;
    token->kind = FILTER_TOKEN_STRING;
    token->value.string.data = lexer->strings;
    while (at < lexer->end && *at != quote) {
        if (*at == '\\')
            TRY(read_escape(lexer, &at));
        else
            *lexer->strings++ = *at++;
    }
    if (at == lexer->end)
        return filter_wrong(lexer, lexer->next, "expected a string that ends with %c, found the end", quote);
    token->value.string.size = (size_t)(lexer->strings - token->value.string.data);
    token->end = at + 1;
    return DFAISS_OK;
}

/* ---- all words ---- */

static dfaiss_status_t read_sign(filter_lexer_t *lexer, filter_token_t *token) {
    static const char *const signs[] = {
#define SIGN(token, sign) sign,
        FILTER_SIGN_MAP(SIGN)
#undef SIGN
    };
    size_t left = (size_t)(lexer->end - lexer->next);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t size = strlen(signs[i]);
        if (size <= left && memcmp(lexer->next, signs[i], size) == 0) {
            token->kind = (filter_token_kind_t)i;
            token->end = lexer->next + size;
            return DFAISS_OK;
        }
    }
    char twice = *lexer->next;
    if (twice == '=' || twice == '&' || twice == '|')
        return filter_wrong(lexer, lexer->next, "expected %c%c, found a single one", twice, twice);
    return filter_wrong(lexer, lexer->next, "expected a name, a value or an operator");
}

dfaiss_status_t filter_next(filter_lexer_t *lexer, filter_token_t *token) {
    while (lexer->next < lexer->end && strchr(" \t\r\n", *lexer->next) && *lexer->next)
        lexer->next++;
    *token = (filter_token_t){.kind = FILTER_TOKEN_END, .begin = lexer->next, .end = lexer->next};
    if (lexer->next == lexer->end)
        return DFAISS_OK;
    char c = *lexer->next;
    if (is_letter(c))
        read_name(lexer, token);
    else if (is_digit(c) || c == '-')
        TRY(read_number(lexer, token));
    else if (c == '"' || c == '\'')
        TRY(read_string(lexer, token));
    else
        TRY(read_sign(lexer, token));
    lexer->next = token->end;
    return DFAISS_OK;
}
