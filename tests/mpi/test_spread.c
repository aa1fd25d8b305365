/* An index that some servers have saved is loaded by any other number of them, without training and without the client sending anything: it answers
 * as before, every server has its share, and more can be added, removed and saved. The last rank is the client.
 */
#include "api_job.h"

#include <math.h>

#include "base/random.h"

enum { DIM = 16, ROWS = 2400, MORE = 300, ALL = ROWS + MORE, LATE = 200, BATCH = 50, QUERIES = 40, K = 10, SEED = 20261125, MOST = 8 };

/* PROBES: the same, but with a filter more lists are probed where a server finds too little in its own, which depends on how many there are. */
typedef enum comparing { SAME, PROBES, RECALL, FOUND } comparing_t;

/* How an index can be divided: between any two rows, between the indexes that faiss makes, or not at all, since every server has trained for itself.
 */
typedef enum moves { ANYWHERE, BLOBS, PARTS } moves_t;

typedef struct kind {
    const char *name;
    const char *config;
    bool trained;
    bool waits; /* rows wait to be indexed when it is saved */
    comparing_t comparing;
    moves_t moves;
} kind_t;

#define COMMON "\"metric\": \"l2\", \"dim\": 16, \"train_num\": 0, \"train_ratio\": 1, \"attributes\": {\"year\": \"int\", \"word\": \"string\"}"
static const kind_t kinds[] = {
    {"flat", "{\"index_builder_type\": \"flat\", \"segment_rows\": 1024, " COMMON "}", false, true, SAME, ANYWHERE},
    {"untrained", "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 16, " COMMON "}", false, true, SAME, ANYWHERE},
    {"ivf", "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 8, \"nprobe\": 4, " COMMON "}", true, false, PROBES, ANYWHERE},
    {"exact", "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 16, \"nprobe\": 16, " COMMON "}", true, true, SAME, ANYWHERE},
    {"pq", "{\"index_builder_type\": \"knnlm\", \"centroids\": 8, \"code_size\": 8, \"nprobe\": 4, " COMMON "}", true, false, PROBES, ANYWHERE},
    {"pcasq", "{\"faiss_factory\": \"PCA8,SQ8\", " COMMON "}", true, false, SAME, ANYWHERE},
    {"hnsw", "{\"index_builder_type\": \"hnswsq\", \"store_n\": 16, \"nprobe\": 64, " COMMON "}", true, true, RECALL, ANYWHERE},
    {"pcahnsw", "{\"faiss_factory\": \"PCA16,HNSW16,Flat\", \"nprobe\": 64, " COMMON "}", true, true, RECALL, ANYWHERE},
    {"hnswpq", "{\"faiss_factory\": \"HNSW16,PQ8\", \"nprobe\": 64, " COMMON "}", true, false, FOUND, ANYWHERE},
    {"local", "{\"index_builder_type\": \"ivf_simple\", \"training\": \"local\", \"centroids\": 4, \"nprobe\": 4, " COMMON "}", true, true, SAME,
     PARTS},
    {"opaque", "{\"faiss_factory\": \"IVF16,PQ8x4fs\", \"nprobe\": 3, " COMMON "}", true, false, FOUND, BLOBS},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* By how many servers indexes are saved, and loaded. */
static const int savers[] = {1, 2, 3, 4, 7, 8};
enum { SAVERS = sizeof savers / sizeof savers[0] };

typedef struct answer {
    int64_t ids[QUERIES * K];
    float scores[QUERIES * K];
} answer_t;

static answer_t answers[KINDS][SAVERS], filtered[KINDS][SAVERS];
static float *base, *queries;
static const char filter[] = "year in (2001, 2004) and word != 'w3'";

/* ---- rows ---- */

/* Ids follow each other now and then. */
static int64_t id_of(int64_t row) {
    return row < ROWS / 2 ? 3 * row + 1 : 100000 + row;
}

static int64_t row_of(int64_t id) {
    return id < 100000 ? (id - 1) / 3 : id - 100000;
}

/* Some here and there, and a stretch. */
static bool is_removed(int64_t row) {
    return row < ALL && (row % 11 == 5 || (row >= 300 && row < 700));
}

static bool matches(int64_t row) {
    return (row % 5 == 1 || row % 5 == 4) && row % 7 != 3;
}

static int64_t living(void) {
    int64_t count = 0;
    for (int64_t row = 0; row < ALL; row++)
        count += !is_removed(row);
    return count;
}

static float *make_vectors(int64_t n, uint64_t stream) {
    float *vectors = malloc((size_t)n * DIM * sizeof *vectors);
    assert_non_null(vectors);
    random_state_t random = random_stream(SEED, stream);
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i] = (float)random_below(&random, 1 << 20) / (1 << 16);
    return vectors;
}

static void add(const char *index, int64_t first, int64_t n) {
    for (int64_t row = first; row < first + n; row += BATCH) {
        int64_t ids[BATCH];
        uint64_t ends[BATCH];
        char text[BATCH * 64];
        size_t size = 0;
        for (int64_t i = 0; i < BATCH; i++) {
            ids[i] = id_of(row + i);
            if ((row + i) % 10 != 9)
                size += (size_t)snprintf(text + size, sizeof text - size, "{\"year\": %d, \"word\": \"w%d\", \"row\": %d}",
                                         (int)(2000 + (row + i) % 5), (int)((row + i) % 7), (int)(row + i));
            ends[i] = size;
        }
        dfaiss_batch_t batch = {
            .element = DFAISS_F32, .n = BATCH, .dim = DIM, .vectors = base + row * DIM, .ids = ids, .metadata = text, .metadata_ends = ends};
        assert_ok(dfaiss_add(job.client, index, &batch, NULL, &job.error), job.error);
    }
}

static void remove_some(const char *index) {
    int64_t ids[ALL], n = 0, removed = 0;
    for (int64_t row = 0; row < ALL; row++)
        if (is_removed(row))
            ids[n++] = id_of(row);
    assert_ok(dfaiss_remove_ids(job.client, index, n, ids, &removed, &job.error), job.error);
    assert_int_equal(removed, n);
}

/* ---- answers ---- */

/* Every hit has its own metadata. */
static void check_metadata(const dfaiss_result_t *result) {
    const int64_t *ids = dfaiss_result_ids(result);
    for (int64_t i = 0; i < QUERIES * K; i++) {
        size_t size = 0;
        char expected[32];
        if (ids[i] < 0)
            continue;
        int64_t row = row_of(ids[i]);
        assert_false(is_removed(row));
        const char *text = dfaiss_result_metadata(result, i / K, i % K, &size);
        int length = row % 10 == 9 ? 0 : snprintf(expected, sizeof expected, "\"row\": %d}", (int)row);
        assert_true(length == 0 ? size == 0 : size > (size_t)length && memcmp(text + size - length, expected, (size_t)length) == 0);
    }
}

static void search(const char *index, const char *by, answer_t *answer) {
    dfaiss_result_t *result = NULL;
    dfaiss_search_options_t options = {.filter = by, .metadata = true};
    assert_ok(dfaiss_search(job.client, 1, &index, QUERIES, DIM, queries, K, &options, &result, &job.error), job.error);
    memcpy(answer->ids, dfaiss_result_ids(result), sizeof answer->ids);
    memcpy(answer->scores, dfaiss_result_scores(result), sizeof answer->scores);
    check_metadata(result);
    dfaiss_result_destroy(result);
}

static bool near(float a, float b) {
    return fabsf(a - b) <= 1e-5F * fabsf(a);
}

/* The same ids, but where scores are as good as equal. */
static void expect_same(const char *index, const answer_t *before, const answer_t *after) {
    for (int i = 0; i < QUERIES * K; i++) {
        bool tie = (i % K > 0 && near(before->scores[i], before->scores[i - 1])) ||
                   (i % K < K - 1 && near(before->scores[i], before->scores[i + 1])) || i % K == K - 1;
        bool none = before->ids[i] < 0 && after->ids[i] < 0;
        if (!none && (!near(before->scores[i], after->scores[i]) || (before->ids[i] != after->ids[i] && !tie)))
            fail_msg("index %s, query %d, place %d: id %lld with score %.9g before, id %lld with score %.9g after", index, i / K, i % K,
                     (long long)before->ids[i], (double)before->scores[i], (long long)after->ids[i], (double)after->scores[i]);
    }
}

static float distance(const float *a, const float *b) {
    float sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* The share of hits that are not farther than the k-th neighbour. */
static double recall(const answer_t *answer) {
    int found = 0;
    for (int query = 0; query < QUERIES; query++) {
        const float *vector = queries + query * DIM;
        for (int i = 0; i < K && answer->ids[query * K + i] >= 0; i++) {
            float score = distance(vector, base + row_of(answer->ids[query * K + i]) * DIM);
            int nearer = 0;
            for (int64_t row = 0; row < ALL; row++)
                nearer += !is_removed(row) && distance(vector, base + row * DIM) < score;
            found += nearer < K;
        }
    }
    return (double)found / (QUERIES * K);
}

static void expect_filtered(const answer_t *answer) {
    for (int i = 0; i < QUERIES * K; i++)
        assert_true(answer->ids[i] >= 0 && (row_of(answer->ids[i]) % 10 == 9 || matches(row_of(answer->ids[i]))));
}

/* Loses nothing by more than `tolerance`. */
static void expect_recall(const char *index, const answer_t *before, const answer_t *after, double tolerance) {
    if (recall(after) < recall(before) - tolerance)
        fail_msg("index %s: recall was %.4f and is %.4f", index, recall(before), recall(after));
}

static void compare(const kind_t *kind, const char *index, const answer_t *before, const answer_t *after) {
    if (kind->comparing <= PROBES)
        expect_same(index, before, after);
    else
        expect_recall(index, before, after, kind->comparing == RECALL ? 0.01 : 0.05);
}

/* ---- saving ---- */

static void name_index(const kind_t *kind, int saved_by, char name[64]) {
    snprintf(name, 64, "%s-%d", kind->name, saved_by);
}

static int number_of(int servers) {
    int i = 0;
    while (savers[i] != servers)
        i++;
    return i;
}

static void build(const kind_t *kind) {
    char index[64];
    name_index(kind, job.servers, index);
    api_create(index, kind->config, true);
    add(index, 0, ROWS);
    if (kind->trained) {
        assert_ok(dfaiss_train(job.client, index, &job.error), job.error);
        assert_ok(dfaiss_flush(job.client, index, &job.error), job.error);
    }
    /* What comes afterwards is in a second file. */
    assert_ok(dfaiss_save_index(job.client, index, NULL, &job.error), job.error);
    add(index, ROWS, MORE);
    remove_some(index);
    if (!kind->waits)
        assert_ok(dfaiss_flush(job.client, index, &job.error), job.error);
    search(index, NULL, &answers[kind - kinds][number_of(job.servers)]);
    search(index, filter, &filtered[kind - kinds][number_of(job.servers)]);
    assert_ok(dfaiss_save_index(job.client, index, NULL, &job.error), job.error);
}

/* Of kinds that are much like another one a few numbers are enough. */
static bool is_tried(const kind_t *kind, int servers) {
    static const char *const everywhere[] = {"flat", "ivf", "hnsw", "opaque"};
    for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++)
        if (strcmp(kind->name, everywhere[i]) == 0)
            return true;
    return servers == 3 || servers == 8;
}

static void saves(void **state) {
    (void)state;
    for (int i = 0; i < KINDS; i++)
        if (is_tried(&kinds[i], job.servers))
            build(&kinds[i]);
}

static int run_save(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(saves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ---- loading ---- */

static void expect_balance(const kind_t *kind, const char *index) {
    dfaiss_statistics_t statistics[MOST];
    double average = (double)living() / job.servers;
    assert_ok(dfaiss_get_statistics(job.client, index, statistics, &job.error), job.error);
    for (int i = 0; i < job.servers; i++) {
        double most = kind->comparing <= PROBES ? 1.01 * average + 40 : 1.13 * average + 80;
        if (kind->moves == ANYWHERE && (double)statistics[i].vectors > most)
            fail_msg("index %s: server %d of %d has %lld vectors, %.1f are the average", index, i, job.servers, (long long)statistics[i].vectors,
                     average);
    }
}

static void expect_ids(const char *index) {
    int64_t *ids = NULL, n = 0, row = 0;
    assert_ok(dfaiss_get_ids(job.client, index, &ids, &n, &job.error), job.error);
    assert_int_equal(n, living());
    for (int64_t i = 0; i < n; i++, row++) {
        while (is_removed(row))
            row++;
        assert_int_equal(ids[i], id_of(row));
    }
    free(ids);
}

static void check_loaded(const kind_t *kind, int saved_by) {
    answer_t found;
    char index[64];
    int number = (int)(kind - kinds), saver = number_of(saved_by);
    name_index(kind, saved_by, index);
    if (kind->moves == PARTS && job.servers < saved_by) {
        assert_fails(dfaiss_load_index(job.client, index, NULL, false, &job.error), DFAISS_ERR_UNSUPPORTED, job.error, "training \"local\"");
        return;
    }
    assert_ok(dfaiss_load_index(job.client, index, NULL, false, &job.error), job.error);
    assert_int_equal(api_ntotal(index), living());
    search(index, NULL, &found);
    compare(kind, index, &answers[number][saver], &found);
    search(index, filter, &found);
    expect_filtered(&found);
    if (kind->comparing != PROBES)
        compare(kind, index, &filtered[number][saver], &found);
    expect_ids(index);
    if (job.servers != saved_by)
        expect_balance(kind, index);
    if (kind->trained) {
        assert_ok(dfaiss_flush(job.client, index, &job.error), job.error);
        assert_int_equal(api_state(index), DFAISS_TRAINED);
        search(index, NULL, &found);
        compare(kind, index, &answers[number][saver], &found);
    } else if (kind->moves == ANYWHERE && strcmp(kind->name, "untrained") == 0) {
        assert_int_equal(api_state(index), DFAISS_NOT_TRAINED);
    }
}

static void answers_as_before(void **state) {
    (void)state;
    for (int i = 0; i < KINDS; i++)
        for (int saver = 0; saver < SAVERS; saver++)
            if (is_tried(&kinds[i], savers[saver]))
                check_loaded(&kinds[i], savers[saver]);
}

static int run_load(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_as_before)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ---- going on ---- */

/* Indexes that three servers have saved are loaded by others, which add, remove and save. */
enum { GROWN = 3 };

static answer_t grown[KINDS];

/* Those that answer alike whether rows wait or not. */
static bool grows(const kind_t *kind) {
    return kind->waits;
}

static void grow(void **state) {
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        char index[64];
        int64_t removed = 0, gone[] = {id_of(0), id_of(1), id_of(ROWS + 1)};
        if (!grows(&kinds[i]))
            continue;
        name_index(&kinds[i], GROWN, index);
        assert_ok(dfaiss_load_index(job.client, index, NULL, false, &job.error), job.error);
        add(index, ALL, LATE);
        assert_ok(dfaiss_remove_ids(job.client, index, 3, gone, &removed, &job.error), job.error);
        assert_int_equal(removed, 3);
        search(index, NULL, &grown[i]);
        assert_ok(dfaiss_save_index(job.client, index, NULL, &job.error), job.error);
    }
}

static void has_grown(void **state) {
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        answer_t found;
        char index[64];
        if (!grows(&kinds[i]) || (kinds[i].moves == PARTS && job.servers < 4))
            continue;
        name_index(&kinds[i], GROWN, index);
        assert_ok(dfaiss_load_index(job.client, index, NULL, false, &job.error), job.error);
        assert_int_equal(api_ntotal(index), living() + LATE - 3);
        search(index, NULL, &found);
        if (kinds[i].comparing == SAME)
            expect_same(index, &grown[i], &found);
        assert_ok(dfaiss_save_index(job.client, index, NULL, &job.error), job.error);
    }
}

static int run_grow(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(grow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int run_grown(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(has_grown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv) {
    const api_phase_t phases[] = {{1, run_save, 0}, {2, run_save, 0},  {3, run_save, 0},  {4, run_save, 0}, {7, run_save, 0}, {8, run_save, 0},
                                  {1, run_load, 0}, {2, run_load, 0},  {3, run_load, 0},  {4, run_load, 0}, {7, run_load, 0}, {8, run_load, 0},
                                  {4, run_grow, 0}, {4, run_grown, 0}, {2, run_grown, 0}, {7, run_grown, 0}};
    base = make_vectors(ALL + LATE, 1);
    queries = make_vectors(QUERIES, 2);
    int failed = api_job_main(argc, argv, api_one, (int)(sizeof phases / sizeof *phases), phases);
    free(base);
    free(queries);
    return failed;
}
