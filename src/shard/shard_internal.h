/* What the files of this room share of a shard. */
#ifndef SHARD_SHARD_INTERNAL_H
#define SHARD_SHARD_INTERNAL_H

#include "shard/filters.h"
#include "shard/rows.h"
#include "shard/shard.h"

/* Vectors that are only trained on. */
typedef struct sample_piece {
    element_t element;
    int64_t n;
    void *vectors;
    size_t bytes;
} sample_piece_t;

typedef struct sample {
    sample_piece_t *pieces;
    int64_t count;
    int64_t rows;
} sample_t;

void shard_sample_clear(sample_t *sample);

/* A run of waiting rows that lie together, as the builder sees them: batches may move while it works, their vectors do not. */
typedef struct build_piece {
    element_t element;
    const void *vectors;
    int64_t n;
} build_piece_t;

/* What one piece of indexing work is about. */
typedef struct build_job {
    int64_t first;
    int64_t n;
    bool seal;
    build_piece_t *pieces;
    int64_t piece_count;
    int64_t piece_capacity;
    float *vectors; /* widened; memory_map, grows */
    size_t vector_bytes;
    engine_block_t *block; /* the outcome */
    int64_t nanoseconds;   /* that it took */
} build_job_t;

/* A batch whose removed rows lose their metadata. */
typedef struct batch_change {
    int64_t number;
    shard_batch_t before; /* a copy of the description */
    bool made;            /* else there was no memory */
    uint64_t *ends;       /* what takes the place of the metadata: owned; NULL where nothing is left */
    uint8_t *metadata;
} batch_change_t;

/* Giving back memory: prepared, made by the builder, put in place when no search is left that began before it was prepared. */
typedef struct compaction {
    bool under_way;
    bool made;
    bool store;      /* the store is looked at, too */
    bitmap_t *alive; /* of the builder */
    batch_change_t *changes;
    int64_t change_count, change_capacity;
    int64_t next_batch; /* to be looked at */
    bool goes_on;       /* the last look at the store has found something */
    int64_t dead, held; /* removed rows that the store held at the last look, and rows in all */
    uint64_t epoch;     /* counts them */
    int older_searches; /* under way, begun before */
} compaction_t;

/* Rows that an update has hidden, which searches that do not know of it still find. */
typedef struct row_list {
    int64_t *rows; /* owned */
    int64_t count, capacity;
} row_list_t;

typedef struct hidden_rows {
    uint64_t update;
    int64_t *rows; /* owned */
    int64_t count;
} hidden_rows_t;

struct shard {
    char *name;
    index_config_t *config;
    int server;
    int64_t expected_rows;
    int64_t nprobe;
    team_t *team;

    engine_class_t class; /* by the configuration, where there is no template */
    bool class_known;
    engine_template_t *template;         /* trained when store is there */
    engine_template_t *pending_template; /* installed as soon as no search is under way */
    engine_store_t *store;               /* NULL before training */
    engine_store_t *pending_store;
    shard_rows_t rows;
    inputs_t inputs; /* which rows of which input these are */
    attribute_schema_t *schema;
    attribute_columns_t *attributes; /* of all rows; NULL where the schema has no fields */
    shard_filters_t filters;
    bitmap_t *living; /* bits of the rows that were not removed; NULL: none was */
    compaction_t compaction;
    hidden_rows_t hidden;
    bitmap_t *kept;         /* bits of removed rows that keep their memory; shorter where there are none; NULL: there are none */
    row_list_t replaced[2]; /* these: removed rows that an update has replaced lately, and before */
    int64_t replaced_since; /* when the first of both lists was begun */
    int64_t keep_replaced;  /* nanoseconds for which a list is kept at least */
    bool held;              /* no search begins */
    int64_t dead;           /* rows that were */
    int64_t dead_indexed;   /* those of them that are indexed */

    sample_t sample; /* vectors that are only trained on */

    int64_t built;        /* rows that the builder has taken in */
    int64_t built_blocks; /* since it last gave back memory */
    int64_t flush_target;
    build_job_t job;
    engine_block_t *pending_block; /* built, to be linked as soon as no search reads the store */
    int64_t build_nanoseconds;

    int searches;                    /* under way */
    int readers;                     /* of them: inside a run of waiting rows, or the store */
    int blind;                       /* of them: began when all rows might be found, those that come later, too */
    engine_search_t **idle_searches; /* kept for reuse: their scratch has grown to what searches need here */
    int idle_count;
    int idle_capacity;
};

/* n vectors in a block of `bytes`: the dimension is the index's (ERR_ARG), and all components are finite (ERR_DATA). */
CHECKED dfaiss_status_t shard_check_vectors(const shard_t *shard, element_t element, int64_t n, const void *vectors, size_t bytes,
                                            dfaiss_error_t *err);

/* All ids of a batch are in range, and its own ones different: ERR_ARG, naming the id. */
CHECKED dfaiss_status_t shard_check_ids(const shard_batch_t *batch, const char *name, dfaiss_error_t *err);

/* May the rows of a batch come, as rows of an input? There is room then to note them, which shard_note_input does. */
CHECKED dfaiss_status_t shard_check_input(const shard_t *shard, const shard_batch_t *batch, dfaiss_error_t *err);
void shard_note_input(shard_t *shard, const shard_batch_t *batch);

/* The schema of the configuration, and columns for it. */
CHECKED dfaiss_status_t shard_attributes_create(shard_t *shard, const index_config_t *config, dfaiss_error_t *err);
/* The attributes of a batch that follows the rows; undone by attribute_columns_undo. */
CHECKED dfaiss_status_t shard_attributes_append(shard_t *shard, const shard_batch_t *batch, const void *columns, size_t column_bytes,
                                                dfaiss_error_t *err);

/* Before a row is removed: its bit is there, and nobody else looks at it, until a search begins, or a snapshot is taken. */
CHECKED dfaiss_status_t shard_prepare_to_remove(shard_t *shard, int64_t row, dfaiss_error_t *err);
/* Removes a row, unless it is gone. replaced: it is kept for a while. *batch: the number of any batch, which becomes that of the row's: it is looked
 * for there first. */
bool shard_remove_row(shard_t *shard, int64_t row, bool replaced, int64_t *batch);
/* The bits of rows that were restored, taken over; NULL: all are there. */
void shard_take_living(shard_t *shard, bitmap_t *living);
/* There are more indexed rows than `before`. */
void shard_note_indexed(shard_t *shard, int64_t before);

/* A row that an update has replaced: whoever has found it may ask for it for a while, and it keeps its memory. False: no memory to remember it. */
bool shard_keep_replaced(shard_t *shard, int64_t row);
/* Lets go of those that were kept long enough. */
void shard_loosen_replaced(shard_t *shard);
bool shard_was_replaced(const shard_t *shard, int64_t row);

/* Begins to give back memory where enough is to be had. */
bool shard_compact_prepare(shard_t *shard);
/* On the builder; the block is to be linked, NULL where there is none. */
engine_block_t *shard_compact_work(shard_t *shard);
void shard_compact_done(shard_t *shard, engine_block_t *block);
/* No search that may still find the removed rows keeps what was made from being put in place. */
bool shard_compact_may_change(const shard_t *shard);
/* Puts in place what concerns batches. */
bool shard_compact_advance(shard_t *shard);
void shard_compaction_clear(compaction_t *compaction);

/* Something was made that is to be put in place as soon as nobody reads: searches wait for that where they can, or a steady stream of them would keep
 * it out for ever. */
bool shard_change_is_due(const shard_t *shard);

/* Frees the searches that are kept for reuse, since they belong to a template that goes. */
void shard_search_drop_idle(shard_t *shard);

#endif
