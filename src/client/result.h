/* What a dfaiss_result_t is made of. */
#ifndef CLIENT_RESULT_H
#define CLIENT_RESULT_H

#include <dfaiss/result.h>

#include "base/error.h"
#include "transport/topk.h"

/* The body of an answer with metadata, kept as it came. */
typedef struct result_body {
    struct result_body *next;
    void *data; /* malloc'ed */
} result_body_t;

struct dfaiss_result {
    void *block; /* memory_map; what `hits` shows */
    size_t block_size;
    topk_t hits;
    int32_t *indexes;         /* int32_t[nq][k] */
    bool *truncated;          /* [nq]; NULL: no query is */
    const uint8_t **metadata; /* [nq][k], within the bodies; NULL: none were asked for */
    size_t *metadata_sizes;
    result_body_t *bodies;
};

/* Takes over the block, also on failure; all hits are of index 0. */
CHECKED dfaiss_status_t result_create(void *block, size_t block_size, int64_t nq, int64_t k, dfaiss_result_t **out, dfaiss_error_t *err);
/* Leaves each query `limit` hits, at most as many as it has room for, and marks those that had more. */
CHECKED dfaiss_status_t result_cut(dfaiss_result_t *result, int64_t limit, dfaiss_error_t *err);
/* Room for metadata. */
CHECKED dfaiss_status_t result_expect_metadata(dfaiss_result_t *result, dfaiss_error_t *err);
/* Takes over the body of an answer, also on failure. */
CHECKED dfaiss_status_t result_keep_body(dfaiss_result_t *result, void *body, dfaiss_error_t *err);

#endif
