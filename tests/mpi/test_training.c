/* Training, and how far indexes are: what is trained on, what goes on meanwhile, how failures are told, and that it starts by itself.
 *
 * The linker puts functions of this file in the place of some that servers call: they rest, fail or find no memory while there is a file of that name
 * in the storage, so that no test depends on how long training takes. */
#include "api_job.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "engine/engine.h"

enum { DIM = 16, K = 10 };

/* ---- what servers meet ---- */

dfaiss_status_t __real_engine_template_train(engine_template_t *template, int64_t n, const float *x, dfaiss_error_t *err);
dfaiss_status_t __wrap_engine_template_train(engine_template_t *template, int64_t n, const float *x, dfaiss_error_t *err);
dfaiss_status_t __real_engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                          dfaiss_error_t *err);
dfaiss_status_t __wrap_engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                          dfaiss_error_t *err);
size_t __real_memory_available(void);
size_t __wrap_memory_available(void);

/* Every training leaves a line with the size of its sample. */
static void note_training(int64_t n) {
    char path[512];
    api_path("trainings", path);
    FILE *file = fopen(path, "a");
    if (!file)
        return;
    fprintf(file, "%lld\n", (long long)n);
    fclose(file);
}

/* How many there were, and the vectors of all of them. */
static int trainings(int64_t *vectors) {
    char path[512];
    long long n;
    int count = 0;
    *vectors = 0;
    api_path("trainings", path);
    FILE *file = fopen(path, "r");
    for (; file && fscanf(file, "%lld", &n) == 1; count++)
        *vectors += n;
    if (file)
        fclose(file);
    return count;
}

dfaiss_status_t __wrap_engine_template_train(engine_template_t *template, int64_t n, const float *x, dfaiss_error_t *err) {
    note_training(n);
    while (api_is_marked("no-end"))
        api_rest();
    if (api_is_marked("no-success"))
        return error_set(err, DFAISS_ERR_FAISS, "", "training on %lld vectors fails", (long long)n);
    return __real_engine_template_train(template, n, x, err);
}

dfaiss_status_t __wrap_engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                          dfaiss_error_t *err) {
    if (api_is_marked("no-blocks"))
        return error_memory(err, (size_t)n, "a block");
    return __real_engine_block_build(store, first, n, x, seal, out, err);
}

size_t __wrap_memory_available(void) {
    return api_is_marked("no-memory") ? 1000 : __real_memory_available();
}

/* ---- what clients do ---- */

static const char *const lists_config = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 8}";

static void start_over(void) {
    static const char *const names[] = {"trainings", "no-end", "no-success", "no-blocks", "no-memory"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        api_unmark(names[i]);
}

static void wait_for(const char *index, dfaiss_state_t state) {
    assert_ok(dfaiss_wait_state(job.client, index, state, 60, &job.error), job.error);
}

static void assert_state(const char *index, dfaiss_state_t state) {
    assert_string_equal(dfaiss_state_name(api_state(index)), dfaiss_state_name(state));
}

static void test_states(void **state) {
    (void)state;
    start_over();
    int64_t n = 400, vectors;
    float *base = api_vectors(n, DIM, 1);
    api_create("states", lists_config, true);
    assert_state("states", DFAISS_NOT_TRAINED);
    assert_fails(dfaiss_train(job.client, "states", &job.error), DFAISS_ERR_CONFIG, job.error, "there are 0");
    api_add("states", base, DIM, 0, n, 20);
    assert_state("states", DFAISS_NOT_TRAINED);
    wait_for("states", DFAISS_NOT_TRAINED);
    assert_fails(dfaiss_wait_state(job.client, "states", DFAISS_TRAINED, 2, &job.error), DFAISS_ERR_TIMEOUT, job.error, "NOT_TRAINED");
    assert_fails(dfaiss_flush(job.client, "states", &job.error), DFAISS_ERR_STATE, job.error, "states");
    api_check_exact("states", false, base, n, DIM, base, 10, K);
    assert_ok(dfaiss_train(job.client, "states", &job.error), job.error);
    wait_for("states", DFAISS_TRAINING);
    wait_for("states", DFAISS_ADD);
    wait_for("states", DFAISS_TRAINED);
    assert_state("states", DFAISS_TRAINED);
    assert_int_equal(trainings(&vectors), 1);
    assert_int_equal(vectors, n);
    assert_fails(dfaiss_train(job.client, "states", &job.error), DFAISS_ERR_STATE, job.error, "trained already");
    assert_fails(dfaiss_train_start(job.client, "states", &job.error), DFAISS_ERR_STATE, job.error, "trained already");
    api_check_exact("states", false, base, n, DIM, base, 10, K);
    api_drop("states");
    assert_fails(dfaiss_train(job.client, "states", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "states");
    free(base);
}

static void check_kind(const char *config, bool trained) {
    float *base = api_vectors(300, DIM, 2);
    api_create("kind", config, true);
    assert_state("kind", trained ? DFAISS_TRAINED : DFAISS_NOT_TRAINED);
    api_add("kind", base, DIM, 0, 300, 50);
    if (!trained)
        assert_ok(dfaiss_train(job.client, "kind", &job.error), job.error);
    wait_for("kind", DFAISS_TRAINED);
    assert_ok(dfaiss_flush(job.client, "kind", &job.error), job.error);
    assert_state("kind", DFAISS_TRAINED);
    api_drop("kind");
    free(base);
}

/* Graphs and opaque kinds keep a rest until it is flushed: that is no reason to be waited for. */
static void test_states_of_kinds(void **state) {
    (void)state;
    start_over();
    check_kind("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}", true);
    check_kind("{\"index_builder_type\": \"hnswsq\", \"metric\": \"l2\", \"dim\": 16}", false);
    check_kind("{\"faiss_factory\": \"SQ8,RFlat\", \"metric\": \"l2\", \"dim\": 16}", false);
    check_kind("{\"faiss_factory\": \"PCA8,IVF4,Flat\", \"metric\": \"l2\", \"dim\": 16}", false);
}

/* ---- what is trained on ---- */

static void check_sample(const char *keys, int64_t n, int64_t expected) {
    char config[512];
    int64_t vectors;
    start_over();
    float *base = api_vectors(n, DIM, 3);
    snprintf(config, sizeof config, "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 4, \"nprobe\": 4%s}",
             keys);
    api_create("sample", config, true);
    api_add("sample", base, DIM, 0, n, 17);
    assert_ok(dfaiss_train(job.client, "sample", &job.error), job.error);
    trainings(&vectors);
    assert_int_equal(vectors, expected);
    api_check_exact("sample", false, base, n, DIM, base, 10, K);
    api_drop("sample");
    free(base);
}

static void test_size_of_the_sample(void **state) {
    (void)state;
    check_sample("", 700, 700);
    check_sample(", \"train_ratio\": 0.25", 700, 175);
    check_sample(", \"train_ratio\": 0.501", 701, 352);
    check_sample(", \"train_ratio\": 0.5, \"training\": \"local\"", 17 * 2 * 10 * job.servers, 17 * 10 * job.servers);
}

static void test_share_that_is_too_small(void **state) {
    (void)state;
    start_over();
    float *base = api_vectors(100, DIM, 4);
    api_create("share",
               "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"train_ratio\": 0.05, \"nprobe\": 8}",
               true);
    api_add("share", base, DIM, 0, 100, 10);
    assert_fails(dfaiss_train(job.client, "share", &job.error), DFAISS_ERR_CONFIG, job.error, "train_ratio");
    assert_fails(dfaiss_train_start(job.client, "share", &job.error), DFAISS_ERR_CONFIG, job.error, "0.05");
    assert_state("share", DFAISS_NOT_TRAINED);
    api_drop("share");
    free(base);
}

static int64_t lists_of(const char *index, int server) {
    float *centroids = NULL;
    int64_t lists = 0, dim = 0;
    assert_ok(dfaiss_get_centroids(job.client, index, server, &centroids, &lists, &dim, &job.error), job.error);
    free(centroids);
    return lists;
}

static void check_inferred(const char *keys, int64_t n, int64_t lists) {
    char config[512];
    start_over();
    float *base = api_vectors(n, DIM, 5);
    snprintf(config, sizeof config, "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"infer_centroids\": true%s}", keys);
    api_create("inferred", config, true);
    api_add("inferred", base, DIM, 0, n, 10);
    assert_ok(dfaiss_train(job.client, "inferred", &job.error), job.error);
    for (int server = 0; server < job.servers; server++)
        assert_int_equal(lists_of("inferred", server), lists);
    api_drop("inferred");
    free(base);
}

static void test_inferred_lists(void **state) {
    (void)state;
    /* 2 * sqrt(400): of the whole index, or with local training of the server. */
    check_inferred("", 400, 40);
    check_inferred(", \"training\": \"local\"", 400 * job.servers, 40);
}

static void test_centroids(void **state) {
    (void)state;
    start_over();
    float *base = api_vectors(600, DIM, 6), *centroids = NULL;
    int64_t lists = 5, dim = 5;
    api_create("centroids", "{\"faiss_factory\": \"PCA8,IVF4,Flat\", \"metric\": \"l2\", \"dim\": 16}", true);
    api_add("centroids", base, DIM, 0, 600, 30);
    assert_fails(dfaiss_get_centroids(job.client, "centroids", 0, &centroids, &lists, &dim, &job.error), DFAISS_ERR_STATE, job.error, "trained");
    assert_ok(dfaiss_train(job.client, "centroids", &job.error), job.error);
    assert_ok(dfaiss_get_centroids(job.client, "centroids", job.servers - 1, &centroids, &lists, &dim, &job.error), job.error);
    assert_int_equal(lists, 4);
    assert_int_equal(dim, 8);
    free(centroids);
    assert_fails(dfaiss_get_centroids(job.client, "centroids", job.servers, &centroids, &lists, &dim, &job.error), DFAISS_ERR_ARG, job.error,
                 "server");
    api_drop("centroids");
    api_create("centroids", "{\"index_builder_type\": \"hnswsq\", \"metric\": \"l2\", \"dim\": 16}", true);
    assert_fails(dfaiss_get_centroids(job.client, "centroids", 0, &centroids, &lists, &dim, &job.error), DFAISS_ERR_UNSUPPORTED, job.error, "hnswsq");
    api_drop("centroids");
    free(base);
}

/* ---- what goes on meanwhile ---- */

/* Another index is made, trained from the start, indexed, saved and dropped. */
static void use_another_index(const float *base) {
    int64_t generation;
    api_create("another", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 16}", true);
    api_add("another", base, DIM, 0, 200, 20);
    assert_ok(dfaiss_flush(job.client, "another", &job.error), job.error);
    assert_ok(dfaiss_save_index(job.client, "another", &generation, &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "another", NULL, true, &job.error), job.error);
    api_check_exact("another", false, base, 200, DIM, base, 5, K);
    api_drop("another");
}

static void work_while_training(const char *config) {
    int64_t generation;
    start_over();
    float *base = api_vectors(900, DIM, 7);
    api_create("busy", config, true);
    api_add("busy", base, DIM, 0, 600, 20);
    api_mark("no-end");
    assert_ok(dfaiss_train_start(job.client, "busy", &job.error), job.error);
    assert_state("busy", DFAISS_TRAINING);
    assert_fails(dfaiss_train(job.client, "busy", &job.error), DFAISS_ERR_STATE, job.error, "being trained");
    assert_fails(dfaiss_flush(job.client, "busy", &job.error), DFAISS_ERR_STATE, job.error, "busy");
    assert_fails(dfaiss_wait_state(job.client, "busy", DFAISS_TRAINED, 2, &job.error), DFAISS_ERR_TIMEOUT, job.error, "TRAINING");
    api_add("busy", base, DIM, 600, 300, 10);
    for (int i = 0; i < 50; i++)
        api_check_exact("busy", false, base, 900, DIM, base + i * DIM, 1, K);
    assert_ok(dfaiss_save_index(job.client, "busy", &generation, &job.error), job.error);
    use_another_index(base);
    assert_state("busy", DFAISS_TRAINING);
    api_unmark("no-end");
    wait_for("busy", DFAISS_TRAINED);
    api_check_exact("busy", false, base, 900, DIM, base, 20, K);
    /* What was saved then is not trained, and can be. */
    assert_ok(dfaiss_load_index(job.client, "busy", NULL, true, &job.error), job.error);
    assert_state("busy", DFAISS_NOT_TRAINED);
    api_check_exact("busy", false, base, 900, DIM, base, 20, K);
    assert_ok(dfaiss_train(job.client, "busy", &job.error), job.error);
    assert_ok(dfaiss_save_index(job.client, "busy", &generation, &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "busy", NULL, true, &job.error), job.error);
    wait_for("busy", DFAISS_TRAINED);
    api_check_exact("busy", false, base, 900, DIM, base, 20, K);
    api_drop("busy");
    free(base);
}

static void test_work_while_training(void **state) {
    (void)state;
    work_while_training(lists_config);
    work_while_training(
        "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 8, \"training\": \"local\"}");
}

/* Neither the drop nor a new index of the same name waits for the trainer. */
static void drop_while_training(const char *config) {
    start_over();
    float *base = api_vectors(600, DIM, 8);
    api_create("dropped", config, true);
    api_add("dropped", base, DIM, 0, 600, 20);
    api_mark("no-end");
    assert_ok(dfaiss_train_start(job.client, "dropped", &job.error), job.error);
    api_drop("dropped");
    api_create("dropped", config, true);
    api_add("dropped", base, DIM, 0, 300, 20);
    assert_state("dropped", DFAISS_NOT_TRAINED);
    api_unmark("no-end");
    assert_ok(dfaiss_train(job.client, "dropped", &job.error), job.error);
    api_check_exact("dropped", false, base, 300, DIM, base, 20, K);
    api_drop("dropped");
    free(base);
}

static void test_drop_while_training(void **state) {
    (void)state;
    drop_while_training(lists_config);
    drop_while_training(
        "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 8, \"training\": \"local\"}");
}

/* ---- failures ---- */

static void fail_and_repeat(const char *config) {
    start_over();
    float *base = api_vectors(600, DIM, 9);
    api_create("failed", config, true);
    api_add("failed", base, DIM, 0, 600, 20);
    api_mark("no-success");
    assert_ok(dfaiss_train_start(job.client, "failed", &job.error), job.error);
    assert_fails(dfaiss_wait_state(job.client, "failed", DFAISS_TRAINED, 60, &job.error), DFAISS_ERR_FAISS, job.error, "vectors fails");
    assert_state("failed", DFAISS_NOT_TRAINED);
    wait_for("failed", DFAISS_NOT_TRAINED);
    assert_fails(dfaiss_train(job.client, "failed", &job.error), DFAISS_ERR_FAISS, job.error, "vectors fails");
    assert_fails(dfaiss_wait_state(job.client, "failed", DFAISS_ADD, 60, &job.error), DFAISS_ERR_FAISS, job.error, "vectors fails");
    api_check_exact("failed", false, base, 600, DIM, base, 10, K);
    api_unmark("no-success");
    assert_ok(dfaiss_train_start(job.client, "failed", &job.error), job.error);
    wait_for("failed", DFAISS_TRAINED);
    api_check_exact("failed", false, base, 600, DIM, base, 10, K);
    api_drop("failed");
    free(base);
}

static void test_failed_training(void **state) {
    (void)state;
    fail_and_repeat(lists_config);
    fail_and_repeat(
        "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 8, \"training\": \"local\"}");
}

static void test_training_without_memory(void **state) {
    (void)state;
    start_over();
    float *base = api_vectors(600, DIM, 10);
    api_create("large", lists_config, true);
    api_add("large", base, DIM, 0, 600, 20);
    api_mark("no-memory");
    assert_fails(dfaiss_train_start(job.client, "large", &job.error), DFAISS_ERR_MEMORY, job.error, "1000 are free");
    api_unmark("no-memory");
    assert_state("large", DFAISS_NOT_TRAINED);
    assert_ok(dfaiss_train(job.client, "large", &job.error), job.error);
    api_drop("large");
    free(base);
}

/* Vectors that wait for training must not grow until the system ends a server. */
static void test_adding_without_memory(void **state) {
    (void)state;
    start_over();
    float *base = api_vectors(200, DIM, 17);
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 10, .dim = DIM, .vectors = base + 100 * DIM};
    api_create("full", lists_config, false);
    for (int i = 0; i < 10; i++) {
        dfaiss_batch_t first = {.element = DFAISS_F32, .n = 10, .dim = DIM, .vectors = base + 10 * i * DIM};
        assert_ok(dfaiss_add(job.client, "full", &first, NULL, &job.error), job.error);
    }
    api_mark("no-memory");
    /* Servers look at their memory now and then; what comes until then is little in comparison. */
    dfaiss_status_t status = DFAISS_OK;
    int64_t taken = 100;
    for (; status == DFAISS_OK; taken += status == DFAISS_OK ? 10 : 0)
        status = dfaiss_add(job.client, "full", &batch, NULL, &job.error);
    assert_fails(status, DFAISS_ERR_MEMORY, job.error, "1000 bytes of memory are free");
    assert_int_equal(api_ntotal("full"), taken);
    api_unmark("no-memory");
    assert_ok(dfaiss_add(job.client, "full", &batch, NULL, &job.error), job.error);
    assert_int_equal(api_ntotal("full"), taken + 10);
    api_drop("full");
    free(base);
}

static void test_indexing_without_memory(void **state) {
    (void)state;
    start_over();
    float *base = api_vectors(600, DIM, 11);
    api_create("blocks", lists_config, true);
    api_add("blocks", base, DIM, 0, 600, 20);
    api_mark("no-blocks");
    assert_ok(dfaiss_train(job.client, "blocks", &job.error), job.error);
    assert_fails(dfaiss_wait_state(job.client, "blocks", DFAISS_TRAINED, 60, &job.error), DFAISS_ERR_MEMORY, job.error, "a block");
    assert_state("blocks", DFAISS_ADD);
    assert_fails(dfaiss_flush(job.client, "blocks", &job.error), DFAISS_ERR_MEMORY, job.error, "a block");
    api_check_exact("blocks", false, base, 600, DIM, base, 10, K);
    api_unmark("no-blocks");
    assert_ok(dfaiss_flush(job.client, "blocks", &job.error), job.error);
    wait_for("blocks", DFAISS_TRAINED);
    api_check_exact("blocks", false, base, 600, DIM, base, 10, K);
    api_drop("blocks");
    free(base);
}

/* ---- by itself ---- */

static void test_training_by_itself(void **state) {
    (void)state;
    enum { TRAIN = 100 };
    start_over();
    int64_t due = TRAIN * job.servers, vectors;
    float *base = api_vectors(2 * due + 50, DIM, 12);
    api_create("self",
               "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 4, \"nprobe\": 4, \"train_num\": 100}",
               true);
    api_add("self", base, DIM, 0, due - 1, 9);
    /* Servers have told how many they hold when these have been answered, and that it is not enough. */
    assert_fails(dfaiss_wait_state(job.client, "self", DFAISS_TRAINING, 2, &job.error), DFAISS_ERR_TIMEOUT, job.error, "NOT_TRAINED");
    assert_int_equal(trainings(&vectors), 0);
    /* So long that server 0 looks again how many there are as soon as it has failed. */
    api_mark("no-success");
    api_mark("no-end");
    api_add("self", base, DIM, due - 1, 1, 1);
    wait_for("self", DFAISS_TRAINING);
    for (int i = 0; i < 1200; i++)
        api_rest();
    api_unmark("no-end");
    assert_fails(dfaiss_wait_state(job.client, "self", DFAISS_TRAINED, 60, &job.error), DFAISS_ERR_FAISS, job.error, "vectors fails");
    assert_int_equal(trainings(&vectors), 1);
    assert_int_equal(vectors, due);
    /* It is not tried again and again, but when there are twice as many vectors. */
    api_unmark("no-success");
    api_add("self", base, DIM, due, due - 1, 11);
    assert_fails(dfaiss_wait_state(job.client, "self", DFAISS_TRAINED, 2, &job.error), DFAISS_ERR_FAISS, job.error, "vectors fails");
    assert_int_equal(trainings(&vectors), 1);
    api_add("self", base, DIM, 2 * due - 1, 1, 1);
    while (api_state("self") == DFAISS_NOT_TRAINED)
        api_rest();
    wait_for("self", DFAISS_TRAINED);
    assert_int_equal(trainings(&vectors), 2);
    api_check_exact("self", false, base, 2 * due, DIM, base, 10, K);
    api_drop("self");
    free(base);
}

static void test_local_training_by_itself(void **state) {
    (void)state;
    enum { TRAIN = 100 };
    start_over();
    int64_t all = TRAIN * job.servers, vectors;
    float *base = api_vectors(all, DIM, 13);
    api_create("self",
               "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 4, \"nprobe\": 4, \"train_num\": 100,"
               " \"training\": \"local\"}",
               true);
    api_add("self", base, DIM, 0, all - job.servers, 1);
    assert_fails(dfaiss_wait_state(job.client, "self", DFAISS_TRAINING, 2, &job.error), DFAISS_ERR_TIMEOUT, job.error, "NOT_TRAINED");
    api_add("self", base, DIM, all - job.servers, job.servers, 1);
    wait_for("self", DFAISS_TRAINED);
    assert_int_equal(trainings(&vectors), job.servers);
    assert_int_equal(vectors, all);
    api_check_exact("self", false, base, all, DIM, base, 10, K);
    api_drop("self");
    free(base);
}

static void test_loaded_index_trains_by_itself(void **state) {
    (void)state;
    start_over();
    int64_t n = 60 * job.servers, generation;
    float *base = api_vectors(n, DIM, 14);
    dfaiss_config_t *overrides = NULL;
    api_create("later", lists_config, true);
    api_add("later", base, DIM, 0, n, 7);
    assert_ok(dfaiss_save_index(job.client, "later", &generation, &job.error), job.error);
    assert_ok(dfaiss_config_create(&overrides, &job.error), job.error);
    assert_ok(dfaiss_config_set(overrides, "train_num", "50", &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "later", overrides, true, &job.error), job.error);
    wait_for("later", DFAISS_TRAINED);
    api_check_exact("later", false, base, n, DIM, base, 10, K);
    api_drop("later");
    dfaiss_config_destroy(overrides);
    free(base);
}

/* ---- with two clients ---- */

/* Whoever waits for a training is told when the other one drops the index; the trainer is not waited for. */
static void test_drop_while_another_waits(void **state) {
    (void)state;
    if (job.clients < 2)
        skip();
    float *base = api_vectors(600, DIM, 15);
    if (job.number == 0) {
        start_over();
        api_create("shared", lists_config, true);
        api_add("shared", base, DIM, 0, 600, 20);
        api_mark("no-end");
    }
    api_barrier();
    if (job.number == 1) {
        assert_fails(dfaiss_train(job.client, "shared", &job.error), DFAISS_ERR_NOT_FOUND, job.error, "dropped");
    } else {
        wait_for("shared", DFAISS_TRAINING);
        api_drop("shared");
    }
    api_barrier();
    if (job.number == 0)
        start_over();
    api_barrier();
    free(base);
}

/* Shutting down and leaving do not depend on a training that nobody waits for; the servers end it before they end. */
static void test_leave_while_training(void **state) {
    (void)state;
    api_barrier();
    if (job.number == 0) {
        float *base = api_vectors(6000, DIM, 16);
        start_over();
        api_create("left", "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 256}", true);
        api_add("left", base, DIM, 0, 6000, 500);
        assert_ok(dfaiss_train_start(job.client, "left", &job.error), job.error);
        free(base);
    }
    api_barrier();
}

static int run(void) {
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_states_of_kinds),
        cmocka_unit_test(test_size_of_the_sample),
        cmocka_unit_test(test_share_that_is_too_small),
        cmocka_unit_test(test_inferred_lists),
        cmocka_unit_test(test_centroids),
        cmocka_unit_test(test_work_while_training),
        cmocka_unit_test(test_drop_while_training),
        cmocka_unit_test(test_failed_training),
        cmocka_unit_test(test_training_without_memory),
        cmocka_unit_test(test_adding_without_memory),
        cmocka_unit_test(test_indexing_without_memory),
        cmocka_unit_test(test_training_by_itself),
        cmocka_unit_test(test_local_training_by_itself),
        cmocka_unit_test(test_loaded_index_trains_by_itself),
    };
    const struct CMUnitTest together[] = {
        cmocka_unit_test(test_drop_while_another_waits),
        cmocka_unit_test(test_leave_while_training),
    };
    int failures = job.number == 0 ? cmocka_run_group_tests(alone, NULL, NULL) : 0;
    if (failures)
        return failures;
    api_barrier();
    return cmocka_run_group_tests(together, NULL, NULL);
}

int main(int argc, char **argv) {
    const api_phase_t phases[] = {{.run = run}};
    return api_job_main(argc, argv, api_two, 1, phases);
}
