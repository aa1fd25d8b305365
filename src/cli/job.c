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

/* A client that was left without an answer, or any server that stops: the others cannot know. */
static bool must_abort(dfaiss_status_t status, bool server) {
    if (server)
        return status != DFAISS_OK;
    return status == DFAISS_ERR_MPI || status == DFAISS_ERR_PEER || status == DFAISS_ERR_TIMEOUT;
}

static dfaiss_status_t check_ranks(int size, const job_options_t *options, dfaiss_error_t *err) {
    int64_t servers = size - 1;
    if (servers < 1)
        return error_set(err, DFAISS_ERR_ARG, "-n", "%d rank leaves no server beside the client; start at least 2 ranks", size);
    if (options->servers && servers != options->servers)
        return error_set(err, DFAISS_ERR_ARG, "--servers", "%d ranks are 1 client and %lld server%s; --servers says %lld", size, (long long)servers,
                         servers == 1 ? "" : "s", (long long)options->servers);
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
    if (!must_abort(status, false))
        dfaiss_client_destroy(client);
    return status;
}

static dfaiss_status_t run_role(program_t *program, const job_options_t *options, bool server, job_client_t *work, void *context,
                                dfaiss_error_t *err) {
    dfaiss_world_t *world = NULL;
    TRY(dfaiss_world_create(MPI_COMM_WORLD, server ? DFAISS_ROLE_SERVER : DFAISS_ROLE_CLIENT, &world, err));
    program->speaks = !server;
    dfaiss_status_t status = server ? serve(world, options, err) : work_as_client(world, options, work, context, err);
    if (must_abort(status, server))
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

dfaiss_status_t job_run(program_t *program, const job_options_t *options, job_client_t *work, void *context, dfaiss_error_t *err) {
    int granted, rank, size;
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
        status = check_ranks(size, options, err);
    if (status == DFAISS_OK)
        status = run_role(program, options, rank < size - 1, work, context, err);
    status = agree(status, err);
    if (MPI_Finalize() != MPI_SUCCESS && status == DFAISS_OK)
        status = error_set(err, DFAISS_ERR_MPI, "MPI_Finalize", "MPI does not end");
    return status;
}
