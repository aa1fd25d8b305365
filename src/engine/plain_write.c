/* Indexes for plain faiss programs: made of templates and stores, and written. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/index_io_c.h>

#include "base/fault.h"
#include "base/file.h"
#include "engine/blob.h"
#include "engine/plain.h"
#include "engine/store.h"

enum { RUN = 8192 /* vectors that are put in at a time */ };

struct engine_plain {
    const engine_template_t *template;
    FaissIndex *index; /* owned */
    int64_t effort;
};

/* ---- checksums of templates ---- */

typedef struct last_bytes {
    uint8_t bytes[sizeof(uint64_t)];
} last_bytes_t;

/* The checksum stands at the end. */
static bool keep_last(void *context, const void *bytes, size_t size) {
    last_bytes_t *last = context;
    if (size >= sizeof last->bytes)
        memcpy(last->bytes, (const uint8_t *)bytes + size - sizeof last->bytes, sizeof last->bytes);
    return true;
}

dfaiss_status_t engine_template_checksum(const engine_template_t *template, uint64_t *checksum, dfaiss_error_t *err) {
    last_bytes_t last = {{0}};
    TRY(blob_write(template->index, keep_last, &last, err));
    uint64_t made = 0;
    for (size_t i = sizeof last.bytes; i-- > 0;)
        made = made << 8 | last.bytes[i];
    *checksum = made;
    return DFAISS_OK;
}

/* ---- making ---- */

void engine_plain_destroy(engine_plain_t *plain) {
    if (!plain)
        return;
    faiss_Index_free(plain->index);
    free(plain);
}

dfaiss_status_t engine_plain_create(const engine_template_t *template, int64_t effort, engine_plain_t **out, dfaiss_error_t *err) {
    if (!engine_template_trained(template))
        return error_set(err, DFAISS_ERR_STATE, "", "the index is not trained yet");
    engine_plain_t *plain = calloc(1, sizeof *plain);
    if (!plain)
        return error_memory(err, sizeof *plain, "an index");
    plain->template = template;
    plain->effort = effort;
    int code = shim_plain_new(template->index, &plain->index);
    if (code != SHIM_OK) {
        engine_plain_destroy(plain);
        return engine_failure(code, DFAISS_ERR_FAISS, "copying the trained index", err);
    }
    *out = plain;
    return DFAISS_OK;
}

int64_t engine_plain_vectors(const engine_plain_t *plain) {
    return faiss_Index_ntotal(plain->index);
}

/* Codes that lie together. */
typedef struct stored {
    int64_t list;
    int64_t count;
    const uint8_t *codes;
    const int64_t *rows; /* NULL: from `first` on */
    int64_t first;
} stored_t;

static int64_t row_at(const stored_t *stored, int64_t place) {
    return stored->rows ? stored->rows[place] : stored->first + place;
}

/* Those of them that are alive, in runs. */
static dfaiss_status_t append_alive(engine_plain_t *plain, const stored_t *stored, const uint64_t *const *alive, const int64_t *ids,
                                    dfaiss_error_t *err) {
    int64_t run_ids[RUN];
    for (int64_t at = 0; at < stored->count;) {
        int64_t run = 0;
        while (run < RUN && at + run < stored->count && (!alive || row_bits_get(alive, row_at(stored, at + run)))) {
            run_ids[run] = ids[row_at(stored, at + run)];
            run++;
        }
        const uint8_t *codes = stored->codes + (size_t)at * plain->template->layout.code_size;
        int code = run > 0 ? shim_plain_append(plain->index, stored->list, run, codes, run_ids) : SHIM_OK;
        if (code != SHIM_OK)
            return engine_failure(code, DFAISS_ERR_FAISS, "putting codes into an index", err);
        at += run > 0 ? run : 1;
    }
    return DFAISS_OK;
}

static dfaiss_status_t append_lists(engine_plain_t *plain, const engine_store_t *store, const uint64_t *const *alive, const int64_t *ids,
                                    dfaiss_error_t *err) {
    for (int64_t list = 0; list < engine_template_lists(store->template); list++) {
        stored_t stored = {.list = list};
        engine_store_list(store, list, &stored.count, &stored.codes, &stored.rows);
        TRY(append_alive(plain, &stored, alive, ids, err));
    }
    return DFAISS_OK;
}

dfaiss_status_t engine_plain_add_store(engine_plain_t *plain, const engine_store_t *store, const uint64_t *const *alive, const int64_t *ids,
                                       dfaiss_error_t *err) {
    if (engine_template_class(store->template) == ENGINE_IVF)
        return append_lists(plain, store, alive, ids, err);
    if (!store->class->segment_codes)
        return store_misuse(store, "its vectors are not codes that can be put together", err);
    int code = shim_plain_reserve(plain->index, engine_store_held(store));
    if (code != SHIM_OK)
        return engine_failure(code, DFAISS_ERR_FAISS, "making room in an index", err);
    for (int64_t i = 0; i < engine_store_segments(store); i++) {
        stored_t stored = {.list = -1, .codes = engine_store_segment_codes(store, i), .rows = engine_store_segment_rows(store, i)};
        engine_store_segment(store, i, &stored.first, &stored.count);
        TRY(append_alive(plain, &stored, alive, ids, err));
    }
    return DFAISS_OK;
}

dfaiss_status_t engine_plain_add_vectors(engine_plain_t *plain, int64_t n, const float *x, const int64_t *ids, dfaiss_error_t *err) {
    int code = n > 0 ? faiss_Index_add_with_ids(plain->index, n, x, ids) : 0;
    return code == 0 ? DFAISS_OK : engine_failure_c(code, DFAISS_ERR_FAISS, "adding vectors to an index", err);
}

/* ---- whole segments ---- */

static dfaiss_status_t put_copy(engine_plain_t *plain, const engine_store_t *store, int64_t segment, const int64_t *ids, dfaiss_error_t *err) {
    const FaissIndex *from = store->class->segment_index(store, segment);
    FaissIndex *copy = NULL;
    int code = engine_template_class(store->template) == ENGINE_HNSW ? shim_copy_graph(from, &copy) : shim_copy_index(from, &copy);
    if (code == SHIM_OK)
        code = shim_plain_put(plain->index, copy, ids);
    return code == SHIM_OK ? DFAISS_OK : engine_failure(code, DFAISS_ERR_FAISS, "putting a segment into an index", err);
}

/* Adds n rows again, as vectors. */
static dfaiss_status_t add_rows(engine_plain_t *plain, engine_store_t *store, int64_t n, const int64_t *rows, const int64_t *ids, float *x,
                                dfaiss_error_t *err) {
    int64_t added[RUN];
    for (int64_t at = 0; at < n; at += RUN) {
        int64_t count = n - at < RUN ? n - at : RUN;
        TRY(engine_store_reconstruct(store, count, rows + at, x, err));
        for (int64_t i = 0; i < count; i++)
            added[i] = ids[rows[at + i]];
        TRY(engine_plain_add_vectors(plain, count, x, added, err));
    }
    return DFAISS_OK;
}

static dfaiss_status_t build_anew(engine_plain_t *plain, engine_store_t *store, const row_span_t *living, const int64_t *ids, dfaiss_error_t *err) {
    int64_t *rows = malloc((size_t)living->count * sizeof *rows + 1);
    float *x = malloc((size_t)RUN * (size_t)store->template->dim * sizeof *x);
    dfaiss_status_t status = rows && x ? DFAISS_OK : error_memory(err, (size_t)living->count * sizeof *rows, "building a segment anew");
    for (int64_t i = 0; status == DFAISS_OK && i < living->count; i++)
        rows[i] = span_row(living, i);
    if (status == DFAISS_OK)
        status = add_rows(plain, store, living->count, rows, ids, x, err);
    free(rows);
    free(x);
    return status;
}

dfaiss_status_t engine_plain_add_segment(engine_plain_t *plain, engine_store_t *store, int64_t segment, const uint64_t *const *alive,
                                         const int64_t *ids, dfaiss_error_t *err) {
    const row_span_t *span = store->class->segment(store, segment);
    if (alive && span_count_alive(span, alive) < span->count) {
        row_span_t living;
        TRY(span_alive(span, alive, &living, err));
        dfaiss_status_t status = build_anew(plain, store, &living, ids, err);
        free(living.rows);
        return status;
    }
    int64_t *own = malloc((size_t)span->count * sizeof *own + 1);
    if (!own)
        return error_memory(err, (size_t)span->count * sizeof *own, "the ids of a segment");
    for (int64_t i = 0; i < span->count; i++)
        own[i] = ids[span_row(span, i)];
    dfaiss_status_t status = put_copy(plain, store, segment, own, err);
    free(own);
    return status;
}

/* ---- writing ---- */

/* Searches of a program that sets nothing begin with what the configuration says; an index that knows no such parameter goes without. */
static void set_effort(engine_plain_t *plain) {
    const shim_layout_t *layout = &plain->template->layout;
    FaissParameterSpace *space = NULL;
    double effort = (double)(layout->lists > 0 && plain->effort > layout->lists ? layout->lists : plain->effort);
    if ((layout->lists == 0 && !layout->walks) || faiss_ParameterSpace_new(&space) != 0)
        return;
    (void)faiss_ParameterSpace_set_index_parameter(space, plain->index, layout->lists > 0 ? "nprobe" : "efSearch", effort);
    faiss_ParameterSpace_free(space);
}

static dfaiss_status_t write_stream(const engine_plain_t *plain, const char *path, FILE *stream, dfaiss_error_t *err) {
    errno = 0;
    int code = faiss_write_index(plain->index, stream);
    if (code != 0 && errno != 0)
        return error_system(err, "write", path, errno);
    if (code != 0)
        return engine_failure_c(code, DFAISS_ERR_FAISS, "writing an index", err);
    return fflush(stream) == 0 && fsync(fileno(stream)) == 0 ? DFAISS_OK : error_system(err, "write", path, errno);
}

static dfaiss_status_t write_beside(const engine_plain_t *plain, const char *beside, dfaiss_error_t *err) {
    FILE *stream = fopen(beside, "wbe");
    if (!stream)
        return error_system(err, "create", beside, errno);
    dfaiss_status_t status = write_stream(plain, beside, stream, err);
    if (fclose(stream) != 0 && status == DFAISS_OK)
        status = error_system(err, "close", beside, errno);
    return status;
}

dfaiss_status_t engine_plain_write(engine_plain_t *plain, const char *path, uint64_t *bytes, dfaiss_error_t *err) {
    char beside[PATH_MAX];
    int length = snprintf(beside, sizeof beside, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof beside)
        return error_set(err, DFAISS_ERR_ARG, path, "the path %s is too long", path);
    set_effort(plain);
    dfaiss_status_t status = write_beside(plain, beside, err);
    if (status == DFAISS_OK && fault_rename(beside, path) != 0)
        status = error_system(err, "rename to", path, errno);
    if (status != DFAISS_OK) {
        (void)fault_remove(beside);
        return status;
    }
    return file_size(path, bytes, err);
}
