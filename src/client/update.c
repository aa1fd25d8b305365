/* Replacing vectors by their ids: server 0 sees to it. */
#include <stdlib.h>

#include "base/element.h"
#include "client/client_internal.h"
#include "message/setting.h"
#include "message/update.h"

enum { UPDATE_TRIES = 16 }; /* how often an index may be replaced by one without a dimension before that is given up */

static dfaiss_status_t send(dfaiss_client_t *client, const message_update_t *message, const void *vectors, uint8_t *outcome, dfaiss_error_t *err) {
    question_t *question = NULL;
    bytes_writer_t body = {0};
    size_t bytes = (size_t)message->add.n * (size_t)message->add.dim * element_size(message->add.element);
    message_update_encode(message, &body);
    TRY(client_ask(client, COORDINATOR, MESSAGE_UPDATE, &body, vectors, bytes, PATIENCE_LONG, &question, err));
    *outcome = bytes_get_u8(&question->result);
    bool whole = bytes_reader_done(&question->result);
    question_forget(question);
    return whole ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}

/* The first vectors say which dimension an index has. */
static dfaiss_status_t set_dim(dfaiss_client_t *client, const message_add_t *add, dfaiss_error_t *err) {
    bytes_writer_t body = {0};
    message_setting_encode(add->index, add->dim, &body);
    return client_tell(client, COORDINATOR, MESSAGE_SET_DIM, &body, NULL, 0, PATIENCE_SHORT, err);
}

static dfaiss_status_t update(dfaiss_client_t *client, const message_update_t *message, const void *vectors, dfaiss_error_t *err) {
    for (int tries = 0; tries < UPDATE_TRIES; tries++) {
        uint8_t outcome;
        TRY(send(client, message, vectors, &outcome, err));
        if (outcome == MESSAGE_ADD_DONE)
            return DFAISS_OK;
        if (outcome != MESSAGE_ADD_NO_DIM)
            return message_malformed(MESSAGE_ANSWER, err);
        TRY(set_dim(client, &message->add, err));
    }
    return error_set(err, DFAISS_ERR_STATE, message->add.index, "index '%s' was replaced again and again while vectors were updated",
                     message->add.index);
}

dfaiss_status_t dfaiss_update(dfaiss_client_t *client, const char *index, const dfaiss_batch_t *batch, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    TRY(client_check_batch(batch, err));
    if (!batch->ids)
        return error_null(err, "ids");
    int64_t *sorted = NULL;
    bytes_writer_t columns = {0};
    TRY(client_sort_ids(batch->n, batch->ids, &sorted, err));
    dfaiss_status_t status = client_encode_columns(batch, &columns, err);
    message_update_t message = {.add = client_describe_batch(index, batch, &columns), .sorted = (const uint8_t *)sorted};
    if (status == DFAISS_OK)
        status = update(client, &message, batch->vectors, err);
    bytes_writer_destroy(&columns);
    free(sorted);
    return status;
}
