/* How it ends: SHUTDOWN takes the indexes from memory, and every later request is refused. The servers themselves end when all clients have left:
 * server 0 waits until no server has begun anything that is still under way, since the others take part in it, and then tells all to stop. */
#include "message/named.h"
#include "server/server_internal.h"

static void local_end_well(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    operation_local_end(server, operation, DFAISS_OK, &error);
}

static operation_t *find_own_part(server_t *server, operation_kind_t kind) {
    for (operation_t *operation = server->operations; operation; operation = operation->next) {
        if (operation->type == operation_type(kind) && !operation->local_ended)
            return operation;
    }
    return NULL;
}

/* ---- SHUTDOWN ---- */

void request_shutdown(server_t *server, request_t *request) {
    char nothing[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    dfaiss_status_t status = message_named_decode(MESSAGE_SHUTDOWN, request->message.body, request->message.body_size, nothing, &error);
    if (status == DFAISS_OK && (nothing[0] || server->number != 0))
        status = message_malformed(MESSAGE_SHUTDOWN, &error);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    server->closed = true;
    server->shutdown = request;
}

/* What is under way ends first: each index goes when nobody uses it any more. */
void operation_close(server_t *server, operation_t *operation) {
    (void)operation;
    server->closed = true;
}

static bool close_indexes(server_t *server) {
    operation_t *operation = find_own_part(server, OPERATION_CLOSE);
    if (!operation)
        return false;
    for (hosted_t *next, *hosted = server->hosted; hosted; hosted = next) {
        next = hosted->next;
        if (hosted->users == 0 && !hosted->dropping)
            hosted_remove(server, hosted);
    }
    if (server->hosted)
        return false;
    local_end_well(server, operation);
    return true;
}

/* Requests that change indexes as a whole have their own steps on all servers, so they end before. */
static bool start_closing(server_t *server) {
    request_t *request = server->shutdown;
    if (!request || server->control)
        return false;
    server->shutdown = NULL;
    bytes_writer_t argument = {0};
    operation_start(server, OPERATION_CLOSE, &argument, NULL, 0, request_answer_outcome, request);
    return true;
}

/* ---- the end of the servers ---- */

static bool has_begun_something(const server_t *server) {
    if (server->control || server->shutdown || server->jobs || server->job || !lead_idle(server->lead))
        return true;
    for (const operation_t *operation = server->operations; operation; operation = operation->next) {
        if ((int)operation->root == server->number && operation->type != operation_type(OPERATION_QUIET))
            return true;
    }
    return false;
}

/* Ends, in ending_advance, when this server has nothing of its own under way; nothing new can come, since no client is left. */
void operation_quiet(server_t *server, operation_t *operation) {
    (void)server;
    (void)operation;
}

void operation_stop(server_t *server, operation_t *operation) {
    server->stopping = true;
    local_end_well(server, operation);
}

static void all_stop(server_t *server, operation_t *operation, void *context) {
    (void)context;
    server_fail(server, operation->status, &operation->error);
}

static void all_quiet(server_t *server, operation_t *operation, void *context) {
    bytes_writer_t argument = {0};
    (void)context;
    if (operation->status != DFAISS_OK)
        server_fail(server, operation->status, &operation->error);
    else
        operation_start(server, OPERATION_STOP, &argument, NULL, 0, all_stop, NULL);
}

bool ending_advance(server_t *server) {
    bool something = start_closing(server) | close_indexes(server);
    if (clients_left(server) || has_begun_something(server))
        return something;
    if (server->number == 0 && !server->ending) {
        bytes_writer_t argument = {0};
        server->ending = true;
        operation_start(server, OPERATION_QUIET, &argument, NULL, 0, all_quiet, NULL);
        something = true;
    }
    operation_t *quiet = find_own_part(server, OPERATION_QUIET);
    if (quiet) {
        local_end_well(server, quiet);
        something = true;
    }
    return something;
}
