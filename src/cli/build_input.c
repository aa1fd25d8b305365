#include "cli/build_input.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"
#include "checkpoint/generation.h"
#include "cli/input_identity.h"
#include "cli/saved_index.h"
#include "dataset/id_file.h"
#include "dataset/metadata_file.h"
#include "engine/engine.h"
#include "server/override.h"

/* ---- storage ---- */

static const char *storage_of(const build_options_t *options, const index_config_t *config) {
    return config ? index_config_storage(config, options->storage) : options->storage;
}

void build_storage(const build_options_t *options, char *storage, size_t capacity) {
    index_config_t *config = NULL;
    if (options->config && index_config_read(options->config, &config, NULL) != DFAISS_OK)
        config = NULL;
    snprintf(storage, capacity, "%s", storage_of(options, config));
    index_config_destroy(config);
}

/* The storage itself, or the nearest folder above it that is there: path char[capacity]. */
static dfaiss_status_t nearest_folder(const char *storage, char *path, size_t capacity, dfaiss_error_t *err) {
    struct stat info;
    int length = snprintf(path, capacity, "%s", storage);
    if (length <= 0 || (size_t)length >= capacity)
        return error_set(err, DFAISS_ERR_ARG, "--storage", "the storage '%s' is empty or too long a path", storage);
    while (stat(path, &info) != 0) {
        if (errno != ENOENT)
            return error_system(err, "use the storage", storage, errno);
        char *slash = strrchr(path, '/');
        if (slash)
            slash[slash == path] = 0;
        else
            snprintf(path, capacity, ".");
    }
    return S_ISDIR(info.st_mode) ? DFAISS_OK : error_system(err, "use the storage", storage, ENOTDIR);
}

/* Permissions do not tell (root, read-only mounts): a folder is made and taken away again. The storage itself is not made yet, so that a build that
 * fails leaves nothing. */
static dfaiss_status_t check_writable(const char *storage, dfaiss_error_t *err) {
    char path[PATH_MAX], probe[PATH_MAX];
    TRY(nearest_folder(storage, path, sizeof path, err));
    TRY(file_join(probe, sizeof probe, path, ".dfaiss-XXXXXX", err));
    if (mkdtemp(probe)) {
        rmdir(probe);
        return DFAISS_OK;
    }
    /* Some file systems say ENOENT where nothing can be made. */
    return error_system(err, "write to the storage", storage, errno == ENOENT ? EROFS : errno);
}

/* ---- an index that is there already ---- */

/* The keys that say what kind of index it is; the others may change from one build to the next. */
static const char *const fixed_keys[] = {"index_builder_type", "faiss_factory",   "metric",  "centroids", "infer_centroids", "code_size",
                                         "bits_per_vector",    "ef_construction", "store_n", "training",  "placement"};

/* Both may be missing. */
static bool same_value(const json_t *one, const json_t *other) {
    return one == other || json_equal(one, other);
}

static dfaiss_status_t check_same_kind(const build_options_t *options, const index_config_t *given, const index_config_t *saved,
                                       dfaiss_error_t *err) {
    json_t *one = index_config_json(given, true), *other = index_config_json(saved, true);
    dfaiss_status_t status = one && other ? DFAISS_OK : error_memory(err, 0, "a configuration");
    for (size_t i = 0; status == DFAISS_OK && i < sizeof fixed_keys / sizeof fixed_keys[0]; i++)
        if (!same_value(json_object_get(one, fixed_keys[i]), json_object_get(other, fixed_keys[i])))
            status = error_set(err, DFAISS_ERR_CONFIG, options->config, "%s: %s differs from that of the index %s, to which --append adds",
                               options->config, fixed_keys[i], options->index);
    json_decref(one);
    json_decref(other);
    return status;
}

/* Whoever goes on with a build goes on with the same index: only what may change when one is loaded may differ. */
static dfaiss_status_t check_same_config(const build_options_t *options, const index_config_t *given, const index_config_t *saved,
                                         dfaiss_error_t *err) {
    char *text = NULL;
    TRY(index_config_print(given, true, &text, err));
    dfaiss_status_t status = override_check(saved, text, strlen(text), options->index, err);
    free(text);
    return status == DFAISS_OK ? status : error_prefix(err, status, "%s: ", options->config);
}

static dfaiss_status_t take_saved(const build_options_t *options, build_input_t *input, saved_index_t *saved, dfaiss_error_t *err) {
    if (saved->own_ids != (options->ids != NULL))
        return error_set(err, DFAISS_ERR_ARG, "--ids", "the vectors of the index %s have %s; more can be added only %s --ids", options->index,
                         saved->own_ids ? "ids of their own" : "their row numbers as ids", saved->own_ids ? "with" : "without");
    if (input->config) {
        if (input->config->dim == 0)
            input->config->dim = saved->config->dim;
        TRY(options->resume ? check_same_config(options, input->config, saved->config, err)
                            : check_same_kind(options, input->config, saved->config, err));
    } else {
        input->config = saved->config;
        saved->config = NULL;
    }
    input->loads = true;
    input->generation = saved->generation;
    input->servers = saved->servers;
    input->vectors = saved->vectors;
    input->bytes = saved->bytes;
    return DFAISS_OK;
}

/* The configuration is that of the file, or with --append or --resume and no file the one that was saved. */
static dfaiss_status_t open_config(const build_options_t *options, build_input_t *input, dfaiss_error_t *err) {
    if (options->config)
        TRY(index_config_read(options->config, &input->config, err));
    const char *storage = storage_of(options, input->config);
    bool there = manifest_exists(storage, options->index);
    if (there && !options->append && !options->overwrite && !options->resume)
        return error_set(err, DFAISS_ERR_EXISTS, options->index, "the storage %s holds an index %s already: give --overwrite, --append or --resume",
                         storage, options->index);
    if (!there && !input->config && options->resume)
        return error_set(err, DFAISS_ERR_ARG, "--config", "there is no index %s in %s yet: to begin with it build needs --config FILE",
                         options->index, storage);
    if (!options->append && !(options->resume && there))
        return check_writable(storage, err);
    saved_index_t saved;
    TRY(saved_index_read(storage, options->index, &saved, err));
    dfaiss_status_t status = check_writable(storage, err);
    if (status == DFAISS_OK)
        status = take_saved(options, input, &saved, err);
    saved_index_clear(&saved);
    return status;
}

/* ---- data ---- */

static dfaiss_status_t open_data(const build_options_t *options, build_input_t *input, dfaiss_error_t *err) {
    TRY(dataset_open(options->data, options->data_count, options->raw.given ? &options->raw.raw : NULL, &input->dataset, err));
    int64_t dim = dataset_dim(input->dataset);
    if (input->config->dim == 0)
        input->config->dim = dim;
    if (input->config->dim == dim)
        return DFAISS_OK;
    char wanted_by[320];
    snprintf(wanted_by, sizeof wanted_by, "%s%s", options->config ? options->config : "the index ", options->config ? "" : options->index);
    return error_set(err, DFAISS_ERR_DATA, options->data[0], "%s has vectors of dimension %lld; %s expects dim %lld", options->data[0],
                     (long long)dim, wanted_by, (long long)input->config->dim);
}

static dfaiss_status_t open_ids(const build_options_t *options, build_input_t *input, dfaiss_error_t *err) {
    int64_t count = 0, rows = dataset_rows(input->dataset);
    if (!options->ids)
        return DFAISS_OK;
    TRY(id_file_read(options->ids, &input->ids, &count, err));
    if (count != rows)
        return error_set(err, DFAISS_ERR_DATA, options->ids, "%s has %lld ids for %lld vectors", options->ids, (long long)count, (long long)rows);
    return DFAISS_OK;
}

static dfaiss_status_t check_metadata(const build_options_t *options, const build_input_t *input, bool every_line, dfaiss_error_t *err) {
    uint64_t bytes;
    if (!options->metadata)
        return DFAISS_OK;
    if (every_line)
        return metadata_file_check(options->metadata, dataset_rows(input->dataset), err);
    return file_size(options->metadata, &bytes, err);
}

/* Whether faiss accepts the configuration shows before any rank is started, not after an hour of reading. */
static dfaiss_status_t check_template(const build_input_t *input, dfaiss_error_t *err) {
    engine_template_t *template = NULL;
    TRY(engine_template_create(input->config, dataset_rows(input->dataset), &template, err));
    engine_template_destroy(template);
    return DFAISS_OK;
}

/* ---- what the index holds of it ---- */

dfaiss_status_t build_input_choose(const build_options_t *options, const build_input_t *input, const inputs_t *held, const input_t **chosen,
                                   dfaiss_error_t *err) {
    const input_t *found = NULL;
    if (options->resume && (held->count > 0 || input->vectors > 0))
        TRY(input_identity_find(options->index, held, input->identity, &found, err));
    const input_t *begun = options->append ? input_identity_begun(held, input->identity) : NULL;
    if (begun)
        return error_set(err, DFAISS_ERR_EXISTS, "--append",
                         "the index %s has %lld of the %lld vectors of this input already: --resume adds the rest", options->index,
                         (long long)ranges_rows(&begun->held), (long long)begun->rows);
    *chosen = found;
    return DFAISS_OK;
}

static dfaiss_status_t check_inputs(const build_options_t *options, const manifest_generation_t *newest, const char *storage, build_input_t *input,
                                    dfaiss_error_t *err) {
    inputs_t held = {0};
    const input_t *chosen = NULL;
    /* What is damaged the servers pass over when they load the index, and tell of it. */
    if (!newest || generation_inputs(storage, options->index, newest, &held, NULL) != DFAISS_OK)
        return DFAISS_OK;
    dfaiss_status_t status = build_input_choose(options, input, &held, &chosen, err);
    input->complete = status == DFAISS_OK && chosen && ranges_rows(&chosen->held) == chosen->rows && newest->buffered == 0 &&
                      generation_is_there(storage, options->index, newest, NULL) == DFAISS_OK;
    inputs_clear(&held);
    return status;
}

/* Before an index of many gigabytes is loaded. */
static dfaiss_status_t check_held(const build_options_t *options, build_input_t *input, dfaiss_error_t *err) {
    manifest_t manifest = {0};
    const char *storage = storage_of(options, input->config);
    if (!input->loads)
        return DFAISS_OK;
    TRY(manifest_read(storage, options->index, &manifest, err));
    dfaiss_status_t status = check_inputs(options, manifest_newest(&manifest), storage, input, err);
    manifest_clear(&manifest);
    return status;
}

static dfaiss_status_t open_all(const build_options_t *options, bool every_line, build_input_t *input, dfaiss_error_t *err) {
    TRY(open_config(options, input, err));
    TRY(open_data(options, input, err));
    TRY(check_template(input, err));
    TRY(open_ids(options, input, err));
    TRY(check_metadata(options, input, every_line, err));
    TRY(input_identity_make(input->dataset, options->ids, options->metadata, &input->identity, err));
    return check_held(options, input, err);
}

dfaiss_status_t build_input_open(const build_options_t *options, bool every_line, build_input_t *input, dfaiss_error_t *err) {
    build_input_t opened = {0};
    dfaiss_status_t status = open_all(options, every_line, &opened, err);
    if (status != DFAISS_OK)
        build_input_close(&opened);
    else
        *input = opened;
    return status;
}

void build_input_close(build_input_t *input) {
    index_config_destroy(input->config);
    dataset_close(input->dataset);
    free(input->ids);
    free(input->identity);
    *input = (build_input_t){0};
}
