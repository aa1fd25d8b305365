#include "dataset/generate.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/team.h"
#include "dataset/file_layout.h"
#include "dataset/synthetic.h"
#include "dataset/vector_writer.h"
#include "engine/engine.h"

/* Base rows pass in blocks: made, written, and searched before the next. */
enum { BLOCK_BYTES = 16 << 20, BLOCK_ROWS_MIN = 256, TASK_ROWS = 256, CLUSTERS_MAX = 1 << 24, K_MAX = 65536 };

typedef struct generation {
    const generate_options_t *options;
    generate_progress_t *progress;
    void *context;
    char truth_path[PATH_MAX];
    vector_writer_t *base, *query, *truth;
    synthetic_t *synthetic;
    team_t *team;
    size_t row_bytes;
    int64_t block_rows;
    uint8_t *rows;   /* [block_rows][dim] of the element type */
    float *vectors;  /* [block_rows][dim]: the same rows as they are searched */
    float *queries;  /* [queries][dim], likewise */
    float *scores;   /* [queries][k] */
    int64_t *ids;    /* [queries][k] */
    int32_t *narrow; /* [k]: one row of ids as it is written */
} generation_t;

static void destroy(generation_t *generation) {
    vector_writer_abort(generation->base);
    vector_writer_abort(generation->query);
    vector_writer_abort(generation->truth);
    synthetic_destroy(generation->synthetic);
    team_destroy(generation->team);
    free(generation->rows);
    free(generation->vectors);
    free(generation->queries);
    free(generation->scores);
    free(generation->ids);
    free(generation->narrow);
}

static dfaiss_status_t check_range(const char *name, int64_t value, int64_t low, int64_t high, dfaiss_error_t *err) {
    if (value >= low && value <= high)
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_ARG, name, "%s is %lld; %lld to %lld is accepted", name, (long long)value, (long long)low, (long long)high);
}

static dfaiss_status_t check_options(const generate_options_t *options, dfaiss_error_t *err) {
    /* Ids are written in 32 bits. */
    TRY(check_range("rows", options->rows, 1, INT32_MAX, err));
    TRY(check_range("dim", options->dim, 1, DATASET_DIM_MAX, err));
    TRY(check_range("queries", options->queries, 1, INT32_MAX, err));
    TRY(check_range("clusters", options->clusters, 0, CLUSTERS_MAX, err));
    TRY(check_range("k", options->k, 1, K_MAX, err));
    TRY(check_range("threads", options->threads, 1, INT_MAX, err));
    if (element_size(options->element) == 0)
        return error_set(err, DFAISS_ERR_ARG, "element", "the element type must be one of f32, f16, u8, i8");
    return DFAISS_OK;
}

/* Room for rows x columns items; NULL, and the error is filled in, where that is too much. */
static void *allocate(int64_t rows, int64_t columns, size_t item, const char *what, dfaiss_error_t *err) {
    size_t bytes;
    if (!size_multiply((size_t)rows, (size_t)columns, &bytes) || !size_multiply(bytes, item, &bytes))
        bytes = SIZE_MAX;
    void *room = bytes < SIZE_MAX ? malloc(bytes) : NULL;
    if (!room)
        (void)error_memory(err, bytes, what);
    return room;
}

static dfaiss_status_t allocate_all(generation_t *generation, dfaiss_error_t *err) {
    const generate_options_t *options = generation->options;
    int64_t block_rows = BLOCK_BYTES / (options->dim * (int64_t)sizeof(float));
    generation->block_rows = block_rows < BLOCK_ROWS_MIN ? BLOCK_ROWS_MIN : block_rows;
    generation->row_bytes = (size_t)options->dim * element_size(options->element);
    generation->rows = allocate(generation->block_rows, (int64_t)generation->row_bytes, 1, "a block of rows", err);
    generation->vectors = allocate(generation->block_rows, options->dim, sizeof(float), "a block of rows", err);
    generation->queries = allocate(options->queries, options->dim, sizeof(float), "the queries", err);
    generation->scores = allocate(options->queries, options->k, sizeof(float), "the neighbours", err);
    generation->ids = allocate(options->queries, options->k, sizeof(int64_t), "the neighbours", err);
    generation->narrow = allocate(1, options->k, sizeof(int32_t), "the neighbours", err);
    bool all = generation->rows && generation->vectors && generation->queries && generation->scores && generation->ids && generation->narrow;
    return all ? DFAISS_OK : DFAISS_ERR_MEMORY;
}

static dfaiss_status_t open_file(const generation_t *generation, const char *stem, int64_t rows, vector_writer_t **out, dfaiss_error_t *err) {
    const generate_options_t *options = generation->options;
    static const char *const endings[ELEMENT_COUNT] = {
        [ELEMENT_f32] = "fbin", [ELEMENT_f16] = "f16bin", [ELEMENT_u8] = "u8bin", [ELEMENT_i8] = "i8bin"};
    char name[32], path[PATH_MAX];
    snprintf(name, sizeof name, "%s.%s", stem, endings[options->element]);
    TRY(file_join(path, sizeof path, options->directory, name, err));
    return vector_writer_create(path, rows, options->dim, element_size(options->element), out, err);
}

static dfaiss_status_t open_all(generation_t *generation, dfaiss_error_t *err) {
    const generate_options_t *options = generation->options;
    int64_t clusters = options->clusters > 0 ? options->clusters : (int64_t)sqrt((double)options->rows);
    TRY(synthetic_create(options->seed, options->dim, clusters, options->element, &generation->synthetic, err));
    TRY(team_create(options->threads, &generation->team, err));
    TRY(file_make_directories(options->directory, err));
    TRY(open_file(generation, "base", options->rows, &generation->base, err));
    TRY(open_file(generation, "query", options->queries, &generation->query, err));
    TRY(file_join(generation->truth_path, sizeof generation->truth_path, options->directory, "groundtruth.ibin", err));
    return vector_writer_create(generation->truth_path, options->queries, options->k, sizeof(int32_t), &generation->truth, err);
}

/* A block of rows that the team makes: first row and number of rows of a part, and where their widened form goes. */
typedef struct block {
    const generation_t *generation;
    synthetic_part_t part;
    int64_t first;
    int64_t n;
    float *vectors;
} block_t;

/* What is searched: fp32, normalised for cosine. Distances stay the same when both sides move, and around 0 more of the integers' sums are exact. */
static void prepare_vectors(const generate_options_t *options, const uint8_t *rows, int64_t n, float *vectors) {
    int64_t count = n * options->dim;
    element_widen(options->element, rows, (size_t)count, vectors);
    if (options->metric == CONFIG_METRIC_cosine)
        element_normalize(vectors, n, options->dim);
    if (options->metric == CONFIG_METRIC_l2 && options->element == ELEMENT_u8) {
        for (int64_t i = 0; i < count; i++)
            vectors[i] -= 128;
    }
}

static void make_task(void *context, int64_t task, int thread) {
    (void)thread;
    const block_t *block = context;
    const generation_t *generation = block->generation;
    const generate_options_t *options = generation->options;
    int64_t begin = task * TASK_ROWS;
    int64_t n = block->n - begin < TASK_ROWS ? block->n - begin : TASK_ROWS;
    uint8_t *rows = generation->rows + (size_t)begin * generation->row_bytes;
    synthetic_rows(generation->synthetic, block->part, block->first + begin, n, rows);
    prepare_vectors(options, rows, n, block->vectors + begin * options->dim);
}

static void make_block(block_t *block) {
    team_run(block->generation->team, (block->n + TASK_ROWS - 1) / TASK_ROWS, make_task, block);
}

static void report(const generation_t *generation, const char *step, int64_t done, int64_t all) {
    if (generation->progress)
        generation->progress(generation->context, step, (double)done / (double)all);
}

static int64_t rows_of_block(const generation_t *generation, int64_t left) {
    return left < generation->block_rows ? left : generation->block_rows;
}

static dfaiss_status_t make_queries(const generation_t *generation, dfaiss_error_t *err) {
    const generate_options_t *options = generation->options;
    for (int64_t first = 0, n = 0; first < options->queries; first += n) {
        n = rows_of_block(generation, options->queries - first);
        block_t block = {.generation = generation, .part = SYNTHETIC_QUERIES, .first = first, .n = n};
        block.vectors = generation->queries + first * options->dim;
        make_block(&block);
        TRY(vector_writer_append(generation->query, generation->rows, n, err));
        report(generation, "queries", first + n, options->queries);
    }
    for (int64_t i = 0; i < options->queries * options->k; i++)
        generation->ids[i] = -1;
    return DFAISS_OK;
}

static dfaiss_status_t make_base(const generation_t *generation, dfaiss_error_t *err) {
    const generate_options_t *options = generation->options;
    for (int64_t first = 0, n = 0; first < options->rows; first += n) {
        n = rows_of_block(generation, options->rows - first);
        block_t block = {.generation = generation, .part = SYNTHETIC_BASE, .first = first, .n = n, .vectors = generation->vectors};
        make_block(&block);
        TRY(vector_writer_append(generation->base, generation->rows, n, err));
        TRY(engine_exact_merge(options->metric, options->dim, options->queries, generation->queries, n, generation->vectors, first, options->k,
                               generation->scores, generation->ids, generation->team, err));
        report(generation, "vectors", first + n, options->rows);
    }
    return DFAISS_OK;
}

static dfaiss_status_t write_truth(const generation_t *generation, dfaiss_error_t *err) {
    const generate_options_t *options = generation->options;
    for (int64_t query = 0; query < options->queries; query++) {
        for (int64_t i = 0; i < options->k; i++)
            generation->narrow[i] = (int32_t)generation->ids[query * options->k + i];
        TRY(vector_writer_append(generation->truth, generation->narrow, 1, err));
    }
    return DFAISS_OK;
}

static dfaiss_status_t finish_file(vector_writer_t **writer, dfaiss_error_t *err) {
    vector_writer_t *finished = *writer;
    *writer = NULL; /* freed in any case */
    return vector_writer_finish(finished, err);
}

/* The ground truth comes last, and an older one goes first: whatever happens, none stands beside vectors that it is not made from. */
static dfaiss_status_t finish_all(generation_t *generation, dfaiss_error_t *err) {
    if (unlink(generation->truth_path) != 0 && errno != ENOENT)
        return error_system(err, "replace", generation->truth_path, errno);
    TRY(finish_file(&generation->base, err));
    TRY(finish_file(&generation->query, err));
    return finish_file(&generation->truth, err);
}

static dfaiss_status_t generate(generation_t *generation, dfaiss_error_t *err) {
    TRY(allocate_all(generation, err));
    TRY(open_all(generation, err));
    TRY(make_queries(generation, err));
    TRY(make_base(generation, err));
    TRY(write_truth(generation, err));
    return finish_all(generation, err);
}

dfaiss_status_t dataset_generate(const generate_options_t *options, generate_progress_t *progress, void *context, dfaiss_error_t *err) {
    TRY(check_options(options, err));
    generation_t generation = {.options = options, .progress = progress, .context = context};
    dfaiss_status_t status = generate(&generation, err);
    destroy(&generation);
    return status;
}
