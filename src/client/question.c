/* Questions to servers: sending, matching answers with what was asked, and giving up on those that take too long. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "client/client_internal.h"
#include "message/add.h"
#include "message/named.h"
#include "message/outcome.h"

/* ---- the end of a question ---- */

static void free_question(question_t *question) {
    if (question->client)
        LIST_REMOVE(question->client->questions, question);
    transport_message_clear(&question->answer);
    free(question);
}

/* Forgotten ones go when nothing refers to them any more: neither MPI nor an answer that gives a credit back. */
static void free_if_unused(question_t *question) {
    bool awaited = question->client && question->client->broken == DFAISS_OK && question->credit;
    if (question->forgotten && question->departed && !awaited)
        free_question(question);
}

void question_forget(question_t *question) {
    if (!question)
        return;
    question->forgotten = true;
    free_if_unused(question);
}

void question_abandon(question_t *question) {
    LIST_REMOVE(question->client->questions, question);
    question->client = NULL;
    question_forget(question);
}

bool question_over(const question_t *question) {
    return question->answered && (question->departed || question->client->broken != DFAISS_OK);
}

dfaiss_status_t question_outcome(const question_t *question, dfaiss_error_t *err) {
    if (question->status != DFAISS_OK && err)
        *err = question->error;
    return question->status;
}

void question_hurry(question_t *question, double seconds) {
    if (question->limit <= 0 || seconds < question->limit)
        question->limit = seconds;
}

static void fail_question(question_t *question, dfaiss_status_t status, const dfaiss_error_t *error) {
    question->answered = true;
    question->status = status;
    question->error = *error;
}

void client_break(dfaiss_client_t *client, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (client->broken != DFAISS_OK)
        return;
    client->broken = status;
    client->broken_error = *error;
    for (question_t *question = client->questions; question; question = question->next) {
        if (!question->answered)
            fail_question(question, status, error);
    }
}

/* ---- asking ---- */

static void note_departure(void *context) {
    question_t *question = context;
    question->departed = true;
    if (question->released)
        question->released(question->context);
    question->released = NULL;
    free_if_unused(question);
}

void question_when_departed(question_t *question, void (*released)(void *context), void *context) {
    question->released = released;
    question->context = context;
    if (!question->departed || !released)
        return;
    question->released = NULL;
    released(context);
}

static dfaiss_status_t send(question_t *question, const bytes_writer_t *body, const void *bulk, size_t bulk_size, dfaiss_error_t *err) {
    dfaiss_client_t *client = question->client;
    TRY(client_check_broken(client, err));
    TRY(message_written(body, question->kind, err));
    dfaiss_status_t status = carrier_send(&client->carrier, question->server, question->kind, question->correlation, body->data, body->size, bulk,
                                          bulk_size, note_departure, question, err);
    if (status == DFAISS_ERR_MPI) {
        dfaiss_error_t error = {0};
        error_set(&error, status, "", "%s", err ? err->text : "MPI failed");
        client_break(client, status, &error);
    }
    return status;
}

dfaiss_status_t question_ask(dfaiss_client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size,
                             patience_t patience, question_t **out, dfaiss_error_t *err) {
    dfaiss_error_t error = {0};
    question_t *question = calloc(1, sizeof *question);
    dfaiss_status_t status = DFAISS_OK;
    if (question) {
        question->client = client;
        question->correlation = ++client->last_correlation;
        question->server = server;
        question->kind = kind;
        question->since = clock_nanoseconds();
        question->limit = patience == PATIENCE_SHORT ? client->options.timeout : client->options.long_timeout;
        status = send(question, body, bulk, bulk_size, &error);
    } else {
        status = error_memory(&error, sizeof *question, "a message");
    }
    bytes_writer_destroy(body);
    if (status != DFAISS_OK) {
        free(question);
        if (err)
            *err = error;
        return status;
    }
    question->next = client->questions;
    client->questions = question;
    *out = question;
    return DFAISS_OK;
}

/* ---- answers ---- */

static question_t *find_question(const dfaiss_client_t *client, const transport_message_t *message) {
    for (question_t *question = client->questions; question; question = question->next) {
        if (question->correlation == message->correlation)
            return question;
    }
    return NULL;
}

/* The bulk has as long to depart as the answer had to come. */
static void note_answer(question_t *question) {
    question->answered = true;
    if (!question->departed)
        question->since = clock_nanoseconds();
}

void question_release_credit(question_t *question) {
    if (question->credit)
        question->client->under_way[question->server]--;
    question->credit = false;
}

/* An answer to a question that has been given up, or the second one to an ADD, matters for its credit alone. */
static void take_late_answer(question_t *question, transport_message_t *message) {
    transport_message_clear(message);
    question_release_credit(question);
    free_if_unused(question);
}

static dfaiss_status_t read_outcome(question_t *question, dfaiss_error_t *err) {
    question->result = bytes_reader(question->answer.body, question->answer.body_size);
    return message_outcome_decode(MESSAGE_ANSWER, &question->result, &question->status, &question->error, err);
}

/* The servers stop, and say why: nothing is answered any more. They take in what is on its way all the same. */
static void take_interruption(dfaiss_client_t *client, transport_message_t *message) {
    dfaiss_error_t said = {0}, error = {0};
    dfaiss_status_t why = DFAISS_OK;
    bytes_reader_t in = bytes_reader(message->body, message->body_size);
    dfaiss_status_t status = message_outcome_decode(MESSAGE_INTERRUPTED, &in, &why, &said, &error);
    transport_message_clear(message);
    if (status != DFAISS_OK) {
        client_break(client, status, &error);
        return;
    }
    client->refused = DFAISS_ERR_INTERRUPTED;
    client->refused_error = said;
    for (question_t *question = client->questions; question; question = question->next) {
        question_release_credit(question);
        if (question->answered)
            continue;
        note_answer(question);
        fail_question(question, DFAISS_ERR_INTERRUPTED, &said);
    }
}

static void take_answer(dfaiss_client_t *client, transport_message_t *message) {
    dfaiss_error_t error;
    question_t *question = find_question(client, message);
    if (message->kind == MESSAGE_INTERRUPTED) {
        take_interruption(client, message);
        return;
    }
    if (message->kind != MESSAGE_ANSWER) {
        dfaiss_status_t status =
            error_set(&error, DFAISS_ERR_PEER, "", "rank %d sent a client a message of kind %s", message->source, message_kind_name(message->kind));
        transport_message_clear(message);
        client_break(client, status, &error);
        return;
    }
    if (!question) {
        transport_message_clear(message);
        return;
    }
    if (question->answered) {
        take_late_answer(question, message);
        return;
    }
    question->answer = *message;
    note_answer(question);
    dfaiss_status_t status = read_outcome(question, &error);
    if (status != DFAISS_OK) {
        question->answered = false;
        client_break(client, status, &error);
        return;
    }
    /* Whether an ADD keeps its credit until a second answer comes is the first byte of its result. */
    bool keeps = question->status == DFAISS_OK && question->result.left > 0 && question->result.next[0] == MESSAGE_ADD_HELD;
    if (!keeps)
        question_release_credit(question);
    free_if_unused(question);
}

/* An answer came that found no memory here: whoever waits for it is told. */
static bool take_refused_answer(dfaiss_client_t *client, const transport_message_t *message, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (status != DFAISS_ERR_MEMORY || carrier_failed(&client->carrier) || message->kind != MESSAGE_ANSWER)
        return false;
    question_t *question = find_question(client, message);
    if (!question)
        return true;
    if (!question->answered) {
        note_answer(question);
        fail_question(question, status, error);
    }
    question_release_credit(question);
    free_if_unused(question);
    return true;
}

/* What the question has lent may still be read where it has not left, whether it is answered or not: nothing can be promised any more then. */
static void give_up_on_late_ones(dfaiss_client_t *client) {
    int64_t now = 0;
    for (question_t *question = client->questions; question; question = question->next) {
        if ((question->answered && question->departed) || question->limit <= 0)
            continue;
        now = now ? now : clock_nanoseconds();
        double waited = (double)(now - question->since) * 1e-9;
        if (waited <= question->limit)
            continue;
        dfaiss_error_t error = {0};
        const char *kind = message_kind_name(question->kind);
        dfaiss_status_t status = error_set(&error, DFAISS_ERR_TIMEOUT, kind, "server %d has not %s a message of kind %s for %.1f seconds",
                                           question->server, question->answered ? "taken in" : "answered", kind, waited);
        if (!question->answered)
            fail_question(question, status, &error);
        if (!question->departed)
            client_break(client, status, &error);
    }
}

static void advance_requests(dfaiss_client_t *client) {
    for (dfaiss_request_t *request = client->requests; request; request = request->next) {
        if (!request->ended)
            request->advance(request);
    }
}

void client_turn(dfaiss_client_t *client, bool rest) {
    transport_message_t message;
    dfaiss_error_t error; /* filled on failure alone: a turn should cost next to nothing */
    bool arrived = false;
    if (client->broken == DFAISS_OK) {
        dfaiss_status_t status = carrier_progress(&client->carrier, &message, &arrived, &error);
        if (status != DFAISS_OK && !take_refused_answer(client, &message, status, &error))
            client_break(client, status, &error);
    }
    if (arrived)
        take_answer(client, &message);
    else if (rest && client->broken == DFAISS_OK)
        carrier_idle(&client->carrier);
    give_up_on_late_ones(client);
    advance_requests(client);
}

/* ---- calls that block ---- */

dfaiss_status_t client_await(dfaiss_client_t *client, const question_t *question, dfaiss_error_t *err) {
    while (!question_over(question))
        client_turn(client, true);
    return question_outcome(question, err);
}

dfaiss_status_t client_ask(dfaiss_client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size,
                           patience_t patience, question_t **out, dfaiss_error_t *err) {
    question_t *question = NULL;
    TRY(question_ask(client, server, kind, body, bulk, bulk_size, patience, &question, err));
    dfaiss_status_t status = client_await(client, question, err);
    if (status != DFAISS_OK) {
        question_forget(question);
        return status;
    }
    *out = question;
    return DFAISS_OK;
}

dfaiss_status_t client_tell(dfaiss_client_t *client, int server, message_kind_t kind, bytes_writer_t *body, const void *bulk, size_t bulk_size,
                            patience_t patience, dfaiss_error_t *err) {
    question_t *question = NULL;
    TRY(client_ask(client, server, kind, body, bulk, bulk_size, patience, &question, err));
    bool whole = bytes_reader_done(&question->result);
    question_forget(question);
    return whole ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}

dfaiss_status_t client_tell_named(dfaiss_client_t *client, message_kind_t kind, const char *index, patience_t patience, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    bytes_writer_t body = {0};
    message_named_encode(index, &body);
    return client_tell(client, COORDINATOR, kind, &body, NULL, 0, patience, err);
}
