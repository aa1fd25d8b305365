/* Files: every call checked, every error naming the path. What must survive a crash is written beside, synced, and renamed. What
 * a device cannot give back when it is read (EIO) is ERR_DATA. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/content_sum.h"
#include "base/error.h"

/* Path A/B in a caller's buffer; ERR_ARG where it does not fit. */
CHECKED dfaiss_status_t file_join(char *path, size_t capacity, const char *directory, const char *name, dfaiss_error_t *err);

/* Bytes of a regular file. */
CHECKED dfaiss_status_t file_size(const char *path, uint64_t *bytes, dfaiss_error_t *err);
bool file_exists(const char *path);

/* A whole file, zero-terminated behind its last byte; at most `limit` bytes (ERR_DATA beyond). *data is malloc'ed and the caller's. */
CHECKED dfaiss_status_t file_read_whole(const char *path, size_t limit, char **data, size_t *size, dfaiss_error_t *err);

/* Replaces a file atomically and durably: written beside, synced, read back and compared, renamed over, directory synced. On failure the old one is
 * as it was. */
CHECKED dfaiss_status_t file_replace(const char *path, const void *data, size_t size, dfaiss_error_t *err);

/* Waits until a file's, or a directory's, content is on the device. */
CHECKED dfaiss_status_t file_sync(const char *path, dfaiss_error_t *err);
CHECKED dfaiss_status_t file_sync_directory(const char *path, dfaiss_error_t *err);

/* Makes a directory and those above it; fine where it exists. */
CHECKED dfaiss_status_t file_make_directories(const char *path, dfaiss_error_t *err);

/* Removes a file, or a directory with all that is in it (links are removed, not followed); fine where there is none. */
CHECKED dfaiss_status_t file_remove_tree(const char *path, dfaiss_error_t *err);

/* The XXH3 64-bit checksum and the size of a file's bytes, read in pieces. */
CHECKED dfaiss_status_t file_checksum(const char *path, uint64_t *checksum, uint64_t *bytes, dfaiss_error_t *err);

/* The same, and the sum over its content (base/content_sum.h; NULL: not wanted) for comparison with what was meant to be written. */
CHECKED dfaiss_status_t file_checksum_and_sum(const char *path, uint64_t *checksum, uint64_t *bytes, content_sum_t *sum, dfaiss_error_t *err);

#endif
