#include "cli/search_input.h"

#include <stdlib.h>

static dfaiss_status_t open_queries(const search_options_t *options, search_input_t *input, dfaiss_error_t *err) {
    TRY(dataset_open(&options->queries, 1, options->raw.given ? &options->raw.raw : NULL, &input->queries, err));
    int64_t dim = dataset_dim(input->queries);
    if (dim != input->index.config->dim)
        return error_set(err, DFAISS_ERR_DATA, options->queries, "%s has vectors of dimension %lld; the index %s has dimension %lld",
                         options->queries, (long long)dim, options->index, (long long)input->index.config->dim);
    return DFAISS_OK;
}

static dfaiss_status_t open_truth(const search_options_t *options, search_input_t *input, dfaiss_error_t *err) {
    int64_t queries = dataset_rows(input->queries);
    if (!options->groundtruth)
        return DFAISS_OK;
    TRY(id_matrix_read(options->groundtruth, &input->truth, err));
    if (input->truth.rows != queries)
        return error_set(err, DFAISS_ERR_DATA, options->groundtruth, "%s has the neighbours of %lld queries; %s has %lld", options->groundtruth,
                         (long long)input->truth.rows, options->queries, (long long)queries);
    return DFAISS_OK;
}

static dfaiss_status_t open_all(const search_options_t *options, search_input_t *input, dfaiss_error_t *err) {
    TRY(open_queries(options, input, err));
    TRY(open_truth(options, input, err));
    if (options->filter)
        TRY(saved_index_check_filter(&input->index, options->index, options->filter, err));
    if (options->output)
        return search_output_check(options->output, err);
    return DFAISS_OK;
}

dfaiss_status_t search_input_open(const search_options_t *options, search_input_t *input, dfaiss_error_t *err) {
    saved_index_t index = {0};
    TRY(saved_index_read(options->storage, options->index, &index, err));
    return search_input_open_for(options, &index, input, err);
}

dfaiss_status_t search_input_open_for(const search_options_t *options, saved_index_t *index, search_input_t *input, dfaiss_error_t *err) {
    search_input_t opened = {.index = *index};
    *index = (saved_index_t){0};
    dfaiss_status_t status = open_all(options, &opened, err);
    if (status != DFAISS_OK)
        search_input_close(&opened);
    else
        *input = opened;
    return status;
}

void search_input_close(search_input_t *input) {
    saved_index_clear(&input->index);
    dataset_close(input->queries);
    id_matrix_destroy(&input->truth);
    *input = (search_input_t){0};
}

/* Servers would refuse a value that is not finite; its place in the file is known only here. */
static dfaiss_status_t check_finite(const dataset_t *queries, int64_t first, int64_t n, const float *values, dfaiss_error_t *err) {
    size_t dim = (size_t)dataset_dim(queries), bad = element_first_not_finite(ELEMENT_f32, values, (size_t)n * dim);
    if (bad == (size_t)n * dim)
        return DFAISS_OK;
    char where[256];
    dataset_describe_row(queries, first + (int64_t)(bad / dim), where, sizeof where);
    return error_set(err, DFAISS_ERR_DATA, where, "%s: component %zu is NaN or infinite", where, bad % dim);
}

dfaiss_status_t search_input_read(const search_input_t *input, int64_t first, int64_t n, float *out, dfaiss_error_t *err) {
    const dataset_t *queries = input->queries;
    void *space = malloc((size_t)n * dataset_row_bytes(queries));
    if (!space)
        return error_memory(err, (size_t)n * dataset_row_bytes(queries), "queries");
    const void *rows = dataset_rows_at(queries, first, n, space);
    element_widen(dataset_element(queries), rows, (size_t)n * (size_t)dataset_dim(queries), out);
    free(space);
    return check_finite(queries, first, n, out, err);
}
