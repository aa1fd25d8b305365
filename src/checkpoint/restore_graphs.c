/* Graphs and other indexes as faiss writes them: whole ones for the store, and the vectors of those that are cut. */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "checkpoint/restore_internal.h"
#include "checkpoint/shard_parts.h"

enum { DECODE_ROWS = 4096 };

/* One graph of a file. */
typedef struct graph {
    hdf5_dataset_t dataset; /* its bytes */
    int64_t first_row;      /* of the part */
    int64_t place, rows;    /* among the rows that the file holds */
} graph_t;

/* Goes through the graphs of a file. */
typedef struct graphs {
    restore_file_t *file;
    held_rows_t held;
    int64_t count, next;
    int64_t place; /* at which the next one begins */
} graphs_t;

static dfaiss_status_t open_graphs(restore_t *restore, restore_file_t *file, graphs_t *graphs) {
    *graphs = (graphs_t){.file = file};
    TRY(restore_open(restore, file));
    TRY(held_rows_open(file, &graphs->held));
    dfaiss_status_t status = hdf5_get_integer(&file->hdf5, "/graphs", "count", 0, graphs->held.held, &graphs->count);
    if (status != DFAISS_OK)
        held_rows_close(&graphs->held);
    return status;
}

static dfaiss_status_t open_graph(graphs_t *graphs, graph_t *graph) {
    hdf5_file_t *hdf5 = &graphs->file->hdf5;
    const char *name = graph->dataset.name;
    int64_t found = 0;
    if (graph->dataset.rows == 0)
        return hdf5_unexpected(hdf5, name, "expected the bytes of an index, found none");
    TRY(hdf5_get_integer(hdf5, name, "rows", 1, graphs->held.held - graphs->place, &graph->rows));
    TRY(held_rows_read(&graphs->held, graphs->place, 1, &graph->first_row));
    return hdf5_get_integer(hdf5, name, "first", graph->first_row, graph->first_row, &found);
}

/* There is one more. */
static dfaiss_status_t next_graph(graphs_t *graphs, graph_t *graph) {
    char name[HDF5_NAME];
    *graph = (graph_t){.place = graphs->place};
    snprintf(name, sizeof name, "/graphs/%04" PRId64, graphs->next);
    TRY(hdf5_dataset_open(&graphs->file->hdf5, name, HDF5_U8, HDF5_ANY, 0, &graph->dataset));
    dfaiss_status_t status = open_graph(graphs, graph);
    if (status != DFAISS_OK)
        hdf5_dataset_close(&graph->dataset);
    graphs->next++;
    graphs->place += graph->rows;
    return status;
}

/* After the last one. */
static dfaiss_status_t check_all_seen(const graphs_t *graphs) {
    return graphs->place == graphs->held.held
               ? DFAISS_OK
               : hdf5_unexpected(&graphs->file->hdf5, "/graphs", "expected %" PRId64 " rows, found %" PRId64, graphs->held.held, graphs->place);
}

/* ---- whole graphs ---- */

/* Hands over a graph's bytes only when their checksum is right, since faiss believes what it reads. */
static dfaiss_status_t restore_bytes(restore_t *restore, graph_t *graph, uint8_t *bytes) {
    char expected[64] = "", found[RESTORE_CHECKSUM];
    hdf5_file_t *hdf5 = graph->dataset.file;
    TRY(hdf5_get_text(hdf5, graph->dataset.name, "xxh3", expected, sizeof expected));
    TRY(hdf5_dataset_read(&graph->dataset, 0, graph->dataset.rows, bytes));
    snprintf(found, sizeof found, "%016" PRIx64, (uint64_t)XXH3_64bits(bytes, (size_t)graph->dataset.rows));
    if (strcmp(expected, found) != 0)
        return hdf5_unexpected(hdf5, graph->dataset.name, "expected checksum %s, found %s", expected, found);
    dfaiss_status_t status = engine_store_restore_blob(restore->content->store, bytes, (size_t)graph->dataset.rows, graph->rows, restore->err);
    return status == DFAISS_OK ? status : restore_blame(hdf5, graph->dataset.name, status);
}

static dfaiss_status_t add_graph(restore_t *restore, const restore_piece_t *piece, const graphs_t *graphs, graph_t *graph) {
    size_t size = (size_t)graph->dataset.rows;
    TRY(held_rows_restore(&graphs->held, restore->content->store, piece, graph->place, graph->rows));
    uint8_t *bytes = memory_map(size);
    if (!bytes)
        return error_memory(restore->err, size, graph->dataset.name);
    dfaiss_status_t status = restore_bytes(restore, graph, bytes);
    memory_unmap(bytes, size);
    return status;
}

/* Graphs that begin in the piece end in it: those that were superseded lie behind it. */
static dfaiss_status_t add_graphs(restore_t *restore, const restore_piece_t *piece, graphs_t *graphs) {
    while (graphs->next < graphs->count) {
        graph_t graph;
        TRY(next_graph(graphs, &graph));
        dfaiss_status_t status = DFAISS_OK;
        if (graph.first_row >= piece->first && graph.first_row < piece->end)
            status = add_graph(restore, piece, graphs, &graph);
        hdf5_dataset_close(&graph.dataset);
        TRY(status);
    }
    return check_all_seen(graphs);
}

dfaiss_status_t restore_graphs(restore_t *restore) {
    for (restore_piece_t piece = {0}; restore_next_index(restore, SPREAD_INDEXED, &piece);) {
        graphs_t graphs;
        TRY(open_graphs(restore, piece.file, &graphs));
        dfaiss_status_t status = add_graphs(restore, &piece, &graphs);
        held_rows_close(&graphs.held);
        TRY(status);
    }
    return DFAISS_OK;
}

/* ---- where graphs begin ---- */

static dfaiss_status_t list_units(restore_t *restore, restore_file_t *file, int64_t **units, int64_t *count) {
    graphs_t graphs;
    TRY(open_graphs(restore, file, &graphs));
    int64_t *grown = realloc(*units, (size_t)(*count + graphs.count + 1) * sizeof *grown);
    dfaiss_status_t status = grown ? DFAISS_OK : error_memory(restore->err, (size_t)(*count + graphs.count) * sizeof *grown, "the graphs of a part");
    *units = grown ? grown : *units;
    while (status == DFAISS_OK && graphs.next < graphs.count) {
        graph_t graph;
        status = next_graph(&graphs, &graph);
        if (status != DFAISS_OK)
            break;
        hdf5_dataset_close(&graph.dataset);
        if (graph.first_row < file->until)
            (*units)[(*count)++] = graph.first_row;
    }
    held_rows_close(&graphs.held);
    return status;
}

dfaiss_status_t restore_units(restore_t *restore, restore_part_t *part, int64_t **units, int64_t *count) {
    int64_t *made = NULL, found = 0;
    for (int64_t i = 0; i < part->file_count; i++) {
        dfaiss_status_t status = list_units(restore, &part->files[i], &made, &found);
        for (int64_t j = 1; status == DFAISS_OK && j < found; j++)
            if (made[j] <= made[j - 1])
                status = hdf5_unexpected(&part->files[i].hdf5, "/graphs", "expected graphs that begin one behind the other");
        if (status != DFAISS_OK) {
            free(made);
            return status;
        }
    }
    *units = made;
    *count = found;
    return DFAISS_OK;
}

/* ---- vectors of graphs that are cut ---- */

/* Where vectors go: those of rows first to end - 1 of a part. */
typedef struct vectors {
    restore_t *restore;
    int64_t dim;
    int64_t first, end;
    float *to;
    int64_t next;     /* row that is not filled yet */
    uint8_t *codes;   /* [DECODE_ROWS] */
    float *decoded;   /* [DECODE_ROWS][dim] */
    int64_t *numbers; /* [DECODE_ROWS] */
} vectors_t;

static float *vector_at(const vectors_t *vectors, int64_t row) {
    return vectors->to + (row - vectors->first) * vectors->dim;
}

/* Rows that were dropped have no vector: they get their neighbour's, so that they change nothing where they are built in again. */
static void put_vector(vectors_t *vectors, int64_t row, const float *vector) {
    size_t bytes = (size_t)vectors->dim * sizeof *vector;
    for (; vectors->next < row; vectors->next++)
        memcpy(vector_at(vectors, vectors->next), vectors->next > vectors->first ? vector_at(vectors, vectors->next - 1) : vector, bytes);
    memcpy(vector_at(vectors, row), vector, bytes);
    vectors->next = row + 1;
}

static void fill_rest(vectors_t *vectors) {
    for (; vectors->next > vectors->first && vectors->next < vectors->end; vectors->next++)
        memcpy(vector_at(vectors, vectors->next), vector_at(vectors, vectors->next - 1), (size_t)vectors->dim * sizeof(float));
}

/* Codes of places first to first + count - 1 of a file, which the graph holds. */
static dfaiss_status_t decode_some(vectors_t *vectors, const graphs_t *graphs, graph_t *graph, size_t offset, int64_t first, int64_t count) {
    const engine_template_t *template = vectors->restore->content->template;
    size_t code_size = engine_template_code_size(template);
    TRY(hdf5_dataset_read(&graph->dataset, (int64_t)(offset + (size_t)(first - graph->place) * code_size), count * (int64_t)code_size,
                          vectors->codes));
    TRY(engine_decode(template, count, vectors->codes, vectors->decoded, vectors->restore->err));
    TRY(held_rows_read(&graphs->held, first, count, vectors->numbers));
    for (int64_t i = 0; i < count; i++) {
        int64_t row = vectors->numbers[i];
        if (row < vectors->next || row >= vectors->end)
            return hdf5_unexpected(graph->dataset.file, "/held_rows", "row %" PRId64 " stands where rows %" PRId64 " to %" PRId64 " were expected",
                                   row, vectors->next, vectors->end - 1);
        put_vector(vectors, row, vectors->decoded + i * vectors->dim);
    }
    return DFAISS_OK;
}

/* Codes are the last array in what faiss writes, behind their number. */
static dfaiss_status_t find_codes(vectors_t *vectors, graph_t *graph, size_t *offset) {
    engine_graph_codes_t codes;
    uint64_t number = 0;
    dfaiss_status_t status =
        engine_graph_codes(vectors->restore->content->template, graph->rows, (size_t)graph->dataset.rows, &codes, vectors->restore->err);
    if (status != DFAISS_OK)
        return restore_blame(graph->dataset.file, graph->dataset.name, status);
    TRY(hdf5_dataset_read(&graph->dataset, (int64_t)(codes.offset - sizeof number), sizeof number, &number));
    if (le64toh(number) != codes.number)
        return hdf5_unexpected(graph->dataset.file, graph->dataset.name, "expected the codes of %" PRId64 " vectors, found something else",
                               graph->rows);
    *offset = codes.offset;
    return DFAISS_OK;
}

static dfaiss_status_t decode_graph(vectors_t *vectors, const graphs_t *graphs, graph_t *graph, int64_t first, int64_t end) {
    size_t offset = 0;
    first = first > graph->place ? first : graph->place;
    end = end < graph->place + graph->rows ? end : graph->place + graph->rows;
    if (first >= end)
        return DFAISS_OK;
    TRY(find_codes(vectors, graph, &offset));
    for (int64_t place = first; place < end; place += DECODE_ROWS)
        TRY(decode_some(vectors, graphs, graph, offset, place, end - place < DECODE_ROWS ? end - place : DECODE_ROWS));
    return DFAISS_OK;
}

static dfaiss_status_t decode_graphs(vectors_t *vectors, graphs_t *graphs) {
    const restore_file_t *file = graphs->file;
    int64_t first = 0, end = 0, to = vectors->end < file->until ? vectors->end : file->until;
    TRY(held_rows_place(&graphs->held, vectors->first, &first));
    TRY(held_rows_place(&graphs->held, to, &end));
    while (graphs->next < graphs->count && graphs->place < end) {
        graph_t graph;
        TRY(next_graph(graphs, &graph));
        dfaiss_status_t status = decode_graph(vectors, graphs, &graph, first, end);
        hdf5_dataset_close(&graph.dataset);
        TRY(status);
    }
    return DFAISS_OK;
}

static dfaiss_status_t decode_part(vectors_t *vectors, restore_part_t *part) {
    for (int64_t i = 0; i < part->file_count; i++) {
        restore_file_t *file = &part->files[i];
        graphs_t graphs;
        if (vectors->first >= file->until || vectors->end <= file->named.first_indexed)
            continue;
        TRY(open_graphs(vectors->restore, file, &graphs));
        dfaiss_status_t status = decode_graphs(vectors, &graphs);
        held_rows_close(&graphs.held);
        TRY(status);
    }
    fill_rest(vectors);
    return DFAISS_OK;
}

dfaiss_status_t restore_decode(restore_t *restore, restore_part_t *part, int64_t first, int64_t end, float *to) {
    const engine_template_t *template = restore->content->template;
    vectors_t vectors = {.restore = restore, .dim = engine_template_dim(template), .first = first, .end = end, .to = to, .next = first};
    vectors.codes = malloc(DECODE_ROWS * engine_template_code_size(template));
    vectors.decoded = malloc(DECODE_ROWS * (size_t)vectors.dim * sizeof *vectors.decoded);
    vectors.numbers = malloc(DECODE_ROWS * sizeof *vectors.numbers);
    dfaiss_status_t status = vectors.codes && vectors.decoded && vectors.numbers
                                 ? decode_part(&vectors, part)
                                 : error_memory(restore->err, DECODE_ROWS * (size_t)vectors.dim * sizeof *vectors.decoded, "decoding vectors");
    free(vectors.codes);
    free(vectors.decoded);
    free(vectors.numbers);
    return status;
}
