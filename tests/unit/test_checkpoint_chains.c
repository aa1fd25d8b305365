/* Saving again and again: whatever has come, changed and gone in between, what is loaded is what was there, and what is kept stays small. */
#include "test_checkpoint_world.h"

#include <unistd.h>

#include "base/fault.h"

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
    {"ivf pq", "{\"faiss_factory\": \"IVF8,PQ4x4\", " COMMON, true, true},
    {"hnsw", "{\"index_builder_type\": \"hnswsq\", \"store_n\": 8, " COMMON, true, false},
    {"opaque", "{\"faiss_factory\": \"IVF8,PQ4x4fs\", " COMMON, true, true},
};
enum { FORMS = sizeof forms / sizeof *forms };

static uint64_t seed = SEED; /* of what happens; DFAISS_TEST_SEED chooses another */

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
        random_state_t random = random_stream(seed, (uint64_t)form);
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

/* ---- how much is written ---- */

static world_t *make_saved(int form, int64_t rows) {
    world_t *world = world_create(forms[form].config);
    while (world->next_id < rows)
        world_add(world, 1000);
    if (forms[form].trains)
        train(world->shard);
    build_all(world->shard);
    world_save(world);
    assert_int_equal(world->part.file_count, 1);
    return world;
}

/* After one row in a hundred was added, a hundredth is written and a fifth of that, and what a file takes; whether they wait or are indexed, and
 * whether the index was loaded or saved before. Of graphs that are full nothing is written again, nor of an opaque index's blocks. */
static void test_little_is_written(void **state) {
    enum { ROWS = 40000, MORE = ROWS / 100 };
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        world_t *world = make_saved(form, ROWS);
        uint64_t whole = world->written, graph = strcmp(forms[form].name, "hnsw") == 0 ? whole / (ROWS / 1024) : 0;
        for (uint64_t i = 0; i < 4; i++) {
            if (i == 2)
                world_load(world);
            world_add(world, MORE);
            if (i % 2)
                build_all(world->shard);
            world_save(world);
            world_check(world, forms[form].answers);
            print_message("%s: %d bytes of %d for one row in a hundred\n", forms[form].name, (int)world->written, (int)whole);
            /* Twice as many are indexed, where those before waited. */
            uint64_t most = whole / 100 * (1 + i % 2) * 6 / 5 + graph + OVERHEAD;
            if (world->written > most)
                fail_msg("%s: %d bytes were written, at most %d are expected", forms[form].name, (int)world->written, (int)most);
        }
        world_destroy(world);
    }
}

/* What waits is written once, and not again before it is indexed. */
static void test_waiting_rows_are_written_once(void **state) {
    (void)state;
    world_t *world = world_create(forms[2].config);
    uint64_t written = 0;
    for (int i = 0; i < 12; i++) {
        world_add(world, 1000);
        world_save(world);
        written += world->written;
        assert_int_equal(world->part.file_count, i + 1);
    }
    world_check(world, true);
    assert_true(written < whole_size(world) + 12 * OVERHEAD);
    world_destroy(world);
}

/* Where nothing has changed no file is written, however often; a setting is worth a small one. */
static void test_nothing_new(void **state) {
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        world_t *world = make_saved(form, 3000);
        for (int i = 0; i < 20; i++) {
            world_save(world);
            assert_int_equal(world->part.file_count, 1);
            assert_int_equal(world->written, 0);
            if (i % 5 == 0)
                world_load(world);
        }
        world_check(world, forms[form].answers);
        shard_set_nprobe(world->shard, 5);
        world_save(world);
        assert_int_equal(world->part.file_count, 2);
        assert_in_range(world->written, 1, OVERHEAD);
        world_load(world);
        assert_int_equal(shard_config(world->shard)->nprobe, 5);
        const int64_t gone[] = {7, 8, 2999};
        world_remove(world, 3, gone);
        world_save(world);
        assert_in_range(world->written, 1, OVERHEAD);
        world_check(world, forms[form].answers);
        world_destroy(world);
    }
}

/* A hundred saves: the first file stays, the chain stays short, and what is written in all is a few times what there is. */
static void test_many_saves(void **state) {
    enum { SAVES = 100, ROWS = 30000, MORE = 60 };
    (void)state;
    for (int form = 0; form < 3; form++) {
        world_t *world = make_saved(form, ROWS);
        uint64_t written = 0, whole = world->written;
        for (int i = 0; i < SAVES; i++) {
            world_add(world, MORE);
            build_all(world->shard);
            world_save(world);
            written += world->written;
            assert_in_range(world->part.file_count, 2, FILES_MOST);
            assert_int_equal(manifest_file_generation(&world->part.files[0]), 1);
        }
        print_message("%s: %d bytes in %d saves, the first one wrote %d\n", forms[form].name, (int)written, SAVES, (int)whole);
        assert_true(written < whole / ROWS * SAVES * MORE * 4 + SAVES * OVERHEAD);
        world_check(world, forms[form].answers);
        world_destroy(world);
    }
}

/* ---- rows that are left out ---- */

/* Most rows go, so that a file leaves them out and numbers the others anew; what comes then goes on with those numbers, in this job and in the next.
 */
static void test_rows_get_new_numbers(void **state) {
    static int64_t ids[IDS_MOST];
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        world_t *world = make_saved(form, 6000);
        int64_t n = 0;
        for (int64_t id = 0; id < 6000; id++)
            if (id % 16 != 3 && id < 5000)
                ids[n++] = id;
        world_remove(world, n, ids);
        build_all(world->shard);
        world_save(world);
        world_check(world, forms[form].answers);
        int64_t rows = world->part.files[world->part.file_count - 1].rows;
        if (form < 5) /* hnsw and opaque indexes keep some of them */
            assert_in_range(rows, world->living, 3000);
        for (int i = 0; i < 3; i++) {
            n = 0;
            for (int64_t id = 3 + 16 * i; id < 6000; id += 160)
                ids[n++] = id;
            world_update(world, n, ids);
            world_add(world, 100);
            if (i != 1)
                build_all(world->shard);
            world_save(world);
            assert_true(form >= 5 || world->part.file_count == i + 2);
            world_check(world, forms[form].answers);
            if (i == 1)
                world_load(world);
        }
        world_destroy(world);
    }
}

/* Rows that go while they wait have no numbers then; when they are indexed all the same everything is written. */
static void test_waiting_rows_without_numbers(void **state) {
    static int64_t ids[IDS_MOST];
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        world_t *world = make_saved(form, 1000);
        int64_t n = 0;
        for (int i = 0; i < 4; i++)
            world_add(world, 1000);
        for (int64_t id = 1000; id < 5000; id++)
            if (id % 8 != 3)
                ids[n++] = id;
        world_remove(world, n, ids);
        world_save(world);
        assert_int_equal(world->part.file_count, 1);
        assert_int_equal(world->part.files[0].rows, world->living);
        world_add(world, 100);
        world_save(world);
        assert_int_equal(world->part.file_count, 2);
        world_check(world, forms[form].answers);
        for (int i = 0; i < 3; i++) {
            build_all(world->shard);
            world_save(world);
            world_check(world, forms[form].answers);
            world_add(world, 100);
        }
        world_destroy(world);
    }
}

/* ---- what fails ---- */

/* Any call of a save fails, now and then: the next one writes what is missing then, and what is loaded is right after every one. */
static void test_failed_saves(void **state) {
    enum { SAVES = 60 };
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        world_t *world = make_saved(form, 2000);
        random_state_t random = random_stream(seed + 1, (uint64_t)form);
        int failed = 0;
        for (int i = 0; i < SAVES; i++) {
            char fault[64];
            snprintf(fault, sizeof fault, "any:%d:%s", (int)random_below(&random, 80) + 1, random_below(&random, 2) ? "EIO" : "ENOSPC");
            change(world, &random);
            assert_ok(fault_choose(fault, &error), error);
            dfaiss_status_t status = world_try_to_save(world);
            assert_ok(fault_choose(NULL, &error), error);
            failed += status != DFAISS_OK;
            if (status == DFAISS_OK)
                world_check(world, forms[form].answers);
        }
        world_save(world);
        world_check(world, forms[form].answers);
        assert_in_range(failed, SAVES / 6, SAVES - 6);
        world_destroy(world);
    }
}

/* A file that is gone, or has become another one by its size, is seen before a chain goes on from it: then everything is written. */
static void test_lost_files(void **state) {
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        char path[PATH_MAX];
        world_t *world = make_saved(0, 2000);
        world_add(world, 100);
        world_save(world);
        assert_int_equal(world->part.file_count, 2);
        assert_ok(manifest_file_path(world->storage, "wiki", &world->part.files[0], path, sizeof path, &error), error);
        assert_int_equal(cut ? truncate(path, 1000) : unlink(path), 0);
        world_add(world, 100);
        world_save(world);
        assert_int_equal(world->part.file_count, 1);
        world_check(world, true);
        world_destroy(world);
    }
}

/* Where a file of the newest chain is damaged the generation before is loaded, unless it has the same file. */
static void test_the_generation_before(void **state) {
    (void)state;
    char path[PATH_MAX];
    manifest_t manifest = {0};
    shard_content_t content;
    world_t *world = make_saved(0, 2000);
    basis_destroy(world->saved);
    world->saved = NULL;
    world_add(world, 100);
    world_save(world); /* everything once more */
    world_add(world, 100);
    world_save(world);
    assert_int_equal(world->part.file_count, 2);
    assert_ok(manifest_file_path(world->storage, "wiki", &world->part.files[1], path, sizeof path, &error), error);
    assert_int_equal(truncate(path, 1000), 0);
    assert_ok(manifest_read(world->storage, "wiki", &manifest, &error), error);
    assert_int_equal(manifest.count, 2);
    assert_fails(generation_read(world->storage, "wiki", 3, 0, 1, &manifest.generations[1].parts[0], &content, &error), DFAISS_ERR_CHECKPOINT, error,
                 path);
    assert_ok(generation_read(world->storage, "wiki", 2, 0, 1, &manifest.generations[0].parts[0], &content, &error), error);
    assert_int_equal(content.rows, 2100);
    shard_content_clear(&content);
    manifest_clear(&manifest);
    world_destroy(world);
}

/* A basis is of the rows that were loaded. */
static void test_another_content(void **state) {
    (void)state;
    world_t *world = make_saved(0, 2000);
    shard_content_t content;
    manifest_part_t part = {0};
    int64_t number = 0;
    basis_t *basis = NULL;
    world_read(world, &part, &number, &content);
    part.files[0].rows++;
    assert_fails(basis_of_part(&content, number, &part, &basis, &error), DFAISS_ERR_INTERNAL, error, "are not the part");
    assert_null(basis);
    shard_content_clear(&content);
    manifest_clear_part(&part);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_little_is_written),
        cmocka_unit_test(test_waiting_rows_are_written_once),
        cmocka_unit_test(test_nothing_new),
        cmocka_unit_test(test_many_saves),
        cmocka_unit_test(test_rows_get_new_numbers),
        cmocka_unit_test(test_waiting_rows_without_numbers),
        cmocka_unit_test(test_failed_saves),
        cmocka_unit_test(test_lost_files),
        cmocka_unit_test(test_the_generation_before),
        cmocka_unit_test(test_another_content),
    };
    /* Many files are synced, which only memory does quickly. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    if (team_create(1, &team, &error) != DFAISS_OK)
        return 1;
    const char *chosen = getenv("DFAISS_TEST_SEED");
    seed = chosen ? strtoull(chosen, NULL, 10) : seed;
    printf("seed %llu\n", (unsigned long long)seed);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    team_destroy(team);
    return failures;
}
