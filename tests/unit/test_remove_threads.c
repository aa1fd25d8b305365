/* Vectors are removed, by id and by filter, and searched with filters, while other clients add, index and save: against servers that are threads of
 * the same process (tests/fake), and a count of what must be left. An argument is another seed.
 */
#include "check.h"

#include "base/file.h"
#include "fake_job.h"

enum { DIM = 8, K = 5, ROUNDS = 14, BATCH = 60, VECTORS = ROUNDS * BATCH, METADATA = 48 };

#define KEYS "\"metric\": \"l2\", \"dim\": 8, \"attributes\": {\"client\": \"int\", \"kept\": \"bool\"}"
static const struct {
    const char *name, *config;
} indexes[] = {
    {"flat", "{\"index_builder_type\": \"flat\", " KEYS "}"},
    {"ivf", "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 8, \"nprobe\": 8, \"train_num\": 100, " KEYS "}"},
    {"graph", "{\"index_builder_type\": \"hnswsq\", \"train_num\": 100, \"buffer_bsz\": 100, " KEYS "}"},
    {"other", "{\"faiss_factory\": \"LSH\", " KEYS "}"},
};
enum { INDEXES = sizeof indexes / sizeof *indexes };

/* What a client has put into an index: vector i has id client * VECTORS + i, and every second one is to be kept. */
static struct part {
    int64_t n;
    bool removed[VECTORS];
    float vectors[VECTORS][DIM];
} parts[INDEXES][FAKE_CLIENTS];

static bool is_kept(int64_t i) {
    return i % 2 == 0;
}

static int64_t count_left(const struct part *part, bool kept) {
    int64_t count = 0;
    for (int64_t i = 0; i < part->n; i++)
        count += !part->removed[i] && is_kept(i) == kept;
    return count;
}

static void add(member_t *member, int index) {
    struct part *part = &parts[index][member->number];
    int64_t ids[BATCH], first = part->n;
    uint64_t ends[BATCH];
    char metadata[BATCH * METADATA];
    size_t size = 0;
    for (int64_t i = 0; i < BATCH; i++) {
        ids[i] = member->number * VECTORS + first + i;
        for (int j = 0; j < DIM; j++)
            part->vectors[first + i][j] = (float)random_below(&member->random, 1 << 20);
        size += (size_t)snprintf(metadata + size, METADATA, "{\"client\": %d, \"kept\": %s}", member->number, is_kept(first + i) ? "true" : "false");
        ends[i] = size;
    }
    dfaiss_batch_t batch = {
        .element = DFAISS_F32, .n = BATCH, .dim = DIM, .vectors = part->vectors[first], .ids = ids, .metadata = metadata, .metadata_ends = ends};
    expect_ok(member, dfaiss_add(member->client, indexes[index].name, &batch, NULL, &member->error));
    part->n += BATCH;
}

/* Some of those that are not to be kept, each asked for once. */
static void remove_some(member_t *member, int index) {
    struct part *part = &parts[index][member->number];
    int64_t ids[BATCH], n = 0, removed = -1;
    for (int64_t i = 0; i < part->n && n < BATCH; i++) {
        if (is_kept(i) || part->removed[i] || random_below(&member->random, 2) == 0)
            continue;
        part->removed[i] = true;
        ids[n++] = member->number * VECTORS + i;
    }
    if (n == 0)
        return;
    expect_ok(member, dfaiss_remove_ids(member->client, indexes[index].name, n, ids, &removed, &member->error));
    expect(removed == n);
}

/* A vector is found exactly where it was not removed. */
static void find(member_t *member, int index) {
    const struct part *part = &parts[index][member->number];
    const char *name = indexes[index].name;
    dfaiss_result_t *result = NULL;
    int64_t i = (int64_t)random_below(&member->random, (uint64_t)part->n), id = member->number * VECTORS + i;
    expect_ok(member, dfaiss_search(member->client, 1, &name, 1, DIM, part->vectors[i], K, NULL, &result, &member->error));
    const int64_t *ids = dfaiss_result_ids(result);
    expect((ids[0] == id) == !part->removed[i]);
    for (int hit = 1; hit < K; hit++)
        expect(ids[hit] != id);
    dfaiss_result_destroy(result);
}

/* Hits match the filter, and there are as many as there can be. */
static void find_matching(member_t *member, int index, bool kept) {
    const struct part *part = &parts[index][member->number];
    const char *name = indexes[index].name;
    char filter[METADATA];
    dfaiss_search_options_t options = {.filter = filter};
    dfaiss_result_t *result = NULL;
    int64_t left = count_left(part, kept);
    snprintf(filter, sizeof filter, "client == %d && kept == %s", member->number, kept ? "true" : "false");
    expect_ok(member, dfaiss_search(member->client, 1, &name, 1, DIM, part->vectors[0], K, &options, &result, &member->error));
    int64_t count = dfaiss_result_count(result, 0);
    expect(count == (left < K ? left : K));
    for (int64_t hit = 0; hit < count; hit++) {
        int64_t id = dfaiss_result_ids(result)[hit];
        expect(id / VECTORS == member->number && is_kept(id % VECTORS) == kept && !part->removed[id % VECTORS]);
    }
    dfaiss_result_destroy(result);
}

static void remove_rest(member_t *member, int index) {
    struct part *part = &parts[index][member->number];
    int64_t removed = -1, left = count_left(part, false);
    char filter[METADATA];
    snprintf(filter, sizeof filter, "client == %d && kept == false", member->number);
    expect_ok(member, dfaiss_remove_matching(member->client, indexes[index].name, filter, &removed, &member->error));
    expect(removed == left);
    for (int64_t i = 0; i < part->n; i++)
        part->removed[i] = !is_kept(i);
}

static void work(member_t *member, int index, int round) {
    add(member, index);
    remove_some(member, index);
    find(member, index);
    find_matching(member, index, round % 2 == 0);
    if (round % 5 == member->number)
        expect_ok(member, dfaiss_save_index(member->client, indexes[index].name, NULL, &member->error));
    if (round % 3 == member->number)
        expect_possible(member, dfaiss_flush(member->client, indexes[index].name, &member->error));
    if (round % 7 == 6)
        remove_rest(member, index);
}

static void check_left(member_t *member, int index) {
    int64_t left = 0, total = -1;
    for (int client = 0; client < FAKE_CLIENTS; client++)
        left += count_left(&parts[index][client], true) + count_left(&parts[index][client], false);
    expect_ok(member, dfaiss_get_ntotal(member->client, indexes[index].name, &total, &member->error));
    expect(total == left);
}

static void play_new_indexes(member_t *member) {
    const dfaiss_create_options_t options = {.own_ids = true};
    for (int index = 0; member->number == 0 && index < INDEXES; index++)
        fake_create(member, indexes[index].name, indexes[index].config, &options);
    fake_meet(member);
    for (int round = 0; round < ROUNDS; round++)
        for (int index = 0; index < INDEXES; index++)
            work(member, (index + member->number) % INDEXES, round);
    fake_meet(member);
    for (int index = member->number; index < INDEXES; index += FAKE_CLIENTS) {
        check_left(member, index);
        expect_ok(member, dfaiss_save_index(member->client, indexes[index].name, NULL, &member->error));
    }
}

static void play_loaded_indexes(member_t *member) {
    for (int index = member->number; index < INDEXES; index += FAKE_CLIENTS) {
        expect_ok(member, dfaiss_load_index(member->client, indexes[index].name, NULL, false, &member->error));
        check_left(member, index);
    }
    fake_meet(member);
    for (int index = 0; index < INDEXES; index++) {
        find(member, index);
        find_matching(member, index, true);
        find_matching(member, index, false);
    }
}

static void test_remove_and_filter(void **state) {
    char storage[256];
    dfaiss_error_t error;
    (void)state;
    check_make_folder(storage, sizeof storage);
    fake_job_run(storage, 31, true, play_new_indexes);
    fake_job_run(storage, 32, true, play_loaded_indexes);
    assert_ok(file_remove_tree(storage, &error), error);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remove_and_filter),
    };
    fake_job_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
