/* The arguments of a subcommand: a table of options for argp, the common options, and checks of values whose errors name option, value and range. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/program.h"

/* Which of the common options a subcommand takes, beside --json, --quiet and --help, which all take. */
enum { ARGUMENTS_STORAGE = 1, ARGUMENTS_INDEX = 2, ARGUMENTS_SERVERS = 4, ARGUMENTS_THREADS = 8, ARGUMENTS_CONNECT = 16 };

typedef struct common_options {
    const char *storage; /* NULL where not given, as index */
    const char *index;
    int64_t servers; /* 0 where not given, as servers_per_node and threads */
    int64_t servers_per_node;
    int64_t threads;
    const char *connect; /* the file of servers to connect to; NULL where not given */
} common_options_t;

/* An option as it was given. */
typedef struct argument {
    int key;
    const char *option; /* "--rows", for error texts */
    const char *value;  /* NULL for an option without one */
} argument_t;

/* Takes one option into a subcommand's own struct. Values are borrowed from argv. */
typedef dfaiss_status_t arguments_set_t(void *options, const argument_t *argument, dfaiss_error_t *err);

typedef struct arguments {
    const char *command;               /* "generate" */
    const char *help;                  /* a paragraph */
    const struct argp_option *options; /* ends with an empty one, keys above 0 and below ARGUMENTS_KEYS; NULL: none but the common ones */
    unsigned common;
    arguments_set_t *set; /* called in order, once for each option or further value; NULL where there are no options */
    int listed;           /* the key of an option that takes several values, up to the next option; 0 for none */
} arguments_t;

enum { ARGUMENTS_KEYS = 10000 };

/* Parses argv[1] and on. With --help the help is printed to stdout, *helped is set and nothing else happens; otherwise ERR_ARG names the
 * option, the value, and what was expected (for an unknown option the nearest known one). */
CHECKED dfaiss_status_t arguments_parse(const arguments_t *arguments, program_t *program, int argc, char **argv, common_options_t *common,
                                        void *options, bool *helped, dfaiss_error_t *err);

/* A whole number of a range; a number of a range. */
CHECKED dfaiss_status_t argument_integer(const argument_t *argument, int64_t least, int64_t most, int64_t *out, dfaiss_error_t *err);
CHECKED dfaiss_status_t argument_number(const argument_t *argument, double least, double most, double *out, dfaiss_error_t *err);

/* One of several words; *out is its position. */
CHECKED dfaiss_status_t argument_choice(const argument_t *argument, const char *const *words, int count, int *out, dfaiss_error_t *err);

/* ERR_ARG where --connect is given together with options of a job of its own, or neither it nor --storage is; without it is no error. */
CHECKED dfaiss_status_t arguments_check_connect(const common_options_t *common, const char *command, dfaiss_error_t *err);

/* ERR_ARG where an option that must be given was not: "--rows N". */
CHECKED dfaiss_status_t argument_require(bool given, const char *command, const char *option, dfaiss_error_t *err);

#endif
