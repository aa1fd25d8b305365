/* What the files share that read a generation: parts with their chains of files, and the pieces of these that a shard is put together from. Private
 * to this room.
 *
 * A piece is what one file has of one range. For ids, metadata, attributes and vectors that wait it is the rows that the file brought, for the index
 * those whose place in it the file says last. One file is used at a time; some are kept open, since a shard comes back to them.
 */
#ifndef CHECKPOINT_RESTORE_INTERNAL_H
#define CHECKPOINT_RESTORE_INTERNAL_H

#include "checkpoint/hdf5_file.h"
#include "checkpoint/restore.h"

enum { RESTORE_OPEN_MOST = 48, RESTORE_CLASS = 32, RESTORE_CHECKSUM = 17 };

typedef struct restore_part restore_part_t;

typedef struct restore_file {
    restore_part_t *part;
    manifest_file_t named; /* as the manifest says, or where there is none as the file does */
    int64_t until;         /* its index counts for rows named.first_indexed to before this one */
    int64_t generation;    /* of its folder */
    uint64_t previous;     /* checksum of the file before it in the chain */
    bool is_base;
    char *path; /* owned */
    bool checked;
    bool says_removed; /* that some rows were */
    bool open;
    hdf5_file_t hdf5;
} restore_file_t;

struct restore_part {
    int number;
    int64_t rows, indexed;
    int64_t file_count; /* 0: no range names it */
    restore_file_t *files;
    char class[RESTORE_CLASS]; /* of the first file that was opened */
};

typedef struct restore {
    char index[CHECKPOINT_NAME];    /* empty: whatever the file says */
    const restore_source_t *source; /* NULL: one file, of which no manifest says anything */
    int servers;
    restore_part_t *parts; /* [servers] */
    const spread_t *plan;
    int64_t *to;     /* the row of the shard at which each range begins, and behind them all how many there are */
    int64_t indexed; /* rows of the shard that are in the store */
    shard_content_t *content;
    restore_file_t *opened[RESTORE_OPEN_MOST];
    int open_count, next_closed;
    const restore_file_t *held; /* is not closed meanwhile; NULL: none */
    H5E_auto2_t print;          /* HDF5's error printing of before */
    void *print_context;
    dfaiss_error_t *err;
} restore_t;

/* Opens a file if it is not, and compares what it says of itself with the manifest. Valid until the next call, or longer for the one that
 * is held. */
CHECKED dfaiss_status_t restore_open(restore_t *restore, restore_file_t *file);
CHECKED dfaiss_status_t restore_begin(restore_t *restore, const restore_source_t *source, const spread_t *plan, shard_content_t *content,
                                      dfaiss_error_t *err);
/* One file by itself; the plan becomes that of all of it, and is the caller's. */
CHECKED dfaiss_status_t restore_begin_file(restore_t *restore, const char *path, spread_t *plan, shard_content_t *content, dfaiss_error_t *err);
/* After work that ended with `status`, or failed to begin: the status of the whole. */
CHECKED dfaiss_status_t restore_end(restore_t *restore, dfaiss_status_t status);

/* ---- pieces ---- */

typedef struct restore_piece {
    restore_file_t *file;
    spread_form_t form;
    int64_t first, end; /* rows of the part */
    int64_t to;         /* the row of the shard that `first` becomes */
    int64_t range, next_file;
} restore_piece_t;

/* The next piece, in the order of the shard's rows; begun with a piece that is zeroed. False: there are no more. */
bool restore_next_rows(const restore_t *restore, restore_piece_t *piece);
/* The same for the index of the ranges of one form. */
bool restore_next_index(const restore_t *restore, spread_form_t form, restore_piece_t *piece);

/* ---- the parts of a shard ---- */

CHECKED dfaiss_status_t restore_living(restore_t *restore);
/* How many rows of a part there are, in numbers->living; left NULL where none was removed. */
CHECKED dfaiss_status_t restore_count_living(restore_t *restore, restore_part_t *part, spread_part_t *numbers);
CHECKED dfaiss_status_t restore_rows(restore_t *restore);
CHECKED dfaiss_status_t restore_attributes(restore_t *restore);

/* The store of each class, which is empty. */
CHECKED dfaiss_status_t restore_codes(restore_t *restore);
CHECKED dfaiss_status_t restore_lists(restore_t *restore);
CHECKED dfaiss_status_t restore_graphs(restore_t *restore);

/* Vectors of rows first to end - 1 of a part, which its graphs hold, decoded: to float[end - first][dim]. */
CHECKED dfaiss_status_t restore_decode(restore_t *restore, restore_part_t *part, int64_t first, int64_t end, float *to);

/* Where the graphs of a part begin: *units is malloc'ed and the caller's. */
CHECKED dfaiss_status_t restore_units(restore_t *restore, restore_part_t *part, int64_t **units, int64_t *count);

/* A dataset of sizes that add up to `total`: *sizes is malloc'ed and the caller's. `expected`, how many they are, may be HDF5_ANY. */
CHECKED dfaiss_status_t restore_sizes(hdf5_file_t *file, const char *name, int64_t expected, int64_t total, int64_t **sizes, int64_t *count);

/* A failure of the engine while it takes in what a file holds is the file's fault, unless memory ran out. */
dfaiss_status_t restore_blame(hdf5_file_t *file, const char *what, dfaiss_status_t status);

/* Rows that the index of a file holds, where some were dropped; else all of those that it is about. */
typedef struct held_rows {
    restore_file_t *file;
    hdf5_dataset_t dataset;
    bool some_dropped;
    int64_t held;
} held_rows_t;

CHECKED dfaiss_status_t held_rows_open(restore_file_t *file, held_rows_t *rows);
void held_rows_close(held_rows_t *rows);
/* The place of the first row held that is not below `row`. */
CHECKED dfaiss_status_t held_rows_place(const held_rows_t *rows, int64_t row, int64_t *place);
/* Rows at places first to first + count - 1. */
CHECKED dfaiss_status_t held_rows_read(const held_rows_t *rows, int64_t first, int64_t count, int64_t *out);
/* Tells the engine which rows of the shard the next segment holds: those at places first to first + count - 1, all of them in the piece. */
CHECKED dfaiss_status_t held_rows_restore(const held_rows_t *rows, engine_store_t *store, const restore_piece_t *piece, int64_t first, int64_t count);

#endif
