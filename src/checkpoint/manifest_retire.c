#include "checkpoint/manifest_retire.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

int64_t manifest_folder_generation(const char *name) {
    size_t digits = strspn(name + (*name == 'g'), "0123456789");
    if (*name != 'g' || digits < 6 || digits > 18 || name[1 + digits])
        return -1;
    return strtoll(name + 1, NULL, 10);
}

/* What is done with the entries of a folder. */
typedef struct sweep {
    const manifest_t *kept;
    int64_t limit;
    int64_t folder; /* the generation whose folder it is; -1: the index's own */
    int64_t removed;
} sweep_t;

static dfaiss_status_t sweep_folder(const char *path, sweep_t *sweep, dfaiss_error_t *err);

/* ---- what is named ---- */

static bool part_names_folder(const manifest_part_t *part, int64_t number) {
    for (int64_t i = 0; i < part->file_count; i++)
        if (manifest_file_generation(&part->files[i]) == number)
            return true;
    return false;
}

bool manifest_names_folder(const manifest_t *kept, int64_t number) {
    for (int64_t i = 0; i < kept->count; i++)
        for (int64_t part = 0; part < kept->generations[i].part_count; part++)
            if (part_names_folder(&kept->generations[i].parts[part], number))
                return true;
    return false;
}

static bool part_names_file(const manifest_part_t *part, int64_t number, const char *name) {
    for (int64_t i = 0; i < part->file_count; i++)
        if (manifest_file_generation(&part->files[i]) == number && strcmp(strchr(part->files[i].name, '/') + 1, name) == 0)
            return true;
    return false;
}

bool manifest_names_file(const manifest_t *kept, int64_t number, const char *name) {
    for (int64_t i = 0; i < kept->count; i++)
        for (int64_t part = 0; part < kept->generations[i].part_count; part++)
            if (part_names_file(&kept->generations[i].parts[part], number, name))
                return true;
    return false;
}

/* ---- removing ---- */

/* A folder of the index: it goes, or what is not named in it does. */
static dfaiss_status_t sweep_generation(const char *path, int64_t number, sweep_t *sweep, dfaiss_error_t *err) {
    sweep_t inside = {.kept = sweep->kept, .folder = number};
    if (number < 0 || number > sweep->limit)
        return DFAISS_OK;
    if (manifest_names_folder(sweep->kept, number))
        return sweep_folder(path, &inside, err);
    TRY(file_remove_tree(path, err));
    sweep->removed++;
    return DFAISS_OK;
}

static dfaiss_status_t sweep_entry(const char *folder, const char *name, sweep_t *sweep, dfaiss_error_t *err) {
    char path[PATH_MAX];
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return DFAISS_OK;
    TRY(file_join(path, sizeof path, folder, name, err));
    if (sweep->folder < 0)
        return sweep_generation(path, manifest_folder_generation(name), sweep, err);
    return manifest_names_file(sweep->kept, sweep->folder, name) ? DFAISS_OK : file_remove_tree(path, err);
}

static dfaiss_status_t sweep_folder(const char *path, sweep_t *sweep, dfaiss_error_t *err) {
    DIR *directory = opendir(path);
    if (!directory)
        return error_system(err, "open", path, errno);
    dfaiss_status_t status = DFAISS_OK;
    errno = 0;
    for (const struct dirent *entry; (entry = readdir(directory)); errno = 0) {
        dfaiss_status_t swept = sweep_entry(path, entry->d_name, sweep, status == DFAISS_OK ? err : NULL);
        status = status == DFAISS_OK ? swept : status;
    }
    if (errno != 0 && status == DFAISS_OK)
        status = error_system(err, "read", path, errno);
    closedir(directory);
    return status;
}

dfaiss_status_t manifest_retire(const char *index_folder, const manifest_t *kept, int64_t limit, int64_t *removed, dfaiss_error_t *err) {
    sweep_t sweep = {.kept = kept, .limit = limit, .folder = -1};
    dfaiss_status_t status = sweep_folder(index_folder, &sweep, err);
    if (removed)
        *removed = sweep.removed;
    return status;
}
