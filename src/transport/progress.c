/* The table of MPI requests and the one place that polls it. What has finished goes to receive.c or send.c by its owner. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "transport/internal.h"

dfaiss_status_t transport_mpi_error(int code, const char *call, dfaiss_error_t *err) {
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        return error_set(err, DFAISS_ERR_MPI, call, "%s failed with error %d", call, code);
    return error_set(err, DFAISS_ERR_MPI, call, "%s: %.*s", call, length, text);
}

void transport_complain(transport_t *transport, const dfaiss_error_t *error, bool for_good) {
    if (transport->complaint.code == DFAISS_OK || (for_good && !transport->failed))
        transport->complaint = *error;
    transport->failed = transport->failed || for_good;
}

static bool grow(void **array, size_t count, size_t item) {
    size_t bytes;
    void *larger = size_multiply(count, item, &bytes) ? realloc(*array, bytes) : NULL;
    if (!larger)
        return false;
    *array = larger;
    return true;
}

dfaiss_status_t transport_requests_reserve(transport_t *transport, int more, dfaiss_error_t *err) {
    if (more <= transport->capacity - transport->count)
        return DFAISS_OK;
    size_t capacity = 2 * ((size_t)transport->count + (size_t)more);
    if (capacity > INT_MAX)
        return error_set(err, DFAISS_ERR_MEMORY, "", "too many messages under way: %d requests", transport->count);
    if (!grow((void **)&transport->requests, capacity, sizeof *transport->requests) ||
        !grow((void **)&transport->owners, capacity, sizeof *transport->owners) ||
        !grow((void **)&transport->finished, capacity, sizeof *transport->finished) ||
        !grow((void **)&transport->statuses, capacity, sizeof *transport->statuses))
        return error_memory(err, capacity * sizeof *transport->statuses, "messages under way");
    transport->capacity = (int)capacity;
    return DFAISS_OK;
}

void transport_requests_add(transport_t *transport, MPI_Request request, owner_t owner) {
    transport->requests[transport->count] = request;
    transport->owners[transport->count] = owner;
    transport->count++;
}

/* Finished requests are MPI_REQUEST_NULL now; the places of the receives for envelopes stay. */
static void remove_finished(transport_t *transport) {
    int kept = RECEIVES;
    for (int i = RECEIVES; i < transport->count; i++) {
        if (transport->requests[i] == MPI_REQUEST_NULL)
            continue;
        transport->requests[kept] = transport->requests[i];
        transport->owners[kept] = transport->owners[i];
        kept++;
    }
    transport->count = kept;
}

static void fail_for_good(transport_t *transport, int code, const char *call) {
    dfaiss_error_t error;
    transport_mpi_error(code, call, &error);
    transport_complain(transport, &error, true);
}

/* The table may grow and move meanwhile, so its content is copied. */
static void handle_finished(transport_t *transport, int index, MPI_Status status, int code) {
    owner_t owner = transport->owners[index];
    switch (owner.work) {
    case WORK_PACKET_IN:
        transport->held[index].finished = true;
        transport->held[index].status = status;
        transport->held[index].code = code;
        transport_receive_finished(transport);
        return;
    case WORK_PIECE_IN:
        transport_receive_piece(transport, owner.object, owner.length, &status, code);
        return;
    case WORK_OUT:
        if (code != MPI_SUCCESS)
            fail_for_good(transport, code, "MPI_Isend");
        transport_send_step(transport, owner.object);
        return;
    }
}

static int test_requests(transport_t *transport, int *finished) {
    int code = MPI_Testsome(transport->count, transport->requests, finished, transport->finished, transport->statuses);
    /* Some implementations look first and progress then: after a nap, what has come since shows at the second look. */
    if (code == MPI_SUCCESS && *finished == 0 && transport->napped)
        code = MPI_Testsome(transport->count, transport->requests, finished, transport->finished, transport->statuses);
    transport->napped = false;
    return code;
}

static void poll_requests(transport_t *transport) {
    int finished = 0;
    int code = test_requests(transport, &finished), error_class = MPI_SUCCESS;
    if (code != MPI_SUCCESS)
        MPI_Error_class(code, &error_class);
    bool in_status = error_class == MPI_ERR_IN_STATUS;
    if (code != MPI_SUCCESS && !in_status) {
        fail_for_good(transport, code, "MPI_Testsome");
        return;
    }
    if (finished == MPI_UNDEFINED || finished == 0)
        return;
    transport_busy(transport);
    bool others = false;
    for (int i = 0; i < finished; i++) {
        int index = transport->finished[i];
        others = others || index >= RECEIVES;
        handle_finished(transport, index, transport->statuses[i], in_status ? transport->statuses[i].MPI_ERROR : MPI_SUCCESS);
    }
    if (others)
        remove_finished(transport);
}

static dfaiss_status_t take_complaint(transport_t *transport, dfaiss_error_t *err) {
    dfaiss_status_t status = transport->complaint.code;
    if (err)
        *err = transport->complaint;
    if (!transport->failed)
        transport->complaint.code = DFAISS_OK;
    return status;
}

static dfaiss_status_t report_refused(const transport_message_t *message, size_t wanted, dfaiss_error_t *err) {
    char where[32];
    snprintf(where, sizeof where, "rank %d", message->source);
    return error_set(err, DFAISS_ERR_MEMORY, where, "not enough memory: %zu bytes were wanted for a message of kind %u from rank %d", wanted,
                     (unsigned)message->kind, message->source);
}

bool transport_failed(const transport_t *transport) {
    return transport->failed;
}

dfaiss_status_t transport_progress(transport_t *transport, transport_message_t *message, bool *arrived, dfaiss_error_t *err) {
    *arrived = false;
    if (!transport->failed) {
        poll_requests(transport);
        transport_send_finish(transport);
    }
    dfaiss_error_t error;
    if (!transport->failed && transport_receive_post(transport, &error) != DFAISS_OK)
        transport_complain(transport, &error, true);
    if (transport->complaint.code != DFAISS_OK)
        return take_complaint(transport, err);
    size_t wanted = 0;
    *arrived = transport_arrived_pop(transport, message, &wanted);
    if (wanted == 0)
        return DFAISS_OK;
    *arrived = false;
    return report_refused(message, wanted, err);
}

transport_counts_t transport_counts(const transport_t *transport) {
    return transport->counts;
}
