/* The world that messages travel in: who is a server and who a client, and joining and leaving together. */
#include <stdio.h>
#include <stdlib.h>

#include <dfaiss/version.h>

#include "transport/internal.h"

/* What each rank tells all others. */
enum { HELLO_ROLE, HELLO_VERSION, HELLO_PACKET_LIMIT, HELLO_LIBRARY, HELLO_COUNT };
enum { ROLE_CLIENT, ROLE_SERVER, ROLE_UNDECIDED };

/* How a rank joins. */
typedef struct joining {
    int role;
    transport_decide_t *decide; /* where the role is ROLE_UNDECIDED */
    void *context;
} joining_t;

static dfaiss_status_t duplicate(MPI_Comm world, MPI_Comm *comm, dfaiss_error_t *err) {
    int code = MPI_Comm_dup(world, comm);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Comm_dup", err);
    code = MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS)
        return DFAISS_OK;
    MPI_Comm_free(comm);
    return transport_mpi_error(code, "MPI_Comm_set_errhandler", err);
}

/* Collective: fails on all ranks where it failed on one. */
static dfaiss_status_t agree(MPI_Comm comm, dfaiss_status_t mine, dfaiss_error_t *err) {
    struct {
        int status;
        int rank;
    } own = {.status = (int)mine}, worst = {0};
    int code = MPI_Comm_rank(comm, &own.rank);
    if (code == MPI_SUCCESS)
        code = MPI_Allreduce(&own, &worst, 1, MPI_2INT, MPI_MAXLOC, comm);
    if (mine != DFAISS_OK)
        return mine;
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Allreduce", err);
    if (worst.status == DFAISS_OK)
        return DFAISS_OK;
    return error_set(err, (dfaiss_status_t)worst.status, "", "rank %d could not join: %s", worst.rank,
                     dfaiss_status_meaning((dfaiss_status_t)worst.status));
}

static dfaiss_status_t allocate(transport_t *transport, dfaiss_error_t *err) {
    size_t ranks = (size_t)transport->size;
    transport->number = calloc(ranks, sizeof *transport->number);
    transport->ranks = calloc(ranks, sizeof *transport->ranks);
    transport->server = calloc(ranks, sizeof *transport->server);
    transport->gone = calloc(ranks, sizeof *transport->gone);
    transport->hellos = calloc(ranks, HELLO_COUNT * sizeof *transport->hellos);
    transport->packets = malloc((size_t)RECEIVES * PACKET_LIMIT);
    if (!transport->number || !transport->ranks || !transport->server || !transport->gone || !transport->hellos || !transport->packets)
        return error_memory(err, ranks * sizeof *transport->ranks + (size_t)RECEIVES * PACKET_LIMIT, "messages between ranks");
    TRY(transport_requests_reserve(transport, RECEIVES, err));
    for (int i = 0; i < RECEIVES; i++) {
        owner_t owner = {.work = WORK_PACKET_IN, .object = transport->packets + (size_t)i * PACKET_LIMIT};
        transport_requests_add(transport, MPI_REQUEST_NULL, owner);
    }
    return DFAISS_OK;
}

/* Local: everything that needs no other rank. */
static dfaiss_status_t prepare(MPI_Comm comm, transport_t **out, dfaiss_error_t *err) {
    transport_t *transport = calloc(1, sizeof *transport);
    *out = transport;
    if (!transport)
        return error_memory(err, sizeof *transport, "messages between ranks");
    transport->comm = comm;
    transport->piece_size = PIECE_SIZE;
    transport->waker = -1;
    int code = MPI_Comm_rank(comm, &transport->rank);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_size(comm, &transport->size);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Comm_rank", err);
    return allocate(transport, err);
}

#define VERSION_PARTS(version) (version) / 10000, (version) / 100 % 100, (version) % 100

/* Programs built with different versions of the library must not meet: a packet that is longer than the receive posted for it is memory that MPI may
 * overwrite (seen with Open MPI 4.1.4 on one node). */
static dfaiss_status_t compare_versions(const transport_t *transport, const int *hellos, dfaiss_error_t *err) {
    for (int rank = 1; rank < transport->size; rank++) {
        const int *hello = hellos + (size_t)rank * HELLO_COUNT;
        char where[32];
        snprintf(where, sizeof where, "rank %d", rank);
        if (hello[HELLO_LIBRARY] != hellos[HELLO_LIBRARY])
            return error_set(err, DFAISS_ERR_PEER, where, "rank %d runs dfaiss %d.%d.%d, rank 0 %d.%d.%d: all ranks need the same dfaiss", rank,
                             VERSION_PARTS(hello[HELLO_LIBRARY]), VERSION_PARTS(hellos[HELLO_LIBRARY]));
        if (hello[HELLO_VERSION] == hellos[HELLO_VERSION] && hello[HELLO_PACKET_LIMIT] == hellos[HELLO_PACKET_LIMIT])
            continue;
        return error_set(err, DFAISS_ERR_PEER, where, "rank %d has version %d of the messages, rank 0 version %d: all ranks need the same dfaiss",
                         rank, hello[HELLO_VERSION], hellos[HELLO_VERSION]);
    }
    return DFAISS_OK;
}

static void number_ranks(transport_t *transport, const int *hellos) {
    for (int rank = 0; rank < transport->size; rank++) {
        transport->server[rank] = hellos[(size_t)rank * HELLO_COUNT + HELLO_ROLE] == ROLE_SERVER;
        transport->servers += transport->server[rank];
    }
    int server = 0, client = 0;
    for (int rank = 0; rank < transport->size; rank++) {
        int number = transport->server[rank] ? server++ : client++;
        transport->number[rank] = number;
        transport->ranks[transport->server[rank] ? number : transport->servers + number] = rank;
    }
}

static int count_role(const transport_t *transport, int role) {
    int count = 0;
    for (int rank = 0; rank < transport->size; rank++)
        count += transport->hellos[(size_t)rank * HELLO_COUNT + HELLO_ROLE] == role;
    return count;
}

/* The communicator of the undecided ranks: collective over them. */
static dfaiss_status_t gather_undecided(const transport_t *transport, MPI_Comm *out, dfaiss_error_t *err) {
    MPI_Group all = MPI_GROUP_NULL, undecided = MPI_GROUP_NULL;
    int count = 0, *ranks = transport->ranks; /* not numbered yet */
    for (int rank = 0; rank < transport->size; rank++)
        if (transport->hellos[(size_t)rank * HELLO_COUNT + HELLO_ROLE] == ROLE_UNDECIDED)
            ranks[count++] = rank;
    int code = MPI_Comm_group(transport->comm, &all);
    if (code == MPI_SUCCESS)
        code = MPI_Group_incl(all, count, ranks, &undecided);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_create_group(transport->comm, undecided, 0, out);
    if (undecided != MPI_GROUP_NULL)
        MPI_Group_free(&undecided);
    if (all != MPI_GROUP_NULL)
        MPI_Group_free(&all);
    return code == MPI_SUCCESS ? DFAISS_OK : transport_mpi_error(code, "MPI_Comm_create_group", err);
}

static dfaiss_status_t decide_role(transport_t *transport, const joining_t *joining, int *role, dfaiss_error_t *err) {
    MPI_Comm undecided;
    bool server = false;
    TRY(gather_undecided(transport, &undecided, err));
    dfaiss_status_t status = joining->decide(joining->context, undecided, count_role(transport, ROLE_SERVER) > 0, &server, err);
    MPI_Comm_free(&undecided);
    *role = server ? ROLE_SERVER : ROLE_CLIENT;
    return status;
}

/* Collective: all ranks say what they are; version and limits with it. */
static dfaiss_status_t say_hello(transport_t *transport, int role, dfaiss_error_t *err) {
    const int mine[HELLO_COUNT] = {
        [HELLO_ROLE] = role, [HELLO_VERSION] = ENVELOPE_VERSION, [HELLO_PACKET_LIMIT] = PACKET_LIMIT, [HELLO_LIBRARY] = DFAISS_VERSION};
    int code = MPI_Allgather(mine, HELLO_COUNT, MPI_INT, transport->hellos, HELLO_COUNT, MPI_INT, transport->comm);
    if (code != MPI_SUCCESS)
        return transport_mpi_error(code, "MPI_Allgather", err);
    return compare_versions(transport, transport->hellos, err);
}

/* Collective; the same answer on all ranks. */
static dfaiss_status_t find_roles(transport_t *transport, const joining_t *joining, dfaiss_error_t *err) {
    int role = joining->role;
    TRY(say_hello(transport, role, err));
    if (count_role(transport, ROLE_UNDECIDED) > 0) {
        dfaiss_status_t status = role == ROLE_UNDECIDED ? decide_role(transport, joining, &role, err) : DFAISS_OK;
        TRY(agree(transport->comm, status, err));
        TRY(say_hello(transport, role, err));
    }
    number_ranks(transport, transport->hellos);
    if (transport->servers == 0)
        return error_set(err, DFAISS_ERR_ARG, "servers", "none of the %d ranks is a server; at least one is needed", transport->size);
    return DFAISS_OK;
}

static dfaiss_status_t join(MPI_Comm world, const joining_t *joining, transport_t **out, dfaiss_error_t *err) {
    MPI_Comm comm;
    TRY(duplicate(world, &comm, err));
    transport_t *transport = NULL;
    dfaiss_status_t status = prepare(comm, &transport, err);
    status = agree(comm, status, err);
    if (status == DFAISS_OK)
        status = find_roles(transport, joining, err);
    if (status == DFAISS_OK)
        status = transport_idle_prepare(transport, err);
    if (status == DFAISS_OK)
        status = agree(comm, transport_receive_post(transport, err), err);
    if (status != DFAISS_OK) {
        if (!transport)
            MPI_Comm_free(&comm);
        transport_destroy(transport);
        return status;
    }
    transport->joined = true;
    *out = transport;
    return DFAISS_OK;
}

dfaiss_status_t transport_create(MPI_Comm world, bool server, transport_t **out, dfaiss_error_t *err) {
    return join(world, &(joining_t){.role = server ? ROLE_SERVER : ROLE_CLIENT}, out, err);
}

dfaiss_status_t transport_create_undecided(MPI_Comm world, transport_decide_t *decide, void *context, transport_t **out, dfaiss_error_t *err) {
    return join(world, &(joining_t){.role = ROLE_UNDECIDED, .decide = decide, .context = context}, out, err);
}

/* Advances everything under way and drops what arrives; false where MPI does not work any more. What others did wrong is of no interest now. */
static bool progress_dropping(transport_t *transport) {
    transport_message_t message;
    bool arrived = false;
    if (transport_progress(transport, &message, &arrived, NULL) != DFAISS_OK && transport->failed)
        return false;
    if (arrived)
        transport_message_clear(&message);
    else
        transport_idle(transport);
    return true;
}

/* A server that is not reached has lost MPI, and ends by that. */
static void say_farewell(transport_t *transport) {
    for (int server = 0; server < transport->servers && !transport->failed; server++)
        if (transport_send_farewell(transport, transport->ranks[server], NULL) != DFAISS_OK)
            return;
}

/* Until nobody has anything to send any more. */
static void drain(transport_t *transport) {
    while (transport->unsent > 0 || transport->finished_first)
        if (!progress_dropping(transport))
            return;
    MPI_Request barrier;
    int all_here = 0;
    if (MPI_Ibarrier(transport->comm, &barrier) != MPI_SUCCESS)
        return;
    while (MPI_Test(&barrier, &all_here, MPI_STATUS_IGNORE) == MPI_SUCCESS && !all_here)
        if (!progress_dropping(transport))
            return;
}

/* Receives alone can be under way after drain, unless MPI failed: then what was being sent is left alone, with its memory, since MPI may still read
 * it. */
static void cancel_receives(transport_t *transport) {
    for (int i = 0; i < transport->count; i++) {
        if (transport->requests[i] == MPI_REQUEST_NULL)
            continue;
        if (transport->owners[i].work == WORK_OUT) {
            MPI_Request_free(&transport->requests[i]);
            continue;
        }
        if (MPI_Cancel(&transport->requests[i]) == MPI_SUCCESS)
            MPI_Wait(&transport->requests[i], MPI_STATUS_IGNORE);
    }
}

static void free_unfinished(transport_t *transport) {
    for (int i = RECEIVES; i < transport->count; i++) {
        incoming_t *incoming = transport->owners[i].object;
        if (transport->owners[i].work == WORK_PIECE_IN && --incoming->pending == 0)
            transport_incoming_release(transport, incoming);
    }
    transport_message_t message;
    size_t wanted;
    while (transport_arrived_pop(transport, &message, &wanted))
        transport_message_clear(&message);
}

static void free_spares(transport_t *transport) {
    for (incoming_t *next, *spare = transport->spare_incoming; spare; spare = next) {
        next = spare->next;
        free(spare);
    }
    for (outgoing_t *next, *spare = transport->spare_outgoing; spare; spare = next) {
        next = spare->next;
        free(spare);
    }
}

void transport_destroy(transport_t *transport) {
    if (!transport)
        return;
    if (transport->joined && !transport->server[transport->rank])
        say_farewell(transport);
    if (transport->joined)
        drain(transport);
    cancel_receives(transport);
    free_unfinished(transport);
    free_spares(transport);
    MPI_Comm_free(&transport->comm);
    free(transport->requests);
    free(transport->owners);
    free(transport->finished);
    free(transport->statuses);
    free(transport->packets);
    free(transport->number);
    free(transport->ranks);
    free(transport->server);
    free(transport->gone);
    free(transport->hellos);
    free(transport);
}

void transport_set_piece_size(transport_t *transport, uint32_t bytes) {
    transport->piece_size = bytes;
}

int transport_rank(const transport_t *transport) {
    return transport->rank;
}

int transport_servers(const transport_t *transport) {
    return transport->servers;
}

int transport_clients(const transport_t *transport) {
    return transport->size - transport->servers;
}

bool transport_is_server(const transport_t *transport, int rank) {
    return transport->server[rank];
}

int transport_server_rank(const transport_t *transport, int server) {
    return transport->ranks[server];
}

int transport_client_rank(const transport_t *transport, int client) {
    return transport->ranks[transport->servers + client];
}

int transport_number(const transport_t *transport) {
    return transport->number[transport->rank];
}

int transport_clients_gone(const transport_t *transport) {
    return transport->clients_gone;
}
