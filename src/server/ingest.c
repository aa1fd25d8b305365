/* ADD brings vectors, FLUSH waits until they are all indexed. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "message/add.h"
#include "message/named.h"
#include "server/server_internal.h"

enum {
    RESERVE_BYTES = 32 << 20, /* of memory that stay free, for searches and for the others on this node */
    /* Asking the system takes time, so it is done when a share of one in so many of the free memory may have been used up, and now and then. */
    LOOKS = 64,
    LOOK_NANOSECONDS = 100000000,
};

/* The batch is here already. Where little memory is left it is refused, since otherwise the system would end a process of its choice. */
dfaiss_status_t ingest_admit(server_t *server, const char *index, const transport_message_t *message, dfaiss_error_t *err) {
    size_t bytes = message->body_size + message->bulk_size;
    int64_t now = clock_nanoseconds();
    server->admitted += bytes;
    if (server->admitted >= server->room / LOOKS || now - server->looked_at >= LOOK_NANOSECONDS) {
        server->room = memory_available();
        server->admitted = 0;
        server->looked_at = now;
    }
    if (server->room >= RESERVE_BYTES)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_MEMORY, index,
                     "index '%s' takes no batch of %zu bytes: only %zu bytes of memory are free on the node of server %d, and %d are kept free",
                     index, bytes, server->room, server->number, RESERVE_BYTES);
}

/* A copy of n numbers that lie unaligned in a message. */
static dfaiss_status_t copy_numbers(const uint8_t *numbers, int64_t n, void **out, dfaiss_error_t *err) {
    if (!numbers)
        return DFAISS_OK;
    *out = malloc((size_t)n * 8);
    if (!*out)
        return error_memory(err, (size_t)n * 8, "the ids of a batch");
    memcpy(*out, numbers, (size_t)n * 8);
    return DFAISS_OK;
}

dfaiss_status_t ingest_make_batch(const message_add_t *add, shard_batch_t *batch, dfaiss_error_t *err) {
    *batch = (shard_batch_t){.n = add->n, .first_id = add->first_id, .element = add->element, .input = add->input, .input_row = add->input_row};
    TRY(copy_numbers(add->ids, add->n, (void **)&batch->ids, err));
    TRY(copy_numbers(add->ends, add->n, (void **)&batch->metadata_ends, err));
    if (add->metadata_size > 0) {
        batch->metadata = malloc(add->metadata_size);
        if (!batch->metadata)
            return error_memory(err, add->metadata_size, "the metadata of a batch");
        memcpy(batch->metadata, add->metadata, add->metadata_size);
    }
    return DFAISS_OK;
}

static dfaiss_status_t add(server_t *server, request_t *request, hosted_t **hosted, message_add_outcome_t *outcome, dfaiss_error_t *err) {
    transport_message_t *message = &request->message;
    message_add_t decoded;
    TRY(message_add_decode(MESSAGE_ADD, message->body, message->body_size, message->bulk_size, &decoded, err));
    TRY(hosted_get(server, decoded.index, hosted, err));
    if (decoded.incarnation != 0 && decoded.incarnation != (*hosted)->incarnation) {
        *outcome = MESSAGE_ADD_OTHER_INCARNATION;
        return DFAISS_OK;
    }
    if ((*hosted)->own_ids != (decoded.ids != NULL))
        return error_set(err, DFAISS_ERR_ARG, decoded.index, "index '%s' has %s ids; a batch came %s", decoded.index,
                         (*hosted)->own_ids ? "the caller's" : "assigned", decoded.ids ? "with ids" : "without ids");
    if ((*hosted)->build_status != DFAISS_OK)
        return error_set(err, (*hosted)->build_status, decoded.index, "%s", (*hosted)->build_error.text);
    if (shard_config((*hosted)->shard)->dim == 0) {
        *outcome = MESSAGE_ADD_NO_DIM;
        return DFAISS_OK;
    }
    if (decoded.dim != shard_config((*hosted)->shard)->dim)
        return error_set(err, DFAISS_ERR_ARG, decoded.index, "vectors of dimension %lld; index '%s' has %lld", (long long)decoded.dim, decoded.index,
                         (long long)shard_config((*hosted)->shard)->dim);
    TRY(ingest_admit(server, decoded.index, message, err));
    shard_batch_t batch;
    dfaiss_status_t status = ingest_make_batch(&decoded, &batch, err);
    batch.vectors = message->bulk;
    batch.vector_bytes = message->bulk_size;
    message->bulk = NULL;
    if (status == DFAISS_OK)
        status = shard_append((*hosted)->shard, &batch, decoded.columns, decoded.column_bytes, err);
    if (status != DFAISS_OK)
        shard_batch_clear(&batch);
    return status;
}

/* A batch that is held counts against the sender's credits until a second answer with the same correlation number comes. */
static void acknowledge(server_t *server, request_t *request, message_add_outcome_t outcome) {
    bytes_writer_t body = {0};
    dfaiss_error_t error = {0};
    bytes_put_u8(&body, (uint8_t)outcome);
    if (outcome == MESSAGE_ADD_HELD)
        request_answer_first(server, request, &body);
    else
        request_answer(server, request, DFAISS_OK, &error, &body, NULL, 0);
    bytes_writer_destroy(&body);
}

bool ingest_behind(const server_t *server, const hosted_t *hosted) {
    return !server->closed && !hosted->dropping && hosted->build_status == DFAISS_OK &&
           shard_backlog(hosted->shard) > shard_config(hosted->shard)->buffer_bsz;
}

void request_add(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    hosted_t *hosted = NULL;
    message_add_outcome_t outcome = MESSAGE_ADD_DONE;
    dfaiss_status_t status = add(server, request, &hosted, &outcome, &error);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    if (outcome == MESSAGE_ADD_DONE && ingest_behind(server, hosted))
        outcome = MESSAGE_ADD_HELD;
    acknowledge(server, request, outcome);
    if (outcome != MESSAGE_ADD_HELD)
        return;
    hosted->users++;
    transport_message_clear(&request->message);
    request->state = hosted;
    request->next = server->held_adds;
    server->held_adds = request;
}

bool held_adds_advance(server_t *server) {
    bool something = false;
    for (request_t **place = &server->held_adds; *place;) {
        request_t *request = *place;
        hosted_t *hosted = request->state;
        if (ingest_behind(server, hosted)) {
            place = &request->next;
            continue;
        }
        *place = request->next;
        hosted->users--;
        if (hosted->build_status == DFAISS_OK)
            acknowledge(server, request, MESSAGE_ADD_DONE);
        else
            request_answer(server, request, hosted->build_status, &hosted->build_error, NULL, NULL, 0);
        something = true;
    }
    return something;
}

void operation_flush(server_t *server, operation_t *operation) {
    char index[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    hosted_t *hosted = NULL;
    dfaiss_status_t status = message_named_decode(MESSAGE_FLUSH, operation->argument.data, operation->argument.size, index, &error);
    if (status == DFAISS_OK)
        status = hosted_get(server, index, &hosted, &error);
    /* With local training a server that has nothing need not be trained. */
    bool idle = hosted && shard_config(hosted->shard)->training == CONFIG_TRAINING_local && shard_rows(hosted->shard) == 0;
    if (status == DFAISS_OK && !shard_trained(hosted->shard) && !idle)
        status = error_set(&error, DFAISS_ERR_STATE, index, "index '%s' is not trained, so nothing can be indexed yet", index);
    if (status != DFAISS_OK) {
        operation_local_end(server, operation, status, &error);
        return;
    }
    /* Memory may be there again. */
    if (hosted->build_status == DFAISS_ERR_MEMORY)
        hosted->build_status = DFAISS_OK;
    shard_flush(hosted->shard);
    hosted->users++;
    operation->state = hosted;
}

bool flushes_advance(server_t *server) {
    bool something = false;
    for (operation_t *operation = server->operations; operation; operation = operation->next) {
        hosted_t *hosted = operation->state;
        if (operation->type != operation_type(OPERATION_FLUSH) || operation->local_ended)
            continue;
        bool flushed = shard_flushed(hosted->shard);
        if (hosted->build_status == DFAISS_OK && !flushed && !server->closed)
            continue;
        dfaiss_error_t error = hosted->build_error;
        dfaiss_status_t status = hosted->build_status;
        /* Nothing more is indexed after a shut-down. */
        if (status == DFAISS_OK && !flushed)
            status = error_set(&error, DFAISS_ERR_STATE, hosted->name, "the servers were shut down");
        hosted->users--;
        operation_local_end(server, operation, status, &error);
        something = true;
    }
    return something;
}

void request_flush(server_t *server, request_t *request) {
    bytes_writer_t argument = {0};
    message_named_encode(request->index, &argument);
    operation_start(server, OPERATION_FLUSH, &argument, NULL, 0, request_answer_outcome, request);
}
