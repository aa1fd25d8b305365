#include "cli/job.h"

#include <mpi.h>

#include "cli/report.h"
#include "server/server.h"

/* The other ranks wait for messages that will never come: there is no orderly end. */
static void abort_job(const program_t *program, dfaiss_status_t status, const dfaiss_error_t *err) {
    program_t speaker = *program;
    speaker.speaks = true;
    report_error(&speaker, err);
    MPI_Abort(MPI_COMM_WORLD, report_exit_code(status));
}

static bool must_abort(dfaiss_status_t status) {
    return status == DFAISS_ERR_MPI || status == DFAISS_ERR_PEER || status == DFAISS_ERR_TIMEOUT;
}

static dfaiss_status_t check_ranks(int size, const job_options_t *options, dfaiss_error_t *err) {
    int64_t servers = size - options->clients;
    if (servers < 1)
        return error_set(err, DFAISS_ERR_ARG, "-n", "%d ranks with %lld clients leave no server; start at least %lld ranks", size, (long long)options->clients,
                         (long long)options->clients + 1);
    if (options->servers && servers != options->servers)
        return error_set(err, DFAISS_ERR_ARG, "--servers", "%d ranks with %lld clients are %lld servers; --servers says %lld", size,
                         (long long)options->clients, (long long)servers, (long long)options->servers);
    return DFAISS_OK;
}

static dfaiss_status_t serve(transport_t *transport, const job_options_t *options, dfaiss_error_t *err) {
    server_options_t server = {.storage = options->storage, .threads = (int)options->threads};
    return server_run(transport, &server, err);
}

/* Clients end together: the first of them shuts the servers down when the last has finished. */
static dfaiss_status_t work_as_client(transport_t *transport, const job_options_t *options, job_client_t *work, void *context, dfaiss_error_t *err) {
    client_t *client;
    TRY(client_create(transport, options->timeout, &client, err));
    dfaiss_status_t status = work(client, context, err);
    if (!must_abort(status)) {
        dfaiss_error_t late = {0};
        dfaiss_status_t ended = client_shutdown(client, &late);
        if (status == DFAISS_OK && ended != DFAISS_OK) {
            status = ended;
            if (err)
                *err = late;
        }
    }
    client_destroy(client);
    return status;
}

static dfaiss_status_t run_role(program_t *program, const job_options_t *options, int rank, int size, job_client_t *work, void *context, dfaiss_error_t *err) {
    bool server = rank < size - (int)options->clients;
    program->speaks = rank == size - (int)options->clients;
    transport_t *transport;
    TRY(transport_create(MPI_COMM_WORLD, server, &transport, err));
    dfaiss_status_t status = server ? serve(transport, options, err) : work_as_client(transport, options, work, context, err);
    if (must_abort(status))
        abort_job(program, status, err);
    /* Clients fail for reasons of their own; of a server's failure only the server knows. */
    program->speaks = program->speaks || (server && status != DFAISS_OK);
    transport_destroy(transport);
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
        status = run_role(program, options, rank, size, work, context, err);
    status = agree(status, err);
    if (MPI_Finalize() != MPI_SUCCESS && status == DFAISS_OK)
        status = error_set(err, DFAISS_ERR_MPI, "MPI_Finalize", "MPI does not end");
    return status;
}
