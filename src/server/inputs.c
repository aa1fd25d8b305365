/* INPUT: from now on rows of an input may come to all servers. INPUTS: which rows of which input they hold together. */
#include <stdlib.h>

#include "message/input.h"
#include "message/named.h"
#include "server/server_internal.h"

/* ---- INPUT ---- */

/* The argument is the body of the request. */
static dfaiss_status_t declare(server_t *server, const operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    hosted_t *hosted;
    input_t input;
    TRY(message_input_decode(operation->argument.data, operation->argument.size, index, &input, err));
    dfaiss_status_t status = hosted_get(server, index, &hosted, err);
    if (status == DFAISS_OK)
        status = shard_declare_input(hosted->shard, &input, err);
    free(input.identity);
    return status;
}

void operation_input(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = declare(server, operation, &error);
    operation_local_end(server, operation, status, &error);
}

void request_input(server_t *server, request_t *request) {
    request_start_operation(server, request, OPERATION_INPUT, request_answer_outcome);
}

/* ---- INPUTS ---- */

void operation_inputs(server_t *server, operation_t *operation) {
    char index[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    hosted_t *hosted = NULL;
    dfaiss_status_t status = message_named_decode(MESSAGE_INPUTS, operation->argument.data, operation->argument.size, index, &error);
    if (status == DFAISS_OK)
        status = hosted_get(server, index, &hosted, &error);
    if (status == DFAISS_OK)
        inputs_encode(shard_inputs(hosted->shard), &operation->result);
    operation_local_end(server, operation, status, &error);
}

static void collected(server_t *server, operation_t *operation, void *context) {
    dfaiss_error_t error = operation->error;
    dfaiss_status_t status = operation->status;
    inputs_t inputs = {0};
    bytes_writer_t body = {0};
    bytes_reader_t in = bytes_reader(operation->result.data, operation->result.size);
    while (status == DFAISS_OK && in.left > 0)
        status = inputs_decode(&in, &inputs, &error);
    inputs_encode(&inputs, &body);
    request_answer(server, context, status, &error, &body, NULL, 0);
    bytes_writer_destroy(&body);
    inputs_clear(&inputs);
}

void request_inputs(server_t *server, request_t *request) {
    request_start_operation(server, request, OPERATION_INPUTS, collected);
}
