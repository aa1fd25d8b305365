/* The merge of two answers, the work of every step of the reduction. Both are sorted, so what the result takes from each is a beginning of it: the
 * split is searched for, and the merge then runs from the back, in place. Servers hold different ids but for an update in flight, so a query is only
 * checked for ids that are in both answers, with a filter of a few bits an id, and merged one by one where there are such.
 */
#include "transport/topk.h"

#include <string.h>

#include "base/memory.h"

enum { HIT_BYTES = 8 + 8 + 4 + 4 };

bool topk_bytes(int64_t nq, int64_t k, size_t *bytes) {
    size_t hits;
    return nq >= 0 && k >= 0 && size_multiply((size_t)nq, (size_t)k, &hits) && size_multiply(hits, HIT_BYTES, bytes);
}

topk_t topk_view(void *block, int64_t nq, int64_t k) {
    size_t hits = (size_t)nq * (size_t)k;
    topk_t view = {.nq = nq, .k = k, .ids = block};
    view.rows = view.ids + hits;
    view.scores = (float *)(view.rows + hits);
    view.servers = (int32_t *)(view.scores + hits);
    return view;
}

/* The rest is set too: the block travels as it is. */
void topk_clear(topk_t *hits) {
    size_t count = (size_t)hits->nq * (size_t)hits->k;
    memset(hits->ids, 0xff, count * sizeof *hits->ids);
    memset(hits->rows, 0xff, count * sizeof *hits->rows);
    memset(hits->scores, 0, count * sizeof *hits->scores);
    memset(hits->servers, 0xff, count * sizeof *hits->servers);
}

static void cut_array(void *to, const void *from, size_t size, const topk_t *hits, int64_t k) {
    size_t kept = (size_t)k * size, old = (size_t)hits->k * size;
    for (size_t query = 0; query < (size_t)hits->nq; query++)
        memmove((uint8_t *)to + query * kept, (const uint8_t *)from + query * old, kept);
}

/* From the front to the back: everything moves towards the front. */
void topk_cut(topk_t *hits, int64_t k) {
    topk_t cut = topk_view(hits->ids, hits->nq, k);
    cut_array(cut.ids, hits->ids, sizeof *cut.ids, hits, k);
    cut_array(cut.rows, hits->rows, sizeof *cut.rows, hits, k);
    cut_array(cut.scores, hits->scores, sizeof *cut.scores, hits, k);
    cut_array(cut.servers, hits->servers, sizeof *cut.servers, hits, k);
    *hits = cut;
}

/* The hits of one query. */
typedef struct list {
    int64_t *ids, *rows;
    float *scores;
    int32_t *servers;
} list_t;

static inline list_t list_of(const topk_t *hits, int64_t query) {
    int64_t at = query * hits->k;
    return (list_t){.ids = hits->ids + at, .rows = hits->rows + at, .scores = hits->scores + at, .servers = hits->servers + at};
}

static inline void set(const list_t *to, int64_t i, const list_t *from, int64_t j) {
    to->ids[i] = from->ids[j];
    to->rows[i] = from->rows[j];
    to->scores[i] = from->scores[j];
    to->servers[i] = from->servers[j];
}

static inline int64_t count_hits(const list_t *list, int64_t k) {
    int64_t count = k;
    while (count > 0 && list->ids[count - 1] < 0)
        count--;
    return count;
}

static inline bool better(const list_t *a, int64_t i, const list_t *b, int64_t j, bool larger) {
    float left = a->scores[i], right = b->scores[j];
    return (larger ? left > right : left < right) | ((left == right) & (a->ids[i] < b->ids[j]));
}

/* How many of `from` are among the best `wanted` of both; wanted is at most the hits of both together. */
static inline int64_t split(const list_t *into, int64_t into_hits, const list_t *from, int64_t from_hits, int64_t wanted, bool larger) {
    int64_t low = wanted > into_hits ? wanted - into_hits : 0;
    int64_t high = wanted < from_hits ? wanted : from_hits;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        /* Taking middle + 1 of `from` pushes out into[wanted - middle - 1]. */
        if (better(from, middle, into, wanted - middle - 1, larger))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Two bits of a filter of 64 k bits. */
static inline void filter_bits(int64_t id, uint64_t mask, uint64_t *first, uint64_t *second) {
    uint64_t mixed = (uint64_t)id * 0x9e3779b97f4a7c15u;
    *first = (mixed >> 20) & mask;
    *second = (mixed >> 42) & mask;
}

static bool holds(const int64_t *ids, int64_t count, int64_t id) {
    bool found = false;
    for (int64_t i = 0; i < count; i++)
        found |= ids[i] == id;
    return found;
}

/* Whether one of the first `taken` ids of `from` is in `into`. filter: at least 24 bytes for each of the k hits of `into`. */
static bool shares_ids(const list_t *into, int64_t into_hits, const list_t *from, int64_t taken, uint64_t *filter, int64_t k) {
    /* The power of two above k words, which is at most 2 k of the 3 k words that the filter has. */
    uint64_t words = k == 1 ? 1 : (uint64_t)1 << (64 - __builtin_clzll((uint64_t)k - 1));
    uint64_t mask = words * 64 - 1, first, second;
    memset(filter, 0, words * sizeof *filter);
    for (int64_t i = 0; i < into_hits; i++) {
        filter_bits(into->ids[i], mask, &first, &second);
        filter[first / 64] |= (uint64_t)1 << (first % 64);
        filter[second / 64] |= (uint64_t)1 << (second % 64);
    }
    for (int64_t j = 0; j < taken; j++) {
        filter_bits(from->ids[j], mask, &first, &second);
        bool maybe = (filter[first / 64] >> (first % 64)) & (filter[second / 64] >> (second % 64)) & 1;
        if (maybe && holds(into->ids, into_hits, from->ids[j]))
            return true;
    }
    return false;
}

/* Best first, so that of an id that comes again the better one is there already. Goes through scratch. */
static void merge_one_by_one(const list_t *into, int64_t into_hits, const list_t *from, int64_t from_hits, int64_t k, bool larger, void *scratch) {
    topk_t merged = topk_view(scratch, 1, k);
    topk_clear(&merged);
    list_t out = list_of(&merged, 0);
    int64_t i = 0, j = 0, count = 0;
    while (count < k && (i < into_hits || j < from_hits)) {
        bool take_from = i == into_hits || (j < from_hits && better(from, j, into, i, larger));
        const list_t *best = take_from ? from : into;
        int64_t at = take_from ? j++ : i++;
        if (!holds(out.ids, count, best->ids[at]))
            set(&out, count++, best, at);
    }
    memcpy(into->ids, out.ids, (size_t)k * sizeof *out.ids);
    memcpy(into->rows, out.rows, (size_t)k * sizeof *out.rows);
    memcpy(into->scores, out.scores, (size_t)k * sizeof *out.scores);
    memcpy(into->servers, out.servers, (size_t)k * sizeof *out.servers);
}

/* The best kept + taken of both, from the back: what is overwritten has been moved or is not wanted. */
static inline void merge_in_place(const list_t *into, int64_t kept, const list_t *from, int64_t taken, bool larger) {
    int64_t i = kept - 1, j = taken - 1;
    while (j >= 0 && i >= 0) {
        bool take_into = better(from, j, into, i, larger);
        int64_t at = i + j + 1;
        into->ids[at] = take_into ? into->ids[i] : from->ids[j];
        into->rows[at] = take_into ? into->rows[i] : from->rows[j];
        into->scores[at] = take_into ? into->scores[i] : from->scores[j];
        into->servers[at] = take_into ? into->servers[i] : from->servers[j];
        i -= take_into;
        j -= !take_into;
    }
    for (; j >= 0; j--)
        set(into, j, from, j);
}

static inline void merge_query(const list_t *into, const list_t *from, int64_t k, bool larger, void *scratch) {
    int64_t into_hits = count_hits(into, k), from_hits = count_hits(from, k);
    int64_t wanted = into_hits + from_hits < k ? into_hits + from_hits : k;
    int64_t taken = split(into, into_hits, from, from_hits, wanted, larger);
    if (taken == 0)
        return;
    if (shares_ids(into, into_hits, from, taken, scratch, k))
        merge_one_by_one(into, into_hits, from, from_hits, k, larger, scratch);
    else
        merge_in_place(into, wanted - taken, from, taken, larger);
}

void topk_merge(topk_t *into, const topk_t *from, bool larger_is_better, void *scratch) {
    for (int64_t query = 0; query < into->nq; query++) {
        list_t to = list_of(into, query), with = list_of(from, query);
        if (larger_is_better)
            merge_query(&to, &with, into->k, true, scratch);
        else
            merge_query(&to, &with, into->k, false, scratch);
    }
}
