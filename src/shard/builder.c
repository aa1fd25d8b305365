#include "shard/builder.h"

#include <errno.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct builder {
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    int threads;
    pthread_cond_t posted;
    builder_work_t *work; /* posted and not taken yet */
    void *context;
    bool closing;
    bool busy; /* of the main thread alone: posted, or under way, or ended and not asked for */
    /* The main thread asks in every turn, so it takes no lock for it: a builder that is preempted inside one would stop all searches. */
    _Atomic bool ended;
    dfaiss_status_t status;
    dfaiss_error_t error;
};

/* Building must not take time from searching. Where the kernel refuses SCHED_IDLE the thread is at least as nice as can be. */
static void lower_priority(void) {
    struct sched_param none = {0};
    if (sched_setscheduler(0, SCHED_IDLE, &none) != 0)
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
}

static void *builder_main(void *argument) {
    builder_t *builder = argument;
    lower_priority();
    pthread_mutex_lock(&builder->lock);
    for (;;) {
        while (!builder->work && !builder->closing)
            pthread_cond_wait(&builder->posted, &builder->lock);
        if (!builder->work)
            break;
        builder_work_t *work = builder->work;
        void *context = builder->context;
        int threads = builder->threads;
        builder->work = NULL;
        pthread_mutex_unlock(&builder->lock);
        omp_set_num_threads(threads);
        dfaiss_error_t error = {0};
        builder->status = work(context, &error);
        builder->error = error;
        atomic_store_explicit(&builder->ended, true, memory_order_release);
        pthread_mutex_lock(&builder->lock);
    }
    pthread_mutex_unlock(&builder->lock);
    return NULL;
}

dfaiss_status_t builder_create(int threads, builder_t **out, dfaiss_error_t *err) {
    builder_t *builder = calloc(1, sizeof *builder);
    if (!builder)
        return error_memory(err, sizeof *builder, "the builder thread");
    builder->threads = threads;
    pthread_mutex_init(&builder->lock, NULL);
    pthread_cond_init(&builder->posted, NULL);
    int failure = pthread_create(&builder->thread, NULL, builder_main, builder);
    if (failure) {
        builder_destroy(builder);
        return error_system(err, "start", "the builder thread", failure);
    }
    builder->running = true;
    *out = builder;
    return DFAISS_OK;
}

void builder_set_threads(builder_t *builder, int threads) {
    pthread_mutex_lock(&builder->lock);
    builder->threads = threads;
    pthread_mutex_unlock(&builder->lock);
}

void builder_destroy(builder_t *builder) {
    if (!builder)
        return;
    if (builder->running) {
        pthread_mutex_lock(&builder->lock);
        builder->closing = true;
        pthread_cond_signal(&builder->posted);
        pthread_mutex_unlock(&builder->lock);
        pthread_join(builder->thread, NULL);
    }
    pthread_cond_destroy(&builder->posted);
    pthread_mutex_destroy(&builder->lock);
    free(builder);
}

bool builder_idle(const builder_t *builder) {
    return !builder->busy;
}

void builder_start(builder_t *builder, builder_work_t *work, void *context) {
    pthread_mutex_lock(&builder->lock);
    builder->work = work;
    builder->context = context;
    builder->busy = true;
    atomic_store_explicit(&builder->ended, false, memory_order_relaxed);
    pthread_cond_signal(&builder->posted);
    pthread_mutex_unlock(&builder->lock);
}

bool builder_ended(builder_t *builder, dfaiss_status_t *status, dfaiss_error_t *error) {
    if (!builder->busy || !atomic_load_explicit(&builder->ended, memory_order_acquire))
        return false;
    *status = builder->status;
    *error = builder->error;
    builder->busy = false;
    return true;
}
