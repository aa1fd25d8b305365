#include "engine/exact.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include <faiss/c_api/utils/distances_c.h>

#include "engine/lanes.h"
#include "engine/nearest.h"
#include "engine/scratch.h"
#include "engine/template.h"

/* Compiled for the oldest processor and once more for one with AVX2; the loader picks. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VECTORIZED __attribute__((target_clones("default", "avx2"), optimize("O3")))
#else
#define VECTORIZED
#endif

enum {
    GROUP_QUERIES = 512,  /* of one matrix product */
    PRODUCT_QUERIES = 20, /* from so many on a product is faster than row by row (as faiss has it) */
    CHUNK = 16,           /* scores looked at together */
    MOST_ROWS = 1024,     /* of a tile */
    MOST_PASSED = 1 << 22 /* rows that one step passes over in search of those that may be found */
};

/* What one thread works with. */
typedef struct exact_thread {
    scratch_t rows;         /* rows made by rows_of, or gathered: float[tile][dim] */
    scratch_t positions;    /* of gathered rows: uint32_t[tile] */
    scratch_t scores;       /* float[tile][group], or float[tile] */
    scratch_t norms;        /* of rows: float[tile] */
    scratch_t found_scores; /* float[k] */
    scratch_t found_rows;   /* int64_t[k] */
} exact_thread_t;

/* Rows of one step, and their positions in the share. */
typedef struct tile {
    const float *rows;
    int64_t count;
    uint32_t position;         /* of the first */
    const uint32_t *positions; /* of all; NULL: they follow each other */
} tile_t;

struct exact_scan {
    team_t *team;
    exact_thread_t *threads;
    shim_product_t **products; /* one a group */
    int64_t product_count;
    exact_job_t job;
    lanes_t lanes;
    int64_t tile;          /* rows a step */
    size_t capacity;       /* candidates kept for one query of a lane, before all but k are thrown away */
    scratch_t query_norms; /* float[nq] */
    /* A slot belongs to a query in a share: slot = share * nq + query. */
    scratch_t keys;   /* uint64_t[slots][capacity] */
    scratch_t counts; /* size_t[slots] */
    scratch_t limits; /* uint64_t[slots]: candidates from here on are of no use */
    scratch_t bounds; /* float[slots]: the score of that limit */
};

void exact_scan_destroy(exact_scan_t *scan) {
    if (!scan)
        return;
    for (int i = 0; scan->threads && i < team_threads(scan->team); i++) {
        exact_thread_t *thread = &scan->threads[i];
        scratch_free(&thread->rows);
        scratch_free(&thread->positions);
        scratch_free(&thread->scores);
        scratch_free(&thread->norms);
        scratch_free(&thread->found_scores);
        scratch_free(&thread->found_rows);
    }
    free(scan->threads);
    for (int64_t i = 0; i < scan->product_count; i++)
        shim_product_free(scan->products[i]);
    free(scan->products);
    lanes_free(&scan->lanes);
    scratch_free(&scan->query_norms);
    scratch_free(&scan->keys);
    scratch_free(&scan->counts);
    scratch_free(&scan->limits);
    scratch_free(&scan->bounds);
    free(scan);
}

dfaiss_status_t exact_scan_create(team_t *team, exact_scan_t **out, dfaiss_error_t *err) {
    exact_scan_t *scan = calloc(1, sizeof *scan);
    if (scan) {
        scan->team = team;
        scan->threads = calloc((size_t)team_threads(team), sizeof *scan->threads);
    }
    if (!scan || !scan->threads) {
        exact_scan_destroy(scan);
        return error_memory(err, sizeof *scan, "searching");
    }
    *out = scan;
    return DFAISS_OK;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

/* Rows of one step: rows and scores fit a core's cache, and a step is far shorter than a slice. */
static int64_t tile_rows(int64_t dim, int64_t group) {
    int64_t by_rows = (1 << 17) / dim;
    int64_t by_scores = (1 << 18) / group;
    int64_t by_time = (INT64_C(1) << 25) / (dim * group);
    int64_t least = by_rows < by_scores ? by_rows : by_scores;
    return clamp(least < by_time ? least : by_time, CHUNK, MOST_ROWS);
}

/* Lanes that share the rows of one group of queries: two a thread where there are few groups, none too small to be worth waking a thread for. */
static int64_t share_count(const exact_scan_t *scan, int64_t groups) {
    const exact_job_t *job = &scan->job;
    int64_t threads = team_threads(scan->team);
    int64_t wanted = threads == 1 || groups >= 2 * threads ? 1 : (2 * threads + groups - 1) / groups;
    int64_t group = job->nq / groups;
    int64_t worthwhile = job->rows / clamp((1 << 18) / (job->dim * clamp(group, 1, 16)), 64, 4096);
    int64_t affordable = (INT64_C(1) << 26) / clamp(job->nq * (int64_t)scan->capacity, 1, INT64_C(1) << 26);
    int64_t shares = clamp(wanted, 1, clamp(worthwhile < affordable ? worthwhile : affordable, 1, wanted));
    int64_t needed = job->rows / UINT32_MAX + 1; /* a position in a share has 32 bits */
    return shares > needed ? shares : needed;
}

static dfaiss_status_t need_products(exact_scan_t *scan, int64_t groups, dfaiss_error_t *err) {
    if (groups > scan->product_count) {
        shim_product_t **products = realloc(scan->products, (size_t)groups * sizeof(shim_product_t *));
        if (!products)
            return error_memory(err, (size_t)groups * sizeof(shim_product_t *), "searching");
        scan->products = products;
    }
    for (; scan->product_count < groups; scan->product_count++) {
        int code = shim_product_new(&scan->products[scan->product_count]);
        if (code != SHIM_OK)
            return engine_failure(code, DFAISS_ERR_FAISS, "searching", err);
    }
    return DFAISS_OK;
}

static dfaiss_status_t prepare_products(exact_scan_t *scan, dfaiss_error_t *err) {
    const exact_job_t *job = &scan->job;
    TRY(need_products(scan, scan->lanes.groups, err));
    for (int64_t group = 0; group < scan->lanes.groups; group++) {
        const lane_t *lane = lanes_at(&scan->lanes, group * scan->lanes.shares);
        int code = shim_product_set(scan->products[group], (int)job->dim, (int)lane->queries, job->queries + lane->query * job->dim);
        if (code != SHIM_OK)
            return engine_failure(code, DFAISS_ERR_FAISS, "searching", err);
    }
    if (!job->larger_is_better)
        faiss_fvec_norms_L2sqr(scan->query_norms.data, job->queries, (size_t)job->dim, (size_t)job->nq);
    return DFAISS_OK;
}

static dfaiss_status_t prepare_slots(exact_scan_t *scan, dfaiss_error_t *err) {
    size_t slots, keys;
    if (!size_multiply((size_t)scan->job.nq, (size_t)scan->lanes.shares, &slots) || !size_multiply(slots, scan->capacity, &keys))
        return error_memory(err, SIZE_MAX, "searching");
    TRY(scratch_need(&scan->keys, keys, sizeof(uint64_t), err));
    TRY(scratch_need(&scan->counts, slots, sizeof(size_t), err));
    TRY(scratch_need(&scan->limits, slots, sizeof(uint64_t), err));
    TRY(scratch_need(&scan->bounds, slots, sizeof(float), err));
    size_t *counts = scan->counts.data;
    uint64_t *limits = scan->limits.data;
    float *bounds = scan->bounds.data;
    bool larger = scan->job.larger_is_better, has_radius = scan->job.has_radius;
    uint64_t limit = has_radius ? nearest_key(larger, scan->job.radius, 0) : UINT64_MAX;
    float bound = has_radius ? scan->job.radius : larger ? -INFINITY : INFINITY;
    for (size_t slot = 0; slot < slots; slot++) {
        counts[slot] = 0;
        limits[slot] = limit;
        bounds[slot] = bound;
    }
    return DFAISS_OK;
}

static dfaiss_status_t prepare_threads(exact_scan_t *scan, int64_t group, dfaiss_error_t *err) {
    size_t tile = (size_t)scan->tile;
    for (int i = 0; i < team_threads(scan->team); i++) {
        exact_thread_t *thread = &scan->threads[i];
        if (scan->job.copies || scan->job.gathers)
            TRY(scratch_need(&thread->rows, tile * (size_t)scan->job.dim, sizeof(float), err));
        if (scan->job.gathers)
            TRY(scratch_need(&thread->positions, tile, sizeof(uint32_t), err));
        TRY(scratch_need(&thread->scores, tile * (size_t)group, sizeof(float), err));
        TRY(scratch_need(&thread->norms, tile, sizeof(float), err));
        TRY(scratch_need(&thread->found_scores, scan->capacity, sizeof(float), err));
        TRY(scratch_need(&thread->found_rows, scan->capacity, sizeof(int64_t), err));
    }
    return DFAISS_OK;
}

dfaiss_status_t exact_scan_begin(exact_scan_t *scan, const exact_job_t *job, dfaiss_error_t *err) {
    if (job->k > INT32_MAX)
        return error_set(err, DFAISS_ERR_ARG, "k", "k is %" PRId64 "; at most %d is possible", job->k, INT32_MAX);
    scan->job = *job;
    int64_t groups = (job->nq + GROUP_QUERIES - 1) / GROUP_QUERIES;
    int64_t group = (job->nq + groups - 1) / groups;
    int64_t kept = job->k < job->rows ? job->k : job->rows;
    scan->capacity = 2 * (size_t)kept + 2 * CHUNK;
    scan->tile = tile_rows(job->dim, group < PRODUCT_QUERIES ? 1 : group);
    TRY(lanes_begin(&scan->lanes, job->nq, groups, share_count(scan, groups), err));
    for (int64_t i = 0; i < scan->lanes.count; i++) {
        lane_t *lane = lanes_at(&scan->lanes, i);
        lane->position = lane->offset = job->rows * lane->share / scan->lanes.shares; /* offset stays: where the share begins */
        lane->end = job->rows * (lane->share + 1) / scan->lanes.shares;
    }
    TRY(scratch_need(&scan->query_norms, (size_t)job->nq, sizeof(float), err));
    TRY(prepare_slots(scan, err));
    TRY(prepare_threads(scan, group, err));
    return job->nq < PRODUCT_QUERIES ? DFAISS_OK : prepare_products(scan, err);
}

static void keep(exact_scan_t *scan, size_t slot, float score, uint32_t position) {
    bool larger = scan->job.larger_is_better;
    uint64_t *limit = (uint64_t *)scan->limits.data + slot;
    uint64_t key = nearest_key(larger, score, position);
    if (key >= *limit)
        return;
    size_t *count = (size_t *)scan->counts.data + slot;
    uint64_t *keys = (uint64_t *)scan->keys.data + slot * scan->capacity;
    keys[(*count)++] = key;
    if (*count < scan->capacity)
        return;
    *count = (size_t)scan->job.k;
    *limit = nearest_select(keys, scan->capacity, *count);
    ((float *)scan->bounds.data)[slot] = nearest_key_score(larger, *limit);
}

/* Keeps a row of a tile, unless it may not be found. */
static void keep_row(exact_scan_t *scan, const lane_t *lane, size_t slot, float score, const tile_t *tile, int64_t i) {
    uint32_t position = tile->positions ? tile->positions[i] : tile->position + (uint32_t)i;
    int64_t row = lane->offset + position;
    if (!scan->job.next || tile->positions || scan->job.next(scan->job.context, row, row + 1) == row)
        keep(scan, slot, score, position);
}

/* Equal scores count, since the row decides. */
static inline bool reaches(bool larger_is_better, float score, float bound) {
    return larger_is_better ? score >= bound : score <= bound;
}

/* From an inner product to the score: |x - y|^2 = |x|^2 + |y|^2 - 2xy. */
static inline float score_of(bool larger_is_better, float product, float query_norm, float row_norm) {
    return larger_is_better ? product : query_norm + row_norm - 2 * product;
}

/* The compiler does not vectorize "any of these", so the vectors are written out; it makes of them what the processor has. */
typedef float eight_floats_t __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t eight_marks_t __attribute__((vector_size(32)));
typedef int64_t four_words_t __attribute__((vector_size(32)));

#define ANY(marks) ((((four_words_t)(marks))[0] | ((four_words_t)(marks))[1] | ((four_words_t)(marks))[2] | ((four_words_t)(marks))[3]) != 0)

#define EIGHT(from) (*(const eight_floats_t *)(from))

/* These look at every score. They mark the chunks in which any reaches its bound; few do, once the first rows are scanned. */
VECTORIZED static void mark_rows(bool larger_is_better, int64_t chunks, const float *scores, float bound, uint8_t *marks) {
    eight_floats_t bounds = {bound, bound, bound, bound, bound, bound, bound, bound};
    for (int64_t chunk = 0; chunk < chunks; chunk++, scores += CHUNK) {
        eight_floats_t low = EIGHT(scores), high = EIGHT(scores + 8);
        eight_marks_t reached = larger_is_better ? (low >= bounds) | (high >= bounds) : (low <= bounds) | (high <= bounds);
        marks[chunk] = ANY(reached);
    }
}

VECTORIZED static void mark_products(int64_t chunks, const float *products, const float *bounds, uint8_t *marks) {
    for (int64_t chunk = 0; chunk < chunks; chunk++, products += CHUNK, bounds += CHUNK) {
        eight_marks_t low = EIGHT(products) >= EIGHT(bounds);
        eight_marks_t high = EIGHT(products + 8) >= EIGHT(bounds + 8);
        marks[chunk] = ANY(low | high);
    }
}

VECTORIZED static void mark_distances(int64_t chunks, const float *products, const float *query_norms, float row_norm, const float *bounds,
                                      uint8_t *marks) {
    for (int64_t chunk = 0; chunk < chunks; chunk++, products += CHUNK, query_norms += CHUNK, bounds += CHUNK) {
        eight_floats_t low = EIGHT(query_norms) + row_norm - 2 * EIGHT(products);
        eight_floats_t high = EIGHT(query_norms + 8) + row_norm - 2 * EIGHT(products + 8);
        marks[chunk] = ANY((low <= EIGHT(bounds)) | (high <= EIGHT(bounds + 8)));
    }
}

/* Keeps what is good enough among the scores of a tile's rows for one query. */
static void sieve_rows(exact_scan_t *scan, const lane_t *lane, size_t slot, const float *scores, const tile_t *tile) {
    uint8_t marks[MOST_ROWS / CHUNK];
    const float *bound = (const float *)scan->bounds.data + slot;
    bool larger = scan->job.larger_is_better;
    int64_t chunks = tile->count / CHUNK;
    mark_rows(larger, chunks, scores, *bound, marks);
    for (int64_t chunk = 0; chunk <= chunks; chunk++) {
        if (chunk < chunks && !marks[chunk])
            continue;
        int64_t last = chunk < chunks ? (chunk + 1) * CHUNK : tile->count;
        for (int64_t i = chunk * CHUNK; i < last; i++)
            if (reaches(larger, scores[i], *bound))
                keep_row(scan, lane, slot, scores[i], tile, i);
    }
}

static void scan_row_by_row(exact_scan_t *scan, const lane_t *lane, const tile_t *tile, exact_thread_t *thread) {
    const exact_job_t *job = &scan->job;
    for (int64_t query = lane->query; query < lane->query + lane->queries; query++) {
        const float *x = job->queries + query * job->dim;
        if (job->larger_is_better)
            faiss_fvec_inner_products_ny(thread->scores.data, x, tile->rows, (size_t)job->dim, (size_t)tile->count);
        else
            faiss_fvec_L2sqr_ny(thread->scores.data, x, tile->rows, (size_t)job->dim, (size_t)tile->count);
        sieve_rows(scan, lane, (size_t)(lane->share * job->nq + query), thread->scores.data, tile);
    }
}

/* Keeps what is good enough among the products of a tile's row i with the queries of a lane. */
static void sieve_queries(exact_scan_t *scan, const lane_t *lane, const float *products, const float *query_norms, float row_norm, const tile_t *tile,
                          int64_t i) {
    uint8_t marks[GROUP_QUERIES / CHUNK];
    size_t slot = (size_t)(lane->share * scan->job.nq + lane->query);
    const float *bounds = (const float *)scan->bounds.data + slot;
    bool larger = scan->job.larger_is_better;
    int64_t chunks = lane->queries / CHUNK;
    if (larger)
        mark_products(chunks, products, bounds, marks);
    else
        mark_distances(chunks, products, query_norms, row_norm, bounds, marks);
    for (int64_t chunk = 0; chunk <= chunks; chunk++) {
        if (chunk < chunks && !marks[chunk])
            continue;
        int64_t last = chunk < chunks ? (chunk + 1) * CHUNK : lane->queries;
        for (int64_t query = chunk * CHUNK; query < last; query++) {
            float score = score_of(larger, products[query], query_norms[query], row_norm);
            if (!larger && score < 0)
                score = 0; /* rounding, where row and query are the same */
            if (reaches(larger, score, bounds[query]))
                keep_row(scan, lane, slot + (size_t)query, score, tile, i);
        }
    }
}

static dfaiss_status_t scan_by_product(exact_scan_t *scan, const lane_t *lane, const tile_t *tile, exact_thread_t *thread, dfaiss_error_t *err) {
    const exact_job_t *job = &scan->job;
    const float *products = thread->scores.data, *query_norms = (const float *)scan->query_norms.data + lane->query;
    float *norms = thread->norms.data;
    int code = shim_product_run(scan->products[lane->group], tile->count, tile->rows, thread->scores.data);
    if (code != SHIM_OK)
        return engine_failure(code, DFAISS_ERR_FAISS, "searching", err);
    if (!job->larger_is_better)
        faiss_fvec_norms_L2sqr(norms, tile->rows, (size_t)job->dim, (size_t)tile->count);
    for (int64_t i = 0; i < tile->count; i++)
        sieve_queries(scan, lane, products + i * lane->queries, query_norms, job->larger_is_better ? 0 : norms[i], tile, i);
    return DFAISS_OK;
}

/* The rows at the lane's position, which it moves behind them. */
static tile_t next_rows(const exact_scan_t *scan, lane_t *lane, exact_thread_t *thread) {
    int64_t left = lane->end - lane->position, count = left < scan->tile ? left : scan->tile;
    tile_t tile = {.position = (uint32_t)(lane->position - lane->offset)};
    if (count > 0)
        tile.rows = scan->job.rows_of(scan->job.context, lane->position, &count, thread->rows.data);
    tile.count = count;
    lane->position += count;
    return tile;
}

/* The next rows that may be found, put together. */
static tile_t gather_rows(const exact_scan_t *scan, lane_t *lane, exact_thread_t *thread) {
    const exact_job_t *job = &scan->job;
    uint32_t *positions = thread->positions.data;
    tile_t tile = {.rows = thread->rows.data, .positions = positions};
    int64_t end = lane->end - lane->position > MOST_PASSED ? lane->position + MOST_PASSED : lane->end;
    while (tile.rows && tile.count < scan->tile && (lane->position = job->next(job->context, lane->position, end)) < end) {
        int64_t one = 1;
        float *to = (float *)thread->rows.data + tile.count * job->dim;
        const float *row = job->rows_of(job->context, lane->position, &one, to);
        if (!row)
            tile.rows = NULL;
        else if (row != to)
            memcpy(to, row, (size_t)job->dim * sizeof *row);
        positions[tile.count++] = (uint32_t)(lane->position++ - lane->offset);
    }
    return tile;
}

static dfaiss_status_t scan_tile(void *context, lane_t *lane, int thread_number, dfaiss_error_t *err) {
    exact_scan_t *scan = context;
    exact_thread_t *thread = &scan->threads[thread_number];
    tile_t tile = scan->job.gathers ? gather_rows(scan, lane, thread) : next_rows(scan, lane, thread);
    if (tile.count > 0 && !tile.rows)
        return error_set(err, DFAISS_ERR_FAISS, "", "faiss could not give vectors back from their codes");
    if (tile.count > 0 && scan->job.nq < PRODUCT_QUERIES)
        scan_row_by_row(scan, lane, &tile, thread);
    else if (tile.count > 0)
        TRY(scan_by_product(scan, lane, &tile, thread, err));
    lane->scanned = lane->position >= lane->end;
    return DFAISS_OK;
}

/* Hands over what all shares found for a query. */
static void fold_query(void *context, lane_t *lane, int64_t query, int thread_number) {
    exact_scan_t *scan = context;
    exact_thread_t *thread = &scan->threads[thread_number];
    float *scores = thread->found_scores.data;
    int64_t *rows = thread->found_rows.data;
    bool larger = scan->job.larger_is_better;
    size_t k = (size_t)scan->job.k;
    for (int64_t share = 0; share < scan->lanes.shares; share++) {
        size_t slot = (size_t)(share * scan->job.nq + query);
        uint64_t *keys = (uint64_t *)scan->keys.data + slot * scan->capacity;
        size_t count = ((const size_t *)scan->counts.data)[slot];
        int64_t first = lanes_at(&scan->lanes, lane->group * scan->lanes.shares + share)->offset;
        if (count > k)
            nearest_select(keys, count, k);
        count = count < k ? count : k;
        nearest_sort(keys, count);
        for (size_t i = 0; i < count; i++) {
            scores[i] = nearest_key_score(larger, keys[i]);
            rows[i] = first + nearest_key_position(keys[i]);
        }
        scan->job.take(scan->job.context, query, (int64_t)count, scores, rows, thread_number);
    }
}

dfaiss_status_t exact_scan_run(exact_scan_t *scan, int64_t deadline, bool *done, dfaiss_error_t *err) {
    return lanes_run(&scan->lanes, scan->team, deadline, scan_tile, fold_query, scan, done, err);
}

int64_t exact_scan_progress(const exact_scan_t *scan) {
    int64_t scanned = 0;
    for (int64_t i = 0; i < scan->lanes.count; i++) {
        const lane_t *lane = lanes_at(&scan->lanes, i);
        scanned += lane->position - lane->offset;
    }
    return scanned / scan->lanes.groups;
}

/* ---- exact neighbours of whole files ---- */

typedef struct exact_merge {
    const float *vectors;
    int64_t dim, first_id, k;
    bool larger_is_better;
    float *scores;
    int64_t *ids;
    float *spare_scores; /* float[threads][k] */
    int64_t *spare_ids;
} exact_merge_t;

static const float *rows_of_file(void *context, int64_t row, int64_t *count, float *scratch) {
    const exact_merge_t *merge = context;
    (void)count;
    (void)scratch;
    return merge->vectors + row * merge->dim;
}

static void take_into_file(void *context, int64_t query, int64_t n, float *scores, int64_t *rows, int thread) {
    exact_merge_t *merge = context;
    for (int64_t i = 0; i < n; i++)
        rows[i] += merge->first_id;
    float *to_scores = merge->scores + query * merge->k;
    int64_t *to_ids = merge->ids + query * merge->k;
    nearest_merge(merge->larger_is_better, merge->k, nearest_count(merge->k, to_ids), to_scores, to_ids, n, scores, rows,
                  merge->spare_scores + thread * merge->k, merge->spare_ids + thread * merge->k);
}

static dfaiss_status_t run_whole(const exact_job_t *job, team_t *team, dfaiss_error_t *err) {
    exact_scan_t *scan = NULL;
    bool done = false;
    TRY(exact_scan_create(team, &scan, err));
    dfaiss_status_t status = exact_scan_begin(scan, job, err);
    if (status == DFAISS_OK)
        status = exact_scan_run(scan, INT64_MAX, &done, err);
    exact_scan_destroy(scan);
    return status;
}

dfaiss_status_t engine_exact_merge(config_metric_t metric, int64_t dim, int64_t nq, const float *queries, int64_t n, const float *vectors,
                                   int64_t first_id, int64_t k, float *scores, int64_t *ids, team_t *team, dfaiss_error_t *err) {
    if (dim < 1 || dim > INT_MAX / 64 || nq < 0 || n < 0 || k < 1)
        return error_set(err, DFAISS_ERR_ARG, "", "dim, the number of queries or k is out of range");
    if (nq == 0 || n == 0)
        return DFAISS_OK;
    size_t spare = (size_t)team_threads(team) * (size_t)k;
    exact_merge_t merge = {.vectors = vectors,
                           .dim = dim,
                           .first_id = first_id,
                           .k = k,
                           .larger_is_better = metric != CONFIG_METRIC_l2,
                           .scores = scores,
                           .ids = ids,
                           .spare_scores = malloc(spare * sizeof(float)),
                           .spare_ids = malloc(spare * sizeof(int64_t))};
    exact_job_t job = {.larger_is_better = merge.larger_is_better,
                       .dim = dim,
                       .nq = nq,
                       .queries = queries,
                       .k = k,
                       .rows = n,
                       .rows_of = rows_of_file,
                       .take = take_into_file,
                       .context = &merge};
    dfaiss_status_t status = merge.spare_scores && merge.spare_ids ? run_whole(&job, team, err) : error_memory(err, spare * 12, "exact neighbours");
    free(merge.spare_scores);
    free(merge.spare_ids);
    return status;
}
