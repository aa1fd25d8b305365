/* Streams: 65536 small lists become a few large transfers, and a large one goes straight between the file and the caller's memory. */
#include "checkpoint/hdf5_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole chunks, so that a chunk of a growing dataset is written once. */
enum { BUFFER_BYTES = 4 * HDF5_CHUNK };

dfaiss_status_t hdf5_stream_start(hdf5_stream_t *stream, hdf5_dataset_t *dataset) {
    *stream = (hdf5_stream_t){.dataset = *dataset};
    stream->capacity = dataset->row_bytes < BUFFER_BYTES ? (int64_t)(BUFFER_BYTES / dataset->row_bytes) : 1;
    size_t bytes = (size_t)stream->capacity * dataset->row_bytes;
    stream->buffer = malloc(bytes);
    if (stream->buffer)
        return DFAISS_OK;
    hdf5_stream_destroy(stream);
    return error_memory(dataset->file->err, bytes, dataset->name);
}

void hdf5_stream_destroy(hdf5_stream_t *stream) {
    hdf5_dataset_close(&stream->dataset);
    free(stream->buffer);
    *stream = (hdf5_stream_t){0};
}

dfaiss_status_t hdf5_stream_create(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, int64_t width, hdf5_stream_t *stream) {
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_create(file, name, type, rows, width, &dataset));
    return hdf5_stream_start(stream, &dataset);
}

dfaiss_status_t hdf5_stream_open(hdf5_file_t *file, const char *name, hdf5_type_t type, int64_t rows, int64_t width, hdf5_stream_t *stream) {
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_open(file, name, type, rows, width, &dataset));
    return hdf5_stream_start(stream, &dataset);
}

dfaiss_status_t hdf5_stream_create_growing(hdf5_file_t *file, const char *name, hdf5_stream_t *stream) {
    hdf5_dataset_t dataset = {.file = file, .id = H5I_INVALID_HID, .type = HDF5_U8, .rank = 1, .width = 1, .row_bytes = 1, .growing = true};
    snprintf(dataset.name, sizeof dataset.name, "%s", name);
    return hdf5_stream_start(stream, &dataset);
}

/* What fills the buffer again and again becomes a dataset that grows. */
static dfaiss_status_t grow_by(hdf5_dataset_t *dataset, int64_t rows) {
    hdf5_dataset_t made;
    if (dataset->id < 0) {
        TRY(hdf5_dataset_create_growing(dataset->file, dataset->name, &made));
        *dataset = made;
    }
    return hdf5_dataset_grow(dataset, dataset->rows + rows);
}

/* What fitted into the buffer becomes an ordinary dataset: a chunk would be mostly empty. */
static dfaiss_status_t make_small(hdf5_stream_t *stream) {
    hdf5_dataset_t made;
    TRY(hdf5_dataset_create(stream->dataset.file, stream->dataset.name, HDF5_U8, stream->held, 0, &made));
    stream->dataset = made;
    return DFAISS_OK;
}

static uint8_t *row_at(const hdf5_stream_t *stream, int64_t row) {
    return stream->buffer + (size_t)row * stream->dataset.row_bytes;
}

static dfaiss_status_t put_through(hdf5_stream_t *stream, const void *data, int64_t rows) {
    if (stream->dataset.growing && rows > 0)
        TRY(grow_by(&stream->dataset, rows));
    TRY(hdf5_dataset_write(&stream->dataset, stream->next, rows, data));
    stream->next += rows;
    return DFAISS_OK;
}

static dfaiss_status_t put_held(hdf5_stream_t *stream) {
    TRY(put_through(stream, stream->buffer, stream->held));
    stream->held = 0;
    return DFAISS_OK;
}

dfaiss_status_t hdf5_stream_put(hdf5_stream_t *stream, const void *data, int64_t rows) {
    const uint8_t *from = data;
    /* A growing dataset takes whole chunks alone, which only the buffer makes sure of. */
    if (rows >= stream->capacity && !stream->dataset.growing) {
        TRY(put_held(stream));
        return put_through(stream, data, rows);
    }
    while (rows > 0) {
        int64_t fit = stream->capacity - stream->held < rows ? stream->capacity - stream->held : rows;
        memcpy(row_at(stream, stream->held), from, (size_t)fit * stream->dataset.row_bytes);
        stream->held += fit;
        rows -= fit;
        from += (size_t)fit * stream->dataset.row_bytes;
        if (stream->held == stream->capacity)
            TRY(put_held(stream));
    }
    return DFAISS_OK;
}

dfaiss_status_t hdf5_stream_finish(hdf5_stream_t *stream) {
    if (stream->dataset.id < 0)
        TRY(make_small(stream));
    TRY(put_held(stream));
    const hdf5_dataset_t *dataset = &stream->dataset;
    if (stream->next != dataset->rows)
        return error_set(dataset->file->err, DFAISS_ERR_INTERNAL, dataset->file->path, "%s: dataset %s got %" PRId64 " of %" PRId64 " rows",
                         dataset->file->path, dataset->name, stream->next, dataset->rows);
    return hdf5_dataset_finish(&stream->dataset);
}

/* Fills the empty buffer as far as the dataset has rows. */
static dfaiss_status_t get_more(hdf5_stream_t *stream) {
    int64_t left = stream->dataset.rows - stream->next;
    int64_t rows = left < stream->capacity ? left : stream->capacity;
    stream->held = stream->taken = 0;
    TRY(hdf5_dataset_read(&stream->dataset, stream->next, rows, stream->buffer));
    stream->held = rows;
    stream->next += rows;
    return DFAISS_OK;
}

/* Copies what the buffer has, up to `rows`; returns how many. */
static int64_t take_held(hdf5_stream_t *stream, uint8_t *to, int64_t rows) {
    int64_t fit = stream->held - stream->taken < rows ? stream->held - stream->taken : rows;
    if (fit > 0)
        memcpy(to, row_at(stream, stream->taken), (size_t)fit * stream->dataset.row_bytes);
    stream->taken += fit;
    return fit;
}

void hdf5_stream_skip_to(hdf5_stream_t *stream, int64_t row) {
    stream->next = row;
}

dfaiss_status_t hdf5_stream_get(hdf5_stream_t *stream, void *data, int64_t rows) {
    uint8_t *to = data;
    const hdf5_dataset_t *dataset = &stream->dataset;
    if (rows > dataset->rows - stream->next + stream->held - stream->taken)
        return hdf5_unexpected(dataset->file, dataset->name, "expected %" PRId64 " more rows, found %" PRId64, rows,
                               dataset->rows - stream->next + stream->held - stream->taken);
    while (rows > 0) {
        int64_t got = take_held(stream, to, rows);
        to += (size_t)got * dataset->row_bytes;
        rows -= got;
        if (rows >= stream->capacity) {
            TRY(hdf5_dataset_read(&stream->dataset, stream->next, rows, to));
            stream->next += rows;
            rows = 0;
        }
        if (rows > 0)
            TRY(get_more(stream));
    }
    return DFAISS_OK;
}
