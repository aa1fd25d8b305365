/* STATISTICS: what every server tells of itself and of an index. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "message/loaded.h"
#include "message/named.h"
#include "message/statistics.h"
#include "server/server_internal.h"

static void describe_index(const server_t *server, const hosted_t *hosted, message_statistics_t *statistics) {
    const shard_t *shard = hosted->shard;
    shard_bytes_t bytes = shard_bytes(shard);
    if (hosted->team)
        statistics->threads = team_threads(hosted->team);
    statistics->rows = shard_living(shard);
    statistics->buffered = shard_living(shard) - shard_living_indexed(shard);
    statistics->removed = shard_removed(shard);
    statistics->state = hosted_state(server, hosted);
    statistics->failure = hosted->train_failure;
    if (hosted->build_status != DFAISS_OK) {
        statistics->failure = hosted->build_error;
        statistics->failure.code = hosted->build_status;
    }
    statistics->index_bytes = (int64_t)bytes.index;
    statistics->metadata_bytes = (int64_t)bytes.metadata;
    statistics->buffered_bytes = (int64_t)bytes.buffered;
    statistics->file_bytes = hosted->file_bytes;
    statistics->queries = hosted->queries;
    statistics->build_nanoseconds = shard_build_nanoseconds(shard);
}

void operation_statistics(server_t *server, operation_t *operation) {
    char index[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    dfaiss_status_t status = message_named_decode(MESSAGE_STATISTICS, operation->argument.data, operation->argument.size, index, &error);
    hosted_t *hosted = NULL;
    if (status == DFAISS_OK && index[0])
        status = hosted_get(server, index, &hosted, &error);
    if (status == DFAISS_OK) {
        transport_counts_t counts = transport_counts(server->transport);
        uint64_t sent, received;
        outside_traffic(server, &sent, &received);
        message_statistics_t statistics = {
            .server = server->number,
            .threads = server->threads,
            .resident_bytes = (int64_t)memory_resident(),
            .resident_peak = (int64_t)memory_resident_peak(),
            .sent_bytes = (int64_t)(counts.sent_bytes + sent),
            .received_bytes = (int64_t)(counts.received_bytes + received),
        };
        if (hosted)
            describe_index(server, hosted, &statistics);
        message_statistics_encode(&statistics, &operation->result);
    }
    operation_local_end(server, operation, status, &error);
}

static void answer_result(server_t *server, operation_t *operation, void *context) {
    request_answer(server, context, operation->status, &operation->error, &operation->result, NULL, 0);
}

void request_statistics(server_t *server, request_t *request) {
    request_start_operation(server, request, OPERATION_STATISTICS, answer_result);
}

void request_answer_loaded(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    bytes_writer_t body = {0};
    char *config = NULL;
    hosted_t *hosted;
    dfaiss_status_t status = hosted_get(server, request->index, &hosted, &error);
    if (status == DFAISS_OK)
        status = index_config_print(shard_config(hosted->shard), true, &config, &error);
    if (status == DFAISS_OK) {
        message_loaded_t loaded = {
            .generation = hosted->basis.generation,
            .rows = hosted->saved_vectors,
            .next_id = hosted->next_id,
            .own_ids = hosted->own_ids,
            .config = config,
            .config_size = strlen(config),
        };
        message_loaded_encode(&loaded, &body);
    }
    free(config);
    request_answer(server, request, status, &error, &body, NULL, 0);
    bytes_writer_destroy(&body);
}
