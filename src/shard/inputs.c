/* Which rows of which input a shard has. They are noted together with the rows themselves, on the main thread, so that a snapshot has both or
 * neither. */
#include "shard/shard_internal.h"

dfaiss_status_t shard_declare_input(shard_t *shard, const input_t *input, dfaiss_error_t *err) {
    return inputs_declare(&shard->inputs, input, err);
}

const inputs_t *shard_inputs(const shard_t *shard) {
    return &shard->inputs;
}

dfaiss_status_t shard_check_input(const shard_t *shard, const shard_batch_t *batch, dfaiss_error_t *err) {
    if (batch->input == 0)
        return DFAISS_OK;
    input_t *input = inputs_find(&shard->inputs, batch->input);
    if (!input)
        return error_set(err, DFAISS_ERR_STATE, shard->name, "input %llu of index '%s' was not declared", (unsigned long long)batch->input,
                         shard->name);
    if (batch->input_row < 0 || batch->input_row > input->rows || batch->n > input->rows - batch->input_row)
        return error_set(err, DFAISS_ERR_ARG, shard->name, "%lld vectors from row %lld of an input that has %lld", (long long)batch->n,
                         (long long)batch->input_row, (long long)input->rows);
    if (ranges_overlap(&input->held, batch->input_row, batch->input_row + batch->n))
        return error_set(err, DFAISS_ERR_STATE, shard->name, "rows of input %llu of index '%s' come a second time: %lld from row %lld on",
                         (unsigned long long)batch->input, shard->name, (long long)batch->n, (long long)batch->input_row);
    return ranges_reserve(&input->held) ? DFAISS_OK : error_memory(err, sizeof(range_t), "what is held of inputs");
}

void shard_note_input(shard_t *shard, const shard_batch_t *batch) {
    input_t *input = batch->input ? inputs_find(&shard->inputs, batch->input) : NULL;
    if (input)
        (void)ranges_add(&input->held, batch->input_row, batch->input_row + batch->n);
}
