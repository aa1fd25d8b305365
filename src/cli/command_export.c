/* dfaiss export: a saved index as files of plain faiss. Needs neither MPI nor memory for more than one part at a time, unless parts are merged. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/arguments.h"
#include "cli/export_run.h"
#include "cli/report.h"
#include "config/index_name.h"

enum { KEY_GENERATION = 256, KEY_OUTPUT, KEY_FORMAT, KEY_MERGE };

static const struct argp_option options_table[] = {
    {"output", KEY_OUTPUT, "FILE.faiss|DIR", 0, "One file, or a folder for one file a part (or a graph)", 0},
    {"merge", KEY_MERGE, NULL, 0, "One file in the folder too (flat, SQ, PQ and IVF; takes memory for the whole index)", 0},
    {"generation", KEY_GENERATION, "N", 0, "A generation that is kept (default: the newest)", 10},
    {"format", KEY_FORMAT, "faiss", 0, "The form of the files (default and only one: faiss)", 10},
    {0}};

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    static const char *const formats[] = {"faiss"};
    export_options_t *options = context;
    int format;
    switch (argument->key) {
    case KEY_OUTPUT:
        options->output = argument->value;
        return DFAISS_OK;
    case KEY_GENERATION:
        return argument_integer(argument, 1, INT64_MAX, &options->generation, err);
    case KEY_FORMAT:
        return argument_choice(argument, formats, 1, &format, err);
    default:
        options->merge = true;
        return DFAISS_OK;
    }
}

static const arguments_t arguments = {
    .command = "export",
    .help = "Writes a saved index as files that plain faiss (read_index) reads, its metadata as JSON lines beside them. Removed vectors are left "
            "out, those that wait to be indexed are put in.",
    .options = options_table,
    .common = ARGUMENTS_STORAGE | ARGUMENTS_INDEX,
    .set = set_option};

static const char *metric_name(config_metric_t metric) {
    static const char *const names[] = {[CONFIG_METRIC_dot] = "dot", [CONFIG_METRIC_l2] = "l2", [CONFIG_METRIC_cosine] = "cosine"};
    return names[metric];
}

/* What a program that searches the files has to know. */
static const char *about_queries(config_metric_t metric) {
    static const char *const texts[] = {
        [CONFIG_METRIC_dot] = "queries go in as they are; scores are inner products, the larger the nearer",
        [CONFIG_METRIC_l2] = "queries go in as they are; scores are squared L2 distances, the smaller the nearer",
        [CONFIG_METRIC_cosine] =
            "each query must be divided by its L2 norm, as the stored vectors are; scores are then cosines (inner products), the larger the nearer"};
    return texts[metric];
}

static void print_result(const export_options_t *options, const export_result_t *result) {
    char bytes[16];
    report_bytes(result->bytes, bytes, sizeof bytes);
    printf("index      %s, generation %" PRId64 "\n", options->index, result->generation);
    printf("vectors    %" PRId64 ", %" PRId64 " of which dfaiss had not indexed yet; %s\n", result->vectors, result->buffered, bytes);
    for (size_t i = 0; i < json_array_size(result->files); i++) {
        const json_t *file = json_array_get(result->files, i);
        printf("file       %s, %lld vectors\n", json_string_value(json_object_get(file, "file")),
               (long long)json_integer_value(json_object_get(file, "vectors")));
    }
    for (size_t i = 0; i < json_array_size(result->metadata); i++)
        printf("metadata   %s\n", json_string_value(json_array_get(result->metadata, i)));
    printf("metric     %s: %s\n", metric_name(result->metric), about_queries(result->metric));
    if (json_array_size(result->files) > 1)
        printf("answers    the best of those of all files\n");
}

static dfaiss_status_t report(program_t *program, const export_options_t *options, const export_result_t *result, dfaiss_error_t *err) {
    if (!program->json) {
        print_result(options, result);
        return DFAISS_OK;
    }
    return report_json(program,
                       json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:I, s:O, s:O}", "index", options->index, "generation",
                                 (json_int_t)result->generation, "vectors", (json_int_t)result->vectors, "buffered", (json_int_t)result->buffered,
                                 "bytes", (json_int_t)result->bytes, "metric", metric_name(result->metric), "queries", about_queries(result->metric),
                                 "nprobe", (json_int_t)result->nprobe, "files", result->files, "metadata", result->metadata),
                       err);
}

dfaiss_status_t command_export(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    common_options_t common = {0};
    export_options_t options = {.generation = 0};
    export_result_t result;
    bool helped;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, &options, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(argument_require(common.storage != NULL, "export", "--storage DIR", err));
    TRY(argument_require(common.index != NULL, "export", "--index NAME", err));
    TRY(argument_require(options.output != NULL, "export", "--output FILE.faiss", err));
    TRY(index_name_check(common.index, err));
    options.storage = common.storage;
    options.index = common.index;
    TRY(export_run(program, &options, &result, err));
    dfaiss_status_t status = report(program, &options, &result, err);
    export_result_clear(&result);
    return status;
}
