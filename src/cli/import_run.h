/* Importing files of plain faiss: each becomes a part of a new generation. */
#ifndef CLI_IMPORT_RUN_H
#define CLI_IMPORT_RUN_H

#include "cli/import_options.h"

typedef struct import_result {
    int64_t generation;
    int64_t vectors;
    int64_t dim;
    int parts;
    int encoded_anew; /* of them, since they were trained apart from the first one */
    bool own_ids;
    int64_t next_id;
    uint64_t bytes; /* on disk */
} import_result_t;

/* On failure the storage is as before. */
CHECKED dfaiss_status_t import_run(const program_t *program, const import_options_t *options, import_result_t *result, dfaiss_error_t *err);

#endif
