/* Training: SAMPLE brings vectors to train on, TRAIN trains. Shared: server 0's builder trains once and the trained template goes to all. Local: each
 * server trains on the sample that it was sent. Either way each server then has a trained template, and adopts it only when all have one. */
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

typedef struct training {
    job_t job;
    request_t *request;     /* shared training: whose it is */
    operation_t *operation; /* local training: whose it is */
    void *bulk;             /* shared training: the template as a block that may be sent */
    size_t bulk_size;
} training_t;

static dfaiss_status_t prepare_training(job_t *job, dfaiss_error_t *err) {
    return shard_train_prepare(job->hosted->shard, err);
}

static dfaiss_status_t train_here(void *context, dfaiss_error_t *err) {
    training_t *training = context;
    return shard_train_work(training->job.hosted->shard, err);
}

static dfaiss_status_t start_training(server_t *server, const char *index, const training_t *made, dfaiss_error_t *err) {
    hosted_t *hosted;
    TRY(hosted_get(server, index, &hosted, err));
    training_t *training = malloc(sizeof *training);
    if (!training)
        return error_memory(err, sizeof *training, "training");
    *training = *made;
    training->job.hosted = hosted;
    training->job.prepare = prepare_training;
    training->job.context = training;
    job_submit(server, &training->job);
    return DFAISS_OK;
}

/* ---- local training ---- */

static void trained_here(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    training_t *training = job->context;
    operation_t *operation = training->operation;
    dfaiss_error_t failure = *error;
    free(training);
    operation_local_end(server, operation, status, &failure);
}

void operation_train(server_t *server, operation_t *operation) {
    char index[MESSAGE_NAME];
    dfaiss_error_t error = {0};
    training_t training = {.job = {.work = train_here, .done = trained_here}, .operation = operation};
    dfaiss_status_t status = message_named_decode(MESSAGE_TRAIN, operation->argument.data, operation->argument.size, index, &error);
    if (status == DFAISS_OK)
        status = start_training(server, index, &training, &error);
    if (status != DFAISS_OK)
        operation_local_end(server, operation, status, &error);
}

/* The argument: index, and whether all servers have trained. Otherwise what this one has trained is thrown away. */
static dfaiss_status_t adopt(server_t *server, const operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    hosted_t *hosted;
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    bytes_get_string(&in, index, sizeof index);
    bool all = bytes_get_u8(&in) != 0;
    if (!bytes_reader_done(&in))
        return message_malformed(MESSAGE_TRAIN, err);
    TRY(hosted_get(server, index, &hosted, err));
    engine_template_t *template = shard_take_trained(hosted->shard);
    if (all && template)
        return shard_install(hosted->shard, template, err);
    engine_template_destroy(template);
    return DFAISS_OK;
}

void operation_adopt(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = adopt(server, operation, &error);
    operation_local_end(server, operation, status, &error);
}

/* A training's request, with how the training itself went. */
typedef struct adoption {
    request_t *request;
    dfaiss_status_t status;
    dfaiss_error_t error;
} adoption_t;

static void all_adopted(server_t *server, operation_t *operation, void *context) {
    adoption_t *adoption = context;
    bool trained = adoption->status == DFAISS_OK;
    request_answer(server, adoption->request, trained ? operation->status : adoption->status, trained ? &operation->error : &adoption->error, NULL,
                   NULL, 0);
    free(adoption);
}

static void all_trained(server_t *server, operation_t *operation, void *context) {
    request_t *request = context;
    adoption_t *adoption = malloc(sizeof *adoption);
    if (!adoption) {
        dfaiss_error_t error = {0};
        dfaiss_status_t status = error_memory(&error, sizeof *adoption, "training");
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    *adoption = (adoption_t){.request = request, .status = operation->status, .error = operation->error};
    bytes_writer_t argument = {0};
    bytes_put_string(&argument, request->index);
    bytes_put_u8(&argument, operation->status == DFAISS_OK);
    operation_start(server, OPERATION_ADOPT, &argument, NULL, 0, all_adopted, adoption);
}

/* ---- shared training: templates may have hundreds of megabytes, so the builder reads and writes them ---- */

typedef struct receiving {
    job_t job;
    operation_t *operation;
    engine_template_t *template;
} receiving_t;

static dfaiss_status_t read_template(void *context, dfaiss_error_t *err) {
    receiving_t *receiving = context;
    const operation_t *operation = receiving->operation;
    return engine_template_read(shard_config(receiving->job.hosted->shard), operation->argument_bulk, operation->argument_bulk_size,
                                &receiving->template, err);
}

static void template_read(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    receiving_t *receiving = job->context;
    operation_t *operation = receiving->operation;
    if (status == DFAISS_OK)
        shard_put_trained(job->hosted->shard, receiving->template);
    free(receiving);
    operation_local_end(server, operation, status, error);
}

static dfaiss_status_t receive_template(server_t *server, operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    hosted_t *hosted;
    TRY(message_named_decode(MESSAGE_TRAIN, operation->argument.data, operation->argument.size, index, err));
    TRY(hosted_get(server, index, &hosted, err));
    receiving_t *receiving = calloc(1, sizeof *receiving);
    if (!receiving)
        return error_memory(err, sizeof *receiving, "training");
    receiving->operation = operation;
    receiving->job = (job_t){.hosted = hosted, .work = read_template, .done = template_read, .context = receiving};
    job_submit(server, &receiving->job);
    return DFAISS_OK;
}

void operation_template(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = receive_template(server, operation, &error);
    if (status != DFAISS_OK)
        operation_local_end(server, operation, status, &error);
}

static dfaiss_status_t write_template(const engine_template_t *template, void **bulk, size_t *bulk_size, dfaiss_error_t *err) {
    bytes_writer_t out = {0};
    dfaiss_status_t status = engine_template_write(template, &out, err);
    void *block = status == DFAISS_OK ? memory_map(out.size) : NULL;
    if (status == DFAISS_OK && !block)
        status = error_memory(err, out.size, "a trained index");
    if (block) {
        memcpy(block, out.data, out.size);
        *bulk = block;
        *bulk_size = out.size;
    }
    bytes_writer_destroy(&out);
    return status;
}

static dfaiss_status_t train_for_all(void *context, dfaiss_error_t *err) {
    training_t *training = context;
    shard_t *shard = training->job.hosted->shard;
    TRY(shard_train_work(shard, err));
    engine_template_t *template = shard_take_trained(shard);
    dfaiss_status_t status = write_template(template, &training->bulk, &training->bulk_size, err);
    engine_template_destroy(template);
    return status;
}

static void trained_for_all(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    training_t *training = job->context;
    request_t *request = training->request;
    if (status == DFAISS_OK) {
        bytes_writer_t argument = {0};
        message_named_encode(request->index, &argument);
        operation_start(server, OPERATION_TEMPLATE, &argument, training->bulk, training->bulk_size, all_trained, request);
    } else {
        engine_template_destroy(shard_take_trained(job->hosted->shard));
        request_answer(server, request, status, error, NULL, NULL, 0);
    }
    free(training);
}

/* ---- the request ---- */

static void train_locally(server_t *server, request_t *request) {
    bytes_writer_t argument = {0};
    message_named_encode(request->index, &argument);
    operation_start(server, OPERATION_TRAIN, &argument, NULL, 0, all_trained, request);
}

void request_train(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    hosted_t *hosted;
    training_t training = {.job = {.work = train_for_all, .done = trained_for_all}, .request = request};
    dfaiss_status_t status = hosted_get(server, request->index, &hosted, &error);
    if (status == DFAISS_OK && shard_config(hosted->shard)->training == CONFIG_TRAINING_local) {
        train_locally(server, request);
        return;
    }
    if (status == DFAISS_OK)
        status = start_training(server, request->index, &training, &error);
    if (status != DFAISS_OK)
        request_answer(server, request, status, &error, NULL, NULL, 0);
}
