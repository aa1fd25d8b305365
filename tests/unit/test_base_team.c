/* Teams of threads: every task runs once, on a thread of the team, whatever the numbers of threads and tasks. */
#include "check.h"

#include <stdatomic.h>

#include <omp.h>

#include "base/team.h"

enum { MOST_TASKS = 200, MOST_THREADS = 5 };

typedef struct run {
    int done[MOST_TASKS]; /* not atomic: a task that two threads do is a race that the thread sanitizer reports */
    int64_t result[MOST_TASKS];
    int64_t by_thread[MOST_THREADS];
    _Atomic int wrong;
    int threads;
} run_t;

static dfaiss_error_t error;

static void do_task(void *context, int64_t task, int thread) {
    run_t *run = context;
    if (thread < 0 || thread >= run->threads || omp_get_max_threads() != 1) {
        atomic_fetch_add(&run->wrong, 1);
        return;
    }
    run->done[task]++;
    run->result[task] = task * task;
    run->by_thread[thread]++;
}

static void assert_runs(team_t *team, int64_t tasks) {
    run_t run = {.threads = team_threads(team)};
    int64_t sum = 0;
    team_run(team, tasks, do_task, &run);
    assert_int_equal(run.wrong, 0);
    for (int64_t task = 0; task < MOST_TASKS; task++) {
        assert_int_equal(run.done[task], task < tasks);
        assert_int_equal(run.result[task], task < tasks ? task * task : 0);
    }
    for (int thread = 0; thread < MOST_THREADS; thread++)
        sum += run.by_thread[thread];
    assert_int_equal(sum, tasks);
}

static void test_every_task_once(void **state) {
    (void)state;
    static const int64_t tasks[] = {0, 1, 2, 3, 5, 7, 64, MOST_TASKS};
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        team_t *team = NULL;
        assert_ok(team_create(threads, &team, &error), error);
        assert_int_equal(team_threads(team), threads);
        for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
            assert_runs(team, tasks[i]);
        team_destroy(team);
    }
}

static void test_many_runs(void **state) {
    (void)state;
    for (int threads = 2; threads <= MOST_THREADS; threads++) {
        team_t *team = NULL;
        assert_ok(team_create(threads, &team, &error), error);
        for (int64_t run = 0; run < 1000; run++)
            assert_runs(team, run % 9);
        team_destroy(team);
    }
}

static void test_unused_team(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        team_t *team = NULL;
        assert_ok(team_create(3, &team, &error), error);
        team_destroy(team);
    }
    team_destroy(NULL);
}

static void test_two_teams(void **state) {
    (void)state;
    team_t *first = NULL, *second = NULL;
    assert_ok(team_create(2, &first, &error), error);
    assert_ok(team_create(3, &second, &error), error);
    for (int i = 0; i < 100; i++) {
        assert_runs(first, 10);
        assert_runs(second, 11);
    }
    team_destroy(first);
    assert_runs(second, 12);
    team_destroy(second);
}

static void test_no_threads(void **state) {
    (void)state;
    team_t *team = NULL;
    assert_fails(team_create(0, &team, &error), DFAISS_ERR_ARG, error, "threads is 0; at least 1");
    assert_fails(team_create(-3, &team, &error), DFAISS_ERR_ARG, error, "threads is -3");
    assert_null(team);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_once), cmocka_unit_test(test_many_runs),  cmocka_unit_test(test_unused_team),
        cmocka_unit_test(test_two_teams),       cmocka_unit_test(test_no_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
