#include "cli/job.h"

#include <hdf5.h>
#include <mpi.h>

#include <dfaiss/dfaiss.h>

#include "base/memory.h"
#include "cli/report.h"

/* The other ranks wait for messages that will never come: there is no orderly end. */
static void abort_job(const program_t *program, dfaiss_status_t status, const dfaiss_error_t *err) {
    program_t speaker = *program;
    speaker.speaks = true;
    report_error(&speaker, err);
    MPI_Abort(MPI_COMM_WORLD, report_exit_code(status));
}

bool job_must_abort(dfaiss_status_t status) {
    return status == DFAISS_ERR_MPI || status == DFAISS_ERR_PEER || status == DFAISS_ERR_TIMEOUT;
}

/* How many of the ranks are servers. */
static dfaiss_status_t count_servers(int size, const job_options_t *options, int *out, dfaiss_error_t *err) {
    int64_t clients = options->clients ? options->clients : 1, servers = size - clients;
    if (servers < 1)
        return error_set(err, DFAISS_ERR_ARG, "-n", "%d rank%s no server beside %lld client%s; start at least %lld ranks", size,
                         size == 1 ? " leaves" : "s leave", (long long)clients, clients == 1 ? "" : "s", (long long)clients + 1);
    if (options->servers && (servers < options->servers || (servers > options->servers && !options->clients)))
        return error_set(err, DFAISS_ERR_ARG, "--servers", "%d ranks are %lld client%s and %lld server%s; --servers says %lld", size,
                         (long long)clients, clients == 1 ? "" : "s", (long long)servers, servers == 1 ? "" : "s", (long long)options->servers);
    *out = (int)(options->servers ? options->servers : servers);
    return DFAISS_OK;
}

static dfaiss_status_t serve(dfaiss_world_t *world, const job_options_t *options, dfaiss_error_t *err) {
    memory_return_freed();
    dfaiss_server_options_t server = {.storage = options->storage, .threads = (int)options->threads};
    return dfaiss_serve(world, &server, err);
}

static dfaiss_status_t work_as_client(dfaiss_world_t *world, const job_options_t *options, job_client_t *work, void *context, dfaiss_error_t *err) {
    dfaiss_client_t *client = NULL;
    dfaiss_client_options_t limits = {.timeout = options->timeout};
    TRY(dfaiss_client_create(world, &limits, &client, err));
    dfaiss_status_t status = work(client, context, err);
    /* Where answers are missing, waiting for them would be for ever. */
    if (!job_must_abort(status))
        dfaiss_client_destroy(client);
    return status;
}

static dfaiss_status_t run_role(program_t *program, const job_options_t *options, bool server, job_client_t *work, void *context,
                                dfaiss_error_t *err) {
    dfaiss_world_t *world = NULL;
    TRY(dfaiss_world_create(MPI_COMM_WORLD, server ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT, &world, err));
    program->speaks = !server && dfaiss_world_number(world) == 0;
    dfaiss_status_t status = server ? serve(world, options, err) : work_as_client(world, options, work, context, err);
    /* A server that stops is missed by all; a client where it was left without an answer. */
    if (server ? status != DFAISS_OK : job_must_abort(status))
        abort_job(program, status, err);
    dfaiss_world_destroy(world);
    return status;
}

/* Every rank ends with the same status, and so the job with its exit code, whichever rank's mpirun or srun looks at. */
static dfaiss_status_t agree(dfaiss_status_t status, dfaiss_error_t *err) {
    int mine = (int)status, all = mine;
    if (MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD) != MPI_SUCCESS && status == DFAISS_OK)
        return error_set(err, DFAISS_ERR_MPI, "MPI_Allreduce", "the ranks of the job cannot agree on how it ended");
    return status != DFAISS_OK ? status : (dfaiss_status_t)all;
}

static dfaiss_status_t meet(const job_options_t *options, int servers, void *context, dfaiss_error_t *err) {
    return options->meet ? agree(options->meet(servers, context, err), err) : DFAISS_OK;
}

dfaiss_status_t job_run(program_t *program, const job_options_t *options, job_client_t *work, void *context, dfaiss_error_t *err) {
    int granted, rank, size, servers = 0;
    /* A file that HDF5 could not make, on a full disk, it would try to close again at the end of the process, and complain on stderr. Whoever opens
     * files closes them. */
    (void)H5dont_atexit();
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &granted) != MPI_SUCCESS || MPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS ||
        MPI_Comm_size(MPI_COMM_WORLD, &size) != MPI_SUCCESS)
        return error_set(err, DFAISS_ERR_MPI, "MPI_Init_thread", "MPI does not start");
    program->speaks = rank == 0;
    /* MPICH reports failures of requests to the world's handler, whichever communicator they are of. */
    dfaiss_status_t status = DFAISS_OK;
    if (MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN) != MPI_SUCCESS)
        status = error_set(err, DFAISS_ERR_MPI, "MPI_Comm_set_errhandler", "MPI does not take an error handler");
    if (status == DFAISS_OK)
        status = count_servers(size, options, &servers, err);
    if (status == DFAISS_OK)
        status = meet(options, servers, context, err);
    if (status == DFAISS_OK)
        status = run_role(program, options, rank < servers, work, context, err);
    status = agree(status, err);
    if (MPI_Finalize() != MPI_SUCCESS && status == DFAISS_OK)
        status = error_set(err, DFAISS_ERR_MPI, "MPI_Finalize", "MPI does not end");
    return status;
}
