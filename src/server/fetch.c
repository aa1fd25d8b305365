/* FETCH: the metadata of rows that a search found here. */
#include <string.h>

#include "message/fetch.h"
#include "server/server_internal.h"

/* An answer ends with the row that takes it beyond this; whoever asked goes on behind it. */
enum { FETCH_BYTES = 32 << 20 };

static dfaiss_status_t fetch(server_t *server, const request_t *request, bytes_writer_t *body, dfaiss_error_t *err) {
    message_fetch_t message;
    hosted_t *hosted;
    TRY(message_fetch_decode(request->message.body, request->message.body_size, &message, err));
    TRY(hosted_get_same(server, message.index, message.incarnation, &hosted, err));
    for (int64_t i = 0; i < message.n && body->size < FETCH_BYTES; i++) {
        int64_t row, id;
        const uint8_t *metadata;
        size_t size;
        memcpy(&row, message.rows + 8 * i, sizeof row);
        if (!shard_row(hosted->shard, row, &id, &metadata, &size))
            return error_set(err, DFAISS_ERR_ARG, message.index, "index '%s' has no row %lld on server %d", message.index, (long long)row,
                             server->number);
        /* It may have been removed since the search. */
        if (!shard_tells(hosted->shard, row))
            size = 0;
        bytes_put_block(body, metadata, size);
    }
    return message_written(body, MESSAGE_FETCH, err);
}

void request_fetch(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    bytes_writer_t body = {0};
    dfaiss_status_t status = fetch(server, request, &body, &error);
    request_answer(server, request, status, &error, &body, NULL, 0);
    bytes_writer_destroy(&body);
}
