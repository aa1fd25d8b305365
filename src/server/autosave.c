/* Saves that no client asks for: of each index, where its configuration has save_interval_sec, that long after the last one has ended; and when it is
 * wished (wish.c). An index that has not changed since it was loaded or saved is left alone. */
#include "base/clock.h"
#include "base/log.h"
#include "message/named.h"
#include "server/server_internal.h"

/* ---- whether an index has changed ---- */

/* The argument: index, and the number of its newest generation. The result: a byte. */
static dfaiss_status_t look(server_t *server, const operation_t *operation, bool *changed, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    hosted_t *hosted;
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    bytes_get_string(&in, index, sizeof index);
    int64_t generation = bytes_get_i64(&in);
    if (!bytes_reader_done(&in))
        return message_malformed(MESSAGE_SAVE, err);
    TRY(hosted_get(server, index, &hosted, err));
    shard_mark_t mark = shard_mark(hosted->shard);
    *changed = hosted->mark_generation != generation || !shard_mark_equal(&hosted->mark, &mark);
    return DFAISS_OK;
}

void operation_changed(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    bool changed = false;
    dfaiss_status_t status = look(server, operation, &changed, &error);
    bytes_put_u8(&operation->result, changed);
    operation_local_end(server, operation, status, &error);
}

static void save_if_changed(server_t *server, operation_t *operation, void *context) {
    request_t *request = context;
    bool changed = false;
    for (size_t i = 0; i < operation->result.size; i++)
        changed |= operation->result.data[i] != 0;
    if (operation->status == DFAISS_OK && changed)
        request_save(server, request);
    else
        request_answer(server, request, operation->status, &operation->error, NULL, NULL, 0);
}

/* ---- one save ---- */

static void take_turn(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    hosted_t *hosted = NULL;
    dfaiss_status_t status = hosted_get(server, request->index, &hosted, &error);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    bytes_writer_t argument = {0};
    bytes_put_string(&argument, request->index);
    bytes_put_i64(&argument, hosted->basis.generation);
    operation_start(server, OPERATION_CHANGED, &argument, NULL, 0, save_if_changed, request);
}

dfaiss_status_t autosave_start(server_t *server, const char *index, request_ended_t *ended, dfaiss_error_t *err) {
    bytes_writer_t body = {0};
    message_named_encode(index, &body);
    dfaiss_status_t status = message_written(&body, MESSAGE_SAVE, err);
    if (status == DFAISS_OK)
        status = request_own(server, MESSAGE_SAVE, &body, take_turn, ended, err);
    if (status != DFAISS_OK)
        bytes_writer_destroy(&body);
    return status;
}

/* ---- now and then ---- */

/* A failure is told, and does not stop what clients do: it is tried again after another interval. */
static void end_autosave(server_t *server, const char *index, dfaiss_status_t status, const dfaiss_error_t *error) {
    hosted_t *hosted = hosted_find(server, index);
    if (!hosted)
        return;
    hosted->autosaving = false;
    hosted->saved_at = clock_nanoseconds();
    if (status != DFAISS_OK)
        log_write(LOG_LEVEL_WARNING, "index '%s' was not saved: %s", index, error->text);
}

static void ended(server_t *server, const request_t *request, dfaiss_status_t status, const dfaiss_error_t *error) {
    end_autosave(server, request->index, status, error);
}

static bool is_due(const hosted_t *hosted, int64_t now) {
    double interval = shard_config(hosted->shard)->save_interval_sec;
    return interval > 0 && !hosted->autosaving && !hosted->dropping && (double)(now - hosted->saved_at) * 1e-9 >= interval;
}

bool autosaves_advance(server_t *server) {
    bool something = false;
    if (server->number != 0 || !server->hosted || server->closed || server->ending || server->wishes.stopped)
        return false;
    int64_t now = clock_nanoseconds();
    for (hosted_t *hosted = server->hosted; hosted; hosted = hosted->next) {
        dfaiss_error_t error = {0};
        if (!is_due(hosted, now))
            continue;
        hosted->autosaving = true;
        dfaiss_status_t status = autosave_start(server, hosted->name, ended, &error);
        if (status != DFAISS_OK)
            end_autosave(server, hosted->name, status, &error);
        something = true;
    }
    return something;
}
