/* The indexes that a server hosts, by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/server_internal.h"

hosted_t *hosted_find(server_t *server, const char *name) {
    for (hosted_t *hosted = server->hosted; hosted; hosted = hosted->next) {
        if (!hosted->dropping && strcmp(hosted->name, name) == 0)
            return hosted;
    }
    return NULL;
}

dfaiss_status_t hosted_get(server_t *server, const char *name, hosted_t **out, dfaiss_error_t *err) {
    hosted_t *hosted = hosted_find(server, name);
    if (server->closed)
        return error_set(err, DFAISS_ERR_STATE, name, "the servers were shut down");
    if (!hosted)
        return error_set(err, DFAISS_ERR_NOT_FOUND, name, "there is no index '%s' on the servers", name);
    *out = hosted;
    return DFAISS_OK;
}

dfaiss_status_t hosted_get_same(server_t *server, const char *name, uint64_t incarnation, hosted_t **out, dfaiss_error_t *err) {
    hosted_t *hosted = NULL;
    TRY(hosted_get(server, name, &hosted, err));
    if (hosted->incarnation != incarnation)
        return error_set(err, DFAISS_ERR_NOT_FOUND, name, "index '%s' was dropped or loaded anew during the search", name);
    *out = hosted;
    return DFAISS_OK;
}

dfaiss_status_t hosted_team(const server_t *server, const index_config_t *config, team_t **own, dfaiss_error_t *err) {
    *own = NULL;
    if (config->threads == 0 || server->options->threads > 0 || server->threads_set)
        return DFAISS_OK;
    return team_create((int)config->threads, own, err);
}

dfaiss_status_t hosted_add(server_t *server, const char *name, shard_t *shard, team_t *own, hosted_t **out, dfaiss_error_t *err) {
    dfaiss_status_t status = DFAISS_OK;
    hosted_t *hosted = calloc(1, sizeof *hosted);
    if (!hosted)
        status = error_memory(err, sizeof *hosted, name);
    else if (hosted_find(server, name))
        status = error_set(err, DFAISS_ERR_EXISTS, name, "index '%s' is on the servers already", name);
    if (status != DFAISS_OK) {
        free(hosted);
        shard_destroy(shard);
        team_destroy(own);
        return status;
    }
    snprintf(hosted->name, sizeof hosted->name, "%s", name);
    hosted->shard = shard;
    hosted->team = own;
    hosted->mark = shard_mark(shard);
    hosted->saved_at = clock_nanoseconds();
    LIST_APPEND(server->hosted, hosted);
    *out = hosted;
    return DFAISS_OK;
}

static void free_hosted(hosted_t *hosted) {
    lease_release(hosted->lease);
    basis_destroy(hosted->saved);
    basis_destroy(hosted->written);
    shard_destroy(hosted->shard);
    team_destroy(hosted->team);
    free(hosted->rows_of);
    free(hosted);
}

/* Giving back many gigabytes takes the kernel seconds, and faiss's parts are many. */
static dfaiss_status_t release(void *context, dfaiss_error_t *err) {
    hosted_t *hosted = context;
    (void)err;
    shard_destroy(hosted->shard);
    hosted->shard = NULL;
    return DFAISS_OK;
}

static void released(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    (void)server;
    (void)status;
    (void)error;
    free_hosted(job->context);
}

void hosted_remove(server_t *server, hosted_t *hosted) {
    LIST_REMOVE(server->hosted, hosted);
    lease_release(hosted->lease);
    hosted->lease = NULL;
    /* Its team may go before it. */
    shard_set_team(hosted->shard, NULL);
    hosted->release = (job_t){.work = release, .done = released, .context = hosted};
    job_submit(server, &hosted->release);
}

void hosted_clear(server_t *server) {
    while (server->hosted) {
        hosted_t *hosted = server->hosted;
        server->hosted = hosted->next;
        free_hosted(hosted);
    }
}

index_state_t hosted_state(const server_t *server, const hosted_t *hosted) {
    if (hosted->training)
        return INDEX_TRAINING;
    if (!shard_trained(hosted->shard))
        return INDEX_NOT_TRAINED;
    bool indexing =
        (server->building == hosted && !shard_compacting(hosted->shard)) || hosted->build_status != DFAISS_OK || shard_indexing(hosted->shard);
    return indexing ? INDEX_ADD : INDEX_TRAINED;
}

int64_t hosted_expected_rows(const server_t *server, const index_config_t *config, int64_t rows) {
    if (config->training == CONFIG_TRAINING_shared)
        return rows;
    return rows / server->servers + (rows % server->servers != 0);
}

const char *hosted_storage(const server_t *server, const index_config_t *config) {
    return index_config_storage(config, server->options->storage);
}
