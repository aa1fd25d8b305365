/* Inside the engine room: the k best of many candidates, in the one order that all answers have: the better score first, equal scores by row.
 *
 * Candidates are collected as 64-bit keys (score, then position), which compare as numbers, and end in lists of k: sorted scores and rows, where
 * row -1 fills what is missing.
 */
#ifndef ENGINE_NEAREST_H
#define ENGINE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The smaller key is the better candidate. -0 counts as 0. */
static inline uint64_t nearest_key(bool larger_is_better, float score, uint32_t position) {
    float ascending = (larger_is_better ? -score : score) + 0.0f;
    uint32_t bits;
    memcpy(&bits, &ascending, sizeof bits);
    bits ^= bits >> 31 ? UINT32_MAX : UINT32_C(1) << 31;
    return (uint64_t)bits << 32 | position;
}

static inline float nearest_key_score(bool larger_is_better, uint64_t key) {
    uint32_t bits = (uint32_t)(key >> 32);
    bits ^= bits >> 31 ? UINT32_C(1) << 31 : UINT32_MAX;
    float ascending;
    memcpy(&ascending, &bits, sizeof ascending);
    return larger_is_better ? -ascending : ascending;
}

static inline uint32_t nearest_key_position(uint64_t key) {
    return (uint32_t)key;
}

/* Moves the k smallest of n different keys to the front (1 <= k <= n) and returns the k-th. */
uint64_t nearest_select(uint64_t *keys, size_t n, size_t k);
void nearest_sort(uint64_t *keys, size_t n);

/* Fills a list with row -1 and the worst score. */
void nearest_clear(bool larger_is_better, int64_t k, float *scores, int64_t *rows);

/* Sorts n candidates where they are not sorted yet. */
void nearest_order(bool larger_is_better, int64_t n, float *scores, int64_t *rows);

/* Merges n sorted candidates into a list of k that holds `held` of them; returns how many it holds then. spare_scores and spare_rows hold k. */
int64_t nearest_merge(bool larger_is_better, int64_t k, int64_t held, float *scores, int64_t *rows, int64_t n, const float *more_scores,
                      const int64_t *more_rows, float *spare_scores, int64_t *spare_rows);

/* How many entries of a list are no filling. */
int64_t nearest_count(int64_t k, const int64_t *rows);

/* Removes rows first to last - 1 from n sorted candidates; returns how many are left. */
int64_t nearest_remove(int64_t n, float *scores, int64_t *rows, int64_t first, int64_t last);

#endif
