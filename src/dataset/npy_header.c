#include "dataset/npy_header.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAGIC_SIZE = 6, HEADER_MAX = 65536, SHAPE_MAX = 8, WORD = 32 };

/* What the dictionary says; each key must come once. */
typedef struct npy_dictionary {
    bool has_descr, has_order, has_shape;
    char descr[WORD];
    bool fortran_order;
    int dimensions;
    int64_t shape[SHAPE_MAX];
} npy_dictionary_t;

/* The text that is still to be read. Every step answers whether it found what it looked for. */
typedef struct cursor {
    const char *next;
    const char *end;
} cursor_t;

static void skip_spaces(cursor_t *cursor) {
    while (cursor->next < cursor->end && (*cursor->next == ' ' || *cursor->next == '\n'))
        cursor->next++;
}

static bool take(cursor_t *cursor, const char *token) {
    skip_spaces(cursor);
    size_t length = strlen(token);
    if ((size_t)(cursor->end - cursor->next) < length || memcmp(cursor->next, token, length) != 0)
        return false;
    cursor->next += length;
    return true;
}

static bool take_string(cursor_t *cursor, char *text, size_t capacity) {
    skip_spaces(cursor);
    if (cursor->next == cursor->end || (*cursor->next != '\'' && *cursor->next != '"'))
        return false;
    const char *begin = cursor->next + 1;
    const char *quote = memchr(begin, *cursor->next, (size_t)(cursor->end - begin));
    if (!quote || (size_t)(quote - begin) >= capacity)
        return false;
    memcpy(text, begin, (size_t)(quote - begin));
    text[quote - begin] = 0;
    cursor->next = quote + 1;
    return true;
}

static bool take_number(cursor_t *cursor, int64_t *number) {
    skip_spaces(cursor);
    const char *begin = cursor->next;
    int64_t value = 0;
    for (; cursor->next < cursor->end && isdigit((unsigned char)*cursor->next); cursor->next++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *cursor->next - '0', &value))
            return false;
    }
    *number = value;
    return cursor->next > begin;
}

/* (), (10,) or (10, 20) */
static bool take_shape(cursor_t *cursor, npy_dictionary_t *dictionary) {
    if (!take(cursor, "("))
        return false;
    while (!take(cursor, ")")) {
        if (dictionary->dimensions == SHAPE_MAX || !take_number(cursor, &dictionary->shape[dictionary->dimensions]))
            return false;
        dictionary->dimensions++;
        if (take(cursor, ","))
            continue;
        return take(cursor, ")");
    }
    return true;
}

static bool take_value(cursor_t *cursor, const char *key, npy_dictionary_t *dictionary) {
    if (strcmp(key, "descr") == 0 && !dictionary->has_descr) {
        dictionary->has_descr = true;
        return take_string(cursor, dictionary->descr, sizeof dictionary->descr);
    }
    if (strcmp(key, "fortran_order") == 0 && !dictionary->has_order) {
        dictionary->has_order = true;
        dictionary->fortran_order = take(cursor, "True");
        return dictionary->fortran_order || take(cursor, "False");
    }
    if (strcmp(key, "shape") == 0 && !dictionary->has_shape) {
        dictionary->has_shape = true;
        return take_shape(cursor, dictionary);
    }
    return false;
}

static bool parse_dictionary(cursor_t *cursor, npy_dictionary_t *dictionary) {
    if (!take(cursor, "{"))
        return false;
    while (!take(cursor, "}")) {
        char key[WORD];
        if (!take_string(cursor, key, sizeof key) || !take(cursor, ":") || !take_value(cursor, key, dictionary))
            return false;
        if (take(cursor, ","))
            continue;
        if (!take(cursor, "}"))
            return false;
        break;
    }
    skip_spaces(cursor);
    return cursor->next == cursor->end && dictionary->has_descr && dictionary->has_order && dictionary->has_shape;
}

/* Finds the text of the dictionary behind magic, version and length. */
static dfaiss_status_t find_text(const char *path, const file_map_t *map, cursor_t *text, dfaiss_error_t *err) {
    const uint8_t *bytes = map->bytes;
    if (map->size < MAGIC_SIZE + 6 || memcmp(bytes, "\x93NUMPY", MAGIC_SIZE) != 0)
        return error_set(err, DFAISS_ERR_DATA, path, "%s does not begin as a .npy file does (magic string and version)", path);
    int version = bytes[MAGIC_SIZE];
    if (version < 1 || version > 3)
        return error_set(err, DFAISS_ERR_DATA, path, "%s is of .npy version %d; 1, 2 and 3 are accepted", path, version);
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (version > 1)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    size_t begin = version > 1 ? 12 : 10;
    if (length > HEADER_MAX)
        return error_set(err, DFAISS_ERR_DATA, path, "%s says that its header takes %zu bytes; at most %d are accepted", path, length, HEADER_MAX);
    if (length > map->size - begin)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has %zu bytes, but its header alone takes %zu (truncated?)", path, map->size,
                         begin + length);
    text->next = (const char *)bytes + begin;
    text->end = text->next + length;
    return DFAISS_OK;
}

static dfaiss_status_t fail_unreadable(const char *path, const cursor_t *text, dfaiss_error_t *err) {
    char excerpt[96];
    size_t length = 0;
    for (const char *next = text->next; next < text->end && length + 1 < sizeof excerpt; next++)
        excerpt[length++] = isprint((unsigned char)*next) ? *next : '?';
    excerpt[length] = 0;
    return error_set(
        err, DFAISS_ERR_DATA, path,
        "%s: its header is not understood: %s; expected is {'descr': '<f4' or the like, 'fortran_order': False, 'shape': (rows, columns)}", path,
        excerpt);
}

static dfaiss_status_t find_component(const char *path, const char *descr, file_use_t use, component_t *out, dfaiss_error_t *err) {
    char accepted[64] = "";
    for (component_t component = file_use_first(use); component <= file_use_last(use); component++) {
        if (strcmp(descr, component_numpy_name(component)) == 0) {
            *out = component;
            return DFAISS_OK;
        }
        size_t length = strlen(accepted);
        snprintf(accepted + length, sizeof accepted - length, "%s'%s'", length ? ", " : "", component_numpy_name(component));
    }
    return error_set(err, DFAISS_ERR_DATA, path, "%s holds numbers of type '%s'%s; accepted are %s", path, descr,
                     descr[0] == '>' ? " (big-endian)" : "", accepted);
}

dfaiss_status_t npy_header_read(const char *path, const file_map_t *map, file_use_t use, file_layout_t *out, dfaiss_error_t *err) {
    cursor_t text = {0};
    TRY(find_text(path, map, &text, err));
    npy_dictionary_t dictionary = {0};
    cursor_t cursor = text;
    if (!parse_dictionary(&cursor, &dictionary))
        return fail_unreadable(path, &text, err);
    component_t component = COMPONENT_COUNT;
    TRY(find_component(path, dictionary.descr, use, &component, err));
    if (dictionary.fortran_order)
        return error_set(err, DFAISS_ERR_DATA, path, "%s is stored in Fortran order; C order is accepted (numpy.ascontiguousarray makes it)", path);
    if (dictionary.dimensions != 2 && !(use == FILE_USE_IDS && dictionary.dimensions == 1))
        return error_set(err, DFAISS_ERR_DATA, path, "%s has %d dimensions; %s accepted", path, dictionary.dimensions,
                         use == FILE_USE_IDS ? "1 and 2 are" : "2 (rows, components) are");
    *out = (file_layout_t){.component = component,
                           .rows = dictionary.shape[0],
                           .columns = dictionary.dimensions == 2 ? dictionary.shape[1] : 1,
                           .offset = (size_t)(text.end - (const char *)map->bytes)};
    return DFAISS_OK;
}
