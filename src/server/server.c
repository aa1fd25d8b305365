#include "server/server.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "message/outcome.h"
#include "server/server_internal.h"
#include "server/threads.h"

enum {
    MESSAGES_A_TURN = 64,
    MESSAGES_NANOSECONDS = 5000000, /* of a turn: many clients that add must not keep out a search */
    LINK_NANOSECONDS = 1000000,
};

void server_fail(server_t *server, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (status == DFAISS_OK || server->failed != DFAISS_OK)
        return;
    server->failed = status;
    server->failure = *error;
}

void server_send(server_t *server, int rank, message_kind_t kind, uint64_t correlation, const bytes_writer_t *body, const void *bulk,
                 size_t bulk_size, transport_done_t *done, void *context) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = message_written(body, kind, &error);
    if (status == DFAISS_OK)
        status = transport_send(server->transport, rank, kind, correlation, body->data, body->size, bulk, bulk_size, done, context, &error);
    if (status == DFAISS_OK)
        return;
    server_fail(server, status, &error);
    if (done)
        done(context);
}

static void dispatch(server_t *server, transport_message_t *message) {
    if (message->kind == MESSAGE_SPREAD && transport_is_server(server->transport, message->source))
        operation_on_spread(server, message);
    else if (message->kind == MESSAGE_GATHER && transport_is_server(server->transport, message->source))
        operation_on_gather(server, message);
    else if (message->kind == MESSAGE_WISH && transport_is_server(server->transport, message->source))
        wish_on_message(server, message);
    else if (message->kind == MESSAGE_ROWS && transport_is_server(server->transport, message->source))
        rows_on_message(server, message);
    else if (message->kind == MESSAGE_ANSWER && transport_is_server(server->transport, message->source))
        outside_on_answer(server, message);
    else
        request_on_message(server, message);
}

/* The answer to a client that is no rank of the world. */
static void refuse_answer(server_t *server, const transport_message_t *refused, const dfaiss_error_t *error) {
    bytes_writer_t body = {0};
    dfaiss_error_t no_memory = {0};
    message_outcome_encode(error->code, error, &body);
    if (body.failed) {
        bytes_writer_destroy(&body);
        server_fail(server, error_memory(&no_memory, body.size, "an answer"), &no_memory);
        return;
    }
    transport_message_t message = {.kind = MESSAGE_ANSWER, .correlation = refused->correlation, .body = body.data, .body_size = body.size};
    outside_on_answer(server, &message);
}

/* A message that was not understood is dropped; of one that found no memory, whoever waits for an answer is told. */
static void message_failed(server_t *server, const transport_message_t *message, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (transport_failed(server->transport))
        server_fail(server, status, error);
    else if (status != DFAISS_ERR_MEMORY)
        log_write(LOG_LEVEL_WARNING, "server %d: %s", server->number, error->text);
    else if (!transport_is_server(server->transport, message->source) || request_takes(message->kind))
        request_refuse(server, message, status, error);
    else if (message->kind == MESSAGE_ANSWER)
        refuse_answer(server, message, error);
    else
        server_fail(server, status, error);
}

static bool messages_advance(server_t *server) {
    bool something = false;
    int64_t deadline = clock_nanoseconds() + MESSAGES_NANOSECONDS;
    for (int i = 0; i < MESSAGES_A_TURN && server->failed == DFAISS_OK && (i == 0 || clock_nanoseconds() < deadline); i++) {
        transport_message_t message;
        bool arrived;
        dfaiss_error_t error = {0};
        dfaiss_status_t status = transport_progress(server->transport, &message, &arrived, &error);
        if (status != DFAISS_OK)
            message_failed(server, &message, status, &error);
        if (status != DFAISS_OK || !arrived)
            break;
        dispatch(server, &message);
        something = true;
    }
    return something;
}

static bool shards_advance(server_t *server) {
    bool something = false;
    int64_t deadline = clock_nanoseconds() + LINK_NANOSECONDS;
    for (hosted_t *hosted = server->hosted; hosted; hosted = hosted->next) {
        if (shard_advance(hosted->shard, deadline))
            something = true;
    }
    return something;
}

/* One turn of everything that may go on. */
static bool turn(server_t *server) {
    bool something = messages_advance(server);
    something |= outside_advance(server);
    something |= shards_advance(server);
    something |= jobs_advance(server);
    something |= held_adds_advance(server);
    something |= flushes_advance(server);
    something |= trainings_advance(server);
    something |= drops_advance(server);
    something |= lead_advance(server);
    something |= searches_advance(server);
    something |= fetches_advance(server);
    something |= id_lists_advance(server);
    something |= removals_advance(server);
    something |= updates_advance(server);
    something |= teams_advance(server);
    something |= operations_advance(server);
    something |= autosaves_advance(server);
    something |= wishes_advance(server);
    something |= ending_advance(server);
    return something;
}

/* All have agreed to stop and have nothing left to do; or they were told to, and nobody is there any more. */
static bool is_over(const server_t *server) {
    return (server->stopping && !server->operations && !server->jobs && !server->job) || (server->wishes.stopped && !clients_left(server));
}

static void loop(server_t *server) {
    while (server->failed == DFAISS_OK && !is_over(server)) {
        if (turn(server))
            transport_busy(server->transport);
        else
            transport_idle(server->transport);
    }
}

static void clear(server_t *server) {
    jobs_clear(server);
    builder_destroy(server->builder);
    builder_destroy(server->trainer);
    trainings_clear(server);
    searches_clear(server);
    id_lists_clear(server);
    removals_clear(server);
    updates_clear(server);
    requests_clear(server);
    lead_destroy(server->lead);
    outside_close(server);
    operations_clear(server);
    hosted_clear(server);
    free(server->merge_scratch);
    teams_clear(server);
}

/* The cores that this rank may use, shared out over the servers that may use them too. */
static int default_threads(const transport_t *transport) {
    int sharers = transport_core_sharers(transport), cores = threads_physical_cores();
    return cores > sharers ? cores / sharers : 1;
}

/* A server whose threads have no cores of their own is slow for a reason that should be seen. */
static void warn_of_crowding(const server_t *server) {
    int sharers = transport_core_sharers(server->transport), cores = threads_physical_cores();
    if (server->number == 0 && server->threads * sharers > cores)
        log_write(LOG_LEVEL_WARNING, "%d server%s with %d thread%s each on %d core%s: more threads than cores", sharers, sharers == 1 ? "" : "s",
                  server->threads, server->threads == 1 ? "" : "s", cores, cores == 1 ? "" : "s");
}

static dfaiss_status_t set_up(server_t *server, dfaiss_error_t *err) {
    TRY(team_create(server->threads, &server->team, err));
    TRY(builder_create(server->threads, &server->builder, err));
    TRY(builder_create(server->threads, &server->trainer, err));
    TRY(lead_create(&server->lead, err));
    return outside_open(server, err);
}

dfaiss_status_t server_run(transport_t *transport, const server_options_t *options, dfaiss_error_t *err) {
    server_t server = {
        .transport = transport,
        .options = options,
        .number = transport_number(transport),
        .servers = transport_servers(transport),
        .threads = options->threads > 0 ? options->threads : default_threads(transport),
    };
    warn_of_crowding(&server);
    dfaiss_status_t status = set_up(&server, err);
    if (status == DFAISS_OK) {
        preload(&server);
        loop(&server);
        if (server.wishes.stopped)
            server_fail(&server, DFAISS_ERR_INTERRUPTED, &server.wishes.reason);
        status = server.failed;
        if (status != DFAISS_OK && err)
            *err = server.failure;
    }
    clear(&server);
    return status;
}
