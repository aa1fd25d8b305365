/* Exporting a saved index: its parts, one after the other, become files that plain faiss reads, with their metadata beside them. */
#ifndef CLI_EXPORT_RUN_H
#define CLI_EXPORT_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/program.h"
#include "config/index_config.h"

typedef struct export_options {
    const char *storage;
    const char *index;
    int64_t generation; /* 0: the newest */
    const char *output; /* a file where it ends with ".faiss", else a folder, which is made */
    bool merge;         /* one file; so does an output that is one */
} export_options_t;

typedef struct export_result {
    int64_t generation;
    int64_t vectors;
    int64_t buffered; /* of them, that were not indexed before */
    uint64_t bytes;   /* of the files of indexes */
    config_metric_t metric;
    int64_t nprobe;
    json_t *files;    /* [{"file", "vectors", "bytes"}]; owned */
    json_t *metadata; /* [file]; owned */
} export_result_t;

/* ERR_UNSUPPORTED where the index does not make one file that was asked for, ERR_STATE where it is not trained. On failure files that are whole may
 * be there. */
CHECKED dfaiss_status_t export_run(const program_t *program, const export_options_t *options, export_result_t *result, dfaiss_error_t *err);
void export_result_clear(export_result_t *result);

#endif
