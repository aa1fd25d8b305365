/* A search from begin to end: queries in, vectors and stores scanned in slices, one merged answer out. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/nearest.h"
#include "engine/store.h"

enum {
    TRANSFORM_QUERIES = 16,    /* transformed in one task */
    CALL_NANOSECONDS = 1500000 /* what one call of faiss that cannot be interrupted should take */
};

void engine_search_destroy(engine_search_t *search) {
    if (!search)
        return;
    for (int i = 0; search->threads && i < team_threads(search->team); i++) {
        search_thread_t *thread = &search->threads[i];
        shim_scanner_free(thread->scanner);
        scratch_free(&thread->scores);
        scratch_free(&thread->rows);
        scratch_free(&thread->spare_scores);
        scratch_free(&thread->spare_rows);
        scratch_free(&thread->sifted_codes);
        scratch_free(&thread->sifted_rows);
    }
    free(search->threads);
    scratch_t *const owned[] = {&search->queries,     &search->transformed, &search->best_scores,   &search->best_rows,    &search->best_counts,
                                &search->slot_scores, &search->slot_rows,   &search->coarse_scores, &search->coarse_lists, &search->coarse_counts};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        scratch_free(owned[i]);
    free(search->ranges);
    exact_scan_destroy(search->vector_scan);
    exact_scan_destroy(search->store_scan);
    lanes_free(&search->lanes);
    free(search);
}

dfaiss_status_t engine_search_create(const engine_template_t *template, team_t *team, engine_search_t **out, dfaiss_error_t *err) {
    engine_search_t *search = calloc(1, sizeof *search);
    if (!search)
        return error_memory(err, sizeof *search, "searching");
    search->template = template;
    search->class = store_class_of(template);
    search->team = team;
    search->threads = calloc((size_t)team_threads(team), sizeof *search->threads);
    if (!search->threads) {
        engine_search_destroy(search);
        return error_memory(err, (size_t)team_threads(team) * sizeof *search->threads, "searching");
    }
    *out = search;
    return DFAISS_OK;
}

/* ---- begin ---- */

typedef struct transform_run {
    engine_search_t *search;
    _Atomic int code; /* of the call that failed */
} transform_run_t;

static void transform_some(void *context, int64_t task, int thread) {
    transform_run_t *run = context;
    const engine_search_t *search = run->search;
    const engine_template_t *template = search->template;
    (void)thread;
    int64_t first = task * TRANSFORM_QUERIES, left = search->nq - first, count = left < TRANSFORM_QUERIES ? left : TRANSFORM_QUERIES;
    int code = shim_transform(template->index, count, (const float *)search->queries.data + first * template->dim,
                              (float *)search->transformed.data + first * template->inner_dim);
    if (code != SHIM_OK)
        run->code = code;
}

static dfaiss_status_t transform_queries(engine_search_t *search, dfaiss_error_t *err) {
    search->inner_queries = search->queries.data;
    /* An untrained transform cannot be applied, and without a store nothing asks for what it makes. */
    if (!search->template->layout.transformed || !engine_template_trained(search->template))
        return DFAISS_OK;
    TRY(scratch_need(&search->transformed, (size_t)search->nq * (size_t)search->template->inner_dim, sizeof(float), err));
    transform_run_t run = {.search = search, .code = SHIM_OK};
    team_run(search->team, (search->nq + TRANSFORM_QUERIES - 1) / TRANSFORM_QUERIES, transform_some, &run);
    if (run.code != SHIM_OK)
        return error_set(err, DFAISS_ERR_FAISS, "", "faiss could not transform the queries");
    search->inner_queries = search->transformed.data;
    return DFAISS_OK;
}

static dfaiss_status_t need_memory(engine_search_t *search, int64_t nq, int64_t k, dfaiss_error_t *err) {
    size_t results;
    if (!size_multiply((size_t)nq, (size_t)k, &results))
        return error_memory(err, SIZE_MAX, "the results of a search");
    TRY(scratch_need(&search->queries, (size_t)nq * (size_t)search->template->dim, sizeof(float), err));
    TRY(scratch_need(&search->best_scores, results, sizeof(float), err));
    TRY(scratch_need(&search->best_rows, results, sizeof(int64_t), err));
    TRY(scratch_need(&search->best_counts, (size_t)nq, sizeof(int64_t), err));
    for (int i = 0; i < team_threads(search->team); i++) {
        TRY(scratch_need(&search->threads[i].spare_scores, (size_t)k, sizeof(float), err));
        TRY(scratch_need(&search->threads[i].spare_rows, (size_t)k, sizeof(int64_t), err));
    }
    return DFAISS_OK;
}

static void forget_calls(engine_search_t *search) {
    for (int i = 0; i < team_threads(search->team); i++)
        search->threads[i].query_nanoseconds = 0;
}

dfaiss_status_t engine_search_begin(engine_search_t *search, int64_t nq, const float *queries, int64_t k, int64_t effort, dfaiss_error_t *err) {
    if (nq < 1 || k < 1)
        return error_set(err, DFAISS_ERR_ARG, nq < 1 ? "queries" : "k", "a search has %" PRId64 " queries and k %" PRId64 "; both must be at least 1",
                         nq, k);
    TRY(need_memory(search, nq, k, err));
    if (k > search->k || effort > search->effort || search->filter.blocks) /* a query costs something else than what was measured */
        forget_calls(search);
    search->nq = nq;
    search->k = k;
    search->effort = effort;
    search->range_count = 0;
    search->in_vectors = false;
    search->stage = STAGE_NONE;
    search->store = NULL;
    search->store_seen = false;
    search->has_coarse = false;
    search->filter = (row_filter_t){.blocks = NULL};
    search->has_radius = false;
    memset(search->best_counts.data, 0, (size_t)nq * sizeof(int64_t));
    memcpy(search->queries.data, queries, (size_t)nq * (size_t)search->template->dim * sizeof(float));
    if (search->template->normalizes)
        element_normalize(search->queries.data, nq, search->template->dim);
    return transform_queries(search, err);
}

/* ---- what may be found ---- */

dfaiss_status_t engine_search_restrict(engine_search_t *search, const engine_restriction_t *restriction, dfaiss_error_t *err) {
    engine_class_t class = engine_template_class(search->template);
    if (restriction->has_radius && class == ENGINE_OPAQUE)
        return error_set(err, DFAISS_ERR_UNSUPPORTED, "radius",
                         "a range search works with flat, SQ, PQ, IVF and HNSW indexes; this one is of class %s (another factory string)",
                         engine_class_name(class));
    if (restriction->has_radius && isnan(restriction->radius))
        return error_set(err, DFAISS_ERR_ARG, "radius", "the radius of a range search is not a number");
    search->filter = (row_filter_t){.blocks = restriction->allowed, .rows = restriction->rows};
    search->allowed_rows = restriction->allowed_rows;
    search->has_radius = restriction->has_radius;
    search->radius = restriction->radius;
    if (restriction->allowed)
        forget_calls(search);
    return DFAISS_OK;
}

double search_passing(const engine_search_t *search) {
    if (!search->filter.blocks || search->allowed_rows >= search->filter.rows)
        return 1;
    return (double)(search->allowed_rows < 1 ? 1 : search->allowed_rows) / (double)search->filter.rows;
}

bool search_gathers(const engine_search_t *search) {
    return search_passing(search) < 0.5;
}

bool search_is_open(const engine_search_t *search, int64_t query) {
    return !search->again || ((const int64_t *)search->best_counts.data)[query] < search->k;
}

static bool scanned_as_vector(const engine_search_t *search, int64_t row) {
    for (int64_t i = 0; i < search->range_count; i++)
        if (row >= search->ranges[i].first && row < search->ranges[i].last)
            return true;
    return false;
}

void search_forget_store(engine_search_t *search, int64_t query) {
    int64_t *held = (int64_t *)search->best_counts.data + query, left = 0;
    float *scores = (float *)search->best_scores.data + query * search->k;
    int64_t *rows = (int64_t *)search->best_rows.data + query * search->k;
    for (int64_t i = 0; i < *held; i++) {
        if (!scanned_as_vector(search, rows[i]))
            continue;
        scores[left] = scores[i];
        rows[left++] = rows[i];
    }
    *held = left;
}

bool search_again(engine_search_t *search) {
    if (!search->filter.blocks || search->has_radius)
        return false;
    search->again = true;
    bool any = false;
    for (int64_t query = 0; query < search->nq; query++)
        if (search_is_open(search, query)) {
            search_forget_store(search, query);
            any = true;
        }
    return any;
}

/* ---- the answer so far ---- */

static void merge_best(engine_search_t *search, int64_t query, int64_t n, const float *scores, const int64_t *rows, int thread) {
    int64_t *held = (int64_t *)search->best_counts.data + query;
    *held = nearest_merge(search->template->larger_is_better, search->k, *held, (float *)search->best_scores.data + query * search->k,
                          (int64_t *)search->best_rows.data + query * search->k, n, scores, rows, search->threads[thread].spare_scores.data,
                          search->threads[thread].spare_rows.data);
}

void search_take(engine_search_t *search, int64_t query, int64_t n, float *scores, int64_t *rows, int thread) {
    for (int64_t i = 0; i < search->range_count; i++)
        n = nearest_remove(n, scores, rows, search->ranges[i].first, search->ranges[i].last);
    merge_best(search, query, n, scores, rows, thread);
}

/* ---- vectors that are not indexed ---- */

static const float *vectors_at(void *context, int64_t row, int64_t *count, float *scratch) {
    const engine_search_t *search = context;
    int64_t dim = search->template->dim;
    const uint8_t *from = (const uint8_t *)search->vectors + (size_t)(row * dim) * element_size(search->element);
    if (search->element == ELEMENT_f32 && !search->template->normalizes)
        return (const float *)(const void *)from;
    engine_prepare(search->template, search->element, from, *count, scratch);
    return scratch;
}

static void take_vectors(void *context, int64_t query, int64_t n, float *scores, int64_t *rows, int thread) {
    engine_search_t *search = context;
    for (int64_t i = 0; i < n; i++)
        rows[i] += search->vectors_first;
    merge_best(search, query, n, scores, rows, thread);
}

/* Exact scores will replace those that the store gave for the same rows. */
static void forget_rows(engine_search_t *search, int64_t first, int64_t last) {
    for (int64_t query = 0; query < search->nq; query++) {
        int64_t *held = (int64_t *)search->best_counts.data + query;
        *held = nearest_remove(*held, (float *)search->best_scores.data + query * search->k, (int64_t *)search->best_rows.data + query * search->k,
                               first, last);
    }
}

static dfaiss_status_t add_range(engine_search_t *search, int64_t first, int64_t n, dfaiss_error_t *err) {
    /* Waiting rows come batch after batch: one range, however many they are. */
    if (search->range_count > 0 && search->ranges[search->range_count - 1].last == first) {
        search->ranges[search->range_count - 1].last = first + n;
        return DFAISS_OK;
    }
    if (search->range_count == search->range_capacity) {
        int64_t capacity = search->range_capacity ? 2 * search->range_capacity : 8;
        row_range_t *ranges = realloc(search->ranges, (size_t)capacity * sizeof *ranges);
        if (!ranges)
            return error_memory(err, (size_t)capacity * sizeof *ranges, "searching");
        search->ranges = ranges;
        search->range_capacity = capacity;
    }
    search->ranges[search->range_count++] = (row_range_t){.first = first, .last = first + n};
    return DFAISS_OK;
}

static int64_t next_vector(const void *context, int64_t row, int64_t end) {
    const engine_search_t *search = context;
    return row_next(&search->filter, search->vectors_first + row, search->vectors_first + end) - search->vectors_first;
}

static dfaiss_status_t begin_vectors(engine_search_t *search, element_t element, int64_t first, int64_t n, dfaiss_error_t *err) {
    bool copies = element != ELEMENT_f32 || search->template->normalizes;
    exact_job_t job = {.larger_is_better = search->template->larger_is_better,
                       .copies = copies,
                       .gathers = search_gathers(search),
                       .has_radius = search->has_radius,
                       .radius = search->radius,
                       .next = search->filter.blocks ? next_vector : NULL,
                       .dim = search->template->dim,
                       .nq = search->nq,
                       .queries = search->queries.data,
                       .k = search->k,
                       .rows = n,
                       .rows_of = vectors_at,
                       .take = take_vectors,
                       .context = search};
    if (!search->vector_scan)
        TRY(exact_scan_create(search->team, &search->vector_scan, err));
    TRY(exact_scan_begin(search->vector_scan, &job, err));
    TRY(add_range(search, first, n, err));
    if (search->store_seen)
        forget_rows(search, first, first + n);
    search->element = element;
    search->vectors_first = first;
    search->vectors_count = n;
    search->in_vectors = true;
    return DFAISS_OK;
}

dfaiss_status_t engine_search_vectors(engine_search_t *search, element_t element, const void *vectors, int64_t first, int64_t n, int64_t *cursor,
                                      int64_t deadline, dfaiss_error_t *err) {
    if (*cursor >= n)
        return DFAISS_OK;
    if (*cursor == 0)
        TRY(begin_vectors(search, element, first, n, err));
    else if (!search->in_vectors || search->vectors_first != first || search->vectors_count != n || search->element != element)
        return error_set(err, DFAISS_ERR_INTERNAL, "", "a scan of vectors goes on with others than it began with");
    search->vectors = vectors;
    bool done = false;
    TRY(exact_scan_run(search->vector_scan, deadline, &done, err));
    if (done) {
        search->in_vectors = false;
        *cursor = n;
        return DFAISS_OK;
    }
    /* Threads are at different places, so the cursor is only a measure: neither "not begun" nor "done". */
    int64_t progress = exact_scan_progress(search->vector_scan);
    *cursor = progress < 1 ? 1 : progress < n ? progress : n - 1;
    return DFAISS_OK;
}

/* ---- a store ---- */

dfaiss_status_t engine_search_store(engine_search_t *search, const engine_store_t *store, int64_t deadline, bool *done, dfaiss_error_t *err) {
    if (search->stage != STAGE_NONE && search->store != store)
        return error_set(err, DFAISS_ERR_INTERNAL, "", "a search goes on with another store than it began with");
    if (store->template != search->template)
        return error_set(err, DFAISS_ERR_INTERNAL, "", "a search and its store have different templates");
    *done = store->rows == 0;
    if (*done)
        return DFAISS_OK;
    if (search->stage == STAGE_NONE) {
        search->again = false;
        search->widened = 0;
    }
    search->store = store;
    search->store_seen = true;
    dfaiss_status_t status = search->class->search(search, store, deadline, done, err);
    if (*done || status != DFAISS_OK)
        search->stage = STAGE_NONE;
    return status;
}

int64_t search_shares(const engine_search_t *search, int64_t most) {
    int64_t threads = team_threads(search->team);
    int64_t wanted = threads == 1 || search->nq >= 2 * threads ? 1 : (2 * threads + search->nq - 1) / search->nq;
    return wanted < most ? wanted : most > 1 ? most : 1;
}

dfaiss_status_t search_slots(engine_search_t *search, int64_t shares, dfaiss_error_t *err) {
    size_t slots;
    if (!size_multiply((size_t)search->nq * (size_t)search->k, (size_t)shares, &slots))
        return error_memory(err, SIZE_MAX, "searching");
    TRY(scratch_need(&search->slot_scores, slots, sizeof(float), err));
    TRY(scratch_need(&search->slot_rows, slots, sizeof(int64_t), err));
    for (int i = 0; i < team_threads(search->team); i++) {
        search->threads[i].lane = NULL;
        search->threads[i].list = -1;
    }
    return DFAISS_OK;
}

float *search_slot_scores(const engine_search_t *search, int64_t share, int64_t query) {
    return (float *)search->slot_scores.data + (share * search->nq + query) * search->k;
}

int64_t *search_slot_rows(const engine_search_t *search, int64_t share, int64_t query) {
    return (int64_t *)search->slot_rows.data + (share * search->nq + query) * search->k;
}

void search_start_lane(const engine_search_t *search, lane_t *lane) {
    if (lane->started)
        return;
    float *scores = search_slot_scores(search, lane->share, lane->query);
    shim_heap_clear(search->template->larger_is_better, search->k, scores, search_slot_rows(search, lane->share, lane->query));
    for (int64_t i = 0; search->has_radius && i < search->k; i++)
        scores[i] = search->radius; /* of no row: what is not better than the worst does not come in */
    lane->started = true;
}

dfaiss_status_t search_enter_lane(engine_search_t *search, lane_t *lane, int thread, dfaiss_error_t *err) {
    search_thread_t *own = &search->threads[thread];
    if (own->lane == lane)
        return DFAISS_OK;
    int code = own->scanner ? SHIM_OK : shim_scanner_new(search->template->layout.inner, &own->scanner);
    if (code == SHIM_OK)
        code = shim_scanner_set_query(own->scanner, search->inner_queries + lane->query * search->template->inner_dim);
    own->lane = code == SHIM_OK ? lane : NULL;
    own->list = -1;
    return code == SHIM_OK ? DFAISS_OK : engine_failure(code, DFAISS_ERR_FAISS, "searching", err);
}

void search_fold_heaps(void *context, lane_t *lane, int64_t query, int thread) {
    engine_search_t *search = context;
    (void)lane;
    for (int64_t share = 0; share < search->lanes.shares; share++) {
        float *scores = search_slot_scores(search, share, query);
        int64_t *rows = search_slot_rows(search, share, query);
        shim_heap_sort(search->template->larger_is_better, search->k, scores, rows);
        search_take(search, query, nearest_count(search->k, rows), scores, rows, thread);
    }
}

static bool call_is_known(const search_thread_t *thread, int64_t rows) {
    return thread->query_nanoseconds > 0 && rows <= thread->query_rows;
}

int64_t search_call_size(const search_thread_t *thread, int64_t rows, int64_t left) {
    if (!call_is_known(thread, rows))
        return 1;
    double fitting = CALL_NANOSECONDS / thread->query_nanoseconds;
    return fitting < 1 ? 1 : fitting < (double)left ? (int64_t)fitting : left;
}

void search_call_took(search_thread_t *thread, int64_t rows, int64_t queries, int64_t nanoseconds) {
    double one = ((double)nanoseconds + 1) / (double)queries;
    thread->query_nanoseconds = call_is_known(thread, rows) ? (thread->query_nanoseconds + one) / 2 : one;
    thread->query_rows = rows;
}

/* ---- end ---- */

void engine_search_end(engine_search_t *search, float *scores, int64_t *rows) {
    for (int64_t query = 0; query < search->nq; query++) {
        int64_t at = query * search->k, held = ((const int64_t *)search->best_counts.data)[query];
        memcpy(scores + at, (const float *)search->best_scores.data + at, (size_t)held * sizeof *scores);
        memcpy(rows + at, (const int64_t *)search->best_rows.data + at, (size_t)held * sizeof *rows);
        nearest_clear(search->template->larger_is_better, search->k - held, scores + at + held, rows + at + held);
    }
}
