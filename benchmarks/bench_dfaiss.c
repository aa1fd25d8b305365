/* bench_dfaiss: dfaiss itself, as `dfaiss build` and `dfaiss search` run it: started under mpirun, the last rank is the client, all others are
 * servers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/ingest.h"
#include "cli/job.h"
#include "cli/report.h"
#include "measure.h"

enum { CONFIG_LIMIT = 1 << 20, SAMPLE_ROWS = 8192 };

static const char index_name[] = "benchmark";

typedef struct job {
    const bench_options_t *options;
    const program_t *program;
    dfaiss_client_t *client;
    int64_t dim;
} job_t;

static dfaiss_status_t search(void *context, int64_t nq, const float *queries, int64_t *ids, dfaiss_error_t *err) {
    job_t *job = context;
    static const char *const indexes[] = {index_name};
    dfaiss_result_t *found = NULL;
    dfaiss_search_options_t options = {.nprobe = job->options->effort};
    int64_t k = job->options->k;
    TRY(dfaiss_search(job->client, 1, indexes, nq, job->dim, queries, k, &options, &found, err));
    memcpy(ids, dfaiss_result_ids(found), (size_t)(nq * k) * sizeof *ids);
    dfaiss_result_destroy(found);
    return DFAISS_OK;
}

static dfaiss_status_t create_index(job_t *job, const dataset_t *dataset, dfaiss_error_t *err) {
    dfaiss_config_t *config = NULL;
    dfaiss_create_options_t options = {.overwrite = true, .expected_vectors = dataset_rows(dataset)};
    TRY(dfaiss_config_read(job->options->config, &config, err));
    dfaiss_status_t status = dfaiss_create_index(job->client, index_name, config, &options, err);
    dfaiss_config_destroy(config);
    return status;
}

/* The sample that the plain programs train on, row by row. */
static dfaiss_status_t train(job_t *job, const dataset_t *dataset, double *seconds, dfaiss_error_t *err) {
    float *sample;
    int64_t total = job->options->sample;
    if (total == 0)
        return DFAISS_OK;
    TRY(bench_sample(dataset, total, job->options->seed, &sample, err));
    dfaiss_status_t status = DFAISS_OK;
    double begun = clock_seconds();
    for (int64_t first = 0; status == DFAISS_OK && first < total; first += SAMPLE_ROWS) {
        int64_t n = total - first < SAMPLE_ROWS ? total - first : SAMPLE_ROWS;
        status = client_sample(job->client, index_name, 0, ELEMENT_f32, n, job->dim, sample + first * job->dim, err);
    }
    if (status == DFAISS_OK)
        status = client_train(job->client, index_name, err);
    *seconds = clock_seconds() - begun;
    free(sample);
    return status;
}

static dfaiss_status_t ingest(job_t *job, const dataset_t *dataset, double *seconds, dfaiss_error_t *err) {
    index_config_t *config;
    TRY(index_config_read(job->options->config, &config, err));
    progress_t *progress = progress_begin(job->program);
    range_t rows = {0, dataset_rows(dataset)};
    const ranges_t all = {.list = &rows, .count = 1, .capacity = 1};
    ingest_t stream = {
        .client = job->client, .index = index_name, .dataset = dataset, .config = config, .missing = &all, .parts = 1, .progress = progress};
    double begun = clock_seconds();
    dfaiss_status_t status = ingest_stream(&stream, err);
    if (status == DFAISS_OK)
        status = dfaiss_flush(job->client, index_name, err);
    *seconds = clock_seconds() - begun;
    progress_end(progress);
    index_config_destroy(config);
    return status;
}

/* Sums up the servers, and checks that they hold the rows that the lockstep program's shards hold. */
static dfaiss_status_t inspect(const job_t *job, const bench_deal_t *deal, measure_built_t *built, dfaiss_error_t *err) {
    message_statistics_t *statistics = calloc((size_t)deal->shards, sizeof *statistics);
    if (!statistics)
        return error_memory(err, (size_t)deal->shards * sizeof *statistics, "statistics");
    dfaiss_status_t status = client_statistics(job->client, index_name, statistics, err);
    for (int64_t i = 0; status == DFAISS_OK && i < deal->shards; i++) {
        built->rss_servers += (size_t)statistics[i].resident_bytes;
        if (statistics[i].rows != bench_deal_rows(deal, i) || statistics[i].buffered != 0)
            status = error_set(err, DFAISS_ERR_STATE, "", "server %lld holds %lld rows, %lld of them not indexed; expected %lld, all indexed",
                               (long long)i, (long long)statistics[i].rows, (long long)statistics[i].buffered, (long long)bench_deal_rows(deal, i));
    }
    free(statistics);
    return status;
}

static dfaiss_status_t build(job_t *job, const dataset_t *dataset, measure_built_t *built, dfaiss_error_t *err) {
    job->dim = dataset_dim(dataset);
    built->vectors = dataset_rows(dataset);
    TRY(create_index(job, dataset, err));
    TRY(train(job, dataset, &built->train_seconds, err));
    return ingest(job, dataset, &built->ingest_seconds, err);
}

static dfaiss_status_t work(dfaiss_client_t *client, void *context, dfaiss_error_t *err) {
    job_t *job = context;
    measure_built_t built = {0};
    dataset_t *dataset;
    job->client = client;
    TRY(bench_open(job->options->data, &dataset, err));
    bench_deal_t deal = bench_deal(dataset, dfaiss_client_servers(client));
    dfaiss_status_t status = build(job, dataset, &built, err);
    dataset_close(dataset);
    TRY(status);
    TRY(inspect(job, &deal, &built, err));
    built.rss_bytes = built.rss_servers + memory_resident();
    return measure_serve(job->options, &built, search, job, err);
}

static dfaiss_status_t run(program_t *program, bench_options_t *options, dfaiss_error_t *err) {
    TRY(bench_options_parse(program->argc, program->argv, options, err));
    if (!options->config || !options->storage)
        return error_set(err, DFAISS_ERR_ARG, "", "--config FILE and --storage DIR are needed");
    job_options_t job_options = {.storage = options->storage, .threads = options->threads};
    job_t job = {.options = options, .program = program};
    return job_run(program, &job_options, work, &job, err);
}

int main(int argc, char **argv) {
    program_t program = {.argc = argc, .argv = argv, .quiet = true, .speaks = true};
    bench_options_t options;
    dfaiss_error_t err = {0};
    dfaiss_status_t status = run(&program, &options, &err);
    if (status != DFAISS_OK && program.speaks)
        report_error(&program, &err);
    return report_exit_code(status);
}
