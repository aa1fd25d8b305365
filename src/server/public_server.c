/* Serving, for users of the library. */
#include <dfaiss/server.h>

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
    TRY(check_world(world, err));
    server_options_t server = {.storage = options->storage, .load = options->load, .load_count = options->load_count, .threads = options->threads};
    return server_run(world->transport, &server, err);
}
