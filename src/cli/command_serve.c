/* dfaiss serve: a server beside programs that people write themselves, or one that others connect to. All ranks of the job that run it are the
 * servers; they end when the clients beside them have left, and where they listen when they are shut down. */
#include <stdlib.h>

#include <dfaiss/dfaiss.h>
#include <hdf5.h>

#include "base/memory.h"
#include "cli/arguments.h"
#include "cli/launch.h"
#include "cli/report.h"
#include "cli/saved_index.h"
#include "cli/signals.h"
#include "config/index_name.h"

enum { KEY_LOAD = 1, KEY_LISTEN, KEY_BIND, KEY_PORT, KEY_CONNECTIONS, KEY_IDLE, KEY_GRACE };
enum { PORT_LAST = 65535, CONNECTIONS_MOST = 65536 };

static const double idle_least = 1, idle_most = 31536000;

typedef struct serve_options {
    const char **load; /* owned; texts borrowed from argv */
    int load_count;
    const char *listen; /* NULL: not given, as bind */
    const char *bind;
    int64_t port, connections; /* 0: not given, as idle */
    double idle;
    double grace;
} serve_options_t;

static const struct argp_option options[] = {
    {"load", KEY_LOAD, "NAME...", 0, "indexes that are loaded before the first request is answered", 0},
    {"listen", KEY_LISTEN, "FILE", 0, "let programs of other jobs connect over TCP, with --connect FILE; stay until 'dfaiss shutdown'", 0},
    {"bind", KEY_BIND, "ADDRESS", 0, "listen at this address (default: loopback). Nothing is encrypted", 0},
    {"port", KEY_PORT, "P", 0, "listen at this port (default: one that is free)", 0},
    {"connections", KEY_CONNECTIONS, "N", 0, "at once (default 512)", 0},
    {"idle", KEY_IDLE, "SECONDS", 0, "disconnect who asks nothing for so long (default 3600)", 0},
    SIGNALS_GRACE_ROW(KEY_GRACE),
    {0},
};

static dfaiss_status_t add_load(serve_options_t *serve, const argument_t *argument, dfaiss_error_t *err) {
    TRY(index_name_check(argument->value, err));
    const char **grown = realloc(serve->load, ((size_t)serve->load_count + 1) * sizeof *grown);
    if (!grown)
        return error_memory(err, ((size_t)serve->load_count + 1) * sizeof *grown, "the names of indexes");
    serve->load = grown;
    serve->load[serve->load_count++] = argument->value;
    return DFAISS_OK;
}

static dfaiss_status_t set(void *context, const argument_t *argument, dfaiss_error_t *err) {
    serve_options_t *serve = context;
    switch (argument->key) {
    case KEY_LISTEN:
        serve->listen = argument->value;
        return DFAISS_OK;
    case KEY_BIND:
        serve->bind = argument->value;
        return DFAISS_OK;
    case KEY_PORT:
        return argument_integer(argument, 1, PORT_LAST, &serve->port, err);
    case KEY_CONNECTIONS:
        return argument_integer(argument, 1, CONNECTIONS_MOST, &serve->connections, err);
    case KEY_IDLE:
        return argument_number(argument, idle_least, idle_most, &serve->idle, err);
    case KEY_GRACE:
        return signals_grace(argument, &serve->grace, err);
    default:
        return add_load(serve, argument, err);
    }
}

static const arguments_t arguments = {
    .command = "serve",
    .help = "Serves programs that were started beside it, until all of them have left: mpirun -n 4 dfaiss serve --storage DIR : -n 2 ./program. With "
            "--listen it serves programs that connect, and started without mpirun it starts the job itself, with as many servers as saved the first "
            "index of --load.",
    .options = options,
    .common = ARGUMENTS_STORAGE | ARGUMENTS_SERVERS | ARGUMENTS_THREADS,
    .set = set,
    .listed = KEY_LOAD,
};

static dfaiss_status_t serve(program_t *program, const dfaiss_server_options_t *server, int *clients, dfaiss_error_t *err) {
    dfaiss_world_t *world = NULL;
    TRY(dfaiss_world_create(MPI_COMM_WORLD, DFAISS_ROLE_SERVER, &world, err));
    program->speaks = dfaiss_world_number(world) == 0;
    signals_set_program(program);
    *clients = dfaiss_world_clients(world);
    memory_return_freed();
    bool alone = *clients == 0 && !server->listen;
    dfaiss_status_t status = dfaiss_serve(world, server, err);
    /* Where there are servers alone all of them know. */
    if (status != DFAISS_OK && status != DFAISS_ERR_INTERRUPTED && !alone)
        report_abort(program, status, err);
    dfaiss_world_destroy(world);
    return status;
}

static dfaiss_status_t run(program_t *program, const dfaiss_server_options_t *server, int *clients, dfaiss_error_t *err) {
    int granted;
    /* Whoever opens files closes them: HDF5 need not do so at the end of the process, where it would complain of a full disk. */
    (void)H5dont_atexit();
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &granted) != MPI_SUCCESS)
        return error_set(err, DFAISS_ERR_MPI, "MPI_Init_thread", "MPI does not start");
    dfaiss_status_t status = DFAISS_OK;
    if (MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN) != MPI_SUCCESS)
        status = error_set(err, DFAISS_ERR_MPI, "MPI_Comm_set_errhandler", "MPI does not take an error handler");
    if (status == DFAISS_OK)
        status = serve(program, server, clients, err);
    if (MPI_Finalize() != MPI_SUCCESS && status == DFAISS_OK)
        status = error_set(err, DFAISS_ERR_MPI, "MPI_Finalize", "MPI does not end");
    return status;
}

static dfaiss_status_t start_job(program_t *program, const common_options_t *common, const serve_options_t *serve_options, dfaiss_error_t *err) {
    int64_t servers = launch_default_servers();
    if (!serve_options->listen)
        return error_set(
            err, DFAISS_ERR_ARG, "mpirun",
            "serve needs clients beside it (mpirun -n 4 dfaiss serve --storage %s : -n 1 ./program), or such that connect (--listen FILE)",
            common->storage);
    for (int i = serve_options->load_count - 1; i >= 0; i--) {
        saved_index_t saved;
        TRY(saved_index_read(common->storage, serve_options->load[i], &saved, err));
        servers = saved.servers;
        saved_index_clear(&saved);
    }
    return launch_job(program, launch_asked_servers(common->servers, common->servers_per_node, servers), 0, err);
}

static dfaiss_status_t check_options(const serve_options_t *given, dfaiss_error_t *err) {
    const struct {
        const char *option;
        bool given;
    } of_listening[] = {
        {"--bind", given->bind != NULL}, {"--port", given->port != 0}, {"--connections", given->connections != 0}, {"--idle", given->idle > 0}};
    for (size_t i = 0; i < sizeof of_listening / sizeof of_listening[0] && !given->listen; i++)
        if (of_listening[i].given)
            return error_set(err, DFAISS_ERR_ARG, of_listening[i].option, "%s is given without --listen FILE", of_listening[i].option);
    return DFAISS_OK;
}

static dfaiss_status_t parse_and_run(program_t *program, int argc, char **argv, serve_options_t *serve_options, dfaiss_error_t *err) {
    common_options_t common = {0};
    bool helped;
    int clients = 0;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, serve_options, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(argument_require(common.storage != NULL, "serve", "--storage DIR", err));
    TRY(check_options(serve_options, err));
    if (!launch_inside())
        return start_job(program, &common, serve_options, err);
    dfaiss_server_options_t server = {
        .storage = common.storage,
        .load = serve_options->load,
        .load_count = serve_options->load_count,
        .threads = (int)common.threads,
        .listen = serve_options->listen,
        .bind = serve_options->bind,
        .port = (int)serve_options->port,
        .connections = (int)serve_options->connections,
        .idle = serve_options->idle,
        .wish = signals_wish,
        .wish_ended = signals_wish_ended,
        .context = program,
    };
    signals_take(serve_options->grace);
    TRY(run(program, &server, &clients, err));
    if (program->json && program->speaks)
        return report_json(program, json_pack("{s:i}", "clients", clients), err);
    return DFAISS_OK;
}

dfaiss_status_t command_serve(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    serve_options_t serve_options = {0};
    dfaiss_status_t status = parse_and_run(program, argc, argv, &serve_options, err);
    free(serve_options.load);
    return status;
}
