#include "engine/nearest.h"

#include <float.h>

enum { SMALL = 16 };

static inline void swap_keys(uint64_t *a, uint64_t *b) {
    uint64_t kept = *a;
    *a = *b;
    *b = kept;
}

static void sort_small(uint64_t *keys, size_t n) {
    for (size_t i = 1; i < n; i++) {
        uint64_t key = keys[i];
        size_t j = i;
        for (; j > 0 && keys[j - 1] > key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

/* Splits n >= 3 keys around the median of three; returns m with keys[0..m) <= keys[m..n) and 0 < m < n. */
static size_t split(uint64_t *keys, size_t n) {
    uint64_t *first = keys, *middle = keys + n / 2, *last = keys + n - 1;
    if (*middle < *first)
        swap_keys(middle, first);
    if (*last < *first)
        swap_keys(last, first);
    if (*last < *middle)
        swap_keys(last, middle);
    uint64_t pivot = *middle;
    size_t low = 0, high = n - 1;
    for (;;) {
        while (keys[low] < pivot)
            low++;
        while (keys[high] > pivot)
            high--;
        if (low >= high)
            return low > 0 ? low : 1;
        swap_keys(&keys[low++], &keys[high--]);
    }
}

uint64_t nearest_select(uint64_t *keys, size_t n, size_t k) {
    uint64_t *from = keys;
    size_t wanted = k - 1; /* position in what is left */
    while (n > SMALL) {
        size_t middle = split(from, n);
        if (wanted < middle) {
            n = middle;
        } else {
            from += middle;
            n -= middle;
            wanted -= middle;
        }
    }
    sort_small(from, n);
    return from[wanted];
}

void nearest_sort(uint64_t *keys, size_t n) {
    while (n > SMALL) {
        size_t middle = split(keys, n);
        /* The smaller half by recursion: its depth stays below log2(n). */
        if (middle < n - middle) {
            nearest_sort(keys, middle);
            keys += middle;
            n -= middle;
        } else {
            nearest_sort(keys + middle, n - middle);
            n = middle;
        }
    }
    sort_small(keys, n);
}

void nearest_clear(bool larger_is_better, int64_t k, float *scores, int64_t *rows) {
    for (int64_t i = 0; i < k; i++) {
        scores[i] = larger_is_better ? -FLT_MAX : FLT_MAX;
        rows[i] = -1;
    }
}

static inline bool stands_before(bool larger_is_better, float score, int64_t row, float other_score, int64_t other_row) {
    if (score != other_score)
        return larger_is_better ? score > other_score : score < other_score;
    return row < other_row;
}

void nearest_order(bool larger_is_better, int64_t n, float *scores, int64_t *rows) {
    for (int64_t i = 1; i < n; i++) {
        float score = scores[i];
        int64_t row = rows[i], j = i;
        for (; j > 0 && stands_before(larger_is_better, score, row, scores[j - 1], rows[j - 1]); j--) {
            scores[j] = scores[j - 1];
            rows[j] = rows[j - 1];
        }
        scores[j] = score;
        rows[j] = row;
    }
}

int64_t nearest_merge(bool larger_is_better, int64_t k, int64_t held, float *scores, int64_t *rows, int64_t n, const float *more_scores,
                      const int64_t *more_rows, float *spare_scores, int64_t *spare_rows) {
    if (n == 0 || (held == k && !stands_before(larger_is_better, more_scores[0], more_rows[0], scores[k - 1], rows[k - 1])))
        return held;
    int64_t kept = 0, taken = 0, made = 0;
    for (; made < k && (kept < held || taken < n); made++) {
        bool keeps = kept < held && (taken == n || stands_before(larger_is_better, scores[kept], rows[kept], more_scores[taken], more_rows[taken]));
        spare_scores[made] = keeps ? scores[kept] : more_scores[taken];
        spare_rows[made] = keeps ? rows[kept] : more_rows[taken];
        kept += keeps;
        taken += !keeps;
    }
    memcpy(scores, spare_scores, (size_t)made * sizeof *scores);
    memcpy(rows, spare_rows, (size_t)made * sizeof *rows);
    return made;
}

int64_t nearest_count(int64_t k, const int64_t *rows) {
    int64_t count = 0;
    while (count < k && rows[count] >= 0)
        count++;
    return count;
}

int64_t nearest_remove(int64_t n, float *scores, int64_t *rows, int64_t first, int64_t last) {
    int64_t left = 0;
    for (int64_t i = 0; i < n; i++) {
        if (rows[i] >= first && rows[i] < last)
            continue;
        scores[left] = scores[i];
        rows[left++] = rows[i];
    }
    return left;
}
