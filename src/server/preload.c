/* Indexes that are there from the start: server 0 loads them as if a client had asked, and requests of clients wait until all servers have them. */
#include <stdio.h>

#include "message/load.h"
#include "server/server_internal.h"

static void all_open(server_t *server, operation_t *operation, void *context) {
    (void)context;
    server_fail(server, operation->status, &operation->error);
}

/* One of them is loaded, or the server fails. */
static void loaded(server_t *server, const request_t *request, dfaiss_status_t status, const dfaiss_error_t *error) {
    bytes_writer_t argument = {0};
    (void)request;
    server_fail(server, status, error);
    if (status == DFAISS_OK && --server->loading == 0)
        operation_start(server, OPERATION_OPEN, &argument, NULL, 0, all_open, NULL);
}

static dfaiss_status_t load(server_t *server, const char *index, dfaiss_error_t *err) {
    message_load_t message = {0};
    bytes_writer_t body = {0};
    int length = snprintf(message.index, sizeof message.index, "%s", index);
    if (length < 0 || (size_t)length >= sizeof message.index)
        return error_set(err, DFAISS_ERR_ARG, index, "the name of an index has %d characters; at most 200 are allowed", length);
    message_load_encode(&message, &body);
    dfaiss_status_t status = message_written(&body, MESSAGE_LOAD, err);
    if (status == DFAISS_OK)
        status = request_own(server, MESSAGE_LOAD, &body, NULL, loaded, err);
    if (status != DFAISS_OK)
        bytes_writer_destroy(&body);
    return status;
}

void preload(server_t *server) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = DFAISS_OK;
    server->loading = server->options->load_count;
    server->open = server->loading == 0;
    for (int i = 0; server->number == 0 && status == DFAISS_OK && i < server->options->load_count; i++)
        status = load(server, server->options->load[i], &error);
    server_fail(server, status, &error);
}

void operation_open(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    requests_open(server);
    operation_local_end(server, operation, DFAISS_OK, &error);
}
