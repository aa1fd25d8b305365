#include "cli/build_options.h"

#include <stdlib.h>

#include "cli/signals.h"
#include "config/index_name.h"

enum { KEY_CONFIG = 256, KEY_DATA, KEY_IDS, KEY_METADATA, KEY_OVERWRITE, KEY_APPEND, KEY_RESUME, KEY_CLIENTS, KEY_GRACE, KEY_TIMEOUT };

enum { MOST_CLIENTS = 65536 };

static const double default_timeout = 300, least_timeout = 1, most_timeout = 86400;

static const struct argp_option options_table[] = {
    {"config", KEY_CONFIG, "FILE", 0, "The configuration of the index (JSON)", 0},
    {"data", KEY_DATA, "FILE...", 0, "Vectors: .fvecs .bvecs .fbin .f16bin .u8bin .i8bin .npy; several files are one input", 0},
    {"ids", KEY_IDS, "FILE", 0, "Ids of the vectors: .ibin .i64bin .ivecs .npy (default: row numbers)", 0},
    {"metadata", KEY_METADATA, "FILE", 0, "JSON lines, one object a vector", 0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "Replace the index where there is one", 10},
    {"append", KEY_APPEND, NULL, 0, "Add to an index that is there", 10},
    {"resume", KEY_RESUME, NULL, 0, "Go on with a build that was cut off: send what the index lacks of the same input", 10},
    {"clients", KEY_CLIENTS, "C", 0, "Ranks that read and send, each its part of the input (default 1)", 20},
    RAW_OPTION_ROWS,
    SIGNALS_GRACE_ROW(KEY_GRACE),
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "A rank that is silent for so long is lost (default 300)", 30},
    {0}};

static dfaiss_status_t add_data(build_options_t *options, const char *path, dfaiss_error_t *err) {
    const char **data = realloc(options->data, (size_t)(options->data_count + 1) * sizeof *data);
    if (!data)
        return error_memory(err, 0, "the names of the data files");
    data[options->data_count] = path;
    options->data = data;
    options->data_count++;
    return DFAISS_OK;
}

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    build_options_t *options = context;
    switch (argument->key) {
    case KEY_CONFIG:
        options->config = argument->value;
        return DFAISS_OK;
    case KEY_DATA:
        return add_data(options, argument->value, err);
    case KEY_IDS:
        options->ids = argument->value;
        return DFAISS_OK;
    case KEY_METADATA:
        options->metadata = argument->value;
        return DFAISS_OK;
    case KEY_OVERWRITE:
        options->overwrite = true;
        return DFAISS_OK;
    case KEY_APPEND:
        options->append = true;
        return DFAISS_OK;
    case KEY_RESUME:
        options->resume = true;
        return DFAISS_OK;
    case KEY_CLIENTS:
        return argument_integer(argument, 1, MOST_CLIENTS, &options->clients, err);
    case KEY_GRACE:
        return signals_grace(argument, &options->grace, err);
    case KEY_TIMEOUT:
        return argument_number(argument, least_timeout, most_timeout, &options->timeout, err);
    default:
        return raw_options_set(&options->raw, argument, err);
    }
}

static const arguments_t arguments = {.command = "build",
                                      .help = "Builds an index from vector files on the servers of a job, and saves it. Started without mpirun it "
                                              "starts the job itself, by default with one "
                                              "server a NUMA node.",
                                      .options = options_table,
                                      .common = ARGUMENTS_STORAGE | ARGUMENTS_INDEX | ARGUMENTS_SERVERS | ARGUMENTS_THREADS,
                                      .set = set_option,
                                      .listed = KEY_DATA};

/* What is to become of an index that is there already. */
static dfaiss_status_t check_manner(const build_options_t *options, dfaiss_error_t *err) {
    if (options->overwrite && options->append)
        return error_set(err, DFAISS_ERR_ARG, "--append", "--overwrite and --append exclude each other");
    if (options->resume && (options->overwrite || options->append))
        return error_set(err, DFAISS_ERR_ARG, "--resume", "--%s and --resume exclude each other", options->overwrite ? "overwrite" : "append");
    return DFAISS_OK;
}

static dfaiss_status_t check(const build_options_t *options, dfaiss_error_t *err) {
    TRY(argument_require(options->storage != NULL, "build", "--storage DIR", err));
    TRY(argument_require(options->index != NULL, "build", "--index NAME", err));
    TRY(argument_require(options->config != NULL || options->append || options->resume, "build", "--config FILE", err));
    TRY(argument_require(options->data_count > 0, "build", "--data FILE", err));
    TRY(check_manner(options, err));
    TRY(raw_options_check(&options->raw, err));
    return index_name_check(options->index, err);
}

dfaiss_status_t build_options_parse(program_t *program, int argc, char **argv, build_options_t *options, bool *helped, dfaiss_error_t *err) {
    build_options_t parsed = {.timeout = default_timeout};
    common_options_t common = {0};
    dfaiss_status_t status = arguments_parse(&arguments, program, argc, argv, &common, &parsed, helped, err);
    parsed.storage = common.storage;
    parsed.index = common.index;
    parsed.servers = common.servers;
    parsed.servers_per_node = common.servers_per_node;
    parsed.threads = common.threads;
    if (status == DFAISS_OK && !*helped)
        status = check(&parsed, err);
    if (status != DFAISS_OK)
        build_options_clear(&parsed);
    else
        *options = parsed;
    return status;
}

void build_options_clear(build_options_t *options) {
    free(options->data);
    *options = (build_options_t){0};
}
