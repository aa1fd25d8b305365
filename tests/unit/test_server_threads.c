/* Servers and clients as threads of one process, over a fake transport and a fake engine (tests/fake): several clients create, fill, train, search,
 * save, load and drop several indexes at once, and every answer is compared with what was put in. An argument is another seed. ThreadSanitizer sees
 * every thread of a server: the one that serves, its team and its builder.
 */
#include "check.h"

#include "base/file.h"
#include "client/bulk_load.h"
#include "fake_job.h"

enum { SERVERS = FAKE_SERVERS, CLIENTS = FAKE_CLIENTS, DIM = 8, K = 10, STEPS = 150, BATCH = 60, VECTORS = 2 * STEPS * BATCH, METADATA = 64 };

static const struct {
    const char *name;
    const char *config;
    bool local; /* every server is trained on samples of its own */
} indexes[] = {
    {"flat", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"attributes\": {\"number\": \"int\", \"name\": \"string\"}}",
     false},
    {"ivf", "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 8, \"centroids\": 16, \"nprobe\": 16, \"buffer_bsz\": 100}",
     false},
    {"local", "{\"index_builder_type\": \"ivfsq\", \"metric\": \"l2\", \"dim\": 8, \"centroids\": 16, \"nprobe\": 16, \"training\": \"local\"}",
     true},
    {"graph", "{\"index_builder_type\": \"hnswsq\", \"metric\": \"l2\", \"dim\": 8, \"threads\": 2, \"attributes\": {\"name\": \"string\"}}", false},
    {"other", "{\"faiss_factory\": \"LSH\", \"metric\": \"l2\", \"dim\": 8, \"buffer_bsz\": 50}", false},
};
enum { INDEXES = sizeof indexes / sizeof *indexes };

/* What a client has put into an index; vector i has id client * VECTORS + i. Others look at it only after all clients have met. */
static struct part {
    int64_t n, acknowledged;
    float vectors[VECTORS][DIM];
    uint8_t bytes[VECTORS][DIM]; /* the same */
} parts[INDEXES][CLIENTS];

/* ---- what clients do ---- */

static const dfaiss_create_options_t with_own_ids = {.own_ids = true};

static dfaiss_status_t search(member_t *member, const char *index, int64_t nq, const float *queries, dfaiss_result_t **result) {
    dfaiss_search_options_t options = {.metadata = true};
    return dfaiss_search(member->client, 1, &index, nq, DIM, queries, K, &options, result, &member->error);
}

static size_t describe(int64_t id, char *text) {
    /* Every fourth has no metadata. */
    return id % 4 == 3 ? 0 : (size_t)snprintf(text, METADATA, "{\"number\": %lld, \"name\": \"vector %lld\"}", (long long)id, (long long)id % 97);
}

/* Begins to add `n` new vectors. */
static void add(member_t *member, int index, int64_t n) {
    struct part *part = &parts[index][member->number];
    int64_t first = part->n, ids[BATCH];
    uint64_t ends[BATCH];
    char metadata[BATCH * METADATA];
    size_t size = 0;
    bool bytes = random_below(&member->random, 2) == 0;
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < DIM; j++) {
            part->bytes[first + i][j] = (uint8_t)random_below(&member->random, 256);
            part->vectors[first + i][j] = part->bytes[first + i][j];
        }
        ids[i] = member->number * VECTORS + first + i;
        size += describe(ids[i], metadata + size);
        ends[i] = size;
    }
    part->n += n;
    client_batch_t batch = {.element = bytes ? ELEMENT_u8 : ELEMENT_f32,
                            .n = n,
                            .dim = DIM,
                            .vectors = bytes ? (const void *)part->bytes[first] : part->vectors[first],
                            .ids = ids,
                            .metadata_ends = ends,
                            .metadata = (const uint8_t *)metadata};
    expect_ok(member, client_add(member->client, indexes[index].name, &batch, &member->error));
}

static void wait_for_adds(member_t *member) {
    expect_ok(member, client_add_wait(member->client, NULL, &member->error));
    for (int index = 0; index < INDEXES; index++)
        parts[index][member->number].acknowledged = parts[index][member->number].n;
}

static void check_metadata(const dfaiss_result_t *result) {
    for (int i = 0; i < K; i++) {
        char expected[METADATA];
        size_t size = 0, expected_size = 0;
        if (i < dfaiss_result_count(result, 0))
            expected_size = describe(dfaiss_result_ids(result)[i], expected);
        const void *metadata = dfaiss_result_metadata(result, 0, i, &size);
        expect(size == expected_size);
        expect(size == 0 || memcmp(metadata, expected, size) == 0);
    }
}

/* What was acknowledged is found, whatever happens meanwhile. */
static void find_own(member_t *member, int index) {
    const struct part *part = &parts[index][member->number];
    dfaiss_result_t *result = NULL;
    if (part->acknowledged == 0)
        return;
    int64_t i = (int64_t)random_below(&member->random, (uint64_t)part->acknowledged);
    expect_ok(member, search(member, indexes[index].name, 1, part->vectors[i], &result));
    expect(dfaiss_result_scores(result)[0] == 0);
    expect(dfaiss_result_ids(result)[0] == member->number * VECTORS + i);
    check_metadata(result);
    dfaiss_result_destroy(result);
}

/* Somebody else may have trained it, or be doing so. */
static void train(member_t *member, int index) {
    const struct part *part = &parts[index][member->number];
    int servers = indexes[index].local ? SERVERS : 1;
    if (part->acknowledged < BATCH)
        return;
    dfaiss_status_t status = DFAISS_OK;
    for (int server = 0; status == DFAISS_OK && server < servers; server++)
        status = client_sample(member->client, indexes[index].name, server, ELEMENT_f32, BATCH, DIM, part->vectors, &member->error);
    if (status == DFAISS_OK)
        status = client_train(member->client, indexes[index].name, &member->error);
    if (status != DFAISS_ERR_STATE && status != DFAISS_ERR_CONFIG)
        expect_ok(member, status);
}

static void flush(member_t *member, int index) {
    dfaiss_status_t status = dfaiss_flush(member->client, indexes[index].name, &member->error);
    if (status != DFAISS_ERR_STATE)
        expect_ok(member, status);
}

static void save(member_t *member, int index) {
    int64_t generation, bytes;
    expect_ok(member, client_save(member->client, indexes[index].name, &generation, &bytes, &member->error));
    expect(generation > 0 && bytes > 0);
}

static int64_t count_rows(member_t *member, int index) {
    message_statistics_t statistics[SERVERS];
    int64_t rows = 0;
    expect_ok(member, client_statistics(member->client, indexes[index].name, statistics, &member->error));
    for (int i = 0; i < SERVERS; i++)
        rows += statistics[i].rows;
    return rows;
}

/* ---- the whole content ---- */

/* Ids and scores of the K nearest of all that was put in, ties by id. */
static void brute_force(int index, const float *query, int64_t *ids, float *scores) {
    int found = 0;
    for (int64_t id = 0; id < CLIENTS * VECTORS; id++) {
        const struct part *part = &parts[index][id / VECTORS];
        if (id % VECTORS >= part->n)
            continue;
        float score = 0;
        for (int i = 0; i < DIM; i++)
            score += (part->vectors[id % VECTORS][i] - query[i]) * (part->vectors[id % VECTORS][i] - query[i]);
        int place = found < K ? found++ : K;
        for (; place > 0 && scores[place - 1] > score; place--) {
            if (place == K)
                continue;
            ids[place] = ids[place - 1];
            scores[place] = scores[place - 1];
        }
        if (place < K) {
            ids[place] = id;
            scores[place] = score;
        }
    }
}

static void check_whole(member_t *member, int index) {
    enum { QUERIES = 12 };
    float queries[QUERIES][DIM];
    dfaiss_result_t *result = NULL;
    int64_t rows = 0;
    for (int client = 0; client < CLIENTS; client++)
        rows += parts[index][client].n;
    expect(count_rows(member, index) == rows);
    expect(rows >= K);
    for (int i = 0; i < QUERIES * DIM; i++)
        queries[i / DIM][i % DIM] = (float)random_below(&member->random, 256);
    expect_ok(member, search(member, indexes[index].name, QUERIES, queries[0], &result));
    for (int query = 0; query < QUERIES; query++) {
        int64_t ids[K];
        float scores[K];
        brute_force(index, queries[query], ids, scores);
        expect(memcmp(ids, dfaiss_result_ids(result) + query * K, sizeof ids) == 0);
        expect(memcmp(scores, dfaiss_result_scores(result) + query * K, sizeof scores) == 0);
    }
    dfaiss_result_destroy(result);
}

/* ---- plays ---- */

static void work(member_t *member) {
    for (int step = 0; step < STEPS; step++) {
        int index = (int)random_below(&member->random, INDEXES);
        uint64_t choice = random_below(&member->random, 20);
        if (choice < 8)
            add(member, index, 1 + (int64_t)random_below(&member->random, BATCH));
        else if (choice < 10)
            wait_for_adds(member);
        else if (choice < 16)
            find_own(member, index);
        else if (choice < 17)
            train(member, index);
        else if (choice < 18)
            flush(member, index);
        else if (choice < 19)
            save(member, index);
        else
            expect(count_rows(member, index) >= 0);
    }
    wait_for_adds(member);
}

/* What all have put in is there, before and after it is indexed. The clients share out the indexes. */
static void end_work(member_t *member) {
    fake_meet(member);
    for (int index = member->number; index < INDEXES; index += CLIENTS) {
        check_whole(member, index);
        train(member, index);
        flush(member, index);
        check_whole(member, index);
        save(member, index);
    }
}

static void play_new_indexes(member_t *member) {
    for (int index = 0; member->number == 0 && index < INDEXES; index++)
        fake_create(member, indexes[index].name, indexes[index].config, &with_own_ids);
    fake_meet(member);
    work(member);
    end_work(member);
}

static void play_loaded_indexes(member_t *member) {
    for (int index = member->number; index < INDEXES; index += CLIENTS) {
        expect_ok(member, dfaiss_load_index(member->client, indexes[index].name, NULL, false, &member->error));
        check_whole(member, index);
    }
    fake_meet(member);
    work(member);
    end_work(member);
    fake_meet(member);
    for (int index = member->number; index < INDEXES; index += CLIENTS)
        expect_ok(member, dfaiss_drop_index(member->client, indexes[index].name, &member->error));
}

static void test_many_clients_and_indexes(void **state) {
    char storage[256];
    dfaiss_error_t error;
    (void)state;
    check_make_folder(storage, sizeof storage);
    fake_job_run(storage, 1, true, play_new_indexes);
    fake_job_run(storage, 2, true, play_loaded_indexes);
    assert_ok(file_remove_tree(storage, &error), error);
}

enum { BRIEF = 600, BRIEF_STEPS = 15 };
static const float brief_vectors[BRIEF][DIM];

static void use_brief(member_t *member, int searches) {
    client_batch_t batch = {.element = ELEMENT_f32, .n = BRIEF, .dim = DIM, .vectors = brief_vectors, .first_id = 0};
    expect_possible(member, client_add(member->client, "brief", &batch, &member->error));
    expect_possible(member, client_add_wait(member->client, NULL, &member->error));
    for (int i = 0; i < searches; i++) {
        dfaiss_result_t *result = NULL;
        expect_possible(member, search(member, "brief", 2, brief_vectors[0], &result));
        dfaiss_result_destroy(result);
    }
}

/* An index that one client creates, trains and drops over and over again, while others use it as far as it is there. */
static void play_create_and_drop(member_t *member) {
    const dfaiss_create_options_t replacing = {.overwrite = true};
    for (int step = 0; step < BRIEF_STEPS; step++) {
        const int index = step % INDEXES;
        if (member->number > 0) {
            use_brief(member, 6);
            expect_possible(member, dfaiss_flush(member->client, "brief", &member->error));
            continue;
        }
        fake_create(member, "brief", indexes[index].config, &replacing);
        use_brief(member, 1);
        for (int server = 0; server < SERVERS; server++)
            expect_possible(member, client_sample(member->client, "brief", server, ELEMENT_f32, BATCH, DIM, brief_vectors, &member->error));
        expect_possible(member, client_train(member->client, "brief", &member->error));
        use_brief(member, 1);
        expect_ok(member, dfaiss_drop_index(member->client, "brief", &member->error));
    }
}

static void test_indexes_come_and_go(void **state) {
    (void)state;
    fake_job_run_alone(3, true, play_create_and_drop);
}

/* One index is saved over and over again while it is added to and searched; then the servers are shut down in the middle of indexing. */
static void play_leave_work_behind(member_t *member) {
    memset(&parts[1][member->number], 0, sizeof parts[1][member->number]);
    if (member->number == 0)
        fake_create(member, indexes[1].name, indexes[1].config, &with_own_ids);
    fake_meet(member);
    for (int step = 0; step < STEPS; step++) {
        add(member, 1, BATCH);
        if (step == 1)
            wait_for_adds(member);
        if (step == 2 && member->number == 0)
            train(member, 1);
        if (step % 8 == 7 && member->number == 1)
            save(member, 1);
        if (member->number == 2)
            find_own(member, 1);
    }
    wait_for_adds(member);
}

static void test_save_and_shut_down_while_indexing(void **state) {
    (void)state;
    fake_job_run_alone(4, true, play_leave_work_behind);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_clients_and_indexes),
        cmocka_unit_test(test_indexes_come_and_go),
        cmocka_unit_test(test_save_and_shut_down_while_indexing),
    };
    fake_job_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
