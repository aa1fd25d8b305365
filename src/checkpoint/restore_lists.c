/* Inverted lists of a shard: of every list the runs that the pieces have of it, one behind the other. Rows ascend in a list, so that those of a range
 * lie together in it. What each piece has is counted first, so that every list gets its memory once. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/bisect.h"
#include "checkpoint/hdf5_runs.h"
#include "checkpoint/restore_internal.h"
#include "checkpoint/shard_parts.h"

enum { LONG_LIST = 1 << 16 }; /* rows of a list in which a row is searched for in the file */

/* What a file says of its lists. */
typedef struct lists {
    hdf5_file_t *hdf5;
    int64_t count; /* of the lists that it is about */
    int64_t *numbers;
    int64_t *sizes;
    int64_t held;    /* rows in all */
    row_run_t *runs; /* of each, those in the piece; rows of the datasets */
} lists_t;

/* What the next run of a list is put into. */
typedef struct place {
    uint8_t *codes;
    int64_t *rows;
    int64_t size; /* that is still to be filled */
} place_t;

typedef struct reader {
    restore_t *restore;
    int64_t lists;
    size_t code_size;
    place_t *places;
} reader_t;

static void clear_lists(lists_t *lists) {
    free(lists->numbers);
    free(lists->sizes);
    free(lists->runs);
    *lists = (lists_t){0};
}

/* ---- what a file holds ---- */

/* Which lists these are: ascending numbers, or all. */
static dfaiss_status_t read_numbers(const reader_t *reader, lists_t *lists) {
    hdf5_dataset_t dataset;
    int64_t last = -1;
    lists->count = reader->lists;
    if (!hdf5_exists(lists->hdf5, "/lists/numbers"))
        return DFAISS_OK;
    TRY(hdf5_dataset_open(lists->hdf5, "/lists/numbers", HDF5_I64, HDF5_ANY, 0, &dataset));
    lists->count = dataset.rows;
    lists->numbers = malloc((size_t)dataset.rows * sizeof *lists->numbers + 1);
    dfaiss_status_t status = lists->numbers ? hdf5_dataset_read(&dataset, 0, dataset.rows, lists->numbers)
                                            : error_memory(lists->hdf5->err, (size_t)dataset.rows * sizeof *lists->numbers, "inverted lists");
    hdf5_dataset_close(&dataset);
    for (int64_t i = 0; status == DFAISS_OK && i < lists->count; last = lists->numbers[i++])
        if (lists->numbers[i] <= last || lists->numbers[i] >= reader->lists)
            status = hdf5_unexpected(lists->hdf5, "/lists/numbers", "expected a list above %" PRId64 " and below %" PRId64 ", found %" PRId64, last,
                                     reader->lists, lists->numbers[i]);
    return status;
}

static dfaiss_status_t count_rows(lists_t *lists, int64_t most) {
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_open(lists->hdf5, "/lists/rows", HDF5_I64, HDF5_ANY, 0, &dataset));
    lists->held = dataset.rows;
    hdf5_dataset_close(&dataset);
    return lists->held <= most ? DFAISS_OK
                               : hdf5_unexpected(lists->hdf5, "/lists/rows", "expected at most %" PRId64 " rows, found %" PRId64, most, lists->held);
}

static int64_t number_of(const lists_t *lists, int64_t i) {
    return lists->numbers ? lists->numbers[i] : i;
}

/* ---- the runs of a piece ---- */

/* bisect_place in the file. */
static dfaiss_status_t place_in_file(hdf5_dataset_t *dataset, row_run_t list, int64_t row, int64_t *place) {
    int64_t low = 0, high = list.count, found = 0;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        TRY(hdf5_dataset_read(dataset, list.first + middle, 1, &found));
        if (found < row)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return DFAISS_OK;
}

/* Cuts a list, whose rows are in `rows` where it is short, down to the rows of a piece. */
static dfaiss_status_t cut_list(hdf5_dataset_t *dataset, const int64_t *rows, const restore_piece_t *piece, row_run_t *run) {
    int64_t begin = 0, end = 0;
    if (run->count > LONG_LIST) {
        TRY(place_in_file(dataset, *run, piece->first, &begin));
        TRY(place_in_file(dataset, *run, piece->end, &end));
    } else {
        begin = bisect_place(rows, run->count, piece->first);
        end = bisect_place(rows, run->count, piece->end);
    }
    *run = (row_run_t){.first = run->first + begin, .count = end > begin ? end - begin : 0};
    return DFAISS_OK;
}

static dfaiss_status_t cut_lists(lists_t *lists, const restore_piece_t *piece, row_run_t *looked_at, int64_t *rows) {
    hdf5_dataset_t dataset;
    hdf5_runs_t short_lists;
    for (int64_t i = 0; i < lists->count; i++)
        looked_at[i] = lists->runs[i].count > LONG_LIST ? (row_run_t){.first = lists->runs[i].first} : lists->runs[i];
    TRY(hdf5_dataset_open(lists->hdf5, "/lists/rows", HDF5_I64, lists->held, 0, &dataset));
    TRY(hdf5_runs_start(&short_lists, &dataset, looked_at, lists->count));
    dfaiss_status_t status = DFAISS_OK;
    for (int64_t i = 0; status == DFAISS_OK && i < lists->count; i++) {
        status = hdf5_runs_get(&short_lists, rows);
        if (status == DFAISS_OK)
            status = cut_list(&short_lists.dataset, rows, piece, &lists->runs[i]);
    }
    hdf5_runs_destroy(&short_lists);
    return status;
}

static dfaiss_status_t find_runs(lists_t *lists, const restore_piece_t *piece) {
    const manifest_file_t *named = &piece->file->named;
    int64_t first = 0;
    lists->runs = malloc((size_t)lists->count * sizeof *lists->runs + 1);
    if (!lists->runs)
        return error_memory(lists->hdf5->err, (size_t)lists->count * sizeof *lists->runs, "inverted lists");
    for (int64_t i = 0; i < lists->count; first += lists->sizes[i++])
        lists->runs[i] = (row_run_t){.first = first, .count = lists->sizes[i]};
    if (piece->first == named->first_indexed && piece->end == named->indexed)
        return DFAISS_OK;
    row_run_t *looked_at = malloc((size_t)lists->count * sizeof *looked_at + 1);
    int64_t *rows = malloc(LONG_LIST * sizeof *rows);
    dfaiss_status_t status = looked_at && rows ? cut_lists(lists, piece, looked_at, rows)
                                               : error_memory(lists->hdf5->err, (size_t)lists->count * sizeof *looked_at, "inverted lists");
    free(looked_at);
    free(rows);
    return status;
}

static dfaiss_status_t look_at(const reader_t *reader, const restore_piece_t *piece, lists_t *lists) {
    *lists = (lists_t){.hdf5 = &piece->file->hdf5};
    TRY(restore_open(reader->restore, piece->file));
    TRY(read_numbers(reader, lists));
    TRY(count_rows(lists, piece->file->named.indexed - piece->file->named.first_indexed));
    TRY(restore_sizes(lists->hdf5, "/lists/sizes", lists->count, lists->held, &lists->sizes, &lists->count));
    return find_runs(lists, piece);
}

/* ---- filling ---- */

static dfaiss_status_t count_piece(const reader_t *reader, const restore_piece_t *piece) {
    lists_t lists = {0};
    dfaiss_status_t status = look_at(reader, piece, &lists);
    for (int64_t i = 0; status == DFAISS_OK && i < lists.count; i++)
        reader->places[number_of(&lists, i)].size += lists.runs[i].count;
    clear_lists(&lists);
    return status;
}

static dfaiss_status_t make_lists(const reader_t *reader) {
    engine_store_t *store = reader->restore->content->store;
    for (int64_t list = 0; list < reader->lists; list++) {
        place_t *place = &reader->places[list];
        if (place->size > 0)
            TRY(engine_store_restore_list(store, list, place->size, &place->codes, &place->rows, reader->restore->err));
    }
    return DFAISS_OK;
}

/* Rows of the part become those of the shard. */
static dfaiss_status_t number_rows(const lists_t *lists, const restore_piece_t *piece, int64_t list, int64_t *rows, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (rows[i] < piece->first || rows[i] >= piece->end)
            return hdf5_unexpected(lists->hdf5, "/lists/rows",
                                   "list %" PRId64 " holds row %" PRId64 "; rows %" PRId64 " to %" PRId64 ", which ascend, were expected", list,
                                   rows[i], piece->first, piece->end - 1);
        rows[i] += piece->to - piece->first;
    }
    return DFAISS_OK;
}

static dfaiss_status_t fill_runs(const reader_t *reader, const restore_piece_t *piece, lists_t *lists, hdf5_runs_t *rows, hdf5_runs_t *codes) {
    for (int64_t i = 0; i < lists->count; i++) {
        int64_t list = number_of(lists, i), count = lists->runs[i].count;
        place_t *place = &reader->places[list];
        if (count > place->size)
            return hdf5_unexpected(lists->hdf5, "/lists/sizes", "expected what was read before, found something else");
        TRY(hdf5_runs_get(rows, place->rows));
        TRY(hdf5_runs_get(codes, place->codes));
        TRY(number_rows(lists, piece, list, place->rows, count));
        if (count == 0)
            continue;
        place->size -= count;
        place->rows += count;
        place->codes += (size_t)count * reader->code_size;
    }
    return DFAISS_OK;
}

static dfaiss_status_t open_runs(const lists_t *lists, const char *name, hdf5_type_t type, int64_t width, hdf5_runs_t *runs) {
    hdf5_dataset_t dataset;
    TRY(hdf5_dataset_open(lists->hdf5, name, type, lists->held, width, &dataset));
    return hdf5_runs_start(runs, &dataset, lists->runs, lists->count);
}

static dfaiss_status_t fill_piece(const reader_t *reader, const restore_piece_t *piece) {
    lists_t lists = {0};
    hdf5_runs_t rows = {0}, codes = {0};
    dfaiss_status_t status = look_at(reader, piece, &lists);
    if (status == DFAISS_OK)
        status = open_runs(&lists, "/lists/rows", HDF5_I64, 0, &rows);
    if (status == DFAISS_OK)
        status = open_runs(&lists, "/lists/codes", HDF5_U8, (int64_t)reader->code_size, &codes);
    if (status == DFAISS_OK)
        status = fill_runs(reader, piece, &lists, &rows, &codes);
    hdf5_runs_destroy(&rows);
    hdf5_runs_destroy(&codes);
    clear_lists(&lists);
    return status;
}

static dfaiss_status_t read_pieces(const reader_t *reader) {
    for (restore_piece_t piece = {0}; restore_next_index(reader->restore, SPREAD_INDEXED, &piece);)
        TRY(count_piece(reader, &piece));
    TRY(make_lists(reader));
    for (restore_piece_t piece = {0}; restore_next_index(reader->restore, SPREAD_INDEXED, &piece);)
        TRY(fill_piece(reader, &piece));
    return DFAISS_OK;
}

dfaiss_status_t restore_lists(restore_t *restore) {
    const engine_template_t *template = restore->content->template;
    reader_t reader = {.restore = restore, .lists = engine_template_lists(template), .code_size = engine_template_code_size(template)};
    reader.places = calloc((size_t)reader.lists, sizeof *reader.places);
    if (!reader.places)
        return error_memory(restore->err, (size_t)reader.lists * sizeof *reader.places, "inverted lists");
    dfaiss_status_t status = read_pieces(&reader);
    free(reader.places);
    return status;
}
