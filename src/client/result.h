/* What a dfaiss_result_t is made of. */
#ifndef CLIENT_RESULT_H
#define CLIENT_RESULT_H

#include <dfaiss/result.h>

#include "base/error.h"
#include "transport/topk.h"

/* An answer with metadata and vectors, kept as it came. */
typedef struct result_part {
    struct result_part *next;
    void *body; /* malloc'ed */
    void *bulk; /* memory_map of bulk_size bytes, or NULL */
    size_t bulk_size;
} result_part_t;

struct dfaiss_result {
    void *block; /* memory_map; what `hits` shows */
    size_t block_size;
    topk_t hits;
    int32_t *indexes;         /* int32_t[nq][k] */
    bool *truncated;          /* [nq]; NULL: no query is */
    const uint8_t **metadata; /* [nq][k], within the parts; NULL: none were asked for */
    size_t *metadata_sizes;
    const float **embeddings; /* [nq][k], within the parts; NULL: none were asked for */
    result_part_t *parts;
};

/* Takes over the block, also on failure; all hits are of index 0. */
CHECKED dfaiss_status_t result_create(void *block, size_t block_size, int64_t nq, int64_t k, dfaiss_result_t **out, dfaiss_error_t *err);
/* Leaves each query `limit` hits, at most as many as it has room for, and marks those that had more. */
CHECKED dfaiss_status_t result_cut(dfaiss_result_t *result, int64_t limit, dfaiss_error_t *err);
/* Room for metadata. */
CHECKED dfaiss_status_t result_expect_metadata(dfaiss_result_t *result, dfaiss_error_t *err);
/* Room for vectors. */
CHECKED dfaiss_status_t result_expect_embeddings(dfaiss_result_t *result, dfaiss_error_t *err);
/* Takes over body and bulk of an answer, also on failure. */
CHECKED dfaiss_status_t result_keep_part(dfaiss_result_t *result, const result_part_t *part, dfaiss_error_t *err);

#endif
