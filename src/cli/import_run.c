#include "cli/import_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "checkpoint/generation.h"
#include "checkpoint/lease.h"
#include "cli/import_ids.h"
#include "cli/plain_trial.h"
#include "cli/progress.h"
#include "engine/plain.h"
#include "filter/columns.h"

typedef struct importing {
    const import_options_t *options;
    import_result_t *result;
    const char *storage; /* that of the configuration, where it says one */
    index_config_t *config;
    progress_t *progress;
    lease_t *lease;
    manifest_generation_t generation;
    import_ids_t ids;
    engine_template_t *template; /* of the first file */
    uint64_t checksum;
    int64_t rows; /* of the files so far */
} importing_t;

static void clear(importing_t *importing) {
    progress_end(importing->progress);
    lease_release(importing->lease);
    manifest_clear_generation(&importing->generation);
    engine_template_destroy(importing->template);
    index_config_destroy(importing->config);
    free(importing->ids.runs);
}

/* ---- before anything is made ---- */

/* All files are tried in children before this process reads one: what reading starts, no child could go on with. */
static dfaiss_status_t check_inputs(importing_t *importing, dfaiss_error_t *err) {
    const import_options_t *options = importing->options;
    for (int i = 0; i < options->input_count; i++) {
        engine_plain_header_t header;
        TRY(engine_plain_check(options->inputs[i], importing->config, &header, err));
        if (importing->config->dim == 0)
            importing->config->dim = header.dim;
    }
    TRY(index_config_check(importing->config, options->config, err));
    for (int i = 0; i < options->input_count; i++) {
        progress_update(importing->progress, "check", (double)i / options->input_count);
        TRY(plain_trial(options->inputs[i], err));
    }
    return DFAISS_OK;
}

static dfaiss_status_t read_config(importing_t *importing, dfaiss_error_t *err) {
    const import_options_t *options = importing->options;
    TRY(index_config_read(options->config, &importing->config, err));
    importing->storage = index_config_storage(importing->config, options->storage);
    if (manifest_exists(importing->storage, options->index) && !options->overwrite)
        return error_set(err, DFAISS_ERR_EXISTS, options->index, "the storage %s holds an index %s already: give --overwrite", importing->storage,
                         options->index);
    return DFAISS_OK;
}

/* ---- a file ---- */

/* The first file's training is that of all, unless every part has its own. */
static dfaiss_status_t share_training(importing_t *importing, engine_plain_content_t *content, const char *path, dfaiss_error_t *err) {
    uint64_t checksum = 0;
    if (importing->config->training == CONFIG_TRAINING_local || importing->options->input_count == 1)
        return DFAISS_OK;
    TRY(engine_template_checksum(content->template, &checksum, err));
    if (!importing->template) {
        bytes_writer_t bytes = {0};
        dfaiss_status_t status = engine_template_write(content->template, &bytes, err);
        if (status == DFAISS_OK)
            status = engine_template_read(importing->config, bytes.data, bytes.size, &importing->template, err);
        bytes_writer_destroy(&bytes);
        importing->checksum = checksum;
        return status;
    }
    if (checksum == importing->checksum)
        return DFAISS_OK;
    importing->result->encoded_anew++;
    dfaiss_status_t status = engine_plain_encode_anew(importing->config, importing->template, content, err);
    return status == DFAISS_OK ? status : error_prefix(err, status, "%s was trained apart from the first file: ", path);
}

/* Attributes are declared, and no row has a value. */
static dfaiss_status_t make_attributes(const importing_t *importing, shard_content_t *content, dfaiss_error_t *err) {
    const attribute_rows_t rows = {.n = content->rows};
    if (!importing->config->attributes)
        return DFAISS_OK;
    TRY(attribute_schema_create(importing->config->attributes, importing->options->config, &content->schema, err));
    TRY(attribute_columns_create(content->schema, &content->attributes, err));
    return content->rows > 0 ? attribute_columns_append(content->attributes, &rows, err) : DFAISS_OK;
}

static dfaiss_status_t write_content(importing_t *importing, int part, engine_plain_content_t *from, int64_t first_id, dfaiss_error_t *err) {
    shard_batch_t batch = {.n = from->rows, .first_id = first_id, .ids = from->ids};
    shard_content_t content = {.generation = importing->generation.number,
                               .server = part,
                               .servers = importing->options->input_count,
                               .config = importing->config,
                               .template = from->template,
                               .store = from->store,
                               .rows = from->rows,
                               .batches = &batch,
                               .batch_count = from->rows > 0};
    basis_t *basis = NULL;
    snprintf(content.index, sizeof content.index, "%s", importing->options->index);
    dfaiss_status_t status = make_attributes(importing, &content, err);
    if (status == DFAISS_OK)
        status = generation_write(importing->storage, &content, NULL, &importing->generation.parts[part], &basis, err);
    basis_destroy(basis);
    attribute_columns_destroy(content.attributes);
    attribute_schema_destroy(content.schema);
    return status;
}

static dfaiss_status_t import_file(importing_t *importing, int number, dfaiss_error_t *err) {
    const import_options_t *options = importing->options;
    const char *path = options->inputs[number];
    engine_plain_content_t content = {0};
    TRY(engine_plain_read(path, importing->config, &content, err));
    int64_t offset = options->offset_count > 0 ? options->offsets[number] : content.ids ? 0 : importing->rows;
    importing->result->own_ids = importing->result->own_ids || content.ids;
    dfaiss_status_t status = import_ids_note(&importing->ids, number, path, offset, content.rows, content.ids, err);
    if (status == DFAISS_OK)
        status = share_training(importing, &content, path, err);
    if (status == DFAISS_OK)
        status = write_content(importing, number, &content, offset, err);
    importing->rows += content.rows;
    engine_plain_content_clear(&content);
    return status;
}

/* ---- the generation ---- */

static dfaiss_status_t write_parts(importing_t *importing, dfaiss_error_t *err) {
    const import_options_t *options = importing->options;
    manifest_generation_t *generation = &importing->generation;
    for (int i = 0; i < options->input_count; i++) {
        progress_update(importing->progress, "import", (double)i / options->input_count);
        TRY(import_file(importing, i, err));
        generation->vectors += generation->parts[i].vectors;
    }
    return import_ids_check(&importing->ids, options->inputs, &generation->next_id, err);
}

static dfaiss_status_t prepare_generation(importing_t *importing, dfaiss_error_t *err) {
    manifest_generation_t *generation = &importing->generation;
    int parts = importing->options->input_count;
    generation->servers = parts;
    generation->parts = calloc((size_t)parts, sizeof *generation->parts);
    generation->part_count = generation->parts ? parts : 0;
    generation->config = index_config_json(importing->config, true);
    return generation->parts && generation->config ? DFAISS_OK : error_memory(err, 0, "a generation");
}

static dfaiss_status_t make_generation(importing_t *importing, dfaiss_error_t *err) {
    const manifest_basis_t none = {0, 0};
    const import_options_t *options = importing->options;
    manifest_generation_t *generation = &importing->generation;
    TRY(prepare_generation(importing, err));
    dfaiss_status_t status = generation_begin(importing->storage, options->index, &none, options->overwrite, &generation->number, err);
    if (status == DFAISS_OK)
        status = write_parts(importing, err);
    generation->own_ids = importing->result->own_ids;
    if (status == DFAISS_OK)
        status = lease_check(importing->lease, err);
    if (status == DFAISS_OK)
        status =
            generation_commit(importing->storage, options->index, generation, &none, importing->config->keep_generations, options->overwrite, err);
    bool named = false;
    dfaiss_error_t left = {0};
    if (status != DFAISS_OK && generation->number > 0 &&
        generation_abandon(importing->storage, options->index, generation->number, options->overwrite, &named, &left) != DFAISS_OK)
        log_write(LOG_LEVEL_WARNING, "%s", left.text);
    return status;
}

static dfaiss_status_t import_all(importing_t *importing, dfaiss_error_t *err) {
    TRY(read_config(importing, err));
    TRY(check_inputs(importing, err));
    TRY(lease_take(importing->storage, importing->options->index, NULL, &importing->lease, err));
    return make_generation(importing, err);
}

dfaiss_status_t import_run(const program_t *program, const import_options_t *options, import_result_t *result, dfaiss_error_t *err) {
    import_result_t made = {.parts = options->input_count};
    importing_t importing = {.options = options, .result = &made, .progress = progress_begin(program)};
    dfaiss_status_t status = import_all(&importing, err);
    if (status == DFAISS_OK) {
        made.generation = importing.generation.number;
        made.vectors = importing.generation.vectors;
        made.dim = importing.config->dim;
        made.next_id = importing.generation.next_id;
        made.bytes = manifest_generation_bytes(&importing.generation);
        *result = made;
    }
    clear(&importing);
    return status;
}
