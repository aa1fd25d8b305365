/* Removing rows of a shard, in slices: first those that are meant are looked for, then they go. Searches that have begun keep what they began with.
 */
#ifndef SHARD_REMOVAL_H
#define SHARD_REMOVAL_H

#include "shard/shard.h"

typedef struct shard_removal shard_removal_t;

/* Of the rows with one of n ids: int64_t[n], ascending; borrowed until shard_removal_destroy. */
CHECKED dfaiss_status_t shard_removal_by_ids(shard_t *shard, int64_t n, const int64_t *ids, shard_removal_t **out, dfaiss_error_t *err);
/* Of the rows that match a filter. ERR_ARG: it is wrong. */
CHECKED dfaiss_status_t shard_removal_by_filter(shard_t *shard, const char *filter, size_t filter_size, shard_removal_t **out, dfaiss_error_t *err);

/* Rows first to first + n - 1 stay, whatever their ids. */
void shard_removal_keep(shard_removal_t *removal, int64_t first, int64_t n);

/* Looks for the rows, which stay for now. Goes on until done or the deadline; *done says which. */
CHECKED dfaiss_status_t shard_removal_find(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err);
/* Looks for the rows where that is not done, and lets them go. After ERR_MEMORY some may have gone. */
CHECKED dfaiss_status_t shard_removal_step(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err);
/* By ids, when the rows are found: what letting them go needs, so that it cannot fail while searches are held and no snapshot is taken. */
CHECKED dfaiss_status_t shard_removal_reserve(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err);
/* How many rows have gone. */
int64_t shard_removal_count(const shard_removal_t *removal);

/* ---- rows that an update replaces ----
 *
 * The new rows are on one server and the old ones on others, and a search reaches the servers one after the other: it says how many updates its lead
 * knew of, and finds what was hidden by a later one. There is one update at a time.
 */

/* While searches are held none begins, and no memory of removed rows begins to be given back; those that have begun go on. */
void shard_hold_searches(shard_t *shard, bool held);
/* Nanoseconds for which a search that has found a row before it was replaced may be told of it (shard_tells): it keeps its memory so long. */
#define SHARD_KEEP_REPLACED INT64_C(5000000000)
void shard_set_keep_replaced(shard_t *shard, int64_t nanoseconds);

/* Before anything has gone: what goes is replaced. */
void shard_removal_replace(shard_removal_t *removal);
/* What has gone, by ids, was hidden by update `number`, in place of what an earlier one has hidden. */
void shard_removal_hide(shard_removal_t *removal, uint64_t number);
/* No search is left that does not know of update `number`. */
void shard_settle_update(shard_t *shard, uint64_t number);
/* NULL is fine. */
void shard_removal_destroy(shard_removal_t *removal);

#endif
