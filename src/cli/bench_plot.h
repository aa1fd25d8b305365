/* The picture of a benchmark: recall against queries/s, a curve for each way of asking, a point for each nprobe. */
#ifndef CLI_BENCH_PLOT_H
#define CLI_BENCH_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/bench_result.h"

/* Is there a run whose recall is known? Otherwise there is nothing to draw. */
bool bench_plot_possible(const bench_result_t *result);

/* A gnuplot script that holds its data and writes bench.png, or bench.svg where gnuplot has no png, into the folder that it is run in. */
void bench_plot_print(FILE *out, const bench_options_t *options, const bench_result_t *result);

#endif
