/* What belongs to the rows of a shard, as it is written: ids, metadata, and the vectors that are not indexed yet. In the file rows follow each other
 * without a trace of how they arrived. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/shard_parts.h"

enum { PIECE_ROWS = 1024 };

_Static_assert((int)ELEMENT_f32 == (int)HDF5_F32 && (int)ELEMENT_f16 == (int)HDF5_F16 && (int)ELEMENT_u8 == (int)HDF5_U8 &&
                   (int)ELEMENT_i8 == (int)HDF5_I8,
               "element types and the first HDF5 types are numbered alike");

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- writing ---- */

/* Rows of a batch that follow each other and are kept: numbers first to end - 1 within the batch. Begun with end at the first row of interest. */
typedef struct run {
    const shard_batch_t *batch;
    int64_t first, end;
} run_t;

/* From a row of the shard on. */
static run_t run_from(const shard_batch_t *batch, int64_t row) {
    int64_t first = row - batch->first_row;
    return (run_t){.batch = batch, .end = first < 0 ? 0 : smaller(first, batch->n)};
}

static bool next_run(const kept_rows_t *kept, run_t *run) {
    const shard_batch_t *batch = run->batch;
    run->first = run->end;
    while (run->first < batch->n && !kept_rows_has(kept, batch->first_row + run->first))
        run->first++;
    run->end = kept->bits ? run->first : batch->n;
    while (run->end < batch->n && kept_rows_has(kept, batch->first_row + run->end))
        run->end++;
    return run->first < run->end;
}

static dfaiss_status_t put_ids(hdf5_stream_t *stream, const run_t *run) {
    const shard_batch_t *batch = run->batch;
    int64_t piece[PIECE_ROWS];
    if (batch->ids)
        return hdf5_stream_put(stream, batch->ids + run->first, run->end - run->first);
    for (int64_t row = run->first; row < run->end; row += PIECE_ROWS) {
        int64_t rows = smaller(PIECE_ROWS, run->end - row);
        for (int64_t i = 0; i < rows; i++)
            piece[i] = batch->first_id + row + i;
        TRY(hdf5_stream_put(stream, piece, rows));
    }
    return DFAISS_OK;
}

static dfaiss_status_t put_all_ids(hdf5_stream_t *stream, const shard_content_t *content) {
    for (int64_t i = 0; i < content->batch_count; i++) {
        for (run_t run = run_from(&content->batches[i], content->kept->start.row); next_run(content->kept, &run);)
            TRY(put_ids(stream, &run));
    }
    return hdf5_stream_finish(stream);
}

static dfaiss_status_t write_ids(hdf5_file_t *file, const shard_content_t *content) {
    hdf5_stream_t stream;
    TRY(hdf5_stream_create(file, "/ids", HDF5_I64, content->kept->rows - content->kept->first_row, 0, &stream));
    dfaiss_status_t status = put_all_ids(&stream, content);
    hdf5_stream_destroy(&stream);
    return status;
}

/* Where the metadata of a run begin and end in those of its batch. */
static uint64_t metadata_begin(const run_t *run) {
    return run->batch->metadata_ends && run->first > 0 ? run->batch->metadata_ends[run->first - 1] : 0;
}

static uint64_t metadata_end(const run_t *run) {
    return run->batch->metadata_ends ? run->batch->metadata_ends[run->end - 1] : 0;
}

/* The ends of a run, counted from `base`, which is where the run before ended. */
static dfaiss_status_t put_ends(hdf5_stream_t *stream, const run_t *run, uint64_t base) {
    const shard_batch_t *batch = run->batch;
    uint64_t piece[PIECE_ROWS], begin = metadata_begin(run);
    for (int64_t row = run->first; row < run->end; row += PIECE_ROWS) {
        int64_t rows = smaller(PIECE_ROWS, run->end - row);
        for (int64_t i = 0; i < rows; i++)
            piece[i] = base + (batch->metadata_ends ? batch->metadata_ends[row + i] - begin : 0);
        TRY(hdf5_stream_put(stream, piece, rows));
    }
    return DFAISS_OK;
}

static dfaiss_status_t put_metadata(const shard_content_t *content, hdf5_stream_t *ends, hdf5_stream_t *bytes) {
    uint64_t base = 0;
    for (int64_t i = 0; i < content->batch_count; i++) {
        for (run_t run = run_from(&content->batches[i], content->kept->start.row); next_run(content->kept, &run);) {
            uint64_t size = metadata_end(&run) - metadata_begin(&run);
            TRY(put_ends(ends, &run, base));
            if (size > 0)
                TRY(hdf5_stream_put(bytes, run.batch->metadata + metadata_begin(&run), (int64_t)size));
            base += size;
        }
    }
    TRY(hdf5_stream_finish(ends));
    return hdf5_stream_finish(bytes);
}

static uint64_t all_metadata_bytes(const shard_content_t *content) {
    uint64_t total = 0;
    for (int64_t i = 0; i < content->batch_count; i++) {
        for (run_t run = run_from(&content->batches[i], content->kept->start.row); next_run(content->kept, &run);)
            total += metadata_end(&run) - metadata_begin(&run);
    }
    return total;
}

/* No group where no row has metadata. */
static dfaiss_status_t write_metadata(hdf5_file_t *file, const shard_content_t *content) {
    uint64_t total = all_metadata_bytes(content);
    hdf5_stream_t ends = {0}, bytes = {0};
    if (total == 0)
        return DFAISS_OK;
    TRY(hdf5_make_group(file, "/metadata"));
    dfaiss_status_t status = hdf5_stream_create(file, "/metadata/ends", HDF5_U64, content->kept->rows - content->kept->first_row, 0, &ends);
    if (status == DFAISS_OK)
        status = hdf5_stream_create(file, "/metadata/bytes", HDF5_U8, (int64_t)total, 0, &bytes);
    if (status == DFAISS_OK)
        status = put_metadata(content, &ends, &bytes);
    hdf5_stream_destroy(&ends);
    hdf5_stream_destroy(&bytes);
    return status;
}

static void buffered_name(int64_t group, char *name, size_t capacity) {
    snprintf(name, capacity, "/buffered/%04" PRId64, group);
}

/* Rows that were all removed have no vectors any more: zeros stand for them. */
static dfaiss_status_t put_zeros(hdf5_stream_t *stream, int64_t rows) {
    void *row = calloc(1, stream->dataset.row_bytes);
    if (!row)
        return error_memory(stream->dataset.file->err, stream->dataset.row_bytes, "a vector");
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t i = 0; status == DFAISS_OK && i < rows; i++)
        status = hdf5_stream_put(stream, row, 1);
    free(row);
    return status;
}

static dfaiss_status_t put_vectors(hdf5_stream_t *stream, const shard_content_t *content, const shard_batch_t *batch, int64_t indexed) {
    run_t run = run_from(batch, indexed);
    while (next_run(content->kept, &run)) {
        const uint8_t *vectors = batch->vectors;
        if (vectors)
            TRY(hdf5_stream_put(stream, vectors + (size_t)run.first * stream->dataset.row_bytes, run.end - run.first));
        else
            TRY(put_zeros(stream, run.end - run.first));
    }
    return DFAISS_OK;
}

/* One dataset: the `rows` kept rows of batches `from` to `to` - 1, which have the same element type. */
static dfaiss_status_t write_group(hdf5_file_t *file, const shard_content_t *content, int64_t from, int64_t to, int64_t first, int64_t rows,
                                   int64_t group) {
    const shard_batch_t *batches = content->batches;
    char name[HDF5_NAME];
    hdf5_stream_t stream;
    buffered_name(group, name, sizeof name);
    TRY(hdf5_stream_create(file, name, (hdf5_type_t)batches[from].element, rows, content->config->dim, &stream));
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t i = from; status == DFAISS_OK && i < to; i++)
        status = put_vectors(&stream, content, &batches[i], first);
    if (status == DFAISS_OK)
        status = hdf5_stream_finish(&stream);
    hdf5_stream_destroy(&stream);
    TRY(status);
    TRY(hdf5_put_text(file, name, "element", element_name(batches[from].element)));
    return hdf5_put_integer(file, name, "first", kept_rows_number(content->kept, first));
}

static dfaiss_status_t write_buffered(hdf5_file_t *file, const shard_content_t *content, int64_t indexed) {
    const shard_batch_t *batches = content->batches;
    int64_t from = 0, groups = 0;
    TRY(hdf5_make_group(file, "/buffered"));
    while (from < content->batch_count && batches[from].first_row + batches[from].n <= indexed)
        from++;
    while (from < content->batch_count) {
        int64_t to = from + 1;
        while (to < content->batch_count && batches[to].element == batches[from].element)
            to++;
        int64_t first = batches[from].first_row > indexed ? batches[from].first_row : indexed, end = batches[to - 1].first_row + batches[to - 1].n;
        int64_t rows = kept_rows_count(content->kept, first, end);
        if (rows > 0)
            TRY(write_group(file, content, from, to, first, rows, groups++));
        from = to;
    }
    return hdf5_put_integer(file, "/buffered", "count", groups);
}

dfaiss_status_t shard_rows_write(hdf5_file_t *file, const shard_content_t *content, int64_t indexed) {
    int64_t first = content->kept->start.row;
    TRY(write_ids(file, content));
    TRY(write_metadata(file, content));
    return write_buffered(file, content, first > indexed ? first : indexed);
}
