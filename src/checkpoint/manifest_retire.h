/* Removing what no manifest names any more. Only manifest.c uses this. */
#ifndef CHECKPOINT_MANIFEST_RETIRE_H
#define CHECKPOINT_MANIFEST_RETIRE_H

#include "checkpoint/manifest.h"

/* The number of a generation's folder by its name, gNNNNNN; -1 for any other name. */
int64_t manifest_folder_generation(const char *name);

/* Removes the files in folders of generations up to `limit` that no generation of `kept` names, and the folders in which it names none, with all that
 * is in them. Goes on after a failure and reports the first one. *removed: folders that are gone; may be NULL. */
CHECKED dfaiss_status_t manifest_retire(const char *index_folder, const manifest_t *kept, int64_t limit, int64_t *removed, dfaiss_error_t *err);

#endif
