#include "cli/export_run.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "checkpoint/generation.h"
#include "cli/export_metadata.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "engine/plain.h"

enum { PIECE = 8192 /* waiting vectors that are added at a time */ };

typedef struct exporting {
    const export_options_t *options;
    const manifest_generation_t *generation;
    index_config_t *config; /* owned */
    export_result_t *result;
    bool to_file; /* the output is one */
    bool merge;
    /* What is merged so far. */
    engine_plain_t *merged;
    engine_template_t *template; /* of the first part */
    uint64_t checksum;
    export_metadata_t merged_metadata;
    /* The part at hand. */
    int64_t part;
    shard_content_t content;
    int64_t *ids; /* int64_t[content.rows] */
} exporting_t;

static void clear_part(exporting_t *exporting) {
    shard_content_clear(&exporting->content);
    free(exporting->ids);
    exporting->ids = NULL;
}

static void clear(exporting_t *exporting) {
    clear_part(exporting);
    engine_plain_destroy(exporting->merged);
    engine_template_destroy(exporting->template);
    index_config_destroy(exporting->config);
}

void export_result_clear(export_result_t *result) {
    json_decref(result->files);
    json_decref(result->metadata);
    *result = (export_result_t){0};
}

/* ---- files ---- */

static bool is_file(const char *output) {
    static const char ending[] = ".faiss";
    size_t length = strlen(output);
    return length > sizeof ending - 1 && strcmp(output + length - (sizeof ending - 1), ending) == 0;
}

/* OUTPUT itself with another ending, or INDEX and what is put behind it in the folder. */
static dfaiss_status_t make_path(const exporting_t *exporting, const char *behind, const char *ending, char path[PATH_MAX], dfaiss_error_t *err) {
    const char *output = exporting->options->output;
    int length;
    if (exporting->to_file)
        length = snprintf(path, PATH_MAX, "%.*s%s", (int)(strlen(output) - strlen(".faiss")), output, ending);
    else
        length = snprintf(path, PATH_MAX, "%s/%s%s%s", output, exporting->options->index, behind, ending);
    if (length < 0 || length >= PATH_MAX)
        return error_set(err, DFAISS_ERR_ARG, "--output", "the path %s is too long", output);
    return DFAISS_OK;
}

static dfaiss_status_t write_index(exporting_t *exporting, engine_plain_t *plain, const char *behind, dfaiss_error_t *err) {
    char path[PATH_MAX];
    uint64_t bytes = 0;
    int64_t vectors = engine_plain_vectors(plain);
    TRY(make_path(exporting, behind, ".faiss", path, err));
    TRY(engine_plain_write(plain, path, &bytes, err));
    json_t *file = json_pack("{s:o, s:I, s:I}", "file", report_text_json(path), "vectors", (json_int_t)vectors, "bytes", (json_int_t)bytes);
    if (json_array_append_new(exporting->result->files, file) != 0)
        return error_memory(err, 0, "the list of files");
    exporting->result->vectors += vectors;
    exporting->result->bytes += bytes;
    return DFAISS_OK;
}

static dfaiss_status_t close_metadata(exporting_t *exporting, export_metadata_t *metadata, dfaiss_status_t status, dfaiss_error_t *err) {
    dfaiss_status_t closed = export_metadata_close(metadata, status == DFAISS_OK ? err : NULL);
    TRY(status == DFAISS_OK ? closed : status);
    if (metadata->lines > 0 && json_array_append_new(exporting->result->metadata, report_text_json(metadata->path)) != 0)
        return error_memory(err, 0, "the list of files");
    return DFAISS_OK;
}

/* ---- the vectors of a part ---- */

static const uint64_t *const *alive_rows(const exporting_t *exporting) {
    return exporting->content.living ? bitmap_rows(exporting->content.living) : NULL;
}

static bool is_alive(const exporting_t *exporting, int64_t row) {
    return !exporting->content.living || bitmap_get(exporting->content.living, row);
}

static dfaiss_status_t list_ids(exporting_t *exporting, dfaiss_error_t *err) {
    const shard_content_t *content = &exporting->content;
    size_t bytes = (size_t)content->rows * sizeof *exporting->ids;
    exporting->ids = malloc(bytes + 1);
    if (!exporting->ids)
        return error_memory(err, bytes, "the ids of a part");
    for (int64_t i = 0; i < content->batch_count; i++)
        for (int64_t row = content->batches[i].first_row; row < content->batches[i].first_row + content->batches[i].n; row++)
            exporting->ids[row] = shard_batch_id(&content->batches[i], row);
    return DFAISS_OK;
}

/* Takes the living ones of some waiting vectors to the front, widened. */
static int64_t gather(const exporting_t *exporting, const shard_batch_t *batch, int64_t first, int64_t count, float *x, int64_t *ids) {
    const engine_template_t *template = exporting->content.template;
    int64_t dim = engine_template_dim(template), gathered = 0;
    size_t row_bytes = (size_t)dim * element_size(batch->element);
    for (int64_t i = first; i < first + count; i++) {
        if (!is_alive(exporting, batch->first_row + i))
            continue;
        engine_prepare(template, batch->element, (const uint8_t *)batch->vectors + (size_t)i * row_bytes, 1, x + gathered * dim);
        ids[gathered++] = shard_batch_id(batch, batch->first_row + i);
    }
    return gathered;
}

static dfaiss_status_t add_batch(exporting_t *exporting, engine_plain_t *plain, const shard_batch_t *batch, float *x, dfaiss_error_t *err) {
    int64_t ids[PIECE];
    for (int64_t at = 0; at < batch->n; at += PIECE) {
        int64_t count = batch->n - at < PIECE ? batch->n - at : PIECE;
        int64_t gathered = gather(exporting, batch, at, count, x, ids);
        TRY(engine_plain_add_vectors(plain, gathered, x, ids, err));
        exporting->result->buffered += gathered;
    }
    return DFAISS_OK;
}

/* Vectors that dfaiss has not indexed yet are part of the index. */
static dfaiss_status_t add_waiting(exporting_t *exporting, engine_plain_t *plain, dfaiss_error_t *err) {
    const shard_content_t *content = &exporting->content;
    size_t bytes = (size_t)PIECE * (size_t)engine_template_dim(content->template) * sizeof(float);
    float *x = malloc(bytes);
    dfaiss_status_t status = x ? DFAISS_OK : error_memory(err, bytes, "vectors that wait");
    for (int64_t i = 0; status == DFAISS_OK && i < content->batch_count; i++)
        if (content->batches[i].vectors)
            status = add_batch(exporting, plain, &content->batches[i], x, err);
    free(x);
    return status;
}

/* ---- codes and lists: one file a part, or one of all ---- */

static dfaiss_status_t add_codes(exporting_t *exporting, engine_plain_t *plain, dfaiss_error_t *err) {
    TRY(engine_plain_add_store(plain, exporting->content.store, alive_rows(exporting), exporting->ids, err));
    return add_waiting(exporting, plain, err);
}

/* The first part's template stays for the others. */
static dfaiss_status_t merge_part(exporting_t *exporting, dfaiss_error_t *err) {
    uint64_t checksum = 0;
    TRY(engine_template_checksum(exporting->content.template, &checksum, err));
    if (exporting->merged && checksum != exporting->checksum)
        return error_set(err, DFAISS_ERR_UNSUPPORTED, exporting->options->output,
                         "the parts of index %s were trained apart (training \"local\") and do not go into one file; give --output a folder",
                         exporting->options->index);
    if (exporting->merged)
        return add_codes(exporting, exporting->merged, err);
    TRY(engine_plain_create(exporting->content.template, exporting->config->nprobe, &exporting->merged, err));
    exporting->checksum = checksum;
    dfaiss_status_t status = add_codes(exporting, exporting->merged, err);
    exporting->template = exporting->content.template;
    exporting->content.template = NULL;
    return status;
}

static dfaiss_status_t write_codes(exporting_t *exporting, dfaiss_error_t *err) {
    char behind[32];
    engine_plain_t *plain = NULL;
    if (exporting->merge)
        return merge_part(exporting, err);
    snprintf(behind, sizeof behind, "-part-%04" PRId64, exporting->part);
    TRY(engine_plain_create(exporting->content.template, exporting->config->nprobe, &plain, err));
    dfaiss_status_t status = add_codes(exporting, plain, err);
    if (status == DFAISS_OK)
        status = write_index(exporting, plain, behind, err);
    engine_plain_destroy(plain);
    return status;
}

/* ---- graphs and others: one file a segment ---- */

static dfaiss_status_t write_segment(exporting_t *exporting, int64_t segment, bool last, dfaiss_error_t *err) {
    const shard_content_t *content = &exporting->content;
    char behind[64];
    engine_plain_t *plain = NULL;
    snprintf(behind, sizeof behind, "-part-%04" PRId64 "-segment-%04" PRId64, exporting->part, segment);
    TRY(engine_plain_create(content->template, exporting->config->nprobe, &plain, err));
    dfaiss_status_t status = DFAISS_OK;
    if (segment < engine_store_segments(content->store))
        status = engine_plain_add_segment(plain, content->store, segment, alive_rows(exporting), exporting->ids, err);
    if (status == DFAISS_OK && last)
        status = add_waiting(exporting, plain, err);
    if (status == DFAISS_OK && engine_plain_vectors(plain) > 0)
        status = write_index(exporting, plain, behind, err);
    engine_plain_destroy(plain);
    return status;
}

/* What waits goes into the last one, or is one by itself. */
static dfaiss_status_t write_segments(exporting_t *exporting, dfaiss_error_t *err) {
    int64_t segments = engine_store_segments(exporting->content.store), files = segments > 0 ? segments : 1;
    if (exporting->merge && (exporting->generation->part_count > 1 || files > 1))
        return error_set(err, DFAISS_ERR_UNSUPPORTED, exporting->options->output,
                         "index %s (%s) consists of %" PRId64
                         " parts%s, which faiss cannot put into one index; give --output a folder, without --merge",
                         exporting->options->index, index_config_kind(exporting->config), exporting->generation->part_count,
                         files > 1 ? " of several segments" : "");
    for (int64_t i = 0; i < files; i++)
        TRY(write_segment(exporting, i, i == files - 1, err));
    return DFAISS_OK;
}

/* ---- a part ---- */

static dfaiss_status_t write_metadata(exporting_t *exporting, dfaiss_error_t *err) {
    export_metadata_t own = {.lines = 0};
    char behind[32];
    if (exporting->merge)
        return export_metadata_write(&exporting->merged_metadata, &exporting->content, err);
    snprintf(behind, sizeof behind, "-part-%04" PRId64, exporting->part);
    TRY(make_path(exporting, behind, ".jsonl", own.path, err));
    return close_metadata(exporting, &own, export_metadata_write(&own, &exporting->content, err), err);
}

static dfaiss_status_t write_part(exporting_t *exporting, dfaiss_error_t *err) {
    const manifest_generation_t *generation = exporting->generation;
    const export_options_t *options = exporting->options;
    shard_content_t *content = &exporting->content;
    TRY(generation_read(options->storage, options->index, generation->number, (int)exporting->part, generation->servers,
                        &generation->parts[exporting->part], content, err));
    if (!content->template && generation->parts[exporting->part].vectors == 0)
        return DFAISS_OK;
    if (!content->template)
        return error_set(err, DFAISS_ERR_STATE, options->index,
                         "index %s is not trained yet: its vectors wait, and there is no index of them that faiss could read", options->index);
    TRY(list_ids(exporting, err));
    engine_class_t class = engine_template_class(content->template);
    TRY(write_metadata(exporting, err));
    return class == ENGINE_CODES || class == ENGINE_IVF ? write_codes(exporting, err) : write_segments(exporting, err);
}

static dfaiss_status_t write_parts(const program_t *program, exporting_t *exporting, dfaiss_error_t *err) {
    progress_t *progress = progress_begin(program);
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t count = exporting->generation->part_count; status == DFAISS_OK && exporting->part < count; exporting->part++) {
        progress_update(progress, "export", (double)exporting->part / (double)count);
        status = write_part(exporting, err);
        clear_part(exporting);
    }
    progress_end(progress);
    return status;
}

/* ---- all of it ---- */

static dfaiss_status_t find_generation(const export_options_t *options, const manifest_t *manifest, const manifest_generation_t **out,
                                       dfaiss_error_t *err) {
    *out = options->generation ? NULL : manifest_newest(manifest);
    for (int64_t i = 0; i < manifest->count; i++)
        if (options->generation && manifest->generations[i].number == options->generation)
            *out = &manifest->generations[i];
    if (*out)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_NOT_FOUND, options->index, "index %s in %s has no generation %" PRId64, options->index, options->storage,
                     options->generation);
}

static dfaiss_status_t make_output(exporting_t *exporting, dfaiss_error_t *err) {
    const export_options_t *options = exporting->options;
    exporting->to_file = is_file(options->output);
    exporting->merge = exporting->to_file || options->merge;
    if (!exporting->to_file)
        TRY(file_make_directories(options->output, err));
    return make_path(exporting, "", ".jsonl", exporting->merged_metadata.path, err);
}

static dfaiss_status_t export_generation(const program_t *program, exporting_t *exporting, dfaiss_error_t *err) {
    export_result_t *result = exporting->result;
    TRY(index_config_from_json(exporting->generation->config, exporting->options->index, &exporting->config, err));
    *result = (export_result_t){.generation = exporting->generation->number,
                                .metric = exporting->config->metric,
                                .nprobe = exporting->config->nprobe,
                                .files = json_array(),
                                .metadata = json_array()};
    if (!result->files || !result->metadata)
        return error_memory(err, 0, "the list of files");
    TRY(make_output(exporting, err));
    dfaiss_status_t status = write_parts(program, exporting, err);
    status = close_metadata(exporting, &exporting->merged_metadata, status, err);
    if (status == DFAISS_OK && exporting->merged)
        status = write_index(exporting, exporting->merged, "", err);
    return status;
}

dfaiss_status_t export_run(const program_t *program, const export_options_t *options, export_result_t *result, dfaiss_error_t *err) {
    manifest_t manifest = {0};
    exporting_t exporting = {.options = options, .result = result};
    TRY(manifest_read(options->storage, options->index, &manifest, err));
    *result = (export_result_t){0};
    dfaiss_status_t status = find_generation(options, &manifest, &exporting.generation, err);
    if (status == DFAISS_OK)
        status = export_generation(program, &exporting, err);
    clear(&exporting);
    manifest_clear(&manifest);
    if (status != DFAISS_OK)
        export_result_clear(result);
    return status;
}
