/* Listening, and the turn that everything gets. */
#include "gateway/gateway.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/gateway_internal.h"
#include "gateway/socket.h"

enum {
    BACKLOG = 512,
    EVENTS = 64,
    ACCEPTS_A_TURN = 64,
    LOOK_NANOSECONDS = 100000000,
    ACCEPT_AGAIN_NANOSECONDS = 100000000,
};

static const char loopback[] = "127.0.0.1";

gateway_limits_t gateway_usual_limits(void) {
    return (gateway_limits_t){
        .connections = 512,
        .strangers = 64,
        .under_way = 256,
        .message_bytes = (uint64_t)1 << 34,
        .held_bytes = (size_t)1 << 30,
        .unsent_bytes = (size_t)1 << 30,
        .greeting_seconds = 5,
        .stall_seconds = 30,
        .idle_seconds = 3600,
    };
}

/* ---- opening ---- */

static dfaiss_status_t listen_at(const struct addrinfo *address, const char *name, int port, int *listener, dfaiss_error_t *err) {
    char where[LISTEN_HOST + 16];
    int on = 1;
    snprintf(where, sizeof where, "%s:%d", name, port);
    int descriptor = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address->ai_protocol);
    if (descriptor < 0)
        return error_system(err, "listen at", where, errno);
    /* A job that starts again soon may have the same port. */
    (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(descriptor, address->ai_addr, address->ai_addrlen) == 0 && listen(descriptor, BACKLOG) == 0) {
        *listener = descriptor;
        return DFAISS_OK;
    }
    dfaiss_status_t status = error_system(err, "listen at", where, errno);
    (void)close(descriptor);
    return status;
}

static dfaiss_status_t bind_listener(const gateway_options_t *options, int *listener, dfaiss_error_t *err) {
    const char *name = options->bind ? options->bind : loopback;
    struct addrinfo *addresses = NULL;
    TRY(socket_resolve(name, options->port, true, &addresses, err));
    dfaiss_status_t status = DFAISS_ERR_ARG;
    for (const struct addrinfo *address = addresses; address && status != DFAISS_OK; address = address->ai_next)
        status = listen_at(address, name, options->port, listener, err);
    freeaddrinfo(addresses);
    return status;
}

static bool is_any(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET)
        return ((const struct sockaddr_in *)address)->sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* What clients are told to connect to: where it listens everywhere, this host's name. */
static dfaiss_status_t name_listener(gateway_t *gateway, const char *bind_to, dfaiss_error_t *err) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    listen_file_t *file = &gateway->file;
    if (getsockname(gateway->listener, (struct sockaddr *)&address, &size) != 0)
        return error_system(err, "listen at", bind_to ? bind_to : loopback, errno);
    bool ipv6 = address.ss_family == AF_INET6;
    file->port = ntohs(ipv6 ? ((const struct sockaddr_in6 *)&address)->sin6_port : ((const struct sockaddr_in *)&address)->sin_port);
    if (is_any(&address))
        return gethostname(file->host, sizeof file->host - 1) == 0 ? DFAISS_OK : error_system(err, "find the name of", "this host", errno);
    int length = snprintf(file->host, sizeof file->host, "%s", bind_to ? bind_to : loopback);
    if (length >= 0 && (size_t)length < sizeof file->host)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_ARG, bind_to, "'%s' is too long an address", bind_to);
}

static dfaiss_status_t watch_listener(gateway_t *gateway, dfaiss_error_t *err) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    gateway->events = epoll_create1(EPOLL_CLOEXEC);
    if (gateway->events < 0 || epoll_ctl(gateway->events, EPOLL_CTL_ADD, gateway->listener, &event) != 0)
        return error_system(err, "watch", "connections", errno);
    return DFAISS_OK;
}

/* Half of the files that this process may have open are left for others. */
static void bound_connections(gateway_limits_t *limits) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= 4 * (rlim_t)limits->connections)
        return;
    int most = (int)(files.rlim_cur / 4);
    limits->connections = most < 1 ? 1 : most;
    if (limits->strangers > limits->connections)
        limits->strangers = limits->connections;
}

static dfaiss_status_t open_all(gateway_t *gateway, const gateway_options_t *options, dfaiss_error_t *err) {
    gateway->path = strdup(options->listen_file);
    if (!gateway->path)
        return error_memory(err, strlen(options->listen_file), "a path");
    TRY(listen_file_check_replaceable(options->listen_file, err));
    TRY(listen_file_make_token(gateway->file.token, err));
    TRY(bind_listener(options, &gateway->listener, err));
    TRY(name_listener(gateway, options->bind, err));
    return watch_listener(gateway, err);
}

dfaiss_status_t gateway_open(const gateway_options_t *options, gateway_t **out, dfaiss_error_t *err) {
    gateway_t *gateway = calloc(1, sizeof *gateway);
    if (!gateway)
        return error_memory(err, sizeof *gateway, "a gateway");
    gateway->listener = gateway->events = -1;
    gateway->limits = options->limits;
    gateway->takes = options->takes;
    gateway->forward = options->forward;
    gateway->context = options->context;
    gateway->servers = options->servers;
    gateway->lead = options->lead;
    bound_connections(&gateway->limits);
    dfaiss_status_t status = open_all(gateway, options, err);
    if (status != DFAISS_OK) {
        gateway_destroy(gateway);
        return status;
    }
    *out = gateway;
    return DFAISS_OK;
}

dfaiss_status_t gateway_publish(gateway_t *gateway, dfaiss_error_t *err) {
    if (gateway->published || gateway->closing)
        return DFAISS_OK;
    TRY(listen_file_write(gateway->path, &gateway->file, err));
    gateway->published = true;
    log_write(LOG_LEVEL_INFO, "listening at %s:%d; %s tells clients", gateway->file.host, gateway->file.port, gateway->path);
    return DFAISS_OK;
}

/* ---- closing ---- */

void gateway_close(gateway_t *gateway, const dfaiss_error_t *reason, bool at_once) {
    if (gateway->closing)
        return;
    gateway->closing = true;
    gateway->at_once = at_once;
    gateway->reason = *reason;
    gateway->looked_at = 0;
    if (gateway->published)
        listen_file_remove(gateway->path, &gateway->file);
    gateway->published = false;
    (void)close(gateway->listener);
    gateway->listener = -1;
}

bool gateway_quiet(const gateway_t *gateway) {
    return !gateway->connections && gateway->unanswered == 0 && !gateway->transits;
}

void gateway_destroy(gateway_t *gateway) {
    if (!gateway)
        return;
    if (gateway->published)
        listen_file_remove(gateway->path, &gateway->file);
    while (gateway->connections) {
        connection_t *connection = gateway->connections;
        gateway->connections = connection->next;
        connection_free(connection);
    }
    routes_clear(gateway);
    if (gateway->listener >= 0)
        (void)close(gateway->listener);
    if (gateway->events >= 0)
        (void)close(gateway->events);
    free(gateway->path);
    free(gateway);
}

int gateway_descriptor(const gateway_t *gateway) {
    return gateway->events;
}

int gateway_clients(const gateway_t *gateway) {
    return gateway->clients;
}

void gateway_traffic(const gateway_t *gateway, uint64_t *sent, uint64_t *received) {
    *sent = gateway->sent;
    *received = gateway->received;
}

/* ---- a turn ---- */

static void note_event(gateway_t *gateway, const struct epoll_event *event) {
    connection_t *connection = event->data.ptr;
    if (!connection) {
        gateway->acceptable = true;
        return;
    }
    connection->readable |= (event->events & EPOLLIN) != 0;
    connection->hung_up |= (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
}

static void note_events(gateway_t *gateway) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(gateway->events, events, EVENTS, 0);
    for (int i = 0; i < count; i++)
        note_event(gateway, &events[i]);
}

/* Those who show no token do not keep out those who do. */
static void make_room(gateway_t *gateway) {
    connection_t *connection = gateway->connections;
    while (connection && connection->stage != STAGE_GREETING)
        connection = connection->next;
    if (connection && gateway->strangers >= gateway->limits.strangers)
        connection_drop(gateway, connection);
}

static bool accept_some(gateway_t *gateway, int64_t now) {
    if (!gateway->acceptable || gateway->listener < 0 || now < gateway->accept_at)
        return false;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int descriptor = accept4(gateway->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            socket_tune(descriptor);
            make_room(gateway);
            connection_accept(gateway, descriptor, now);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            gateway->acceptable = false;
            return i > 0;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            gateway->accept_at = now + ACCEPT_AGAIN_NANOSECONDS;
            return i > 0;
        }
    }
    return true;
}

static bool free_gone(gateway_t *gateway) {
    bool something = false;
    for (connection_t **place = &gateway->connections; *place;) {
        connection_t *connection = *place;
        if (connection->stage != STAGE_GONE) {
            place = &connection->next;
            continue;
        }
        *place = connection->next;
        connection_free(connection);
        something = true;
    }
    return something;
}

bool gateway_advance(gateway_t *gateway) {
    int64_t now = clock_nanoseconds();
    note_events(gateway);
    bool something = accept_some(gateway, now);
    for (connection_t *connection = gateway->connections; connection; connection = connection->next)
        something |= connection_advance(gateway, connection, now);
    if (now - gateway->looked_at > LOOK_NANOSECONDS) {
        gateway->looked_at = now;
        for (connection_t *connection = gateway->connections; connection; connection = connection->next)
            connection_look_after(gateway, connection, now);
    }
    return something | free_gone(gateway);
}
