/* FETCH: metadata and vectors of rows that a search found here. Vectors may take long to be given back, so an answer holds what was ready in time.
 * The first that asks for vectors may have to wait until it is known where they lie.
 */
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "message/fetch.h"
#include "server/server_internal.h"

/* An answer ends with the row that takes it beyond one of these; whoever asked goes on behind it. */
enum { FETCH_BYTES = 32 << 20, FETCH_VECTOR_BYTES = 4 << 20, FETCH_NANOSECONDS = 4000000 };

/* What goes out. */
typedef struct portion {
    bytes_writer_t body;
    int64_t room; /* for vectors */
    size_t vector_bytes;
    float *vectors; /* float[room][dim], memory_map; NULL: none are wanted */
    int64_t rows;
} portion_t;

static dfaiss_status_t make_room(const hosted_t *hosted, const message_fetch_t *message, portion_t *portion, dfaiss_error_t *err) {
    portion->vector_bytes = (size_t)shard_config(hosted->shard)->dim * sizeof *portion->vectors;
    if (!(message->wanted & FETCH_EMBEDDINGS) || portion->vector_bytes == 0)
        return DFAISS_OK;
    int64_t most = (int64_t)(FETCH_VECTOR_BYTES / portion->vector_bytes) + 1;
    portion->room = message->n < most ? message->n : most;
    if (portion->room == 0)
        return DFAISS_OK;
    portion->vectors = memory_map((size_t)portion->room * portion->vector_bytes);
    return portion->vectors ? DFAISS_OK : error_memory(err, (size_t)portion->room * portion->vector_bytes, "the vectors of hits");
}

static dfaiss_status_t take_row(const server_t *server, hosted_t *hosted, const message_fetch_t *message, int64_t row, portion_t *portion,
                                dfaiss_error_t *err) {
    int64_t id;
    const uint8_t *metadata;
    size_t size;
    if (!shard_row(hosted->shard, row, &id, &metadata, &size))
        return error_set(err, DFAISS_ERR_ARG, message->index, "index '%s' has no row %lld on server %d", message->index, (long long)row,
                         server->number);
    /* It may have been removed since the search. */
    bool told = shard_tells(hosted->shard, row), there = false;
    if (portion->vectors) {
        float *vector = portion->vectors + portion->rows * shard_config(hosted->shard)->dim;
        if (told)
            TRY(shard_vector(hosted->shard, row, vector, &there, err));
        bytes_put_u8(&portion->body, there);
    }
    if (message->wanted & FETCH_METADATA)
        bytes_put_block(&portion->body, metadata, told ? size : 0);
    portion->rows++;
    return DFAISS_OK;
}

static bool is_full(const portion_t *portion, int64_t deadline) {
    if (portion->body.size >= FETCH_BYTES)
        return true;
    return portion->vectors && (portion->rows == portion->room || clock_nanoseconds() >= deadline);
}

/* Gives back the room that was not needed. */
static dfaiss_status_t shrink(portion_t *portion, dfaiss_error_t *err) {
    if (!portion->vectors || portion->rows == portion->room)
        return DFAISS_OK;
    size_t bytes = (size_t)portion->rows * portion->vector_bytes;
    float *vectors = memory_map(bytes);
    if (!vectors)
        return error_memory(err, bytes, "the vectors of hits");
    memcpy(vectors, portion->vectors, bytes);
    memory_unmap(portion->vectors, (size_t)portion->room * portion->vector_bytes);
    portion->vectors = vectors;
    portion->room = portion->rows;
    return DFAISS_OK;
}

/* *ready false: to be called again. */
static dfaiss_status_t fetch(server_t *server, const request_t *request, portion_t *portion, bool *ready, dfaiss_error_t *err) {
    message_fetch_t message;
    hosted_t *hosted;
    int64_t deadline = clock_nanoseconds() + FETCH_NANOSECONDS;
    *ready = true;
    TRY(message_fetch_decode(request->message.body, request->message.body_size, &message, err));
    TRY(hosted_get_same(server, message.index, message.incarnation, &hosted, err));
    if (message.wanted & FETCH_EMBEDDINGS)
        TRY(shard_locate(hosted->shard, deadline, ready, err));
    if (!*ready)
        return DFAISS_OK;
    TRY(make_room(hosted, &message, portion, err));
    do {
        int64_t row;
        memcpy(&row, message.rows + 8 * portion->rows, sizeof row);
        TRY(take_row(server, hosted, &message, row, portion, err));
    } while (portion->rows < message.n && !is_full(portion, deadline));
    TRY(shrink(portion, err));
    return message_written(&portion->body, MESSAGE_FETCH, err);
}

void request_fetch(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    portion_t portion = {0};
    bool ready;
    dfaiss_status_t status = fetch(server, request, &portion, &ready, &error);
    if (status == DFAISS_OK && !ready) {
        LIST_APPEND(server->fetches, request);
        return;
    }
    if (status != DFAISS_OK) {
        memory_unmap(portion.vectors, (size_t)portion.room * portion.vector_bytes);
        portion.vectors = NULL;
    }
    request_answer(server, request, status, &error, &portion.body, portion.vectors,
                   portion.vectors ? (size_t)portion.room * portion.vector_bytes : 0);
    bytes_writer_destroy(&portion.body);
}

bool fetches_advance(server_t *server) {
    request_t *request = server->fetches;
    if (!request)
        return false;
    LIST_REMOVE(server->fetches, request);
    request_fetch(server, request);
    return true;
}
