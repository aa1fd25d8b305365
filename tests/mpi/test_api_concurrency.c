/* Many clients at once: what they add to the same indexes is neither lost nor doubled, searches are answered whatever else goes on, and who leaves
 * does not disturb the others. Nothing is timed: what is asserted is what came, and in which order. */
#include "api_job.h"

#include <time.h>

enum { DIM = 8, K = 10, INDEXES = 3, BATCHES = 12, EACH = 25, SHARE = BATCHES * EACH, GONE_TAG = 1, BEGUN_TAG, ENDED_TAG };

static const struct {
    const char *name, *config;
    bool own_ids;
    bool trains;
} indexes[INDEXES] = {
    {.name = "plain", .config = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"buffer_bsz\": 100}", .own_ids = true},
    {.name = "numbered", .config = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"segment_rows\": 1024}"},
    {
        .name = "lists",
        .config = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 8, \"centroids\": 16, \"nprobe\": 16, \"train_num\": 60,"
                  " \"buffer_bsz\": 64}",
        .own_ids = true,
        .trains = true,
    },
};

static int compare_ids(const void *a, const void *b) {
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return first < second ? -1 : first > second;
}

/* Vectors that differ from each other, so that each finds itself alone. */
static float *different_vectors(int64_t n, int64_t dim, uint64_t stream) {
    float *vectors = api_vectors(n, dim, stream);
    for (int64_t i = 0; i < n; i++) {
        vectors[i * dim] = (float)(i % 200);
        vectors[i * dim + 1] = (float)(i / 200);
    }
    return vectors;
}

static void assert_finds(const char *index, int64_t dim, const float *vector, int64_t id) {
    dfaiss_result_t *result;
    assert_ok(dfaiss_search(job.client, 1, &index, 1, dim, vector, 1, NULL, &result, &job.error), job.error);
    assert_int_equal(dfaiss_result_ids(result)[0], id);
    assert_true(dfaiss_result_scores(result)[0] == 0);
    dfaiss_result_destroy(result);
}

/* ---- nothing is lost or doubled ---- */

/* Adds a batch, and searches for one of its vectors, which must be found from now on. */
static void add_and_find(int index, const float *base, int64_t first, int64_t *ids_out) {
    int64_t ids[EACH];
    for (int i = 0; i < EACH; i++)
        ids[i] = first + i;
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = EACH, .dim = DIM, .vectors = base + first * DIM, .ids = indexes[index].own_ids ? ids : NULL};
    assert_ok(dfaiss_add(job.client, indexes[index].name, &batch, ids_out, &job.error), job.error);
    int64_t place = first % EACH + (first / EACH) % EACH;
    place %= EACH;
    assert_finds(indexes[index].name, DIM, base + (first + place) * DIM, ids_out[place]);
}

/* The ids of an index are those that the clients know of, each once. */
static void check_ids(int index, int64_t *own) {
    int64_t *all = malloc((size_t)(job.clients * SHARE) * sizeof *all), *ids, n;
    assert_non_null(all);
    memcpy(all + job.number * SHARE, own, SHARE * sizeof *all);
    for (int client = 0; client < job.clients; client++)
        api_share(client, all + client * SHARE, SHARE * sizeof *all);
    qsort(all, (size_t)(job.clients * SHARE), sizeof *all, compare_ids);
    for (int64_t i = 1; i < job.clients * SHARE; i++)
        assert_true(all[i - 1] < all[i]);
    assert_ok(dfaiss_get_ids(job.client, indexes[index].name, &ids, &n, &job.error), job.error);
    assert_int_equal(n, job.clients * SHARE);
    assert_memory_equal(ids, all, (size_t)n * sizeof *ids);
    free(ids);
    free(all);
}

static void test_nothing_is_lost_or_doubled(void **state) {
    (void)state;
    static int64_t ids[INDEXES][SHARE];
    int64_t rows = job.clients * SHARE;
    float *base = different_vectors(rows, DIM, 1);
    for (int index = 0; index < INDEXES && job.number == 0; index++)
        api_create(indexes[index].name, indexes[index].config, indexes[index].own_ids);
    api_barrier();
    for (int batch = 0; batch < BATCHES; batch++) {
        for (int turn = 0; turn < INDEXES; turn++) {
            int index = (turn + job.number) % INDEXES;
            add_and_find(index, base, job.number * SHARE + batch * EACH, ids[index] + batch * EACH);
        }
    }
    api_barrier();
    for (int index = 0; index < INDEXES; index++) {
        assert_int_equal(api_ntotal(indexes[index].name), rows);
        check_ids(index, ids[index]);
        for (int64_t i = job.number; i < SHARE; i += 37)
            assert_finds(indexes[index].name, DIM, base + (job.number * SHARE + i) * DIM, ids[index][i]);
        if (indexes[index].own_ids)
            api_check_exact(indexes[index].name, false, base, rows, DIM, base + job.number * SHARE * DIM, 10, K);
        if (indexes[index].trains)
            assert_ok(dfaiss_wait_state(job.client, indexes[index].name, DFAISS_TRAINED, 60, &job.error), job.error);
    }
    api_barrier();
    for (int index = 0; index < INDEXES && job.number == 0; index++)
        api_drop(indexes[index].name);
    free(base);
}

/* Each client makes, fills, searches, saves and drops indexes of its own, under names that others have had. */
static void test_indexes_come_and_go(void **state) {
    (void)state;
    float *base = different_vectors(200, DIM, 2);
    for (int round = 0; round < 3; round++) {
        char name[32];
        snprintf(name, sizeof name, "visitor-%d", (job.number + round) % job.clients);
        api_create(name, indexes[round % 2 * 2].config, true);
        api_add(name, base, DIM, 0, 200, 40);
        assert_ok(dfaiss_save_index(job.client, name, NULL, &job.error), job.error);
        api_check_exact(name, false, base, 200, DIM, base, 5, K);
        assert_ok(dfaiss_load_index(job.client, name, NULL, true, &job.error), job.error);
        api_check_exact(name, false, base, 200, DIM, base, 5, K);
        api_drop(name);
        api_barrier();
    }
    free(base);
}

/* ---- changes while others search ---- */

/* Every id is found once in every search, with an old vector or with the new one. */
static void search_while_updated(int64_t n, const float *query) {
    const char *index = "changing";
    dfaiss_result_t *result;
    int ended = 0;
    while (!ended) {
        MPI_Iprobe(0, ENDED_TAG, job.fellows, &ended, MPI_STATUS_IGNORE);
        assert_ok(dfaiss_search(job.client, 1, &index, 1, DIM, query, 2 * n, NULL, &result, &job.error), job.error);
        assert_int_equal(dfaiss_result_count(result, 0), n);
        int64_t seen = 0;
        for (int64_t i = 0; i < n; i++) {
            assert_false(seen >> dfaiss_result_ids(result)[i] & 1);
            seen |= (int64_t)1 << dfaiss_result_ids(result)[i];
        }
        dfaiss_result_destroy(result);
    }
    MPI_Recv(NULL, 0, MPI_BYTE, 0, ENDED_TAG, job.fellows, MPI_STATUS_IGNORE);
}

static void update_all(int64_t n, const int64_t *ids, int rounds) {
    for (int round = 1; round <= rounds; round++) {
        float *vectors = api_vectors(n, DIM, 100 + (uint64_t)round);
        dfaiss_batch_t batch = {.element = DFAISS_F32, .n = n, .dim = DIM, .vectors = vectors, .ids = ids};
        assert_ok(dfaiss_update(job.client, "changing", &batch, &job.error), job.error);
        api_check_exact("changing", false, vectors, n, DIM, vectors, 3, K);
        free(vectors);
    }
    for (int client = 1; client < job.clients; client++)
        MPI_Send(NULL, 0, MPI_BYTE, client, ENDED_TAG, job.fellows);
}

static void test_update_beside_searches(void **state) {
    (void)state;
    enum { N = 50 };
    int64_t ids[N];
    float *base = api_vectors(N, DIM, 3);
    for (int i = 0; i < N; i++)
        ids[i] = i;
    if (job.number == 0) {
        api_create("changing", indexes[0].config, true);
        api_add("changing", base, DIM, 0, N, 10);
    }
    api_barrier();
    if (job.number == 0)
        update_all(N, ids, 20);
    else
        search_while_updated(N, base);
    api_barrier();
    if (job.number == 0)
        api_drop("changing");
    free(base);
}

/* Each client removes ids of its own; what it has removed it never finds again, and what it has not it does. */
static void test_removal_beside_searches(void **state) {
    (void)state;
    enum { MINE = 60, EACH_TIME = 6 };
    int64_t rows = job.clients * MINE, first = job.number * MINE, ids[EACH_TIME], removed;
    float *base = different_vectors(rows, DIM, 4);
    if (job.number == 0) {
        api_create("shrinking", indexes[2].config, true);
        api_add("shrinking", base, DIM, 0, rows, 20);
    }
    api_barrier();
    for (int64_t begin = 0; begin < MINE - EACH_TIME; begin += EACH_TIME) {
        for (int64_t i = 0; i < EACH_TIME; i++)
            ids[i] = first + begin + i;
        assert_ok(dfaiss_remove_ids(job.client, "shrinking", EACH_TIME, ids, &removed, &job.error), job.error);
        assert_int_equal(removed, EACH_TIME);
        assert_finds("shrinking", DIM, base + (first + begin + EACH_TIME) * DIM, first + begin + EACH_TIME);
        const char *index = "shrinking";
        dfaiss_result_t *result;
        assert_ok(dfaiss_search(job.client, 1, &index, 1, DIM, base + first * DIM, rows, NULL, &result, &job.error), job.error);
        for (int64_t i = 0; i < dfaiss_result_count(result, 0); i++)
            assert_false(dfaiss_result_ids(result)[i] >= first && dfaiss_result_ids(result)[i] < first + begin + EACH_TIME);
        dfaiss_result_destroy(result);
    }
    api_barrier();
    assert_int_equal(api_ntotal("shrinking"), job.clients * EACH_TIME);
    api_barrier();
    if (job.number == 0)
        api_drop("shrinking");
    free(base);
}

/* ---- single queries beside large batches ---- */

enum { WIDE = 64, WIDE_ROWS = 40000, LARGE = 1000, AT_ONCE = 4, ROUNDS = 3 };

static void search_large_batches(const float *base, int client_beside) {
    const char *index = "wide";
    for (int round = 0; round < ROUNDS; round++) {
        dfaiss_request_t *requests[AT_ONCE];
        dfaiss_result_t *result;
        for (int i = 0; i < AT_ONCE; i++)
            assert_ok(dfaiss_search_start(job.client, 1, &index, LARGE, WIDE, base + i * WIDE, K, NULL, &requests[i], &job.error), job.error);
        MPI_Send(NULL, 0, MPI_BYTE, client_beside, BEGUN_TAG, job.fellows);
        for (int i = 0; i < AT_ONCE; i++) {
            assert_ok(dfaiss_request_wait(requests[i], &result, &job.error), job.error);
            for (int query = 0; query < LARGE; query++)
                assert_int_equal(dfaiss_result_ids(result)[query * K], query + i);
            dfaiss_result_destroy(result);
        }
        MPI_Send(NULL, 0, MPI_BYTE, client_beside, ENDED_TAG, job.fellows);
    }
}

/* Single queries that were asked and answered while batches were under way. */
static int64_t search_beside_batches(const float *base) {
    int64_t answered = 0;
    int ended = 0;
    MPI_Recv(NULL, 0, MPI_BYTE, 0, BEGUN_TAG, job.fellows, MPI_STATUS_IGNORE);
    for (int64_t row = 0;; row = (row + 7919) % WIDE_ROWS) {
        assert_finds("wide", WIDE, base + row * WIDE, row);
        MPI_Iprobe(0, ENDED_TAG, job.fellows, &ended, MPI_STATUS_IGNORE);
        if (ended)
            break;
        answered++;
    }
    MPI_Recv(NULL, 0, MPI_BYTE, 0, ENDED_TAG, job.fellows, MPI_STATUS_IGNORE);
    return answered;
}

static void test_single_queries_beside_batches(void **state) {
    (void)state;
    if (job.clients < 2)
        skip();
    float *base = job.number < 2 ? different_vectors(WIDE_ROWS, WIDE, 5) : NULL;
    if (job.number == 0) {
        api_create("wide", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 64}", true);
        api_add("wide", base, WIDE, 0, WIDE_ROWS, 1000);
        assert_ok(dfaiss_flush(job.client, "wide", &job.error), job.error);
    }
    api_barrier();
    if (job.number == 0)
        search_large_batches(base, 1);
    int64_t answered = 0;
    for (int i = 0; i < ROUNDS && job.number == 1; i++)
        answered += search_beside_batches(base);
    /* Stuck behind the batches, there would be at most one a round. */
    if (job.number == 1)
        assert_true(answered > 2 * ROUNDS);
    api_barrier();
    if (job.number == 0)
        api_drop("wide");
    free(base);
}

/* ---- training beside searching, with two threads each ---- */

enum { TRAIN_ROWS = 6000, TRAIN_DIM = 32, TRAIN_ROUNDS = 20, ANSWERED = 20 };

static void begin_to_train(const float *base) {
    api_create("trained",
               "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 32, \"centroids\": 64, \"nprobe\": 64, \"threads\": 2,"
               " \"buffer_bsz\": 500}",
               true);
    assert_ok(dfaiss_set_threads(job.client, 2, &job.error), job.error);
    api_add("trained", base, TRAIN_DIM, 0, TRAIN_ROWS, 500);
    assert_ok(dfaiss_train_start(job.client, "trained", &job.error), job.error);
}

/* How many searches were asked and answered while training went on: it did before, and it still does afterwards. */
static int64_t search_until_trained(const float *base) {
    int64_t answered = 0;
    dfaiss_state_t before = api_state("trained");
    for (int64_t row = job.number; before != DFAISS_TRAINED; row = (row + 7919) % TRAIN_ROWS) {
        assert_finds("trained", TRAIN_DIM, base + row * TRAIN_DIM, row);
        dfaiss_state_t after = api_state("trained");
        answered += before == DFAISS_TRAINING && after == DFAISS_TRAINING;
        before = after;
    }
    return answered;
}

static int64_t sum_of_clients(int64_t mine) {
    int64_t sum = 0;
    for (int client = 0; client < job.clients; client++) {
        int64_t one = mine;
        api_share(client, &one, sizeof one);
        sum += one;
    }
    return sum;
}

/* Where searches waited for the end of a training, or the other way round, none would be answered beside one, or it would never end. */
static void test_training_beside_searches(void **state) {
    (void)state;
    float *base = different_vectors(TRAIN_ROWS, TRAIN_DIM, 6);
    int64_t answered = 0;
    for (int round = 0; round < TRAIN_ROUNDS && answered < ANSWERED; round++) {
        if (job.number == 0)
            begin_to_train(base);
        api_barrier();
        answered += sum_of_clients(search_until_trained(base));
        for (int64_t row = job.number; row < TRAIN_ROWS; row += TRAIN_ROWS / 10)
            assert_finds("trained", TRAIN_DIM, base + row * TRAIN_DIM, row);
        api_barrier();
        if (job.number == 0)
            api_drop("trained");
    }
    assert_true(answered >= ANSWERED);
    free(base);
}

/* ---- clients that leave ---- */

/* Clients of odd numbers leave at once, with a search and an add under way; the others go on, and find what was added. Who leaves waits in
 * dfaiss_client_destroy until both have ended, so that what was lent to them outlives the test. */
static float lent[EACH * DIM];
static int64_t lent_ids[EACH];

static void leave_early(void) {
    const char *index = "left";
    dfaiss_request_t *search, *add;
    for (int i = 0; i < EACH; i++) {
        lent_ids[i] = job.number * EACH + i;
        for (int d = 0; d < DIM; d++)
            lent[i * DIM + d] = (float)(job.number + i * d);
    }
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = EACH, .dim = DIM, .vectors = lent, .ids = lent_ids};
    assert_ok(dfaiss_add_start(job.client, index, &batch, NULL, &add, &job.error), job.error);
    assert_ok(dfaiss_search_start(job.client, 1, &index, EACH, DIM, lent, K, NULL, &search, &job.error), job.error);
    MPI_Send(NULL, 0, MPI_BYTE, 0, GONE_TAG, job.fellows);
}

static void stay(const float *base) {
    int leavers = job.clients / 2;
    for (int i = 0; i < leavers && job.number == 0; i++)
        MPI_Recv(NULL, 0, MPI_BYTE, MPI_ANY_SOURCE, GONE_TAG, job.fellows, MPI_STATUS_IGNORE);
    for (int64_t row = 0; row < 200; row += 10)
        assert_finds("left", DIM, base + row * DIM, 1000 + row);
    while (api_ntotal("left") < 200 + leavers * EACH)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(api_ntotal("left"), 200 + leavers * EACH);
}

static void test_clients_leave_early(void **state) {
    (void)state;
    float *base = different_vectors(200, DIM, 7);
    int64_t ids[200];
    for (int i = 0; i < 200; i++)
        ids[i] = 1000 + i;
    for (int64_t i = 0; i < 200 * DIM; i++)
        base[i] += 1000; /* far from what the leaving clients add */
    if (job.number == 0) {
        dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 200, .dim = DIM, .vectors = base, .ids = ids};
        api_create("left", indexes[0].config, true);
        assert_ok(dfaiss_add(job.client, "left", &batch, NULL, &job.error), job.error);
    }
    api_barrier();
    if (job.number % 2)
        leave_early();
    else
        stay(base);
    free(base);
}

static int run_all(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost_or_doubled),    cmocka_unit_test(test_indexes_come_and_go),
        cmocka_unit_test(test_update_beside_searches),        cmocka_unit_test(test_removal_beside_searches),
        cmocka_unit_test(test_single_queries_beside_batches), cmocka_unit_test(test_training_beside_searches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int run_leaving(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clients_leave_early)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static int two_thirds(int ranks) {
    return ranks * 2 / 3;
}

int main(int argc, char **argv) {
    const api_phase_t phases[] = {{.run = run_all, .threads = 2}, {.run = run_leaving}};
    return api_job_main(argc, argv, two_thirds, 2, phases);
}
