/* REMOVE: vectors go from all servers, by their ids or by a filter. Each server does its part in slices, between searches. */
#include <stdlib.h>

#include "base/clock.h"
#include "message/remove.h"
#include "server/server_internal.h"
#include "shard/removal.h"

enum { SLICE_NANOSECONDS = 2000000 };

/* This server's part of an operation. */
struct removing {
    removing_t *next;
    operation_t *operation;
    hosted_t *hosted;
    shard_removal_t *removal;
};

static dfaiss_status_t start(server_t *server, operation_t *operation, dfaiss_error_t *err) {
    message_remove_t message;
    hosted_t *hosted;
    shard_removal_t *removal = NULL;
    TRY(message_remove_decode(operation->argument.data, operation->argument.size, operation->argument_bulk, operation->argument_bulk_size, &message,
                              err));
    TRY(hosted_get(server, message.index, &hosted, err));
    removing_t *removing = calloc(1, sizeof *removing);
    if (!removing)
        return error_memory(err, sizeof *removing, "removing vectors");
    dfaiss_status_t status = message.filter ? shard_removal_by_filter(hosted->shard, message.filter, message.filter_size, &removal, err)
                                            : shard_removal_by_ids(hosted->shard, message.n, operation->argument_bulk, &removal, err);
    if (status != DFAISS_OK) {
        free(removing);
        return status;
    }
    *removing = (removing_t){.operation = operation, .hosted = hosted, .removal = removal};
    hosted->users++;
    LIST_APPEND(server->removing, removing);
    return DFAISS_OK;
}

void operation_remove(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = start(server, operation, &error);
    if (status != DFAISS_OK)
        operation_local_end(server, operation, status, &error);
}

static void end(server_t *server, removing_t *removing, dfaiss_status_t status, const dfaiss_error_t *error) {
    LIST_REMOVE(server->removing, removing);
    removing->hosted->users--;
    bytes_put_i64(&removing->operation->result, shard_removal_count(removing->removal));
    shard_removal_destroy(removing->removal);
    operation_local_end(server, removing->operation, status, error);
    free(removing);
}

bool removals_advance(server_t *server) {
    removing_t *removing = server->removing;
    if (!removing)
        return false;
    /* Those of other indexes have their turn before it goes on. */
    LIST_REMOVE(server->removing, removing);
    LIST_APPEND(server->removing, removing);
    bool done;
    dfaiss_error_t error = {0};
    dfaiss_status_t status = shard_removal_step(removing->removal, clock_nanoseconds() + SLICE_NANOSECONDS, &done, &error);
    if (status != DFAISS_OK || done)
        end(server, removing, status, &error);
    return true;
}

void removals_clear(server_t *server) {
    while (server->removing) {
        removing_t *removing = server->removing;
        server->removing = removing->next;
        shard_removal_destroy(removing->removal);
        free(removing);
    }
}

/* ---- server 0 ---- */

static void answer_removed(server_t *server, operation_t *operation, void *context) {
    bytes_reader_t in = bytes_reader(operation->result.data, operation->result.size);
    bytes_writer_t body = {0};
    dfaiss_error_t error = operation->error;
    dfaiss_status_t status = operation->status;
    int64_t removed = 0;
    for (int i = 0; status == DFAISS_OK && i < server->servers; i++)
        removed += bytes_get_i64(&in);
    if (status == DFAISS_OK && !bytes_reader_done(&in))
        status = message_malformed(MESSAGE_GATHER, &error);
    bytes_put_i64(&body, removed);
    request_answer(server, context, status, &error, &body, NULL, 0);
    bytes_writer_destroy(&body);
}

static dfaiss_status_t check(server_t *server, const request_t *request, dfaiss_error_t *err) {
    const transport_message_t *asked = &request->message;
    message_remove_t message;
    hosted_t *hosted;
    TRY(message_remove_decode(asked->body, asked->body_size, asked->bulk, asked->bulk_size, &message, err));
    TRY(hosted_get(server, message.index, &hosted, err));
    TRY(hosted_change(server, hosted, err));
    return message.filter ? shard_check_filter(hosted->shard, message.filter, message.filter_size, err) : DFAISS_OK;
}

void request_remove(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = check(server, request, &error);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    bytes_writer_t argument = {0};
    bytes_put(&argument, request->message.body, request->message.body_size);
    void *ids = request->message.bulk;
    request->message.bulk = NULL;
    operation_start(server, OPERATION_REMOVE, &argument, ids, request->message.bulk_size, answer_removed, request);
}
