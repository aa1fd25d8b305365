/* dfaiss shutdown: ends servers that listen. */
#include <stdio.h>

#include <dfaiss/dfaiss.h>

#include "cli/arguments.h"
#include "cli/connected.h"
#include "cli/report.h"

static const double timeout = 300;

static const arguments_t arguments = {
    .command = "shutdown",
    .help = "Ends servers that listen (dfaiss serve --listen FILE). What is under way ends first; what was not saved is lost.",
    .common = ARGUMENTS_CONNECT};

static dfaiss_status_t shut_down(dfaiss_client_t *client, void *context, dfaiss_error_t *err) {
    int64_t *servers = context;
    TRY(dfaiss_shutdown(client, err));
    *servers = dfaiss_client_servers(client);
    return DFAISS_OK;
}

dfaiss_status_t command_shutdown(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    common_options_t common = {0};
    bool helped;
    int64_t servers = 0;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, NULL, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(argument_require(common.connect != NULL, "shutdown", "--connect FILE", err));
    TRY(connected_run(program, common.connect, timeout, shut_down, &servers, err));
    if (program->json && program->speaks)
        return report_json(program, json_pack("{s:I}", "servers", (json_int_t)servers), err);
    return DFAISS_OK;
}
