#include "cli/progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

enum { NARROWEST = 40, WIDEST = 200, USUAL = 80 };
enum { MILLISECONDS_BETWEEN_BARS = 100, MILLISECONDS_BETWEEN_LINES = 5000 };

struct progress {
    int columns; /* of the terminal; 0 where there is none */
    double begun;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t ended;
    bool ends;
    bool drawn;       /* a bar stands on the terminal's last line */
    const char *step; /* NULL before the first; a literal */
    double fraction;
};

static int within(int columns) {
    return columns < NARROWEST ? NARROWEST : columns > WIDEST ? WIDEST : columns;
}

int progress_columns(void) {
    const char *given = getenv(PROGRESS_COLUMNS_VARIABLE);
    if (given && given[0])
        return within(atoi(given));
    if (!isatty(STDERR_FILENO))
        return 0;
    struct winsize window;
    return within(ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : USUAL);
}

/* "37 %", or nothing where that is not known. */
static void percent(double fraction, char *text, size_t capacity) {
    if (fraction >= 0)
        snprintf(text, capacity, "%d %%", (int)((fraction < 1 ? fraction : 1) * 100));
    else
        snprintf(text, capacity, "%s", "");
}

static void draw_bar(const progress_t *progress, int seconds) {
    char bar[WIDEST + 1], share[16];
    /* Room for the step, the per cent and the time, and one column that stays free so that no terminal wraps. */
    int width = progress->columns - 36;
    int filled = progress->fraction >= 0 ? (int)((progress->fraction < 1 ? progress->fraction : 1) * width) : 0;
    memset(bar, '.', (size_t)width);
    memset(bar, '#', (size_t)filled);
    bar[width] = 0;
    percent(progress->fraction, share, sizeof share);
    fprintf(stderr, "\r%-16.16s [%s] %5s %4d:%02d", progress->step, bar, share, seconds / 60, seconds % 60);
    fflush(stderr);
}

static void show(progress_t *progress) {
    int seconds = (int)(clock_seconds() - progress->begun);
    char share[16];
    if (progress->columns) {
        draw_bar(progress, seconds);
        progress->drawn = true;
        return;
    }
    percent(progress->fraction, share, sizeof share);
    fprintf(stderr, "%s: %s%s%d s\n", progress->step, share, share[0] ? " after " : "", seconds);
}

static void *show_until_end(void *context) {
    progress_t *progress = context;
    int milliseconds = progress->columns ? MILLISECONDS_BETWEEN_BARS : MILLISECONDS_BETWEEN_LINES;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&progress->lock);
    while (!progress->ends) {
        next.tv_nsec += milliseconds % 1000 * 1000000;
        next.tv_sec += milliseconds / 1000 + next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        int waited = 0;
        while (waited == 0 && !progress->ends)
            waited = pthread_cond_timedwait(&progress->ended, &progress->lock, &next);
        if (!progress->ends && progress->step)
            show(progress);
    }
    pthread_mutex_unlock(&progress->lock);
    return NULL;
}

/* Signals are for the other threads. */
static bool start_thread(progress_t *progress) {
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    bool started = pthread_create(&progress->thread, NULL, show_until_end, progress) == 0;
    return pthread_sigmask(SIG_SETMASK, &before, NULL) == 0 && started;
}

/* On a clock that nobody sets. */
static bool make_condition(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 && pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return made;
}

progress_t *progress_begin(const program_t *program) {
    if (program->quiet || !program->speaks)
        return NULL;
    progress_t *progress = calloc(1, sizeof *progress);
    if (!progress)
        return NULL;
    progress->columns = progress_columns();
    progress->begun = clock_seconds();
    pthread_mutex_init(&progress->lock, NULL);
    if (!make_condition(&progress->ended)) {
        free(progress);
        return NULL;
    }
    if (start_thread(progress))
        return progress;
    pthread_cond_destroy(&progress->ended);
    free(progress);
    return NULL;
}

void progress_update(void *context, const char *step, double fraction) {
    progress_t *progress = context;
    if (!progress)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->step = step;
    progress->fraction = fraction;
    pthread_mutex_unlock(&progress->lock);
}

void progress_end(progress_t *progress) {
    if (!progress)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->ends = true;
    pthread_cond_signal(&progress->ended);
    pthread_mutex_unlock(&progress->lock);
    pthread_join(progress->thread, NULL);
    if (progress->drawn)
        fprintf(stderr, "\r%*s\r", progress->columns - 1, "");
    pthread_cond_destroy(&progress->ended);
    pthread_mutex_destroy(&progress->lock);
    free(progress);
}
