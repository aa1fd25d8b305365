/* A server's part in training: SAMPLE brings vectors to train on; the operations prepare a part, draw from the rows that are here, train, take over
 * what another server has trained, and adopt it. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "message/add.h"
#include "message/outcome.h"
#include "server/training.h"

enum { DRAWN_A_TURN = 1024 };

/* ---- samples ---- */

static dfaiss_status_t take_sample(server_t *server, request_t *request, dfaiss_error_t *err) {
    transport_message_t *message = &request->message;
    message_add_t add;
    hosted_t *hosted;
    TRY(message_add_decode(MESSAGE_SAMPLE, message->body, message->body_size, message->bulk_size, &add, err));
    TRY(hosted_get(server, add.index, &hosted, err));
    TRY(ingest_admit(server, add.index, message, err));
    TRY(shard_sample(hosted->shard, add.element, add.n, message->bulk, message->bulk_size, err));
    message->bulk = NULL;
    return DFAISS_OK;
}

void request_sample(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = take_sample(server, request, &error);
    request_answer(server, request, status, &error, NULL, NULL, 0);
}

/* ---- parts ---- */

hosted_t *training_index(server_t *server, const char *index, uint64_t number) {
    hosted_t *hosted = hosted_find(server, index);
    return hosted && hosted->training == number ? hosted : NULL;
}

bool training_wanted(const server_t *server, const hosted_t *hosted) {
    return hosted && clients_left(server);
}

dfaiss_status_t training_index_gone(const char *index, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_NOT_FOUND, index, "index '%s' was dropped while it was being trained", index);
}

static training_part_t *find_part(server_t *server, uint64_t number) {
    training_part_t *part = server->training_parts;
    while (part && part->number != number)
        part = part->next;
    return part;
}

static void free_part(server_t *server, training_part_t *part) {
    LIST_REMOVE(server->training_parts, part);
    training_destroy(part->training);
    engine_template_destroy(part->template);
    free(part);
}

dfaiss_status_t training_part_add(server_t *server, hosted_t *hosted, uint64_t number, training_t *training, training_part_t **out,
                                  dfaiss_error_t *err) {
    training_part_t *part = calloc(1, sizeof *part);
    if (!part) {
        training_destroy(training);
        return error_memory(err, sizeof *part, "training");
    }
    memcpy(part->index, hosted->name, sizeof part->index);
    part->number = number;
    part->training = training;
    hosted->training = number;
    hosted->train_failure.code = DFAISS_OK;
    LIST_APPEND(server->training_parts, part);
    *out = part;
    return DFAISS_OK;
}

void training_part_start(training_part_t *part, operation_t *operation) {
    part->operation = operation;
    part->stage = PART_DRAWS;
}

static bool trains_locally(const hosted_t *hosted) {
    return shard_config(hosted->shard)->training == CONFIG_TRAINING_local;
}

void training_keep_failure(hosted_t *hosted, const dfaiss_error_t *failure, int64_t rows) {
    hosted->train_failure = *failure;
    hosted->train_again = 2 * (trains_locally(hosted) ? shard_living(hosted->shard) : rows);
}

static dfaiss_status_t install(hosted_t *hosted, training_part_t *part, int64_t rows, dfaiss_error_t *err) {
    engine_template_t *template = part->template;
    part->template = NULL;
    dfaiss_error_t failure = {0};
    dfaiss_status_t status = shard_install(hosted->shard, template, &failure);
    if (status != DFAISS_OK) {
        training_keep_failure(hosted, &failure, rows);
        *err = failure;
    }
    return status;
}

/* Ends a training on this server: what was trained is installed, unless `failure` says why it is not to be; that is kept where `keep`. rows: as of
 * training_keep_failure. */
static dfaiss_status_t end_training(server_t *server, const char *index, uint64_t number, const dfaiss_error_t *failure, bool keep, int64_t rows,
                                    dfaiss_error_t *err) {
    training_part_t *part = find_part(server, number);
    hosted_t *hosted = training_index(server, index, number);
    dfaiss_status_t status = DFAISS_OK;
    if (hosted)
        hosted->training = 0;
    if (failure->code != DFAISS_OK && hosted && keep)
        training_keep_failure(hosted, failure, rows);
    else if (failure->code == DFAISS_OK && part && part->template)
        status = hosted ? install(hosted, part, rows, err) : training_index_gone(index, err);
    if (part)
        free_part(server, part);
    return status;
}

/* ---- training on this server ---- */

/* A training that this server has started by itself. */
static void end_own_training(server_t *server, training_part_t *part, const dfaiss_error_t *failure) {
    dfaiss_error_t error = *failure;
    char index[MESSAGE_NAME];
    memcpy(index, part->index, sizeof index);
    bool there = training_index(server, index, part->number) != NULL;
    dfaiss_status_t installed = end_training(server, index, part->number, failure, true, part->rows, &error);
    if (there && failure->code != DFAISS_ERR_INTERRUPTED && (failure->code != DFAISS_OK || installed != DFAISS_OK))
        log_write(LOG_LEVEL_WARNING, "server %d: training index '%s' failed: %s", server->number, index, error.text);
}

static void end_part(server_t *server, training_part_t *part, dfaiss_status_t status, const dfaiss_error_t *error) {
    operation_t *operation = part->operation;
    dfaiss_error_t failure = *error;
    failure.code = status;
    part->operation = NULL;
    part->stage = PART_PREPARED;
    if (operation)
        operation_local_end(server, operation, status, &failure);
    else
        end_own_training(server, part, &failure);
}

static dfaiss_status_t train_here(void *context, dfaiss_error_t *err) {
    training_part_t *part = context;
    return training_work(part->training, err);
}

static void trained_here(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error) {
    training_part_t *part = job->context;
    if (status == DFAISS_OK)
        part->template = training_take(part->training);
    training_destroy(part->training);
    part->training = NULL;
    end_part(server, part, status, error);
}

static dfaiss_status_t draw_some(const hosted_t *hosted, training_part_t *part, dfaiss_error_t *err) {
    int64_t all = training_drawn_rows(part->training), left = all - part->drawn;
    int64_t count = left < DRAWN_A_TURN ? left : DRAWN_A_TURN;
    TRY(shard_draw(hosted->shard, part->rows, all, part->drawn, count, training_room(part->training, part->drawn), err));
    part->drawn += count;
    return DFAISS_OK;
}

static void advance_part(server_t *server, training_part_t *part) {
    dfaiss_error_t error = {0};
    hosted_t *hosted = training_index(server, part->index, part->number);
    dfaiss_status_t status = hosted ? draw_some(hosted, part, &error) : training_index_gone(part->index, &error);
    if (status != DFAISS_OK) {
        end_part(server, part, status, &error);
    } else if (part->drawn == training_drawn_rows(part->training)) {
        part->stage = PART_TRAINS;
        part->job = (job_t){.work = train_here, .done = trained_here, .context = part};
        job_submit_training(server, &part->job);
    }
}

bool training_parts_advance(server_t *server) {
    training_part_t *part = server->training_parts;
    for (; part; part = part->next) {
        if (part->stage == PART_TRAINS && !training_wanted(server, training_index(server, part->index, part->number)))
            training_cancel(part->training);
    }
    part = server->training_parts;
    while (part && part->stage != PART_DRAWS)
        part = part->next;
    if (!part)
        return false;
    advance_part(server, part);
    return true;
}

void training_parts_clear(server_t *server) {
    while (server->training_parts)
        free_part(server, server->training_parts);
}

/* ---- operations ---- */

/* With local training every server plans here, and those that are trained already are left out. */
static dfaiss_status_t prepare(server_t *server, hosted_t *hosted, uint64_t number, dfaiss_error_t *err) {
    training_part_t *part = NULL;
    training_t *training = NULL;
    if (hosted->training)
        return error_set(err, DFAISS_ERR_STATE, hosted->name, "index '%s' is being trained", hosted->name);
    if (shard_trained(hosted->shard) && trains_locally(hosted))
        return DFAISS_OK;
    if (shard_trained(hosted->shard))
        return error_set(err, DFAISS_ERR_STATE, hosted->name, "index '%s' is trained already", hosted->name);
    if (trains_locally(hosted))
        TRY(training_create(hosted->shard, shard_living(hosted->shard), 1, &training, err));
    TRY(training_part_add(server, hosted, number, training, &part, err));
    part->rows = shard_living(hosted->shard);
    return DFAISS_OK;
}

/* The argument: index, number. The result: this server's number, its rows, and whether it takes part. */
static dfaiss_status_t prepare_part(server_t *server, operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    hosted_t *hosted;
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    bytes_get_string(&in, index, sizeof index);
    uint64_t number = bytes_get_u64(&in);
    if (!bytes_reader_done(&in))
        return message_malformed(MESSAGE_TRAIN, err);
    TRY(hosted_get(server, index, &hosted, err));
    TRY(prepare(server, hosted, number, err));
    bytes_put_u32(&operation->result, (uint32_t)server->number);
    bytes_put_i64(&operation->result, shard_living(hosted->shard));
    bytes_put_u8(&operation->result, hosted->training == number);
    return DFAISS_OK;
}

void operation_prepare(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = prepare_part(server, operation, &error);
    operation_local_end(server, operation, status, &error);
}

/* The argument: index, number, the server that draws, the rows that it draws from, the size of its sample, and which vectors of it are wanted. The
 * bulk of the result are these, float[count][dim]. */
static dfaiss_status_t draw(server_t *server, operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    bytes_get_string(&in, index, sizeof index);
    uint64_t number = bytes_get_u64(&in);
    int64_t drawer = bytes_get_i64(&in), rows = bytes_get_i64(&in), n = bytes_get_i64(&in), first = bytes_get_i64(&in), count = bytes_get_i64(&in);
    if (!bytes_reader_done(&in) || count < 1)
        return message_malformed(MESSAGE_TRAIN, err);
    if (drawer != server->number)
        return DFAISS_OK;
    hosted_t *hosted = training_index(server, index, number);
    if (!hosted)
        return training_index_gone(index, err);
    size_t bytes = (size_t)count * (size_t)shard_config(hosted->shard)->dim * sizeof(float);
    operation->bulk = memory_map(bytes);
    operation->bulk_size = operation->bulk ? bytes : 0;
    if (!operation->bulk)
        return error_memory(err, bytes, "the training sample");
    return shard_draw(hosted->shard, rows, n, first, count, operation->bulk, err);
}

void operation_draw(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = draw(server, operation, &error);
    operation_local_end(server, operation, status, &error);
}

/* One server alone has a bulk. */
void operation_draw_merge(server_t *server, operation_t *operation, void *bulk, size_t bulk_size) {
    (void)server;
    memory_unmap(operation->bulk, operation->bulk_size);
    operation->bulk = bulk;
    operation->bulk_size = bulk_size;
}

/* The argument: number. Servers without a part are trained already. */
void operation_train(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    uint64_t number = bytes_get_u64(&in);
    training_part_t *part = bytes_reader_done(&in) ? find_part(server, number) : NULL;
    if (part && part->training)
        training_part_start(part, operation);
    else
        operation_local_end(server, operation, DFAISS_OK, &error);
}

/* A template may have hundreds of megabytes, so the builder reads it. */
typedef struct receiving {
    job_t job;
    operation_t *operation;
    uint64_t number;
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
    training_part_t *part = find_part(server, receiving->number);
    if (part)
        part->template = receiving->template;
    else
        engine_template_destroy(receiving->template);
    free(receiving);
    operation_local_end(server, operation, status, error);
}

/* The argument: index, number; the bulk is the template. */
static dfaiss_status_t receive_template(server_t *server, operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    bytes_get_string(&in, index, sizeof index);
    uint64_t number = bytes_get_u64(&in);
    if (!bytes_reader_done(&in))
        return message_malformed(MESSAGE_TRAIN, err);
    hosted_t *hosted = training_index(server, index, number);
    if (!hosted)
        return training_index_gone(index, err);
    receiving_t *receiving = calloc(1, sizeof *receiving);
    if (!receiving)
        return error_memory(err, sizeof *receiving, "training");
    receiving->operation = operation;
    receiving->number = number;
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

/* The argument: index, number, whether a failure is to be kept, how many vectors all servers had, and how training went. */
static dfaiss_status_t adopt(server_t *server, const operation_t *operation, dfaiss_error_t *err) {
    char index[MESSAGE_NAME];
    dfaiss_status_t status;
    dfaiss_error_t failure = {0};
    bytes_reader_t in = bytes_reader(operation->argument.data, operation->argument.size);
    bytes_get_string(&in, index, sizeof index);
    uint64_t number = bytes_get_u64(&in);
    bool keep = bytes_get_u8(&in) != 0;
    int64_t rows = bytes_get_i64(&in);
    TRY(message_outcome_decode(MESSAGE_TRAIN, &in, &status, &failure, err));
    if (!bytes_reader_done(&in) || rows < 0)
        return message_malformed(MESSAGE_TRAIN, err);
    return end_training(server, index, number, &failure, keep, rows, err);
}

void operation_adopt(server_t *server, operation_t *operation) {
    dfaiss_error_t error = {0};
    dfaiss_status_t status = adopt(server, operation, &error);
    operation_local_end(server, operation, status, &error);
}
