#include "checkpoint/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "checkpoint/lease_holder.h"
#include "checkpoint/manifest.h"

enum { LEASE_BYTES_MOST = 1 << 16, SETTLE_MILLISECONDS = 50 };

static const lease_terms_t usual_terms = {.refresh = 15, .lapse = 120};
static const char lease_name[] = "lease";

struct lease {
    char index[256];
    char storage[PATH_MAX], folder[PATH_MAX];
    char path[PATH_MAX];
    char own_path[PATH_MAX]; /* beside it: what is to become the lease */
    lease_terms_t terms;
    lease_holder_t self;
    bool made_storage;

    pthread_t keeper;
    bool kept; /* the thread runs */
    pthread_mutex_t lock;
    pthread_cond_t ending;
    bool ends;
};

bool lease_is_name(const char *name) {
    size_t length = strlen(lease_name);
    return strncmp(name, lease_name, length) == 0 && (name[length] == 0 || name[length] == '.');
}

/* ---- what is there ---- */

/* A lease as it is found. */
typedef struct found {
    bool exists;
    bool known; /* holder */
    lease_holder_t holder;
    double age; /* seconds since it was refreshed, by the clock of the storage */
} found_t;

/* The storage's clock may go otherwise than this host's: the time of a file that was written just now tells. */
static dfaiss_status_t find(const lease_t *lease, found_t *found, dfaiss_error_t *err) {
    struct stat now, then;
    char *text = NULL;
    size_t size = 0;
    *found = (found_t){0};
    if (stat(lease->own_path, &now) != 0)
        return error_system(err, "look at", lease->own_path, errno);
    if (stat(lease->path, &then) != 0)
        return errno == ENOENT ? DFAISS_OK : error_system(err, "look at", lease->path, errno);
    dfaiss_status_t status = file_read_whole(lease->path, LEASE_BYTES_MOST, &text, &size, err);
    if (status == DFAISS_ERR_NOT_FOUND)
        return DFAISS_OK;
    found->exists = true;
    found->age = difftime(now.st_mtim.tv_sec, then.st_mtim.tv_sec) + 1e-9 * (double)(now.st_mtim.tv_nsec - then.st_mtim.tv_nsec);
    found->known = status == DFAISS_OK && lease_holder_decode(text, size, &found->holder);
    free(text);
    return status == DFAISS_ERR_DATA ? DFAISS_OK : status;
}

static bool is_own(const lease_t *lease, const found_t *found) {
    return found->known && strcmp(found->holder.nonce, lease->self.nonce) == 0;
}

static bool has_ended(const lease_t *lease, const found_t *found) {
    return found->known && lease_holder_ended(&found->holder, &lease->self);
}

static bool is_held(const lease_t *lease, const found_t *found) {
    return !has_ended(lease, found) && found->age <= lease->terms.lapse;
}

static void describe(const found_t *found, char *text, size_t capacity) {
    if (found->known)
        lease_holder_text(&found->holder, text, capacity);
    else
        snprintf(text, capacity, "somebody whose lease cannot be read");
}

static dfaiss_status_t refuse(const lease_t *lease, const found_t *found, dfaiss_error_t *err) {
    char who[512];
    describe(found, who, sizeof who);
    return error_set(err, DFAISS_ERR_STATE, lease->path,
                     "index %s is being written by %s; its lease %s was refreshed %.0f s ago and lapses when it is not for %.0f s", lease->index, who,
                     lease->path, found->age > 0 ? found->age : 0, lease->terms.lapse);
}

/* ---- taking ---- */

/* What is to become the lease, in a file of its own; its time is the storage's. */
static dfaiss_status_t write_own(const lease_t *lease, dfaiss_error_t *err) {
    char *text = lease_holder_encode(&lease->self);
    if (!text)
        return error_memory(err, 0, "a lease");
    int descriptor = fault_open(lease->own_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    ssize_t length = (ssize_t)strlen(text);
    dfaiss_status_t status = DFAISS_OK;
    if (descriptor < 0 || fault_write(descriptor, text, (size_t)length) != length)
        status = error_system(err, "write", lease->own_path, errno);
    if (descriptor >= 0 && fault_close(descriptor) != 0 && status == DFAISS_OK)
        status = error_system(err, "close", lease->own_path, errno);
    free(text);
    return status;
}

/* Where a file system has no hard links the file is created exclusively and then renamed over: for a moment it says nothing. */
static int link_exclusively(const char *from, const char *to) {
    if (fault_link(from, to) == 0)
        return 0;
    if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS)
        return -1;
    int descriptor = fault_open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return descriptor >= 0 && fault_close(descriptor) == 0 ? fault_rename(from, to) : -1;
}

/* Puts its own in the place of one that nobody holds any more. Of several that do so at the same time the last one has it: each looks again when the
 * others must have done it too. */
static dfaiss_status_t take_over(const lease_t *lease, found_t *found, bool ended, dfaiss_error_t *err) {
    static const struct timespec settle = {.tv_nsec = SETTLE_MILLISECONDS * 1000000};
    char who[512];
    describe(found, who, sizeof who);
    if (fault_rename(lease->own_path, lease->path) != 0)
        return error_system(err, "rename to", lease->path, errno);
    log_write(ended ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "the lease of index %s is taken over from %s, who %s", lease->index, who,
              ended ? "has ended" : "has not refreshed it for long");
    nanosleep(&settle, NULL);
    TRY(write_own(lease, err));
    TRY(find(lease, found, err));
    return is_own(lease, found) ? DFAISS_OK : refuse(lease, found, err);
}

/* Creates the lease, or takes over what is there. */
static dfaiss_status_t put(const lease_t *lease, dfaiss_error_t *err) {
    enum { TRIES = 3 };
    found_t found = {0};
    for (int i = 0; i < TRIES; i++) {
        if (link_exclusively(lease->own_path, lease->path) == 0)
            return DFAISS_OK;
        if (errno != EEXIST)
            return error_system(err, "create", lease->path, errno);
        TRY(find(lease, &found, err));
        if (!found.exists)
            continue;
        /* A network file system may have done it, and tell of its second try. */
        if (is_own(lease, &found))
            return DFAISS_OK;
        if (is_held(lease, &found))
            return refuse(lease, &found, err);
        return take_over(lease, &found, has_ended(lease, &found), err);
    }
    return error_set(err, DFAISS_ERR_STATE, lease->path, "the lease %s comes and goes", lease->path);
}

/* On failure nothing is left. */
static dfaiss_status_t write_and_put(const lease_t *lease, dfaiss_error_t *err) {
    dfaiss_status_t status = write_own(lease, err);
    if (status == DFAISS_OK)
        status = put(lease, err);
    (void)fault_remove(lease->own_path);
    return status;
}

/* ---- keeping ---- */

/* Is what is there our own lease? False too where it cannot be read now. */
static bool still_own(const lease_t *lease) {
    char *text = NULL;
    size_t size = 0;
    found_t found = {0};
    if (file_read_whole(lease->path, LEASE_BYTES_MOST, &text, &size, NULL) != DFAISS_OK)
        return false;
    found.known = lease_holder_decode(text, size, &found.holder);
    free(text);
    return is_own(lease, &found);
}

/* The storage says what time it is. What fails now is tried again next time. */
static void refresh(const lease_t *lease) {
    if (still_own(lease))
        (void)utimensat(AT_FDCWD, lease->path, NULL, 0);
}

static struct timespec next_refresh(const lease_t *lease) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t nanoseconds = at.tv_nsec + (int64_t)(lease->terms.refresh * 1e9);
    at.tv_sec += nanoseconds / 1000000000;
    at.tv_nsec = nanoseconds % 1000000000;
    return at;
}

static void *keep(void *context) {
    lease_t *lease = context;
    pthread_mutex_lock(&lease->lock);
    while (!lease->ends) {
        struct timespec at = next_refresh(lease);
        int waited = 0;
        while (!lease->ends && waited != ETIMEDOUT)
            waited = pthread_cond_timedwait(&lease->ending, &lease->lock, &at);
        pthread_mutex_unlock(&lease->lock);
        if (waited == ETIMEDOUT)
            refresh(lease);
        pthread_mutex_lock(&lease->lock);
    }
    pthread_mutex_unlock(&lease->lock);
    return NULL;
}

/* Signals are for the program's own threads. */
static dfaiss_status_t start_keeper(lease_t *lease, dfaiss_error_t *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&lease->keeper, NULL, keep, lease);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    lease->kept = failure == 0;
    return lease->kept ? DFAISS_OK : error_system(err, "start", "the thread that keeps a lease", failure);
}

static dfaiss_status_t init_lock(lease_t *lease, dfaiss_error_t *err) {
    pthread_condattr_t attributes;
    int failure = pthread_condattr_init(&attributes);
    if (failure == 0) {
        failure = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        if (failure == 0)
            failure = pthread_cond_init(&lease->ending, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    if (failure != 0)
        return error_system(err, "make", "the lock of a lease", failure);
    pthread_mutex_init(&lease->lock, NULL);
    return DFAISS_OK;
}

/* ---- from the first call to the last ---- */

static dfaiss_status_t set_paths(lease_t *lease, const char *storage, const char *index, dfaiss_error_t *err) {
    TRY(manifest_index_path(storage, index, lease->folder, sizeof lease->folder, err));
    snprintf(lease->index, sizeof lease->index, "%s", index);
    snprintf(lease->storage, sizeof lease->storage, "%s", storage);
    TRY(file_join(lease->path, sizeof lease->path, lease->folder, lease_name, err));
    int length = snprintf(lease->own_path, sizeof lease->own_path, "%s.%s", lease->path, lease->self.nonce);
    if (length < 0 || (size_t)length >= sizeof lease->own_path)
        return error_set(err, DFAISS_ERR_ARG, lease->path, "the path %s is too long", lease->path);
    return DFAISS_OK;
}

static void remove_folders(const lease_t *lease) {
    if (fault_remove(lease->folder) == 0 && lease->made_storage)
        (void)fault_remove(lease->storage);
}

static dfaiss_status_t make_and_take(lease_t *lease, dfaiss_error_t *err) {
    lease->made_storage = !file_exists(lease->storage);
    dfaiss_status_t status = file_make_directories(lease->folder, err);
    if (status == DFAISS_OK)
        status = write_and_put(lease, err);
    if (status != DFAISS_OK)
        remove_folders(lease);
    return status;
}

dfaiss_status_t lease_take(const char *storage, const char *index, const lease_terms_t *terms, lease_t **out, dfaiss_error_t *err) {
    lease_t *lease = calloc(1, sizeof *lease);
    if (!lease)
        return error_memory(err, sizeof *lease, "a lease");
    lease->terms = terms ? *terms : usual_terms;
    dfaiss_status_t status = lease_holder_self(&lease->self, err);
    if (status == DFAISS_OK)
        status = set_paths(lease, storage, index, err);
    if (status == DFAISS_OK)
        status = init_lock(lease, err);
    if (status == DFAISS_OK)
        status = make_and_take(lease, err);
    if (status != DFAISS_OK) {
        free(lease);
        return status;
    }
    status = start_keeper(lease, err);
    if (status != DFAISS_OK) {
        lease_release(lease);
        return status;
    }
    *out = lease;
    return DFAISS_OK;
}

dfaiss_status_t lease_look(const char *storage, const char *index, const lease_terms_t *terms, bool *stale, dfaiss_error_t *err) {
    lease_t lease = {.terms = terms ? *terms : usual_terms};
    found_t found = {0};
    TRY(lease_holder_self(&lease.self, err));
    TRY(set_paths(&lease, storage, index, err));
    dfaiss_status_t status = write_own(&lease, err);
    if (status == DFAISS_OK)
        status = find(&lease, &found, err);
    (void)fault_remove(lease.own_path);
    TRY(status);
    if (found.exists && is_held(&lease, &found))
        return refuse(&lease, &found, err);
    *stale = found.exists;
    return DFAISS_OK;
}

/* It is another's, it has vanished, or it cannot be read. */
static dfaiss_status_t look_again(lease_t *lease, dfaiss_error_t *err) {
    found_t found = {0};
    TRY(file_make_directories(lease->folder, err));
    TRY(write_own(lease, err));
    dfaiss_status_t status = find(lease, &found, err);
    if (status == DFAISS_OK && !found.exists)
        status = put(lease, err);
    else if (status == DFAISS_OK && !is_own(lease, &found))
        status = refuse(lease, &found, err);
    (void)fault_remove(lease->own_path);
    return status;
}

dfaiss_status_t lease_check(lease_t *lease, dfaiss_error_t *err) {
    return still_own(lease) ? DFAISS_OK : look_again(lease, err);
}

static void stop_keeper(lease_t *lease) {
    pthread_mutex_lock(&lease->lock);
    lease->ends = true;
    pthread_cond_signal(&lease->ending);
    pthread_mutex_unlock(&lease->lock);
    pthread_join(lease->keeper, NULL);
}

void lease_release(lease_t *lease) {
    if (!lease)
        return;
    if (lease->kept)
        stop_keeper(lease);
    if (still_own(lease) && fault_remove(lease->path) != 0)
        log_write(LOG_LEVEL_WARNING, "the lease %s cannot be removed: %s", lease->path, strerror(errno));
    remove_folders(lease);
    pthread_cond_destroy(&lease->ending);
    pthread_mutex_destroy(&lease->lock);
    free(lease);
}
