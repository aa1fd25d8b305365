/* Searching this server's shards: searches take turns in slices, so that messages progress and no search waits for all of another. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "message/search.h"
#include "server/server_internal.h"

enum { SLICE_NANOSECONDS = 5000000 };

struct active_search {
    active_search_t *next;
    operation_t *operation;
    hosted_t *hosted;
    shard_search_t *search;
    int64_t client;
    uint64_t number;
    int64_t nq;
    int64_t k;
};

static void end_search(server_t *server, active_search_t *active, dfaiss_status_t status, const dfaiss_error_t *error) {
    LIST_REMOVE(server->searches, active);
    shard_search_destroy(active->search);
    active->hosted->users--;
    operation_t *operation = active->operation;
    free(active);
    operation_local_end(server, operation, status, error);
}

static dfaiss_status_t take_result(server_t *server, active_search_t *active, dfaiss_error_t *err) {
    size_t bytes;
    if (!topk_bytes(active->nq, active->k, &bytes))
        return error_set(err, DFAISS_ERR_ARG, "k", "k is %lld: the answer does not fit", (long long)active->k);
    void *block = memory_map(bytes);
    if (!block)
        return error_memory(err, bytes, "the hits of a search");
    topk_t hits = topk_view(block, active->nq, active->k);
    shard_search_result(active->search, &hits);
    active->hosted->queries += active->nq;
    operation_search_merge(server, active->operation, block, bytes);
    return DFAISS_OK;
}

/* Nothing can be here before the first vectors have said which dimension the index has. */
static dfaiss_status_t find_nothing(server_t *server, operation_t *operation, const message_search_t *message, dfaiss_error_t *err) {
    size_t bytes;
    void *block = topk_bytes(message->nq, message->k, &bytes) ? memory_map(bytes) : NULL;
    if (!block)
        return error_memory(err, bytes, "the hits of a search");
    topk_t hits = topk_view(block, message->nq, message->k);
    topk_clear(&hits);
    operation_search_merge(server, operation, block, bytes);
    return DFAISS_OK;
}

/* *ended: there is nothing to be searched. */
static dfaiss_status_t begin_search(server_t *server, operation_t *operation, bool *ended, dfaiss_error_t *err) {
    message_search_t message;
    hosted_t *hosted;
    TRY(message_search_decode(operation->argument.data, operation->argument.size, operation->argument_bulk_size, &message, err));
    TRY(hosted_get_same(server, message.index, message.incarnation, &hosted, err));
    if (shard_config(hosted->shard)->dim == 0) {
        *ended = true;
        return find_nothing(server, operation, &message, err);
    }
    active_search_t *active = calloc(1, sizeof *active);
    if (!active)
        return error_memory(err, sizeof *active, "a search");
    shard_question_t question = {
        .nq = message.nq,
        .dim = message.dim,
        .queries = operation->argument_bulk,
        .k = message.k,
        .nprobe = message.nprobe,
        .filter = message.filter,
        .filter_size = message.filter_size,
        .has_radius = message.has_radius,
        .radius = message.radius,
        .updates = message.updates,
    };
    dfaiss_status_t status = shard_search_create(hosted->shard, &question, &active->search, err);
    if (status != DFAISS_OK) {
        free(active);
        return status;
    }
    active->number = ++server->last_search;
    active->operation = operation;
    active->client = message.client;
    active->hosted = hosted;
    active->nq = message.nq;
    active->k = message.k;
    hosted->users++;
    operation->larger_is_better = shard_config(hosted->shard)->metric != CONFIG_METRIC_l2;
    LIST_APPEND(server->searches, active);
    return DFAISS_OK;
}

void operation_search(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    bool ended = false;
    dfaiss_status_t status = begin_search(server, operation, &ended, &error);
    if (status != DFAISS_OK || ended)
        operation_local_end(server, operation, status, &error);
}

static bool reserve_scratch(server_t *server, int64_t k) {
    size_t bytes;
    if (!topk_bytes(1, k, &bytes))
        return false;
    if (bytes <= server->merge_scratch_size)
        return true;
    void *grown = realloc(server->merge_scratch, bytes);
    if (!grown)
        return false;
    server->merge_scratch = grown;
    server->merge_scratch_size = bytes;
    return true;
}

/* Takes over the bulk where it is the first, which *taken tells. */
static dfaiss_status_t merge(server_t *server, operation_t *operation, void *bulk, size_t bulk_size, bool *taken, dfaiss_error_t *err) {
    message_search_t message;
    size_t bytes;
    TRY(message_search_decode(operation->argument.data, operation->argument.size, operation->argument_bulk_size, &message, err));
    if (!topk_bytes(message.nq, message.k, &bytes) || bytes != bulk_size)
        return message_malformed(MESSAGE_GATHER, err);
    if (!operation->bulk) {
        operation->bulk = bulk;
        operation->bulk_size = bulk_size;
        *taken = true;
        return DFAISS_OK;
    }
    if (!reserve_scratch(server, message.k))
        return error_memory(err, bulk_size, "merging hits");
    topk_t into = topk_view(operation->bulk, message.nq, message.k);
    topk_t from = topk_view(bulk, message.nq, message.k);
    topk_merge(&into, &from, operation->larger_is_better, server->merge_scratch);
    return DFAISS_OK;
}

void operation_search_merge(server_t *server, operation_t *operation, void *bulk, size_t bulk_size) {
    dfaiss_error_t error = {0};
    bool taken = false;
    dfaiss_status_t status = merge(server, operation, bulk, bulk_size, &taken, &error);
    if (status != DFAISS_OK && operation->status == DFAISS_OK) {
        operation->status = status;
        operation->error = error;
    }
    if (!taken)
        memory_unmap(bulk, bulk_size);
}

/* Clients take turns, slice by slice. The tiles of one client come one after the other instead: were they sliced in turn they would end together, and
 * every server would wait for the next ones to arrive. */
static void let_others_go_first(server_t *server, int64_t client) {
    active_search_t *moved = NULL, **place = &server->searches;
    while (*place) {
        active_search_t *active = *place;
        if (active->client != client) {
            place = &active->next;
            continue;
        }
        *place = active->next;
        LIST_APPEND(moved, active);
    }
    *place = moved;
}

bool searches_advance(server_t *server) {
    active_search_t *active = server->searches;
    if (!active)
        return false;
    let_others_go_first(server, active->client);
    bool done;
    dfaiss_error_t error = {0};
    dfaiss_status_t status = shard_search_step(active->search, clock_nanoseconds() + SLICE_NANOSECONDS, &done, &error);
    if (status == DFAISS_OK && done)
        status = take_result(server, active, &error);
    if (status != DFAISS_OK || done)
        end_search(server, active, status, &error);
    return true;
}

uint64_t searches_oldest(const server_t *server) {
    uint64_t oldest = UINT64_MAX;
    for (const active_search_t *active = server->searches; active; active = active->next)
        oldest = active->number < oldest ? active->number : oldest;
    return oldest;
}

void searches_clear(server_t *server) {
    while (server->searches) {
        active_search_t *active = server->searches;
        server->searches = active->next;
        shard_search_destroy(active->search);
        free(active);
    }
}
