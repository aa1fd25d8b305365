#include "cli/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/report.h"

enum { CODE_SAVED = 99, CODE_FAILED = 1 };

/* Of the same signal, delivered by several: seconds. */
static const int64_t one_signal = 1000000000;

/* The rank that speaks ends first, so that mpirun does not silence it: seconds. And how long an orderly end may take. */
static const double after_speaker = 0.5, orderly_end = 5;

/* What handlers read and write. */
static atomic_int save_asked, stop_asked, everything_saved, speaks;
static _Atomic int64_t stopped_at; /* nanoseconds; 0: not yet */
static double grace_seconds;

/* What there is to say where saving takes too long: prepared, since a handler cannot. */
static char too_late[256], too_late_object[320];
static atomic_int as_json;

/* ---- handlers ---- */

static void put(int to, const char *text) {
    ssize_t ignored = write(to, text, strlen(text));
    (void)ignored;
}

static void end_at_once(void) {
    _exit(atomic_load(&everything_saved) ? CODE_SAVED : CODE_FAILED);
}

static void set_alarm(double seconds) {
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)seconds, .tv_usec = (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)}};
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

static void note_save(int number) {
    (void)number;
    atomic_store(&save_asked, 1);
}

static void note_stop(int number) {
    int64_t time = clock_nanoseconds(), before = 0;
    (void)number;
    if (!atomic_compare_exchange_strong(&stopped_at, &before, time)) {
        /* In silence: it may be the launcher, since another rank has said why the job ends. */
        if (time - before >= one_signal)
            end_at_once();
        return;
    }
    atomic_store(&stop_asked, 1);
    if (grace_seconds > 0)
        set_alarm(grace_seconds + (atomic_load(&speaks) ? 0 : after_speaker));
}

static void note_alarm(int number) {
    (void)number;
    if (atomic_load(&speaks) && !atomic_load(&everything_saved)) {
        put(STDERR_FILENO, too_late);
        if (atomic_load(&as_json))
            put(STDOUT_FILENO, too_late_object);
    }
    end_at_once();
}

/* ---- taking them ---- */

static void prepare(double grace) {
    char text[200];
    snprintf(text, sizeof text, "stopped by a signal, and not saved within the %g seconds of --grace; what was saved before that is as it was",
             grace);
    snprintf(too_late, sizeof too_late, "dfaiss: %s\n", text);
    snprintf(too_late_object, sizeof too_late_object, "{\"error\": {\"code\": \"ERR_INTERRUPTED\", \"text\": \"%s\", \"where\": \"\"}}\n", text);
}

dfaiss_status_t signals_grace(const argument_t *argument, double *grace, dfaiss_error_t *err) {
    enum { MOST = 86400 };
    return argument_number(argument, 0, MOST, grace, err);
}

void signals_take(double grace) {
    const struct {
        int number;
        void (*handler)(int number);
    } taken[] = {{SIGUSR1, note_save}, {SIGUSR2, note_stop}, {SIGTERM, note_stop}, {SIGALRM, note_alarm}};
    grace_seconds = grace;
    prepare(grace);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        struct sigaction action = {.sa_handler = taken[i].handler, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(taken[i].number, &action, NULL);
    }
}

void signals_set_program(const program_t *program) {
    atomic_store(&as_json, program->json && !program->answered);
    atomic_store(&speaks, program->speaks);
}

/* ---- what servers ask ---- */

dfaiss_wish_t signals_wish(void *context) {
    (void)context;
    if (atomic_load_explicit(&stop_asked, memory_order_relaxed) && atomic_exchange(&stop_asked, 0))
        return DFAISS_WISH_STOP;
    if (atomic_load_explicit(&save_asked, memory_order_relaxed) && atomic_exchange(&save_asked, 0))
        return DFAISS_WISH_SAVE;
    return DFAISS_WISH_NONE;
}

/* The clients wait for answers that will never come. */
static void give_up(const program_t *program, dfaiss_status_t status, const dfaiss_error_t *error) {
    dfaiss_error_t told = *error;
    (void)error_prefix(&told, status, "stopped by a signal, and not saved: ");
    report_abort(program, status, &told);
}

void signals_wish_ended(void *program, dfaiss_wish_t wish, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (wish == DFAISS_WISH_STOP && status == DFAISS_OK)
        signals_saved();
    else if (wish == DFAISS_WISH_STOP)
        give_up(program, status, error);
    else if (status != DFAISS_OK)
        log_write(LOG_LEVEL_WARNING, "what a signal asked to be saved was not saved: %s", error->text);
}

void signals_saved(void) {
    atomic_store(&everything_saved, 1);
    set_alarm(orderly_end);
}
