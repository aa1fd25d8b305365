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

/* Goes on until done or the deadline; *done says which. After ERR_MEMORY some may have gone. */
CHECKED dfaiss_status_t shard_removal_step(shard_removal_t *removal, int64_t deadline, bool *done, dfaiss_error_t *err);
/* How many rows have gone. */
int64_t shard_removal_count(const shard_removal_t *removal);
/* NULL is fine. */
void shard_removal_destroy(shard_removal_t *removal);

#endif
