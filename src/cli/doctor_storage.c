#include "cli/doctor_storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { PIECE = 1 << 20, PIECES_MOST = 64, SYNCS = 5 };
static const double write_for = 3, wait_for_seconds = 10, low_rate = 50e6, late_after = 2, long_sync = 0.1;
static const char token_name[] = "token", token[] = "dfaiss doctor\n";
static const struct timespec nap = {.tv_nsec = 20000000};

dfaiss_status_t doctor_storage_begin(const char *storage, char folder[PATH_MAX], dfaiss_error_t *err) {
    char path[PATH_MAX], name[64];
    TRY(file_make_directories(storage, err));
    snprintf(name, sizeof name, ".doctor-%lld-%lld", (long long)getpid(), (long long)time(NULL));
    TRY(file_join(folder, PATH_MAX, storage, name, err));
    if (mkdir(folder, 0777) != 0)
        return error_system(err, "make", folder, errno);
    dfaiss_status_t status = file_join(path, sizeof path, folder, token_name, err);
    if (status == DFAISS_OK)
        status = file_replace(path, token, sizeof token - 1, err);
    if (status != DFAISS_OK)
        rmdir(folder);
    return status;
}

dfaiss_status_t doctor_storage_end(const char *folder, dfaiss_error_t *err) {
    return file_remove_tree(folder, err);
}

/* ---- one rank ---- */

static dfaiss_status_t wait_for_token(const char *folder, doctor_trial_t *trial, dfaiss_error_t *err) {
    char path[PATH_MAX];
    double begin = clock_seconds();
    trial->seen_after = -1;
    TRY(file_join(path, sizeof path, folder, token_name, err));
    do {
        char *data = NULL;
        size_t size = 0;
        if (file_read_whole(path, PIECE, &data, &size, NULL) == DFAISS_OK) {
            bool whole = size == sizeof token - 1 && memcmp(data, token, size) == 0;
            free(data);
            if (whole) {
                trial->seen_after = clock_seconds() - begin;
                return DFAISS_OK;
            }
        }
        nanosleep(&nap, NULL);
    } while (clock_seconds() - begin < wait_for_seconds);
    return error_set(err, DFAISS_ERR_IO, path, "%s is not seen", path);
}

static dfaiss_status_t write_pieces(int descriptor, const char *path, char *bytes, int *pieces, dfaiss_error_t *err) {
    double begin = clock_seconds();
    for (*pieces = 0; *pieces < PIECES_MOST && clock_seconds() - begin < write_for; ++*pieces) {
        memset(bytes, *pieces + 1, PIECE);
        if (pwrite(descriptor, bytes, PIECE, (off_t)*pieces * PIECE) != PIECE)
            return error_system(err, "write", path, errno ? errno : ENOSPC);
    }
    return fsync(descriptor) == 0 ? DFAISS_OK : error_system(err, "sync", path, errno);
}

static dfaiss_status_t read_pieces(int descriptor, const char *path, char *bytes, int pieces, dfaiss_error_t *err) {
    /* From the device and not from memory, where the system follows the hint. */
    (void)posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    for (int i = 0; i < pieces; i++) {
        if (pread(descriptor, bytes, PIECE, (off_t)i * PIECE) != PIECE)
            return error_system(err, "read", path, errno ? errno : EIO);
        if (bytes[0] != (char)(i + 1) || memcmp(bytes, bytes + 1, PIECE - 1) != 0)
            return error_set(err, DFAISS_ERR_DATA, path, "%s gives back other bytes than were written", path);
    }
    return DFAISS_OK;
}

static dfaiss_status_t measure_rates(int descriptor, const char *path, doctor_trial_t *trial, dfaiss_error_t *err) {
    int pieces = 0;
    char *bytes = malloc(PIECE);
    if (!bytes)
        return error_memory(err, PIECE, "a piece of a file");
    double begin = clock_seconds();
    dfaiss_status_t status = write_pieces(descriptor, path, bytes, &pieces, err);
    double written = clock_seconds();
    if (status == DFAISS_OK)
        status = read_pieces(descriptor, path, bytes, pieces, err);
    trial->write_rate = (double)pieces * PIECE / (written - begin);
    trial->read_rate = (double)pieces * PIECE / (clock_seconds() - written);
    free(bytes);
    return status;
}

static void measure_sync(int descriptor, doctor_trial_t *trial) {
    double begin = clock_seconds();
    int syncs = 0;
    while (syncs < SYNCS && pwrite(descriptor, token, 1, 0) == 1 && fsync(descriptor) == 0 && clock_seconds() - begin < write_for)
        syncs++;
    trial->sync_seconds = (clock_seconds() - begin) / (syncs ? syncs : 1);
}

static void try_names(const char *path, int descriptor, doctor_trial_t *trial) {
    char other[PATH_MAX + 8];
    struct stat before, after;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    trial->locks = fcntl(descriptor, F_SETLK, &lock) == 0;
    snprintf(other, sizeof other, "%s.link", path);
    trial->links = link(path, other) == 0;
    int made = trial->links ? -1 : open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (made >= 0)
        close(made);
    /* A rename between two names of one file would do nothing. */
    snprintf(other, sizeof other, "%s.old", path);
    made = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (made >= 0)
        close(made);
    trial->renames = fstat(descriptor, &before) == 0 && rename(path, other) == 0 && stat(other, &after) == 0 && before.st_ino == after.st_ino;
}

static dfaiss_status_t try_file(const char *path, doctor_trial_t *trial, dfaiss_error_t *err) {
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return error_system(err, "make", path, errno);
    dfaiss_status_t status = measure_rates(descriptor, path, trial, err);
    if (status == DFAISS_OK) {
        measure_sync(descriptor, trial);
        try_names(path, descriptor, trial);
    }
    close(descriptor);
    return status;
}

static dfaiss_status_t try_folder(const char *folder, int number, doctor_trial_t *trial, dfaiss_error_t *err) {
    char path[PATH_MAX], name[32];
    struct statvfs space;
    struct statfs system;
    TRY(wait_for_token(folder, trial, err));
    if (statvfs(folder, &space) == 0)
        trial->free_bytes = (int64_t)space.f_bavail * (int64_t)space.f_frsize;
    if (statfs(folder, &system) == 0)
        trial->kind = (int64_t)system.f_type;
    snprintf(name, sizeof name, "rank-%d", number);
    TRY(file_join(path, sizeof path, folder, name, err));
    return try_file(path, trial, err);
}

void doctor_storage_try(const char *folder, int number, doctor_trial_t *trial) {
    dfaiss_error_t error = {0};
    memset(trial, 0, sizeof *trial);
    error.code = try_folder(folder, number, trial, &error);
    trial->error = error;
}

/* ---- all of them ---- */

/* Numbers of statfs(2). */
static const struct {
    int64_t kind;
    const char *name;
    bool volatile_; /* gone with the node */
} systems[] = {
    {0x6969, "NFS", false},        {0x0BD00BD0, "Lustre", false}, {0x47504653, "GPFS", false},   {0x19830326, "BeeGFS", false},
    {0x00c36400, "CephFS", false}, {0x01021994, "tmpfs", true},   {0x858458f6, "ramfs", true},   {0xEF53, "ext4", false},
    {0x58465342, "XFS", false},    {0x9123683E, "Btrfs", false},  {0x794c7630, "overlay", true},
};

static int find_system(int64_t kind) {
    for (int i = 0; i < (int)(sizeof systems / sizeof systems[0]); i++)
        if (systems[i].kind == kind)
            return i;
    return -1;
}

static bool check_failures(const char *storage, const doctor_rank_t *ranks, int count, const int *hosts, const doctor_trial_t *trials,
                           doctor_findings_t *findings) {
    for (int i = 0; i < count; i++) {
        const char *host = ranks[hosts[i]].rank.host;
        if (trials[i].seen_after < 0) {
            doctor_find(findings, "storage", DOCTOR_PROBLEM, "%s does not see in %s what %s wrote there", host, storage, ranks[0].rank.host);
            doctor_advise(findings, "all servers need the same folder: a file system that is shared (NFS, Lustre, GPFS, ...), by an absolute path");
            return true;
        }
        if (trials[i].error.code != DFAISS_OK) {
            doctor_find(findings, "storage", DOCTOR_PROBLEM, "%s: %s", host, trials[i].error.text);
            return true;
        }
    }
    return false;
}

static void check_abilities(const doctor_rank_t *ranks, int count, const int *hosts, const doctor_trial_t *trials, doctor_findings_t *findings) {
    for (int i = 0; i < count; i++) {
        const char *host = ranks[hosts[i]].rank.host;
        if (!trials[i].renames) {
            doctor_find(findings, "storage", DOCTOR_PROBLEM, "%s: a rename does not replace a file", host);
            doctor_advise(findings, "no generation could be completed safely there: take another file system");
            return;
        }
        if (!trials[i].links) {
            doctor_find(findings, "storage", DOCTOR_ADVICE, "%s: files cannot have a second name", host);
            doctor_advise(findings, "dfaiss goes on without; let no two jobs write one index");
            return;
        }
    }
    int unlocked = 0;
    while (unlocked < count && trials[unlocked].locks)
        unlocked++;
    if (unlocked < count)
        doctor_find(findings, "storage", DOCTOR_OK, "no locks on files, which dfaiss does without; h5dump and h5py need HDF5_USE_FILE_LOCKING=FALSE");
}

static void check_speed(const doctor_rank_t *ranks, int count, const int *hosts, const doctor_trial_t *trials, double index_bytes,
                        doctor_findings_t *findings) {
    int slowest = 0, latest = 0, longest = 0;
    double together = 0;
    for (int i = 0; i < count; i++) {
        slowest = trials[i].write_rate < trials[slowest].write_rate ? i : slowest;
        latest = trials[i].seen_after > trials[latest].seen_after ? i : latest;
        longest = trials[i].sync_seconds > trials[longest].sync_seconds ? i : longest;
        together += trials[i].write_rate;
    }
    const doctor_trial_t *worst = &trials[slowest];
    bool slow = worst->write_rate < low_rate;
    int system = find_system(worst->kind);
    doctor_find(findings, "storage", slow ? DOCTOR_ADVICE : DOCTOR_OK,
                "%s: %.0f MB/s written and synced, %.0f MB/s read on %s; %.0f MB/s by %d host%s", system >= 0 ? systems[system].name : "file system",
                worst->write_rate * 1e-6, worst->read_rate * 1e-6, ranks[hosts[slowest]].rank.host, together * 1e-6, count, count == 1 ? "" : "s");
    if (slow && index_bytes > 0)
        doctor_advise(findings,
                      "saving the index would take %.0f minutes: take the parallel file system, and let --grace and Slurm's --signal be longer",
                      index_bytes / together / 60);
    else if (slow)
        doctor_advise(findings,
                      "saving takes the index's size through this: take the parallel file system, and let --grace and Slurm's --signal be longer");
    if (trials[latest].seen_after > late_after) {
        doctor_find(findings, "storage", DOCTOR_ADVICE, "%s saw a new file %.1f s after it was there", ranks[hosts[latest]].rank.host,
                    trials[latest].seen_after);
        doctor_advise(findings,
                      "names are remembered for too long (NFS: mount with lookupcache=none or a smaller acdirmax): jobs that follow each other may "
                      "load an older generation");
    }
    if (trials[longest].sync_seconds > long_sync) {
        doctor_find(findings, "storage", DOCTOR_ADVICE, "%s: an fsync takes %.2f s", ranks[hosts[longest]].rank.host, trials[longest].sync_seconds);
        doctor_advise(findings, "each save waits for a few of them: save seldom (save_interval_sec), or on another file system");
    }
}

static void check_space(const char *storage, const doctor_trial_t *trial, double index_bytes, doctor_findings_t *findings) {
    int system = find_system(trial->kind);
    if (system >= 0 && systems[system].volatile_) {
        doctor_find(findings, "storage", DOCTOR_ADVICE, "%s is on %s, which is gone with the node or the container", storage, systems[system].name);
        doctor_advise(findings, "keep indexes on a disk; the advantage of memory they have when they are loaded");
    }
    /* A new generation is written beside the old one. */
    if (index_bytes > 0 && (double)trial->free_bytes < 2 * index_bytes) {
        bool too_small = (double)trial->free_bytes < index_bytes;
        doctor_find(findings, "storage", too_small ? DOCTOR_PROBLEM : DOCTOR_ADVICE,
                    "%s has %.1f GB free; the index takes about %.1f GB a generation", storage, (double)trial->free_bytes * 1e-9, index_bytes * 1e-9);
        doctor_advise(findings, "two generations are there while one is written; make room, or set keep_generations to 1");
    }
}

void doctor_check_storage(const char *storage, const doctor_rank_t *ranks, int count, const int *hosts, const doctor_trial_t *trials,
                          double index_bytes, doctor_findings_t *findings) {
    if (check_failures(storage, ranks, count, hosts, trials, findings))
        return;
    check_speed(ranks, count, hosts, trials, index_bytes, findings);
    check_abilities(ranks, count, hosts, trials, findings);
    check_space(storage, &trials[0], index_bytes, findings);
}
