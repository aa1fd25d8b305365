#include "base/inputs.h"

#include <stdlib.h>
#include <string.h>

static void clear_input(input_t *input) {
    free(input->identity);
    ranges_clear(&input->held);
}

void inputs_clear(inputs_t *inputs) {
    for (int64_t i = 0; i < inputs->count; i++)
        clear_input(&inputs->list[i]);
    free(inputs->list);
    *inputs = (inputs_t){0};
}

static dfaiss_status_t no_memory(dfaiss_error_t *err) {
    return error_memory(err, 0, "what is held of inputs");
}

dfaiss_status_t inputs_copy(const inputs_t *from, inputs_t *to, dfaiss_error_t *err) {
    dfaiss_status_t status = inputs_merge(to, from, err);
    if (status != DFAISS_OK)
        inputs_clear(to);
    return status;
}

input_t *inputs_find(const inputs_t *inputs, uint64_t number) {
    for (int64_t i = 0; i < inputs->count; i++)
        if (inputs->list[i].number == number)
            return &inputs->list[i];
    return NULL;
}

static bool same_input(const input_t *one, const input_t *other) {
    return one->rows == other->rows && one->first_id == other->first_id && strcmp(one->identity, other->identity) == 0;
}

static dfaiss_status_t insert(inputs_t *inputs, const input_t *what, dfaiss_error_t *err) {
    input_t *list = realloc(inputs->list, ((size_t)inputs->count + 1) * sizeof *list);
    if (!list)
        return no_memory(err);
    inputs->list = list;
    char *identity = strdup(what->identity);
    if (!identity)
        return no_memory(err);
    int64_t place = inputs->count++;
    for (; place > 0 && list[place - 1].number > what->number; place--)
        list[place] = list[place - 1];
    list[place] = (input_t){.number = what->number, .rows = what->rows, .first_id = what->first_id, .identity = identity};
    return DFAISS_OK;
}

dfaiss_status_t inputs_declare(inputs_t *inputs, const input_t *what, dfaiss_error_t *err) {
    if (what->number == 0 || what->rows < 0 || what->first_id < 0 || strlen(what->identity) > INPUT_IDENTITY_LIMIT)
        return error_set(err, DFAISS_ERR_ARG, "input", "input %llu of %lld rows from id %lld on makes no sense", (unsigned long long)what->number,
                         (long long)what->rows, (long long)what->first_id);
    const input_t *there = inputs_find(inputs, what->number);
    if (!there)
        return insert(inputs, what, err);
    if (same_input(there, what))
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_STATE, "input", "input %llu is another one already", (unsigned long long)what->number);
}

dfaiss_status_t inputs_merge(inputs_t *inputs, const inputs_t *more, dfaiss_error_t *err) {
    for (int64_t i = 0; i < more->count; i++) {
        const input_t *input = &more->list[i];
        TRY(inputs_declare(inputs, input, err));
        if (!ranges_add_all(&inputs_find(inputs, input->number)->held, &input->held))
            return no_memory(err);
    }
    return DFAISS_OK;
}

/* ---- as they travel ---- */

void inputs_encode(const inputs_t *inputs, bytes_writer_t *out) {
    bytes_put_i64(out, inputs->count);
    for (int64_t i = 0; i < inputs->count; i++) {
        const input_t *input = &inputs->list[i];
        bytes_put_u64(out, input->number);
        bytes_put_i64(out, input->rows);
        bytes_put_i64(out, input->first_id);
        bytes_put_block(out, input->identity, strlen(input->identity));
        bytes_put_block(out, input->held.list, (size_t)input->held.count * sizeof *input->held.list);
    }
}

static dfaiss_status_t malformed(dfaiss_error_t *err) {
    return error_set(err, DFAISS_ERR_PEER, "", "what another process says of inputs is malformed");
}

/* A copy that lies aligned, since a message's bytes need not. */
static dfaiss_status_t get_held(bytes_reader_t *in, input_t *input, dfaiss_error_t *err) {
    size_t size;
    const void *bytes = bytes_get_block(in, &size);
    if (in->failed || size % sizeof(range_t) != 0)
        return malformed(err);
    input->held.list = malloc(size ? size : 1);
    if (!input->held.list)
        return no_memory(err);
    if (size > 0)
        memcpy(input->held.list, bytes, size);
    input->held.count = input->held.capacity = (int64_t)(size / sizeof(range_t));
    return ranges_are_valid(input->held.list, input->held.count, input->rows) ? DFAISS_OK : malformed(err);
}

static dfaiss_status_t get_input(bytes_reader_t *in, input_t *input, dfaiss_error_t *err) {
    size_t size;
    input->number = bytes_get_u64(in);
    input->rows = bytes_get_i64(in);
    input->first_id = bytes_get_i64(in);
    const void *identity = bytes_get_block(in, &size);
    if (in->failed || size > INPUT_IDENTITY_LIMIT || memchr(identity ? identity : "", 0, identity ? size : 0))
        return malformed(err);
    input->identity = strndup(identity ? identity : "", size);
    return input->identity ? get_held(in, input, err) : no_memory(err);
}

dfaiss_status_t inputs_decode(bytes_reader_t *in, inputs_t *inputs, dfaiss_error_t *err) {
    int64_t count = bytes_get_i64(in);
    dfaiss_status_t status = in->failed || count < 0 ? malformed(err) : DFAISS_OK;
    for (int64_t i = 0; status == DFAISS_OK && i < count; i++) {
        input_t input = {0};
        status = get_input(in, &input, err);
        if (status == DFAISS_OK)
            status = inputs_merge(inputs, &(inputs_t){.list = &input, .count = 1}, err);
        clear_input(&input);
    }
    return status;
}
