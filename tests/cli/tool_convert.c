/* tool_convert FROM ELEMENT TO [FIRST ROWS]: writes the vectors of a file in another form, for tests that read the same vectors from every form.
 * ELEMENT is f32, f16, u8 or i8; the ending of TO says the form: .fvecs, .bvecs, .npy, .raw (rows alone) or any of the .*bin. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/dataset.h"

typedef struct conversion {
    const dataset_t *from;
    element_t element;
    int64_t first;
    int64_t rows;
} conversion_t;

static bool ends_with(const char *path, const char *ending) {
    size_t length = strlen(path), wanted = strlen(ending);
    return length >= wanted && strcmp(path + length - wanted, ending) == 0;
}

/* numpy's header, version 1: magic, length and a dictionary, filled up with blanks to a multiple of 64 bytes. */
static void write_npy_header(FILE *to, const conversion_t *conversion) {
    static const char *const names[ELEMENT_COUNT] = {"<f4", "<f2", "|u1", "|i1"};
    char dictionary[118 + 1];
    int length = snprintf(dictionary, sizeof dictionary, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld, %lld), }",
                          names[conversion->element], (long long)conversion->rows, (long long)dataset_dim(conversion->from));
    memset(dictionary + length, ' ', sizeof dictionary - 2 - (size_t)length);
    dictionary[sizeof dictionary - 2] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, to);
    fwrite(dictionary, 1, sizeof dictionary - 1, to);
}

static void write_header(FILE *to, const char *path, const conversion_t *conversion) {
    uint32_t counts[2] = {(uint32_t)conversion->rows, (uint32_t)dataset_dim(conversion->from)};
    if (ends_with(path, ".npy"))
        write_npy_header(to, conversion);
    else if (ends_with(path, "bin"))
        fwrite(counts, sizeof counts, 1, to);
}

static void write_row(FILE *to, const char *path, const conversion_t *conversion, int64_t row, void *space, float *wide, void *narrow) {
    size_t dim = (size_t)dataset_dim(conversion->from);
    int32_t count = (int32_t)dim;
    element_widen(dataset_element(conversion->from), dataset_rows_at(conversion->from, row, 1, space), dim, wide);
    element_narrow(conversion->element, wide, dim, narrow);
    if (ends_with(path, "vecs"))
        fwrite(&count, sizeof count, 1, to);
    fwrite(narrow, element_size(conversion->element), dim, to);
}

static bool convert(const conversion_t *conversion, const char *path) {
    size_t dim = (size_t)dataset_dim(conversion->from);
    void *space = malloc(dataset_row_bytes(conversion->from)), *narrow = malloc(dim * sizeof(float));
    float *wide = malloc(dim * sizeof *wide);
    FILE *to = fopen(path, "wb");
    bool good = space && narrow && wide && to;
    if (good) {
        write_header(to, path, conversion);
        for (int64_t row = conversion->first; row < conversion->first + conversion->rows; row++)
            write_row(to, path, conversion, row, space, wide, narrow);
        good = !ferror(to);
    }
    if (to && fclose(to) != 0)
        good = false;
    free(space);
    free(narrow);
    free(wide);
    return good;
}

int main(int argc, char **argv) {
    dfaiss_error_t error = {0};
    dataset_t *from = NULL;
    element_t element;
    if ((argc != 4 && argc != 6) || !element_from_name(argv[2], &element)) {
        fprintf(stderr, "usage: tool_convert FROM ELEMENT TO [FIRST ROWS]\n");
        return 2;
    }
    const char *path = argv[1];
    if (dataset_open(&path, 1, NULL, &from, &error) != DFAISS_OK) {
        fprintf(stderr, "tool_convert: %s\n", error.text);
        return 1;
    }
    conversion_t conversion = {.from = from, .element = element, .first = argc == 6 ? atoll(argv[4]) : 0};
    conversion.rows = argc == 6 ? atoll(argv[5]) : dataset_rows(from);
    bool good =
        conversion.first >= 0 && conversion.rows > 0 && conversion.first + conversion.rows <= dataset_rows(from) && convert(&conversion, argv[3]);
    dataset_close(from);
    if (!good)
        fprintf(stderr, "tool_convert: cannot write %s\n", argv[3]);
    return good ? 0 : 1;
}
