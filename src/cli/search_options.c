#include "cli/search_options.h"

#include "config/index_name.h"

enum { KEY_QUERIES = 256, KEY_NPROBE, KEY_FILTER, KEY_BATCH, KEY_GROUNDTRUTH, KEY_OUTPUT, KEY_TIMEOUT };
enum { MOST_K = 1 << 20, MOST_NPROBE = 1 << 24, DEFAULT_K = 10 };

static const double default_timeout = 300, least_timeout = 1, most_timeout = 86400;

static const struct argp_option options_table[] = {
    {"queries", KEY_QUERIES, "FILE", 0, "Vectors to search the neighbours of, in the forms of build's --data", 0},
    {NULL, 'k', "K", 0, "Neighbours of each query (default 10)", 0},
    {"nprobe", KEY_NPROBE, "P", 0, "Lists to look into; for HNSW the depth of the search (default: as configured)", 0},
    {"filter", KEY_FILTER, "EXPR", 0, "Only neighbours whose attributes match, as in 'lang == \"de\" and year >= 2019'", 0},
    {"batch", KEY_BATCH, "B", 0, "Queries in one request (default: as many as are sensible)", 0},
    {"groundtruth", KEY_GROUNDTRUTH, "FILE", 0, "True neighbours, to tell the recall: .ibin .i64bin .ivecs .npy", 0},
    {"output", KEY_OUTPUT, "FILE", 0, "Write the answers: .ibin (scores beside it as .fbin), .i64bin, .jsonl (with metadata) or .h5", 0},
    RAW_OPTION_ROWS,
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "A rank that is silent for so long is lost (default 300)", 30},
    {0}};

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    search_options_t *options = context;
    switch (argument->key) {
    case KEY_QUERIES:
        options->queries = argument->value;
        return DFAISS_OK;
    case 'k':
        return argument_integer(argument, 1, MOST_K, &options->k, err);
    case KEY_NPROBE:
        return argument_integer(argument, 1, MOST_NPROBE, &options->nprobe, err);
    case KEY_FILTER:
        options->filter = argument->value;
        return DFAISS_OK;
    case KEY_BATCH:
        return argument_integer(argument, 1, INT32_MAX, &options->batch, err);
    case KEY_GROUNDTRUTH:
        options->groundtruth = argument->value;
        return DFAISS_OK;
    case KEY_OUTPUT:
        options->output = argument->value;
        return search_output_form(argument->value, &options->form, err);
    case KEY_TIMEOUT:
        return argument_number(argument, least_timeout, most_timeout, &options->timeout, err);
    default:
        return raw_options_set(&options->raw, argument, err);
    }
}

static const arguments_t arguments = {.command = "search",
                                      .help = "Loads a saved index onto the servers of a job and searches it for the neighbours of queries. Started "
                                              "without mpirun it starts the job itself, "
                                              "with as many servers as saved the index where --servers does not say another number. With --connect "
                                              "servers are asked that hold the index in memory.",
                                      .options = options_table,
                                      .common = ARGUMENTS_STORAGE | ARGUMENTS_INDEX | ARGUMENTS_SERVERS | ARGUMENTS_THREADS | ARGUMENTS_CONNECT,
                                      .set = set_option};

dfaiss_status_t search_options_parse(program_t *program, int argc, char **argv, search_options_t *options, bool *helped, dfaiss_error_t *err) {
    search_options_t parsed = {.k = DEFAULT_K, .timeout = default_timeout};
    common_options_t common = {0};
    TRY(arguments_parse(&arguments, program, argc, argv, &common, &parsed, helped, err));
    parsed.storage = common.storage;
    parsed.connect = common.connect;
    parsed.index = common.index;
    parsed.servers = common.servers;
    parsed.servers_per_node = common.servers_per_node;
    parsed.threads = common.threads;
    if (!*helped) {
        TRY(arguments_check_connect(&common, "search", err));
        TRY(argument_require(parsed.index != NULL, "search", "--index NAME", err));
        TRY(argument_require(parsed.queries != NULL, "search", "--queries FILE", err));
        TRY(raw_options_check(&parsed.raw, err));
        TRY(index_name_check(parsed.index, err));
    }
    *options = parsed;
    return DFAISS_OK;
}
