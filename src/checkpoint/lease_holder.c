#include "checkpoint/lease_holder.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"

static const char format_name[] = "dfaiss lease";

/* ---- of a process ---- */

/* The first line of a small file of the kernel; false where there is none. */
static bool read_line(const char *path, char *line, size_t capacity) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool found = fgets(line, (int)capacity, file) != NULL;
    fclose(file);
    if (found)
        line[strcspn(line, "\n")] = 0;
    return found;
}

/* Field `number` of /proc/PID/stat in a line of its own; fields are counted behind the name of the program, which may hold anything. NULL: there is
 * no such process to be seen. */
static const char *find_field(int64_t pid, int number, char *line, size_t capacity) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    if (!read_line(path, line, capacity))
        return NULL;
    const char *field = strrchr(line, ')');
    for (int at = 2; field && at < number; at++) {
        field = strchr(field, ' ');
        field = field ? field + 1 : NULL;
    }
    return field;
}

enum { STAT_STATE = 3, STAT_STARTED = 22, STAT_LINE = 1024 };

/* 0: not known. */
static int64_t started_at(int64_t pid) {
    char line[STAT_LINE];
    const char *field = find_field(pid, STAT_STARTED, line, sizeof line);
    return field ? strtoll(field, NULL, 10) : 0;
}

/* It has ended, and its parent has not asked yet. */
static bool is_dead(int64_t pid) {
    char line[STAT_LINE];
    const char *field = find_field(pid, STAT_STATE, line, sizeof line);
    return field && (*field == 'Z' || *field == 'X');
}

static void find_machine(char *machine, size_t capacity) {
    char boot[64], name_space[64];
    ssize_t length = readlink("/proc/self/ns/pid", name_space, sizeof name_space - 1);
    machine[0] = 0;
    if (length <= 0 || !read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot))
        return;
    name_space[length] = 0;
    snprintf(machine, capacity, "%s %s", boot, name_space);
}

/* Batch systems name the job in the environment. */
static void find_job(lease_holder_t *holder) {
    static const char *const names[] = {"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "OAR_JOB_ID"};
    for (size_t i = 0; i < sizeof names / sizeof *names && !holder->job[0]; i++) {
        const char *job = getenv(names[i]);
        if (job)
            snprintf(holder->job, sizeof holder->job, "%s", job);
    }
    const char *restart = getenv("SLURM_RESTART_COUNT");
    holder->restart = restart ? strtoll(restart, NULL, 10) : 0;
}

static void find_since(char *since, size_t capacity) {
    struct tm parts;
    time_t now = time(NULL);
    if (!gmtime_r(&now, &parts) || strftime(since, capacity, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(since, capacity, "an unknown time");
}

dfaiss_status_t lease_holder_self(lease_holder_t *holder, dfaiss_error_t *err) {
    lease_holder_t made = {.pid = getpid()};
    uint64_t random[2];
    if (gethostname(made.host, sizeof made.host - 1) != 0)
        snprintf(made.host, sizeof made.host, "unknown");
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_system(err, "draw", "a random number", errno);
    snprintf(made.nonce, sizeof made.nonce, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    find_machine(made.machine, sizeof made.machine);
    made.started = started_at(made.pid);
    find_job(&made);
    find_since(made.since, sizeof made.since);
    *holder = made;
    return DFAISS_OK;
}

/* ---- text ---- */

char *lease_holder_encode(const lease_holder_t *holder) {
    json_t *root = json_pack("{s:s, s:i, s:s, s:I, s:s, s:I, s:s, s:I, s:s, s:s}", "format", format_name, "version", 1, "host", holder->host, "pid",
                             (json_int_t)holder->pid, "machine", holder->machine, "started", (json_int_t)holder->started, "job", holder->job,
                             "restart", (json_int_t)holder->restart, "since", holder->since, "nonce", holder->nonce);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}

static bool get_text(const json_t *root, const char *key, char *text, size_t capacity) {
    const json_t *value = json_object_get(root, key);
    if (!json_is_string(value) || json_string_length(value) >= capacity)
        return false;
    memcpy(text, json_string_value(value), json_string_length(value) + 1);
    return true;
}

static bool get_number(const json_t *root, const char *key, int64_t *number) {
    const json_t *value = json_object_get(root, key);
    *number = json_integer_value(value);
    return json_is_integer(value);
}

bool lease_holder_decode(const char *text, size_t size, lease_holder_t *holder) {
    char format[32] = "";
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    lease_holder_t found = {0};
    bool whole = get_text(root, "format", format, sizeof format) && strcmp(format, format_name) == 0 &&
                 get_text(root, "host", found.host, sizeof found.host) && get_number(root, "pid", &found.pid) &&
                 get_text(root, "machine", found.machine, sizeof found.machine) && get_number(root, "started", &found.started) &&
                 get_text(root, "job", found.job, sizeof found.job) && get_number(root, "restart", &found.restart) &&
                 get_text(root, "since", found.since, sizeof found.since) && get_text(root, "nonce", found.nonce, sizeof found.nonce);
    json_decref(root);
    if (whole)
        *holder = found;
    return whole;
}

void lease_holder_text(const lease_holder_t *holder, char *text, size_t capacity) {
    snprintf(text, capacity, "process %" PRId64 " on host %s (%s%s%ssince %s)", holder->pid, holder->host, holder->job[0] ? "job " : "", holder->job,
             holder->job[0] ? ", " : "", holder->since);
}

/* ---- comparing ---- */

bool lease_holder_ended(const lease_holder_t *holder, const lease_holder_t *self) {
    if (holder->job[0] && strcmp(holder->job, self->job) == 0 && holder->restart < self->restart)
        return true;
    /* Of another machine, or where neither says which, nothing can be told. */
    if (!self->machine[0] || strcmp(holder->machine, self->machine) != 0 || holder->pid < 1 || holder->pid > INT32_MAX)
        return false;
    if ((kill((pid_t)holder->pid, 0) != 0 && errno == ESRCH) || is_dead(holder->pid))
        return true;
    int64_t started = started_at(holder->pid);
    return started != 0 && holder->started != 0 && started != holder->started;
}
