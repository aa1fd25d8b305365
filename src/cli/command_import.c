/* dfaiss import: an index made of files of plain faiss. Needs no MPI, and memory for one file at a time. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/import_run.h"
#include "cli/report.h"

static void print_result(const import_options_t *options, const import_result_t *result) {
    char bytes[16];
    report_bytes(result->bytes, bytes, sizeof bytes);
    printf("index      %s, generation %" PRId64 ", in %s\n", options->index, result->generation, options->storage);
    printf("vectors    %" PRId64 " of dimension %" PRId64 " in %d part%s; %s\n", result->vectors, result->dim, result->parts,
           result->parts == 1 ? "" : "s", bytes);
    printf("ids        %s\n", result->own_ids ? "those of the files" : "row numbers");
    if (result->encoded_anew > 0)
        printf("training   that of %s; %d file%s, trained apart from it, encoded anew\n", options->inputs[0], result->encoded_anew,
               result->encoded_anew == 1 ? "" : "s");
}

static dfaiss_status_t report(program_t *program, const import_options_t *options, const import_result_t *result, dfaiss_error_t *err) {
    if (!program->json) {
        print_result(options, result);
        return DFAISS_OK;
    }
    return report_json(program,
                       json_pack("{s:s, s:I, s:i, s:I, s:I, s:s, s:I, s:i, s:I}", "index", options->index, "generation",
                                 (json_int_t)result->generation, "parts", result->parts, "vectors", (json_int_t)result->vectors, "dim",
                                 (json_int_t)result->dim, "ids", result->own_ids ? "own" : "assigned", "next_id", (json_int_t)result->next_id,
                                 "encoded_anew", result->encoded_anew, "bytes_on_disk", (json_int_t)result->bytes),
                       err);
}

dfaiss_status_t command_import(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    import_options_t options = {0};
    import_result_t result;
    bool helped;
    TRY(import_options_parse(program, argc, argv, &options, &helped, err));
    dfaiss_status_t status = helped ? DFAISS_OK : import_run(program, &options, &result, err);
    if (status == DFAISS_OK && !helped)
        status = report(program, &options, &result, err);
    import_options_clear(&options);
    return status;
}
