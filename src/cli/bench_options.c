#include "cli/bench_options.h"

#include <stdio.h>
#include <string.h>

#include "config/index_name.h"

enum {
    KEY_QUERIES = 256,
    KEY_BATCH,
    KEY_NPROBE,
    KEY_CLIENTS,
    KEY_THREADS,
    KEY_GROUNDTRUTH,
    KEY_OUTPUT,
    KEY_SECONDS,
    KEY_WARMUP,
    KEY_REPEATS,
    KEY_TIMEOUT
};
enum { MOST_BATCH = 1 << 20, MOST_K = 1 << 20, MOST_NPROBE = 1 << 20, MOST_CLIENTS = 1 << 16, MOST_THREADS = 4096, MOST_REPEATS = 1000 };
enum { MOST_RUNS = 10000 };

static const double default_timeout = 300, least_timeout = 1, most_timeout = 86400;
static const double default_seconds = 1, least_seconds = 0.001, most_seconds = 3600, default_warmup = 0.2;

static const struct argp_option options_table[] = {
    {"queries", KEY_QUERIES, "FILE", 0, "Vectors to search the neighbours of, in the forms of build's --data", 0},
    {"groundtruth", KEY_GROUNDTRUTH, "FILE", 0, "True neighbours, to tell the recall: .ibin .i64bin .ivecs .npy", 0},
    {"batch", KEY_BATCH, "LIST", 0, "Queries in a request, such as 1,16,128 (default 1,128)", 0},
    {"nprobe", KEY_NPROBE, "LIST", 0, "Lists to look into; for HNSW the depth of the search (default: as configured)", 0},
    {NULL, 'k', "LIST", 0, "Neighbours of each query (default 10)", 0},
    {"clients", KEY_CLIENTS, "LIST", 0, "Clients that ask at the same time, each one request after the other (default 1)", 0},
    {"threads", KEY_THREADS, "LIST", 0, "Threads of each server (default: one a core)", 0},
    {"seconds", KEY_SECONDS, "S", 0, "How long a repeat lasts (default 1)", 10},
    {"repeats", KEY_REPEATS, "R", 0, "Repeats of each combination; queries/s are their median (default 3)", 10},
    {"warmup", KEY_WARMUP, "S", 0, "Seconds before the first repeat that do not count (default 0.2)", 10},
    {"output", KEY_OUTPUT, "DIR", 0, "Write bench.json, bench.csv and a picture (bench.gp, drawn by gnuplot) into a folder", 15},
    RAW_OPTION_ROWS,
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "A rank that is silent for so long is lost (default 300)", 30},
    {0}};

static dfaiss_status_t expected(const argument_t *argument, int64_t least, int64_t most, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_ARG, argument->option,
                     "%s is '%s'; up to %d different whole numbers from %lld to %lld, separated by commas, are expected", argument->option,
                     argument->value, BENCH_LIST_MOST, (long long)least, (long long)most);
}

dfaiss_status_t bench_list_parse(const argument_t *argument, int64_t least, int64_t most, bench_list_t *out, dfaiss_error_t *err) {
    bench_list_t list = {0};
    for (const char *next = argument->value;; next++) {
        char word[24];
        size_t length = strcspn(next, ",");
        if (list.count == BENCH_LIST_MOST || length >= sizeof word)
            return expected(argument, least, most, err);
        snprintf(word, sizeof word, "%.*s", (int)length, next);
        argument_t one = {.key = argument->key, .option = argument->option, .value = word};
        int64_t *value = &list.values[list.count];
        if (argument_integer(&one, least, most, value, NULL) != DFAISS_OK)
            return expected(argument, least, most, err);
        for (int i = 0; i < list.count; i++)
            if (list.values[i] == *value)
                return expected(argument, least, most, err);
        list.count++;
        next += length;
        if (!*next)
            break;
    }
    *out = list;
    return DFAISS_OK;
}

int64_t bench_list_largest(const bench_list_t *list) {
    int64_t largest = list->values[0];
    for (int i = 1; i < list->count; i++)
        largest = list->values[i] > largest ? list->values[i] : largest;
    return largest;
}

int64_t bench_options_runs(const bench_options_t *options) {
    return (int64_t)options->batch.count * options->nprobe.count * options->k.count * options->clients.count * options->threads.count;
}

static dfaiss_status_t set_measurement(bench_options_t *options, const argument_t *argument, dfaiss_error_t *err) {
    switch (argument->key) {
    case KEY_BATCH:
        return bench_list_parse(argument, 1, MOST_BATCH, &options->batch, err);
    case KEY_NPROBE:
        return bench_list_parse(argument, 1, MOST_NPROBE, &options->nprobe, err);
    case 'k':
        return bench_list_parse(argument, 1, MOST_K, &options->k, err);
    case KEY_CLIENTS:
        return bench_list_parse(argument, 1, MOST_CLIENTS, &options->clients, err);
    case KEY_THREADS:
        return bench_list_parse(argument, 1, MOST_THREADS, &options->threads, err);
    case KEY_SECONDS:
        return argument_number(argument, least_seconds, most_seconds, &options->seconds, err);
    case KEY_REPEATS:
        return argument_integer(argument, 1, MOST_REPEATS, &options->repeats, err);
    default:
        return argument_number(argument, 0, most_seconds, &options->warmup, err);
    }
}

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    bench_options_t *options = context;
    switch (argument->key) {
    case KEY_QUERIES:
        options->search.queries = argument->value;
        return DFAISS_OK;
    case KEY_GROUNDTRUTH:
        options->search.groundtruth = argument->value;
        return DFAISS_OK;
    case KEY_OUTPUT:
        options->output = argument->value;
        return DFAISS_OK;
    case KEY_TIMEOUT:
        return argument_number(argument, least_timeout, most_timeout, &options->search.timeout, err);
    case KEY_RAW:
    case KEY_RAW_DIM:
    case KEY_RAW_ROWS:
        return raw_options_set(&options->search.raw, argument, err);
    default:
        return set_measurement(options, argument, err);
    }
}

static const arguments_t arguments = {
    .command = "bench",
    .help = "Measures a saved index: loads it onto the servers of a job, lets clients ask one request after the other, "
            "and tells queries/s, latencies and recall of every combination of the lists that are given. Started "
            "without mpirun it starts the job itself, with as many servers as saved the index where --servers does not say another number.",
    .options = options_table,
    .common = ARGUMENTS_STORAGE | ARGUMENTS_INDEX | ARGUMENTS_SERVERS,
    .set = set_option};

static dfaiss_status_t check(const bench_options_t *options, dfaiss_error_t *err) {
    TRY(argument_require(options->search.storage != NULL, "bench", "--storage DIR", err));
    TRY(argument_require(options->search.index != NULL, "bench", "--index NAME", err));
    TRY(argument_require(options->search.queries != NULL, "bench", "--queries FILE", err));
    TRY(raw_options_check(&options->search.raw, err));
    TRY(index_name_check(options->search.index, err));
    int64_t runs = bench_options_runs(options);
    if (runs > MOST_RUNS)
        return error_set(err, DFAISS_ERR_ARG, "--batch", "the lists have %lld combinations; up to %d are measured in one run", (long long)runs,
                         MOST_RUNS);
    return DFAISS_OK;
}

dfaiss_status_t bench_options_parse(program_t *program, int argc, char **argv, bench_options_t *options, bool *helped, dfaiss_error_t *err) {
    bench_options_t parsed = {.search = {.timeout = default_timeout},
                              .batch = {2, {1, 128}},
                              .nprobe = {1, {0}},
                              .k = {1, {10}},
                              .clients = {1, {1}},
                              .threads = {1, {0}},
                              .seconds = default_seconds,
                              .warmup = default_warmup,
                              .repeats = 3};
    common_options_t common = {0};
    TRY(arguments_parse(&arguments, program, argc, argv, &common, &parsed, helped, err));
    parsed.search.storage = common.storage;
    parsed.search.index = common.index;
    parsed.search.servers = common.servers;
    parsed.search.servers_per_node = common.servers_per_node;
    if (!*helped)
        TRY(check(&parsed, err));
    *options = parsed;
    return DFAISS_OK;
}
