/* dfaiss status: what servers that listen hold and do, once or again and again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dfaiss/dfaiss.h>

#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/connected.h"
#include "cli/report.h"
#include "cli/status_print.h"

enum { KEY_INTERVAL = 256, KEY_COUNT, KEY_TIMEOUT };

static const double default_timeout = 300, least_timeout = 1, most_timeout = 86400;
static const double least_interval = 0.1, most_interval = 86400, usual_interval = 0.5;

typedef struct status_options {
    common_options_t common;
    double interval; /* 0: once */
    int64_t count;   /* 0: for ever */
    double timeout;
} status_options_t;

static const struct argp_option options_table[] = {
    {"interval", KEY_INTERVAL, "SECONDS", 0, "Tell it again and again; with --json an object a line", 0},
    {"count", KEY_COUNT, "N", 0, "So often (default: until the servers end)", 0},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "Servers that are silent for so long are lost (default 300)", 30},
    {0}};

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    status_options_t *options = context;
    switch (argument->key) {
    case KEY_INTERVAL:
        return argument_number(argument, least_interval, most_interval, &options->interval, err);
    case KEY_COUNT:
        return argument_integer(argument, 1, INT32_MAX, &options->count, err);
    default:
        return argument_number(argument, least_timeout, most_timeout, &options->timeout, err);
    }
}

static const arguments_t arguments = {
    .command = "status",
    .help = "Tells of servers that listen (dfaiss serve --listen FILE): their memory and traffic, and of each index its "
            "state, vectors, memory, queries/s and imbalance on every server.",
    .options = options_table,
    .common = ARGUMENTS_CONNECT,
    .set = set_option};

static dfaiss_status_t parse(program_t *program, int argc, char **argv, status_options_t *options, bool *helped, dfaiss_error_t *err) {
    status_options_t parsed = {.timeout = default_timeout};
    TRY(arguments_parse(&arguments, program, argc, argv, &parsed.common, &parsed, helped, err));
    if (!*helped)
        TRY(argument_require(parsed.common.connect != NULL, "status", "--connect FILE", err));
    *options = parsed;
    return DFAISS_OK;
}

/* ---- looking ---- */

static dfaiss_status_t allocate(status_look_t *look, int64_t indexes, dfaiss_error_t *err) {
    size_t bytes = (size_t)look->server_count * sizeof *look->servers;
    look->servers = malloc(bytes);
    look->indexes = calloc((size_t)indexes + 1, sizeof *look->indexes);
    if (!look->servers || !look->indexes)
        return error_memory(err, bytes, "what servers tell");
    return DFAISS_OK;
}

/* One that was dropped meanwhile is left out. */
static dfaiss_status_t look_at_index(status_look_t *look, dfaiss_client_t *client, const char *name, dfaiss_error_t *err) {
    size_t bytes = (size_t)look->server_count * sizeof(dfaiss_statistics_t);
    status_index_t *index = &look->indexes[look->index_count];
    dfaiss_error_t error = {0};
    index->servers = malloc(bytes);
    index->name = strdup(name);
    look->index_count++;
    if (!index->servers || !index->name)
        return error_memory(err, bytes, "what servers tell");
    dfaiss_status_t status = dfaiss_get_statistics(client, name, index->servers, &error);
    if (status == DFAISS_OK)
        status = dfaiss_get_state(client, name, &index->state, &error);
    if (status == DFAISS_OK)
        return DFAISS_OK;
    if (err)
        *err = error;
    if (status != DFAISS_ERR_NOT_FOUND)
        return status;
    status_index_clear(index);
    look->index_count--;
    return DFAISS_OK;
}

static dfaiss_status_t look_at(status_look_t *look, dfaiss_client_t *client, dfaiss_error_t *err) {
    char **names = NULL;
    int64_t count = 0;
    TRY(dfaiss_list_indexes(client, &names, &count, err));
    look->server_count = dfaiss_client_servers(client);
    dfaiss_status_t status = allocate(look, count, err);
    if (status == DFAISS_OK)
        status = dfaiss_get_statistics(client, NULL, look->servers, err);
    for (int64_t i = 0; status == DFAISS_OK && i < count; i++)
        status = look_at_index(look, client, names[i], err);
    look->at = clock_seconds();
    free(names);
    return status;
}

static void rest(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
    nanosleep(&time, NULL);
}

/* ---- telling ---- */

typedef struct watch {
    program_t *program;
    const status_options_t *options;
} watch_t;

static dfaiss_status_t tell(const watch_t *watch, const status_look_t *before, const status_look_t *now, dfaiss_error_t *err) {
    if (watch->program->json)
        TRY(report_json(watch->program, status_json(before, now), err));
    else
        status_print(before, now);
    return report_flush(err);
}

/* How fast queries come is seen between two looks, also where it is told once. */
static dfaiss_status_t work(dfaiss_client_t *client, void *context, dfaiss_error_t *err) {
    const watch_t *watch = context;
    const status_options_t *options = watch->options;
    int64_t times = options->interval > 0 ? options->count : 1;
    status_look_t before = {0}, now = {0};
    dfaiss_status_t status = look_at(&before, client, err);
    for (int64_t told = 0; status == DFAISS_OK && (times == 0 || told < times); told++) {
        rest(options->interval > 0 ? options->interval : usual_interval);
        status = look_at(&now, client, err);
        if (status == DFAISS_OK)
            status = tell(watch, &before, &now, err);
        status_clear(&before);
        before = now;
        now = (status_look_t){0};
    }
    status_clear(&before);
    return status;
}

dfaiss_status_t command_status(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    status_options_t options;
    bool helped;
    TRY(parse(program, argc, argv, &options, &helped, err));
    if (helped)
        return DFAISS_OK;
    watch_t watch = {.program = program, .options = &options};
    return connected_run(program, options.common.connect, options.timeout, work, &watch, err);
}
