/* dfaiss generate: a data set made from a seed. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/launch.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "dataset/generate.h"

enum { KEY_OUT = 256, KEY_ROWS, KEY_DIM, KEY_QUERIES, KEY_TYPE, KEY_CLUSTERS, KEY_SEED, KEY_METRIC };
enum { MOST_DIM = 1 << 16, MOST_K = 1 << 16 };

static const struct argp_option options_table[] = {
    {"out", KEY_OUT, "DIR", 0, "The folder for the files; made where it is missing", 0},
    {"rows", KEY_ROWS, "N", 0, "Vectors", 0},
    {"dim", KEY_DIM, "D", 0, "Their dimension", 0},
    {"queries", KEY_QUERIES, "Q", 0, "Queries", 0},
    {"type", KEY_TYPE, "TYPE", 0, "f32 (default), f16, u8 or i8", 0},
    {"clusters", KEY_CLUSTERS, "C", 0, "Clusters that the vectors lie in (default: the square root of N)", 0},
    {"seed", KEY_SEED, "S", 0, "The same seed gives the same files (default 1)", 0},
    {NULL, 'k', "K", 0, "Exact neighbours of each query (default 100)", 0},
    {"metric", KEY_METRIC, "METRIC", 0, "What the neighbours are near by: l2 (default), dot or cosine", 0},
    {0}};

static dfaiss_status_t set_type(generate_options_t *options, const argument_t *argument, dfaiss_error_t *err) {
    const char *names[ELEMENT_COUNT];
    int choice;
    for (int element = 0; element < ELEMENT_COUNT; element++)
        names[element] = element_name((element_t)element);
    TRY(argument_choice(argument, names, ELEMENT_COUNT, &choice, err));
    options->element = (element_t)choice;
    return DFAISS_OK;
}

static dfaiss_status_t set_metric(generate_options_t *options, const argument_t *argument, dfaiss_error_t *err) {
    static const char *const names[] = {[CONFIG_METRIC_l2] = "l2", [CONFIG_METRIC_dot] = "dot", [CONFIG_METRIC_cosine] = "cosine"};
    int choice;
    TRY(argument_choice(argument, names, sizeof names / sizeof names[0], &choice, err));
    options->metric = (config_metric_t)choice;
    return DFAISS_OK;
}

static dfaiss_status_t set_seed(generate_options_t *options, const argument_t *argument, dfaiss_error_t *err) {
    int64_t seed;
    TRY(argument_integer(argument, 0, INT64_MAX, &seed, err));
    options->seed = (uint64_t)seed;
    return DFAISS_OK;
}

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    generate_options_t *options = context;
    switch (argument->key) {
    case KEY_OUT:
        options->directory = argument->value;
        return DFAISS_OK;
    case KEY_ROWS:
        return argument_integer(argument, 1, UINT32_MAX, &options->rows, err);
    case KEY_DIM:
        return argument_integer(argument, 1, MOST_DIM, &options->dim, err);
    case KEY_QUERIES:
        return argument_integer(argument, 1, UINT32_MAX, &options->queries, err);
    case KEY_TYPE:
        return set_type(options, argument, err);
    case KEY_CLUSTERS:
        return argument_integer(argument, 1, UINT32_MAX, &options->clusters, err);
    case KEY_SEED:
        return set_seed(options, argument, err);
    case KEY_METRIC:
        return set_metric(options, argument, err);
    default:
        return argument_integer(argument, 1, MOST_K, &options->k, err);
    }
}

static const arguments_t arguments = {
    .command = "generate",
    .help =
        "Makes a data set in DIR: base.fbin (or .f16bin, .u8bin, .i8bin), query.fbin, and groundtruth.ibin with the exact neighbours of each query.",
    .options = options_table,
    .common = ARGUMENTS_THREADS,
    .set = set_option};

static dfaiss_status_t check_complete(const generate_options_t *options, dfaiss_error_t *err) {
    TRY(argument_require(options->directory != NULL, "generate", "--out DIR", err));
    TRY(argument_require(options->rows > 0, "generate", "--rows N", err));
    TRY(argument_require(options->dim > 0, "generate", "--dim D", err));
    return argument_require(options->queries > 0, "generate", "--queries Q", err);
}

static dfaiss_status_t report(program_t *program, const generate_options_t *options, double seconds, dfaiss_error_t *err) {
    if (program->json)
        return report_json(program,
                           json_pack("{s:o, s:I, s:I, s:I, s:I, s:f}", "directory", report_text_json(options->directory), "rows",
                                     (json_int_t)options->rows, "dim", (json_int_t)options->dim, "queries", (json_int_t)options->queries, "k",
                                     (json_int_t)options->k, "seconds", seconds),
                           err);
    printf("%s: %lld vectors of dimension %lld, %lld queries with their %lld exact neighbours (%.1f s)\n", options->directory,
           (long long)options->rows, (long long)options->dim, (long long)options->queries, (long long)options->k, seconds);
    return DFAISS_OK;
}

dfaiss_status_t command_generate(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    common_options_t common = {0};
    generate_options_t options = {.element = ELEMENT_f32, .seed = 1, .k = 100, .metric = CONFIG_METRIC_l2};
    bool helped;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, &options, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(check_complete(&options, err));
    options.threads = (int)(common.threads ? common.threads : launch_usable_cores());
    double begun = clock_seconds();
    progress_t *progress = progress_begin(program);
    dfaiss_status_t status = dataset_generate(&options, progress_update, progress, err);
    progress_end(progress);
    TRY(status);
    return report(program, &options, clock_seconds() - begun, err);
}
