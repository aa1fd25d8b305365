/* Every client goes through the same steps in the same order, and after each of them they agree whether to go on. The first client alone loads the
 * index, measures the recall, and has the result. */
#include "cli/bench_run.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dfaiss/dfaiss.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/bench_latency.h"
#include "cli/bench_peers.h"
#include "cli/job.h"
#include "cli/progress.h"
#include "cli/search_input.h"

/* Queries of one request while the recall is measured. */
enum { RECALL_QUERIES = 1024 };

typedef struct bench {
    program_t *program;
    const bench_options_t *options;
    int servers;
    bench_peers_t peers;
    dfaiss_client_t *client;
    search_input_t input;
    float *queries;  /* all of them, and behind them the first ones again, so that a request may begin at any one */
    double *rates;   /* queries/s of the repeats of a run */
    double *recalls; /* by k and nprobe; below 0: not known */
    bench_latency_t *latency;
    progress_t *progress;
    bench_result_t *result;
} bench_t;

static bool leads(const bench_t *bench) {
    return bench->peers.number == 0;
}

/* All clients go on, or none. */
static dfaiss_status_t together(const bench_t *bench, dfaiss_status_t status, dfaiss_error_t *err) {
    return bench_peers_agree(&bench->peers, status, err);
}

/* ---- before anything is measured ---- */

static dfaiss_status_t allocate(bench_t *bench, dfaiss_error_t *err) {
    const bench_options_t *options = bench->options;
    int64_t rows = dataset_rows(bench->input.queries) + bench_list_largest(&options->batch) - 1;
    size_t bytes;
    if (!size_multiply((size_t)rows, (size_t)dataset_dim(bench->input.queries) * sizeof *bench->queries, &bytes))
        return error_set(err, DFAISS_ERR_ARG, "--batch", "%lld queries do not fit into memory", (long long)rows);
    bench->queries = malloc(bytes);
    bench->rates = calloc((size_t)options->repeats, sizeof *bench->rates);
    bench->recalls = calloc((size_t)options->k.count * (size_t)options->nprobe.count, sizeof *bench->recalls);
    bench->latency = calloc(1, sizeof *bench->latency);
    bench->result->runs = calloc((size_t)bench_options_runs(options), sizeof *bench->result->runs);
    if (!bench->queries || !bench->rates || !bench->recalls || !bench->latency || !bench->result->runs)
        return error_memory(err, bytes, "the queries");
    return DFAISS_OK;
}

static dfaiss_status_t prepare(bench_t *bench, dfaiss_error_t *err) {
    TRY(search_input_open(&bench->options->search, &bench->input, err));
    TRY(allocate(bench, err));
    int64_t rows = dataset_rows(bench->input.queries), dim = dataset_dim(bench->input.queries);
    TRY(search_input_read(&bench->input, 0, rows, bench->queries, err));
    for (int64_t row = rows; row < rows + bench_list_largest(&bench->options->batch) - 1; row++)
        memcpy(bench->queries + row * dim, bench->queries + (row - rows) * dim, (size_t)dim * sizeof *bench->queries);
    return DFAISS_OK;
}

static dfaiss_status_t describe_index(bench_t *bench, dfaiss_error_t *err) {
    const char *index = bench->options->search.index;
    dfaiss_config_t *config = NULL;
    char *text = NULL;
    TRY(dfaiss_get_ntotal(bench->client, index, &bench->result->vectors, err));
    TRY(dfaiss_get_config(bench->client, index, &config, err));
    dfaiss_status_t status = dfaiss_config_print(config, &text, err);
    dfaiss_config_destroy(config);
    TRY(status);
    bench->result->config = json_loads(text, 0, NULL);
    free(text);
    return bench->result->config ? DFAISS_OK : error_memory(err, 0, "a configuration");
}

static dfaiss_status_t load(bench_t *bench, dfaiss_error_t *err) {
    bench_result_t *result = bench->result;
    if (!leads(bench))
        return DFAISS_OK;
    progress_update(bench->progress, "load", PROGRESS_UNKNOWN);
    TRY(job_load_index(bench->client, bench->options->search.index, err));
    TRY(describe_index(bench, err));
    time_t now = time(NULL);
    struct tm broken;
    if (gmtime_r(&now, &broken))
        strftime(result->date, sizeof result->date, "%Y-%m-%dT%H:%M:%SZ", &broken);
    result->servers = bench->servers;
    result->dim = bench->input.index.config->dim;
    result->generation = bench->input.index.generation;
    result->queries = dataset_rows(bench->input.queries);
    result->truth_columns = bench->input.truth.columns;
    return DFAISS_OK;
}

/* ---- recall ---- */

/* The ids of all queries' k neighbours. */
static dfaiss_status_t find_all(bench_t *bench, int64_t k, int64_t nprobe, int64_t *ids, dfaiss_error_t *err) {
    int64_t rows = dataset_rows(bench->input.queries), dim = dataset_dim(bench->input.queries);
    const dfaiss_search_options_t wanted = {.nprobe = nprobe};
    for (int64_t first = 0; first < rows; first += RECALL_QUERIES) {
        int64_t n = rows - first < RECALL_QUERIES ? rows - first : RECALL_QUERIES;
        dfaiss_result_t *found = NULL;
        TRY(dfaiss_search(bench->client, 1, &bench->options->search.index, n, dim, bench->queries + first * dim, k, &wanted, &found, err));
        memcpy(ids + first * k, dfaiss_result_ids(found), (size_t)(n * k) * sizeof *ids);
        dfaiss_result_destroy(found);
    }
    return DFAISS_OK;
}

static dfaiss_status_t measure_recall(bench_t *bench, int64_t k, int64_t nprobe, double *recall, dfaiss_error_t *err) {
    int64_t rows = dataset_rows(bench->input.queries);
    size_t hits, bytes;
    *recall = -1;
    if (bench->input.truth.columns < k)
        return DFAISS_OK;
    if (!size_multiply((size_t)rows, (size_t)k, &hits) || !size_multiply(hits, sizeof(int64_t), &bytes))
        return error_set(err, DFAISS_ERR_ARG, "-k", "%lld queries with k %lld: the answers do not fit into memory", (long long)rows, (long long)k);
    int64_t *ids = malloc(bytes);
    if (!ids)
        return error_memory(err, bytes, "the answers");
    dfaiss_status_t status = find_all(bench, k, nprobe, ids, err);
    if (status == DFAISS_OK)
        *recall = recall_at(k, rows, k, ids, &bench->input.truth);
    free(ids);
    return status;
}

/* It does not depend on how the queries are asked, so that it is measured apart, once, and costs the timed requests nothing. */
static dfaiss_status_t measure_recalls(bench_t *bench, dfaiss_error_t *err) {
    const bench_list_t *k = &bench->options->k, *nprobe = &bench->options->nprobe;
    int all = k->count * nprobe->count;
    for (int i = 0; leads(bench) && i < all; i++) {
        progress_update(bench->progress, "recall", (double)i / all);
        TRY(measure_recall(bench, k->values[i / nprobe->count], nprobe->values[i % nprobe->count], &bench->recalls[i], err));
    }
    return DFAISS_OK;
}

/* ---- speed ---- */

/* One request after the other until the time is over; *rate is this client's queries/s. Clients begin at different queries. */
static dfaiss_status_t ask(bench_t *bench, const bench_run_t *run, double seconds, double *rate, dfaiss_error_t *err) {
    int64_t rows = dataset_rows(bench->input.queries), dim = dataset_dim(bench->input.queries), asked = 0;
    int64_t row = rows / run->clients * bench->peers.number;
    const dfaiss_search_options_t wanted = {.nprobe = run->nprobe};
    int64_t begun = clock_nanoseconds(), ended = begun, limit = (int64_t)(seconds * 1e9);
    do {
        dfaiss_result_t *found = NULL;
        int64_t before = clock_nanoseconds();
        TRY(dfaiss_search(bench->client, 1, &bench->options->search.index, run->batch, dim, bench->queries + row * dim, run->k, &wanted, &found,
                          err));
        ended = clock_nanoseconds();
        dfaiss_result_destroy(found);
        bench_latency_add(bench->latency, ended - before);
        row = (row + run->batch) % rows;
        asked += run->batch;
    } while (ended - begun < limit);
    *rate = (double)asked / ((double)(ended - begun) * 1e-9);
    return DFAISS_OK;
}

static dfaiss_status_t ask_together(bench_t *bench, const bench_run_t *run, double seconds, double *rate, dfaiss_error_t *err) {
    *rate = 0;
    TRY(bench_peers_meet(&bench->peers, err));
    return together(bench, bench->peers.number < run->clients ? ask(bench, run, seconds, rate, err) : DFAISS_OK, err);
}

static int compare_rates(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void summarize(bench_t *bench, bench_run_t *run) {
    size_t repeats = (size_t)bench->options->repeats;
    qsort(bench->rates, repeats, sizeof *bench->rates, compare_rates);
    run->qps = (bench->rates[(repeats - 1) / 2] + bench->rates[repeats / 2]) / 2;
    run->qps_least = bench->rates[0];
    run->qps_most = bench->rates[repeats - 1];
    run->requests = (int64_t)bench_latency_count(bench->latency);
    run->p50_us = bench_latency_percentile(bench->latency, 0.50) * 1e-3;
    run->p95_us = bench_latency_percentile(bench->latency, 0.95) * 1e-3;
    run->p99_us = bench_latency_percentile(bench->latency, 0.99) * 1e-3;
}

static dfaiss_status_t measure(bench_t *bench, bench_run_t *run, dfaiss_error_t *err) {
    const bench_options_t *options = bench->options;
    double ignored;
    if (options->warmup > 0)
        TRY(ask_together(bench, run, options->warmup, &ignored, err));
    *bench->latency = (bench_latency_t){0};
    for (int64_t repeat = 0; repeat < options->repeats; repeat++)
        TRY(ask_together(bench, run, options->seconds, &bench->rates[repeat], err));
    TRY(bench_peers_add(&bench->peers, bench->latency->counts, BENCH_LATENCY_BUCKETS, bench->rates, (int)options->repeats, err));
    if (leads(bench))
        summarize(bench, run);
    return DFAISS_OK;
}

/* ---- all of it ---- */

/* Sets the threads of the servers, and tells how many they are. */
static dfaiss_status_t use_threads(bench_t *bench, int64_t wanted, int64_t *used, dfaiss_error_t *err) {
    if (!leads(bench))
        return DFAISS_OK;
    if (wanted)
        TRY(dfaiss_set_threads(bench->client, (int)wanted, err));
    dfaiss_statistics_t *servers = calloc((size_t)bench->servers, sizeof *servers);
    if (!servers)
        return error_memory(err, (size_t)bench->servers * sizeof *servers, "statistics");
    dfaiss_status_t status = dfaiss_get_statistics(bench->client, bench->options->search.index, servers, err);
    if (status == DFAISS_OK)
        *used = servers[0].threads;
    free(servers);
    return status;
}

static int64_t nprobe_of(const bench_t *bench, int place) {
    int64_t asked = bench->options->nprobe.values[place];
    return asked ? asked : bench->input.index.config->nprobe;
}

/* Every k and nprobe, which is varied fastest. */
static dfaiss_status_t measure_batch(bench_t *bench, const bench_run_t *like, dfaiss_error_t *err) {
    const bench_options_t *options = bench->options;
    bench_result_t *result = bench->result;
    for (int i = 0; i < options->k.count * options->nprobe.count; i++) {
        bench_run_t *run = &result->runs[result->count];
        progress_update(bench->progress, "measure", (double)result->count / (double)bench_options_runs(options));
        *run = *like;
        run->k = options->k.values[i / options->nprobe.count];
        run->nprobe = nprobe_of(bench, i % options->nprobe.count);
        run->recall = bench->recalls[i];
        TRY(measure(bench, run, err));
        result->count++;
    }
    return DFAISS_OK;
}

static dfaiss_status_t measure_threads(bench_t *bench, int64_t wanted, dfaiss_error_t *err) {
    const bench_options_t *options = bench->options;
    int64_t threads = 0;
    TRY(together(bench, use_threads(bench, wanted, &threads, err), err));
    for (int clients = 0; clients < options->clients.count; clients++)
        for (int batch = 0; batch < options->batch.count; batch++) {
            bench_run_t run = {.threads = threads, .clients = options->clients.values[clients], .batch = options->batch.values[batch]};
            TRY(measure_batch(bench, &run, err));
        }
    return DFAISS_OK;
}

static dfaiss_status_t measure_all(bench_t *bench, dfaiss_error_t *err) {
    TRY(together(bench, prepare(bench, err), err));
    TRY(together(bench, load(bench, err), err));
    TRY(together(bench, measure_recalls(bench, err), err));
    for (int threads = 0; threads < bench->options->threads.count; threads++)
        TRY(measure_threads(bench, bench->options->threads.values[threads], err));
    return DFAISS_OK;
}

static dfaiss_status_t bench_as_client(dfaiss_client_t *client, void *context, dfaiss_error_t *err) {
    bench_t *bench = context;
    bench->client = client;
    bench->servers = dfaiss_client_servers(client);
    bench->progress = progress_begin(bench->program);
    dfaiss_status_t status = measure_all(bench, err);
    progress_end(bench->progress);
    free(bench->queries);
    free(bench->rates);
    free(bench->recalls);
    free(bench->latency);
    search_input_close(&bench->input);
    bench_peers_destroy(&bench->peers);
    return status;
}

static dfaiss_status_t meet(MPI_Comm ranks, int servers, void *context, dfaiss_error_t *err) {
    bench_t *bench = context;
    TRY(bench_peers_create(ranks, servers, &bench->peers, err));
    return bench_machine_gather(ranks, servers, &bench->result->machine, err);
}

dfaiss_status_t bench_run(program_t *program, const bench_options_t *options, bench_result_t *result, dfaiss_error_t *err) {
    bench_result_t made = {0};
    bench_t bench = {.program = program, .options = options, .result = &made};
    job_options_t job = {.storage = options->search.storage,
                         .roles = {.servers = options->search.servers, .per_node = options->search.servers_per_node},
                         .clients = bench_list_largest(&options->clients),
                         .timeout = options->search.timeout,
                         .meet = meet};
    dfaiss_status_t status = job_run(program, &job, bench_as_client, &bench, err);
    if (status != DFAISS_OK) {
        bench_result_clear(&made);
        return status;
    }
    *result = made;
    return DFAISS_OK;
}
