/* transport/transport.h as far as clients use it. */
#include "scripted_servers.h"

#include <time.h>

#include "base/memory.h"
#include "message/outcome.h"

enum { MESSAGES = 256, IDLE_TURNS = 50000 /* without anything that happens: the client waits for ever */ };

struct transport {
    int servers;
};

/* What arrives at the client, or (status) why it does not. */
typedef struct arrival {
    transport_message_t message;
    dfaiss_status_t status;
} arrival_t;

static transport_t transport = {.servers = SCRIPT_SERVERS};
dfaiss_world_t script_world = {.transport = &transport, .role = DFAISS_ROLE_CLIENT};
script_t *script;

static script_message_t sent[MESSAGES];
static size_t sent_count, seen;
static arrival_t arrivals[MESSAGES];
static size_t arrival_count, taken;
static int idle_turns;
static char break_text[128];

void script_begin(void) {
    for (size_t i = 0; i < sent_count; i++)
        free(sent[i].body);
    for (; taken < arrival_count; taken++)
        transport_message_clear(&arrivals[taken].message);
    sent_count = seen = arrival_count = taken = 0;
    idle_turns = 0;
    script = NULL;
    script_world.taken = false; /* a test that has failed leaves its client behind */
}

/* ---- what the client calls ---- */

int transport_servers(const transport_t *of) {
    return of->servers;
}

int transport_number(const transport_t *of) {
    (void)of;
    return 0;
}

int transport_server_rank(const transport_t *of, int server) {
    (void)of;
    return server;
}

bool transport_failed(const transport_t *of) {
    (void)of;
    return false;
}

void transport_message_clear(transport_message_t *message) {
    free(message->body);
    memory_unmap(message->bulk, message->bulk_size);
    *message = (transport_message_t){0};
}

dfaiss_status_t transport_send(transport_t *of, int rank, uint32_t kind, uint64_t correlation, const void *body, size_t body_size, const void *bulk,
                               size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err) {
    (void)of;
    (void)err;
    assert_true(sent_count < MESSAGES);
    script_message_t *message = &sent[sent_count++];
    *message = (script_message_t){.server = rank,
                                  .kind = (message_kind_t)kind,
                                  .correlation = correlation,
                                  .body = malloc(body_size + 1),
                                  .body_size = body_size,
                                  .bulk = bulk,
                                  .bulk_size = bulk_size,
                                  .has_left = bulk_size <= SCRIPT_LENT};
    assert_non_null(message->body);
    if (body_size > 0)
        memcpy(message->body, body, body_size);
    idle_turns = 0;
    if (message->has_left && done) {
        done(context);
    } else {
        message->done = done;
        message->context = context;
    }
    return DFAISS_OK;
}

static void call_done(void) {
    for (size_t i = 0; i < sent_count; i++) {
        transport_done_t *done = sent[i].has_left ? sent[i].done : NULL;
        sent[i].done = sent[i].has_left ? NULL : sent[i].done;
        if (done)
            done(sent[i].context);
    }
}

dfaiss_status_t transport_progress(transport_t *of, transport_message_t *message, bool *arrived, dfaiss_error_t *err) {
    (void)of;
    *arrived = false;
    call_done();
    for (; script && seen < sent_count; seen++)
        script(&sent[seen]);
    if (taken == arrival_count)
        return DFAISS_OK;
    arrival_t *arrival = &arrivals[taken++];
    idle_turns = 0;
    *message = arrival->message;
    if (arrival->status != DFAISS_OK)
        return error_set(err, arrival->status, "", "%s", break_text);
    *arrived = true;
    return DFAISS_OK;
}

void transport_idle(transport_t *of) {
    (void)of;
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    if (++idle_turns > IDLE_TURNS)
        fail_msg("the client waits for ever");
}

/* ---- what tests call ---- */

void script_leave(size_t message) {
    sent[message].has_left = true;
    if (!script_world.taken)
        call_done();
}

void script_leave_all(void) {
    for (size_t i = 0; i < sent_count; i++)
        sent[i].has_left = true;
    if (!script_world.taken)
        call_done();
}

size_t script_count(message_kind_t kind) {
    size_t count = 0;
    for (size_t i = 0; i < sent_count; i++)
        count += kind == MESSAGE_KIND_COUNT || sent[i].kind == kind;
    return count;
}

const script_message_t *script_message(size_t number) {
    assert_true(number < sent_count);
    return &sent[number];
}

static void arrive(const script_message_t *message, void *body, size_t body_size, const void *bulk, size_t bulk_size) {
    assert_true(arrival_count < MESSAGES);
    void *copy = bulk_size > 0 ? memory_map(bulk_size) : NULL;
    if (copy)
        memcpy(copy, bulk, bulk_size);
    arrivals[arrival_count++] = (arrival_t){.message = {.source = message->server,
                                                        .kind = MESSAGE_ANSWER,
                                                        .correlation = message->correlation,
                                                        .body = body,
                                                        .body_size = body_size,
                                                        .bulk = copy,
                                                        .bulk_size = bulk_size}};
}

void script_answer(const script_message_t *message, bytes_writer_t *result, const void *bulk, size_t bulk_size) {
    bytes_writer_t body = {0};
    message_outcome_encode(DFAISS_OK, NULL, &body);
    if (result)
        bytes_put(&body, result->data, result->size);
    if (result)
        bytes_writer_destroy(result);
    arrive(message, body.data, body.size, bulk, bulk_size);
}

void script_fail(const script_message_t *message, dfaiss_status_t status, const char *text) {
    bytes_writer_t body = {0};
    dfaiss_error_t error = {.code = status};
    snprintf(error.text, sizeof error.text, "%s", text);
    message_outcome_encode(status, &error, &body);
    arrive(message, body.data, body.size, NULL, 0);
}

void script_answer_bytes(const script_message_t *message, const void *bytes, size_t size) {
    bytes_writer_t body = {0};
    bytes_put(&body, bytes, size);
    arrive(message, body.data, body.size, NULL, 0);
}

void script_say(message_kind_t kind, dfaiss_status_t status, const char *text) {
    const script_message_t nothing = {0};
    script_fail(&nothing, status, text);
    arrivals[arrival_count - 1].message.kind = kind;
}

void script_refuse_answer(const script_message_t *message) {
    arrive(message, NULL, 0, NULL, 0);
    arrivals[arrival_count - 1].status = DFAISS_ERR_MEMORY;
    snprintf(break_text, sizeof break_text, "not enough memory for an answer");
}

void script_break(dfaiss_status_t status, const char *text) {
    const script_message_t nothing = {0};
    arrive(&nothing, NULL, 0, NULL, 0);
    arrivals[arrival_count - 1].status = status;
    snprintf(break_text, sizeof break_text, "%s", text);
}
