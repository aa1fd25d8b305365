/* Adding: batches go to the servers in turn, a bounded number under way to each. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "client/client_internal.h"
#include "message/add.h"
#include "message/outcome.h"

static void end_batch(client_t *client, sent_batch_t *batch) {
    LIST_REMOVE(client->batches, batch);
    client->under_way[batch->server]--;
    free(batch);
}

dfaiss_status_t client_batch_answered(client_t *client, const transport_message_t *message, bool *mine, dfaiss_error_t *err) {
    sent_batch_t *batch = client->batches;
    while (batch && batch->correlation != message->correlation)
        batch = batch->next;
    *mine = batch != NULL;
    if (!batch)
        return DFAISS_OK;
    dfaiss_status_t status;
    dfaiss_error_t said = {0};
    bytes_reader_t in = bytes_reader(message->body, message->body_size);
    TRY(message_outcome_decode(MESSAGE_ANSWER, &in, &status, &said, err));
    bool held = status == DFAISS_OK && bytes_get_u8(&in) != 0;
    if (!bytes_reader_done(&in))
        return message_malformed(MESSAGE_ANSWER, err);
    if (status != DFAISS_OK && client->batch_status == DFAISS_OK) {
        client->batch_status = status;
        client->batch_error = said;
        client->failed_id = batch->first_id;
    }
    batch->acknowledged = true;
    if (!held)
        end_batch(client, batch);
    return DFAISS_OK;
}

static dfaiss_status_t earlier_failure(client_t *client, dfaiss_error_t *err) {
    if (client->batch_status != DFAISS_OK && err)
        *err = client->batch_error;
    return client->batch_status;
}

/* A batch has waited too long to be taken in. How long indexing takes is not limited. */
static dfaiss_status_t check_patience(const client_t *client, dfaiss_error_t *err) {
    if (client->timeout <= 0)
        return DFAISS_OK;
    for (const sent_batch_t *batch = client->batches; batch; batch = batch->next) {
        if (batch->acknowledged)
            continue;
        double waited = (double)(clock_nanoseconds() - batch->sent_at) * 1e-9;
        if (waited > client->timeout)
            return error_set(err, DFAISS_ERR_TIMEOUT, "ADD", "server %d has not acknowledged a batch for %.1f seconds", batch->server, waited);
    }
    return DFAISS_OK;
}

/* One turn of waiting for batches. */
static dfaiss_status_t wait_a_turn(client_t *client, dfaiss_error_t *err) {
    dfaiss_error_t why = {0};
    dfaiss_status_t status = client_turn(client, &why);
    if (status == DFAISS_OK)
        status = check_patience(client, &why);
    return status == DFAISS_OK ? DFAISS_OK : client_break(client, status, &why, err);
}

static dfaiss_status_t wait_for_credit(client_t *client, int server, dfaiss_error_t *err) {
    while (client->under_way[server] >= CREDITS)
        TRY(wait_a_turn(client, err));
    return DFAISS_OK;
}

dfaiss_status_t client_batches_wait(client_t *client, dfaiss_error_t *err) {
    TRY(client_check_broken(client, err));
    while (client->batches)
        TRY(wait_a_turn(client, err));
    return DFAISS_OK;
}

static void encode(const char *index, const client_batch_t *batch, bytes_writer_t *body) {
    message_add_t message = {
        .element = batch->element,
        .n = batch->n,
        .dim = batch->dim,
        .first_id = batch->first_id,
        .ids = (const uint8_t *)batch->ids,
        .ends = (const uint8_t *)batch->metadata_ends,
        .metadata = batch->metadata,
        .metadata_size = batch->metadata_ends ? (size_t)batch->metadata_ends[batch->n - 1] : 0,
    };
    snprintf(message.index, sizeof message.index, "%s", index);
    message_add_encode(&message, body);
}

static dfaiss_status_t send_batch(client_t *client, int server, const char *index, const client_batch_t *batch, dfaiss_error_t *err) {
    sent_batch_t *sent = malloc(sizeof *sent);
    if (!sent)
        return error_memory(err, sizeof *sent, "a batch");
    bytes_writer_t body = {0};
    encode(index, batch, &body);
    size_t bytes = (size_t)batch->n * (size_t)batch->dim * element_size(batch->element);
    uint64_t correlation = ++client->last_correlation;
    dfaiss_status_t status = message_written(&body, MESSAGE_ADD, err);
    if (status == DFAISS_OK)
        status = transport_send(client->transport, transport_server_rank(client->transport, server), MESSAGE_ADD, correlation, body.data, body.size,
                                batch->vectors, bytes, batch->released, batch->context, err);
    bytes_writer_destroy(&body);
    if (status != DFAISS_OK) {
        free(sent);
        return status;
    }
    *sent = (sent_batch_t){.next = client->batches,
                           .correlation = correlation,
                           .server = server,
                           .first_id = batch->ids ? batch->ids[0] : batch->first_id,
                           .sent_at = clock_nanoseconds()};
    client->batches = sent;
    client->under_way[server]++;
    return DFAISS_OK;
}

dfaiss_status_t client_add(client_t *client, const char *index, const client_batch_t *batch, dfaiss_error_t *err) {
    int server = client->next_server;
    dfaiss_status_t status = client_check_name(index, err);
    if (status == DFAISS_OK)
        status = client_check_broken(client, err);
    if (status == DFAISS_OK && (batch->n < 1 || batch->dim < 1))
        status = error_set(err, DFAISS_ERR_ARG, "n", "a batch has %lld vectors of dimension %lld; both must be at least 1", (long long)batch->n,
                           (long long)batch->dim);
    if (status == DFAISS_OK)
        status = wait_for_credit(client, server, err);
    if (status == DFAISS_OK)
        status = earlier_failure(client, err);
    if (status == DFAISS_OK)
        status = send_batch(client, server, index, batch, err);
    if (status != DFAISS_OK) {
        if (batch->released)
            batch->released(batch->context);
        return status;
    }
    client->next_server = (server + 1) % client_servers(client);
    return DFAISS_OK;
}

dfaiss_status_t client_add_wait(client_t *client, int64_t *failed_id, dfaiss_error_t *err) {
    TRY(client_batches_wait(client, err));
    dfaiss_status_t status = earlier_failure(client, err);
    if (status != DFAISS_OK && failed_id)
        *failed_id = client->failed_id;
    client->batch_status = DFAISS_OK;
    return status;
}
