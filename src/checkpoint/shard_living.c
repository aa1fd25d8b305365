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
