/* What the engine's tests share: seeded data in clusters, one index with its store and search, brute force, and plain faiss from the same template.
 */
#ifndef TESTS_UNIT_TEST_ENGINE_H
#define TESTS_UNIT_TEST_ENGINE_H

#include "check.h"

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/index_io_c.h>
#include <math.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "engine/engine.h"

static const int64_t NEVER = INT64_MAX;

typedef struct world {
    index_config_t config;
    engine_template_t *template;
    engine_store_t *store;
    team_t *team;
    engine_search_t *search;
    int64_t dim, n, nq, k, effort;
    float *x;       /* normalised for cosine */
    float *queries; /* likewise */
    float *scores;
    int64_t *rows;
} world_t;

static inline index_config_t engine_config(const char *factory, int64_t dim, config_metric_t metric) {
    index_config_t config = {
        .dim = dim, .metric = metric, .centroids = 16, .code_size = 8, .bits_per_vector = 8, .store_n = 16, .ef_construction = 60};
    snprintf(config.faiss_factory, sizeof config.faiss_factory, "%s", factory);
    return config;
}

/* n vectors around 40 centres. */
static inline float *make_vectors(uint64_t seed, int64_t n, int64_t dim) {
    enum { CENTRES = 40 };
    float *x = malloc((size_t)(n * dim) * sizeof *x), *centres = malloc((size_t)(CENTRES * dim) * sizeof *centres);
    assert_non_null(x);
    assert_non_null(centres);
    random_state_t random = random_stream(7, 0);
    for (int64_t i = 0; i < CENTRES * dim; i++)
        centres[i] = (float)random_normal(&random);
    random = random_stream(seed, 1);
    for (int64_t i = 0; i < n; i++) {
        const float *centre = centres + (int64_t)random_below(&random, CENTRES) * dim;
        for (int64_t j = 0; j < dim; j++)
            x[i * dim + j] = centre[j] + 0.6f * (float)random_normal(&random);
    }
    free(centres);
    return x;
}

static inline void open_search(world_t *world, int threads) {
    dfaiss_error_t err;
    engine_search_destroy(world->search);
    team_destroy(world->team);
    world->search = NULL;
    world->team = NULL;
    assert_ok(team_create(threads, &world->team, &err), err);
    assert_ok(engine_search_create(world->template, world->team, &world->search, &err), err);
}

static inline void open_store(world_t *world, int64_t segment_rows) {
    dfaiss_error_t err;
    engine_store_destroy(world->store);
    world->store = NULL;
    assert_ok(engine_store_create(world->template, segment_rows, &world->store, &err), err);
}

/* A trained index over n generated vectors, with an empty store. */
static inline world_t open_world(index_config_t config, int64_t n, int64_t nq, int threads) {
    dfaiss_error_t err;
    world_t world = {.config = config, .dim = config.dim, .n = n, .nq = nq, .k = 10, .effort = 4};
    world.x = make_vectors(1, n, config.dim);
    world.queries = make_vectors(2, nq, config.dim);
    if (config.metric == CONFIG_METRIC_cosine) {
        element_normalize(world.x, n, config.dim);
        element_normalize(world.queries, nq, config.dim);
    }
    world.scores = malloc((size_t)nq * 1000 * sizeof *world.scores);
    world.rows = malloc((size_t)nq * 1000 * sizeof *world.rows);
    assert_ok(engine_template_create(&world.config, n, &world.template, &err), err);
    if (!engine_template_trained(world.template))
        assert_ok(engine_template_train(world.template, n, world.x, &err), err);
    open_store(&world, 0);
    open_search(&world, threads);
    return world;
}

static inline void close_world(world_t *world) {
    engine_search_destroy(world->search);
    engine_store_destroy(world->store);
    engine_template_destroy(world->template);
    team_destroy(world->team);
    free(world->x);
    free(world->queries);
    free(world->scores);
    free(world->rows);
}

/* Builds rows first to last - 1 in, in blocks of `piece`, and links them; the last one is sealed. */
static inline void build_rows(world_t *world, int64_t first, int64_t last, int64_t piece) {
    dfaiss_error_t err;
    for (int64_t at = first; at < last; at += piece) {
        int64_t count = last - at < piece ? last - at : piece;
        engine_block_t *block = NULL;
        assert_ok(engine_block_build(world->store, at, count, world->x + at * world->dim, at + count == last, &block, &err), err);
        int64_t expected = engine_store_rows(world->store) + engine_block_rows(block);
        while (!engine_block_link(world->store, block, clock_nanoseconds())) /* a deadline that is past */
            ;
        assert_int_equal(engine_store_rows(world->store), expected);
        engine_block_destroy(block);
    }
    assert_int_equal(engine_store_rows(world->store), last);
}

/* Searches the store in slices that end `slice` nanoseconds after they begin (NEVER: one slice). */
static inline void search_store(world_t *world, int64_t slice) {
    dfaiss_error_t err;
    bool done = false;
    while (!done)
        assert_ok(engine_search_store(world->search, world->store, slice == NEVER ? NEVER : clock_nanoseconds() + slice, &done, &err), err);
}

static inline void search_all(world_t *world, int64_t slice) {
    dfaiss_error_t err;
    assert_ok(engine_search_begin(world->search, world->nq, world->queries, world->k, world->effort, &err), err);
    search_store(world, slice);
    engine_search_end(world->search, world->scores, world->rows);
}

/* The exact k nearest rows among n vectors, by (score, row), with sums in double. */
static inline void brute_force(const world_t *world, int64_t n, const float *x, int64_t *rows) {
    bool l2 = world->config.metric == CONFIG_METRIC_l2;
    double *best = malloc((size_t)world->k * sizeof *best);
    for (int64_t query = 0; query < world->nq; query++) {
        int64_t held = 0, *found = rows + query * world->k;
        for (int64_t row = 0; row < n; row++) {
            double score = 0;
            for (int64_t j = 0; j < world->dim; j++) {
                double a = world->queries[query * world->dim + j], b = x[row * world->dim + j];
                score += l2 ? (a - b) * (a - b) : -a * b;
            }
            int64_t at = held < world->k ? held++ : world->k - 1;
            if (at == world->k - 1 && held == world->k && row >= world->k && score >= best[at])
                continue;
            for (; at > 0 && best[at - 1] > score; at--) {
                best[at] = best[at - 1];
                found[at] = found[at - 1];
            }
            best[at] = score;
            found[at] = row;
        }
        for (; held < world->k; held++)
            found[held] = -1;
    }
    free(best);
}

/* The share of the expected rows that was found, averaged over the queries. */
static inline double recall(const world_t *world, const int64_t *found, const int64_t *expected) {
    int64_t hits = 0;
    for (int64_t query = 0; query < world->nq; query++)
        for (int64_t i = 0; i < world->k; i++)
            for (int64_t j = 0; j < world->k; j++)
                hits += found[query * world->k + i] == expected[query * world->k + j] && expected[query * world->k + j] >= 0;
    return (double)hits / (double)(world->nq * world->k);
}

static inline void assert_same_rows(const world_t *world, const int64_t *rows, const int64_t *expected) {
    for (int64_t i = 0; i < world->nq * world->k; i++)
        if (rows[i] != expected[i])
            fail_msg("query %d place %d: row %d, expected %d", (int)(i / world->k), (int)(i % world->k), (int)rows[i], (int)expected[i]);
}

static inline double score_in_double(const world_t *world, int64_t query, int64_t row) {
    double score = 0;
    for (int64_t j = 0; j < world->dim; j++) {
        double a = world->queries[query * world->dim + j], b = world->x[row * world->dim + j];
        score += world->config.metric == CONFIG_METRIC_l2 ? (a - b) * (a - b) : a * b;
    }
    return score;
}

/* The rows of brute force, or others whose scores differ by no more than rounding. */
static inline void assert_nearest_rows(const world_t *world, const int64_t *expected) {
    for (int64_t i = 0; i < world->nq * world->k; i++) {
        assert_int_equal(world->rows[i] < 0, expected[i] < 0);
        if (expected[i] < 0)
            continue;
        double score = score_in_double(world, i / world->k, expected[i]), allowed = 1e-5 * (fabs(score) + 1);
        if (fabs(score_in_double(world, i / world->k, world->rows[i]) - score) > allowed || fabs(world->scores[i] - score) > allowed)
            fail_msg("query %d place %d: row %d, expected %d", (int)(i / world->k), (int)(i % world->k), (int)world->rows[i], (int)expected[i]);
    }
}

/* Sorted as promised, every row once and in range, -1 only at the end. */
static inline void assert_well_formed(const world_t *world, int64_t n) {
    bool l2 = world->config.metric == CONFIG_METRIC_l2;
    for (int64_t query = 0; query < world->nq; query++) {
        const float *scores = world->scores + query * world->k;
        const int64_t *rows = world->rows + query * world->k;
        for (int64_t i = 0; i < world->k; i++) {
            assert_true(rows[i] >= -1 && rows[i] < n);
            for (int64_t j = 0; rows[i] >= 0 && j < i; j++)
                assert_int_not_equal(rows[i], rows[j]);
            if (i == 0 || rows[i] < 0)
                continue;
            assert_true(rows[i - 1] >= 0);
            assert_true(l2 ? scores[i - 1] <= scores[i] : scores[i - 1] >= scores[i]);
            assert_true(scores[i - 1] != scores[i] || rows[i - 1] < rows[i]);
        }
    }
}

/* ---- bitmaps of rows, and rankings from which they choose ---- */

/* The bits of few rows, as the engine takes them; for the block of code that it stands in. */
#define one_block(words) ((const uint64_t *const[]){words})

static inline bool is_set(const uint64_t *words, int64_t row) {
    return words[row / 64] >> (row % 64) & 1;
}

static inline void set_row(uint64_t *words, int64_t row) {
    words[row / 64] |= UINT64_C(1) << (row % 64);
}

static inline int64_t count_set(const uint64_t *words, int64_t n) {
    int64_t count = 0;
    for (int64_t row = 0; row < n; row++)
        count += is_set(words, row);
    return count;
}

/* Everything that an index holds, in its own order for every query. */
typedef struct ranking {
    int64_t n;
    float *scores; /* float[nq][n] */
    int64_t *rows;
} ranking_t;

static inline ranking_t rank_all(world_t *world) {
    size_t places = (size_t)(world->nq * world->n);
    ranking_t ranking = {.n = world->n, .scores = malloc(sizeof(float) * places), .rows = malloc(sizeof(int64_t) * places)};
    world_t all = *world;
    all.k = world->n;
    all.effort = world->n;
    all.scores = ranking.scores;
    all.rows = ranking.rows;
    search_all(&all, NEVER);
    return ranking;
}

static inline void free_ranking(ranking_t *ranking) {
    free(ranking->scores);
    free(ranking->rows);
}

static inline bool nearly(float a, float b) {
    return fabsf(a - b) <= 1e-4f * (fabsf(a) + fabsf(b) + 1);
}

/* What was found are the first of the ranking that are set, up to rounding among equal scores. */
static inline void assert_first_of(const world_t *world, const char *factory, const ranking_t *ranking, const uint64_t *words) {
    for (int64_t query = 0; query < world->nq; query++) {
        int64_t at = query * world->k, last = at + world->k;
        for (int64_t i = query * ranking->n; i < (query + 1) * ranking->n && at < last; i++) {
            if (ranking->rows[i] < 0 || !is_set(words, ranking->rows[i]))
                continue;
            if (!nearly(ranking->scores[i], world->scores[at]))
                fail_msg("%s: query %d place %d: score %g, expected %g", factory, (int)query, (int)(at % world->k), (double)world->scores[at],
                         (double)ranking->scores[i]);
            at++;
        }
        assert_true(at == last || world->rows[at] == -1);
    }
}

/* The address space that this process may take from now on, beyond what it has; RLIM_INFINITY: all. Nothing under a sanitizer, whose own memory fits
 * no limit: false then. */
static inline bool limit_memory(rlim_t more) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)more;
    return false;
#else
    struct rlimit limit;
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_true(file && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = more == RLIM_INFINITY ? limit.rlim_max : (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    return true;
#endif
}

/* Plain faiss: the trained template as faiss reads it, with the same vectors and parameters. */
static inline FaissIndex *plain_faiss(const world_t *world, int64_t n) {
    dfaiss_error_t err;
    bytes_writer_t bytes = {.data = NULL};
    FaissIndex *index = NULL;
    FaissParameterSpace *space = NULL;
    assert_ok(engine_template_write(world->template, &bytes, &err), err);
    FILE *stream = fmemopen(bytes.data, bytes.size, "r");
    assert_int_equal(faiss_read_index(stream, 0, &index), 0);
    fclose(stream);
    bytes_writer_destroy(&bytes);
    assert_int_equal(faiss_Index_add(index, n, world->x), 0);
    faiss_ParameterSpace_new(&space);
    (void)faiss_ParameterSpace_set_index_parameter(space, index, "nprobe", (double)world->effort);
    (void)faiss_ParameterSpace_set_index_parameter(space, index, "efSearch", (double)(world->effort > world->k ? world->effort : world->k));
    faiss_ParameterSpace_free(space);
    return index;
}

#endif
