#include "dataset/id_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "dataset/file_layout.h"
#include "dataset/file_map.h"

static void widen_row(const file_layout_t *layout, const uint8_t *from, int64_t *to) {
    if (layout->component == COMPONENT_i64) {
        memcpy(to, from, (size_t)layout->columns * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < layout->columns; i++) {
        int32_t value;
        memcpy(&value, from + (size_t)i * sizeof value, sizeof value);
        to[i] = value;
    }
}

static dfaiss_status_t read_mapped(const char *path, const file_map_t *map, id_matrix_t *out, dfaiss_error_t *err) {
    file_layout_t layout;
    TRY(file_layout_read(path, map, FILE_USE_IDS, &layout, err));
    /* The file holds as many numbers, so that their count fits. */
    size_t bytes = (size_t)layout.rows * (size_t)layout.columns;
    if (!size_multiply(bytes, sizeof *out->values, &bytes))
        return error_memory(err, SIZE_MAX, path);
    int64_t *values = malloc(bytes);
    if (!values)
        return error_memory(err, bytes, path);
    for (int64_t row = 0; row < layout.rows; row++)
        widen_row(&layout, map->bytes + layout.offset + (size_t)row * layout.stride, values + row * layout.columns);
    *out = (id_matrix_t){.rows = layout.rows, .columns = layout.columns, .values = values};
    return DFAISS_OK;
}

dfaiss_status_t id_matrix_read(const char *path, id_matrix_t *out, dfaiss_error_t *err) {
    file_map_t map = {0};
    TRY(file_map_open(path, &map, err));
    dfaiss_status_t status = read_mapped(path, &map, out, err);
    file_map_close(&map);
    return status;
}

void id_matrix_destroy(id_matrix_t *matrix) {
    free(matrix->values);
    *matrix = (id_matrix_t){0};
}

/* Every id is at least 0; *ascending tells whether each is above the one before, so that none can be there twice. */
static dfaiss_status_t check_values(const char *path, const int64_t *ids, int64_t n, bool *ascending, dfaiss_error_t *err) {
    *ascending = true;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0)
            return error_set(err, DFAISS_ERR_DATA, path, "%s, row %lld: %lld is no id; 0 or more is expected", path, (long long)i, (long long)ids[i]);
        if (i > 0 && ids[i] <= ids[i - 1])
            *ascending = false;
    }
    return DFAISS_OK;
}

static int compare_ids(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static dfaiss_status_t fail_twice(const char *path, const int64_t *ids, int64_t id, dfaiss_error_t *err) {
    int64_t one = 0;
    while (ids[one] != id)
        one++;
    int64_t other = one + 1;
    while (ids[other] != id)
        other++;
    return error_set(err, DFAISS_ERR_DATA, path, "%s, row %lld: id %lld is also that of row %lld; ids must differ", path, (long long)other,
                     (long long)id, (long long)one);
}

static dfaiss_status_t check_different(const char *path, const int64_t *ids, int64_t n, dfaiss_error_t *err) {
    size_t bytes = (size_t)n * sizeof *ids;
    int64_t *sorted = malloc(bytes);
    if (!sorted)
        return error_memory(err, bytes, "sorting ids");
    memcpy(sorted, ids, bytes);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_ids);
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t i = 1; status == DFAISS_OK && i < n; i++) {
        if (sorted[i] == sorted[i - 1])
            status = fail_twice(path, ids, sorted[i], err);
    }
    free(sorted);
    return status;
}

static dfaiss_status_t check_ids(const char *path, const id_matrix_t *matrix, dfaiss_error_t *err) {
    if (matrix->rows != 1 && matrix->columns != 1)
        return error_set(err, DFAISS_ERR_DATA, path, "%s has %lld rows of %lld; ids are expected as one column or one row", path,
                         (long long)matrix->rows, (long long)matrix->columns);
    int64_t n = matrix->rows * matrix->columns;
    bool ascending = false;
    TRY(check_values(path, matrix->values, n, &ascending, err));
    return ascending ? DFAISS_OK : check_different(path, matrix->values, n, err);
}

dfaiss_status_t id_file_read(const char *path, int64_t **ids, int64_t *n, dfaiss_error_t *err) {
    id_matrix_t matrix = {0};
    TRY(id_matrix_read(path, &matrix, err));
    dfaiss_status_t status = check_ids(path, &matrix, err);
    if (status != DFAISS_OK) {
        id_matrix_destroy(&matrix);
        return status;
    }
    *ids = matrix.values;
    *n = matrix.rows * matrix.columns;
    return DFAISS_OK;
}

static bool holds(const int64_t *ids, int64_t n, int64_t id) {
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

/* The share of the true neighbours (those that are not padding) that was found; 1 where there are none. */
static double recall_of_query(int64_t r, const int64_t *found, const int64_t *truth) {
    int64_t wanted = 0, hits = 0;
    for (int64_t i = 0; i < r; i++) {
        if (truth[i] < 0)
            continue;
        wanted++;
        hits += holds(found, r, truth[i]);
    }
    return wanted > 0 ? (double)hits / (double)wanted : 1;
}

double recall_at(int64_t r, int64_t nq, int64_t k, const int64_t *found, const id_matrix_t *truth) {
    double sum = 0;
    for (int64_t query = 0; query < nq; query++)
        sum += recall_of_query(r, found + query * k, truth->values + query * truth->columns);
    return nq > 0 ? sum / (double)nq : 0;
}
