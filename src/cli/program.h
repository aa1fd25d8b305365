/* What the program knows about its own run, and the shape of a subcommand. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <stdbool.h>

#include "base/error.h"

typedef struct program {
    int argc; /* as started: what another start of the same command needs */
    char **argv;
    bool json;     /* --json: stdout is exactly one JSON object */
    bool quiet;    /* --quiet: no notices, no progress */
    bool speaks;   /* this process prints results and errors: of the ranks of a job exactly one does */
    bool answered; /* the JSON object of this run is on stdout already */
    int exit_code; /* that of the job which ran in place of this process; -1 where there was none */
} program_t;

/* Runs a subcommand; argv[0] is its name. On failure nothing was printed and err says why, unless program->answered. */
typedef dfaiss_status_t command_function_t(program_t *program, int argc, char **argv, dfaiss_error_t *err);

command_function_t command_generate;
command_function_t command_build;
command_function_t command_search;
command_function_t command_bench;
command_function_t command_remove;
command_function_t command_serve;
command_function_t command_status;
command_function_t command_shutdown;
command_function_t command_doctor;
command_function_t command_inspect;
command_function_t command_drop;
command_function_t command_export;
command_function_t command_gc;
command_function_t command_import;
command_function_t command_version;

#endif
