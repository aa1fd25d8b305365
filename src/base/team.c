#include "base/team.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct team {
    int threads;
    pthread_t *workers; /* threads - 1 */
    int started;

    pthread_mutex_t lock;
    pthread_cond_t job_posted;
    pthread_cond_t job_finished;
    uint64_t job;       /* number of the job posted last */
    int workers_inside; /* workers that have not finished with that job */
    bool closing;

    team_task_t *task;
    void *context;
    int64_t tasks;
    _Atomic int64_t next_task;
};

typedef struct worker {
    team_t *team;
    int thread;
} worker_t;

static void take_tasks(team_t *team, int thread) {
    for (;;) {
        int64_t task = atomic_fetch_add_explicit(&team->next_task, 1, memory_order_relaxed);
        if (task >= team->tasks)
            return;
        team->task(team->context, task, thread);
    }
}

static void *worker_main(void *argument) {
    worker_t *worker = argument;
    team_t *team = worker->team;
    int thread = worker->thread;
    free(worker);
    omp_set_num_threads(1);
    uint64_t last_job = 0;
    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->job == last_job && !team->closing)
            pthread_cond_wait(&team->job_posted, &team->lock);
        if (team->closing)
            break;
        last_job = team->job;
        pthread_mutex_unlock(&team->lock);
        take_tasks(team, thread);
        pthread_mutex_lock(&team->lock);
        if (--team->workers_inside == 0)
            pthread_cond_signal(&team->job_finished);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

static dfaiss_status_t start_worker(team_t *team, int thread, dfaiss_error_t *err) {
    worker_t *worker = malloc(sizeof *worker);
    if (!worker)
        return error_memory(err, sizeof *worker, "a thread");
    *worker = (worker_t){.team = team, .thread = thread};
    int failure = pthread_create(&team->workers[team->started], NULL, worker_main, worker);
    if (failure) {
        free(worker);
        return error_system(err, "start", "a thread", failure);
    }
    team->started++;
    return DFAISS_OK;
}

dfaiss_status_t team_create(int threads, team_t **team_out, dfaiss_error_t *err) {
    if (threads < 1)
        return error_set(err, DFAISS_ERR_ARG, "threads", "threads is %d; at least 1 is needed", threads);
    team_t *team = calloc(1, sizeof *team);
    if (!team)
        return error_memory(err, sizeof *team, "a team of threads");
    team->threads = threads;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->job_posted, NULL);
    pthread_cond_init(&team->job_finished, NULL);
    omp_set_num_threads(1);
    dfaiss_status_t status = DFAISS_OK;
    team->workers = calloc((size_t)threads, sizeof *team->workers);
    if (!team->workers)
        status = error_memory(err, (size_t)threads * sizeof *team->workers, "a team of threads");
    for (int thread = 1; status == DFAISS_OK && thread < threads; thread++)
        status = start_worker(team, thread, err);
    if (status != DFAISS_OK) {
        team_destroy(team);
        return status;
    }
    *team_out = team;
    return DFAISS_OK;
}

void team_destroy(team_t *team) {
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    team->closing = true;
    pthread_cond_broadcast(&team->job_posted);
    pthread_mutex_unlock(&team->lock);
    for (int i = 0; i < team->started; i++)
        pthread_join(team->workers[i], NULL);
    free(team->workers);
    pthread_cond_destroy(&team->job_finished);
    pthread_cond_destroy(&team->job_posted);
    pthread_mutex_destroy(&team->lock);
    free(team);
}

int team_threads(const team_t *team) {
    return team->threads;
}

void team_run(team_t *team, int64_t tasks, team_task_t *task, void *context) {
    if (team->threads == 1 || tasks <= 1) {
        for (int64_t i = 0; i < tasks; i++)
            task(context, i, 0);
        return;
    }
    pthread_mutex_lock(&team->lock);
    team->task = task;
    team->context = context;
    team->tasks = tasks;
    atomic_store_explicit(&team->next_task, 0, memory_order_relaxed);
    team->workers_inside = team->threads - 1;
    team->job++;
    pthread_cond_broadcast(&team->job_posted);
    pthread_mutex_unlock(&team->lock);
    take_tasks(team, 0);
    pthread_mutex_lock(&team->lock);
    while (team->workers_inside > 0)
        pthread_cond_wait(&team->job_finished, &team->lock);
    pthread_mutex_unlock(&team->lock);
}
