/* What a server remembers of its part of the generation that it saved or loaded last, so that the next save writes only what has come since.
 *
 * A basis is made while a generation is written, and counts when that has been committed. It is destroyed on the main thread, since what rows were
 * there it shares with the shard.
 */
#ifndef CHECKPOINT_BASIS_H
#define CHECKPOINT_BASIS_H

#include "checkpoint/manifest.h"
#include "checkpoint/shard_file.h"

typedef struct basis basis_t;

/* Of a part that was loaded as a whole by the server of its number, which holds exactly its rows, in their order: the content says which. It is not
 * shared with another thread yet. */
CHECKED dfaiss_status_t basis_of_part(const shard_content_t *content, int64_t generation, const manifest_part_t *part, basis_t **out,
                                      dfaiss_error_t *err);
/* NULL is fine. */
void basis_destroy(basis_t *basis);

/* The generation that it is about. */
int64_t basis_generation(const basis_t *basis);

#endif
