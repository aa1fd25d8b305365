/* Which server gets which rows of a generation that another number of servers has saved. Pure: it looks at numbers alone.
 *
 * A part is one server's share at the time of the save, a range some rows of a part that follow each other. What a server gets are ranges in the
 * order in which its shard numbers their rows: first those whose place in the index is taken over, then those that are indexed anew from their codes,
 * then those that were not indexed yet.
 */
#ifndef CHECKPOINT_SPREAD_H
#define CHECKPOINT_SPREAD_H

#include <stdint.h>

#include "base/error.h"

typedef enum spread_form {
    SPREAD_INDEXED, /* taken over */
    SPREAD_DECODED, /* indexed anew: of graphs that are cut */
    SPREAD_WAITING, /* not indexed yet */
    SPREAD_FORMS
} spread_form_t;

typedef struct spread_range {
    int part;
    spread_form_t form;
    int64_t first, end;
} spread_range_t;

/* How the index of a part can be divided. */
typedef enum spread_rule {
    SPREAD_ANYWHERE, /* codes and inverted lists: between any two rows */
    SPREAD_GRAPHS,   /* between units, and inside them where their rows are indexed anew */
    SPREAD_BLOBS,    /* between units alone */
    SPREAD_RULES
} spread_rule_t;

/* What is known of a part. */
typedef struct spread_part {
    int64_t rows;
    int64_t indexed; /* the first of these; the others wait */
    /* How many of the rows in each `block_rows` are there, the last block may be shorter; NULL: all. Inside a block they count as evenly spread. */
    int64_t block_rows; /* >= 1 where there are counts */
    int64_t block_count;
    int64_t *living; /* owned */
    /* The units of its index: where each begins, ascending from 0 on. Not looked at where the rule is SPREAD_ANYWHERE. */
    int64_t unit_count;
    int64_t *units; /* owned */
} spread_part_t;

void spread_part_clear(spread_part_t *part);

/* What one server gets. */
typedef struct spread {
    int home; /* the part whose configuration and trained state it takes: its first range's, or where it has none, one of the others */
    int64_t count;
    spread_range_t *ranges; /* owned */
} spread_t;

/* Fills plans[servers], which the caller clears; on failure (ERR_MEMORY) they are empty. Every row of every part is in one range. Rows that are there
 * differ between servers by a block or two where parts can be divided anywhere. Units stay whole where that leaves no server with more than an eighth
 * above the others' mean, or where they cannot be cut. count >= 1, servers >= 1. */
CHECKED dfaiss_status_t spread_plan(spread_rule_t rule, int count, const spread_part_t *parts, int servers, spread_t *plans, dfaiss_error_t *err);
/* A whole part, for a server of its own. */
CHECKED dfaiss_status_t spread_whole(int part, int64_t rows, int64_t indexed, spread_t *plan, dfaiss_error_t *err);
void spread_clear(spread_t *plan);

/* The server that compares the files of a part with their checksums. */
int spread_verifier(int part, int parts, int servers);

#endif
