/* tool_plain FACTORY METRIC BASE QUERIES SAMPLE NPROBE K TO [EFCONSTRUCTION]: one undivided faiss index in one process, as a measure for the same
 * index on several servers. It is trained on SAMPLE rows drawn at random, NPROBE is efSearch where the index is a graph (0: faiss's default), and the
 * K ids found for each query are written to TO (.ibin). */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>

#include "base/random.h"
#include "dataset/dataset.h"

/* The configuration's default: the same rows are drawn as dfaiss draws, so that what differs is not chance. */
enum { SEED = 0 };

/* All rows of a file as float[rows][dim]; NULL on failure. */
static float *read_all(const char *path, bool normalized, int64_t *rows, int64_t *dim) {
    dfaiss_error_t error = {0};
    dataset_t *from = NULL;
    if (dataset_open(&path, 1, NULL, &from, &error) != DFAISS_OK) {
        fprintf(stderr, "tool_plain: %s\n", error.text);
        return NULL;
    }
    *rows = dataset_rows(from);
    *dim = dataset_dim(from);
    size_t columns = (size_t)*dim;
    float *vectors = malloc((size_t)*rows * columns * sizeof *vectors);
    void *space = malloc(dataset_row_bytes(from));
    for (int64_t row = 0; vectors && space && row < *rows; row++)
        element_widen(dataset_element(from), dataset_rows_at(from, row, 1, space), columns, vectors + (size_t)row * columns);
    if (vectors && normalized)
        element_normalize(vectors, *rows, *dim);
    free(space);
    dataset_close(from);
    return vectors;
}

static int set_parameter(FaissIndex *index, const char *name, const char *value) {
    FaissParameterSpace *space = NULL;
    int code = faiss_ParameterSpace_new(&space);
    if (code == 0)
        code = faiss_ParameterSpace_set_index_parameter(space, index, name, atof(value));
    faiss_ParameterSpace_free(space);
    return code;
}

static int train(FaissIndex *index, int64_t dim, int64_t rows, const float *base, int64_t sample) {
    random_state_t random = random_stream(SEED, 0);
    int64_t *chosen = malloc((size_t)sample * sizeof *chosen);
    float *vectors = malloc((size_t)(sample * dim) * sizeof *vectors);
    int code = -1;
    if (chosen && vectors) {
        random_sample(&random, rows, sample, chosen);
        for (int64_t i = 0; i < sample; i++)
            memcpy(vectors + i * dim, base + chosen[i] * dim, (size_t)dim * sizeof *vectors);
        code = faiss_Index_train(index, sample, vectors);
    }
    free(chosen);
    free(vectors);
    return code;
}

static bool write_ids(const char *path, int64_t rows, int64_t k, const idx_t *ids) {
    FILE *to = fopen(path, "wb");
    if (!to)
        return false;
    uint32_t counts[2] = {(uint32_t)rows, (uint32_t)k};
    fwrite(counts, sizeof counts, 1, to);
    for (int64_t i = 0; i < rows * k; i++) {
        int32_t id = (int32_t)ids[i];
        fwrite(&id, sizeof id, 1, to);
    }
    bool good = !ferror(to);
    return fclose(to) == 0 && good;
}

static int make_index(int argc, char **argv, int64_t dim, FaissIndex **index) {
    FaissMetricType metric = strcmp(argv[2], "l2") == 0 ? METRIC_L2 : METRIC_INNER_PRODUCT;
    int code = faiss_index_factory(index, (int)dim, argv[1], metric);
    bool graph = strncmp(argv[1], "HNSW", 4) == 0;
    if (code == 0 && strcmp(argv[6], "0") != 0)
        code = set_parameter(*index, graph ? "efSearch" : "nprobe", argv[6]);
    if (code == 0 && argc > 9)
        code = set_parameter(*index, "efConstruction", argv[9]);
    return code;
}

/* Builds, searches and writes; returns faiss's code, or -1. */
static int run(int argc, char **argv, int64_t dim, int64_t rows, const float *base, int64_t nq, const float *queries) {
    FaissIndex *index = NULL;
    int64_t k = atoll(argv[7]), sample = atoll(argv[5]);
    float *scores = malloc((size_t)(nq * k) * sizeof *scores);
    idx_t *ids = malloc((size_t)(nq * k) * sizeof *ids);
    int code = scores && ids ? make_index(argc, argv, dim, &index) : -1;
    if (code == 0 && !faiss_Index_is_trained(index))
        code = train(index, dim, rows, base, sample < rows ? sample : rows);
    if (code == 0)
        code = faiss_Index_add(index, rows, base);
    if (code == 0)
        code = faiss_Index_search(index, nq, queries, k, scores, ids);
    if (code == 0)
        code = write_ids(argv[8], nq, k, ids) ? 0 : -1;
    faiss_Index_free(index);
    free(scores);
    free(ids);
    return code;
}

int main(int argc, char **argv) {
    if (argc != 9 && argc != 10) {
        fprintf(stderr, "usage: tool_plain FACTORY METRIC BASE QUERIES SAMPLE NPROBE K TO [EFCONSTRUCTION]\n");
        return 2;
    }
    bool normalized = strcmp(argv[2], "cosine") == 0;
    int64_t rows, dim, nq, query_dim;
    float *base = read_all(argv[3], normalized, &rows, &dim), *queries = read_all(argv[4], normalized, &nq, &query_dim);
    int code = base && queries && dim == query_dim ? run(argc, argv, dim, rows, base, nq, queries) : -1;
    if (code != 0)
        fprintf(stderr, "tool_plain: failed with code %d: %s\n", code, faiss_get_last_error() ? faiss_get_last_error() : "");
    free(base);
    free(queries);
    return code == 0 ? 0 : 1;
}
