/* Requests under way: what goes on with them, and how a caller learns that one has ended. */
#include <stdlib.h>

#include "base/list.h"
#include "client/client_internal.h"

void request_begin(dfaiss_client_t *client, dfaiss_request_t *request) {
    request->client = client;
    LIST_APPEND(client->requests, request);
    request->advance(request);
}

void request_end(dfaiss_request_t *request, dfaiss_status_t status, const dfaiss_error_t *error) {
    request->ended = true;
    request->status = status;
    if (status != DFAISS_OK)
        request->error = *error;
}

dfaiss_status_t dfaiss_request_test(dfaiss_request_t *request, bool *done, dfaiss_error_t *err) {
    if (!request || !done)
        return error_null(err, request ? "done" : "request");
    client_turn(request->client, false);
    *done = request->ended;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_request_wait(dfaiss_request_t *request, dfaiss_result_t **result, dfaiss_error_t *err) {
    if (!request)
        return error_null(err, "request");
    while (!request->ended)
        client_turn(request->client, true);
    dfaiss_status_t status = request->status;
    if (status != DFAISS_OK && err)
        *err = request->error;
    if (status == DFAISS_OK && result)
        *result = request->result;
    else
        dfaiss_result_destroy(request->result);
    LIST_REMOVE(request->client->requests, request);
    request->destroy(request);
    return status;
}
