/* dfaiss bench: checks its input, starts the job where nobody else did, and reports and writes what the job has measured. */
#include <stdio.h>

#include "cli/bench_files.h"
#include "cli/bench_run.h"
#include "cli/bench_table.h"
#include "cli/launch.h"
#include "cli/report.h"
#include "cli/search_input.h"

static void tell_unknown_recall(const program_t *program, const bench_options_t *options, const bench_result_t *result) {
    for (int i = 0; options->search.groundtruth && i < options->k.count; i++)
        if (options->k.values[i] > result->truth_columns)
            report_notice(program, "no recall at k %lld: %s has %lld neighbours of each query", (long long)options->k.values[i],
                          options->search.groundtruth, (long long)result->truth_columns);
}

static dfaiss_status_t report(program_t *program, const bench_options_t *options, const bench_result_t *result, dfaiss_error_t *err) {
    tell_unknown_recall(program, options, result);
    if (options->output)
        TRY(bench_files_write(program, options, result, err));
    if (program->json)
        return report_json(program, bench_result_json(options, result), err);
    bench_table_print(stdout, options, result);
    if (options->output)
        printf("\nfiles      %s/bench.*\n", options->output);
    return DFAISS_OK;
}

static dfaiss_status_t start_job(program_t *program, const bench_options_t *options, dfaiss_error_t *err) {
    search_input_t input;
    TRY(search_input_open(&options->search, &input, err));
    int64_t servers = launch_asked_servers(options->search.servers, options->search.servers_per_node, input.index.servers);
    search_input_close(&input);
    if (options->output)
        TRY(bench_files_check(options->output, err));
    return launch_job(program, servers, bench_list_largest(&options->clients), err);
}

dfaiss_status_t command_bench(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    bench_options_t options;
    bench_result_t result = {0};
    bool helped;
    TRY(bench_options_parse(program, argc, argv, &options, &helped, err));
    if (helped)
        return DFAISS_OK;
    if (!launch_inside())
        return start_job(program, &options, err);
    TRY(bench_run(program, &options, &result, err));
    dfaiss_status_t status = program->speaks ? report(program, &options, &result, err) : DFAISS_OK;
    bench_result_clear(&result);
    return status;
}
