/* Searching inverted lists: first the nearest lists of all queries, then a lane for every query (or for a share of its lists, where queries are few).
 * Queries that find too few of the rows that may be found go round again with more lists, and at last with all lists, whatever the quantizer says.
 *
 * A quantizer that is flat is scanned like any exact rows, so that even a large one is worked off in slices; any other is asked a few queries at a
 * time.
 */
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/IndexIVF_c.h>

#include "base/clock.h"
#include "engine/ivf.h"
#include "engine/nearest.h"
#include "engine/scan.h"

enum { SCAN_BYTES = 1 << 20, SCAN_ROWS = 16384, LEAST_ROWS = 256 }; /* of one step */
enum {
    MANY = 2,  /* times k rows that may be found should lie in the lists that are probed at first */
    WIDER = 8, /* times as many lists when a query goes round again */
};

static FaissIndex *quantizer_of(const engine_search_t *search) {
    return faiss_IndexIVF_quantizer((FaissIndexIVF *)search->template->layout.inner);
}

static float *coarse_scores(const engine_search_t *search, int64_t query) {
    return (float *)search->coarse_scores.data + query * search->probes;
}

static int64_t *coarse_lists(const engine_search_t *search, int64_t query) {
    return (int64_t *)search->coarse_lists.data + query * search->probes;
}

static int64_t *coarse_count(const engine_search_t *search, int64_t query) {
    return (int64_t *)search->coarse_counts.data + query;
}

/* ---- the nearest lists ---- */

static const float *centroids_from(void *context, int64_t row, int64_t *count, float *scratch) {
    const engine_search_t *search = context;
    float *centroids;
    size_t size;
    (void)count;
    (void)scratch;
    faiss_IndexFlat_xb((FaissIndexFlat *)quantizer_of(search), &centroids, &size);
    return centroids + row * search->template->inner_dim;
}

static void take_lists(void *context, int64_t query, int64_t n, float *scores, int64_t *lists, int thread) {
    engine_search_t *search = context;
    search_thread_t *own = &search->threads[thread];
    bool larger_is_better = faiss_Index_metric_type(quantizer_of(search)) == METRIC_INNER_PRODUCT;
    int64_t *held = coarse_count(search, query);
    *held = nearest_merge(larger_is_better, search->probes, *held, coarse_scores(search, query), coarse_lists(search, query), n, scores, lists,
                          own->scores.data, own->rows.data);
}

static dfaiss_status_t begin_flat_coarse(engine_search_t *search, dfaiss_error_t *err) {
    exact_job_t job = {.larger_is_better = faiss_Index_metric_type(quantizer_of(search)) == METRIC_INNER_PRODUCT,
                       .dim = search->template->inner_dim,
                       .nq = search->nq,
                       .queries = search->inner_queries,
                       .k = search->probes,
                       .rows = search->template->layout.lists,
                       .rows_of = centroids_from,
                       .take = take_lists,
                       .context = search};
    if (!search->store_scan)
        TRY(exact_scan_create(search->team, &search->store_scan, err));
    return exact_scan_begin(search->store_scan, &job, err);
}

static dfaiss_status_t ask_quantizer(void *context, lane_t *lane, int thread, dfaiss_error_t *err) {
    engine_search_t *search = context;
    search_thread_t *own = &search->threads[thread];
    int64_t lists = search->template->layout.lists;
    int64_t query = lane->query + lane->position, count = search_call_size(own, lists, lane->end - lane->position);
    int64_t began = clock_nanoseconds();
    int code = faiss_Index_search(quantizer_of(search), count, search->inner_queries + query * search->template->inner_dim, search->probes,
                                  coarse_scores(search, query), coarse_lists(search, query));
    if (code != 0)
        return engine_failure_c(code, DFAISS_ERR_FAISS, "searching", err);
    search_call_took(own, lists, count, clock_nanoseconds() - began);
    for (int64_t i = query; i < query + count; i++)
        *coarse_count(search, i) = nearest_count(search->probes, coarse_lists(search, i));
    lane->position += count;
    lane->scanned = lane->position == lane->end;
    return DFAISS_OK;
}

static void fold_nothing(void *context, lane_t *lane, int64_t query, int thread) {
    (void)context;
    (void)lane;
    (void)query;
    (void)thread;
}

static dfaiss_status_t begin_other_coarse(engine_search_t *search, dfaiss_error_t *err) {
    int64_t lanes = 2 * team_threads(search->team);
    TRY(lanes_begin(&search->lanes, search->nq, search->nq < lanes ? search->nq : lanes, 1, err));
    for (int64_t i = 0; i < search->lanes.count; i++)
        lanes_at(&search->lanes, i)->end = lanes_at(&search->lanes, i)->queries;
    return DFAISS_OK;
}

static bool has_flat_quantizer(const engine_search_t *search) {
    FaissMetricType metric = faiss_Index_metric_type(quantizer_of(search));
    return faiss_IndexFlat_cast(quantizer_of(search)) && (metric == METRIC_INNER_PRODUCT || metric == METRIC_L2);
}

/* Lists that the effort asks for, and where few rows may be found, as many as should hold enough of them. */
static int64_t wanted_probes(const engine_search_t *search) {
    double lists = (double)search->template->layout.lists, effort = search->effort < 1 ? 1 : (double)search->effort;
    double passing = search->allowed_rows < 1 ? 1 : (double)search->allowed_rows;
    double enough = search->filter.blocks && !search->has_radius ? MANY * (double)search->k / passing * lists : 0;
    double wanted = search->widened ? (double)search->widened : effort > enough ? effort : enough;
    return wanted < lists ? (int64_t)wanted : (int64_t)lists;
}

static dfaiss_status_t begin_coarse(engine_search_t *search, dfaiss_error_t *err) {
    size_t probes = (size_t)search->probes, nq = (size_t)search->nq;
    TRY(scratch_need(&search->coarse_scores, nq * probes, sizeof(float), err));
    TRY(scratch_need(&search->coarse_lists, nq * probes, sizeof(int64_t), err));
    TRY(scratch_need(&search->coarse_counts, nq, sizeof(int64_t), err));
    memset(search->coarse_counts.data, 0, nq * sizeof(int64_t));
    for (int i = 0; i < team_threads(search->team); i++) {
        TRY(scratch_need(&search->threads[i].scores, probes, sizeof(float), err));
        TRY(scratch_need(&search->threads[i].rows, probes, sizeof(int64_t), err));
    }
    TRY(has_flat_quantizer(search) ? begin_flat_coarse(search, err) : begin_other_coarse(search, err));
    search->stage = STAGE_COARSE;
    return DFAISS_OK;
}

static dfaiss_status_t run_coarse(engine_search_t *search, int64_t deadline, bool *done, dfaiss_error_t *err) {
    if (has_flat_quantizer(search))
        return exact_scan_run(search->store_scan, deadline, done, err);
    return lanes_run(&search->lanes, search->team, deadline, ask_quantizer, fold_nothing, search, done, err);
}

/* ---- the lists ---- */

static int64_t step_rows(const ivf_parts_t *parts) {
    int64_t rows = SCAN_BYTES / (int64_t)parts->code_size;
    return rows < LEAST_ROWS ? LEAST_ROWS : rows > SCAN_ROWS ? SCAN_ROWS : rows;
}

/* The scanner is set to a list only when something in it is to be scanned. */
static int enter_list(const engine_search_t *search, const lane_t *lane, search_thread_t *own, int64_t list) {
    if (own->list == list)
        return SHIM_OK;
    int code = search->all_lists ? shim_scanner_set_list_of(own->scanner, list, search->inner_queries + lane->query * search->template->inner_dim)
                                 : shim_scanner_set_list(own->scanner, list, coarse_scores(search, lane->query)[lane->position]);
    own->list = code == SHIM_OK ? list : -1;
    return code;
}

/* Scans the list at the lane's position, or a part of it; returns the number of rows. */
static int scan_list(engine_search_t *search, const ivf_parts_t *parts, lane_t *lane, search_thread_t *own, int64_t *rows) {
    int64_t number = search->all_lists ? lane->position : coarse_lists(search, lane->query)[lane->position];
    const ivf_list_t *list = &parts->lists[number];
    int64_t most = step_rows(parts), left = list->size - lane->offset, count = left < most ? left : most;
    stored_run_t run, piece = {.count = count};
    int code = SHIM_OK;
    if (count > 0) {
        piece.codes = ivf_codes(&list->memory) + (size_t)lane->offset * parts->code_size;
        piece.rows = ivf_rows(&list->memory) + lane->offset;
    }
    while (code == SHIM_OK && count > 0 && scan_next(search, own, &piece, &run)) {
        code = enter_list(search, lane, own, number);
        if (code == SHIM_OK)
            code = scan_run(search, lane, own, &run);
    }
    lane->offset += count;
    if (lane->offset == list->size) {
        lane->offset = 0;
        lane->position += search->lanes.shares;
    }
    *rows = count;
    return code;
}

/* A lane is one query and every shares-th of its lists. */
static dfaiss_status_t scan_lists(void *context, lane_t *lane, int thread, dfaiss_error_t *err) {
    engine_search_t *search = context;
    search_start_lane(search, lane);
    if (lane->position < lane->end)
        TRY(search_enter_lane(search, lane, thread, err));
    for (int64_t scanned = 0, rows = 0; scanned < LEAST_ROWS && lane->position < lane->end; scanned += rows) {
        int code = scan_list(search, search->store->parts, lane, &search->threads[thread], &rows);
        if (code != SHIM_OK)
            return engine_failure(code, DFAISS_ERR_FAISS, "searching", err);
    }
    lane->scanned = lane->position >= lane->end;
    return DFAISS_OK;
}

static dfaiss_status_t begin_lists(engine_search_t *search, dfaiss_error_t *err) {
    int64_t shares = search_shares(search, search->probes);
    TRY(scan_need(search, err));
    TRY(search_slots(search, shares, err));
    TRY(lanes_begin(&search->lanes, search->nq, search->nq, shares, err));
    for (int64_t i = 0; i < search->lanes.count; i++) {
        lane_t *lane = lanes_at(&search->lanes, i);
        lane->position = lane->share;
        if (search_is_open(search, lane->query))
            lane->end = search->all_lists ? search->probes : *coarse_count(search, lane->query);
    }
    search->stage = STAGE_SCAN;
    return DFAISS_OK;
}

/* A round begins with the nearest lists, unless they are known, or all lists are wanted of a search that may not find everything. */
static dfaiss_status_t begin_round(engine_search_t *search, dfaiss_error_t *err) {
    bool restricted = search->filter.blocks || search->has_radius;
    int64_t lists = search->template->layout.lists;
    if (!search->has_coarse)
        search->probes = wanted_probes(search);
    search->all_lists = restricted && search->probes > lists / 2 && (search->probes == lists || !search->has_radius);
    if (search->all_lists)
        search->probes = lists;
    return search->has_coarse || search->all_lists ? begin_lists(search, err) : begin_coarse(search, err);
}

/* Whether queries have to go round again, with more lists. */
static bool widen(engine_search_t *search) {
    if (search->all_lists || !search_again(search))
        return false;
    search->widened = search->probes > INT64_MAX / WIDER ? INT64_MAX : WIDER * search->probes;
    search->has_coarse = false;
    search->stage = STAGE_NONE;
    return true;
}

dfaiss_status_t ivf_search(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err) {
    (void)store;
    if (search->stage == STAGE_NONE)
        TRY(begin_round(search, err));
    if (search->stage == STAGE_COARSE) {
        bool found = false;
        TRY(run_coarse(search, deadline, &found, err));
        if (!found)
            return DFAISS_OK;
        search->has_coarse = true;
        TRY(begin_lists(search, err));
        if (clock_nanoseconds() >= deadline)
            return DFAISS_OK;
    }
    TRY(lanes_run(&search->lanes, search->team, deadline, scan_lists, search_fold_heaps, search, done, err));
    if (*done && widen(search)) {
        TRY(begin_round(search, err)); /* another slice goes on */
        *done = false;
    }
    return DFAISS_OK;
}
