#include "cli/job.h"

#include <hdf5.h>
#include <mpi.h>

#include <dfaiss/dfaiss.h>

#include "base/memory.h"
#include "cli/launch.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "transport/public_world.h"

bool job_must_abort(dfaiss_status_t status) {
    return status == DFAISS_ERR_MPI || status == DFAISS_ERR_PEER || status == DFAISS_ERR_TIMEOUT;
}

dfaiss_status_t job_load_index(dfaiss_client_t *client, const char *index, dfaiss_error_t *err) {
    dfaiss_status_t status = dfaiss_load_index(client, index, NULL, false, err);
    return status == DFAISS_ERR_EXISTS ? DFAISS_OK : status;
}

typedef struct job {
    program_t *program;
    const job_options_t *options;
    MPI_Comm ranks; /* that run this command: its servers, then the clients; MPI_COMM_NULL until roles are decided */
    int servers;    /* among them */
} job_t;

static dfaiss_status_t mpi_failed(const char *call, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_MPI, call, "the ranks of the job cannot reach each other (%s)", call);
}

/* ---- roles ---- */

/* The first ranks are servers, as many as are asked for, or all but the clients. */
static dfaiss_status_t count_servers(const job_options_t *options, int size, int *out, dfaiss_error_t *err) {
    int64_t clients = options->clients ? options->clients : 1, servers = size - clients, asked = options->roles.servers;
    if (servers < 1)
        return error_set(err, DFAISS_ERR_ARG, "-n", "%d rank%s no server beside %lld client%s; start at least %lld ranks", size,
                         size == 1 ? " leaves" : "s leave", (long long)clients, clients == 1 ? "" : "s", (long long)clients + 1);
    if (asked && (servers < asked || (servers > asked && !options->clients)))
        return error_set(err, DFAISS_ERR_ARG, "--servers", "%d ranks are %lld client%s and %lld server%s; --servers says %lld", size,
                         (long long)clients, clients == 1 ? "" : "s", (long long)servers, servers == 1 ? "" : "s", (long long)asked);
    *out = (int)(asked ? asked : servers);
    return DFAISS_OK;
}

/* This rank's place on its node, and how many the node has. */
static dfaiss_status_t find_place(MPI_Comm ranks, int *place, int *count, dfaiss_error_t *err) {
    MPI_Comm node;
    if (MPI_Comm_split_type(ranks, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node) != MPI_SUCCESS)
        return mpi_failed("MPI_Comm_split_type", err);
    bool found = MPI_Comm_rank(node, place) == MPI_SUCCESS && MPI_Comm_size(node, count) == MPI_SUCCESS;
    MPI_Comm_free(&node);
    return found ? DFAISS_OK : mpi_failed("MPI_Comm_rank", err);
}

static dfaiss_status_t serve_per_node(const job_options_t *options, MPI_Comm ranks, int size, bool *server, dfaiss_error_t *err) {
    int64_t wanted = options->roles.per_node, clients = options->clients ? options->clients : 1;
    int place = 0, count = 0, fewest = 0, servers = 0;
    TRY(find_place(ranks, &place, &count, err));
    *server = place < wanted;
    int mine = *server;
    if (MPI_Allreduce(&count, &fewest, 1, MPI_INT, MPI_MIN, ranks) != MPI_SUCCESS ||
        MPI_Allreduce(&mine, &servers, 1, MPI_INT, MPI_SUM, ranks) != MPI_SUCCESS)
        return mpi_failed("MPI_Allreduce", err);
    if (fewest < wanted)
        return error_set(err, DFAISS_ERR_ARG, "--servers-per-node", "a node has %d rank%s; --servers-per-node says %lld", fewest,
                         fewest == 1 ? "" : "s", (long long)wanted);
    if (size - servers < clients)
        return error_set(err, DFAISS_ERR_ARG, "--servers-per-node",
                         "%d of %d ranks are servers, with --servers-per-node %lld; that leaves no %lld client%s: start more ranks", servers, size,
                         (long long)wanted, (long long)clients, clients == 1 ? "" : "s");
    return DFAISS_OK;
}

static dfaiss_status_t choose_role(const job_options_t *options, MPI_Comm ranks, int rank, int size, bool *server, dfaiss_error_t *err) {
    int servers = 0;
    if (options->roles.per_node)
        return serve_per_node(options, ranks, size, server, err);
    TRY(count_servers(options, size, &servers, err));
    *server = rank < servers;
    return DFAISS_OK;
}

/* A sum of the words of this command. FNV-1a */
static int64_t sum_command(const program_t *program) {
    uint64_t sum = 14695981039346656037U;
    for (int i = 1; i < program->argc; i++)
        for (const char *letter = program->argv[i];; letter++) {
            sum = (sum ^ (unsigned char)*letter) * 1099511628211U;
            if (!*letter)
                break;
        }
    return (int64_t)sum;
}

/* Collective over the ranks that run commands of dfaiss: they go on where all of them can, and run the same one, as otherwise the work of one command
 * only would be done. refused: why this rank cannot; the first of those that cannot speaks, else the first of all. */
static dfaiss_status_t go_on_together(program_t *program, MPI_Comm ranks, int rank, dfaiss_status_t refused, dfaiss_error_t *err) {
    int64_t sum = sum_command(program), least[3];
    /* Of a complement the least is the largest. Signed, since MPICH 4.0.2 takes MPI_UINT64_T for that in MPI_MIN. */
    int64_t mine[] = {sum, ~sum, refused == DFAISS_OK ? INT64_MAX : rank};
    if (MPI_Allreduce(mine, least, 3, MPI_INT64_T, MPI_MIN, ranks) != MPI_SUCCESS)
        return mpi_failed("MPI_Allreduce", err);
    bool all_can = least[2] == INT64_MAX;
    program->speaks = all_can ? rank == 0 : least[2] == rank;
    if (refused != DFAISS_OK)
        return refused;
    if (!all_can)
        return error_set(err, DFAISS_ERR_ARG, "", "another rank of this job cannot start");
    if (least[0] == ~least[1])
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_ARG, "",
                     "the ranks of the job run different commands of dfaiss; beside each other go one of them and dfaiss serve");
}

/* transport_decide_t */
static dfaiss_status_t decide(void *context, MPI_Comm ranks, bool served, bool *server, dfaiss_error_t *err) {
    job_t *job = context;
    int rank = 0, size = 0, mine = 0;
    if (MPI_Comm_rank(ranks, &rank) != MPI_SUCCESS || MPI_Comm_size(ranks, &size) != MPI_SUCCESS)
        return mpi_failed("MPI_Comm_rank", err);
    TRY(go_on_together(job->program, ranks, rank, DFAISS_OK, err));
    *server = false;
    if (!served)
        TRY(choose_role(job->options, ranks, rank, size, server, err));
    mine = *server;
    if (MPI_Allreduce(&mine, &job->servers, 1, MPI_INT, MPI_SUM, ranks) != MPI_SUCCESS)
        return mpi_failed("MPI_Allreduce", err);
    return MPI_Comm_split(ranks, 0, *server ? 0 : 1, &job->ranks) == MPI_SUCCESS ? DFAISS_OK : mpi_failed("MPI_Comm_split", err);
}

typedef struct refusal {
    program_t *program;
    const dfaiss_error_t *reason;
} refusal_t;

/* transport_decide_t; it is told here why, since afterwards mpirun may end this process with that of another rank. */
static dfaiss_status_t decide_to_refuse(void *context, MPI_Comm ranks, bool served, bool *server, dfaiss_error_t *err) {
    refusal_t *refusal = context;
    int rank = 0;
    (void)served;
    (void)server;
    (void)MPI_Comm_rank(ranks, &rank);
    dfaiss_status_t status = go_on_together(refusal->program, ranks, rank, refusal->reason->code, err);
    report_error(refusal->program, refusal->reason);
    return status;
}

bool job_refuse(program_t *program, const dfaiss_error_t *reason) {
    int granted, begun = 0;
    dfaiss_world_t *world = NULL;
    refusal_t refusal = {.program = program, .reason = reason};
    if (!launch_inside() || MPI_Initialized(&begun) != MPI_SUCCESS || begun ||
        MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &granted) != MPI_SUCCESS)
        return false;
    (void)MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (world_create_undecided(MPI_COMM_WORLD, decide_to_refuse, &refusal, &world, NULL) == DFAISS_OK)
        dfaiss_world_destroy(world);
    MPI_Finalize();
    program->exit_code = report_exit_code(reason->code);
    return true;
}

/* ---- work ---- */

static dfaiss_status_t serve(const job_t *job, dfaiss_world_t *world, dfaiss_error_t *err) {
    memory_return_freed();
    dfaiss_server_options_t server = {.storage = job->options->storage,
                                      .threads = (int)job->options->threads,
                                      .wish = signals_wish,
                                      .wish_ended = signals_wish_ended,
                                      .context = job->program};
    return dfaiss_serve(world, &server, err);
}

static dfaiss_status_t work_as_client(dfaiss_world_t *world, const job_options_t *options, job_client_t *work, void *context, dfaiss_error_t *err) {
    dfaiss_client_t *client = NULL;
    dfaiss_client_options_t limits = {.timeout = options->timeout};
    TRY(dfaiss_client_create(world, &limits, &client, err));
    dfaiss_status_t status = work(client, context, err);
    if (status == DFAISS_ERR_INTERRUPTED)
        signals_saved();
    /* Where answers are missing, waiting for them would be for ever. */
    if (!job_must_abort(status))
        dfaiss_client_destroy(client);
    return status;
}

/* Every rank ends with the same status, and so the job with its exit code, whichever rank's mpirun or srun looks at. */
static dfaiss_status_t agree(const job_t *job, dfaiss_status_t status, dfaiss_error_t *err) {
    int mine = (int)status, all = mine;
    if (MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MAX, job->ranks) != MPI_SUCCESS && status == DFAISS_OK)
        return mpi_failed("MPI_Allreduce", err);
    return status != DFAISS_OK ? status : (dfaiss_status_t)all;
}

static dfaiss_status_t work_in_role(job_t *job, dfaiss_world_t *world, job_client_t *work, void *context, dfaiss_error_t *err) {
    const job_options_t *options = job->options;
    int rank = 0;
    if (MPI_Comm_rank(job->ranks, &rank) != MPI_SUCCESS)
        return mpi_failed("MPI_Comm_rank", err);
    bool server = rank < job->servers;
    job->program->speaks = rank == job->servers;
    signals_set_program(job->program);
    if (options->meet)
        TRY(agree(job, options->meet(job->ranks, job->servers, context, err), err));
    if (!server && !job->program->speaks && options->clients == 0)
        return DFAISS_OK;
    dfaiss_status_t status = server ? serve(job, world, err) : work_as_client(world, options, work, context, err);
    /* Whether that matters the clients know, who may have ended their work before. */
    if (server && status == DFAISS_ERR_INTERRUPTED)
        return DFAISS_OK;
    /* A server that stops is missed by all; a client where it was left without an answer. */
    if (server ? status != DFAISS_OK : job_must_abort(status))
        report_abort(job->program, status, err);
    return status;
}

static dfaiss_status_t run(job_t *job, job_client_t *work, void *context, dfaiss_error_t *err) {
    dfaiss_world_t *world = NULL;
    /* MPICH reports failures of requests to the world's handler, whichever communicator they are of. */
    if (MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN) != MPI_SUCCESS)
        return error_set(err, DFAISS_ERR_MPI, "MPI_Comm_set_errhandler", "MPI does not take an error handler");
    int size = 0;
    if (MPI_Comm_size(MPI_COMM_WORLD, &size) != MPI_SUCCESS)
        return mpi_failed("MPI_Comm_size", err);
    TRY(launch_check_size(size, err));
    TRY(world_create_undecided(MPI_COMM_WORLD, decide, job, &world, err));
    dfaiss_status_t status = work_in_role(job, world, work, context, err);
    dfaiss_world_destroy(world);
    return agree(job, status, err);
}

dfaiss_status_t job_run(program_t *program, const job_options_t *options, job_client_t *work, void *context, dfaiss_error_t *err) {
    job_t job = {.program = program, .options = options, .ranks = MPI_COMM_NULL};
    int granted;
    /* A file that HDF5 could not make, on a full disk, it would try to close again at the end of the process, and complain on stderr. Whoever opens
     * files closes them. */
    (void)H5dont_atexit();
    signals_take(options->grace);
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &granted) != MPI_SUCCESS)
        return error_set(err, DFAISS_ERR_MPI, "MPI_Init_thread", "MPI does not start");
    dfaiss_status_t status = run(&job, work, context, err);
    if (job.ranks != MPI_COMM_NULL)
        MPI_Comm_free(&job.ranks);
    if (MPI_Finalize() != MPI_SUCCESS && status == DFAISS_OK)
        status = error_set(err, DFAISS_ERR_MPI, "MPI_Finalize", "MPI does not end");
    return status;
}
