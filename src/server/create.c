/* CREATE: a new index on all servers. */
#include "checkpoint/manifest.h"
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
    if (operation->status != DFAISS_OK)
        request_fail_and_drop(server, request, &operation->error);
    else
        request_answer_loaded(server, request);
}

static dfaiss_status_t check(server_t *server, const request_t *request, dfaiss_error_t *err) {
    bytes_writer_t argument = {.data = request->message.body, .size = request->message.body_size};
    message_create_t message;
    index_config_t *config = NULL;
    TRY(manifest_check_name(request->index, err));
    if (hosted_find(server, request->index))
        return error_set(err, DFAISS_ERR_EXISTS, request->index, "index '%s' is on the servers already", request->index);
    TRY(parse(&argument, &message, &config, err));
    bool exists = manifest_exists(hosted_storage(server, config), request->index);
    index_config_destroy(config);
    if (exists && !message.overwrite)
        return error_set(err, DFAISS_ERR_EXISTS, request->index, "index '%s' exists in the storage already", request->index);
    return DFAISS_OK;
}

void request_create(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = check(server, request, &error);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    bytes_writer_t argument = {0};
    bytes_put(&argument, request->message.body, request->message.body_size);
    operation_start(server, OPERATION_CREATE, &argument, NULL, 0, created, request);
}
