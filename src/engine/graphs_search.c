/* Searches of stores that are made of whole indexes: lanes of some queries each ask one segment after the other.
 *
 * Rows that may not be found are left out by the segment itself, where it can, or else taken out of what it found; it is asked for more hits than are
 * wanted then, and for still more where that leaves too few.
 */
#include <string.h>

#include <faiss/c_api/AutoTune_c.h>

#include "base/clock.h"
#include "engine/graphs.h"
#include "engine/nearest.h"

enum { MORE = 4 };                /* times as many hits when an index is asked once more */
static const double SPARE = 1.25; /* times as many hits as should do */

static int64_t effort_for(const graphs_way_t *way, const graph_t *graph) {
    return way->candidates && graph->span.count < way->effort ? graph->span.count : way->effort;
}

/* The parameter lies in the index. Nobody else searches it; the builder may copy it at the same time, and whichever value the copy gets is
 * overwritten before it is used. An index that does not have the parameter is searched as it is. */
static dfaiss_status_t set_effort(engine_search_t *search, const graphs_way_t *way, dfaiss_error_t *err) {
    graphs_parts_t *parts = search->store->parts;
    if (parts->effort == way->effort)
        return DFAISS_OK;
    FaissParameterSpace *space = NULL;
    if (faiss_ParameterSpace_new(&space) != 0)
        return error_memory(err, 0, "the parameters of a search");
    for (int64_t i = 0; i < parts->count; i++) {
        const graph_t *graph = &parts->graphs[i];
        (void)faiss_ParameterSpace_set_index_parameter(space, graph->index, way->parameter, (double)effort_for(way, graph));
    }
    faiss_ParameterSpace_free(space);
    parts->effort = way->effort;
    return DFAISS_OK;
}

/* A lane is some queries and every shares-th segment; its position is the segment, its offset the query. */
dfaiss_status_t graphs_begin(engine_search_t *search, dfaiss_error_t *err) {
    const graphs_parts_t *parts = search->store->parts;
    int64_t threads = team_threads(search->team), lanes = threads == 1 ? 1 : 4 * threads;
    int64_t groups = search->nq < lanes ? search->nq : lanes;
    int64_t shares = search_shares(search, parts->count);
    TRY(search_slots(search, shares, err));
    TRY(lanes_begin(&search->lanes, search->nq, groups, shares, err));
    for (int64_t i = 0; i < search->lanes.count; i++) {
        lane_t *lane = lanes_at(&search->lanes, i);
        lane->position = lane->share;
        lane->end = parts->count;
    }
    search->stage = STAGE_GRAPHS;
    return DFAISS_OK;
}

/* What one step asks of a graph. */
typedef struct graph_call {
    const graph_t *graph;
    int64_t query, count; /* queries */
    int64_t k;
} graph_call_t;

/* Sorted, and as rows of the store: what a call of faiss found for one query goes into its slot. */
static void take_found(engine_search_t *search, const graph_t *graph, const lane_t *lane, int64_t query, int64_t found, float *scores, int64_t *rows,
                       search_thread_t *own) {
    float *slot_scores = search_slot_scores(search, lane->share, query);
    int64_t *slot_rows = search_slot_rows(search, lane->share, query);
    for (int64_t i = 0; i < found; i++)
        rows[i] = span_row(&graph->span, rows[i]);
    nearest_order(search->template->larger_is_better, found, scores, rows);
    nearest_merge(search->template->larger_is_better, search->k, nearest_count(search->k, slot_rows), slot_scores, slot_rows,
                  found < search->k ? found : search->k, scores, rows, own->spare_scores.data, own->spare_rows.data);
}

static void start_lane(const engine_search_t *search, lane_t *lane) {
    for (int64_t query = lane->query; !lane->started && query < lane->query + lane->queries; query++)
        nearest_clear(search->template->larger_is_better, search->k, search_slot_scores(search, lane->share, query),
                      search_slot_rows(search, lane->share, query));
    lane->started = true;
}

/* Drops the places that are empty, and rows that may not be found. An index that was read may hold any numbers. */
static int64_t keep_passing(const engine_search_t *search, const graph_t *graph, int64_t n, float *scores, int64_t *rows, int64_t *empty) {
    int64_t kept = 0;
    *empty = 0;
    for (int64_t i = 0; i < n; i++) {
        bool valid = rows[i] >= 0 && rows[i] < graph->span.count;
        *empty += !valid;
        if (!valid || (search->filter.blocks && !row_passes(&search->filter, span_row(&graph->span, rows[i]))))
            continue;
        scores[kept] = scores[i];
        rows[kept++] = rows[i];
    }
    return kept;
}

/* How many hits a segment is asked for at first, so that k of them may be found. */
static int64_t first_wanted(const engine_search_t *search, const graphs_way_t *way) {
    double wanted = search->filter.blocks ? SPARE * (double)search->k / search_passing(search) : (double)search->k;
    return way->most_wanted < search->k ? search->k : wanted < (double)way->most_wanted ? (int64_t)wanted : way->most_wanted;
}

/* The next queries of the lane that are to be asked, as many as go into one call; none: count 0. */
static graph_call_t next_call(const engine_search_t *search, const graphs_way_t *way, lane_t *lane, const search_thread_t *own) {
    const graphs_parts_t *parts = search->store->parts;
    const graph_t *graph = &parts->graphs[lane->position];
    while (lane->offset < lane->queries && !search_is_open(search, lane->query + lane->offset))
        lane->offset++;
    int64_t wanted = lane->wanted ? lane->wanted : first_wanted(search, way);
    graph_call_t call = {.graph = graph, .query = lane->query + lane->offset, .k = wanted < graph->span.count ? wanted : graph->span.count};
    int64_t most = lane->wanted ? 1 : search_call_size(own, graph->span.count, lane->queries - lane->offset);
    while (call.count < most && lane->offset + call.count < lane->queries && search_is_open(search, call.query + call.count))
        call.count++;
    return call;
}

static dfaiss_status_t ask(const engine_search_t *search, const graphs_way_t *way, const graph_call_t *call, search_thread_t *own,
                           dfaiss_error_t *err) {
    const float *queries = search->inner_queries + call->query * search->template->inner_dim;
    const graph_t *graph = call->graph;
    const row_filter_t *filter = &search->filter;
    if (way->selects && filter->blocks) {
        int code = shim_graph_search(graph->index, call->count, queries, call->k, (int)effort_for(way, graph), filter->blocks, filter->rows,
                                     graph->span.first, graph->span.rows, own->scores.data, own->rows.data);
        return code == SHIM_OK ? DFAISS_OK : engine_failure(code, DFAISS_ERR_FAISS, "searching", err);
    }
    int code = faiss_Index_search(graph->index, call->count, queries, call->k, own->scores.data, own->rows.data);
    return code == 0 ? DFAISS_OK : engine_failure_c(code, DFAISS_ERR_FAISS, "searching", err);
}

typedef struct graphs_run {
    engine_search_t *search;
    const graphs_way_t *way;
} graphs_run_t;

/* Asks a graph for the next queries. One that finds fewer of the rows that may be found than it should is asked once more, for more hits, alone. */
static dfaiss_status_t ask_graph(void *context, lane_t *lane, int thread, dfaiss_error_t *err) {
    const graphs_run_t *run = context;
    engine_search_t *search = run->search;
    search_thread_t *own = &search->threads[thread];
    start_lane(search, lane);
    if (lane->position >= lane->end) {
        lane->scanned = true;
        return DFAISS_OK;
    }
    graph_call_t call = next_call(search, run->way, lane, own);
    int64_t taken = 0;
    TRY(scratch_need(&own->scores, (size_t)(call.count * call.k), sizeof(float), err));
    TRY(scratch_need(&own->rows, (size_t)(call.count * call.k), sizeof(int64_t), err));
    int64_t began = clock_nanoseconds();
    if (call.count > 0)
        TRY(ask(search, run->way, &call, own, err));
    if (call.count > 0 && !lane->wanted)
        search_call_took(own, call.graph->span.count, call.count, clock_nanoseconds() - began);
    for (; taken < call.count; taken++) {
        float *scores = (float *)own->scores.data + taken * call.k;
        int64_t *rows = (int64_t *)own->rows.data + taken * call.k, empty = 0;
        int64_t found = keep_passing(search, call.graph, call.k, scores, rows, &empty);
        bool more =
            search->filter.blocks && found < search->k && empty == 0 && call.k < call.graph->span.count && MORE * call.k <= run->way->most_wanted;
        lane->wanted = more ? MORE * call.k : 0;
        if (more)
            break;
        take_found(search, call.graph, lane, call.query + taken, found, scores, rows, own);
    }
    lane->offset += taken;
    if (lane->offset == lane->queries) {
        lane->offset = 0;
        lane->position += search->lanes.shares;
    }
    lane->scanned = lane->position >= lane->end;
    return DFAISS_OK;
}

static void fold_slots(void *context, lane_t *lane, int64_t query, int thread) {
    const graphs_run_t *run = context;
    engine_search_t *search = run->search;
    (void)lane;
    for (int64_t share = 0; share < search->lanes.shares; share++) {
        int64_t *rows = search_slot_rows(search, share, query);
        search_take(search, query, nearest_count(search->k, rows), search_slot_scores(search, share, query), rows, thread);
    }
}

dfaiss_status_t graphs_search(engine_search_t *search, const graphs_way_t *way, int64_t deadline, bool *done, dfaiss_error_t *err) {
    graphs_run_t run = {.search = search, .way = way};
    TRY(set_effort(search, way, err));
    return lanes_run(&search->lanes, search->team, deadline, ask_graph, fold_slots, &run, done, err);
}
