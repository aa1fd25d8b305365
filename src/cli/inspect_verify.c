#include "cli/inspect_verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/team.h"
#include "cli/launch.h"

enum { THREADS_MOST = 16 }; /* more do not read faster from what is read here */

typedef struct verdict {
    const manifest_file_t *file;
    dfaiss_error_t damage; /* code OK: none */
} verdict_t;

struct inspect_verdicts {
    const char *storage;
    const manifest_t *manifest;
    bool every_byte;
    progress_t *progress;
    verdict_t *list; /* by file, each once */
    int64_t count;
    uint64_t bytes, read; /* read: added to atomically */
};

void inspect_verdicts_destroy(inspect_verdicts_t *verdicts) {
    if (!verdicts)
        return;
    free(verdicts->list);
    free(verdicts);
}

/* ---- the files, each once ---- */

/* What a file should be: generations that share one say the same of it. */
static int compare_files(const manifest_file_t *one, const manifest_file_t *other) {
    int order = strcmp(one->name, other->name);
    if (order == 0)
        order = (one->bytes > other->bytes) - (one->bytes < other->bytes);
    return order ? order : (one->checksum > other->checksum) - (one->checksum < other->checksum);
}

static int compare_verdicts(const void *one, const void *other) {
    return compare_files(((const verdict_t *)one)->file, ((const verdict_t *)other)->file);
}

static int64_t count_files(const manifest_t *manifest) {
    int64_t count = 0;
    for (int64_t i = 0; i < manifest->count; i++)
        for (int64_t part = 0; part < manifest->generations[i].part_count; part++)
            count += manifest->generations[i].parts[part].file_count;
    return count;
}

static void put_files(inspect_verdicts_t *verdicts, const manifest_part_t *part) {
    for (int64_t i = 0; i < part->file_count; i++)
        verdicts->list[verdicts->count++].file = &part->files[i];
}

static dfaiss_status_t list_files(inspect_verdicts_t *verdicts, dfaiss_error_t *err) {
    const manifest_t *manifest = verdicts->manifest;
    size_t most = (size_t)count_files(manifest);
    verdicts->list = calloc(most + 1, sizeof *verdicts->list);
    if (!verdicts->list)
        return error_memory(err, most * sizeof *verdicts->list, "the list of files");
    for (int64_t i = 0; i < manifest->count; i++)
        for (int64_t part = 0; part < manifest->generations[i].part_count; part++)
            put_files(verdicts, &manifest->generations[i].parts[part]);
    qsort(verdicts->list, (size_t)verdicts->count, sizeof *verdicts->list, compare_verdicts);
    int64_t kept = 0;
    for (int64_t i = 0; i < verdicts->count; i++)
        if (kept == 0 || compare_verdicts(&verdicts->list[i], &verdicts->list[kept - 1]) != 0)
            verdicts->list[kept++] = verdicts->list[i];
    verdicts->count = kept;
    for (int64_t i = 0; i < kept; i++)
        verdicts->bytes += verdicts->list[i].file->bytes;
    return DFAISS_OK;
}

/* ---- reading them ---- */

static void verify_one(void *context, int64_t task, int thread) {
    inspect_verdicts_t *verdicts = context;
    verdict_t *verdict = &verdicts->list[task];
    const char *index = verdicts->manifest->index;
    dfaiss_error_t damage = {.code = DFAISS_OK};
    dfaiss_status_t status = verdicts->every_byte ? manifest_verify_file(verdicts->storage, index, verdict->file, &damage)
                                                  : manifest_check_size(verdicts->storage, index, verdict->file, &damage);
    if (status != DFAISS_OK)
        verdict->damage = damage;
    uint64_t read = __atomic_add_fetch(&verdicts->read, verdict->file->bytes, __ATOMIC_RELAXED);
    if (thread == 0 && verdicts->bytes > 0)
        progress_update(verdicts->progress, "verify", (double)read / (double)verdicts->bytes);
}

static int threads_for(int64_t files) {
    int64_t cores = launch_usable_cores(), most = cores < THREADS_MOST ? cores : THREADS_MOST;
    most = most < files ? most : files;
    return most > 1 ? (int)most : 1;
}

dfaiss_status_t inspect_verify(const char *storage, const manifest_t *manifest, bool every_byte, progress_t *progress, inspect_verdicts_t **out,
                               dfaiss_error_t *err) {
    team_t *team = NULL;
    inspect_verdicts_t *verdicts = calloc(1, sizeof *verdicts);
    if (!verdicts)
        return error_memory(err, sizeof *verdicts, "the list of files");
    *verdicts = (inspect_verdicts_t){.storage = storage, .manifest = manifest, .every_byte = every_byte, .progress = progress};
    dfaiss_status_t status = list_files(verdicts, err);
    if (status == DFAISS_OK)
        status = team_create(every_byte ? threads_for(verdicts->count) : 1, &team, err);
    if (status != DFAISS_OK) {
        inspect_verdicts_destroy(verdicts);
        return status;
    }
    team_run(team, verdicts->count, verify_one, verdicts);
    team_destroy(team);
    *out = verdicts;
    return DFAISS_OK;
}

int64_t inspect_damaged(const inspect_verdicts_t *verdicts) {
    int64_t damaged = 0;
    for (int64_t i = 0; i < verdicts->count; i++)
        damaged += verdicts->list[i].damage.code != DFAISS_OK;
    return damaged;
}

const dfaiss_error_t *inspect_verdict(const inspect_verdicts_t *verdicts, const manifest_file_t *file) {
    const verdict_t key = {.file = file};
    const verdict_t *found = bsearch(&key, verdicts->list, (size_t)verdicts->count, sizeof key, compare_verdicts);
    return found && found->damage.code != DFAISS_OK ? &found->damage : NULL;
}
