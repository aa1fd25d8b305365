/* bench_faiss: one undivided faiss index in one process, searched by faiss itself with OpenMP. What a user has who needs no dfaiss. */
#include <omp.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "measure.h"
#include "plain_faiss.h"

typedef struct undivided {
    const bench_options_t *options;
    FaissIndex *index;
    float *distances; /* [capacity][k] */
    int64_t capacity;
} undivided_t;

static dfaiss_status_t search(void *context, int64_t nq, const float *queries, int64_t *ids, dfaiss_error_t *err) {
    undivided_t *undivided = context;
    int64_t k = undivided->options->k;
    if (nq > undivided->capacity) {
        float *grown = realloc(undivided->distances, (size_t)(nq * k) * sizeof *grown);
        if (!grown)
            return error_memory(err, (size_t)(nq * k) * sizeof *grown, "distances");
        undivided->distances = grown;
        undivided->capacity = nq;
    }
    return plain_faiss_check(faiss_Index_search(undivided->index, nq, queries, k, undivided->distances, ids), "searching", err);
}

static dfaiss_status_t add_all(FaissIndex *index, const dataset_t *dataset, dfaiss_error_t *err) {
    int64_t rows = dataset_rows(dataset);
    size_t bytes = (size_t)BENCH_ADD_ROWS * (size_t)dataset_dim(dataset) * sizeof(float);
    float *space = malloc(bytes);
    if (!space)
        return error_memory(err, bytes, "vectors");
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t first = 0; status == DFAISS_OK && first < rows; first += BENCH_ADD_ROWS) {
        int64_t n = rows - first < BENCH_ADD_ROWS ? rows - first : BENCH_ADD_ROWS;
        status = plain_faiss_check(faiss_Index_add(index, n, dataset_rows_at(dataset, first, n, space)), "adding", err);
    }
    free(space);
    return status;
}

static dfaiss_status_t build(undivided_t *undivided, const dataset_t *dataset, measure_built_t *built, dfaiss_error_t *err) {
    TRY(plain_faiss_train(undivided->options, dataset, &undivided->index, &built->train_seconds, err));
    double begun = clock_seconds();
    TRY(add_all(undivided->index, dataset, err));
    built->ingest_seconds = clock_seconds() - begun;
    built->vectors = dataset_rows(dataset);
    return plain_faiss_set_effort(undivided->options, undivided->index, err);
}

static dfaiss_status_t run(const bench_options_t *options, undivided_t *undivided, dfaiss_error_t *err) {
    dataset_t *dataset;
    measure_built_t built = {0};
    TRY(bench_open(options->data, &dataset, err));
    dfaiss_status_t status = build(undivided, dataset, &built, err);
    dataset_close(dataset);
    TRY(status);
    built.rss_bytes = built.rss_servers = memory_resident();
    return measure_serve(options, &built, search, undivided, err);
}

int main(int argc, char **argv) {
    bench_options_t options;
    dfaiss_error_t err = {0};
    undivided_t undivided = {.options = &options};
    dfaiss_status_t status = bench_options_parse(argc, argv, &options, &err);
    if (status == DFAISS_OK) {
        omp_set_num_threads((int)options.threads);
        status = run(&options, &undivided, &err);
    }
    if (undivided.index)
        faiss_Index_free(undivided.index);
    free(undivided.distances);
    return bench_exit("bench_faiss", status, &err);
}
