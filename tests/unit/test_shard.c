/* A shard in one process: whatever moment rows move from waiting to indexed, a search finds each of them once. */
#include "check.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "shard/search.h"
#include "shard/training.h"

enum { DIM = 8, K = 12, SEED = 4711 };

static dfaiss_error_t error;
static team_t *team;

static index_config_t *parse(const char *text) {
    index_config_t *config = NULL;
    assert_ok(index_config_parse(text, strlen(text), "test", &config, &error), error);
    return config;
}

static shard_t *make_shard(const char *config) {
    shard_t *shard = NULL;
    assert_ok(shard_create("test", parse(config), 1000, 0, team, &shard, &error), error);
    return shard;
}

static float *make_vectors(int64_t n, uint64_t stream) {
    float *vectors = memory_map((size_t)n * DIM * sizeof *vectors);
    assert_non_null(vectors);
    random_state_t random = random_stream(SEED, stream);
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i] = (float)(int64_t)random_below(&random, 50) - 25;
    return vectors;
}

/* Appends n random vectors as one batch whose ids go on from the last. */
static void append(shard_t *shard, int64_t n, uint64_t stream) {
    shard_batch_t batch = {.n = n,
                           .first_id = shard_rows(shard),
                           .element = ELEMENT_f32,
                           .vectors = make_vectors(n, stream),
                           .vector_bytes = (size_t)n * DIM * sizeof(float)};
    assert_ok(shard_append(shard, &batch, NULL, 0, &error), error);
}

/* What a server's builder does with everything that waits. */
static void build_all(shard_t *shard) {
    bool work = true;
    shard_flush(shard);
    while (work) {
        assert_ok(shard_build_prepare(shard, &work, &error), error);
        if (!work)
            break;
        dfaiss_status_t status = shard_build_work(shard, &error);
        assert_ok(status, error);
        shard_build_done(shard, status);
        if (!shard_advance(shard, INT64_MAX))
            break;
    }
}

static void finish(shard_search_t *search, shard_t *shard, topk_t *hits) {
    bool done = false;
    while (!done) {
        shard_advance(shard, INT64_MAX);
        assert_ok(shard_search_step(search, 0, &done, &error), error);
    }
    shard_search_result(search, hits);
    shard_search_destroy(search);
}

static void search_whole(shard_t *shard, const float *query, topk_t *hits) {
    shard_search_t *search = NULL;
    assert_ok(shard_search_create(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = K}, &search, &error), error);
    finish(search, shard, hits);
}

static void assert_same(const topk_t *a, const topk_t *b) {
    for (int i = 0; i < K; i++) {
        assert_int_equal(a->ids[i], b->ids[i]);
        assert_true(a->scores[i] == b->scores[i]);
    }
}

static void *make_hits(topk_t *hits) {
    size_t bytes = 0;
    assert_true(topk_bytes(1, K, &bytes));
    void *block = malloc(bytes);
    assert_non_null(block);
    *hits = topk_view(block, 1, K);
    return block;
}

/* A search is stopped after each of its first steps, everything is indexed and linked in, and the search goes on. */
static void check_links_during_a_search(const char *config, int64_t batch) {
    float *query = make_vectors(1, 99);
    topk_t expected, found;
    void *expected_block = make_hits(&expected), *found_block = make_hits(&found);
    for (int steps = 0; steps < 12; steps++) {
        shard_t *shard = make_shard(config);
        shard_search_t *search = NULL;
        bool done = false;
        for (uint64_t stream = 0; shard_rows(shard) < 3000; stream++)
            append(shard, batch, stream);
        search_whole(shard, query, &expected);
        assert_ok(shard_search_create(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = K}, &search, &error), error);
        for (int step = 0; step < steps && !done; step++)
            assert_ok(shard_search_step(search, 0, &done, &error), error);
        build_all(shard);
        if (done) {
            shard_search_result(search, &found);
            shard_search_destroy(search);
        } else {
            finish(search, shard, &found);
        }
        assert_same(&found, &expected);
        build_all(shard);
        search_whole(shard, query, &found);
        assert_same(&found, &expected);
        shard_destroy(shard);
    }
    free(found_block);
    free(expected_block);
    memory_unmap(query, DIM * sizeof *query);
}

static void test_links_during_a_search_flat(void **state) {
    (void)state;
    check_links_during_a_search("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}", 3000);
    check_links_during_a_search("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"segment_rows\": 1024}", 700);
}

static void test_rows_have_ids_and_metadata(void **state) {
    (void)state;
    shard_t *shard = make_shard("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}");
    append(shard, 10, 1);
    shard_batch_t batch = {.n = 2,
                           .element = ELEMENT_f32,
                           .vectors = make_vectors(2, 2),
                           .vector_bytes = 2 * DIM * sizeof(float),
                           .ids = malloc(2 * sizeof(int64_t)),
                           .metadata_ends = malloc(2 * sizeof(uint64_t)),
                           .metadata = (uint8_t *)strdup("abc")};
    memcpy(batch.ids, (int64_t[]){500, 77}, 2 * sizeof(int64_t));
    memcpy(batch.metadata_ends, (uint64_t[]){1, 3}, 2 * sizeof(uint64_t));
    assert_ok(shard_append(shard, &batch, NULL, 0, &error), error);
    int64_t id = -1;
    const uint8_t *metadata;
    size_t size;
    assert_true(shard_row(shard, 4, &id, &metadata, &size));
    assert_int_equal(id, 4);
    assert_int_equal(size, 0);
    assert_true(shard_row(shard, 11, &id, &metadata, &size));
    assert_int_equal(id, 77);
    assert_int_equal(size, 2);
    assert_memory_equal(metadata, "bc", 2);
    assert_false(shard_row(shard, 12, &id, &metadata, &size));
    assert_false(shard_row(shard, -1, &id, &metadata, &size));
    assert_int_equal(shard_next_id(shard), 501);
    shard_destroy(shard);
}

static shard_batch_t batch_with_ids(int64_t n, const int64_t *ids) {
    shard_batch_t batch = {.n = n,
                           .element = ELEMENT_f32,
                           .vectors = make_vectors(n, 3),
                           .vector_bytes = (size_t)n * DIM * sizeof(float),
                           .ids = malloc((size_t)n * sizeof *ids)};
    memcpy(batch.ids, ids, (size_t)n * sizeof *ids);
    return batch;
}

static void append_ids(shard_t *shard, int64_t n, const int64_t *ids) {
    shard_batch_t batch = batch_with_ids(n, ids);
    assert_ok(shard_append(shard, &batch, NULL, 0, &error), error);
}

static void refuse_ids(shard_t *shard, int64_t n, const int64_t *ids, const char *named) {
    int64_t rows = shard_rows(shard);
    shard_batch_t batch = batch_with_ids(n, ids);
    assert_fails(shard_append(shard, &batch, NULL, 0, &error), DFAISS_ERR_ARG, error, named);
    assert_int_equal(shard_rows(shard), rows);
    shard_batch_clear(&batch);
}

static void test_ids_of_a_batch_differ(void **state) {
    (void)state;
    enum { N = 5000 };
    const int64_t last = INT64_MAX - 1;
    int64_t many[N];
    random_state_t random = random_stream(SEED, 7);
    shard_t *shard = make_shard("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}");
    refuse_ids(shard, 2, (int64_t[]){5, 5}, "id 5 is twice");
    refuse_ids(shard, 4, (int64_t[]){last, 3, 0, last}, "id 9223372036854775806 is twice");
    refuse_ids(shard, 3, (int64_t[]){1, -2, 1}, "id -2 of vector 1");
    refuse_ids(shard, 2, (int64_t[]){1, INT64_MAX}, "out of range");
    append_ids(shard, 1, (int64_t[]){7});
    append_ids(shard, 4, (int64_t[]){0, 256, 65536, last});
    /* Ids that are equal in most of their bytes, in no order. */
    append_ids(shard, 6, (int64_t[]){0x0200000000000100, 0x0100000000000200, 0x0100000000000100, 0x0200000000000200, 0x100, 0x200});
    for (int64_t i = 0; i < N; i++)
        many[i] = (int64_t)(random_u64(&random) >> 2) / N * N + i;
    append_ids(shard, N, many);
    many[4321] = many[17];
    char named[64];
    snprintf(named, sizeof named, "id %lld is twice", (long long)many[17]);
    refuse_ids(shard, N, many, named);
    shard_destroy(shard);
}

static void test_equal_scores_stand_by_id(void **state) {
    (void)state;
    enum { N = 300 };
    shard_t *shard = make_shard("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}");
    shard_batch_t batch = {.n = N,
                           .element = ELEMENT_f32,
                           .vectors = memory_map(N * DIM * sizeof(float)),
                           .vector_bytes = N * DIM * sizeof(float),
                           .ids = malloc(N * sizeof(int64_t))};
    for (int i = 0; i < N; i++)
        batch.ids[i] = (i * 7919) % N;
    assert_ok(shard_append(shard, &batch, NULL, 0, &error), error);
    float query[DIM] = {0};
    size_t bytes = 0;
    assert_true(topk_bytes(1, N, &bytes));
    void *block = malloc(bytes);
    topk_t hits = topk_view(block, 1, N);
    shard_search_t *search = NULL;
    assert_ok(shard_search_create(shard, &(shard_question_t){.nq = 1, .dim = DIM, .queries = query, .k = N}, &search, &error), error);
    finish(search, shard, &hits);
    for (int i = 0; i < N; i++)
        assert_int_equal(hits.ids[i], i);
    free(block);
    shard_destroy(shard);
}

/* The number of lists follows from the rows that the index has, not from the none that were here before it was loaded. */
static void test_restored_rows_count_for_centroids(void **state) {
    (void)state;
    enum { ROWS = 400, LISTS = 40 };
    shard_t *shard = NULL;
    shard_batch_t *batches = calloc(1, sizeof *batches);
    size_t bytes = ROWS * DIM * sizeof(float);
    *batches = (shard_batch_t){.n = ROWS, .element = ELEMENT_f32, .vectors = make_vectors(ROWS, 8), .vector_bytes = bytes};
    shard_restored_t restored = {
        .config = parse("{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 8, \"infer_centroids\": true}"),
        .batches = batches,
        .batch_count = 1,
    };
    assert_ok(attribute_schema_create(NULL, "test", &restored.schema, &error), error);
    assert_ok(shard_restore("test", &restored, ROWS, 0, team, &shard, &error), error);
    assert_ok(shard_sample(shard, ELEMENT_f32, ROWS, make_vectors(ROWS, 8), bytes, &error), error);
    training_t *training = NULL;
    assert_ok(training_create(shard, ROWS, 1, &training, &error), error);
    assert_int_equal(training_drawn_rows(training), 0);
    assert_ok(training_work(training, &error), error);
    engine_template_t *template = training_take(training);
    training_destroy(training);
    assert_int_equal(engine_template_lists(template), LISTS);
    engine_template_destroy(template);
    shard_destroy(shard);
}

static void test_placement_lists_is_refused(void **state) {
    (void)state;
    shard_t *shard = NULL;
    index_config_t *config = parse("{\"index_builder_type\": \"flat\", \"dim\": 8, \"placement\": \"lists\"}");
    assert_fails(shard_create("test", config, 0, 0, team, &shard, &error), DFAISS_ERR_UNSUPPORTED, error, "placement");
    index_config_destroy(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links_during_a_search_flat), cmocka_unit_test(test_rows_have_ids_and_metadata),
        cmocka_unit_test(test_ids_of_a_batch_differ),      cmocka_unit_test(test_equal_scores_stand_by_id),
        cmocka_unit_test(test_placement_lists_is_refused), cmocka_unit_test(test_restored_rows_count_for_centroids),
    };
    if (team_create(2, &team, &error) != DFAISS_OK)
        return 1;
    printf("seed %d\n", SEED);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    team_destroy(team);
    return failures;
}
