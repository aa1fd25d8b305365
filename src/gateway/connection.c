/* One connection: the token, then requests in and answers out, until somebody ends it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "gateway/gateway_internal.h"
#include "message/message.h"
#include "message/outcome.h"

enum {
    TURN_BYTES = 1 << 20,             /* that a client may bring before the others have their turn */
    SMALL_BYTES = 1 << 18,            /* a request that need not wait until the large ones of others are through */
    LOOKED_AT_BYTES = 1 << 24,        /* a request for which free memory is looked at first */
    UNSENT_BYTES = 1 << 25,           /* of answers that a client has not taken; beyond, it is not listened to */
    LEAVING_NANOSECONDS = 2000000000, /* for a goodbye to be taken */
};

static bool is_over(double seconds, int64_t since, int64_t now) {
    return seconds > 0 && (double)(now - since) * 1e-9 > seconds;
}

/* ---- coming ---- */

void connection_accept(gateway_t *gateway, int descriptor, int64_t now) {
    connection_t *connection = calloc(1, sizeof *connection);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    if (!connection || epoll_ctl(gateway->events, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        (void)close(descriptor);
        free(connection);
        return;
    }
    connection->descriptor = descriptor;
    connection->came_at = connection->heard_at = connection->took_at = now;
    LIST_APPEND(gateway->connections, connection);
    gateway->strangers++;
}

static void welcome(gateway_t *gateway, connection_t *connection, frame_verdict_t verdict) {
    uint8_t bytes[FRAME_WELCOME_BYTES];
    dfaiss_error_t error;
    frame_welcome_t message = {.verdict = verdict};
    if (verdict == FRAME_WELCOME && stream_create(connection->descriptor, &connection->stream, &error) != DFAISS_OK)
        message.verdict = FRAME_BUSY;
    if (message.verdict == FRAME_WELCOME) {
        gateway->last_number = gateway->last_number % INT32_MAX + 1;
        connection->number = gateway->last_number;
        message.servers = (uint32_t)gateway->servers;
        message.lead = (uint32_t)gateway->lead;
        message.number = connection->number;
        message.message_limit = gateway->limits.message_bytes;
    }
    frame_welcome_encode(&message, bytes);
    /* The first bytes of a connection always find room. */
    bool sent = send(connection->descriptor, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof bytes;
    if (message.verdict != FRAME_WELCOME || !sent) {
        (void)shutdown(connection->descriptor, SHUT_WR);
        connection_drop(gateway, connection);
        return;
    }
    gateway->strangers--;
    gateway->clients++;
    connection->stage = STAGE_OPEN;
}

static frame_verdict_t judge(const gateway_t *gateway, const connection_t *connection) {
    if (!frame_versions_fit(connection->hello + LISTEN_TOKEN))
        return FRAME_WRONG_VERSION;
    return gateway->clients < gateway->limits.connections ? FRAME_WELCOME : FRAME_BUSY;
}

/* Never more than the token before it is the right one. */
static bool greet(gateway_t *gateway, connection_t *connection) {
    size_t wanted = connection->got < LISTEN_TOKEN ? LISTEN_TOKEN : FRAME_HELLO;
    ssize_t got = recv(connection->descriptor, connection->hello + connection->got, wanted - connection->got, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        connection->readable = errno == EINTR;
        return false;
    }
    if (got <= 0) {
        connection_drop(gateway, connection);
        return true;
    }
    connection->got += (size_t)got;
    if (connection->got == LISTEN_TOKEN && !frame_token_equal(connection->hello, gateway->file.token)) {
        log_write(LOG_LEVEL_INFO, "gateway: a connection with a wrong token was refused");
        welcome(gateway, connection, FRAME_WRONG_TOKEN);
    } else if (connection->got == FRAME_HELLO) {
        welcome(gateway, connection, judge(gateway, connection));
    }
    return true;
}

/* ---- going ---- */

void connection_drop(gateway_t *gateway, connection_t *connection) {
    if (connection->stage == STAGE_GONE)
        return;
    if (connection->stage == STAGE_GREETING)
        gateway->strangers--;
    else
        gateway->clients--;
    connection->stage = STAGE_GONE;
    gateway->held -= connection->reserved;
    connection->reserved = 0;
    if (connection->number)
        routes_abandon(gateway, connection);
}

void connection_free(connection_t *connection) {
    if (connection->stream)
        stream_destroy(connection->stream);
    else
        (void)close(connection->descriptor);
    free(connection);
}

void connection_dismiss(gateway_t *gateway, connection_t *connection, dfaiss_status_t status, const dfaiss_error_t *error) {
    bytes_writer_t body = {0};
    if (connection->stage != STAGE_OPEN) {
        connection_drop(gateway, connection);
        return;
    }
    message_outcome_encode(status, error, &body);
    frame_head_t head = {.kind = FRAME_GOODBYE, .body_size = (uint32_t)body.size};
    if (body.failed) {
        bytes_writer_destroy(&body);
        connection_drop(gateway, connection);
    } else if (stream_send(connection->stream, &head, body.data, NULL, NULL, NULL, NULL) != DFAISS_OK) {
        connection_drop(gateway, connection);
    } else {
        connection->stage = STAGE_LEAVING;
        connection->came_at = clock_nanoseconds();
    }
}

static void dismiss_with(gateway_t *gateway, connection_t *connection, dfaiss_status_t status, const char *text) {
    dfaiss_error_t error = {0};
    (void)error_set(&error, status, "", "%s", text);
    log_write(LOG_LEVEL_INFO, "gateway: client %u: %s", (unsigned)connection->number, text);
    connection_dismiss(gateway, connection, status, &error);
}

/* ---- requests ---- */

/* The answer to a request that is not taken in; the connection goes on. */
static void refuse(gateway_t *gateway, connection_t *connection, const frame_head_t *head, const dfaiss_error_t *error) {
    bytes_writer_t body = {0};
    message_outcome_encode(error->code, error, &body);
    transport_message_t answer = {.body = body.data, .body_size = body.size};
    stream_skip(connection->stream);
    if (body.failed) {
        bytes_writer_destroy(&body);
        connection_drop(gateway, connection);
        return;
    }
    connection_answer(gateway, connection, head->correlation, &answer);
}

/* ERR_ARG, ERR_PEER: such a request ends the connection. */
static dfaiss_status_t check_head(const gateway_t *gateway, const frame_head_t *head, dfaiss_error_t *err) {
    if (!gateway->takes(head->kind))
        return error_set(err, DFAISS_ERR_PEER, "", "a client may not send messages of kind %u", (unsigned)head->kind);
    if (head->server >= (uint32_t)gateway->servers)
        return error_set(err, DFAISS_ERR_PEER, "", "a message for server %u; there are servers 0 to %d", (unsigned)head->server,
                         gateway->servers - 1);
    uint64_t bytes;
    if (__builtin_add_overflow(head->bulk_size, head->body_size, &bytes) || bytes > gateway->limits.message_bytes)
        return error_set(err, DFAISS_ERR_ARG, "", "a message of %llu bytes; the gateway takes %llu at most", (unsigned long long)head->bulk_size,
                         (unsigned long long)gateway->limits.message_bytes);
    return DFAISS_OK;
}

/* Memory for a request whose head has come. False where it has to wait, or was refused. */
static bool admit(gateway_t *gateway, connection_t *connection, const frame_head_t *head) {
    dfaiss_error_t error = {0};
    if (check_head(gateway, head, &error) != DFAISS_OK) {
        dismiss_with(gateway, connection, error.code, error.text);
        return false;
    }
    size_t bytes = head->body_size + (size_t)head->bulk_size;
    if (bytes > SMALL_BYTES && gateway->held > 0 && gateway->held + bytes > gateway->limits.held_bytes)
        return false;
    dfaiss_status_t status = DFAISS_OK;
    if (bytes > LOOKED_AT_BYTES && bytes > memory_available())
        status = error_memory(&error, bytes, "a request");
    if (status == DFAISS_OK)
        status = stream_admit(connection->stream, &error);
    if (status != DFAISS_OK) {
        refuse(gateway, connection, head, &error);
        return true;
    }
    connection->reserved = bytes;
    gateway->held += bytes;
    return true;
}

static bool may_receive(const gateway_t *gateway, const connection_t *connection) {
    return connection->stage == STAGE_OPEN && connection->readable && connection->under_way < gateway->limits.under_way &&
           stream_unsent(connection->stream) < UNSENT_BYTES;
}

/* Waits for memory that others hold. */
static bool receive_some(gateway_t *gateway, connection_t *connection, size_t *received, bool *waits, dfaiss_error_t *err) {
    frame_head_t head;
    transport_message_t message;
    bool drained = false;
    *received = 0;
    if (stream_receive(connection->stream, TURN_BYTES, received, &drained, err) != DFAISS_OK)
        return false;
    if (drained)
        connection->readable = false;
    if (stream_head(connection->stream, &head))
        *waits = !admit(gateway, connection, &head);
    if (stream_take(connection->stream, &message))
        route_request(gateway, connection, &message);
    return true;
}

static bool receive_requests(gateway_t *gateway, connection_t *connection, int64_t now) {
    size_t total = 0;
    bool waits = false;
    while (!waits && total < TURN_BYTES && may_receive(gateway, connection)) {
        size_t received = 0;
        dfaiss_error_t error = {0};
        if (!receive_some(gateway, connection, &received, &waits, &error)) {
            log_write(LOG_LEVEL_INFO, "gateway: client %u: %s", (unsigned)connection->number, error.text);
            connection_drop(gateway, connection);
            return true;
        }
        total += received;
        gateway->received += received;
    }
    if (total > 0 || waits)
        connection->heard_at = now;
    return total > 0;
}

/* ---- answers ---- */

typedef struct block {
    void *data;
    size_t size;
} block_t;

static void free_block(void *context) {
    block_t *block = context;
    memory_unmap(block->data, block->size);
    free(block);
}

static bool flush(gateway_t *gateway, connection_t *connection, int64_t now) {
    size_t sent = 0;
    bool any = stream_unsent_messages(connection->stream) > 0;
    if (any && stream_flush(connection->stream, &sent, NULL) != DFAISS_OK) {
        connection_drop(gateway, connection);
        return true;
    }
    gateway->sent += sent;
    if (sent > 0)
        connection->heard_at = now;
    if (sent > 0 || stream_unsent_messages(connection->stream) == 0)
        connection->took_at = now;
    return sent > 0;
}

/* Whoever has most answers waiting makes room, unless it is a single one. */
static void bound_unsent(gateway_t *gateway) {
    size_t all = 0;
    connection_t *most = NULL;
    for (connection_t *connection = gateway->connections; connection; connection = connection->next) {
        if (connection->stage != STAGE_OPEN)
            continue;
        size_t unsent = stream_unsent(connection->stream);
        all += unsent;
        if (stream_unsent_messages(connection->stream) > 1 && (!most || unsent > stream_unsent(most->stream)))
            most = connection;
    }
    if (all > gateway->limits.unsent_bytes && most) {
        log_write(LOG_LEVEL_INFO, "gateway: client %u has not taken %zu bytes of answers and was dropped", (unsigned)most->number,
                  stream_unsent(most->stream));
        connection_drop(gateway, most);
    }
}

void connection_answer(gateway_t *gateway, connection_t *connection, uint64_t correlation, transport_message_t *message) {
    frame_head_t head = {
        .kind = MESSAGE_ANSWER, .body_size = (uint32_t)message->body_size, .correlation = correlation, .bulk_size = message->bulk_size};
    block_t *block = message->bulk ? malloc(sizeof *block) : NULL;
    if (connection->stage != STAGE_OPEN || (message->bulk && !block)) {
        free(block);
        transport_message_clear(message);
        if (connection->stage == STAGE_OPEN)
            connection_drop(gateway, connection);
        return;
    }
    if (block)
        *block = (block_t){.data = message->bulk, .size = message->bulk_size};
    void *body = message->body;
    const void *bulk = message->bulk;
    *message = (transport_message_t){0};
    if (stream_send(connection->stream, &head, body, bulk, block ? free_block : NULL, block, NULL) != DFAISS_OK) {
        if (block)
            free_block(block);
        connection_drop(gateway, connection);
        return;
    }
    (void)flush(gateway, connection, clock_nanoseconds());
    if (stream_unsent(connection->stream) > 0)
        bound_unsent(gateway);
}

/* ---- a turn ---- */

bool connection_advance(gateway_t *gateway, connection_t *connection, int64_t now) {
    bool something = false;
    if (connection->hung_up && connection->stage != STAGE_GONE) {
        connection_drop(gateway, connection);
        return true;
    }
    while (connection->stage == STAGE_GREETING && connection->readable && greet(gateway, connection))
        something = true;
    if (connection->stage == STAGE_OPEN)
        something |= receive_requests(gateway, connection, now);
    if (connection->stage == STAGE_OPEN || connection->stage == STAGE_LEAVING)
        something |= flush(gateway, connection, now);
    if (connection->stage == STAGE_LEAVING && stream_unsent(connection->stream) == 0) {
        (void)shutdown(connection->descriptor, SHUT_WR);
        connection_drop(gateway, connection);
        something = true;
    }
    return something;
}

static void look_after_client(gateway_t *gateway, connection_t *connection, int64_t now) {
    const gateway_limits_t *limits = &gateway->limits;
    bool unsent = stream_unsent(connection->stream) > 0, receiving = stream_receiving(connection->stream);
    if (unsent && is_over(limits->stall_seconds, connection->took_at, now)) {
        log_write(LOG_LEVEL_INFO, "gateway: client %u takes no answers and was dropped", (unsigned)connection->number);
        connection_drop(gateway, connection);
    } else if (receiving && connection->readable) {
        connection->heard_at = now; /* it is the gateway that does not listen */
    } else if (receiving && is_over(limits->stall_seconds, connection->heard_at, now)) {
        dismiss_with(gateway, connection, DFAISS_ERR_PEER, "the rest of a message did not come in time");
    } else if (!receiving && connection->under_way == 0 && is_over(limits->idle_seconds, connection->heard_at, now)) {
        dismiss_with(gateway, connection, DFAISS_ERR_PEER, "the connection was idle for too long");
    }
}

void connection_look_after(gateway_t *gateway, connection_t *connection, int64_t now) {
    switch (connection->stage) {
    case STAGE_GREETING:
        if (gateway->closing || is_over(gateway->limits.greeting_seconds, connection->came_at, now))
            connection_drop(gateway, connection);
        return;
    case STAGE_OPEN:
        if (gateway->closing && (gateway->at_once || connection->under_way == 0))
            connection_dismiss(gateway, connection, gateway->reason.code, &gateway->reason);
        else
            look_after_client(gateway, connection, now);
        return;
    case STAGE_LEAVING:
        if (now - connection->came_at > LEAVING_NANOSECONDS)
            connection_drop(gateway, connection);
        return;
    case STAGE_GONE:
        return;
    }
}
