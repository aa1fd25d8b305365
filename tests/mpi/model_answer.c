/* Compares an answer with what the model says. */
#include "model.h"

#include <math.h>

/* A row that may be a hit. */
typedef struct candidate {
    double score;
    int index; /* which of the models */
    const model_row_t *row;
} candidate_t;

typedef struct candidates {
    candidate_t *items;
    int64_t count;
    bool larger; /* scores are better */
} candidates_t;

/* BLAS and normalised vectors change last bits; whole numbers change none, but their sums are compared with the same tolerance. */
static double slack(double score) {
    return 1e-5 * fmax(1, fabs(score));
}

static bool near(double a, double b) {
    return fabs(a - b) <= slack(a);
}

static bool ahead(bool larger, double a, double b) {
    return larger ? a > b : a < b;
}

static int compare_scores(const void *a, const void *b) {
    double first = ((const candidate_t *)a)->score, second = ((const candidate_t *)b)->score;
    return first < second ? -1 : first > second;
}

/* All rows that match the filter, best first. */
static candidates_t gather(const model_question_t *question) {
    candidates_t out = {.larger = question->models[0]->metric != MODEL_L2};
    int64_t all = 0;
    for (int index = 0; index < question->model_count; index++)
        all += question->models[index]->count;
    out.items = malloc((size_t)(all + 1) * sizeof *out.items);
    assert_non_null(out.items);
    for (int index = 0; index < question->model_count; index++) {
        const model_t *model = question->models[index];
        for (int64_t i = 0; i < model->count; i++) {
            const model_row_t *row = &model->rows[i];
            double score = model_score(model, question->query, row->vector);
            if (model_filter_matches(question->filter, &row->attributes))
                out.items[out.count++] = (candidate_t){.score = out.larger ? -score : score, .index = index, .row = row};
        }
    }
    qsort(out.items, (size_t)out.count, sizeof *out.items, compare_scores);
    for (int64_t i = 0; out.larger && i < out.count; i++)
        out.items[i].score = -out.items[i].score;
    return out;
}

static const candidate_t *find(const candidates_t *candidates, int index, int64_t id) {
    for (int64_t i = 0; i < candidates->count; i++) {
        if (candidates->items[i].index == index && candidates->items[i].row->id == id)
            return &candidates->items[i];
    }
    return NULL;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* How many of the candidates lie within the radius; near_by counts as inside or as outside those that rounding may put on the other side. */
static int64_t within(const candidates_t *candidates, double radius, bool near_by) {
    int64_t count = 0;
    for (int64_t i = 0; i < candidates->count; i++) {
        double score = candidates->items[i].score;
        count += near(score, radius) ? near_by : ahead(candidates->larger, score, radius);
    }
    return count;
}

static void check_count(const model_question_t *question, const candidates_t *candidates, const dfaiss_result_t *result, int64_t query) {
    int64_t count = dfaiss_result_count(result, query), k = question->k;
    bool truncated = dfaiss_result_truncated(result, query);
    if (!question->range) {
        /* Lists that are not probed may hold some, except where a filter asks for them. */
        int64_t there = least(k, candidates->count);
        if (count > there || (count < there && (question->exact || question->filter)))
            fail_msg("%lld hits for k %lld and %lld rows that match", (long long)count, (long long)k, (long long)candidates->count);
        assert_false(truncated);
    } else if (question->exact) {
        int64_t inside = within(candidates, question->radius, false), at_most = within(candidates, question->radius, true);
        if (count < least(k, inside) || count > least(k, at_most))
            fail_msg("%lld hits within the radius, limit %lld; there are %lld", (long long)count, (long long)k, (long long)inside);
        if (inside == at_most)
            assert_int_equal(truncated, inside > k);
    } else {
        assert_true(count <= least(k, candidates->count));
        assert_true(!truncated || count == k);
    }
}

/* Hits stand best first, equal scores by id (then by index), and each once. */
static void check_order(const candidates_t *candidates, const dfaiss_result_t *result, int64_t query, int64_t count) {
    int64_t k = dfaiss_result_k(result);
    const float *scores = dfaiss_result_scores(result) + query * k;
    const int64_t *ids = dfaiss_result_ids(result) + query * k;
    const int32_t *indexes = dfaiss_result_indexes(result) + query * k;
    for (int64_t i = 1; i < count; i++) {
        assert_false(ahead(candidates->larger, scores[i], scores[i - 1]));
        bool later = ids[i] > ids[i - 1] || (ids[i] == ids[i - 1] && indexes[i] > indexes[i - 1]);
        if (scores[i] == scores[i - 1] && !later)
            fail_msg("hits %lld and %lld have the same score %g, but ids %lld and %lld of indexes %d and %d", (long long)i - 1, (long long)i,
                     scores[i], (long long)ids[i - 1], (long long)ids[i], indexes[i - 1], indexes[i]);
        for (int64_t j = 0; j < i; j++)
            assert_false(ids[i] == ids[j] && indexes[i] == indexes[j]);
    }
    for (int64_t i = count; i < k; i++) {
        assert_int_equal(ids[i], -1);
        assert_int_equal(indexes[i], -1);
    }
}

static void check_metadata(const model_question_t *question, const candidate_t *hit, const void *metadata, size_t size) {
    size_t expected = question->metadata ? hit->row->metadata_size : 0;
    assert_int_equal(size, expected);
    if (expected)
        assert_memory_equal(metadata, hit->row->metadata, expected);
    else
        assert_null(metadata);
}

static void check_embedding(const model_question_t *question, const candidate_t *hit, const float *embedding) {
    const model_t *model = question->models[hit->index];
    double length = 0;
    if (!question->embeddings) {
        assert_null(embedding);
        return;
    }
    assert_non_null(embedding);
    for (int64_t i = 0; i < model->dim; i++)
        length += (double)hit->row->vector[i] * hit->row->vector[i];
    double scale = model->metric == MODEL_COSINE && length > 0 ? 1 / sqrt(length) : 1;
    for (int64_t i = 0; i < model->dim; i++) {
        assert_true(isfinite(embedding[i]));
        if (question->exact)
            assert_true(near(hit->row->vector[i] * scale, embedding[i]));
    }
}

static void check_hit(const model_question_t *question, const candidates_t *candidates, const dfaiss_result_t *result, int64_t query, int64_t i) {
    int64_t at = query * dfaiss_result_k(result) + i, id = dfaiss_result_ids(result)[at];
    int index = dfaiss_result_indexes(result)[at];
    float score = dfaiss_result_scores(result)[at];
    size_t size = 77;
    const candidate_t *hit = find(candidates, index, id);
    if (!hit)
        fail_msg("hit %lld is id %lld of index %d, which there is not, or which the filter \"%s\" excludes", (long long)i, (long long)id, index,
                 question->filter ? model_filter_text(question->filter) : "");
    if (question->exact && !(near(candidates->items[i].score, score) && near(hit->score, score)))
        fail_msg("hit %lld is id %lld of index %d with score %g; its score is %g, and the best there is %g", (long long)i, (long long)id, index,
                 score, hit->score, candidates->items[i].score);
    if (question->range)
        assert_true(ahead(candidates->larger, score, question->radius));
    const void *metadata = dfaiss_result_metadata(result, query, i, &size);
    check_metadata(question, hit, metadata, size);
    check_embedding(question, hit, dfaiss_result_embedding(result, query, i));
}

/* Hits that are as good as the last of those that the model finds, over those. */
static void count_recall(const model_question_t *question, const candidates_t *candidates, const dfaiss_result_t *result, int64_t query,
                         model_recall_t *recall) {
    int64_t expected = least(question->k, candidates->count), count = dfaiss_result_count(result, query), k = dfaiss_result_k(result), found = 0;
    if (question->range || expected == 0)
        return;
    double last = candidates->items[expected - 1].score;
    for (int64_t i = 0; i < count; i++) {
        const candidate_t *hit = find(candidates, dfaiss_result_indexes(result)[query * k + i], dfaiss_result_ids(result)[query * k + i]);
        found += hit && !ahead(candidates->larger, last, hit->score);
    }
    recall->expected += expected;
    recall->found += least(found, expected);
}

void model_check_answer(const model_question_t *question, const dfaiss_result_t *result, int64_t query, model_recall_t *recall) {
    candidates_t candidates = gather(question);
    int64_t count = dfaiss_result_count(result, query);
    assert_int_equal(dfaiss_result_k(result), question->k);
    check_count(question, &candidates, result, query);
    check_order(&candidates, result, query, count);
    for (int64_t i = 0; i < count; i++)
        check_hit(question, &candidates, result, query, i);
    if (!question->exact)
        count_recall(question, &candidates, result, query, recall);
    free(candidates.items);
}
