/* What `dfaiss import` was told. */
#ifndef CLI_IMPORT_OPTIONS_H
#define CLI_IMPORT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/program.h"

typedef struct import_options {
    const char *storage;
    const char *index;
    const char *config;
    const char **inputs; /* char *[input_count]; owned, the texts are not */
    int input_count;
    int64_t *offsets; /* int64_t[offset_count]: added to the ids of each file; owned */
    int offset_count; /* 0, or as many as there are inputs */
    bool overwrite;
} import_options_t;

CHECKED dfaiss_status_t import_options_parse(program_t *program, int argc, char **argv, import_options_t *options, bool *helped, dfaiss_error_t *err);
void import_options_clear(import_options_t *options);

#endif
