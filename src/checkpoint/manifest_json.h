/* The manifest as text: JSON, every value checked when it is read. Only manifest.c uses this. */
#ifndef CHECKPOINT_MANIFEST_JSON_H
#define CHECKPOINT_MANIFEST_JSON_H

#include "checkpoint/manifest.h"

/* The version of the manifest's format that this program writes, and the only one that it reads: no older one was released. */
enum { MANIFEST_VERSION = 3 };

/* The text of a manifest: malloc'ed, the caller's. */
CHECKED dfaiss_status_t manifest_encode(const manifest_t *manifest, char **text, dfaiss_error_t *err);

/* Reads a text back; `path` names the file in errors, `index` is the name that must stand in it. ERR_CHECKPOINT names what is wrong; the text
 * ends with a checksum, by which any change of it is noticed. */
CHECKED dfaiss_status_t manifest_decode(const char *path, const char *index, const char *text, size_t size, manifest_t *out, dfaiss_error_t *err);

/* What every generation obeys: numbers in range, one part a server, whose files have the server's name in folders of this generation or of older
 * ones, ascending, and go on with rows where the file before ended. Fails with `code`; `where` names it in errors. */
CHECKED dfaiss_status_t manifest_check_generation(const manifest_generation_t *generation, dfaiss_status_t code, const char *where,
                                                  dfaiss_error_t *err);

/* "shard-0003.h5" */
void manifest_shard_name(int server, char *name, size_t capacity);

/* "g000001/shard-0003.h5" */
void manifest_file_name(int64_t generation, int server, char name[MANIFEST_FILE_NAME]);

/* A copy with its own parts and its own reference of the configuration. */
CHECKED dfaiss_status_t manifest_copy_generation(const manifest_generation_t *from, manifest_generation_t *to, dfaiss_error_t *err);

#endif
