#include "client/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/client_internal.h"
#include "message/outcome.h"

dfaiss_status_t client_create(transport_t *transport, double timeout, client_t **out, dfaiss_error_t *err) {
    client_t *client = calloc(1, sizeof *client);
    if (!client)
        return error_memory(err, sizeof *client, "a client");
    client->transport = transport;
    client->timeout = timeout;
    /* Different clients begin with different servers, so that few clients do not all load the same one. */
    client->next_server = transport_number(transport) % transport_servers(transport);
    client->under_way = calloc((size_t)transport_servers(transport), sizeof *client->under_way);
    if (!client->under_way) {
        client_destroy(client);
        return error_memory(err, sizeof *client, "a client");
    }
    *out = client;
    return DFAISS_OK;
}

void client_destroy(client_t *client) {
    if (!client)
        return;
    /* What is under way is waited for; whoever wants to know how it ended has asked before. */
    if (client->batches && client_add_wait(client, NULL, NULL) != DFAISS_OK)
        client->batch_status = DFAISS_OK;
    while (client->batches) {
        sent_batch_t *batch = client->batches;
        client->batches = batch->next;
        free(batch);
    }
    transport_message_clear(&client->answer);
    free(client->under_way);
    free(client);
}

int client_servers(const client_t *client) {
    return transport_servers(client->transport);
}

dfaiss_status_t client_check_name(const char *index, dfaiss_error_t *err) {
    if (strlen(index) >= MESSAGE_NAME)
        return error_set(err, DFAISS_ERR_ARG, "index", "the name of an index may have at most %d characters", MESSAGE_NAME - 1);
    return DFAISS_OK;
}

dfaiss_status_t client_turn(client_t *client, dfaiss_error_t *err) {
    transport_message_t message;
    bool arrived;
    TRY(transport_progress(client->transport, &message, &arrived, err));
    if (!arrived) {
        transport_idle(client->transport);
        return DFAISS_OK;
    }
    bool mine = false;
    dfaiss_status_t status = DFAISS_OK;
    if (message.kind != MESSAGE_ANSWER)
        status = error_set(err, DFAISS_ERR_PEER, "", "rank %d sent a client a message of kind %s", message.source, message_kind_name(message.kind));
    if (status == DFAISS_OK)
        status = client_batch_answered(client, &message, &mine, err);
    if (status == DFAISS_OK && !mine && !client->answered && message.correlation == client->asked) {
        client->answer = message;
        client->answered = true;
        return DFAISS_OK;
    }
    /* An answer that nobody waits for any more: its question had timed out. */
    transport_message_clear(&message);
    return status;
}

static void set_flag(void *context) {
    *(bool *)context = true;
}

static dfaiss_status_t wait_for_answer(client_t *client, int server, message_kind_t kind, bool limited, const bool *sent, dfaiss_error_t *err) {
    int64_t begin = clock_nanoseconds();
    while (!client->answered || !*sent) {
        TRY(client_turn(client, err));
        double waited = (double)(clock_nanoseconds() - begin) * 1e-9;
        /* What was sent is borrowed from the caller, so a time-out must not leave before it has gone. */
        if (limited && client->timeout > 0 && waited > client->timeout && *sent && !client->answered)
            return error_set(err, DFAISS_ERR_TIMEOUT, message_kind_name(kind), "server %d has not answered a message of kind %s for %.1f seconds", server,
                             message_kind_name(kind), waited);
    }
    return DFAISS_OK;
}

static dfaiss_status_t read_outcome(transport_message_t *answer, bytes_reader_t *result, dfaiss_error_t *err) {
    dfaiss_status_t said_status;
    dfaiss_error_t said = {0};
    *result = bytes_reader(answer->body, answer->body_size);
    TRY(message_outcome_decode(MESSAGE_ANSWER, result, &said_status, &said, err));
    if (said_status != DFAISS_OK && err)
        *err = said;
    return said_status;
}

dfaiss_status_t client_ask(client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size, bool limited,
                           transport_message_t *answer, bytes_reader_t *result, dfaiss_error_t *err) {
    bool sent = false;
    dfaiss_status_t status = message_written(body, kind, err);
    client->asked = ++client->last_correlation;
    client->answered = false;
    if (status == DFAISS_OK)
        status = transport_send(client->transport, transport_server_rank(client->transport, server), kind, client->asked, body->data, body->size, bulk,
                                bulk_size, set_flag, &sent, err);
    bytes_writer_destroy(body);
    if (status == DFAISS_OK)
        status = wait_for_answer(client, server, kind, limited, &sent, err);
    if (status != DFAISS_OK)
        return status;
    client->answered = false;
    transport_message_t got = client->answer;
    client->answer = (transport_message_t){0};
    status = read_outcome(&got, result, err);
    if (status != DFAISS_OK) {
        transport_message_clear(&got);
        return status;
    }
    *answer = got;
    return DFAISS_OK;
}

dfaiss_status_t client_tell(client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size, dfaiss_error_t *err) {
    transport_message_t answer;
    bytes_reader_t result;
    TRY(client_ask(client, server, kind, body, bulk, bulk_size, false, &answer, &result, err));
    bool whole = bytes_reader_done(&result);
    transport_message_clear(&answer);
    return whole ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}
