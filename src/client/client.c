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
    if (client->broken == DFAISS_OK && client->batches && client_add_wait(client, NULL, NULL) != DFAISS_OK)
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

dfaiss_status_t client_break(client_t *client, dfaiss_status_t status, const dfaiss_error_t *why, dfaiss_error_t *err) {
    client->broken = status;
    client->broken_error = *why;
    if (err)
        *err = *why;
    return status;
}

dfaiss_status_t client_check_broken(const client_t *client, dfaiss_error_t *err) {
    if (client->broken == DFAISS_OK)
        return DFAISS_OK;
    return error_set(err, client->broken, client->broken_error.where, "%s", client->broken_error.text);
}

int client_servers(const client_t *client) {
    return transport_servers(client->transport);
}

dfaiss_status_t client_check_name(const char *index, dfaiss_error_t *err) {
    if (strlen(index) >= MESSAGE_NAME)
        return error_set(err, DFAISS_ERR_ARG, "index", "the name of an index may have at most %d characters", MESSAGE_NAME - 1);
    return DFAISS_OK;
}

/* The answer that is waited for, as far as transport_progress names it when it found no memory. */
static bool is_refused_answer(const client_t *client, const transport_message_t *message) {
    return !transport_failed(client->transport) && client->asked && !client->answered && message->kind == MESSAGE_ANSWER &&
           message->correlation == client->asked;
}

dfaiss_status_t client_turn(client_t *client, dfaiss_error_t *err) {
    transport_message_t message;
    dfaiss_error_t error = {0};
    bool arrived, mine = false;
    dfaiss_status_t status = transport_progress(client->transport, &message, &arrived, &error);
    if (status == DFAISS_ERR_MEMORY && is_refused_answer(client, &message)) {
        client->refusal = error;
        client->answered = true;
        return DFAISS_OK;
    }
    if (status != DFAISS_OK && err)
        *err = error;
    TRY(status);
    if (!arrived) {
        transport_idle(client->transport);
        return DFAISS_OK;
    }
    if (message.kind != MESSAGE_ANSWER)
        status = error_set(err, DFAISS_ERR_PEER, "", "rank %d sent a client a message of kind %s", message.source, message_kind_name(message.kind));
    if (status == DFAISS_OK)
        status = client_batch_answered(client, &message, &mine, err);
    if (status == DFAISS_OK && !mine && client->asked && !client->answered && message.correlation == client->asked) {
        client->answer = message;
        client->answered = true;
        return DFAISS_OK;
    }
    /* An answer that nobody waits for any more: its question had timed out. */
    transport_message_clear(&message);
    return status;
}

/* Tells when a bulk has left. Of its own on the heap, since it may be told after the call that sent it has given up. */
typedef struct departure {
    bool left;
    bool abandoned;
} departure_t;

static void note_departure(void *context) {
    departure_t *departure = context;
    departure->left = true;
    if (departure->abandoned)
        free(departure);
}

static void forget_departure(departure_t *departure) {
    departure->abandoned = true;
    if (departure->left)
        free(departure);
}

static dfaiss_status_t wait_for_answer(client_t *client, int server, message_kind_t kind, bool limited, const departure_t *departure,
                                       dfaiss_error_t *err) {
    int64_t begin = clock_nanoseconds();
    while (!client->answered || !departure->left) {
        TRY(client_turn(client, err));
        double waited = (double)(clock_nanoseconds() - begin) * 1e-9;
        if (limited && client->timeout > 0 && waited > client->timeout && !client->answered)
            return error_set(err, DFAISS_ERR_TIMEOUT, message_kind_name(kind), "server %d has not answered a message of kind %s for %.1f seconds",
                             server, message_kind_name(kind), waited);
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

static dfaiss_status_t send_and_wait(client_t *client, int server, message_kind_t kind, const bytes_writer_t *body, const void *bulk,
                                     size_t bulk_size, bool limited, dfaiss_error_t *err) {
    TRY(message_written(body, kind, err));
    departure_t *departure = calloc(1, sizeof *departure);
    if (!departure)
        return error_memory(err, sizeof *departure, "a message");
    int rank = transport_server_rank(client->transport, server);
    dfaiss_status_t status =
        transport_send(client->transport, rank, kind, client->asked, body->data, body->size, bulk, bulk_size, note_departure, departure, err);
    if (status != DFAISS_OK) {
        free(departure);
        return status;
    }
    dfaiss_error_t why = {0};
    status = wait_for_answer(client, server, kind, limited, departure, &why);
    forget_departure(departure);
    return status == DFAISS_OK ? DFAISS_OK : client_break(client, status, &why, err);
}

dfaiss_status_t client_ask(client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size, bool limited,
                           transport_message_t *answer, bytes_reader_t *result, dfaiss_error_t *err) {
    client->asked = ++client->last_correlation;
    client->answered = false;
    client->refusal.code = DFAISS_OK;
    dfaiss_status_t status = client_check_broken(client, err);
    if (status == DFAISS_OK)
        status = send_and_wait(client, server, kind, body, bulk, bulk_size, limited, err);
    bytes_writer_destroy(body);
    client->asked = 0;
    client->answered = false;
    transport_message_t got = client->answer;
    client->answer = (transport_message_t){0};
    if (status == DFAISS_OK && client->refusal.code != DFAISS_OK) {
        status = client->refusal.code;
        if (err)
            *err = client->refusal;
    } else if (status == DFAISS_OK) {
        status = read_outcome(&got, result, err);
    }
    if (status != DFAISS_OK) {
        transport_message_clear(&got);
        return status;
    }
    *answer = got;
    return DFAISS_OK;
}

dfaiss_status_t client_tell(client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size,
                            dfaiss_error_t *err) {
    transport_message_t answer;
    bytes_reader_t result;
    TRY(client_ask(client, server, kind, body, bulk, bulk_size, false, &answer, &result, err));
    bool whole = bytes_reader_done(&result);
    transport_message_clear(&answer);
    return whole ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}
