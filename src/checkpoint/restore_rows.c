/* What belongs to the rows of a shard: ids, metadata, and the vectors that are not indexed.
 *
 * In the files rows follow each other without a trace of how they arrived; reading cuts them into batches again, so that consecutive ids take no
 * memory and vectors that wait to be indexed can be freed piece by piece.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoint/restore_internal.h"
#include "checkpoint/shard_parts.h"

enum { SHORT_RUN = 64, WINDOW_ROWS = 1 << 19, BATCH_VECTOR_BYTES = 16 << 20 };

/* Where reading stands: the piece whose rows it is about, and of these a window at a time. */
typedef struct reader {
    restore_t *restore;
    hdf5_file_t *file; /* of the piece */
    const restore_piece_t *piece;
    hdf5_dataset_t ids_dataset;
    bool has_metadata;
    hdf5_stream_t ends, bytes;
    uint64_t metadata_end; /* of the row before the next */
    int64_t capacity;      /* of content->batches */
    int64_t *ids;          /* of the window: [end - first] */
    int64_t first, end;    /* the window: rows of the part */
    element_t element;     /* of vectors that wait */
    hdf5_stream_t *stream; /* that brings them; NULL: rows are indexed, or their vectors decoded */
} reader_t;

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t file_row(const reader_t *reader, int64_t row) {
    return row - reader->piece->file->named.first_row;
}

/* ---- opening what a piece needs ---- */

/* Where the metadata of the rows before end. */
static dfaiss_status_t find_metadata(reader_t *reader) {
    int64_t row = file_row(reader, reader->piece->first);
    reader->metadata_end = 0;
    if (row > 0)
        TRY(hdf5_dataset_read(&reader->ends.dataset, row - 1, 1, &reader->metadata_end));
    if (reader->metadata_end > (uint64_t)reader->bytes.dataset.rows)
        return hdf5_unexpected(reader->file, "dataset /metadata/ends", "expected at most %" PRId64 " in row %" PRId64 ", found %" PRIu64,
                               reader->bytes.dataset.rows, reader->piece->first - 1, reader->metadata_end);
    hdf5_stream_skip_to(&reader->ends, row);
    hdf5_stream_skip_to(&reader->bytes, (int64_t)reader->metadata_end);
    return DFAISS_OK;
}

static dfaiss_status_t open_piece(reader_t *reader, const restore_piece_t *piece) {
    int64_t rows = piece->file->named.rows - piece->file->named.first_row;
    TRY(restore_open(reader->restore, piece->file));
    reader->restore->held = piece->file;
    reader->file = &piece->file->hdf5;
    reader->piece = piece;
    TRY(hdf5_dataset_open(reader->file, "/ids", HDF5_I64, rows, 0, &reader->ids_dataset));
    reader->has_metadata = hdf5_exists(reader->file, "/metadata");
    if (!reader->has_metadata)
        return DFAISS_OK;
    TRY(hdf5_stream_open(reader->file, "/metadata/ends", HDF5_U64, rows, 0, &reader->ends));
    TRY(hdf5_stream_open(reader->file, "/metadata/bytes", HDF5_U8, HDF5_ANY, 0, &reader->bytes));
    return find_metadata(reader);
}

/* The last row's metadata end where there are no more. */
static dfaiss_status_t check_metadata_end(const reader_t *reader) {
    if (reader->has_metadata && reader->piece->end == reader->piece->file->named.rows && reader->metadata_end != (uint64_t)reader->bytes.dataset.rows)
        return hdf5_unexpected(reader->file, "dataset /metadata/bytes", "expected %" PRIu64 " bytes, found %" PRId64, reader->metadata_end,
                               reader->bytes.dataset.rows);
    return DFAISS_OK;
}

static void close_piece(reader_t *reader) {
    reader->restore->held = NULL;
    hdf5_dataset_close(&reader->ids_dataset);
    hdf5_stream_destroy(&reader->ends);
    hdf5_stream_destroy(&reader->bytes);
}

/* ---- batches ---- */

/* Ends must not decrease nor leave the bytes; they are counted from the batch's own start afterwards. */
static dfaiss_status_t rebase_ends(reader_t *reader, shard_batch_t *batch, int64_t row) {
    uint64_t base = reader->metadata_end, total = (uint64_t)reader->bytes.dataset.rows;
    for (int64_t i = 0; i < batch->n; i++) {
        uint64_t end = batch->metadata_ends[i];
        if (end < reader->metadata_end || end > total)
            return hdf5_unexpected(reader->file, "dataset /metadata/ends", "expected %" PRIu64 " to %" PRIu64 " in row %" PRId64 ", found %" PRIu64,
                                   reader->metadata_end, total, row + i, end);
        reader->metadata_end = end;
        batch->metadata_ends[i] = end - base;
    }
    return DFAISS_OK;
}

static dfaiss_status_t read_metadata(reader_t *reader, shard_batch_t *batch, int64_t row) {
    if (!reader->has_metadata)
        return DFAISS_OK;
    batch->metadata_ends = malloc((size_t)batch->n * sizeof *batch->metadata_ends);
    if (!batch->metadata_ends)
        return error_memory(reader->file->err, (size_t)batch->n * sizeof *batch->metadata_ends, "metadata");
    TRY(hdf5_stream_get(&reader->ends, batch->metadata_ends, batch->n));
    TRY(rebase_ends(reader, batch, row));
    size_t bytes = (size_t)batch->metadata_ends[batch->n - 1];
    if (bytes == 0) {
        free(batch->metadata_ends);
        batch->metadata_ends = NULL;
        return DFAISS_OK;
    }
    batch->metadata = malloc(bytes);
    if (!batch->metadata)
        return error_memory(reader->file->err, bytes, "metadata");
    return hdf5_stream_get(&reader->bytes, batch->metadata, (int64_t)bytes);
}

static dfaiss_status_t read_vectors(reader_t *reader, shard_batch_t *batch, int64_t row) {
    if (reader->piece->form == SPREAD_INDEXED)
        return DFAISS_OK;
    batch->element = reader->element;
    batch->vector_bytes = (size_t)batch->n * (size_t)reader->restore->content->config->dim * element_size(batch->element);
    batch->vectors = memory_map(batch->vector_bytes);
    if (!batch->vectors)
        return error_memory(reader->file->err, batch->vector_bytes, "vectors that are not indexed yet");
    if (reader->stream)
        return hdf5_stream_get(reader->stream, batch->vectors, batch->n);
    return restore_decode(reader->restore, reader->piece->file->part, row, row + batch->n, batch->vectors);
}

static dfaiss_status_t copy_ids(reader_t *reader, shard_batch_t *batch, int64_t row) {
    size_t bytes = (size_t)batch->n * sizeof *batch->ids;
    batch->ids = malloc(bytes);
    if (!batch->ids)
        return error_memory(reader->file->err, bytes, "ids");
    memcpy(batch->ids, reader->ids + (row - reader->first), bytes);
    return DFAISS_OK;
}

/* A place for one more batch, zeroed and counted: what is put in is freed with the content. */
static shard_batch_t *next_batch(reader_t *reader) {
    shard_content_t *content = reader->restore->content;
    if (content->batch_count == reader->capacity) {
        int64_t capacity = reader->capacity ? reader->capacity * 2 : 16;
        shard_batch_t *grown = realloc(content->batches, (size_t)capacity * sizeof *grown);
        if (!grown)
            return NULL;
        content->batches = grown;
        reader->capacity = capacity;
    }
    shard_batch_t *batch = &content->batches[content->batch_count++];
    *batch = (shard_batch_t){0};
    return batch;
}

static dfaiss_status_t add_batch(reader_t *reader, int64_t row, int64_t n, bool consecutive) {
    shard_batch_t *batch = next_batch(reader);
    if (!batch)
        return error_memory(reader->file->err, sizeof *batch, "a batch");
    batch->first_row = reader->piece->to + (row - reader->piece->first);
    batch->n = n;
    if (consecutive)
        batch->first_id = reader->ids[row - reader->first];
    else
        TRY(copy_ids(reader, batch, row));
    TRY(read_metadata(reader, batch, row));
    return read_vectors(reader, batch, row);
}

/* Rows from `row` of the window on whose ids follow each other. */
static int64_t run_length(const reader_t *reader, int64_t row) {
    const int64_t *ids = reader->ids - reader->first;
    int64_t next = row + 1;
    while (next < reader->end && ids[next] - 1 == ids[next - 1])
        next++;
    return next - row;
}

/* Cuts the window into batches: a long run of ids is one without an array of ids, short runs in a row make up one with it. */
static dfaiss_status_t add_window(reader_t *reader) {
    for (int64_t row = reader->first; row < reader->end;) {
        int64_t run = run_length(reader, row), rows = run;
        if (run < SHORT_RUN)
            for (int64_t more; row + rows < reader->end && (more = run_length(reader, row + rows)) < SHORT_RUN; rows += more)
                continue;
        TRY(add_batch(reader, row, rows, rows == run));
        row += rows;
    }
    return DFAISS_OK;
}

static dfaiss_status_t read_ids(reader_t *reader) {
    TRY(hdf5_dataset_read(&reader->ids_dataset, file_row(reader, reader->first), reader->end - reader->first, reader->ids));
    for (int64_t row = reader->first; row < reader->end; row++)
        if (reader->ids[row - reader->first] < 0)
            return hdf5_unexpected(reader->file, "dataset /ids", "expected ids from 0 on, found %" PRId64 " in row %" PRId64,
                                   reader->ids[row - reader->first], row);
    return DFAISS_OK;
}

/* Rows first to end - 1 of the piece, at most `most` at a time. */
static dfaiss_status_t add_rows(reader_t *reader, int64_t first, int64_t end, int64_t most) {
    size_t bytes = (size_t)smaller(most, end - first) * sizeof *reader->ids;
    reader->ids = memory_map(bytes);
    dfaiss_status_t status = reader->ids || bytes == 0 ? DFAISS_OK : error_memory(reader->file->err, bytes, "ids");
    for (int64_t row = first; status == DFAISS_OK && row < end; row += most) {
        reader->first = row;
        reader->end = smaller(row + most, end);
        status = read_ids(reader);
        if (status == DFAISS_OK)
            status = add_window(reader);
    }
    memory_unmap(reader->ids, bytes);
    reader->ids = NULL;
    return status;
}

/* ---- vectors that wait ---- */

/* Rows whose vectors fit into a batch. */
static int64_t batch_rows(size_t row_bytes) {
    int64_t most = (int64_t)(BATCH_VECTOR_BYTES / row_bytes);
    return most > SHORT_RUN ? most : SHORT_RUN;
}

static dfaiss_status_t open_group(reader_t *reader, const char *name, hdf5_stream_t *stream) {
    char text[16] = "";
    TRY(hdf5_get_text(reader->file, name, "element", text, sizeof text));
    if (!element_from_name(text, &reader->element))
        return hdf5_unexpected(reader->file, name, "expected an element type, found \"%s\"", text);
    return hdf5_stream_open(reader->file, name, (hdf5_type_t)reader->element, HDF5_ANY, reader->restore->content->config->dim, stream);
}

/* What the piece has of a group, which begins with row *next; that moves behind it. */
static dfaiss_status_t add_group(reader_t *reader, const char *name, hdf5_stream_t *stream, int64_t *next) {
    const restore_piece_t *piece = reader->piece;
    int64_t found = 0, begin = *next, rows = stream->dataset.rows, left = piece->file->named.rows - begin;
    TRY(hdf5_get_integer(reader->file, name, "first", begin, begin, &found));
    if (rows < 1 || rows > left)
        return hdf5_unexpected(reader->file, name, "expected 1 to %" PRId64 " vectors, found %" PRId64, left, rows);
    *next = begin + rows;
    int64_t first = piece->first > begin ? piece->first : begin, end = smaller(piece->end, *next);
    if (first >= end)
        return DFAISS_OK;
    hdf5_stream_skip_to(stream, first - begin);
    reader->stream = stream;
    dfaiss_status_t status = add_rows(reader, first, end, batch_rows(stream->dataset.row_bytes));
    reader->stream = NULL;
    return status;
}

/* Groups follow each other from the first row on that waited when the file was written, which is at most where the piece begins. */
static dfaiss_status_t add_waiting(reader_t *reader) {
    const manifest_file_t *named = &reader->piece->file->named;
    int64_t count = 0, next = named->indexed > named->first_row ? named->indexed : named->first_row;
    TRY(hdf5_get_integer(reader->file, "/buffered", "count", 0, named->rows - next, &count));
    if (count > 0 && reader->restore->content->config->dim < 1)
        return hdf5_unexpected(reader->file, "/config", "expected a dimension, since there are vectors");
    for (int64_t group = 0; group < count; group++) {
        char name[HDF5_NAME];
        hdf5_stream_t stream = {0};
        snprintf(name, sizeof name, "/buffered/%04" PRId64, group);
        TRY(open_group(reader, name, &stream));
        dfaiss_status_t status = add_group(reader, name, &stream, &next);
        hdf5_stream_destroy(&stream);
        TRY(status);
    }
    return next == named->rows
               ? DFAISS_OK
               : hdf5_unexpected(reader->file, "/buffered", "expected vectors up to row %" PRId64 ", found %" PRId64, named->rows, next);
}

/* ---- all ---- */

static dfaiss_status_t add_decoded(reader_t *reader) {
    reader->element = ELEMENT_f32;
    size_t row_bytes = (size_t)reader->restore->content->config->dim * sizeof(float);
    return add_rows(reader, reader->piece->first, reader->piece->end, batch_rows(row_bytes));
}

static dfaiss_status_t add_piece(reader_t *reader) {
    switch (reader->piece->form) {
    case SPREAD_WAITING:
        return add_waiting(reader);
    case SPREAD_DECODED:
        return add_decoded(reader);
    default:
        return add_rows(reader, reader->piece->first, reader->piece->end, WINDOW_ROWS);
    }
}

static dfaiss_status_t read_piece(reader_t *reader, const restore_piece_t *piece) {
    dfaiss_status_t status = open_piece(reader, piece);
    if (status == DFAISS_OK)
        status = add_piece(reader);
    if (status == DFAISS_OK)
        status = check_metadata_end(reader);
    close_piece(reader);
    return status;
}

dfaiss_status_t restore_rows(restore_t *restore) {
    reader_t reader = {.restore = restore, .ids_dataset = {.id = H5I_INVALID_HID}};
    for (restore_piece_t piece = {0}; restore_next_rows(restore, &piece);)
        TRY(read_piece(&reader, &piece));
    return DFAISS_OK;
}
