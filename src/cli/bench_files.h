/* The files of a benchmark in one folder: bench.json, bench.csv, and where the recall is known bench.gp and the picture that gnuplot makes of it.
 *
 * DFAISS_GNUPLOT names another program than the gnuplot on PATH.
 */
#ifndef CLI_BENCH_FILES_H
#define CLI_BENCH_FILES_H

#include "cli/bench_result.h"
#include "cli/program.h"

/* Can files be written there? Changes nothing: the folder, or the nearest above it, must be one that can be written to. */
CHECKED dfaiss_status_t bench_files_check(const char *folder, dfaiss_error_t *err);

/* Makes the folder and replaces the files. That there is no picture, and why, is a notice and no failure. */
CHECKED dfaiss_status_t bench_files_write(const program_t *program, const bench_options_t *options, const bench_result_t *result,
                                          dfaiss_error_t *err);

#endif
