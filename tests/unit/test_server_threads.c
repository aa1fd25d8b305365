/* Servers and clients as threads of one process, over a fake transport and a fake engine (tests/fake): several clients create, fill, train, search,
 * save, load and drop several indexes at once, and every answer is compared with what was put in. An argument is another seed. ThreadSanitizer sees
 * every thread of a server: the one that serves, its team and its builder.
 *
 * What is found wrong ends the process, since the other ranks would wait for ever.
 */
#include "check.h"

#include <pthread.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "client/client.h"
#include "fake_world.h"
#include "server/server.h"

enum { SERVERS = 3, CLIENTS = 3, DIM = 8, K = 10, THREADS = 2, STEPS = 150, BATCH = 60, VECTORS = 2 * STEPS * BATCH, METADATA = 32 };

static uint64_t seed = 40961;

#define expect(condition)                                                                                                  \
    do {                                                                                                                   \
        if (!(condition)) {                                                                                                \
            fprintf(stderr, "%s:%d: expected %s (seed %llu)\n", __FILE__, __LINE__, #condition, (unsigned long long)seed); \
            abort();                                                                                                       \
        }                                                                                                                  \
    } while (0)

static const struct {
    const char *name;
    const char *config;
    bool local; /* every server is trained on samples of its own */
} indexes[] = {
    {"flat", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}", false},
    {"ivf", "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 8, \"centroids\": 16, \"nprobe\": 16, \"buffer_bsz\": 100}",
     false},
    {"local", "{\"index_builder_type\": \"ivfsq\", \"metric\": \"l2\", \"dim\": 8, \"centroids\": 16, \"nprobe\": 16, \"training\": \"local\"}",
     true},
    {"graph", "{\"index_builder_type\": \"hnswsq\", \"metric\": \"l2\", \"dim\": 8, \"threads\": 2}", false},
    {"other", "{\"faiss_factory\": \"LSH\", \"metric\": \"l2\", \"dim\": 8, \"buffer_bsz\": 50}", false},
};
enum { INDEXES = sizeof indexes / sizeof *indexes };

/* What a client has put into an index; vector i has id client * VECTORS + i. Others look at it only after all clients have met. */
static struct part {
    int64_t n, acknowledged;
    float vectors[VECTORS][DIM];
    uint8_t bytes[VECTORS][DIM]; /* the same */
} parts[INDEXES][CLIENTS];

typedef struct member member_t;
typedef void play_t(member_t *member);

/* One rank. */
struct member {
    pthread_t thread;
    MPI_Comm rank;
    const char *storage; /* of servers; NULL: a client */
    play_t *play;        /* of clients */
    int number;          /* among them */
    pthread_barrier_t *meeting;
    client_t *client;
    random_state_t random;
    dfaiss_error_t error;
};

static void expect_ok(const member_t *member, dfaiss_status_t status) {
    if (status == DFAISS_OK)
        return;
    fprintf(stderr, "rank: %s: %s (seed %llu)\n", dfaiss_status_name(status), member->error.text, (unsigned long long)seed);
    abort();
}

/* ---- worlds ---- */

static void *rank_main(void *argument) {
    member_t *member = argument;
    transport_t *transport = NULL;
    expect_ok(member, transport_create(member->rank, member->storage != NULL, &transport, &member->error));
    if (member->storage) {
        server_options_t options = {.storage = member->storage, .threads = THREADS};
        expect_ok(member, server_run(transport, &options, &member->error));
    } else {
        expect_ok(member, client_create(transport, 0, &member->client, &member->error));
        member->play(member);
        pthread_barrier_wait(member->meeting);
        if (member->number == 0)
            expect_ok(member, client_shutdown(member->client, &member->error));
        client_destroy(member->client);
    }
    transport_destroy(transport);
    return NULL;
}

/* Runs a world in which every client does `play`. */
static void run_world(const char *storage, uint64_t stream, play_t *play) {
    enum { RANKS = SERVERS + CLIENTS };
    static member_t members[RANKS];
    pthread_barrier_t meeting;
    fake_world_t *world = fake_world_create(RANKS, seed + stream);
    pthread_barrier_init(&meeting, NULL, CLIENTS);
    for (int i = 0; i < RANKS; i++) {
        bool server = i < SERVERS;
        members[i] = (member_t){.rank = fake_world_rank(world, i),
                                .storage = server ? storage : NULL,
                                .play = play,
                                .number = server ? i : i - SERVERS,
                                .meeting = &meeting,
                                .random = random_stream(seed + stream, (uint64_t)i)};
        expect(pthread_create(&members[i].thread, NULL, rank_main, &members[i]) == 0);
    }
    for (int i = 0; i < RANKS; i++)
        expect(pthread_join(members[i].thread, NULL) == 0);
    pthread_barrier_destroy(&meeting);
    fake_world_destroy(world);
}

/* ---- what clients do ---- */

static void create(member_t *member, const char *index, const char *config) {
    client_index_t made;
    expect_ok(member, client_create_index(member->client, index, config, 0, false, true, &made, &member->error));
    client_index_clear(&made);
}

static size_t describe(int64_t id, char *text) {
    /* Every fourth has no metadata. */
    return id % 4 == 3 ? 0 : (size_t)snprintf(text, METADATA, "vector %lld", (long long)id);
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

static void check_metadata(member_t *member, int index, const topk_t *hits) {
    uint8_t *metadata = NULL;
    uint64_t ends[K];
    expect_ok(member,
              client_fetch(member->client, indexes[index].name, hits->k, hits->servers, hits->rows, hits->ids, &metadata, ends, &member->error));
    for (int i = 0; i < K; i++) {
        char expected[METADATA];
        uint64_t begin = i > 0 ? ends[i - 1] : 0;
        size_t size = hits->ids[i] < 0 ? 0 : describe(hits->ids[i], expected);
        expect(ends[i] - begin == size);
        expect(size == 0 || memcmp(metadata + begin, expected, size) == 0);
    }
    free(metadata);
}

/* What was acknowledged is found, whatever happens meanwhile. */
static void find_own(member_t *member, int index) {
    const struct part *part = &parts[index][member->number];
    void *block;
    size_t block_size;
    if (part->acknowledged == 0)
        return;
    int64_t i = (int64_t)random_below(&member->random, (uint64_t)part->acknowledged);
    expect_ok(member, client_search(member->client, indexes[index].name, 1, DIM, part->vectors[i], K, 0, &block, &block_size, &member->error));
    topk_t hits = topk_view(block, 1, K);
    expect(hits.scores[0] == 0);
    expect(hits.ids[0] == member->number * VECTORS + i);
    check_metadata(member, index, &hits);
    memory_unmap(block, block_size);
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
    dfaiss_status_t status = client_flush(member->client, indexes[index].name, &member->error);
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
    void *block;
    size_t block_size;
    int64_t rows = 0;
    for (int client = 0; client < CLIENTS; client++)
        rows += parts[index][client].n;
    expect(count_rows(member, index) == rows);
    expect(rows >= K);
    for (int i = 0; i < QUERIES * DIM; i++)
        queries[i / DIM][i % DIM] = (float)random_below(&member->random, 256);
    expect_ok(member, client_search(member->client, indexes[index].name, QUERIES, DIM, queries[0], K, 0, &block, &block_size, &member->error));
    topk_t hits = topk_view(block, QUERIES, K);
    for (int query = 0; query < QUERIES; query++) {
        int64_t ids[K];
        float scores[K];
        brute_force(index, queries[query], ids, scores);
        expect(memcmp(ids, hits.ids + query * K, sizeof ids) == 0);
        expect(memcmp(scores, hits.scores + query * K, sizeof scores) == 0);
    }
    memory_unmap(block, block_size);
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
    pthread_barrier_wait(member->meeting);
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
        create(member, indexes[index].name, indexes[index].config);
    pthread_barrier_wait(member->meeting);
    work(member);
    end_work(member);
}

static void play_loaded_indexes(member_t *member) {
    for (int index = member->number; index < INDEXES; index += CLIENTS) {
        client_index_t loaded;
        expect_ok(member, client_load_index(member->client, indexes[index].name, &loaded, &member->error));
        client_index_clear(&loaded);
        check_whole(member, index);
    }
    pthread_barrier_wait(member->meeting);
    work(member);
    end_work(member);
    pthread_barrier_wait(member->meeting);
    for (int index = member->number; index < INDEXES; index += CLIENTS)
        expect_ok(member, client_drop_index(member->client, indexes[index].name, &member->error));
}

static void test_many_clients_and_indexes(void **state) {
    char storage[256];
    dfaiss_error_t error;
    (void)state;
    check_make_folder(storage, sizeof storage);
    run_world(storage, 1, play_new_indexes);
    run_world(storage, 2, play_loaded_indexes);
    assert_ok(file_remove_tree(storage, &error), error);
}

enum { BRIEF = 600, BRIEF_STEPS = 15 };
static const float brief_vectors[BRIEF][DIM];

/* The index is there, or not there, or not in a state for it. */
static void expect_possible(const member_t *member, dfaiss_status_t status) {
    if (status != DFAISS_ERR_NOT_FOUND && status != DFAISS_ERR_STATE && status != DFAISS_ERR_CONFIG)
        expect_ok(member, status);
}

static void use_brief(member_t *member, int searches) {
    client_batch_t batch = {.element = ELEMENT_f32, .n = BRIEF, .dim = DIM, .vectors = brief_vectors, .first_id = 0};
    expect_possible(member, client_add(member->client, "brief", &batch, &member->error));
    expect_possible(member, client_add_wait(member->client, NULL, &member->error));
    for (int i = 0; i < searches; i++) {
        void *block;
        size_t block_size;
        dfaiss_status_t status = client_search(member->client, "brief", 2, DIM, brief_vectors[0], K, 0, &block, &block_size, &member->error);
        expect_possible(member, status);
        if (status == DFAISS_OK)
            memory_unmap(block, block_size);
    }
}

/* An index that one client creates, trains and drops over and over again, while others use it as far as it is there. */
static void play_create_and_drop(member_t *member) {
    for (int step = 0; step < BRIEF_STEPS; step++) {
        const int index = step % INDEXES;
        client_index_t made;
        if (member->number > 0) {
            use_brief(member, 6);
            expect_possible(member, client_flush(member->client, "brief", &member->error));
            continue;
        }
        expect_ok(member, client_create_index(member->client, "brief", indexes[index].config, 0, true, false, &made, &member->error));
        client_index_clear(&made);
        use_brief(member, 1);
        for (int server = 0; server < SERVERS; server++)
            expect_possible(member, client_sample(member->client, "brief", server, ELEMENT_f32, BATCH, DIM, brief_vectors, &member->error));
        expect_possible(member, client_train(member->client, "brief", &member->error));
        use_brief(member, 1);
        expect_ok(member, client_drop_index(member->client, "brief", &member->error));
    }
}

static void test_indexes_come_and_go(void **state) {
    char storage[256];
    dfaiss_error_t error;
    (void)state;
    check_make_folder(storage, sizeof storage);
    run_world(storage, 3, play_create_and_drop);
    assert_ok(file_remove_tree(storage, &error), error);
}

/* One index is saved over and over again while it is added to and searched; then the servers are shut down in the middle of indexing. */
static void play_leave_work_behind(member_t *member) {
    memset(&parts[1][member->number], 0, sizeof parts[1][member->number]);
    if (member->number == 0)
        create(member, indexes[1].name, indexes[1].config);
    pthread_barrier_wait(member->meeting);
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
    char storage[256];
    dfaiss_error_t error;
    (void)state;
    check_make_folder(storage, sizeof storage);
    run_world(storage, 4, play_leave_work_behind);
    assert_ok(file_remove_tree(storage, &error), error);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_clients_and_indexes),
        cmocka_unit_test(test_indexes_come_and_go),
        cmocka_unit_test(test_save_and_shut_down_while_indexing),
    };
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
