/* From a configuration to the string that faiss's index factory takes. What faiss would crash on, or dfaiss cannot hold, is refused here by name. */
#include "engine/engine.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_LINKS = 2, MOST_LINKS = 4096 };

static const char placeholder[] = "{centroids}";

static dfaiss_status_t need_centroids(const index_config_t *config, int64_t n, int64_t *lists, dfaiss_error_t *err) {
    if (config->centroids <= 0 && !config->infer_centroids)
        return error_set(err, DFAISS_ERR_CONFIG, "centroids",
                         "this kind of index needs the key centroids (its number of inverted lists), or infer_centroids: true");
    *lists = index_config_centroids(config, n);
    return DFAISS_OK;
}

static dfaiss_status_t check_code_size(const index_config_t *config, dfaiss_error_t *err) {
    if (config->code_size < 1 || config->dim % config->code_size != 0)
        return error_set(err, DFAISS_ERR_CONFIG, "code_size", "code_size is %" PRId64 "; knnlm needs one that divides dim, which is %" PRId64,
                         config->code_size, config->dim);
    if (config->bits_per_vector < 1 || config->bits_per_vector > 8)
        return error_set(err, DFAISS_ERR_CONFIG, "bits_per_vector", "bits_per_vector is %" PRId64 "; knnlm takes 1 to 8", config->bits_per_vector);
    return DFAISS_OK;
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* The number at `at` is that of a graph's links. */
static bool counts_links(const char *factory, const char *at) {
    return at - factory >= 4 && strncmp(at - 4, "HNSW", 4) == 0;
}

static bool is_binary(const char *factory) {
    static const char *const names[] = {"BFlat", "BIVF", "BHNSW", "BHash"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (starts_with(factory, names[i]))
            return true;
    return false;
}

/* faiss divides by the numbers of a factory string before it looks at them, and allocates 2^bits codewords. A graph with one link a node takes all
 * memory that there is. */
static dfaiss_status_t check_numbers(const char *factory, dfaiss_error_t *err) {
    for (const char *at = factory; *at;) {
        if (!isdigit((unsigned char)*at)) {
            at++;
            continue;
        }
        char before = at > factory ? at[-1] : ' ';
        char *end;
        unsigned long long value = strtoull(at, &end, 10);
        bool fraction = before == '.' || *end == '.';
        if (value == 0 && !fraction)
            return error_set(err, DFAISS_ERR_CONFIG, "faiss_factory", "faiss_factory is \"%s\"; a number in it is 0", factory);
        if (value > INT32_MAX || (before == 'x' && value > 24))
            return error_set(err, DFAISS_ERR_CONFIG, "faiss_factory", "faiss_factory is \"%s\"; the number %.*s in it is too large", factory,
                             (int)(end - at), at);
        if (counts_links(factory, at) && (value < LEAST_LINKS || value > MOST_LINKS))
            return error_set(err, DFAISS_ERR_CONFIG, "faiss_factory", "faiss_factory is \"%s\"; HNSW takes %d to %d links a node", factory,
                             LEAST_LINKS, MOST_LINKS);
        at = end;
    }
    return DFAISS_OK;
}

static dfaiss_status_t check_factory(const char *factory, dfaiss_error_t *err) {
    if (!*factory)
        return error_set(err, DFAISS_ERR_CONFIG, "index_builder_type", "neither index_builder_type nor faiss_factory is given");
    if (is_binary(factory))
        return error_set(err, DFAISS_ERR_CONFIG, "faiss_factory", "faiss_factory is \"%s\"; binary indexes are not supported", factory);
    if (strstr(factory, "IDMap"))
        return error_set(err, DFAISS_ERR_CONFIG, "faiss_factory", "faiss_factory is \"%s\"; leave IDMap out, ids are kept by dfaiss", factory);
    if (strstr(factory, "NSG"))
        return error_set(err, DFAISS_ERR_CONFIG, "faiss_factory", "faiss_factory is \"%s\"; NSG graphs cannot grow, take HNSW", factory);
    return check_numbers(factory, err);
}

/* Appends length characters and a final zero; *used becomes capacity where they do not fit. */
static void append(char *text, size_t capacity, size_t *used, const char *from, size_t length) {
    if (*used == capacity || length >= capacity - *used) {
        *used = capacity;
        return;
    }
    memcpy(text + *used, from, length);
    *used += length;
    text[*used] = 0;
}

/* The configured string with every {centroids} replaced. */
static dfaiss_status_t fill_in(const index_config_t *config, int64_t n, char *text, size_t capacity, dfaiss_error_t *err) {
    const char *from = config->faiss_factory;
    size_t used = 0;
    for (const char *found; (found = strstr(from, placeholder)) != NULL; from = found + strlen(placeholder)) {
        int64_t lists = 0;
        char number[24];
        TRY(need_centroids(config, n, &lists, err));
        int length = snprintf(number, sizeof number, "%" PRId64, lists);
        append(text, capacity, &used, from, (size_t)(found - from));
        append(text, capacity, &used, number, (size_t)length);
    }
    append(text, capacity, &used, from, strlen(from));
    if (used == capacity)
        return error_set(err, DFAISS_ERR_CONFIG, "faiss_factory", "faiss_factory is longer than %zu characters", capacity - 1);
    return check_factory(text, err);
}

static dfaiss_status_t write_kind(const index_config_t *config, int64_t n, char *text, size_t capacity, dfaiss_error_t *err) {
    int64_t lists = 0;
    switch (config->index_builder_type) {
    case CONFIG_KIND_flat:
        snprintf(text, capacity, "Flat");
        return DFAISS_OK;
    case CONFIG_KIND_ivf_simple:
        TRY(need_centroids(config, n, &lists, err));
        snprintf(text, capacity, "IVF%" PRId64 ",Flat", lists);
        return DFAISS_OK;
    case CONFIG_KIND_knnlm:
        TRY(need_centroids(config, n, &lists, err));
        TRY(check_code_size(config, err));
        snprintf(text, capacity, "IVF%" PRId64 ",PQ%" PRId64 "x%" PRId64 "np", lists, config->code_size, config->bits_per_vector);
        return DFAISS_OK;
    case CONFIG_KIND_hnswsq:
        snprintf(text, capacity, "HNSW%" PRId64 "_SQ8", config->store_n);
        return DFAISS_OK;
    case CONFIG_KIND_ivfsq:
        TRY(need_centroids(config, n, &lists, err));
        snprintf(text, capacity, "IVF%" PRId64 ",SQfp16", lists);
        return DFAISS_OK;
    case CONFIG_KIND_ivf_gpu:
        return error_set(err, DFAISS_ERR_UNSUPPORTED, "index_builder_type", "index_builder_type is ivf_gpu; this build of dfaiss has no GPU support");
    case CONFIG_KIND_factory:
        return fill_in(config, n, text, capacity, err);
    }
    return error_set(err, DFAISS_ERR_CONFIG, "index_builder_type", "index_builder_type is %d, which is no kind", (int)config->index_builder_type);
}

dfaiss_status_t engine_factory(const index_config_t *config, int64_t n, char *text, size_t capacity, dfaiss_error_t *err) {
    char made[CONFIG_TEXT * 2];
    TRY(write_kind(config, n, made, sizeof made, err));
    if (strlen(made) >= capacity)
        return error_set(err, DFAISS_ERR_CONFIG, "faiss_factory", "the factory string is longer than %zu characters", capacity - 1);
    memcpy(text, made, strlen(made) + 1);
    return DFAISS_OK;
}
