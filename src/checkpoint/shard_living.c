/* Which rows of a shard are there: /living, a byte a row, where any was removed. */
#include <inttypes.h>

#include "checkpoint/shard_parts.h"

enum { PIECE = 4096 };

static int64_t piece_at(int64_t row, int64_t rows) {
    return rows - row < PIECE ? rows - row : PIECE;
}

static dfaiss_status_t put_all(hdf5_stream_t *stream, const shard_content_t *content) {
    uint8_t piece[PIECE];
    for (int64_t row = 0; row < content->rows; row += PIECE) {
        int64_t count = 0, end = row + piece_at(row, content->rows);
        for (int64_t i = row; i < end; i++) {
            if (kept_rows_has(content->kept, i))
                piece[count++] = bitmap_get(content->living, i);
        }
        TRY(hdf5_stream_put(stream, piece, count));
    }
    return hdf5_stream_finish(stream);
}

dfaiss_status_t shard_living_write(hdf5_file_t *file, const shard_content_t *content) {
    if (!content->living || bitmap_count(content->living, 0, content->rows) == content->kept->rows)
        return DFAISS_OK;
    hdf5_stream_t stream;
    TRY(hdf5_stream_create(file, "/living", HDF5_U8, content->kept->rows, 0, &stream));
    dfaiss_status_t status = put_all(&stream, content);
    hdf5_stream_destroy(&stream);
    return status;
}

static dfaiss_status_t get_all(hdf5_file_t *file, hdf5_stream_t *stream, bitmap_t *living) {
    uint8_t piece[PIECE];
    for (int64_t row = 0; row < living->rows; row += PIECE) {
        int64_t count = piece_at(row, living->rows);
        TRY(hdf5_stream_get(stream, piece, count));
        for (int64_t i = 0; i < count; i++) {
            if (piece[i] > 1)
                return hdf5_unexpected(file, "dataset /living", "expected 0 or 1 in row %" PRId64 ", found %d", row + i, piece[i]);
            bitmap_set(living, row + i, piece[i]);
        }
    }
    return DFAISS_OK;
}

dfaiss_status_t shard_living_read(hdf5_file_t *file, shard_content_t *content) {
    hdf5_stream_t stream = {0};
    if (!hdf5_exists(file, "/living"))
        return DFAISS_OK;
    /* The shape is checked first: it tells how large the bitmap has to be, and the file's size bounds it. */
    TRY(hdf5_stream_open(file, "/living", HDF5_U8, content->rows, 0, &stream));
    content->living = bitmap_create(content->rows, false);
    dfaiss_status_t status =
        content->living ? get_all(file, &stream, content->living) : error_memory(file->err, (size_t)content->rows / 8, "the rows of a shard");
    hdf5_stream_destroy(&stream);
    return status;
}
