/* How a generation comes to be, and comes back.
 *
 *   generation_begin     one process: the number, and an empty folder beside those of the older generations
 *   generation_write     each server: what is not in files of earlier generations, synced, read back and compared
 *   generation_commit    one process, when all servers have succeeded: the manifest names it, and generations that are too old go
 *   generation_abandon   one process, when anything has failed: what was written goes
 *   generation_read      each server: its file, compared with the manifest before anything in it is believed
 *
 * Between any two calls of the system the process may die: the manifest then names what it named before, or the new generation too, and all that it
 * names is whole. What is left of the attempt goes with the next one.
 */
#ifndef CHECKPOINT_GENERATION_H
#define CHECKPOINT_GENERATION_H

#include "checkpoint/basis.h"
#include "checkpoint/manifest.h"
#include "checkpoint/shard_file.h"

/* `replace`: whatever the storage has under this name goes when the new generation is committed, and nothing of it need be readable. Otherwise
 * ERR_STATE where the storage has a generation that `basis` does not know of. *number is set as soon as there may be something to abandon. */
CHECKED dfaiss_status_t generation_begin(const char *storage, const char *index, const manifest_basis_t *basis, bool replace, int64_t *number,
                                         dfaiss_error_t *err);

/* The content says which index, generation and server it is of. basis: of the generation that this one follows; NULL: everything is written, as it is
 * where that is worth it, or the files of the basis are not there any more. The part, and the basis of the save after this one, become the caller's.
 */
CHECKED dfaiss_status_t generation_write(const char *storage, const shard_content_t *content, const basis_t *basis, manifest_part_t *part,
                                         basis_t **next, dfaiss_error_t *err);

/* As manifest_commit, after the folders of the files are synced. On failure the generation may be named all the same: generation_abandon tells. */
CHECKED dfaiss_status_t generation_commit(const char *storage, const char *index, const manifest_generation_t *generation,
                                          const manifest_basis_t *basis, int64_t keep, bool replace, dfaiss_error_t *err);

/* *named: the manifest names the generation, since it was committed but for the last step, and nothing is removed. */
CHECKED dfaiss_status_t generation_abandon(const char *storage, const char *index, int64_t number, bool replace, bool *named, dfaiss_error_t *err);

/* ERR_CHECKPOINT names the file, and the dataset where it is known, that is damaged or of another generation, index or server. What was read becomes
 * the caller's; on failure *content is empty. */
CHECKED dfaiss_status_t generation_read(const char *storage, const char *index, int64_t number, int server, int servers, const manifest_part_t *part,
                                        shard_content_t *content, dfaiss_error_t *err);

/* Which rows of which input a generation holds: what its files say, united; inputs_clear frees *inputs. ERR_CHECKPOINT where a file cannot be read.
 */
CHECKED dfaiss_status_t generation_inputs(const char *storage, const char *index, const manifest_generation_t *generation, inputs_t *inputs,
                                          dfaiss_error_t *err);

/* Are all its files there, with the sizes that they should have? ERR_CHECKPOINT names one that is not. */
CHECKED dfaiss_status_t generation_is_there(const char *storage, const char *index, const manifest_generation_t *generation, dfaiss_error_t *err);

/* Removes an index with all its generations, as manifest_drop does, where nobody else is writing it: ERR_STATE names who is. */
CHECKED dfaiss_status_t generation_remove_all(const char *storage, const char *index, dfaiss_error_t *err);

#endif
