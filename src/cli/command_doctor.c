/* dfaiss doctor: looks for what goes wrong on clusters, and says what to change. It runs on the ranks of a job as any other would be started. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/doctor_run.h"
#include "cli/launch.h"
#include "cli/report.h"

enum { KEY_CONFIG = 256, KEY_ROWS, KEY_DIM };
static const int64_t most_rows = INT64_C(1) << 48, most_dim = 1 << 20;

static const struct argp_option options_table[] = {
    {"config", KEY_CONFIG, "FILE", 0, "The configuration of an index that shall fit into the memory", 0},
    {"rows", KEY_ROWS, "N", 0, "With --config: the number of its vectors", 0},
    {"dim", KEY_DIM, "D", 0, "With --config: their dimension (default: as configured)", 0},
    {0}};

static dfaiss_status_t set_option(void *context, const argument_t *argument, dfaiss_error_t *err) {
    doctor_options_t *options = context;
    switch (argument->key) {
    case KEY_CONFIG:
        options->config = argument->value;
        return DFAISS_OK;
    case KEY_ROWS:
        return argument_integer(argument, 1, most_rows, &options->rows, err);
    default:
        return argument_integer(argument, 1, most_dim, &options->dim, err);
    }
}

static const arguments_t arguments = {
    .command = "doctor",
    .help = "Looks for what goes wrong on clusters: how MPI starts and how fast it is, cores and threads of the ranks, "
            "what faiss makes of the processor, the storage, and the memory that an index needs. Start it as the job that "
            "you want to run: mpirun or srun dfaiss doctor --storage DIR. It ends with code 1 where there is a problem.",
    .options = options_table,
    .common = ARGUMENTS_STORAGE | ARGUMENTS_SERVERS,
    .set = set_option};

static dfaiss_status_t check(doctor_options_t *options, dfaiss_error_t *err) {
    if (!options->config && (options->rows || options->dim))
        return error_set(err, DFAISS_ERR_ARG, "--config", "--rows and --dim belong to --config FILE");
    if (!options->config)
        return DFAISS_OK;
    TRY(argument_require(options->rows > 0, "doctor", "--rows N", err));
    return doctor_memory_estimate(options->config, options->rows, options->dim, &options->need, err);
}

/* A job that does not come about must end all the same; mpirun of Open MPI and of MPICH go by this variable. */
static dfaiss_status_t start_job(program_t *program, const doctor_options_t *options, dfaiss_error_t *err) {
    if (setenv("MPIEXEC_TIMEOUT", "120", 0) != 0)
        return error_memory(err, 0, "the environment of mpirun");
    dfaiss_status_t status =
        launch_job(program, launch_asked_servers(options->roles.servers, options->roles.per_node, launch_default_servers()), 1, err);
    /* Code 1 after an answer says that there are problems, which the answer names. */
    return program->answered && program->exit_code == 1 ? DFAISS_OK : status;
}

static dfaiss_status_t run(program_t *program, doctor_options_t *options, doctor_findings_t *findings, dfaiss_error_t *err) {
    TRY(check(options, err));
    if (!launch_inside())
        return start_job(program, options, err);
    TRY(doctor_run(program, options, findings, err));
    if (!program->speaks)
        return DFAISS_OK;
    TRY(doctor_report(program, findings, err));
    if (doctor_count(findings, DOCTOR_PROBLEM) > 0)
        program->exit_code = report_exit_code(DFAISS_ERR_STATE);
    return DFAISS_OK;
}

dfaiss_status_t command_doctor(program_t *program, int argc, char **argv, dfaiss_error_t *err) {
    doctor_options_t options = {0};
    doctor_findings_t findings = {0};
    common_options_t common = {0};
    bool helped;
    TRY(arguments_parse(&arguments, program, argc, argv, &common, &options, &helped, err));
    if (helped)
        return DFAISS_OK;
    options.storage = common.storage;
    options.roles = (job_roles_t){.servers = common.servers, .per_node = common.servers_per_node};
    dfaiss_status_t status = run(program, &options, &findings, err);
    doctor_findings_clear(&findings);
    return status;
}
