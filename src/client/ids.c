/* All ids of an index: every server is asked at once, and what they answer is put in order here. */
#include <stdlib.h>
#include <string.h>

#include "client/client_internal.h"
#include "message/named.h"

static dfaiss_status_t ask_servers(dfaiss_client_t *client, const char *index, question_t **questions, dfaiss_error_t *err) {
    for (int server = 0; server < client->carrier.servers; server++) {
        bytes_writer_t body = {0};
        message_named_encode(index, &body);
        TRY(question_ask(client, server, MESSAGE_GET_IDS, &body, NULL, 0, PATIENCE_LONG, &questions[server], err));
    }
    return DFAISS_OK;
}

static dfaiss_status_t wait_for_all(dfaiss_client_t *client, question_t **questions, dfaiss_error_t *err) {
    for (int server = 0; server < client->carrier.servers; server++) {
        while (!question_over(questions[server]))
            client_turn(client, true);
        TRY(question_outcome(questions[server], err));
        if (!bytes_reader_done(&questions[server]->result) || questions[server]->answer.bulk_size % sizeof(int64_t) != 0)
            return message_malformed(MESSAGE_ANSWER, err);
    }
    return DFAISS_OK;
}

static int compare_ids(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static dfaiss_status_t join(const dfaiss_client_t *client, question_t *const *questions, int64_t **ids, int64_t *n, dfaiss_error_t *err) {
    size_t bytes = 0, at = 0;
    int servers = client->carrier.servers;
    for (int server = 0; server < servers; server++)
        bytes += questions[server]->answer.bulk_size;
    uint8_t *joined = bytes > 0 ? malloc(bytes) : NULL;
    if (bytes > 0 && !joined)
        return error_memory(err, bytes, "the ids of an index");
    for (int server = 0; server < servers; server++) {
        const transport_message_t *answer = &questions[server]->answer;
        if (answer->bulk_size > 0)
            memcpy(joined + at, answer->bulk, answer->bulk_size);
        at += answer->bulk_size;
    }
    if (joined)
        qsort(joined, bytes / sizeof(int64_t), sizeof(int64_t), compare_ids);
    *ids = (int64_t *)(void *)joined;
    *n = (int64_t)(bytes / sizeof(int64_t));
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_get_ids(dfaiss_client_t *client, const char *index, int64_t **ids, int64_t *n, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    if (!ids || !n)
        return error_null(err, ids ? "n" : "ids");
    size_t servers = (size_t)client->carrier.servers;
    question_t **questions = calloc(servers, sizeof(question_t *));
    if (!questions)
        return error_memory(err, servers * sizeof(question_t *), "the ids of an index");
    dfaiss_status_t status = ask_servers(client, index, questions, err);
    if (status == DFAISS_OK)
        status = wait_for_all(client, questions, err);
    if (status == DFAISS_OK)
        status = join(client, questions, ids, n, err);
    for (size_t i = 0; i < servers; i++)
        question_forget(questions[i]);
    free(questions);
    return status;
}
