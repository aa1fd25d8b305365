#include "cli/doctor_run.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/doctor_network.h"
#include "cli/doctor_storage.h"
#include "cli/launch.h"
#include "cli/report.h"
#include "cli/versions.h"

enum { PARTNERS = 32 };

typedef struct doctor {
    program_t *program;
    const doctor_options_t *options;
    int rank, size;
    doctor_rank_t *ranks; /* of all, on rank 0; owned */
    int *hosts;           /* the first rank of each host, on all ranks; owned */
    int host_count;
    double index_bytes; /* that the configured index will take; 0: not known */
    doctor_findings_t *findings;
} doctor_t;

static dfaiss_status_t failed(const char *call, dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_MPI, call, "the ranks cannot reach each other (%s)", call);
}

/* Collective: all fail where one failed. */
static dfaiss_status_t agree(dfaiss_status_t status, dfaiss_error_t *err) {
    int mine = (int)status, all = mine;
    if (MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD) != MPI_SUCCESS && status == DFAISS_OK)
        return failed("MPI_Allreduce", err);
    return status != DFAISS_OK ? status : (dfaiss_status_t)all;
}

/* ---- who is there ---- */

static dfaiss_status_t allocate(doctor_t *doctor, dfaiss_error_t *err) {
    size_t size = (size_t)doctor->size;
    doctor->hosts = calloc(size, sizeof *doctor->hosts);
    if (doctor->rank == 0)
        doctor->ranks = calloc(size, sizeof *doctor->ranks);
    if (!doctor->hosts || (doctor->rank == 0 && !doctor->ranks))
        return error_memory(err, size * sizeof *doctor->ranks, "what the ranks say");
    return DFAISS_OK;
}

static dfaiss_status_t meet(doctor_t *doctor, int thread_level, dfaiss_error_t *err) {
    doctor_rank_t mine;
    doctor_rank_describe(thread_level, &mine);
    TRY(agree(allocate(doctor, err), err));
    if (MPI_Gather(&mine, (int)sizeof mine, MPI_BYTE, doctor->ranks, (int)sizeof mine, MPI_BYTE, 0, MPI_COMM_WORLD) != MPI_SUCCESS)
        return failed("MPI_Gather", err);
    for (int i = 0; doctor->rank == 0 && i < doctor->size; i++)
        if (doctor_host_of(doctor->ranks, i) == i)
            doctor->hosts[doctor->host_count++] = i;
    if (MPI_Bcast(&doctor->host_count, 1, MPI_INT, 0, MPI_COMM_WORLD) != MPI_SUCCESS ||
        MPI_Bcast(doctor->hosts, doctor->host_count, MPI_INT, 0, MPI_COMM_WORLD) != MPI_SUCCESS)
        return failed("MPI_Bcast", err);
    return DFAISS_OK;
}

/* ---- network ---- */

/* The others wait for messages that never come. */
static void abort_with_findings(doctor_t *doctor) {
    dfaiss_status_t status = doctor_report(doctor->program, doctor->findings, NULL);
    if (status == DFAISS_OK)
        status = report_flush(NULL);
    MPI_Abort(MPI_COMM_WORLD, report_exit_code(status == DFAISS_OK ? DFAISS_ERR_PEER : status));
}

static dfaiss_status_t look_at_network(doctor_t *doctor, dfaiss_error_t *err) {
    int partners[PARTNERS + 1] = {0}; /* their number comes first */
    doctor_link_t links[PARTNERS];
    bool broken = false;
    if (doctor->rank == 0)
        partners[0] = doctor_network_partners(doctor->ranks, doctor->size, PARTNERS, partners + 1);
    if (MPI_Bcast(partners, PARTNERS + 1, MPI_INT, 0, MPI_COMM_WORLD) != MPI_SUCCESS)
        return failed("MPI_Bcast", err);
    TRY(doctor_network_measure(MPI_COMM_WORLD, partners[0], partners + 1, links, &broken, err));
    if (doctor->rank == 0)
        doctor_check_network(doctor->ranks, partners[0], links, doctor->findings);
    if (broken)
        abort_with_findings(doctor);
    return DFAISS_OK;
}

/* ---- storage ---- */

/* Its number among the hosts' first ranks; -1: this rank is none of them. */
static int number_of(const doctor_t *doctor) {
    for (int i = 0; i < doctor->host_count; i++)
        if (doctor->hosts[i] == doctor->rank)
            return i;
    return -1;
}

/* Rank 0 collects the trials of the hosts' first ranks in their order; nobody spins while a slow disk writes. */
static dfaiss_status_t collect(const doctor_t *doctor, const doctor_trial_t *mine, int number, doctor_trial_t *trials, dfaiss_error_t *err) {
    static const struct timespec nap = {.tv_nsec = 1000000};
    MPI_Request all_here;
    if (MPI_Ibarrier(MPI_COMM_WORLD, &all_here) != MPI_SUCCESS)
        return failed("MPI_Ibarrier", err);
    for (int done = 0; !done; nanosleep(&nap, NULL))
        if (MPI_Test(&all_here, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return failed("MPI_Test", err);
    if (number > 0 && MPI_Send(mine, (int)sizeof *mine, MPI_BYTE, 0, 0, MPI_COMM_WORLD) != MPI_SUCCESS)
        return failed("MPI_Send", err);
    if (number != 0)
        return DFAISS_OK;
    trials[0] = *mine;
    for (int i = 1; i < doctor->host_count; i++)
        if (MPI_Recv(&trials[i], (int)sizeof trials[i], MPI_BYTE, doctor->hosts[i], 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return failed("MPI_Recv", err);
    return DFAISS_OK;
}

static dfaiss_status_t try_storage(doctor_t *doctor, const char *folder, dfaiss_error_t *err) {
    int number = number_of(doctor);
    doctor_trial_t mine = {0}, *trials = NULL;
    if (doctor->rank == 0)
        trials = calloc((size_t)doctor->host_count, sizeof *trials);
    TRY(agree(doctor->rank == 0 && !trials ? error_memory(err, 0, "what the hosts say") : DFAISS_OK, err));
    if (number >= 0)
        doctor_storage_try(folder, number, &mine);
    dfaiss_status_t status = collect(doctor, &mine, number, trials, err);
    if (status == DFAISS_OK && trials)
        doctor_check_storage(doctor->options->storage, doctor->ranks, doctor->host_count, doctor->hosts, trials, doctor->index_bytes,
                             doctor->findings);
    free(trials);
    return status;
}

static dfaiss_status_t look_at_storage(doctor_t *doctor, dfaiss_error_t *err) {
    char folder[PATH_MAX] = "";
    dfaiss_error_t why = {0};
    if (doctor->rank == 0 && doctor_storage_begin(doctor->options->storage, folder, &why) != DFAISS_OK) {
        doctor_find(doctor->findings, "storage", DOCTOR_PROBLEM, "%s", why.text);
        folder[0] = 0;
    }
    if (MPI_Bcast(folder, (int)sizeof folder, MPI_CHAR, 0, MPI_COMM_WORLD) != MPI_SUCCESS)
        return failed("MPI_Bcast", err);
    if (!folder[0])
        return DFAISS_OK;
    dfaiss_status_t status = try_storage(doctor, folder, err);
    if (doctor->rank == 0 && doctor_storage_end(folder, &why) != DFAISS_OK)
        doctor_find(doctor->findings, "storage", DOCTOR_ADVICE, "%s", why.text);
    return status;
}

/* ---- memory ---- */

/* As a build would share out the roles. */
static void choose_servers(const doctor_t *doctor, bool *servers) {
    const job_roles_t *roles = &doctor->options->roles;
    for (int i = 0; i < doctor->size; i++) {
        int before = 0;
        for (int j = doctor_host_of(doctor->ranks, i); j < i; j++)
            before += strcmp(doctor->ranks[j].rank.host, doctor->ranks[i].rank.host) == 0;
        servers[i] = roles->per_node ? before < roles->per_node : roles->servers ? i < roles->servers : i < doctor->size - 1 || doctor->size == 1;
    }
}

static dfaiss_status_t look_at_memory(doctor_t *doctor, dfaiss_error_t *err) {
    const doctor_options_t *options = doctor->options;
    if (doctor->rank != 0)
        return DFAISS_OK;
    bool *servers = calloc((size_t)doctor->size, sizeof *servers);
    if (!servers)
        return error_memory(err, (size_t)doctor->size, "the roles of ranks");
    choose_servers(doctor, servers);
    doctor_check_memory(doctor->ranks, doctor->size, servers, options->rows, &options->need, doctor->findings);
    doctor->index_bytes = (double)options->rows * options->need.vector;
    free(servers);
    return DFAISS_OK;
}

/* ---- all of it ---- */

/* Ranks that MPI does not connect are jobs of one rank each. */
static bool check_alone(const doctor_t *doctor, dfaiss_error_t *err) {
    return doctor->size > 1 || launch_check_size(doctor->size, err) == DFAISS_OK;
}

static dfaiss_status_t examine(doctor_t *doctor, int thread_level, dfaiss_error_t *err) {
    if (MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN) != MPI_SUCCESS || MPI_Comm_rank(MPI_COMM_WORLD, &doctor->rank) != MPI_SUCCESS ||
        MPI_Comm_size(MPI_COMM_WORLD, &doctor->size) != MPI_SUCCESS)
        return failed("MPI_Comm_rank", err);
    if (!check_alone(doctor, err))
        return DFAISS_ERR_MPI;
    doctor->program->speaks = doctor->rank == 0;
    TRY(meet(doctor, thread_level, err));
    if (doctor->rank == 0)
        doctor_check_hosts(doctor->ranks, doctor->size, doctor->findings);
    TRY(look_at_network(doctor, err));
    if (doctor->options->config)
        TRY(agree(look_at_memory(doctor, err), err));
    return doctor->options->storage ? agree(look_at_storage(doctor, err), err) : DFAISS_OK;
}

dfaiss_status_t doctor_run(program_t *program, const doctor_options_t *options, doctor_findings_t *findings, dfaiss_error_t *err) {
    int granted = MPI_THREAD_SINGLE;
    doctor_t doctor = {.program = program, .options = options, .findings = findings};
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &granted) != MPI_SUCCESS)
        return error_set(err, DFAISS_ERR_MPI, "MPI_Init_thread", "MPI does not start");
    dfaiss_status_t status = examine(&doctor, granted, err);
    free(doctor.ranks);
    free(doctor.hosts);
    if (MPI_Finalize() != MPI_SUCCESS && status == DFAISS_OK)
        status = error_set(err, DFAISS_ERR_MPI, "MPI_Finalize", "MPI does not end");
    return status;
}

dfaiss_status_t doctor_report(program_t *program, const doctor_findings_t *findings, dfaiss_error_t *err) {
    if (program->json)
        return report_json(program, doctor_findings_json(findings), err);
    doctor_findings_print(stdout, findings);
    int problems = doctor_count(findings, DOCTOR_PROBLEM), advice = doctor_count(findings, DOCTOR_ADVICE);
    printf("\n%d problem%s, %d piece%s of advice\n", problems, problems == 1 ? "" : "s", advice, advice == 1 ? "" : "s");
    return DFAISS_OK;
}
