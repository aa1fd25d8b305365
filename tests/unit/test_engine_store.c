/* Stores: blocks of odd sizes, blocks that are given up, saving and restoring, and a builder beside a search. */
#include "test_engine.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <xxhash.h>

#include "base/memory.h"

static const char *const factories[] = {
    "Flat", "SQ8", "PCA8,PQ8x4np", "IVF16,Flat", "IVF16,PQ8x5np", "HNSW8_SQ8", "PCA8,HNSW8,Flat", "IVF16,SQ8,RFlat", "PCA8,IVF16,PQ4x4fs"};
enum { FACTORIES = sizeof factories / sizeof *factories };

static int64_t *found_rows(world_t *world) {
    int64_t *rows = malloc((size_t)(world->nq * world->k) * sizeof *rows);
    search_all(world, NEVER);
    memcpy(rows, world->rows, (size_t)(world->nq * world->k) * sizeof *rows);
    return rows;
}

/* Graphs do, and indexes that refine what each of their segments finds. Of the others, the last bits of what a transform makes of a vector, or of its
 * distances to centroids, depend on how many vectors faiss gets at once, which now and then moves a PQ code. */
static bool changes_with_blocks(const world_t *world) {
    const char *factory = world->config.faiss_factory;
    engine_class_t class = engine_template_class(world->template);
    return class == ENGINE_HNSW || class == ENGINE_OPAQUE || strstr(factory, "PCA") || strstr(factory, "PQ");
}

/* The parts of a store are whole: segments follow each other, lists hold every row once. */
static void assert_whole(const world_t *world) {
    int64_t rows = engine_store_rows(world->store), counted = 0;
    for (int64_t i = 0; i < engine_store_segments(world->store); i++) {
        int64_t first, count;
        engine_store_segment(world->store, i, &first, &count);
        assert_int_equal(first, counted);
        counted += count;
    }
    for (int64_t i = 0; i < engine_template_lists(world->template); i++) {
        int64_t size;
        const uint8_t *codes;
        const int64_t *listed;
        engine_store_list(world->store, i, &size, &codes, &listed);
        for (int64_t j = 1; j < size; j++)
            assert_true(listed[j - 1] < listed[j]);
        counted += size;
    }
    assert_int_equal(counted, rows);
    size_t least = (size_t)rows * engine_template_code_size(world->template);
    assert_true(engine_store_bytes(world->store) >= least && (rows == 0 || engine_store_bytes(world->store) > 0));
}

static void block_sizes_change_nothing(void **state) {
    (void)state;
    for (int f = 0; f < FACTORIES; f++) {
        world_t world = open_world(engine_config(factories[f], 16, CONFIG_METRIC_l2), 1500, 20, 1);
        world.effort = 64;
        build_rows(&world, 0, world.n, world.n);
        int64_t *expected = found_rows(&world);
        static const int64_t sizes[] = {1, 37, 499, 65537};
        static const int64_t segments[] = {0, 1, 100, 1000};
        for (int i = 1; i < 4; i++) {
            open_store(&world, segments[i]);
            build_rows(&world, 0, i == 1 && engine_store_segments(world.store) == 0 ? 40 : world.n, sizes[i]);
            assert_whole(&world);
            if (engine_store_rows(world.store) < world.n)
                continue;
            search_all(&world, 0);
            assert_well_formed(&world, world.n);
            if (changes_with_blocks(&world))
                assert_true(recall(&world, world.rows, expected) > 0.9);
            else
                assert_same_rows(&world, world.rows, expected);
        }
        free(expected);
        close_world(&world);
    }
}

/* Graphs become visible when they are sealed or full, and take their rows together. */
static void graphs_show_when_sealed(void **state) {
    (void)state;
    dfaiss_error_t err;
    world_t world = open_world(engine_config("HNSW8,Flat", 8, CONFIG_METRIC_l2), 1000, 10, 1);
    open_store(&world, 400);
    static const struct {
        int64_t n;
        bool seal;
        int64_t covers, segments;
    } steps[] = {{100, false, 0, 0}, {50, true, 150, 1},   {0, true, 0, 1},  {30, false, 0, 1},  {20, true, 50, 1},
                 {300, false, 0, 1}, {120, false, 400, 2}, {0, true, 20, 3}, {360, true, 360, 3}};
    int64_t built = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        engine_block_t *block = NULL;
        assert_ok(engine_block_build(world.store, built, steps[i].n, world.x + built * world.dim, steps[i].seal, &block, &err), err);
        built += steps[i].n;
        assert_int_equal(engine_block_rows(block), steps[i].covers);
        assert_true(engine_block_link(world.store, block, NEVER));
        engine_block_destroy(block);
        assert_int_equal(engine_store_segments(world.store), steps[i].segments);
        assert_whole(&world);
    }
    assert_int_equal(engine_store_rows(world.store), 980);
    world.n = 980;
    world.effort = 200;
    int64_t *exact = malloc((size_t)(world.nq * world.k) * sizeof *exact);
    brute_force(&world, world.n, world.x, exact);
    search_all(&world, NEVER);
    assert_true(recall(&world, world.rows, exact) > 0.97);
    free(exact);
    close_world(&world);
}

static void blocks_given_up_leave_no_trace(void **state) {
    (void)state;
    dfaiss_error_t err;
    for (int f = 0; f < FACTORIES; f++) {
        world_t world = open_world(engine_config(factories[f], 16, CONFIG_METRIC_l2), 1200, 20, 1);
        world.effort = 100;
        float *other = make_vectors(9, 600, world.dim);
        open_store(&world, 500);
        build_rows(&world, 0, 300, 110);
        int64_t *before = found_rows(&world);
        for (int i = 0; i < 4; i++) {
            engine_block_t *block = NULL;
            assert_ok(engine_block_build(world.store, 300, i % 2 ? 600 : 90, other, i / 2 == 0, &block, &err), err);
            engine_block_destroy(block);
            assert_int_equal(engine_store_rows(world.store), 300);
            search_all(&world, NEVER);
            assert_same_rows(&world, world.rows, before);
            assert_whole(&world);
        }
        build_rows(&world, 300, world.n, 450);
        assert_whole(&world);
        int64_t *exact = malloc((size_t)(world.nq * world.k) * sizeof *exact);
        search_all(&world, NEVER);
        memcpy(exact, world.rows, (size_t)(world.nq * world.k) * sizeof *exact);
        open_store(&world, 0);
        build_rows(&world, 0, world.n, world.n);
        search_all(&world, NEVER);
        assert_true(recall(&world, world.rows, exact) > (changes_with_blocks(&world) ? 0.95 : 0.9999));
        engine_block_destroy(NULL);
        free(other);
        free(before);
        free(exact);
        close_world(&world);
    }
}

/* A graph that was open when its block was given up goes on with the vectors that count. */
static void open_graphs_forget_blocks_given_up(void **state) {
    (void)state;
    dfaiss_error_t err;
    world_t world = open_world(engine_config("HNSW8,Flat", 16, CONFIG_METRIC_l2), 900, 20, 1);
    world.effort = 100;
    float *other = make_vectors(9, 700, world.dim);
    engine_block_t *block = NULL;
    open_store(&world, 600);
    assert_ok(engine_block_build(world.store, 0, 300, world.x, false, &block, &err), err);
    assert_true(engine_block_link(world.store, block, NEVER));
    engine_block_destroy(block);
    for (int i = 0; i < 3; i++) {
        assert_ok(engine_block_build(world.store, 300, i == 2 ? 700 : 100, other, i == 1, &block, &err), err);
        engine_block_destroy(block);
    }
    build_rows(&world, 300, world.n, 600);
    int64_t *exact = malloc((size_t)(world.nq * world.k) * sizeof *exact);
    brute_force(&world, world.n, world.x, exact);
    search_all(&world, NEVER);
    assert_well_formed(&world, world.n);
    assert_true(recall(&world, world.rows, exact) > 0.97);
    free(exact);
    free(other);
    close_world(&world);
}

static void misuse_is_noticed(void **state) {
    (void)state;
    dfaiss_error_t err;
    engine_block_t *block = NULL, *second = NULL;
    uint8_t *codes;
    int64_t *rows;
    world_t world = open_world(engine_config("Flat", 16, CONFIG_METRIC_l2), 100, 1, 1);
    assert_fails(engine_block_build(world.store, 1, 10, world.x, false, &block, &err), DFAISS_ERR_INTERNAL, err, "one after the other");
    assert_ok(engine_block_build(world.store, 0, 10, world.x, false, &block, &err), err);
    assert_fails(engine_block_build(world.store, 10, 10, world.x, false, &second, &err), DFAISS_ERR_INTERNAL, err, "neither linked nor destroyed");
    assert_fails(engine_store_restore_segment(world.store, 5, &codes, &err), DFAISS_ERR_INTERNAL, err, "only an empty store");
    engine_block_destroy(block);
    assert_fails(engine_store_restore_list(world.store, 0, 1, &codes, &rows, &err), DFAISS_ERR_INTERNAL, err, "not restored from lists");
    close_world(&world);
}

/* ---- saving and restoring ---- */

typedef struct sink {
    bytes_writer_t bytes;
    size_t limit; /* stops there; 0: never */
    dfaiss_error_t *err;
} sink_t;

static bool put_into_sink(void *context, const void *bytes, size_t size) {
    sink_t *sink = context;
    if (sink->limit && sink->bytes.size + size > sink->limit) {
        error_set(sink->err, DFAISS_ERR_SPACE, "somewhere", "no space is left");
        return false;
    }
    bytes_put(&sink->bytes, bytes, size);
    return true;
}

static void copy_segments(const world_t *world, engine_store_t *to) {
    dfaiss_error_t err;
    bool by_codes = engine_template_class(world->template) == ENGINE_CODES;
    for (int64_t i = 0; i < engine_store_segments(world->store); i++) {
        int64_t first, rows;
        engine_store_segment(world->store, i, &first, &rows);
        if (by_codes) {
            uint8_t *codes = NULL;
            assert_ok(engine_store_restore_segment(to, rows, &codes, &err), err);
            memcpy(codes, engine_store_segment_codes(world->store, i), (size_t)rows * engine_template_code_size(world->template));
            continue;
        }
        sink_t sink = {.limit = 0};
        assert_ok(engine_store_segment_write(world->store, i, put_into_sink, &sink, &err), err);
        assert_ok(engine_store_restore_blob(to, sink.bytes.data, sink.bytes.size, rows, &err), err);
        bytes_writer_destroy(&sink.bytes);
    }
}

static void copy_lists(const world_t *world, engine_store_t *to) {
    dfaiss_error_t err;
    for (int64_t i = 0; i < engine_template_lists(world->template); i++) {
        int64_t size, *rows = NULL;
        const int64_t *from_rows;
        const uint8_t *from_codes;
        uint8_t *codes = NULL;
        engine_store_list(world->store, i, &size, &from_codes, &from_rows);
        assert_ok(engine_store_restore_list(to, i, size, &codes, &rows, &err), err);
        if (size == 0)
            continue;
        memcpy(codes, from_codes, (size_t)size * engine_template_code_size(world->template));
        memcpy(rows, from_rows, (size_t)size * sizeof *rows);
    }
}

static void stores_come_back(void **state) {
    (void)state;
    dfaiss_error_t err;
    for (int f = 0; f < FACTORIES; f++) {
        world_t world = open_world(engine_config(factories[f], 16, CONFIG_METRIC_l2), 1500, 20, 2);
        engine_store_t *restored = NULL, *original = NULL;
        open_store(&world, 400);
        build_rows(&world, 0, 1000, 330);
        int64_t *expected = found_rows(&world);
        assert_ok(engine_store_create(world.template, 400, &restored, &err), err);
        copy_segments(&world, restored);
        copy_lists(&world, restored);
        assert_int_equal(engine_store_rows(restored), 0);
        assert_ok(engine_store_restore_end(restored, 1000, NULL, &err), err);
        original = world.store;
        world.store = restored;
        assert_whole(&world);
        search_all(&world, NEVER);
        assert_same_rows(&world, world.rows, expected);
        build_rows(&world, 1000, 1500, 500); /* and goes on from there */
        search_all(&world, NEVER);
        assert_well_formed(&world, 1500);
        assert_fails(engine_store_restore_end(restored, 1500, NULL, &err), DFAISS_ERR_INTERNAL, err, "empty store");
        engine_store_destroy(original);
        free(expected);
        close_world(&world);
    }
}

static void sinks_may_stop(void **state) {
    (void)state;
    dfaiss_error_t err;
    world_t world = open_world(engine_config("HNSW8,Flat", 16, CONFIG_METRIC_l2), 500, 1, 1);
    build_rows(&world, 0, 500, 500);
    sink_t sink = {.limit = 1, .err = &err};
    assert_fails(engine_store_segment_write(world.store, 0, put_into_sink, &sink, &err), DFAISS_ERR_SPACE, err, "no space is left");
    bytes_writer_destroy(&sink.bytes);
    close_world(&world);
}

static void damaged_graphs_are_refused(void **state) {
    (void)state;
    static const char *const blobs[] = {"HNSW8_SQ8", "IVF16,SQ8,RFlat"};
    dfaiss_error_t err;
    for (size_t b = 0; b < 2; b++) {
        world_t world = open_world(engine_config(blobs[b], 16, CONFIG_METRIC_l2), 500, 1, 1);
        build_rows(&world, 0, 500, 500);
        sink_t sink = {.limit = 0};
        assert_ok(engine_store_segment_write(world.store, 0, put_into_sink, &sink, &err), err);
        open_store(&world, 0);
        random_state_t random = random_stream(11, 0);
        for (int i = 0; i < 200; i++) {
            size_t at = (size_t)random_below(&random, sink.bytes.size);
            sink.bytes.data[at] ^= 4;
            assert_fails(engine_store_restore_blob(world.store, sink.bytes.data, sink.bytes.size, 500, &err), DFAISS_ERR_CHECKPOINT, err, "damaged");
            assert_fails(engine_store_restore_blob(world.store, sink.bytes.data, at, 500, &err), DFAISS_ERR_CHECKPOINT, err, "damaged");
            sink.bytes.data[at] ^= 4;
        }
        assert_fails(engine_store_restore_blob(world.store, sink.bytes.data, sink.bytes.size, 499, &err), DFAISS_ERR_CHECKPOINT, err,
                     "499 were expected");
        assert_ok(engine_store_restore_blob(world.store, sink.bytes.data, sink.bytes.size, 500, &err), err);
        assert_fails(engine_store_restore_end(world.store, 501, NULL, &err), DFAISS_ERR_CHECKPOINT, err, "501 were expected");
        assert_ok(engine_store_restore_end(world.store, 500, NULL, &err), err);
        bytes_writer_destroy(&sink.bytes);
        close_world(&world);
    }
}

/* Where the bytes hold this number, and hold it once; and the checksum behind them made right again after it was changed. */
static uint8_t *find_number(const bytes_writer_t *bytes, int64_t number) {
    uint8_t *found = memmem(bytes->data, bytes->size, &number, sizeof number);
    assert_non_null(found);
    size_t behind = bytes->size - (size_t)(found + 1 - bytes->data);
    assert_null(memmem(found + 1, behind, &number, sizeof number));
    return found;
}

static void seal_again(const bytes_writer_t *bytes) {
    uint64_t checksum = XXH3_64bits(bytes->data, bytes->size - 16);
    memcpy(bytes->data + bytes->size - sizeof checksum, &checksum, sizeof checksum);
}

/* With a checksum that is right: vectors that lists should not hold are what a refinement reads behind the end of its own. */
static void lists_inside_indexes_are_checked(void **state) {
    (void)state;
    static const int64_t wrong[] = {500, INT64_C(1) << 40, -1};
    dfaiss_error_t err;
    world_t world = open_world(engine_config("IVF16,SQ8,RFlat", 16, CONFIG_METRIC_l2), 500, 1, 1);
    build_rows(&world, 0, 500, 500);
    sink_t sink = {.limit = 0};
    assert_ok(engine_store_segment_write(world.store, 0, put_into_sink, &sink, &err), err);
    open_store(&world, 0);
    uint8_t *last = find_number(&sink.bytes, 499);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(last, &wrong[i], sizeof *wrong);
        seal_again(&sink.bytes);
        assert_fails(engine_store_restore_blob(world.store, sink.bytes.data, sink.bytes.size, 500, &err), DFAISS_ERR_CHECKPOINT, err,
                     "a vector of a list");
    }
    bytes_writer_destroy(&sink.bytes);
    close_world(&world);
}

/* Bytes that are whole are not called damaged, and an older generation is not looked for. The C library keeps up to 64 MiB a thread in reserve: the
 * vectors are more. */
static void missing_memory_is_no_damage(void **state) {
    (void)state;
    dfaiss_error_t err;
    world_t world = open_world(engine_config("SQ4,RFlat", 512, CONFIG_METRIC_l2), 40000, 1, 1);
    build_rows(&world, 0, world.n, world.n);
    sink_t sink = {.limit = 0};
    assert_ok(engine_store_segment_write(world.store, 0, put_into_sink, &sink, &err), err);
    open_store(&world, 0);
    if (limit_memory((rlim_t)4 << 20)) {
        dfaiss_status_t status = engine_store_restore_blob(world.store, sink.bytes.data, sink.bytes.size, world.n, &err);
        limit_memory(RLIM_INFINITY);
        assert_fails(status, DFAISS_ERR_MEMORY, err, "a segment");
    }
    assert_ok(engine_store_restore_blob(world.store, sink.bytes.data, sink.bytes.size, world.n, &err), err);
    bytes_writer_destroy(&sink.bytes);
    close_world(&world);
}

static void graphs_of_other_templates_are_refused(void **state) {
    (void)state;
    dfaiss_error_t err;
    world_t world = open_world(engine_config("HNSW8_SQ8", 16, CONFIG_METRIC_l2), 300, 1, 1);
    build_rows(&world, 0, 300, 300);
    sink_t sink = {.limit = 0};
    assert_ok(engine_store_segment_write(world.store, 0, put_into_sink, &sink, &err), err);
    static const struct {
        const char *factory;
        int64_t dim;
        config_metric_t metric;
        const char *part;
    } cases[] = {{"HNSW8_SQ8", 24, CONFIG_METRIC_l2, "dimension"},
                 {"HNSW8_SQ8", 16, CONFIG_METRIC_dot, "metric"},
                 {"HNSW8,Flat", 16, CONFIG_METRIC_l2, "kind"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world_t other = open_world(engine_config(cases[i].factory, cases[i].dim, cases[i].metric), 300, 1, 1);
        assert_fails(engine_store_restore_blob(other.store, sink.bytes.data, sink.bytes.size, 300, &err), DFAISS_ERR_CHECKPOINT, err, cases[i].part);
        close_world(&other);
    }
    bytes_writer_destroy(&sink.bytes);
    close_world(&world);
}

static void damaged_lists_are_refused(void **state) {
    (void)state;
    dfaiss_error_t err;
    uint8_t *codes;
    int64_t *rows;
    world_t world = open_world(engine_config("IVF16,SQ8", 16, CONFIG_METRIC_l2), 300, 1, 1);
    assert_fails(engine_store_restore_list(world.store, 16, 1, &codes, &rows, &err), DFAISS_ERR_CHECKPOINT, err, "number 16");
    assert_fails(engine_store_restore_list(world.store, -1, 1, &codes, &rows, &err), DFAISS_ERR_CHECKPOINT, err, "number -1");
    assert_fails(engine_store_restore_list(world.store, 3, -5, &codes, &rows, &err), DFAISS_ERR_CHECKPOINT, err, "list 3");
    assert_fails(engine_store_restore_list(world.store, 3, INT64_MAX / 4, &codes, &rows, &err), DFAISS_ERR_MEMORY, err, "memory");
    static const struct {
        int64_t rows[3];
        int64_t count;
        const char *part;
    } cases[] = {{{0, 1, 3}, 3, "row 3"}, {{0, -1, 2}, 3, "row -1"}, {{0, 2, 2}, 3, "twice"}, {{0, 1, 2}, 4, "4 were expected"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_store(&world, 0);
        assert_ok(engine_store_restore_list(world.store, 2, 2, &codes, &rows, &err), err);
        memcpy(rows, cases[i].rows, 2 * sizeof *rows);
        memset(codes, 0, 2 * engine_template_code_size(world.template));
        assert_ok(engine_store_restore_list(world.store, 5, 1, &codes, &rows, &err), err);
        rows[0] = cases[i].rows[2];
        assert_fails(engine_store_restore_end(world.store, cases[i].count, NULL, &err), DFAISS_ERR_CHECKPOINT, err, cases[i].part);
        assert_int_equal(engine_store_rows(world.store), 0);
    }
    close_world(&world);
}

static void segments_of_codes_are_counted(void **state) {
    (void)state;
    dfaiss_error_t err;
    uint8_t *codes;
    world_t world = open_world(engine_config("Flat", 16, CONFIG_METRIC_l2), 300, 1, 1);
    assert_fails(engine_store_restore_segment(world.store, 0, &codes, &err), DFAISS_ERR_CHECKPOINT, err, "0 rows");
    assert_fails(engine_store_restore_segment(world.store, INT64_MAX, &codes, &err), DFAISS_ERR_CHECKPOINT, err, "rows");
    assert_ok(engine_store_restore_segment(world.store, 7, &codes, &err), err);
    assert_fails(engine_store_restore_end(world.store, 8, NULL, &err), DFAISS_ERR_CHECKPOINT, err, "8 were expected");
    assert_ok(engine_store_restore_end(world.store, 7, NULL, &err), err);
    close_world(&world);
}

/* ---- a builder beside a search ---- */

typedef struct building {
    world_t *world;
    pthread_mutex_t lock;
    engine_block_t *block; /* handed over; the builder waits until it is taken */
    atomic_bool done;
    pthread_cond_t changed;
} building_t;

static void *build_all(void *context) {
    building_t *building = context;
    world_t *world = building->world;
    omp_set_num_threads(1);
    for (int64_t at = 0; at < world->n; at += 170) {
        dfaiss_error_t err;
        int64_t count = world->n - at < 170 ? world->n - at : 170;
        engine_block_t *block = NULL;
        if (engine_block_build(world->store, at, count, world->x + at * world->dim, at % 3 == 0 || at + count == world->n, &block, &err) != DFAISS_OK)
            break;
        pthread_mutex_lock(&building->lock);
        building->block = block;
        while (building->block)
            pthread_cond_wait(&building->changed, &building->lock);
        pthread_mutex_unlock(&building->lock);
    }
    building->done = true;
    return NULL;
}

static void link_what_is_there(building_t *building) {
    pthread_mutex_lock(&building->lock);
    engine_block_t *block = building->block;
    pthread_mutex_unlock(&building->lock);
    if (!block || !engine_block_link(building->world->store, block, clock_nanoseconds() + 100000))
        return;
    engine_block_destroy(block);
    pthread_mutex_lock(&building->lock);
    building->block = NULL;
    pthread_cond_signal(&building->changed);
    pthread_mutex_unlock(&building->lock);
}

static void builders_and_searches_do_not_meet(void **state) {
    (void)state;
    dfaiss_error_t err;
    for (int f = 0; f < FACTORIES; f++) {
        world_t world = open_world(engine_config(factories[f], 16, CONFIG_METRIC_l2), 2000, 8, 2);
        open_store(&world, 700);
        world.effort = 100;
        building_t building = {.world = &world, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
        pthread_t builder;
        assert_int_equal(pthread_create(&builder, NULL, build_all, &building), 0);
        while (!building.done) {
            bool done = false;
            assert_ok(engine_search_begin(world.search, world.nq, world.queries, world.k, world.effort, &err), err);
            while (!done) {
                link_what_is_there(&building); /* between the slices of a search */
                assert_ok(engine_search_store(world.search, world.store, clock_nanoseconds() + 20000, &done, &err), err);
            }
            engine_search_end(world.search, world.scores, world.rows);
            assert_well_formed(&world, engine_store_rows(world.store));
        }
        pthread_join(builder, NULL);
        assert_int_equal(engine_store_rows(world.store), world.n);
        assert_whole(&world);
        int64_t *expected = found_rows(&world);
        open_store(&world, 0);
        build_rows(&world, 0, world.n, world.n);
        search_all(&world, NEVER);
        assert_true(recall(&world, world.rows, expected) > (changes_with_blocks(&world) ? 0.95 : 0.9999));
        free(expected);
        close_world(&world);
    }
}

int main(void) {
    memory_return_freed(); /* missing_memory_is_no_damage: what other tests freed is no memory to be had */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_sizes_change_nothing),
        cmocka_unit_test(graphs_show_when_sealed),
        cmocka_unit_test(blocks_given_up_leave_no_trace),
        cmocka_unit_test(open_graphs_forget_blocks_given_up),
        cmocka_unit_test(misuse_is_noticed),
        cmocka_unit_test(stores_come_back),
        cmocka_unit_test(sinks_may_stop),
        cmocka_unit_test(damaged_graphs_are_refused),
        cmocka_unit_test(lists_inside_indexes_are_checked),
        cmocka_unit_test(missing_memory_is_no_damage),
        cmocka_unit_test(graphs_of_other_templates_are_refused),
        cmocka_unit_test(damaged_lists_are_refused),
        cmocka_unit_test(segments_of_codes_are_counted),
        cmocka_unit_test(builders_and_searches_do_not_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
