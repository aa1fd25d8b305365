/* tool_ids list FIRST STEP COUNT TO: writes a column of ids FIRST, FIRST + STEP and so on.
 * tool_ids map FIRST STEP FROM TO: writes a file of row numbers with each replaced by the id that such a column gives that row; -1 stays.
 * The ending of TO says how wide ids are: .ibin or .i64bin. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/id_file.h"

static bool write_ids(const char *path, const id_matrix_t *ids) {
    FILE *to = fopen(path, "wb");
    if (!to)
        return false;
    bool wide = strstr(path, ".i64bin") != NULL;
    uint32_t counts[2] = {(uint32_t)ids->rows, (uint32_t)ids->columns};
    fwrite(counts, sizeof counts, 1, to);
    for (int64_t i = 0; i < ids->rows * ids->columns; i++) {
        int32_t narrow = (int32_t)ids->values[i];
        fwrite(wide ? (const void *)&ids->values[i] : (const void *)&narrow, wide ? sizeof ids->values[i] : sizeof narrow, 1, to);
    }
    bool good = !ferror(to);
    return fclose(to) == 0 && good;
}

/* Row numbers 0 to rows - 1. */
static dfaiss_status_t count_up(int64_t rows, id_matrix_t *ids, dfaiss_error_t *err) {
    *ids = (id_matrix_t){.rows = rows, .columns = 1, .values = malloc((size_t)rows * sizeof *ids->values)};
    if (!ids->values)
        return error_memory(err, (size_t)rows * sizeof *ids->values, "ids");
    for (int64_t row = 0; row < rows; row++)
        ids->values[row] = row;
    return DFAISS_OK;
}

int main(int argc, char **argv) {
    dfaiss_error_t error = {0};
    id_matrix_t ids;
    if (argc != 6 || (strcmp(argv[1], "list") != 0 && strcmp(argv[1], "map") != 0)) {
        fprintf(stderr, "usage: tool_ids list FIRST STEP COUNT TO | tool_ids map FIRST STEP FROM TO\n");
        return 2;
    }
    dfaiss_status_t status = strcmp(argv[1], "list") == 0 ? count_up(atoll(argv[4]), &ids, &error) : id_matrix_read(argv[4], &ids, &error);
    if (status != DFAISS_OK) {
        fprintf(stderr, "tool_ids: %s\n", error.text);
        return 1;
    }
    int64_t first = atoll(argv[2]), step = atoll(argv[3]);
    for (int64_t i = 0; i < ids.rows * ids.columns; i++)
        if (ids.values[i] >= 0)
            ids.values[i] = first + step * ids.values[i];
    bool good = write_ids(argv[5], &ids);
    id_matrix_destroy(&ids);
    if (!good)
        fprintf(stderr, "tool_ids: cannot write %s\n", argv[5]);
    return good ? 0 : 1;
}
