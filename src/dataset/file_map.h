/* A file mapped for reading. The mapping stays valid after the descriptor is closed, so thousands of files need no descriptors. A file that is
 * cut short while it is mapped ends the process (SIGBUS): input files must not change while they are read.
 */
#ifndef DATASET_FILE_MAP_H
#define DATASET_FILE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct file_map {
    const uint8_t *bytes; /* NULL: nothing is mapped */
    size_t size;
    int64_t modified; /* nanoseconds since 1970 */
} file_map_t;

/* Maps a regular file to be read from front to back. ERR_NOT_FOUND, ERR_DATA where it is empty or no regular file, ERR_IO. */
CHECKED dfaiss_status_t file_map_open(const char *path, file_map_t *out, dfaiss_error_t *err);
void file_map_close(file_map_t *map);

/* Drops the whole pages inside a range from this process; reads in that range that come soon. Advice: nothing can fail. */
void file_map_release(const file_map_t *map, size_t offset, size_t size);
void file_map_prefetch(const file_map_t *map, size_t offset, size_t size);

#endif
