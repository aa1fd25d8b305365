/* Parts as chains of files: opening them, what they say of themselves, and the pieces that a plan makes of them. */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/restore_internal.h"
#include "checkpoint/shard_parts.h"

/* ---- what a file says of itself ---- */

static dfaiss_status_t check_origin(restore_t *restore, const restore_file_t *file, const char *index, int64_t generation, int64_t server,
                                    int64_t servers) {
    int64_t wanted = file->part->number;
    if (strcmp(index, restore->index) == 0 && generation == file->generation && server == wanted && servers == restore->servers)
        return DFAISS_OK;
    return error_set(restore->err, DFAISS_ERR_CHECKPOINT, file->path,
                     "%s holds server %" PRId64 " of %" PRId64 " of generation %" PRId64 " of index '%s'; server %" PRId64
                     " of %d of generation %" PRId64 " of '%s' is expected",
                     file->path, server, servers, generation, index, wanted, restore->servers, file->generation, restore->index);
}

/* Without a manifest the file is believed; one that is not the first of its chain is not whole by itself. */
static dfaiss_status_t read_origin(restore_t *restore, restore_file_t *file) {
    hdf5_file_t *hdf5 = &file->hdf5;
    char index[CHECKPOINT_NAME] = "";
    int64_t generation = 0, server = 0, servers = 0;
    TRY(hdf5_get_text(hdf5, "/", "index", index, sizeof index));
    TRY(hdf5_get_integer(hdf5, "/", "generation", 0, INT64_MAX, &generation));
    TRY(hdf5_get_integer(hdf5, "/", "servers", 1, INT32_MAX, &servers));
    TRY(hdf5_get_integer(hdf5, "/", "server", 0, servers - 1, &server));
    if (restore->index[0])
        return check_origin(restore, file, index, generation, server, servers);
    shard_content_t *content = restore->content;
    memcpy(content->index, index, sizeof index);
    content->generation = generation;
    content->server = (int)server;
    content->servers = (int)servers;
    return DFAISS_OK;
}

static dfaiss_status_t read_extent(restore_t *restore, restore_file_t *file) {
    hdf5_file_t *hdf5 = &file->hdf5;
    manifest_file_t *named = &file->named;
    bool known = restore->index[0] != 0;
    int64_t value = 0;
    if (!known) {
        TRY(hdf5_get_integer(hdf5, "/", "rows", 0, INT64_MAX, &named->rows));
        TRY(hdf5_get_integer(hdf5, "/", "indexed_rows", 0, named->rows, &named->indexed));
    }
    TRY(hdf5_get_integer(hdf5, "/", "first_row", named->first_row, named->first_row, &value));
    TRY(hdf5_get_integer(hdf5, "/", "first_indexed", named->first_indexed, named->first_indexed, &value));
    TRY(hdf5_get_integer(hdf5, "/", "rows", named->rows, named->rows, &value));
    return hdf5_get_integer(hdf5, "/", "indexed_rows", named->indexed, named->indexed, &value);
}

/* Files of one chain name the one before, and are of one class. */
static dfaiss_status_t check_chain(restore_file_t *file) {
    hdf5_file_t *hdf5 = &file->hdf5;
    restore_part_t *part = file->part;
    char previous[64] = "", expected[RESTORE_CHECKSUM], class[RESTORE_CLASS] = "";
    snprintf(expected, sizeof expected, "%016" PRIx64, file->previous);
    if (!file->is_base) {
        TRY(hdf5_get_text(hdf5, "/", "previous", previous, sizeof previous));
        if (strcmp(previous, expected) != 0)
            return hdf5_unexpected(hdf5, "attribute previous of /", "expected \"%s\", found \"%s\"", expected, previous);
    }
    TRY(hdf5_get_text(hdf5, "/", "class", class, sizeof class));
    if (part->class[0] && strcmp(part->class, class) != 0)
        return hdf5_unexpected(hdf5, "attribute class of /", "expected \"%s\" as in other files of the part, found \"%s\"", part->class, class);
    memcpy(part->class, class, sizeof class);
    if (strcmp(class, "none") == 0 && file->named.indexed != 0)
        return hdf5_unexpected(hdf5, "attribute indexed_rows of /", "expected 0 without a trained state, found %" PRId64, file->named.indexed);
    return DFAISS_OK;
}

static dfaiss_status_t check_format(hdf5_file_t *hdf5) {
    char format[64] = "";
    int64_t version = 0;
    TRY(hdf5_get_text(hdf5, "/", "format", format, sizeof format));
    if (strcmp(format, SHARD_FORMAT) != 0)
        return hdf5_unexpected(hdf5, "attribute format of /", "expected \"%s\", found \"%s\"", SHARD_FORMAT, format);
    TRY(hdf5_get_integer(hdf5, "/", "format_version", 1, INT64_MAX, &version));
    if (version != SHARD_FORMAT_VERSION)
        return error_set(hdf5->err, DFAISS_ERR_CHECKPOINT, hdf5->path, "%s has format version %" PRId64 "; this dfaiss reads version %d", hdf5->path,
                         version, SHARD_FORMAT_VERSION);
    return DFAISS_OK;
}

static dfaiss_status_t read_root(restore_t *restore, restore_file_t *file) {
    TRY(check_format(&file->hdf5));
    TRY(read_origin(restore, file));
    TRY(read_extent(restore, file));
    TRY(check_chain(file));
    file->checked = true;
    return DFAISS_OK;
}

/* ---- opening ---- */

/* Some other one may still be open. */
static dfaiss_status_t close_file(restore_file_t *file, dfaiss_status_t status) {
    file->open = false;
    status = hdf5_close(&file->hdf5, status);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return status;
}

/* A file that is open takes one of few places. */
static dfaiss_status_t take_place(restore_t *restore, restore_file_t *file) {
    if (restore->open_count < RESTORE_OPEN_MOST) {
        restore->opened[restore->open_count++] = file;
        return DFAISS_OK;
    }
    if (restore->opened[restore->next_closed] == restore->held)
        restore->next_closed = (restore->next_closed + 1) % RESTORE_OPEN_MOST;
    restore_file_t *closed = restore->opened[restore->next_closed];
    restore->opened[restore->next_closed] = file;
    restore->next_closed = (restore->next_closed + 1) % RESTORE_OPEN_MOST;
    return close_file(closed, DFAISS_OK);
}

dfaiss_status_t restore_open(restore_t *restore, restore_file_t *file) {
    if (!file->open) {
        if (restore->source)
            TRY(manifest_check_size(restore->source->storage, restore->source->index, &file->named, restore->err));
        TRY(hdf5_open(&file->hdf5, file->path, restore->err));
        file->open = true;
        TRY(take_place(restore, file));
    }
    return file->checked ? DFAISS_OK : read_root(restore, file);
}

static dfaiss_status_t name_file(const restore_source_t *source, restore_part_t *part, int64_t number, dfaiss_error_t *err) {
    char path[PATH_MAX];
    const manifest_part_t *saved = &source->parts[part->number];
    restore_file_t *file = &part->files[number];
    TRY(manifest_file_path(source->storage, source->index, &saved->files[number], path, sizeof path, err));
    *file = (restore_file_t){.part = part,
                             .named = saved->files[number],
                             .until = manifest_file_until(saved, number),
                             .generation = manifest_file_generation(&saved->files[number]),
                             .previous = number > 0 ? saved->files[number - 1].checksum : 0,
                             .is_base = number == 0,
                             .path = strdup(path)};
    return file->path ? DFAISS_OK : error_memory(err, strlen(path) + 1, "loading");
}

static dfaiss_status_t use_part(restore_t *restore, const restore_source_t *source, int number) {
    restore_part_t *part = &restore->parts[number];
    const manifest_part_t *saved = &source->parts[number];
    if (part->file_count > 0)
        return DFAISS_OK;
    part->files = calloc((size_t)saved->file_count, sizeof *part->files);
    if (!part->files)
        return error_memory(restore->err, (size_t)saved->file_count * sizeof *part->files, "loading");
    part->number = number;
    part->rows = saved->files[saved->file_count - 1].rows;
    part->indexed = saved->files[saved->file_count - 1].indexed;
    for (; part->file_count < saved->file_count; part->file_count++)
        TRY(name_file(source, part, part->file_count, restore->err));
    return DFAISS_OK;
}

static dfaiss_status_t number_rows(restore_t *restore) {
    const spread_t *plan = restore->plan;
    int64_t row = 0;
    restore->to = calloc((size_t)plan->count + 1, sizeof *restore->to);
    if (!restore->to)
        return error_memory(restore->err, (size_t)plan->count * sizeof *restore->to, "loading");
    for (int64_t i = 0; i < plan->count; i++) {
        const spread_range_t *range = &plan->ranges[i];
        restore->to[i] = row;
        row += range->end - range->first;
        if (range->form == SPREAD_INDEXED)
            restore->indexed = row;
        if (range->form == SPREAD_DECODED)
            restore->content->indexed_anew += range->end - range->first;
    }
    restore->to[plan->count] = row;
    restore->content->rows = row;
    return DFAISS_OK;
}

static dfaiss_status_t check_plan(const restore_source_t *source, const spread_t *plan, dfaiss_error_t *err) {
    bool fits = plan->home >= 0 && plan->home < source->servers;
    for (int64_t i = 0; fits && i < plan->count; i++) {
        const spread_range_t *range = &plan->ranges[i];
        fits = range->part >= 0 && range->part < source->servers && range->first >= 0 && range->first < range->end;
        const manifest_part_t *part = fits ? &source->parts[range->part] : NULL;
        fits = fits && part->file_count > 0 && range->end <= part->files[part->file_count - 1].rows;
    }
    return fits ? DFAISS_OK : error_set(err, DFAISS_ERR_INTERNAL, source->index, "a plan names rows that are not in the index '%s'", source->index);
}

dfaiss_status_t restore_begin(restore_t *restore, const restore_source_t *source, const spread_t *plan, shard_content_t *content,
                              dfaiss_error_t *err) {
    *restore = (restore_t){.source = source, .servers = source->servers, .plan = plan, .content = content, .err = err};
    H5Eget_auto2(H5E_DEFAULT, &restore->print, &restore->print_context);
    TRY(check_plan(source, plan, err));
    snprintf(restore->index, sizeof restore->index, "%s", source->index);
    restore->parts = calloc((size_t)source->servers, sizeof *restore->parts);
    if (!restore->parts)
        return error_memory(err, (size_t)source->servers * sizeof *restore->parts, "loading");
    TRY(use_part(restore, source, plan->home));
    for (int64_t i = 0; i < plan->count; i++)
        TRY(use_part(restore, source, plan->ranges[i].part));
    return number_rows(restore);
}

dfaiss_status_t restore_begin_file(restore_t *restore, const char *path, spread_t *plan, shard_content_t *content, dfaiss_error_t *err) {
    *restore = (restore_t){.servers = 1, .plan = plan, .content = content, .err = err};
    H5Eget_auto2(H5E_DEFAULT, &restore->print, &restore->print_context);
    restore->parts = calloc(1, sizeof *restore->parts);
    restore_part_t *part = restore->parts;
    if (part)
        part->files = calloc(1, sizeof *part->files);
    if (!part || !part->files)
        return error_memory(err, sizeof *part->files, "loading");
    part->file_count = 1;
    restore_file_t *file = part->files;
    *file = (restore_file_t){.part = part, .is_base = true, .path = strdup(path)};
    if (!file->path)
        return error_memory(err, strlen(path) + 1, "loading");
    TRY(restore_open(restore, file));
    file->until = part->indexed = file->named.indexed;
    part->rows = file->named.rows;
    TRY(spread_whole(0, part->rows, part->indexed, plan, err));
    return number_rows(restore);
}

dfaiss_status_t restore_end(restore_t *restore, dfaiss_status_t status) {
    for (int i = 0; i < restore->open_count; i++)
        status = close_file(restore->opened[i], status);
    H5Eset_auto2(H5E_DEFAULT, restore->print, restore->print_context);
    for (int p = 0; restore->parts && p < restore->servers; p++) {
        restore_part_t *part = &restore->parts[p];
        for (int64_t i = 0; i < part->file_count; i++)
            free(part->files[i].path);
        free(part->files);
    }
    free(restore->parts);
    free(restore->to);
    *restore = (restore_t){0};
    return status;
}

/* ---- pieces ---- */

/* The part of a range from `begin` to `end` - 1 of its rows; false: there is none. */
static bool cut(const restore_t *restore, restore_piece_t *piece, int64_t begin, int64_t end) {
    const spread_range_t *range = &restore->plan->ranges[piece->range];
    piece->first = begin > range->first ? begin : range->first;
    piece->end = end < range->end ? end : range->end;
    piece->to = restore->to[piece->range] + (piece->first - range->first);
    piece->form = range->form;
    return piece->first < piece->end;
}

/* Steps through the files of all ranges. */
static restore_file_t *next_file(const restore_t *restore, restore_piece_t *piece) {
    while (piece->range < restore->plan->count) {
        restore_part_t *part = &restore->parts[restore->plan->ranges[piece->range].part];
        if (piece->next_file < part->file_count)
            return &part->files[piece->next_file++];
        piece->range++;
        piece->next_file = 0;
    }
    return NULL;
}

bool restore_next_rows(const restore_t *restore, restore_piece_t *piece) {
    while ((piece->file = next_file(restore, piece)))
        if (cut(restore, piece, piece->file->named.first_row, piece->file->named.rows))
            return true;
    return false;
}

bool restore_next_index(const restore_t *restore, spread_form_t form, restore_piece_t *piece) {
    while ((piece->file = next_file(restore, piece)))
        if (cut(restore, piece, piece->file->named.first_indexed, piece->file->until) && piece->form == form)
            return true;
    return false;
}
