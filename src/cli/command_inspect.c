/* dfaiss inspect: what a storage holds. Needs neither MPI nor the shards' content: the manifests, the sizes of files, and with --verify all their
 * bytes.
 *
 * What was found is collected as the JSON object that --json prints; the table for people is printed from it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "checkpoint/manifest.h"
#include "cli/arguments.h"
#include "cli/inspect_print.h"
#include "cli/inspect_verify.h"
#include "cli/report.h"
#include "config/index_name.h"

enum { KEY_VERIFY = 256 };

static const struct argp_option options_table[] = {
    {"verify", KEY_VERIFY, NULL, 0, "Read every byte and compare it with the checksums of the manifest", 0}, {0}};

typedef struct inspection {
    const char *storage;
    bool verify;
    int64_t damages;      /* files */
    dfaiss_error_t first; /* the first damage */
    progress_t *progress;
    inspect_verdicts_t *verdicts; /* of the index at hand */
} inspection_t;

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    (void)argument;
    (void)err;
    *(bool *)context = true;
    return DFAISS_OK;
}

static const arguments_t arguments = {
    .command = "inspect",
    .help = "Lists the indexes of a storage with their generations, and which of their files are damaged (exit code 3 where any is).",
    .options = options_table,
    .common = ARGUMENTS_STORAGE | ARGUMENTS_INDEX,
    .set = set_option};

static dfaiss_status_t no_memory(dfaiss_error_t *err) {
    return error_memory(err, 0, "the list of indexes");
}

/* Appends to an array, taking `item` over (NULL: ERR_MEMORY). */
static dfaiss_status_t append(json_t *array, json_t *item, dfaiss_error_t *err) {
    return json_array_append_new(array, item) == 0 ? DFAISS_OK : no_memory(err);
}

static dfaiss_status_t add_damage(inspection_t *inspection, json_t *damaged, json_t *generation, const dfaiss_error_t *damage, dfaiss_error_t *err) {
    if (inspection->first.code == DFAISS_OK)
        inspection->first = *damage;
    json_t *item =
        json_pack("{s:o, s:o, s:o}", "generation", generation, "file", report_text_json(damage->where), "text", report_text_json(damage->text));
    return append(damaged, item, err);
}

/* The files of a part. *complete becomes false where one is damaged. */
static dfaiss_status_t check_part(inspection_t *inspection, int64_t generation, const manifest_part_t *part, json_t *damaged, bool *complete,
                                  dfaiss_error_t *err) {
    for (int64_t i = 0; i < part->file_count; i++) {
        const dfaiss_error_t *damage = inspect_verdict(inspection->verdicts, &part->files[i]);
        if (damage) {
            *complete = false;
            TRY(add_damage(inspection, damaged, json_integer(generation), damage, err));
        }
    }
    return DFAISS_OK;
}

static dfaiss_status_t add_generation(inspection_t *inspection, const manifest_generation_t *generation, json_t *generations, json_t *damaged,
                                      dfaiss_error_t *err) {
    bool complete = true;
    for (int64_t i = 0; i < generation->part_count; i++)
        TRY(check_part(inspection, generation->number, &generation->parts[i], damaged, &complete, err));
    return append(generations,
                  json_pack("{s:I, s:b, s:i, s:I, s:I, s:I}", "number", (json_int_t)generation->number, "complete", (int)complete, "servers",
                            generation->servers, "vectors", (json_int_t)generation->vectors, "buffered", (json_int_t)generation->buffered, "bytes",
                            (json_int_t)manifest_generation_bytes(generation)),
                  err);
}

static uint64_t folder_bytes(const char *path) {
    uint64_t bytes = 0;
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct stat info;
        if (fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_size;
    }
    closedir(folder);
    return bytes;
}

/* The number in "g000012"; -1 for any other name. */
static int64_t generation_number(const char *name) {
    char *end = NULL;
    if (name[0] != 'g' || strlen(name) < 7 || strspn(name + 1, "0123456789") != strlen(name + 1))
        return -1;
    errno = 0;
    long long number = strtoll(name + 1, &end, 10);
    return errno == 0 ? number : -1;
}

/* Folders that no manifest names: a save that is under way, or was cut off. Their content is not known. */
static dfaiss_status_t add_unnamed(const manifest_t *manifest, const char *folder_path, json_t *generations, dfaiss_error_t *err) {
    DIR *folder = opendir(folder_path);
    if (!folder)
        return error_system(err, "open", folder_path, errno);
    dfaiss_status_t status = DFAISS_OK;
    for (struct dirent *entry; status == DFAISS_OK && (entry = readdir(folder));) {
        char path[PATH_MAX];
        int64_t number = generation_number(entry->d_name);
        if (number < 0 || manifest_names_folder(manifest, number))
            continue;
        status = file_join(path, sizeof path, folder_path, entry->d_name, err);
        if (status == DFAISS_OK)
            status = append(generations,
                            json_pack("{s:I, s:b, s:n, s:n, s:n, s:I}", "number", (json_int_t)number, "complete", 0, "servers", "vectors", "buffered",
                                      "bytes", (json_int_t)folder_bytes(path)),
                            err);
    }
    closedir(folder);
    return status;
}

static dfaiss_status_t add_manifest(inspection_t *inspection, const char *index, const manifest_t *manifest, json_t *generations, json_t *damaged,
                                    dfaiss_error_t *err) {
    char folder[PATH_MAX];
    TRY(inspect_verify(inspection->storage, manifest, inspection->verify, inspection->progress, &inspection->verdicts, err));
    inspection->damages += inspect_damaged(inspection->verdicts);
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t i = 0; status == DFAISS_OK && i < manifest->count; i++)
        status = add_generation(inspection, &manifest->generations[i], generations, damaged, err);
    inspect_verdicts_destroy(inspection->verdicts);
    inspection->verdicts = NULL;
    TRY(status);
    TRY(manifest_index_path(inspection->storage, index, folder, sizeof folder, err));
    return add_unnamed(manifest, folder, generations, err);
}

static dfaiss_status_t add_index(inspection_t *inspection, const char *index, json_t *indexes, dfaiss_error_t *err) {
    json_t *generations = json_array(), *damaged = json_array();
    json_t *object = json_pack("{s:s, s:o, s:o}", "name", index, "generations", generations, "damaged", damaged);
    /* Whether or not it is all there, the list owns it from here on. */
    TRY(append(indexes, object, err));
    manifest_t manifest = {0};
    dfaiss_error_t damage;
    dfaiss_status_t status = manifest_read(inspection->storage, index, &manifest, &damage);
    if (status == DFAISS_ERR_CHECKPOINT) {
        inspection->damages++;
        return add_damage(inspection, damaged, json_null(), &damage, err);
    }
    if (status != DFAISS_OK) {
        if (err)
            *err = damage;
        return status;
    }
    status = add_manifest(inspection, index, &manifest, generations, damaged, err);
    manifest_clear(&manifest);
    return status;
}

static dfaiss_status_t add_all(inspection_t *inspection, json_t *indexes, dfaiss_error_t *err) {
    char **names = NULL;
    int64_t count = 0;
    TRY(manifest_list(inspection->storage, &names, &count, err));
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t i = 0; i < count; i++) {
        if (status == DFAISS_OK)
            status = add_index(inspection, names[i], indexes, err);
        /* One that was dropped since the list was made is no failure. */
        if (status == DFAISS_ERR_NOT_FOUND)
            status = json_array_remove(indexes, json_array_size(indexes) - 1) == 0 ? DFAISS_OK : DFAISS_ERR_INTERNAL;
        free(names[i]);
    }
    free(names);
    return status;
}

/* The damages as the error of the run. With --json the object with all that was found holds it, too. */
static dfaiss_status_t damage_error(const inspection_t *inspection, dfaiss_error_t *err) {
    if (inspection->damages == 1)
        return error_set(err, DFAISS_ERR_CHECKPOINT, inspection->first.where, "%s", inspection->first.text);
    return error_set(err, DFAISS_ERR_CHECKPOINT, inspection->first.where, "%lld files are damaged, the first of them: %s",
                     (long long)inspection->damages, inspection->first.text);
}

static dfaiss_status_t report(program_t *program, const inspection_t *inspection, json_t *indexes, dfaiss_error_t *err) {
    dfaiss_status_t found = inspection->damages ? damage_error(inspection, err) : DFAISS_OK;
    if (!program->json) {
        inspect_print(inspection->storage, indexes);
        return found;
    }
    json_t *object = json_pack("{s:O}", "indexes", indexes);
    if (found != DFAISS_OK && object && json_object_set_new(object, "error", report_error_json(err)) != 0) {
        json_decref(object);
        return no_memory(err);
    }
    TRY(report_json(program, object, err));
    return found;
}

dfaiss_status_t command_inspect(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    common_options_t common = {0};
    bool verify = false, helped;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, &verify, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(argument_require(common.storage != NULL, "inspect", "--storage DIR", err));
    if (common.index)
        TRY(index_name_check(common.index, err));
    json_t *indexes = json_array();
    if (!indexes)
        return no_memory(err);
    inspection_t inspection = {.storage = common.storage, .verify = verify, .progress = progress_begin(program)};
    dfaiss_status_t status = common.index ? add_index(&inspection, common.index, indexes, err) : add_all(&inspection, indexes, err);
    progress_end(inspection.progress);
    if (status == DFAISS_OK)
        status = report(program, &inspection, indexes, err);
    json_decref(indexes);
    return status;
}
