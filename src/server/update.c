/* UPDATE: vectors take the place of those that have their ids, on whatever servers those lie. Server 0 does it in steps, one update of an index at a
 * time:
 *
 *   REPLACE  one server, they take turns, appends the new vectors, and hides those of its own that they replace at the same moment
 *   HIDE     every server hides what it has of them. A search that its lead began before it heard of this may have missed the new vectors, and
 *            finds the hidden ones still; a server's part ends when no such search of its own is under way
 *   SETTLE   all parts have ended: what was hidden needs not be remembered any more
 *
 * So a search finds the old vector of an id or the new one, and after the answer the new one alone.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "message/update.h"
#include "server/server_internal.h"
#include "shard/removal.h"

enum { SLICE_NANOSECONDS = 2000000 };

typedef enum update_stage {
    UPDATE_COMES,    /* when the builder has caught up, where vectors are appended */
    UPDATE_FINDS,    /* the rows that are to be hidden */
    UPDATE_RESERVES, /* what that takes: no search begins from now on */
    UPDATE_HIDES,    /* them */
    UPDATE_WAITS,    /* for searches */
} update_stage_t;

/* This server's part of REPLACE or HIDE. */
struct updating {
    updating_t *next;
    operation_t *operation;
    hosted_t *hosted;
    update_stage_t stage;
    uint64_t number;
    int64_t *ids; /* ascending */
    shard_removal_t *removal;
    /* REPLACE: */
    bool appends;
    message_update_t message; /* within the operation's argument */
    int64_t first_row;        /* of the new vectors */
};

static void free_updating(updating_t *updating) {
    shard_removal_destroy(updating->removal);
    free(updating->ids);
    free(updating);
}

static void end_part(server_t *server, updating_t *updating, dfaiss_status_t status, const dfaiss_error_t *error) {
    operation_t *operation = updating->operation;
    LIST_REMOVE(server->updating, updating);
    shard_hold_searches(updating->hosted->shard, false);
    updating->hosted->users--;
    if (updating->appends)
        bytes_put_i64(&operation->result, updating->first_row);
    free_updating(updating);
    operation_local_end(server, operation, status, error);
}

static dfaiss_status_t add_part(server_t *server, operation_t *operation, hosted_t *hosted, int64_t n, const void *ids, updating_t **out,
                                dfaiss_error_t *err) {
    updating_t *updating = calloc(1, sizeof *updating);
    if (!updating)
        return error_memory(err, sizeof *updating, "an update");
    updating->ids = malloc((size_t)n * sizeof *updating->ids);
    dfaiss_status_t status = updating->ids ? DFAISS_OK : error_memory(err, (size_t)n * sizeof *updating->ids, "an update");
    if (status == DFAISS_OK) {
        memcpy(updating->ids, ids, (size_t)n * sizeof *updating->ids);
        status = shard_removal_by_ids(hosted->shard, n, updating->ids, &updating->removal, err);
    }
    if (status == DFAISS_OK)
        shard_removal_replace(updating->removal);
    if (status != DFAISS_OK) {
        free_updating(updating);
        return status;
    }
    updating->operation = operation;
    updating->hosted = hosted;
    hosted->users++;
    LIST_APPEND(server->updating, updating);
    *out = updating;
    return DFAISS_OK;
}

/* ---- REPLACE ---- */

/* The argument: the server that appends, incarnation, and the body of the UPDATE. */
static dfaiss_status_t begin_replace(server_t *server, operation_t *operation, bool *ended, dfaiss_error_t *err) {
    hosted_t *hosted;
    message_update_t message;
    updating_t *updating = NULL;
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    int target = (int)bytes_get_u32(&in);
    uint64_t incarnation = bytes_get_u64(&in);
    *ended = target != server->number;
    if (*ended)
        return DFAISS_OK;
    TRY(message_update_decode(in.next, in.left, operation->argument_bulk_size, &message, err));
    TRY(hosted_get_same(server, message.add.index, incarnation, &hosted, err));
    if (hosted->build_status != DFAISS_OK)
        return error_set(err, hosted->build_status, hosted->name, "%s", hosted->build_error.text);
    transport_message_t brought = {.body_size = in.left, .bulk_size = operation->argument_bulk_size};
    TRY(ingest_admit(server, hosted->name, &brought, err));
    TRY(add_part(server, operation, hosted, message.add.n, message.sorted, &updating, err));
    updating->appends = true;
    updating->message = message;
    return DFAISS_OK;
}

void operation_replace(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    bool ended = false;
    dfaiss_status_t status = begin_replace(server, operation, &ended, &error);
    if (status != DFAISS_OK || ended)
        operation_local_end(server, operation, status, &error);
}

/* The bulk is still on its way to other servers: a copy is appended. */
static dfaiss_status_t append(updating_t *updating, dfaiss_error_t *err) {
    const operation_t *operation = updating->operation;
    const message_add_t *add = &updating->message.add;
    shard_t *shard = updating->hosted->shard;
    shard_batch_t batch;
    updating->first_row = shard_rows(shard);
    dfaiss_status_t status = ingest_make_batch(add, &batch, err);
    batch.vectors = memory_map(operation->argument_bulk_size);
    batch.vector_bytes = operation->argument_bulk_size;
    if (status == DFAISS_OK && !batch.vectors)
        status = error_memory(err, batch.vector_bytes, "the vectors of an update");
    if (status == DFAISS_OK) {
        memcpy(batch.vectors, operation->argument_bulk, batch.vector_bytes);
        status = shard_append(shard, &batch, add->columns, add->column_bytes, err);
    }
    if (status != DFAISS_OK)
        shard_batch_clear(&batch);
    return status;
}

/* ---- HIDE ---- */

/* The argument: index, incarnation, number, the server that has appended and its first new row, and how many; the bulk is their ids in order. */
static dfaiss_status_t begin_hide(server_t *server, operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    hosted_t *hosted;
    updating_t *updating = NULL;
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    bytes_get_string(&in, index, sizeof index);
    uint64_t incarnation = bytes_get_u64(&in), number = bytes_get_u64(&in);
    int target = (int)bytes_get_u32(&in);
    int64_t first = bytes_get_i64(&in), n = bytes_get_i64(&in);
    if (!bytes_reader_done(&in) || n < 1 || operation->argument_bulk_size != (size_t)n * sizeof(int64_t))
        return message_malformed(MESSAGE_UPDATE, err);
    TRY(hosted_get_same(server, index, incarnation, &hosted, err));
    /* Searches that begin here from now on find the new vectors, wherever they get first. */
    hosted->updates = number;
    TRY(add_part(server, operation, hosted, n, operation->argument_bulk, &updating, err));
    updating->number = number;
    if (target == server->number)
        shard_removal_keep(updating->removal, first, n);
    return DFAISS_OK;
}

void operation_hide(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = begin_hide(server, operation, &error);
    if (status != DFAISS_OK)
        operation_local_end(server, operation, status, &error);
}

/* ---- both ---- */

static dfaiss_status_t find(updating_t *updating, int64_t deadline, dfaiss_error_t *err) {
    bool found = false;
    TRY(shard_removal_find(updating->removal, deadline, &found, err));
    if (!found)
        return DFAISS_OK;
    shard_hold_searches(updating->hosted->shard, true);
    updating->stage = UPDATE_RESERVES;
    return DFAISS_OK;
}

/* Nothing fails behind this: otherwise there would be new vectors and old ones. */
static dfaiss_status_t reserve(updating_t *updating, int64_t deadline, dfaiss_error_t *err) {
    bool reserved = false;
    TRY(shard_removal_reserve(updating->removal, deadline, &reserved, err));
    if (!reserved)
        return DFAISS_OK;
    if (updating->appends)
        TRY(append(updating, err));
    updating->stage = UPDATE_HIDES;
    return DFAISS_OK;
}

static dfaiss_status_t hide(updating_t *updating, int64_t deadline, dfaiss_error_t *err) {
    bool hidden = false;
    TRY(shard_removal_step(updating->removal, deadline, &hidden, err));
    if (!hidden)
        return DFAISS_OK;
    if (!updating->appends)
        shard_removal_hide(updating->removal, updating->number);
    shard_hold_searches(updating->hosted->shard, false);
    updating->stage = UPDATE_WAITS;
    return DFAISS_OK;
}

/* True where something happened; then it may be gone. */
static bool advance_part(server_t *server, updating_t *updating) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = DFAISS_OK;
    int64_t deadline = clock_nanoseconds() + SLICE_NANOSECONDS;
    if (updating->stage == UPDATE_COMES && updating->appends && ingest_behind(server, updating->hosted))
        return false;
    if (updating->stage == UPDATE_COMES)
        updating->stage = UPDATE_FINDS;
    bool waited = updating->stage == UPDATE_WAITS;
    if (updating->stage == UPDATE_FINDS)
        status = find(updating, deadline, &error);
    if (status == DFAISS_OK && updating->stage == UPDATE_RESERVES)
        status = reserve(updating, deadline, &error);
    if (status == DFAISS_OK && updating->stage == UPDATE_HIDES)
        status = hide(updating, deadline, &error);
    bool ended =
        updating->stage == UPDATE_WAITS && (updating->appends || lead_knows_update(server->lead, updating->hosted->incarnation, updating->number));
    if (status != DFAISS_OK || ended)
        end_part(server, updating, status, &error);
    return !waited || ended;
}

bool updates_advance(server_t *server) {
    bool something = false;
    for (updating_t *next, *updating = server->updating; updating; updating = next) {
        next = updating->next;
        something |= advance_part(server, updating);
    }
    return something;
}

void updates_clear(server_t *server) {
    while (server->updating) {
        updating_t *updating = server->updating;
        server->updating = updating->next;
        free_updating(updating);
    }
}

/* ---- SETTLE ---- */

/* The argument: index, incarnation, number. It may overtake the next update, and the index may be gone. */
void operation_settle(server_t *server, operation_t *operation) {
    char index[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    bytes_get_string(&in, index, sizeof index);
    uint64_t incarnation = bytes_get_u64(&in), number = bytes_get_u64(&in);
    const hosted_t *hosted = hosted_find(server, index);
    dfaiss_status_t status = bytes_reader_done(&in) ? DFAISS_OK : message_malformed(MESSAGE_UPDATE, &error);
    if (hosted && hosted->incarnation == incarnation)
        shard_settle_update(hosted->shard, number);
    operation_local_end(server, operation, status, &error);
}

/* ---- server 0 ---- */

typedef struct update_request {
    request_t *request;
    char index[MESSAGE_NAME];
    uint64_t incarnation;
    uint64_t number;
    uint32_t target;
    int64_t n;
    int64_t *sorted; /* memory_map of n ids */
} update_request_t;

static size_t sorted_bytes(const update_request_t *update) {
    return (size_t)update->n * sizeof *update->sorted;
}

static void end_update(server_t *server, update_request_t *update, dfaiss_status_t status, const dfaiss_error_t *error) {
    bytes_writer_t body = {0};
    bytes_put_u8(&body, MESSAGE_ADD_DONE);
    request_answer(server, update->request, status, error, &body, NULL, 0);
    bytes_writer_destroy(&body);
    memory_unmap(update->sorted, sorted_bytes(update));
    free(update);
}

/* Nobody waits for it. */
static void all_settled(server_t *server, operation_t *operation, void *context) {
    (void)server;
    (void)operation;
    (void)context;
}

static void all_hidden(server_t *server, operation_t *operation, void *context) {
    update_request_t *update = context;
    bytes_writer_t argument = {0};
    bytes_put_string(&argument, update->index);
    bytes_put_u64(&argument, update->incarnation);
    bytes_put_u64(&argument, update->number);
    operation_start(server, OPERATION_SETTLE, &argument, NULL, 0, all_settled, NULL);
    dfaiss_error_t error = operation->error;
    if (operation->status != DFAISS_OK)
        (void)error_prefix(&error, operation->status, "the new vectors are there, but old ones may be, too: ");
    end_update(server, update, operation->status, &error);
}

static void replaced(server_t *server, operation_t *operation, void *context) {
    update_request_t *update = context;
    bytes_reader_t in = bytes_reader(operation->result.data, operation->result.size);
    int64_t first_row = bytes_get_i64(&in);
    dfaiss_error_t error = operation->error;
    dfaiss_status_t status = operation->status;
    if (status == DFAISS_OK && !bytes_reader_done(&in))
        status = message_malformed(MESSAGE_GATHER, &error);
    if (status != DFAISS_OK) {
        end_update(server, update, status, &error);
        return;
    }
    bytes_writer_t argument = {0};
    bytes_put_string(&argument, update->index);
    bytes_put_u64(&argument, update->incarnation);
    bytes_put_u64(&argument, update->number);
    bytes_put_u32(&argument, update->target);
    bytes_put_i64(&argument, first_row);
    bytes_put_i64(&argument, update->n);
    int64_t *sorted = update->sorted;
    update->sorted = NULL;
    operation_start(server, OPERATION_HIDE, &argument, sorted, sorted_bytes(update), all_hidden, update);
}

/* Ids of an index that assigns them must have been assigned. */
static dfaiss_status_t check_assigned(const hosted_t *hosted, const message_update_t *message, dfaiss_error_t *err) {
    int64_t greatest;
    memcpy(&greatest, message->sorted + 8 * (message->add.n - 1), sizeof greatest);
    if (hosted->own_ids || greatest < hosted->next_id)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_ARG, hosted->name, "id %lld was not assigned by index '%s', which has assigned ids below %lld",
                     (long long)greatest, hosted->name, (long long)hosted->next_id);
}

/* *outcome: what the client has to do first. */
static dfaiss_status_t prepare(server_t *server, const request_t *request, update_request_t **out, message_add_outcome_t *outcome,
                               dfaiss_error_t *err) {
    const transport_message_t *asked = &request->message;
    message_update_t message;
    hosted_t *hosted;
    TRY(message_update_decode(asked->body, asked->body_size, asked->bulk_size, &message, err));
    TRY(hosted_get(server, message.add.index, &hosted, err));
    TRY(check_assigned(hosted, &message, err));
    if (shard_config(hosted->shard)->dim == 0) {
        *outcome = MESSAGE_ADD_NO_DIM;
        return DFAISS_OK;
    }
    TRY(hosted_change(server, hosted, err));
    update_request_t *update = calloc(1, sizeof *update);
    if (!update)
        return error_memory(err, sizeof *update, "an update");
    update->n = message.add.n;
    update->sorted = memory_map(sorted_bytes(update));
    if (!update->sorted) {
        free(update);
        return error_memory(err, (size_t)message.add.n * 8, "an update");
    }
    memcpy(update->sorted, message.sorted, sorted_bytes(update));
    memcpy(update->index, hosted->name, sizeof update->index);
    update->incarnation = hosted->incarnation;
    update->number = ++hosted->last_update;
    update->target = (uint32_t)(update->number % (uint64_t)server->servers);
    *out = update;
    return DFAISS_OK;
}

void request_update(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    update_request_t *update = NULL;
    message_add_outcome_t outcome = MESSAGE_ADD_DONE;
    dfaiss_status_t status = prepare(server, request, &update, &outcome, &error);
    if (!update) {
        bytes_writer_t body = {0};
        bytes_put_u8(&body, (uint8_t)outcome);
        request_answer(server, request, status, &error, &body, NULL, 0);
        bytes_writer_destroy(&body);
        return;
    }
    update->request = request;
    bytes_writer_t argument = {0};
    bytes_put_u32(&argument, update->target);
    bytes_put_u64(&argument, update->incarnation);
    bytes_put(&argument, request->message.body, request->message.body_size);
    void *vectors = request->message.bulk;
    request->message.bulk = NULL;
    operation_start(server, OPERATION_REPLACE, &argument, vectors, request->message.bulk_size, replaced, update);
}
