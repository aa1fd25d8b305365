/* What a server's shard is made of when a generation is loaded: ranges of rows of its parts, whichever servers wrote them, put one behind the other.
 *
 * Every file of a part's chain is opened, and of what lies in it only that is read which the ranges ask for.
 */
#ifndef CHECKPOINT_RESTORE_H
#define CHECKPOINT_RESTORE_H

#include "checkpoint/manifest.h"
#include "checkpoint/shard_file.h"
#include "checkpoint/spread.h"

/* Which generation it is, and what it consists of; borrowed. Of parts that no range names nothing is looked at. */
typedef struct restore_source {
    const char *storage;
    const char *index;
    int64_t generation;
    int servers; /* that saved it: as many parts */
    const manifest_part_t *parts;
} restore_source_t;

/* Reads what the plan says. Files are looked at with suspicion, but it is manifest_verify_file that compares their bytes. ERR_CHECKPOINT names the
 * file, and the dataset where it is known, that is damaged or of another generation, index or server, and parts that were trained apart from each
 * other. What was read becomes the caller's; on failure *content is empty. Of the rows, content->indexed_anew behind those in the store are to be
 * indexed anew. */
CHECKED dfaiss_status_t restore_read(const restore_source_t *source, const spread_t *plan, shard_content_t *content, dfaiss_error_t *err);

/* Adds what the newest file of a part says of inputs, as inputs_merge. */
CHECKED dfaiss_status_t restore_inputs(const restore_source_t *source, int part, inputs_t *inputs, dfaiss_error_t *err);

/* What is to be known of a part before it is divided. */
typedef struct restore_survey {
    bool trained;
    engine_class_t class;  /* where it is */
    char checksum[32];     /* of its trained state; equal where parts can be put together */
    spread_part_t numbers; /* owned */
} restore_survey_t;

/* The part's rows that are there are counted in some hundred blocks; none where no row was removed. */
CHECKED dfaiss_status_t restore_survey(const restore_source_t *source, int part, restore_survey_t *out, dfaiss_error_t *err);

#endif
