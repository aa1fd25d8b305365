/* Which rows of which input a shard holds, /inputs: in every file of it, since there is little of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/shard_parts.h"

enum { MOST_INPUTS = 1 << 20 };

/* Of what belongs to one input. */
typedef struct input_names {
    char group[HDF5_NAME], identity[HDF5_NAME], held[HDF5_NAME];
} input_names_t;

static input_names_t make_names(int64_t i) {
    input_names_t names;
    snprintf(names.group, sizeof names.group, "/inputs/%04" PRId64, i);
    snprintf(names.identity, sizeof names.identity, "/inputs/%04" PRId64 "/identity", i);
    snprintf(names.held, sizeof names.held, "/inputs/%04" PRId64 "/held", i);
    return names;
}

/* ---- writing ---- */

static dfaiss_status_t write_held(hdf5_file_t *file, const char *name, const ranges_t *held) {
    hdf5_dataset_t dataset;
    if (held->count == 0)
        return DFAISS_OK;
    TRY(hdf5_dataset_create(file, name, HDF5_I64, held->count, 2, &dataset));
    dfaiss_status_t status = hdf5_dataset_write(&dataset, 0, held->count, held->list);
    if (status == DFAISS_OK)
        return hdf5_dataset_finish(&dataset);
    hdf5_dataset_close(&dataset);
    return status;
}

static dfaiss_status_t write_input(hdf5_file_t *file, int64_t i, const input_t *input) {
    input_names_t names = make_names(i);
    TRY(hdf5_make_group(file, names.group));
    TRY(hdf5_put_integer(file, names.group, "number", (int64_t)input->number));
    TRY(hdf5_put_integer(file, names.group, "rows", input->rows));
    TRY(hdf5_put_integer(file, names.group, "first_id", input->first_id));
    TRY(hdf5_write_text(file, names.identity, input->identity));
    return write_held(file, names.held, &input->held);
}

dfaiss_status_t shard_inputs_write(hdf5_file_t *file, const shard_content_t *content) {
    const inputs_t *inputs = &content->inputs;
    if (inputs->count == 0)
        return DFAISS_OK;
    TRY(hdf5_make_group(file, "/inputs"));
    TRY(hdf5_put_integer(file, "/inputs", "count", inputs->count));
    for (int64_t i = 0; i < inputs->count; i++)
        TRY(write_input(file, i, &inputs->list[i]));
    return DFAISS_OK;
}

/* ---- reading ---- */

static dfaiss_status_t get_held(hdf5_file_t *file, hdf5_dataset_t *dataset, input_t *input) {
    ranges_t *held = &input->held;
    held->list = malloc((size_t)dataset->rows * sizeof *held->list);
    if (!held->list)
        return error_memory(file->err, (size_t)dataset->rows * sizeof *held->list, "what is held of inputs");
    held->count = held->capacity = dataset->rows;
    TRY(hdf5_dataset_read(dataset, 0, dataset->rows, held->list));
    if (ranges_are_valid(held->list, held->count, input->rows))
        return DFAISS_OK;
    return hdf5_unexpected(file, dataset->name, "expected ascending ranges of %" PRId64 " rows that do not touch, found others", input->rows);
}

static dfaiss_status_t read_held(hdf5_file_t *file, const char *name, input_t *input) {
    hdf5_dataset_t dataset;
    if (!hdf5_exists(file, name))
        return DFAISS_OK;
    TRY(hdf5_dataset_open(file, name, HDF5_I64, HDF5_ANY, 2, &dataset));
    dfaiss_status_t status = dataset.rows > 0 ? get_held(file, &dataset, input) : DFAISS_OK;
    hdf5_dataset_close(&dataset);
    return status;
}

static dfaiss_status_t read_input(hdf5_file_t *file, int64_t i, input_t *input) {
    input_names_t names = make_names(i);
    int64_t number = 0;
    size_t size = 0;
    if (!hdf5_exists(file, names.group))
        return hdf5_unexpected(file, names.group, "the group is missing");
    TRY(hdf5_get_integer(file, names.group, "number", 1, INT64_MAX, &number));
    TRY(hdf5_get_integer(file, names.group, "rows", 0, INT64_MAX, &input->rows));
    TRY(hdf5_get_integer(file, names.group, "first_id", 0, INT64_MAX, &input->first_id));
    TRY(hdf5_read_text(file, names.identity, &input->identity, &size));
    input->number = (uint64_t)number;
    if (strlen(input->identity) != size || size > INPUT_IDENTITY_LIMIT)
        return hdf5_unexpected(file, names.identity, "expected a text, found %zu other bytes", size);
    return read_held(file, names.held, input);
}

/* Two inputs of one number are the file's fault, too. */
static dfaiss_status_t read_next(hdf5_file_t *file, int64_t i, inputs_t *inputs) {
    input_t input = {0};
    dfaiss_status_t status = read_input(file, i, &input);
    if (status == DFAISS_OK) {
        status = inputs_merge(inputs, &(inputs_t){.list = &input, .count = 1}, file->err);
        if (status != DFAISS_OK && status != DFAISS_ERR_MEMORY)
            status = hdf5_unexpected(file, "/inputs", "expected inputs of different numbers, found %" PRIu64 " twice", input.number);
    }
    free(input.identity);
    ranges_clear(&input.held);
    return status;
}

static dfaiss_status_t read_all(hdf5_file_t *file, inputs_t *inputs) {
    int64_t count = 0;
    if (!hdf5_exists(file, "/inputs"))
        return DFAISS_OK;
    TRY(hdf5_get_integer(file, "/inputs", "count", 1, MOST_INPUTS, &count));
    for (int64_t i = 0; i < count; i++)
        TRY(read_next(file, i, inputs));
    return DFAISS_OK;
}

dfaiss_status_t shard_file_read_inputs(const char *path, inputs_t *inputs, dfaiss_error_t *err) {
    hdf5_file_t file;
    TRY(hdf5_open(&file, path, err));
    return hdf5_close(&file, read_all(&file, inputs));
}
