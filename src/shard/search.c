#include "shard/search.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/element.h"
#include "shard/shard_internal.h"

/* A search looks up which rows match its filter, and begins when that is known of all that there are. It then scans the rows that wait, exactly, run
 * after run, and then reads the store. Between runs, and before the store, the builder's finished work may be linked in: rows that moved meanwhile
 * are found in the store, those that were scanned before they moved are found twice and count once. While it is inside a run or the store it is a
 * reader, and nothing is linked or freed. */
struct shard_search {
    shard_t *shard;
    engine_search_t *engine;
    team_t *team; /* the engine's */
    const float *queries;
    int64_t nq, k, effort;
    bool has_radius;
    float radius;
    shard_filter_t *filter; /* NULL: none */
    uint64_t updates;       /* of the question */
    uint64_t epoch;         /* of the shard's compactions when it began */
    bitmap_t *living;       /* rows that are there, shared; NULL: all */
    bitmap_t *matches;      /* rows that match the filter, shared; NULL: there is none */
    bitmap_t *allowed;      /* rows of both, where there are both */
    int64_t combined;       /* blocks of it that are made */
    int64_t allowed_rows;
    bool begun;
    bool blind;      /* it may find any row */
    bool restricted; /* what it may find is known */
    bool empty;      /* none may be found */
    bool reading;    /* inside a run of waiting rows, or the store */
    bool in_store;
    int64_t row; /* the next waiting row to be scanned */
    int64_t end;
    /* The run of waiting rows under way: */
    element_t element;
    const void *vectors;
    int64_t run_rows;
    int64_t cursor; /* of engine_search_vectors */
};

void shard_search_drop_idle(shard_t *shard) {
    for (int i = 0; i < shard->idle_count; i++)
        engine_search_destroy(shard->idle_searches[i]);
    shard->idle_count = 0;
}

/* Keeps one for the next search; where there is no memory to remember it, it is freed. */
static void keep_idle(shard_t *shard, engine_search_t *engine) {
    if (shard->idle_count == shard->idle_capacity) {
        int capacity = shard->idle_capacity + 8;
        engine_search_t **grown = realloc(shard->idle_searches, (size_t)capacity * sizeof *grown);
        if (!grown) {
            engine_search_destroy(engine);
            return;
        }
        shard->idle_searches = grown;
        shard->idle_capacity = capacity;
    }
    shard->idle_searches[shard->idle_count++] = engine;
}

static dfaiss_status_t check_queries(const shard_t *shard, const shard_question_t *question, dfaiss_error_t *err) {
    if (question->dim != shard->config->dim)
        return error_set(err, DFAISS_ERR_ARG, shard->name, "queries have dimension %lld; index '%s' has %lld", (long long)question->dim, shard->name,
                         (long long)shard->config->dim);
    size_t dim = (size_t)question->dim, components = (size_t)question->nq * dim;
    size_t bad = element_first_not_finite(ELEMENT_f32, question->queries, components);
    if (bad < components)
        return error_set(err, DFAISS_ERR_DATA, shard->name, "component %zu of query %zu is NaN or infinite", bad % dim, bad / dim);
    return DFAISS_OK;
}

dfaiss_status_t shard_check_filter(shard_t *shard, const char *text, size_t size, dfaiss_error_t *err) {
    shard_filter_t *filter = NULL;
    TRY(shard_filters_use(&shard->filters, shard->schema, text, size, &filter, err));
    shard_filters_leave(&shard->filters, filter);
    return DFAISS_OK;
}

/* Without a dimension it is looked for once, and where nothing tells it is known when the first vectors have brought one. */
static bool is_opaque(shard_t *shard) {
    if (shard->template)
        return engine_template_class(shard->template) == ENGINE_OPAQUE;
    if (!shard->class_known && engine_config_class(shard->config, &shard->class, NULL) != DFAISS_OK)
        shard->class = ENGINE_CODES;
    shard->class_known = true;
    return shard->class == ENGINE_OPAQUE;
}

dfaiss_status_t shard_check_radius(shard_t *shard, dfaiss_error_t *err) {
    if (!is_opaque(shard))
        return DFAISS_OK;
    return error_set(err, DFAISS_ERR_UNSUPPORTED, shard->name,
                     "index '%s' is of kind '%s', which cannot do a range search (dfaiss_range_search); flat, SQ, PQ, IVF and HNSW indexes can",
                     shard->name, index_config_kind(shard->config));
}

dfaiss_status_t shard_search_create(shard_t *shard, const shard_question_t *question, shard_search_t **out, dfaiss_error_t *err) {
    TRY(check_queries(shard, question, err));
    shard_search_t *search = calloc(1, sizeof *search);
    if (!search)
        return error_memory(err, sizeof *search, "a search");
    search->shard = shard;
    search->queries = question->queries;
    search->nq = question->nq;
    search->k = question->k;
    search->updates = question->updates;
    search->has_radius = question->has_radius;
    search->radius = question->radius;
    search->effort = question->nprobe ? question->nprobe : question->has_radius ? INT64_MAX : shard->nprobe;
    dfaiss_status_t status = DFAISS_OK;
    if (question->filter)
        status = shard_filters_use(&shard->filters, shard->schema, question->filter, question->filter_size, &search->filter, err);
    if (status != DFAISS_OK) {
        shard_search_destroy(search);
        return status;
    }
    *out = search;
    return DFAISS_OK;
}

/* ---- the beginning ---- */

/* Those that an update has hidden are there for a search that may have missed the new ones. */
static dfaiss_status_t show_hidden(const hidden_rows_t *hidden, bitmap_t **living, dfaiss_error_t *err) {
    for (int64_t i = 0; i < hidden->count; i++) {
        if (!bitmap_own(living, hidden->rows[i]))
            return error_memory(err, ENGINE_ROWS_A_BLOCK / 8, "a search");
        bitmap_set(*living, hidden->rows[i], true);
    }
    return DFAISS_OK;
}

/* Takes hold of the rows that are there. */
static dfaiss_status_t take_living(shard_search_t *search, dfaiss_error_t *err) {
    const shard_t *shard = search->shard;
    const hidden_rows_t *hidden = &shard->hidden;
    if (!shard->living)
        return DFAISS_OK;
    search->living = bitmap_share(shard->living);
    search->allowed_rows = shard_living(shard);
    if (hidden->update <= search->updates)
        return DFAISS_OK;
    search->allowed_rows += hidden->count;
    return show_hidden(hidden, &search->living, err);
}

static dfaiss_status_t begin(shard_search_t *search, dfaiss_error_t *err) {
    shard_t *shard = search->shard;
    if (!search->engine && shard->idle_count > 0)
        search->engine = shard->idle_searches[--shard->idle_count];
    if (!search->engine)
        TRY(engine_search_create(shard->template, shard->team, &search->engine, err));
    search->team = shard->team;
    TRY(engine_search_begin(search->engine, search->nq, search->queries, search->k, search->effort, err));
    TRY(take_living(search, err));
    if (search->filter)
        search->matches = bitmap_share(search->filter->matches);
    if (!search->living && search->filter)
        search->allowed_rows = search->filter->matched;
    search->begun = true;
    search->blind = !search->living && !search->filter;
    search->epoch = shard->compaction.epoch;
    search->end = shard->rows.rows;
    shard->searches++;
    shard->blind += search->blind;
    return DFAISS_OK;
}

/* The rows that match the filter and are there, block after block. */
static dfaiss_status_t combine(shard_search_t *search, int64_t deadline, dfaiss_error_t *err) {
    int64_t blocks = bitmap_blocks(search->end);
    if (!search->allowed) {
        search->allowed = bitmap_create_empty(search->end);
        search->allowed_rows = 0;
    }
    while (search->allowed && search->combined < blocks) {
        int64_t first = search->combined * ENGINE_ROWS_A_BLOCK, end = first + ENGINE_ROWS_A_BLOCK;
        if (!bitmap_intersect(search->allowed, search->matches, search->living, search->combined))
            return error_memory(err, ENGINE_ROWS_A_BLOCK / 8, "a search");
        search->allowed_rows += bitmap_count(search->allowed, first, end < search->end ? end : search->end);
        search->combined++;
        if (clock_nanoseconds() >= deadline)
            break;
    }
    return search->allowed ? DFAISS_OK : error_memory(err, sizeof *search->allowed, "a search");
}

/* What the search may find of the rows that there were when it began; search->restricted: that is known. */
static dfaiss_status_t restrict_hits(shard_search_t *search, int64_t deadline, dfaiss_error_t *err) {
    if (search->matches && search->living) {
        TRY(combine(search, deadline, err));
        if (search->combined < bitmap_blocks(search->end))
            return DFAISS_OK;
    }
    const bitmap_t *allowed = search->allowed ? search->allowed : search->matches ? search->matches : search->living;
    search->restricted = true;
    search->empty = allowed && search->allowed_rows == 0;
    if (!allowed && !search->has_radius)
        return DFAISS_OK;
    engine_restriction_t restriction = {.has_radius = search->has_radius, .radius = search->radius};
    if (allowed) {
        restriction.allowed = bitmap_rows(allowed);
        restriction.rows = search->end;
        restriction.allowed_rows = search->allowed_rows;
    }
    return engine_search_restrict(search->engine, &restriction, err);
}

/* *ready: the search may begin now. */
static dfaiss_status_t prepare(shard_search_t *search, int64_t deadline, bool *ready, dfaiss_error_t *err) {
    *ready = !search->shard->pending_template && !search->shard->held;
    if (!*ready || !search->filter)
        return DFAISS_OK;
    return shard_filter_advance(search->filter, search->shard->attributes, deadline, ready, err);
}

static void set_reading(shard_search_t *search, bool reading) {
    search->shard->readers += (int)reading - (int)search->reading;
    search->reading = reading;
}

/* The next batch that has vectors: rows that were all removed have none any more. */
static const shard_batch_t *next_batch(shard_search_t *search) {
    const shard_rows_t *rows = &search->shard->rows;
    int64_t number = shard_rows_find(rows, search->row);
    for (; search->row < search->end && !rows->batches[number].vectors; number++)
        search->row = rows->batches[number].first_row + rows->batches[number].n;
    return &rows->batches[number];
}

/* The waiting rows of one batch, from the first that is not indexed. */
static void begin_run(shard_search_t *search, const shard_batch_t *batch) {
    const shard_t *shard = search->shard;
    int64_t skipped = search->row - batch->first_row;
    int64_t left = batch->n - skipped, wanted = search->end - search->row;
    search->element = batch->element;
    search->vectors = (const uint8_t *)batch->vectors + (size_t)(skipped * shard->config->dim) * element_size(batch->element);
    search->run_rows = left < wanted ? left : wanted;
    search->cursor = 0;
    set_reading(search, true);
}

/* Scans waiting rows until the last of them (*scanned), the deadline, or a block that waits to be linked: that goes first, or a steady stream of
 * searches would keep it out for ever. */
static dfaiss_status_t scan_waiting(shard_search_t *search, int64_t deadline, bool *scanned, dfaiss_error_t *err) {
    shard_t *shard = search->shard;
    *scanned = false;
    for (;;) {
        if (!search->reading) {
            int64_t indexed = shard_indexed(shard);
            search->row = search->row < indexed ? indexed : search->row;
            if (shard_change_is_due(shard))
                return DFAISS_OK;
            const shard_batch_t *batch = search->row < search->end ? next_batch(search) : NULL;
            *scanned = search->row >= search->end;
            if (*scanned)
                return DFAISS_OK;
            begin_run(search, batch);
        }
        TRY(engine_search_vectors(search->engine, search->element, search->vectors, search->row, search->run_rows, &search->cursor, deadline, err));
        if (search->cursor < search->run_rows)
            return DFAISS_OK;
        search->row += search->run_rows;
        set_reading(search, false);
        if (clock_nanoseconds() >= deadline)
            return DFAISS_OK;
    }
}

dfaiss_status_t shard_search_step(shard_search_t *search, int64_t deadline, bool *done, dfaiss_error_t *err) {
    shard_t *shard = search->shard;
    *done = false;
    if (!search->begun) {
        bool ready;
        TRY(prepare(search, deadline, &ready, err));
        if (!ready)
            return DFAISS_OK;
        TRY(begin(search, err));
    }
    if (!search->restricted)
        TRY(restrict_hits(search, deadline, err));
    if (!search->restricted)
        return DFAISS_OK;
    if (search->empty) {
        *done = true;
        return DFAISS_OK;
    }
    if (!search->in_store) {
        bool scanned;
        TRY(scan_waiting(search, deadline, &scanned, err));
        if (!scanned)
            return DFAISS_OK;
        if (!shard->store) {
            *done = true;
            return DFAISS_OK;
        }
        search->in_store = true;
        set_reading(search, true);
    }
    return engine_search_store(search->engine, shard->store, deadline, done, err);
}

/* Puts the hit at `hole` of a heap of n hits, greatest id first, where it belongs. */
static void sift_down(int64_t *ids, int64_t *rows, int64_t hole, int64_t n) {
    int64_t id = ids[hole], row = rows[hole];
    for (int64_t child; (child = 2 * hole + 1) < n; hole = child) {
        child += child + 1 < n && ids[child + 1] > ids[child];
        if (ids[child] <= id)
            break;
        ids[hole] = ids[child];
        rows[hole] = rows[child];
    }
    ids[hole] = id;
    rows[hole] = row;
}

/* Heapsort: a run of equal scores may be as long as k, and this runs on the main thread. */
static void sort_by_id(int64_t *ids, int64_t *rows, int64_t n) {
    for (int64_t hole = n / 2; hole-- > 0;)
        sift_down(ids, rows, hole, n);
    for (int64_t last = n - 1; last > 0; last--) {
        int64_t id = ids[0], row = rows[0];
        ids[0] = ids[last];
        rows[0] = rows[last];
        ids[last] = id;
        rows[last] = row;
        sift_down(ids, rows, 0, last);
    }
}

/* Equal scores stand by row so far; the order that is promised is by id. */
static void order_ties(int64_t k, const float *scores, int64_t *ids, int64_t *rows) {
    for (int64_t first = 0, end; first < k && ids[first] >= 0; first = end) {
        bool ordered = true;
        for (end = first + 1; end < k && ids[end] >= 0 && scores[end] == scores[first]; end++)
            ordered = ordered && ids[end] > ids[end - 1];
        if (!ordered)
            sort_by_id(ids + first, rows + first, end - first);
    }
}

void shard_search_result(shard_search_t *search, topk_t *hits) {
    shard_t *shard = search->shard;
    int64_t k = search->k;
    engine_search_end(search->engine, hits->scores, hits->rows);
    for (int64_t i = 0; i < search->nq * k; i++) {
        const uint8_t *metadata;
        size_t metadata_size;
        hits->ids[i] = -1;
        hits->servers[i] = shard->server;
        (void)shard_row(shard, hits->rows[i], &hits->ids[i], &metadata, &metadata_size);
    }
    for (int64_t query = 0; query < search->nq; query++)
        order_ties(k, hits->scores + query * k, hits->ids + query * k, hits->rows + query * k);
}

void shard_search_destroy(shard_search_t *search) {
    if (!search)
        return;
    shard_t *shard = search->shard;
    set_reading(search, false);
    shard->searches -= search->begun;
    shard->compaction.older_searches -= search->begun && search->epoch < shard->compaction.epoch;
    shard->blind -= search->blind;
    bitmap_release(search->living);
    bitmap_release(search->matches);
    bitmap_release(search->allowed);
    if (search->filter)
        shard_filters_leave(&shard->filters, search->filter);
    if (search->engine && search->team == shard->team)
        keep_idle(shard, search->engine);
    else
        engine_search_destroy(search->engine);
    free(search);
}
