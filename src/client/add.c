/* Adding: an index that assigns ids deals them out in blocks, of which this client numbers its batches; batches go to the servers in turn, a bounded
 * number under way to each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/element.h"
#include "base/list.h"
#include "base/memory.h"
#include "client/client_internal.h"
#include "filter/given.h"
#include "message/ids.h"
#include "message/setting.h"

_Static_assert((int)DFAISS_F32 == ELEMENT_f32 && (int)DFAISS_F16 == ELEMENT_f16 && (int)DFAISS_U8 == ELEMENT_u8 && (int)DFAISS_I8 == ELEMENT_i8,
               "public elements are those that travel");

enum {
    ID_BLOCK = 1 << 20, /* ids asked for at once */
    ADD_TRIES = 16,     /* how often an index may change under an add before that is given up */
};

typedef struct add_request {
    dfaiss_request_t request;
    char index[MESSAGE_NAME];
    dfaiss_batch_t batch;
    bytes_writer_t columns; /* as they travel */
    int64_t *ids_out;
    int server;
    int tries;
    bool credit; /* of the server, which no question has yet */
    int64_t first_id;
    uint64_t incarnation;
    bool waits_for_ids;   /* that another add has dealt out; there is no question then */
    int refusals;         /* that there had been when it began to wait */
    question_t *question; /* the one under way */
    dfaiss_status_t (*answered)(struct add_request *add, bool *done, dfaiss_error_t *err);
} add_request_t;

static void destroy(dfaiss_request_t *request) {
    add_request_t *add = (add_request_t *)request;
    question_forget(add->question);
    bytes_writer_destroy(&add->columns);
    free(add);
}

static void give_credit_back(add_request_t *add) {
    if (add->credit)
        add->request.client->under_way[add->server]--;
    add->credit = false;
}

/* ---- indexes that are added to ---- */

static filled_index_t *find_filled(const dfaiss_client_t *client, const char *index) {
    for (filled_index_t *filled = client->filled; filled; filled = filled->next) {
        if (strcmp(filled->name, index) == 0)
            return filled;
    }
    return NULL;
}

static dfaiss_status_t get_filled(dfaiss_client_t *client, const char *index, filled_index_t **out, dfaiss_error_t *err) {
    *out = find_filled(client, index);
    if (*out)
        return DFAISS_OK;
    filled_index_t *filled = calloc(1, sizeof *filled);
    if (!filled)
        return error_memory(err, sizeof *filled, "what a client remembers of an index");
    snprintf(filled->name, sizeof filled->name, "%s", index);
    /* Different clients begin with different servers, so that few batches of many clients do not all lie on the same one. */
    filled->next_server = client->carrier.number % client->carrier.servers;
    filled->next = client->filled;
    client->filled = filled;
    *out = filled;
    return DFAISS_OK;
}

void client_forget_index(dfaiss_client_t *client, const char *index) {
    filled_index_t *filled = find_filled(client, index);
    if (!filled)
        return;
    LIST_REMOVE(client->filled, filled);
    free(filled);
}

/* ---- sending to a server ---- */

/* Some of the batches there are answered, and held back. */
static bool holds_back(const dfaiss_client_t *client, int server) {
    for (const question_t *question = client->questions; question; question = question->next) {
        if (question->credit && question->server == server && question->answered && question->status == DFAISS_OK)
            return true;
    }
    return false;
}

/* A server that is behind with indexing may take long; one that does not answer at all is not waited for longer than for an answer. */
static dfaiss_status_t wait_for_credit(dfaiss_client_t *client, int server, dfaiss_error_t *err) {
    int64_t begin = clock_nanoseconds();
    while (client->under_way[server] >= CREDITS) {
        client_turn(client, true);
        TRY(client_check_broken(client, err));
        bool behind = holds_back(client, server);
        double waited = (double)(clock_nanoseconds() - begin) * 1e-9, limit = behind ? client->options.long_timeout : client->options.timeout;
        if (limit > 0 && waited > limit)
            return error_set(err, DFAISS_ERR_TIMEOUT, "ADD",
                             behind ? "server %d has been behind with indexing for %.1f seconds"
                                    : "server %d has not answered earlier batches for %.1f seconds",
                             server, waited);
    }
    return DFAISS_OK;
}

dfaiss_status_t client_next_server(dfaiss_client_t *client, const char *index, int *server, dfaiss_error_t *err) {
    filled_index_t *filled;
    TRY(get_filled(client, index, &filled, err));
    int next = filled->next_server;
    TRY(wait_for_credit(client, next, err));
    client->under_way[next]++;
    filled->next_server = (next + 1) % client->carrier.servers;
    *server = next;
    return DFAISS_OK;
}

dfaiss_status_t client_send_batch(dfaiss_client_t *client, int server, const message_add_t *message, const void *vectors, question_t **out,
                                  dfaiss_error_t *err) {
    bytes_writer_t body = {0};
    message_add_encode(message, &body);
    size_t bytes = (size_t)message->n * (size_t)message->dim * element_size(message->element);
    dfaiss_status_t status = question_ask(client, server, MESSAGE_ADD, &body, vectors, bytes, PATIENCE_SHORT, out, err);
    if (status == DFAISS_OK)
        (*out)->credit = true;
    else
        client->under_way[server]--;
    return status;
}

message_add_t client_describe_batch(const char *index, const dfaiss_batch_t *batch, const bytes_writer_t *columns) {
    message_add_t message = {
        .element = (element_t)batch->element,
        .n = batch->n,
        .dim = batch->dim,
        .ids = (const uint8_t *)batch->ids,
        .ends = (const uint8_t *)batch->metadata_ends,
        .metadata = batch->metadata,
        .metadata_size = batch->metadata_ends ? (size_t)batch->metadata_ends[batch->n - 1] : 0,
        .columns = columns->data,
        .column_bytes = columns->size,
    };
    snprintf(message.index, sizeof message.index, "%s", index);
    return message;
}

/* ---- one step after the other ---- */

static dfaiss_status_t take_added(add_request_t *add, bool *done, dfaiss_error_t *err);

static dfaiss_status_t send_batch(add_request_t *add, dfaiss_error_t *err) {
    dfaiss_client_t *client = add->request.client;
    message_add_t message = client_describe_batch(add->index, &add->batch, &add->columns);
    message.first_id = add->first_id;
    message.incarnation = add->incarnation;
    /* When it is sent again the first question has given its credit back. */
    if (!add->credit)
        client->under_way[add->server]++;
    add->credit = false;
    add->answered = take_added;
    return client_send_batch(client, add->server, &message, add->batch.vectors, &add->question, err);
}

static bool take_ids(add_request_t *add) {
    filled_index_t *filled = find_filled(add->request.client, add->index);
    if (!filled || filled->ids_left < add->batch.n)
        return false;
    add->first_id = filled->first_id;
    add->incarnation = filled->incarnation;
    filled->first_id += add->batch.n;
    filled->ids_left -= add->batch.n;
    return true;
}

/* Its ids are those of an index that is gone, and so are those that are left, unless another add has had new ones dealt out. The index itself is
 * remembered: a call may be waiting for the server whose turn it is. */
static void drop_ids(add_request_t *add) {
    filled_index_t *filled = find_filled(add->request.client, add->index);
    if (filled && filled->incarnation == add->incarnation)
        filled->ids_left = 0;
}

/* In place of what was left of ids dealt out earlier. */
static dfaiss_status_t keep_ids(dfaiss_client_t *client, const char *index, const message_ids_t *dealt, dfaiss_error_t *err) {
    filled_index_t *filled;
    TRY(get_filled(client, index, &filled, err));
    filled->incarnation = dealt->incarnation;
    filled->first_id = dealt->first;
    filled->ids_left = dealt->count;
    return DFAISS_OK;
}

/* Nobody waits for this add any more to have ids dealt out; where that has failed, those who did are told. */
static void end_reservation(const add_request_t *add, dfaiss_status_t status, const dfaiss_error_t *error) {
    filled_index_t *filled = find_filled(add->request.client, add->index);
    if (!filled || filled->reserver != &add->request)
        return;
    filled->reserver = NULL;
    if (status == DFAISS_OK)
        return;
    filled->refusals++;
    filled->refusal = *error;
    filled->refusal.code = status;
}

static dfaiss_status_t take_reserved(add_request_t *add, bool *done, dfaiss_error_t *err) {
    message_ids_t dealt;
    (void)done;
    TRY(message_ids_decode(&add->question->result, &dealt, err));
    if (dealt.count < add->batch.n)
        return message_malformed(MESSAGE_ANSWER, err);
    TRY(keep_ids(add->request.client, add->index, &dealt, err));
    end_reservation(add, DFAISS_OK, NULL);
    question_forget(add->question);
    add->question = NULL;
    (void)take_ids(add);
    return send_batch(add, err);
}

static dfaiss_status_t reserve(add_request_t *add, filled_index_t *filled, dfaiss_error_t *err) {
    int64_t count = add->batch.n > ID_BLOCK ? add->batch.n : ID_BLOCK;
    bytes_writer_t body = {0};
    message_setting_encode(add->index, count, &body);
    add->answered = take_reserved;
    TRY(question_ask(add->request.client, COORDINATOR, MESSAGE_RESERVE_IDS, &body, NULL, 0, PATIENCE_SHORT, &add->question, err));
    filled->reserver = &add->request;
    return DFAISS_OK;
}

/* Takes ids of the block that this client has, has more dealt out, or waits for those that another add has asked for. */
static dfaiss_status_t number_and_send(add_request_t *add, dfaiss_error_t *err) {
    filled_index_t *filled;
    if (add->batch.ids || take_ids(add))
        return send_batch(add, err);
    TRY(get_filled(add->request.client, add->index, &filled, err));
    if (!filled->reserver)
        return reserve(add, filled, err);
    add->waits_for_ids = true;
    add->refusals = filled->refusals;
    return DFAISS_OK;
}

static dfaiss_status_t go_on_without_ids(add_request_t *add, dfaiss_error_t *err) {
    const filled_index_t *filled = find_filled(add->request.client, add->index);
    if (filled && filled->refusals > add->refusals) {
        *err = filled->refusal;
        return filled->refusal.code;
    }
    if (filled && filled->reserver)
        return DFAISS_OK;
    add->waits_for_ids = false;
    return number_and_send(add, err);
}

static dfaiss_status_t take_sized(add_request_t *add, bool *done, dfaiss_error_t *err) {
    (void)done;
    question_forget(add->question);
    add->question = NULL;
    return send_batch(add, err);
}

/* The first vectors say which dimension the index has. */
static dfaiss_status_t set_dim(add_request_t *add, dfaiss_error_t *err) {
    bytes_writer_t body = {0};
    message_setting_encode(add->index, add->batch.dim, &body);
    add->answered = take_sized;
    return question_ask(add->request.client, COORDINATOR, MESSAGE_SET_DIM, &body, NULL, 0, PATIENCE_SHORT, &add->question, err);
}

static dfaiss_status_t take_added(add_request_t *add, bool *done, dfaiss_error_t *err) {
    uint8_t outcome = bytes_get_u8(&add->question->result);
    if (!bytes_reader_done(&add->question->result))
        return message_malformed(MESSAGE_ANSWER, err);
    question_forget(add->question);
    add->question = NULL;
    if (outcome == MESSAGE_ADD_DONE || outcome == MESSAGE_ADD_HELD) {
        *done = true;
        return DFAISS_OK;
    }
    if (++add->tries == ADD_TRIES)
        return error_set(err, DFAISS_ERR_STATE, add->index, "index '%s' was replaced again and again while vectors were added", add->index);
    if (outcome == MESSAGE_ADD_NO_DIM)
        return set_dim(add, err);
    if (outcome != MESSAGE_ADD_OTHER_INCARNATION || add->batch.ids)
        return message_malformed(MESSAGE_ANSWER, err);
    drop_ids(add);
    return number_and_send(add, err);
}

static void write_ids(const add_request_t *add) {
    for (int64_t i = 0; add->ids_out && i < add->batch.n; i++)
        add->ids_out[i] = add->batch.ids ? add->batch.ids[i] : add->first_id + i;
}

static dfaiss_status_t go_on(add_request_t *add, bool *done, dfaiss_error_t *err) {
    if (add->waits_for_ids)
        return go_on_without_ids(add, err);
    TRY(question_outcome(add->question, err));
    return add->answered(add, done, err);
}

static void advance(dfaiss_request_t *request) {
    add_request_t *add = (add_request_t *)request;
    if (!add->waits_for_ids && !question_over(add->question))
        return;
    dfaiss_error_t error = {0};
    bool done = false;
    dfaiss_status_t status = go_on(add, &done, &error);
    if (status == DFAISS_OK && !done)
        return;
    if (done)
        write_ids(add);
    else
        end_reservation(add, status, &error);
    give_credit_back(add);
    request_end(request, status, &error);
}

/* ---- starting ---- */

static dfaiss_status_t check_metadata(const dfaiss_batch_t *batch, dfaiss_error_t *err) {
    if (batch->metadata && !batch->metadata_ends)
        return error_set(err, DFAISS_ERR_ARG, "metadata_ends", "metadata are given without metadata_ends, which say where each vector's end");
    uint64_t last = 0;
    for (int64_t i = 0; batch->metadata_ends && i < batch->n; i++) {
        if (batch->metadata_ends[i] < last)
            return error_set(err, DFAISS_ERR_ARG, "metadata_ends", "metadata_ends[%lld] is %llu, less than the one before it, %llu", (long long)i,
                             (unsigned long long)batch->metadata_ends[i], (unsigned long long)last);
        if (batch->metadata_ends[i] - last > MESSAGE_METADATA_LIMIT)
            return error_set(err, DFAISS_ERR_ARG, "metadata_ends", "vector %lld has %llu bytes of metadata; at most %d are allowed", (long long)i,
                             (unsigned long long)(batch->metadata_ends[i] - last), MESSAGE_METADATA_LIMIT);
        last = batch->metadata_ends[i];
    }
    if (last > 0 && !batch->metadata)
        return error_null(err, "metadata");
    return DFAISS_OK;
}

dfaiss_status_t client_check_batch(const dfaiss_batch_t *batch, dfaiss_error_t *err) {
    size_t components, bytes, id_bytes;
    if (!batch || !batch->vectors)
        return error_null(err, batch ? "vectors" : "batch");
    size_t element = element_size((element_t)batch->element);
    if (element == 0)
        return error_set(err, DFAISS_ERR_ARG, "element", "element is %d, which is no type of components", (int)batch->element);
    if (batch->n < 1 || batch->dim < 1)
        return error_set(err, DFAISS_ERR_ARG, batch->n < 1 ? "n" : "dim", "a batch has %lld vectors of dimension %lld; both must be at least 1",
                         (long long)batch->n, (long long)batch->dim);
    if (!size_multiply((size_t)batch->n, (size_t)batch->dim, &components) || !size_multiply(components, element, &bytes) || bytes > PTRDIFF_MAX ||
        !size_multiply((size_t)batch->n, sizeof *batch->ids, &id_bytes) || id_bytes > PTRDIFF_MAX)
        return error_set(err, DFAISS_ERR_ARG, "n", "%lld vectors of dimension %lld: more than fits into memory", (long long)batch->n,
                         (long long)batch->dim);
    return check_metadata(batch, err);
}

dfaiss_status_t client_encode_columns(const dfaiss_batch_t *batch, bytes_writer_t *out, dfaiss_error_t *err) {
    if (batch->column_count < 0)
        return error_set(err, DFAISS_ERR_ARG, "column_count", "column_count is %d; expected 0 or more", batch->column_count);
    if (batch->column_count == 0)
        return DFAISS_OK;
    if (!batch->columns)
        return error_null(err, "columns");
    size_t bytes = (size_t)batch->column_count * sizeof(attribute_arrays_t);
    attribute_arrays_t *arrays = malloc(bytes);
    if (!arrays)
        return error_memory(err, bytes, "the columns of a batch");
    for (int i = 0; i < batch->column_count; i++) {
        const dfaiss_column_t *column = &batch->columns[i];
        arrays[i] = (attribute_arrays_t){column->name, column->integers, column->floats, column->strings, column->booleans};
    }
    dfaiss_status_t status = attribute_given_encode(arrays, batch->column_count, batch->n, out, err);
    free(arrays);
    return status;
}

static dfaiss_status_t begin(dfaiss_client_t *client, add_request_t *add, dfaiss_error_t *err) {
    TRY(client_next_server(client, add->index, &add->server, err));
    add->credit = true;
    add->request.client = client;
    return number_and_send(add, err);
}

dfaiss_status_t dfaiss_add_start(dfaiss_client_t *client, const char *index, const dfaiss_batch_t *batch, int64_t *ids_out, dfaiss_request_t **out,
                                 dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    if (!out)
        return error_null(err, "out");
    TRY(client_check_batch(batch, err));
    add_request_t *add = calloc(1, sizeof *add);
    if (!add)
        return error_memory(err, sizeof *add, "a batch");
    add->request.advance = advance;
    add->request.destroy = destroy;
    add->batch = *batch;
    add->ids_out = ids_out;
    snprintf(add->index, sizeof add->index, "%s", index);
    dfaiss_status_t status = client_encode_columns(batch, &add->columns, err);
    if (status == DFAISS_OK)
        status = begin(client, add, err);
    if (status != DFAISS_OK) {
        if (add->request.client)
            give_credit_back(add);
        destroy(&add->request);
        return status;
    }
    request_begin(client, &add->request);
    *out = &add->request;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_add(dfaiss_client_t *client, const char *index, const dfaiss_batch_t *batch, int64_t *ids_out, dfaiss_error_t *err) {
    dfaiss_request_t *request = NULL;
    TRY(dfaiss_add_start(client, index, batch, ids_out, &request, err));
    return dfaiss_request_wait(request, NULL, err);
}
