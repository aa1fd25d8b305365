/* Operations of all servers: each server passes the argument on to its children in the tree, does its own part, merges what the children send back,
 * and sends the whole to its parent. Nothing blocks, so any number of them may be under way, from any roots. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "message/outcome.h"
#include "message/spread.h"
#include "server/server_internal.h"
#include "transport/tree.h"

static const operation_type_t operation_types[OPERATION_COUNT] = {
    [OPERATION_CREATE] = {"create", operation_create, NULL},
    [OPERATION_SURVEY] = {"survey", operation_survey, NULL},
    [OPERATION_LOAD] = {"load", operation_load, NULL},
    [OPERATION_PREPARE] = {"prepare", operation_prepare, NULL},
    [OPERATION_DRAW] = {"draw", operation_draw, operation_draw_merge},
    [OPERATION_TRAIN] = {"train", operation_train, NULL},
    [OPERATION_TEMPLATE] = {"template", operation_template, NULL},
    [OPERATION_ADOPT] = {"adopt", operation_adopt, NULL},
    [OPERATION_INPUT] = {"input", operation_input, NULL},
    [OPERATION_INPUTS] = {"inputs", operation_inputs, NULL},
    [OPERATION_FLUSH] = {"flush", operation_flush, NULL},
    [OPERATION_CHANGED] = {"changed", operation_changed, NULL},
    [OPERATION_WRITE] = {"write", operation_write, NULL},
    [OPERATION_INTERRUPT] = {"interrupt", operation_interrupt, NULL},
    [OPERATION_DROP] = {"drop", operation_drop, NULL},
    [OPERATION_REPLACE] = {"replace", operation_replace, NULL},
    [OPERATION_HIDE] = {"hide", operation_hide, NULL},
    [OPERATION_SETTLE] = {"settle", operation_settle, NULL},
    [OPERATION_REMOVE] = {"remove", operation_remove, NULL},
    [OPERATION_SEARCH] = {"search", operation_search, operation_search_merge},
    [OPERATION_STATISTICS] = {"statistics", operation_statistics, NULL},
    [OPERATION_SET_DIM] = {"set dim", operation_set_dim, NULL},
    [OPERATION_SET_NPROBE] = {"set nprobe", operation_set_nprobe, NULL},
    [OPERATION_SET_THREADS] = {"set threads", operation_set_threads, NULL},
    [OPERATION_OPEN] = {"open", operation_open, NULL},
    [OPERATION_CLOSE] = {"close", operation_close, NULL},
    [OPERATION_QUIET] = {"quiet", operation_quiet, NULL},
    [OPERATION_STOP] = {"stop", operation_stop, NULL},
};

const operation_type_t *operation_type(uint32_t kind) {
    return kind < OPERATION_COUNT ? &operation_types[kind] : NULL;
}

static void free_operation(operation_t *operation) {
    bytes_writer_destroy(&operation->argument);
    memory_unmap(operation->argument_bulk, operation->argument_bulk_size);
    bytes_writer_destroy(&operation->result);
    memory_unmap(operation->bulk, operation->bulk_size);
    free(operation);
}

static void send_left(void *context) {
    operation_t *operation = context;
    operation->sends_left--;
}

static void spread_to_children(server_t *server, operation_t *operation) {
    int children[TREE_CHILDREN];
    operation->children_left = tree_children(server->servers, (int)operation->root, server->number, children);
    if (operation->children_left == 0)
        return;
    bytes_writer_t body = {0};
    message_spread_t message = {
        .operation = (uint32_t)(operation->type - operation_types),
        .root = operation->root,
        .number = operation->number,
        .argument = operation->argument.data,
        .argument_size = operation->argument.size,
    };
    message_spread_encode(&message, &body);
    for (int i = 0; i < operation->children_left; i++) {
        operation->sends_left++;
        server_send(server, transport_server_rank(server->transport, children[i]), MESSAGE_SPREAD, operation->number, &body, operation->argument_bulk,
                    operation->argument_bulk_size, send_left, operation);
    }
    bytes_writer_destroy(&body);
}

static void note_failure(operation_t *operation, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (status == DFAISS_OK || operation->status != DFAISS_OK)
        return;
    operation->status = status;
    operation->error = *error;
}

static void send_to_parent(server_t *server, operation_t *operation) {
    int parent = tree_parent(server->servers, (int)operation->root, server->number);
    bytes_writer_t body = {0};
    message_gather_encode(operation->root, operation->number, &body);
    message_outcome_encode(operation->status, &operation->error, &body);
    bytes_put(&body, operation->result.data, operation->result.size);
    operation->sends_left++;
    server_send(server, transport_server_rank(server->transport, parent), MESSAGE_GATHER, operation->number, &body, operation->bulk,
                operation->bulk_size, send_left, operation);
    bytes_writer_destroy(&body);
}

/* What found no memory would be missing at the root, and nobody would know. */
static void check_result(operation_t *operation) {
    dfaiss_error_t error = {0};
    if (operation->result.failed)
        note_failure(operation, error_memory(&error, operation->result.size, "the result of an operation"), &error);
}

static void end_if_complete(server_t *server, operation_t *operation) {
    if (operation->ended || !operation->local_ended || operation->children_left > 0)
        return;
    check_result(operation);
    operation->ended = true;
    if ((int)operation->root == server->number)
        operation->end(server, operation, operation->context);
    else
        send_to_parent(server, operation);
}

static void begin(server_t *server, operation_t *operation) {
    operation->next = server->operations;
    server->operations = operation;
    spread_to_children(server, operation);
    operation->type->begin(server, operation);
}

void operation_start(server_t *server, operation_kind_t kind, bytes_writer_t *argument, void *bulk, size_t bulk_size, operation_end_t *end,
                     void *context) {
    operation_t *operation = calloc(1, sizeof *operation);
    dfaiss_error_t error = {0};
    if (!operation || argument->failed) {
        operation_t failed = {.status = error_memory(&error, argument->size + sizeof failed, "an operation")};
        failed.error = error;
        bytes_writer_destroy(argument);
        memory_unmap(bulk, bulk_size);
        free(operation);
        end(server, &failed, context);
        return;
    }
    operation->type = &operation_types[kind];
    operation->root = (uint32_t)server->number;
    operation->number = ++server->last_operation;
    operation->argument = *argument;
    *argument = (bytes_writer_t){0};
    operation->argument_bulk = bulk;
    operation->argument_bulk_size = bulk_size;
    operation->end = end;
    operation->context = context;
    begin(server, operation);
}

void operation_local_end(server_t *server, operation_t *operation, dfaiss_status_t status, const dfaiss_error_t *error) {
    note_failure(operation, status, error);
    operation->local_ended = true;
    end_if_complete(server, operation);
}

/* Messages between servers can only be wrong through a defect: the server says so and stops. */
void operation_on_spread(server_t *server, transport_message_t *message) {
    dfaiss_error_t error = {0};
    message_spread_t spread = {0};
    dfaiss_status_t status = message_spread_decode(message->body, message->body_size, &spread, &error);
    const operation_type_t *type = operation_type(spread.operation);
    if (status == DFAISS_OK && (!type || spread.root >= (uint32_t)server->servers))
        status = message_malformed(MESSAGE_SPREAD, &error);
    operation_t *operation = status == DFAISS_OK ? calloc(1, sizeof *operation) : NULL;
    if (status == DFAISS_OK && operation)
        bytes_put(&operation->argument, spread.argument, spread.argument_size);
    if (status == DFAISS_OK && (!operation || operation->argument.failed))
        status = error_memory(&error, spread.argument_size, "an operation");
    if (status != DFAISS_OK) {
        if (operation)
            bytes_writer_destroy(&operation->argument);
        free(operation);
        transport_message_clear(message);
        server_fail(server, status, &error);
        return;
    }
    operation->type = type;
    operation->root = spread.root;
    operation->number = spread.number;
    operation->argument_bulk = message->bulk;
    operation->argument_bulk_size = message->bulk_size;
    message->bulk = NULL;
    transport_message_clear(message);
    begin(server, operation);
}

static operation_t *find_operation(server_t *server, uint32_t root, uint64_t number) {
    for (operation_t *operation = server->operations; operation; operation = operation->next) {
        if (operation->root == root && operation->number == number && !operation->ended)
            return operation;
    }
    return NULL;
}

static void merge(server_t *server, operation_t *operation, bytes_reader_t *result, transport_message_t *message) {
    bytes_put(&operation->result, result->next, result->left);
    if (!message->bulk || !operation->type->merge_bulk)
        return;
    operation->type->merge_bulk(server, operation, message->bulk, message->bulk_size);
    message->bulk = NULL;
}

void operation_on_gather(server_t *server, transport_message_t *message) {
    dfaiss_error_t error = {0}, said = {0};
    dfaiss_status_t said_status = DFAISS_OK;
    bytes_reader_t in = bytes_reader(message->body, message->body_size);
    uint32_t root;
    uint64_t number;
    dfaiss_status_t status = message_gather_decode(&in, &root, &number, &error);
    if (status == DFAISS_OK)
        status = message_outcome_decode(MESSAGE_GATHER, &in, &said_status, &said, &error);
    operation_t *operation = status == DFAISS_OK ? find_operation(server, root, number) : NULL;
    if (status == DFAISS_OK && (!operation || operation->children_left == 0))
        status = message_malformed(MESSAGE_GATHER, &error);
    if (status != DFAISS_OK) {
        transport_message_clear(message);
        server_fail(server, status, &error);
        return;
    }
    note_failure(operation, said_status, &said);
    if (said_status == DFAISS_OK)
        merge(server, operation, &in, message);
    transport_message_clear(message);
    operation->children_left--;
    end_if_complete(server, operation);
}

bool operations_advance(server_t *server) {
    bool something = false;
    for (operation_t **place = &server->operations; *place;) {
        operation_t *operation = *place;
        if (!operation->ended || operation->sends_left > 0) {
            place = &operation->next;
            continue;
        }
        *place = operation->next;
        free_operation(operation);
        something = true;
    }
    return something;
}

void operations_clear(server_t *server) {
    while (server->operations) {
        operation_t *operation = server->operations;
        server->operations = operation->next;
        free_operation(operation);
    }
}
