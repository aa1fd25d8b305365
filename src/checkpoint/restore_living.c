/* Which rows of a shard are there: what each file says of its own rows, and what later files of its chain say of them. */
#include <inttypes.h>
#include <stdlib.h>

#include "checkpoint/restore_internal.h"

enum { PIECE = 4096 };

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The bits, which are there from the first file on that says of some row that it is not. */
static dfaiss_status_t need_bits(restore_t *restore) {
    shard_content_t *content = restore->content;
    if (!content->living)
        content->living = bitmap_create(content->rows, true);
    return content->living ? DFAISS_OK : error_memory(restore->err, (size_t)content->rows / 8, "the rows of a shard");
}

/* ---- rows of the file itself ---- */

/* Where the bits of some rows of a file go. */
typedef void take_living_t(void *context, int64_t row, bool living);

static dfaiss_status_t read_flags(hdf5_dataset_t *dataset, int64_t first_row, int64_t first, int64_t end, take_living_t *take, void *context) {
    uint8_t flags[PIECE];
    for (int64_t row = first; row < end; row += PIECE) {
        int64_t count = smaller(PIECE, end - row);
        TRY(hdf5_dataset_read(dataset, row - first_row, count, flags));
        for (int64_t i = 0; i < count; i++) {
            if (flags[i] > 1)
                return hdf5_unexpected(dataset->file, "dataset /living", "expected 0 or 1 in row %" PRId64 ", found %d", row + i, flags[i]);
            take(context, row + i, flags[i]);
        }
    }
    return DFAISS_OK;
}

/* Rows first to end - 1 of a part, which a file has brought; nothing is taken where all of its rows were there. */
static dfaiss_status_t read_own(restore_file_t *file, int64_t first, int64_t end, take_living_t *take, void *context) {
    hdf5_dataset_t dataset;
    if (!hdf5_exists(&file->hdf5, "/living"))
        return DFAISS_OK;
    TRY(hdf5_dataset_open(&file->hdf5, "/living", HDF5_U8, file->named.rows - file->named.first_row, 0, &dataset));
    dfaiss_status_t status = read_flags(&dataset, file->named.first_row, first, end, take, context);
    hdf5_dataset_close(&dataset);
    return status;
}

/* ---- rows of earlier files ---- */

static dfaiss_status_t read_numbers(hdf5_dataset_t *dataset, int64_t below, int64_t first, int64_t end, take_living_t *take, void *context) {
    int64_t rows[PIECE], last = -1;
    for (int64_t at = 0; at < dataset->rows && last < end; at += PIECE) {
        int64_t count = smaller(PIECE, dataset->rows - at);
        TRY(hdf5_dataset_read(dataset, at, count, rows));
        for (int64_t i = 0; i < count; i++) {
            if (rows[i] <= last || rows[i] >= below)
                return hdf5_unexpected(dataset->file, "dataset /removed", "expected a row above %" PRId64 " and below %" PRId64 ", found %" PRId64,
                                       last, below, rows[i]);
            last = rows[i];
            if (last >= first && last < end)
                take(context, last, false);
        }
    }
    return DFAISS_OK;
}

/* Of rows first to end - 1 of its part: those that a file says were removed since. */
static dfaiss_status_t read_removed(restore_file_t *file, int64_t first, int64_t end, take_living_t *take, void *context) {
    hdf5_dataset_t dataset;
    if (!hdf5_exists(&file->hdf5, "/removed"))
        return DFAISS_OK;
    TRY(hdf5_dataset_open(&file->hdf5, "/removed", HDF5_I64, HDF5_ANY, 0, &dataset));
    dfaiss_status_t status = read_numbers(&dataset, file->named.first_row, first, end, take, context);
    hdf5_dataset_close(&dataset);
    return status;
}

static dfaiss_status_t read_part(restore_t *restore, restore_part_t *part, int64_t first, int64_t end, take_living_t *take, void *context) {
    for (int64_t i = 0; i < part->file_count; i++) {
        restore_file_t *file = &part->files[i];
        int64_t from = file->named.first_row > first ? file->named.first_row : first, to = smaller(file->named.rows, end);
        TRY(restore_open(restore, file));
        if (from < to)
            TRY(read_own(file, from, to, take, context));
        if (first < file->named.first_row)
            TRY(read_removed(file, first, end, take, context));
    }
    return DFAISS_OK;
}

/* ---- the bits of a shard ---- */

typedef struct bits_of_range {
    restore_t *restore;
    int64_t offset; /* from rows of the part to rows of the shard */
    dfaiss_status_t status;
} bits_of_range_t;

static void take_bit(void *context, int64_t row, bool living) {
    bits_of_range_t *bits = context;
    if (living || bits->status != DFAISS_OK)
        return;
    bits->status = need_bits(bits->restore);
    if (bits->status == DFAISS_OK)
        bitmap_set(bits->restore->content->living, row + bits->offset, false);
}

dfaiss_status_t restore_living(restore_t *restore) {
    for (int64_t i = 0; i < restore->plan->count; i++) {
        const spread_range_t *range = &restore->plan->ranges[i];
        bits_of_range_t bits = {.restore = restore, .offset = restore->to[i] - range->first};
        TRY(read_part(restore, &restore->parts[range->part], range->first, range->end, take_bit, &bits));
        TRY(bits.status);
    }
    return DFAISS_OK;
}

/* ---- how many there are ---- */

static void take_count(void *context, int64_t row, bool living) {
    spread_part_t *numbers = context;
    int64_t *count = &numbers->living[row / numbers->block_rows];
    *count -= !living && *count > 0;
}

static bool says_anything(const restore_part_t *part) {
    bool says = false;
    for (int64_t i = 0; i < part->file_count; i++)
        says = says || part->files[i].says_removed;
    return says;
}

dfaiss_status_t restore_count_living(restore_t *restore, restore_part_t *part, spread_part_t *numbers) {
    enum { BLOCKS = 256, LEAST_ROWS = 64 };
    for (int64_t i = 0; i < part->file_count; i++) {
        restore_file_t *file = &part->files[i];
        TRY(restore_open(restore, file));
        file->says_removed = hdf5_exists(&file->hdf5, "/living") || hdf5_exists(&file->hdf5, "/removed");
    }
    if (!says_anything(part))
        return DFAISS_OK;
    numbers->block_rows = numbers->rows / BLOCKS > LEAST_ROWS ? numbers->rows / BLOCKS : LEAST_ROWS;
    numbers->block_count = (numbers->rows + numbers->block_rows - 1) / numbers->block_rows;
    numbers->living = calloc((size_t)numbers->block_count + 1, sizeof *numbers->living);
    if (!numbers->living)
        return error_memory(restore->err, (size_t)numbers->block_count * sizeof *numbers->living, "the rows of a part");
    for (int64_t i = 0; i < numbers->block_count; i++)
        numbers->living[i] = smaller(numbers->block_rows, numbers->rows - i * numbers->block_rows);
    return read_part(restore, part, 0, part->rows, take_count, numbers);
}
