/* dfaiss remove: loads a saved index onto the servers of a job, removes vectors from it, and saves what is left as a new generation. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/connected.h"
#include "cli/job.h"
#include "cli/launch.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/saved_index.h"
#include "config/index_name.h"
#include "dataset/id_file.h"

enum { KEY_IDS = 256, KEY_FILTER, KEY_TIMEOUT };

static const double default_timeout = 300, least_timeout = 1, most_timeout = 86400;

/* Texts are borrowed from argv. */
typedef struct remove_options {
    common_options_t common;
    const char *ids; /* one of both; the other is NULL */
    const char *filter;
    double timeout;
} remove_options_t;

static const struct argp_option options_table[] = {
    {"ids", KEY_IDS, "FILE", 0, "Remove the vectors with these ids: .ibin .i64bin .ivecs .npy", 0},
    {"filter", KEY_FILTER, "EXPR", 0, "Remove the vectors whose attributes match, as in 'year < 2000'", 0},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "A rank that is silent for so long is lost (default 300)", 30},
    {0}};

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    remove_options_t *options = context;
    switch (argument->key) {
    case KEY_IDS:
        options->ids = argument->value;
        return DFAISS_OK;
    case KEY_FILTER:
        options->filter = argument->value;
        return DFAISS_OK;
    default:
        return argument_number(argument, least_timeout, most_timeout, &options->timeout, err);
    }
}

static const arguments_t arguments = {.command = "remove",
                                      .help = "Removes vectors from a saved index, by their ids or by a filter, and saves what is left as a new "
                                              "generation. Started without mpirun it starts the job itself, with as many servers as saved the index "
                                              "where --servers does not say another number; with --connect "
                                              "servers that have the index in memory do it.",
                                      .options = options_table,
                                      .common = ARGUMENTS_STORAGE | ARGUMENTS_INDEX | ARGUMENTS_SERVERS | ARGUMENTS_THREADS | ARGUMENTS_CONNECT,
                                      .set = set_option};

static dfaiss_status_t parse(program_t *program, int argc, char **argv, remove_options_t *options, bool *helped, dfaiss_error_t *err) {
    remove_options_t parsed = {.timeout = default_timeout};
    TRY(arguments_parse(&arguments, program, argc, argv, &parsed.common, &parsed, helped, err));
    if (!*helped) {
        TRY(arguments_check_connect(&parsed.common, "remove", err));
        TRY(argument_require(parsed.common.index != NULL, "remove", "--index NAME", err));
        TRY(argument_require(parsed.ids || parsed.filter, "remove", "--ids FILE or --filter EXPR", err));
        if (parsed.ids && parsed.filter)
            return error_set(err, DFAISS_ERR_ARG, "--filter", "--ids and --filter are both given; one of them is expected");
        TRY(index_name_check(parsed.common.index, err));
    }
    *options = parsed;
    return DFAISS_OK;
}

/* What can be told before the servers do anything; *servers: as many as are asked for, or else saved the index, or have it where there is a client
 * that has connected. The caller frees the ids, NULL with a filter. */
static dfaiss_status_t open_input(const remove_options_t *options, dfaiss_client_t *connected, int64_t *servers, int64_t **ids, int64_t *n,
                                  dfaiss_error_t *err) {
    saved_index_t saved;
    dfaiss_status_t status = DFAISS_OK;
    const char *index = options->common.index;
    *ids = NULL;
    TRY(connected ? connected_index(connected, index, &saved, err) : saved_index_read(options->common.storage, index, &saved, err));
    *servers = launch_asked_servers(options->common.servers, options->common.servers_per_node, saved.servers);
    if (options->filter)
        status = saved_index_check_filter(&saved, options->common.index, options->filter, err);
    else
        status = id_file_read(options->ids, ids, n, err);
    saved_index_clear(&saved);
    return status;
}

/* ---- on the ranks of a job ---- */

typedef struct removing {
    program_t *program;
    const remove_options_t *options;
    int64_t servers, removed, vectors, generation;
    double seconds;
} removing_t;

static dfaiss_status_t remove_and_save(removing_t *removing, dfaiss_client_t *client, int64_t n, const int64_t *ids, progress_t *progress,
                                       dfaiss_error_t *err) {
    const char *index = removing->options->common.index;
    if (!removing->options->common.connect) {
        progress_update(progress, "load", PROGRESS_UNKNOWN);
        TRY(job_load_index(client, index, err));
    }
    progress_update(progress, "remove", PROGRESS_UNKNOWN);
    if (ids)
        TRY(dfaiss_remove_ids(client, index, n, ids, &removing->removed, err));
    else
        TRY(dfaiss_remove_matching(client, index, removing->options->filter, &removing->removed, err));
    progress_update(progress, "save", PROGRESS_UNKNOWN);
    TRY(dfaiss_save_index(client, index, &removing->generation, err));
    return dfaiss_get_ntotal(client, index, &removing->vectors, err);
}

static dfaiss_status_t remove_as_client(dfaiss_client_t *client, void *context, dfaiss_error_t *err) {
    removing_t *removing = context;
    int64_t *ids, n = 0;
    double begin = clock_seconds();
    dfaiss_client_t *connected = removing->options->common.connect ? client : NULL;
    dfaiss_status_t status = open_input(removing->options, connected, &removing->servers, &ids, &n, err);
    if (status == DFAISS_OK) {
        progress_t *progress = progress_begin(removing->program);
        status = remove_and_save(removing, client, n, ids, progress, err);
        progress_end(progress);
    }
    free(ids);
    removing->seconds = clock_seconds() - begin;
    return status;
}

static dfaiss_status_t report(program_t *program, const removing_t *removing, dfaiss_error_t *err) {
    const char *index = removing->options->common.index;
    if (program->json)
        return report_json(program,
                           json_pack("{s:s, s:I, s:I, s:I, s:I, s:f}", "index", index, "servers", (json_int_t)removing->servers, "removed",
                                     (json_int_t)removing->removed, "vectors", (json_int_t)removing->vectors, "generation",
                                     (json_int_t)removing->generation, "seconds", removing->seconds),
                           err);
    printf("index      %s on %lld server%s\n", index, (long long)removing->servers, removing->servers == 1 ? "" : "s");
    printf("removed    %lld vectors (%.3f s)\n", (long long)removing->removed, removing->seconds);
    printf("saved      %lld vectors as generation %lld\n", (long long)removing->vectors, (long long)removing->generation);
    return DFAISS_OK;
}

static dfaiss_status_t start_job(program_t *program, const remove_options_t *options, dfaiss_error_t *err) {
    int64_t servers, *ids, n;
    TRY(open_input(options, NULL, &servers, &ids, &n, err));
    free(ids);
    return launch_job(program, servers, 1, err);
}

dfaiss_status_t command_remove(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    remove_options_t options;
    bool helped;
    TRY(parse(program, argc, argv, &options, &helped, err));
    if (helped)
        return DFAISS_OK;
    const char *connect = options.common.connect;
    if (!launch_inside() && !connect)
        return start_job(program, &options, err);
    removing_t removing = {.program = program, .options = &options};
    job_options_t job = {.storage = options.common.storage,
                         .roles = {.servers = options.common.servers, .per_node = options.common.servers_per_node},
                         .threads = options.common.threads,
                         .timeout = options.timeout};
    TRY(connect ? connected_run(program, connect, options.timeout, remove_as_client, &removing, err)
                : job_run(program, &job, remove_as_client, &removing, err));
    return program->speaks ? report(program, &removing, err) : DFAISS_OK;
}
