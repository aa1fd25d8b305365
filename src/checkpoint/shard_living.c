/* Which rows of a shard are there: /living, a byte a row of the file, where any was removed, and /removed, the numbers of those of earlier files. */
#include <inttypes.h>

#include "checkpoint/shard_parts.h"

enum { PIECE = 4096 };

static int64_t piece_at(int64_t row, int64_t rows) {
    return rows - row < PIECE ? rows - row : PIECE;
}

static dfaiss_status_t put_all(hdf5_stream_t *stream, const shard_content_t *content) {
    uint8_t piece[PIECE];
    for (int64_t row = content->kept->start.row; row < content->rows; row += PIECE) {
        int64_t count = 0, end = row + piece_at(row, content->rows);
        for (int64_t i = row; i < end; i++) {
            if (kept_rows_has(content->kept, i))
                piece[count++] = bitmap_get(content->living, i);
        }
        TRY(hdf5_stream_put(stream, piece, count));
    }
    return hdf5_stream_finish(stream);
}

static dfaiss_status_t write_living(hdf5_file_t *file, const shard_content_t *content) {
    const kept_rows_t *kept = content->kept;
    int64_t rows = kept->rows - kept->first_row;
    if (bitmap_count(content->living, kept->start.row, content->rows) == rows)
        return DFAISS_OK;
    hdf5_stream_t stream;
    TRY(hdf5_stream_create(file, "/living", HDF5_U8, rows, 0, &stream));
    dfaiss_status_t status = put_all(&stream, content);
    hdf5_stream_destroy(&stream);
    return status;
}

/* ---- rows of earlier files ---- */

/* Bits of rows 64 * number and on that were removed, and were there when the file before was written, as far as that is known. */
static uint64_t removed_word(const shard_content_t *content, int64_t number) {
    const kept_rows_t *kept = content->kept;
    const bitmap_t *known = kept->start.known ? kept->start.known : kept->bits;
    return (known ? bitmap_word(known, number) : ~(uint64_t)0) & ~bitmap_word(content->living, number);
}

/* The next of these rows from `row` on. */
static int64_t next_removed(const shard_content_t *content, int64_t row) {
    int64_t end = content->kept->start.row;
    while (row < end) {
        uint64_t word = removed_word(content, row / 64) & ~(uint64_t)0 << (row % 64);
        row = word ? row / 64 * 64 + __builtin_ctzll(word) : row / 64 * 64 + 64;
        if (word)
            break;
    }
    return row < end ? row : end;
}

static int64_t count_removed(const shard_content_t *content) {
    int64_t count = 0;
    for (int64_t row = next_removed(content, 0); row < content->kept->start.row; row = next_removed(content, row + 1))
        count++;
    return count;
}

static dfaiss_status_t put_removed(hdf5_stream_t *stream, const shard_content_t *content) {
    for (int64_t row = next_removed(content, 0); row < content->kept->start.row; row = next_removed(content, row + 1)) {
        int64_t number = kept_rows_number(content->kept, row);
        TRY(hdf5_stream_put(stream, &number, 1));
    }
    return hdf5_stream_finish(stream);
}

static dfaiss_status_t write_removed(hdf5_file_t *file, const shard_content_t *content) {
    int64_t count = count_removed(content);
    hdf5_stream_t stream;
    if (count == 0)
        return DFAISS_OK;
    TRY(hdf5_stream_create(file, "/removed", HDF5_I64, count, 0, &stream));
    dfaiss_status_t status = put_removed(&stream, content);
    hdf5_stream_destroy(&stream);
    return status;
}

dfaiss_status_t shard_living_write(hdf5_file_t *file, const shard_content_t *content) {
    if (!content->living)
        return DFAISS_OK;
    TRY(write_living(file, content));
    return write_removed(file, content);
}
