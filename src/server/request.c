/* Requests of clients: one table of handlers, answers, and the turns that control requests for one index take. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "message/outcome.h"
#include "server/server_internal.h"

static const struct {
    void (*handle)(server_t *server, request_t *request);
    bool control; /* changes an index as a whole: goes to server 0 alone, one at a time for an index; the body begins with its name */
} handlers[MESSAGE_KIND_COUNT] = {
    [MESSAGE_CREATE] = {request_create, true},
    [MESSAGE_LOAD] = {request_load, true},
    [MESSAGE_SAMPLE] = {request_sample, false},
    [MESSAGE_TRAIN] = {request_train, false},
    [MESSAGE_TRAIN_START] = {request_train_start, false},
    [MESSAGE_CENTROIDS] = {request_centroids, false},
    [MESSAGE_ADD] = {request_add, false},
    [MESSAGE_INPUT] = {request_input, true},
    [MESSAGE_INPUTS] = {request_inputs, false},
    [MESSAGE_FLUSH] = {request_flush, true},
    [MESSAGE_SAVE] = {request_save, true},
    [MESSAGE_DROP] = {request_drop, true},
    [MESSAGE_UPDATE] = {request_update, true},
    [MESSAGE_REMOVE] = {request_remove, true},
    [MESSAGE_SEARCH] = {request_search, false},
    [MESSAGE_FETCH] = {request_fetch, false},
    [MESSAGE_STATISTICS] = {request_statistics, false},
    [MESSAGE_RESERVE_IDS] = {request_reserve_ids, false},
    [MESSAGE_LIST] = {request_list, false},
    [MESSAGE_GET_CONFIG] = {request_get_config, false},
    [MESSAGE_GET_IDS] = {request_get_ids, false},
    [MESSAGE_SET_DIM] = {request_set_dim, true},
    [MESSAGE_SET_NPROBE] = {request_set_nprobe, false},
    [MESSAGE_SET_THREADS] = {request_set_threads, false},
    [MESSAGE_SHUTDOWN] = {request_shutdown, false},
};

bool request_takes(uint32_t kind) {
    return kind < MESSAGE_KIND_COUNT && handlers[kind].handle;
}

enum { NO_CLIENT = -1 }; /* in place of a client's rank: what the servers do without being asked */

typedef struct mapped_block {
    void *data;
    size_t size;
} mapped_block_t;

static void free_block(void *context) {
    mapped_block_t *block = context;
    memory_unmap(block->data, block->size);
    free(block);
}

static void send_answer(server_t *server, const request_t *request, const bytes_writer_t *body, void *bulk, size_t bulk_size) {
    mapped_block_t *block = NULL;
    if (bulk) {
        block = malloc(sizeof *block);
        if (!block) {
            memory_unmap(bulk, bulk_size);
            dfaiss_error_t error = {0};
            server_fail(server, error_memory(&error, sizeof *block, "an answer"), &error);
            return;
        }
        *block = (mapped_block_t){.data = bulk, .size = bulk_size};
    }
    server_send(server, request->client, MESSAGE_ANSWER, request->correlation, body, bulk, bulk_size, block ? free_block : NULL, block);
}

static void free_request(request_t *request) {
    transport_message_clear(&request->message);
    free(request);
}

/* A save does not wait until everything is indexed: that may take hours, and a snapshot is whole at any moment. */
static bool excludes(const request_t *running, const request_t *waiting) {
    bool flush_and_save = running->kind == MESSAGE_FLUSH && waiting->kind == MESSAGE_SAVE;
    bool save_and_flush = running->kind == MESSAGE_SAVE && waiting->kind == MESSAGE_FLUSH;
    return strcmp(running->index, waiting->index) == 0 && !flush_and_save && !save_and_flush;
}

static bool must_wait(server_t *server, const request_t *waiting) {
    for (request_t *request = server->control; request; request = request->next) {
        if (request->running && excludes(request, waiting))
            return true;
    }
    return false;
}

static void handle(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    if (request->turn || !server->closed) {
        (request->turn ? request->turn : handlers[request->kind].handle)(server, request);
        return;
    }
    dfaiss_status_t status = error_set(&error, DFAISS_ERR_STATE, message_kind_name(request->kind), "the servers were shut down");
    request_answer(server, request, status, &error, NULL, NULL, 0);
}

static request_t *first_waiting(server_t *server, const char *index) {
    request_t *request = server->control;
    while (request && (request->running || strcmp(request->index, index) != 0))
        request = request->next;
    return request;
}

/* Starts the control requests that wait for an index, one after the other, until one is excluded by what runs. */
static void start_waiting_control(server_t *server, const char *index) {
    for (request_t *request; (request = first_waiting(server, index)) && !must_wait(server, request);) {
        request->running = true;
        handle(server, request);
    }
}

dfaiss_status_t request_turn_take(server_t *server, const char *index, request_turn_t *turn, void *state, dfaiss_error_t *err) {
    request_t *request = calloc(1, sizeof *request);
    if (!request)
        return error_memory(err, sizeof *request, "a turn");
    snprintf(request->index, sizeof request->index, "%s", index);
    request->turn = turn;
    request->state = state;
    LIST_APPEND(server->control, request);
    start_waiting_control(server, index);
    return DFAISS_OK;
}

void request_turn_end(server_t *server, request_t *request) {
    char index[MESSAGE_NAME];
    memcpy(index, request->index, sizeof index);
    LIST_REMOVE(server->control, request);
    free_request(request);
    start_waiting_control(server, index);
}

void request_answer(server_t *server, request_t *request, dfaiss_status_t status, const dfaiss_error_t *error, const bytes_writer_t *body, void *bulk,
                    size_t bulk_size) {
    bytes_writer_t answer = {0};
    dfaiss_error_t too_large = {0};
    if (status == DFAISS_OK && body && body->size > ANSWER_LIMIT) {
        status =
            error_set(&too_large, DFAISS_ERR_ARG, message_kind_name(request->kind), "the answer has %zu bytes; ask for less at a time", body->size);
        error = &too_large;
    }
    message_outcome_encode(status, error, &answer);
    if (body && status == DFAISS_OK)
        bytes_put(&answer, body->data, body->size);
    if (request->client == NO_CLIENT)
        request->ended(server, request, status, error);
    else
        send_answer(server, request, &answer, bulk, bulk_size);
    bytes_writer_destroy(&answer);
    bool control = request->kind < MESSAGE_KIND_COUNT && handlers[request->kind].control;
    char index[MESSAGE_NAME];
    memcpy(index, request->index, sizeof index);
    if (control)
        LIST_REMOVE(server->control, request);
    free_request(request);
    if (control)
        start_waiting_control(server, index);
}

void request_answer_outcome(server_t *server, operation_t *operation, void *context) {
    request_answer(server, context, operation->status, &operation->error, NULL, NULL, 0);
}

void request_start_operation(server_t *server, request_t *request, operation_kind_t kind, operation_end_t *end) {
    bytes_writer_t argument = {0};
    bytes_put(&argument, request->message.body, request->message.body_size);
    operation_start(server, kind, &argument, NULL, 0, end, request);
}

void request_answer_first(server_t *server, request_t *request, const bytes_writer_t *body) {
    bytes_writer_t answer = {0};
    message_outcome_encode(DFAISS_OK, NULL, &answer);
    bytes_put(&answer, body->data, body->size);
    send_answer(server, request, &answer, NULL, 0);
    bytes_writer_destroy(&answer);
}

static void take_control_turn(server_t *server, request_t *request) {
    bytes_reader_t in = bytes_reader(request->message.body, request->message.body_size);
    bytes_get_string(&in, request->index, sizeof request->index);
    bool wait = must_wait(server, request);
    LIST_APPEND(server->control, request);
    dfaiss_error_t error = {0};
    if (in.failed || server->number != 0) {
        dfaiss_status_t status = message_malformed(request->kind, &error);
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    request->running = !wait;
    if (request->running)
        handle(server, request);
}

/* NULL, and the server fails, where there is no memory. */
static request_t *make_request(server_t *server, const transport_message_t *message) {
    request_t *request = calloc(1, sizeof *request);
    if (!request) {
        dfaiss_error_t error = {0};
        server_fail(server, error_memory(&error, sizeof *request, "a request"), &error);
        return NULL;
    }
    request->client = message->source;
    request->asker = transport_is_server(server->transport, message->source) ? outside_asker(message->correlation) : message->source;
    request->kind = (message_kind_t)message->kind;
    request->correlation = message->correlation;
    return request;
}

void request_refuse(server_t *server, const transport_message_t *message, dfaiss_status_t status, const dfaiss_error_t *error) {
    request_t *request = make_request(server, message);
    if (request)
        request_answer(server, request, status, error, NULL, NULL, 0);
}

static void begin(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    if (!request_takes(request->kind)) {
        dfaiss_status_t status = error_set(&error, DFAISS_ERR_PEER, "", "a server does not take messages of kind %u (%s)", (unsigned)request->kind,
                                           message_kind_name(request->kind));
        request_answer(server, request, status, &error, NULL, NULL, 0);
    } else if (handlers[request->kind].control) {
        take_control_turn(server, request);
    } else {
        handle(server, request);
    }
}

void request_on_message(server_t *server, transport_message_t *message) {
    request_t *request = make_request(server, message);
    if (!request) {
        transport_message_clear(message);
        return;
    }
    request->message = *message;
    *message = (transport_message_t){0};
    if (server->open)
        begin(server, request);
    else
        LIST_APPEND(server->postponed, request);
}

void requests_open(server_t *server) {
    server->open = true;
    while (server->postponed) {
        request_t *request = server->postponed;
        server->postponed = request->next;
        request->next = NULL;
        begin(server, request);
    }
}

dfaiss_status_t request_own(server_t *server, message_kind_t kind, bytes_writer_t *body, request_turn_t *turn, request_ended_t *ended,
                            dfaiss_error_t *err) {
    request_t *request = calloc(1, sizeof *request);
    if (!request)
        return error_memory(err, sizeof *request, "a request");
    request->client = NO_CLIENT;
    request->kind = kind;
    request->turn = turn;
    request->ended = ended;
    request->message.body = body->data;
    request->message.body_size = body->size;
    begin(server, request);
    return DFAISS_OK;
}

void requests_clear(server_t *server) {
    request_t **const lists[] = {&server->control, &server->held_adds, &server->fetches, &server->postponed, &server->shutdown};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        while (*lists[i]) {
            request_t *request = *lists[i];
            *lists[i] = request->next;
            free_request(request);
        }
    }
}
