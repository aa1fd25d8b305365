/* A search over one shard, in slices. */
#ifndef SHARD_SEARCH_H
#define SHARD_SEARCH_H

#include "shard/shard.h"
#include "transport/topk.h"

typedef struct shard_search shard_search_t;

typedef struct shard_question {
    int64_t nq;
    int64_t dim;
    const float *queries; /* float[nq][dim]; borrowed until shard_search_destroy */
    int64_t k;
    int64_t nprobe;     /* 0: as configured; with a radius: all lists */
    const char *filter; /* char[filter_size]: an expression that hits match; NULL: none; borrowed for the call */
    size_t filter_size;
    bool has_radius; /* range search: hits are better than radius */
    float radius;
    uint64_t updates; /* that whoever leads the search knows to have brought their new rows */
} shard_question_t;

/* ERR_ARG: the filter of a question is wrong; text and `where` say at which place. */
CHECKED dfaiss_status_t shard_check_filter(shard_t *shard, const char *filter, size_t filter_size, dfaiss_error_t *err);
/* ERR_UNSUPPORTED: this kind of index cannot search within a radius, whether it has indexed anything yet or not. */
CHECKED dfaiss_status_t shard_check_radius(shard_t *shard, dfaiss_error_t *err);

/* ERR_ARG where dim differs or the filter is wrong, ERR_DATA where a value is not finite. */
CHECKED dfaiss_status_t shard_search_create(shard_t *shard, const shard_question_t *question, shard_search_t **out, dfaiss_error_t *err);
/* Goes on until done or the deadline; *done says which. A search that waits for shard_advance returns at once. */
CHECKED dfaiss_status_t shard_search_step(shard_search_t *search, int64_t deadline, bool *done, dfaiss_error_t *err);
/* After the last step: the answer, best first, equal scores by id (hits has the nq and k of the search). Of equal scores at the k-th place those are
 * kept whose rows came first. */
void shard_search_result(shard_search_t *search, topk_t *hits);
/* Ends it, done or not. NULL is fine. */
void shard_search_destroy(shard_search_t *search);

#endif
