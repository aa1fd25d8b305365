#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/fault.h"

enum { PIECE = 1 << 20 };

dfaiss_status_t file_join(char *path, size_t capacity, const char *directory, const char *name, dfaiss_error_t *err) {
    int length = snprintf(path, capacity, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= capacity)
        return error_set(err, DFAISS_ERR_ARG, name, "the path %s/%s is longer than %zu characters", directory, name, capacity - 1);
    return DFAISS_OK;
}

dfaiss_status_t file_size(const char *path, uint64_t *bytes, dfaiss_error_t *err) {
    struct stat info;
    if (stat(path, &info) != 0)
        return error_system(err, "open", path, errno);
    if (!S_ISREG(info.st_mode))
        return error_set(err, DFAISS_ERR_DATA, path, "%s is not a regular file", path);
    *bytes = (uint64_t)info.st_size;
    return DFAISS_OK;
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

/* Reads until `size` bytes are there or the file ends; -1 with errno on failure. */
static ssize_t read_fully(int descriptor, void *data, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t got = fault_read(descriptor, (char *)data + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* What a device cannot give back is damaged. */
static dfaiss_status_t read_failed(const char *path, int errno_value, dfaiss_error_t *err) {
    if (errno_value != EIO)
        return error_system(err, "read", path, errno_value);
    return error_set(err, DFAISS_ERR_DATA, path, "cannot read %s: %s", path, strerror(errno_value));
}

dfaiss_status_t file_read_whole(const char *path, size_t limit, char **data, size_t *size, dfaiss_error_t *err) {
    uint64_t bytes = 0;
    TRY(file_size(path, &bytes, err));
    if (bytes > limit)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has %llu bytes; at most %zu are expected", path, (unsigned long long)bytes, limit);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_system(err, "open", path, errno);
    char *content = malloc((size_t)bytes + 1);
    if (!content) {
        close(descriptor);
        return error_memory(err, (size_t)bytes + 1, path);
    }
    ssize_t got = read_fully(descriptor, content, (size_t)bytes);
    int failure = errno;
    close(descriptor);
    if (got < 0) {
        free(content);
        return read_failed(path, failure, err);
    }
    content[got] = 0;
    *data = content;
    *size = (size_t)got;
    return DFAISS_OK;
}

static dfaiss_status_t write_synced(const char *path, const void *data, size_t size, dfaiss_error_t *err) {
    int descriptor = fault_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return error_system(err, "create", path, errno);
    dfaiss_status_t status = DFAISS_OK;
    for (size_t done = 0; status == DFAISS_OK && done < size;) {
        ssize_t put = fault_write(descriptor, (const char *)data + done, size - done);
        if (put >= 0)
            done += (size_t)put;
        else if (errno != EINTR)
            status = error_system(err, "write", path, errno);
    }
    if (status == DFAISS_OK && fault_sync(descriptor) != 0)
        status = error_system(err, "sync", path, errno);
    if (fault_close(descriptor) != 0 && status == DFAISS_OK)
        status = error_system(err, "close", path, errno);
    return status;
}

/* Compares a file with what was written to it. */
static dfaiss_status_t read_back(const char *path, const void *data, size_t size, dfaiss_error_t *err) {
    char *found = NULL;
    size_t found_size = 0;
    dfaiss_status_t status = file_read_whole(path, size, &found, &found_size, err);
    if (status != DFAISS_OK && status != DFAISS_ERR_DATA)
        return status;
    bool same = status == DFAISS_OK && found_size == size && (size == 0 || memcmp(found, data, size) == 0);
    free(found);
    return same ? DFAISS_OK : error_set(err, DFAISS_ERR_IO, path, "%s: what is read back is not what was written", path);
}

dfaiss_status_t file_replace(const char *path, const void *data, size_t size, dfaiss_error_t *err) {
    char beside[PATH_MAX], directory[PATH_MAX];
    int length = snprintf(beside, sizeof beside, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof beside)
        return error_set(err, DFAISS_ERR_ARG, path, "the path %s is too long", path);
    dfaiss_status_t status = write_synced(beside, data, size, err);
    if (status == DFAISS_OK)
        status = read_back(beside, data, size, err);
    if (status == DFAISS_OK && fault_rename(beside, path) != 0)
        status = error_system(err, "rename to", path, errno);
    if (status != DFAISS_OK) {
        (void)fault_remove(beside);
        return status;
    }
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory] = 0;
    return file_sync_directory(slash ? directory : ".", err);
}

static dfaiss_status_t sync_opened(const char *path, int flags, dfaiss_error_t *err) {
    int descriptor = open(path, flags | O_CLOEXEC);
    if (descriptor < 0)
        return error_system(err, "open", path, errno);
    dfaiss_status_t status = DFAISS_OK;
    if (fault_sync(descriptor) != 0)
        status = error_system(err, "sync", path, errno);
    if (fault_close(descriptor) != 0 && status == DFAISS_OK)
        status = error_system(err, "close", path, errno);
    return status;
}

dfaiss_status_t file_sync(const char *path, dfaiss_error_t *err) {
    return sync_opened(path, O_RDONLY, err);
}

dfaiss_status_t file_sync_directory(const char *path, dfaiss_error_t *err) {
    return sync_opened(path, O_RDONLY | O_DIRECTORY, err);
}

dfaiss_status_t file_make_directories(const char *path, dfaiss_error_t *err) {
    char made[PATH_MAX];
    int length = snprintf(made, sizeof made, "%s", path);
    if (length <= 0 || (size_t)length >= sizeof made)
        return error_set(err, DFAISS_ERR_ARG, path, "the path '%s' is empty or too long", path);
    for (char *slash = strchr(made + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = 0;
        /* Where something is already, some file systems answer EACCES or EROFS instead of EEXIST. If it is a file, the next step, or the check
         * below, says so. */
        if (fault_mkdir(made, 0777) != 0) {
            int failure = errno;
            if (!file_exists(made))
                return error_system(err, "make directory", made, failure);
        }
        if (!slash)
            break;
        *slash = '/';
    }
    struct stat info;
    if (stat(path, &info) != 0)
        return error_system(err, "open", path, errno);
    if (!S_ISDIR(info.st_mode))
        return error_system(err, "use as a directory", path, ENOTDIR);
    return DFAISS_OK;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place) {
    (void)info;
    (void)type;
    (void)place;
    /* Another process may be removing the same tree; its share is none of our failures. */
    return fault_remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

dfaiss_status_t file_remove_tree(const char *path, dfaiss_error_t *err) {
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return error_system(err, "remove", path, errno);
    return DFAISS_OK;
}

static dfaiss_status_t checksum_opened(int descriptor, const char *path, uint64_t *checksum, uint64_t *bytes, content_sum_t *sum,
                                       dfaiss_error_t *err) {
    XXH3_state_t *state = XXH3_createState();
    char *piece = malloc(PIECE);
    dfaiss_status_t status = DFAISS_OK;
    uint64_t total = 0;
    content_sum_t found = {0};
    if (!state || !piece || XXH3_64bits_reset(state) != XXH_OK)
        status = error_memory(err, PIECE, "a checksum");
    while (status == DFAISS_OK) {
        ssize_t got = read_fully(descriptor, piece, PIECE);
        if (got < 0)
            status = read_failed(path, errno, err);
        if (got <= 0)
            break;
        XXH3_64bits_update(state, piece, (size_t)got);
        if (sum)
            content_sum_add(&found, total, piece, (size_t)got);
        total += (uint64_t)got;
    }
    if (status == DFAISS_OK) {
        *checksum = XXH3_64bits_digest(state);
        *bytes = total;
        if (sum)
            *sum = found;
    }
    free(piece);
    XXH3_freeState(state);
    return status;
}

dfaiss_status_t file_checksum_and_sum(const char *path, uint64_t *checksum, uint64_t *bytes, content_sum_t *sum, dfaiss_error_t *err) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_system(err, "open", path, errno);
    dfaiss_status_t status = checksum_opened(descriptor, path, checksum, bytes, sum, err);
    close(descriptor);
    return status;
}

dfaiss_status_t file_checksum(const char *path, uint64_t *checksum, uint64_t *bytes, dfaiss_error_t *err) {
    return file_checksum_and_sum(path, checksum, bytes, NULL, err);
}
