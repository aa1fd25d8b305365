/* Training that starts by itself, at train_num. Shared: servers tell server 0 how many vectors they hold, and when there are enough together it
 * trains for all. Local: each server trains when it has enough. What has failed is tried again when there are twice as many vectors. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "message/rows.h"
#include "server/training.h"

enum {
    TELL_NANOSECONDS = 10000000,         /* between two messages about an index that grows */
    TELL_AGAIN_NANOSECONDS = 1000000000, /* about one that does not: server 0 may not have had it yet */
};

/* Trainings of single servers have numbers of their own. */
static const uint64_t ALONE = (uint64_t)1 << 63;

int64_t training_due_rows(const server_t *server, const hosted_t *hosted) {
    const index_config_t *config = shard_config(hosted->shard);
    int64_t due = config->training == CONFIG_TRAINING_local ? config->train_num : config->train_num * server->servers;
    return due > 0 && due < hosted->train_again ? hosted->train_again : due;
}

static bool waits_for_vectors(const server_t *server, const hosted_t *hosted) {
    return !server->closed && !server->ending && !hosted->dropping && !hosted->training && !shard_trained(hosted->shard) &&
           shard_config(hosted->shard)->train_num > 0;
}

/* ---- local training ---- */

static dfaiss_status_t start_alone(server_t *server, hosted_t *hosted, dfaiss_error_t *err) {
    training_t *training = NULL;
    training_part_t *part = NULL;
    TRY(training_create(hosted->shard, shard_living(hosted->shard), 1, &training, err));
    TRY(training_part_add(server, hosted, ALONE | ++server->last_training, training, &part, err));
    part->rows = shard_living(hosted->shard);
    training_part_start(part, NULL);
    return DFAISS_OK;
}

static bool train_alone(server_t *server, hosted_t *hosted) {
    dfaiss_error_t error = {0};
    if (shard_living(hosted->shard) < training_due_rows(server, hosted))
        return false;
    if (start_alone(server, hosted, &error) != DFAISS_OK) {
        training_keep_failure(hosted, &error, shard_living(hosted->shard));
        log_write(LOG_LEVEL_WARNING, "server %d: training index '%s' failed: %s", server->number, hosted->name, error.text);
    }
    return true;
}

/* ---- shared training ---- */

/* Server 0: server `number` holds this many. */
static dfaiss_status_t note_rows(server_t *server, hosted_t *hosted, int64_t number, int64_t rows, dfaiss_error_t *err) {
    size_t bytes = (size_t)server->servers * sizeof *hosted->rows_of;
    if (!hosted->rows_of)
        hosted->rows_of = calloc(1, bytes);
    if (!hosted->rows_of)
        return error_memory(err, bytes, "training");
    int64_t total = 0;
    hosted->rows_of[number] = rows;
    for (int i = 0; i < server->servers; i++)
        total += hosted->rows_of[i];
    if (total >= training_due_rows(server, hosted))
        course_start(server, hosted->name, NULL, false);
    return DFAISS_OK;
}

static dfaiss_status_t hear(server_t *server, const transport_message_t *message, dfaiss_error_t *err) {
    message_rows_t told;
    TRY(message_rows_decode(message->body, message->body_size, &told, err));
    if (told.server >= server->servers || server->number != 0)
        return message_malformed(MESSAGE_ROWS, err);
    hosted_t *hosted = hosted_find(server, told.index);
    if (!hosted || !waits_for_vectors(server, hosted))
        return DFAISS_OK;
    return note_rows(server, hosted, told.server, told.rows, err);
}

void rows_on_message(server_t *server, transport_message_t *message) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = hear(server, message, &error);
    transport_message_clear(message);
    server_fail(server, status, &error);
}

/* Now and then, since vectors may come in very many small batches; but soon after the last of them. */
static bool tell_rows(server_t *server, hosted_t *hosted) {
    dfaiss_error_t error = {0};
    int64_t rows = shard_living(hosted->shard), now = clock_nanoseconds();
    if (now - hosted->told_at < (rows == hosted->rows_told ? TELL_AGAIN_NANOSECONDS : TELL_NANOSECONDS))
        return false;
    hosted->rows_told = rows;
    hosted->told_at = now;
    if (server->number == 0) {
        server_fail(server, note_rows(server, hosted, 0, rows, &error), &error);
        return true;
    }
    bytes_writer_t body = {0};
    message_rows_t message = {.server = server->number, .rows = rows};
    memcpy(message.index, hosted->name, sizeof message.index);
    message_rows_encode(&message, &body);
    server_send(server, transport_server_rank(server->transport, 0), MESSAGE_ROWS, 0, &body, NULL, 0, NULL, NULL);
    bytes_writer_destroy(&body);
    return true;
}

/* ---- all of training ---- */

static bool start_due(server_t *server) {
    bool something = false;
    for (hosted_t *hosted = server->hosted; hosted; hosted = hosted->next) {
        if (!waits_for_vectors(server, hosted) || shard_living(hosted->shard) == 0)
            continue;
        bool local = shard_config(hosted->shard)->training == CONFIG_TRAINING_local;
        something |= local ? train_alone(server, hosted) : tell_rows(server, hosted);
    }
    return something;
}

bool trainings_advance(server_t *server) {
    bool something = start_due(server);
    something |= courses_advance(server);
    something |= training_parts_advance(server);
    return something;
}

void trainings_clear(server_t *server) {
    courses_clear(server);
    training_parts_clear(server);
}
