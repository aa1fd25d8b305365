/* dfaiss build: checks its input, starts the job where nobody else did, and reports what the job has built. */
#include <limits.h>
#include <stdio.h>

#include "cli/build_run.h"
#include "cli/launch.h"
#include "cli/report.h"

static json_t *result_json(const build_options_t *options, const build_result_t *result) {
    json_t *seconds = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "read", result->seconds.read, "send", result->seconds.send, "train",
                                result->seconds.train, "add", result->seconds.add, "save", result->seconds.save, "total", result->seconds.total);
    return json_pack("{s:s, s:I, s:I, s:I, s:o, s:f, s:I, s:I, s:I}", "index", options->index, "servers", (json_int_t)result->servers, "vectors",
                     (json_int_t)result->vectors, "dim", (json_int_t)result->dim, "seconds", seconds, "vectors_per_second",
                     result->vectors_per_second, "generation", (json_int_t)result->generation, "bytes_on_disk", (json_int_t)result->bytes_on_disk,
                     "rss_bytes", (json_int_t)result->rss_bytes);
}

static void print_result(const build_options_t *options, const build_result_t *result) {
    char disk[16], memory[16], storage[PATH_MAX];
    build_storage(options, storage, sizeof storage);
    report_bytes(result->bytes_on_disk, disk, sizeof disk);
    report_bytes(result->rss_bytes, memory, sizeof memory);
    printf("index      %s, generation %lld, in %s\n", options->index, (long long)result->generation, storage);
    printf("vectors    %lld of dimension %lld on %lld server%s\n", (long long)result->vectors, (long long)result->dim, (long long)result->servers,
           result->servers == 1 ? "" : "s");
    if (result->seconds.total == 0)
        return;
    printf("speed      %.0f vectors/s\n", result->vectors_per_second);
    printf("seconds    read %.2f, send %.2f, train %.2f, add %.2f, save %.2f; total %.2f\n", result->seconds.read, result->seconds.send,
           result->seconds.train, result->seconds.add, result->seconds.save, result->seconds.total);
    printf("size       %s on disk, %s of memory in the servers\n", disk, memory);
}

static dfaiss_status_t report_result(program_t *program, const build_options_t *options, const build_result_t *result, dfaiss_error_t *err) {
    if (!program->speaks)
        return DFAISS_OK;
    if (program->json)
        return report_json(program, result_json(options, result), err);
    print_result(options, result);
    return DFAISS_OK;
}

/* No job is started for an input that the index has. */
static dfaiss_status_t start_job(program_t *program, const build_options_t *options, dfaiss_error_t *err) {
    build_input_t input;
    build_result_t result;
    TRY(build_input_open(options, true, &input, err));
    int64_t servers = launch_asked_servers(options->servers, options->servers_per_node, input.loads ? input.servers : launch_default_servers());
    bool complete = input.complete;
    if (complete)
        build_tell_complete(program, options, &input, &result);
    build_input_close(&input);
    if (complete)
        return report_result(program, options, &result, err);
    return launch_job(program, servers, options->clients ? options->clients : 1, err);
}

static dfaiss_status_t run(program_t *program, const build_options_t *options, dfaiss_error_t *err) {
    build_result_t result;
    if (!launch_inside())
        return start_job(program, options, err);
    TRY(build_run(program, options, &result, err));
    return report_result(program, options, &result, err);
}

dfaiss_status_t command_build(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    build_options_t options = {0};
    bool helped;
    TRY(build_options_parse(program, argc, argv, &options, &helped, err));
    dfaiss_status_t status = helped ? DFAISS_OK : run(program, &options, err);
    build_options_clear(&options);
    return status;
}
