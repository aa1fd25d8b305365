#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/basis_internal.h"

/* ---- where the index of a file can be cut ---- */

static bool has_graphs(const shard_content_t *content) {
    engine_class_t class = content->template ? engine_template_class(content->template) : ENGINE_CODES;
    return class == ENGINE_HNSW || class == ENGINE_OPAQUE;
}

/* Graphs are never cut, so their first rows are what counts; codes and lists end where they end. */
static dfaiss_status_t make_units(const shard_content_t *content, basis_link_t *link, dfaiss_error_t *err) {
    int64_t segments = has_graphs(content) ? engine_store_segments(content->store) : 0;
    size_t bytes = (size_t)(segments + 1) * sizeof *link->units;
    link->units = malloc(bytes);
    if (!link->units)
        return error_memory(err, bytes, "what was saved");
    for (int64_t segment = 0; segment < segments; segment++) {
        int64_t first = 0, rows = 0;
        engine_store_segment(content->store, segment, &first, &rows);
        if (first >= link->first_indexed && first < link->indexed)
            link->units[link->unit_count++] = first;
    }
    link->units[link->unit_count++] = link->indexed;
    return DFAISS_OK;
}

/* ---- making ---- */

static basis_t *make_basis(const shard_content_t *content, int64_t generation, int64_t links) {
    basis_t *basis = calloc(1, sizeof *basis);
    if (!basis)
        return NULL;
    basis->generation = generation;
    basis->server = content->server;
    basis->servers = content->servers;
    basis->class = content->template ? (int)engine_template_class(content->template) : BASIS_UNTRAINED;
    basis->links = calloc((size_t)links + 1, sizeof *basis->links);
    if (basis->links)
        return basis;
    basis_destroy(basis);
    return NULL;
}

void basis_destroy(basis_t *basis) {
    if (!basis)
        return;
    for (int64_t i = 0; basis->links && i < basis->count; i++)
        free(basis->links[i].units);
    free(basis->links);
    bitmap_release(basis->numbered);
    bitmap_release(basis->living);
    free(basis);
}

int64_t basis_generation(const basis_t *basis) {
    return basis->generation;
}

static dfaiss_status_t copy_link(const basis_link_t *from, basis_t *to, dfaiss_error_t *err) {
    basis_link_t *link = &to->links[to->count++];
    size_t bytes = (size_t)from->unit_count * sizeof *from->units;
    *link = *from;
    link->units = malloc(bytes);
    if (!link->units)
        return error_memory(err, bytes, "what was saved");
    memcpy(link->units, from->units, bytes);
    return DFAISS_OK;
}

static dfaiss_status_t add_written(const shard_content_t *content, const basis_plan_t *plan, const manifest_file_t *written, basis_t *to,
                                   dfaiss_error_t *err) {
    basis_link_t *link = &to->links[to->count++];
    *link = (basis_link_t){.file = *written,
                           .rows = content->rows,
                           .indexed = shard_content_indexed(content),
                           .first_indexed = plan->kept.follows ? plan->kept.start.indexed : 0};
    return make_units(content, link, err);
}

dfaiss_status_t basis_after(const shard_content_t *content, const basis_t *before, basis_plan_t *plan, const manifest_file_t *written, basis_t **out,
                            dfaiss_error_t *err) {
    basis_t *made = make_basis(content, content->generation, plan->links + 1);
    dfaiss_status_t status = made ? DFAISS_OK : error_memory(err, sizeof *made, "what was saved");
    for (int64_t i = 0; status == DFAISS_OK && i < plan->links; i++)
        status = copy_link(&before->links[i], made, err);
    if (status == DFAISS_OK && written)
        status = add_written(content, plan, written, made, err);
    if (status != DFAISS_OK) {
        basis_destroy(made);
        return status;
    }
    made->settings = plan->settings;
    made->numbered = plan->kept.bits;
    plan->kept.bits = NULL;
    made->living = content->living ? bitmap_share(content->living) : NULL;
    *out = made;
    return DFAISS_OK;
}

dfaiss_status_t basis_chain(const basis_t *basis, manifest_part_t *out, dfaiss_error_t *err) {
    size_t bytes = (size_t)basis->count * sizeof *out->files;
    manifest_part_t made = {.files = malloc(bytes ? bytes : 1)};
    if (!made.files)
        return error_memory(err, bytes, "what was saved");
    for (; made.file_count < basis->count; made.file_count++)
        made.files[made.file_count] = basis->links[made.file_count].file;
    *out = made;
    return DFAISS_OK;
}

/* ---- after loading ---- */

/* Of a superseded index it is not known where it can be cut, but at where it ends now. */
static dfaiss_status_t add_loaded(const shard_content_t *content, const manifest_part_t *part, int64_t number, basis_t *to, dfaiss_error_t *err) {
    const manifest_file_t *file = &part->files[number];
    basis_link_t *link = &to->links[to->count++];
    *link = (basis_link_t){.file = *file, .rows = file->rows, .first_indexed = file->first_indexed, .indexed = manifest_file_until(part, number)};
    TRY(make_units(content, link, err));
    link->indexed = file->indexed;
    return DFAISS_OK;
}

dfaiss_status_t basis_of_part(const shard_content_t *content, int64_t generation, const manifest_part_t *part, basis_t **out, dfaiss_error_t *err) {
    const manifest_file_t *last = &part->files[part->file_count - 1];
    int64_t indexed = shard_content_indexed(content);
    if (content->rows != last->rows || indexed != last->indexed)
        return error_set(err, DFAISS_ERR_INTERNAL, content->index,
                         "%" PRId64 " rows with %" PRId64 " indexed are not the part of %" PRId64 " and %" PRId64, content->rows, indexed, last->rows,
                         last->indexed);
    basis_t *made = make_basis(content, generation, part->file_count);
    dfaiss_status_t status = made ? DFAISS_OK : error_memory(err, sizeof *made, "what was saved");
    if (status == DFAISS_OK)
        status = basis_settings(content, &made->settings, err);
    for (int64_t i = 0; status == DFAISS_OK && i < part->file_count; i++)
        status = add_loaded(content, part, i, made, err);
    if (status == DFAISS_OK && content->living && !(made->living = bitmap_snapshot(content->living)))
        status = error_memory(err, (size_t)content->rows / 8, "what was saved");
    if (status != DFAISS_OK) {
        basis_destroy(made);
        return status;
    }
    *out = made;
    return DFAISS_OK;
}
