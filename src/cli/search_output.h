/* The answers to queries, and the files that they can be written to: .ibin or .i64bin with scores beside it in .fbin, .jsonl, .h5. */
#ifndef CLI_SEARCH_OUTPUT_H
#define CLI_SEARCH_OUTPUT_H

#include <stdint.h>

#include "base/error.h"

/* For each of nq queries k answers, best first; id -1 where there are fewer. */
typedef struct search_answers {
    int64_t nq, k;
    int64_t *ids;            /* int64_t[nq][k]; owned, free() */
    float *scores;           /* float[nq][k]; owned, free() */
    uint64_t *metadata_ends; /* uint64_t[nq][k]: where the answer's metadata ends in `metadata`; NULL: none was fetched; owned, free() */
    uint8_t *metadata;       /* JSON texts one behind the other; owned, free() */
} search_answers_t;

void search_answers_clear(search_answers_t *answers);

typedef enum search_output_form { SEARCH_OUTPUT_IBIN, SEARCH_OUTPUT_I64BIN, SEARCH_OUTPUT_JSONL, SEARCH_OUTPUT_H5 } search_output_form_t;

/* The form that a path's ending asks for; ERR_ARG for another ending. */
CHECKED dfaiss_status_t search_output_form(const char *path, search_output_form_t *form, dfaiss_error_t *err);

/* Can a file be written there? Changes nothing. */
CHECKED dfaiss_status_t search_output_check(const char *path, dfaiss_error_t *err);

/* Writes the answers in the form of the path's ending. Files get their names when they are complete. Ids that need more than 32 bits turn .ibin into
 * .i64bin. written char[capacity] receives the path of the file with the ids. */
CHECKED dfaiss_status_t search_output_write(const char *path, const search_answers_t *answers, char *written, size_t capacity, dfaiss_error_t *err);

#endif
