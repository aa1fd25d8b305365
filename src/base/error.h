/* Filling in error texts: every helper returns the status it was given, so that a failure is one line: return error_set(err, ...). */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>

#include <dfaiss/status.h>

/* The compiler warns where a status is dropped. */
#define CHECKED __attribute__((warn_unused_result))

/* Propagates a failure. Only for functions that hold nothing to release at that point. */
#define TRY(call)                            \
    do {                                     \
        dfaiss_status_t try_status = (call); \
        if (try_status != DFAISS_OK)         \
            return try_status;               \
    } while (0)

/* Fills err (may be NULL) and returns code. `where` (may be NULL: "") names the file, key or rank; the text is formatted as printf does. */
dfaiss_status_t error_set(dfaiss_error_t *err, dfaiss_status_t code, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a failed system call: the text is "cannot ACTION WHERE: strerror"; the status follows from errno_value (ENOSPC and EDQUOT:
 * ERR_SPACE, ENOENT: ERR_NOT_FOUND, ENOMEM: ERR_MEMORY, EEXIST: ERR_EXISTS, else ERR_IO). */
dfaiss_status_t error_system(dfaiss_error_t *err, const char *action, const char *where, int errno_value);

/* ERR_MEMORY with the number of bytes that were wanted and what for. */
dfaiss_status_t error_memory(dfaiss_error_t *err, size_t bytes, const char *what);

/* ERR_ARG for an argument that is NULL and must not be. */
dfaiss_status_t error_null(dfaiss_error_t *err, const char *argument);

/* Puts "PREFIX" in front of the text of err (may be NULL): the caller's context in front of the callee's. Returns err's code or `code` when err is
 * NULL. */
dfaiss_status_t error_prefix(dfaiss_error_t *err, dfaiss_status_t code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
