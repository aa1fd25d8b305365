/* dfaiss serve: a server beside programs that people write themselves. All ranks of the job that run it are the servers; it ends when the clients
 * have left. */
#include <stdlib.h>

#include <dfaiss/dfaiss.h>
#include <hdf5.h>

#include "base/memory.h"
#include "cli/arguments.h"
#include "cli/launch.h"
#include "cli/report.h"
#include "config/index_name.h"

enum { KEY_LOAD = 1 };

typedef struct serve_options {
    const char **load; /* owned; texts borrowed from argv */
    int load_count;
} serve_options_t;

static const struct argp_option options[] = {
    {"load", KEY_LOAD, "NAME...", 0, "indexes that are loaded before the first request is answered", 0},
    {0},
};

static dfaiss_status_t set(void *context, const argument_t *argument, dfaiss_error_t *err) {
    serve_options_t *serve = context;
    TRY(index_name_check(argument->value, err));
    const char **grown = realloc(serve->load, ((size_t)serve->load_count + 1) * sizeof *grown);
    if (!grown)
        return error_memory(err, ((size_t)serve->load_count + 1) * sizeof *grown, "the names of indexes");
    serve->load = grown;
    serve->load[serve->load_count++] = argument->value;
    return DFAISS_OK;
}

static const arguments_t arguments = {
    .command = "serve",
    .help = "Serves programs that were started beside it, until all of them have left: mpirun -n 4 dfaiss serve --storage DIR : -n 2 ./program",
    .options = options,
    .common = ARGUMENTS_STORAGE | ARGUMENTS_THREADS,
    .set = set,
    .listed = KEY_LOAD,
};

/* The clients wait for answers that will never come. */
static void abort_job(const program_t *program, dfaiss_status_t status, const dfaiss_error_t *err) {
    program_t speaker = *program;
    speaker.speaks = true;
    report_error(&speaker, err);
    MPI_Abort(MPI_COMM_WORLD, report_exit_code(status));
}

static dfaiss_status_t serve(program_t *program, const dfaiss_server_options_t *server, int *clients, dfaiss_error_t *err) {
    dfaiss_world_t *world = NULL;
    TRY(dfaiss_world_create(MPI_COMM_WORLD, DFAISS_ROLE_SERVER, &world, err));
    program->speaks = dfaiss_world_number(world) == 0;
    *clients = dfaiss_world_clients(world);
    memory_return_freed();
    dfaiss_status_t status = dfaiss_serve(world, server, err);
    if (status != DFAISS_OK)
        abort_job(program, status, err);
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

static dfaiss_status_t parse_and_run(program_t *program, int argc, char **argv, serve_options_t *serve_options, dfaiss_error_t *err) {
    common_options_t common = {0};
    bool helped;
    int clients = 0;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, serve_options, &helped, err));
    if (helped)
        return DFAISS_OK;
    TRY(argument_require(common.storage != NULL, "serve", "--storage DIR", err));
    if (!launch_inside())
        return error_set(err, DFAISS_ERR_ARG, "mpirun",
                         "serve needs clients beside it; start both: mpirun -n 4 dfaiss serve --storage %s : -n 1 ./program", common.storage);
    dfaiss_server_options_t server = {
        .storage = common.storage, .load = serve_options->load, .load_count = serve_options->load_count, .threads = (int)common.threads};
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
