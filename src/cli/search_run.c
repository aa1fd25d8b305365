#include "cli/search_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/job.h"
#include "cli/progress.h"
#include "cli/search_input.h"

/* Queries of one request where nobody says how many: the servers cut it into tiles anyway, and its answer should not be unbounded. */
enum { REQUEST_QUERIES = 16384 };

typedef struct searching {
    program_t *program;
    const search_options_t *options;
    search_input_t input;
    search_result_t *result;
    int32_t *servers; /* of each answer, int32_t[nq][k], and its row there: where its metadata is */
    int64_t *rows;
    float *queries; /* of one request */
} searching_t;

static void free_searching(searching_t *searching) {
    free(searching->servers);
    free(searching->rows);
    free(searching->queries);
    search_input_close(&searching->input);
}

static int64_t request_queries(const searching_t *searching) {
    int64_t asked = searching->options->batch, rows = dataset_rows(searching->input.queries);
    asked = asked ? asked : REQUEST_QUERIES;
    return asked < rows ? asked : rows;
}

static dfaiss_status_t allocate(searching_t *searching, dfaiss_error_t *err) {
    search_answers_t *answers = &searching->result->answers;
    int64_t nq = dataset_rows(searching->input.queries), k = searching->options->k;
    size_t hits, bytes;
    if (!size_multiply((size_t)nq, (size_t)k, &hits) || !size_multiply(hits, 64, &bytes))
        return error_set(err, DFAISS_ERR_ARG, "-k", "%lld queries with k %lld: the answers do not fit into memory", (long long)nq, (long long)k);
    answers->nq = nq;
    answers->k = k;
    answers->ids = malloc(hits * sizeof *answers->ids);
    answers->scores = malloc(hits * sizeof *answers->scores);
    searching->servers = malloc(hits * sizeof *searching->servers);
    searching->rows = malloc(hits * sizeof *searching->rows);
    searching->queries = malloc((size_t)request_queries(searching) * (size_t)dataset_dim(searching->input.queries) * sizeof *searching->queries);
    if (!answers->ids || !answers->scores || !searching->servers || !searching->rows || !searching->queries)
        return error_memory(err, hits * 24, "the answers");
    return DFAISS_OK;
}

static dfaiss_status_t read_queries(searching_t *searching, int64_t first, int64_t n, dfaiss_error_t *err) {
    const dataset_t *queries = searching->input.queries;
    void *space = malloc((size_t)n * dataset_row_bytes(queries));
    if (!space)
        return error_memory(err, (size_t)n * dataset_row_bytes(queries), "queries");
    const void *rows = dataset_rows_at(queries, first, n, space);
    element_widen(dataset_element(queries), rows, (size_t)n * (size_t)dataset_dim(queries), searching->queries);
    free(space);
    return DFAISS_OK;
}

static void keep_answers(searching_t *searching, int64_t first, int64_t n, void *block) {
    search_answers_t *answers = &searching->result->answers;
    topk_t found = topk_view(block, n, answers->k);
    size_t to = (size_t)(first * answers->k), hits = (size_t)(n * answers->k);
    memcpy(answers->ids + to, found.ids, hits * sizeof *found.ids);
    memcpy(answers->scores + to, found.scores, hits * sizeof *found.scores);
    memcpy(searching->servers + to, found.servers, hits * sizeof *found.servers);
    memcpy(searching->rows + to, found.rows, hits * sizeof *found.rows);
}

/* A value that is not finite is named with its place in the file, which only this side knows. */
static dfaiss_status_t check_finite(const searching_t *searching, int64_t first, int64_t n, dfaiss_error_t *err) {
    size_t dim = (size_t)dataset_dim(searching->input.queries);
    size_t bad = element_first_not_finite(ELEMENT_f32, searching->queries, (size_t)n * dim);
    if (bad == (size_t)n * dim)
        return DFAISS_OK;
    char where[256];
    dataset_describe_row(searching->input.queries, first + (int64_t)(bad / dim), where, sizeof where);
    return error_set(err, DFAISS_ERR_DATA, where, "%s: component %zu is NaN or infinite", where, bad % dim);
}

static dfaiss_status_t search_rows(searching_t *searching, client_t *client, int64_t first, int64_t n, dfaiss_error_t *err) {
    void *block;
    size_t block_size;
    TRY(read_queries(searching, first, n, err));
    TRY(check_finite(searching, first, n, err));
    double begin = clock_seconds();
    TRY(client_search(client, searching->options->index, n, dataset_dim(searching->input.queries), searching->queries, searching->options->k,
                      searching->options->nprobe, &block, &block_size, err));
    searching->result->seconds += clock_seconds() - begin;
    keep_answers(searching, first, n, block);
    memory_unmap(block, block_size);
    return DFAISS_OK;
}

static dfaiss_status_t search_all(searching_t *searching, client_t *client, progress_t *progress, dfaiss_error_t *err) {
    int64_t rows = dataset_rows(searching->input.queries), each = request_queries(searching);
    progress_update(progress, "search", 0);
    for (int64_t first = 0; first < rows; first += each) {
        int64_t n = rows - first < each ? rows - first : each;
        TRY(search_rows(searching, client, first, n, err));
        progress_update(progress, "search", (double)(first + n) / (double)rows);
    }
    return DFAISS_OK;
}

static dfaiss_status_t fetch_metadata(searching_t *searching, client_t *client, dfaiss_error_t *err) {
    search_answers_t *answers = &searching->result->answers;
    int64_t hits = answers->nq * answers->k;
    answers->metadata_ends = malloc((size_t)hits * sizeof *answers->metadata_ends);
    if (!answers->metadata_ends)
        return error_memory(err, (size_t)hits * sizeof *answers->metadata_ends, "metadata");
    return client_fetch(client, searching->options->index, hits, searching->servers, searching->rows, answers->ids, &answers->metadata,
                        answers->metadata_ends, err);
}

static dfaiss_status_t search(searching_t *searching, client_t *client, dfaiss_error_t *err) {
    client_index_t index;
    TRY(allocate(searching, err));
    progress_t *progress = progress_begin(searching->program);
    progress_update(progress, "load", PROGRESS_UNKNOWN);
    dfaiss_status_t status = client_load_index(client, searching->options->index, &index, err);
    if (status == DFAISS_OK) {
        client_index_clear(&index);
        status = search_all(searching, client, progress, err);
    }
    if (status == DFAISS_OK && searching->options->output && searching->options->form == SEARCH_OUTPUT_JSONL)
        status = fetch_metadata(searching, client, err);
    progress_end(progress);
    searching->result->servers = client_servers(client);
    searching->result->nprobe = searching->options->nprobe ? searching->options->nprobe : searching->input.index.config->nprobe;
    return status;
}

static dfaiss_status_t search_as_client(client_t *client, void *context, dfaiss_error_t *err) {
    searching_t *searching = context;
    TRY(search_input_open(searching->options, &searching->input, err));
    dfaiss_status_t status = search(searching, client, err);
    free_searching(searching);
    return status;
}

dfaiss_status_t search_run(program_t *program, const search_options_t *options, search_result_t *result, dfaiss_error_t *err) {
    search_result_t made = {0};
    searching_t searching = {.program = program, .options = options, .result = &made};
    job_options_t job = {.storage = options->storage, .servers = options->servers, .threads = options->threads, .timeout = options->timeout};
    dfaiss_status_t status = job_run(program, &job, search_as_client, &searching, err);
    if (status != DFAISS_OK) {
        search_answers_clear(&made.answers);
        return status;
    }
    *result = made;
    return DFAISS_OK;
}
