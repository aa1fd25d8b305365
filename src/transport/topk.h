/* The answer to a search, in part or whole, and the merge that the reduction over the servers is made of. */
#ifndef TRANSPORT_TOPK_H
#define TRANSPORT_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For each of nq queries k hits, best first; by the metric a small or a large score is the better one, equal scores stand by id. id -1: no hit. The
 * arrays lie in one block, which is what travels: ids int64_t[nq][k], rows int64_t[nq][k], scores float[nq][k], servers int32_t[nq][k]. */
typedef struct topk {
    int64_t nq;
    int64_t k;
    int64_t *ids;
    int64_t *rows; /* of the server's shard */
    float *scores;
    int32_t *servers;
} topk_t;

/* Bytes of the block; false where they do not fit a size_t. */
bool topk_bytes(int64_t nq, int64_t k, size_t *bytes);
/* The view of a block of that size (8-byte aligned). */
topk_t topk_view(void *block, int64_t nq, int64_t k);
/* All ids -1. */
void topk_clear(topk_t *hits);
/* Keeps the first k hits of each query, at the beginning of the same block; k is at most what it is now. */
void topk_cut(topk_t *hits, int64_t k);

/* into = the best k of into and from, for each query; an id that is in both stays once, with its better score. larger_is_better: inner products.
 * Same nq and k. scratch: a topk block for one query (topk_bytes(1, k)). */
void topk_merge(topk_t *into, const topk_t *from, bool larger_is_better, void *scratch);

#endif
