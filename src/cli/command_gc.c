/* dfaiss gc: removes what dead jobs have left in a storage, and says what it was. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/garbage.h"
#include "cli/arguments.h"
#include "cli/report.h"
#include "config/index_name.h"

enum { KEY_DRY_RUN = 256 };

static const struct argp_option options_table[] = {{"dry-run", KEY_DRY_RUN, NULL, 0, "Say what would be removed, and remove nothing", 0}, {0}};

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    (void)argument;
    (void)err;
    *(bool *)context = true;
    return DFAISS_OK;
}

static const arguments_t arguments = {
    .command = "gc",
    .help = "Removes what dead jobs have left in a storage: generations that no manifest names, temporary files, leases that nobody holds, and "
            "remains of removals. An index that is being written is passed over, and files that dfaiss did not write stay.",
    .options = options_table,
    .common = ARGUMENTS_STORAGE | ARGUMENTS_INDEX,
    .set = set_option};

typedef struct collection {
    const char *storage;
    bool dry;
    garbage_t garbage;
    json_t *skipped; /* indexes that were passed over, and why */
} collection_t;

static dfaiss_status_t no_memory(dfaiss_error_t *err) {
    return error_memory(err, 0, "the list of leftovers");
}

/* One index of several: what is wrong with it keeps nobody from looking at the others. */
static dfaiss_status_t collect_one_of(collection_t *collection, const char *index, dfaiss_error_t *err) {
    dfaiss_error_t reason = {0};
    dfaiss_status_t status = garbage_collect(collection->storage, index, collection->dry, &collection->garbage, &reason);
    if (status == DFAISS_OK || status == DFAISS_ERR_NOT_FOUND)
        return DFAISS_OK;
    json_t *item = json_pack("{s:s, s:s, s:o}", "index", index, "code", dfaiss_status_name(status), "text", report_text_json(reason.text));
    return json_array_append_new(collection->skipped, item) == 0 ? DFAISS_OK : no_memory(err);
}

static dfaiss_status_t collect_all(collection_t *collection, dfaiss_error_t *err) {
    char **names = NULL;
    int64_t count = 0;
    TRY(garbage_list(collection->storage, &names, &count, err));
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t i = 0; i < count; i++) {
        if (status == DFAISS_OK)
            status = collect_one_of(collection, names[i], err);
        free(names[i]);
    }
    free(names);
    return status;
}

static json_t *items_json(const garbage_item_t *items, int64_t count) {
    json_t *array = json_array();
    for (int64_t i = 0; array && i < count; i++) {
        json_t *item = json_pack("{s:o, s:I}", "path", report_text_json(items[i].path), "bytes", (json_int_t)items[i].bytes);
        if (json_array_append_new(array, item) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static void print_items(const char *what, const garbage_item_t *items, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        char bytes[16];
        report_bytes(items[i].bytes, bytes, sizeof bytes);
        printf("%-13s %10s  %s\n", what, bytes, items[i].path);
    }
}

static void print_collection(const collection_t *collection) {
    const garbage_t *garbage = &collection->garbage;
    char bytes[16];
    print_items(collection->dry ? "would remove" : "removed", garbage->removed, garbage->removed_count);
    print_items("not ours", garbage->left, garbage->left_count);
    for (size_t i = 0; i < json_array_size(collection->skipped); i++) {
        const json_t *item = json_array_get(collection->skipped, i);
        printf("passed over   index %s: %s\n", json_string_value(json_object_get(item, "index")), json_string_value(json_object_get(item, "text")));
    }
    report_bytes(garbage_bytes(garbage), bytes, sizeof bytes);
    printf("%" PRId64 " leftovers, %s\n", garbage->removed_count, bytes);
}

static dfaiss_status_t report(program_t *program, const collection_t *collection, dfaiss_error_t *err) {
    const garbage_t *garbage = &collection->garbage;
    if (program->json)
        return report_json(program,
                           json_pack("{s:s, s:b, s:I, s:o, s:o, s:O}", "storage", collection->storage, "dry_run", (int)collection->dry, "bytes",
                                     (json_int_t)garbage_bytes(garbage), "removed", items_json(garbage->removed, garbage->removed_count), "left",
                                     items_json(garbage->left, garbage->left_count), "skipped", collection->skipped),
                           err);
    print_collection(collection);
    return DFAISS_OK;
}

dfaiss_status_t command_gc(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    common_options_t common = {0};
    collection_t collection = {.dry = false};
    bool helped;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, &collection.dry, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(argument_require(common.storage != NULL, "gc", "--storage DIR", err));
    if (common.index)
        TRY(index_name_check(common.index, err));
    collection.storage = common.storage;
    collection.skipped = json_array();
    if (!collection.skipped)
        return no_memory(err);
    dfaiss_status_t status =
        common.index ? garbage_collect(common.storage, common.index, collection.dry, &collection.garbage, err) : collect_all(&collection, err);
    if (status == DFAISS_OK)
        status = report(program, &collection, err);
    garbage_clear(&collection.garbage);
    json_decref(collection.skipped);
    return status;
}
