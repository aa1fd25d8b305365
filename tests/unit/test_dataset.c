/* Files of vectors: every format read back, every damage refused with a text that says what is wrong, several files as one input. */
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "dataset/dataset.h"
#include "dataset/vector_writer.h"

enum { ROWS = 37, DIM = 5 };

typedef struct fixture {
    char folder[256];
    dfaiss_error_t error;
} fixture_t;

static int set_up(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    check_make_folder(fixture->folder, sizeof fixture->folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_t *fixture = *state;
    assert_ok(file_remove_tree(fixture->folder, &fixture->error), fixture->error);
    free(fixture);
    return 0;
}

static void path_in(const fixture_t *fixture, const char *name, char *path) {
    snprintf(path, 512, "%s/%s", fixture->folder, name);
}

static void write_file(const fixture_t *fixture, const char *name, const void *data, size_t size) {
    char path[512];
    path_in(fixture, name, path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static dfaiss_status_t open_one(fixture_t *fixture, const char *name, const dataset_raw_t *raw, dataset_t **out) {
    char path[512];
    path_in(fixture, name, path);
    const char *paths[] = {path};
    return dataset_open(paths, 1, raw, out, &fixture->error);
}

/* Component `column` of a row: the bytes differ from row to row and are fine as any element type. */
static uint8_t byte_of(int64_t row, int64_t column, size_t byte) {
    return (uint8_t)(row * 7 + column * 3 + (int64_t)byte);
}

static void fill_row(uint8_t *out, int64_t row, size_t component) {
    for (int64_t column = 0; column < DIM; column++)
        for (size_t byte = 0; byte < component; byte++)
            *out++ = byte_of(row, column, byte);
}

typedef struct text {
    uint8_t bytes[4096];
    size_t size;
} text_t;

static void put(text_t *text, const void *data, size_t size) {
    assert_true(text->size + size <= sizeof text->bytes);
    memcpy(text->bytes + text->size, data, size);
    text->size += size;
}

static void put_u32(text_t *text, uint32_t value) {
    put(text, &value, sizeof value);
}

static void put_npy_header(text_t *text, uint8_t version, const char *dictionary) {
    uint8_t start[8] = {0x93, 'N', 'U', 'M', 'P', 'Y', version, 0};
    uint32_t length = (uint32_t)strlen(dictionary);
    put(text, start, sizeof start);
    put(text, &length, version == 1 ? 2 : 4);
    put(text, dictionary, length);
}

typedef struct format {
    const char *name;
    element_t element;
    const char *dictionary; /* of .npy */
    uint8_t version;
} format_t;

static const format_t formats[] = {
    {"a.fvecs", ELEMENT_f32, NULL, 0},
    {"a.bvecs", ELEMENT_u8, NULL, 0},
    {"a.fbin", ELEMENT_f32, NULL, 0},
    {"a.f16bin", ELEMENT_f16, NULL, 0},
    {"a.u8bin", ELEMENT_u8, NULL, 0},
    {"a.i8bin", ELEMENT_i8, NULL, 0},
    {"a1.npy", ELEMENT_f32, "{'descr': '<f4', 'fortran_order': False, 'shape': (37, 5), }           \n", 1},
    {"a2.npy", ELEMENT_f16, "{'descr': '<f2', 'fortran_order': False, 'shape': (37, 5), }\n", 2},
    {"a3.npy", ELEMENT_u8, "{'descr': '|u1', 'fortran_order': False, 'shape': (37, 5), }\n", 3},
    {"a4.npy", ELEMENT_i8, "{\"shape\": (37, 5), \"fortran_order\": False, \"descr\": \"|i1\"}", 1},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

static void write_format(const fixture_t *fixture, const format_t *format) {
    text_t text = {.size = 0};
    size_t component = element_size(format->element);
    bool vecs = strstr(format->name, "vecs") != NULL;
    if (format->dictionary) {
        put_npy_header(&text, format->version, format->dictionary);
    } else if (!vecs) {
        put_u32(&text, ROWS);
        put_u32(&text, DIM);
    }
    for (int64_t row = 0; row < ROWS; row++) {
        uint8_t bytes[DIM * 4];
        fill_row(bytes, row, component);
        if (vecs)
            put_u32(&text, DIM);
        put(&text, bytes, DIM * component);
    }
    write_file(fixture, format->name, text.bytes, text.size);
}

/* Rows first to first + n - 1 are those of ROWS-row files one after the other. */
static void check_rows(const dataset_t *dataset, int64_t first, int64_t n) {
    size_t component = element_size(dataset_element(dataset)), row_bytes = dataset_row_bytes(dataset);
    uint8_t *space = malloc(row_bytes * (size_t)n);
    assert_non_null(space);
    const uint8_t *rows = dataset_rows_at(dataset, first, n, space);
    assert_int_equal((uintptr_t)rows % component, 0);
    for (int64_t row = 0; row < n; row++) {
        uint8_t expected[DIM * 4];
        fill_row(expected, (first + row) % ROWS, component);
        assert_memory_equal(rows + (size_t)row * row_bytes, expected, row_bytes);
    }
    free(space);
}

static void every_format_reads_back(void **state) {
    fixture_t *fixture = *state;
    for (int i = 0; i < FORMATS; i++) {
        dataset_t *dataset = NULL;
        write_format(fixture, &formats[i]);
        assert_ok(open_one(fixture, formats[i].name, NULL, &dataset), fixture->error);
        assert_int_equal(dataset_rows(dataset), ROWS);
        assert_int_equal(dataset_dim(dataset), DIM);
        assert_int_equal(dataset_element(dataset), formats[i].element);
        assert_int_equal(dataset_row_bytes(dataset), DIM * element_size(formats[i].element));
        check_rows(dataset, 0, ROWS);
        check_rows(dataset, 11, 1);
        dataset_prefetch(dataset, 0, ROWS);
        dataset_release(dataset, 0, ROWS);
        check_rows(dataset, 3, 30);
        dataset_close(dataset);
    }
}

/* Space is used only where rows do not lie packed in the file. */
static void packed_rows_are_not_copied(void **state) {
    fixture_t *fixture = *state;
    dataset_t *dataset = NULL;
    uint8_t space[DIM * 4 * 2];
    write_format(fixture, &formats[2]);
    assert_ok(open_one(fixture, formats[2].name, NULL, &dataset), fixture->error);
    assert_ptr_not_equal(dataset_rows_at(dataset, 4, 2, space), space);
    dataset_close(dataset);
    write_format(fixture, &formats[0]);
    assert_ok(open_one(fixture, formats[0].name, NULL, &dataset), fixture->error);
    assert_ptr_equal(dataset_rows_at(dataset, 4, 2, space), space);
    assert_ptr_not_equal(dataset_rows_at(dataset, 4, 1, space), space);
    dataset_close(dataset);
}

#define BYTES(text) text, sizeof text - 1

typedef struct damage {
    const char *name;
    const char *bytes;
    size_t size;
    dfaiss_status_t status;
    const char *part; /* of the text */
} damage_t;

static const damage_t damages[] = {
    {"empty.fbin", BYTES(""), DFAISS_ERR_DATA, "is empty"},
    {"short.fbin", BYTES("\1\0\0"), DFAISS_ERR_DATA, "has 3 bytes, but its header alone takes 8"},
    {"rowless.fbin", BYTES("\0\0\0\0\4\0\0\0"), DFAISS_ERR_DATA, "has no rows"},
    {"flat.fbin", BYTES("\1\0\0\0\0\0\0\0"), DFAISS_ERR_DATA, "dimension 0; at least 1 is expected"},
    {"wide.u8bin", BYTES("\1\0\0\0\1\0\1\0"), DFAISS_ERR_DATA, "dimension 65537; at most 65536"},
    {"cut.fbin", BYTES("\2\0\0\0\1\0\0\0abcdefg"), DFAISS_ERR_DATA,
     "has 15 bytes, but 16 are expected: its header says 2 rows of 1 f32 (truncated?)"},
    {"long.i8bin", BYTES("\1\0\0\0\1\0\0\0ab"), DFAISS_ERR_DATA,
     "has 10 bytes, but 9 are expected: its header says 1 rows of 1 i8 (bytes are left over)"},
    {"huge.fbin", BYTES("\xff\xff\xff\xff\0\0\1\0"), DFAISS_ERR_DATA, "has 8 bytes, but 1125899906580488 are expected"},
    {"short.fvecs", BYTES("\1\0\0"), DFAISS_ERR_DATA, "has 3 bytes, but a row begins with 4"},
    {"negative.fvecs", BYTES("\xff\xff\xff\xff"), DFAISS_ERR_DATA, "dimension -1"},
    {"flat.bvecs", BYTES("\0\0\0\0"), DFAISS_ERR_DATA, "dimension 0"},
    {"wide.bvecs", BYTES("\0\0\0\x7f"), DFAISS_ERR_DATA, "at most 65536"},
    {"headless.fvecs", BYTES("\1\0\0\0"), DFAISS_ERR_DATA, "has 4 bytes, but 8 are expected for 1 rows of 8 bytes"},
    {"cut.fvecs", BYTES("\1\0\0\0abcd\1\0\0"), DFAISS_ERR_DATA, "has 11 bytes, but 8 are expected for 1 rows of 8 bytes"},
    {"mixed.bvecs", BYTES("\1\0\0\0a\1\0\0\0b\2\0\0\0c\1\0\0\0d"), DFAISS_ERR_DATA, "row 2: its dimension is given as 2, that of the first row is 1"},
    {"last.bvecs", BYTES("\1\0\0\0a\1\0\0\0b\1\1\0\0c"), DFAISS_ERR_DATA, "row 2: its dimension is given as 257"},
    {"what.txt", BYTES("abc"), DFAISS_ERR_ARG, "known are .fvecs .bvecs .fbin .f16bin .u8bin .i8bin .npy"},
    {"none", BYTES("abc"), DFAISS_ERR_ARG, "known are .fvecs"},
    {"ids.ibin", BYTES("\1\0\0\0\1\0\0\0abcd"), DFAISS_ERR_ARG, "none of a file of vectors"},
};

static void damage_is_refused(void **state) {
    fixture_t *fixture = *state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const damage_t *damage = &damages[i];
        dataset_t *dataset = NULL;
        write_file(fixture, damage->name, damage->bytes, damage->size);
        assert_fails(open_one(fixture, damage->name, NULL, &dataset), damage->status, fixture->error, damage->part);
        assert_non_null(strstr(fixture->error.text, damage->name));
        assert_non_null(strstr(fixture->error.where, damage->name));
        assert_null(dataset);
    }
}

typedef struct npy_damage {
    const char *dictionary;
    const char *part;
} npy_damage_t;

/* The data behind each header are 4 bytes. */
static const npy_damage_t npy_damages[] = {
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (1, 1), }", "'>f4' (big-endian); accepted are '<f4', '<f2', '|u1', '|i1'"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }", "'<f8'; accepted are"},
    {"{'descr': '<i4', 'fortran_order': False, 'shape': (1, 1), }", "'<i4'; accepted are"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1), }", "header is not understood"},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", "Fortran order"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "has 1 dimensions"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "has 0 dimensions"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1), }", "has 3 dimensions"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1), }", "header is not understood"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1), }", "has no rows"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 0), }", "dimension 0"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 65537), }", "at most 65536"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", "its header says 2 rows of 1 f32 (truncated?)"},
    {"{'descr': '<f2', 'fortran_order': False, 'shape': (1, 1), }", "its header says 1 rows of 1 f16 (bytes are left over)"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 65536), }", "bytes, but 18446744073709551615 are expected"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808, 1), }", "header is not understood"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1), }", "header is not understood"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, }", "header is not understood"},
    {"{'descr': '<f4', 'fortran_order': False, }", "header is not understood"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}", "header is not understood"},
    {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1, 1)}", "header is not understood"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), 'x': 1}", "header is not understood"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)} x", "header is not understood"},
    {"{'descr': '<f4", "header is not understood"},
    {"", "header is not understood"},
};

static void damaged_npy_is_refused(void **state) {
    fixture_t *fixture = *state;
    for (size_t i = 0; i < sizeof npy_damages / sizeof npy_damages[0]; i++) {
        text_t text = {.size = 0};
        dataset_t *dataset = NULL;
        put_npy_header(&text, 1, npy_damages[i].dictionary);
        put_u32(&text, 0);
        write_file(fixture, "x.npy", text.bytes, text.size);
        assert_fails(open_one(fixture, "x.npy", NULL, &dataset), DFAISS_ERR_DATA, fixture->error, npy_damages[i].part);
    }
}

static const damage_t npy_starts[] = {
    {"a.npy", BYTES("\x93NUMPY\1\0"), DFAISS_ERR_DATA, "does not begin as a .npy file does"},
    {"b.npy", BYTES("\x93NUMPX\1\0\0\0\0\0\0\0"), DFAISS_ERR_DATA, "does not begin as a .npy file does"},
    {"c.npy", BYTES("\x93NUMPY\4\0\0\0\0\0\0\0"), DFAISS_ERR_DATA, "version 4; 1, 2 and 3 are accepted"},
    {"d.npy", BYTES("\x93NUMPY\1\0\xff\0{}"), DFAISS_ERR_DATA, "has 12 bytes, but its header alone takes 265"},
    {"e.npy", BYTES("\x93NUMPY\2\0\xff\xff\xff\xff{}"), DFAISS_ERR_DATA, "header takes 4294967295 bytes; at most 65536"},
};

static void damaged_npy_start_is_refused(void **state) {
    fixture_t *fixture = *state;
    for (size_t i = 0; i < sizeof npy_starts / sizeof npy_starts[0]; i++) {
        dataset_t *dataset = NULL;
        write_file(fixture, npy_starts[i].name, npy_starts[i].bytes, npy_starts[i].size);
        assert_fails(open_one(fixture, npy_starts[i].name, NULL, &dataset), DFAISS_ERR_DATA, fixture->error, npy_starts[i].part);
    }
}

static void missing_and_odd_files_are_refused(void **state) {
    fixture_t *fixture = *state;
    dataset_t *dataset = NULL;
    char path[512];
    assert_fails(open_one(fixture, "nowhere.fbin", NULL, &dataset), DFAISS_ERR_NOT_FOUND, fixture->error, "nowhere.fbin");
    path_in(fixture, "folder.fbin", path);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_fails(open_one(fixture, "folder.fbin", NULL, &dataset), DFAISS_ERR_DATA, fixture->error, "not a regular file");
    path_in(fixture, "pipe.fbin", path);
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_fails(open_one(fixture, "pipe.fbin", NULL, &dataset), DFAISS_ERR_DATA, fixture->error, "not a regular file");
    assert_fails(dataset_open(NULL, 0, NULL, &dataset, &fixture->error), DFAISS_ERR_ARG, fixture->error, "no file");
}

static void write_raw(const fixture_t *fixture, const char *name, int64_t rows, size_t left_over) {
    text_t text = {.size = 0};
    for (int64_t row = 0; row < rows; row++) {
        uint8_t bytes[DIM * 4];
        fill_row(bytes, row, 2);
        put(&text, bytes, DIM * 2);
    }
    put(&text, "xxxxxxxxxxxx", left_over);
    write_file(fixture, name, text.bytes, text.size);
}

static void raw_files_read_as_described(void **state) {
    fixture_t *fixture = *state;
    dataset_t *dataset = NULL;
    dataset_raw_t raw = {.element = ELEMENT_f16, .dim = DIM};
    write_raw(fixture, "base.mmap", ROWS, 0);
    assert_ok(open_one(fixture, "base.mmap", &raw, &dataset), fixture->error);
    assert_int_equal(dataset_rows(dataset), ROWS);
    check_rows(dataset, 0, ROWS);
    dataset_close(dataset);

    raw.rows = 10;
    assert_ok(open_one(fixture, "base.mmap", &raw, &dataset), fixture->error);
    assert_int_equal(dataset_rows(dataset), 10);
    check_rows(dataset, 0, 10);
    dataset_close(dataset);
}

static void raw_files_that_do_not_fit_are_refused(void **state) {
    fixture_t *fixture = *state;
    dataset_t *dataset = NULL;
    dataset_raw_t raw = {.element = ELEMENT_f16, .dim = DIM};
    write_raw(fixture, "odd.mmap", ROWS, 3);
    assert_fails(open_one(fixture, "odd.mmap", &raw, &dataset), DFAISS_ERR_DATA, fixture->error,
                 "no whole number of rows of 10 bytes (5 f16): 3 are left over");
    raw.rows = ROWS + 1;
    assert_fails(open_one(fixture, "odd.mmap", &raw, &dataset), DFAISS_ERR_DATA, fixture->error, "which hold 37 rows of 5 f16; 38 rows are expected");
    raw.rows = INT64_MAX;
    assert_fails(open_one(fixture, "odd.mmap", &raw, &dataset), DFAISS_ERR_DATA, fixture->error, "which hold 37 rows");
    raw.rows = -1;
    assert_fails(open_one(fixture, "odd.mmap", &raw, &dataset), DFAISS_ERR_ARG, fixture->error, "-1");
    raw = (dataset_raw_t){.element = ELEMENT_f16, .dim = 0};
    assert_fails(open_one(fixture, "odd.mmap", &raw, &dataset), DFAISS_ERR_ARG, fixture->error, "from 1 to 65536");
    raw = (dataset_raw_t){.element = ELEMENT_COUNT, .dim = DIM};
    assert_fails(open_one(fixture, "odd.mmap", &raw, &dataset), DFAISS_ERR_ARG, fixture->error, "f32, f16, u8, i8");
}

/* Three files of one input, in two formats: rows across their borders, their names, sizes and first rows. */
static void files_follow_one_another(void **state) {
    fixture_t *fixture = *state;
    dataset_t *dataset = NULL;
    char a[512], b[512], c[512], text[600], expected[600];
    write_format(fixture, &formats[0]);
    write_format(fixture, &formats[2]);
    write_format(fixture, &formats[6]);
    path_in(fixture, formats[0].name, a);
    path_in(fixture, formats[2].name, b);
    path_in(fixture, formats[6].name, c);
    const char *paths[] = {a, b, c};
    assert_ok(dataset_open(paths, 3, NULL, &dataset, &fixture->error), fixture->error);
    assert_int_equal(dataset_rows(dataset), 3 * ROWS);
    for (int64_t first = 0; first < 3 * ROWS; first += 5)
        for (int64_t n = 1; first + n <= 3 * ROWS; n += 7)
            check_rows(dataset, first, n);
    check_rows(dataset, 0, 3 * ROWS);
    dataset_prefetch(dataset, ROWS - 1, ROWS + 2);
    dataset_release(dataset, ROWS - 1, ROWS + 2);
    check_rows(dataset, ROWS - 1, ROWS + 2);

    dataset_describe_row(dataset, ROWS + 17, text, sizeof text);
    snprintf(expected, sizeof expected, "%s, row 17", b);
    assert_string_equal(text, expected);

    dataset_file_t file;
    struct stat info;
    assert_int_equal(dataset_files(dataset), 3);
    dataset_file(dataset, 1, &file);
    assert_string_equal(file.path, b);
    assert_int_equal(stat(b, &info), 0);
    assert_int_equal(file.bytes, info.st_size);
    assert_int_equal(file.modified, (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec);
    assert_int_equal(file.first, ROWS);
    assert_int_equal(file.rows, ROWS);
    dataset_close(dataset);
}

static void files_that_differ_are_refused(void **state) {
    fixture_t *fixture = *state;
    dataset_t *dataset = NULL;
    char floats[512], bytes[512], narrow[512];
    write_format(fixture, &formats[2]);
    write_format(fixture, &formats[4]);
    write_file(fixture, "narrow.fbin", BYTES("\1\0\0\0\1\0\0\0abcd"));
    path_in(fixture, formats[2].name, floats);
    path_in(fixture, formats[4].name, bytes);
    path_in(fixture, "narrow.fbin", narrow);
    const char *types[] = {floats, bytes}, *dims[] = {floats, narrow};
    assert_fails(dataset_open(types, 2, NULL, &dataset, &fixture->error), DFAISS_ERR_DATA, fixture->error, "a.u8bin holds u8, but ");
    assert_non_null(strstr(fixture->error.text, "a.fbin holds f32"));
    assert_fails(dataset_open(dims, 2, NULL, &dataset, &fixture->error), DFAISS_ERR_DATA, fixture->error, "narrow.fbin has dimension 1, but ");
    assert_non_null(strstr(fixture->error.text, "a.fbin has 5"));
}

/* Releasing keeps what lies on pages that the range only touches, whatever the range. */
static void released_rows_can_be_read_again(void **state) {
    fixture_t *fixture = *state;
    enum { MANY = 4000 };
    char path[512];
    path_in(fixture, "many.u8bin", path);
    vector_writer_t *writer = NULL;
    assert_ok(vector_writer_create(path, MANY, DIM, 1, &writer, &fixture->error), fixture->error);
    for (int64_t row = 0; row < MANY; row++) {
        uint8_t bytes[DIM];
        fill_row(bytes, row % ROWS, 1);
        assert_ok(vector_writer_append(writer, bytes, 1, &fixture->error), fixture->error);
    }
    assert_ok(vector_writer_finish(writer, &fixture->error), fixture->error);
    dataset_t *dataset = NULL;
    assert_ok(open_one(fixture, "many.u8bin", NULL, &dataset), fixture->error);
    for (int64_t first = 0; first < MANY; first += 500) {
        dataset_release(dataset, first, MANY - first);
        check_rows(dataset, 0, MANY);
    }
    dataset_close(dataset);
}

/* Bytes of files that this process has in memory; -1 where the system does not tell. */
static long long resident_file_bytes(void) {
    char line[256];
    long long kilobytes = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status) && sscanf(line, "RssFile: %lld kB", &kilobytes) != 1)
        continue;
    if (status)
        fclose(status);
    return kilobytes < 0 ? -1 : kilobytes * 1024;
}

/* A file that is larger than memory does not fill it: what was released is gone. */
static void released_rows_take_no_memory(void **state) {
    enum { LONG_ROWS = 8192, LONG_DIM = 4096, BLOCK = 256, BYTES_MOST = 8 << 20 };
    fixture_t *fixture = *state;
    char path[512];
    path_in(fixture, "long.raw", path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (off_t)LONG_ROWS * LONG_DIM), 0);
    assert_int_equal(fclose(file), 0);
    dataset_raw_t raw = {.element = ELEMENT_u8, .dim = LONG_DIM};
    dataset_t *dataset = NULL;
    assert_ok(open_one(fixture, "long.raw", &raw, &dataset), fixture->error);
    long long before = resident_file_bytes(), sum = 0;
    for (int64_t first = 0; first < LONG_ROWS; first += BLOCK) {
        dataset_prefetch(dataset, first, BLOCK);
        const uint8_t *rows = dataset_rows_at(dataset, first, BLOCK, NULL);
        for (size_t i = 0; i < (size_t)BLOCK * LONG_DIM; i += 512)
            sum += rows[i];
        dataset_release(dataset, first, BLOCK);
        assert_true(resident_file_bytes() - before < BYTES_MOST);
    }
    assert_int_equal(sum, 0);
    dataset_close(dataset);
}

/* The folder of real data: DFAISS_TEST_DATA, or ../shared/data beside the project. */
static const char *real_data(void) {
    const char *folder = getenv("DFAISS_TEST_DATA");
    return folder ? folder : PROJECT_SOURCE_DIR "/../shared/data";
}

static void open_real(const char *name, const dataset_raw_t *raw, int64_t rows, int64_t dim, element_t element) {
    char path[512];
    dfaiss_error_t error;
    dataset_t *dataset = NULL;
    snprintf(path, sizeof path, "%s/%s", real_data(), name);
    if (!file_exists(path)) {
        print_message("skipped: there is no %s\n", path);
        skip();
    }
    const char *paths[] = {path};
    assert_ok(dataset_open(paths, 1, raw, &dataset, &error), error);
    assert_int_equal(dataset_rows(dataset), rows);
    assert_int_equal(dataset_dim(dataset), dim);
    assert_int_equal(dataset_element(dataset), element);
    void *space = malloc(dataset_row_bytes(dataset) * (size_t)rows);
    assert_non_null(space);
    const void *all = dataset_rows_at(dataset, 0, rows, space);
    assert_int_equal(element_first_not_finite(element, all, (size_t)(rows * dim)), rows * dim);
    free(space);
    dataset_close(dataset);
}

static void real_files_open(void **state) {
    (void)state;
    dataset_raw_t raw = {.element = ELEMENT_f16, .dim = 768};
    open_real("siftsmall_base.fvecs", NULL, 10000, 128, ELEMENT_f32);
    open_real("bge768_query.fbin", NULL, 500, 768, ELEMENT_f32);
    open_real("bge768_base_fp16.mmap", &raw, 10247, 768, ELEMENT_f16);
}

#define FILES_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILES_TEST(every_format_reads_back),
        FILES_TEST(packed_rows_are_not_copied),
        FILES_TEST(damage_is_refused),
        FILES_TEST(damaged_npy_is_refused),
        FILES_TEST(damaged_npy_start_is_refused),
        FILES_TEST(missing_and_odd_files_are_refused),
        FILES_TEST(raw_files_read_as_described),
        FILES_TEST(raw_files_that_do_not_fit_are_refused),
        FILES_TEST(files_follow_one_another),
        FILES_TEST(files_that_differ_are_refused),
        FILES_TEST(released_rows_can_be_read_again),
        FILES_TEST(released_rows_take_no_memory),
        cmocka_unit_test(real_files_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
