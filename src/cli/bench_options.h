/* What `dfaiss bench` was asked to do. */
#ifndef CLI_BENCH_OPTIONS_H
#define CLI_BENCH_OPTIONS_H

#include "cli/arguments.h"
#include "cli/search_options.h"

enum { BENCH_LIST_MOST = 64 };

/* Values of an option that takes several: "1,16,128". */
typedef struct bench_list {
    int count;
    int64_t values[BENCH_LIST_MOST];
} bench_list_t;

/* Texts are borrowed from argv. */
typedef struct bench_options {
    search_options_t search; /* storage, index, queries, raw, ground truth, servers and timeout; nothing else is set */
    bench_list_t batch, k, clients;
    bench_list_t nprobe;  /* {0}: as configured */
    bench_list_t threads; /* {0}: as the servers choose */
    double seconds;       /* that a repeat lasts */
    double warmup;        /* seconds */
    int64_t repeats;
    const char *output; /* folder; NULL: none */
} bench_options_t;

/* Parses and checks what can be told from the words alone. *helped: help was printed, nothing else is to be done. */
CHECKED dfaiss_status_t bench_options_parse(program_t *program, int argc, char **argv, bench_options_t *options, bool *helped, dfaiss_error_t *err);

/* Whole numbers of a range, separated by commas, none of them twice. ERR_ARG names option, value and range. */
CHECKED dfaiss_status_t bench_list_parse(const argument_t *argument, int64_t least, int64_t most, bench_list_t *out, dfaiss_error_t *err);

int64_t bench_list_largest(const bench_list_t *list);

/* Runs that are asked for: one for each combination. */
int64_t bench_options_runs(const bench_options_t *options);

#endif
