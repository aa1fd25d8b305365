/* The indexed vectors of a shard, in the form of their class: segments of codes, inverted lists, or graphs as faiss writes them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "checkpoint/shard_parts.h"

enum { CHECKSUM_TEXT = 17, PIECE = 1024 };

/* ---- rows of segments ---- */

/* Which rows the segments hold, one after the other, where some were dropped; else they are 0 to indexed - 1. */
typedef struct held_rows {
    hdf5_dataset_t dataset;
    bool some_dropped;
    int64_t held;
} held_rows_t;

static const char held_name[] = "/held_rows";

static dfaiss_status_t put_segment_rows(hdf5_stream_t *stream, const engine_store_t *store, int64_t segment) {
    const int64_t *rows = engine_store_segment_rows(store, segment);
    int64_t piece[PIECE], first = 0, count = 0;
    engine_store_segment(store, segment, &first, &count);
    if (rows)
        return hdf5_stream_put(stream, rows, count);
    for (int64_t at = 0; at < count; at += PIECE) {
        int64_t n = count - at < PIECE ? count - at : PIECE;
        for (int64_t i = 0; i < n; i++)
            piece[i] = first + at + i;
        TRY(hdf5_stream_put(stream, piece, n));
    }
    return DFAISS_OK;
}

static dfaiss_status_t write_held_rows(hdf5_file_t *file, const shard_content_t *content) {
    const engine_store_t *store = content->store;
    hdf5_stream_t stream;
    if (engine_store_held(store) == content->kept->indexed)
        return DFAISS_OK;
    TRY(hdf5_stream_create(file, held_name, HDF5_I64, engine_store_held(store), 0, &stream));
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t segment = 0; status == DFAISS_OK && segment < engine_store_segments(store); segment++)
        status = put_segment_rows(&stream, store, segment);
    if (status == DFAISS_OK)
        status = hdf5_stream_finish(&stream);
    hdf5_stream_destroy(&stream);
    return status;
}

static dfaiss_status_t open_held_rows(hdf5_file_t *file, int64_t indexed, held_rows_t *rows) {
    *rows = (held_rows_t){.some_dropped = hdf5_exists(file, held_name), .held = indexed};
    if (!rows->some_dropped)
        return DFAISS_OK;
    TRY(hdf5_dataset_open(file, held_name, HDF5_I64, HDF5_ANY, 0, &rows->dataset));
    rows->held = rows->dataset.rows;
    if (rows->held <= indexed)
        return DFAISS_OK;
    hdf5_dataset_close(&rows->dataset);
    return hdf5_unexpected(file, held_name, "expected at most %" PRId64 " rows, found %" PRId64, indexed, rows->held);
}

static void close_held_rows(held_rows_t *rows) {
    if (rows->some_dropped)
        hdf5_dataset_close(&rows->dataset);
}

/* Tells the engine which rows the next segment holds: `count` of them from place `first` on. *first_row receives the first. */
static dfaiss_status_t restore_rows(hdf5_file_t *file, engine_store_t *store, held_rows_t *held, int64_t first, int64_t count, int64_t *first_row) {
    *first_row = first;
    if (!held->some_dropped || count == 0)
        return DFAISS_OK;
    int64_t *rows = malloc((size_t)count * sizeof *rows);
    dfaiss_status_t status =
        rows ? hdf5_dataset_read(&held->dataset, first, count, rows) : error_memory(file->err, (size_t)count * sizeof *rows, "the rows of a segment");
    if (status == DFAISS_OK) {
        *first_row = rows[0];
        status = engine_store_restore_rows(store, count, rows, file->err);
        if (status != DFAISS_OK)
            status = shard_blame(file, held_name, status);
    }
    free(rows);
    return status;
}

/* ---- flat and other codes ---- */

/* Codes of a plain flat index are its vectors, and are stored as such for other programs to read. */
static bool codes_are_vectors(const shard_content_t *content) {
    const index_config_t *config = content->config;
    bool flat = config->index_builder_type == CONFIG_KIND_flat ||
                (config->index_builder_type == CONFIG_KIND_factory && strcmp(config->faiss_factory, "Flat") == 0);
    return flat && engine_template_code_size(content->template) == (size_t)engine_template_dim(content->template) * sizeof(float);
}

/* Where codes lie, and in which form. */
typedef struct code_form {
    const char *name;
    hdf5_type_t type;
    int64_t width;
} code_form_t;

static code_form_t code_form(const shard_content_t *content) {
    if (codes_are_vectors(content))
        return (code_form_t){"/vectors", HDF5_F32, engine_template_dim(content->template)};
    return (code_form_t){"/codes", HDF5_U8, (int64_t)engine_template_code_size(content->template)};
}

static dfaiss_status_t write_segment_sizes(hdf5_file_t *file, const engine_store_t *store) {
    int64_t count = engine_store_segments(store), first = 0;
    int64_t *sizes = malloc((size_t)(count ? count : 1) * sizeof *sizes);
    if (!sizes)
        return error_memory(file->err, (size_t)count * sizeof *sizes, "the sizes of segments");
    for (int64_t segment = 0; segment < count; segment++)
        engine_store_segment(store, segment, &first, &sizes[segment]);
    dfaiss_status_t status = hdf5_write_all(file, "/segments", HDF5_I64, count, sizes);
    free(sizes);
    return status;
}

static dfaiss_status_t write_codes(hdf5_file_t *file, const shard_content_t *content) {
    const engine_store_t *store = content->store;
    code_form_t form = code_form(content);
    hdf5_stream_t stream;
    TRY(write_segment_sizes(file, store));
    TRY(write_held_rows(file, content));
    TRY(hdf5_stream_create(file, form.name, form.type, engine_store_held(store), form.width, &stream));
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t segment = 0; status == DFAISS_OK && segment < engine_store_segments(store); segment++) {
        int64_t first = 0, rows = 0;
        engine_store_segment(store, segment, &first, &rows);
        status = hdf5_stream_put(&stream, engine_store_segment_codes(store, segment), rows);
    }
    if (status == DFAISS_OK)
        status = hdf5_stream_finish(&stream);
    hdf5_stream_destroy(&stream);
    return status;
}

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

/* A dataset of sizes, checked; *sizes is malloc'ed and the caller's. `expected` may be HDF5_ANY. */
static dfaiss_status_t read_sizes(hdf5_file_t *file, const char *name, int64_t expected, int64_t total, int64_t **sizes, int64_t *count) {
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

static dfaiss_status_t read_segments(hdf5_file_t *file, engine_store_t *store, held_rows_t *held, hdf5_dataset_t *codes, const int64_t *sizes,
                                     int64_t count) {
    int64_t first = 0, first_row = 0;
    for (int64_t segment = 0; segment < count; first += sizes[segment], segment++) {
        uint8_t *to = NULL;
        if (sizes[segment] == 0)
            continue;
        TRY(restore_rows(file, store, held, first, sizes[segment], &first_row));
        dfaiss_status_t status = engine_store_restore_segment(store, sizes[segment], &to, file->err);
        if (status != DFAISS_OK)
            return shard_blame(file, "/segments", status);
        TRY(hdf5_dataset_read(codes, first, sizes[segment], to));
    }
    return DFAISS_OK;
}

static dfaiss_status_t read_codes(hdf5_file_t *file, shard_content_t *content, int64_t indexed) {
    code_form_t form = code_form(content);
    int64_t *sizes = NULL, count = 0;
    hdf5_dataset_t codes;
    held_rows_t held;
    TRY(open_held_rows(file, indexed, &held));
    dfaiss_status_t status = hdf5_dataset_open(file, form.name, form.type, held.held, form.width, &codes);
    if (status == DFAISS_OK) {
        status = read_sizes(file, "/segments", HDF5_ANY, held.held, &sizes, &count);
        if (status == DFAISS_OK)
            status = read_segments(file, content->store, &held, &codes, sizes, count);
        free(sizes);
        hdf5_dataset_close(&codes);
    }
    close_held_rows(&held);
    return status;
}

/* ---- inverted lists ---- */

typedef struct list_streams {
    hdf5_stream_t rows, codes;
} list_streams_t;

static void destroy_list_streams(list_streams_t *streams) {
    hdf5_stream_destroy(&streams->rows);
    hdf5_stream_destroy(&streams->codes);
}

static dfaiss_status_t write_list_sizes(hdf5_file_t *file, const engine_store_t *store, int64_t lists) {
    int64_t *sizes = malloc((size_t)lists * sizeof *sizes);
    if (!sizes)
        return error_memory(file->err, (size_t)lists * sizeof *sizes, "the sizes of lists");
    for (int64_t list = 0; list < lists; list++) {
        const uint8_t *codes = NULL;
        const int64_t *rows = NULL;
        engine_store_list(store, list, &sizes[list], &codes, &rows);
    }
    dfaiss_status_t status = hdf5_write_all(file, "/lists/sizes", HDF5_I64, lists, sizes);
    free(sizes);
    return status;
}

static dfaiss_status_t put_list_rows(hdf5_stream_t *stream, const kept_rows_t *kept, const int64_t *rows, int64_t size) {
    int64_t piece[PIECE];
    if (!kept->bits)
        return hdf5_stream_put(stream, rows, size);
    for (int64_t at = 0; at < size; at += PIECE) {
        int64_t n = size - at < PIECE ? size - at : PIECE;
        for (int64_t i = 0; i < n; i++)
            piece[i] = kept_rows_number(kept, rows[at + i]);
        TRY(hdf5_stream_put(stream, piece, n));
    }
    return DFAISS_OK;
}

static dfaiss_status_t put_lists(const shard_content_t *content, int64_t lists, list_streams_t *streams) {
    for (int64_t list = 0; list < lists; list++) {
        int64_t size = 0;
        const uint8_t *codes = NULL;
        const int64_t *rows = NULL;
        engine_store_list(content->store, list, &size, &codes, &rows);
        TRY(put_list_rows(&streams->rows, content->kept, rows, size));
        TRY(hdf5_stream_put(&streams->codes, codes, size));
    }
    TRY(hdf5_stream_finish(&streams->rows));
    return hdf5_stream_finish(&streams->codes);
}

static dfaiss_status_t write_lists(hdf5_file_t *file, const shard_content_t *content) {
    int64_t lists = engine_template_lists(content->template), held = engine_store_held(content->store);
    int64_t code_size = (int64_t)engine_template_code_size(content->template);
    list_streams_t streams = {0};
    TRY(hdf5_make_group(file, "/lists"));
    TRY(write_list_sizes(file, content->store, lists));
    dfaiss_status_t status = hdf5_stream_create(file, "/lists/rows", HDF5_I64, held, 0, &streams.rows);
    if (status == DFAISS_OK)
        status = hdf5_stream_create(file, "/lists/codes", HDF5_U8, held, code_size, &streams.codes);
    if (status == DFAISS_OK)
        status = put_lists(content, lists, &streams);
    destroy_list_streams(&streams);
    return status;
}

static dfaiss_status_t get_lists(hdf5_file_t *file, engine_store_t *store, const int64_t *sizes, int64_t lists, list_streams_t *streams) {
    for (int64_t list = 0; list < lists; list++) {
        uint8_t *codes = NULL;
        int64_t *rows = NULL;
        if (sizes[list] == 0)
            continue;
        dfaiss_status_t status = engine_store_restore_list(store, list, sizes[list], &codes, &rows, file->err);
        if (status != DFAISS_OK)
            return shard_blame(file, "/lists/sizes", status);
        TRY(hdf5_stream_get(&streams->rows, rows, sizes[list]));
        TRY(hdf5_stream_get(&streams->codes, codes, sizes[list]));
    }
    return DFAISS_OK;
}

static dfaiss_status_t count_rows(hdf5_file_t *file, const char *name, int64_t most, int64_t *rows) {
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_open(file, name, HDF5_I64, HDF5_ANY, 0, &dataset));
    *rows = dataset.rows;
    hdf5_dataset_close(&dataset);
    return *rows <= most ? DFAISS_OK : hdf5_unexpected(file, name, "expected at most %" PRId64 " rows, found %" PRId64, most, *rows);
}

static dfaiss_status_t read_lists(hdf5_file_t *file, shard_content_t *content, int64_t indexed) {
    int64_t code_size = (int64_t)engine_template_code_size(content->template);
    int64_t *sizes = NULL, lists = 0;
    list_streams_t streams = {0};
    int64_t held = indexed;
    if (content->living) /* rows may have been dropped: how many is told by the lists themselves */
        TRY(count_rows(file, "/lists/rows", indexed, &held));
    TRY(read_sizes(file, "/lists/sizes", engine_template_lists(content->template), held, &sizes, &lists));
    dfaiss_status_t status = hdf5_stream_open(file, "/lists/rows", HDF5_I64, held, 0, &streams.rows);
    if (status == DFAISS_OK)
        status = hdf5_stream_open(file, "/lists/codes", HDF5_U8, held, code_size, &streams.codes);
    if (status == DFAISS_OK)
        status = get_lists(file, content->store, sizes, lists, &streams);
    destroy_list_streams(&streams);
    free(sizes);
    return status;
}

/* ---- graphs ---- */

static void graph_name(int64_t graph, char *name, size_t capacity) {
    snprintf(name, capacity, "/graphs/%04" PRId64, graph);
}

/* Where the engine's bytes of one graph go. */
typedef struct graph_sink {
    hdf5_stream_t stream;
    XXH3_state_t *checksum;
    dfaiss_status_t status;
} graph_sink_t;

static bool put_graph_bytes(void *context, const void *bytes, size_t size) {
    graph_sink_t *sink = context;
    XXH3_64bits_update(sink->checksum, bytes, size);
    sink->status = hdf5_stream_put(&sink->stream, bytes, (int64_t)size);
    return sink->status == DFAISS_OK;
}

/* What the sink met is told rather than that the engine was stopped. */
static dfaiss_status_t write_graph_bytes(hdf5_file_t *file, const engine_store_t *store, int64_t graph, graph_sink_t *sink) {
    dfaiss_error_t engine_error = {0};
    dfaiss_status_t status = engine_store_segment_write(store, graph, put_graph_bytes, sink, &engine_error);
    if (sink->status != DFAISS_OK)
        return sink->status;
    if (status != DFAISS_OK)
        return error_set(file->err, status, file->path, "%s: graph %" PRId64 ": %s", file->path, graph, engine_error.text);
    return hdf5_stream_finish(&sink->stream);
}

static dfaiss_status_t put_graph_attributes(hdf5_file_t *file, const shard_content_t *content, int64_t graph, const char *name, uint64_t checksum) {
    char text[CHECKSUM_TEXT];
    int64_t first = 0, rows = 0;
    snprintf(text, sizeof text, "%016" PRIx64, checksum);
    engine_store_segment(content->store, graph, &first, &rows);
    TRY(hdf5_put_integer(file, name, "first", kept_rows_number(content->kept, first)));
    TRY(hdf5_put_integer(file, name, "rows", rows));
    return hdf5_put_text(file, name, "xxh3", text);
}

static dfaiss_status_t write_graph(hdf5_file_t *file, const shard_content_t *content, int64_t graph) {
    char name[HDF5_NAME];
    graph_sink_t sink = {.checksum = XXH3_createState()};
    graph_name(graph, name, sizeof name);
    if (!sink.checksum || XXH3_64bits_reset(sink.checksum) != XXH_OK) {
        XXH3_freeState(sink.checksum);
        return error_set(file->err, DFAISS_ERR_MEMORY, file->path, "not enough memory for a checksum");
    }
    dfaiss_status_t status = hdf5_stream_create_growing(file, name, &sink.stream);
    if (status == DFAISS_OK)
        status = write_graph_bytes(file, content->store, graph, &sink);
    if (status == DFAISS_OK)
        status = put_graph_attributes(file, content, graph, name, XXH3_64bits_digest(sink.checksum));
    hdf5_stream_destroy(&sink.stream);
    XXH3_freeState(sink.checksum);
    return status;
}

static dfaiss_status_t write_graphs(hdf5_file_t *file, const shard_content_t *content) {
    int64_t count = engine_store_segments(content->store);
    TRY(hdf5_make_group(file, "/graphs"));
    TRY(write_held_rows(file, content));
    TRY(hdf5_put_integer(file, "/graphs", "count", count));
    for (int64_t graph = 0; graph < count; graph++)
        TRY(write_graph(file, content, graph));
    return DFAISS_OK;
}

/* Hands over a graph's bytes only when their checksum is right, since faiss believes what it reads. */
static dfaiss_status_t restore_graph(hdf5_file_t *file, engine_store_t *store, hdf5_dataset_t *dataset, int64_t rows, uint8_t *bytes) {
    char expected[64] = "", found[CHECKSUM_TEXT];
    TRY(hdf5_get_text(file, dataset->name, "xxh3", expected, sizeof expected));
    TRY(hdf5_dataset_read(dataset, 0, dataset->rows, bytes));
    snprintf(found, sizeof found, "%016" PRIx64, (uint64_t)XXH3_64bits(bytes, (size_t)dataset->rows));
    if (strcmp(expected, found) != 0)
        return hdf5_unexpected(file, dataset->name, "expected checksum %s, found %s", expected, found);
    dfaiss_status_t status = engine_store_restore_blob(store, bytes, (size_t)dataset->rows, rows, file->err);
    return status == DFAISS_OK ? status : shard_blame(file, dataset->name, status);
}

/* `first` is the place among the rows held at which this graph must begin; *rows receives how many it has. */
static dfaiss_status_t read_graph(hdf5_file_t *file, engine_store_t *store, held_rows_t *held, int64_t graph, int64_t first, int64_t *rows) {
    char name[HDF5_NAME];
    int64_t first_row = 0, found_first = 0, found_rows = 0;
    hdf5_dataset_t dataset;
    graph_name(graph, name, sizeof name);
    TRY(hdf5_dataset_open(file, name, HDF5_U8, HDF5_ANY, 0, &dataset));
    size_t size = (size_t)dataset.rows;
    uint8_t *bytes = memory_map(size);
    dfaiss_status_t status = DFAISS_OK;
    if (!bytes)
        status = size ? error_memory(file->err, size, name) : hdf5_unexpected(file, name, "expected the bytes of an index, found none");
    if (status == DFAISS_OK)
        status = hdf5_get_integer(file, name, "rows", 1, held->held - first, &found_rows);
    if (status == DFAISS_OK)
        status = restore_rows(file, store, held, first, found_rows, &first_row);
    if (status == DFAISS_OK)
        status = hdf5_get_integer(file, name, "first", first_row, first_row, &found_first);
    if (status == DFAISS_OK)
        status = restore_graph(file, store, &dataset, found_rows, bytes);
    memory_unmap(bytes, size);
    hdf5_dataset_close(&dataset);
    if (status == DFAISS_OK)
        *rows = found_rows;
    return status;
}

static dfaiss_status_t read_all_graphs(hdf5_file_t *file, engine_store_t *store, held_rows_t *held) {
    int64_t count = 0, first = 0;
    TRY(hdf5_get_integer(file, "/graphs", "count", 0, held->held, &count));
    for (int64_t graph = 0; graph < count; graph++) {
        int64_t rows = 0;
        TRY(read_graph(file, store, held, graph, first, &rows));
        first += rows;
    }
    return first == held->held ? DFAISS_OK : hdf5_unexpected(file, "/graphs", "expected %" PRId64 " rows, found %" PRId64, held->held, first);
}

static dfaiss_status_t read_graphs(hdf5_file_t *file, shard_content_t *content, int64_t indexed) {
    held_rows_t held;
    TRY(open_held_rows(file, indexed, &held));
    dfaiss_status_t status = read_all_graphs(file, content->store, &held);
    close_held_rows(&held);
    return status;
}

/* ---- by class ---- */

static const struct {
    dfaiss_status_t (*write)(hdf5_file_t *file, const shard_content_t *content);
    dfaiss_status_t (*read)(hdf5_file_t *file, shard_content_t *content, int64_t indexed);
} forms[] = {
    [ENGINE_CODES] = {write_codes, read_codes},
    [ENGINE_IVF] = {write_lists, read_lists},
    [ENGINE_HNSW] = {write_graphs, read_graphs},
    [ENGINE_OPAQUE] = {write_graphs, read_graphs},
};

dfaiss_status_t shard_blame(hdf5_file_t *file, const char *what, dfaiss_status_t status) {
    (void)error_prefix(file->err, status, "%s: %s: ", file->path, what);
    if (status == DFAISS_ERR_MEMORY)
        return status;
    if (file->err)
        file->err->code = DFAISS_ERR_CHECKPOINT;
    return DFAISS_ERR_CHECKPOINT;
}

dfaiss_status_t shard_store_write(hdf5_file_t *file, const shard_content_t *content) {
    return forms[engine_template_class(content->template)].write(file, content);
}

dfaiss_status_t shard_store_read(hdf5_file_t *file, shard_content_t *content, int64_t indexed) {
    TRY(engine_store_create(content->template, content->config->segment_rows, &content->store, file->err));
    TRY(forms[engine_template_class(content->template)].read(file, content, indexed));
    dfaiss_status_t status = engine_store_restore_end(content->store, indexed, content->living ? bitmap_rows(content->living) : NULL, file->err);
    if (status != DFAISS_OK)
        return shard_blame(file, "indexed vectors", status);
    if (engine_store_rows(content->store) != indexed)
        return hdf5_unexpected(file, "indexed vectors", "expected %" PRId64 ", found %" PRId64, indexed, engine_store_rows(content->store));
    return DFAISS_OK;
}
