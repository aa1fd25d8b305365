/* What a search found: the block of hits as it travelled, and the answers with metadata and vectors as they came; nothing is copied. */
#include "client/result.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static dfaiss_status_t label_hits(dfaiss_result_t *result, dfaiss_error_t *err) {
    size_t hits = (size_t)result->hits.nq * (size_t)result->hits.k;
    result->indexes = malloc(hits * sizeof *result->indexes);
    if (!result->indexes)
        return error_memory(err, hits * sizeof *result->indexes, "a result");
    for (size_t i = 0; i < hits; i++)
        result->indexes[i] = result->hits.ids[i] < 0 ? -1 : 0;
    return DFAISS_OK;
}

dfaiss_status_t result_create(void *block, size_t block_size, int64_t nq, int64_t k, dfaiss_result_t **out, dfaiss_error_t *err) {
    dfaiss_result_t *result = calloc(1, sizeof *result);
    if (!result) {
        memory_unmap(block, block_size);
        return error_memory(err, sizeof *result, "a result");
    }
    result->block = block;
    result->block_size = block_size;
    result->hits = topk_view(block, nq, k);
    dfaiss_status_t status = label_hits(result, err);
    if (status != DFAISS_OK) {
        dfaiss_result_destroy(result);
        return status;
    }
    *out = result;
    return DFAISS_OK;
}

dfaiss_status_t result_cut(dfaiss_result_t *result, int64_t limit, dfaiss_error_t *err) {
    size_t nq = (size_t)result->hits.nq, kept = (size_t)limit, old = (size_t)result->hits.k;
    result->truncated = malloc(nq * sizeof *result->truncated);
    if (!result->truncated)
        return error_memory(err, nq * sizeof *result->truncated, "a result");
    for (size_t query = 0; query < nq; query++) {
        result->truncated[query] = old > kept && result->hits.ids[query * old + kept] >= 0;
        memmove(result->indexes + query * kept, result->indexes + query * old, kept * sizeof *result->indexes);
    }
    topk_cut(&result->hits, limit);
    return DFAISS_OK;
}

dfaiss_status_t result_expect_metadata(dfaiss_result_t *result, dfaiss_error_t *err) {
    size_t hits = (size_t)result->hits.nq * (size_t)result->hits.k;
    result->metadata = calloc(hits, sizeof *result->metadata);
    result->metadata_sizes = calloc(hits, sizeof *result->metadata_sizes);
    if (!result->metadata || !result->metadata_sizes)
        return error_memory(err, hits * (sizeof *result->metadata + sizeof *result->metadata_sizes), "the metadata of hits");
    return DFAISS_OK;
}

dfaiss_status_t result_expect_embeddings(dfaiss_result_t *result, dfaiss_error_t *err) {
    size_t hits = (size_t)result->hits.nq * (size_t)result->hits.k;
    result->embeddings = calloc(hits, sizeof *result->embeddings);
    return result->embeddings ? DFAISS_OK : error_memory(err, hits * sizeof *result->embeddings, "the vectors of hits");
}

static void clear_part(const result_part_t *part) {
    free(part->body);
    memory_unmap(part->bulk, part->bulk_size);
}

dfaiss_status_t result_keep_part(dfaiss_result_t *result, const result_part_t *part, dfaiss_error_t *err) {
    result_part_t *kept = malloc(sizeof *kept);
    if (!kept) {
        clear_part(part);
        return error_memory(err, sizeof *kept, "what hits bring along");
    }
    *kept = *part;
    kept->next = result->parts;
    result->parts = kept;
    return DFAISS_OK;
}

void dfaiss_result_destroy(dfaiss_result_t *result) {
    if (!result)
        return;
    while (result->parts) {
        result_part_t *part = result->parts;
        result->parts = part->next;
        clear_part(part);
        free(part);
    }
    free(result->embeddings);
    free(result->metadata);
    free(result->metadata_sizes);
    free(result->indexes);
    free(result->truncated);
    memory_unmap(result->block, result->block_size);
    free(result);
}

int64_t dfaiss_result_queries(const dfaiss_result_t *result) {
    return result->hits.nq;
}

int64_t dfaiss_result_k(const dfaiss_result_t *result) {
    return result->hits.k;
}

const float *dfaiss_result_scores(const dfaiss_result_t *result) {
    return result->hits.scores;
}

const int64_t *dfaiss_result_ids(const dfaiss_result_t *result) {
    return result->hits.ids;
}

const int32_t *dfaiss_result_indexes(const dfaiss_result_t *result) {
    return result->indexes;
}

int64_t dfaiss_result_count(const dfaiss_result_t *result, int64_t query) {
    const int64_t *ids = result->hits.ids + query * result->hits.k;
    int64_t low = 0, high = result->hits.k;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (ids[middle] < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

bool dfaiss_result_truncated(const dfaiss_result_t *result, int64_t query) {
    return result->truncated && result->truncated[query];
}

const void *dfaiss_result_metadata(const dfaiss_result_t *result, int64_t query, int64_t hit, size_t *size) {
    int64_t place = query * result->hits.k + hit;
    *size = result->metadata ? result->metadata_sizes[place] : 0;
    return *size > 0 ? result->metadata[place] : NULL;
}

const float *dfaiss_result_embedding(const dfaiss_result_t *result, int64_t query, int64_t hit) {
    return result->embeddings ? result->embeddings[query * result->hits.k + hit] : NULL;
}
