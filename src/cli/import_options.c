#include "cli/import_options.h"

#include <stdlib.h>

#include "cli/arguments.h"
#include "config/index_name.h"

enum { KEY_CONFIG = 256, KEY_INPUT, KEY_OFFSET, KEY_OVERWRITE };

static const struct argp_option options_table[] = {
    {"config", KEY_CONFIG, "FILE", 0, "The configuration that the files were made with (JSON)", 0},
    {"input", KEY_INPUT, "FILE...", 0, "Indexes that faiss has written, one part of the new index each", 0},
    {"id-offset", KEY_OFFSET, "N", 0,
     "What is added to the ids in a file; once for each --input, in their order (default: ids in files as they are, and row numbers that go on from "
     "file to file)",
     0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "Replace the index where there is one", 10},
    {0}};

static dfaiss_status_t add_input(import_options_t *options, const char *path, dfaiss_error_t *err) {
    const char **inputs = realloc(options->inputs, (size_t)(options->input_count + 1) * sizeof *inputs);
    if (!inputs)
        return error_memory(err, 0, "the names of the files");
    options->inputs = inputs;
    inputs[options->input_count++] = path;
    return DFAISS_OK;
}

static dfaiss_status_t add_offset(import_options_t *options, const argument_t *argument, dfaiss_error_t *err) {
    int64_t offset;
    TRY(argument_integer(argument, 0, INT64_MAX / 2, &offset, err));
    int64_t *offsets = realloc(options->offsets, (size_t)(options->offset_count + 1) * sizeof *offsets);
    if (!offsets)
        return error_memory(err, 0, "the offsets");
    options->offsets = offsets;
    offsets[options->offset_count++] = offset;
    return DFAISS_OK;
}

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    import_options_t *options = context;
    switch (argument->key) {
    case KEY_CONFIG:
        options->config = argument->value;
        return DFAISS_OK;
    case KEY_INPUT:
        return add_input(options, argument->value, err);
    case KEY_OFFSET:
        return add_offset(options, argument, err);
    default:
        options->overwrite = true;
        return DFAISS_OK;
    }
}

static const arguments_t arguments = {
    .command = "import",
    .help = "Makes an index of files that plain faiss has written (write_index), which any number of servers loads. Several files that were trained "
            "apart are encoded anew as the first one, or with \"training\": \"local\" kept as they are.",
    .options = options_table,
    .common = ARGUMENTS_STORAGE | ARGUMENTS_INDEX,
    .set = set_option,
    .listed = KEY_INPUT};

static dfaiss_status_t check(const common_options_t *common, const import_options_t *options, dfaiss_error_t *err) {
    TRY(argument_require(common->storage != NULL, "import", "--storage DIR", err));
    TRY(argument_require(common->index != NULL, "import", "--index NAME", err));
    TRY(argument_require(options->config != NULL, "import", "--config FILE", err));
    TRY(argument_require(options->input_count > 0, "import", "--input FILE", err));
    if (options->offset_count > 0 && options->offset_count != options->input_count)
        return error_set(err, DFAISS_ERR_ARG, "--id-offset", "--id-offset is given %d times for %d files; expected once for each",
                         options->offset_count, options->input_count);
    return index_name_check(common->index, err);
}

dfaiss_status_t import_options_parse(program_t *program, int argc, char **argv, import_options_t *options, bool *helped, dfaiss_error_t *err) {
    import_options_t parsed = {.overwrite = false};
    common_options_t common = {0};
    dfaiss_status_t status = arguments_parse(&arguments, program, argc, argv, &common, &parsed, helped, err);
    if (status == DFAISS_OK && !*helped)
        status = check(&common, &parsed, err);
    parsed.storage = common.storage;
    parsed.index = common.index;
    if (status != DFAISS_OK)
        import_options_clear(&parsed);
    else
        *options = parsed;
    return status;
}

void import_options_clear(import_options_t *options) {
    free(options->inputs);
    free(options->offsets);
    *options = (import_options_t){0};
}
