/* Paths of a storage, and the manifest's life: read, commit, drop, list, and the comparison of a file with its checksum. */
#include "checkpoint/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "checkpoint/lease.h"
#include "checkpoint/manifest_json.h"
#include "checkpoint/manifest_retire.h"
#include "config/index_name.h"

enum { MANIFEST_BYTES_MOST = 1 << 28 };

static const char manifest_name[] = "manifest.json";

/* ---- names and paths ---- */

dfaiss_status_t manifest_index_path(const char *storage, const char *index, char *path, size_t capacity, dfaiss_error_t *err) {
    TRY(index_name_check(index, err));
    return file_join(path, capacity, storage, index, err);
}

dfaiss_status_t manifest_generation_path(const char *storage, const char *index, int64_t generation, char *path, size_t capacity,
                                         dfaiss_error_t *err) {
    char folder[PATH_MAX], name[32];
    TRY(manifest_index_path(storage, index, folder, sizeof folder, err));
    snprintf(name, sizeof name, "g%06" PRId64, generation);
    return file_join(path, capacity, folder, name, err);
}

dfaiss_status_t manifest_shard_path(const char *storage, const char *index, int64_t generation, int server, char *path, size_t capacity,
                                    dfaiss_error_t *err) {
    manifest_file_t file;
    manifest_file_name(generation, server, file.name);
    return manifest_file_path(storage, index, &file, path, capacity, err);
}

dfaiss_status_t manifest_file_path(const char *storage, const char *index, const manifest_file_t *file, char *path, size_t capacity,
                                   dfaiss_error_t *err) {
    char folder[PATH_MAX];
    TRY(manifest_index_path(storage, index, folder, sizeof folder, err));
    return file_join(path, capacity, folder, file->name, err);
}

static dfaiss_status_t manifest_path(const char *storage, const char *index, char *path, size_t capacity, dfaiss_error_t *err) {
    char folder[PATH_MAX];
    TRY(manifest_index_path(storage, index, folder, sizeof folder, err));
    return file_join(path, capacity, folder, manifest_name, err);
}

/* ---- reading ---- */

static dfaiss_status_t check_storage(const char *storage, dfaiss_error_t *err) {
    struct stat info;
    if (stat(storage, &info) != 0) {
        if (errno == ENOENT)
            return error_set(err, DFAISS_ERR_NOT_FOUND, storage, "the storage %s does not exist", storage);
        return error_system(err, "open the storage", storage, errno);
    }
    return S_ISDIR(info.st_mode) ? DFAISS_OK : error_system(err, "open the storage", storage, ENOTDIR);
}

dfaiss_status_t manifest_read(const char *storage, const char *index, manifest_t *out, dfaiss_error_t *err) {
    char path[PATH_MAX];
    TRY(manifest_path(storage, index, path, sizeof path, err));
    TRY(check_storage(storage, err));
    char *text = NULL;
    size_t size = 0;
    dfaiss_status_t status = file_read_whole(path, MANIFEST_BYTES_MOST, &text, &size, err);
    if (status == DFAISS_ERR_NOT_FOUND)
        return error_set(err, status, index, "there is no index %s in the storage %s", index, storage);
    if (status == DFAISS_ERR_DATA) {
        if (err)
            err->code = DFAISS_ERR_CHECKPOINT;
        return DFAISS_ERR_CHECKPOINT;
    }
    TRY(status);
    status = manifest_decode(path, index, text, size, out, err);
    free(text);
    return status;
}

void manifest_clear(manifest_t *manifest) {
    for (int64_t i = 0; i < manifest->count; i++)
        manifest_clear_generation(&manifest->generations[i]);
    free(manifest->generations);
    *manifest = (manifest_t){0};
}

bool manifest_exists(const char *storage, const char *index) {
    char path[PATH_MAX];
    return manifest_path(storage, index, path, sizeof path, NULL) == DFAISS_OK && file_exists(path);
}

const manifest_generation_t *manifest_newest(const manifest_t *manifest) {
    return manifest->count > 0 ? &manifest->generations[manifest->count - 1] : NULL;
}

/* ---- folders of generations ---- */

dfaiss_status_t manifest_highest_folder(const char *storage, const char *index, int64_t *number, dfaiss_error_t *err) {
    char path[PATH_MAX];
    TRY(manifest_index_path(storage, index, path, sizeof path, err));
    DIR *directory = opendir(path);
    if (!directory)
        return error_system(err, "open", path, errno);
    int64_t highest = 0;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        int64_t found = manifest_folder_generation(entry->d_name);
        highest = found > highest ? found : highest;
    }
    closedir(directory);
    *number = highest;
    return DFAISS_OK;
}

/* ---- committing ---- */

/* The manifest that is there. None, or one that is to be replaced anyway and cannot be read, is empty. */
static dfaiss_status_t read_old(const char *storage, const char *index, bool replace, manifest_t *old, dfaiss_error_t *err) {
    if (!manifest_exists(storage, index))
        return DFAISS_OK;
    dfaiss_status_t status = manifest_read(storage, index, old, err);
    return replace && status == DFAISS_ERR_CHECKPOINT ? DFAISS_OK : status;
}

dfaiss_status_t manifest_check_basis(const manifest_t *manifest, const manifest_basis_t *basis, dfaiss_error_t *err) {
    const manifest_generation_t *newest = manifest_newest(manifest);
    if (!newest || newest->number == basis->newest)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_STATE, manifest->index,
                     "index %s was saved by somebody else: its newest generation is %" PRId64 "; %" PRId64 " was when this job %s it",
                     manifest->index, newest->number, basis->newest, basis->newest ? "loaded or saved" : "created");
}

/* The newest keep - 1 of the old generations, up to the one that the new one came from, and the new one. On failure the caller clears what is there.
 */
static dfaiss_status_t make_next(const char *index, const manifest_t *old, const manifest_generation_t *generation, int64_t loaded, int64_t keep,
                                 manifest_t *next, dfaiss_error_t *err) {
    int64_t whole = old->count;
    while (whole > 0 && old->generations[whole - 1].number > loaded)
        whole--;
    int64_t kept = keep - 1 < whole ? keep - 1 : whole;
    snprintf(next->index, sizeof next->index, "%s", index);
    next->generations = calloc((size_t)kept + 1, sizeof *next->generations);
    if (!next->generations)
        return error_memory(err, ((size_t)kept + 1) * sizeof *next->generations, "a manifest");
    for (; next->count < kept; next->count++)
        TRY(manifest_copy_generation(&old->generations[whole - kept + next->count], &next->generations[next->count], err));
    TRY(manifest_copy_generation(generation, &next->generations[next->count], err));
    next->count++;
    return DFAISS_OK;
}

/* Makes the new manifest durable: its own folder is synced by the replacement, and the storage, which names that folder, here. */
static dfaiss_status_t put_manifest(const char *storage, const char *index, const manifest_t *manifest, dfaiss_error_t *err) {
    char folder[PATH_MAX], path[PATH_MAX], *text = NULL;
    TRY(manifest_index_path(storage, index, folder, sizeof folder, err));
    TRY(manifest_path(storage, index, path, sizeof path, err));
    TRY(file_make_directories(folder, err));
    TRY(file_sync_directory(storage, err));
    TRY(manifest_encode(manifest, &text, err));
    dfaiss_status_t status = file_replace(path, text, strlen(text), err);
    free(text);
    return status;
}

/* The new manifest stands: what cannot be removed costs space, but is no failure of the commit. */
static void sweep_after_commit(const char *storage, const char *index, const manifest_t *manifest, bool replace) {
    char folder[PATH_MAX];
    dfaiss_error_t err = {0};
    int64_t limit = replace ? INT64_MAX : manifest_newest(manifest)->number;
    if (manifest_index_path(storage, index, folder, sizeof folder, &err) != DFAISS_OK ||
        manifest_retire(folder, manifest, limit, NULL, &err) != DFAISS_OK)
        log_write(LOG_LEVEL_WARNING, "an old generation of index %s stays: %s", index, err.text);
}

/* ---- whose files a new generation shares ---- */

static const manifest_generation_t *find_generation(const manifest_t *manifest, int64_t number) {
    for (int64_t i = 0; i < manifest->count; i++)
        if (manifest->generations[i].number == number)
            return &manifest->generations[i];
    return NULL;
}

static bool same_file(const manifest_file_t *one, const manifest_file_t *other) {
    return strcmp(one->name, other->name) == 0 && one->bytes == other->bytes && one->checksum == other->checksum &&
           one->first_row == other->first_row && one->rows == other->rows && one->first_indexed == other->first_indexed &&
           one->indexed == other->indexed && one->held == other->held;
}

/* Files of older folders are the first ones of the same part's chain in the generation that the new one came from. */
static dfaiss_status_t check_shared(const manifest_t *old, const manifest_generation_t *generation, int64_t loaded, dfaiss_error_t *err) {
    const manifest_generation_t *from = find_generation(old, loaded);
    for (int64_t number = 0; number < generation->part_count; number++) {
        const manifest_part_t *part = &generation->parts[number];
        const manifest_part_t *before = from && number < from->part_count ? &from->parts[number] : NULL;
        for (int64_t i = 0; i < part->file_count && manifest_file_generation(&part->files[i]) < generation->number; i++)
            if (!before || i >= before->file_count || !same_file(&part->files[i], &before->files[i]))
                return error_set(err, DFAISS_ERR_ARG, generation->parts[number].files[i].name,
                                 "generation %" PRId64 " shares %s with generation %" PRId64 ", which does not have it there", generation->number,
                                 part->files[i].name, loaded);
    }
    return DFAISS_OK;
}

dfaiss_status_t manifest_commit(const char *storage, const char *index, const manifest_generation_t *generation, const manifest_basis_t *basis,
                                int64_t keep, bool replace, dfaiss_error_t *err) {
    manifest_t old = {0}, next = {0};
    if (keep < 1)
        return error_set(err, DFAISS_ERR_ARG, index, "keep_generations is %" PRId64 "; expected at least 1", keep);
    TRY(index_name_check(index, err));
    TRY(manifest_check_generation(generation, DFAISS_ERR_ARG, index, err));
    dfaiss_status_t status = read_old(storage, index, replace, &old, err);
    const manifest_generation_t *newest = manifest_newest(&old);
    if (status == DFAISS_OK && !replace)
        status = manifest_check_basis(&old, basis, err);
    if (status == DFAISS_OK && newest && generation->number <= newest->number)
        status = error_set(err, DFAISS_ERR_ARG, index, "generation %" PRId64 " of index %s does not follow the newest, which is %" PRId64,
                           generation->number, index, newest->number);
    if (status == DFAISS_OK)
        status = check_shared(&old, generation, replace ? -1 : basis->generation, err);
    if (status == DFAISS_OK)
        status = make_next(index, &old, generation, basis->generation, replace ? 1 : keep, &next, err);
    if (status == DFAISS_OK)
        status = put_manifest(storage, index, &next, err);
    if (status == DFAISS_OK)
        sweep_after_commit(storage, index, &next, replace);
    manifest_clear(&old);
    manifest_clear(&next);
    return status;
}

/* ---- dropping ---- */

static dfaiss_status_t remove_file(const char *path, dfaiss_error_t *err) {
    return fault_remove(path) == 0 || errno == ENOENT ? DFAISS_OK : error_system(err, "remove", path, errno);
}

/* Anything that is not ours. */
static bool holds_strange_files(const char *folder) {
    DIR *directory = opendir(folder);
    bool strange = false;
    if (!directory)
        return false;
    for (const struct dirent *entry; (entry = readdir(directory));)
        strange = strange || (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && !lease_is_name(entry->d_name));
    closedir(directory);
    return strange;
}

/* A folder with files that are not ours stays, and one with a lease until that is released. */
static dfaiss_status_t remove_folder(const char *path, dfaiss_error_t *err) {
    if (fault_remove(path) == 0 || errno == ENOENT)
        return DFAISS_OK;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return error_system(err, "remove", path, errno);
    if (holds_strange_files(path))
        log_write(LOG_LEVEL_WARNING, "%s stays: it holds files that dfaiss did not write", path);
    return DFAISS_OK;
}

dfaiss_status_t manifest_drop(const char *storage, const char *index, dfaiss_error_t *err) {
    char folder[PATH_MAX], path[PATH_MAX], beside[PATH_MAX];
    TRY(manifest_index_path(storage, index, folder, sizeof folder, err));
    TRY(manifest_path(storage, index, path, sizeof path, err));
    TRY(file_join(beside, sizeof beside, folder, "manifest.json.new", err));
    TRY(check_storage(storage, err));
    bool named = file_exists(path);
    manifest_t none = {0};
    int64_t removed = 0;
    if (named) {
        TRY(remove_file(path, err));
        TRY(file_sync_directory(folder, err));
    }
    if (file_exists(folder))
        TRY(manifest_retire(folder, &none, INT64_MAX, &removed, err));
    if (!named && removed == 0)
        return error_set(err, DFAISS_ERR_NOT_FOUND, index, "there is no index %s in the storage %s", index, storage);
    TRY(remove_file(beside, err));
    return remove_folder(folder, err);
}

/* ---- verifying ---- */

static dfaiss_status_t check_size(const char *path, const manifest_file_t *file, dfaiss_error_t *err) {
    uint64_t bytes = 0;
    dfaiss_status_t status = file_size(path, &bytes, err);
    if (status == DFAISS_ERR_NOT_FOUND)
        return error_set(err, DFAISS_ERR_CHECKPOINT, path, "%s is missing: the manifest names it with %" PRIu64 " bytes", path, file->bytes);
    /* Something that is not a regular file. */
    if (status == DFAISS_ERR_DATA)
        return error_set(err, DFAISS_ERR_CHECKPOINT, path, "%s is not a regular file", path);
    TRY(status);
    if (bytes != file->bytes)
        return error_set(err, DFAISS_ERR_CHECKPOINT, path, "%s is damaged: expected %" PRIu64 " bytes, found %" PRIu64, path, file->bytes, bytes);
    return DFAISS_OK;
}

dfaiss_status_t manifest_check_size(const char *storage, const char *index, const manifest_file_t *file, dfaiss_error_t *err) {
    char path[PATH_MAX];
    TRY(manifest_file_path(storage, index, file, path, sizeof path, err));
    return check_size(path, file, err);
}

dfaiss_status_t manifest_verify_file(const char *storage, const char *index, const manifest_file_t *file, dfaiss_error_t *err) {
    char path[PATH_MAX];
    uint64_t checksum = 0, bytes = 0;
    TRY(manifest_file_path(storage, index, file, path, sizeof path, err));
    TRY(check_size(path, file, err));
    dfaiss_status_t status = file_checksum(path, &checksum, &bytes, err);
    if (status == DFAISS_ERR_DATA && err)
        err->code = DFAISS_ERR_CHECKPOINT;
    TRY(status == DFAISS_ERR_DATA ? DFAISS_ERR_CHECKPOINT : status);
    if (checksum != file->checksum || bytes != file->bytes)
        return error_set(err, DFAISS_ERR_CHECKPOINT, path, "%s is damaged: expected checksum %016" PRIx64 ", found %016" PRIx64, path, file->checksum,
                         checksum);
    return DFAISS_OK;
}

/* ---- listing ---- */

static int compare_names(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void free_names(char **names, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static dfaiss_status_t append_name(const char *name, char ***names, int64_t *count, dfaiss_error_t *err) {
    char *copy = strdup(name);
    char **grown = copy ? realloc(*names, ((size_t)*count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(copy);
        return error_memory(err, ((size_t)*count + 1) * sizeof *grown, "the names of indexes");
    }
    grown[(*count)++] = copy;
    *names = grown;
    return DFAISS_OK;
}

dfaiss_status_t manifest_list(const char *storage, char ***names, int64_t *count, dfaiss_error_t *err) {
    TRY(check_storage(storage, err));
    DIR *directory = opendir(storage);
    if (!directory)
        return error_system(err, "open the storage", storage, errno);
    char **found = NULL;
    int64_t found_count = 0;
    dfaiss_status_t status = DFAISS_OK;
    for (struct dirent *entry; status == DFAISS_OK && (entry = readdir(directory));)
        if (manifest_exists(storage, entry->d_name))
            status = append_name(entry->d_name, &found, &found_count, err);
    closedir(directory);
    if (status != DFAISS_OK) {
        free_names(found, found_count);
        return status;
    }
    if (found_count > 1)
        qsort(found, (size_t)found_count, sizeof *found, compare_names);
    *names = found;
    *count = found_count;
    return DFAISS_OK;
}
