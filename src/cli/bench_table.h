/* The result of a benchmark for people, and as CSV. */
#ifndef CLI_BENCH_TABLE_H
#define CLI_BENCH_TABLE_H

#include <stdio.h>

#include "cli/bench_result.h"

/* What was measured on what, and a row a run. Failures of the stream are left for its owner to see. */
void bench_table_print(FILE *out, const bench_options_t *options, const bench_result_t *result);

/* A line of names, and a line a run; no recall is an empty field. */
void bench_csv_print(FILE *out, const bench_result_t *result);

/* "12,345"; "7.25" below 100: char text[32]. */
void bench_number_text(double number, char text[32]);

#endif
