/* Training: SAMPLE brings vectors to train on, TRAIN trains. Shared: server 0's builder trains once and the trained template goes to all. Local: each
 * server trains on the sample that it was sent. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "message/add.h"
#include "message/named.h"
#include "server/server_internal.h"

static dfaiss_status_t take_sample(server_t *server, request_t *request, dfaiss_error_t *err) {
    transport_message_t *message = &request->message;
    message_add_t add;
    hosted_t *hosted;
    TRY(message_add_decode(MESSAGE_SAMPLE, message->body, message->body_size, message->bulk_size, &add, err));
    TRY(hosted_get(server, add.index, &hosted, err));
    TRY(shard_sample(hosted->shard, add.element, add.n, message->bulk, message->bulk_size, err));
    message->bulk = NULL;
    return DFAISS_OK;
}

void request_sample(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = take_sample(server, request, &error);
    request_answer(server, request, status, &error, NULL, NULL, 0);
}

/* ---- training on this server ---- */

static dfaiss_status_t check_training(job_t *job, dfaiss_error_t *err) {
    return shard_train_check(job->hosted->shard, err);
}

typedef struct training {
    job_t job;
    void *owner; /* the request (shared), or the operation (local) */
} training_t;

static dfaiss_status_t train_work(void *context, dfaiss_error_t *err) {
    training_t *training = context;
    return shard_train_work(training->job.hosted->shard, err);
}

static dfaiss_status_t start_training(server_t *server, const char *index, void *owner,
                                      void (*done)(server_t *, job_t *, dfaiss_status_t, const dfaiss_error_t *), dfaiss_error_t *err) {
    hosted_t *hosted;
    TRY(hosted_get(server, index, &hosted, err));
    training_t *training = calloc(1, sizeof *training);
    if (!training)
        return error_memory(err, sizeof *training, "training");
    training->owner = owner;
    training->job = (job_t){.hosted = hosted, .prepare = check_training, .work = train_work, .done = done, .context = training};
    job_submit(server, &training->job);
    return DFAISS_OK;
}

/* ---- local training ---- */

static void trained_here(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    training_t *training = job->context;
    operation_t *operation = training->owner;
    dfaiss_error_t failure = *error;
    engine_template_t *template = shard_take_trained(job->hosted->shard);
    if (status == DFAISS_OK)
        status = shard_install(job->hosted->shard, template, &failure);
    free(training);
    operation_local_end(server, operation, status, &failure);
}

void operation_train(server_t *server, operation_t *operation) {
    char index[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    dfaiss_status_t status = message_named_decode(MESSAGE_TRAIN, operation->argument.data, operation->argument.size, index, &error);
    if (status == DFAISS_OK)
        status = start_training(server, index, operation, trained_here, &error);
    if (status != DFAISS_OK)
        operation_local_end(server, operation, status, &error);
}

/* ---- installing what server 0 trained ---- */

static dfaiss_status_t install(server_t *server, const operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    hosted_t *hosted;
    engine_template_t *template;
    TRY(message_named_decode(MESSAGE_TRAIN, operation->argument.data, operation->argument.size, index, err));
    TRY(hosted_get(server, index, &hosted, err));
    TRY(engine_template_read(shard_config(hosted->shard), operation->argument_bulk, operation->argument_bulk_size, &template, err));
    return shard_install(hosted->shard, template, err);
}

void operation_install(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = install(server, operation, &error);
    operation_local_end(server, operation, status, &error);
}

/* ---- the request ---- */

static void train_ended(server_t *server, operation_t *operation, void *context) {
    request_answer(server, context, operation->status, &operation->error, NULL, NULL, 0);
}

/* The template as a block that may be sent. */
static dfaiss_status_t write_template(const engine_template_t *template, void **bulk, size_t *bulk_size, dfaiss_error_t *err) {
    bytes_writer_t out = {0};
    dfaiss_status_t status = engine_template_write(template, &out, err);
    void *block = status == DFAISS_OK ? memory_map(out.size) : NULL;
    if (status == DFAISS_OK && !block)
        status = error_memory(err, out.size, "a trained index");
    if (status == DFAISS_OK) {
        memcpy(block, out.data, out.size);
        *bulk = block;
        *bulk_size = out.size;
    }
    bytes_writer_destroy(&out);
    return status;
}

static void trained_for_all(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    training_t *training = job->context;
    request_t *request = training->owner;
    dfaiss_error_t failure = *error;
    engine_template_t *template = shard_take_trained(job->hosted->shard);
    void *bulk = NULL;
    size_t bulk_size = 0;
    if (status == DFAISS_OK)
        status = write_template(template, &bulk, &bulk_size, &failure);
    engine_template_destroy(template);
    free(training);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &failure, NULL, NULL, 0);
        return;
    }
    bytes_writer_t argument = {0};
    message_named_encode(request->index, &argument);
    operation_start(server, OPERATION_INSTALL, &argument, bulk, bulk_size, train_ended, request);
}

void request_train(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    hosted_t *hosted;
    dfaiss_status_t status = hosted_get(server, request->index, &hosted, &error);
    if (status == DFAISS_OK && shard_config(hosted->shard)->training == CONFIG_TRAINING_local) {
        bytes_writer_t argument = {0};
        message_named_encode(request->index, &argument);
        operation_start(server, OPERATION_TRAIN, &argument, NULL, 0, train_ended, request);
        return;
    }
    if (status == DFAISS_OK)
        status = start_training(server, request->index, request, trained_for_all, &error);
    if (status != DFAISS_OK)
        request_answer(server, request, status, &error, NULL, NULL, 0);
}
