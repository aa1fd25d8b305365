#include "checkpoint/restore.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "checkpoint/restore_internal.h"
#include "checkpoint/shard_parts.h"

dfaiss_status_t restore_blame(hdf5_file_t *file, const char *what, dfaiss_status_t status) {
    (void)error_prefix(file->err, status, "%s: %s: ", file->path, what);
    if (status == DFAISS_ERR_MEMORY)
        return status;
    if (file->err)
        file->err->code = DFAISS_ERR_CHECKPOINT;
    return DFAISS_ERR_CHECKPOINT;
}

/* ---- configuration and trained state ---- */

/* The newest file's counts. */
static dfaiss_status_t read_config(restore_t *restore, restore_part_t *part) {
    restore_file_t *file = &part->files[part->file_count - 1];
    char *text = NULL;
    size_t size = 0;
    TRY(restore_open(restore, file));
    TRY(hdf5_read_text(&file->hdf5, "/config", &text, &size));
    dfaiss_status_t status = index_config_parse(text, size, file->path, &restore->content->config, restore->err);
    free(text);
    return status == DFAISS_OK ? status : restore_blame(&file->hdf5, "/config", status);
}

/* faiss believes the bytes that it reads: it gets them only when their checksum is right. */
static dfaiss_status_t restore_template(restore_t *restore, hdf5_dataset_t *dataset, uint8_t *bytes) {
    hdf5_file_t *hdf5 = dataset->file;
    shard_content_t *content = restore->content;
    char expected[64] = "", found[RESTORE_CHECKSUM];
    TRY(hdf5_get_text(hdf5, "/trained", "xxh3", expected, sizeof expected));
    TRY(hdf5_dataset_read(dataset, 0, dataset->rows, bytes));
    snprintf(found, sizeof found, "%016" PRIx64, (uint64_t)XXH3_64bits(bytes, (size_t)dataset->rows));
    if (strcmp(expected, found) != 0)
        return hdf5_unexpected(hdf5, "dataset /trained", "expected checksum %s, found %s", expected, found);
    dfaiss_status_t status = engine_template_read(content->config, bytes, (size_t)dataset->rows, &content->template, restore->err);
    return status == DFAISS_OK ? status : restore_blame(hdf5, "/trained", status);
}

static dfaiss_status_t read_trained(restore_t *restore, restore_part_t *part) {
    hdf5_dataset_t dataset;
    hdf5_file_t *hdf5 = &part->files[0].hdf5;
    TRY(restore_open(restore, &part->files[0]));
    TRY(hdf5_dataset_open(hdf5, "/trained", HDF5_U8, HDF5_ANY, 0, &dataset));
    size_t size = (size_t)dataset.rows;
    uint8_t *bytes = memory_map(size ? size : 1);
    dfaiss_status_t status = bytes ? restore_template(restore, &dataset, bytes) : error_memory(restore->err, size, "the trained state");
    memory_unmap(bytes, size ? size : 1);
    hdf5_dataset_close(&dataset);
    TRY(status);
    const char *class = engine_class_name(engine_template_class(restore->content->template));
    if (strcmp(part->class, class) != 0)
        return hdf5_unexpected(hdf5, "attribute class of /", "expected \"%s\" as the configuration makes it, found \"%s\"", class, part->class);
    return DFAISS_OK;
}

static bool is_trained(const restore_part_t *part) {
    return strcmp(part->class, "none") != 0;
}

static dfaiss_status_t read_checksum(restore_t *restore, restore_part_t *part, char *text, size_t capacity) {
    text[0] = 0;
    TRY(restore_open(restore, &part->files[0]));
    return is_trained(part) ? hdf5_get_text(&part->files[0].hdf5, "/trained", "xxh3", text, capacity) : DFAISS_OK;
}

/* Codes mean nothing without what they were trained to mean. */
static dfaiss_status_t check_same_training(restore_t *restore) {
    char expected[64], found[64];
    TRY(read_checksum(restore, &restore->parts[restore->plan->home], expected, sizeof expected));
    for (int64_t i = 0; i < restore->plan->count; i++) {
        restore_part_t *part = &restore->parts[restore->plan->ranges[i].part];
        if (restore->plan->ranges[i].form == SPREAD_WAITING)
            continue;
        TRY(read_checksum(restore, part, found, sizeof found));
        if (strcmp(expected, found) != 0)
            return hdf5_unexpected(&part->files[0].hdf5, "dataset /trained", "expected checksum %s as in %s, found %s: it was trained apart",
                                   expected, restore->parts[restore->plan->home].files[0].path, found);
    }
    return DFAISS_OK;
}

/* ---- the index ---- */

static dfaiss_status_t fill_store(restore_t *restore) {
    static dfaiss_status_t (*const forms[])(restore_t *) = {
        [ENGINE_CODES] = restore_codes, [ENGINE_IVF] = restore_lists, [ENGINE_HNSW] = restore_graphs, [ENGINE_OPAQUE] = restore_graphs};
    shard_content_t *content = restore->content;
    TRY(engine_store_create(content->template, content->config->segment_rows, &content->store, restore->err));
    return forms[engine_template_class(content->template)](restore);
}

/* A failure of the engine while it takes in what files hold is the fault of one of them. */
static dfaiss_status_t end_store(restore_t *restore) {
    shard_content_t *content = restore->content;
    hdf5_file_t *hdf5 = &restore->parts[restore->plan->count ? restore->plan->ranges[0].part : restore->plan->home].files[0].hdf5;
    dfaiss_status_t status =
        engine_store_restore_end(content->store, restore->indexed, content->living ? bitmap_rows(content->living) : NULL, restore->err);
    if (status != DFAISS_OK)
        return restore_blame(hdf5, "indexed vectors", status);
    if (engine_store_rows(content->store) != restore->indexed)
        return hdf5_unexpected(hdf5, "indexed vectors", "expected %" PRId64 ", found %" PRId64, restore->indexed, engine_store_rows(content->store));
    return DFAISS_OK;
}

/* ---- all ---- */

static dfaiss_status_t read_all(restore_t *restore) {
    restore_part_t *home = &restore->parts[restore->plan->home];
    TRY(read_config(restore, home));
    TRY(restore_living(restore));
    TRY(restore_open(restore, &home->files[0]));
    if (is_trained(home)) {
        TRY(read_trained(restore, home));
        TRY(check_same_training(restore));
        TRY(fill_store(restore));
        TRY(end_store(restore));
    } else if (restore->indexed > 0 || restore->content->indexed_anew > 0) {
        return hdf5_unexpected(&home->files[0].hdf5, "attribute class of /", "expected a trained part, found \"none\"");
    }
    TRY(restore_rows(restore));
    return restore_attributes(restore);
}

static dfaiss_status_t end(restore_t *restore, dfaiss_status_t status) {
    shard_content_t *content = restore->content;
    if (status == DFAISS_OK)
        status = read_all(restore);
    status = restore_end(restore, status);
    if (status != DFAISS_OK)
        shard_content_clear(content);
    return status;
}

dfaiss_status_t restore_read(const restore_source_t *source, const spread_t *plan, shard_content_t *content, dfaiss_error_t *err) {
    restore_t restore;
    *content = (shard_content_t){.generation = source->generation, .server = plan->home, .servers = source->servers};
    snprintf(content->index, sizeof content->index, "%s", source->index);
    return end(&restore, restore_begin(&restore, source, plan, content, err));
}

dfaiss_status_t shard_file_read(const char *path, shard_content_t *content, dfaiss_error_t *err) {
    restore_t restore;
    spread_t plan = {0};
    *content = (shard_content_t){0};
    dfaiss_status_t status = end(&restore, restore_begin_file(&restore, path, &plan, content, err));
    spread_clear(&plan);
    if (status == DFAISS_OK)
        status = shard_file_read_inputs(path, &content->inputs, err);
    if (status != DFAISS_OK)
        shard_content_clear(content);
    return status;
}

void shard_content_clear(shard_content_t *content) {
    for (int64_t i = 0; i < content->batch_count; i++)
        shard_batch_clear(&content->batches[i]);
    free(content->batches);
    attribute_columns_destroy(content->attributes);
    bitmap_release(content->living);
    attribute_schema_destroy(content->schema);
    engine_store_destroy(content->store);
    engine_template_destroy(content->template);
    index_config_destroy(content->config);
    inputs_clear(&content->inputs);
    *content = (shard_content_t){0};
}

dfaiss_status_t restore_inputs(const restore_source_t *source, int part, inputs_t *inputs, dfaiss_error_t *err) {
    char path[PATH_MAX];
    const manifest_part_t *saved = &source->parts[part];
    const manifest_file_t *newest = &saved->files[saved->file_count - 1];
    TRY(manifest_check_size(source->storage, source->index, newest, err));
    TRY(manifest_file_path(source->storage, source->index, newest, path, sizeof path, err));
    return shard_file_read_inputs(path, inputs, err);
}

/* ---- surveys ---- */

static dfaiss_status_t class_of(restore_part_t *part, engine_class_t *class) {
    for (int i = ENGINE_CODES; i <= ENGINE_OPAQUE; i++) {
        *class = (engine_class_t)i;
        if (strcmp(part->class, engine_class_name(*class)) == 0)
            return DFAISS_OK;
    }
    return hdf5_unexpected(&part->files[0].hdf5, "attribute class of /", "expected the name of a class, found \"%s\"", part->class);
}

static dfaiss_status_t survey_part(restore_t *restore, restore_part_t *part, restore_survey_t *survey) {
    spread_part_t *numbers = &survey->numbers;
    numbers->rows = part->rows;
    numbers->indexed = part->indexed;
    TRY(read_checksum(restore, part, survey->checksum, sizeof survey->checksum));
    survey->trained = is_trained(part);
    if (survey->trained)
        TRY(class_of(part, &survey->class));
    TRY(restore_count_living(restore, part, numbers));
    bool has_units = survey->trained && (survey->class == ENGINE_HNSW || survey->class == ENGINE_OPAQUE);
    return has_units ? restore_units(restore, part, &numbers->units, &numbers->unit_count) : DFAISS_OK;
}

dfaiss_status_t restore_survey(const restore_source_t *source, int part, restore_survey_t *out, dfaiss_error_t *err) {
    restore_t restore;
    shard_content_t nothing = {0};
    spread_t plan = {.home = part};
    restore_survey_t made = {0};
    dfaiss_status_t status = restore_begin(&restore, source, &plan, &nothing, err);
    if (status == DFAISS_OK)
        status = survey_part(&restore, &restore.parts[part], &made);
    status = restore_end(&restore, status);
    if (status == DFAISS_OK)
        *out = made;
    else
        spread_part_clear(&made.numbers);
    return status;
}
