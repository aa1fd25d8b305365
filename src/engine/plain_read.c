/* Files of plain faiss become templates and stores. The index that faiss has read gives up its vectors piece by piece (codes, lists) or goes into the
 * store as it is (graphs, opaque). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plain_file.h"
#include "engine/store.h"

enum { PIECE = 8192 /* vectors that are encoded anew at a time */ };

/* A file that is being read. */
typedef struct reading {
    const char *path;
    FaissIndex *index; /* without a map of ids around it; owned */
    FaissIndex *inner; /* behind its transforms; borrowed */
    int64_t *mapped;   /* ids that stood around it; NULL: none; owned */
    engine_plain_content_t content;
    dfaiss_error_t *err;
} reading_t;

void engine_plain_content_clear(engine_plain_content_t *content) {
    engine_store_destroy(content->store);
    engine_template_destroy(content->template);
    free(content->ids);
    *content = (engine_plain_content_t){0};
}

static dfaiss_status_t no_memory(const reading_t *reading, size_t bytes) {
    return error_prefix(reading->err, error_memory(reading->err, bytes, "taking an index apart"), "%s: ", reading->path);
}

static dfaiss_status_t failed(const reading_t *reading, int code) {
    dfaiss_status_t status = engine_failure(code, DFAISS_ERR_DATA, "taking the index apart", reading->err);
    return error_prefix(reading->err, status, "%s: ", reading->path);
}

/* ---- codes ---- */

static dfaiss_status_t take_codes(reading_t *reading) {
    engine_store_t *store = reading->content.store;
    size_t code_size = store->template->layout.code_size;
    const uint8_t *codes = NULL;
    int code = shim_plain_codes(reading->inner, &codes);
    if (code != SHIM_OK)
        return failed(reading, code);
    for (int64_t at = 0; at < reading->content.rows; at += store->segment_rows) {
        int64_t left = reading->content.rows - at, count = left < store->segment_rows ? left : store->segment_rows;
        uint8_t *to = NULL;
        TRY(engine_store_restore_segment(store, count, &to, reading->err));
        memcpy(to, codes + (size_t)at * code_size, (size_t)count * code_size);
    }
    return DFAISS_OK;
}

/* ---- inverted lists ---- */

/* Labels are row numbers, ascending in every list: rows keep them. Otherwise rows are numbered list by list. */
typedef struct labels {
    int64_t *list; /* int64_t[longest] */
    uint64_t *seen;
    bool are_rows;
} labels_t;

static dfaiss_status_t list_size(const reading_t *reading, int64_t list, int64_t *size) {
    int code = shim_plain_list_size(reading->inner, list, size);
    return code == SHIM_OK ? DFAISS_OK : failed(reading, code);
}

static dfaiss_status_t make_labels(const reading_t *reading, labels_t *labels) {
    int64_t longest = 0, size = 0;
    for (int64_t list = 0; list < engine_template_lists(reading->content.template); list++) {
        TRY(list_size(reading, list, &size));
        longest = size > longest ? size : longest;
    }
    size_t bytes = (size_t)longest * sizeof *labels->list, words = (size_t)reading->content.rows / 64 + 1;
    labels->list = malloc(bytes + 1);
    labels->seen = calloc(words, sizeof *labels->seen);
    return labels->list && labels->seen ? DFAISS_OK : no_memory(reading, bytes + words * sizeof *labels->seen);
}

static bool list_has_rows(const reading_t *reading, const labels_t *labels, int64_t size) {
    for (int64_t i = 0; i < size; i++) {
        int64_t row = labels->list[i];
        if (row < 0 || row >= reading->content.rows || (i > 0 && row <= labels->list[i - 1]))
            return false;
        uint64_t bit = UINT64_C(1) << (row & 63);
        if (labels->seen[row >> 6] & bit)
            return false;
        labels->seen[row >> 6] |= bit;
    }
    return true;
}

static dfaiss_status_t look_at_labels(const reading_t *reading, labels_t *labels) {
    labels->are_rows = true;
    for (int64_t list = 0; labels->are_rows && list < engine_template_lists(reading->content.template); list++) {
        int64_t size = 0;
        TRY(list_size(reading, list, &size));
        int code = shim_plain_read_list(reading->inner, list, NULL, labels->list);
        if (code != SHIM_OK)
            return failed(reading, code);
        labels->are_rows = list_has_rows(reading, labels, size);
    }
    return DFAISS_OK;
}

/* A label is an id, or a place among those that stood around the index. */
static dfaiss_status_t put_id(reading_t *reading, int64_t row, int64_t label) {
    if (reading->mapped && (label < 0 || label >= reading->content.rows))
        return error_set(reading->err, DFAISS_ERR_DATA, reading->path, "%s: a vector is number %" PRId64 " of %" PRId64, reading->path, label,
                         reading->content.rows);
    reading->content.ids[row] = reading->mapped ? reading->mapped[label] : label;
    return DFAISS_OK;
}

static dfaiss_status_t take_list(reading_t *reading, const labels_t *labels, int64_t list, int64_t *next) {
    engine_store_t *store = reading->content.store;
    int64_t size = 0, *rows = NULL;
    uint8_t *codes = NULL;
    TRY(list_size(reading, list, &size));
    TRY(engine_store_restore_list(store, list, size, &codes, &rows, reading->err));
    int code = size > 0 ? shim_plain_read_list(reading->inner, list, codes, rows) : SHIM_OK;
    if (code != SHIM_OK)
        return failed(reading, code);
    for (int64_t i = 0; !labels->are_rows && i < size; i++) {
        TRY(put_id(reading, *next, rows[i]));
        rows[i] = (*next)++;
    }
    return DFAISS_OK;
}

static dfaiss_status_t take_lists_by(reading_t *reading, labels_t *labels) {
    int64_t next = 0;
    TRY(make_labels(reading, labels));
    TRY(look_at_labels(reading, labels));
    size_t bytes = (size_t)reading->content.rows * sizeof *reading->content.ids;
    if (!labels->are_rows) {
        reading->content.ids = malloc(bytes + 1);
        if (!reading->content.ids)
            return no_memory(reading, bytes);
    }
    for (int64_t list = 0; list < engine_template_lists(reading->content.template); list++)
        TRY(take_list(reading, labels, list, &next));
    return DFAISS_OK;
}

static dfaiss_status_t take_lists(reading_t *reading) {
    labels_t labels = {0};
    dfaiss_status_t status = take_lists_by(reading, &labels);
    free(labels.list);
    free(labels.seen);
    return status;
}

/* ---- whole indexes ---- */

static dfaiss_status_t take_whole(reading_t *reading) {
    if (reading->content.rows == 0)
        return DFAISS_OK;
    FaissIndex *inner = NULL;
    int code = shim_plain_take_inner(reading->index, &inner);
    if (code != SHIM_OK)
        return failed(reading, code);
    reading->index = NULL;
    return store_take_index(reading->content.store, inner, reading->content.rows, reading->err);
}

/* ---- ids ---- */

static int compare_ids(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static dfaiss_status_t check_ids(const reading_t *reading) {
    size_t bytes = (size_t)reading->content.rows * sizeof(int64_t);
    if (!reading->content.ids || bytes == 0)
        return DFAISS_OK;
    int64_t *sorted = malloc(bytes);
    if (!sorted)
        return no_memory(reading, bytes);
    memcpy(sorted, reading->content.ids, bytes);
    qsort(sorted, (size_t)reading->content.rows, sizeof *sorted, compare_ids);
    dfaiss_status_t status = DFAISS_OK;
    if (sorted[0] < 0)
        status = error_set(reading->err, DFAISS_ERR_DATA, reading->path, "%s holds a vector with the id %" PRId64 "; ids are 0 or more",
                           reading->path, sorted[0]);
    for (int64_t i = 1; status == DFAISS_OK && i < reading->content.rows; i++)
        if (sorted[i] == sorted[i - 1])
            status = error_set(reading->err, DFAISS_ERR_DATA, reading->path, "%s holds two vectors with the id %" PRId64, reading->path, sorted[i]);
    free(sorted);
    return status;
}

/* ---- a file ---- */

static dfaiss_status_t make_template(reading_t *reading, const index_config_t *config) {
    FaissIndex *empty = NULL;
    const char *differs = NULL;
    engine_template_t **template = &reading->content.template;
    int code = shim_plain_empty(reading->index, &empty);
    if (code != SHIM_OK)
        return failed(reading, code);
    TRY(template_wrap(config, empty, template, reading->err));
    TRY(template_difference(config, *template, &differs, reading->err));
    if (differs)
        return error_set(reading->err, DFAISS_ERR_CONFIG, reading->path, "%s holds an index with another %s than the configuration", reading->path,
                         differs);
    if (!engine_template_trained(*template))
        return error_set(reading->err, DFAISS_ERR_DATA, reading->path, "%s holds an index that is not trained, and no vectors", reading->path);
    return DFAISS_OK;
}

static dfaiss_status_t take_apart(reading_t *reading, const index_config_t *config) {
    engine_plain_content_t *content = &reading->content;
    TRY(make_template(reading, config));
    shim_layout_t layout;
    int code = shim_describe(reading->index, &layout);
    if (code != SHIM_OK)
        return failed(reading, code);
    reading->inner = layout.inner;
    TRY(engine_store_create(content->template, config->segment_rows, &content->store, reading->err));
    switch (engine_template_class(content->template)) {
    case ENGINE_CODES:
        TRY(take_codes(reading));
        break;
    case ENGINE_IVF:
        TRY(take_lists(reading));
        break;
    default:
        TRY(take_whole(reading));
    }
    if (!content->ids && reading->mapped) {
        content->ids = reading->mapped;
        reading->mapped = NULL;
    }
    TRY(check_ids(reading));
    return engine_store_restore_end(content->store, content->rows, NULL, reading->err);
}

dfaiss_status_t engine_plain_read(const char *path, const index_config_t *config, engine_plain_content_t *out, dfaiss_error_t *err) {
    reading_t reading = {.path = path, .err = err};
    TRY(plain_file_read(path, &reading.index, err));
    int code = shim_plain_unwrap(&reading.index, &reading.mapped);
    reading.content.rows = faiss_Index_ntotal(reading.index);
    dfaiss_status_t status = code == SHIM_OK ? take_apart(&reading, config) : failed(&reading, code);
    faiss_Index_free(reading.index);
    free(reading.mapped);
    if (status != DFAISS_OK) {
        engine_plain_content_clear(&reading.content);
        return status;
    }
    *out = reading.content;
    return DFAISS_OK;
}

/* ---- encoding anew ---- */

static dfaiss_status_t copy_template(const index_config_t *config, const engine_template_t *template, engine_template_t **out, dfaiss_error_t *err) {
    bytes_writer_t bytes = {0};
    dfaiss_status_t status = engine_template_write(template, &bytes, err);
    if (status == DFAISS_OK)
        status = engine_template_read(config, bytes.data, bytes.size, out, err);
    bytes_writer_destroy(&bytes);
    return status;
}

/* Rows `first` to first + n - 1 of one store into another; the last ones make what grows there a whole. */
static dfaiss_status_t encode_piece(engine_store_t *from, engine_store_t *to, int64_t first, int64_t n, bool last, float *x, dfaiss_error_t *err) {
    int64_t rows[PIECE];
    engine_block_t *block = NULL;
    for (int64_t i = 0; i < n; i++)
        rows[i] = first + i;
    TRY(engine_store_reconstruct(from, n, rows, x, err));
    TRY(engine_block_build(to, first, n, x, last, &block, err));
    while (!engine_block_link(to, block, INT64_MAX))
        continue;
    engine_block_destroy(block);
    return DFAISS_OK;
}

static dfaiss_status_t encode_all(engine_store_t *from, engine_store_t *to, int64_t rows, dfaiss_error_t *err) {
    size_t bytes = (size_t)PIECE * (size_t)from->template->dim * sizeof(float);
    float *x = malloc(bytes);
    dfaiss_status_t status = x ? DFAISS_OK : error_memory(err, bytes, "encoding vectors anew");
    for (int64_t at = 0; status == DFAISS_OK && at < rows; at += PIECE) {
        int64_t count = rows - at < PIECE ? rows - at : PIECE;
        status = encode_piece(from, to, at, count, at + count == rows, x, err);
    }
    free(x);
    return status;
}

dfaiss_status_t engine_plain_encode_anew(const index_config_t *config, const engine_template_t *template, engine_plain_content_t *content,
                                         dfaiss_error_t *err) {
    engine_plain_content_t made = {.rows = content->rows};
    dfaiss_status_t status = copy_template(config, template, &made.template, err);
    if (status == DFAISS_OK)
        status = engine_store_create(made.template, config->segment_rows, &made.store, err);
    if (status == DFAISS_OK)
        status = encode_all(content->store, made.store, content->rows, err);
    if (status != DFAISS_OK) {
        engine_plain_content_clear(&made);
        return status;
    }
    made.ids = content->ids;
    content->ids = NULL;
    engine_plain_content_clear(content);
    *content = made;
    return DFAISS_OK;
}
