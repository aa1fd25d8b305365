#include "checkpoint/generation.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "checkpoint/lease.h"

/* ---- writing ---- */

/* The number of the new generation: above all that the manifest names, and where the index is to be replaced and the manifest cannot be read, above
 * every folder there is. */
static dfaiss_status_t next_number(const char *storage, const char *index, const manifest_basis_t *basis, bool replace, int64_t *number,
                                   dfaiss_error_t *err) {
    manifest_t manifest = {0};
    int64_t highest = basis->newest;
    if (manifest_exists(storage, index)) {
        dfaiss_status_t status = manifest_read(storage, index, &manifest, err);
        if (status == DFAISS_OK && !replace)
            status = manifest_check_basis(&manifest, basis, err);
        if (status == DFAISS_OK)
            highest = manifest_newest(&manifest)->number;
        else if (status == DFAISS_ERR_CHECKPOINT && replace)
            status = manifest_highest_folder(storage, index, &highest, err);
        manifest_clear(&manifest);
        TRY(status);
    }
    *number = highest + 1;
    return DFAISS_OK;
}

dfaiss_status_t generation_begin(const char *storage, const char *index, const manifest_basis_t *basis, bool replace, int64_t *number,
                                 dfaiss_error_t *err) {
    char path[PATH_MAX];
    int64_t next = 0;
    TRY(next_number(storage, index, basis, replace, &next, err));
    TRY(manifest_generation_path(storage, index, next, path, sizeof path, err));
    TRY(file_remove_tree(path, err));
    *number = next;
    return file_make_directories(path, err);
}

dfaiss_status_t generation_write(const char *storage, const shard_content_t *content, manifest_file_t *file, dfaiss_error_t *err) {
    char path[PATH_MAX];
    manifest_file_t written = {0};
    TRY(manifest_shard_path(storage, content->index, content->generation, content->server, path, sizeof path, err));
    int length = snprintf(written.name, sizeof written.name, "%s", strrchr(path, '/') + 1);
    if (length < 0 || (size_t)length >= sizeof written.name)
        return error_set(err, DFAISS_ERR_ARG, path, "the name of the file %s is too long", path);
    TRY(shard_file_save(path, content, &written.checksum, &written.bytes, err));
    *file = written;
    return DFAISS_OK;
}

dfaiss_status_t generation_commit(const char *storage, const char *index, const manifest_generation_t *generation, const manifest_basis_t *basis,
                                  int64_t keep, bool replace, dfaiss_error_t *err) {
    char path[PATH_MAX];
    TRY(manifest_generation_path(storage, index, generation->number, path, sizeof path, err));
    TRY(file_sync_directory(path, err));
    TRY(manifest_index_path(storage, index, path, sizeof path, err));
    TRY(file_sync_directory(path, err));
    return manifest_commit(storage, index, generation, basis, keep, replace, err);
}

/* Where the manifest cannot be read, one that is to be replaced is the old one. */
static bool is_named(const char *storage, const char *index, int64_t number, bool replace) {
    manifest_t manifest;
    if (!manifest_exists(storage, index))
        return false;
    if (manifest_read(storage, index, &manifest, NULL) != DFAISS_OK)
        return !replace;
    const manifest_generation_t *newest = manifest_newest(&manifest);
    bool named = newest && newest->number >= number;
    manifest_clear(&manifest);
    return named;
}

dfaiss_status_t generation_abandon(const char *storage, const char *index, int64_t number, bool replace, bool *named, dfaiss_error_t *err) {
    char path[PATH_MAX];
    *named = is_named(storage, index, number, replace);
    if (*named)
        return DFAISS_OK;
    TRY(manifest_generation_path(storage, index, number, path, sizeof path, err));
    TRY(file_remove_tree(path, err));
    /* An index that was never saved should not leave a folder either; where it holds something the system refuses. */
    TRY(manifest_index_path(storage, index, path, sizeof path, err));
    (void)fault_remove(path);
    return DFAISS_OK;
}

/* ---- reading ---- */

/* A file may be whole and yet not the one that is wanted: generations, servers and indexes never mix. */
static dfaiss_status_t check_origin(const char *path, const shard_content_t *found, const shard_content_t *expected, dfaiss_error_t *err) {
    if (strcmp(found->index, expected->index) == 0 && found->generation == expected->generation && found->server == expected->server &&
        found->servers == expected->servers)
        return DFAISS_OK;
    return error_set(
        err, DFAISS_ERR_CHECKPOINT, path,
        "%s holds server %d of %d of generation %" PRId64 " of index '%s'; server %d of %d of generation %" PRId64 " of '%s' is expected", path,
        found->server, found->servers, found->generation, found->index, expected->server, expected->servers, expected->generation, expected->index);
}

dfaiss_status_t generation_read(const char *storage, const char *index, int64_t number, int server, int servers, const manifest_file_t *file,
                                shard_content_t *content, dfaiss_error_t *err) {
    char path[PATH_MAX];
    shard_content_t expected = {.generation = number, .server = server, .servers = servers};
    *content = (shard_content_t){0};
    snprintf(expected.index, sizeof expected.index, "%s", index);
    TRY(manifest_shard_path(storage, index, number, server, path, sizeof path, err));
    TRY(manifest_verify_file(storage, index, number, file, err));
    TRY(shard_file_read(path, content, err));
    dfaiss_status_t status = check_origin(path, content, &expected, err);
    if (status != DFAISS_OK)
        shard_content_clear(content);
    return status;
}

/* ---- removing ---- */

dfaiss_status_t generation_remove_all(const char *storage, const char *index, dfaiss_error_t *err) {
    char folder[PATH_MAX];
    lease_t *lease = NULL;
    TRY(manifest_index_path(storage, index, folder, sizeof folder, err));
    /* A lease would make what is not there. */
    if (file_exists(folder))
        TRY(lease_take(storage, index, NULL, &lease, err));
    dfaiss_status_t status = manifest_drop(storage, index, err);
    lease_release(lease);
    return status;
}
