/* Templates: the index that a configuration asks for, without vectors; trained once, then written, sent and read. */
#include "engine/template.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>

#include "base/memory.h"
#include "engine/blob.h"

const char *engine_faiss_version(void) {
    return shim_faiss_version();
}

const char *engine_simd_level(void) {
    return shim_simd_level();
}

bool engine_has_gpu(void) {
    return false;
}

/* faiss puts the C++ function and source line in front of what it has to say. */
static const char *without_place(const char *text) {
    const char *at = strstr(text, " at ");
    const char *said = strncmp(text, "Error in ", 9) == 0 && at ? strstr(at, ": ") : NULL;
    return said ? said + 2 : text;
}

dfaiss_status_t engine_failure(int code, dfaiss_status_t status, const char *action, dfaiss_error_t *err) {
    if (code == SHIM_NO_MEMORY)
        return error_set(err, DFAISS_ERR_MEMORY, "", "%s failed: not enough memory", action);
    return error_set(err, status, "", "%s failed: %s", action, without_place(shim_error()));
}

dfaiss_status_t engine_failure_c(int code, dfaiss_status_t status, const char *action, dfaiss_error_t *err) {
    const char *text = faiss_get_last_error();
    if (code == STD_EXCEPT || !text)
        return error_set(err, status, "", "%s failed: the C++ library refused (a size that cannot be had, most likely)", action);
    return error_set(err, status, "", "%s failed: %s", action, without_place(text));
}

const char *engine_class_name(engine_class_t class) {
    static const char *const names[] = {[ENGINE_CODES] = "codes", [ENGINE_IVF] = "ivf", [ENGINE_HNSW] = "hnsw", [ENGINE_OPAQUE] = "opaque"};
    return (unsigned)class < sizeof names / sizeof *names ? names[class] : "?";
}

void engine_template_destroy(engine_template_t *template) {
    if (!template)
        return;
    faiss_Index_free(template->index);
    free(template);
}

static void set_faiss_up(void) {
    shim_prefer_heaps();
    shim_allow_cancelling();
}

dfaiss_status_t template_wrap(const index_config_t *config, FaissIndex *index, engine_template_t **out, dfaiss_error_t *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_faiss_up);
    engine_template_t *template = calloc(1, sizeof *template);
    if (!template) {
        faiss_Index_free(index);
        return error_memory(err, sizeof *template, "a template");
    }
    template->index = index;
    int code = shim_describe(index, &template->layout);
    if (code != SHIM_OK) {
        engine_template_destroy(template);
        return engine_failure(code, DFAISS_ERR_CONFIG, "looking into the index", err);
    }
    template->dim = faiss_Index_d(index);
    template->inner_dim = faiss_Index_d(template->layout.inner);
    template->normalizes = config->metric == CONFIG_METRIC_cosine;
    template->larger_is_better = config->metric != CONFIG_METRIC_l2;
    *out = template;
    return DFAISS_OK;
}

static FaissMetricType metric_of(const index_config_t *config) {
    return config->metric == CONFIG_METRIC_l2 ? METRIC_L2 : METRIC_INNER_PRODUCT;
}

static dfaiss_status_t check_dim(const index_config_t *config, dfaiss_error_t *err) {
    if (config->dim < 1 || config->dim > INT_MAX / 64)
        return error_set(err, DFAISS_ERR_CONFIG, "dim", "dim is %" PRId64 "; an index needs 1 to %d", config->dim, INT_MAX / 64);
    return DFAISS_OK;
}

static dfaiss_status_t set_ef_construction(FaissIndex *index, int64_t value, dfaiss_error_t *err) {
    FaissParameterSpace *space = NULL;
    int code = faiss_ParameterSpace_new(&space);
    if (code == 0)
        code = faiss_ParameterSpace_set_index_parameter(space, index, "efConstruction", (double)value);
    if (space)
        faiss_ParameterSpace_free(space);
    return code == 0 ? DFAISS_OK : engine_failure_c(code, DFAISS_ERR_CONFIG, "setting ef_construction", err);
}

static dfaiss_status_t make_index(const index_config_t *config, const char *factory, FaissIndex **out, dfaiss_error_t *err) {
    FaissIndex *index = NULL;
    int code = faiss_index_factory(&index, (int)config->dim, factory, metric_of(config));
    if (code != 0)
        return error_prefix(err, engine_failure_c(code, DFAISS_ERR_CONFIG, "making the index", err), "\"%s\" for dim %" PRId64 ": ", factory,
                            config->dim);
    if (faiss_Index_metric_type(index) != metric_of(config)) {
        faiss_Index_free(index);
        return error_set(err, DFAISS_ERR_CONFIG, "metric", "\"%s\" exists for metric l2 only", factory);
    }
    *out = index;
    return DFAISS_OK;
}

dfaiss_status_t engine_template_create(const index_config_t *config, int64_t n, engine_template_t **out, dfaiss_error_t *err) {
    char factory[CONFIG_TEXT * 2];
    FaissIndex *index = NULL;
    engine_template_t *template = NULL;
    TRY(check_dim(config, err));
    TRY(engine_factory(config, n, factory, sizeof factory, err));
    TRY(make_index(config, factory, &index, err));
    TRY(template_wrap(config, index, &template, err));
    dfaiss_status_t status = DFAISS_OK;
    if (template->layout.by_map)
        status = error_set(err, DFAISS_ERR_CONFIG, "faiss_factory", "faiss_factory is \"%s\"; leave IDMap out, ids are kept by dfaiss", factory);
    else if (config->index_builder_type == CONFIG_KIND_hnswsq)
        status = set_ef_construction(index, config->ef_construction, err);
    if (status != DFAISS_OK) {
        engine_template_destroy(template);
        return status;
    }
    *out = template;
    return DFAISS_OK;
}

engine_class_t engine_template_class(const engine_template_t *template) {
    static const engine_class_t classes[] = {
        [SHIM_CODES] = ENGINE_CODES, [SHIM_IVF] = ENGINE_IVF, [SHIM_HNSW] = ENGINE_HNSW, [SHIM_OPAQUE] = ENGINE_OPAQUE};
    return classes[template->layout.kind];
}

dfaiss_status_t engine_config_class(const index_config_t *config, engine_class_t *out, dfaiss_error_t *err) {
    enum { STEP = 8, MOST = 1024, VECTORS = 1000000 }; /* what factory strings divide a dimension by is nearly always among these */
    index_config_t tried = *config;
    engine_template_t *template = NULL;
    dfaiss_status_t status = DFAISS_ERR_CONFIG;
    int64_t least = config->dim > 0 ? config->dim : STEP, most = config->dim > 0 ? config->dim : MOST;
    for (tried.dim = least; status == DFAISS_ERR_CONFIG && tried.dim <= most; tried.dim += STEP)
        status = engine_template_create(&tried, VECTORS, &template, err);
    if (status != DFAISS_OK)
        return status;
    *out = engine_template_class(template);
    engine_template_destroy(template);
    return DFAISS_OK;
}

int64_t engine_template_dim(const engine_template_t *template) {
    return template->dim;
}

bool engine_template_trained(const engine_template_t *template) {
    return faiss_Index_is_trained(template->index) != 0;
}

int64_t engine_template_lists(const engine_template_t *template) {
    return template->layout.kind == SHIM_IVF ? template->layout.lists : 0;
}

int64_t engine_template_list_dim(const engine_template_t *template) {
    return template->layout.kind == SHIM_IVF ? template->inner_dim : 0;
}

size_t engine_template_code_size(const engine_template_t *template) {
    return template->layout.kind == SHIM_OPAQUE ? 0 : template->layout.code_size;
}

size_t engine_template_link_size(const engine_template_t *template) {
    return template->layout.link_size;
}

void engine_template_sample(const engine_template_t *template, int64_t *min, int64_t *max) {
    bool trained = engine_template_trained(template);
    *min = trained ? 0 : template->layout.train_at_least;
    *max = trained ? 0 : template->layout.train_at_most;
}

size_t engine_template_training_bytes(const engine_template_t *template, int64_t n) {
    if (engine_template_trained(template) || n <= 0)
        return 0;
    /* The assignment and its distances; copies of the vectors, transformed, shuffled and as residuals; centroids in three places; BLAS's buffers. */
    size_t vectors = (size_t)n * (size_t) template->dim * sizeof(float);
    size_t copies = template->layout.transformed ? 6 : template->layout.residuals ? 3 : 1;
    size_t centroids = (size_t) template->layout.lists * (size_t) template->inner_dim * sizeof(float);
    return (size_t)n * (sizeof(int64_t) + sizeof(float)) + copies * vectors + 3 * centroids + ((size_t)64 << 20);
}

dfaiss_status_t engine_template_train(engine_template_t *template, int64_t n, const float *x, dfaiss_error_t *err) {
    if (engine_template_trained(template))
        return DFAISS_OK;
    if (n < template->layout.train_at_least)
        return error_set(err, DFAISS_ERR_STATE, "", "training needs at least %" PRId64 " vectors; there are %" PRId64,
                         template->layout.train_at_least, n);
    int code = shim_train(template->index, n, x, &template->cancelled);
    if (code != SHIM_OK && __atomic_load_n(&template->cancelled, __ATOMIC_RELAXED))
        return error_set(err, DFAISS_ERR_INTERRUPTED, "", "training was cancelled");
    if (code != SHIM_OK)
        return engine_failure(code, DFAISS_ERR_FAISS, "training", err);
    /* What training fixed (the size of codes, say) is looked at again. */
    code = shim_describe(template->index, &template->layout);
    return code == SHIM_OK ? DFAISS_OK : engine_failure(code, DFAISS_ERR_FAISS, "training", err);
}

void engine_template_cancel(engine_template_t *template) {
    __atomic_store_n(&template->cancelled, 1, __ATOMIC_RELAXED);
}

static bool put_into_writer(void *context, const void *bytes, size_t size) {
    bytes_writer_t *writer = context;
    bytes_put(writer, bytes, size);
    return !writer->failed;
}

dfaiss_status_t engine_template_write(const engine_template_t *template, bytes_writer_t *out, dfaiss_error_t *err) {
    dfaiss_status_t status = blob_write(template->index, put_into_writer, out, err);
    return out->failed ? error_memory(err, out->size, "a written template") : status;
}

/* What a configuration makes of the read index, whose number of lists is its own affair when they were inferred. */
dfaiss_status_t template_difference(const index_config_t *config, const engine_template_t *read, const char **differs, dfaiss_error_t *err) {
    index_config_t with_lists = *config;
    if (config->infer_centroids && read->layout.lists > 0) {
        with_lists.centroids = read->layout.lists;
        with_lists.infer_centroids = false;
    }
    engine_template_t *expected = NULL;
    TRY(engine_template_create(&with_lists, 1, &expected, err));
    *differs = NULL;
    if (read->dim != expected->dim || read->inner_dim != expected->inner_dim)
        *differs = "dimension";
    else if (faiss_Index_metric_type(read->index) != faiss_Index_metric_type(expected->index))
        *differs = "metric";
    else if (strcmp(read->layout.type, expected->layout.type) != 0 || read->layout.transformed != expected->layout.transformed)
        *differs = "kind of index";
    else if (read->layout.lists != expected->layout.lists || read->layout.code_size != expected->layout.code_size)
        *differs = "number of lists, or size of a code,";
    engine_template_destroy(expected);
    return DFAISS_OK;
}

static dfaiss_status_t compare_with(const index_config_t *config, const engine_template_t *read, dfaiss_error_t *err) {
    const char *differs;
    TRY(template_difference(config, read, &differs, err));
    if (differs)
        return error_set(err, DFAISS_ERR_CHECKPOINT, "trained index", "the trained index has another %s than the configuration", differs);
    return DFAISS_OK;
}

dfaiss_status_t engine_template_read(const index_config_t *config, const void *bytes, size_t size, engine_template_t **out, dfaiss_error_t *err) {
    FaissIndex *index = NULL;
    engine_template_t *template = NULL;
    TRY(check_dim(config, err));
    TRY(blob_read(bytes, size, "the trained index", &index, err));
    TRY(template_wrap(config, index, &template, err));
    dfaiss_status_t status = compare_with(config, template, err);
    if (status == DFAISS_OK && faiss_Index_ntotal(index) != 0)
        status = error_set(err, DFAISS_ERR_CHECKPOINT, "trained index", "the trained index holds vectors; it should be empty");
    if (status != DFAISS_OK) {
        engine_template_destroy(template);
        return status;
    }
    *out = template;
    return DFAISS_OK;
}

dfaiss_status_t engine_template_centroids(const engine_template_t *template, float *out, int64_t *dim, dfaiss_error_t *err) {
    if (template->layout.kind != SHIM_IVF)
        return error_set(err, DFAISS_ERR_UNSUPPORTED, "", "an index of class %s has no centroids",
                         engine_class_name(engine_template_class(template)));
    if (!engine_template_trained(template))
        return error_set(err, DFAISS_ERR_STATE, "", "the index has no centroids before it is trained");
    FaissIndex *quantizer = faiss_IndexIVF_quantizer((FaissIndexIVF *)template->layout.inner);
    int code = faiss_Index_reconstruct_n(quantizer, 0, template->layout.lists, out);
    if (code != 0)
        return engine_failure_c(code, DFAISS_ERR_FAISS, "reading the centroids", err);
    *dim = faiss_Index_d(quantizer);
    return DFAISS_OK;
}

void engine_prepare(const engine_template_t *template, element_t element, const void *from, int64_t n, float *to) {
    element_widen(element, from, (size_t)n * (size_t) template->dim, to);
    if (template->normalizes)
        element_normalize(to, n, template->dim);
}

dfaiss_status_t engine_transform(const engine_template_t *template, int64_t n, const float *x, float *to, const float **transformed,
                                 dfaiss_error_t *err) {
    if (template->layout.transformed) {
        int code = shim_transform(template->index, n, x, to);
        if (code != SHIM_OK)
            return engine_failure(code, DFAISS_ERR_FAISS, "transforming vectors", err);
        x = to;
    }
    *transformed = x;
    return DFAISS_OK;
}
