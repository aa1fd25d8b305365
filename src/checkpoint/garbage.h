/* What dead jobs have left in a storage: folders and files that no manifest names, leases that nobody holds, beginnings of manifests and of leases,
 * and what a removal that was cut off did not get to.
 *
 * Only files whose names dfaiss gives are touched, in real folders alone, and only while the index's lease is held: nobody else writes meanwhile.
 */
#ifndef CHECKPOINT_GARBAGE_H
#define CHECKPOINT_GARBAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct garbage_item {
    char *path; /* of a file, or of a folder with all that it held; owned */
    uint64_t bytes;
} garbage_item_t;

/* Zeroed it is empty. */
typedef struct garbage {
    garbage_item_t *removed; /* or what would be */
    int64_t removed_count;
    garbage_item_t *left; /* what dfaiss did not write and therefore stays, with the folder that it lies in */
    int64_t left_count;
} garbage_t;

void garbage_clear(garbage_t *garbage);
/* Bytes of all that was removed. */
uint64_t garbage_bytes(const garbage_t *garbage);

/* Names of the folders of a storage that hold something of dfaiss, an index or what is left of one, sorted: *names is malloc'ed, as is each; the
 * caller frees. ERR_NOT_FOUND where there is no such storage. */
CHECKED dfaiss_status_t garbage_list(const char *storage, char ***names, int64_t *count, dfaiss_error_t *err);

/* Adds what is left in an index's folder to `garbage`, and removes it, unless `dry`. ERR_STATE names who is writing the index, ERR_CHECKPOINT says
 * that its manifest is damaged, so that nobody knows what is named: nothing is removed then. ERR_NOT_FOUND where nothing of dfaiss is there. On a
 * failure in between `garbage` says what was removed so far. */
CHECKED dfaiss_status_t garbage_collect(const char *storage, const char *index, bool dry, garbage_t *garbage, dfaiss_error_t *err);

#endif
