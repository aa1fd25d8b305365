#include "cli/plain_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/plain.h"

enum {
    ROOM_FACTOR = 6,               /* memory that an index may take, in sizes of its file, */
    ROOM_BYTES = 1 << 30,          /* and beside that */
    CHECK_SECONDS = 120,           /* of the processor that reading may take, */
    CHECK_BYTES_A_SECOND = 1 << 23 /* and for these bytes another one */
};

static uint64_t address_space(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void limit(int resource, uint64_t most) {
    const struct rlimit limits = {.rlim_cur = most, .rlim_max = most};
    (void)setrlimit((__rlimit_resource_t)resource, &limits); /* without, it takes what there is */
}

/* Reads the file, says into the pipe what is wrong with it, and ends. */
_Noreturn static void try_to_read(const char *path, uint64_t size, int pipe_end) {
    dfaiss_error_t found = {.code = DFAISS_OK};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        (void)dup2(nowhere, STDERR_FILENO);
    uint64_t space = address_space();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, CHECK_SECONDS + size / CHECK_BYTES_A_SECOND);
    if (space > 0 && size < (UINT64_MAX - space - ROOM_BYTES) / ROOM_FACTOR)
        limit(RLIMIT_AS, space + ROOM_BYTES + ROOM_FACTOR * size);
    if (engine_plain_try(path, &found) == DFAISS_OK)
        found.code = DFAISS_OK;
    bool said = write(pipe_end, &found, sizeof found) == (ssize_t)sizeof found;
    _exit(said ? 0 : 1);
}

static bool receive(int pipe_end, dfaiss_error_t *found) {
    uint8_t *to = (uint8_t *)found;
    size_t have = 0;
    while (have < sizeof *found) {
        ssize_t got = read(pipe_end, to + have, sizeof *found - have);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return false;
        have += got > 0 ? (size_t)got : 0;
    }
    found->text[sizeof found->text - 1] = 0;
    return true;
}

/* How the child ended that has said nothing. */
static dfaiss_status_t died(const char *path, int ending, dfaiss_error_t *err) {
    if (WIFSIGNALED(ending))
        return error_set(err, DFAISS_ERR_DATA, path, "%s is damaged: a process that had faiss read it was ended by signal %d (%s)", path,
                         WTERMSIG(ending), strsignal(WTERMSIG(ending)));
    return error_set(err, DFAISS_ERR_DATA, path, "%s is damaged: a process that had faiss read it ended with code %d", path, WEXITSTATUS(ending));
}

static dfaiss_status_t wait_for(pid_t child, const char *path, int pipe_end, dfaiss_error_t *err) {
    dfaiss_error_t found;
    int ending = 0;
    bool said = receive(pipe_end, &found);
    while (waitpid(child, &ending, 0) < 0)
        if (errno != EINTR)
            return error_system(err, "wait for the process that reads", path, errno);
    if (!said)
        return died(path, ending, err);
    return found.code == DFAISS_OK ? DFAISS_OK : error_set(err, found.code, path, "%s", found.text);
}

dfaiss_status_t plain_trial(const char *path, dfaiss_error_t *err) {
    int ends[2];
    uint64_t size = 0;
    TRY(file_size(path, &size, err));
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_system(err, "make a pipe for reading", path, errno);
    pid_t child = fork();
    if (child == 0)
        try_to_read(path, size, ends[1]);
    int failure = errno;
    close(ends[1]);
    dfaiss_status_t status = child < 0 ? error_system(err, "start a process that reads", path, failure) : wait_for(child, path, ends[0], err);
    close(ends[0]);
    return status;
}
