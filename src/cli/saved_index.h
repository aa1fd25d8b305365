/* The newest generation of an index, as far as the program needs to know it before servers load it. */
#ifndef CLI_SAVED_INDEX_H
#define CLI_SAVED_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/index_config.h"

typedef struct saved_index {
    index_config_t *config; /* owned; where it names a folder of its own, that is where the index was found */
    int64_t generation;
    int64_t servers;
    int64_t vectors;
    uint64_t bytes;
    bool own_ids;
} saved_index_t;

/* ERR_NOT_FOUND where there is no such index, ERR_CHECKPOINT where its manifest is damaged or names no generation. */
CHECKED dfaiss_status_t saved_index_read(const char *storage, const char *index, saved_index_t *out, dfaiss_error_t *err);
void saved_index_clear(saved_index_t *saved);

/* ERR_ARG: the filter is no expression over the attributes of the index `name`; the text says at which place. */
CHECKED dfaiss_status_t saved_index_check_filter(const saved_index_t *saved, const char *name, const char *filter, dfaiss_error_t *err);

#endif
