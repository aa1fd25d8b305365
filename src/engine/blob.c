#include "engine/blob.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_io_c.h>
#include <xxhash.h>

#include "engine/scratch.h"
#include "engine/template.h"

enum { STREAM_BUFFER = 4 << 20 };

static const uint8_t trailer_magic[8] = {'d', 'f', 'a', 'i', 's', 's', 'X', '3'};
enum { TRAILER_SIZE = 16 };

typedef struct outlet {
    engine_sink_t *sink;
    void *context;
    XXH3_state_t *checksum;
    bool stopped; /* the sink said so */
} outlet_t;

static ssize_t outlet_write(void *cookie, const char *bytes, size_t size) {
    outlet_t *outlet = cookie;
    if (outlet->stopped || !outlet->sink(outlet->context, bytes, size)) {
        outlet->stopped = true;
        return 0;
    }
    XXH3_64bits_update(outlet->checksum, bytes, size);
    return (ssize_t)size;
}

/* faiss's bytes through a stream with a large buffer: it writes numbers one by one. */
static dfaiss_status_t write_index(const FaissIndex *index, outlet_t *outlet, dfaiss_error_t *err) {
    char *buffer = malloc(STREAM_BUFFER);
    FILE *stream = buffer ? fopencookie(outlet, "w", (cookie_io_functions_t){.write = outlet_write}) : NULL;
    if (!stream) {
        free(buffer);
        return error_memory(err, STREAM_BUFFER, "writing an index");
    }
    setvbuf(stream, buffer, _IOFBF, STREAM_BUFFER);
    int code = faiss_write_index(index, stream);
    dfaiss_error_t failure = {.code = DFAISS_OK};
    dfaiss_status_t status = DFAISS_OK;
    if (code != 0)
        status = engine_failure_c(code, DFAISS_ERR_FAISS, "writing an index", &failure);
    bool flushed = fclose(stream) == 0;
    free(buffer);
    if (outlet->stopped)
        return err && err->code != DFAISS_OK ? err->code : DFAISS_ERR_IO;
    if (status == DFAISS_OK && !flushed)
        status = error_set(&failure, DFAISS_ERR_IO, "", "writing an index failed at its end");
    if (status != DFAISS_OK && err)
        *err = failure;
    return status;
}

static void put_u64(uint8_t *to, uint64_t value) {
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static dfaiss_status_t write_trailer(outlet_t *outlet, dfaiss_error_t *err) {
    uint8_t trailer[TRAILER_SIZE];
    memcpy(trailer, trailer_magic, sizeof trailer_magic);
    put_u64(trailer + sizeof trailer_magic, XXH3_64bits_digest(outlet->checksum));
    if (!outlet->sink(outlet->context, trailer, sizeof trailer))
        return err && err->code != DFAISS_OK ? err->code : DFAISS_ERR_IO;
    return DFAISS_OK;
}

dfaiss_status_t blob_write(const FaissIndex *index, engine_sink_t *sink, void *context, dfaiss_error_t *err) {
    if (err)
        err->code = DFAISS_OK; /* tells whether the sink set it */
    outlet_t outlet = {.sink = sink, .context = context, .checksum = XXH3_createState()};
    if (!outlet.checksum)
        return error_memory(err, sizeof outlet, "a checksum");
    XXH3_64bits_reset(outlet.checksum);
    dfaiss_status_t status = write_index(index, &outlet, err);
    if (status == DFAISS_OK)
        status = write_trailer(&outlet, err);
    XXH3_freeState(outlet.checksum);
    return status;
}

static dfaiss_status_t damaged(const char *what, const char *how, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_CHECKPOINT, what, "%s is damaged: %s", what, how);
}

static dfaiss_status_t check_trailer(const uint8_t *bytes, size_t size, const char *what, dfaiss_error_t *err) {
    if (size <= TRAILER_SIZE)
        return damaged(what, "it is too short for an index", err);
    const uint8_t *trailer = bytes + size - TRAILER_SIZE;
    uint8_t expected[8];
    put_u64(expected, XXH3_64bits(bytes, size - TRAILER_SIZE));
    if (memcmp(trailer, trailer_magic, sizeof trailer_magic) != 0)
        return damaged(what, "it does not end like an index", err);
    if (memcmp(trailer + sizeof trailer_magic, expected, sizeof expected) != 0)
        return damaged(what, "its checksum is wrong", err);
    return DFAISS_OK;
}

dfaiss_status_t blob_read(const void *bytes, size_t size, const char *what, FaissIndex **out, dfaiss_error_t *err) {
    TRY(check_trailer(bytes, size, what, err));
    size_t content = size - TRAILER_SIZE;
    FILE *stream = fmemopen((void *)(uintptr_t)bytes, content, "r");
    if (!stream)
        return error_memory(err, content, "reading an index");
    FaissIndex *index = NULL;
    dfaiss_status_t status = DFAISS_OK;
    int code = faiss_read_index(stream, 0, &index);
    if (code == STD_EXCEPT) /* the bytes are as they were written, so that nothing but memory can be missing */
        status = error_memory(err, content, what);
    else if (code != 0)
        status = damaged(what, "faiss does not take it", err);
    else if (ftell(stream) != (long)content)
        status = damaged(what, "something stands behind the index", err);
    else if (shim_check(index, true) != SHIM_OK)
        status = damaged(what, shim_error(), err);
    fclose(stream);
    if (status != DFAISS_OK) {
        faiss_Index_free(index);
        return status;
    }
    *out = index;
    return DFAISS_OK;
}

dfaiss_status_t engine_graph_codes(const engine_template_t *template, int64_t rows, size_t size, engine_graph_codes_t *out, dfaiss_error_t *err) {
    size_t behind = 0, item = 1, codes = 0;
    int code = template->layout.kind == SHIM_HNSW ? shim_graph_written(template->layout.inner, &behind, &item) : SHIM_FAILED;
    if (code != SHIM_OK)
        return engine_failure(code, DFAISS_ERR_INTERNAL, "looking for the codes of a graph", err);
    bool fits = rows >= 0 && size_multiply((size_t)rows, template->layout.code_size, &codes) && size > TRAILER_SIZE + behind + sizeof(uint64_t) &&
                codes < size - TRAILER_SIZE - behind - sizeof(uint64_t);
    if (!fits)
        return damaged("a graph", "it is too short for its vectors", err);
    *out = (engine_graph_codes_t){.offset = size - TRAILER_SIZE - behind - codes, .number = codes / item};
    return DFAISS_OK;
}
