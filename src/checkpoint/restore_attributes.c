/* The attributes of a shard's rows: columns of whole files as they are, and of parts of files put behind them, some blocks of rows at a time.
 *
 * A file's arrays are about its own rows. Strings are kept once a block of rows, so that a window of whole blocks is a file by itself: what its
 * arrays of strings say is counted from where those of the window begin.
 */
#include <stdlib.h>

#include "checkpoint/restore_internal.h"
#include "checkpoint/shard_parts.h"
#include "filter/stored.h"

enum { WINDOW_BLOCKS = 4, PIECE = 1 << 16 };

/* Blocks of the file's rows that are looked at. */
typedef struct window {
    int64_t first_block, end_block;
    int64_t first, end; /* rows of the file */
} window_t;

/* What lies before a window, and up to its end, in the arrays of strings of a field. */
typedef struct strings {
    uint64_t first, end;
    uint64_t first_byte, end_byte;
} strings_t;

typedef struct reader {
    restore_t *restore;
    restore_file_t *file;
    const attribute_schema_t *schema;
    hdf5_dataset_t *datasets; /* [fields][ATTRIBUTE_ARRAYS]; those that there are not have 0 rows and are not open */
    window_t window;
    strings_t *strings; /* [fields] */
} reader_t;

static hdf5_dataset_t *dataset_of(const reader_t *reader, int field, attribute_array_t array) {
    return &reader->datasets[field * ATTRIBUTE_ARRAYS + (int)array];
}

/* ---- the arrays of a file ---- */

static dfaiss_status_t open_arrays(const reader_t *reader, int field) {
    hdf5_file_t *hdf5 = &reader->file->hdf5;
    char name[HDF5_NAME];
    shard_attribute_name(reader->schema, field, ATTRIBUTE_ARRAYS, name);
    if (!hdf5_exists(hdf5, name))
        return hdf5_unexpected(hdf5, name, "expected a group, since the configuration declares the attribute, found nothing");
    for (int array = 0; array < ATTRIBUTE_ARRAYS; array++) {
        shard_attribute_name(reader->schema, field, (attribute_array_t)array, name);
        if (hdf5_exists(hdf5, name))
            TRY(hdf5_dataset_open(hdf5, name, shard_attribute_type(reader->schema, field, (attribute_array_t)array), HDF5_ANY, 0,
                                  dataset_of(reader, field, (attribute_array_t)array)));
    }
    return DFAISS_OK;
}

static dfaiss_status_t open_all(reader_t *reader) {
    TRY(restore_open(reader->restore, reader->file));
    for (int field = 0; field < reader->schema->count; field++)
        TRY(open_arrays(reader, field));
    return DFAISS_OK;
}

static void close_all(reader_t *reader) {
    for (int i = 0; i < reader->schema->count * ATTRIBUTE_ARRAYS; i++) {
        hdf5_dataset_close(&reader->datasets[i]);
        reader->datasets[i] = (hdf5_dataset_t){.id = H5I_INVALID_HID};
    }
}

/* ---- a window of them ---- */

/* Then the arrays must end with it. */
static bool is_last(const reader_t *reader) {
    return reader->window.end == reader->file->named.rows - reader->file->named.first_row;
}

/* Element `index` - 1 of an array of ends; 0 where that is the first one's begin. */
static dfaiss_status_t end_before(const reader_t *reader, int field, attribute_array_t array, int64_t index, uint64_t *end) {
    hdf5_dataset_t *dataset = dataset_of(reader, field, array);
    *end = 0;
    if (index == 0)
        return DFAISS_OK;
    if (index < 0 || index > dataset->rows)
        return hdf5_unexpected(&reader->file->hdf5, dataset->name[0] ? dataset->name : "/attributes", "expected at least %lld elements, found %lld",
                               (long long)index, (long long)dataset->rows);
    return hdf5_dataset_read(dataset, index - 1, 1, end);
}

static dfaiss_status_t find_strings(reader_t *reader, int field) {
    const window_t *window = &reader->window;
    strings_t *strings = &reader->strings[field];
    *strings = (strings_t){0};
    if (reader->schema->fields[field].type != ATTRIBUTE_STRING)
        return DFAISS_OK;
    TRY(end_before(reader, field, ATTRIBUTE_ARRAY_STRING_BLOCKS, window->first_block, &strings->first));
    if (is_last(reader))
        return end_before(reader, field, ATTRIBUTE_ARRAY_STRING_ENDS, (int64_t)strings->first, &strings->first_byte);
    TRY(end_before(reader, field, ATTRIBUTE_ARRAY_STRING_BLOCKS, window->end_block, &strings->end));
    if (strings->first > strings->end || strings->end > INT64_MAX)
        return hdf5_unexpected(&reader->file->hdf5, dataset_of(reader, field, ATTRIBUTE_ARRAY_STRING_BLOCKS)->name,
                               "expected numbers of strings that do not decrease");
    TRY(end_before(reader, field, ATTRIBUTE_ARRAY_STRING_ENDS, (int64_t)strings->first, &strings->first_byte));
    TRY(end_before(reader, field, ATTRIBUTE_ARRAY_STRING_ENDS, (int64_t)strings->end, &strings->end_byte));
    if (strings->first_byte > strings->end_byte || strings->end_byte > INT64_MAX)
        return hdf5_unexpected(&reader->file->hdf5, dataset_of(reader, field, ATTRIBUTE_ARRAY_STRING_ENDS)->name,
                               "expected ends of strings that do not decrease");
    return DFAISS_OK;
}

/* Where the window begins in an array, and how many elements it has there. */
static int64_t begin_of(const reader_t *reader, int field, attribute_array_t array) {
    switch (array) {
    case ATTRIBUTE_ARRAY_STRING_BLOCKS:
        return reader->window.first_block;
    case ATTRIBUTE_ARRAY_STRING_ENDS:
        return (int64_t)reader->strings[field].first;
    case ATTRIBUTE_ARRAY_STRING_BYTES:
        return (int64_t)reader->strings[field].first_byte;
    default:
        return reader->window.first;
    }
}

static int64_t end_of(const reader_t *reader, int field, attribute_array_t array) {
    switch (array) {
    case ATTRIBUTE_ARRAY_STRING_BLOCKS:
        return reader->window.end_block;
    case ATTRIBUTE_ARRAY_STRING_ENDS:
        return (int64_t)reader->strings[field].end;
    case ATTRIBUTE_ARRAY_STRING_BYTES:
        return (int64_t)reader->strings[field].end_byte;
    default:
        return reader->window.end;
    }
}

static int64_t count(void *context, int field, attribute_array_t array) {
    const reader_t *reader = context;
    int64_t rows = dataset_of(reader, field, array)->rows, begin = begin_of(reader, field, array), end = end_of(reader, field, array);
    end = is_last(reader) || end > rows ? rows : end;
    return end > begin ? end - begin : 0;
}

static dfaiss_status_t read_elements(void *context, int field, attribute_array_t array, int64_t first, int64_t elements, void *out,
                                     dfaiss_error_t *err) {
    const reader_t *reader = context;
    (void)err; /* the file's, which the calls on it fill */
    TRY(hdf5_dataset_read(dataset_of(reader, field, array), begin_of(reader, field, array) + first, elements, out));
    uint64_t base = array == ATTRIBUTE_ARRAY_STRING_BLOCKS ? reader->strings[field].first : reader->strings[field].first_byte;
    uint64_t *ends = out;
    if (array != ATTRIBUTE_ARRAY_STRING_BLOCKS && array != ATTRIBUTE_ARRAY_STRING_ENDS)
        return DFAISS_OK;
    for (int64_t i = 0; i < elements; i++) {
        if (ends[i] < base)
            return hdf5_unexpected(&reader->file->hdf5, dataset_of(reader, field, array)->name, "expected ends that do not decrease");
        ends[i] -= base;
    }
    return DFAISS_OK;
}

static dfaiss_status_t restore_window(reader_t *reader, attribute_columns_t **out) {
    const attribute_source_t source = {.context = reader, .count = count, .read = read_elements};
    for (int field = 0; field < reader->schema->count; field++)
        TRY(find_strings(reader, field));
    dfaiss_status_t status = attribute_columns_restore(reader->schema, reader->window.end - reader->window.first, &source, out, reader->restore->err);
    return status == DFAISS_ERR_CHECKPOINT ? restore_blame(&reader->file->hdf5, "/attributes", status) : status;
}

/* ---- pieces ---- */

/* Rows first to end - 1 of some columns, put behind others. */
static dfaiss_status_t append_rows(attribute_columns_t *columns, const attribute_columns_t *from, int64_t first, int64_t end, dfaiss_error_t *err) {
    int64_t most = end - first < PIECE ? end - first : PIECE, *rows = malloc((size_t)most * sizeof *rows);
    dfaiss_status_t status = rows ? DFAISS_OK : error_memory(err, (size_t)most * sizeof *rows, "attributes");
    while (status == DFAISS_OK && first < end) {
        int64_t n = end - first < most ? end - first : most;
        for (int64_t i = 0; i < n; i++)
            rows[i] = first + i;
        status = attribute_columns_append_from(columns, from, rows, n, err);
        first += n;
    }
    free(rows);
    return status;
}

/* The rows of a window that lie in first to end - 1. */
static dfaiss_status_t append_window(reader_t *reader, int64_t first, int64_t end) {
    attribute_columns_t *read = NULL;
    const window_t *window = &reader->window;
    TRY(restore_window(reader, &read));
    int64_t from = first > window->first ? first : window->first, to = end < window->end ? end : window->end;
    dfaiss_status_t status = append_rows(reader->restore->content->attributes, read, from - window->first, to - window->first, reader->restore->err);
    attribute_columns_destroy(read);
    return status;
}

static dfaiss_status_t append_piece(reader_t *reader, int64_t first, int64_t end, int64_t file_rows) {
    for (int64_t block = first / ATTRIBUTE_BLOCK_ROWS; block * ATTRIBUTE_BLOCK_ROWS < end; block += WINDOW_BLOCKS) {
        int64_t blocks = (file_rows + ATTRIBUTE_BLOCK_ROWS - 1) / ATTRIBUTE_BLOCK_ROWS;
        int64_t last = block + WINDOW_BLOCKS < blocks ? block + WINDOW_BLOCKS : blocks;
        reader->window = (window_t){.first_block = block,
                                    .end_block = last,
                                    .first = block * ATTRIBUTE_BLOCK_ROWS,
                                    .end = last * ATTRIBUTE_BLOCK_ROWS < file_rows ? last * ATTRIBUTE_BLOCK_ROWS : file_rows};
        TRY(append_window(reader, first, end));
    }
    return DFAISS_OK;
}

/* All of a file in front of everything else needs no copy. */
static dfaiss_status_t read_whole(reader_t *reader, int64_t rows) {
    attribute_columns_t *read = NULL;
    reader->window = (window_t){.end = rows, .end_block = (rows + ATTRIBUTE_BLOCK_ROWS - 1) / ATTRIBUTE_BLOCK_ROWS};
    TRY(restore_window(reader, &read));
    attribute_columns_destroy(reader->restore->content->attributes);
    reader->restore->content->attributes = read;
    return DFAISS_OK;
}

static dfaiss_status_t read_piece(reader_t *reader, const restore_piece_t *piece) {
    const manifest_file_t *named = &piece->file->named;
    int64_t rows = named->rows - named->first_row, first = piece->first - named->first_row, end = piece->end - named->first_row;
    reader->file = piece->file;
    dfaiss_status_t status = open_all(reader);
    if (status == DFAISS_OK)
        status = piece->to == 0 && first == 0 && end == rows ? read_whole(reader, rows) : append_piece(reader, first, end, rows);
    close_all(reader);
    return status;
}

static dfaiss_status_t read_pieces(reader_t *reader) {
    restore_t *restore = reader->restore;
    TRY(attribute_columns_create(reader->schema, &restore->content->attributes, restore->err));
    for (restore_piece_t piece = {0}; restore_next_rows(restore, &piece);)
        TRY(read_piece(reader, &piece));
    return DFAISS_OK;
}

dfaiss_status_t restore_attributes(restore_t *restore) {
    shard_content_t *content = restore->content;
    TRY(attribute_schema_create(content->config->attributes, content->index, &content->schema, restore->err));
    int fields = content->schema->count;
    if (fields == 0)
        return DFAISS_OK;
    reader_t reader = {.restore = restore, .schema = content->schema};
    reader.datasets = calloc((size_t)fields * ATTRIBUTE_ARRAYS, sizeof *reader.datasets);
    reader.strings = calloc((size_t)fields, sizeof *reader.strings);
    dfaiss_status_t status = reader.datasets && reader.strings
                                 ? read_pieces(&reader)
                                 : error_memory(restore->err, (size_t)fields * ATTRIBUTE_ARRAYS * sizeof *reader.datasets, "attributes");
    free(reader.datasets);
    free(reader.strings);
    return status;
}
