#include "checkpoint/generation.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "checkpoint/basis_internal.h"
#include "checkpoint/lease.h"
#include "checkpoint/manifest_json.h"
#include "checkpoint/restore.h"

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

static int64_t count_living(const shard_content_t *content, int64_t first) {
    return content->living ? bitmap_count(content->living, first, content->rows) : content->rows - first;
}

/* The files that the next one would follow; that their bytes are the same as ever is seen when they are loaded. */
static bool files_are_there(const char *storage, const char *index, const basis_t *basis) {
    dfaiss_error_t missing;
    for (int64_t i = 0; i < basis->count; i++)
        if (manifest_check_size(storage, index, &basis->links[i].file, &missing) != DFAISS_OK) {
            log_write(LOG_LEVEL_WARNING, "everything is written anew: %s", missing.text);
            return false;
        }
    return true;
}

static dfaiss_status_t write_file(const char *storage, const shard_content_t *content, const kept_rows_t *kept, manifest_file_t *file,
                                  dfaiss_error_t *err) {
    char path[PATH_MAX];
    shard_content_t written = *content;
    written.kept = kept;
    *file = (manifest_file_t){
        .first_row = kept->first_row, .rows = kept->rows, .first_indexed = kept->first_indexed, .indexed = kept->indexed, .held = kept->held};
    manifest_file_name(content->generation, content->server, file->name);
    TRY(manifest_file_path(storage, content->index, file, path, sizeof path, err));
    return shard_file_save(path, &written, &file->checksum, &file->bytes, err);
}

static dfaiss_status_t write_planned(const char *storage, const shard_content_t *content, const basis_t *basis, basis_plan_t *plan, basis_t **next,
                                     dfaiss_error_t *err) {
    manifest_file_t file;
    if (!plan->nothing)
        TRY(write_file(storage, content, &plan->kept, &file, err));
    return basis_after(content, basis, plan, plan->nothing ? NULL : &file, next, err);
}

dfaiss_status_t generation_write(const char *storage, const shard_content_t *content, const basis_t *basis, manifest_part_t *part, basis_t **next,
                                 dfaiss_error_t *err) {
    basis_plan_t plan;
    basis_t *made = NULL;
    if (basis && !files_are_there(storage, content->index, basis))
        basis = NULL;
    TRY(basis_make_plan(content, basis, &plan, err));
    dfaiss_status_t status = write_planned(storage, content, basis, &plan, &made, err);
    basis_clear_plan(&plan);
    if (status == DFAISS_OK)
        status = basis_chain(made, part, err);
    if (status != DFAISS_OK) {
        basis_destroy(made);
        return status;
    }
    part->vectors = count_living(content, 0);
    part->buffered = count_living(content, shard_content_indexed(content));
    *next = made;
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

static dfaiss_status_t read_part(const restore_source_t *source, int part, shard_content_t *content, dfaiss_error_t *err) {
    const manifest_part_t *saved = &source->parts[part];
    const manifest_file_t *newest = &saved->files[saved->file_count - 1];
    spread_t plan = {0};
    TRY(spread_whole(part, newest->rows, newest->indexed, &plan, err));
    dfaiss_status_t status = restore_read(source, &plan, content, err);
    spread_clear(&plan);
    TRY(status);
    status = restore_inputs(source, part, &content->inputs, err);
    if (status != DFAISS_OK)
        shard_content_clear(content);
    return status;
}

dfaiss_status_t generation_read(const char *storage, const char *index, int64_t number, int server, int servers, const manifest_part_t *part,
                                shard_content_t *content, dfaiss_error_t *err) {
    *content = (shard_content_t){0};
    for (int64_t i = 0; i < part->file_count; i++)
        TRY(manifest_verify_file(storage, index, &part->files[i], err));
    manifest_part_t *parts = calloc((size_t)servers, sizeof *parts);
    if (!parts)
        return error_memory(err, (size_t)servers * sizeof *parts, "loading");
    parts[server] = *part;
    const restore_source_t source = {.storage = storage, .index = index, .generation = number, .servers = servers, .parts = parts};
    dfaiss_status_t status = read_part(&source, server, content, err);
    free(parts);
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
