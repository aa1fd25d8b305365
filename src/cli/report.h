/* What the program says: results on stdout, everything else on stderr, and a failure exactly once. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdint.h>

#include <jansson.h>

#include "cli/program.h"

/* The exit code of a status. */
int report_exit_code(dfaiss_status_t status);

/* A failure: the line "dfaiss: TEXT" on stderr, and with --json the object {"error": {"code", "text", "where"}} on stdout, unless the run has
 * answered with an object already. Only the process that speaks says anything. */
void report_error(const program_t *program, const dfaiss_error_t *err);

/* The same by whichever rank of a job comes here, for which the others wait in vain: the job ends with that exit code, and this does not return. */
void report_abort(const program_t *program, dfaiss_status_t status, const dfaiss_error_t *err);

/* A JSON string of a text that may be anything, such as a path (new reference; NULL: no memory). What is not UTF-8 is replaced. */
json_t *report_text_json(const char *text);

/* {"code", "text", "where"} as a new reference; NULL where there is no memory. */
json_t *report_error_json(const dfaiss_error_t *err);

/* Prints the result of a run with --json; takes over `object` (NULL: ERR_MEMORY). Fails where stdout cannot be written. */
CHECKED dfaiss_status_t report_json(program_t *program, json_t *object, dfaiss_error_t *err);

/* Checks that what was printed to stdout has got there. */
CHECKED dfaiss_status_t report_flush(dfaiss_error_t *err);

/* A line on stderr, unless --quiet or this process does not speak. */
void report_notice(const program_t *program, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "12.3 MB" for people: char text[16]. */
void report_bytes(uint64_t bytes, char *text, size_t capacity);

#endif
