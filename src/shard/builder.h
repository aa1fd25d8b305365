/* The builder: one thread beside the main one that trains, encodes, writes and reads, at the lowest priority, one piece of work at a time.
 *
 * The main thread starts a piece of work, goes on serving, and asks now and then whether it has finished. While the builder works nothing else
 * touches what the work touches; there is no lock that a search could wait for.
 */
#ifndef SHARD_BUILDER_H
#define SHARD_BUILDER_H

#include <stdbool.h>

#include "base/error.h"

typedef struct builder builder_t;

/* A piece of work, done on the builder thread. */
typedef dfaiss_status_t builder_work_t(void *context, dfaiss_error_t *err);

/* Starts the thread; faiss may use `threads` OpenMP threads inside a piece of work. */
CHECKED dfaiss_status_t builder_create(int threads, builder_t **out, dfaiss_error_t *err);
/* Takes effect with the next piece of work. */
void builder_set_threads(builder_t *builder, int threads);
/* Waits for the work under way. NULL is fine. */
void builder_destroy(builder_t *builder);

/* Nothing is under way, and the last outcome was taken. */
bool builder_idle(const builder_t *builder);
/* Starts a piece of work; the builder must be idle. */
void builder_start(builder_t *builder, builder_work_t *work, void *context);
/* True once for every piece of work, when it has ended: *status and *error (filled on failure alone) are its outcome. */
bool builder_ended(builder_t *builder, dfaiss_status_t *status, dfaiss_error_t *error);

#endif
