#include "checkpoint/garbage.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fault.h"
#include "base/file.h"
#include "checkpoint/lease.h"
#include "checkpoint/manifest.h"
#include "checkpoint/manifest_retire.h"
#include "config/index_name.h"

enum { LEASE_ATTEMPT_SECONDS = 120 }; /* somebody who is taking a lease right now needs a file for less than that */

static const char manifest_beside[] = "manifest.json.new", lease_name[] = "lease";

/* ---- what was found ---- */

static void clear_items(garbage_item_t *items, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        free(items[i].path);
    free(items);
}

void garbage_clear(garbage_t *garbage) {
    clear_items(garbage->removed, garbage->removed_count);
    clear_items(garbage->left, garbage->left_count);
    *garbage = (garbage_t){0};
}

uint64_t garbage_bytes(const garbage_t *garbage) {
    uint64_t bytes = 0;
    for (int64_t i = 0; i < garbage->removed_count; i++)
        bytes += garbage->removed[i].bytes;
    return bytes;
}

static dfaiss_status_t append(garbage_item_t **items, int64_t *count, const char *path, uint64_t bytes, dfaiss_error_t *err) {
    garbage_item_t *grown = realloc(*items, (size_t)(*count + 1) * sizeof *grown);
    if (grown)
        *items = grown;
    char *copy = grown ? strdup(path) : NULL;
    if (!copy)
        return error_memory(err, (size_t)(*count + 1) * sizeof *grown, "the list of leftovers");
    (*items)[(*count)++] = (garbage_item_t){.path = copy, .bytes = bytes};
    return DFAISS_OK;
}

static dfaiss_status_t note_removed(garbage_t *garbage, const char *path, uint64_t bytes, dfaiss_error_t *err) {
    return append(&garbage->removed, &garbage->removed_count, path, bytes, err);
}

static dfaiss_status_t note_left(garbage_t *garbage, const char *path, uint64_t bytes, dfaiss_error_t *err) {
    return append(&garbage->left, &garbage->left_count, path, bytes, err);
}

/* ---- names ---- */

/* "shard-0003.h5" */
static bool is_shard_name(const char *name) {
    static const char begin[] = "shard-";
    if (strncmp(name, begin, sizeof begin - 1) != 0)
        return false;
    name += sizeof begin - 1;
    size_t digits = strspn(name, "0123456789");
    return digits >= 4 && digits <= 9 && strcmp(name + digits, ".h5") == 0;
}

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Something that only dfaiss puts into an index's folder, as far as its name tells. */
static bool is_ours(const char *name) {
    return strcmp(name, "manifest.json") == 0 || strcmp(name, manifest_beside) == 0 || lease_is_name(name) || manifest_folder_generation(name) >= 0;
}

/* ---- walking through a folder ---- */

typedef struct sweep {
    const manifest_t *manifest;
    garbage_t *garbage;
    bool dry;
    time_t now; /* by the storage's clock, about */
    char folder[PATH_MAX];
    int64_t generation; /* whose folder it is; -1: the index's own */
    uint64_t bytes;     /* of what was taken out of a generation's folder that is not named */
    bool strange;       /* and it holds something that is not ours */
} sweep_t;

typedef dfaiss_status_t visit_t(sweep_t *sweep, const char *path, const char *name, const struct stat *info, dfaiss_error_t *err);

/* Visits all entries, links as what they are. One that vanishes meanwhile is passed over. */
static dfaiss_status_t for_each_entry(sweep_t *sweep, visit_t *visit, dfaiss_error_t *err) {
    DIR *directory = opendir(sweep->folder);
    if (!directory)
        return error_system(err, "open", sweep->folder, errno);
    dfaiss_status_t status = DFAISS_OK;
    for (const struct dirent *entry; status == DFAISS_OK && (entry = readdir(directory));) {
        char path[PATH_MAX];
        struct stat info;
        if (is_dots(entry->d_name))
            continue;
        status = file_join(path, sizeof path, sweep->folder, entry->d_name, err);
        if (status == DFAISS_OK && lstat(path, &info) == 0)
            status = visit(sweep, path, entry->d_name, &info, err);
    }
    closedir(directory);
    return status;
}

static dfaiss_status_t remove_one(const sweep_t *sweep, const char *path, dfaiss_error_t *err) {
    return sweep->dry || fault_remove(path) == 0 || errno == ENOENT ? DFAISS_OK : error_system(err, "remove", path, errno);
}

/* ---- a generation's folder ---- */

static dfaiss_status_t visit_shard(sweep_t *sweep, const char *path, const char *name, const struct stat *info, dfaiss_error_t *err) {
    bool named_folder = manifest_names_folder(sweep->manifest, sweep->generation);
    if (manifest_names_file(sweep->manifest, sweep->generation, name))
        return DFAISS_OK;
    if (!S_ISREG(info->st_mode) || !is_shard_name(name)) {
        sweep->strange = true;
        return named_folder ? DFAISS_OK : note_left(sweep->garbage, path, S_ISREG(info->st_mode) ? (uint64_t)info->st_size : 0, err);
    }
    TRY(remove_one(sweep, path, err));
    if (named_folder)
        return note_removed(sweep->garbage, path, (uint64_t)info->st_size, err);
    sweep->bytes += (uint64_t)info->st_size;
    return DFAISS_OK;
}

static dfaiss_status_t sweep_generation(const sweep_t *outer, const char *path, int64_t generation, dfaiss_error_t *err) {
    sweep_t sweep = {.manifest = outer->manifest, .garbage = outer->garbage, .dry = outer->dry, .generation = generation};
    snprintf(sweep.folder, sizeof sweep.folder, "%s", path);
    dfaiss_status_t status = for_each_entry(&sweep, visit_shard, err);
    bool emptied = status == DFAISS_OK && !sweep.strange && !manifest_names_folder(outer->manifest, generation);
    if (emptied)
        status = remove_one(&sweep, path, err);
    if (emptied || sweep.bytes > 0) {
        dfaiss_status_t noted = note_removed(outer->garbage, path, sweep.bytes, status == DFAISS_OK ? err : NULL);
        status = status == DFAISS_OK ? noted : status;
    }
    return status;
}

/* ---- an index's folder ---- */

static dfaiss_status_t visit_entry(sweep_t *sweep, const char *path, const char *name, const struct stat *info, dfaiss_error_t *err) {
    int64_t generation = manifest_folder_generation(name);
    if (generation >= 0 && S_ISDIR(info->st_mode))
        return sweep_generation(sweep, path, generation, err);
    bool attempt = lease_is_name(name) && strcmp(name, lease_name) != 0 && info->st_mtim.tv_sec + LEASE_ATTEMPT_SECONDS < sweep->now;
    if (!S_ISREG(info->st_mode) || (!attempt && strcmp(name, manifest_beside) != 0))
        return DFAISS_OK;
    TRY(remove_one(sweep, path, err));
    return note_removed(sweep->garbage, path, (uint64_t)info->st_size, err);
}

static dfaiss_status_t sweep_index(const char *storage, const char *index, sweep_t *sweep, dfaiss_error_t *err) {
    manifest_t manifest = {0};
    if (manifest_exists(storage, index))
        TRY(manifest_read(storage, index, &manifest, err));
    sweep->manifest = &manifest;
    dfaiss_status_t status = for_each_entry(sweep, visit_entry, err);
    manifest_clear(&manifest);
    return status;
}

/* ---- a lease, and all the rest while it is held ---- */

/* A lease that nobody holds goes with the one that takes its place. */
static dfaiss_status_t note_lease(const sweep_t *sweep, dfaiss_error_t *err) {
    char path[PATH_MAX];
    struct stat info;
    TRY(file_join(path, sizeof path, sweep->folder, lease_name, err));
    return lstat(path, &info) == 0 ? note_removed(sweep->garbage, path, (uint64_t)info.st_size, err) : DFAISS_OK;
}

static time_t storage_time(const sweep_t *sweep) {
    char path[PATH_MAX];
    struct stat info;
    bool held = !sweep->dry && file_join(path, sizeof path, sweep->folder, lease_name, NULL) == DFAISS_OK && lstat(path, &info) == 0;
    return held ? info.st_mtim.tv_sec : time(NULL);
}

static bool holds_ours(const char *folder) {
    struct stat info;
    DIR *directory = lstat(folder, &info) == 0 && S_ISDIR(info.st_mode) ? opendir(folder) : NULL;
    bool found = false;
    if (!directory)
        return false;
    for (const struct dirent *entry; !found && (entry = readdir(directory));)
        found = is_ours(entry->d_name);
    closedir(directory);
    return found;
}

dfaiss_status_t garbage_collect(const char *storage, const char *index, bool dry, garbage_t *garbage, dfaiss_error_t *err) {
    sweep_t sweep = {.garbage = garbage, .dry = dry, .generation = -1};
    lease_t *lease = NULL;
    bool stale = false;
    TRY(manifest_index_path(storage, index, sweep.folder, sizeof sweep.folder, err));
    if (!holds_ours(sweep.folder))
        return error_set(err, DFAISS_ERR_NOT_FOUND, index, "there is nothing of an index %s in the storage %s", index, storage);
    TRY(lease_look(storage, index, NULL, &stale, err));
    if (!dry)
        TRY(lease_take(storage, index, NULL, &lease, err));
    sweep.now = storage_time(&sweep);
    dfaiss_status_t status = stale ? note_lease(&sweep, err) : DFAISS_OK;
    if (status == DFAISS_OK)
        status = sweep_index(storage, index, &sweep, err);
    lease_release(lease);
    return status;
}

/* ---- which indexes there are, or were ---- */

static int compare_names(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static dfaiss_status_t append_name(const char *storage, const char *name, char ***names, int64_t *count, dfaiss_error_t *err) {
    char folder[PATH_MAX];
    if (index_name_check(name, NULL) != DFAISS_OK)
        return DFAISS_OK;
    TRY(file_join(folder, sizeof folder, storage, name, err));
    if (!holds_ours(folder))
        return DFAISS_OK;
    char **grown = realloc(*names, (size_t)(*count + 1) * sizeof *grown);
    if (grown)
        *names = grown;
    char *copy = grown ? strdup(name) : NULL;
    if (!copy)
        return error_memory(err, (size_t)(*count + 1) * sizeof *grown, "the list of indexes");
    (*names)[(*count)++] = copy;
    return DFAISS_OK;
}

dfaiss_status_t garbage_list(const char *storage, char ***names, int64_t *count, dfaiss_error_t *err) {
    char **found = NULL;
    int64_t found_count = 0;
    DIR *directory = opendir(storage);
    if (!directory)
        return error_system(err, "open the storage", storage, errno);
    dfaiss_status_t status = DFAISS_OK;
    for (const struct dirent *entry; status == DFAISS_OK && (entry = readdir(directory));)
        status = append_name(storage, entry->d_name, &found, &found_count, err);
    closedir(directory);
    if (status != DFAISS_OK) {
        for (int64_t i = 0; i < found_count; i++)
            free(found[i]);
        free(found);
        return status;
    }
    if (found_count > 1)
        qsort(found, (size_t)found_count, sizeof *found, compare_names);
    *names = found;
    *count = found_count;
    return DFAISS_OK;
}
