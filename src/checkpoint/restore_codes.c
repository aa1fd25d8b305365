/* Codes of a shard, cut into segments anew, and which rows the index of a file holds where some were dropped. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/restore_internal.h"
#include "checkpoint/shard_parts.h"

static const char held_name[] = "/held_rows";

/* ---- rows that are held ---- */

dfaiss_status_t held_rows_open(restore_file_t *file, held_rows_t *rows) {
    int64_t indexed = file->named.indexed - file->named.first_indexed;
    *rows = (held_rows_t){.file = file, .some_dropped = hdf5_exists(&file->hdf5, held_name), .held = indexed};
    if (!rows->some_dropped)
        return DFAISS_OK;
    TRY(hdf5_dataset_open(&file->hdf5, held_name, HDF5_I64, HDF5_ANY, 0, &rows->dataset));
    rows->held = rows->dataset.rows;
    if (rows->held <= indexed)
        return DFAISS_OK;
    hdf5_dataset_close(&rows->dataset);
    return hdf5_unexpected(&file->hdf5, held_name, "expected at most %" PRId64 " rows, found %" PRId64, indexed, rows->held);
}

void held_rows_close(held_rows_t *rows) {
    if (rows->some_dropped)
        hdf5_dataset_close(&rows->dataset);
    *rows = (held_rows_t){0};
}

dfaiss_status_t held_rows_place(const held_rows_t *rows, int64_t row, int64_t *place) {
    int64_t low = 0, high = rows->held, first = rows->file->named.first_indexed;
    if (!rows->some_dropped) {
        *place = row < first ? 0 : row - first < high ? row - first : high;
        return DFAISS_OK;
    }
    while (low < high) {
        int64_t middle = low + (high - low) / 2, found = 0;
        TRY(held_rows_read(rows, middle, 1, &found));
        if (found < row)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return DFAISS_OK;
}

dfaiss_status_t held_rows_read(const held_rows_t *rows, int64_t first, int64_t count, int64_t *out) {
    hdf5_dataset_t dataset = rows->dataset;
    if (rows->some_dropped)
        return hdf5_dataset_read(&dataset, first, count, out);
    for (int64_t i = 0; i < count; i++)
        out[i] = rows->file->named.first_indexed + first + i;
    return DFAISS_OK;
}

static dfaiss_status_t restore_numbers(const held_rows_t *rows, engine_store_t *store, const restore_piece_t *piece, int64_t count,
                                       int64_t *numbers) {
    hdf5_file_t *hdf5 = &rows->file->hdf5;
    for (int64_t i = 0; i < count; i++) {
        if (numbers[i] < piece->first || numbers[i] >= piece->end)
            return hdf5_unexpected(hdf5, held_name, "row %" PRId64 " stands where rows %" PRId64 " to %" PRId64 " were expected", numbers[i],
                                   piece->first, piece->end - 1);
        numbers[i] += piece->to - piece->first;
    }
    dfaiss_status_t status = engine_store_restore_rows(store, count, numbers, hdf5->err);
    return status == DFAISS_OK ? status : restore_blame(hdf5, held_name, status);
}

dfaiss_status_t held_rows_restore(const held_rows_t *rows, engine_store_t *store, const restore_piece_t *piece, int64_t first, int64_t count) {
    int64_t *numbers = malloc((size_t)count * sizeof *numbers);
    dfaiss_status_t status = numbers ? held_rows_read(rows, first, count, numbers)
                                     : error_memory(rows->file->hdf5.err, (size_t)count * sizeof *numbers, "the rows of a segment");
    if (status == DFAISS_OK)
        status = restore_numbers(rows, store, piece, count, numbers);
    free(numbers);
    return status;
}

/* ---- sizes ---- */

/* Numbers of rows that must be positive or zero and add up to `total`. */
static dfaiss_status_t check_sizes(hdf5_file_t *file, const char *name, const int64_t *sizes, int64_t count, int64_t total) {
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        if (sizes[i] < 0 || sizes[i] > total - sum)
            return hdf5_unexpected(file, name,
                                   "expected sizes that add up to %" PRId64 ", found %" PRId64 " as number %" PRId64 " after a sum of %" PRId64,
                                   total, sizes[i], i, sum);
        sum += sizes[i];
    }
    return sum == total ? DFAISS_OK : hdf5_unexpected(file, name, "expected sizes that add up to %" PRId64 ", found %" PRId64, total, sum);
}

dfaiss_status_t restore_sizes(hdf5_file_t *file, const char *name, int64_t expected, int64_t total, int64_t **sizes, int64_t *count) {
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_open(file, name, HDF5_I64, expected, 0, &dataset));
    size_t bytes = (size_t)dataset.rows * sizeof **sizes;
    int64_t *made = malloc(bytes ? bytes : 1);
    dfaiss_status_t status = made ? hdf5_dataset_read(&dataset, 0, dataset.rows, made) : error_memory(file->err, bytes, name);
    if (status == DFAISS_OK)
        status = check_sizes(file, name, made, dataset.rows, total);
    hdf5_dataset_close(&dataset);
    if (status != DFAISS_OK) {
        free(made);
        return status;
    }
    *sizes = made;
    *count = dataset.rows;
    return DFAISS_OK;
}

/* ---- codes ---- */

/* One segment: `count` rows held from place `first` on. */
static dfaiss_status_t add_segment(restore_t *restore, const restore_piece_t *piece, const held_rows_t *rows, hdf5_dataset_t *codes, int64_t first,
                                   int64_t count) {
    engine_store_t *store = restore->content->store;
    uint8_t *to = NULL;
    /* Rows follow those of the segment before where none was dropped. */
    if (rows->some_dropped || restore->content->living)
        TRY(held_rows_restore(rows, store, piece, first, count));
    dfaiss_status_t status = engine_store_restore_segment(store, count, &to, restore->err);
    if (status != DFAISS_OK)
        return restore_blame(&piece->file->hdf5, "/segments", status);
    return hdf5_dataset_read(codes, first, count, to);
}

/* Segments as they were, as far as they lie in places first to end - 1. */
static dfaiss_status_t add_segments(restore_t *restore, const restore_piece_t *piece, const held_rows_t *rows, hdf5_dataset_t *codes, int64_t first,
                                    int64_t end) {
    int64_t *sizes = NULL, count = 0, begin = 0;
    TRY(restore_sizes(&piece->file->hdf5, "/segments", HDF5_ANY, rows->held, &sizes, &count));
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t i = 0; status == DFAISS_OK && i < count; begin += sizes[i++]) {
        int64_t from = begin > first ? begin : first, to = begin + sizes[i] < end ? begin + sizes[i] : end;
        if (from < to)
            status = add_segment(restore, piece, rows, codes, from, to - from);
    }
    free(sizes);
    return status;
}

static dfaiss_status_t add_codes(restore_t *restore, const restore_piece_t *piece, const held_rows_t *rows) {
    shard_code_form_t form = shard_code_form(restore->content);
    const manifest_file_t *named = &piece->file->named;
    hdf5_dataset_t codes;
    int64_t first = 0, end = rows->held;
    if (piece->first > named->first_indexed)
        TRY(held_rows_place(rows, piece->first, &first));
    if (piece->end < named->indexed)
        TRY(held_rows_place(rows, piece->end, &end));
    TRY(hdf5_dataset_open(&piece->file->hdf5, form.name, form.type, rows->held, form.width, &codes));
    dfaiss_status_t status = add_segments(restore, piece, rows, &codes, first, end);
    hdf5_dataset_close(&codes);
    return status;
}

dfaiss_status_t restore_codes(restore_t *restore) {
    for (restore_piece_t piece = {0}; restore_next_index(restore, SPREAD_INDEXED, &piece);) {
        held_rows_t rows;
        TRY(restore_open(restore, piece.file));
        TRY(held_rows_open(piece.file, &rows));
        dfaiss_status_t status = add_codes(restore, &piece, &rows);
        held_rows_close(&rows);
        TRY(status);
    }
    return DFAISS_OK;
}
