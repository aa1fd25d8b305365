#include "server/restoring.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "server/parts.h"

/* ---- a generation ---- */

void restoring_put(bytes_writer_t *out, const char *index, const char *storage, const manifest_generation_t *generation) {
    bytes_put_string(out, index);
    bytes_put_string(out, storage);
    bytes_put_i64(out, generation->number);
    bytes_put_u32(out, (uint32_t)generation->part_count);
    for (int64_t i = 0; i < generation->part_count; i++)
        parts_put(out, &generation->parts[i]);
}

dfaiss_status_t restoring_get(bytes_reader_t *in, restoring_t *restoring, dfaiss_error_t *err) {
    char storage[PATH_MAX];
    bytes_get_string(in, restoring->index, sizeof restoring->index);
    bytes_get_string(in, storage, sizeof storage);
    restoring->generation = bytes_get_i64(in);
    uint32_t count = bytes_get_u32(in);
    if (in->failed || count > in->left)
        return message_malformed(MESSAGE_LOAD, err);
    restoring->storage = strdup(storage);
    restoring->parts = calloc((size_t)count + 1, sizeof *restoring->parts);
    if (!restoring->storage || !restoring->parts)
        return error_memory(err, (size_t)count * sizeof *restoring->parts, "loading");
    for (; restoring->count < (int)count; restoring->count++)
        TRY(parts_get(in, &restoring->parts[restoring->count], err));
    return DFAISS_OK;
}

void restoring_clear(restoring_t *restoring) {
    for (int i = 0; i < restoring->count; i++)
        manifest_clear_part(&restoring->parts[i]);
    free(restoring->parts);
    free(restoring->storage);
    *restoring = (restoring_t){0};
}

restore_source_t restoring_source(const restoring_t *restoring) {
    return (restore_source_t){.storage = restoring->storage,
                              .index = restoring->index,
                              .generation = restoring->generation,
                              .servers = restoring->count,
                              .parts = restoring->parts};
}

/* ---- what a server gets ---- */

void spread_put(bytes_writer_t *out, const spread_t *plan) {
    bytes_put_u32(out, (uint32_t)plan->home);
    bytes_put_u32(out, (uint32_t)plan->count);
    for (int64_t i = 0; i < plan->count; i++) {
        bytes_put_u32(out, (uint32_t)plan->ranges[i].part);
        bytes_put_u32(out, (uint32_t)plan->ranges[i].form);
        bytes_put_i64(out, plan->ranges[i].first);
        bytes_put_i64(out, plan->ranges[i].end);
    }
}

dfaiss_status_t spread_get(bytes_reader_t *in, spread_t *plan, dfaiss_error_t *err) {
    spread_t made = {.home = (int)bytes_get_u32(in)};
    uint32_t count = bytes_get_u32(in);
    if (in->failed || count > in->left)
        return message_malformed(MESSAGE_LOAD, err);
    made.ranges = calloc((size_t)count + 1, sizeof *made.ranges);
    if (!made.ranges)
        return error_memory(err, (size_t)count * sizeof *made.ranges, "loading");
    for (; made.count < count; made.count++) {
        spread_range_t *range = &made.ranges[made.count];
        range->part = (int)bytes_get_u32(in);
        range->form = (spread_form_t)bytes_get_u32(in);
        range->first = bytes_get_i64(in);
        range->end = bytes_get_i64(in);
    }
    *plan = made;
    return DFAISS_OK;
}
