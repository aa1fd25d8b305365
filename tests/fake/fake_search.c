/* Searches of the fake engine: the k best so far of every query, sorted, into which slice after slice is merged; the team shares out the queries. */
#include <stdlib.h>
#include <string.h>

#include "fake_engine.h"

enum { SLICE_ROWS = 32, SLICES_A_REST = 8 };

struct engine_search {
    engine_template_t *template;
    team_t *team;
    int64_t nq, k;
    engine_restriction_t restriction;
    float *queries; /* float[nq][dim] */
    float *scores;  /* float[nq][k] */
    int64_t *rows;  /* int64_t[nq][k] */
    int64_t *counts;
    float *widened; /* float[SLICE_ROWS][dim] */
    /* Where it is in a store: */
    const engine_store_t *store;
    int64_t links, piece, at;
    /* The slice that is merged: */
    const float *slice;
    const int64_t *slice_rows; /* NULL: slice_first and on */
    int64_t slice_first, slice_size;
    int64_t slices;
};

dfaiss_status_t engine_search_create(const engine_template_t *template, team_t *team, engine_search_t **out, dfaiss_error_t *err) {
    (void)err;
    engine_search_t *search = fake_engine_need(calloc(1, sizeof *search));
    search->template = (engine_template_t *)(uintptr_t) template; /* its users are counted */
    search->team = team;
    search->widened = fake_engine_need(malloc(SLICE_ROWS * (size_t) template->dim * sizeof(float)));
    fake_template_use(search->template, 1);
    *out = search;
    return DFAISS_OK;
}

void engine_search_destroy(engine_search_t *search) {
    if (!search)
        return;
    fake_template_use(search->template, -1);
    free(search->queries);
    free(search->scores);
    free(search->rows);
    free(search->counts);
    free(search->widened);
    free(search);
}

static void need(engine_search_t *search, int64_t nq, int64_t k) {
    size_t results = (size_t)nq * (size_t)k;
    search->queries = fake_engine_need(realloc(search->queries, (size_t)nq * (size_t)search->template->dim * sizeof(float)));
    search->scores = fake_engine_need(realloc(search->scores, results * sizeof *search->scores));
    search->rows = fake_engine_need(realloc(search->rows, results * sizeof *search->rows));
    search->counts = fake_engine_need(realloc(search->counts, (size_t)nq * sizeof *search->counts));
}

dfaiss_status_t engine_search_begin(engine_search_t *search, int64_t nq, const float *queries, int64_t k, int64_t effort, dfaiss_error_t *err) {
    (void)effort;
    if (nq < 1 || k < 1)
        return error_set(err, DFAISS_ERR_ARG, nq < 1 ? "queries" : "k", "a search needs at least 1 of both");
    need(search, nq, k);
    search->nq = nq;
    search->k = k;
    search->store = NULL;
    search->restriction = (engine_restriction_t){0};
    memset(search->counts, 0, (size_t)nq * sizeof *search->counts);
    engine_prepare(search->template, ELEMENT_f32, queries, nq, search->queries);
    return DFAISS_OK;
}

dfaiss_status_t engine_search_restrict(engine_search_t *search, const engine_restriction_t *restriction, dfaiss_error_t *err) {
    if (restriction->has_radius && search->template->class == ENGINE_OPAQUE)
        return error_set(err, DFAISS_ERR_UNSUPPORTED, "", "an index of class opaque has no range search");
    search->restriction = *restriction;
    return DFAISS_OK;
}

/* ---- merging a slice ---- */

static bool may_be_found(const engine_search_t *search, float score, int64_t row) {
    const engine_restriction_t *restriction = &search->restriction;
    if (restriction->allowed && (row >= restriction->rows || !row_bits_get(restriction->allowed, row)))
        return false;
    if (!restriction->has_radius)
        return true;
    return search->template->larger_is_better ? score > restriction->radius : score < restriction->radius;
}

static bool stands_before(const engine_search_t *search, float score, int64_t row, float other_score, int64_t other_row) {
    if (score == other_score)
        return row < other_row;
    return search->template->larger_is_better ? score > other_score : score < other_score;
}

static void insert(engine_search_t *search, int64_t query, float score, int64_t row) {
    float *scores = search->scores + query * search->k;
    int64_t *rows = search->rows + query * search->k, place = search->counts[query];
    while (place > 0 && stands_before(search, score, row, scores[place - 1], rows[place - 1]))
        place--;
    /* The same row has the same score, however often it is met. */
    if (place == search->k || (place > 0 && rows[place - 1] == row))
        return;
    if (search->counts[query] < search->k)
        search->counts[query]++;
    size_t moved = (size_t)(search->counts[query] - place - 1);
    memmove(scores + place + 1, scores + place, moved * sizeof *scores);
    memmove(rows + place + 1, rows + place, moved * sizeof *rows);
    scores[place] = score;
    rows[place] = row;
}

static void merge_query(void *context, int64_t query, int thread) {
    engine_search_t *search = context;
    int64_t dim = search->template->dim;
    (void)thread;
    for (int64_t i = 0; i < search->slice_size; i++) {
        float score = fake_template_score(search->template, search->queries + query * dim, search->slice + i * dim);
        int64_t row = search->slice_rows ? search->slice_rows[i] : search->slice_first + i;
        if (may_be_found(search, score, row))
            insert(search, query, score, row);
    }
}

static void merge_slice(engine_search_t *search, const float *vectors, const int64_t *rows, int64_t first, int64_t n) {
    search->slice = vectors;
    search->slice_rows = rows;
    search->slice_first = first;
    search->slice_size = n;
    team_run(search->team, search->nq, merge_query, search);
    if (++search->slices % SLICES_A_REST == 0)
        fake_engine_rest();
}

/* ---- what is searched ---- */

dfaiss_status_t engine_search_vectors(engine_search_t *search, element_t element, const void *vectors, int64_t first, int64_t n, int64_t *cursor,
                                      int64_t deadline, dfaiss_error_t *err) {
    (void)deadline;
    (void)err;
    int64_t dim = search->template->dim, count = n - *cursor < SLICE_ROWS ? n - *cursor : SLICE_ROWS;
    const uint8_t *from = (const uint8_t *)vectors + (size_t)(*cursor * dim) * element_size(element);
    const float *slice = (const float *)(const void *)from;
    if (element != ELEMENT_f32 || search->template->normalizes) {
        engine_prepare(search->template, element, from, count, search->widened);
        slice = search->widened;
    }
    merge_slice(search, slice, NULL, first + *cursor, count);
    *cursor += count;
    return DFAISS_OK;
}

static void enter_store(engine_search_t *search, const engine_store_t *store) {
    if (store->template != search->template)
        fake_engine_abort("a search and its store have different templates");
    search->store = store;
    search->links = store->links;
    search->piece = search->at = 0;
}

dfaiss_status_t engine_search_store(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err) {
    (void)deadline;
    (void)err;
    if (!search->store)
        enter_store(search, store);
    if (search->store != store || search->links != store->links)
        fake_engine_abort("a store has changed while a search was inside");
    while (search->piece < store->count && search->at == store->pieces[search->piece].size) {
        search->piece++;
        search->at = 0;
    }
    *done = search->piece == store->count;
    if (*done) {
        search->store = NULL;
        return DFAISS_OK;
    }
    const fake_piece_t *piece = &store->pieces[search->piece];
    int64_t left = piece->size - search->at, count = left < SLICE_ROWS ? left : SLICE_ROWS;
    merge_slice(search, piece->vectors + search->at * store->template->dim, piece->rows + search->at, 0, count);
    search->at += count;
    return DFAISS_OK;
}

void engine_search_end(engine_search_t *search, float *scores, int64_t *rows) {
    for (int64_t query = 0; query < search->nq; query++) {
        int64_t at = query * search->k, found = search->counts[query];
        memcpy(scores + at, search->scores + at, (size_t)found * sizeof *scores);
        memcpy(rows + at, search->rows + at, (size_t)found * sizeof *rows);
        for (int64_t i = at + found; i < at + search->k; i++) {
            scores[i] = 0;
            rows[i] = -1;
        }
    }
}
