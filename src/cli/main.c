/* The program dfaiss: picks a subcommand from a table, runs it, reports how it went, and gives the exit code that says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/job.h"
#include "cli/launch.h"
#include "cli/nearest.h"
#include "cli/report.h"

typedef struct command {
    const char *name;
    const char *help;
    bool ranks; /* runs on the ranks of a job; the others run in one process */
    command_function_t *function;
} command_t;

static const command_t commands[] = {
    {"generate", "make a data set: vectors, queries and their exact neighbours", false, command_generate},
#ifdef DFAISS_WITH_JOBS
    {"build", "build an index from vector files and save it", true, command_build},
    {"search", "search a saved index for the neighbours of queries", true, command_search},
    {"bench", "measure a saved index: queries/s, latencies, recall", true, command_bench},
    {"remove", "remove vectors from a saved index", true, command_remove},
    {"serve", "serve programs that are started beside it, or connect to it", true, command_serve},
    {"status", "tell what servers that listen hold and do", false, command_status},
    {"shutdown", "end servers that listen", false, command_shutdown},
    {"doctor", "look for what goes wrong on clusters, and say what to change", true, command_doctor},
#endif
    {"inspect", "list the indexes of a storage, and verify their files", false, command_inspect},
    {"drop", "remove an index", false, command_drop},
    {"export", "write a saved index as files of plain faiss", false, command_export},
    {"import", "make an index of files of plain faiss", false, command_import},
    {"gc", "remove what dead jobs have left in a storage", false, command_gc},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const command_t version_command = {"--version", "", false, command_version};

static void print_help(void) {
    printf("Usage: dfaiss COMMAND [OPTION...]\n"
           "FAISS indexes larger than one node's memory, on the ranks of an MPI job.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-12s%s\n", commands[i].name, commands[i].help);
    printf("\n  dfaiss COMMAND --help    the options of a command\n"
           "  dfaiss --version         versions of dfaiss and of what it runs on\n\n"
           "Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 data or\n"
           "checkpoint damaged; 4 a rank was lost or timed out; 99 stopped by a signal\n"
           "after a checkpoint.\n");
}

/* A word before the command, or in its place, that is none. */
static dfaiss_status_t explain_command(const char *word, dfaiss_error_t *err) {
    nearest_t nearest = {.word = word};
    for (int i = 0; i < COMMANDS; i++)
        nearest_offer(&nearest, commands[i].name);
    nearest_offer(&nearest, "--version");
    nearest_offer(&nearest, "--help");
    const char *what = word[0] == '-' ? "option" : "command";
    if (nearest.name)
        return error_set(err, DFAISS_ERR_ARG, word, "there is no %s %s; did you mean %s?", what, word, nearest.name);
    return error_set(err, DFAISS_ERR_ARG, word, "there is no %s %s; see dfaiss --help", what, word);
}

/* --json counts wherever it stands, so that an error in the words before it is an object too. */
static bool asks_for_json(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

/* Options that may stand before the command; *first is the place of the command, argc where there is none. */
static const command_t *find_command(program_t *program, int *first) {
    *first = 1;
    while (*first < program->argc && strcmp(program->argv[*first], "--json") == 0)
        ++*first;
    if (*first == program->argc)
        return NULL;
    const char *word = program->argv[*first];
    if (strcmp(word, version_command.name) == 0)
        return &version_command;
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(word, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

static dfaiss_status_t run(program_t *program, dfaiss_error_t *err) {
    int first;
    const command_t *command = find_command(program, &first);
    if (!command && first == program->argc)
        return error_set(err, DFAISS_ERR_ARG, "", "a command is missing; see dfaiss --help");
    const char *word = program->argv[first];
    /* Of a job that was started for what one process does, the first rank does it, and speaks for the others until they are connected. */
    program->speaks = launch_rank() == 0;
    if (!command && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)) {
        if (program->speaks)
            print_help();
        return report_flush(err);
    }
    if (!command)
        return explain_command(word, err);
    if (!command->ranks && !program->speaks)
        return DFAISS_OK;
    dfaiss_status_t status = command->function(program, program->argc - first, program->argv + first, err);
#ifdef DFAISS_WITH_JOBS
    if (status != DFAISS_OK && command->ranks && job_refuse(program, err))
        return DFAISS_OK;
#endif
    return status;
}

static void print_log(void *context, log_level_t level, const char *text) {
    const program_t *program = context;
    if (level == LOG_LEVEL_WARNING && !program->quiet)
        fprintf(stderr, "warning: %s\n", text);
}

/* mpirun kills the other ranks as soon as one ends with another code than 0, perhaps before the one that speaks has spoken: a failure that all share
 * is told by that rank's code alone. */
static int exit_code(const program_t *program, dfaiss_status_t status) {
    if (program->exit_code >= 0)
        return program->exit_code;
    return program->speaks || status == DFAISS_ERR_MPI ? report_exit_code(status) : 0;
}

int main(int argc, char **argv) {
    program_t program = {.argc = argc, .argv = argv, .json = asks_for_json(argc, argv), .speaks = true, .exit_code = -1};
    dfaiss_error_t err = {0};
    log_set_sink(print_log, &program);
    dfaiss_status_t status = run(&program, &err);
    if (status == DFAISS_OK && program.exit_code < 0)
        status = report_flush(&err);
    /* A failure of another rank comes as a status alone. */
    if (status != DFAISS_OK && err.code == DFAISS_OK)
        (void)error_set(&err, status, "", "%s", dfaiss_status_meaning(status));
    if (status != DFAISS_OK)
        report_error(&program, &err);
    return exit_code(&program, status);
}
