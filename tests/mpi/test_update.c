/* Vectors that are replaced through the public calls, on any number of servers: a search beside an update finds the old vector of an id or the new
 * one, never both and never neither, and a later one the new one alone.
 */
#include "api_job.h"

#include <math.h>
#include <unistd.h>

enum { DIM = 8, IDS = 600, BATCH = 60, ROUNDS = 20 };

static const char flat_config[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"attributes\": {\"version\": \"int\"}}";
static const char ivf_config[] = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 8, \"centroids\": 4, \"nprobe\": 4, "
                                 "\"attributes\": {\"version\": \"int\"}}";
static const char open_config[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 0, \"attributes\": {\"version\": \"int\"}}";

/* ---- versions ---- */

/* The score of the query of zeros says which id and which version it is. */
static float part_of(int64_t id, int64_t version) {
    return (float)(id + version * IDS);
}

static float score_of(int64_t id, int64_t version) {
    return part_of(id, version) * part_of(id, version);
}

typedef dfaiss_status_t change_t(const char *index, const dfaiss_batch_t *batch);

static dfaiss_status_t update(const char *index, const dfaiss_batch_t *batch) {
    return dfaiss_update(job.client, index, batch, &job.error);
}

static dfaiss_status_t add(const char *index, const dfaiss_batch_t *batch) {
    return dfaiss_add(job.client, index, batch, NULL, &job.error);
}

/* Ids first, first + step, ... below `end`, in no order. */
static void change(const char *index, change_t *call, int64_t first, int64_t end, int64_t step, int64_t version) {
    enum { MOST = 2 * IDS };
    int64_t ids[MOST], versions[MOST], n = 0;
    uint64_t ends[MOST];
    char text[MOST * 24];
    float vectors[MOST * DIM] = {0};
    size_t size = 0;
    for (int64_t id = first; id < end && n < MOST; id += step)
        ids[n++] = id;
    for (int64_t i = 0; i < n; i++) {
        int64_t other = (i * 7919) % n, id = ids[i];
        ids[i] = ids[other];
        ids[other] = id;
    }
    for (int64_t i = 0; i < n; i++) {
        vectors[i * DIM] = part_of(ids[i], version);
        versions[i] = version;
        size += (size_t)snprintf(text + size, sizeof text - size, "%d, %d", (int)ids[i], (int)version);
        ends[i] = size;
    }
    dfaiss_column_t column = {.name = "version", .integers = versions};
    dfaiss_batch_t batch = {.element = DFAISS_F32,
                            .n = n,
                            .dim = DIM,
                            .vectors = vectors,
                            .ids = ids,
                            .metadata = text,
                            .metadata_ends = ends,
                            .columns = &column,
                            .column_count = 1};
    assert_ok(call(index, &batch), job.error);
}

static void fill(const char *index, const char *config) {
    api_create(index, config, true);
    for (int64_t id = 0; id < IDS; id += BATCH)
        change(index, add, id, id + BATCH, 1, 0);
}

/* Every id is there once, in a version from least[id] to most, with the metadata of the same one. */
static void check_versions(const char *index, const char *filter, int64_t ids, const int64_t *least, int64_t most) {
    const float query[DIM] = {0};
    dfaiss_search_options_t options = {.metadata = true, .filter = filter, .nprobe = 1 << 10};
    dfaiss_result_t *result;
    bool seen[2 * IDS] = {false};
    assert_ok(dfaiss_search(job.client, 1, &index, 1, DIM, query, 3 * IDS, &options, &result, &job.error), job.error);
    assert_int_equal(dfaiss_result_count(result, 0), ids);
    for (int64_t i = 0; i < ids; i++) {
        int64_t id = dfaiss_result_ids(result)[i], part = (int64_t)sqrtf(dfaiss_result_scores(result)[i]), version = (part - id) / IDS;
        char expected[24];
        size_t size;
        const void *metadata = dfaiss_result_metadata(result, 0, i, &size);
        assert_in_range(id, 0, 2 * IDS - 1);
        assert_false(seen[id]);
        seen[id] = true;
        assert_true(dfaiss_result_scores(result)[i] == score_of(id, version));
        if (version < least[id] || version > most)
            fail_msg("id %d has version %d, expected %d to %d", (int)id, (int)version, (int)least[id], (int)most);
        assert_int_equal(size, snprintf(expected, sizeof expected, "%d, %d", (int)id, (int)version));
        assert_memory_equal(metadata, expected, size);
    }
    dfaiss_result_destroy(result);
}

static void check_exactly(const char *index, int64_t ids, const int64_t *versions) {
    const float query[DIM] = {0};
    const char *indexes[] = {index};
    dfaiss_result_t *result;
    int64_t *found, n;
    assert_ok(dfaiss_search(job.client, 1, indexes, 1, DIM, query, 2 * IDS, NULL, &result, &job.error), job.error);
    assert_int_equal(dfaiss_result_count(result, 0), ids);
    for (int64_t i = 0; i < ids; i++)
        assert_true(dfaiss_result_scores(result)[i] == score_of(dfaiss_result_ids(result)[i], versions[dfaiss_result_ids(result)[i]]));
    dfaiss_result_destroy(result);
    assert_int_equal(api_ntotal(index), ids);
    assert_ok(dfaiss_get_ids(job.client, index, &found, &n, &job.error), job.error);
    assert_int_equal(n, ids);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(found[i], i);
    free(found);
}

/* ---- alone ---- */

static void update_and_check(const char *index, int64_t first, int64_t end, int64_t step, int64_t version, int64_t *ids, int64_t *versions) {
    change(index, update, first, end, step, version);
    for (int64_t id = first; id < end; id += step)
        versions[id] = version;
    *ids = end > *ids ? end : *ids;
    check_exactly(index, *ids, versions);
}

static void test_update(void **state) {
    (void)state;
    const char *const configs[] = {flat_config, ivf_config};
    for (int i = 0; i < 2; i++) {
        int64_t versions[2 * IDS] = {0}, ids = IDS;
        fill("news", configs[i]);
        update_and_check("news", 3, 4, 1, 1, &ids, versions);
        update_and_check("news", 0, IDS, 5, 2, &ids, versions);
        if (i == 1)
            assert_ok(dfaiss_train(job.client, "news", &job.error), job.error);
        assert_ok(dfaiss_flush(job.client, "news", &job.error), job.error);
        update_and_check("news", 0, IDS, 3, 3, &ids, versions);
        update_and_check("news", IDS - 30, IDS + 30, 1, 4, &ids, versions);
        update_and_check("news", 0, ids, 1, 5, &ids, versions);
        assert_ok(dfaiss_flush(job.client, "news", &job.error), job.error);
        check_exactly("news", ids, versions);
        update_and_check("news", 7, 8, 1, 6, &ids, versions);
        assert_ok(dfaiss_save_index(job.client, "news", NULL, &job.error), job.error);
        assert_ok(dfaiss_load_index(job.client, "news", NULL, true, &job.error), job.error);
        check_exactly("news", ids, versions);
        update_and_check("news", 0, ids, 11, 7, &ids, versions);
        api_drop("news");
    }
}

/* Attributes are those of the new vectors. */
static void test_filters_after_an_update(void **state) {
    (void)state;
    int64_t versions[2 * IDS] = {0};
    fill("news", flat_config);
    change("news", update, 0, IDS, 2, 1);
    for (int64_t id = 0; id < IDS; id += 2)
        versions[id] = 1;
    check_versions("news", "version == 1", IDS / 2, versions, 1);
    check_versions("news", "version == 0", IDS / 2, versions, 1);
    api_drop("news");
}

static void test_updates_are_balanced(void **state) {
    (void)state;
    dfaiss_statistics_t statistics[64];
    fill("news", flat_config);
    for (int64_t version = 1; version <= 4 * job.servers; version++) {
        int64_t first = version % (IDS / BATCH) * BATCH;
        change("news", update, first, first + BATCH, 1, version);
    }
    assert_ok(dfaiss_get_statistics(job.client, "news", statistics, &job.error), job.error);
    for (int i = 0; i < job.servers; i++)
        assert_true(llabs(statistics[i].vectors - IDS / job.servers) <= 3 * BATCH);
    api_drop("news");
}

/* Ids that were assigned can be updated, others not. */
static void test_assigned_ids(void **state) {
    (void)state;
    float vectors[4 * DIM] = {0};
    int64_t ids[4];
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 4, .dim = DIM, .vectors = vectors};
    api_create("given", flat_config, false);
    assert_ok(dfaiss_add(job.client, "given", &batch, ids, &job.error), job.error);
    vectors[0] = 3;
    batch.ids = ids + 2;
    batch.n = 1;
    assert_ok(dfaiss_update(job.client, "given", &batch, &job.error), job.error);
    assert_int_equal(api_ntotal("given"), 4);
    int64_t other = (int64_t)1 << 50;
    batch.ids = &other;
    assert_fails(dfaiss_update(job.client, "given", &batch, &job.error), DFAISS_ERR_ARG, job.error, "id 1125899906842624 was not assigned");
    assert_int_equal(api_ntotal("given"), 4);
    batch.ids = NULL;
    assert_ok(dfaiss_add(job.client, "given", &batch, ids, &job.error), job.error);
    assert_int_equal(api_ntotal("given"), 5);
    api_drop("given");
}

static void test_first_vectors_by_an_update(void **state) {
    (void)state;
    int64_t versions[2 * IDS] = {0};
    api_create("open", open_config, true);
    change("open", update, 0, BATCH, 1, 0);
    check_exactly("open", BATCH, versions);
    api_drop("open");
}

static void refuse(const dfaiss_batch_t *batch, dfaiss_status_t status, const char *text) {
    int64_t versions[2 * IDS] = {0};
    assert_fails(dfaiss_update(job.client, "strict", batch, &job.error), status, job.error, text);
    check_exactly("strict", BATCH, versions);
}

static void test_wrong_updates(void **state) {
    (void)state;
    float vectors[2 * 2 * DIM] = {0}, bad[2 * DIM] = {0};
    const int64_t ids[] = {1, 2}, twice[] = {7, 7}, negative[] = {1, -2};
    const dfaiss_column_t column = {.name = "vresion", .integers = ids};
    bad[DIM + 3] = (float)NAN;
    api_create("strict", flat_config, true);
    change("strict", add, 0, BATCH, 1, 0);
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 2, .dim = DIM, .vectors = vectors};
    refuse(&batch, DFAISS_ERR_ARG, "ids is NULL");
    refuse(NULL, DFAISS_ERR_ARG, "batch is NULL");
    batch.ids = twice;
    refuse(&batch, DFAISS_ERR_ARG, "id 7 is twice");
    batch.ids = negative;
    refuse(&batch, DFAISS_ERR_ARG, "id -2");
    batch.ids = ids;
    batch.dim = 2 * DIM;
    refuse(&batch, DFAISS_ERR_ARG, "dimension");
    batch.dim = DIM;
    batch.vectors = bad;
    refuse(&batch, DFAISS_ERR_DATA, "component 3 of vector 1");
    batch.vectors = vectors;
    batch.columns = &column;
    batch.column_count = 1;
    refuse(&batch, DFAISS_ERR_ARG, "did you mean \"version\"?");
    batch.column_count = 0;
    batch.n = 0;
    refuse(&batch, DFAISS_ERR_ARG, "0 vectors");
    batch.n = 2;
    assert_fails(dfaiss_update(job.client, "nowhere", &batch, &job.error), DFAISS_ERR_NOT_FOUND, job.error, "nowhere");
    assert_fails(dfaiss_update(NULL, "strict", &batch, &job.error), DFAISS_ERR_ARG, job.error, "client is NULL");
    api_drop("strict");
}

/* An index that another job is writing is not updated, however often that is tried. */
static void test_index_of_another_job(void **state) {
    (void)state;
    static const char lease[] = "{\"format\": \"dfaiss lease\", \"version\": 1, \"host\": \"far\", \"pid\": 4242, \"machine\": \"another\", "
                                "\"started\": 1, \"job\": \"99\", \"restart\": 0, \"since\": \"2026-01-01T12:00:00Z\", \"nonce\": \"none\"}";
    const float vectors[DIM] = {0};
    const int64_t ids[] = {7};
    const dfaiss_batch_t batch = {.element = DFAISS_F32, .n = 1, .dim = DIM, .vectors = vectors, .ids = ids};
    char path[sizeof job.storage + 32];
    fill("leased", flat_config);
    assert_ok(dfaiss_save_index(job.client, "leased", NULL, &job.error), job.error);
    assert_ok(dfaiss_load_index(job.client, "leased", NULL, true, &job.error), job.error);
    snprintf(path, sizeof path, "%s/leased/lease", job.storage);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(lease, file) < 0, 0);
    assert_int_equal(fclose(file), 0);
    for (int i = 0; i < 2; i++)
        assert_fails(dfaiss_update(job.client, "leased", &batch, &job.error), DFAISS_ERR_STATE, job.error, "is being written by process 4242");
    assert_int_equal(unlink(path), 0);
    assert_ok(dfaiss_update(job.client, "leased", &batch, &job.error), job.error);
    assert_int_equal(api_ntotal("leased"), IDS);
    api_drop("leased");
}

/* ---- several clients ---- */

/* One updates, the others search. */
static void test_searches_beside_updates(void **state) {
    (void)state;
    int64_t versions[2 * IDS] = {0};
    if (job.number == 0)
        fill("shared", flat_config);
    for (int64_t version = 1; version <= ROUNDS; version++) {
        api_barrier();
        if (job.number == 0) {
            for (int64_t first = 0; first < IDS; first += 2 * BATCH)
                change("shared", update, first, first + 2 * BATCH, 1, version);
        } else {
            for (int round = 0; round < 6; round++)
                check_versions("shared", NULL, IDS, versions, version);
        }
        api_barrier();
        for (int64_t id = 0; id < IDS; id++)
            versions[id] = version;
        check_versions("shared", NULL, IDS, versions, version);
        check_versions("shared", "has(version)", IDS, versions, version);
    }
    api_barrier();
    if (job.number == 0)
        api_drop("shared");
}

/* Two clients update the same ids: one of both comes last, for each call as a whole. */
static void test_updates_beside_updates(void **state) {
    (void)state;
    int64_t versions[2 * IDS] = {0};
    if (job.number == 0)
        fill("shared", flat_config);
    api_barrier();
    for (int64_t version = 1; version <= ROUNDS; version++)
        change("shared", update, 0, BATCH, 1, 8 * version + job.number);
    api_barrier();
    for (int64_t id = 0; id < BATCH; id++)
        versions[id] = 8 * ROUNDS;
    check_versions("shared", NULL, IDS, versions, 8 * ROUNDS + job.clients - 1);
    assert_int_equal(api_ntotal("shared"), IDS);
    api_barrier();
    if (job.number == 0)
        api_drop("shared");
}

static int run_alone(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_filters_after_an_update),
        cmocka_unit_test(test_updates_are_balanced),
        cmocka_unit_test(test_index_of_another_job),
        cmocka_unit_test(test_assigned_ids),
        cmocka_unit_test(test_first_vectors_by_an_update),
        cmocka_unit_test(test_wrong_updates),
    };
    return job.number == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

static int run(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_searches_beside_updates),
        cmocka_unit_test(test_updates_beside_updates),
    };
    int failures = run_alone();
    api_barrier();
    return failures > 0 ? failures : cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv) {
    const api_phase_t phase = {.run = run};
    return api_job_main(argc, argv, api_half, 1, &phase);
}
