#include "cli/connected.h"

#include <stdlib.h>
#include <string.h>

#include "cli/launch.h"

dfaiss_status_t connected_run(program_t *program, const char *listen_file, double timeout, job_client_t *work, void *context, dfaiss_error_t *err) {
    dfaiss_client_t *client = NULL;
    dfaiss_client_options_t limits = {.timeout = timeout};
    program->speaks = launch_rank() == 0;
    if (!program->speaks)
        return DFAISS_OK;
    TRY(dfaiss_connect(listen_file, &limits, &client, err));
    dfaiss_status_t status = work(client, context, err);
    /* Where answers are missing, waiting for them would be for ever. */
    if (!job_must_abort(status))
        dfaiss_client_destroy(client);
    return status;
}

static dfaiss_status_t parse_config(const dfaiss_config_t *config, const char *index, index_config_t **out, dfaiss_error_t *err) {
    char *text = NULL;
    TRY(dfaiss_config_print(config, &text, err));
    dfaiss_status_t status = index_config_parse(text, strlen(text), index, out, err);
    free(text);
    return status;
}

dfaiss_status_t connected_index(dfaiss_client_t *client, const char *index, saved_index_t *out, dfaiss_error_t *err) {
    dfaiss_config_t *config = NULL;
    saved_index_t found = {.servers = dfaiss_client_servers(client)};
    TRY(dfaiss_get_config(client, index, &config, err));
    dfaiss_status_t status = parse_config(config, index, &found.config, err);
    dfaiss_config_destroy(config);
    if (status == DFAISS_OK)
        status = dfaiss_get_ntotal(client, index, &found.vectors, err);
    if (status != DFAISS_OK) {
        saved_index_clear(&found);
        return status;
    }
    *out = found;
    return DFAISS_OK;
}
