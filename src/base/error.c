#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *meaning;
} statuses[] = {
#define STATUS_ROW(name, meaning) {#name, meaning},
    DFAISS_STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
};

const char *dfaiss_status_name(dfaiss_status_t status) {
    return (unsigned)status < DFAISS_STATUS_COUNT ? statuses[status].name : "UNKNOWN";
}

const char *dfaiss_status_meaning(dfaiss_status_t status) {
    return (unsigned)status < DFAISS_STATUS_COUNT ? statuses[status].meaning : "no status of dfaiss";
}

/* Text that was cut to fill its buffer must not end inside a character of UTF-8: what reads it as JSON would refuse the whole. */
static void drop_half_character(char *text, size_t capacity) {
    size_t length = strlen(text), start = length;
    if (length + 1 < capacity)
        return;
    while (start > 0 && length - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    unsigned char lead = start > 0 ? (unsigned char)text[start - 1] : 0;
    size_t wanted = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    if (length - start < wanted)
        text[start - 1] = 0;
}

dfaiss_status_t error_set(dfaiss_error_t *err, dfaiss_status_t code, const char *where, const char *format, ...) {
    if (err) {
        /* The arguments may point into err itself, so the text is made aside. */
        dfaiss_error_t made = {.code = code};
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(made.text, sizeof made.text, format, arguments);
        va_end(arguments);
        snprintf(made.where, sizeof made.where, "%s", where ? where : "");
        drop_half_character(made.text, sizeof made.text);
        drop_half_character(made.where, sizeof made.where);
        *err = made;
    }
    return code;
}

static dfaiss_status_t status_of_errno(int errno_value) {
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return DFAISS_ERR_SPACE;
    case ENOENT:
        return DFAISS_ERR_NOT_FOUND;
    case ENOMEM:
        return DFAISS_ERR_MEMORY;
    case EEXIST:
        return DFAISS_ERR_EXISTS;
    default:
        return DFAISS_ERR_IO;
    }
}

dfaiss_status_t error_system(dfaiss_error_t *err, const char *action, const char *where, int errno_value) {
    char reason[128];
    /* The GNU strerror_r, which may return a static string instead of filling the buffer. */
    const char *text = strerror_r(errno_value, reason, sizeof reason);
    return error_set(err, status_of_errno(errno_value), where, "cannot %s %s: %s", action, where, text);
}

dfaiss_status_t error_memory(dfaiss_error_t *err, size_t bytes, const char *what) {
    return error_set(err, DFAISS_ERR_MEMORY, "", "not enough memory: %zu bytes were wanted for %s", bytes, what);
}

dfaiss_status_t error_null(dfaiss_error_t *err, const char *argument) {
    return error_set(err, DFAISS_ERR_ARG, argument, "%s is NULL; a value is needed", argument);
}

dfaiss_status_t error_prefix(dfaiss_error_t *err, dfaiss_status_t code, const char *format, ...) {
    if (!err)
        return code;
    char text[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, "%s", err->text);
    drop_half_character(text, sizeof text);
    memcpy(err->text, text, sizeof text);
    return err->code;
}
