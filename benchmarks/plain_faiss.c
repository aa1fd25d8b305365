#include "plain_faiss.h"

#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>

#include "base/clock.h"

dfaiss_status_t plain_faiss_check(int code, const char *action, dfaiss_error_t *err) {
    if (code == 0)
        return DFAISS_OK;
    const char *text = faiss_get_last_error();
    return error_set(err, DFAISS_ERR_FAISS, "", "%s: %s", action, text ? text : "faiss does not say why");
}

static dfaiss_status_t set_parameter(FaissIndex *index, const char *name, int64_t value, dfaiss_error_t *err) {
    FaissParameterSpace *space;
    TRY(plain_faiss_check(faiss_ParameterSpace_new(&space), "making a parameter space", err));
    dfaiss_status_t status = plain_faiss_check(faiss_ParameterSpace_set_index_parameter(space, index, name, (double)value), name, err);
    faiss_ParameterSpace_free(space);
    return status;
}

static bool is_graph(const bench_options_t *options) {
    return strncmp(options->factory, "HNSW", 4) == 0;
}

dfaiss_status_t plain_faiss_set_effort(const bench_options_t *options, FaissIndex *index, dfaiss_error_t *err) {
    if (options->effort == 0)
        return DFAISS_OK;
    return set_parameter(index, is_graph(options) ? "efSearch" : "nprobe", options->effort, err);
}

static dfaiss_status_t train(const bench_options_t *options, const dataset_t *dataset, FaissIndex *index, double *seconds, dfaiss_error_t *err) {
    float *sample;
    *seconds = 0;
    if (options->construction && is_graph(options))
        TRY(set_parameter(index, "efConstruction", options->construction, err));
    if (options->sample == 0)
        return DFAISS_OK;
    TRY(bench_sample(dataset, options->sample, options->seed, &sample, err));
    double begun = clock_seconds();
    dfaiss_status_t status = plain_faiss_check(faiss_Index_train(index, options->sample, sample), "training", err);
    *seconds = clock_seconds() - begun;
    free(sample);
    return status;
}

dfaiss_status_t plain_faiss_train(const bench_options_t *options, const dataset_t *dataset, FaissIndex **out, double *seconds, dfaiss_error_t *err) {
    FaissIndex *index;
    if (!options->factory)
        return error_set(err, DFAISS_ERR_ARG, "factory", "--factory is missing");
    TRY(plain_faiss_check(faiss_index_factory(&index, (int)dataset_dim(dataset), options->factory, METRIC_L2), options->factory, err));
    dfaiss_status_t status = train(options, dataset, index, seconds, err);
    if (status != DFAISS_OK) {
        faiss_Index_free(index);
        return status;
    }
    *out = index;
    return DFAISS_OK;
}
