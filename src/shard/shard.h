/* One index on one server: its rows in the order in which they arrived, those that are indexed and those that wait, and the search over both.
 *
 * All calls come from the server's main thread, except the work functions, which its builder runs. What searches read changes
 * only in shard_advance, and only while no search reads it, so that a search sees every row once: first the waiting rows, exactly, then the store.
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/inputs.h"
#include "base/team.h"
#include "config/index_config.h"
#include "engine/engine.h"
#include "filter/columns.h"
#include "shard/batch.h"
#include "shard/bitmap.h"
#include "shard/builder.h"

typedef struct shard shard_t;

/* An empty shard. config is taken over on success; where its dim is 0 nothing can be added or searched before shard_set_dim. expected_rows: of the
 * whole index, or of this server with local training; 0 where nobody knows. team is borrowed. */
CHECKED dfaiss_status_t shard_create(const char *name, index_config_t *config, int64_t expected_rows, int server, team_t *team, shard_t **out,
                                     dfaiss_error_t *err);
/* What a checkpoint brings back. */
typedef struct shard_restored {
    index_config_t *config;
    engine_template_t *template; /* both there, or both NULL: not trained yet */
    engine_store_t *store;
    shard_batch_t *batches;
    int64_t batch_count;
    attribute_schema_t *schema;      /* of the configuration */
    attribute_columns_t *attributes; /* of that schema, for all rows; NULL where it has no fields */
    bitmap_t *living;                /* bits of the rows that were not removed; NULL: none was */
    int64_t index_anew;              /* rows behind those of the store that are indexed at once, without waiting for more */
    inputs_t inputs;                 /* which rows of which input they are */
} shard_restored_t;

/* A shard from a checkpoint; everything in it is taken over on success. expected_rows as for shard_create. */
CHECKED dfaiss_status_t shard_restore(const char *name, const shard_restored_t *restored, int64_t expected_rows, int server, team_t *team,
                                      shard_t **out, dfaiss_error_t *err);
/* No search and no work of it may be under way. NULL is fine. */
void shard_destroy(shard_t *shard);

const char *shard_name(const shard_t *shard);
/* As it was created or loaded, but for the dim of shard_set_dim: the builder reads it. */
const index_config_t *shard_config(const shard_t *shard);
/* A copy with what was set since: the caller's. */
CHECKED dfaiss_status_t shard_config_copy(const shard_t *shard, index_config_t **out, dfaiss_error_t *err);
/* Sets the dim of a shard that has none: ERR_CONFIG where the configuration does not allow it, ERR_ARG where it has another. Nothing may be saved
 * meanwhile. */
CHECKED dfaiss_status_t shard_set_dim(shard_t *shard, int64_t dim, dfaiss_error_t *err);
/* What searches use that do not say it themselves: inverted lists, or the depth of graphs. */
void shard_set_nprobe(shard_t *shard, int64_t nprobe);
/* The team of searches that begin from now on; borrowed. */
void shard_set_team(shard_t *shard, team_t *team);
bool shard_trained(const shard_t *shard);
/* Rows that have arrived, and those of them that are indexed: removed ones are counted, since they keep their numbers. */
int64_t shard_rows(const shard_t *shard);
int64_t shard_indexed(const shard_t *shard);
/* The same without those that were removed, and how many of these still take memory. */
int64_t shard_living(const shard_t *shard);
int64_t shard_living_indexed(const shard_t *shard);
int64_t shard_removed(const shard_t *shard);
/* Greater than every id here. */
int64_t shard_next_id(const shard_t *shard);
/* Rows that the builder has not taken in yet: what ingest is held back by. 0 before training, when nothing can be built. */
int64_t shard_backlog(const shard_t *shard);

/* Bytes of the indexed rows (codes, rows of lists, links), of metadata, attributes and explicit ids, and of vectors that wait. */
typedef struct shard_bytes {
    size_t index, metadata, buffered;
} shard_bytes_t;
shard_bytes_t shard_bytes(const shard_t *shard);

/* ---- ingest ---- */

/* Takes in a batch (first_row is set here); every search begun afterwards sees it. columns: attributes that did not come in the metadata, in the form
 * of filter/given.h, looked at with suspicion; borrowed; NULL: none. ERR_DATA where a component is not finite, ERR_ARG where an id is out of range or
 * twice in the batch, or a column is none of the index's attributes, ERR_PEER where columns make no sense; nothing has changed and the batch stays
 * the caller's then. A batch that is part of an input is refused where the input was not declared (ERR_STATE), does not have the rows (ERR_ARG), or
 * some of them are here already (ERR_STATE). */
CHECKED dfaiss_status_t shard_append(shard_t *shard, shard_batch_t *batch, const void *columns, size_t column_bytes, dfaiss_error_t *err);

/* Batches of an input may come from now on; inputs_declare says what may be wrong with it. */
CHECKED dfaiss_status_t shard_declare_input(shard_t *shard, const input_t *input, dfaiss_error_t *err);
/* Which rows of which input arrived here, since it was created or before it was saved. Borrowed until the next change. */
const inputs_t *shard_inputs(const shard_t *shard);

/* A row is there and was not removed. */
bool shard_lives(const shard_t *shard, int64_t row);
/* What is known of a row may be told to those whose search has found it: it is there, or was when the search began, since an update has replaced it.
 */
bool shard_tells(const shard_t *shard, int64_t row);
/* A row's id and metadata (borrowed until the next change), removed or not. False where there is no such row. */
bool shard_row(const shard_t *shard, int64_t row, int64_t *id, const uint8_t **metadata, size_t *metadata_size);
/* A row's vector, out float[dim]: while it waits, as it came (cosine: normalised), and then as the index gives it back. *there: false, and nothing in
 * out, where the row was removed and its memory given up. ERR_UNSUPPORTED, naming the kind: what is indexed cannot be given back. */
CHECKED dfaiss_status_t shard_vector(shard_t *shard, int64_t row, float *out, bool *there, dfaiss_error_t *err);
/* Before that: finds out where rows lie, until it is known (*ready) or the deadline; inverted lists make a map of four bytes a row once. */
CHECKED dfaiss_status_t shard_locate(shard_t *shard, int64_t deadline, bool *ready, dfaiss_error_t *err);

/* ---- training ---- */

/* Takes over vectors to train on (memory_map block of `bytes`); on failure they stay the caller's. ERR_STATE once the index is trained. */
CHECKED dfaiss_status_t shard_sample(shard_t *shard, element_t element, int64_t n, void *vectors, size_t bytes, dfaiss_error_t *err);

/* What is done with them stands in shard/training.h. */

/* ---- indexing ---- */

/* The builder has something to do for this shard: shard_build_prepare has then set up the work for shard_build_work. */
CHECKED dfaiss_status_t shard_build_prepare(shard_t *shard, bool *work, dfaiss_error_t *err);
/* builder_work_t on a shard_t. */
dfaiss_status_t shard_build_work(void *shard, dfaiss_error_t *err);
/* Afterwards, whether it failed or not. */
void shard_build_done(shard_t *shard, dfaiss_status_t status);

/* From now on everything that is here is to be indexed, the last small rest too. */
void shard_flush(shard_t *shard);
/* All rows that were there at the last shard_flush are indexed. */
bool shard_flushed(const shard_t *shard);

/* Links what the builder has finished, as far as searches allow, until the deadline; true where something changed. */
bool shard_advance(shard_t *shard, int64_t deadline);
/* Something waits for shard_advance. */
bool shard_changing(const shard_t *shard);
/* What the builder does for this shard, or did, is giving back the memory of removed rows. */
bool shard_compacting(const shard_t *shard);

/* Rows wait that the builder is about to take in, or what it has taken in waits to be linked. */
bool shard_indexing(const shard_t *shard);

/* Nanoseconds that building took so far. */
int64_t shard_build_nanoseconds(const shard_t *shard);

/* ---- what a checkpoint needs ---- */

/* By which it is seen whether a shard has changed since: two marks of one shard differ where it has something else to save. */
typedef struct shard_mark {
    int64_t rows, indexed, removed, nprobe;
    bool trained;
} shard_mark_t;
shard_mark_t shard_mark(const shard_t *shard);
bool shard_mark_equal(const shard_mark_t *one, const shard_mark_t *other);

/* A snapshot of what the shard holds now, to be written by the builder while searches and appends go on; nothing may be built meanwhile. */
typedef struct shard_snapshot {
    index_config_t *config;            /* a copy */
    const engine_template_t *template; /* NULL: not trained */
    const engine_store_t *store;
    int64_t rows;
    shard_batch_t *batches; /* a copy of the descriptions; owned */
    int64_t batch_count;
    attribute_columns_t *attributes; /* NULL: the index has none; owned */
    bitmap_t *living;                /* a copy; NULL: no row was removed */
    inputs_t inputs;                 /* a copy: which rows of which input these are, no more and no less */
} shard_snapshot_t;
CHECKED dfaiss_status_t shard_snapshot(const shard_t *shard, shard_snapshot_t *out, dfaiss_error_t *err);
/* Rows from number `first` on that are there. */
int64_t shard_snapshot_living(const shard_snapshot_t *snapshot, int64_t first);
/* Main thread. */
void shard_snapshot_clear(shard_snapshot_t *snapshot);

#endif
