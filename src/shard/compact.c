/* Giving back the memory of removed rows, when an eighth of what lies together is gone: the builder makes copies of parts of the store, and of
 * batches' metadata, without them. The main thread puts these in place when no search is left that began before the copies were: it might still find
 * the rows.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "shard/shard_internal.h"

enum {
    PART = 8,                 /* one in so many rows is gone */
    CHANGED_BYTES = 16 << 20, /* of batches that are changed at a time */
    CHANGES_MOST = 256,       /* at a time: the main thread puts them in place at once */
    LOOKED_AT = 16384,        /* batches that one step looks at on the main thread */
    CHANGES_LEAST_CAPACITY = 16,
};

/* ---- what is due ---- */

/* Vectors of a batch that wait, and that nobody needs: rows without vectors are built in as zeros, which would spoil a graph. */
static bool can_free_vectors(const shard_t *shard, const shard_batch_t *batch) {
    engine_class_t class = shard->template ? engine_template_class(shard->template) : ENGINE_CODES;
    return batch->vectors && batch->dropped == batch->n && batch->first_row >= shard->built && (class == ENGINE_CODES || class == ENGINE_IVF);
}

/* An eighth of what the store holds is gone. Where the last look found nothing that was worth it, an eighth more must be gone, or have come: what
 * grew then may be given up now. */
static bool store_due(shard_t *shard) {
    compaction_t *compaction = &shard->compaction;
    if (!shard->living || !shard->store || engine_template_class(shard->template) == ENGINE_OPAQUE)
        return false;
    int64_t held = engine_store_held(shard->store), kept = shard->replaced[0].count + shard->replaced[1].count;
    int64_t dead = held - shard_living_indexed(shard) - kept;
    bool many = dead * PART >= held, changed = (dead - compaction->dead) * PART >= held || (held - compaction->held) * PART >= held;
    if (dead <= 0 || !(compaction->goes_on || (many && changed)))
        return false;
    compaction->dead = dead;
    compaction->held = held;
    return true;
}

/* ---- preparing ---- */

static bool add_change(compaction_t *compaction, int64_t number, const shard_batch_t *batch) {
    if (compaction->change_count == compaction->change_capacity) {
        int64_t capacity = compaction->change_capacity * 2 + CHANGES_LEAST_CAPACITY;
        batch_change_t *changes = realloc(compaction->changes, (size_t)capacity * sizeof *changes);
        if (!changes)
            return false;
        compaction->changes = changes;
        compaction->change_capacity = capacity;
    }
    compaction->changes[compaction->change_count++] = (batch_change_t){.number = number, .before = *batch};
    return true;
}

/* Looks from where the last look ended; what there is no memory for is left out. */
static void collect_batches(shard_t *shard) {
    compaction_t *compaction = &shard->compaction;
    int64_t most = shard->rows.due < CHANGES_MOST ? shard->rows.due : CHANGES_MOST;
    int64_t batches = shard->rows.count < LOOKED_AT ? shard->rows.count : LOOKED_AT;
    size_t bytes = 0;
    for (int64_t looked = 0; looked < batches && compaction->change_count < most && bytes < CHANGED_BYTES; looked++) {
        int64_t number = compaction->next_batch++ % shard->rows.count;
        const shard_batch_t *batch = &shard->rows.batches[number];
        if (!shard_batch_due(batch))
            continue;
        if (!add_change(compaction, number, batch))
            return;
        bytes += shard_batch_bytes(batch) + (batch->vectors ? batch->vector_bytes : 0);
    }
}

static void clear_changes(compaction_t *compaction) {
    for (int64_t i = 0; i < compaction->change_count; i++) {
        free(compaction->changes[i].ends);
        free(compaction->changes[i].metadata);
    }
    compaction->change_count = 0;
}

void shard_compaction_clear(compaction_t *compaction) {
    clear_changes(compaction);
    free(compaction->changes);
    bitmap_release(compaction->alive);
    *compaction = (compaction_t){0};
}

/* The rows whose memory stays. */
static bitmap_t *copy_alive(const shard_t *shard) {
    bitmap_t *alive = bitmap_snapshot(shard->living);
    int64_t blocks = shard->kept ? bitmap_blocks(shard->kept->rows) : 0;
    for (int64_t number = 0; alive && number < blocks; number++) {
        if (bitmap_unite(&alive, shard->kept, number))
            continue;
        bitmap_release(alive);
        alive = NULL;
    }
    return alive;
}

/* What there is no memory for is tried again later. */
bool shard_compact_prepare(shard_t *shard) {
    compaction_t *compaction = &shard->compaction;
    shard_loosen_replaced(shard);
    /* What an update has just hidden is still found by some, and while it hides nobody else may look at the bits. */
    if (shard->hidden.count > 0 || shard->held)
        return false;
    compaction->store = store_due(shard);
    collect_batches(shard);
    if (!compaction->store && compaction->change_count == 0)
        return false;
    compaction->alive = copy_alive(shard);
    if (!compaction->alive) {
        clear_changes(compaction);
        compaction->dead = compaction->held = 0; /* nobody has looked */
        return false;
    }
    compaction->under_way = true;
    compaction->epoch++;
    compaction->older_searches = shard->searches;
    return true;
}

/* ---- on the builder ---- */

static uint64_t begin_of(const shard_batch_t *batch, int64_t i) {
    return i > 0 ? batch->metadata_ends[i - 1] : 0;
}

static uint64_t bytes_left(const batch_change_t *change, const bitmap_t *alive) {
    const shard_batch_t *batch = &change->before;
    uint64_t bytes = 0;
    for (int64_t i = 0; batch->metadata_ends && i < batch->n; i++) {
        if (bitmap_get(alive, batch->first_row + i))
            bytes += batch->metadata_ends[i] - begin_of(batch, i);
    }
    return bytes;
}

static void copy_metadata(batch_change_t *change, const bitmap_t *alive) {
    const shard_batch_t *batch = &change->before;
    uint64_t end = 0;
    for (int64_t i = 0; i < batch->n; i++) {
        uint64_t begin = begin_of(batch, i), size = batch->metadata_ends[i] - begin;
        if (size > 0 && bitmap_get(alive, batch->first_row + i)) {
            memcpy(change->metadata + end, batch->metadata + begin, (size_t)size);
            end += size;
        }
        change->ends[i] = end;
    }
}

/* Where there is no memory the batch stays as it is. */
static void make_change(batch_change_t *change, const bitmap_t *alive) {
    const shard_batch_t *batch = &change->before;
    uint64_t bytes = bytes_left(change, alive);
    change->made = true;
    if (bytes == 0)
        return;
    change->ends = malloc((size_t)batch->n * sizeof *change->ends);
    change->metadata = malloc((size_t)bytes);
    change->made = change->ends && change->metadata;
    if (change->made)
        copy_metadata(change, alive);
}

engine_block_t *shard_compact_work(shard_t *shard) {
    compaction_t *compaction = &shard->compaction;
    engine_block_t *block = NULL;
    for (int64_t i = 0; i < compaction->change_count; i++)
        make_change(&compaction->changes[i], compaction->alive);
    if (compaction->store && engine_block_compact(shard->store, bitmap_rows(compaction->alive), &block, NULL) != DFAISS_OK)
        block = NULL;
    if (!block)
        memory_trim();
    return block;
}

/* ---- putting in place ---- */

void shard_compact_done(shard_t *shard, engine_block_t *block) {
    compaction_t *compaction = &shard->compaction;
    if (compaction->store)
        compaction->goes_on = block != NULL;
    bitmap_release(compaction->alive);
    compaction->alive = NULL;
    compaction->made = true;
    shard->pending_block = block;
}

static void free_vectors(shard_t *shard, shard_batch_t *batch) {
    if (!can_free_vectors(shard, batch))
        return;
    memory_unmap(batch->vectors, batch->vector_bytes);
    shard->rows.buffered_bytes -= batch->vector_bytes;
    batch->vectors = NULL;
}

static void apply(shard_t *shard, batch_change_t *change) {
    shard_rows_t *rows = &shard->rows;
    shard_batch_t *batch = &rows->batches[change->number];
    rows->due -= shard_batch_due(batch);
    rows->metadata_bytes -= shard_batch_bytes(batch);
    if (change->made) {
        free(batch->metadata_ends);
        free(batch->metadata);
        batch->metadata_ends = change->ends;
        batch->metadata = change->metadata;
        change->ends = NULL;
        change->metadata = NULL;
    }
    /* More may have gone since: then it is due again. */
    batch->dropped = change->before.loose;
    if (batch->dropped == batch->n) {
        free(batch->ids);
        batch->ids = NULL;
        batch->first_id = 0;
        free_vectors(shard, batch);
        rows->hollow += !batch->vectors;
    }
    rows->due += shard_batch_due(batch);
    rows->metadata_bytes += shard_batch_bytes(batch);
}

bool shard_compact_may_change(const shard_t *shard) {
    return !shard->compaction.under_way || (shard->compaction.made && shard->compaction.older_searches == 0);
}

bool shard_compact_advance(shard_t *shard) {
    compaction_t *compaction = &shard->compaction;
    if (!compaction->made || !shard_compact_may_change(shard) || shard->readers > 0 || shard->pending_block)
        return false;
    for (int64_t i = 0; i < compaction->change_count; i++)
        apply(shard, &compaction->changes[i]);
    clear_changes(compaction);
    shard_rows_join_hollow(&shard->rows);
    compaction->under_way = compaction->made = false;
    return true;
}
