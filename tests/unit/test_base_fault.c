/* Fault points: the chosen call fails, is cut short, or kills the process; all others pass; and files survive each of them. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"

static dfaiss_error_t error;
static char folder[200], path[256], other[256];

static int set_up(void **state) {
    (void)state;
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return fault_choose(NULL, &error) == DFAISS_OK && file_remove_tree(folder, &error) == DFAISS_OK ? 0 : -1;
}

static void choose(const char *text) {
    assert_ok(fault_choose(text, &error), error);
}

static void test_unknown_texts(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        "write",
                                        "write:1",
                                        "write:0:EIO",
                                        "write:-1:EIO",
                                        "write:1:eio",
                                        "write:1:EIO ",
                                        "writes:1:EIO",
                                        "write:1x:EIO",
                                        "write:1++:EIO",
                                        "any:seed=:kill",
                                        "any:seed=x:EIO",
                                        "any:seed=1",
                                        "counts",
                                        "write::EIO",
                                        ":1:EIO",
                                        "write:99999999999999999999:EIO"};
    choose("count");
    assert_int_equal(fault_close(fault_open(path, O_WRONLY | O_CREAT, 0666)), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails(fault_choose(wrong[i], &error), DFAISS_ERR_ARG, error, "is no fault");
    assert_int_equal(fault_calls(), 2);
}

static void test_the_chosen_call_fails(void **state) {
    (void)state;
    char byte;
    int descriptor = open(path, O_RDWR | O_CREAT, 0666);
    assert_true(descriptor >= 0);
    choose("write:2:ENOSPC");
    assert_int_equal(fault_write(descriptor, "ab", 2), 2);
    assert_int_equal(fault_sync(descriptor), 0);
    assert_int_equal(fault_pwrite(descriptor, "ab", 2, 2), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(fault_pwrite(descriptor, "ab", 2, 2), 2);
    choose("sync:1:EIO");
    assert_int_equal(fault_sync(descriptor), -1);
    assert_int_equal(errno, EIO);
    choose("truncate:1:EDQUOT");
    assert_int_equal(fault_truncate(descriptor, 1), -1);
    assert_int_equal(errno, EDQUOT);
    choose("read:1+:EIO");
    assert_int_equal(fault_read(descriptor, &byte, 1), -1);
    assert_int_equal(fault_pread(descriptor, &byte, 1, 0), -1);
    choose("rename:1:EACCES");
    assert_int_equal(fault_rename(path, other), -1);
    choose("link:1:EROFS");
    assert_int_equal(fault_link(path, other), -1);
    choose("mkdir:1:EIO");
    assert_int_equal(fault_mkdir(other, 0777), -1);
    choose("open:1:EIO");
    assert_int_equal(fault_open(other, O_WRONLY | O_CREAT, 0666), -1);
    assert_false(file_exists(other));
    choose("remove:1:EIO");
    assert_int_equal(fault_remove(path), -1);
    assert_true(file_exists(path));
    /* What fails to be closed is closed all the same. */
    choose("close:1:EIO");
    assert_int_equal(fault_close(descriptor), -1);
    assert_int_equal(fcntl(descriptor, F_GETFD), -1);
    choose(NULL);
    assert_int_equal(fault_remove(path), 0);
}

static void test_all_after_it(void **state) {
    (void)state;
    int descriptor = open(path, O_RDWR | O_CREAT, 0666);
    choose("any:2+:EIO");
    assert_int_equal(fault_write(descriptor, "ab", 2), 2);
    assert_int_equal(fault_write(descriptor, "ab", 2), -1);
    assert_int_equal(fault_sync(descriptor), -1);
    assert_int_equal(fault_rename(path, other), -1);
    assert_int_equal(fault_calls(), 4);
    close(descriptor);
}

static void test_half_is_written(void **state) {
    (void)state;
    char *data = NULL;
    size_t size = 0;
    int descriptor = open(path, O_RDWR | O_CREAT, 0666);
    choose("write:1:short");
    assert_int_equal(fault_write(descriptor, "abcd", 4), 2);
    assert_int_equal(fault_write(descriptor, "cd", 2), 2);
    choose("any:2:lost");
    assert_int_equal(fault_sync(descriptor), 0);
    assert_int_equal(fault_pwrite(descriptor, "efgh", 4, 4), 4);
    close(descriptor);
    choose(NULL);
    assert_ok(file_read_whole(path, 100, &data, &size, &error), error);
    assert_string_equal(data, "abcdef");
    free(data);
    assert_ok(file_replace(other, "old", 3, &error), error);
    choose("write:1:lost");
    assert_fails(file_replace(other, "new", 3, &error), DFAISS_ERR_IO, error, "is not what was written");
    choose(NULL);
    assert_ok(file_read_whole(other, 100, &data, &size, &error), error);
    assert_string_equal(data, "old");
    free(data);
    /* Whoever is told so writes the rest. */
    choose("write:1:short");
    assert_ok(file_replace(path, "whole", 5, &error), error);
    assert_ok(file_read_whole(path, 100, &data, &size, &error), error);
    assert_string_equal(data, "whole");
    free(data);
}

static void test_seeds(void **state) {
    (void)state;
    enum { CALLS = 6400 };
    int descriptor = open(path, O_RDWR | O_CREAT, 0666), hits[2] = {0, 0};
    bool failed[CALLS];
    for (int round = 0; round < 2; round++) {
        choose("sync:seed=7:EIO");
        for (int i = 0; i < CALLS; i++) {
            bool hit = fault_sync(descriptor) != 0;
            hits[round] += hit;
            if (round == 1)
                assert_true(hit == failed[i]);
            failed[i] = hit;
        }
    }
    assert_in_range(hits[0], 50, 150);
    close(descriptor);
}

/* In a process of its own: replaces the file, and ends with 0. */
static int replace_with(const char *fault) {
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fault_choose(fault, NULL) == DFAISS_OK && file_replace(path, "new text", 8, NULL) == DFAISS_OK ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Whatever call of a replacement fails or is the last, the file is the old one or the new one. */
static void test_replacements_survive(void **state) {
    (void)state;
    static const char *const fates[] = {"kill", "torn", "ENOSPC", "EIO"};
    choose("count");
    assert_ok(file_replace(path, "new text", 8, &error), error);
    long long calls = fault_calls();
    assert_in_range(calls, 5, 20);
    choose(NULL);
    for (int i = 0; i < 4; i++) {
        for (long long call = 1; call <= calls; call++) {
            char fault[64], *data = NULL;
            size_t size = 0;
            assert_ok(file_replace(path, "old", 3, &error), error);
            snprintf(fault, sizeof fault, "any:%lld:%s", call, fates[i]);
            int status = replace_with(fault);
            assert_ok(file_read_whole(path, 100, &data, &size, &error), error);
            if (strcmp(data, "old") != 0)
                assert_string_equal(data, "new text");
            assert_true(i < 2 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL : WIFEXITED(status));
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                assert_string_equal(data, "new text");
            free(data);
        }
    }
}

/* A process that is stopped goes on as if nothing had been. */
static void test_stopped(void **state) {
    (void)state;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fault_choose("write:1:stop", NULL) == DFAISS_OK && file_replace(path, "new", 3, NULL) == DFAISS_OK ? 0 : 1);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_false(file_exists(path));
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(file_exists(path));
}

static void test_counting(void **state) {
    (void)state;
    char text[320], *data = NULL;
    size_t size = 0;
    snprintf(text, sizeof text, "count:%s", other);
    choose(text);
    assert_ok(file_replace(path, "x", 1, &error), error);
    snprintf(text, sizeof text, "%s.%ld", other, (long)getpid());
    assert_ok(file_read_whole(text, 100, &data, &size, &error), error);
    assert_int_equal(atoll(data), fault_calls());
    free(data);
}

static int warnings;

static void count_warning(void *context, log_level_t level, const char *text) {
    (void)context;
    warnings += level == LOG_LEVEL_WARNING && strstr(text, "is no fault");
}

/* The environment counts in a process that has made no call yet: this test runs before the others. */
static void test_environment(void **state) {
    (void)state;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("DFAISS_FAULT", "mkdir:2:EROFS", 1);
        bool first = fault_mkdir(other, 0777) == 0, second = fault_mkdir(path, 0777) == -1 && errno == EROFS;
        _exit(first && second && fault_mkdir(path, 0777) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    setenv("DFAISS_FAULT", "nonsense", 1);
    log_set_sink(count_warning, NULL);
    assert_int_equal(fault_remove(path), 0);
    assert_int_equal(fault_remove(other), 0);
    assert_int_equal(warnings, 1);
    log_set_sink(NULL, NULL);
    unsetenv("DFAISS_FAULT");
    assert_ok(file_remove_tree(folder, &error), error);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_environment, set_up),
        cmocka_unit_test_setup_teardown(test_unknown_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_chosen_call_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_after_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_half_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_seeds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replacements_survive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counting, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
