/* What the ids of a batch must be: in range, and none of them twice. This runs on the main thread for every batch, so ids that ascend, as those of
 * most files do, cost one look each, and others are sorted byte by byte, which takes as long for ids chosen to be slow as for any. */
#include <stdlib.h>
#include <string.h>

#include "shard/shard_internal.h"

enum { ID_BYTES = 8, BYTE_VALUES = 256 };

static dfaiss_status_t check_range(const shard_batch_t *batch, const char *name, bool *ascending, dfaiss_error_t *err) {
    if (!batch->ids && (batch->first_id < 0 || batch->first_id > INT64_MAX - batch->n))
        return error_set(err, DFAISS_ERR_ARG, name, "ids %lld and on of a batch are out of range; ids are 0 to 2^63 - 2", (long long)batch->first_id);
    *ascending = true;
    for (int64_t i = 0; batch->ids && i < batch->n; i++) {
        if (batch->ids[i] < 0 || batch->ids[i] == INT64_MAX)
            return error_set(err, DFAISS_ERR_ARG, name, "id %lld of vector %lld of a batch is out of range; ids are 0 to 2^63 - 2",
                             (long long)batch->ids[i], (long long)i);
        *ascending = *ascending && (i == 0 || batch->ids[i] > batch->ids[i - 1]);
    }
    return DFAISS_OK;
}

static inline size_t byte_of(int64_t id, int byte) {
    return (size_t)((uint64_t)id >> (8 * byte)) % BYTE_VALUES;
}

/* Sorts by one byte, keeping the order of those that are equal in it; false where all are, and nothing was moved. */
static bool sort_by_byte(const int64_t *from, int64_t n, int byte, int64_t *to) {
    int64_t places[BYTE_VALUES] = {0}, place = 0;
    for (int64_t i = 0; i < n; i++)
        places[byte_of(from[i], byte)]++;
    if (places[byte_of(from[0], byte)] == n)
        return false;
    for (int value = 0; value < BYTE_VALUES; value++) {
        int64_t count = places[value];
        places[value] = place;
        place += count;
    }
    for (int64_t i = 0; i < n; i++)
        to[places[byte_of(from[i], byte)]++] = from[i];
    return true;
}

/* Sorts n ids with as much room again behind them; returns where they end up, in the one half or the other. */
static const int64_t *sort_ids(int64_t *ids, int64_t n) {
    int64_t *from = ids, *to = ids + n;
    for (int byte = 0; byte < ID_BYTES; byte++) {
        if (!sort_by_byte(from, n, byte, to))
            continue;
        int64_t *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

static dfaiss_status_t check_different(const int64_t *ids, int64_t n, const char *name, dfaiss_error_t *err) {
    size_t bytes = (size_t)n * sizeof *ids;
    int64_t *room = malloc(2 * bytes);
    if (!room)
        return error_memory(err, 2 * bytes, "the ids of a batch");
    memcpy(room, ids, bytes);
    const int64_t *sorted = sort_ids(room, n);
    int64_t i = 1;
    while (i < n && sorted[i] != sorted[i - 1])
        i++;
    dfaiss_status_t status = DFAISS_OK;
    if (i < n)
        status = error_set(err, DFAISS_ERR_ARG, name, "id %lld is twice in a batch for index '%s'; ids of one call must differ", (long long)sorted[i],
                           name);
    free(room);
    return status;
}

dfaiss_status_t shard_check_ids(const shard_batch_t *batch, const char *name, dfaiss_error_t *err) {
    bool ascending = false;
    TRY(check_range(batch, name, &ascending, err));
    return ascending ? DFAISS_OK : check_different(batch->ids, batch->n, name, err);
}
