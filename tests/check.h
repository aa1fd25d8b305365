/* What every test program includes: cmocka with the headers it wants before it, and small helpers. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dfaiss/status.h>

/* The call succeeds; its error text is shown otherwise. `error` is a dfaiss_error_t of the test. */
#define assert_ok(call, error)                                                  \
    do {                                                                        \
        dfaiss_status_t check_status = (call);                                  \
        if (check_status != DFAISS_OK)                                          \
            fail_msg("%s: %s", dfaiss_status_name(check_status), (error).text); \
    } while (0)

/* The call fails with this status, and the error's text contains `part`. */
#define assert_fails(call, status, error, part)                                                            \
    do {                                                                                                   \
        dfaiss_status_t check_status = (call);                                                             \
        if (check_status != (status))                                                                      \
            fail_msg("got %s, expected %s", dfaiss_status_name(check_status), dfaiss_status_name(status)); \
        if (!strstr((error).text, part))                                                                   \
            fail_msg("the text \"%s\" does not contain \"%s\"", (error).text, part);                       \
    } while (0)

/* A fresh folder for a test's files; char path[capacity]. The test removes it (file_remove_tree). */
static inline void check_make_folder(char *path, size_t capacity) {
    const char *root = getenv("TMPDIR");
    snprintf(path, capacity, "%s/dfaiss-test-XXXXXX", root ? root : "/tmp");
    assert_non_null(mkdtemp(path));
}

#endif
