/* Templates of the fake engine: the configuration is read as the real one reads it (its factory.c is linked); what is trained are centroids, every so
 * many-th vector of the sample. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_engine.h"

enum { MAGIC = 0x656b6166, SAMPLE_A_LIST = 256, SAMPLE_MAX = 100000, REST_NANOSECONDS = 200000 };

void fake_engine_abort(const char *what) {
    fprintf(stderr, "fake engine: %s\n", what);
    abort();
}

void *fake_engine_need(void *memory) {
    if (!memory)
        fake_engine_abort("no memory");
    return memory;
}

void fake_engine_rest(void) {
    struct timespec rest = {.tv_nsec = REST_NANOSECONDS};
    nanosleep(&rest, NULL);
}

void fake_template_use(engine_template_t *template, int users) {
    /* Relaxed: counting must not order what the threads do otherwise. */
    atomic_fetch_add_explicit(&template->users, users, memory_order_relaxed);
}

const char *engine_faiss_version(void) {
    return "none";
}

const char *engine_simd_level(void) {
    return "generic";
}

bool engine_has_gpu(void) {
    return false;
}

const char *engine_class_name(engine_class_t class) {
    static const char *const names[] = {[ENGINE_CODES] = "codes", [ENGINE_IVF] = "ivf", [ENGINE_HNSW] = "hnsw", [ENGINE_OPAQUE] = "opaque"};
    return (unsigned)class < sizeof names / sizeof *names ? names[class] : "?";
}

static engine_class_t class_of(const char *factory) {
    if (strncmp(factory, "IVF", 3) == 0)
        return ENGINE_IVF;
    if (strncmp(factory, "HNSW", 4) == 0)
        return ENGINE_HNSW;
    return strcmp(factory, "Flat") == 0 || strncmp(factory, "SQ", 2) == 0 ? ENGINE_CODES : ENGINE_OPAQUE;
}

dfaiss_status_t engine_template_create(const index_config_t *config, int64_t n, engine_template_t **out, dfaiss_error_t *err) {
    char factory[CONFIG_TEXT * 2];
    TRY(engine_factory(config, n, factory, sizeof factory, err));
    if (config->dim < 1)
        return error_set(err, DFAISS_ERR_CONFIG, "dim", "dim is %lld; an index needs 1", (long long)config->dim);
    engine_template_t *template = fake_engine_need(calloc(1, sizeof *template));
    template->class = class_of(factory);
    template->dim = config->dim;
    if (template->class == ENGINE_IVF)
        template->lists = index_config_centroids(config, n);
    template->normalizes = config->metric == CONFIG_METRIC_cosine;
    template->larger_is_better = config->metric != CONFIG_METRIC_l2;
    template->trained = strcmp(factory, "Flat") == 0;
    *out = template;
    return DFAISS_OK;
}

void engine_template_destroy(engine_template_t *template) {
    if (!template)
        return;
    if (atomic_load_explicit(&template->users, memory_order_relaxed) != 0)
        fake_engine_abort("a template was destroyed before its stores and searches");
    free(template->centroids);
    free(template);
}

engine_class_t engine_template_class(const engine_template_t *template) {
    return template->class;
}

dfaiss_status_t engine_config_class(const index_config_t *config, engine_class_t *out, dfaiss_error_t *err) {
    char factory[CONFIG_TEXT * 2];
    TRY(engine_factory(config, 1, factory, sizeof factory, err));
    *out = class_of(factory);
    return DFAISS_OK;
}

int64_t engine_template_dim(const engine_template_t *template) {
    return template->dim;
}

bool engine_template_trained(const engine_template_t *template) {
    return template->trained;
}

int64_t engine_template_lists(const engine_template_t *template) {
    return template->lists;
}

int64_t engine_template_list_dim(const engine_template_t *template) {
    return template->class == ENGINE_IVF ? template->dim : 0;
}

size_t engine_template_code_size(const engine_template_t *template) {
    return template->class == ENGINE_OPAQUE ? 0 : (size_t) template->dim * sizeof(float);
}

size_t engine_template_link_size(const engine_template_t *template) {
    (void)template;
    return 0;
}

void engine_template_sample(const engine_template_t *template, int64_t *min, int64_t *max) {
    *min = template->trained ? 0 : template->lists > 0 ? template->lists : 1;
    *max = template->trained ? 0 : template->lists > 0 ? template->lists * SAMPLE_A_LIST : SAMPLE_MAX;
}

size_t engine_template_training_bytes(const engine_template_t *template, int64_t n) {
    return template->trained ? 0 : (size_t)n * (size_t) template->dim * sizeof(float);
}

static size_t centroid_bytes(const engine_template_t *template) {
    return (size_t) template->lists * (size_t) template->dim * sizeof(float);
}

dfaiss_status_t engine_template_train(engine_template_t *template, int64_t n, const float *x, dfaiss_error_t *err) {
    int64_t min, max;
    engine_template_sample(template, &min, &max);
    if (n < min)
        return error_set(err, DFAISS_ERR_STATE, "", "training needs at least %lld vectors; there are %lld", (long long)min, (long long)n);
    if (template->trained)
        return DFAISS_OK;
    if (template->lists > 0)
        template->centroids = fake_engine_need(malloc(centroid_bytes(template)));
    fake_engine_rest();
    if (atomic_load_explicit(&template->cancelled, memory_order_relaxed))
        return error_set(err, DFAISS_ERR_INTERRUPTED, "", "training was cancelled");
    for (int64_t list = 0; list < template->lists; list++)
        memcpy(template->centroids + list * template->dim, x + n / template->lists * list * template->dim, (size_t) template->dim * sizeof *x);
    template->trained = true;
    return DFAISS_OK;
}

void engine_template_cancel(engine_template_t *template) {
    atomic_store_explicit(&template->cancelled, true, memory_order_relaxed);
}

dfaiss_status_t engine_template_write(const engine_template_t *template, bytes_writer_t *out, dfaiss_error_t *err) {
    bytes_put_u32(out, MAGIC);
    bytes_put_u32(out, (uint32_t) template->class);
    bytes_put_i64(out, template->dim);
    bytes_put_i64(out, template->lists);
    bytes_put(out, template->centroids, centroid_bytes(template));
    return out->failed ? error_memory(err, out->size, "a written template") : DFAISS_OK;
}

dfaiss_status_t engine_template_read(const index_config_t *config, const void *bytes, size_t size, engine_template_t **out, dfaiss_error_t *err) {
    engine_template_t *template = NULL;
    TRY(engine_template_create(config, 1, &template, err));
    bytes_reader_t in = bytes_reader(bytes, size);
    bool fits = bytes_get_u32(&in) == MAGIC && bytes_get_u32(&in) == (uint32_t) template->class && bytes_get_i64(&in) == template->dim;
    /* An inferred number of lists is that of the training. */
    int64_t lists = bytes_get_i64(&in);
    fits = fits && (lists == template->lists || config->infer_centroids);
    template->lists = fits ? lists : 0;
    const void *centroids = fits ? bytes_get(&in, centroid_bytes(template)) : NULL;
    if (!fits || !bytes_reader_done(&in)) {
        engine_template_destroy(template);
        return error_set(err, DFAISS_ERR_CHECKPOINT, "trained index", "the trained index is not what the configuration asks for");
    }
    if (lists > 0)
        template->centroids = memcpy(fake_engine_need(malloc(centroid_bytes(template))), centroids, centroid_bytes(template));
    template->trained = true;
    *out = template;
    return DFAISS_OK;
}

dfaiss_status_t engine_template_centroids(const engine_template_t *template, float *out, int64_t *dim, dfaiss_error_t *err) {
    if (template->class != ENGINE_IVF)
        return error_set(err, DFAISS_ERR_UNSUPPORTED, "", "an index of class %s has no centroids", engine_class_name(template->class));
    if (!template->trained)
        return error_set(err, DFAISS_ERR_STATE, "", "the index has no centroids before it is trained");
    memcpy(out, template->centroids, centroid_bytes(template));
    *dim = template->dim;
    return DFAISS_OK;
}

void engine_prepare(const engine_template_t *template, element_t element, const void *from, int64_t n, float *to) {
    element_widen(element, from, (size_t)n * (size_t) template->dim, to);
    if (template->normalizes)
        element_normalize(to, n, template->dim);
}

float fake_template_score(const engine_template_t *template, const float *a, const float *b) {
    double sum = 0;
    for (int64_t i = 0; i < template->dim; i++) {
        double difference = (double)a[i] - (double)b[i];
        sum += template->larger_is_better ? (double)a[i] * (double)b[i] : difference * difference;
    }
    return (float)sum;
}

int64_t fake_template_list(const engine_template_t *template, const float *vector) {
    int64_t best = 0;
    float best_score = 0;
    for (int64_t list = 0; list < template->lists; list++) {
        float score = fake_template_score(template, vector, template->centroids + list * template->dim);
        if (list > 0 && (template->larger_is_better ? score <= best_score : score >= best_score))
            continue;
        best = list;
        best_score = score;
    }
    return best;
}
