/* From transport_send to what has left. Whatever is small is copied into one packet behind its envelope and sent as one MPI message; what does
 * not fit follows in pieces, a few at a time, read from the caller's bulk. A message to oneself goes straight to the queue of arrived ones.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "transport/internal.h"

typedef struct parcel {
    int rank;
    uint32_t kind;
    uint64_t correlation;
    const void *body;
    size_t body_size;
    const void *bulk;
    size_t bulk_size;
    bool farewell;
} parcel_t;

static bool body_follows(const parcel_t *parcel) {
    return parcel->body_size > INLINE_LIMIT;
}

static bool bulk_follows(const parcel_t *parcel) {
    size_t room = body_follows(parcel) ? INLINE_LIMIT : INLINE_LIMIT - parcel->body_size;
    return parcel->bulk_size > room;
}

static dfaiss_status_t check_parcel(const transport_t *transport, const parcel_t *parcel, dfaiss_error_t *err) {
    if (parcel->rank < 0 || parcel->rank >= transport->size)
        return error_set(err, DFAISS_ERR_ARG, "rank", "a message to rank %d; there are ranks 0 to %d", parcel->rank, transport->size - 1);
    if (parcel->body_size > TRANSPORT_BODY_LIMIT)
        return error_set(err, DFAISS_ERR_ARG, "body", "a body of %zu bytes; at most %d are allowed", parcel->body_size, TRANSPORT_BODY_LIMIT);
    if ((parcel->body_size > 0 && !parcel->body) || (parcel->bulk_size > 0 && !parcel->bulk))
        return error_set(err, DFAISS_ERR_ARG, "body", "a message of %zu and %zu bytes without their address", parcel->body_size, parcel->bulk_size);
    return DFAISS_OK;
}

/* Tags go round, so that one comes back long after the last message that had it. */
static dfaiss_status_t take_tag(transport_t *transport, int *tag, dfaiss_error_t *err) {
    for (int tries = 0; tries < ENVELOPE_TAG_LAST; tries++) {
        transport->last_tag = transport->last_tag % ENVELOPE_TAG_LAST + 1;
        if (!transport->tag_used[transport->last_tag]) {
            transport->tag_used[transport->last_tag] = true;
            *tag = (int)transport->last_tag;
            return DFAISS_OK;
        }
    }
    return error_set(err, DFAISS_ERR_STATE, "", "%d large messages are under way, the most there can be", ENVELOPE_TAG_LAST);
}

static outgoing_t *take_outgoing(transport_t *transport) {
    outgoing_t *outgoing = transport->spare_outgoing;
    if (outgoing) {
        transport->spare_outgoing = outgoing->next;
        transport->spare_outgoings--;
    } else {
        outgoing = malloc(sizeof *outgoing);
    }
    if (outgoing)
        memset(outgoing, 0, offsetof(outgoing_t, packet));
    return outgoing;
}

void transport_outgoing_release(transport_t *transport, outgoing_t *outgoing) {
    free(outgoing->body);
    transport->tag_used[outgoing->tag] = false;
    if (transport->spare_outgoings >= SPARE_LIMIT) {
        free(outgoing);
        return;
    }
    outgoing->next = transport->spare_outgoing;
    transport->spare_outgoing = outgoing;
    transport->spare_outgoings++;
}

static dfaiss_status_t set_pieces(outgoing_t *outgoing, const parcel_t *parcel, uint32_t piece_size, dfaiss_error_t *err) {
    outgoing->pieces.piece_size = piece_size;
    if (body_follows(parcel)) {
        outgoing->body = malloc(parcel->body_size);
        if (!outgoing->body)
            return error_memory(err, parcel->body_size, "the body of a message");
        memcpy(outgoing->body, parcel->body, parcel->body_size);
        outgoing->pieces.part[0] = outgoing->body;
        outgoing->pieces.size[0] = parcel->body_size;
    }
    if (bulk_follows(parcel)) {
        outgoing->pieces.part[1] = (uint8_t *)(uintptr_t)parcel->bulk; /* only read */
        outgoing->pieces.size[1] = parcel->bulk_size;
    }
    return DFAISS_OK;
}

static void set_packet(outgoing_t *outgoing, const parcel_t *parcel) {
    envelope_t envelope = {
        .flags = (uint8_t)((body_follows(parcel) ? ENVELOPE_BODY_FOLLOWS : 0) | (bulk_follows(parcel) ? ENVELOPE_BULK_FOLLOWS : 0) |
                           (parcel->farewell ? ENVELOPE_LEAVE : 0)),
        .kind = parcel->kind,
        .tag = (uint32_t)outgoing->tag,
        .correlation = parcel->correlation,
        .body_size = (uint32_t)parcel->body_size,
        .piece_size = (uint32_t)outgoing->pieces.piece_size,
        .bulk_size = parcel->bulk_size,
    };
    /* As large as the packet can become: the writer never allocates. */
    bytes_writer_t writer = {.data = outgoing->packet, .capacity = sizeof outgoing->packet};
    envelope_encode(&writer, &envelope);
    if (!body_follows(parcel))
        bytes_put(&writer, parcel->body, parcel->body_size);
    if (!bulk_follows(parcel))
        bytes_put(&writer, parcel->bulk, parcel->bulk_size);
    outgoing->packet_size = writer.size;
}

/* Everything that can fail before anything is sent. */
static dfaiss_status_t prepare(transport_t *transport, const parcel_t *parcel, outgoing_t **out, dfaiss_error_t *err) {
    TRY(transport_requests_reserve(transport, 1 + WINDOW, err));
    outgoing_t *outgoing = take_outgoing(transport);
    if (!outgoing)
        return error_memory(err, sizeof *outgoing, "a message");
    outgoing->destination = parcel->rank;
    dfaiss_status_t status = set_pieces(outgoing, parcel, transport->piece_size, err);
    if (status == DFAISS_OK && (body_follows(parcel) || bulk_follows(parcel)))
        status = take_tag(transport, &outgoing->tag, err);
    if (status != DFAISS_OK) {
        transport_outgoing_release(transport, outgoing);
        return status;
    }
    set_packet(outgoing, parcel);
    *out = outgoing;
    return DFAISS_OK;
}

static dfaiss_status_t post(transport_t *transport, outgoing_t *outgoing, const void *address, int length, int tag, dfaiss_error_t *err) {
    MPI_Request request;
    int code = MPI_Isend(address, length, MPI_BYTE, outgoing->destination, tag, transport->comm, &request);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Isend", err);
    transport->counts.sent_bytes += (uint64_t)length;
    /* A small message has mostly left by now, which spares it the table. */
    int left = 0;
    if (tag == TAG_ENVELOPE && outgoing->tag == 0)
        code = MPI_Test(&request, &left, MPI_STATUS_IGNORE);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Test", err);
    if (left)
        return DFAISS_OK;
    transport_requests_add(transport, request, (owner_t){.work = WORK_OUT, .length = length, .object = outgoing});
    outgoing->pending++;
    return DFAISS_OK;
}

/* Up to WINDOW pieces under way. A failure is for good, since the receiver waits for what cannot be sent. */
static void post_pieces(transport_t *transport, outgoing_t *outgoing) {
    dfaiss_error_t error;
    uint8_t *address;
    int length;
    while (outgoing->pending < WINDOW && transport_pieces_next(&outgoing->pieces, &address, &length)) {
        if (transport_requests_reserve(transport, 1, &error) != DFAISS_OK ||
            post(transport, outgoing, address, length, outgoing->tag, &error) != DFAISS_OK) {
            transport_complain(transport, &error, true);
            return;
        }
    }
}

static void finish_later(transport_t *transport, outgoing_t *outgoing) {
    outgoing->next = NULL;
    if (transport->finished_last)
        transport->finished_last->next = outgoing;
    else
        transport->finished_first = outgoing;
    transport->finished_last = outgoing;
}

void transport_send_step(transport_t *transport, outgoing_t *outgoing) {
    outgoing->pending--;
    if (!transport->failed)
        post_pieces(transport, outgoing);
    if (outgoing->pending > 0)
        return;
    transport->unsent--;
    finish_later(transport, outgoing);
}

void transport_send_finish(transport_t *transport) {
    /* Taken off first: a done call may send, which may add to the list, and what is added waits for the next time. */
    outgoing_t *outgoing = transport->finished_first;
    transport->finished_first = transport->finished_last = NULL;
    for (outgoing_t *next; outgoing; outgoing = next) {
        next = outgoing->next;
        transport_done_t *done = outgoing->done;
        void *context = outgoing->context;
        transport_outgoing_release(transport, outgoing);
        if (done)
            done(context);
    }
}

static dfaiss_status_t send_packet(transport_t *transport, const parcel_t *parcel, transport_done_t *done, void *context, dfaiss_error_t *err) {
    outgoing_t *outgoing = NULL;
    TRY(prepare(transport, parcel, &outgoing, err));
    dfaiss_status_t status = post(transport, outgoing, outgoing->packet, (int)outgoing->packet_size, TAG_ENVELOPE, err);
    if (status != DFAISS_OK) {
        transport_outgoing_release(transport, outgoing);
        return status;
    }
    transport->counts.sent_messages++;
    bool copied = !bulk_follows(parcel);
    if (!copied) {
        outgoing->done = done;
        outgoing->context = context;
    }
    post_pieces(transport, outgoing);
    if (outgoing->pending > 0)
        transport->unsent++;
    else
        transport_outgoing_release(transport, outgoing);
    if (copied && done)
        done(context);
    return DFAISS_OK;
}

static dfaiss_status_t copy_to_self(transport_message_t *message, const parcel_t *parcel, dfaiss_error_t *err) {
    *message = (transport_message_t){.source = parcel->rank, .kind = parcel->kind, .correlation = parcel->correlation};
    if (parcel->body_size > 0) {
        message->body = malloc(parcel->body_size);
        if (!message->body)
            return error_memory(err, parcel->body_size, "the body of a message");
        memcpy(message->body, parcel->body, parcel->body_size);
        message->body_size = parcel->body_size;
    }
    if (parcel->bulk_size > 0) {
        message->bulk = memory_map(parcel->bulk_size);
        if (!message->bulk)
            return error_memory(err, parcel->bulk_size, "the bulk of a message");
        memcpy(message->bulk, parcel->bulk, parcel->bulk_size);
        message->bulk_size = parcel->bulk_size;
    }
    return DFAISS_OK;
}

/* Large bulk is let go of in transport_progress, as it is when it goes to others. */
static dfaiss_status_t send_to_self(transport_t *transport, const parcel_t *parcel, transport_done_t *done, void *context, dfaiss_error_t *err) {
    bool later = done && bulk_follows(parcel);
    outgoing_t *outgoing = later ? take_outgoing(transport) : NULL;
    if (later && !outgoing)
        return error_memory(err, sizeof *outgoing, "a message");
    incoming_t *incoming = transport_incoming_take(transport);
    dfaiss_status_t status = incoming ? copy_to_self(&incoming->message, parcel, err) : error_memory(err, sizeof *incoming, "a message");
    if (status != DFAISS_OK) {
        if (incoming)
            transport_incoming_release(transport, incoming);
        if (outgoing)
            transport_outgoing_release(transport, outgoing);
        return status;
    }
    transport_arrived_push(transport, incoming);
    transport_busy(transport);
    if (later) {
        outgoing->done = done;
        outgoing->context = context;
        finish_later(transport, outgoing);
    } else if (done) {
        done(context);
    }
    return DFAISS_OK;
}

dfaiss_status_t transport_send(transport_t *transport, int rank, uint32_t kind, uint64_t correlation, const void *body, size_t body_size,
                               const void *bulk, size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err) {
    parcel_t parcel = {
        .rank = rank, .kind = kind, .correlation = correlation, .body = body, .body_size = body_size, .bulk = bulk, .bulk_size = bulk_size};
    TRY(check_parcel(transport, &parcel, err));
    if (transport->failed)
        return error_set(err, transport->complaint.code, transport->complaint.where, "%s", transport->complaint.text);
    if (rank == transport->rank)
        return send_to_self(transport, &parcel, done, context, err);
    return send_packet(transport, &parcel, done, context, err);
}

dfaiss_status_t transport_send_farewell(transport_t *transport, int rank, dfaiss_error_t *err) {
    parcel_t parcel = {.rank = rank, .farewell = true};
    return send_packet(transport, &parcel, NULL, NULL, err);
}
