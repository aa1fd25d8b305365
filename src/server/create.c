/* CREATE: a new index on all servers. */
#include "checkpoint/manifest.h"
#include "config/index_name.h"
#include "message/create.h"
#include "server/server_internal.h"

static dfaiss_status_t parse(const bytes_writer_t *argument, message_create_t *message, index_config_t **config, dfaiss_error_t *err) {
    TRY(message_create_decode(argument->data, argument->size, message, err));
    return index_config_parse(message->config, message->config_size, message->index, config, err);
}

static dfaiss_status_t create(server_t *server, operation_t *operation, dfaiss_error_t *err) {
    message_create_t message;
    index_config_t *config = NULL;
    TRY(parse(&operation->argument, &message, &config, err));
    int64_t expected = hosted_expected_rows(server, config, message.expected_rows);
    shard_t *shard = NULL;
    team_t *own = NULL;
    dfaiss_status_t status = hosted_team(server, config, &own, err);
    if (status == DFAISS_OK)
        status = shard_create(message.index, config, expected, server->number, own ? own : server->team, &shard, err);
    if (status != DFAISS_OK) {
        team_destroy(own);
        index_config_destroy(config);
        return status;
    }
    hosted_t *hosted;
    TRY(hosted_add(server, message.index, shard, own, &hosted, err));
    hosted->own_ids = message.own_ids;
    hosted->overwrite = message.overwrite;
    hosted->incarnation = operation->number;
    return DFAISS_OK;
}

void operation_create(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = create(server, operation, &error);
    operation_local_end(server, operation, status, &error);
}

static void created(server_t *server, operation_t *operation, void *context) {
    request_t *request = context;
    lease_t *lease = request->state;
    request->state = NULL;
    if (operation->status != DFAISS_OK) {
        lease_release(lease);
        request_fail_and_drop(server, request, &operation->error);
        return;
    }
    hosted_find(server, request->index)->lease = lease;
    request_answer_loaded(server, request);
}

/* The lease becomes the request's state. */
static dfaiss_status_t check_storage(server_t *server, request_t *request, const index_config_t *config, bool overwrite, dfaiss_error_t *err) {
    const char *storage = hosted_storage(server, config);
    lease_t *lease = NULL;
    if (manifest_exists(storage, request->index) && !overwrite)
        return error_set(err, DFAISS_ERR_EXISTS, request->index, "index '%s' exists in the storage already", request->index);
    TRY(claim_take(storage, request->index, false, &lease, err));
    request->state = lease;
    return DFAISS_OK;
}

static dfaiss_status_t check(server_t *server, request_t *request, dfaiss_error_t *err) {
    bytes_writer_t argument = {.data = request->message.body, .size = request->message.body_size};
    message_create_t message;
    index_config_t *config = NULL;
    TRY(index_name_check(request->index, err));
    if (hosted_find(server, request->index))
        return error_set(err, DFAISS_ERR_EXISTS, request->index, "index '%s' is on the servers already", request->index);
    TRY(parse(&argument, &message, &config, err));
    dfaiss_status_t status = check_storage(server, request, config, message.overwrite, err);
    index_config_destroy(config);
    return status;
}

void request_create(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = check(server, request, &error);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    request_start_operation(server, request, OPERATION_CREATE, created);
}
