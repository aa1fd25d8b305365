/* From rows back to vectors: their codes are found by their class, decoded, and taken back through the transforms in front of the index. */
#include <inttypes.h>
#include <string.h>

#include "engine/store.h"

static dfaiss_status_t refused(const engine_template_t *template, int code, dfaiss_error_t *err) {
    dfaiss_status_t status = engine_failure(code, DFAISS_ERR_UNSUPPORTED, "reconstructing vectors", err);
    return error_prefix(err, status, "index of class %s: ", engine_class_name(engine_template_class(template)));
}

static dfaiss_status_t no_such_row(const engine_store_t *store, int64_t row, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_ARG, "row", "row %" PRId64 " is not there; the store has rows 0 to %" PRId64 ", without those that were dropped",
                     row, store->rows - 1);
}

static dfaiss_status_t decode_rows(engine_store_t *store, int64_t n, const int64_t *rows, shim_decoder_t *decoder, float *out, dfaiss_error_t *err) {
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *code = NULL;
        int64_t list = 0;
        TRY(store->class->find_code(store, rows[i], &code, &list, err));
        if (!code)
            return no_such_row(store, rows[i], err);
        int failure = shim_decoder_decode(decoder, list, code, out + i * store->template->inner_dim);
        if (failure != SHIM_OK)
            return refused(store->template, failure, err);
    }
    return DFAISS_OK;
}

dfaiss_status_t engine_store_locate(engine_store_t *store, int64_t deadline, bool *ready, dfaiss_error_t *err) {
    *ready = true;
    return store->class->locate ? store->class->locate(store, deadline, ready, err) : DFAISS_OK;
}

/* Vectors as the index behind the transforms knows them. */
static dfaiss_status_t inner_vectors(engine_store_t *store, int64_t n, const int64_t *rows, float *out, dfaiss_error_t *err) {
    if (store->class->reconstruct) {
        for (int64_t i = 0; i < n; i++) {
            int failure = store->class->reconstruct(store, rows[i], out + i * store->template->inner_dim);
            if (failure != SHIM_OK)
                return refused(store->template, failure, err);
        }
        return DFAISS_OK;
    }
    bool located;
    shim_decoder_t *decoder = NULL;
    TRY(engine_store_locate(store, INT64_MAX, &located, err));
    int failure = shim_decoder_new(store->template->layout.inner, &decoder);
    if (failure != SHIM_OK)
        return refused(store->template, failure, err);
    dfaiss_status_t status = decode_rows(store, n, rows, decoder, out, err);
    shim_decoder_free(decoder);
    return status;
}

/* Takes n vectors of the index behind the transforms back through them. */
static dfaiss_status_t bring_back(const engine_template_t *template, int64_t n, const float *inner, float *out, dfaiss_error_t *err) {
    if (!template->layout.transformed) {
        memcpy(out, inner, (size_t)n * (size_t) template->inner_dim * sizeof *out);
        return DFAISS_OK;
    }
    int failure = shim_reverse_transform(template->index, n, inner, out);
    return failure == SHIM_OK ? DFAISS_OK : refused(template, failure, err);
}

static dfaiss_status_t take_inner(const engine_template_t *template, int64_t n, float **inner, dfaiss_error_t *err) {
    size_t count, bytes;
    if (!size_multiply((size_t)n, (size_t) template->inner_dim, &count) || !size_multiply(count, sizeof(float), &bytes))
        return error_memory(err, SIZE_MAX, "giving vectors back");
    *inner = malloc(bytes + 1);
    return *inner ? DFAISS_OK : error_memory(err, bytes, "giving vectors back");
}

dfaiss_status_t engine_store_reconstruct(engine_store_t *store, int64_t n, const int64_t *rows, float *out, dfaiss_error_t *err) {
    float *inner = NULL;
    for (int64_t i = 0; i < n; i++)
        if (rows[i] < 0 || rows[i] >= store->rows)
            return no_such_row(store, rows[i], err);
    TRY(take_inner(store->template, n, &inner, err));
    dfaiss_status_t status = inner_vectors(store, n, rows, inner, err);
    if (status == DFAISS_OK && n > 0)
        status = bring_back(store->template, n, inner, out, err);
    free(inner);
    return status;
}

static dfaiss_status_t decode_codes(const engine_template_t *template, int64_t n, const uint8_t *codes, float *inner, dfaiss_error_t *err) {
    shim_decoder_t *decoder = NULL;
    int failure = shim_decoder_new(template->layout.inner, &decoder);
    for (int64_t i = 0; failure == SHIM_OK && i < n; i++)
        failure = shim_decoder_decode(decoder, 0, codes + (size_t)i * template->layout.code_size, inner + i * template->inner_dim);
    shim_decoder_free(decoder);
    return failure == SHIM_OK ? DFAISS_OK : refused(template, failure, err);
}

dfaiss_status_t engine_decode(const engine_template_t *template, int64_t n, const uint8_t *codes, float *out, dfaiss_error_t *err) {
    float *inner = NULL;
    TRY(take_inner(template, n, &inner, err));
    dfaiss_status_t status = decode_codes(template, n, codes, inner, err);
    if (status == DFAISS_OK && n > 0)
        status = bring_back(template, n, inner, out, err);
    free(inner);
    return status;
}
