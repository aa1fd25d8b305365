/* How the basis of a save is made up, and what is decided by it. Private to this room.
 *
 * Rows are the shard's here, which keep their numbers, while those of the part are counted anew whenever it is written as a whole.
 */
#ifndef CHECKPOINT_BASIS_INTERNAL_H
#define CHECKPOINT_BASIS_INTERNAL_H

#include "checkpoint/basis.h"
#include "checkpoint/kept_rows.h"

enum { BASIS_UNTRAINED = -1 };

/* A file of the chain. */
typedef struct basis_link {
    manifest_file_t file;
    int64_t rows, indexed; /* where it ends */
    int64_t first_indexed; /* where its index begins */
    int64_t *units;        /* rows at which its index can be cut: ascending, the last one is `indexed`; owned */
    int64_t unit_count;
} basis_link_t;

struct basis {
    int64_t generation;
    int server, servers;
    int class;          /* engine_class_t, or BASIS_UNTRAINED */
    uint64_t settings;  /* checksum of the configuration and of what is known of inputs, as the last file has them */
    bitmap_t *numbered; /* which rows of the first file have numbers in the part; NULL: all */
    bitmap_t *living;   /* which rows were there at the last save; NULL: all */
    int64_t count;
    basis_link_t *links; /* owned */
};

/* What a save writes. */
typedef struct basis_plan {
    int64_t links;    /* of the basis whose files are kept; 0: everything is written */
    bool nothing;     /* to write: all that is there is in those files */
    kept_rows_t kept; /* what the file gets */
    uint64_t settings;
} basis_plan_t;

/* A checksum of what every file has anew. */
CHECKED dfaiss_status_t basis_settings(const shard_content_t *content, uint64_t *out, dfaiss_error_t *err);

/* basis NULL, or one that does not fit: everything. */
CHECKED dfaiss_status_t basis_make_plan(const shard_content_t *content, const basis_t *basis, basis_plan_t *out, dfaiss_error_t *err);
void basis_clear_plan(basis_plan_t *plan);

/* The basis that a save leaves: the files that the plan keeps, and the one that was written (NULL: none). The plan's bits become its own. */
CHECKED dfaiss_status_t basis_after(const shard_content_t *content, const basis_t *before, basis_plan_t *plan, const manifest_file_t *written,
                                    basis_t **out, dfaiss_error_t *err);
/* Its chain, the caller's. */
CHECKED dfaiss_status_t basis_chain(const basis_t *basis, manifest_part_t *out, dfaiss_error_t *err);

#endif
