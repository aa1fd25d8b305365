/* Indexes as a whole: created, loaded, trained, flushed, saved, dropped; and what the servers tell. Server 0 coordinates all of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_internal.h"
#include "message/add.h"
#include "message/create.h"
#include "message/loaded.h"
#include "message/named.h"

enum { COORDINATOR = 0 };

void client_index_clear(client_index_t *index) {
    free(index->config);
    *index = (client_index_t){0};
}

/* Asks a question that is answered with what there is to know of the index. */
static dfaiss_status_t ask_loaded(client_t *client, message_kind_t kind, bytes_writer_t *body, client_index_t *out, dfaiss_error_t *err) {
    transport_message_t answer;
    bytes_reader_t result;
    message_loaded_t loaded;
    TRY(client_ask(client, COORDINATOR, kind, body, NULL, 0, false, &answer, &result, err));
    dfaiss_status_t status = message_loaded_decode(&result, &loaded, err);
    char *config = status == DFAISS_OK ? strndup(loaded.config, loaded.config_size) : NULL;
    transport_message_clear(&answer);
    if (status == DFAISS_OK && !config)
        status = error_memory(err, loaded.config_size, "a configuration");
    if (status == DFAISS_OK)
        *out = (client_index_t){
            .generation = loaded.generation, .rows = loaded.rows, .next_id = loaded.next_id, .own_ids = loaded.own_ids, .config = config};
    return status;
}

dfaiss_status_t client_create_index(client_t *client, const char *index, const char *config, int64_t expected_rows, bool overwrite, bool own_ids,
                                    client_index_t *out, dfaiss_error_t *err) {
    TRY(client_check_name(index, err));
    message_create_t message = {
        .overwrite = overwrite, .own_ids = own_ids, .expected_rows = expected_rows, .config = config, .config_size = strlen(config)};
    snprintf(message.index, sizeof message.index, "%s", index);
    bytes_writer_t body = {0};
    message_create_encode(&message, &body);
    return ask_loaded(client, MESSAGE_CREATE, &body, out, err);
}

dfaiss_status_t client_load_index(client_t *client, const char *index, client_index_t *out, dfaiss_error_t *err) {
    TRY(client_check_name(index, err));
    bytes_writer_t body = {0};
    message_named_encode(index, &body);
    return ask_loaded(client, MESSAGE_LOAD, &body, out, err);
}

/* A request that names an index and is answered by its outcome alone. */
static dfaiss_status_t tell_named(client_t *client, message_kind_t kind, const char *index, dfaiss_error_t *err) {
    TRY(client_check_name(index, err));
    bytes_writer_t body = {0};
    message_named_encode(index, &body);
    return client_tell(client, COORDINATOR, kind, &body, NULL, 0, err);
}

dfaiss_status_t client_drop_index(client_t *client, const char *index, dfaiss_error_t *err) {
    return tell_named(client, MESSAGE_DROP, index, err);
}

dfaiss_status_t client_train(client_t *client, const char *index, dfaiss_error_t *err) {
    return tell_named(client, MESSAGE_TRAIN, index, err);
}

dfaiss_status_t client_flush(client_t *client, const char *index, dfaiss_error_t *err) {
    return tell_named(client, MESSAGE_FLUSH, index, err);
}

dfaiss_status_t client_shutdown(client_t *client, dfaiss_error_t *err) {
    transport_message_t answer;
    bytes_reader_t result;
    bytes_writer_t body = {0};
    /* Servers that have stopped answer no batch. How batches ended is told by client_add_wait. */
    TRY(client_batches_wait(client, err));
    message_named_encode("", &body);
    TRY(client_ask(client, COORDINATOR, MESSAGE_SHUTDOWN, &body, NULL, 0, false, &answer, &result, err));
    transport_message_clear(&answer);
    return DFAISS_OK;
}

dfaiss_status_t client_sample(client_t *client, const char *index, int server, element_t element, int64_t n, int64_t dim, const void *vectors,
                              dfaiss_error_t *err) {
    TRY(client_check_name(index, err));
    message_add_t message = {.element = element, .n = n, .dim = dim};
    snprintf(message.index, sizeof message.index, "%s", index);
    bytes_writer_t body = {0};
    message_add_encode(&message, &body);
    size_t bytes = (size_t)n * (size_t)dim * element_size(element);
    return client_tell(client, server, MESSAGE_SAMPLE, &body, vectors, bytes, err);
}

dfaiss_status_t client_save(client_t *client, const char *index, int64_t *generation, int64_t *bytes, dfaiss_error_t *err) {
    TRY(client_check_name(index, err));
    transport_message_t answer;
    bytes_reader_t result;
    bytes_writer_t body = {0};
    message_named_encode(index, &body);
    TRY(client_ask(client, COORDINATOR, MESSAGE_SAVE, &body, NULL, 0, false, &answer, &result, err));
    int64_t saved_generation = bytes_get_i64(&result), saved_bytes = bytes_get_i64(&result);
    bool whole = bytes_reader_done(&result);
    transport_message_clear(&answer);
    if (!whole)
        return message_malformed(MESSAGE_ANSWER, err);
    *generation = saved_generation;
    *bytes = saved_bytes;
    return DFAISS_OK;
}

static dfaiss_status_t read_statistics(client_t *client, bytes_reader_t *result, message_statistics_t *statistics, dfaiss_error_t *err) {
    int servers = client_servers(client);
    for (int i = 0; i < servers; i++) {
        message_statistics_t one;
        message_statistics_decode(result, &one);
        if (result->failed || one.server < 0 || one.server >= servers)
            return message_malformed(MESSAGE_ANSWER, err);
        statistics[one.server] = one;
    }
    return bytes_reader_done(result) ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}

dfaiss_status_t client_statistics(client_t *client, const char *index, message_statistics_t *statistics, dfaiss_error_t *err) {
    TRY(client_check_name(index, err));
    transport_message_t answer;
    bytes_reader_t result;
    bytes_writer_t body = {0};
    message_named_encode(index, &body);
    TRY(client_ask(client, COORDINATOR, MESSAGE_STATISTICS, &body, NULL, 0, false, &answer, &result, err));
    dfaiss_status_t status = read_statistics(client, &result, statistics, err);
    transport_message_clear(&answer);
    return status;
}
