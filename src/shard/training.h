/* Training: which vectors an index learns from, and the template that learns. A training is made from a shard and stands by itself then, so that the
 * index may go while it is trained.
 *
 * The sample are the vectors that shard_sample brought; without them it is drawn from the rows that have arrived, of one shard or of all of them. All
 * calls come from the main thread, except training_work.
 */
#ifndef SHARD_TRAINING_H
#define SHARD_TRAINING_H

#include "shard/shard.h"

typedef struct training training_t;

/* Takes over the shard's samples, or plans to draw from `rows` rows on `servers` servers, for which the room is there afterwards. ERR_STATE (trained
 * already), ERR_CONFIG (too few vectors), ERR_MEMORY (naming the bytes); the shard is then as before. */
CHECKED dfaiss_status_t training_create(shard_t *shard, int64_t rows, int64_t servers, training_t **out, dfaiss_error_t *err);
/* It must not be at work. NULL is fine. */
void training_destroy(training_t *training);

/* How many vectors are to be drawn; 0 where samples were brought. */
int64_t training_drawn_rows(const training_t *training);
/* Where drawn vectors go, from number `first` on: float[][dim]. */
float *training_room(training_t *training, int64_t first);

/* builder_work_t on a training_t that has its whole sample. */
dfaiss_status_t training_work(void *training, dfaiss_error_t *err);
/* While it is at work, or before: it fails soon, ERR_INTERRUPTED. */
void training_cancel(training_t *training);
/* The trained template, the caller's. */
engine_template_t *training_take(training_t *training);
/* The same, still the training's; also on the thread that trains. */
const engine_template_t *training_template(const training_t *training);

/* Vectors first to first + count - 1 of n that are drawn from the first `rows` rows of a shard that were not removed: to float[count][dim], prepared
 * as training takes them. One comes from each of n stretches of as equal lengths as can be, so that no order of the rows matters; which one, the
 * configuration's seed says. ERR_STATE where there are fewer rows. */
CHECKED dfaiss_status_t shard_draw(const shard_t *shard, int64_t rows, int64_t n, int64_t first, int64_t count, float *to, dfaiss_error_t *err);

/* Installs a trained template (taken over, also on failure). It takes effect when no search is under way. ERR_STATE where it is trained already. */
CHECKED dfaiss_status_t shard_install(shard_t *shard, engine_template_t *template, dfaiss_error_t *err);

/* ERR_STATE (not trained), ERR_UNSUPPORTED (no inverted lists). */
CHECKED dfaiss_status_t shard_has_centroids(const shard_t *shard, dfaiss_error_t *err);
/* The centroids of an index that has some, on the builder while nothing of the shard changes: *out float[*lists][*dim], memory_map of *bytes. */
CHECKED dfaiss_status_t shard_centroids(const shard_t *shard, float **out, size_t *bytes, int64_t *lists, int64_t *dim, dfaiss_error_t *err);

#endif
