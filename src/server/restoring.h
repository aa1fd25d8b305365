/* What servers tell each other of a generation that they load: where it lies and what it consists of, what is known of its parts, and which rows each
 * server gets of it. */
#ifndef SERVER_RESTORING_H
#define SERVER_RESTORING_H

#include "base/bytes.h"
#include "checkpoint/restore.h"
#include "server/server_internal.h"

typedef struct restoring {
    char index[MESSAGE_NAME];
    char *storage; /* owned */
    int64_t generation;
    int count;              /* of parts */
    manifest_part_t *parts; /* owned */
} restoring_t;

void restoring_put(bytes_writer_t *out, const char *index, const char *storage, const manifest_generation_t *generation);
/* On failure what there is so far is the caller's too. */
CHECKED dfaiss_status_t restoring_get(bytes_reader_t *in, restoring_t *restoring, dfaiss_error_t *err);
void restoring_clear(restoring_t *restoring);
/* Borrowed. */
restore_source_t restoring_source(const restoring_t *restoring);

void spread_put(bytes_writer_t *out, const spread_t *plan);
CHECKED dfaiss_status_t spread_get(bytes_reader_t *in, spread_t *plan, dfaiss_error_t *err);

/* Which rows each server gets of a generation: plans[servers of the job], the caller's to clear. */
typedef void plan_end_t(server_t *server, dfaiss_status_t status, const dfaiss_error_t *error, spread_t *plans, void *context);
/* Server 0. All servers look at the parts where that is needed. The end is told in any case, now or later; it takes over plans, NULL on failure. */
void plan_start(server_t *server, const char *index, const char *storage, const manifest_generation_t *generation, plan_end_t *end, void *context);

#endif
