/* The ids of imported files: which they are, and that no two vectors have the same one. */
#ifndef CLI_IMPORT_IDS_H
#define CLI_IMPORT_IDS_H

#include <stdint.h>

#include "base/error.h"

/* Ids first to end - 1 of a file, or one by itself. */
typedef struct import_run {
    int64_t first, end;
    int file;
} import_run_t;

/* Zeroed it is empty. */
typedef struct import_ids {
    import_run_t *runs; /* owned; free() */
    int64_t count, capacity;
} import_ids_t;

/* Notes the ids of a file, `offset` added: ids int64_t[n] (changed so), or NULL for 0 to n - 1. ERR_DATA where one becomes too large. */
CHECKED dfaiss_status_t import_ids_note(import_ids_t *noted, int file, const char *path, int64_t offset, int64_t n, int64_t *ids,
                                        dfaiss_error_t *err);

/* ERR_DATA names an id that two files have, and these; paths char *[files]. *next_id: above all ids. */
CHECKED dfaiss_status_t import_ids_check(import_ids_t *noted, const char *const *paths, int64_t *next_id, dfaiss_error_t *err);

#endif
