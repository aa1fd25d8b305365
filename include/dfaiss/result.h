/* What a search found: for each query its hits, best first.
 *
 * A result owns everything that it shows; what the calls return stays valid until it is destroyed. Not collective; any number of threads may read a
 * result. The calls cannot fail: a result is needed (not NULL), and a query and a hit that there are.
 */
#ifndef DFAISS_RESULT_H
#define DFAISS_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dfaiss/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dfaiss_result dfaiss_result_t;

/* NULL is fine. */
DFAISS_API void dfaiss_result_destroy(dfaiss_result_t *result);

DFAISS_API int64_t dfaiss_result_queries(const dfaiss_result_t *result);
/* Hits a query has room for: the k of the search, or the limit of a range search. */
DFAISS_API int64_t dfaiss_result_k(const dfaiss_result_t *result);

/* float[queries][k]: squared L2 distances, or inner products (cosine: of the normalised vectors), by the index's metric. Undefined where id is -1. */
DFAISS_API const float *dfaiss_result_scores(const dfaiss_result_t *result);
/* int64_t[queries][k]: best first, equal scores by id; -1 from where on a query has no more hits. */
DFAISS_API const int64_t *dfaiss_result_ids(const dfaiss_result_t *result);
/* int32_t[queries][k]: which of the indexes that were searched, by its place in the list, holds the hit; -1 where there is none. */
DFAISS_API const int32_t *dfaiss_result_indexes(const dfaiss_result_t *result);

/* Hits of one query. 0 <= query < queries. */
DFAISS_API int64_t dfaiss_result_count(const dfaiss_result_t *result, int64_t query);
/* There are more vectors within the radius than the limit of the range search; false for other searches. */
DFAISS_API bool dfaiss_result_truncated(const dfaiss_result_t *result, int64_t query);
/* The metadata of a hit (0 <= hit < count), and its *size in bytes; NULL and 0 where it has none or none were asked for. Any bytes: no zero ends
 * them. */
DFAISS_API const void *dfaiss_result_metadata(const dfaiss_result_t *result, int64_t query, int64_t hit, size_t *size);
/* The vector of a hit, float[dim]: as it came, widened (cosine: normalised), and once it is indexed as the index gives it back, which is inexact for
 * kinds that compress. NULL where none were asked for, and for a hit that was removed or replaced meanwhile. */
DFAISS_API const float *dfaiss_result_embedding(const dfaiss_result_t *result, int64_t query, int64_t hit);
#ifdef __cplusplus
}
#endif
#endif
