/* What is set on all servers alike: the nprobe of an index, its dimension where the first vectors say it, and the threads of every server. */
#include <stdlib.h>

#include "config/key_table.h"
#include "message/setting.h"
#include "server/server_internal.h"

/* A number for an index that is here, out of a request's or an operation's body. */
static dfaiss_status_t decode_for(server_t *server, message_kind_t kind, const void *body, size_t size, hosted_t **hosted, int64_t *value,
                                  dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    TRY(message_setting_decode(kind, body, size, index, value, err));
    return hosted_get(server, index, hosted, err);
}

/* ---- nprobe ---- */

static dfaiss_status_t check_nprobe(server_t *server, const request_t *request, dfaiss_error_t *err) {
    hosted_t *hosted;
    int64_t nprobe = 0;
    TRY(decode_for(server, MESSAGE_SET_NPROBE, request->message.body, request->message.body_size, &hosted, &nprobe, err));
    return nprobe >= 1 && nprobe <= MESSAGE_MAX_NPROBE && server->number == 0 ? DFAISS_OK : message_malformed(MESSAGE_SET_NPROBE, err);
}

void request_set_nprobe(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = check_nprobe(server, request, &error);
    if (status == DFAISS_OK)
        request_start_operation(server, request, OPERATION_SET_NPROBE, request_answer_outcome);
    else
        request_answer(server, request, status, &error, NULL, NULL, 0);
}

void operation_set_nprobe(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    hosted_t *hosted;
    int64_t nprobe = 0;
    dfaiss_status_t status = decode_for(server, MESSAGE_SET_NPROBE, operation->argument.data, operation->argument.size, &hosted, &nprobe, &error);
    if (status == DFAISS_OK)
        shard_set_nprobe(hosted->shard, nprobe);
    operation_local_end(server, operation, status, &error);
}

/* ---- dimension ---- */

static dfaiss_status_t set_dim(server_t *server, const void *body, size_t size, dfaiss_error_t *err) {
    hosted_t *hosted;
    int64_t dim = 0;
    const config_key_t *key = config_key_find("dim");
    TRY(decode_for(server, MESSAGE_SET_DIM, body, size, &hosted, &dim, err));
    if (dim < 1 || (double)dim > key->high)
        return error_set(err, DFAISS_ERR_ARG, "dim", "vectors of dimension %lld; expected 1 to %.0f", (long long)dim, key->high);
    return shard_set_dim(hosted->shard, dim, err);
}

/* Server 0 tries first: where the configuration does not allow it, no server has it. */
void request_set_dim(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = set_dim(server, request->message.body, request->message.body_size, &error);
    if (status == DFAISS_OK)
        request_start_operation(server, request, OPERATION_SET_DIM, request_answer_outcome);
    else
        request_answer(server, request, status, &error, NULL, NULL, 0);
}

void operation_set_dim(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = set_dim(server, operation->argument.data, operation->argument.size, &error);
    operation_local_end(server, operation, status, &error);
}

/* ---- threads ---- */

struct retired_team {
    retired_team_t *next;
    team_t *team;
    uint64_t last_search; /* that may use it */
};

static dfaiss_status_t retire(server_t *server, team_t *team, dfaiss_error_t *err) {
    retired_team_t *retired = malloc(sizeof *retired);
    if (!retired)
        return error_memory(err, sizeof *retired, "a team of threads");
    *retired = (retired_team_t){.next = server->retired, .team = team, .last_search = server->last_search};
    server->retired = retired;
    return DFAISS_OK;
}

/* An index that has a team of its own, since its configuration asks for one, gives it up. */
static dfaiss_status_t use_team(server_t *server, hosted_t *hosted, team_t *team, dfaiss_error_t *err) {
    if (hosted->team)
        TRY(retire(server, hosted->team, err));
    hosted->team = NULL;
    shard_set_team(hosted->shard, team);
    return DFAISS_OK;
}

static dfaiss_status_t set_threads(server_t *server, int threads, dfaiss_error_t *err) {
    team_t *team;
    TRY(team_create(threads, &team, err));
    dfaiss_status_t status = retire(server, server->team, err);
    if (status != DFAISS_OK) {
        team_destroy(team);
        return status;
    }
    server->team = team;
    server->threads = threads;
    server->threads_set = true;
    builder_set_threads(server->builder, threads);
    builder_set_threads(server->trainer, threads);
    /* None may be left with the team that goes. */
    for (hosted_t *hosted = server->hosted; hosted; hosted = hosted->next) {
        dfaiss_error_t error = {0};
        dfaiss_status_t used = use_team(server, hosted, team, &error);
        if (used != DFAISS_OK && status == DFAISS_OK) {
            status = used;
            *err = error;
        }
    }
    return status;
}

static dfaiss_status_t decode_threads(const void *body, size_t size, int *threads, dfaiss_error_t *err) {
    char nothing[MESSAGE_NAME];
    int64_t value = 0;
    TRY(message_setting_decode(MESSAGE_SET_THREADS, body, size, nothing, &value, err));
    if (value < 1 || value > MESSAGE_MAX_THREADS)
        return message_malformed(MESSAGE_SET_THREADS, err);
    *threads = (int)value;
    return DFAISS_OK;
}

void request_set_threads(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    int threads;
    dfaiss_status_t status = decode_threads(request->message.body, request->message.body_size, &threads, &error);
    if (status == DFAISS_OK)
        request_start_operation(server, request, OPERATION_SET_THREADS, request_answer_outcome);
    else
        request_answer(server, request, status, &error, NULL, NULL, 0);
}

void operation_set_threads(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    int threads = 0;
    dfaiss_status_t status = decode_threads(operation->argument.data, operation->argument.size, &threads, &error);
    if (status == DFAISS_OK)
        status = set_threads(server, threads, &error);
    operation_local_end(server, operation, status, &error);
}

/* Teams go when the searches have ended that were there when others took their place. */
bool teams_advance(server_t *server) {
    if (!server->retired)
        return false;
    uint64_t oldest = searches_oldest(server);
    bool something = false;
    for (retired_team_t **place = &server->retired; *place;) {
        retired_team_t *retired = *place;
        if (oldest <= retired->last_search) {
            place = &retired->next;
            continue;
        }
        *place = retired->next;
        team_destroy(retired->team);
        free(retired);
        something = true;
    }
    return something;
}

void teams_clear(server_t *server) {
    while (server->retired) {
        retired_team_t *retired = server->retired;
        server->retired = retired->next;
        team_destroy(retired->team);
        free(retired);
    }
    team_destroy(server->team);
}
