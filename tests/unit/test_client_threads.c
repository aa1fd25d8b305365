/* The public calls of several clients at once, against servers that are threads of the same process (tests/fake): requests that are under way
 * together and end in any order, indexes that are trained, or loaded anew, while they are used, and a shut-down in the middle of everything. An
 * argument is another seed.
 */
#include "check.h"

#include "fake_job.h"

enum { DIM = 8, K = 5, ROUNDS = 30, SLOTS = 5, BATCH = 40, VECTORS = ROUNDS * SLOTS * BATCH };

static const char *const names[] = {"one", "two"};
enum { INDEXES = sizeof names / sizeof *names };

static const char *const configs[] = {
    "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"buffer_bsz\": 100}",
    "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"threads\": 2}",
};

/* What a client has put into an index, and the ids that it was told. Others look at it only after all clients have met. */
static struct part {
    int64_t begun, acknowledged;
    float vectors[VECTORS][DIM];
    int64_t ids[VECTORS];
} parts[INDEXES][FAKE_CLIENTS];

static void make_vectors(member_t *member, int64_t n, float (*vectors)[DIM]) {
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i / DIM][i % DIM] = (float)random_below(&member->random, 1 << 20);
}

/* ---- requests under way together ---- */

/* A request, and what is expected of it. */
typedef struct slot {
    dfaiss_request_t *request;
    bool adds;
    int index;
    int64_t vector; /* that is searched, or the first that is added */
    int64_t n;
} slot_t;

static void start_add(member_t *member, slot_t *slot) {
    slot->adds = true;
    slot->index = (int)random_below(&member->random, INDEXES);
    struct part *part = &parts[slot->index][member->number];
    slot->vector = part->begun;
    slot->n = 1 + (int64_t)random_below(&member->random, BATCH);
    part->begun += slot->n;
    make_vectors(member, slot->n, part->vectors + slot->vector);
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = slot->n, .dim = DIM, .vectors = part->vectors[slot->vector]};
    expect_ok(member, dfaiss_add_start(member->client, names[slot->index], &batch, part->ids + slot->vector, &slot->request, &member->error));
}

/* All indexes are searched for a vector that is known to be in one of them; nothing where there is none. */
static void start_search(member_t *member, slot_t *slot) {
    slot->adds = false;
    slot->index = (int)random_below(&member->random, INDEXES);
    struct part *part = &parts[slot->index][member->number];
    if (part->acknowledged == 0)
        return;
    slot->vector = (int64_t)random_below(&member->random, (uint64_t)part->acknowledged);
    expect_ok(member,
              dfaiss_search_start(member->client, INDEXES, names, 1, DIM, part->vectors[slot->vector], K, NULL, &slot->request, &member->error));
}

static void end(member_t *member, slot_t *slot) {
    struct part *part = &parts[slot->index][member->number];
    dfaiss_result_t *result = NULL;
    bool done;
    if (!slot->request)
        return;
    if (random_below(&member->random, 2) == 0)
        expect_ok(member, dfaiss_request_test(slot->request, &done, &member->error));
    expect_ok(member, dfaiss_request_wait(slot->request, slot->adds ? NULL : &result, &member->error));
    slot->request = NULL;
    if (!slot->adds) {
        expect(dfaiss_result_scores(result)[0] == 0);
        expect(dfaiss_result_ids(result)[0] == part->ids[slot->vector]);
        expect(dfaiss_result_indexes(result)[0] == slot->index);
        dfaiss_result_destroy(result);
    }
}

static void play_requests_under_way(member_t *member) {
    for (int index = 0; member->number == 0 && index < INDEXES; index++)
        fake_create(member, names[index], configs[index], NULL);
    fake_meet(member);
    for (int round = 0; round < ROUNDS; round++) {
        slot_t slots[SLOTS] = {0};
        for (int i = 0; i < SLOTS; i++) {
            if (random_below(&member->random, 2) == 0)
                start_add(member, &slots[i]);
            else
                start_search(member, &slots[i]);
        }
        uint64_t first = random_below(&member->random, SLOTS);
        for (uint64_t i = 0; i < SLOTS; i++)
            end(member, &slots[(first + 2 * i) % SLOTS]);
        for (int index = 0; index < INDEXES; index++)
            parts[index][member->number].acknowledged = parts[index][member->number].begun;
    }
}

static int compare_ids(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* No id was given twice, and none is lost: the servers know them all. */
static void check_ids(member_t *member, int index) {
    static int64_t ids[FAKE_CLIENTS * VECTORS];
    int64_t count = 0, total = -1, *kept = NULL;
    for (int client = 0; client < FAKE_CLIENTS; client++) {
        for (int64_t i = 0; i < parts[index][client].begun; i++)
            ids[count++] = parts[index][client].ids[i];
    }
    qsort(ids, (size_t)count, sizeof *ids, compare_ids);
    for (int64_t i = 0; i < count; i++)
        expect(ids[i] >= 0 && (i == 0 || ids[i] > ids[i - 1]));
    expect_ok(member, dfaiss_get_ntotal(member->client, names[index], &total, &member->error));
    expect(total == count);
    expect_ok(member, dfaiss_get_ids(member->client, names[index], &kept, &total, &member->error));
    expect(total == count && memcmp(kept, ids, (size_t)count * sizeof *ids) == 0);
    free(kept);
}

/* Clients leave as they have played, and the servers end when the last one has. */
static void play_and_leave(member_t *member) {
    play_requests_under_way(member);
    fake_meet(member);
    for (int index = 0; member->number == 0 && index < INDEXES; index++)
        check_ids(member, index);
}

static void test_requests_under_way(void **state) {
    (void)state;
    fake_job_run_alone(21, false, play_and_leave);
}

/* ---- an index that is set and loaded anew while it is used, and has its dimension from the first vectors ---- */

static void use(member_t *member, const char *index) {
    float vectors[BATCH][DIM];
    dfaiss_result_t *result = NULL;
    make_vectors(member, BATCH, vectors);
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = BATCH, .dim = DIM, .vectors = vectors};
    expect_possible(member, dfaiss_add(member->client, index, &batch, NULL, &member->error));
    expect_possible(member, dfaiss_search(member->client, 1, &index, 1, DIM, vectors[0], K, NULL, &result, &member->error));
    dfaiss_result_destroy(result);
    expect_possible(member, dfaiss_flush(member->client, index, &member->error));
}

static void ask(member_t *member, const char *index) {
    dfaiss_statistics_t statistics[FAKE_SERVERS];
    dfaiss_config_t *config = NULL;
    char **all = NULL;
    int64_t count, *ids = NULL;
    expect_possible(member, dfaiss_get_config(member->client, index, &config, &member->error));
    dfaiss_config_destroy(config);
    expect_possible(member, dfaiss_list_indexes(member->client, &all, &count, &member->error));
    free(all);
    expect_possible(member, dfaiss_get_statistics(member->client, index, statistics, &member->error));
    expect_possible(member, dfaiss_get_ids(member->client, index, &ids, &count, &member->error));
    free(ids);
}

static void set(member_t *member, const char *index) {
    expect_possible(member, dfaiss_set_nprobe(member->client, index, 1 + (int64_t)random_below(&member->random, 100), &member->error));
    expect_possible(member, dfaiss_set_threads(member->client, 1 + (int)random_below(&member->random, 3), &member->error));
}

/* Nothing that was there before is lost; what others add meanwhile may be. */
static void save_and_load(member_t *member, const dfaiss_config_t *overrides) {
    int64_t before, after;
    expect_ok(member, dfaiss_get_ntotal(member->client, "kept", &before, &member->error));
    expect_ok(member, dfaiss_save_index(member->client, "kept", NULL, &member->error));
    expect_ok(member, dfaiss_load_index(member->client, "kept", overrides, true, &member->error));
    expect_ok(member, dfaiss_get_ntotal(member->client, "kept", &after, &member->error));
    expect(after >= before);
}

static void play_reload(member_t *member) {
    dfaiss_config_t *overrides = NULL;
    if (member->number == 0)
        fake_create(member, "kept", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 0}", NULL);
    expect_ok(member, dfaiss_config_create(&overrides, &member->error));
    expect_ok(member, dfaiss_config_set(overrides, "nprobe", "7", &member->error));
    fake_meet(member);
    for (int round = 0; round < ROUNDS; round++) {
        use(member, "kept");
        if (member->number == 1)
            ask(member, "kept");
        if (member->number == 2)
            set(member, "kept");
        if (member->number == 0 && round % 3 == 2)
            save_and_load(member, round % 2 ? overrides : NULL);
    }
    dfaiss_config_destroy(overrides);
}

static void test_loaded_anew_while_used(void **state) {
    (void)state;
    fake_job_run_alone(22, true, play_reload);
}

/* ---- an index that another one has replaced when a client adds to it ---- */

/* Client 1 starts more adds than servers take at once, and the first of them learn what has happened while the others wait for their turn. */
static void add_many_at_once(member_t *member, const char *index) {
    enum { ADDS = 4 * 3 * FAKE_SERVERS };
    static const float vectors[BATCH][DIM];
    int64_t total, ids[ADDS][BATCH];
    dfaiss_request_t *requests[ADDS];
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = BATCH, .dim = DIM, .vectors = vectors[0]};
    for (int i = 0; i < ADDS; i++)
        expect_ok(member, dfaiss_add_start(member->client, index, &batch, ids[i], &requests[i], &member->error));
    for (int i = 0; i < ADDS; i++)
        expect_ok(member, dfaiss_request_wait(requests[i], NULL, &member->error));
    expect_ok(member, dfaiss_get_ntotal(member->client, index, &total, &member->error));
    expect(total == ADDS * BATCH);
}

static void play_replaced_between_adds(member_t *member) {
    const char *const index = "same";
    for (int round = 0; round < 3; round++) {
        if (member->number == 0 && round > 0)
            expect_ok(member, dfaiss_drop_index(member->client, index, &member->error));
        if (member->number == 0)
            fake_create(member, index, configs[0], NULL);
        fake_meet(member);
        if (member->number == 1)
            add_many_at_once(member, index);
        fake_meet(member);
    }
}

static void test_replaced_between_adds(void **state) {
    (void)state;
    fake_job_run_alone(27, true, play_replaced_between_adds);
}

/* ---- an index that goes between a search and the bringing of its metadata ---- */

enum { SAID = 4 }; /* characters of a vector's metadata */

static void add_saying(member_t *member, const char *index, const char *metadata) {
    static const float vectors[BATCH][DIM];
    uint64_t ends[BATCH];
    char all[BATCH * SAID];
    for (int i = 0; i < BATCH; i++) {
        memcpy(all + i * SAID, metadata, SAID);
        ends[i] = (uint64_t)(i + 1) * SAID;
    }
    dfaiss_batch_t batch = {.element = DFAISS_F32, .n = BATCH, .dim = DIM, .vectors = vectors[0], .metadata = all, .metadata_ends = ends};
    for (int server = 0; server < FAKE_SERVERS; server++)
        expect_ok(member, dfaiss_add(member->client, index, &batch, NULL, &member->error));
}

/* Until every server has searched for one query. */
static void wait_for_searches(member_t *member, const char *index) {
    for (int64_t searched = 0; searched < FAKE_SERVERS;) {
        dfaiss_statistics_t statistics[FAKE_SERVERS];
        expect_ok(member, dfaiss_get_statistics(member->client, index, statistics, &member->error));
        searched = 0;
        for (int server = 0; server < FAKE_SERVERS; server++)
            searched += statistics[server].queries;
    }
}

/* Client 1 searches, and goes on only when client 0 has put another index in the place of the one that was searched. */
static void play_replaced_before_metadata(member_t *member) {
    static const float query[DIM];
    const char *const index = "said";
    const dfaiss_search_options_t options = {.metadata = true};
    dfaiss_request_t *request = NULL;
    dfaiss_result_t *result = NULL;
    if (member->number == 0) {
        fake_create(member, index, configs[0], NULL);
        add_saying(member, index, "old ");
    }
    fake_meet(member);
    if (member->number == 1)
        expect_ok(member, dfaiss_search_start(member->client, 1, &index, 1, DIM, query, K, &options, &request, &member->error));
    if (member->number == 0) {
        wait_for_searches(member, index);
        expect_ok(member, dfaiss_drop_index(member->client, index, &member->error));
        fake_create(member, index, configs[0], NULL);
        add_saying(member, index, "new ");
    }
    fake_meet(member);
    if (member->number == 1) {
        expect(dfaiss_request_wait(request, &result, &member->error) == DFAISS_ERR_NOT_FOUND);
        expect(strstr(member->error.text, "anew") != NULL);
    }
}

static void test_metadata_are_of_what_was_searched(void **state) {
    (void)state;
    fake_job_run_alone(25, true, play_replaced_before_metadata);
}

/* ---- training beside everything else ---- */

static const char *const trained_configs[] = {
    "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 8, \"centroids\": 8, \"nprobe\": 8, \"train_num\": 150}",
    "{\"index_builder_type\": \"ivfsq\", \"metric\": \"dot\", \"dim\": 8, \"centroids\": 8, \"train_num\": 100, \"training\": \"local\"}",
    "{\"index_builder_type\": \"hnswsq\", \"metric\": \"cosine\", \"dim\": 8}",
    "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 8, \"infer_centroids\": true, \"training\": \"local\"}",
};
enum { TRAINED = sizeof trained_configs / sizeof *trained_configs, TRAINED_ROUNDS = 12 };

static void look_at_training(member_t *member, const char *index) {
    dfaiss_state_t state;
    float *centroids = NULL;
    int64_t lists, dim;
    dfaiss_status_t status = dfaiss_get_centroids(member->client, index, member->number, &centroids, &lists, &dim, &member->error);
    if (status != DFAISS_ERR_UNSUPPORTED)
        expect_possible(member, status);
    free(centroids);
    expect_possible(member, dfaiss_get_state(member->client, index, &state, &member->error));
}

/* Client 0 asks for training and another client too, and where the configuration says so it begins by itself. */
static void train_and_use(member_t *member, const char *index) {
    for (int round = 0; round < TRAINED_ROUNDS; round++) {
        use(member, index);
        look_at_training(member, index);
        if (member->number == 0 && round == TRAINED_ROUNDS / 2)
            expect_possible(member, dfaiss_train_start(member->client, index, &member->error));
        if (member->number == 1 && round % 4 == 3)
            expect_possible(member, dfaiss_train(member->client, index, &member->error));
        if (member->number == 2 && round % 4 == 2)
            expect_possible(member, dfaiss_save_index(member->client, index, NULL, &member->error));
    }
}

static void play_training(member_t *member) {
    const char *const index = "learned";
    for (int i = 0; i < 2 * TRAINED; i++) {
        dfaiss_state_t state = DFAISS_NOT_TRAINED;
        bool dropped_meanwhile = i >= TRAINED;
        if (member->number == 0)
            fake_create(member, index, trained_configs[i % TRAINED], NULL);
        fake_meet(member);
        train_and_use(member, index);
        if (!dropped_meanwhile)
            fake_meet(member);
        if (member->number == 0 && !dropped_meanwhile) {
            expect_ok(member, dfaiss_wait_state(member->client, index, DFAISS_ADD, 0, &member->error));
            expect_ok(member, dfaiss_flush(member->client, index, &member->error));
            expect_ok(member, dfaiss_get_state(member->client, index, &state, &member->error));
            expect(state == DFAISS_TRAINED);
        }
        if (member->number == 0)
            expect_ok(member, dfaiss_drop_index(member->client, index, &member->error));
        fake_meet(member);
    }
}

static void test_training_beside_everything(void **state) {
    (void)state;
    fake_job_run_alone(24, true, play_training);
}

/* ---- a shut-down in the middle ---- */

static void play_until_shut_down(member_t *member) {
    dfaiss_status_t status = DFAISS_OK;
    if (member->number == 0)
        fake_create(member, "last", configs[0], NULL);
    fake_meet(member);
    for (int round = 0; status == DFAISS_OK; round++) {
        const char *const index = "last";
        dfaiss_result_t *result = NULL;
        float query[1][DIM];
        if (member->number == 0 && round == ROUNDS / 2)
            expect_ok(member, dfaiss_shutdown(member->client, &member->error));
        use(member, index);
        make_vectors(member, 1, query);
        status = dfaiss_search(member->client, 1, &index, 1, DIM, query[0], K, NULL, &result, &member->error);
        dfaiss_result_destroy(result);
    }
    expect(status == DFAISS_ERR_STATE);
    expect(dfaiss_save_index(member->client, "last", NULL, &member->error) == DFAISS_ERR_STATE);
}

static void test_shut_down_by_one_client(void **state) {
    (void)state;
    fake_job_run_alone(23, false, play_until_shut_down);
}

/* Client 1 waits for many vectors to be indexed while client 0 shuts down: neither waits for ever. */
static void play_shut_down_beside_flush(member_t *member) {
    enum { MANY = 4000, LOOKS = 10 };
    static const float vectors[MANY][DIM];
    const char *const index = "behind";
    if (member->number == 0)
        fake_create(member, index, configs[0], NULL);
    fake_meet(member);
    if (member->number == 1) {
        dfaiss_batch_t batch = {.element = DFAISS_F32, .n = MANY, .dim = DIM, .vectors = vectors[0]};
        for (int server = 0; server < FAKE_SERVERS; server++)
            expect_ok(member, dfaiss_add(member->client, index, &batch, NULL, &member->error));
    }
    fake_meet(member);
    if (member->number == 1)
        expect_possible(member, dfaiss_flush(member->client, index, &member->error));
    if (member->number == 0) {
        dfaiss_state_t state;
        for (int look = 0; look < LOOKS; look++)
            expect_ok(member, dfaiss_get_state(member->client, index, &state, &member->error));
        expect_ok(member, dfaiss_shutdown(member->client, &member->error));
    }
}

static void test_shut_down_beside_a_flush(void **state) {
    (void)state;
    fake_job_run_alone(26, false, play_shut_down_beside_flush);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_under_way),         cmocka_unit_test(test_loaded_anew_while_used),
        cmocka_unit_test(test_replaced_between_adds),      cmocka_unit_test(test_metadata_are_of_what_was_searched),
        cmocka_unit_test(test_training_beside_everything), cmocka_unit_test(test_shut_down_by_one_client),
        cmocka_unit_test(test_shut_down_beside_a_flush),
    };
    fake_job_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
