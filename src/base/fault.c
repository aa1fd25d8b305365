#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"

enum { SEED_ONE_IN = 64 };

#define CALL_MAP(X) X(any) X(open) X(write) X(truncate) X(sync) X(close) X(rename) X(link) X(mkdir) X(remove) X(read)

typedef enum call {
#define CALL_ENUM(name) CALL_##name,
    CALL_MAP(CALL_ENUM)
#undef CALL_ENUM
        CALLS
} call_t;

static const char *const call_names[CALLS] = {
#define CALL_NAME(name) #name,
    CALL_MAP(CALL_NAME)
#undef CALL_NAME
};

/* What becomes of a call. */
typedef enum fate { FATE_PASS, FATE_FAIL, FATE_KILL, FATE_STOP, FATE_TORN, FATE_LOST, FATE_SHORT } fate_t;

static const struct {
    const char *name;
    fate_t fate;
    int errno_value;
} fates[] = {
    {"ENOSPC", FATE_FAIL, ENOSPC}, {"EIO", FATE_FAIL, EIO},     {"EDQUOT", FATE_FAIL, EDQUOT}, {"EACCES", FATE_FAIL, EACCES},
    {"EPERM", FATE_FAIL, EPERM},   {"EROFS", FATE_FAIL, EROFS}, {"kill", FATE_KILL, 0},        {"stop", FATE_STOP, 0},
    {"torn", FATE_TORN, 0},        {"lost", FATE_LOST, 0},      {"short", FATE_SHORT, 0},
};
enum { FATES = sizeof fates / sizeof *fates };

typedef struct choice {
    call_t call;
    long long first, last; /* calls that it concerns, where `seeded` is not set */
    bool seeded;
    uint64_t seed;
    fate_t fate;
    int errno_value;
    char count_path[PATH_MAX]; /* empty: none */
} choice_t;

/* ---- choosing ---- */

static pthread_once_t environment_once = PTHREAD_ONCE_INIT;
static atomic_bool active = true; /* until the environment says otherwise */
static atomic_llong calls;
static choice_t choice;

static bool parse_number(const char *text, char end, long long *number, const char **rest) {
    char *stop = NULL;
    errno = 0;
    long long found = strtoll(text, &stop, 10);
    if (stop == text || errno != 0 || found < 0 || *stop != end)
        return false;
    *number = found;
    *rest = stop + 1;
    return true;
}

static bool parse_when(const char *text, choice_t *made, const char **rest) {
    static const char seed[] = "seed=";
    long long number = 0;
    if (strncmp(text, seed, strlen(seed)) == 0) {
        made->seeded = parse_number(text + strlen(seed), ':', &number, rest);
        made->seed = (uint64_t)number;
        return made->seeded;
    }
    if (parse_number(text, ':', &number, rest)) {
        made->last = number;
    } else if (parse_number(text, '+', &number, rest) && **rest == ':') {
        made->last = LLONG_MAX;
        ++*rest;
    }
    made->first = number;
    return number > 0 && made->last >= number;
}

static bool parse_call(const char *text, choice_t *made, const char **rest) {
    for (int i = 0; i < CALLS; i++) {
        size_t length = strlen(call_names[i]);
        if (strncmp(text, call_names[i], length) != 0 || text[length] != ':')
            continue;
        made->call = (call_t)i;
        *rest = text + length + 1;
        return true;
    }
    return false;
}

static bool parse_fate(const char *text, choice_t *made) {
    for (int i = 0; i < FATES; i++) {
        if (strcmp(text, fates[i].name) != 0)
            continue;
        made->fate = fates[i].fate;
        made->errno_value = fates[i].errno_value;
        return true;
    }
    return false;
}

static bool parse_count(const char *text, choice_t *made) {
    static const char count[] = "count";
    size_t length = strlen(count);
    if (strncmp(text, count, length) != 0 || (text[length] != 0 && text[length] != ':'))
        return false;
    if (text[length] == 0)
        return true;
    int written = snprintf(made->count_path, sizeof made->count_path, "%s.%ld", text + length + 1, (long)getpid());
    return written > 0 && (size_t)written < sizeof made->count_path;
}

static bool parse(const char *text, choice_t *made) {
    const char *rest = text;
    *made = (choice_t){0};
    return parse_count(text, made) || (parse_call(rest, made, &rest) && parse_when(rest, made, &rest) && parse_fate(rest, made));
}

static void read_environment(void) {
    const char *text = getenv("DFAISS_FAULT");
    bool known = text && parse(text, &choice);
    if (text && !known)
        log_write(LOG_LEVEL_WARNING, "DFAISS_FAULT: \"%s\" is no fault: expected CALL:WHEN:WHAT, count, or count:FILE", text);
    atomic_store(&active, known);
}

dfaiss_status_t fault_choose(const char *text, dfaiss_error_t *err) {
    choice_t made;
    if (text && !parse(text, &made))
        return error_set(err, DFAISS_ERR_ARG, "DFAISS_FAULT", "\"%s\" is no fault: expected CALL:WHEN:WHAT, count, or count:FILE", text);
    /* The environment must not come afterwards. */
    pthread_once(&environment_once, read_environment);
    if (text)
        choice = made;
    atomic_store(&calls, 0);
    atomic_store(&active, text != NULL);
    return DFAISS_OK;
}

long long fault_calls(void) {
    return atomic_load(&calls);
}

/* ---- deciding ---- */

/* About one in SEED_ONE_IN, the same ones whenever the seed is the same. */
static bool is_drawn(uint64_t seed, long long number) {
    random_state_t random = random_stream(seed, (uint64_t)number);
    return random_below(&random, SEED_ONE_IN) == 0;
}

static void note_count(long long number) {
    char text[32];
    int length = snprintf(text, sizeof text, "%20lld\n", number);
    int descriptor = open(choice.count_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0 || pwrite(descriptor, text, (size_t)length, 0) != length)
        log_write(LOG_LEVEL_WARNING, "DFAISS_FAULT: %s cannot be written: %s", choice.count_path, strerror(errno));
    if (descriptor >= 0)
        close(descriptor);
}

static void end_process(void) {
    (void)raise(SIGKILL);
    for (;;)
        pause();
}

/* Kills or stops the process where that is to happen before the call; sets errno where the call fails. */
static fate_t decide_chosen(call_t call) {
    if (choice.call == CALL_any ? call == CALL_read : call != choice.call)
        return FATE_PASS;
    long long number = atomic_fetch_add(&calls, 1) + 1;
    if (choice.count_path[0])
        note_count(number);
    bool hit = choice.seeded ? is_drawn(choice.seed, number) : number >= choice.first && number <= choice.last;
    if (!hit || choice.fate == FATE_PASS)
        return FATE_PASS;
    if (choice.fate == FATE_KILL || (choice.fate == FATE_TORN && call != CALL_write))
        end_process();
    if (choice.fate == FATE_STOP)
        (void)raise(SIGSTOP);
    if (choice.fate == FATE_FAIL)
        errno = choice.errno_value;
    return choice.fate;
}

static fate_t decide(call_t call) {
    if (!atomic_load_explicit(&active, memory_order_relaxed))
        return FATE_PASS;
    pthread_once(&environment_once, read_environment);
    return atomic_load(&active) ? decide_chosen(call) : FATE_PASS;
}

static bool fails(call_t call) {
    return decide(call) == FATE_FAIL;
}

/* ---- the calls ---- */

enum { AT_ITS_PLACE = -1 }; /* as offset */

static ssize_t put(int descriptor, const void *data, size_t size, off_t offset) {
    return offset == AT_ITS_PLACE ? write(descriptor, data, size) : pwrite(descriptor, data, size, offset);
}

static ssize_t put_or_fail(int descriptor, const void *data, size_t size, off_t offset) {
    fate_t fate = decide(CALL_write);
    if (fate == FATE_FAIL)
        return -1;
    if (fate == FATE_PASS || fate == FATE_STOP)
        return put(descriptor, data, size, offset);
    ssize_t half = size > 1 ? put(descriptor, data, size / 2, offset) : 0;
    if (fate == FATE_TORN)
        end_process();
    /* Nothing written is no progress: a single byte cannot be cut short. */
    if (half < 0 || (fate == FATE_SHORT && size > 1))
        return half;
    if (fate == FATE_SHORT)
        return put(descriptor, data, size, offset);
    return (ssize_t)size;
}

int fault_open(const char *path, int flags, mode_t mode) {
    return fails(CALL_open) ? -1 : open(path, flags, mode);
}

ssize_t fault_write(int descriptor, const void *data, size_t size) {
    return put_or_fail(descriptor, data, size, AT_ITS_PLACE);
}

ssize_t fault_pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    return put_or_fail(descriptor, data, size, offset);
}

ssize_t fault_read(int descriptor, void *data, size_t size) {
    return fails(CALL_read) ? -1 : read(descriptor, data, size);
}

ssize_t fault_pread(int descriptor, void *data, size_t size, off_t offset) {
    return fails(CALL_read) ? -1 : pread(descriptor, data, size, offset);
}

int fault_truncate(int descriptor, off_t size) {
    return fails(CALL_truncate) ? -1 : ftruncate(descriptor, size);
}

int fault_sync(int descriptor) {
    return fails(CALL_sync) ? -1 : fsync(descriptor);
}

int fault_close(int descriptor) {
    bool failed = fails(CALL_close);
    int failure = errno;
    if (close(descriptor) != 0)
        return -1;
    errno = failure;
    return failed ? -1 : 0;
}

int fault_rename(const char *from, const char *to) {
    return fails(CALL_rename) ? -1 : rename(from, to);
}

int fault_link(const char *from, const char *to) {
    return fails(CALL_link) ? -1 : link(from, to);
}

int fault_mkdir(const char *path, mode_t mode) {
    return fails(CALL_mkdir) ? -1 : mkdir(path, mode);
}

int fault_remove(const char *path) {
    return fails(CALL_remove) ? -1 : remove(path);
}
