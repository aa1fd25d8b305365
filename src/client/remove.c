/* Removing vectors, by their ids or by a filter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "client/client_internal.h"
#include "message/remove.h"

static dfaiss_status_t take_answer(dfaiss_client_t *client, question_t *question, int64_t *removed, dfaiss_error_t *err) {
    TRY(client_await(client, question, err));
    int64_t gone = bytes_get_i64(&question->result);
    if (!bytes_reader_done(&question->result))
        return message_malformed(MESSAGE_ANSWER, err);
    if (removed)
        *removed = gone;
    return DFAISS_OK;
}

/* ids (NULL with a filter) are malloc'ed, and freed when MPI does not read them any more, which may be after this. */
static dfaiss_status_t ask(dfaiss_client_t *client, const char *index, message_remove_t *message, int64_t *ids, int64_t *removed,
                           dfaiss_error_t *err) {
    question_t *question = NULL;
    bytes_writer_t body = {0};
    snprintf(message->index, sizeof message->index, "%s", index);
    message_remove_encode(message, &body);
    size_t bytes = (size_t)message->n * sizeof *ids;
    dfaiss_status_t status = question_ask(client, COORDINATOR, MESSAGE_REMOVE, &body, ids, bytes, PATIENCE_LONG, &question, err);
    if (status != DFAISS_OK) {
        free(ids);
        return status;
    }
    question_when_departed(question, free, ids);
    status = take_answer(client, question, removed, err);
    question_forget(question);
    return status;
}

static int by_value(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static dfaiss_status_t check_sorted(int64_t n, const int64_t *ids, dfaiss_error_t *err) {
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] == INT64_MAX)
            return error_set(err, DFAISS_ERR_ARG, "ids", "id %lld is out of range; ids are 0 to 2^63 - 2", (long long)ids[i]);
        if (i > 0 && ids[i] == ids[i - 1])
            return error_set(err, DFAISS_ERR_ARG, "ids", "id %lld is twice in a call", (long long)ids[i]);
    }
    return DFAISS_OK;
}

/* Servers look ids up in them: they travel in order. */
dfaiss_status_t client_sort_ids(int64_t n, const int64_t *ids, int64_t **out, dfaiss_error_t *err) {
    size_t bytes;
    if (!size_multiply((size_t)n, sizeof *ids, &bytes))
        return error_set(err, DFAISS_ERR_ARG, "n", "%lld ids: more than fits into memory", (long long)n);
    int64_t *sorted = malloc(bytes > 0 ? bytes : 1);
    if (!sorted)
        return error_memory(err, bytes, "ids");
    if (bytes > 0) {
        memcpy(sorted, ids, bytes);
        qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    }
    dfaiss_status_t status = check_sorted(n, sorted, err);
    if (status != DFAISS_OK) {
        free(sorted);
        return status;
    }
    *out = sorted;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_remove_ids(dfaiss_client_t *client, const char *index, int64_t n, const int64_t *ids, int64_t *removed, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    if (n < 0)
        return error_set(err, DFAISS_ERR_ARG, "n", "n is %lld; expected 0 or more", (long long)n);
    if (n > 0 && !ids)
        return error_null(err, "ids");
    int64_t *sorted = NULL;
    TRY(client_sort_ids(n, ids, &sorted, err));
    message_remove_t message = {.n = n};
    return ask(client, index, &message, sorted, removed, err);
}

dfaiss_status_t dfaiss_remove_matching(dfaiss_client_t *client, const char *index, const char *filter, int64_t *removed, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    if (!filter)
        return error_null(err, "filter");
    TRY(client_check_filter(filter, err));
    message_remove_t message = {.filter = filter, .filter_size = strlen(filter)};
    return ask(client, index, &message, NULL, removed, err);
}
