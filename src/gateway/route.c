/* Requests under way: each has a number of its own among the servers, which their answer brings back. */
#include <stdlib.h>

#include "base/list.h"
#include "base/memory.h"
#include "gateway/gateway_internal.h"
#include "message/add.h"
#include "message/message.h"
#include "message/outcome.h"

enum { ROUTES_FIRST = 64 };

static dfaiss_status_t grow(gateway_t *gateway, dfaiss_error_t *err) {
    size_t capacity = gateway->route_capacity ? 2 * gateway->route_capacity : ROUTES_FIRST;
    route_t *routes = realloc(gateway->routes, capacity * sizeof *routes);
    if (!routes)
        return error_memory(err, capacity * sizeof *routes, "requests under way");
    for (size_t i = gateway->route_capacity; i < capacity; i++)
        routes[i] = (route_t){.next_free = i + 1};
    gateway->routes = routes;
    gateway->route_capacity = capacity;
    return DFAISS_OK;
}

static dfaiss_status_t take_route(gateway_t *gateway, connection_t *connection, const transport_message_t *message, size_t *place,
                                  dfaiss_error_t *err) {
    if (gateway->free_route == gateway->route_capacity)
        TRY(grow(gateway, err));
    *place = gateway->free_route;
    route_t *route = &gateway->routes[*place];
    gateway->free_route = route->next_free;
    *route =
        (route_t){.connection = connection, .correlation = message->correlation, .number = connection->number, .kind = message->kind, .used = true};
    gateway->unanswered++;
    connection->under_way++;
    return DFAISS_OK;
}

static void free_route(gateway_t *gateway, size_t place) {
    route_t *route = &gateway->routes[place];
    if (!route->acknowledged)
        gateway->unanswered--;
    if (route->connection)
        route->connection->under_way--;
    *route = (route_t){.next_free = gateway->free_route};
    gateway->free_route = place;
}

/* ---- to the servers ---- */

static void end_transit(void *context) {
    transit_t *transit = context;
    memory_unmap(transit->bulk, transit->bulk_size);
    if (transit->gateway) {
        transit->gateway->held -= transit->held;
        LIST_REMOVE(transit->gateway->transits, transit);
    }
    free(transit);
}

/* Takes over the bulk, also on failure. */
static dfaiss_status_t send(gateway_t *gateway, transport_message_t *message, int server, size_t held, dfaiss_error_t *err) {
    transit_t *transit = malloc(sizeof *transit);
    if (!transit) {
        gateway->held -= held;
        return error_memory(err, sizeof *transit, "a request");
    }
    *transit = (transit_t){.gateway = gateway, .bulk = message->bulk, .bulk_size = message->bulk_size, .held = held};
    transit->next = gateway->transits;
    gateway->transits = transit;
    transport_message_t sent = *message;
    message->bulk = NULL;
    message->bulk_size = 0;
    dfaiss_status_t status = gateway->forward(gateway->context, server, &sent, end_transit, transit, err);
    if (status != DFAISS_OK)
        end_transit(transit);
    return status;
}

static void answer_failure(gateway_t *gateway, connection_t *connection, uint64_t correlation, dfaiss_status_t status, const dfaiss_error_t *error) {
    bytes_writer_t body = {0};
    message_outcome_encode(status, error, &body);
    if (body.failed) {
        bytes_writer_destroy(&body);
        connection_drop(gateway, connection);
        return;
    }
    transport_message_t answer = {.body = body.data, .body_size = body.size};
    connection_answer(gateway, connection, correlation, &answer);
}

void route_request(gateway_t *gateway, connection_t *connection, transport_message_t *message) {
    dfaiss_error_t error = {0};
    uint64_t asked = message->correlation;
    size_t place = 0, held = connection->reserved;
    int server = message->source;
    connection->reserved = 0;
    dfaiss_status_t status = take_route(gateway, connection, message, &place, &error);
    bool routed = status == DFAISS_OK;
    if (routed) {
        message->correlation = (uint64_t)connection->number << 32 | (uint64_t)place;
        status = send(gateway, message, server, held, &error);
    } else {
        gateway->held -= held;
    }
    if (status != DFAISS_OK && routed)
        free_route(gateway, place);
    transport_message_clear(message);
    if (status != DFAISS_OK)
        answer_failure(gateway, connection, asked, status, &error);
}

/* ---- back to the clients ---- */

/* The first answer to an ADD says whether another one comes. */
static bool is_first_of_two(const route_t *route, const transport_message_t *message) {
    dfaiss_status_t status;
    dfaiss_error_t said;
    if (route->kind != MESSAGE_ADD || route->acknowledged)
        return false;
    bytes_reader_t in = bytes_reader(message->body, message->body_size);
    if (message_outcome_decode(MESSAGE_ANSWER, &in, &status, &said, NULL) != DFAISS_OK || status != DFAISS_OK)
        return false;
    return bytes_get_u8(&in) == MESSAGE_ADD_HELD && bytes_reader_done(&in);
}

void gateway_answer(gateway_t *gateway, transport_message_t *message) {
    size_t place = (size_t)(message->correlation & UINT32_MAX);
    route_t *route = place < gateway->route_capacity ? &gateway->routes[place] : NULL;
    if (!route || !route->used || route->number != message->correlation >> 32) {
        transport_message_clear(message);
        return;
    }
    connection_t *connection = route->connection;
    uint64_t asked = route->correlation;
    if (is_first_of_two(route, message)) {
        route->acknowledged = true;
        gateway->unanswered--;
    } else {
        free_route(gateway, place);
    }
    if (connection)
        connection_answer(gateway, connection, asked, message);
    else
        transport_message_clear(message);
}

void routes_abandon(gateway_t *gateway, const connection_t *connection) {
    for (size_t i = 0; i < gateway->route_capacity; i++) {
        if (gateway->routes[i].connection == connection)
            gateway->routes[i].connection = NULL;
    }
}

/* What servers are still sent outlives the gateway. */
void routes_clear(gateway_t *gateway) {
    for (transit_t *next, *transit = gateway->transits; transit; transit = next) {
        next = transit->next;
        transit->gateway = NULL;
        transit->next = NULL;
    }
    free(gateway->routes);
}
