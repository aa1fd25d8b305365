/* tool_compare IDS SCORES IDS SCORES: whether two searches gave equal answers. Equal means: the same ids, except among scores that differ by less
 * than 1e-5 relative, and scores within that. The first difference is named, and the exit code is then 1. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataset/dataset.h"
#include "dataset/id_file.h"

typedef struct answers {
    id_matrix_t ids;
    dataset_t *scores;
} answers_t;

static const double tolerance = 1e-5;

static dfaiss_status_t open_answers(const char *ids, const char *scores, answers_t *out, dfaiss_error_t *err) {
    TRY(id_matrix_read(ids, &out->ids, err));
    TRY(dataset_open(&scores, 1, NULL, &out->scores, err));
    if (dataset_rows(out->scores) != out->ids.rows || dataset_dim(out->scores) != out->ids.columns)
        return error_set(err, DFAISS_ERR_DATA, scores, "%s and %s have different shapes", ids, scores);
    return DFAISS_OK;
}

static void close_answers(answers_t *answers) {
    id_matrix_destroy(&answers->ids);
    dataset_close(answers->scores);
}

static bool close_to(double one, double other) {
    return fabs(one - other) <= tolerance * fmax(fabs(one), fabs(other));
}

/* Whether an id that stands elsewhere may do so: the other answer has it with such a score, or cut it off among scores that are as good as its last.
 */
static bool may_differ(int64_t id, float score, const int64_t *ids, const float *scores, int64_t k) {
    for (int64_t i = 0; i < k; i++)
        if (ids[i] == id)
            return close_to(scores[i], score);
    return close_to(scores[k - 1], score);
}

static bool same_row(const answers_t *one, const answers_t *other, int64_t row) {
    int64_t k = one->ids.columns;
    const int64_t *ids = one->ids.values + row * k, *other_ids = other->ids.values + row * k;
    const float *scores = dataset_rows_at(one->scores, row, 1, NULL), *other_scores = dataset_rows_at(other->scores, row, 1, NULL);
    for (int64_t i = 0; i < k; i++) {
        bool same_id = ids[i] == other_ids[i];
        if (same_id && ids[i] < 0)
            continue;
        if (ids[i] >= 0 && other_ids[i] >= 0 && close_to(scores[i], other_scores[i]) &&
            (same_id || (may_differ(ids[i], scores[i], other_ids, other_scores, k) && may_differ(other_ids[i], other_scores[i], ids, scores, k))))
            continue;
        printf("query %lld, place %lld: id %lld with score %.9g, and id %lld with score %.9g\n", (long long)row, (long long)i, (long long)ids[i],
               (double)scores[i], (long long)other_ids[i], (double)other_scores[i]);
        return false;
    }
    return true;
}

static bool same_answers(const answers_t *one, const answers_t *other) {
    if (one->ids.rows != other->ids.rows || one->ids.columns != other->ids.columns) {
        printf("the answers have different shapes\n");
        return false;
    }
    for (int64_t row = 0; row < one->ids.rows; row++)
        if (!same_row(one, other, row))
            return false;
    return true;
}

int main(int argc, char **argv) {
    dfaiss_error_t error = {0};
    answers_t one = {0}, other = {0};
    if (argc != 5) {
        fprintf(stderr, "usage: tool_compare IDS SCORES IDS SCORES\n");
        return 2;
    }
    bool opened = open_answers(argv[1], argv[2], &one, &error) == DFAISS_OK && open_answers(argv[3], argv[4], &other, &error) == DFAISS_OK;
    if (!opened)
        fprintf(stderr, "tool_compare: %s\n", error.text);
    bool same = opened && same_answers(&one, &other);
    close_answers(&one);
    close_answers(&other);
    return same ? 0 : 1;
}
