/* tool_exact METRIC BASE QUERIES TRUTH IDS SCORES: whether an answer is that of an exact search. The scores of found ids (row numbers of BASE) are
 * computed anew in double precision; each place must hold the id that TRUTH has there, or one with as good a score; best first, equal scores by id.
 * METRIC is l2 (squared distances), dot or cosine. The first difference is named, and the exit code is then 1. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/dataset.h"
#include "dataset/id_file.h"

typedef struct check {
    const char *metric;
    dataset_t *base;
    dataset_t *queries;
    dataset_t *scores;
    id_matrix_t truth;
    id_matrix_t ids;
    float *vector; /* float[dim] */
    float *query;  /* float[dim] */
} check_t;

static const double tolerance = 1e-5;

static dfaiss_status_t open_check(char **argv, check_t *check, dfaiss_error_t *err) {
    const char *base = argv[2], *queries = argv[3], *scores = argv[6];
    check->metric = argv[1];
    TRY(dataset_open(&base, 1, NULL, &check->base, err));
    TRY(dataset_open(&queries, 1, NULL, &check->queries, err));
    TRY(id_matrix_read(argv[4], &check->truth, err));
    TRY(id_matrix_read(argv[5], &check->ids, err));
    TRY(dataset_open(&scores, 1, NULL, &check->scores, err));
    size_t dim = (size_t)dataset_dim(check->base);
    check->vector = malloc(dim * sizeof *check->vector);
    check->query = malloc(dim * sizeof *check->query);
    if (!check->vector || !check->query)
        return error_memory(err, dim * sizeof(float), "a vector");
    bool fits = dataset_dim(check->queries) == dataset_dim(check->base) && check->truth.rows == dataset_rows(check->queries) &&
                check->ids.rows == check->truth.rows && check->ids.columns <= check->truth.columns &&
                dataset_rows(check->scores) == check->ids.rows && dataset_dim(check->scores) == check->ids.columns;
    return fits ? DFAISS_OK : error_set(err, DFAISS_ERR_DATA, argv[5], "the files do not belong together");
}

static void close_check(check_t *check) {
    dataset_close(check->base);
    dataset_close(check->queries);
    dataset_close(check->scores);
    id_matrix_destroy(&check->truth);
    id_matrix_destroy(&check->ids);
    free(check->vector);
    free(check->query);
}

static void read_row(const dataset_t *from, int64_t row, float *to) {
    size_t dim = (size_t)dataset_dim(from);
    float space[65536];
    element_widen(dataset_element(from), dataset_rows_at(from, row, 1, space), dim, to);
}

/* The score of check->query and a row of the base. */
static double score_of(check_t *check, int64_t row) {
    double square = 0, product = 0, query_square = 0, vector_square = 0;
    read_row(check->base, row, check->vector);
    for (int64_t i = 0; i < dataset_dim(check->base); i++) {
        double query = (double)check->query[i], vector = (double)check->vector[i];
        square += (query - vector) * (query - vector);
        product += query * vector;
        query_square += query * query;
        vector_square += vector * vector;
    }
    if (strcmp(check->metric, "l2") == 0)
        return square;
    double lengths = strcmp(check->metric, "cosine") == 0 ? sqrt(query_square * vector_square) : 1;
    return lengths > 0 ? product / lengths : 0;
}

static bool close_to(double one, double other) {
    return fabs(one - other) <= tolerance * fmax(fabs(one), fabs(other));
}

static bool in_order(const check_t *check, const int64_t *ids, const float *scores, int64_t i) {
    bool better = strcmp(check->metric, "l2") == 0 ? scores[i - 1] < scores[i] : scores[i - 1] > scores[i];
    return better || (!(scores[i - 1] < scores[i]) && !(scores[i - 1] > scores[i]) && ids[i - 1] < ids[i]);
}

static bool right_row(check_t *check, int64_t row) {
    int64_t k = check->ids.columns;
    const int64_t *ids = check->ids.values + row * k, *truth = check->truth.values + row * check->truth.columns;
    const float *scores = dataset_rows_at(check->scores, row, 1, NULL);
    read_row(check->queries, row, check->query);
    for (int64_t i = 0; i < k; i++) {
        const char *wrong = NULL;
        if (ids[i] < 0 || ids[i] >= dataset_rows(check->base))
            wrong = "no row";
        else if (!close_to(score_of(check, ids[i]), (double)scores[i]))
            wrong = "another score";
        else if (ids[i] != truth[i] && !close_to(score_of(check, ids[i]), score_of(check, truth[i])))
            wrong = "another neighbour";
        else if (i > 0 && !in_order(check, ids, scores, i))
            wrong = "another order";
        if (wrong) {
            printf("query %lld, place %lld: %s: id %lld with score %.9g; id %lld is expected\n", (long long)row, (long long)i, wrong,
                   (long long)ids[i], (double)scores[i], (long long)truth[i]);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    dfaiss_error_t error = {0};
    check_t check = {0};
    if (argc != 7) {
        fprintf(stderr, "usage: tool_exact METRIC BASE QUERIES TRUTH IDS SCORES\n");
        return 2;
    }
    bool good = open_check(argv, &check, &error) == DFAISS_OK;
    if (!good)
        fprintf(stderr, "tool_exact: %s\n", error.text);
    for (int64_t row = 0; good && row < check.ids.rows; row++)
        good = right_row(&check, row);
    close_check(&check);
    return good ? 0 : 1;
}
