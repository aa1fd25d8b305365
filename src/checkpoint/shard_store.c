/* The indexed vectors of a shard, in the form of their class: segments of codes, inverted lists, or graphs as faiss writes them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "checkpoint/shard_parts.h"

enum { CHECKSUM_TEXT = 17, PIECE = 1024 };

/* ---- rows of segments ---- */

static const char held_name[] = "/held_rows";

/* Rows of a segment, or of a list, by their numbers in the part. */
static dfaiss_status_t put_rows(hdf5_stream_t *stream, const kept_rows_t *kept, const int64_t *rows, int64_t count) {
    int64_t piece[PIECE];
    if (!kept->bits)
        return hdf5_stream_put(stream, rows, count);
    for (int64_t at = 0; at < count; at += PIECE) {
        int64_t n = count - at < PIECE ? count - at : PIECE;
        for (int64_t i = 0; i < n; i++)
            piece[i] = kept_rows_number(kept, rows[at + i]);
        TRY(hdf5_stream_put(stream, piece, n));
    }
    return DFAISS_OK;
}

static dfaiss_status_t put_segment_rows(hdf5_stream_t *stream, const shard_content_t *content, int64_t segment) {
    const int64_t *rows = engine_store_segment_rows(content->store, segment);
    int64_t piece[PIECE], first = 0, count = 0, place = kept_rows_segment(content->kept, content->store, segment);
    engine_store_segment(content->store, segment, &first, &count);
    if (rows)
        return put_rows(stream, content->kept, rows + place, count - place);
    for (int64_t at = place; at < count; at += PIECE) {
        int64_t n = count - at < PIECE ? count - at : PIECE;
        for (int64_t i = 0; i < n; i++)
            piece[i] = first + at + i;
        TRY(put_rows(stream, content->kept, piece, n));
    }
    return DFAISS_OK;
}

static dfaiss_status_t write_held_rows(hdf5_file_t *file, const shard_content_t *content) {
    const kept_rows_t *kept = content->kept;
    hdf5_stream_t stream;
    if (kept->held == kept->indexed - kept->first_indexed)
        return DFAISS_OK;
    TRY(hdf5_stream_create(file, held_name, HDF5_I64, kept->held, 0, &stream));
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t segment = 0; status == DFAISS_OK && segment < engine_store_segments(content->store); segment++)
        status = put_segment_rows(&stream, content, segment);
    if (status == DFAISS_OK)
        status = hdf5_stream_finish(&stream);
    hdf5_stream_destroy(&stream);
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

shard_code_form_t shard_code_form(const shard_content_t *content) {
    if (codes_are_vectors(content))
        return (shard_code_form_t){"/vectors", HDF5_F32, engine_template_dim(content->template)};
    return (shard_code_form_t){"/codes", HDF5_U8, (int64_t)engine_template_code_size(content->template)};
}

static dfaiss_status_t write_segment_sizes(hdf5_file_t *file, const shard_content_t *content) {
    int64_t count = engine_store_segments(content->store), written = 0;
    int64_t *sizes = malloc((size_t)(count ? count : 1) * sizeof *sizes);
    if (!sizes)
        return error_memory(file->err, (size_t)count * sizeof *sizes, "the sizes of segments");
    for (int64_t segment = 0; segment < count; segment++) {
        int64_t first = 0, rows = 0;
        engine_store_segment(content->store, segment, &first, &rows);
        sizes[written] = rows - kept_rows_segment(content->kept, content->store, segment);
        written += sizes[written] > 0;
    }
    dfaiss_status_t status = hdf5_write_all(file, "/segments", HDF5_I64, written, sizes);
    free(sizes);
    return status;
}

static dfaiss_status_t put_codes(hdf5_stream_t *stream, const shard_content_t *content, int64_t segment) {
    size_t code_size = engine_template_code_size(content->template);
    int64_t first = 0, rows = 0, place = kept_rows_segment(content->kept, content->store, segment);
    engine_store_segment(content->store, segment, &first, &rows);
    return hdf5_stream_put(stream, engine_store_segment_codes(content->store, segment) + (size_t)place * code_size, rows - place);
}

static dfaiss_status_t write_codes(hdf5_file_t *file, const shard_content_t *content) {
    shard_code_form_t form = shard_code_form(content);
    hdf5_stream_t stream;
    TRY(write_segment_sizes(file, content));
    TRY(write_held_rows(file, content));
    TRY(hdf5_stream_create(file, form.name, form.type, content->kept->held, form.width, &stream));
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t segment = 0; status == DFAISS_OK && segment < engine_store_segments(content->store); segment++)
        status = put_codes(&stream, content, segment);
    if (status == DFAISS_OK)
        status = hdf5_stream_finish(&stream);
    hdf5_stream_destroy(&stream);
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

/* What is written of a list. */
typedef struct list_part {
    int64_t size;
    const uint8_t *codes;
    const int64_t *rows;
} list_part_t;

static list_part_t list_part(const shard_content_t *content, int64_t list) {
    list_part_t part;
    engine_store_list(content->store, list, &part.size, &part.codes, &part.rows);
    int64_t place = kept_rows_place(content->kept, part.rows, part.size);
    if (place == 0)
        return part;
    return (list_part_t){part.size - place, part.codes + (size_t)place * engine_template_code_size(content->template), part.rows + place};
}

/* Which lists there is something of, and how much; where it is something of most, of all. */
static dfaiss_status_t put_list_sizes(hdf5_file_t *file, const shard_content_t *content, int64_t lists, int64_t *numbers, int64_t *sizes) {
    int64_t some = 0;
    for (int64_t list = 0; list < lists; list++) {
        numbers[some] = list;
        sizes[some] = list_part(content, list).size;
        some += sizes[some] > 0;
    }
    if (some <= lists / 2) {
        TRY(hdf5_write_all(file, "/lists/numbers", HDF5_I64, some, numbers));
        return hdf5_write_all(file, "/lists/sizes", HDF5_I64, some, sizes);
    }
    for (int64_t list = 0; list < lists; list++)
        sizes[list] = list_part(content, list).size;
    return hdf5_write_all(file, "/lists/sizes", HDF5_I64, lists, sizes);
}

static dfaiss_status_t write_list_sizes(hdf5_file_t *file, const shard_content_t *content, int64_t lists) {
    size_t bytes = (size_t)lists * sizeof(int64_t);
    int64_t *numbers = malloc(bytes), *sizes = malloc(bytes);
    dfaiss_status_t status =
        numbers && sizes ? put_list_sizes(file, content, lists, numbers, sizes) : error_memory(file->err, 2 * bytes, "the sizes of lists");
    free(numbers);
    free(sizes);
    return status;
}

static dfaiss_status_t put_lists(const shard_content_t *content, int64_t lists, list_streams_t *streams) {
    for (int64_t list = 0; list < lists; list++) {
        list_part_t part = list_part(content, list);
        TRY(put_rows(&streams->rows, content->kept, part.rows, part.size));
        TRY(hdf5_stream_put(&streams->codes, part.codes, part.size));
    }
    TRY(hdf5_stream_finish(&streams->rows));
    return hdf5_stream_finish(&streams->codes);
}

static dfaiss_status_t write_lists(hdf5_file_t *file, const shard_content_t *content) {
    int64_t lists = engine_template_lists(content->template), held = content->kept->held;
    int64_t code_size = (int64_t)engine_template_code_size(content->template);
    list_streams_t streams = {0};
    TRY(hdf5_make_group(file, "/lists"));
    TRY(write_list_sizes(file, content, lists));
    dfaiss_status_t status = hdf5_stream_create(file, "/lists/rows", HDF5_I64, held, 0, &streams.rows);
    if (status == DFAISS_OK)
        status = hdf5_stream_create(file, "/lists/codes", HDF5_U8, held, code_size, &streams.codes);
    if (status == DFAISS_OK)
        status = put_lists(content, lists, &streams);
    destroy_list_streams(&streams);
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

/* `number` is that of the graph in the file. */
static dfaiss_status_t write_graph(hdf5_file_t *file, const shard_content_t *content, int64_t graph, int64_t number) {
    char name[HDF5_NAME];
    graph_sink_t sink = {.checksum = XXH3_createState()};
    graph_name(number, name, sizeof name);
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

/* Graphs are in earlier files as a whole or not at all. */
static dfaiss_status_t write_graphs(hdf5_file_t *file, const shard_content_t *content) {
    int64_t graphs = engine_store_segments(content->store), first = 0, row = 0, rows = 0;
    TRY(hdf5_make_group(file, "/graphs"));
    TRY(write_held_rows(file, content));
    for (; first < graphs; first++) {
        engine_store_segment(content->store, first, &row, &rows);
        if (row >= content->kept->start.indexed)
            break;
    }
    TRY(hdf5_put_integer(file, "/graphs", "count", graphs - first));
    for (int64_t graph = first; graph < graphs; graph++)
        TRY(write_graph(file, content, graph, graph - first));
    return DFAISS_OK;
}

/* ---- by class ---- */

static dfaiss_status_t (*const forms[])(hdf5_file_t *file, const shard_content_t *content) = {
    [ENGINE_CODES] = write_codes, [ENGINE_IVF] = write_lists, [ENGINE_HNSW] = write_graphs, [ENGINE_OPAQUE] = write_graphs};

dfaiss_status_t shard_store_write(hdf5_file_t *file, const shard_content_t *content) {
    return forms[engine_template_class(content->template)](file, content);
}
