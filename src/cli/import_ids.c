#include "cli/import_ids.h"

#include <inttypes.h>
#include <stdlib.h>

static dfaiss_status_t put(import_ids_t *noted, int64_t first, int64_t end, int file, dfaiss_error_t *err) {
    import_run_t *last = noted->count ? &noted->runs[noted->count - 1] : NULL;
    if (last && last->file == file && last->end == first) {
        last->end = end;
        return DFAISS_OK;
    }
    if (noted->count == noted->capacity) {
        int64_t capacity = noted->capacity ? 2 * noted->capacity : 64;
        import_run_t *runs = realloc(noted->runs, (size_t)capacity * sizeof *runs);
        if (!runs)
            return error_memory(err, (size_t)capacity * sizeof *runs, "the ids of all files");
        noted->runs = runs;
        noted->capacity = capacity;
    }
    noted->runs[noted->count++] = (import_run_t){.first = first, .end = end, .file = file};
    return DFAISS_OK;
}

static dfaiss_status_t too_large(const char *path, int64_t id, int64_t offset, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_DATA, path, "%s: id %" PRId64 " and its offset %" PRId64 " are too large together", path, id, offset);
}

dfaiss_status_t import_ids_note(import_ids_t *noted, int file, const char *path, int64_t offset, int64_t n, int64_t *ids, dfaiss_error_t *err) {
    if (n == 0)
        return DFAISS_OK;
    if (!ids)
        return n < INT64_MAX - offset ? put(noted, offset, offset + n, file, err) : too_large(path, n - 1, offset, err);
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] >= INT64_MAX - offset)
            return too_large(path, ids[i], offset, err);
        ids[i] += offset;
        TRY(put(noted, ids[i], ids[i] + 1, file, err));
    }
    return DFAISS_OK;
}

static int compare_runs(const void *one, const void *other) {
    int64_t a = ((const import_run_t *)one)->first, b = ((const import_run_t *)other)->first;
    return (a > b) - (a < b);
}

dfaiss_status_t import_ids_check(import_ids_t *noted, const char *const *paths, int64_t *next_id, dfaiss_error_t *err) {
    int64_t greatest = 0;
    if (noted->count > 0)
        qsort(noted->runs, (size_t)noted->count, sizeof *noted->runs, compare_runs);
    for (int64_t i = 0; i < noted->count; i++) {
        const import_run_t *run = &noted->runs[i];
        if (run->first < greatest)
            return error_set(err, DFAISS_ERR_DATA, paths[run->file], "id %" PRId64 " is in %s and in %s; --id-offset tells the ids of files apart",
                             run->first, paths[noted->runs[i - 1].file], paths[run->file]);
        greatest = run->end;
    }
    *next_id = greatest;
    return DFAISS_OK;
}
