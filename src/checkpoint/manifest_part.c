/* The parts of a generation and their chains of files: what they obey, whoever made them, and what follows from them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/manifest_json.h"

enum { FOLDER_DIGITS_MOST = 18 };

/* ---- names ---- */

void manifest_shard_name(int server, char *name, size_t capacity) {
    snprintf(name, capacity, "shard-%04d.h5", server);
}

void manifest_file_name(int64_t generation, int server, char name[MANIFEST_FILE_NAME]) {
    char shard[32];
    manifest_shard_name(server, shard, sizeof shard);
    snprintf(name, MANIFEST_FILE_NAME, "g%06" PRId64 "/%s", generation, shard);
}

int64_t manifest_file_generation(const manifest_file_t *file) {
    return strtoll(file->name + 1, NULL, 10);
}

/* A name that is not exactly what the writer of this part would give: it is joined to a folder, and must not lead out of it. */
static bool name_fits(const char *name, int server) {
    char expected[MANIFEST_FILE_NAME];
    size_t digits = *name == 'g' ? strspn(name + 1, "0123456789") : 0;
    if (digits == 0 || digits > FOLDER_DIGITS_MOST)
        return false;
    manifest_file_name(strtoll(name + 1, NULL, 10), server, expected);
    return strcmp(name, expected) == 0;
}

/* ---- what a generation obeys ---- */

/* Where a check is, for its text. */
typedef struct check {
    const manifest_generation_t *generation;
    int part;
    dfaiss_status_t code;
    const char *where;
    dfaiss_error_t *err;
} check_t;

static dfaiss_status_t wrong_file(const check_t *check, int64_t file, const char *what) {
    return error_set(check->err, check->code, check->where, "%s: generation %" PRId64 ": part %d: file %" PRId64 " (\"%s\"): %s", check->where,
                     check->generation->number, check->part, file, check->generation->parts[check->part].files[file].name, what);
}

static dfaiss_status_t check_name(const check_t *check, int64_t number) {
    const manifest_file_t *files = check->generation->parts[check->part].files;
    char expected[96];
    snprintf(expected, sizeof expected, "expected the name of a file of part %d, such as g000001/shard-%04d.h5", check->part, check->part);
    if (!name_fits(files[number].name, check->part))
        return wrong_file(check, number, expected);
    if (manifest_file_generation(&files[number]) > check->generation->number)
        return wrong_file(check, number, "its folder is that of a later generation");
    if (number > 0 && manifest_file_generation(&files[number]) <= manifest_file_generation(&files[number - 1]))
        return wrong_file(check, number, "the folders of a part's files must ascend");
    return DFAISS_OK;
}

static dfaiss_status_t check_extent(const check_t *check, int64_t number) {
    const manifest_file_t *file = &check->generation->parts[check->part].files[number], *before = number > 0 ? file - 1 : NULL;
    int64_t first_row = before ? before->rows : 0, indexed = before ? before->indexed : 0;
    if (file->first_row != first_row || file->rows < file->first_row)
        return wrong_file(check, number, "first_row must be where the file before ends, and rows not below");
    if (file->first_indexed < 0 || file->first_indexed > indexed || file->indexed < indexed || file->indexed > file->rows)
        return wrong_file(check, number, "first_indexed must be at most where the file before ends, and indexed not below that nor above rows");
    if (file->held < 0 || file->held > file->indexed - file->first_indexed)
        return wrong_file(check, number, "held must be from 0 to indexed - first_indexed");
    if (file->bytes > INT64_MAX)
        return wrong_file(check, number, "no file is as large as bytes says");
    return DFAISS_OK;
}

static dfaiss_status_t check_part(const check_t *check) {
    const manifest_part_t *part = &check->generation->parts[check->part];
    if (part->file_count < 1)
        return error_set(check->err, check->code, check->where, "%s: generation %" PRId64 ": part %d has no file", check->where,
                         check->generation->number, check->part);
    for (int64_t i = 0; i < part->file_count; i++) {
        TRY(check_name(check, i));
        TRY(check_extent(check, i));
    }
    if (part->buffered < 0 || part->buffered > part->vectors || part->vectors > part->files[part->file_count - 1].rows)
        return error_set(check->err, check->code, check->where,
                         "%s: generation %" PRId64 ": part %d: expected buffered between 0 and vectors, which is %" PRId64 ", found %" PRId64
                         "; and no more vectors than rows",
                         check->where, check->generation->number, check->part, part->vectors, part->buffered);
    return DFAISS_OK;
}

static dfaiss_status_t check_parts(const manifest_generation_t *generation, dfaiss_status_t code, const char *where, dfaiss_error_t *err) {
    int64_t vectors = generation->vectors, buffered = generation->buffered;
    if (generation->part_count != generation->servers)
        return error_set(err, code, where, "%s: generation %" PRId64 ": expected a part for each of %d servers, found %" PRId64, where,
                         generation->number, generation->servers, generation->part_count);
    for (int i = 0; i < generation->servers; i++) {
        check_t check = {.generation = generation, .part = i, .code = code, .where = where, .err = err};
        TRY(check_part(&check));
        vectors -= generation->parts[i].vectors;
        buffered -= generation->parts[i].buffered;
        if (vectors < 0 || buffered < 0)
            break;
    }
    if (vectors != 0 || buffered != 0)
        return error_set(err, code, where, "%s: generation %" PRId64 ": its parts have another number of vectors than it says", where,
                         generation->number);
    return DFAISS_OK;
}

dfaiss_status_t manifest_check_generation(const manifest_generation_t *generation, dfaiss_status_t code, const char *where, dfaiss_error_t *err) {
    const manifest_generation_t *g = generation;
    if (g->number < 0)
        return error_set(err, code, where, "%s: the generation's number %" PRId64 " is negative", where, g->number);
    if (g->servers < 1)
        return error_set(err, code, where, "%s: generation %" PRId64 ": expected at least 1 server, found %d", where, g->number, g->servers);
    if (g->buffered < 0 || g->buffered > g->vectors)
        return error_set(err, code, where,
                         "%s: generation %" PRId64 ": expected buffered between 0 and vectors, which is %" PRId64 ", found %" PRId64, where,
                         g->number, g->vectors, g->buffered);
    if (g->next_id < 0)
        return error_set(err, code, where, "%s: generation %" PRId64 ": next_id %" PRId64 " is negative", where, g->number, g->next_id);
    if (!json_is_object(g->config))
        return error_set(err, code, where, "%s: generation %" PRId64 ": config is not an object", where, g->number);
    return check_parts(g, code, where, err);
}

/* ---- what follows ---- */

int64_t manifest_file_until(const manifest_part_t *part, int64_t file) {
    int64_t until = part->files[file].indexed;
    for (int64_t i = file + 1; i < part->file_count; i++)
        until = part->files[i].first_indexed < until ? part->files[i].first_indexed : until;
    return until;
}

uint64_t manifest_part_bytes(const manifest_part_t *part) {
    uint64_t bytes = 0;
    for (int64_t i = 0; i < part->file_count; i++)
        bytes += part->files[i].bytes;
    return bytes;
}

uint64_t manifest_generation_bytes(const manifest_generation_t *generation) {
    uint64_t bytes = 0;
    for (int64_t i = 0; i < generation->part_count; i++)
        bytes += manifest_part_bytes(&generation->parts[i]);
    return bytes;
}

/* ---- copies ---- */

dfaiss_status_t manifest_copy_part(const manifest_part_t *from, manifest_part_t *to, dfaiss_error_t *err) {
    size_t bytes = (size_t)from->file_count * sizeof *from->files;
    manifest_file_t *files = malloc(bytes ? bytes : 1);
    if (!files)
        return error_memory(err, bytes, "a manifest");
    if (bytes)
        memcpy(files, from->files, bytes);
    *to = *from;
    to->files = files;
    return DFAISS_OK;
}

void manifest_clear_part(manifest_part_t *part) {
    free(part->files);
    *part = (manifest_part_t){0};
}

void manifest_clear_generation(manifest_generation_t *generation) {
    json_decref(generation->config);
    for (int64_t i = 0; generation->parts && i < generation->part_count; i++)
        manifest_clear_part(&generation->parts[i]);
    free(generation->parts);
    *generation = (manifest_generation_t){0};
}

dfaiss_status_t manifest_copy_generation(const manifest_generation_t *from, manifest_generation_t *to, dfaiss_error_t *err) {
    manifest_generation_t made = *from;
    made.config = json_incref(from->config);
    made.part_count = 0;
    made.parts = calloc((size_t)from->part_count + 1, sizeof *made.parts);
    dfaiss_status_t status = made.parts ? DFAISS_OK : error_memory(err, (size_t)from->part_count * sizeof *made.parts, "a manifest");
    while (status == DFAISS_OK && made.part_count < from->part_count) {
        status = manifest_copy_part(&from->parts[made.part_count], &made.parts[made.part_count], err);
        made.part_count += status == DFAISS_OK;
    }
    if (status != DFAISS_OK) {
        manifest_clear_generation(&made);
        return status;
    }
    *to = made;
    return DFAISS_OK;
}
