/* What belongs to the rows of a shard: ids, metadata, and the vectors that are not indexed yet.
 *
 * In the file rows follow each other without a trace of how they arrived; reading cuts them into batches again, so that consecutive ids take no
 * memory and vectors that wait to be indexed can be freed piece by piece.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoint/shard_parts.h"

enum { PIECE_ROWS = 1024, SHORT_RUN = 64, BATCH_VECTOR_BYTES = 16 << 20 };

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
        for (run_t run = {.batch = &content->batches[i]}; next_run(content->kept, &run);)
            TRY(put_ids(stream, &run));
    }
    return hdf5_stream_finish(stream);
}

static dfaiss_status_t write_ids(hdf5_file_t *file, const shard_content_t *content) {
    hdf5_stream_t stream;
    TRY(hdf5_stream_create(file, "/ids", HDF5_I64, content->kept->rows, 0, &stream));
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
        for (run_t run = {.batch = &content->batches[i]}; next_run(content->kept, &run);) {
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
        for (run_t run = {.batch = &content->batches[i]}; next_run(content->kept, &run);)
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
    dfaiss_status_t status = hdf5_stream_create(file, "/metadata/ends", HDF5_U64, content->kept->rows, 0, &ends);
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
    run_t run = {.batch = batch, .end = batch->first_row < indexed ? indexed - batch->first_row : 0};
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
    TRY(write_ids(file, content));
    TRY(write_metadata(file, content));
    return write_buffered(file, content, indexed);
}

/* ---- reading ---- */

/* Where reading stands. Metadata and vectors are streams, since batches are made in the order of their rows. */
typedef struct reader {
    hdf5_file_t *file;
    shard_content_t *content;
    int64_t *ids;     /* int64_t[rows], memory_map */
    int64_t capacity; /* of content->batches */
    bool has_metadata;
    hdf5_stream_t ends, bytes;
    uint64_t metadata_end;  /* of the batch before */
    hdf5_stream_t *vectors; /* of the group that is being read; NULL for rows that are indexed */
} reader_t;

static dfaiss_status_t read_ids(reader_t *reader) {
    int64_t rows = reader->content->rows;
    size_t bytes = (size_t)rows * sizeof *reader->ids;
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_open(reader->file, "/ids", HDF5_I64, rows, 0, &dataset));
    reader->ids = memory_map(bytes);
    dfaiss_status_t status = DFAISS_OK;
    if (rows > 0)
        status = reader->ids ? hdf5_dataset_read(&dataset, 0, rows, reader->ids) : error_memory(reader->file->err, bytes, "ids");
    hdf5_dataset_close(&dataset);
    for (int64_t row = 0; status == DFAISS_OK && row < rows; row++)
        if (reader->ids[row] < 0)
            status =
                hdf5_unexpected(reader->file, "dataset /ids", "expected ids from 0 on, found %" PRId64 " in row %" PRId64, reader->ids[row], row);
    return status;
}

static dfaiss_status_t open_metadata(reader_t *reader) {
    reader->has_metadata = hdf5_exists(reader->file, "/metadata");
    if (!reader->has_metadata)
        return DFAISS_OK;
    TRY(hdf5_stream_open(reader->file, "/metadata/ends", HDF5_U64, reader->content->rows, 0, &reader->ends));
    return hdf5_stream_open(reader->file, "/metadata/bytes", HDF5_U8, HDF5_ANY, 0, &reader->bytes);
}

/* Ends must not decrease nor leave the bytes; they are counted from the batch's own start afterwards. */
static dfaiss_status_t rebase_ends(reader_t *reader, shard_batch_t *batch) {
    uint64_t base = reader->metadata_end, total = (uint64_t)reader->bytes.dataset.rows;
    for (int64_t i = 0; i < batch->n; i++) {
        uint64_t end = batch->metadata_ends[i];
        if (end < reader->metadata_end || end > total)
            return hdf5_unexpected(reader->file, "dataset /metadata/ends", "expected %" PRIu64 " to %" PRIu64 " in row %" PRId64 ", found %" PRIu64,
                                   reader->metadata_end, total, batch->first_row + i, end);
        reader->metadata_end = end;
        batch->metadata_ends[i] = end - base;
    }
    return DFAISS_OK;
}

static dfaiss_status_t read_metadata(reader_t *reader, shard_batch_t *batch) {
    if (!reader->has_metadata)
        return DFAISS_OK;
    batch->metadata_ends = malloc((size_t)batch->n * sizeof *batch->metadata_ends);
    if (!batch->metadata_ends)
        return error_memory(reader->file->err, (size_t)batch->n * sizeof *batch->metadata_ends, "metadata");
    TRY(hdf5_stream_get(&reader->ends, batch->metadata_ends, batch->n));
    TRY(rebase_ends(reader, batch));
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

static dfaiss_status_t read_vectors(reader_t *reader, shard_batch_t *batch) {
    if (!reader->vectors)
        return DFAISS_OK;
    size_t bytes = (size_t)batch->n * reader->vectors->dataset.row_bytes;
    batch->element = (element_t)reader->vectors->dataset.type;
    batch->vectors = memory_map(bytes);
    batch->vector_bytes = bytes;
    if (!batch->vectors)
        return error_memory(reader->file->err, bytes, "vectors that are not indexed yet");
    return hdf5_stream_get(reader->vectors, batch->vectors, batch->n);
}

static dfaiss_status_t copy_ids(reader_t *reader, shard_batch_t *batch) {
    size_t bytes = (size_t)batch->n * sizeof *batch->ids;
    batch->ids = malloc(bytes);
    if (!batch->ids)
        return error_memory(reader->file->err, bytes, "ids");
    memcpy(batch->ids, reader->ids + batch->first_row, bytes);
    return DFAISS_OK;
}

/* A place for one more batch, zeroed and counted: what is put in is freed with the content. */
static shard_batch_t *next_batch(reader_t *reader) {
    shard_content_t *content = reader->content;
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

static dfaiss_status_t add_batch(reader_t *reader, int64_t first, int64_t n, bool consecutive) {
    shard_batch_t *batch = next_batch(reader);
    if (!batch)
        return error_memory(reader->file->err, sizeof *batch, "a batch");
    batch->first_row = first;
    batch->n = n;
    if (consecutive)
        batch->first_id = reader->ids[first];
    else
        TRY(copy_ids(reader, batch));
    TRY(read_metadata(reader, batch));
    return read_vectors(reader, batch);
}

/* Rows from `row` on, at most to `end`, whose ids follow each other. */
static int64_t run_length(const int64_t *ids, int64_t row, int64_t end) {
    int64_t next = row + 1;
    while (next < end && ids[next] - 1 == ids[next - 1])
        next++;
    return next - row;
}

/* Cuts rows into batches: a long run of ids is one without an array of ids, short runs in a row make up one with it. */
static dfaiss_status_t add_rows(reader_t *reader, int64_t row, int64_t end) {
    while (row < end) {
        int64_t run = run_length(reader->ids, row, end), rows = run;
        if (run < SHORT_RUN)
            for (int64_t more; row + rows < end && (more = run_length(reader->ids, row + rows, end)) < SHORT_RUN; rows += more)
                continue;
        TRY(add_batch(reader, row, rows, rows == run));
        row += rows;
    }
    return DFAISS_OK;
}

static dfaiss_status_t open_group(reader_t *reader, const char *name, hdf5_stream_t *stream) {
    char text[16] = "";
    element_t element = ELEMENT_f32;
    TRY(hdf5_get_text(reader->file, name, "element", text, sizeof text));
    if (!element_from_name(text, &element))
        return hdf5_unexpected(reader->file, name, "expected an element type, found \"%s\"", text);
    return hdf5_stream_open(reader->file, name, (hdf5_type_t)element, HDF5_ANY, reader->content->config->dim, stream);
}

static dfaiss_status_t add_group(reader_t *reader, const char *name, hdf5_stream_t *stream, int64_t first) {
    int64_t found = 0, rows = stream->dataset.rows, left = reader->content->rows - first;
    TRY(hdf5_get_integer(reader->file, name, "first", first, first, &found));
    if (rows < 1 || rows > left)
        return hdf5_unexpected(reader->file, name, "expected 1 to %" PRId64 " vectors, found %" PRId64, left, rows);
    int64_t most = (int64_t)(BATCH_VECTOR_BYTES / stream->dataset.row_bytes);
    most = most > SHORT_RUN ? most : SHORT_RUN;
    reader->vectors = stream;
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t row = 0; status == DFAISS_OK && row < rows; row += most)
        status = add_rows(reader, first + row, first + smaller(row + most, rows));
    reader->vectors = NULL;
    return status;
}

static dfaiss_status_t read_buffered(reader_t *reader, int64_t first) {
    int64_t count = 0, rows = reader->content->rows;
    TRY(hdf5_get_integer(reader->file, "/buffered", "count", 0, rows - first, &count));
    if (count > 0 && reader->content->config->dim < 1)
        return hdf5_unexpected(reader->file, "/config", "expected a dimension, since there are vectors");
    for (int64_t group = 0; group < count; group++) {
        char name[HDF5_NAME];
        hdf5_stream_t stream = {0};
        buffered_name(group, name, sizeof name);
        TRY(open_group(reader, name, &stream));
        dfaiss_status_t status = add_group(reader, name, &stream, first);
        first += stream.dataset.rows;
        hdf5_stream_destroy(&stream);
        TRY(status);
    }
    return first == rows ? DFAISS_OK
                         : hdf5_unexpected(reader->file, "/buffered", "expected vectors up to row %" PRId64 ", found %" PRId64, rows, first);
}

static dfaiss_status_t check_metadata_end(const reader_t *reader) {
    if (reader->has_metadata && reader->metadata_end != (uint64_t)reader->bytes.dataset.rows)
        return hdf5_unexpected(reader->file, "dataset /metadata/bytes", "expected %" PRIu64 " bytes, found %" PRId64, reader->metadata_end,
                               reader->bytes.dataset.rows);
    return DFAISS_OK;
}

dfaiss_status_t shard_rows_read(hdf5_file_t *file, shard_content_t *content, int64_t indexed) {
    reader_t reader = {.file = file, .content = content};
    dfaiss_status_t status = read_ids(&reader);
    if (status == DFAISS_OK)
        status = open_metadata(&reader);
    if (status == DFAISS_OK)
        status = add_rows(&reader, 0, indexed);
    if (status == DFAISS_OK)
        status = read_buffered(&reader, indexed);
    if (status == DFAISS_OK)
        status = check_metadata_end(&reader);
    hdf5_stream_destroy(&reader.ends);
    hdf5_stream_destroy(&reader.bytes);
    memory_unmap(reader.ids, (size_t)content->rows * sizeof *reader.ids);
    return status;
}
