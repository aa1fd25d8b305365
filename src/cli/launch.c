#include "cli/launch.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpi.h>

#include "cli/progress.h"
#include "cli/relay.h"
#include "cli/report.h"

/* Set in every rank by Open MPI's mpirun, by MPICH's, and by srun with --mpi=pmix or pmi2. (SLURM_PROCID alone says nothing of MPI: a batch script
 * has it, too.)
 */
static const char *const rank_variables[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
static const char *const launcher_variables[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", "PMI_FD"};

/* How many ranks they are. The last one is set by srun, with MPI or without, and not in a batch script. */
static const char *const size_variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};

/* Set in the ranks of a job that launch_job started. */
static const char checked_variable[] = "DFAISS_INPUT_CHECKED";

bool launch_inside(void) {
    for (size_t i = 0; i < sizeof launcher_variables / sizeof launcher_variables[0]; i++)
        if (getenv(launcher_variables[i]))
            return true;
    return false;
}

int launch_rank(void) {
    for (size_t i = 0; i < sizeof rank_variables / sizeof rank_variables[0]; i++)
        if (getenv(rank_variables[i]))
            return atoi(getenv(rank_variables[i]));
    return 0;
}

/* Ranks that were started together, as the launcher says; 0 where it does not. */
static int launched_ranks(void) {
    for (size_t i = 0; i < sizeof size_variables / sizeof size_variables[0]; i++)
        if (getenv(size_variables[i]))
            return atoi(getenv(size_variables[i]));
    return 0;
}

dfaiss_status_t launch_check_size(int size, dfaiss_error_t *err) {
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0, launched = launched_ranks();
    if (size > 1 || launched <= 1)
        return DFAISS_OK;
    if (MPI_Get_library_version(version, &length) != MPI_SUCCESS)
        version[0] = 0;
    version[strcspn(version, ",\n")] = 0;
    return error_set(
        err, DFAISS_ERR_MPI, "MPI_COMM_WORLD",
        "%d ranks were started, but MPI connects none of them: start them with the mpirun of the MPI that dfaiss was built with (%s), or "
        "with srun --mpi=pmix",
        launched, version);
}

bool launch_input_checked(void) {
    return getenv(checked_variable) != NULL;
}

int64_t launch_default_servers(void) {
    glob_t nodes;
    int64_t count = 1;
    if (glob("/sys/devices/system/node/node[0-9]*", 0, NULL, &nodes) == 0) {
        count = nodes.gl_pathc > 0 ? (int64_t)nodes.gl_pathc : 1;
        globfree(&nodes);
    }
    return count;
}

int64_t launch_asked_servers(int64_t servers, int64_t per_node, int64_t otherwise) {
    return servers ? servers : per_node ? per_node : otherwise;
}

/* The path of a program: `name` itself where it has a slash, else the first on PATH. */
static bool find_program(const char *name, char *path, size_t capacity) {
    if (strchr(name, '/')) {
        int length = snprintf(path, capacity, "%s", name);
        return length >= 0 && (size_t)length < capacity && access(path, X_OK) == 0;
    }
    for (const char *folder = getenv("PATH"); folder && *folder;) {
        size_t length = strcspn(folder, ":");
        int made = snprintf(path, capacity, "%.*s/%s", (int)length, folder, name);
        if (length > 0 && made >= 0 && (size_t)made < capacity && access(path, X_OK) == 0)
            return true;
        folder += length + (folder[length] == ':');
    }
    return false;
}

/* Where several MPIs are installed, Debian's mpirun leads to one of them, and those of the others have names of their own. */
#ifdef OPEN_MPI
static const char own_launcher[] = "mpirun.openmpi";
static const char *const foreign_launchers[] = {"mpiexec.hydra", "mpirun.mpich"};
#else
static const char own_launcher[] = "mpirun.mpich";
static const char *const foreign_launchers[] = {"orterun", "prterun", "mpirun.openmpi"};
#endif

/* Would ranks that this program starts not find each other? */
static bool is_foreign(const char *path) {
    char *real = realpath(path, NULL);
    const char *name = real ? strrchr(real, '/') : NULL;
    bool foreign = false;
    for (size_t i = 0; name && i < sizeof foreign_launchers / sizeof foreign_launchers[0]; i++)
        foreign = foreign || strcmp(name + 1, foreign_launchers[i]) == 0;
    free(real);
    return foreign;
}

static dfaiss_status_t find_launcher(char *path, size_t capacity, dfaiss_error_t *err) {
    const char *given = getenv("DFAISS_MPIRUN");
    if (given && given[0]) {
        if (find_program(given, path, capacity))
            return DFAISS_OK;
        return error_set(err, DFAISS_ERR_NOT_FOUND, "DFAISS_MPIRUN", "DFAISS_MPIRUN is '%s', which is no program that can be run", given);
    }
    if ((find_program("mpirun", path, capacity) && !is_foreign(path)) || find_program(own_launcher, path, capacity) ||
        find_program("mpirun", path, capacity) || find_program("mpiexec", path, capacity))
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_NOT_FOUND, "PATH", "neither mpirun nor mpiexec is on PATH; DFAISS_MPIRUN may name it");
}

int64_t launch_usable_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    return 1;
}

/* Lets Open MPI (4: OMPI_, 5: PRTE_) start more ranks than there are cores, and several jobs beside each other: no rank is bound. Ranks that wait
 * give their core away only where cores are short, since yielding costs time. */
static dfaiss_status_t set_environment(int64_t ranks, dfaiss_error_t *err) {
    char columns[16];
    snprintf(columns, sizeof columns, "%d", progress_columns());
    const struct {
        const char *name;
        const char *value;
        bool wanted;
    } settings[] = {
        {"OMPI_MCA_rmaps_base_oversubscribe", "1", true},
        {"OMPI_MCA_hwloc_base_binding_policy", "none", true},
        {"OMPI_MCA_mpi_yield_when_idle", "1", ranks > launch_usable_cores()},
        {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe", true},
        {"PRTE_MCA_hwloc_default_binding_policy", "none", true},
        {"OMPI_ALLOW_RUN_AS_ROOT", "1", geteuid() == 0},
        {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", geteuid() == 0},
        {"PRTE_ALLOW_RUN_AS_ROOT", "1", geteuid() == 0},
        {"PRTE_ALLOW_RUN_AS_ROOT_CONFIRM", "1", geteuid() == 0},
        {checked_variable, "1", true},
        {PROGRESS_COLUMNS_VARIABLE, columns, progress_columns() > 0},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (settings[i].wanted && setenv(settings[i].name, settings[i].value, 0) != 0)
            return error_memory(err, 0, "the environment of mpirun");
    return DFAISS_OK;
}

/* LAUNCHER [-q] -n RANKS SELF ARGUMENT...: *made is malloc'ed; the texts are borrowed. */
static dfaiss_status_t make_command(const program_t *program, char *launcher, char *ranks, char *self, char ***made, dfaiss_error_t *err) {
    size_t place = 0, words = (size_t)program->argc + 5;
    char **command = calloc(words, sizeof *command);
    if (!command)
        return error_memory(err, words * sizeof *command, "the command of mpirun");
    command[place++] = launcher;
#ifdef OPEN_MPI
    /* Otherwise each exit code but 0 draws ten lines of mpirun's own. MPICH says little and has no such option. */
    command[place++] = "-q";
#endif
    command[place++] = "-n";
    command[place++] = ranks;
    command[place++] = self;
    for (int i = 1; i < program->argc; i++)
        command[place++] = program->argv[i];
    *made = command;
    return DFAISS_OK;
}

/* A job that did not report anything itself: what to say in its place. */
static dfaiss_status_t explain(program_t *program, const relay_outcome_t *outcome, const char *launcher, const char *ranks, dfaiss_error_t *err) {
    if (outcome->code == report_exit_code(DFAISS_ERR_INTERRUPTED))
        return DFAISS_OK;
    if (outcome->signal) {
        program->exit_code = 1;
        return error_set(err, DFAISS_ERR_INTERRUPTED, "", "stopped by signal %d (%s) before it was saved; what was saved before that is as it was",
                         outcome->signal, strsignal(outcome->signal));
    }
    if (outcome->code > 128) {
        program->exit_code = report_exit_code(DFAISS_ERR_PEER);
        return error_set(err, DFAISS_ERR_PEER, "", "a rank was ended by signal %d (%s)", outcome->code - 128, strsignal(outcome->code - 128));
    }
    return error_set(err, DFAISS_ERR_MPI, launcher, "%s ended with code %d and no rank reported why; '%s -n %s dfaiss ...' says more", launcher,
                     outcome->code, launcher, ranks);
}

static dfaiss_status_t run_job(program_t *program, char *launcher, char *ranks, char *self, dfaiss_error_t *err) {
    char **command = NULL;
    relay_outcome_t outcome;
    TRY(make_command(program, launcher, ranks, self, &command, err));
    dfaiss_status_t status = relay_run(command, &outcome, err);
    free(command);
    TRY(status);
    program->exit_code = outcome.code;
    program->answered = outcome.answered;
    if (outcome.code == 0 || outcome.reported)
        return DFAISS_OK;
    return explain(program, &outcome, launcher, ranks, err);
}

dfaiss_status_t launch_job(program_t *program, int64_t servers, int64_t clients, dfaiss_error_t *err) {
    char launcher[PATH_MAX], self[PATH_MAX], ranks[24];
    if (launched_ranks() > 1)
        return error_set(
            err, DFAISS_ERR_MPI, "srun",
            "srun has started %d of these without MPI: start them with srun --mpi=pmix (srun --mpi=list shows what there is), or with mpirun",
            launched_ranks());
    TRY(find_launcher(launcher, sizeof launcher, err));
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return error_system(err, "read", "/proc/self/exe", errno);
    self[length] = 0;
    snprintf(ranks, sizeof ranks, "%lld", (long long)(servers + clients));
    TRY(set_environment(servers + clients, err));
    report_notice(program, "starting %lld server%s and %lld client%s: %s -n %s", (long long)servers, servers == 1 ? "" : "s", (long long)clients,
                  clients == 1 ? "" : "s", launcher, ranks);
    return run_job(program, launcher, ranks, self, err);
}
