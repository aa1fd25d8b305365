/* The lease of an index: one holder at a time, who is named to everybody else; it is taken over from those that have ended or fallen silent, and from
 * nobody else, whatever moment somebody dies. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "checkpoint/generation.h"
#include "checkpoint/lease.h"
#include "checkpoint/lease_holder.h"

static char parent[PATH_MAX / 8], storage[PATH_MAX / 4], folder[PATH_MAX / 2], path[PATH_MAX];
static dfaiss_error_t err;
static int warnings;

static void count_warning(void *context, log_level_t level, const char *text) {
    (void)context;
    (void)text;
    warnings += level == LOG_LEVEL_WARNING;
}

static int set_up(void **state) {
    (void)state;
    warnings = 0;
    log_set_sink(count_warning, NULL);
    check_make_folder(parent, sizeof parent);
    snprintf(storage, sizeof storage, "%s/st", parent);
    snprintf(folder, sizeof folder, "%s/wiki", storage);
    snprintf(path, sizeof path, "%s/lease", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    log_set_sink(NULL, NULL);
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
    return fault_choose(NULL, &err) == DFAISS_OK && file_remove_tree(parent, &err) == DFAISS_OK ? 0 : -1;
}

static lease_t *take(void) {
    lease_t *lease = NULL;
    assert_ok(lease_take(storage, "wiki", NULL, &lease, &err), err);
    return lease;
}

static void expect_refused(const char *text) {
    lease_t *lease = NULL;
    assert_fails(lease_take(storage, "wiki", NULL, &lease, &err), DFAISS_ERR_STATE, err, text);
    assert_null(lease);
}

/* Somebody's lease that was refreshed so many seconds ago. */
static void put_lease(const lease_holder_t *holder, int age) {
    char *text = lease_holder_encode(holder);
    struct timespec times[2];
    assert_non_null(text);
    assert_ok(file_make_directories(folder, &err), err);
    assert_ok(file_replace(path, text, strlen(text), &err), err);
    free(text);
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= age;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* A process of another machine. */
static lease_holder_t stranger(void) {
    lease_holder_t holder;
    assert_ok(lease_holder_self(&holder, &err), err);
    snprintf(holder.host, sizeof holder.host, "elsewhere");
    snprintf(holder.machine, sizeof holder.machine, "another boot");
    return holder;
}

static void test_one_holder(void **state) {
    (void)state;
    char who[64];
    setenv("SLURM_JOB_ID", "4711", 1);
    lease_t *lease = take();
    snprintf(who, sizeof who, "by process %d on host ", (int)getpid());
    expect_refused(who);
    expect_refused("(job 4711, since 2");
    assert_ok(lease_check(lease, &err), err);
    lease_release(lease);
    /* Nothing was saved: nothing is left. */
    assert_false(file_exists(storage));
    lease = take();
    lease_release(lease);
    lease_release(NULL);
    assert_int_equal(warnings, 0);
}

static void test_folders_in_use_stay(void **state) {
    (void)state;
    char other[PATH_MAX];
    assert_ok(file_make_directories(storage, &err), err);
    lease_release(take());
    assert_true(file_exists(storage));
    assert_false(file_exists(folder));
    lease_t *lease = take();
    snprintf(other, sizeof other, "%s/manifest.json", folder);
    assert_ok(file_replace(other, "{}", 2, &err), err);
    lease_release(lease);
    assert_true(file_exists(other));
    assert_false(file_exists(path));
}

static void test_silence(void **state) {
    (void)state;
    lease_holder_t other = stranger();
    put_lease(&other, 100);
    expect_refused("on host elsewhere (since 2");
    expect_refused("was refreshed 100 s ago and lapses when it is not for 120 s");
    put_lease(&other, -1000);
    expect_refused("was refreshed 0 s ago");
    put_lease(&other, 130);
    assert_int_equal(warnings, 0);
    lease_t *lease = take();
    assert_int_equal(warnings, 1);
    expect_refused("is being written");
    lease_release(lease);
}

static void test_unreadable(void **state) {
    (void)state;
    static const char *const texts[] = {"", "{", "{\"format\": \"dfaiss lease\"}", "[]"};
    struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_ok(file_make_directories(folder, &err), err);
        assert_ok(file_replace(path, texts[i], strlen(texts[i]), &err), err);
        expect_refused("by somebody whose lease cannot be read");
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
        lease_release(take());
    }
}

static void test_ended_processes(void **state) {
    (void)state;
    lease_holder_t self, other;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        lease_t *lease = NULL;
        if (lease_take(storage, "wiki", NULL, &lease, NULL) == DFAISS_OK)
            (void)raise(SIGKILL);
        _exit(1);
    }
    /* It has ended, and is not waited for yet. */
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(info.si_code, CLD_KILLED);
    assert_true(file_exists(path));
    lease_release(take());
    assert_int_equal(waitpid(child, NULL, 0), child);
    /* The number belongs to another process now. */
    assert_ok(lease_holder_self(&self, &err), err);
    other = self;
    other.started--;
    put_lease(&other, 0);
    lease_release(take());
    /* A number alone says nothing of another machine, and a strange one nothing at all. */
    other = stranger();
    other.pid = child;
    put_lease(&other, 0);
    expect_refused("on host elsewhere");
    other = self;
    other.pid = -1;
    put_lease(&other, 0);
    expect_refused("process -1");
    assert_int_equal(warnings, 0);
}

static void test_jobs_that_were_put_back(void **state) {
    (void)state;
    setenv("SLURM_JOB_ID", "5", 1);
    setenv("SLURM_RESTART_COUNT", "1", 1);
    lease_holder_t other = stranger();
    put_lease(&other, 0);
    expect_refused("job 5");
    setenv("SLURM_JOB_ID", "6", 1);
    setenv("SLURM_RESTART_COUNT", "2", 1);
    expect_refused("job 5");
    setenv("SLURM_JOB_ID", "5", 1);
    lease_release(take());
}

static int64_t modified(void) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return (int64_t)info.st_mtim.tv_sec;
}

/* Waits for the time of the file alone. */
static void test_refreshing(void **state) {
    (void)state;
    const lease_terms_t terms = {.refresh = 0.02, .lapse = 60};
    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}}, rest = {.tv_nsec = 5000000};
    lease_t *lease = NULL;
    assert_ok(lease_take(storage, "wiki", &terms, &lease, &err), err);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
        while (modified() == old[0].tv_sec)
            nanosleep(&rest, NULL);
    }
    lease_release(lease);
}

static void test_taken_over(void **state) {
    (void)state;
    lease_t *lease = take();
    lease_holder_t other = stranger();
    put_lease(&other, 0);
    assert_fails(lease_check(lease, &err), DFAISS_ERR_STATE, err, "on host elsewhere");
    /* It is not this one's to remove. */
    lease_release(lease);
    assert_true(file_exists(path));
    expect_refused("on host elsewhere");
    assert_int_equal(unlink(path), 0);
    /* Somebody has removed the index meanwhile. */
    lease = take();
    assert_ok(file_remove_tree(storage, &err), err);
    assert_ok(lease_check(lease, &err), err);
    expect_refused("is being written");
    lease_release(lease);
    assert_false(file_exists(path));
}

static void test_without_hard_links(void **state) {
    (void)state;
    assert_ok(fault_choose("link:1+:EPERM", &err), err);
    lease_t *lease = take();
    expect_refused("is being written by process");
    assert_ok(lease_check(lease, &err), err);
    lease_release(lease);
    lease_holder_t other = stranger();
    put_lease(&other, 130);
    lease_release(take());
}

static void test_storages_that_cannot_be_written(void **state) {
    (void)state;
    lease_t *lease = NULL;
    char blocked[PATH_MAX];
    snprintf(blocked, sizeof blocked, "%s/file", parent);
    assert_ok(file_replace(blocked, "x", 1, &err), err);
    assert_fails(lease_take(blocked, "wiki", NULL, &lease, &err), DFAISS_ERR_IO, err, "file");
    assert_fails(lease_take(storage, "../x", NULL, &lease, &err), DFAISS_ERR_ARG, err, "../x");
    assert_ok(fault_choose("write:1+:ENOSPC", &err), err);
    assert_fails(lease_take(storage, "wiki", NULL, &lease, &err), DFAISS_ERR_SPACE, err, "No space left");
    assert_false(file_exists(storage));
    assert_null(lease);
}

static void test_dropping(void **state) {
    (void)state;
    char generation[PATH_MAX];
    assert_fails(generation_remove_all(storage, "wiki", &err), DFAISS_ERR_NOT_FOUND, err, "the storage");
    assert_false(file_exists(storage));
    assert_ok(manifest_generation_path(storage, "wiki", 1, generation, sizeof generation, &err), err);
    assert_ok(file_make_directories(generation, &err), err);
    lease_t *lease = take();
    assert_fails(generation_remove_all(storage, "wiki", &err), DFAISS_ERR_STATE, err, "is being written by process");
    assert_true(file_exists(generation));
    lease_release(lease);
    assert_ok(generation_remove_all(storage, "wiki", &err), err);
    assert_false(file_exists(folder));
    assert_int_equal(warnings, 0);
}

/* What one process does with a lease; true where nothing failed. */
static bool use(const char *fault) {
    lease_t *lease = NULL;
    bool well = (!fault || fault_choose(fault, NULL) == DFAISS_OK) && lease_take(storage, "wiki", NULL, &lease, NULL) == DFAISS_OK;
    well = well && lease_check(lease, NULL) == DFAISS_OK;
    lease_release(lease);
    return well;
}

/* Killed anywhere: the next one takes it over, and in the end nothing is left but files that removing the index removes too. */
static void test_killed_at_every_call(void **state) {
    (void)state;
    assert_true(use("count"));
    long long calls = fault_calls();
    assert_ok(fault_choose(NULL, &err), err);
    assert_in_range(calls, 6, 50);
    for (long long call = 1; call <= calls; call++) {
        char fault[64];
        int status = 0;
        snprintf(fault, sizeof fault, "any:%lld:kill", call);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(use(fault) ? 0 : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        lease_release(take());
        assert_ok(file_remove_tree(storage, &err), err);
    }
}

/* Holds the lease now and then; what it does meanwhile nobody else may do. */
static int contend(void) {
    enum { ROUNDS = 40 };
    const struct timespec rest = {.tv_nsec = 1000000};
    char inside[PATH_MAX];
    int held = 0;
    snprintf(inside, sizeof inside, "%s/inside", parent);
    for (int round = 0; round < ROUNDS; round++) {
        lease_t *lease = NULL;
        if (lease_take(storage, "wiki", NULL, &lease, NULL) == DFAISS_OK) {
            int descriptor = open(inside, O_WRONLY | O_CREAT | O_EXCL, 0666);
            held++;
            nanosleep(&rest, NULL);
            if (descriptor < 0 || close(descriptor) != 0 || unlink(inside) != 0)
                return 1;
            lease_release(lease);
        }
        nanosleep(&rest, NULL);
    }
    return held > 0 ? 0 : 2;
}

static void test_contention(void **state) {
    (void)state;
    enum { PROCESSES = 4 };
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(contend());
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_holder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folders_in_use_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ended_processes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_jobs_that_were_put_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refreshing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_hard_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_storages_that_cannot_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dropping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_at_every_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_contention, set_up, tear_down),
    };
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
