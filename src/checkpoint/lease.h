/* STORAGE/INDEX/lease: who may write an index. One process at a time, on whatever host; everybody may read.
 *
 * A lease is a small file that is created exclusively, refreshed by a thread of its own as long as the process lives, and removed at the end. It
 * names its holder. One whose holder has ended, which a process of the same machine and a later run of the same batch job can tell, is taken over at
 * once; one that was not refreshed for long, by the clock of the storage, too. No file is ever locked.
 *
 * A process that was stopped for longer than that may find its lease taken over: it asks before it commits anything (lease_check).
 */
#ifndef CHECKPOINT_LEASE_H
#define CHECKPOINT_LEASE_H

#include <stdbool.h>

#include "base/error.h"

typedef struct lease lease_t;

/* Seconds between two refreshes, and after which a lease that is not refreshed lapses. */
typedef struct lease_terms {
    double refresh;
    double lapse;
} lease_terms_t;

/* Makes the storage and the index's folder where they are missing. ERR_STATE names who holds the lease. `terms` may be NULL: 15 and 120 seconds. */
CHECKED dfaiss_status_t lease_take(const char *storage, const char *index, const lease_terms_t *terms, lease_t **out, dfaiss_error_t *err);

/* Looks at the lease of an index whose folder is there, and takes nothing: ERR_STATE names who holds it; *stale: there is one that nobody holds any
 * more. */
CHECKED dfaiss_status_t lease_look(const char *storage, const char *index, const lease_terms_t *terms, bool *stale, dfaiss_error_t *err);

/* ERR_STATE where somebody else has taken it over. One that has vanished with its folder is taken anew. Any thread. */
CHECKED dfaiss_status_t lease_check(lease_t *lease, dfaiss_error_t *err);

/* Removes the lease, and the folders that were made for it and have nothing in them. NULL is fine. */
void lease_release(lease_t *lease);

/* Is this file name, in an index's folder, one of a lease or of what a process that died while taking one has left? */
bool lease_is_name(const char *name);

#endif
