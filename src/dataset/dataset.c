#include "dataset/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/file_layout.h"
#include "dataset/file_map.h"

typedef struct part {
    char *path;
    file_map_t map;
    file_layout_t layout;
    int64_t first; /* row of the whole input that is its row 0 */
} part_t;

struct dataset {
    int count;
    part_t *parts;
    int64_t rows;
    int64_t dim;
    element_t element;
    size_t row_bytes;
};

static dfaiss_status_t open_part(part_t *part, const char *path, const dataset_raw_t *raw, dfaiss_error_t *err) {
    part->path = strdup(path);
    if (!part->path)
        return error_memory(err, strlen(path) + 1, "a path");
    TRY(file_map_open(path, &part->map, err));
    if (raw)
        return file_layout_raw(path, &part->map, raw, &part->layout, err);
    return file_layout_read(path, &part->map, FILE_USE_VECTORS, &part->layout, err);
}

static dfaiss_status_t check_alike(const part_t *first, const part_t *part, dfaiss_error_t *err) {
    if (part->layout.columns != first->layout.columns)
        return error_set(err, DFAISS_ERR_DATA, part->path, "%s has dimension %lld, but %s has %lld; files of one input need the same", part->path,
                         (long long)part->layout.columns, first->path, (long long)first->layout.columns);
    if (part->layout.component != first->layout.component)
        return error_set(err, DFAISS_ERR_DATA, part->path, "%s holds %s, but %s holds %s; files of one input need the same", part->path,
                         component_name(part->layout.component), first->path, component_name(first->layout.component));
    return DFAISS_OK;
}

static dfaiss_status_t open_parts(dataset_t *dataset, const char *const *paths, int count, const dataset_raw_t *raw, dfaiss_error_t *err) {
    dataset->parts = calloc((size_t)count, sizeof *dataset->parts);
    if (!dataset->parts)
        return error_memory(err, (size_t)count * sizeof *dataset->parts, "a list of files");
    for (int i = 0; i < count; i++) {
        part_t *part = &dataset->parts[i];
        dataset->count = i + 1;
        TRY(open_part(part, paths[i], raw, err));
        TRY(check_alike(dataset->parts, part, err));
        part->first = dataset->rows;
        dataset->rows += part->layout.rows;
    }
    return DFAISS_OK;
}

dfaiss_status_t dataset_open(const char *const *paths, int count, const dataset_raw_t *raw, dataset_t **out, dfaiss_error_t *err) {
    if (count < 1)
        return error_set(err, DFAISS_ERR_ARG, "", "no file of vectors was given");
    dataset_t *dataset = calloc(1, sizeof *dataset);
    if (!dataset)
        return error_memory(err, sizeof *dataset, "a data set");
    dfaiss_status_t status = open_parts(dataset, paths, count, raw, err);
    if (status != DFAISS_OK) {
        dataset_close(dataset);
        return status;
    }
    const file_layout_t *layout = &dataset->parts[0].layout;
    dataset->dim = layout->columns;
    dataset->element = (element_t)layout->component;
    dataset->row_bytes = (size_t)layout->columns * component_size(layout->component);
    *out = dataset;
    return DFAISS_OK;
}

void dataset_close(dataset_t *dataset) {
    if (!dataset)
        return;
    for (int i = 0; i < dataset->count; i++) {
        file_map_close(&dataset->parts[i].map);
        free(dataset->parts[i].path);
    }
    free(dataset->parts);
    free(dataset);
}

int64_t dataset_rows(const dataset_t *dataset) {
    return dataset->rows;
}

int64_t dataset_dim(const dataset_t *dataset) {
    return dataset->dim;
}

element_t dataset_element(const dataset_t *dataset) {
    return dataset->element;
}

size_t dataset_row_bytes(const dataset_t *dataset) {
    return dataset->row_bytes;
}

/* The file that holds a row of the whole input. */
static const part_t *part_of_row(const dataset_t *dataset, int64_t row) {
    int low = 0, high = dataset->count - 1;
    while (low < high) {
        int middle = high - (high - low) / 2;
        if (dataset->parts[middle].first <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return &dataset->parts[low];
}

/* Rows of a range that lie in one file, as that file counts them. */
typedef struct piece {
    const part_t *part;
    int64_t first;
    int64_t rows;
} piece_t;

static piece_t piece_at(const dataset_t *dataset, int64_t first, int64_t n) {
    const part_t *part = part_of_row(dataset, first);
    int64_t inside = first - part->first;
    int64_t rows = part->layout.rows - inside;
    return (piece_t){.part = part, .first = inside, .rows = rows < n ? rows : n};
}

static const uint8_t *row_bytes_at(const part_t *part, int64_t row) {
    return part->map.bytes + part->layout.offset + (size_t)row * part->layout.stride;
}

static void copy_piece(const dataset_t *dataset, const piece_t *piece, uint8_t *to) {
    const uint8_t *from = row_bytes_at(piece->part, piece->first);
    if (piece->part->layout.stride == dataset->row_bytes) {
        memcpy(to, from, (size_t)piece->rows * dataset->row_bytes);
        return;
    }
    for (int64_t row = 0; row < piece->rows; row++)
        memcpy(to + (size_t)row * dataset->row_bytes, from + (size_t)row * piece->part->layout.stride, dataset->row_bytes);
}

/* Whether the rows lie packed in the file, and at an address that their components may have (a .npy header can have any length). */
static bool usable_in_place(const dataset_t *dataset, const piece_t *piece) {
    bool packed = piece->rows == 1 || piece->part->layout.stride == dataset->row_bytes;
    return packed && (uintptr_t)row_bytes_at(piece->part, piece->first) % element_size(dataset->element) == 0;
}

const void *dataset_rows_at(const dataset_t *dataset, int64_t first, int64_t n, void *space) {
    if (n <= 0)
        return space;
    piece_t piece = piece_at(dataset, first, n);
    if (piece.rows == n && usable_in_place(dataset, &piece))
        return row_bytes_at(piece.part, piece.first);
    for (int64_t done = 0; done < n; done += piece.rows) {
        piece = piece_at(dataset, first + done, n - done);
        copy_piece(dataset, &piece, (uint8_t *)space + (size_t)done * dataset->row_bytes);
    }
    return space;
}

typedef void map_advice_t(const file_map_t *map, size_t offset, size_t size);

static void advise(const dataset_t *dataset, int64_t first, int64_t n, map_advice_t *advice) {
    piece_t piece;
    for (int64_t done = 0; done < n; done += piece.rows) {
        piece = piece_at(dataset, first + done, n - done);
        const file_layout_t *layout = &piece.part->layout;
        size_t gap = layout->stride - dataset->row_bytes;
        size_t begin = layout->offset + (size_t)piece.first * layout->stride;
        advice(&piece.part->map, begin, (size_t)piece.rows * layout->stride - gap);
    }
}

void dataset_release(const dataset_t *dataset, int64_t first, int64_t n) {
    advise(dataset, first, n, file_map_release);
}

void dataset_prefetch(const dataset_t *dataset, int64_t first, int64_t n) {
    advise(dataset, first, n, file_map_prefetch);
}

void dataset_describe_row(const dataset_t *dataset, int64_t row, char *text, size_t capacity) {
    const part_t *part = part_of_row(dataset, row);
    snprintf(text, capacity, "%s, row %lld", part->path, (long long)(row - part->first));
}

int dataset_files(const dataset_t *dataset) {
    return dataset->count;
}

void dataset_file(const dataset_t *dataset, int file, dataset_file_t *out) {
    const part_t *part = &dataset->parts[file];
    *out = (dataset_file_t){
        .path = part->path, .bytes = part->map.size, .modified = part->map.modified, .first = part->first, .rows = part->layout.rows};
}
