/* Saving again and again: whatever has come, changed and gone in between, what is loaded is what was there, and what is kept stays small. */
#include "test_checkpoint_world.h"

#include <unistd.h>

enum { GENERATIONS = 40, FILES_MOST = 16, OVERHEAD = 1 << 16 };

#define COMMON "\"dim\": 8, \"metric\": \"l2\", \"nprobe\": 8, \"segment_rows\": 1024, \"attributes\": {\"year\": \"int\", \"lang\": \"string\"}}"

static const struct {
    const char *name, *config;
    bool trains, answers; /* the same ones after loading */
} forms[] = {
    {"flat", "{\"index_builder_type\": \"flat\", " COMMON, false, true},
    {"sq", "{\"faiss_factory\": \"SQ8\", " COMMON, true, true},
    {"ivf", "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 8, " COMMON, true, true},
    {"ivf, many lists", "{\"faiss_factory\": \"IVF256,SQ8\", " COMMON, true, false},
    {"hnsw", "{\"index_builder_type\": \"hnswsq\", \"store_n\": 8, " COMMON, true, false},
    {"opaque", "{\"faiss_factory\": \"IVF8,PQ4x4fs\", " COMMON, true, true},
};
enum { FORMS = sizeof forms / sizeof *forms };

/* ---- what happens between two saves ---- */

static int compare_ids(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Some of the ids that are there, ascending: up to `most`, and one in `part` of those looked at. */
static int64_t pick(const world_t *world, random_state_t *random, int64_t most, uint64_t part, int64_t *ids) {
    int64_t n = 0, start = world->next_id ? (int64_t)random_below(random, (uint64_t)world->next_id) : 0;
    for (int64_t i = 0; i < world->next_id && n < most; i++) {
        int64_t id = (start + i) % world->next_id;
        if (world->version[id] > 0 && random_below(random, part) == 0)
            ids[n++] = id;
    }
    qsort(ids, (size_t)n, sizeof *ids, compare_ids);
    return n;
}

/* Indexes nothing, some of it, or everything, and gives back memory. */
static void index_some(world_t *world, random_state_t *random) {
    uint64_t how = random_below(random, 4);
    if (how == 0)
        return;
    if (how > 1) {
        build_all(world->shard);
        return;
    }
    for (int i = 0; i < 2 && build_once(world->shard); i++)
        while (shard_changing(world->shard))
            (void)shard_advance(world->shard, INT64_MAX);
}

static void change(world_t *world, random_state_t *random) {
    static int64_t ids[IDS_MOST];
    for (int i = (int)random_below(random, 4); i >= 0; i--) {
        int64_t n;
        switch (random_below(random, 6)) {
        case 0:
            n = pick(world, random, 1 + (int64_t)random_below(random, 300), 1 + random_below(random, 3), ids);
            if (n > 0)
                world_remove(world, n, ids);
            break;
        case 1:
            n = pick(world, random, 1 + (int64_t)random_below(random, 200), 2, ids);
            if (n > 0)
                world_update(world, n, ids);
            break;
        case 2:
            index_some(world, random);
            break;
        default:
            world_add(world, 1 + (int64_t)random_below(random, 250));
        }
    }
}

/* As large as it is when everything is written. */
static uint64_t whole_size(world_t *world) {
    basis_t *saved = world->saved;
    manifest_basis_t basis = world->basis;
    char storage[sizeof world->storage];
    memcpy(storage, world->storage, sizeof storage);
    check_make_folder(world->storage, sizeof world->storage);
    world->saved = NULL;
    world->basis = (manifest_basis_t){0};
    world_save(world);
    uint64_t bytes = world->written;
    basis_destroy(world->saved);
    assert_ok(file_remove_tree(world->storage, &error), error);
    memcpy(world->storage, storage, sizeof storage);
    world->saved = saved;
    world->basis = basis;
    return bytes;
}

static void check_sizes(world_t *world, const char *name) {
    int64_t files = world->part.file_count;
    uint64_t bytes = manifest_part_bytes(&world->part), whole = whole_size(world);
    assert_in_range(files, 1, FILES_MOST);
    if (bytes > whole * 3 / 2 + (uint64_t)(FILES_MOST * OVERHEAD))
        fail_msg("%s: %llu bytes in %d files where one would have %llu", name, (unsigned long long)bytes, (int)files, (unsigned long long)whole);
}

static void test_against_a_model(void **state) {
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        world_t *world = world_create(forms[form].config);
        random_state_t random = random_stream(SEED, (uint64_t)form);
        int wrote_all = 0, wrote_nothing = 0;
        uint64_t longest = 0;
        world_add(world, 2000);
        for (int generation = 1; generation <= GENERATIONS; generation++) {
            if (generation == 4 && forms[form].trains)
                train(world->shard);
            change(world, &random);
            world_save(world);
            wrote_all += world->part.file_count == 1;
            wrote_nothing += world->written == 0;
            longest = (uint64_t)world->part.file_count > longest ? (uint64_t)world->part.file_count : longest;
            world_check(world, forms[form].answers);
            if (random_below(&random, 4) == 0)
                world_load(world);
            if (generation % 10 == 0)
                check_sizes(world, forms[form].name);
        }
        print_message("%s: %d vectors, %d rows; everything was written %d times, the longest chain had %d files\n", forms[form].name,
                      (int)world->living, (int)shard_rows(world->shard), wrote_all, (int)longest);
        assert_in_range(wrote_all, 1, GENERATIONS / 2);
        world_destroy(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
    };
    /* Many files are synced, which only memory does quickly. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    if (team_create(1, &team, &error) != DFAISS_OK)
        return 1;
    printf("seed %d\n", SEED);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    team_destroy(team);
    return failures;
}
