/* From posted receives to the queue of complete messages. A packet is checked before anything follows from it; what it announces to follow is
 * received straight into memory of its own. A message for which there is no memory is reported and received into nowhere, since its sender waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "transport/internal.h"

enum { HUGE_PAGES_FROM = 1 << 20 };

void transport_message_clear(transport_message_t *message) {
    free(message->body);
    memory_unmap(message->bulk, message->bulk_size);
    *message = (transport_message_t){0};
}

bool transport_pieces_next(pieces_t *pieces, uint8_t **address, int *length) {
    while (pieces->current < 2 && pieces->offset == pieces->size[pieces->current]) {
        pieces->current++;
        pieces->offset = 0;
    }
    if (pieces->current == 2)
        return false;
    size_t left = pieces->size[pieces->current] - pieces->offset;
    size_t piece = left < pieces->piece_size ? left : pieces->piece_size;
    uint8_t *part = pieces->part[pieces->current];
    *address = part ? part + pieces->offset : NULL;
    *length = (int)piece; /* at most ENVELOPE_PIECE_LIMIT */
    pieces->offset += piece;
    return true;
}

incoming_t *transport_incoming_take(transport_t *transport) {
    incoming_t *incoming = transport->spare_incoming;
    if (!incoming)
        return calloc(1, sizeof *incoming);
    transport->spare_incoming = incoming->next;
    transport->spare_incomings--;
    *incoming = (incoming_t){0};
    return incoming;
}

void transport_incoming_release(transport_t *transport, incoming_t *incoming) {
    transport_message_clear(&incoming->message);
    memory_unmap(incoming->nowhere, incoming->pieces.piece_size);
    if (transport->spare_incomings >= SPARE_LIMIT) {
        free(incoming);
        return;
    }
    incoming->next = transport->spare_incoming;
    transport->spare_incoming = incoming;
    transport->spare_incomings++;
}

void transport_arrived_push(transport_t *transport, incoming_t *incoming) {
    incoming->next = NULL;
    if (transport->arrived_last)
        transport->arrived_last->next = incoming;
    else
        transport->arrived_first = incoming;
    transport->arrived_last = incoming;
    transport->arrived++;
}

bool transport_arrived_pop(transport_t *transport, transport_message_t *message, size_t *wanted) {
    incoming_t *incoming = transport->arrived_first;
    if (!incoming)
        return false;
    transport->arrived_first = incoming->next;
    if (!transport->arrived_first)
        transport->arrived_last = NULL;
    transport->arrived--;
    *message = incoming->message;
    *wanted = incoming->wanted;
    incoming->message = (transport_message_t){0};
    transport_incoming_release(transport, incoming);
    return true;
}

dfaiss_status_t transport_receive_post(transport_t *transport, dfaiss_error_t *err) {
    if (transport->arrived >= ARRIVED_LIMIT)
        return DFAISS_OK;
    for (; transport->posted < RECEIVES; transport->posted++) {
        int i = (transport->first_posted + transport->posted) % RECEIVES;
        int code =
            MPI_Irecv(transport->owners[i].object, PACKET_LIMIT, MPI_BYTE, MPI_ANY_SOURCE, TAG_ENVELOPE, transport->comm, &transport->requests[i]);
        if (code != MPI_SUCCESS)
            return transport_mpi_error(code, "MPI_Irecv", err);
    }
    return DFAISS_OK;
}

/* Bytes of a receive that went well. Anything that the sender is to blame for is ERR_PEER, a failure of MPI itself is for good. */
static dfaiss_status_t check_received(transport_t *transport, const MPI_Status *status, int code, int *length, dfaiss_error_t *err) {
    int error_class = MPI_SUCCESS;
    if (code != MPI_SUCCESS)
        MPI_Error_class(code, &error_class);
    if (error_class == MPI_ERR_TRUNCATE)
        return error_set(err, DFAISS_ERR_PEER, "", "more than was announced");
    if (code == MPI_SUCCESS)
        code = MPI_Get_count(status, MPI_BYTE, length);
    if (code == MPI_SUCCESS)
        return DFAISS_OK;
    transport_mpi_error(code, "MPI_Irecv", err);
    transport_complain(transport, err, true);
    return DFAISS_ERR_MPI;
}

static void blame(transport_t *transport, int source, dfaiss_error_t *error) {
    char where[32];
    snprintf(where, sizeof where, "rank %d", source);
    error_prefix(error, error->code, "rank %d sent ", source);
    snprintf(error->where, sizeof error->where, "%s", where);
    transport_complain(transport, error, false);
}

/* The caller is told in its turn, by a message of its own, since the one that is refused is still to be received. */
static void refuse(transport_t *transport, incoming_t *incoming, size_t bytes) {
    incoming->broken = true;
    incoming_t *refused = transport_incoming_take(transport);
    if (!refused) {
        dfaiss_error_t error;
        error_memory(&error, sizeof *refused, "a message");
        transport_complain(transport, &error, true);
        return;
    }
    refused->message.source = incoming->message.source;
    refused->message.kind = incoming->message.kind;
    refused->message.correlation = incoming->message.correlation;
    refused->wanted = bytes;
    transport_arrived_push(transport, refused);
}

static void allocate(transport_t *transport, incoming_t *incoming, size_t body_size, size_t bulk_size) {
    transport_message_t *message = &incoming->message;
    message->body = body_size > 0 ? malloc(body_size) : NULL;
    if (body_size > 0 && !message->body) {
        refuse(transport, incoming, body_size);
        return;
    }
    message->body_size = body_size;
    message->bulk = memory_map(bulk_size);
    if (bulk_size > 0 && !message->bulk) {
        refuse(transport, incoming, bulk_size);
        return;
    }
    message->bulk_size = bulk_size;
    /* All of it will be written, and with small pages the faults take longer than the transfer. Only speed depends on it. */
    if (bulk_size >= HUGE_PAGES_FROM)
        (void)madvise(message->bulk, bulk_size, MADV_HUGEPAGE);
}

/* What travelled in the packet is copied, what follows is noted as pieces. */
static void fill(incoming_t *incoming, const envelope_t *envelope, bytes_reader_t *reader) {
    transport_message_t *message = &incoming->message;
    incoming->pieces.piece_size = envelope->piece_size;
    if (envelope->flags & ENVELOPE_BODY_FOLLOWS) {
        incoming->pieces.part[0] = incoming->broken ? NULL : message->body;
        incoming->pieces.size[0] = envelope->body_size;
    } else if (!incoming->broken && message->body_size > 0) {
        memcpy(message->body, bytes_get(reader, message->body_size), message->body_size);
    }
    if (envelope->flags & ENVELOPE_BULK_FOLLOWS) {
        incoming->pieces.part[1] = incoming->broken ? NULL : message->bulk;
        incoming->pieces.size[1] = (size_t)envelope->bulk_size;
    } else if (!incoming->broken && message->bulk_size > 0) {
        memcpy(message->bulk, bytes_get(reader, message->bulk_size), message->bulk_size);
    }
}

static dfaiss_status_t post_piece(transport_t *transport, incoming_t *incoming, uint8_t *address, int length, dfaiss_error_t *err) {
    MPI_Request request;
    TRY(transport_requests_reserve(transport, 1, err));
    if (!address && !incoming->nowhere) {
        incoming->nowhere = memory_map(incoming->pieces.piece_size);
        if (!incoming->nowhere)
            return error_memory(err, incoming->pieces.piece_size, "a piece of a message");
    }
    int code = MPI_Irecv(address ? address : incoming->nowhere, length, MPI_BYTE, incoming->message.source, incoming->tag, transport->comm, &request);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Irecv", err);
    transport_requests_add(transport, request, (owner_t){.work = WORK_PIECE_IN, .length = length, .object = incoming});
    incoming->pending++;
    return DFAISS_OK;
}

/* Keeps up to WINDOW pieces posted (one where they share the memory of nowhere); the message is complete when none is left. */
static void advance(transport_t *transport, incoming_t *incoming) {
    dfaiss_error_t error;
    uint8_t *address;
    int length;
    int window = incoming->broken ? 1 : WINDOW;
    while (!transport->failed && incoming->pending < window && transport_pieces_next(&incoming->pieces, &address, &length)) {
        if (post_piece(transport, incoming, address, length, &error) != DFAISS_OK)
            transport_complain(transport, &error, true);
    }
    if (incoming->pending > 0)
        return;
    if (incoming->broken || transport->failed) {
        transport_incoming_release(transport, incoming);
        return;
    }
    transport->counts.received_messages++;
    transport_arrived_push(transport, incoming);
}

/* No message of its own for the caller, who asks how many have left. */
static void note_farewell(transport_t *transport, int source) {
    dfaiss_error_t error;
    if (transport->server[source] || transport->gone[source]) {
        error_set(&error, DFAISS_ERR_PEER, "", "a farewell, and is %s", transport->server[source] ? "no client" : "gone already");
        blame(transport, source, &error);
        return;
    }
    transport->gone[source] = true;
    transport->clients_gone++;
}

static void open_message(transport_t *transport, int source, const envelope_t *envelope, bytes_reader_t *reader) {
    incoming_t *incoming = transport_incoming_take(transport);
    if (!incoming) {
        dfaiss_error_t error;
        error_memory(&error, sizeof *incoming, "a message");
        transport_complain(transport, &error, true);
        return;
    }
    incoming->message.source = source;
    incoming->message.kind = envelope->kind;
    incoming->message.correlation = envelope->correlation;
    incoming->tag = (int)envelope->tag;
    allocate(transport, incoming, envelope->body_size, (size_t)envelope->bulk_size);
    fill(incoming, envelope, reader);
    advance(transport, incoming);
}

static void take_packet(transport_t *transport, const uint8_t *packet, const MPI_Status *status, int code) {
    dfaiss_error_t error;
    envelope_t envelope;
    int length = 0;
    dfaiss_status_t result = check_received(transport, status, code, &length, &error);
    if (result == DFAISS_ERR_MPI)
        return;
    bytes_reader_t reader = bytes_reader(packet, (size_t)length);
    if (result == DFAISS_OK)
        result = envelope_decode(&reader, &envelope, &error);
    if (result != DFAISS_OK) {
        blame(transport, status->MPI_SOURCE, &error);
        return;
    }
    if (envelope.flags & ENVELOPE_LEAVE) {
        note_farewell(transport, status->MPI_SOURCE);
        return;
    }
    transport->counts.received_bytes += (uint64_t)length;
    open_message(transport, status->MPI_SOURCE, &envelope, &reader);
}

void transport_receive_finished(transport_t *transport) {
    while (transport->held[transport->first_posted].finished) {
        int i = transport->first_posted;
        transport->held[i].finished = false;
        transport->first_posted = (i + 1) % RECEIVES;
        transport->posted--;
        take_packet(transport, transport->owners[i].object, &transport->held[i].status, transport->held[i].code);
    }
}

void transport_receive_piece(transport_t *transport, incoming_t *incoming, int length, const MPI_Status *status, int code) {
    dfaiss_error_t error;
    int received = 0;
    incoming->pending--;
    dfaiss_status_t result = check_received(transport, status, code, &received, &error);
    if (result == DFAISS_OK && received != length)
        result = error_set(&error, DFAISS_ERR_PEER, "", "a piece of %d bytes where %d were announced", received, length);
    if (result == DFAISS_ERR_PEER && !incoming->broken) {
        blame(transport, incoming->message.source, &error);
        incoming->broken = true;
    }
    transport->counts.received_bytes += (uint64_t)received;
    advance(transport, incoming);
}
