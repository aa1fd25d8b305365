#include "cli/search_run.h"

#include <stdlib.h>
#include <string.h>

#include <dfaiss/dfaiss.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/connected.h"
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
    bool wants_metadata;
    bytes_writer_t metadata; /* of the answers so far */
    float *queries;          /* of one request */
} searching_t;

static void free_searching(searching_t *searching) {
    bytes_writer_destroy(&searching->metadata);
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
    answers->metadata_ends = searching->wants_metadata ? malloc(hits * sizeof *answers->metadata_ends) : NULL;
    searching->queries = malloc((size_t)request_queries(searching) * (size_t)dataset_dim(searching->input.queries) * sizeof *searching->queries);
    if (!answers->ids || !answers->scores || !searching->queries || (searching->wants_metadata && !answers->metadata_ends))
        return error_memory(err, hits * 24, "the answers");
    return DFAISS_OK;
}

static void keep_metadata(searching_t *searching, int64_t first, const dfaiss_result_t *found) {
    int64_t k = searching->options->k;
    for (int64_t i = 0; i < dfaiss_result_queries(found) * k; i++) {
        size_t size = 0;
        const void *metadata = dfaiss_result_metadata(found, i / k, i % k, &size);
        bytes_put(&searching->metadata, metadata, size);
        searching->result->answers.metadata_ends[first * k + i] = searching->metadata.size;
    }
}

static dfaiss_status_t keep_answers(searching_t *searching, int64_t first, const dfaiss_result_t *found, dfaiss_error_t *err) {
    search_answers_t *answers = &searching->result->answers;
    size_t to = (size_t)(first * answers->k), hits = (size_t)(dfaiss_result_queries(found) * answers->k);
    memcpy(answers->ids + to, dfaiss_result_ids(found), hits * sizeof *answers->ids);
    memcpy(answers->scores + to, dfaiss_result_scores(found), hits * sizeof *answers->scores);
    if (searching->wants_metadata)
        keep_metadata(searching, first, found);
    return searching->metadata.failed ? error_memory(err, searching->metadata.size, "the metadata of answers") : DFAISS_OK;
}

static dfaiss_status_t search_rows(searching_t *searching, dfaiss_client_t *client, int64_t first, int64_t n, dfaiss_error_t *err) {
    const search_options_t *options = searching->options;
    dfaiss_search_options_t wanted = {.nprobe = options->nprobe, .filter = options->filter, .metadata = searching->wants_metadata};
    dfaiss_result_t *found = NULL;
    TRY(search_input_read(&searching->input, first, n, searching->queries, err));
    double begin = clock_seconds();
    TRY(dfaiss_search(client, 1, &options->index, n, dataset_dim(searching->input.queries), searching->queries, options->k, &wanted, &found, err));
    searching->result->seconds += clock_seconds() - begin;
    dfaiss_status_t status = keep_answers(searching, first, found, err);
    dfaiss_result_destroy(found);
    return status;
}

static dfaiss_status_t search_all(searching_t *searching, dfaiss_client_t *client, progress_t *progress, dfaiss_error_t *err) {
    int64_t rows = dataset_rows(searching->input.queries), each = request_queries(searching);
    progress_update(progress, "search", 0);
    for (int64_t first = 0; first < rows; first += each) {
        int64_t n = rows - first < each ? rows - first : each;
        TRY(search_rows(searching, client, first, n, err));
        progress_update(progress, "search", (double)(first + n) / (double)rows);
    }
    return DFAISS_OK;
}

static dfaiss_status_t search(searching_t *searching, dfaiss_client_t *client, dfaiss_error_t *err) {
    TRY(allocate(searching, err));
    progress_t *progress = progress_begin(searching->program);
    dfaiss_status_t status = DFAISS_OK;
    if (!searching->options->connect) {
        progress_update(progress, "load", PROGRESS_UNKNOWN);
        status = job_load_index(client, searching->options->index, err);
    }
    if (status == DFAISS_OK)
        status = search_all(searching, client, progress, err);
    progress_end(progress);
    searching->result->answers.metadata = searching->metadata.data;
    searching->metadata = (bytes_writer_t){0};
    searching->result->servers = dfaiss_client_servers(client);
    searching->result->nprobe = searching->options->nprobe ? searching->options->nprobe : searching->input.index.config->nprobe;
    return status;
}

static dfaiss_status_t search_as_client(dfaiss_client_t *client, void *context, dfaiss_error_t *err) {
    searching_t *searching = context;
    const search_options_t *options = searching->options;
    saved_index_t index = {0};
    if (options->connect)
        TRY(connected_index(client, options->index, &index, err));
    TRY(options->connect ? search_input_open_for(options, &index, &searching->input, err) : search_input_open(options, &searching->input, err));
    dfaiss_status_t status = search(searching, client, err);
    free_searching(searching);
    return status;
}

dfaiss_status_t search_run(program_t *program, const search_options_t *options, search_result_t *result, dfaiss_error_t *err) {
    search_result_t made = {0};
    searching_t searching = {.program = program, .options = options, .result = &made};
    searching.wants_metadata = options->output && options->form == SEARCH_OUTPUT_JSONL;
    job_options_t job = {.storage = options->storage,
                         .roles = {.servers = options->servers, .per_node = options->servers_per_node},
                         .threads = options->threads,
                         .timeout = options->timeout};
    dfaiss_status_t status = options->connect ? connected_run(program, options->connect, options->timeout, search_as_client, &searching, err)
                                              : job_run(program, &job, search_as_client, &searching, err);
    if (status != DFAISS_OK) {
        search_answers_clear(&made.answers);
        return status;
    }
    *result = made;
    return DFAISS_OK;
}
