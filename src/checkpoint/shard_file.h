/* The HDF5 file in which one server's part of an index is kept: gNNNNNN/shard-RRRR.h5.
 *
 * Plain HDF5: h5dump and h5py read it. The layout is written down in FORMAT.md beside this header.
 */
#ifndef CHECKPOINT_SHARD_FILE_H
#define CHECKPOINT_SHARD_FILE_H

#include <stdint.h>

#include "base/error.h"
#include "base/inputs.h"
#include "config/index_config.h"
#include "engine/engine.h"
#include "filter/columns.h"
#include "shard/batch.h"
#include "shard/shard.h"
#include "shard/bitmap.h"

enum { CHECKPOINT_NAME = 256 };

/* What a shard file holds. When writing everything is borrowed; when reading everything becomes the caller's. */
typedef struct shard_content {
    char index[CHECKPOINT_NAME];
    int64_t generation;
    int server;
    int servers;
    index_config_t *config;      /* dim is known where there are rows */
    engine_template_t *template; /* NULL: not trained yet */
    engine_store_t *store;       /* NULL: not trained yet */
    int64_t rows;                /* of the whole shard, those not yet indexed included */
    shard_batch_t *batches; /* all rows in order, at least one in each; vectors are there exactly for rows >= engine_store_rows(store) (when writing
                             * not where all rows of a batch were removed) */
    int64_t batch_count;
    inputs_t inputs;                 /* which rows of which input these are */
    attribute_schema_t *schema;      /* of the configuration; when writing not looked at */
    attribute_columns_t *attributes; /* of all rows; NULL where the configuration declares none */
    bitmap_t *living;                /* bits of the rows that were not removed; NULL: none was */
    int64_t indexed_anew;            /* rows behind those in the store that are to be indexed at once, since their graphs were cut; 0 when writing */
    const struct kept_rows *kept;    /* this room's own, while it writes; NULL: it is to be found out */
} shard_content_t;

/* What a snapshot holds, to be written: borrowed of it. Of which index, generation and server it is, is for the caller to say. */
shard_content_t shard_content_of_snapshot(const shard_snapshot_t *snapshot);
/* What was read, for shard_restore, which takes all of it over. */
shard_restored_t shard_content_restored(const shard_content_t *content);

/* How many of the rows are indexed. */
static inline int64_t shard_content_indexed(const shard_content_t *content) {
    return content->store ? engine_store_rows(content->store) : 0;
}

/* Writes a file and syncs it with its folder. A row range that is only partly indexed inside a batch is handled. On failure no file is left. */
CHECKED dfaiss_status_t shard_file_write(const char *path, const shard_content_t *content, dfaiss_error_t *err);

/* The same, and then every byte is read back and compared with what was written (ERR_IO where they differ): *checksum and *bytes are those of the
 * file, for the manifest. */
CHECKED dfaiss_status_t shard_file_save(const char *path, const shard_content_t *content, uint64_t *checksum, uint64_t *bytes, dfaiss_error_t *err);

/* Reads a file whose checksum the caller has verified or not: every length, count and offset is checked all the same; ERR_CHECKPOINT names file and
 * dataset. A file of a newer format version is refused by name. Batches come back cut anew: runs of consecutive ids without an ids array, vectors
 * that are not indexed yet in batches of about 16 MiB, and no batch is partly indexed. On failure *content is empty. */
CHECKED dfaiss_status_t shard_file_read(const char *path, shard_content_t *content, dfaiss_error_t *err);

/* Adds what a file says of inputs, as inputs_merge, and reads nothing else of it. */
CHECKED dfaiss_status_t shard_file_read_inputs(const char *path, inputs_t *inputs, dfaiss_error_t *err);

/* Frees what a content read from a file owns. */
void shard_content_clear(shard_content_t *content);

#endif
