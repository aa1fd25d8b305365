/* What a plain faiss program does, through faiss's C API alone.
 *
 * tool_index make FACTORY METRIC BASE FIRST COUNT IDS TO [TRAINED]: an index of rows FIRST to FIRST + COUNT - 1 of BASE, trained on these or taken
 * from the file TRAINED, written to TO. IDS rows: without ids; N: row i of them has id N + 3 * i. tool_index search METRIC QUERIES NPROBE K TO
 * FILE...: the best K of all files' answers to TO.ibin and TO.fbin; NPROBE 0: what the files say. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>

#include "dataset/dataset.h"

typedef struct vectors {
    float *values;
    int64_t rows, dim;
} vectors_t;

static bool read_all(const char *path, bool normalized, vectors_t *out) {
    dfaiss_error_t error = {0};
    dataset_t *from = NULL;
    if (dataset_open(&path, 1, NULL, &from, &error) != DFAISS_OK) {
        fprintf(stderr, "tool_index: %s\n", error.text);
        return false;
    }
    *out = (vectors_t){.rows = dataset_rows(from), .dim = dataset_dim(from)};
    size_t columns = (size_t)out->dim;
    out->values = malloc((size_t)out->rows * columns * sizeof *out->values);
    void *space = malloc(dataset_row_bytes(from));
    for (int64_t row = 0; out->values && space && row < out->rows; row++)
        element_widen(dataset_element(from), dataset_rows_at(from, row, 1, space), columns, out->values + (size_t)row * columns);
    if (out->values && normalized)
        element_normalize(out->values, out->rows, out->dim);
    free(space);
    dataset_close(from);
    return out->values != NULL;
}

/* ---- making ---- */

static int add_rows(FaissIndex *index, const char *ids, int64_t count, const float *x) {
    if (strcmp(ids, "rows") == 0)
        return faiss_Index_add(index, count, x);
    idx_t *own = malloc((size_t)count * sizeof *own);
    for (int64_t i = 0; own && i < count; i++)
        own[i] = atoll(ids) + 3 * i;
    int code = own ? faiss_Index_add_with_ids(index, count, x, own) : -1;
    free(own);
    return code;
}

static int make(int argc, char **argv) {
    vectors_t base;
    FaissIndex *index = NULL;
    if (!read_all(argv[4], strcmp(argv[3], "cosine") == 0, &base))
        return -1;
    int64_t first = atoll(argv[5]), count = atoll(argv[6]);
    const float *x = base.values + first * base.dim;
    FaissMetricType metric = strcmp(argv[3], "l2") == 0 ? METRIC_L2 : METRIC_INNER_PRODUCT;
    int code = argc > 9 ? faiss_read_index_fname(argv[9], 0, &index) : faiss_index_factory(&index, (int)base.dim, argv[2], metric);
    if (code == 0 && argc > 9)
        code = faiss_Index_reset(index);
    if (code == 0 && !faiss_Index_is_trained(index))
        code = faiss_Index_train(index, count, x);
    if (code == 0)
        code = add_rows(index, argv[7], count, x);
    if (code == 0)
        code = faiss_write_index_fname(index, argv[8]);
    faiss_Index_free(index);
    free(base.values);
    return code;
}

/* ---- searching ---- */

typedef struct answers {
    int64_t queries, k;
    float *scores;
    idx_t *ids;
} answers_t;

static bool make_answers(int64_t queries, int64_t k, answers_t *out) {
    size_t count = (size_t)(queries * k);
    *out = (answers_t){.queries = queries, .k = k, .scores = malloc(count * sizeof(float)), .ids = malloc(count * sizeof(idx_t))};
    for (size_t i = 0; out->ids && i < count; i++)
        out->ids[i] = -1;
    return out->scores && out->ids;
}

/* Better scores stand first, equal ones by id. */
static bool better(bool products, float score, idx_t id, float other, idx_t other_id) {
    if (other_id < 0 || score != other)
        return other_id < 0 || (products ? score > other : score < other);
    return id < other_id;
}

static void put(bool products, answers_t *into, int64_t query, float score, idx_t id) {
    float *scores = into->scores + query * into->k;
    idx_t *ids = into->ids + query * into->k;
    int64_t place = into->k;
    while (place > 0 && better(products, score, id, scores[place - 1], ids[place - 1]))
        place--;
    for (int64_t i = into->k - 1; i > place; i--) {
        scores[i] = scores[i - 1];
        ids[i] = ids[i - 1];
    }
    if (place < into->k) {
        scores[place] = score;
        ids[place] = id;
    }
}

static int set_effort(FaissIndex *index, const char *nprobe) {
    FaissParameterSpace *space = NULL;
    if (strcmp(nprobe, "0") == 0)
        return 0;
    int code = faiss_ParameterSpace_new(&space);
    if (code == 0)
        code = faiss_ParameterSpace_set_index_parameter(space, index, "nprobe", atof(nprobe));
    faiss_ParameterSpace_free(space);
    return code;
}

static int search_file(const char *path, bool products, const char *nprobe, const vectors_t *queries, answers_t *found, answers_t *best) {
    FaissIndex *index = NULL;
    int code = faiss_read_index_fname(path, 0, &index);
    if (code == 0)
        code = set_effort(index, nprobe);
    if (code == 0)
        code = faiss_Index_search(index, queries->rows, queries->values, found->k, found->scores, found->ids);
    for (int64_t i = 0; code == 0 && i < queries->rows * found->k; i++)
        if (found->ids[i] >= 0)
            put(products, best, i / found->k, found->scores[i], found->ids[i]);
    faiss_Index_free(index);
    return code;
}

static bool write_matrix(const char *to, const char *ending, const answers_t *answers, bool ids) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", to, ending);
    FILE *file = fopen(path, "wb");
    if (!file)
        return false;
    uint32_t counts[2] = {(uint32_t)answers->queries, (uint32_t)answers->k};
    fwrite(counts, sizeof counts, 1, file);
    for (int64_t i = 0; i < answers->queries * answers->k; i++) {
        int32_t id = (int32_t)answers->ids[i];
        float score = answers->ids[i] < 0 ? 0 : answers->scores[i];
        fwrite(ids ? (void *)&id : (void *)&score, 4, 1, file);
    }
    bool good = !ferror(file);
    return fclose(file) == 0 && good;
}

static int search(int argc, char **argv) {
    vectors_t queries;
    answers_t found, best;
    int64_t k = atoll(argv[5]);
    bool products = strcmp(argv[2], "l2") != 0;
    if (!read_all(argv[3], strcmp(argv[2], "cosine") == 0, &queries))
        return -1;
    int code = make_answers(queries.rows, k, &found) && make_answers(queries.rows, k, &best) ? 0 : -1;
    for (int i = 7; code == 0 && i < argc; i++)
        code = search_file(argv[i], products, argv[4], &queries, &found, &best);
    if (code == 0)
        code = write_matrix(argv[6], "ibin", &best, true) && write_matrix(argv[6], "fbin", &best, false) ? 0 : -1;
    free(found.scores);
    free(found.ids);
    free(best.scores);
    free(best.ids);
    free(queries.values);
    return code;
}

int main(int argc, char **argv) {
    bool makes = (argc == 9 || argc == 10) && strcmp(argv[1], "make") == 0, searches = argc >= 8 && strcmp(argv[1], "search") == 0;
    if (!makes && !searches) {
        fprintf(stderr, "usage: tool_index make FACTORY METRIC BASE FIRST COUNT IDS TO [TRAINED] | search METRIC QUERIES NPROBE K TO FILE...\n");
        return 2;
    }
    int code = makes ? make(argc, argv) : search(argc, argv);
    if (code != 0)
        fprintf(stderr, "tool_index: failed with code %d: %s\n", code, faiss_get_last_error() ? faiss_get_last_error() : "");
    return code == 0 ? 0 : 1;
}
