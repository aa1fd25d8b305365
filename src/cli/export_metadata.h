/* The metadata of exported vectors: JSON lines, {"id", "metadata"}, of those that have some. */
#ifndef CLI_EXPORT_METADATA_H
#define CLI_EXPORT_METADATA_H

#include <stdio.h>

#include "checkpoint/shard_file.h"

/* Opened at the first line, so that indexes without metadata get no file. */
typedef struct export_metadata {
    char path[4096];
    FILE *file;
    int64_t lines;
} export_metadata_t;

/* Rows of a part that are there. */
CHECKED dfaiss_status_t export_metadata_write(export_metadata_t *metadata, const shard_content_t *content, dfaiss_error_t *err);
/* Closes the file; once, also after a failure. */
CHECKED dfaiss_status_t export_metadata_close(export_metadata_t *metadata, dfaiss_error_t *err);

#endif
