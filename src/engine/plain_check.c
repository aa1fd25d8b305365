/* Files of plain faiss, before they are believed. faiss takes sizes and numbers from a file as they come: what the first bytes say is compared with
 * the file's size and with what is expected, and then a child process reads it, with little memory and time. Only what it has survived is read here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_io_c.h>

#include "base/bytes.h"
#include "base/file.h"
#include "engine/plain_file.h"
#include "engine/template.h"

enum { HEADER_BYTES = 37 }; /* four letters, d, ntotal, two numbers that mean nothing, is_trained, metric_type */

dfaiss_status_t plain_file_read(const char *path, FaissIndex **out, dfaiss_error_t *err) {
    FaissIndex *index = NULL;
    int code = faiss_read_index_fname(path, FAISS_IO_FLAG_READ_ONLY, &index);
    if (code != 0)
        return error_prefix(err, engine_failure_c(code, DFAISS_ERR_DATA, "reading the index", err), "%s: ", path);
    code = shim_plain_check(index);
    if (code != SHIM_OK) {
        faiss_Index_free(index);
        return error_prefix(err, engine_failure(code, DFAISS_ERR_DATA, "checking the index", err), "%s: ", path);
    }
    *out = index;
    return DFAISS_OK;
}

/* ---- the first bytes ---- */

static dfaiss_status_t read_beginning(const char *path, uint8_t *bytes, size_t *size, dfaiss_error_t *err) {
    FILE *file = fopen(path, "rbe");
    if (!file)
        return error_system(err, "open", path, errno);
    *size = fread(bytes, 1, HEADER_BYTES, file);
    bool failed = ferror(file) != 0;
    int failure = errno;
    fclose(file);
    return failed ? error_system(err, "read", path, failure) : DFAISS_OK;
}

/* Letters of indexes of numbers. */
static dfaiss_status_t check_letters(const char *path, const uint8_t *bytes, size_t size, dfaiss_error_t *err) {
    if (size >= 2 && bytes[0] == 'I' && bytes[1] == 'B')
        return error_set(err, DFAISS_ERR_UNSUPPORTED, path, "%s holds a binary index; only indexes of numbers are supported", path);
    bool letters = size == HEADER_BYTES && (bytes[0] == 'I' || bytes[0] == 'N');
    for (int i = 1; letters && i < 4; i++)
        letters = (bytes[i] >= '0' && bytes[i] <= '9') || (bytes[i] >= 'A' && bytes[i] <= 'Z') || (bytes[i] >= 'a' && bytes[i] <= 'z');
    if (!letters)
        return error_set(err, DFAISS_ERR_DATA, path,
                         "%s is no index that faiss has written: it should begin with the letters of one (IxFI, IwFl, IHNs and the like) and have "
                         "%d bytes at least",
                         path, HEADER_BYTES);
    return DFAISS_OK;
}

static dfaiss_status_t check_numbers(const char *path, const index_config_t *config, const engine_plain_header_t *header, uint64_t bytes,
                                     dfaiss_error_t *err) {
    enum { DIM_MOST = 1 << 20 };
    if (header->dim < 1 || header->dim > DIM_MOST)
        return error_set(err, DFAISS_ERR_DATA, path, "%s is damaged: its dimension is %" PRId64 "; expected 1 to %d", path, header->dim, DIM_MOST);
    /* A vector takes a byte at least. */
    if (header->vectors < 0 || (uint64_t)header->vectors > bytes)
        return error_set(err, DFAISS_ERR_DATA, path, "%s is damaged: it says that it holds %" PRId64 " vectors, and has %" PRIu64 " bytes", path,
                         header->vectors, bytes);
    if (config->dim > 0 && header->dim != config->dim)
        return error_set(err, DFAISS_ERR_CONFIG, path, "%s holds vectors of dimension %" PRId64 "; the configuration expects dim %" PRId64, path,
                         header->dim, config->dim);
    return DFAISS_OK;
}

static dfaiss_status_t check_metric(const char *path, const index_config_t *config, uint32_t metric, dfaiss_error_t *err) {
    enum { INNER_PRODUCT, L2 };
    static const char *const names[] = {[INNER_PRODUCT] = "inner products", [L2] = "squared L2 distances"};
    uint32_t expected = config->metric == CONFIG_METRIC_l2 ? L2 : INNER_PRODUCT;
    if (metric > L2)
        return error_set(err, DFAISS_ERR_UNSUPPORTED, path,
                         "%s is of faiss's metric %" PRIu32 "; inner products (0) and squared L2 (1) are supported", path, metric);
    if (metric != expected)
        return error_set(err, DFAISS_ERR_CONFIG, path, "%s is an index of %s; the configuration's metric expects %s", path, names[metric],
                         names[expected]);
    return DFAISS_OK;
}

static dfaiss_status_t check_beginning(const char *path, const index_config_t *config, uint64_t size, engine_plain_header_t *header,
                                       dfaiss_error_t *err) {
    uint8_t bytes[HEADER_BYTES];
    size_t count = 0;
    TRY(read_beginning(path, bytes, &count, err));
    TRY(check_letters(path, bytes, count, err));
    bytes_reader_t in = bytes_reader(bytes + 4, HEADER_BYTES - 4);
    header->dim = (int32_t)bytes_get_u32(&in);
    header->vectors = bytes_get_i64(&in);
    (void)bytes_get(&in, 2 * sizeof(int64_t) + 1);
    TRY(check_numbers(path, config, header, size, err));
    return check_metric(path, config, bytes_get_u32(&in), err);
}

dfaiss_status_t engine_plain_check(const char *path, const index_config_t *config, engine_plain_header_t *out, dfaiss_error_t *err) {
    engine_plain_header_t header = {0};
    uint64_t size = 0;
    TRY(file_size(path, &size, err));
    TRY(check_beginning(path, config, size, &header, err));
    *out = header;
    return DFAISS_OK;
}

dfaiss_status_t engine_plain_try(const char *path, dfaiss_error_t *err) {
    FaissIndex *index = NULL;
    TRY(plain_file_read(path, &index, err));
    faiss_Index_free(index);
    return DFAISS_OK;
}
