#include "cli/bench_result.h"

#include <stdlib.h>

#include <dfaiss/version.h>

#include "cli/report.h"
#include "cli/versions.h"
#include "engine/engine.h"

void bench_result_clear(bench_result_t *result) {
    bench_machine_clear(&result->machine);
    json_decref(result->config);
    free(result->runs);
    *result = (bench_result_t){0};
}

static const char *config_text(const bench_result_t *result, const char *key) {
    const char *text = json_string_value(json_object_get(result->config, key));
    return text ? text : "";
}

const char *bench_result_kind(const bench_result_t *result) {
    const char *kind = config_text(result, "index_builder_type");
    return kind[0] ? kind : config_text(result, "faiss_factory");
}

const char *bench_result_metric(const bench_result_t *result) {
    return config_text(result, "metric");
}

static json_t *environment_json(const bench_options_t *options, const bench_result_t *result) {
    versions_t versions;
    if (versions_find(&versions, NULL) != DFAISS_OK)
        return NULL;
    json_t *index = json_pack("{s:s, s:I, s:I, s:I, s:O}", "name", options->search.index, "generation", (json_int_t)result->generation, "vectors",
                              (json_int_t)result->vectors, "dim", (json_int_t)result->dim, "config", result->config);
    json_t *method = json_pack("{s:o, s:I, s:f, s:I, s:f}", "file", report_text_json(options->search.queries), "count", (json_int_t)result->queries,
                               "seconds", options->seconds, "repeats", (json_int_t)options->repeats, "warmup", options->warmup);
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:o, s:o, s:o}", "date", result->date, "dfaiss", dfaiss_version(), "faiss", "version",
                     engine_faiss_version(), "simd", result->machine.count ? result->machine.hosts[0].first->simd : "", "mpi", versions.mpi, "hdf5",
                     versions.hdf5, "hosts", bench_machine_json(&result->machine), "index", index, "queries", method);
}

static json_t *run_json(const bench_result_t *result, const bench_run_t *run) {
    json_t *recall = run->recall < 0 ? json_null() : json_real(run->recall);
    return json_pack("{s:I, s:I, s:I, s:I, s:i, s:I, s:f, s:{s:f, s:f, s:f}, s:o}", "batch", (json_int_t)run->batch, "nprobe",
                     (json_int_t)run->nprobe, "k", (json_int_t)run->k, "clients", (json_int_t)run->clients, "servers", result->servers, "threads",
                     (json_int_t)run->threads, "qps", run->qps, "latency_us", "p50", run->p50_us, "p95", run->p95_us, "p99", run->p99_us, "recall",
                     recall);
}

json_t *bench_result_json(const bench_options_t *options, const bench_result_t *result) {
    json_t *runs = json_array();
    for (int64_t i = 0; i < result->count; i++)
        if (json_array_append_new(runs, run_json(result, &result->runs[i])) != 0) {
            json_decref(runs);
            return NULL;
        }
    return json_pack("{s:o, s:o}", "environment", environment_json(options, result), "runs", runs);
}
