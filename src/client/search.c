/* Searching: one question for each index to this client's lead; the answers are merged here, and metadata and vectors are fetched for what remains.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/element.h"
#include "base/memory.h"
#include "client/client_internal.h"
#include "client/fetch.h"
#include "client/result.h"
#include "message/fetch.h"
#include "message/search.h"

enum { SEARCH_INDEXES = 1024 }; /* at once */

/* Of a range search: servers look for one hit more than the limit, which tells whether there are more. */
typedef struct range {
    bool given;
    float radius;
    int64_t limit;
} range_t;

typedef struct search_request {
    dfaiss_request_t request;
    int64_t nq, dim;
    int64_t k; /* that servers are asked for */
    range_t range;
    uint8_t fetched; /* FETCH_METADATA, FETCH_EMBEDDINGS, both or 0 */
    int index_count;
    char (*indexes)[MESSAGE_NAME];
    uint64_t *incarnations; /* of them, as answers tell */
    question_t **questions; /* one an index; NULL once its answer was taken */
    dfaiss_result_t *result;
    fetch_t *fetch; /* NULL: has not begun */
} search_request_t;

/* What the answer to a SEARCH says: the hits in its bulk, and by which metric they stand. */
typedef struct found {
    topk_t hits;
    uint8_t metric;
    bool larger_is_better;
} found_t;

static void destroy(dfaiss_request_t *request) {
    search_request_t *search = (search_request_t *)request;
    for (int i = 0; search->questions && i < search->index_count; i++)
        question_forget(search->questions[i]);
    fetch_destroy(search->fetch);
    free(search->questions);
    free(search->indexes);
    free(search->incarnations);
    free(search);
}

/* ---- answers ---- */

static dfaiss_status_t read_answer(search_request_t *search, int index, found_t *found, dfaiss_error_t *err) {
    question_t *question = search->questions[index];
    size_t wanted;
    TRY(question_outcome(question, err));
    message_found_t said;
    TRY(message_found_decode(&question->result, &said, err));
    if (!topk_bytes(search->nq, search->k, &wanted) || question->answer.bulk_size != wanted)
        return message_malformed(MESSAGE_ANSWER, err);
    search->incarnations[index] = said.incarnation;
    *found =
        (found_t){.hits = topk_view(question->answer.bulk, search->nq, search->k), .metric = said.metric, .larger_is_better = said.larger_is_better};
    return DFAISS_OK;
}

/* The block becomes the result as it is. */
static dfaiss_status_t take_single(search_request_t *search, dfaiss_error_t *err) {
    found_t found;
    question_t *question = search->questions[0];
    TRY(read_answer(search, 0, &found, err));
    void *block = question->answer.bulk;
    question->answer.bulk = NULL;
    return result_create(block, question->answer.bulk_size, search->nq, search->k, &search->result, err);
}

/* The best k of all indexes for one query: each has its own in order, so the best of their first ones is next. Equal scores stand by id, then by
 * index. */
static void merge_query(const search_request_t *search, const found_t *found, int64_t *heads, int64_t query) {
    topk_t *into = &search->result->hits;
    int64_t begin = query * search->k;
    memset(heads, 0, (size_t)search->index_count * sizeof *heads);
    for (int64_t hit = 0; hit < search->k; hit++) {
        int best = -1;
        float best_score = 0;
        int64_t best_id = 0;
        for (int i = 0; i < search->index_count; i++) {
            const topk_t *hits = &found[i].hits;
            if (heads[i] == search->k || hits->ids[begin + heads[i]] < 0)
                continue;
            float score = hits->scores[begin + heads[i]];
            int64_t id = hits->ids[begin + heads[i]];
            bool better = found[i].larger_is_better ? score > best_score : score < best_score;
            if (best < 0 || better || (score == best_score && id < best_id)) {
                best = i;
                best_score = score;
                best_id = id;
            }
        }
        if (best < 0)
            return;
        int64_t from = begin + heads[best]++;
        into->ids[begin + hit] = best_id;
        into->scores[begin + hit] = best_score;
        into->rows[begin + hit] = found[best].hits.rows[from];
        into->servers[begin + hit] = found[best].hits.servers[from];
        search->result->indexes[begin + hit] = best;
    }
}

static dfaiss_status_t make_empty_result(search_request_t *search, dfaiss_error_t *err) {
    size_t bytes;
    if (!topk_bytes(search->nq, search->k, &bytes))
        return error_set(err, DFAISS_ERR_ARG, "k", "%lld queries with k %lld: the answer does not fit", (long long)search->nq, (long long)search->k);
    void *block = memory_map(bytes);
    if (!block)
        return error_memory(err, bytes, "the hits of a search");
    topk_t hits = topk_view(block, search->nq, search->k);
    topk_clear(&hits);
    return result_create(block, bytes, search->nq, search->k, &search->result, err);
}

static dfaiss_status_t read_all(search_request_t *search, found_t *found, dfaiss_error_t *err) {
    for (int i = 0; i < search->index_count; i++) {
        TRY(read_answer(search, i, &found[i], err));
        if (found[i].metric != found[0].metric)
            return error_set(err, DFAISS_ERR_ARG, search->indexes[i],
                             "index '%s' and index '%s' have different metrics; their scores cannot be compared", search->indexes[0],
                             search->indexes[i]);
    }
    return DFAISS_OK;
}

static dfaiss_status_t take_several(search_request_t *search, dfaiss_error_t *err) {
    found_t *found = calloc((size_t)search->index_count, sizeof *found);
    int64_t *heads = calloc((size_t)search->index_count, sizeof *heads);
    dfaiss_status_t status = DFAISS_OK;
    if (!found || !heads)
        status = error_memory(err, (size_t)search->index_count * sizeof *found, "a search");
    if (status == DFAISS_OK)
        status = read_all(search, found, err);
    if (status == DFAISS_OK)
        status = make_empty_result(search, err);
    for (int64_t query = 0; status == DFAISS_OK && query < search->nq; query++)
        merge_query(search, found, heads, query);
    free(heads);
    free(found);
    return status;
}

static bool all_over(const search_request_t *search) {
    for (int i = 0; i < search->index_count; i++) {
        if (!question_over(search->questions[i]))
            return false;
    }
    return true;
}

/* ---- one step after the other ---- */

static void end(search_request_t *search, dfaiss_status_t status, const dfaiss_error_t *error) {
    if (status == DFAISS_OK) {
        search->request.result = search->result;
    } else {
        dfaiss_result_destroy(search->result);
    }
    search->result = NULL;
    request_end(&search->request, status, error);
}

static dfaiss_status_t take_answers(search_request_t *search, dfaiss_error_t *err) {
    TRY(search->index_count == 1 ? take_single(search, err) : take_several(search, err));
    for (int i = 0; i < search->index_count; i++) {
        question_forget(search->questions[i]);
        search->questions[i] = NULL;
    }
    if (search->range.given)
        TRY(result_cut(search->result, search->range.limit, err));
    if (search->fetched == 0)
        return DFAISS_OK;
    fetch_wish_t wish = {.index_count = search->index_count,
                         .indexes = search->indexes,
                         .incarnations = search->incarnations,
                         .dim = search->dim,
                         .wanted = search->fetched};
    return fetch_create(search->request.client, &wish, search->result, &search->fetch, err);
}

static void advance(dfaiss_request_t *request) {
    search_request_t *search = (search_request_t *)request;
    if (!search->result && !all_over(search))
        return;
    dfaiss_error_t error = {0};
    bool done = true;
    dfaiss_status_t status = search->result ? DFAISS_OK : take_answers(search, &error);
    if (status == DFAISS_OK && search->fetch)
        status = fetch_advance(search->fetch, &done, &error);
    if (status != DFAISS_OK || done)
        end(search, status, &error);
}

/* ---- starting ---- */

dfaiss_status_t client_check_filter(const char *filter, dfaiss_error_t *err) {
    if (strlen(filter) > MESSAGE_SEARCH_FILTER)
        return error_set(err, DFAISS_ERR_ARG, "filter", "a filter of %zu bytes; at most %d are allowed", strlen(filter), MESSAGE_SEARCH_FILTER);
    if (!filter[0])
        return error_set(err, DFAISS_ERR_ARG, "filter", "the filter is an empty text");
    return DFAISS_OK;
}

/* name: what callers know the number of hits by. */
static dfaiss_status_t check_hits(const char *name, int64_t hits, dfaiss_error_t *err) {
    if (hits < 1 || hits > MESSAGE_SEARCH_MAX_K)
        return error_set(err, DFAISS_ERR_ARG, name, "%s is %lld; it must be 1 to %d", name, (long long)hits, MESSAGE_SEARCH_MAX_K);
    return DFAISS_OK;
}

static dfaiss_status_t check_sizes(int64_t nq, int64_t dim, const dfaiss_search_options_t *options, dfaiss_error_t *err) {
    size_t components, bytes;
    if (nq < 1 || dim < 1)
        return error_set(err, DFAISS_ERR_ARG, nq < 1 ? "nq" : "dim", "%lld queries of dimension %lld; both must be at least 1", (long long)nq,
                         (long long)dim);
    if (!size_multiply((size_t)nq, (size_t)dim, &components) || !size_multiply(components, sizeof(float), &bytes) || bytes > PTRDIFF_MAX)
        return error_set(err, DFAISS_ERR_ARG, "nq", "%lld queries of dimension %lld: more than fits into memory", (long long)nq, (long long)dim);
    if (options->nprobe < 0)
        return error_set(err, DFAISS_ERR_ARG, "nprobe", "nprobe is %lld; it must be at least 1, or 0 for the usual one", (long long)options->nprobe);
    return options->filter ? client_check_filter(options->filter, err) : DFAISS_OK;
}

static dfaiss_status_t check_range(const range_t *range, dfaiss_error_t *err) {
    TRY(check_hits("limit", range->limit, err));
    if (!isfinite(range->radius))
        return error_set(err, DFAISS_ERR_ARG, "radius", "the radius is %g; it must be finite", (double)range->radius);
    return DFAISS_OK;
}

static dfaiss_status_t check_indexes(const dfaiss_client_t *client, int index_count, const char *const *indexes, dfaiss_error_t *err) {
    if (!client || !indexes)
        return error_null(err, client ? "indexes" : "client");
    if (index_count < 1 || index_count > SEARCH_INDEXES)
        return error_set(err, DFAISS_ERR_ARG, "index_count", "a search of %d indexes; it must be of 1 to %d", index_count, SEARCH_INDEXES);
    for (int i = 0; i < index_count; i++)
        TRY(client_check(client, indexes[i], err));
    return DFAISS_OK;
}

static search_request_t *allocate(int index_count, const char *const *indexes) {
    search_request_t *search = calloc(1, sizeof *search);
    if (!search)
        return NULL;
    search->request.advance = advance;
    search->request.destroy = destroy;
    search->index_count = index_count;
    search->indexes = calloc((size_t)index_count, sizeof *search->indexes);
    search->incarnations = calloc((size_t)index_count, sizeof *search->incarnations);
    search->questions = calloc((size_t)index_count, sizeof(question_t *));
    if (!search->indexes || !search->incarnations || !search->questions) {
        destroy(&search->request);
        return NULL;
    }
    for (int i = 0; i < index_count; i++)
        snprintf(search->indexes[i], sizeof search->indexes[i], "%s", indexes[i]);
    return search;
}

static dfaiss_status_t ask(dfaiss_client_t *client, search_request_t *search, int index, const float *queries, const dfaiss_search_options_t *options,
                           dfaiss_error_t *err) {
    message_search_t message = {
        .nq = search->nq,
        .dim = search->dim,
        .k = search->k,
        .nprobe = options->nprobe,
        .filter = options->filter,
        .filter_size = options->filter ? strlen(options->filter) : 0,
        .has_radius = search->range.given,
        .radius = search->range.radius,
    };
    memcpy(message.index, search->indexes[index], sizeof message.index);
    bytes_writer_t body = {0};
    message_search_encode(&message, &body);
    size_t bytes = (size_t)search->nq * (size_t)search->dim * sizeof *queries;
    return question_ask(client, client->carrier.lead, MESSAGE_SEARCH, &body, queries, bytes, PATIENCE_SHORT, &search->questions[index], err);
}

/* What was asked before something failed must be over before the queries are the caller's again. */
static void take_back(dfaiss_client_t *client, search_request_t *search) {
    for (int i = 0; i < search->index_count; i++) {
        while (search->questions[i] && !question_over(search->questions[i]))
            client_turn(client, true);
    }
    destroy(&search->request);
}

/* range NULL: the k nearest. */
static dfaiss_status_t start(dfaiss_client_t *client, int index_count, const char *const *indexes, int64_t nq, int64_t dim, const float *queries,
                             int64_t k, const range_t *range, const dfaiss_search_options_t *options, dfaiss_request_t **out, dfaiss_error_t *err) {
    static const dfaiss_search_options_t usual_options = {0};
    TRY(check_indexes(client, index_count, indexes, err));
    if (!queries || !out)
        return error_null(err, queries ? "out" : "queries");
    options = options ? options : &usual_options;
    TRY(check_sizes(nq, dim, options, err));
    TRY(range ? check_range(range, err) : check_hits("k", k, err));
    search_request_t *search = allocate(index_count, indexes);
    if (!search)
        return error_memory(err, sizeof *search, "a search");
    search->nq = nq;
    search->dim = dim;
    search->k = range ? range->limit + 1 : k;
    if (range)
        search->range = *range;
    search->fetched = (uint8_t)((options->metadata ? FETCH_METADATA : 0) | (options->embeddings ? FETCH_EMBEDDINGS : 0));
    for (int i = 0; i < index_count; i++) {
        dfaiss_status_t status = ask(client, search, i, queries, options, err);
        if (status != DFAISS_OK) {
            take_back(client, search);
            return status;
        }
    }
    request_begin(client, &search->request);
    *out = &search->request;
    return DFAISS_OK;
}

dfaiss_status_t dfaiss_search_start(dfaiss_client_t *client, int index_count, const char *const *indexes, int64_t nq, int64_t dim,
                                    const float *queries, int64_t k, const dfaiss_search_options_t *options, dfaiss_request_t **out,
                                    dfaiss_error_t *err) {
    return start(client, index_count, indexes, nq, dim, queries, k, NULL, options, out, err);
}

dfaiss_status_t dfaiss_search(dfaiss_client_t *client, int index_count, const char *const *indexes, int64_t nq, int64_t dim, const float *queries,
                              int64_t k, const dfaiss_search_options_t *options, dfaiss_result_t **out, dfaiss_error_t *err) {
    dfaiss_request_t *request = NULL;
    if (!out)
        return error_null(err, "out");
    TRY(dfaiss_search_start(client, index_count, indexes, nq, dim, queries, k, options, &request, err));
    return dfaiss_request_wait(request, out, err);
}

dfaiss_status_t dfaiss_range_search(dfaiss_client_t *client, int index_count, const char *const *indexes, int64_t nq, int64_t dim,
                                    const float *queries, float radius, int64_t limit, const dfaiss_search_options_t *options, dfaiss_result_t **out,
                                    dfaiss_error_t *err) {
    dfaiss_request_t *request = NULL;
    range_t range = {.given = true, .radius = radius, .limit = limit};
    if (!out)
        return error_null(err, "out");
    TRY(start(client, index_count, indexes, nq, dim, queries, 0, &range, options, &request, err));
    return dfaiss_request_wait(request, out, err);
}
