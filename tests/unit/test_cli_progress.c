/* What a progress bar shows, read from a file in stderr's place that claims to be a terminal. */
#include "check.h"

#include <unistd.h>

#include "cli/progress.h"

static int kept_stderr;
static FILE *shown;

static int begin(void **state) {
    (void)state;
    shown = tmpfile();
    kept_stderr = dup(STDERR_FILENO);
    if (!shown || kept_stderr < 0 || dup2(fileno(shown), STDERR_FILENO) < 0)
        return -1;
    return setenv(PROGRESS_COLUMNS_VARIABLE, "60", 1);
}

static int end(void **state) {
    (void)state;
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    return fclose(shown) + unsetenv(PROGRESS_COLUMNS_VARIABLE);
}

/* Waits until `text` is shown; false where that takes far too long. */
static bool is_shown(const char *text) {
    static char all[1 << 16];
    for (int tries = 0; tries < 6000; tries++) {
        ssize_t size = pread(fileno(shown), all, sizeof all - 1, 0);
        all[size > 0 ? size : 0] = 0;
        if (strstr(all, text))
            return true;
        usleep(10000);
    }
    return false;
}

static void bar_follows_its_step(void **state) {
    (void)state;
    program_t program = {.speaks = true};
    progress_t *progress = progress_begin(&program);
    assert_non_null(progress);
    progress_update(progress, "send", 0.5);
    bool half = is_shown("\rsend             [############............]  50 %    0:");
    progress_update(progress, "save", 7);
    bool whole = is_shown("\rsave             [########################] 100 %    0:");
    progress_end(progress);
    assert_true(half);
    assert_true(whole);
    assert_true(is_shown("\r                                                           \r"));
}

static void step_of_unknown_length_shows_the_time(void **state) {
    (void)state;
    program_t program = {.speaks = true};
    progress_t *progress = progress_begin(&program);
    progress_update(progress, "train", PROGRESS_UNKNOWN);
    bool first = is_shown("\rtrain            [........................]          0:");
    /* Nobody calls: it is shown again all the same. */
    off_t size = lseek(fileno(shown), 0, SEEK_END), later = size;
    for (int tries = 0; later == size && tries < 6000; tries++) {
        usleep(10000);
        later = lseek(fileno(shown), 0, SEEK_END);
    }
    progress_end(progress);
    assert_true(first);
    assert_true(later > size);
}

static void nothing_is_shown_where_nobody_asked(void **state) {
    (void)state;
    program_t quiet = {.speaks = true, .quiet = true}, dumb = {0};
    assert_null(progress_begin(&quiet));
    assert_null(progress_begin(&dumb));
    progress_update(NULL, "send", 0.5);
    progress_end(NULL);
    program_t program = {.speaks = true};
    progress_end(progress_begin(&program));
    assert_int_equal(lseek(fileno(shown), 0, SEEK_END), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bar_follows_its_step, begin, end),
        cmocka_unit_test_setup_teardown(step_of_unknown_length_shows_the_time, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_shown_where_nobody_asked, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
