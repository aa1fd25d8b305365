#include "cli/saved_index.h"

#include <limits.h>
#include <string.h>

#include "checkpoint/generation.h"
#include "filter/expression.h"

/* A configuration that is wrong was right when it was saved: that is damage. */
static dfaiss_status_t parse_config(const manifest_generation_t *generation, const char *where, index_config_t **config, dfaiss_error_t *err) {
    dfaiss_status_t status = index_config_from_json(generation->config, where, config, err);
    if (status == DFAISS_ERR_CONFIG && err)
        err->code = DFAISS_ERR_CHECKPOINT;
    return status == DFAISS_ERR_CONFIG ? DFAISS_ERR_CHECKPOINT : status;
}

dfaiss_status_t saved_index_read(const char *storage, const char *index, saved_index_t *out, dfaiss_error_t *err) {
    char folder[PATH_MAX];
    manifest_t manifest = {0};
    saved_index_t saved = {0};
    TRY(manifest_index_path(storage, index, folder, sizeof folder, err));
    TRY(manifest_read(storage, index, &manifest, err));
    const manifest_generation_t *newest = manifest_newest(&manifest);
    dfaiss_status_t status = newest ? parse_config(newest, folder, &saved.config, err)
                                    : error_set(err, DFAISS_ERR_CHECKPOINT, folder, "the manifest in %s names no complete generation", folder);
    if (status == DFAISS_OK) {
        index_config_found_in(saved.config, storage);
        saved.generation = newest->number;
        saved.servers = newest->servers;
        saved.vectors = newest->vectors;
        saved.bytes = manifest_generation_bytes(newest);
        saved.own_ids = newest->own_ids;
        *out = saved;
    }
    manifest_clear(&manifest);
    return status;
}

void saved_index_clear(saved_index_t *saved) {
    index_config_destroy(saved->config);
    *saved = (saved_index_t){0};
}

dfaiss_status_t saved_index_check_filter(const saved_index_t *saved, const char *name, const char *filter, dfaiss_error_t *err) {
    attribute_schema_t *schema = NULL;
    filter_t *parsed = NULL;
    TRY(attribute_schema_create(saved->config->attributes, name, &schema, err));
    dfaiss_status_t status = filter_parse(schema, filter, strlen(filter), &parsed, err);
    filter_destroy(parsed);
    attribute_schema_destroy(schema);
    return status;
}
