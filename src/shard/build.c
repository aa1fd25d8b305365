/* Indexing: which waiting rows the builder takes in next, the work itself, and linking what it made. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "shard/shard_internal.h"

enum {
    BLOCK_BYTES = 16 << 20,         /* of widened vectors, taken in at a time */
    OPAQUE_BLOCK_BYTES = 256 << 20, /* where every block is a faiss index of its own, or a copy of one */
    BLOCK_ROWS_MIN = 256,
    BLOCK_ROWS_MAX = 16384,
    BLOCKS_A_COMPACTION = 8, /* after so many blocks memory of removed rows is given back, although there is more to be indexed */
};

static bool is_opaque(const shard_t *shard) {
    return engine_template_class(shard->template) == ENGINE_OPAQUE;
}

static bool flushing(const shard_t *shard) {
    return shard_indexed(shard) < shard->flush_target;
}

static int64_t limited(int64_t rows, int64_t least, int64_t most) {
    return rows < least ? least : rows > most ? most : rows;
}

/* How many rows a block should have at the most: buffer_bsz, but no fewer than are worth the trouble, and no more than fit the memory for them. Where
 * a block costs a copy of the index, all that fit. */
static int64_t block_rows(const shard_t *shard) {
    int64_t row_bytes = shard->config->dim * (int64_t)sizeof(float);
    if (is_opaque(shard))
        return limited(OPAQUE_BLOCK_BYTES / row_bytes, BLOCK_ROWS_MIN, INT64_MAX);
    int64_t fitting = limited(BLOCK_BYTES / row_bytes, BLOCK_ROWS_MIN, BLOCK_ROWS_MAX);
    return limited(shard->config->buffer_bsz, BLOCK_ROWS_MIN, fitting);
}

/* Rows that the next block should take in; 0: none for now. Where a block costs a copy of the index, a full buffer is waited for. */
static int64_t rows_to_build(const shard_t *shard) {
    int64_t waiting = shard->rows.rows - shard->built;
    int64_t most = block_rows(shard);
    if (is_opaque(shard) && !flushing(shard)) {
        int64_t wanted = shard->config->buffer_bsz < most ? shard->config->buffer_bsz : most;
        if (waiting < wanted)
            return 0;
    }
    return waiting < most ? waiting : most;
}

/* The next block, of n rows, is the last one of a flush. */
static bool seals(const shard_t *shard, int64_t n) {
    return flushing(shard) && shard->built + n >= shard->flush_target;
}

bool shard_indexing(const shard_t *shard) {
    if (shard->pending_template || (shard->pending_block && !shard->compaction.under_way))
        return true;
    if (!shard->store)
        return false;
    int64_t n = rows_to_build(shard);
    return n > 0 || seals(shard, n);
}

static dfaiss_status_t add_piece(build_job_t *job, element_t element, const void *vectors, int64_t n, dfaiss_error_t *err) {
    if (job->piece_count == job->piece_capacity) {
        int64_t capacity = job->piece_capacity * 2 + 16;
        build_piece_t *pieces = realloc(job->pieces, (size_t)capacity * sizeof *pieces);
        if (!pieces)
            return error_memory(err, (size_t)capacity * sizeof *pieces, "indexing");
        job->pieces = pieces;
        job->piece_capacity = capacity;
    }
    job->pieces[job->piece_count++] = (build_piece_t){.element = element, .vectors = vectors, .n = n};
    return DFAISS_OK;
}

static dfaiss_status_t collect_pieces(shard_t *shard, int64_t first, int64_t n, dfaiss_error_t *err) {
    build_job_t *job = &shard->job;
    job->piece_count = 0;
    int64_t row = first;
    for (int64_t i = n > 0 ? shard_rows_find(&shard->rows, first) : 0; row < first + n; i++) {
        const shard_batch_t *batch = &shard->rows.batches[i];
        int64_t skipped = row - batch->first_row;
        int64_t taken = batch->n - skipped;
        if (taken > first + n - row)
            taken = first + n - row;
        size_t row_bytes = (size_t)shard->config->dim * element_size(batch->element);
        const char *vectors = batch->vectors;
        TRY(add_piece(job, batch->element, vectors ? vectors + (size_t)skipped * row_bytes : NULL, taken, err));
        row += taken;
    }
    return DFAISS_OK;
}

static dfaiss_status_t reserve_vectors(build_job_t *job, size_t bytes, dfaiss_error_t *err) {
    if (bytes <= job->vector_bytes)
        return DFAISS_OK;
    memory_unmap(job->vectors, job->vector_bytes);
    job->vectors = memory_map(bytes);
    job->vector_bytes = job->vectors ? bytes : 0;
    return job->vectors ? DFAISS_OK : error_memory(err, bytes, "indexing");
}

dfaiss_status_t shard_build_prepare(shard_t *shard, bool *work, dfaiss_error_t *err) {
    *work = false;
    if (shard_changing(shard))
        return DFAISS_OK;
    int64_t n = shard->store ? rows_to_build(shard) : 0;
    bool seal = shard->store && seals(shard, n);
    bool nothing = n == 0 && !seal;
    if (nothing || shard->built_blocks >= BLOCKS_A_COMPACTION)
        *work = shard_compact_prepare(shard);
    if (*work)
        shard->built_blocks = 0;
    if (*work || nothing)
        return DFAISS_OK;
    TRY(collect_pieces(shard, shard->built, n, err));
    TRY(reserve_vectors(&shard->job, (size_t)n * (size_t)shard->config->dim * sizeof(float), err));
    shard->job.first = shard->built;
    shard->job.n = n;
    shard->job.seal = seal;
    *work = true;
    return DFAISS_OK;
}

/* After the last block for now. Lists that grow leave holes behind them: measured, as much again as half of what they hold. */
static void release_scratch(build_job_t *job) {
    memory_unmap(job->vectors, job->vector_bytes);
    job->vectors = NULL;
    job->vector_bytes = 0;
    memory_trim();
}

dfaiss_status_t shard_build_work(void *context, dfaiss_error_t *err) {
    shard_t *shard = context;
    build_job_t *job = &shard->job;
    if (shard->compaction.under_way) {
        job->block = shard_compact_work(shard);
        return DFAISS_OK;
    }
    int64_t begin = clock_nanoseconds();
    float *next = job->vectors;
    for (int64_t i = 0; i < job->piece_count; i++) {
        const build_piece_t *piece = &job->pieces[i];
        /* Rows that were all removed before their turn came keep their numbers. */
        if (piece->vectors)
            engine_prepare(shard->template, piece->element, piece->vectors, piece->n, next);
        else
            memset(next, 0, (size_t)(piece->n * shard->config->dim) * sizeof *next);
        next += piece->n * shard->config->dim;
    }
    dfaiss_status_t status = engine_block_build(shard->store, job->first, job->n, job->vectors, job->seal, &job->block, err);
    if (job->seal)
        release_scratch(job);
    job->nanoseconds = clock_nanoseconds() - begin;
    return status;
}

void shard_build_done(shard_t *shard, dfaiss_status_t status) {
    if (shard->compaction.under_way) {
        shard_compact_done(shard, shard->job.block);
        shard->job.block = NULL;
        return;
    }
    shard->build_nanoseconds += shard->job.nanoseconds;
    if (status != DFAISS_OK)
        return;
    shard->built = shard->job.first + shard->job.n;
    shard->built_blocks++;
    shard->pending_block = shard->job.block;
    shard->job.block = NULL;
}

int64_t shard_build_nanoseconds(const shard_t *shard) {
    return shard->build_nanoseconds;
}

void shard_flush(shard_t *shard) {
    shard->flush_target = shard->rows.rows;
}

bool shard_flushed(const shard_t *shard) {
    return shard_indexed(shard) >= shard->flush_target;
}

bool shard_changing(const shard_t *shard) {
    return shard->pending_block || shard->pending_template || shard->compaction.under_way;
}

bool shard_compacting(const shard_t *shard) {
    return shard->compaction.under_way;
}

/* What is linked may hold new rows of an update: a search that might find any row would find them beside those that they have replaced. */
static bool may_change(const shard_t *shard) {
    return shard_compact_may_change(shard) && !(shard->living && shard->blind > 0);
}

bool shard_change_is_due(const shard_t *shard) {
    return (shard->pending_block || shard->compaction.made) && may_change(shard);
}

static bool install_pending(shard_t *shard) {
    if (!shard->pending_template || shard->searches > 0)
        return false;
    shard_search_drop_idle(shard);
    engine_template_destroy(shard->template);
    shard->template = shard->pending_template;
    shard->store = shard->pending_store;
    shard->pending_template = NULL;
    shard->pending_store = NULL;
    return true;
}

static bool link_pending(shard_t *shard, int64_t deadline) {
    if (!shard->pending_block || shard->readers > 0 || !may_change(shard))
        return false;
    int64_t before = shard_indexed(shard);
    bool linked = engine_block_link(shard->store, shard->pending_block, deadline);
    shard_note_indexed(shard, before);
    if (linked) {
        engine_block_destroy(shard->pending_block);
        shard->pending_block = NULL;
        shard_rows_free_vectors(&shard->rows, shard_indexed(shard));
    }
    return true;
}

bool shard_advance(shard_t *shard, int64_t deadline) {
    bool installed = install_pending(shard);
    bool linked = link_pending(shard, deadline);
    bool compacted = shard_compact_advance(shard);
    return installed || linked || compacted;
}
