/* Serving, for users of the library. */
#include <dfaiss/server.h>

#include <math.h>

#include "message/setting.h"
#include "server/server.h"
#include "transport/public_world.h"

static dfaiss_status_t check_options(const dfaiss_server_options_t *options, dfaiss_error_t *err) {
    if (!options->storage)
        return error_null(err, "storage");
    if (options->threads < 0 || options->threads > MESSAGE_MAX_THREADS)
        return error_set(err, DFAISS_ERR_ARG, "threads", "threads is %d; it must be 1 to %d, or 0", options->threads, MESSAGE_MAX_THREADS);
    if (options->load_count < 0 || (options->load_count > 0 && !options->load))
        return error_set(err, DFAISS_ERR_ARG, "load", "%d indexes to load%s", options->load_count, options->load ? "" : ", without their names");
    for (int i = 0; i < options->load_count; i++) {
        if (!options->load[i])
            return error_null(err, "load");
    }
    return DFAISS_OK;
}

enum { PORT_LAST = 65535, CONNECTIONS_MOST = 65536 };

static dfaiss_status_t check_listening(const dfaiss_server_options_t *options, dfaiss_error_t *err) {
    if (options->port < 0 || options->port > PORT_LAST)
        return error_set(err, DFAISS_ERR_ARG, "port", "port is %d; it must be 1 to %d, or 0", options->port, PORT_LAST);
    if (options->connections < 0 || options->connections > CONNECTIONS_MOST)
        return error_set(err, DFAISS_ERR_ARG, "connections", "connections is %d; it must be 1 to %d, or 0", options->connections, CONNECTIONS_MOST);
    if (!(options->idle >= 0) || isinf(options->idle))
        return error_set(err, DFAISS_ERR_ARG, "idle", "idle is %g; expected seconds, or 0", options->idle);
    return DFAISS_OK;
}

static dfaiss_status_t check_clients(const dfaiss_world_t *world, const dfaiss_server_options_t *options, dfaiss_error_t *err) {
    if (options->listen || transport_clients(world->transport) > 0)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_ARG, "clients", "the world has servers alone (%d), and they do not listen: at least one client is needed",
                     transport_servers(world->transport));
}

static dfaiss_status_t check_world(const dfaiss_world_t *world, dfaiss_error_t *err) {
    int threads = MPI_THREAD_SINGLE;
    if (world->role != DFAISS_ROLE_SERVER)
        return error_set(err, DFAISS_ERR_STATE, "world", "this rank is client %d of its world; only servers serve",
                         transport_number(world->transport));
    if (MPI_Query_thread(&threads) != MPI_SUCCESS || threads < MPI_THREAD_FUNNELED)
        return error_set(err, DFAISS_ERR_STATE, "MPI", "MPI was started without MPI_THREAD_FUNNELED, which servers need");
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_serve(dfaiss_world_t *world, const dfaiss_server_options_t *options, dfaiss_error_t *err) {
    if (!world || !options)
        return error_null(err, world ? "options" : "world");
    TRY(check_options(options, err));
    TRY(check_listening(options, err));
    TRY(check_world(world, err));
    TRY(check_clients(world, options, err));
    server_options_t server = {.storage = options->storage,
                               .load = options->load,
                               .load_count = options->load_count,
                               .threads = options->threads,
                               .listen = options->listen,
                               .bind = options->bind,
                               .port = options->port,
                               .connections = options->connections,
                               .idle = options->idle,
                               .wish = options->wish,
                               .wish_ended = options->wish_ended,
                               .context = options->context};
    return server_run(world->transport, &server, err);
}
