/* Exit codes, error lines and objects. Error texts may hold what a hostile file holds, so that they are made printable before they reach a terminal.
 */
#include "cli/report.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <mpi.h>

/* 2 is for what the person who typed the command can mend by typing another: wrong options, a wrong configuration, an input or index that is not
 * there, one that is there already, and what a kind of index cannot do. 3 is for files that are there and are not what they should be. 4 is
 * for the other ranks. 99 tells a batch system to start the job again from its checkpoint. All else is 1: the machine (disk, memory,
 * MPI) or a defect. */
static const int exit_codes[DFAISS_STATUS_COUNT] = {
    [DFAISS_OK] = 0,         [DFAISS_ERR_ARG] = 2,         [DFAISS_ERR_CONFIG] = 2,       [DFAISS_ERR_NOT_FOUND] = 2,
    [DFAISS_ERR_EXISTS] = 2, [DFAISS_ERR_UNSUPPORTED] = 2, [DFAISS_ERR_DATA] = 3,         [DFAISS_ERR_CHECKPOINT] = 3,
    [DFAISS_ERR_PEER] = 4,   [DFAISS_ERR_TIMEOUT] = 4,     [DFAISS_ERR_INTERRUPTED] = 99, [DFAISS_ERR_IO] = 1,
    [DFAISS_ERR_SPACE] = 1,  [DFAISS_ERR_MEMORY] = 1,      [DFAISS_ERR_STATE] = 1,        [DFAISS_ERR_FAISS] = 1,
    [DFAISS_ERR_MPI] = 1,    [DFAISS_ERR_INTERNAL] = 1,
};

int report_exit_code(dfaiss_status_t status) {
    return (unsigned)status < DFAISS_STATUS_COUNT ? exit_codes[status] : 1;
}

/* Line breaks and control characters become blanks: an error is one line, whatever name or key it quotes. Of a text that is no UTF-8, or was cut
 * within a character, only what is ASCII is kept. */
static void copy_printable(const char *from, char *to, size_t capacity) {
    snprintf(to, capacity, "%s", from);
    json_t *string = json_string(to);
    for (char *letter = to; *letter; letter++) {
        unsigned char code = (unsigned char)*letter;
        if (code < ' ' || code == 0x7f)
            *letter = ' ';
        else if (!string && code > 0x7f)
            *letter = '?';
    }
    json_decref(string);
}

json_t *report_text_json(const char *text) {
    char copy[PATH_MAX];
    copy_printable(text, copy, sizeof copy);
    return json_string(copy);
}

json_t *report_error_json(const dfaiss_error_t *err) {
    return json_pack("{s:s, s:o, s:o}", "code", dfaiss_status_name(err->code), "text", report_text_json(err->text), "where",
                     report_text_json(err->where));
}

static int print_object(json_t *object) {
    int failed = json_dumpf(object, stdout, JSON_REAL_PRECISION(9) | JSON_ENSURE_ASCII);
    failed |= fputc('\n', stdout) == EOF;
    return failed | fflush(stdout);
}

void report_error(const program_t *program, const dfaiss_error_t *err) {
    if (!program->speaks)
        return;
    char line[sizeof err->text];
    copy_printable(err->text[0] ? err->text : dfaiss_status_meaning(err->code), line, sizeof line);
    fprintf(stderr, "dfaiss: %s\n", line);
    if (!program->json || program->answered)
        return;
    json_t *object = json_pack("{s:o}", "error", report_error_json(err));
    /* Nothing is left to be done about a stdout that cannot be written: the line above and the exit code tell of the failure. */
    if (object)
        (void)print_object(object);
    json_decref(object);
}

dfaiss_status_t report_flush(dfaiss_error_t *err) {
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_system(err, "write", "stdout", errno);
    return DFAISS_OK;
}

dfaiss_status_t report_json(program_t *program, json_t *object, dfaiss_error_t *err) {
    if (!object)
        return error_memory(err, 0, "the JSON result");
    program->answered = true;
    int failed = print_object(object);
    json_decref(object);
    return failed ? error_system(err, "write", "stdout", errno) : DFAISS_OK;
}

void report_abort(const program_t *program, dfaiss_status_t status, const dfaiss_error_t *err) {
    program_t speaker = *program;
    speaker.speaks = true;
    report_error(&speaker, err);
    MPI_Abort(MPI_COMM_WORLD, report_exit_code(status));
}

void report_notice(const program_t *program, const char *format, ...) {
    if (program->quiet || !program->speaks)
        return;
    char text[1024], line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    copy_printable(text, line, sizeof line);
    fprintf(stderr, "%s\n", line);
}

void report_bytes(uint64_t bytes, char *text, size_t capacity) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double amount = (double)bytes;
    size_t unit = 0;
    while (amount >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        amount /= 1000;
        unit++;
    }
    snprintf(text, capacity, "%.*f %s", unit && amount < 99.95 ? 1 : 0, amount, units[unit]);
}
