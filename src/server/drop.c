/* DROP: an index goes, from the servers and from the storage. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint/generation.h"
#include "message/loaded.h"
#include "message/named.h"
#include "server/server_internal.h"

/* The index is found by nobody any more, and removed by drops_advance as soon as nobody uses it; `state` of the operation is the index until then. */
void operation_drop(server_t *server, operation_t *operation) {
    char index[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    dfaiss_status_t status = message_named_decode(MESSAGE_DROP, operation->argument.data, operation->argument.size, index, &error);
    hosted_t *hosted = status == DFAISS_OK ? hosted_find(server, index) : NULL;
    operation->state = hosted;
    if (hosted)
        hosted->dropping = true;
    else
        operation_local_end(server, operation, status, &error);
}

bool drops_advance(server_t *server) {
    bool something = false;
    for (operation_t *operation = server->operations; operation; operation = operation->next) {
        hosted_t *hosted = operation->state;
        if (operation->type != operation_type(OPERATION_DROP) || operation->local_ended || hosted->users > 0)
            continue;
        dfaiss_error_t error = {0};
        hosted_remove(server, hosted);
        operation_local_end(server, operation, DFAISS_OK, &error);
        something = true;
    }
    return something;
}

/* ---- from the servers alone, after a failure ---- */

static void cleared(server_t *server, operation_t *operation, void *context) {
    request_t *request = context;
    dfaiss_error_t *error = request->state;
    (void)operation;
    request_answer(server, request, error->code, error, NULL, NULL, 0);
    free(error);
}

void request_fail_and_drop(server_t *server, request_t *request, const dfaiss_error_t *error) {
    dfaiss_error_t *kept = malloc(sizeof *kept);
    if (!kept) {
        request_answer(server, request, error->code, error, NULL, NULL, 0);
        return;
    }
    *kept = *error;
    request->state = kept;
    bytes_writer_t argument = {0};
    message_named_encode(request->index, &argument);
    operation_start(server, OPERATION_DROP, &argument, NULL, 0, cleared, request);
}

/* ---- from the storage too ---- */

typedef struct removal {
    job_t job;
    request_t *request;
    char index[MESSAGE_NAME];
    char *storage;
} removal_t;

static dfaiss_status_t remove_stored(void *context, dfaiss_error_t *err) {
    const removal_t *removal = context;
    if (!manifest_exists(removal->storage, removal->index))
        return DFAISS_OK;
    return generation_remove_all(removal->storage, removal->index, err);
}

static void removed(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    removal_t *removal = job->context;
    request_answer(server, removal->request, status, error, NULL, NULL, 0);
    free(removal->storage);
    free(removal);
}

static void dropped(server_t *server, operation_t *operation, void *context) {
    removal_t *removal = context;
    if (operation->status != DFAISS_OK) {
        removed(server, &removal->job, operation->status, &operation->error);
        return;
    }
    removal->job = (job_t){.work = remove_stored, .done = removed, .context = removal};
    job_submit(server, &removal->job);
}

void request_drop(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    hosted_t *hosted = hosted_find(server, request->index);
    const char *storage = hosted ? hosted_storage(server, shard_config(hosted->shard)) : server->options->storage;
    dfaiss_status_t status = DFAISS_OK;
    if (!hosted && !manifest_exists(storage, request->index))
        status = error_set(&error, DFAISS_ERR_NOT_FOUND, request->index, "there is no index '%s', on the servers or in %s", request->index, storage);
    if (status == DFAISS_OK && hosted)
        status = hosted_claim(server, hosted, false, &error);
    removal_t *removal = status == DFAISS_OK ? calloc(1, sizeof *removal) : NULL;
    if (removal)
        removal->storage = strdup(storage);
    if (status == DFAISS_OK && (!removal || !removal->storage)) {
        free(removal);
        status = error_memory(&error, sizeof *removal, "dropping an index");
    }
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    removal->request = request;
    removal->job.context = removal;
    memcpy(removal->index, request->index, sizeof removal->index);
    bytes_writer_t argument = {0};
    message_named_encode(request->index, &argument);
    operation_start(server, OPERATION_DROP, &argument, NULL, 0, dropped, removal);
}
