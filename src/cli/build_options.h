/* What `dfaiss build` was asked to do. */
#ifndef CLI_BUILD_OPTIONS_H
#define CLI_BUILD_OPTIONS_H

#include "cli/raw_options.h"

/* Texts are borrowed from argv. */
typedef struct build_options {
    const char *storage, *index;
    const char *config;   /* NULL: with append or resume, as saved */
    const char *ids;      /* NULL: row numbers */
    const char *metadata; /* NULL: none */
    const char **data;    /* owned; build_options_clear frees it */
    int data_count;
    bool overwrite, append, resume;
    raw_options_t raw;
    int64_t servers; /* 0: not given, as servers_per_node */
    int64_t servers_per_node;
    int64_t clients; /* 0: not given */
    int64_t threads; /* of each server; 0: not given */
    double grace;    /* seconds that saving may take after a signal; 0: any time */
    double timeout;  /* seconds without a sign of life after which a peer counts as lost */
} build_options_t;

/* Parses and checks what can be told from the words alone. *helped: help was printed, nothing else is to be done. */
CHECKED dfaiss_status_t build_options_parse(program_t *program, int argc, char **argv, build_options_t *options, bool *helped, dfaiss_error_t *err);
void build_options_clear(build_options_t *options);

#endif
