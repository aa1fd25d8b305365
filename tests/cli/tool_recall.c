/* tool_recall R TRUTH FOUND [WANTED [SLACK]]: prints which share of the R true neighbours the first R found ones hold. The exit code is 1 where it is
 * more than SLACK (0 where none is given) below WANTED. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataset/id_file.h"

static bool holds(const int64_t *ids, int64_t n, int64_t id) {
    for (int64_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Counted here once more, so that a mistake in the program's own recall shows. */
static double recall(int64_t r, const id_matrix_t *truth, const id_matrix_t *found) {
    int64_t hits = 0;
    for (int64_t query = 0; query < truth->rows; query++)
        for (int64_t i = 0; i < r; i++)
            hits += holds(found->values + query * found->columns, r, truth->values[query * truth->columns + i]);
    return (double)hits / (double)(r * truth->rows);
}

int main(int argc, char **argv) {
    dfaiss_error_t error = {0};
    id_matrix_t truth = {0}, found = {0};
    if (argc < 4 || argc > 6) {
        fprintf(stderr, "usage: tool_recall R TRUTH FOUND [WANTED [SLACK]]\n");
        return 2;
    }
    if (id_matrix_read(argv[2], &truth, &error) != DFAISS_OK || id_matrix_read(argv[3], &found, &error) != DFAISS_OK) {
        fprintf(stderr, "tool_recall: %s\n", error.text);
        id_matrix_destroy(&truth);
        return 1;
    }
    int64_t r = atoll(argv[1]);
    double wanted = argc > 4 ? atof(argv[4]) : 0, slack = argc > 5 ? atof(argv[5]) : 0, result = -1;
    if (truth.rows == found.rows && r >= 1 && truth.columns >= r && found.columns >= r)
        result = recall(r, &truth, &found);
    printf("%.6f\n", result);
    id_matrix_destroy(&truth);
    id_matrix_destroy(&found);
    /* The sum of two decimal fractions is rarely exact. */
    return result + slack + 1e-9 >= wanted ? 0 : 1;
}
