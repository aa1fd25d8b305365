/* Clients that are no ranks of the world: the gateway of server 0 stands for them. Their requests travel as messages of that rank under correlation
 * numbers that say whose they are, and the answers go back there. */
#include <limits.h>

#include "gateway/gateway.h"
#include "server/server_internal.h"

static dfaiss_status_t forward(void *context, int server_number, const transport_message_t *message, transport_done_t *done, void *done_context,
                               dfaiss_error_t *err) {
    const server_t *server = context;
    return transport_send(server->transport, transport_server_rank(server->transport, server_number), message->kind, message->correlation,
                          message->body, message->body_size, message->bulk, message->bulk_size, done, done_context, err);
}

dfaiss_status_t outside_open(server_t *server, dfaiss_error_t *err) {
    const server_options_t *wanted = server->options;
    if (!wanted->listen || server->number != 0)
        return DFAISS_OK;
    gateway_options_t options = {
        .listen_file = wanted->listen,
        .bind = wanted->bind,
        .port = wanted->port,
        .servers = server->servers,
        .lead = server->number,
        .limits = gateway_usual_limits(),
        .takes = request_takes,
        .forward = forward,
        .context = server,
    };
    if (wanted->connections > 0)
        options.limits.connections = wanted->connections;
    if (wanted->idle > 0)
        options.limits.idle_seconds = wanted->idle;
    TRY(gateway_open(&options, &server->gateway, err));
    transport_set_waker(server->transport, gateway_descriptor(server->gateway));
    return DFAISS_OK;
}

void outside_close(server_t *server) {
    transport_set_waker(server->transport, -1);
    gateway_destroy(server->gateway);
    server->gateway = NULL;
}

/* Clients are told where to come when they would be answered. */
static void publish(server_t *server) {
    dfaiss_error_t error = {0};
    server_fail(server, gateway_publish(server->gateway, &error), &error);
}

static void close_when_answered(server_t *server) {
    dfaiss_error_t reason = {0};
    (void)error_set(&reason, DFAISS_ERR_STATE, "", "the servers were shut down");
    gateway_close(server->gateway, &reason, false);
}

bool outside_advance(server_t *server) {
    if (!server->gateway)
        return false;
    if (server->open)
        publish(server);
    if (server->wishes.stopped)
        gateway_close(server->gateway, &server->wishes.reason, true);
    else if (server->closed)
        close_when_answered(server);
    return gateway_advance(server->gateway);
}

/* Where servers stop, answers that are still due never come. */
static bool outside_left(const server_t *server) {
    if (server->options->listen && !server->closed && !server->wishes.stopped)
        return true;
    if (!server->gateway)
        return false;
    return server->wishes.stopped ? gateway_clients(server->gateway) > 0 : !gateway_quiet(server->gateway);
}

bool clients_left(const server_t *server) {
    return transport_clients_gone(server->transport) < transport_clients(server->transport) || outside_left(server);
}

void outside_on_answer(server_t *server, transport_message_t *message) {
    if (server->gateway)
        gateway_answer(server->gateway, message);
    else
        transport_message_clear(message);
}

void outside_traffic(const server_t *server, uint64_t *sent, uint64_t *received) {
    *sent = *received = 0;
    if (server->gateway)
        gateway_traffic(server->gateway, sent, received);
}

int64_t outside_asker(uint64_t correlation) {
    return (int64_t)INT_MAX + 1 + (int64_t)(correlation >> 32);
}
