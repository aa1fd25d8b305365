/* Indexes as a whole: created, loaded, saved, dropped, flushed, described. The coordinator is asked for all of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bulk_load.h"
#include "client/client_internal.h"
#include "config/public_config.h"
#include "message/create.h"
#include "message/load.h"
#include "message/named.h"

/* The answer is whether it worked; what else it tells is not needed here. */
static dfaiss_status_t tell(dfaiss_client_t *client, message_kind_t kind, bytes_writer_t *body, patience_t patience, dfaiss_error_t *err) {
    question_t *question = NULL;
    TRY(client_ask(client, COORDINATOR, kind, body, NULL, 0, patience, &question, err));
    question_forget(question);
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_create_index(dfaiss_client_t *client, const char *index, const dfaiss_config_t *config, const dfaiss_create_options_t *options,
                                    dfaiss_error_t *err) {
    static const dfaiss_create_options_t usual_options = {0};
    TRY(client_check(client, index, err));
    if (!config)
        return error_null(err, "config");
    options = options ? options : &usual_options;
    if (options->expected_vectors < 0)
        return error_set(err, DFAISS_ERR_ARG, "expected_vectors", "expected_vectors is %lld; expected 0 or more",
                         (long long)options->expected_vectors);
    char *text;
    TRY(config_given_text(config, &text, err));
    message_create_t message = {.overwrite = options->overwrite,
                                .own_ids = options->own_ids,
                                .expected_rows = options->expected_vectors,
                                .config = text,
                                .config_size = strlen(text)};
    snprintf(message.index, sizeof message.index, "%s", index);
    bytes_writer_t body = {0};
    message_create_encode(&message, &body);
    free(text);
    TRY(tell(client, MESSAGE_CREATE, &body, PATIENCE_SHORT, err));
    client_forget_index(client, index);
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_drop_index(dfaiss_client_t *client, const char *index, dfaiss_error_t *err) {
    TRY(client_tell_named(client, MESSAGE_DROP, index, PATIENCE_LONG, err));
    client_forget_index(client, index);
    return DFAISS_OK;
}

dfaiss_status_t client_save(dfaiss_client_t *client, const char *index, int64_t *generation, int64_t *bytes, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    question_t *question = NULL;
    bytes_writer_t body = {0};
    message_named_encode(index, &body);
    TRY(client_ask(client, COORDINATOR, MESSAGE_SAVE, &body, NULL, 0, PATIENCE_LONG, &question, err));
    int64_t saved_generation = bytes_get_i64(&question->result), saved_bytes = bytes_get_i64(&question->result);
    bool whole = bytes_reader_done(&question->result);
    question_forget(question);
    if (!whole)
        return message_malformed(MESSAGE_ANSWER, err);
    *generation = saved_generation;
    *bytes = saved_bytes;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_save_index(dfaiss_client_t *client, const char *index, int64_t *generation, dfaiss_error_t *err) {
    int64_t saved = 0, bytes = 0;
    TRY(client_save(client, index, &saved, &bytes, err));
    if (generation)
        *generation = saved;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_load_index(dfaiss_client_t *client, const char *index, const dfaiss_config_t *overrides, bool force, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    char *text = NULL;
    if (overrides)
        TRY(config_given_text(overrides, &text, err));
    message_load_t message = {.force = force, .overrides = text, .overrides_size = text ? strlen(text) : 0};
    snprintf(message.index, sizeof message.index, "%s", index);
    bytes_writer_t body = {0};
    message_load_encode(&message, &body);
    free(text);
    TRY(tell(client, MESSAGE_LOAD, &body, PATIENCE_LONG, err));
    client_forget_index(client, index);
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_flush(dfaiss_client_t *client, const char *index, dfaiss_error_t *err) {
    return client_tell_named(client, MESSAGE_FLUSH, index, PATIENCE_LONG, err);
}

dfaiss_status_t dfaiss_get_config(dfaiss_client_t *client, const char *index, dfaiss_config_t **config, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    if (!config)
        return error_null(err, "config");
    question_t *question = NULL;
    bytes_writer_t body = {0};
    message_named_encode(index, &body);
    TRY(client_ask(client, COORDINATOR, MESSAGE_GET_CONFIG, &body, NULL, 0, PATIENCE_SHORT, &question, err));
    size_t size;
    const char *text = bytes_get_block(&question->result, &size);
    dfaiss_status_t status = DFAISS_OK;
    if (bytes_reader_done(&question->result))
        status = dfaiss_config_parse(text, size, config, err);
    else
        status = message_malformed(MESSAGE_ANSWER, err);
    question_forget(question);
    return status;
}

/* The pointers, then the texts, in one block. */
static dfaiss_status_t read_names(bytes_reader_t *result, char ***names, int64_t *count, dfaiss_error_t *err) {
    uint32_t n = bytes_get_u32(result);
    /* A name takes at least its length. */
    if (result->failed || n > result->left / 4)
        return message_malformed(MESSAGE_ANSWER, err);
    size_t bytes = n * (sizeof(char *) + MESSAGE_NAME);
    char **block = malloc(bytes > 0 ? bytes : 1);
    if (!block)
        return error_memory(err, bytes, "the names of indexes");
    for (uint32_t i = 0; i < n; i++) {
        block[i] = (char *)(block + n) + (size_t)i * MESSAGE_NAME;
        bytes_get_string(result, block[i], MESSAGE_NAME);
    }
    if (!bytes_reader_done(result)) {
        free(block);
        return message_malformed(MESSAGE_ANSWER, err);
    }
    *names = block;
    *count = n;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_list_indexes(dfaiss_client_t *client, char ***names, int64_t *count, dfaiss_error_t *err) {
    if (!client || !names || !count)
        return error_null(err, !client ? "client" : !names ? "names" : "count");
    TRY(client_check_broken(client, err));
    question_t *question = NULL;
    bytes_writer_t body = {0};
    message_named_encode("", &body);
    TRY(client_ask(client, COORDINATOR, MESSAGE_LIST, &body, NULL, 0, PATIENCE_SHORT, &question, err));
    dfaiss_status_t status = read_names(&question->result, names, count, err);
    question_forget(question);
    return status;
}
