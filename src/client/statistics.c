/* What the servers tell of themselves, and shutting them down. */
#include <stdlib.h>

#include "client/bulk_load.h"
#include "client/client_internal.h"
#include "message/named.h"
#include "message/setting.h"

static bool is_sound(const message_statistics_t *one, int servers) {
    return one->server >= 0 && one->server < servers && one->state >= INDEX_NOT_TRAINED && one->state <= INDEX_TRAINED && one->threads >= 0 &&
           one->threads <= MESSAGE_MAX_THREADS;
}

/* Every server tells once, in any order. */
static dfaiss_status_t read_statistics(bytes_reader_t *result, int servers, message_statistics_t *statistics, dfaiss_error_t *err) {
    for (int i = 0; i < servers; i++)
        statistics[i].server = -1;
    for (int i = 0; i < servers; i++) {
        message_statistics_t one;
        message_statistics_decode(result, &one);
        if (result->failed || !is_sound(&one, servers) || statistics[one.server].server >= 0)
            return message_malformed(MESSAGE_ANSWER, err);
        statistics[one.server] = one;
    }
    return bytes_reader_done(result) ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}

dfaiss_status_t client_statistics_within(dfaiss_client_t *client, const char *index, double seconds, message_statistics_t *statistics,
                                         dfaiss_error_t *err) {
    if (!client)
        return error_null(err, "client");
    TRY(index[0] ? client_check(client, index, err) : client_check_broken(client, err));
    question_t *question = NULL;
    bytes_writer_t body = {0};
    message_named_encode(index, &body);
    TRY(question_ask(client, COORDINATOR, MESSAGE_STATISTICS, &body, NULL, 0, PATIENCE_SHORT, &question, err));
    if (seconds > 0)
        question_hurry(question, seconds);
    dfaiss_status_t status = client_await(client, question, err);
    if (status == DFAISS_OK)
        status = read_statistics(&question->result, dfaiss_client_servers(client), statistics, err);
    question_forget(question);
    return status;
}

dfaiss_status_t client_statistics(dfaiss_client_t *client, const char *index, message_statistics_t *statistics, dfaiss_error_t *err) {
    return client_statistics_within(client, index, 0, statistics, err);
}

static dfaiss_status_t ask_all(dfaiss_client_t *client, const char *index, message_statistics_t **out, dfaiss_error_t *err) {
    size_t servers = (size_t)dfaiss_client_servers(client);
    message_statistics_t *statistics = calloc(servers, sizeof *statistics);
    if (!statistics)
        return error_memory(err, servers * sizeof *statistics, "statistics");
    dfaiss_status_t status = client_statistics(client, index, statistics, err);
    if (status != DFAISS_OK) {
        free(statistics);
        return status;
    }
    *out = statistics;
    return DFAISS_OK;
}

static int64_t total_rows(const message_statistics_t *told, int servers) {
    int64_t total = 0;
    for (int i = 0; i < servers; i++)
        total += told[i].rows;
    return total;
}

dfaiss_status_t dfaiss_get_statistics(dfaiss_client_t *client, const char *index, dfaiss_statistics_t *statistics, dfaiss_error_t *err) {
    if (!client || !statistics)
        return error_null(err, client ? "statistics" : "client");
    if (index)
        TRY(client_check(client, index, err));
    message_statistics_t *told = NULL;
    TRY(ask_all(client, index ? index : "", &told, err));
    int servers = dfaiss_client_servers(client);
    double average = (double)total_rows(told, servers) / servers;
    for (int i = 0; i < servers; i++) {
        statistics[i] = (dfaiss_statistics_t){
            .server = i,
            .threads = (int)told[i].threads,
            .state = (dfaiss_state_t)told[i].state,
            .vectors = told[i].rows,
            .buffered = told[i].buffered,
            .removed = told[i].removed,
            .queries = told[i].queries,
            .index_bytes = told[i].index_bytes,
            .metadata_bytes = told[i].metadata_bytes,
            .buffered_bytes = told[i].buffered_bytes,
            .resident_bytes = told[i].resident_bytes,
            .resident_peak = told[i].resident_peak,
            .sent_bytes = told[i].sent_bytes,
            .received_bytes = told[i].received_bytes,
            .imbalance = average > 0 ? (double)told[i].rows / average : 0,
        };
    }
    free(told);
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_get_ntotal(dfaiss_client_t *client, const char *index, int64_t *ntotal, dfaiss_error_t *err) {
    dfaiss_error_t error = {0};
    message_statistics_t *told = NULL;
    TRY(client_check(client, index, err));
    if (!ntotal)
        return error_null(err, "ntotal");
    dfaiss_status_t status = ask_all(client, index, &told, &error);
    if (status != DFAISS_OK && status != DFAISS_ERR_NOT_FOUND) {
        if (err)
            *err = error;
        return status;
    }
    *ntotal = told ? total_rows(told, dfaiss_client_servers(client)) : 0;
    free(told);
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_shutdown(dfaiss_client_t *client, dfaiss_error_t *err) {
    if (!client)
        return error_null(err, "client");
    TRY(client_check_broken(client, err));
    client_settle(client);
    bytes_writer_t body = {0};
    message_named_encode("", &body);
    return client_tell(client, COORDINATOR, MESSAGE_SHUTDOWN, &body, NULL, 0, PATIENCE_LONG, err);
}
