/* The client itself: made of a world, and gone before it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/bulk_load.h"
#include "client/client_internal.h"
#include "config/index_name.h"

static const dfaiss_client_options_t usual_options = {.timeout = 300, .long_timeout = 0};

static dfaiss_status_t check_options(const dfaiss_client_options_t *options, dfaiss_error_t *err) {
    const struct {
        const char *name;
        double value;
    } limits[] = {{"timeout", options->timeout}, {"long_timeout", options->long_timeout}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (!(limits[i].value >= 0) || isinf(limits[i].value))
            return error_set(err, DFAISS_ERR_ARG, limits[i].name, "%s is %g; expected seconds, or 0 for no limit", limits[i].name, limits[i].value);
    }
    return DFAISS_OK;
}

/* Takes over the carrier, also on failure. */
static dfaiss_status_t make_client(carrier_t *carrier, const dfaiss_client_options_t *options, dfaiss_client_t **out, dfaiss_error_t *err) {
    dfaiss_client_t *client = calloc(1, sizeof *client);
    int *under_way = calloc((size_t)carrier->servers, sizeof *under_way);
    if (!client || !under_way) {
        free(under_way);
        free(client);
        carrier_leave(carrier, carrier->last_correlation);
        return error_memory(err, sizeof *client, "a client");
    }
    client->carrier = *carrier;
    client->options = *options;
    client->under_way = under_way;
    client->last_correlation = carrier->last_correlation;
    *out = client;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_client_create(dfaiss_world_t *world, const dfaiss_client_options_t *options, dfaiss_client_t **out, dfaiss_error_t *err) {
    carrier_t carrier;
    if (!world || !out)
        return error_null(err, world ? "out" : "world");
    if (!options)
        options = &usual_options;
    TRY(check_options(options, err));
    TRY(carrier_of_world(world, &carrier, err));
    return make_client(&carrier, options, out, err);
}

dfaiss_status_t dfaiss_connect(const char *listen_file, const dfaiss_client_options_t *options, dfaiss_client_t **out, dfaiss_error_t *err) {
    carrier_t carrier;
    if (!listen_file || !out)
        return error_null(err, listen_file ? "out" : "listen_file");
    if (!options)
        options = &usual_options;
    TRY(check_options(options, err));
    TRY(carrier_of_gateway(listen_file, &carrier, err));
    return make_client(&carrier, options, out, err);
}

static bool waits_for_anything(const dfaiss_client_t *client) {
    for (const dfaiss_request_t *request = client->requests; request; request = request->next) {
        if (!request->ended)
            return true;
    }
    for (const question_t *question = client->questions; question; question = question->next) {
        if (!question_over(question))
            return true;
    }
    return false;
}

void client_settle(dfaiss_client_t *client) {
    while (client->broken == DFAISS_OK && waits_for_anything(client))
        client_turn(client, true);
}

void dfaiss_client_destroy(dfaiss_client_t *client) {
    if (!client)
        return;
    client_settle(client);
    batches_clear(client);
    while (client->requests) {
        dfaiss_request_t *request = client->requests;
        client->requests = request->next;
        dfaiss_result_destroy(request->result);
        request->destroy(request);
    }
    while (client->questions)
        question_abandon(client->questions);
    while (client->filled)
        client_forget_index(client, client->filled->name);
    carrier_leave(&client->carrier, client->last_correlation);
    free(client->under_way);
    free(client);
}

int dfaiss_client_servers(const dfaiss_client_t *client) {
    return client->carrier.servers;
}

dfaiss_status_t client_check_broken(const dfaiss_client_t *client, dfaiss_error_t *err) {
    bool broken = client->broken != DFAISS_OK;
    dfaiss_status_t status = broken ? client->broken : client->refused;
    if (status != DFAISS_OK && err)
        *err = broken ? client->broken_error : client->refused_error;
    return status;
}

dfaiss_status_t client_check(const dfaiss_client_t *client, const char *index, dfaiss_error_t *err) {
    if (!client || !index)
        return error_null(err, client ? "index" : "client");
    TRY(index_name_check(index, err));
    return client_check_broken(client, err);
}
