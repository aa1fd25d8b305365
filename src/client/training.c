/* Training, how far indexes are, and what was trained. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/bulk_load.h"
#include "client/client_internal.h"
#include "message/centroids.h"
#include "message/named.h"

static_assert((int)DFAISS_NOT_TRAINED == INDEX_NOT_TRAINED && (int)DFAISS_TRAINING == INDEX_TRAINING && (int)DFAISS_ADD == INDEX_ADD &&
                  (int)DFAISS_TRAINED == INDEX_TRAINED,
              "states travel as the numbers that callers know");

const char *dfaiss_state_name(dfaiss_state_t state) {
    static const char *const names[] = {"NOT_TRAINED", "TRAINING", "ADD", "TRAINED"};
    return (unsigned)state < sizeof names / sizeof *names ? names[state] : "UNKNOWN";
}

dfaiss_status_t dfaiss_train(dfaiss_client_t *client, const char *index, dfaiss_error_t *err) {
    return client_tell_named(client, MESSAGE_TRAIN, index, PATIENCE_LONG, err);
}

dfaiss_status_t dfaiss_train_start(dfaiss_client_t *client, const char *index, dfaiss_error_t *err) {
    return client_tell_named(client, MESSAGE_TRAIN_START, index, PATIENCE_LONG, err);
}

/* ---- states ---- */

static dfaiss_state_t combine(const message_statistics_t *told, int servers) {
    bool has[DFAISS_TRAINED + 1] = {false};
    for (int i = 0; i < servers; i++)
        has[told[i].state] = true;
    if (has[DFAISS_TRAINING])
        return DFAISS_TRAINING;
    if (has[DFAISS_NOT_TRAINED])
        return DFAISS_NOT_TRAINED;
    return has[DFAISS_ADD] ? DFAISS_ADD : DFAISS_TRAINED;
}

static dfaiss_status_t first_failure(const message_statistics_t *told, int servers, dfaiss_error_t *err) {
    for (int i = 0; i < servers; i++) {
        if (told[i].failure.code == DFAISS_OK)
            continue;
        *err = told[i].failure;
        return told[i].failure.code;
    }
    return DFAISS_OK;
}

/* The state, and the first failure of any server; the status is that of asking, which takes so many seconds at most (0: as other calls). */
static dfaiss_status_t ask_state(dfaiss_client_t *client, const char *index, double seconds, dfaiss_state_t *state, dfaiss_error_t *failure,
                                 dfaiss_error_t *err) {
    int servers = dfaiss_client_servers(client);
    message_statistics_t *told = calloc((size_t)servers, sizeof *told);
    if (!told)
        return error_memory(err, (size_t)servers * sizeof *told, "statistics");
    dfaiss_status_t status = client_statistics_within(client, index, seconds, told, err);
    if (status == DFAISS_OK) {
        *state = combine(told, servers);
        failure->code = first_failure(told, servers, failure);
    }
    free(told);
    return status;
}

dfaiss_status_t dfaiss_get_state(dfaiss_client_t *client, const char *index, dfaiss_state_t *state, dfaiss_error_t *err) {
    dfaiss_error_t failure;
    TRY(client_check(client, index, err));
    if (!state)
        return error_null(err, "state");
    return ask_state(client, index, 0, state, &failure, err);
}

/* Goes on with everything else meanwhile. */
static void rest(dfaiss_client_t *client, int64_t nanoseconds) {
    int64_t end = clock_nanoseconds() + nanoseconds;
    do
        client_turn(client, true);
    while (client->broken == DFAISS_OK && clock_nanoseconds() < end);
}

static dfaiss_status_t timed_out(const char *index, dfaiss_state_t wanted, dfaiss_state_t state, double timeout, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_TIMEOUT, index, "index '%s' is in state %s; it has not reached %s within %g seconds", index,
                     dfaiss_state_name(state), dfaiss_state_name(wanted), timeout);
}

/* Seconds left of `timeout` since begin; 0 where there is no limit. */
static double time_left(double timeout, int64_t begin) {
    return timeout > 0 ? timeout - (double)(clock_nanoseconds() - begin) * 1e-9 : 0;
}

/* The time left bounds each look too, since servers may not answer, and the last look comes before its end. Where it comes too late for an answer,
 * the state that was seen before is told. */
static dfaiss_status_t wait_state(dfaiss_client_t *client, const char *index, dfaiss_state_t wanted, double timeout, dfaiss_error_t *err) {
    enum { REST = 1000000, LONGEST_REST = 50000000 };
    int64_t begin = clock_nanoseconds(), pause = REST;
    dfaiss_state_t state;
    double left = timeout;
    bool known = false;
    do {
        dfaiss_error_t failure = {0};
        dfaiss_status_t status = ask_state(client, index, left, &state, &failure, err);
        if (status == DFAISS_ERR_TIMEOUT && known && time_left(timeout, begin) * 1e9 <= REST && timeout > 0)
            break;
        TRY(status);
        known = true;
        if (state >= wanted)
            return DFAISS_OK;
        if (failure.code != DFAISS_OK && state != DFAISS_TRAINING) {
            if (err)
                *err = failure;
            return failure.code;
        }
        left = time_left(timeout, begin);
        rest(client, timeout > 0 && left / 2 * 1e9 < (double)pause ? (int64_t)(left / 2 * 1e9) : pause);
        left = time_left(timeout, begin);
        pause = pause * 2 < LONGEST_REST ? pause * 2 : LONGEST_REST;
    } while (timeout == 0 || left * 1e9 > REST);
    return timed_out(index, wanted, state, timeout, err);
}

dfaiss_status_t dfaiss_wait_state(dfaiss_client_t *client, const char *index, dfaiss_state_t state, double timeout, dfaiss_error_t *err) {
    TRY(client_check(client, index, err));
    if ((unsigned)state > DFAISS_TRAINED)
        return error_set(err, DFAISS_ERR_ARG, "state", "state is %d, which is none", (int)state);
    if (!(timeout >= 0) || isinf(timeout))
        return error_set(err, DFAISS_ERR_ARG, "timeout", "timeout is %g; expected seconds, or 0 for no limit", timeout);
    return wait_state(client, index, state, timeout, err);
}

/* ---- centroids ---- */

static dfaiss_status_t copy_centroids(const question_t *question, const message_centroids_t *shape, float **out, dfaiss_error_t *err) {
    size_t bytes = (size_t)shape->lists * (size_t)shape->dim * sizeof **out;
    float *copy = malloc(bytes);
    if (!copy)
        return error_memory(err, bytes, "centroids");
    memcpy(copy, question->answer.bulk, bytes);
    *out = copy;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_get_centroids(dfaiss_client_t *client, const char *index, int server, float **centroids, int64_t *lists, int64_t *dim,
                                     dfaiss_error_t *err) {
    question_t *question = NULL;
    message_centroids_t shape;
    bytes_writer_t body = {0};
    TRY(client_check(client, index, err));
    if (!centroids || !lists || !dim)
        return error_null(err, !centroids ? "centroids" : !lists ? "lists" : "dim");
    if (server < 0 || server >= dfaiss_client_servers(client))
        return error_set(err, DFAISS_ERR_ARG, "server", "server is %d; there are servers 0 to %d", server, dfaiss_client_servers(client) - 1);
    message_named_encode(index, &body);
    TRY(client_ask(client, server, MESSAGE_CENTROIDS, &body, NULL, 0, PATIENCE_LONG, &question, err));
    dfaiss_status_t status = message_centroids_decode(&question->result, question->answer.bulk_size, &shape, err);
    if (status == DFAISS_OK)
        status = copy_centroids(question, &shape, centroids, err);
    question_forget(question);
    if (status != DFAISS_OK)
        return status;
    *lists = shape.lists;
    *dim = shape.dim;
    return DFAISS_OK;
}
