/* From rows back to vectors: their codes are found by their class, decoded, and taken back through the transforms in front of the index. */
#include <inttypes.h>
#include <string.h>

#include "engine/store.h"

static dfaiss_status_t refused(const engine_store_t *store, int code, dfaiss_error_t *err) {
    dfaiss_status_t status = engine_failure(code, DFAISS_ERR_UNSUPPORTED, "reconstructing vectors", err);
    return error_prefix(err, status, "index of class %s: ", engine_class_name(engine_template_class(store->template)));
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
            return refused(store, failure, err);
    }
    return DFAISS_OK;
}

/* Vectors as the index behind the transforms knows them. */
static dfaiss_status_t inner_vectors(engine_store_t *store, int64_t n, const int64_t *rows, float *out, dfaiss_error_t *err) {
    if (store->class->reconstruct) {
        for (int64_t i = 0; i < n; i++) {
            int failure = store->class->reconstruct(store, rows[i], out + i * store->template->inner_dim);
            if (failure != SHIM_OK)
                return refused(store, failure, err);
        }
        return DFAISS_OK;
    }
    shim_decoder_t *decoder = NULL;
    int failure = shim_decoder_new(store->template->layout.inner, &decoder);
    if (failure != SHIM_OK)
        return refused(store, failure, err);
    dfaiss_status_t status = decode_rows(store, n, rows, decoder, out, err);
    shim_decoder_free(decoder);
    return status;
}

dfaiss_status_t engine_store_reconstruct(engine_store_t *store, int64_t n, const int64_t *rows, float *out, dfaiss_error_t *err) {
    const engine_template_t *template = store->template;
    for (int64_t i = 0; i < n; i++)
        if (rows[i] < 0 || rows[i] >= store->rows)
            return no_such_row(store, rows[i], err);
    size_t count, bytes;
    if (!size_multiply((size_t)n, (size_t) template->inner_dim, &count) || !size_multiply(count, sizeof(float), &bytes))
        return error_memory(err, SIZE_MAX, "giving vectors back");
    float *inner = malloc(bytes + 1);
    if (!inner)
        return error_memory(err, bytes, "giving vectors back");
    dfaiss_status_t status = inner_vectors(store, n, rows, inner, err);
    if (status == DFAISS_OK && template->layout.transformed && n > 0) {
        int failure = shim_reverse_transform(template->index, n, inner, out);
        if (failure != SHIM_OK)
            status = refused(store, failure, err);
    } else if (status == DFAISS_OK && n > 0) {
        memcpy(out, inner, bytes);
    }
    free(inner);
    return status;
}
