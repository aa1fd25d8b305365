#include "client/bulk_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "client/client_internal.h"
#include "message/ids.h"
#include "message/input.h"
#include "message/named.h"
#include "message/setting.h"

struct sent_batch {
    sent_batch_t *next;
    question_t *question;
    int64_t first_id;
};

static void end_batch(dfaiss_client_t *client, sent_batch_t *batch) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = question_outcome(batch->question, &error);
    uint8_t outcome = status == DFAISS_OK ? bytes_get_u8(&batch->question->result) : 0;
    if (status == DFAISS_OK && outcome != MESSAGE_ADD_DONE && outcome != MESSAGE_ADD_HELD)
        status = error_set(&error, DFAISS_ERR_STATE, "ADD", "the index was replaced while vectors were added");
    if (status != DFAISS_OK && client->batch_status == DFAISS_OK) {
        client->batch_status = status;
        client->batch_error = error;
        client->failed_id = batch->first_id;
    }
    LIST_REMOVE(client->batches, batch);
    question_forget(batch->question);
    free(batch);
}

/* Takes the answers that have come. */
static void end_batches(dfaiss_client_t *client) {
    for (sent_batch_t *next, *batch = client->batches; batch; batch = next) {
        next = batch->next;
        if (question_over(batch->question))
            end_batch(client, batch);
    }
}

void batches_clear(dfaiss_client_t *client) {
    while (client->batches) {
        sent_batch_t *batch = client->batches;
        client->batches = batch->next;
        question_forget(batch->question);
        free(batch);
    }
}

static dfaiss_status_t earlier_failure(const dfaiss_client_t *client, dfaiss_error_t *err) {
    if (client->batch_status != DFAISS_OK && err)
        *err = client->batch_error;
    return client->batch_status;
}

static dfaiss_status_t send(dfaiss_client_t *client, int server, const char *index, const client_batch_t *batch, dfaiss_error_t *err) {
    sent_batch_t *sent = calloc(1, sizeof *sent);
    if (!sent) {
        client->under_way[server]--;
        return error_memory(err, sizeof *sent, "a batch");
    }
    message_add_t message = {
        .element = batch->element,
        .n = batch->n,
        .dim = batch->dim,
        .first_id = batch->first_id,
        .input = batch->input,
        .input_row = batch->input_row,
        .ids = (const uint8_t *)batch->ids,
        .ends = (const uint8_t *)batch->metadata_ends,
        .metadata = batch->metadata,
        .metadata_size = batch->metadata_ends ? (size_t)batch->metadata_ends[batch->n - 1] : 0,
    };
    snprintf(message.index, sizeof message.index, "%s", index);
    dfaiss_status_t status = client_send_batch(client, server, &message, batch->vectors, &sent->question, err);
    if (status != DFAISS_OK) {
        free(sent);
        return status;
    }
    sent->first_id = batch->ids ? batch->ids[0] : batch->first_id;
    sent->next = client->batches;
    client->batches = sent;
    question_when_departed(sent->question, batch->released, batch->context);
    return DFAISS_OK;
}

static dfaiss_status_t add(dfaiss_client_t *client, const char *index, const client_batch_t *batch, dfaiss_error_t *err) {
    int server;
    TRY(client_check(client, index, err));
    if (batch->n < 1 || batch->dim < 1)
        return error_set(err, DFAISS_ERR_ARG, "n", "a batch has %lld vectors of dimension %lld; both must be at least 1", (long long)batch->n,
                         (long long)batch->dim);
    end_batches(client);
    TRY(earlier_failure(client, err));
    TRY(client_next_server(client, index, &server, err));
    end_batches(client);
    return send(client, server, index, batch, err);
}

dfaiss_status_t client_add(dfaiss_client_t *client, const char *index, const client_batch_t *batch, dfaiss_error_t *err) {
    dfaiss_status_t status = add(client, index, batch, err);
    if (status != DFAISS_OK && batch->released)
        batch->released(batch->context);
    return status;
}

dfaiss_status_t client_add_wait(dfaiss_client_t *client, int64_t *failed_id, dfaiss_error_t *err) {
    for (end_batches(client); client->batches; end_batches(client))
        client_turn(client, true);
    dfaiss_status_t status = earlier_failure(client, err);
    if (status != DFAISS_OK && failed_id)
        *failed_id = client->failed_id;
    client->batch_status = DFAISS_OK;
    return status;
}

dfaiss_status_t client_reserve_ids(dfaiss_client_t *client, const char *index, int64_t count, int64_t *first, dfaiss_error_t *err) {
    question_t *question = NULL;
    message_ids_t dealt;
    bytes_writer_t body = {0};
    TRY(client_check(client, index, err));
    message_setting_encode(index, count, &body);
    TRY(client_ask(client, COORDINATOR, MESSAGE_RESERVE_IDS, &body, NULL, 0, PATIENCE_SHORT, &question, err));
    dfaiss_status_t status = message_ids_decode(&question->result, &dealt, err);
    question_forget(question);
    if (status == DFAISS_OK)
        *first = dealt.first;
    return status;
}

dfaiss_status_t client_inputs(dfaiss_client_t *client, const char *index, inputs_t *inputs, dfaiss_error_t *err) {
    question_t *question = NULL;
    inputs_t found = {0};
    bytes_writer_t body = {0};
    TRY(client_check(client, index, err));
    message_named_encode(index, &body);
    TRY(client_ask(client, COORDINATOR, MESSAGE_INPUTS, &body, NULL, 0, PATIENCE_SHORT, &question, err));
    dfaiss_status_t status = inputs_decode(&question->result, &found, err);
    if (status == DFAISS_OK && !bytes_reader_done(&question->result))
        status = message_malformed(MESSAGE_ANSWER, err);
    question_forget(question);
    if (status == DFAISS_OK)
        *inputs = found;
    else
        inputs_clear(&found);
    return status;
}

dfaiss_status_t client_declare_input(dfaiss_client_t *client, const char *index, const input_t *input, dfaiss_error_t *err) {
    bytes_writer_t body = {0};
    TRY(client_check(client, index, err));
    message_input_encode(index, input, &body);
    return client_tell(client, COORDINATOR, MESSAGE_INPUT, &body, NULL, 0, PATIENCE_LONG, err);
}

dfaiss_status_t client_sample(dfaiss_client_t *client, const char *index, int server, element_t element, int64_t n, int64_t dim, const void *vectors,
                              dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    message_add_t message = {.element = element, .n = n, .dim = dim};
    snprintf(message.index, sizeof message.index, "%s", index);
    bytes_writer_t body = {0};
    message_add_encode(&message, &body);
    size_t bytes = (size_t)n * (size_t)dim * element_size(element);
    return client_tell(client, server, MESSAGE_SAMPLE, &body, vectors, bytes, PATIENCE_LONG, err);
}

dfaiss_status_t client_train(dfaiss_client_t *client, const char *index, dfaiss_error_t *err) {
    return client_tell_named(client, MESSAGE_TRAIN, index, PATIENCE_LONG, err);
}
