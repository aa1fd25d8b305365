/* The vectors of generated data sets, one row at a time and each from its own random stream.
 *
 * A row is (centre of its cluster + a point within the cluster) in a space of a few latent dimensions, carried into all dimensions by one fixed
 * matrix, plus some noise. The clusters overlap and the latent dimensions have falling weights, as embeddings have: inverted lists find most
 * neighbours with a few dozen probes, but far from all with one. All is integer arithmetic, so that every machine makes the same bytes.
 */
#ifndef DATASET_SYNTHETIC_H
#define DATASET_SYNTHETIC_H

#include <stdint.h>

#include "base/element.h"
#include "base/error.h"

typedef struct synthetic synthetic_t;

typedef enum synthetic_part { SYNTHETIC_BASE, SYNTHETIC_QUERIES } synthetic_part_t;

CHECKED dfaiss_status_t synthetic_create(uint64_t seed, int64_t dim, int64_t clusters, element_t element, synthetic_t **out, dfaiss_error_t *err);
void synthetic_destroy(synthetic_t *synthetic);

/* Makes rows first to first + n - 1 of a part, packed, in the element type. Thread-safe. */
void synthetic_rows(const synthetic_t *synthetic, synthetic_part_t part, int64_t first, int64_t n, void *out);

#endif
