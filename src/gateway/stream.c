#include "gateway/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/memory.h"

enum { BUFFER = 1 << 14, PARTS = 3 };

/* A message on its way out: head, body, bulk. */
typedef struct parcel {
    struct parcel *next;
    uint8_t head[FRAME_HEAD];
    void *body; /* owned */
    size_t body_size;
    const void *bulk;
    size_t bulk_size;
    transport_done_t *done;
    void *context;
} parcel_t;

typedef enum state { HEAD_COMING, HEAD_HERE, FILLING, SKIPPING, WHOLE } state_t;

struct stream {
    int descriptor;

    parcel_t *first, *last;
    int parcels;
    size_t offset; /* of the first parcel, sent already */
    size_t unsent;

    state_t state;
    uint8_t head_bytes[FRAME_HEAD];
    frame_head_t head;
    transport_message_t message;
    size_t got;        /* of the head, or of body and bulk together */
    size_t begin, end; /* in the buffer: received and not used yet */
    uint8_t buffer[BUFFER];
};

dfaiss_status_t stream_create(int descriptor, stream_t **out, dfaiss_error_t *err) {
    stream_t *stream = malloc(sizeof *stream);
    if (!stream)
        return error_memory(err, sizeof *stream, "a connection");
    memset(stream, 0, offsetof(stream_t, buffer));
    stream->descriptor = descriptor;
    *out = stream;
    return DFAISS_OK;
}

/* Taken off before `done` is called, which may look at the stream. */
static void drop_first(stream_t *stream) {
    parcel_t *parcel = stream->first;
    stream->first = parcel->next;
    if (!stream->first)
        stream->last = NULL;
    stream->parcels--;
    stream->offset = 0;
    if (parcel->done)
        parcel->done(parcel->context);
    free(parcel->body);
    free(parcel);
}

void stream_destroy(stream_t *stream) {
    if (!stream)
        return;
    while (stream->first)
        drop_first(stream);
    transport_message_clear(&stream->message);
    (void)close(stream->descriptor);
    free(stream);
}

int stream_descriptor(const stream_t *stream) {
    return stream->descriptor;
}

/* ---- out ---- */

dfaiss_status_t stream_send(stream_t *stream, const frame_head_t *head, void *body, const void *bulk, transport_done_t *done, void *context,
                            dfaiss_error_t *err) {
    parcel_t *parcel = malloc(sizeof *parcel);
    if (!parcel) {
        free(body);
        return error_memory(err, sizeof *parcel, "a message");
    }
    *parcel =
        (parcel_t){.body = body, .body_size = head->body_size, .bulk = bulk, .bulk_size = (size_t)head->bulk_size, .done = done, .context = context};
    frame_head_encode(head, parcel->head);
    if (stream->last)
        stream->last->next = parcel;
    else
        stream->first = parcel;
    stream->last = parcel;
    stream->parcels++;
    stream->unsent += FRAME_HEAD + parcel->body_size + parcel->bulk_size;
    return DFAISS_OK;
}

/* What is left of a parcel when `offset` bytes of it have gone. */
static int remaining_parts(const parcel_t *parcel, size_t offset, struct iovec parts[PARTS]) {
    const struct iovec all[PARTS] = {
        {(void *)(uintptr_t)parcel->head, FRAME_HEAD}, {parcel->body, parcel->body_size}, {(void *)(uintptr_t)parcel->bulk, parcel->bulk_size}};
    int count = 0;
    for (int i = 0; i < PARTS; i++) {
        size_t skipped = offset < all[i].iov_len ? offset : all[i].iov_len;
        offset -= skipped;
        if (skipped < all[i].iov_len)
            parts[count++] = (struct iovec){(char *)all[i].iov_base + skipped, all[i].iov_len - skipped};
    }
    return count;
}

static dfaiss_status_t lost(const char *action, int errno_value, dfaiss_error_t *err) {
    if (errno_value == EPIPE || errno_value == ECONNRESET)
        return error_set(err, DFAISS_ERR_PEER, "", "the connection was closed by the other end");
    return error_set(err, DFAISS_ERR_PEER, "", "the connection is lost: cannot %s: %s", action, strerror(errno_value));
}

dfaiss_status_t stream_flush(stream_t *stream, size_t *sent, dfaiss_error_t *err) {
    size_t total = 0;
    if (sent)
        *sent = 0;
    while (stream->first) {
        struct iovec parts[PARTS];
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)remaining_parts(stream->first, stream->offset, parts)};
        ssize_t written = sendmsg(stream->descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (written < 0)
            return lost("send", errno, err);
        total += (size_t)written;
        stream->unsent -= (size_t)written;
        stream->offset += (size_t)written;
        if (stream->offset == FRAME_HEAD + stream->first->body_size + stream->first->bulk_size)
            drop_first(stream);
    }
    if (sent)
        *sent = total;
    return DFAISS_OK;
}

size_t stream_unsent(const stream_t *stream) {
    return stream->unsent;
}

int stream_unsent_messages(const stream_t *stream) {
    return stream->parcels;
}

/* ---- in ---- */

/* One look at the socket: bytes, 0 where there are none now. */
static dfaiss_status_t look(const stream_t *stream, void *into, size_t size, size_t *got, dfaiss_error_t *err) {
    ssize_t received;
    do
        received = recv(stream->descriptor, into, size, MSG_DONTWAIT);
    while (received < 0 && errno == EINTR);
    *got = received > 0 ? (size_t)received : 0;
    if (received > 0 || (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)))
        return DFAISS_OK;
    return lost("receive", received == 0 ? ECONNRESET : errno, err);
}

/* Up to `size` bytes; NULL: they are of no use. What is large goes past the buffer. */
static dfaiss_status_t fetch(stream_t *stream, uint8_t *into, size_t size, size_t *got, size_t *received, dfaiss_error_t *err) {
    if (stream->begin == stream->end) {
        if (into && size >= BUFFER) {
            TRY(look(stream, into, size, got, err));
            *received += *got;
            return DFAISS_OK;
        }
        size_t read = 0;
        TRY(look(stream, stream->buffer, BUFFER, &read, err));
        stream->begin = 0;
        stream->end = read;
        *received += read;
    }
    size_t here = stream->end - stream->begin;
    *got = here < size ? here : size;
    if (into)
        memcpy(into, stream->buffer + stream->begin, *got);
    stream->begin += *got;
    return DFAISS_OK;
}

static size_t message_bytes(const stream_t *stream) {
    return stream->head.body_size + (size_t)stream->head.bulk_size;
}

/* Where the next bytes of a message belong, and how many of them lie in a row. */
static uint8_t *next_place(stream_t *stream, size_t *size) {
    size_t body = stream->head.body_size;
    bool in_body = stream->got < body;
    *size = in_body ? body - stream->got : message_bytes(stream) - stream->got;
    if (stream->state == SKIPPING)
        return NULL;
    return in_body ? (uint8_t *)stream->message.body + stream->got : (uint8_t *)stream->message.bulk + (stream->got - body);
}

static dfaiss_status_t receive_head(stream_t *stream, size_t *got, size_t *received, dfaiss_error_t *err) {
    TRY(fetch(stream, stream->head_bytes + stream->got, FRAME_HEAD - stream->got, got, received, err));
    stream->got += *got;
    if (stream->got < FRAME_HEAD)
        return DFAISS_OK;
    TRY(frame_head_decode(stream->head_bytes, &stream->head, err));
    if (stream->head.bulk_size > SIZE_MAX / 2)
        return error_set(err, DFAISS_ERR_PEER, "", "a message of %llu bytes, more than this machine can address",
                         (unsigned long long)stream->head.bulk_size);
    stream->got = 0;
    stream->state = HEAD_HERE;
    return DFAISS_OK;
}

/* An empty message is whole at once. */
static void end_if_whole(stream_t *stream) {
    if (stream->got < message_bytes(stream))
        return;
    stream->state = stream->state == SKIPPING ? HEAD_COMING : WHOLE;
    stream->got = 0;
}

static dfaiss_status_t receive_message(stream_t *stream, size_t *got, size_t *received, dfaiss_error_t *err) {
    size_t size;
    uint8_t *into = next_place(stream, &size);
    TRY(fetch(stream, into, size, got, received, err));
    stream->got += *got;
    end_if_whole(stream);
    return DFAISS_OK;
}

dfaiss_status_t stream_receive(stream_t *stream, size_t most, size_t *received, bool *drained, dfaiss_error_t *err) {
    *received = 0;
    *drained = false;
    while (stream->state != HEAD_HERE && stream->state != WHOLE && *received < most) {
        size_t got = 0;
        if (stream->state == HEAD_COMING)
            TRY(receive_head(stream, &got, received, err));
        else
            TRY(receive_message(stream, &got, received, err));
        if (got == 0) {
            *drained = true;
            return DFAISS_OK;
        }
    }
    return DFAISS_OK;
}

bool stream_head(const stream_t *stream, frame_head_t *head) {
    if (stream->state == HEAD_HERE)
        *head = stream->head;
    return stream->state == HEAD_HERE;
}

dfaiss_status_t stream_admit(stream_t *stream, dfaiss_error_t *err) {
    const frame_head_t *head = &stream->head;
    transport_message_t message = {.source = (int)head->server, .kind = head->kind, .correlation = head->correlation};
    message.body = head->body_size > 0 ? malloc(head->body_size) : NULL;
    message.bulk = memory_map((size_t)head->bulk_size);
    message.body_size = message.body ? head->body_size : 0;
    message.bulk_size = message.bulk ? (size_t)head->bulk_size : 0;
    if (message.body_size != head->body_size || message.bulk_size != head->bulk_size) {
        transport_message_clear(&message);
        return error_memory(err, message_bytes(stream), "a message");
    }
    stream->message = message;
    stream->state = FILLING;
    end_if_whole(stream);
    return DFAISS_OK;
}

void stream_skip(stream_t *stream) {
    stream->state = SKIPPING;
    end_if_whole(stream);
}

bool stream_receiving(const stream_t *stream) {
    return stream->state == FILLING || stream->state == SKIPPING || (stream->state == HEAD_COMING && stream->got > 0);
}

bool stream_take(stream_t *stream, transport_message_t *message) {
    if (stream->state != WHOLE)
        return false;
    *message = stream->message;
    stream->message = (transport_message_t){0};
    stream->state = HEAD_COMING;
    return true;
}
