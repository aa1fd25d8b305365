/* bench_lockstep: what physics leaves to a distributed index. As many shards as dfaiss has servers, of the same rows and the same trained centroids,
 * in one process without MPI: one thread a shard, all of them start a batch together, and when the last has ended one of them merges. */
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/clone_index_c.h>

#include "base/clock.h"
#include "base/memory.h"
#include "measure.h"
#include "plain_faiss.h"

typedef struct lockstep lockstep_t;

typedef struct shard {
    lockstep_t *lockstep;
    int64_t number;
    pthread_t thread; /* of all but shard 0, which the caller's thread serves */
    FaissIndex *index;
    float *distances; /* [capacity][k] */
    int64_t *rows;    /* [capacity][k] */
    int64_t capacity;
    dfaiss_status_t status;
    dfaiss_error_t err;
} shard_t;

typedef dfaiss_status_t shard_work_t(shard_t *shard, dfaiss_error_t *err);

struct lockstep {
    const bench_options_t *options;
    const dataset_t *dataset;
    bench_deal_t deal;
    shard_t *shards;
    bool barriers;
    pthread_barrier_t begin, end;
    shard_work_t *work; /* of this step; NULL: the threads end */
    int64_t nq;
    const float *queries;
};

/* ---- threads ---- */

static void work_on(shard_t *shard) {
    shard->status = shard->lockstep->work(shard, &shard->err);
}

static void *serve_shard(void *argument) {
    shard_t *shard = argument;
    lockstep_t *lockstep = shard->lockstep;
    omp_set_num_threads((int)lockstep->options->threads);
    for (;;) {
        pthread_barrier_wait(&lockstep->begin);
        if (!lockstep->work)
            return NULL;
        work_on(shard);
        pthread_barrier_wait(&lockstep->end);
    }
}

/* All shards do one piece of work together. */
static dfaiss_status_t step(lockstep_t *lockstep, shard_work_t *work, dfaiss_error_t *err) {
    lockstep->work = work;
    pthread_barrier_wait(&lockstep->begin);
    work_on(&lockstep->shards[0]);
    pthread_barrier_wait(&lockstep->end);
    for (int64_t i = 0; i < lockstep->options->shards; i++) {
        if (lockstep->shards[i].status != DFAISS_OK) {
            *err = lockstep->shards[i].err;
            return lockstep->shards[i].status;
        }
    }
    return DFAISS_OK;
}

/* A thread that does not start leaves the others waiting for it for ever: the process ends then, and they with it. */
static dfaiss_status_t start_threads(lockstep_t *lockstep, dfaiss_error_t *err) {
    unsigned shards = (unsigned)lockstep->options->shards;
    int failure = pthread_barrier_init(&lockstep->begin, NULL, shards);
    if (failure == 0)
        failure = pthread_barrier_init(&lockstep->end, NULL, shards);
    for (unsigned i = 1; failure == 0 && i < shards; i++)
        failure = pthread_create(&lockstep->shards[i].thread, NULL, serve_shard, &lockstep->shards[i]);
    if (failure)
        return error_system(err, "start", "the threads of the shards", failure);
    lockstep->barriers = true;
    omp_set_num_threads((int)lockstep->options->threads);
    return DFAISS_OK;
}

static void stop_threads(lockstep_t *lockstep) {
    if (!lockstep->barriers)
        return;
    lockstep->work = NULL;
    pthread_barrier_wait(&lockstep->begin);
    for (int64_t i = 1; i < lockstep->options->shards; i++)
        pthread_join(lockstep->shards[i].thread, NULL);
    pthread_barrier_destroy(&lockstep->begin);
    pthread_barrier_destroy(&lockstep->end);
}

/* ---- building ---- */

static dfaiss_status_t add_gathered(shard_t *shard, float *space, int64_t *gathered, dfaiss_error_t *err) {
    int64_t n = *gathered;
    *gathered = 0;
    return plain_faiss_check(faiss_Index_add(shard->index, n, space), "adding", err);
}

/* Gathers the batches that were dealt to this shard, and adds them in pieces as large as a server of dfaiss does. */
static dfaiss_status_t add_dealt(shard_t *shard, float *space, dfaiss_error_t *err) {
    const lockstep_t *lockstep = shard->lockstep;
    const bench_deal_t *deal = &lockstep->deal;
    int64_t dim = dataset_dim(lockstep->dataset), rows = bench_deal_rows(deal, shard->number), gathered = 0;
    for (int64_t row = 0; row < rows; row += deal->each) {
        int64_t n = rows - row < deal->each ? rows - row : deal->each;
        float *place = space + gathered * dim;
        const float *found = dataset_rows_at(lockstep->dataset, bench_deal_row(deal, shard->number, row), n, place);
        if (found != place)
            memcpy(place, found, (size_t)(n * dim) * sizeof *place);
        gathered += n;
        if (gathered >= BENCH_ADD_ROWS || row + n == rows)
            TRY(add_gathered(shard, space, &gathered, err));
    }
    return DFAISS_OK;
}

static dfaiss_status_t add(shard_t *shard, dfaiss_error_t *err) {
    size_t rows = (size_t)(BENCH_ADD_ROWS + shard->lockstep->deal.each), bytes = rows * (size_t)dataset_dim(shard->lockstep->dataset) * sizeof(float);
    float *space = malloc(bytes);
    if (!space)
        return error_memory(err, bytes, "vectors");
    dfaiss_status_t status = add_dealt(shard, space, err);
    free(space);
    return status;
}

/* Trained once, with the threads of all shards; every shard then has a copy of its own. */
static dfaiss_status_t train(lockstep_t *lockstep, double *seconds, dfaiss_error_t *err) {
    const bench_options_t *options = lockstep->options;
    FaissIndex *trained;
    omp_set_num_threads((int)(options->threads * options->shards));
    TRY(plain_faiss_train(options, lockstep->dataset, &trained, seconds, err));
    dfaiss_status_t status = plain_faiss_set_effort(options, trained, err);
    for (int64_t i = 0; status == DFAISS_OK && i < options->shards; i++)
        status = plain_faiss_check(faiss_clone_index(trained, &lockstep->shards[i].index), "copying the trained index", err);
    faiss_Index_free(trained);
    return status;
}

static dfaiss_status_t build(lockstep_t *lockstep, measure_built_t *built, dfaiss_error_t *err) {
    lockstep->deal = bench_deal(lockstep->dataset, lockstep->options->shards);
    TRY(train(lockstep, &built->train_seconds, err));
    TRY(start_threads(lockstep, err));
    double begun = clock_seconds();
    TRY(step(lockstep, add, err));
    built->ingest_seconds = clock_seconds() - begun;
    built->vectors = lockstep->deal.rows;
    return DFAISS_OK;
}

/* ---- searching ---- */

static dfaiss_status_t reserve(shard_t *shard, int64_t nq, dfaiss_error_t *err) {
    size_t hits = (size_t)(nq * shard->lockstep->options->k);
    if (nq <= shard->capacity)
        return DFAISS_OK;
    free(shard->distances);
    free(shard->rows);
    shard->capacity = 0;
    shard->distances = malloc(hits * sizeof *shard->distances);
    shard->rows = malloc(hits * sizeof *shard->rows);
    if (!shard->distances || !shard->rows)
        return error_memory(err, hits * (sizeof *shard->distances + sizeof *shard->rows), "hits");
    shard->capacity = nq;
    return DFAISS_OK;
}

static dfaiss_status_t search_shard(shard_t *shard, dfaiss_error_t *err) {
    const lockstep_t *lockstep = shard->lockstep;
    TRY(reserve(shard, lockstep->nq, err));
    return plain_faiss_check(faiss_Index_search(shard->index, lockstep->nq, lockstep->queries, lockstep->options->k, shard->distances, shard->rows),
                             "searching", err);
}

/* The shard that holds the next best hit of a query; `taken` says how many of each shard's are merged already. */
static int64_t best_shard(const lockstep_t *lockstep, int64_t query, const int64_t *taken) {
    int64_t best = -1, k = lockstep->options->k;
    float distance = 0;
    for (int64_t i = 0; i < lockstep->options->shards; i++) {
        const shard_t *shard = &lockstep->shards[i];
        int64_t place = query * k + taken[i];
        if (taken[i] == k || shard->rows[place] < 0 || (best >= 0 && shard->distances[place] >= distance))
            continue;
        best = i;
        distance = shard->distances[place];
    }
    return best;
}

static void merge_query(const lockstep_t *lockstep, int64_t query, int64_t *taken, int64_t *ids) {
    int64_t k = lockstep->options->k;
    memset(taken, 0, (size_t)lockstep->options->shards * sizeof *taken);
    for (int64_t i = 0; i < k; i++) {
        int64_t shard = best_shard(lockstep, query, taken);
        ids[i] = shard < 0 ? -1 : bench_deal_row(&lockstep->deal, shard, lockstep->shards[shard].rows[query * k + taken[shard]]);
        if (shard >= 0)
            taken[shard]++;
    }
}

static dfaiss_status_t search(void *context, int64_t nq, const float *queries, int64_t *ids, dfaiss_error_t *err) {
    lockstep_t *lockstep = context;
    int64_t *taken = malloc((size_t)lockstep->options->shards * sizeof *taken);
    if (!taken)
        return error_memory(err, (size_t)lockstep->options->shards * sizeof *taken, "merging");
    lockstep->nq = nq;
    lockstep->queries = queries;
    dfaiss_status_t status = step(lockstep, search_shard, err);
    for (int64_t query = 0; status == DFAISS_OK && query < nq; query++)
        merge_query(lockstep, query, taken, ids + query * lockstep->options->k);
    free(taken);
    return status;
}

/* ---- the program ---- */

static void clear(lockstep_t *lockstep) {
    stop_threads(lockstep);
    for (int64_t i = 0; lockstep->shards && i < lockstep->options->shards; i++) {
        if (lockstep->shards[i].index)
            faiss_Index_free(lockstep->shards[i].index);
        free(lockstep->shards[i].distances);
        free(lockstep->shards[i].rows);
    }
    free(lockstep->shards);
}

static dfaiss_status_t run(lockstep_t *lockstep, dfaiss_error_t *err) {
    const bench_options_t *options = lockstep->options;
    measure_built_t built = {0};
    dataset_t *dataset;
    lockstep->shards = calloc((size_t)options->shards, sizeof *lockstep->shards);
    if (!lockstep->shards)
        return error_memory(err, (size_t)options->shards * sizeof *lockstep->shards, "shards");
    for (int64_t i = 0; i < options->shards; i++)
        lockstep->shards[i] = (shard_t){.lockstep = lockstep, .number = i};
    TRY(bench_open(options->data, &dataset, err));
    lockstep->dataset = dataset;
    dfaiss_status_t status = build(lockstep, &built, err);
    dataset_close(dataset);
    TRY(status);
    built.rss_bytes = built.rss_servers = memory_resident();
    return measure_serve(options, &built, search, lockstep, err);
}

int main(int argc, char **argv) {
    bench_options_t options;
    dfaiss_error_t err = {0};
    lockstep_t lockstep = {.options = &options};
    dfaiss_status_t status = bench_options_parse(argc, argv, &options, &err);
    if (status == DFAISS_OK)
        status = run(&lockstep, &err);
    clear(&lockstep);
    return bench_exit("bench_lockstep", status, &err);
}
