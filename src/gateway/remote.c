#include "gateway/remote.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "gateway/frame.h"
#include "gateway/socket.h"
#include "gateway/stream.h"
#include "message/message.h"
#include "message/outcome.h"

enum {
    RECEIVE_BYTES = 1 << 26,   /* at one look */
    GOODBYE_BYTES = 1 << 12,   /* of a goodbye */
    LOOKED_AT_BYTES = 1 << 24, /* an answer for which free memory is looked at first */
    REST_MILLISECONDS = 20,    /* until the caller looks after its time-outs */
    BUSY_NANOSECONDS = 50000000,
};
static const double connect_seconds = 10;

struct remote {
    stream_t *stream; /* NULL: the connection has failed */
    dfaiss_error_t failure;
    char name[LISTEN_HOST + 16]; /* host:port */
    int servers, lead, number;
    uint64_t message_limit;
};

/* ---- connecting ---- */

/* Waits for what poll knows; ERR_TIMEOUT. */
static dfaiss_status_t wait_for(int descriptor, short events, double deadline, dfaiss_error_t *err) {
    for (;;) {
        double left = deadline - clock_seconds();
        struct pollfd watched = {.fd = descriptor, .events = events};
        int ready = left > 0 ? poll(&watched, 1, (int)(left * 1000) + 1) : 0;
        if (ready > 0)
            return DFAISS_OK;
        if (ready == 0)
            return error_set(err, DFAISS_ERR_TIMEOUT, "", "no answer within %.0f seconds", connect_seconds);
        if (errno != EINTR)
            return error_set(err, DFAISS_ERR_PEER, "", "%s", strerror(errno));
    }
}

static dfaiss_status_t connect_socket(int descriptor, const struct addrinfo *address, double deadline, dfaiss_error_t *err) {
    int failure = 0;
    socklen_t size = sizeof failure;
    if (connect(descriptor, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS && errno != EINTR)
            return error_set(err, DFAISS_ERR_PEER, "", "%s", strerror(errno));
        TRY(wait_for(descriptor, POLLOUT, deadline, err));
    }
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    return failure == 0 ? DFAISS_OK : error_set(err, DFAISS_ERR_PEER, "", "%s", strerror(failure));
}

static dfaiss_status_t read_welcome(int descriptor, double deadline, frame_welcome_t *welcome, dfaiss_error_t *err) {
    uint8_t bytes[FRAME_WELCOME_BYTES];
    for (size_t got = 0; got < sizeof bytes;) {
        TRY(wait_for(descriptor, POLLIN, deadline, err));
        ssize_t received = recv(descriptor, bytes + got, sizeof bytes - got, 0);
        if (received == 0)
            return error_set(err, DFAISS_ERR_PEER, "", "it closed the connection");
        if (received < 0 && errno != EINTR && errno != EAGAIN)
            return error_set(err, DFAISS_ERR_PEER, "", "%s", strerror(errno));
        got += received > 0 ? (size_t)received : 0;
    }
    return frame_welcome_decode(bytes, welcome, err);
}

/* Where it cannot be sent, the gateway may have said why already. */
static dfaiss_status_t greet(int descriptor, const listen_file_t *file, double deadline, frame_welcome_t *welcome, dfaiss_error_t *err) {
    uint8_t hello[FRAME_HELLO];
    frame_hello_encode(file->token, hello);
    ssize_t sent = send(descriptor, hello, sizeof hello, MSG_NOSIGNAL);
    memset(hello, 0, sizeof hello);
    if (sent >= 0 && sent < FRAME_HELLO)
        return error_set(err, DFAISS_ERR_PEER, "", "it takes no bytes");
    return read_welcome(descriptor, deadline, welcome, err);
}

static dfaiss_status_t try_address(const struct addrinfo *address, const listen_file_t *file, double deadline, int *out, frame_welcome_t *welcome,
                                   dfaiss_error_t *err) {
    int descriptor = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address->ai_protocol);
    if (descriptor < 0)
        return error_system(err, "make", "a socket", errno);
    socket_tune(descriptor);
    dfaiss_status_t status = connect_socket(descriptor, address, deadline, err);
    if (status == DFAISS_OK)
        status = greet(descriptor, file, deadline, welcome, err);
    if (status != DFAISS_OK || welcome->verdict != FRAME_WELCOME)
        (void)close(descriptor);
    else
        *out = descriptor;
    return status;
}

static dfaiss_status_t try_addresses(const struct addrinfo *addresses, const listen_file_t *file, double deadline, int *out, frame_welcome_t *welcome,
                                     dfaiss_error_t *err) {
    dfaiss_status_t status = DFAISS_ERR_PEER;
    for (const struct addrinfo *address = addresses; address && status != DFAISS_OK; address = address->ai_next)
        status = try_address(address, file, deadline, out, welcome, err);
    return status;
}

static dfaiss_status_t explain(const frame_welcome_t *welcome, dfaiss_error_t *err) {
    switch (welcome->verdict) {
    case FRAME_WRONG_TOKEN:
        return error_set(err, DFAISS_ERR_PEER, "", "the servers there have not written this file: they are another job's");
    case FRAME_WRONG_VERSION:
        return error_set(err, DFAISS_ERR_PEER, "", "the servers there run dfaiss %u.%u.%u: both sides need the same dfaiss",
                         (unsigned)welcome->library / 10000, (unsigned)welcome->library / 100 % 100, (unsigned)welcome->library % 100);
    case FRAME_BUSY:
        return error_set(err, DFAISS_ERR_PEER, "", "the servers there have as many connections as they take");
    default:
        return DFAISS_OK;
    }
}

/* A gateway without room is asked again until time is up. */
static dfaiss_status_t connect_and_greet(const struct addrinfo *addresses, const listen_file_t *file, int *out, frame_welcome_t *welcome,
                                         dfaiss_error_t *err) {
    double deadline = clock_seconds() + connect_seconds;
    for (;;) {
        TRY(try_addresses(addresses, file, deadline, out, welcome, err));
        if (welcome->verdict != FRAME_BUSY || clock_seconds() >= deadline)
            return explain(welcome, err);
        nanosleep(&(struct timespec){.tv_nsec = BUSY_NANOSECONDS}, NULL);
    }
}

static dfaiss_status_t join(remote_t *remote, const char *path, const listen_file_t *file, dfaiss_error_t *err) {
    struct addrinfo *addresses = NULL;
    frame_welcome_t welcome = {0};
    int descriptor = -1;
    snprintf(remote->name, sizeof remote->name, "%s:%d", file->host, file->port);
    dfaiss_status_t status = socket_resolve(file->host, file->port, false, &addresses, err);
    if (status == DFAISS_OK) {
        status = connect_and_greet(addresses, file, &descriptor, &welcome, err);
        freeaddrinfo(addresses);
    }
    if (status != DFAISS_OK)
        return error_prefix(err, status, "cannot connect to the servers at %s, which %s names: ", remote->name, path);
    status = stream_create(descriptor, &remote->stream, err);
    if (status != DFAISS_OK) {
        (void)close(descriptor);
        return status;
    }
    remote->servers = (int)welcome.servers;
    remote->lead = (int)welcome.lead;
    remote->number = (int)welcome.number;
    remote->message_limit = welcome.message_limit;
    return DFAISS_OK;
}

dfaiss_status_t remote_connect(const char *listen_file, remote_t **out, dfaiss_error_t *err) {
    listen_file_t file;
    TRY(listen_file_read(listen_file, &file, err));
    remote_t *remote = calloc(1, sizeof *remote);
    if (!remote)
        return error_memory(err, sizeof *remote, "a connection");
    dfaiss_status_t status = join(remote, listen_file, &file, err);
    if (status != DFAISS_OK) {
        remote_destroy(remote);
        return status;
    }
    *out = remote;
    return DFAISS_OK;
}

void remote_destroy(remote_t *remote) {
    if (!remote)
        return;
    stream_destroy(remote->stream);
    free(remote);
}

int remote_servers(const remote_t *remote) {
    return remote->servers;
}

int remote_lead(const remote_t *remote) {
    return remote->lead;
}

int remote_number(const remote_t *remote) {
    return remote->number;
}

/* ---- messages ---- */

static dfaiss_status_t report_failure(const remote_t *remote, dfaiss_error_t *err) {
    if (err)
        *err = remote->failure;
    return remote->failure.code;
}

/* What was lent is free from now on. */
static dfaiss_status_t fail(remote_t *remote, const dfaiss_error_t *error, dfaiss_error_t *err) {
    stream_t *stream = remote->stream;
    remote->failure = *error;
    error_prefix(&remote->failure, error->code, "servers at %s: ", remote->name);
    remote->stream = NULL;
    stream_destroy(stream);
    return report_failure(remote, err);
}

static dfaiss_status_t check_size(const remote_t *remote, size_t body_size, size_t bulk_size, dfaiss_error_t *err) {
    if (body_size > TRANSPORT_BODY_LIMIT)
        return error_set(err, DFAISS_ERR_ARG, "body", "a body of %zu bytes; at most %d are allowed", body_size, TRANSPORT_BODY_LIMIT);
    if (bulk_size > remote->message_limit || bulk_size + body_size > remote->message_limit)
        return error_set(err, DFAISS_ERR_ARG, "n", "%zu bytes in one call; the servers' gateway takes %llu at most", body_size + bulk_size,
                         (unsigned long long)remote->message_limit);
    return DFAISS_OK;
}

dfaiss_status_t remote_send(remote_t *remote, int server, uint32_t kind, uint64_t correlation, const void *body, size_t body_size, const void *bulk,
                            size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err) {
    if (!remote->stream)
        return report_failure(remote, err);
    TRY(check_size(remote, body_size, bulk_size, err));
    void *copy = body_size > 0 ? malloc(body_size) : NULL;
    if (body_size > 0 && !copy)
        return error_memory(err, body_size, "the body of a message");
    if (copy)
        memcpy(copy, body, body_size);
    frame_head_t head = {
        .kind = kind, .server = (uint32_t)server, .body_size = (uint32_t)body_size, .correlation = correlation, .bulk_size = bulk_size};
    TRY(stream_send(remote->stream, &head, copy, bulk, done, context, err));
    /* If the other end is gone, it may have said why, which remote_progress will read, and fail. */
    dfaiss_status_t flushed = stream_flush(remote->stream, NULL, NULL);
    (void)flushed;
    return DFAISS_OK;
}

/* *refused: the message whose head has come finds no memory. */
static dfaiss_status_t admit(remote_t *remote, const frame_head_t *head, bool *refused, dfaiss_error_t *err) {
    size_t bytes = head->body_size + (size_t)head->bulk_size;
    bool goodbye = head->kind == FRAME_GOODBYE;
    if ((goodbye && bytes > GOODBYE_BYTES) || (!goodbye && head->kind != MESSAGE_ANSWER))
        return error_set(err, DFAISS_ERR_PEER, "", "a message of kind %u, which is no answer", (unsigned)head->kind);
    dfaiss_error_t error = {0};
    dfaiss_status_t status = DFAISS_OK;
    if (bytes > LOOKED_AT_BYTES && bytes > memory_available())
        status = error_memory(&error, bytes, "an answer");
    if (status == DFAISS_OK)
        status = stream_admit(remote->stream, &error);
    *refused = status != DFAISS_OK;
    if (*refused)
        stream_skip(remote->stream);
    return DFAISS_OK;
}

static dfaiss_status_t take_goodbye(transport_message_t *message, dfaiss_error_t *err) {
    dfaiss_status_t status = DFAISS_ERR_PEER;
    dfaiss_error_t said = {0};
    bytes_reader_t in = bytes_reader(message->body, message->body_size);
    dfaiss_status_t read = message_outcome_decode(MESSAGE_ANSWER, &in, &status, &said, err);
    transport_message_clear(message);
    TRY(read);
    if (status == DFAISS_OK)
        return error_set(err, DFAISS_ERR_PEER, "", "they ended the connection");
    return error_set(err, status, said.where, "%s", said.text);
}

typedef enum found { NOTHING, SOMETHING, AN_ANSWER, NO_MEMORY } found_t;

/* One look. NO_MEMORY: *message says whose answer it is. */
static dfaiss_status_t look(remote_t *remote, transport_message_t *message, found_t *found, dfaiss_error_t *err) {
    size_t received = 0;
    bool drained = false, refused = false;
    frame_head_t head;
    TRY(stream_receive(remote->stream, RECEIVE_BYTES, &received, &drained, err));
    *found = drained ? NOTHING : SOMETHING;
    if (stream_head(remote->stream, &head)) {
        TRY(admit(remote, &head, &refused, err));
        if (refused) {
            *message = (transport_message_t){.kind = head.kind, .correlation = head.correlation};
            *found = NO_MEMORY;
            return DFAISS_OK;
        }
    }
    if (!stream_take(remote->stream, message))
        return DFAISS_OK;
    if (message->kind == FRAME_GOODBYE)
        return take_goodbye(message, err);
    *found = AN_ANSWER;
    return DFAISS_OK;
}

dfaiss_status_t remote_progress(remote_t *remote, transport_message_t *message, bool *arrived, dfaiss_error_t *err) {
    dfaiss_error_t lost = {0}, error = {0};
    found_t found = SOMETHING;
    *arrived = false;
    if (!remote->stream)
        return report_failure(remote, err);
    dfaiss_status_t sent = stream_flush(remote->stream, NULL, &lost);
    while (found == SOMETHING) {
        if (look(remote, message, &found, &error) != DFAISS_OK)
            return fail(remote, &error, err);
    }
    if (found == NO_MEMORY)
        return error_set(err, DFAISS_ERR_MEMORY, "", "not enough memory for an answer of the servers at %s", remote->name);
    *arrived = found == AN_ANSWER;
    return sent == DFAISS_OK || *arrived ? DFAISS_OK : fail(remote, &lost, err);
}

bool remote_failed(const remote_t *remote) {
    return !remote->stream;
}

void remote_idle(remote_t *remote) {
    if (!remote->stream)
        return;
    short events = (short)(stream_unsent(remote->stream) > 0 ? POLLIN | POLLOUT : POLLIN);
    struct pollfd watched = {.fd = stream_descriptor(remote->stream), .events = events};
    (void)poll(&watched, 1, REST_MILLISECONDS);
}
