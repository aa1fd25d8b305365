/* Vectors are replaced while other clients search: against servers that are threads of the same process (tests/fake), whose messages come late and in
 * other orders. A search beside an update finds the old vector of an id or the new one, never both and never neither, and a later one the new one
 * alone. An argument is another seed.
 */
#include "check.h"

#include <stdatomic.h>

#include "fake_job.h"

enum { DIM = 8, IDS = 24, VERSIONS = 160, MOST = 20 };

#define KEYS "\"metric\": \"l2\", \"dim\": 8, \"buffer_bsz\": 100"
static const struct {
    const char *name, *config;
} indexes[] = {
    {"flat", "{\"index_builder_type\": \"flat\", " KEYS "}"},
    {"ivf", "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 8, \"nprobe\": 8, \"train_num\": 10, " KEYS "}"},
    {"graph", "{\"index_builder_type\": \"hnswsq\", \"train_num\": 10, " KEYS "}"},
    {"other", "{\"faiss_factory\": \"LSH\", \"train_num\": 10, " KEYS "}"},
};
enum { INDEXES = sizeof indexes / sizeof *indexes };

static _Atomic int64_t least[INDEXES][IDS]; /* the version that an update has brought which was answered */
static _Atomic int64_t most[INDEXES];       /* the version that may be under way */
static _Atomic bool finished;

/* The score of the query of zeros says which id and which version it is, exactly. */
static float part_of(int64_t id, int64_t version) {
    return (float)(id + version * IDS);
}

typedef dfaiss_status_t change_t(dfaiss_client_t *client, const char *index, const dfaiss_batch_t *batch, dfaiss_error_t *err);

static dfaiss_status_t add(dfaiss_client_t *client, const char *index, const dfaiss_batch_t *batch, dfaiss_error_t *err) {
    return dfaiss_add(client, index, batch, NULL, err);
}

static void change(member_t *member, int index, change_t *call, int64_t n, const int64_t *ids, int64_t version) {
    float vectors[IDS * DIM] = {0};
    for (int64_t i = 0; i < n; i++)
        vectors[i * DIM] = part_of(ids[i], version);
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = n, .dim = DIM, .vectors = vectors, .ids = ids};
    atomic_store(&most[index], version);
    expect_ok(member, call(member->client, indexes[index].name, &batch, &member->error));
    for (int64_t i = 0; i < n; i++)
        atomic_store(&least[index][ids[i]], version);
}

static void update_some(member_t *member, int index, int64_t version) {
    int64_t ids[MOST], n = 0;
    uint64_t one_in = 1 + random_below(&member->random, IDS / 4);
    for (int64_t id = 0; id < IDS && n < MOST; id++) {
        if (random_below(&member->random, one_in) == 0)
            ids[n++] = id;
    }
    if (n > 0)
        change(member, index, dfaiss_update, n, ids, version);
}

/* Every id is there once, in a version that it may have, and brings its vector along, for which a fetch may have to wait. */
static void search(member_t *member, int index) {
    const float query[DIM] = {0};
    const char *name = indexes[index].name;
    int64_t before[IDS];
    bool seen[IDS] = {false};
    dfaiss_search_options_t options = {.embeddings = true};
    dfaiss_result_t *result = NULL;
    for (int64_t id = 0; id < IDS; id++)
        before[id] = atomic_load(&least[index][id]);
    expect_ok(member, dfaiss_search(member->client, 1, &name, 1, DIM, query, 2 * IDS, &options, &result, &member->error));
    int64_t last = atomic_load(&most[index]);
    expect(dfaiss_result_count(result, 0) == IDS);
    for (int64_t hit = 0; hit < IDS; hit++) {
        int64_t id = dfaiss_result_ids(result)[hit], version = before[id];
        float score = dfaiss_result_scores(result)[hit];
        const float *vector = dfaiss_result_embedding(result, 0, hit);
        expect(!seen[id]);
        seen[id] = true;
        while (version <= last && score != part_of(id, version) * part_of(id, version))
            version++;
        expect(version <= last);
        expect(vector && vector[0] == part_of(id, version) && vector[1] == 0);
    }
    dfaiss_result_destroy(result);
}

static void play(member_t *member) {
    const dfaiss_create_options_t options = {.own_ids = true};
    int64_t ids[IDS];
    for (int64_t id = 0; id < IDS; id++)
        ids[id] = id;
    for (int index = 0; member->number == 0 && index < INDEXES; index++) {
        fake_create(member, indexes[index].name, indexes[index].config, &options);
        change(member, index, add, IDS, ids, 0);
    }
    fake_meet(member);
    for (int64_t version = 1; member->number == 0 && version <= VERSIONS; version++) {
        for (int index = 0; index < INDEXES; index++) {
            update_some(member, index, version);
            search(member, index);
            if (version % 8 == 0)
                expect_possible(member, dfaiss_flush(member->client, indexes[index].name, &member->error));
        }
    }
    if (member->number == 0)
        atomic_store(&finished, true);
    for (int index = 0; !atomic_load(&finished); index = (index + 1) % INDEXES)
        search(member, index);
    fake_meet(member);
    for (int index = 0; index < INDEXES; index++)
        search(member, index);
}

static void test_updates_beside_searches(void **state) {
    (void)state;
    fake_job_run_alone(41, true, play);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates_beside_searches),
    };
    fake_job_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
