/* What `dfaiss search` was asked to do. */
#ifndef CLI_SEARCH_OPTIONS_H
#define CLI_SEARCH_OPTIONS_H

#include "cli/raw_options.h"
#include "cli/search_output.h"

/* Texts are borrowed from argv. */
typedef struct search_options {
    const char *storage; /* NULL with `connect` */
    const char *connect; /* the file of servers that hold the index already; NULL: a job of our own */
    const char *index, *queries;
    int64_t k;
    int64_t nprobe;            /* 0: as configured */
    const char *filter;        /* NULL: none */
    int64_t batch;             /* queries a request; 0: not given */
    const char *groundtruth;   /* NULL: none */
    const char *output;        /* NULL: none */
    search_output_form_t form; /* of the output */
    raw_options_t raw;
    int64_t servers; /* 0: not given, as servers_per_node */
    int64_t servers_per_node;
    int64_t threads; /* of each server; 0: not given */
    double timeout;  /* seconds without a sign of life after which a peer counts as lost */
} search_options_t;

/* Parses and checks what can be told from the words alone. *helped: help was printed, nothing else is to be done. */
CHECKED dfaiss_status_t search_options_parse(program_t *program, int argc, char **argv, search_options_t *options, bool *helped, dfaiss_error_t *err);

#endif
