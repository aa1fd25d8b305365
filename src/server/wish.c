/* What the program that serves wishes: that indexes are saved, and that the servers stop. Whichever server is told, server 0 does it. A stop is
 * orderly: when everything is saved, all servers know of it, then all clients are told, and the servers end as soon as these have left. */
#include <stdio.h>

#include "message/outcome.h"
#include "server/server_internal.h"

static void tell_ended(server_t *server, dfaiss_wish_t wish, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (server->options->wish_ended)
        server->options->wish_ended(server->options->context, wish, status, error);
}

/* ---- stopping ---- */

/* The argument: why. */
void operation_interrupt(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    wishes_t *wishes = &server->wishes;
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    wishes->reason.code = DFAISS_ERR_INTERRUPTED;
    bytes_get_string(&in, wishes->reason.text, sizeof wishes->reason.text);
    wishes->stopped = true;
    tell_ended(server, DFAISS_WISH_STOP, DFAISS_OK, &wishes->reason);
    operation_local_end(server, operation, DFAISS_OK, &error);
}

static void tell_clients(server_t *server, operation_t *operation, void *context) {
    bytes_writer_t body = {0};
    (void)operation;
    (void)context;
    message_outcome_encode(DFAISS_ERR_INTERRUPTED, &server->wishes.reason, &body);
    for (int i = 0; i < transport_clients(server->transport); i++)
        server_send(server, transport_client_rank(server->transport, i), MESSAGE_INTERRUPTED, 0, &body, NULL, 0, NULL, NULL);
    bytes_writer_destroy(&body);
}

/* Whoever starts this work again, on whatever hosts, need not wait until the leases lapse. */
static void release_leases(server_t *server) {
    for (hosted_t *hosted = server->hosted; hosted; hosted = hosted->next) {
        lease_release(hosted->lease);
        hosted->lease = NULL;
    }
}

static void stop(server_t *server) {
    int count = server->wishes.saved;
    char text[128] = "stopped; there is no index to be saved";
    bytes_writer_t argument = {0};
    if (count > 0)
        snprintf(text, sizeof text, "stopped after a checkpoint: %d %s saved", count, count == 1 ? "index is" : "indexes are");
    release_leases(server);
    bytes_put_string(&argument, text);
    operation_start(server, OPERATION_INTERRUPT, &argument, NULL, 0, tell_clients, NULL);
}

/* ---- saving ---- */

static void end_wish(server_t *server) {
    wishes_t *wishes = &server->wishes;
    dfaiss_wish_t wish = wishes->now;
    if (wish == DFAISS_WISH_STOP && wishes->failure.code == DFAISS_OK) {
        stop(server);
        return;
    }
    wishes->now = DFAISS_WISH_NONE;
    tell_ended(server, wish, wishes->failure.code, &wishes->failure);
}

static void end_save(server_t *server, const char *index, dfaiss_status_t status, const dfaiss_error_t *error) {
    wishes_t *wishes = &server->wishes;
    /* One that has gone needs no saving. */
    bool gone = status == DFAISS_ERR_NOT_FOUND && !hosted_find(server, index);
    if (status == DFAISS_OK)
        wishes->saved++;
    else if (!gone && wishes->failure.code == DFAISS_OK)
        wishes->failure = *error;
    if (--wishes->saves == 0)
        end_wish(server);
}

static void saved(server_t *server, const request_t *request, dfaiss_status_t status, const dfaiss_error_t *error) {
    end_save(server, request->index, status, error);
}

static void begin_wish(server_t *server) {
    wishes_t *wishes = &server->wishes;
    *wishes = (wishes_t){.now = wishes->next, .saves = 1};
    for (hosted_t *hosted = server->hosted; hosted; hosted = hosted->next) {
        dfaiss_error_t error = {0};
        if (hosted->dropping)
            continue;
        wishes->saves++;
        dfaiss_status_t status = autosave_start(server, hosted->name, saved, &error);
        if (status != DFAISS_OK)
            end_save(server, hosted->name, status, &error);
    }
    if (--wishes->saves == 0)
        end_wish(server);
}

/* ---- wishing ---- */

static void note(server_t *server, dfaiss_wish_t wish) {
    if (wish > server->wishes.next)
        server->wishes.next = wish;
}

void wish_on_message(server_t *server, transport_message_t *message) {
    bytes_reader_t in = bytes_reader(message->body, message->body_size);
    uint8_t wish = bytes_get_u8(&in);
    if (bytes_reader_done(&in) && wish <= DFAISS_WISH_STOP)
        note(server, (dfaiss_wish_t)wish);
    transport_message_clear(message);
}

static void pass_on(server_t *server, dfaiss_wish_t wish) {
    bytes_writer_t body = {0};
    bytes_put_u8(&body, (uint8_t)wish);
    server_send(server, transport_server_rank(server->transport, 0), MESSAGE_WISH, 0, &body, NULL, 0, NULL, NULL);
    bytes_writer_destroy(&body);
}

bool wishes_advance(server_t *server) {
    dfaiss_wish_t wish = server->options->wish ? server->options->wish(server->options->context) : DFAISS_WISH_NONE;
    if (wish != DFAISS_WISH_NONE && server->number != 0)
        pass_on(server, wish);
    else if (wish != DFAISS_WISH_NONE)
        note(server, wish);
    if (server->wishes.next == DFAISS_WISH_NONE || server->wishes.now != DFAISS_WISH_NONE || server->wishes.stopped)
        return false;
    begin_wish(server);
    return true;
}
