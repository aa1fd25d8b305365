#include "client/carrier.h"

#include "gateway/remote.h"
#include "transport/public_world.h"

struct carrier_type {
    dfaiss_status_t (*send)(void *object, int server, uint32_t kind, uint64_t correlation, const void *body, size_t body_size, const void *bulk,
                            size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err);
    dfaiss_status_t (*progress)(void *object, transport_message_t *message, bool *arrived, dfaiss_error_t *err);
    bool (*failed)(const void *object);
    void (*idle)(void *object);
    void (*leave)(void *object, uint64_t last_correlation);
};

dfaiss_status_t carrier_send(const carrier_t *carrier, int server, uint32_t kind, uint64_t correlation, const void *body, size_t body_size,
                             const void *bulk, size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err) {
    return carrier->type->send(carrier->object, server, kind, correlation, body, body_size, bulk, bulk_size, done, context, err);
}

dfaiss_status_t carrier_progress(const carrier_t *carrier, transport_message_t *message, bool *arrived, dfaiss_error_t *err) {
    return carrier->type->progress(carrier->object, message, arrived, err);
}

bool carrier_failed(const carrier_t *carrier) {
    return carrier->type->failed(carrier->object);
}

void carrier_idle(const carrier_t *carrier) {
    carrier->type->idle(carrier->object);
}

void carrier_leave(carrier_t *carrier, uint64_t last_correlation) {
    carrier->type->leave(carrier->object, last_correlation);
}

/* ---- a rank of the servers' world ---- */

static dfaiss_status_t world_send(void *object, int server, uint32_t kind, uint64_t correlation, const void *body, size_t body_size, const void *bulk,
                                  size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err) {
    transport_t *transport = ((dfaiss_world_t *)object)->transport;
    int rank = transport_server_rank(transport, server);
    return transport_send(transport, rank, kind, correlation, body, body_size, bulk, bulk_size, done, context, err);
}

static dfaiss_status_t world_progress(void *object, transport_message_t *message, bool *arrived, dfaiss_error_t *err) {
    return transport_progress(((dfaiss_world_t *)object)->transport, message, arrived, err);
}

static bool world_failed(const void *object) {
    return transport_failed(((const dfaiss_world_t *)object)->transport);
}

static void world_idle(void *object) {
    transport_idle(((dfaiss_world_t *)object)->transport);
}

static void world_leave(void *object, uint64_t last_correlation) {
    dfaiss_world_t *world = object;
    world->taken = false;
    world->last_correlation = last_correlation;
}

dfaiss_status_t carrier_of_world(dfaiss_world_t *world, carrier_t *out, dfaiss_error_t *err) {
    static const carrier_type_t type = {
        .send = world_send, .progress = world_progress, .failed = world_failed, .idle = world_idle, .leave = world_leave};
    if (world->role != DFAISS_ROLE_CLIENT)
        return error_set(err, DFAISS_ERR_STATE, "world", "this rank is server %d of its world; only client ranks have a client",
                         transport_number(world->transport));
    if (world->taken)
        return error_set(err, DFAISS_ERR_STATE, "world", "this world has a client already; there is one a world");
    int number = transport_number(world->transport), servers = transport_servers(world->transport);
    world->taken = true;
    *out = (carrier_t){
        .type = &type, .object = world, .servers = servers, .lead = number % servers, .number = number, .last_correlation = world->last_correlation};
    return DFAISS_OK;
}

/* ---- anybody else ---- */

static dfaiss_status_t gateway_send(void *object, int server, uint32_t kind, uint64_t correlation, const void *body, size_t body_size,
                                    const void *bulk, size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err) {
    return remote_send(object, server, kind, correlation, body, body_size, bulk, bulk_size, done, context, err);
}

static dfaiss_status_t gateway_progress(void *object, transport_message_t *message, bool *arrived, dfaiss_error_t *err) {
    return remote_progress(object, message, arrived, err);
}

static bool gateway_failed(const void *object) {
    return remote_failed(object);
}

static void gateway_idle(void *object) {
    remote_idle(object);
}

static void gateway_leave(void *object, uint64_t last_correlation) {
    (void)last_correlation;
    remote_destroy(object);
}

dfaiss_status_t carrier_of_gateway(const char *listen_file, carrier_t *out, dfaiss_error_t *err) {
    static const carrier_type_t type = {
        .send = gateway_send, .progress = gateway_progress, .failed = gateway_failed, .idle = gateway_idle, .leave = gateway_leave};
    remote_t *remote = NULL;
    TRY(remote_connect(listen_file, &remote, err));
    *out =
        (carrier_t){.type = &type, .object = remote, .servers = remote_servers(remote), .lead = remote_lead(remote), .number = remote_number(remote)};
    return DFAISS_OK;
}
