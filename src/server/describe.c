/* What a client asks of server 0 without changing anything but the ids that are left: which indexes there are, their configurations, and new ids. */
#include <stdlib.h>
#include <string.h>

#include "message/ids.h"
#include "message/named.h"
#include "message/setting.h"
#include "server/server_internal.h"

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static dfaiss_status_t list(server_t *server, bytes_writer_t *body, dfaiss_error_t *err) {
    uint32_t count = 0;
    for (const hosted_t *hosted = server->hosted; hosted; hosted = hosted->next)
        count += !hosted->dropping;
    const char **names = calloc(count + 1, sizeof *names);
    if (!names)
        return error_memory(err, count * sizeof *names, "the names of indexes");
    uint32_t place = 0;
    for (const hosted_t *hosted = server->hosted; hosted; hosted = hosted->next) {
        if (!hosted->dropping)
            names[place++] = hosted->name;
    }
    qsort(names, count, sizeof *names, compare_names);
    bytes_put_u32(body, count);
    for (uint32_t i = 0; i < count; i++)
        bytes_put_string(body, names[i]);
    free(names);
    return message_written(body, MESSAGE_LIST, err);
}

void request_list(server_t *server, request_t *request) {
    char nothing[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    bytes_writer_t body = {0};
    dfaiss_status_t status = message_named_decode(MESSAGE_LIST, request->message.body, request->message.body_size, nothing, &error);
    if (status == DFAISS_OK)
        status = list(server, &body, &error);
    request_answer(server, request, status, &error, &body, NULL, 0);
    bytes_writer_destroy(&body);
}

static dfaiss_status_t get_config(server_t *server, const request_t *request, bytes_writer_t *body, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    char *text;
    hosted_t *hosted;
    TRY(message_named_decode(MESSAGE_GET_CONFIG, request->message.body, request->message.body_size, index, err));
    TRY(hosted_get(server, index, &hosted, err));
    index_config_t *config = NULL;
    TRY(shard_config_copy(hosted->shard, &config, err));
    dfaiss_status_t status = index_config_print(config, true, &text, err);
    index_config_destroy(config);
    TRY(status);
    bytes_put_block(body, text, strlen(text));
    free(text);
    return message_written(body, MESSAGE_GET_CONFIG, err);
}

void request_get_config(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    bytes_writer_t body = {0};
    dfaiss_status_t status = get_config(server, request, &body, &error);
    request_answer(server, request, status, &error, &body, NULL, 0);
    bytes_writer_destroy(&body);
}

/* Server 0 keeps the mark: no id above it was dealt out or saved. */
static dfaiss_status_t reserve_ids(server_t *server, const request_t *request, bytes_writer_t *body, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    int64_t count;
    hosted_t *hosted;
    TRY(message_setting_decode(MESSAGE_RESERVE_IDS, request->message.body, request->message.body_size, index, &count, err));
    if (server->number != 0 || count < 1)
        return message_malformed(MESSAGE_RESERVE_IDS, err);
    TRY(hosted_get(server, index, &hosted, err));
    if (hosted->own_ids)
        return error_set(err, DFAISS_ERR_ARG, index, "index '%s' has the caller's ids; every vector needs one", index);
    TRY(hosted_change(server, hosted, err));
    if (count > INT64_MAX - hosted->next_id)
        return error_set(err, DFAISS_ERR_ARG, index, "index '%s' has no %lld ids left; the next one is %lld", index, (long long)count,
                         (long long)hosted->next_id);
    message_ids_t dealt = {.first = hosted->next_id, .count = count, .incarnation = hosted->incarnation};
    hosted->next_id += count;
    message_ids_encode(&dealt, body);
    return message_written(body, MESSAGE_RESERVE_IDS, err);
}

void request_reserve_ids(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    bytes_writer_t body = {0};
    dfaiss_status_t status = reserve_ids(server, request, &body, &error);
    request_answer(server, request, status, &error, &body, NULL, 0);
    bytes_writer_destroy(&body);
}
