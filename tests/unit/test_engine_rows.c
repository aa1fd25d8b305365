/* What becomes of single rows: vectors that are given back from their codes, and rows that are dropped. */
#include "test_engine.h"

#include <omp.h>
#include <pthread.h>

enum { ROWS = 1000, QUERIES = 20 };

typedef struct kind {
    const char *factory;
    config_metric_t metric;
} kind_t;

static const kind_t kinds[] = {
    {"Flat", CONFIG_METRIC_l2},
    {"Flat", CONFIG_METRIC_cosine},
    {"SQ8", CONFIG_METRIC_l2},
    {"SQfp16", CONFIG_METRIC_dot},
    {"PQ8np", CONFIG_METRIC_l2},
    {"PQ8x5np", CONFIG_METRIC_dot},
    {"PCA16,Flat", CONFIG_METRIC_l2},
    {"OPQ4_16,PQ4np", CONFIG_METRIC_l2},
    {"RR32,SQ8", CONFIG_METRIC_cosine},
    {"IVF16,Flat", CONFIG_METRIC_l2},
    {"IVF16,SQ8", CONFIG_METRIC_dot},
    {"IVF16,PQ8x8np", CONFIG_METRIC_l2},
    {"IVF16,PQ8x8np", CONFIG_METRIC_dot},
    {"PCA16,IVF16_HNSW8,PQ4x5np", CONFIG_METRIC_l2},
    {"IVF16(IVF4,Flat),SQ8", CONFIG_METRIC_l2},
    {"HNSW16_SQ8", CONFIG_METRIC_l2},
    {"HNSW16,Flat", CONFIG_METRIC_dot},
    {"PCA16,HNSW16_PQ4np", CONFIG_METRIC_l2},
    {"IVF16,PQ8x4fs", CONFIG_METRIC_l2},
    {"PQ8x4fs", CONFIG_METRIC_dot},
    {"IVF16,SQ8,RFlat", CONFIG_METRIC_l2},
    {"HNSW16,Flat,RFlat", CONFIG_METRIC_l2},
};

static world_t open_kind(const kind_t *kind, int64_t segment_rows) {
    world_t world = open_world(engine_config(kind->factory, 32, kind->metric), ROWS, QUERIES, 2);
    open_store(&world, segment_rows);
    build_rows(&world, 0, ROWS, 430);
    return world;
}

/* ---- vectors given back ---- */

/* float[ROWS][dim] of plain faiss. */
static float *plain_vectors(const world_t *world) {
    float *vectors = malloc(sizeof *vectors * (size_t)(ROWS * world->dim));
    FaissIndex *index = plain_faiss(world, ROWS);
    assert_int_equal(faiss_Index_reconstruct_n(index, 0, ROWS, vectors), 0);
    faiss_Index_free(index);
    return vectors;
}

static void assert_vector(const world_t *world, const char *factory, const float *vector, const float *expected) {
    for (int64_t i = 0; i < world->dim; i++)
        if (fabsf(vector[i] - expected[i]) > 1e-4f)
            fail_msg("%s: component %d is %g, expected %g", factory, (int)i, (double)vector[i], (double)expected[i]);
}

static void vectors_come_back_as_from_faiss(void **state) {
    (void)state;
    static const int64_t rows[] = {0, 999, 429, 430, 17, 17, 860, 500};
    enum { COUNT = sizeof rows / sizeof *rows };
    dfaiss_error_t err;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_t world = open_kind(&kinds[i], 0);
        float *plain = plain_vectors(&world), *vectors = malloc(sizeof *vectors * (size_t)(COUNT * world.dim));
        assert_ok(engine_store_reconstruct(world.store, COUNT, rows, vectors, &err), err);
        for (int64_t j = 0; j < COUNT; j++)
            assert_vector(&world, kinds[i].factory, vectors + j * world.dim, plain + rows[j] * world.dim);
        assert_ok(engine_store_reconstruct(world.store, 0, NULL, NULL, &err), err);
        free(plain);
        free(vectors);
        close_world(&world);
    }
}

/* Rows that came after the first question are known to the next. */
static void later_rows_come_back_too(void **state) {
    (void)state;
    dfaiss_error_t err;
    const kind_t ivf = {"IVF16,Flat", CONFIG_METRIC_l2};
    world_t world = open_world(engine_config(ivf.factory, 32, ivf.metric), ROWS, QUERIES, 1);
    float vector[32];
    for (int64_t rows = 0; rows < ROWS; rows += 250) {
        build_rows(&world, rows, rows + 250, 100);
        for (int64_t row = 0; row < rows + 250; row += 49) {
            assert_ok(engine_store_reconstruct(world.store, 1, &row, vector, &err), err);
            assert_memory_equal(vector, world.x + row * 32, sizeof vector);
        }
    }
    close_world(&world);
}

static void rows_that_are_not_there_are_refused(void **state) {
    (void)state;
    dfaiss_error_t err;
    static const int64_t wrong[] = {-1, ROWS, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i += 3) {
        world_t world = open_kind(&kinds[i], 0);
        for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
            int64_t rows[] = {3, wrong[w]};
            float vectors[2 * 32] = {42};
            assert_int_equal(engine_store_reconstruct(world.store, 2, rows, vectors, &err), DFAISS_ERR_ARG);
            assert_non_null(strstr(err.text, "row"));
            assert_true(vectors[0] == 42);
        }
        close_world(&world);
    }
}

/* The template as another server, or a later job, has it. */
static void reread_template(world_t *world) {
    dfaiss_error_t err;
    bytes_writer_t bytes = {0};
    engine_template_t *template = world->template;
    assert_ok(engine_template_write(template, &bytes, &err), err);
    assert_ok(engine_template_read(&world->config, bytes.data, bytes.size, &world->template, &err), err);
    bytes_writer_destroy(&bytes);
    open_store(world, 0);
    open_search(world, 2);
    engine_template_destroy(template);
}

/* What faiss has no way back from is named. */
static void kinds_without_a_way_back_say_so(void **state) {
    (void)state;
    static const kind_t without[] = {{"PCAW16,Flat", CONFIG_METRIC_l2}, {"IVF4,FlatDedup", CONFIG_METRIC_l2}};
    static const char *const classes[] = {"codes", "opaque"};
    dfaiss_error_t err;
    for (size_t i = 0; i < 2 * sizeof without / sizeof *without; i++) {
        world_t world = open_world(engine_config(without[i / 2].factory, 32, without[i / 2].metric), ROWS, QUERIES, 2);
        int64_t row = 5;
        float vector[32] = {42};
        if (i % 2)
            reread_template(&world);
        build_rows(&world, 0, ROWS, 430);
        assert_int_equal(engine_store_reconstruct(world.store, 1, &row, vector, &err), DFAISS_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, classes[i / 2]));
        assert_true(vector[0] == 42);
        close_world(&world);
    }
}

/* ---- rows that are dropped ---- */

enum { WORDS = (ROWS + 63) / 64, BEFORE = 700, SEGMENT = 150 };

static world_t open_before(const kind_t *kind) {
    world_t world = open_world(engine_config(kind->factory, 32, kind->metric), ROWS, QUERIES, 2);
    world.effort = ROWS;
    open_store(&world, SEGMENT);
    build_rows(&world, 0, BEFORE, 330);
    return world;
}

/* Three of five, but none of the second segment. */
static void let_live(uint64_t *alive) {
    random_state_t random = random_stream(23, 1);
    memset(alive, 0, WORDS * sizeof *alive);
    for (int64_t row = 0; row < BEFORE; row++)
        if (random_below(&random, 5) < 3 && (row < SEGMENT || row >= 2 * SEGMENT))
            set_row(alive, row);
}

static void link_whole(world_t *world, engine_block_t *block) {
    assert_int_equal(engine_block_rows(block), 0);
    while (!engine_block_link(world->store, block, clock_nanoseconds()))
        ;
    engine_block_destroy(block);
}

/* Returns how many blocks it took. */
static int compact(world_t *world, const uint64_t *alive) {
    dfaiss_error_t err;
    for (int blocks = 0;; blocks++) {
        engine_block_t *block = NULL;
        assert_ok(engine_block_compact(world->store, one_block(alive), &block, &err), err);
        if (!block)
            return blocks;
        link_whole(world, block);
    }
}

static void search_living(world_t *world, const uint64_t *alive, int64_t rows, int64_t slice) {
    dfaiss_error_t err;
    engine_restriction_t restriction = {.allowed = one_block(alive), .rows = rows, .allowed_rows = count_set(alive, rows)};
    assert_ok(engine_search_begin(world->search, world->nq, world->queries, world->k, world->effort, &err), err);
    assert_ok(engine_search_restrict(world->search, &restriction, &err), err);
    search_store(world, slice);
    engine_search_end(world->search, world->scores, world->rows);
    assert_well_formed(world, rows);
}

/* Marks the rows that the store still gives back; those that live must be as they were. */
static int64_t find_held(world_t *world, const char *factory, const uint64_t *alive, int64_t rows, const float *vectors, uint64_t *held) {
    dfaiss_error_t err;
    float vector[32];
    memset(held, 0, WORDS * sizeof *held);
    for (int64_t row = 0; row < rows; row++) {
        dfaiss_status_t status = engine_store_reconstruct(world->store, 1, &row, vector, &err);
        if (is_set(alive, row))
            assert_ok(status, err);
        if (status != DFAISS_OK) {
            assert_int_equal(status, DFAISS_ERR_ARG);
            continue;
        }
        set_row(held, row);
        assert_vector(world, factory, vector, vectors + row * world->dim);
    }
    return count_set(held, rows);
}

static bool can_compact(const world_t *world) {
    return engine_template_class(world->template) != ENGINE_OPAQUE;
}

/* The ranking of a store that holds all rows. */
static ranking_t whole_ranking(const kind_t *kind) {
    world_t whole = open_world(engine_config(kind->factory, 32, kind->metric), ROWS, QUERIES, 1);
    build_rows(&whole, 0, ROWS, ROWS);
    ranking_t ranking = rank_all(&whole);
    close_world(&whole);
    return ranking;
}

/* Only the lists of lists do not probe all of them without a filter. */
static bool ranks_all(const char *factory) {
    return !strstr(factory, "(IVF");
}

static void dropped_rows_are_gone(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *factory = kinds[i].factory;
        world_t world = open_before(&kinds[i]);
        uint64_t alive[WORDS], held[WORDS];
        ranking_t ranking = whole_ranking(&kinds[i]);
        float *vectors = plain_vectors(&world);
        size_t bytes = engine_store_bytes(world.store);
        let_live(alive);
        assert_int_equal(engine_store_held(world.store), BEFORE);
        int blocks = compact(&world, alive);
        assert_int_equal(engine_store_rows(world.store), BEFORE);
        if (!can_compact(&world)) {
            assert_int_equal(blocks, 0);
            assert_int_equal(engine_store_held(world.store), BEFORE);
        } else {
            assert_true(blocks >= 1);
            assert_true(engine_store_bytes(world.store) < bytes);
            assert_int_equal(find_held(&world, factory, alive, BEFORE, vectors, held), engine_store_held(world.store));
            assert_true(engine_store_held(world.store) < BEFORE * 4 / 5);
            search_all(&world, 0);
            assert_well_formed(&world, BEFORE);
            if (ranks_all(factory) && engine_template_class(world.template) != ENGINE_HNSW)
                assert_first_of(&world, factory, &ranking, held);
            search_living(&world, alive, BEFORE, 0);
            if (ranks_all(factory))
                assert_first_of(&world, factory, &ranking, alive);
            /* Life goes on. */
            build_rows(&world, BEFORE, ROWS, 170);
            for (int64_t row = BEFORE; row < ROWS; row++)
                set_row(alive, row);
            search_living(&world, alive, ROWS, NEVER);
            if (ranks_all(factory))
                assert_first_of(&world, factory, &ranking, alive);
            assert_int_equal(find_held(&world, factory, alive, ROWS, vectors, held), engine_store_held(world.store));
            compact(&world, alive);
            search_living(&world, alive, ROWS, NEVER);
            if (ranks_all(factory))
                assert_first_of(&world, factory, &ranking, alive);
            assert_int_equal(compact(&world, alive), 0);
        }
        free(vectors);
        free_ranking(&ranking);
        close_world(&world);
    }
}

/* Graphs that were built anew are walked as well as others, and still numbered by the rows of the store. */
static void graphs_without_dropped_rows_are_walked(void **state) {
    (void)state;
    const kind_t kind = {"HNSW16,Flat", CONFIG_METRIC_l2};
    world_t world = open_before(&kind);
    uint64_t alive[WORDS], held[WORDS];
    float *living = malloc(sizeof *living * BEFORE * 32), *vectors = plain_vectors(&world);
    int64_t numbers[BEFORE], count = 0, *expected = malloc(sizeof *expected * (size_t)(world.nq * world.k));
    let_live(alive);
    compact(&world, alive);
    (void)find_held(&world, kind.factory, alive, BEFORE, vectors, held);
    for (int64_t row = 0; row < BEFORE; row++)
        if (is_set(held, row)) {
            memcpy(living + count * 32, world.x + row * 32, sizeof *living * 32);
            numbers[count++] = row;
        }
    brute_force(&world, count, living, expected);
    for (int64_t i = 0; i < world.nq * world.k; i++)
        expected[i] = numbers[expected[i]];
    world.effort = 100;
    search_all(&world, 0);
    assert_well_formed(&world, BEFORE);
    assert_true(recall(&world, world.rows, expected) > 0.98);
    free(living);
    free(vectors);
    free(expected);
    close_world(&world);
}

static void blocks_that_are_given_up_drop_nothing(void **state) {
    (void)state;
    dfaiss_error_t err;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_t world = open_before(&kinds[i]);
        uint64_t alive[WORDS];
        engine_block_t *block = NULL;
        let_live(alive);
        search_living(&world, alive, BEFORE, NEVER);
        int64_t *rows = malloc(sizeof *rows * (size_t)(world.nq * world.k));
        memcpy(rows, world.rows, sizeof *rows * (size_t)(world.nq * world.k));
        assert_ok(engine_block_compact(world.store, one_block(alive), &block, &err), err);
        assert_true((block != NULL) == can_compact(&world));
        if (block) /* one at a time */
            assert_int_equal(engine_block_compact(world.store, one_block(alive), &(engine_block_t *){NULL}, &err), DFAISS_ERR_INTERNAL);
        engine_block_destroy(block);
        assert_int_equal(engine_store_held(world.store), BEFORE);
        search_living(&world, alive, BEFORE, NEVER);
        assert_same_rows(&world, world.rows, rows);
        build_rows(&world, BEFORE, ROWS, 100);
        assert_int_equal(engine_store_held(world.store), ROWS);
        free(rows);
        close_world(&world);
    }
}

/* Nothing lives; what comes later does. */
static void stores_may_lose_all_their_rows(void **state) {
    (void)state;
    dfaiss_error_t err;
    static const uint64_t none[WORDS];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_t world = open_world(engine_config(kinds[i].factory, 32, kinds[i].metric), ROWS, QUERIES, 2);
        if (!can_compact(&world)) {
            close_world(&world);
            continue;
        }
        world.effort = ROWS;
        open_store(&world, SEGMENT);
        build_rows(&world, 0, 4 * SEGMENT, 200);
        assert_true(compact(&world, none) >= 1);
        assert_int_equal(engine_store_held(world.store), 0);
        assert_int_equal(engine_store_rows(world.store), 4 * SEGMENT);
        search_all(&world, 0);
        for (int64_t j = 0; j < world.nq * world.k; j++)
            assert_int_equal(world.rows[j], -1);
        int64_t row = 17;
        float vector[32];
        assert_int_equal(engine_store_reconstruct(world.store, 1, &row, vector, &err), DFAISS_ERR_ARG);
        build_rows(&world, 4 * SEGMENT, ROWS, 130);
        search_all(&world, NEVER);
        for (int64_t j = 0; j < world.nq * world.k; j++)
            assert_true(world.rows[j] >= 4 * SEGMENT);
        close_world(&world);
    }
}

/* ---- dropping rows beside searches ---- */

typedef struct dropping {
    engine_store_t *store;
    uint64_t alive[WORDS]; /* not changed while the builder works */
    engine_block_t *block;
    dfaiss_status_t status;
} dropping_t;

static void *drop_some(void *context) {
    dropping_t *dropping = context;
    dfaiss_error_t err;
    omp_set_num_threads(1);
    dropping->status = engine_block_compact(dropping->store, one_block(dropping->alive), &dropping->block, &err);
    return NULL;
}

/* Searches for what lives while the builder makes a block, which is linked afterwards. */
static void builders_drop_rows_beside_searches(void **state) {
    (void)state;
    static const kind_t some[] = {
        {"Flat", CONFIG_METRIC_l2}, {"SQ8", CONFIG_METRIC_dot}, {"IVF16,SQ8", CONFIG_METRIC_l2}, {"HNSW16,Flat", CONFIG_METRIC_l2}};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        world_t world = open_before(&some[i]);
        ranking_t ranking = whole_ranking(&some[i]);
        dropping_t dropping = {.store = world.store};
        uint64_t indexed[WORDS];
        random_state_t random = random_stream(31, i);
        memset(dropping.alive, 0xff, sizeof dropping.alive);
        for (int round = 0; round < 12; round++) {
            pthread_t builder;
            for (int dead = 0; dead < 50; dead++)
                dropping.alive[random_below(&random, WORDS)] &= ~(UINT64_C(1) << random_below(&random, 64));
            memset(indexed, 0, sizeof indexed); /* the ranking has more rows than the store */
            for (int64_t row = 0; row < BEFORE; row++)
                if (is_set(dropping.alive, row))
                    set_row(indexed, row);
            assert_int_equal(pthread_create(&builder, NULL, drop_some, &dropping), 0);
            for (int searches = 0; searches < 3; searches++) {
                search_living(&world, dropping.alive, BEFORE, 20000);
                assert_first_of(&world, some[i].factory, &ranking, indexed);
            }
            pthread_join(builder, NULL);
            assert_int_equal(dropping.status, DFAISS_OK);
            if (dropping.block)
                link_whole(&world, dropping.block);
            dropping.block = NULL;
        }
        assert_true(engine_store_held(world.store) < BEFORE * 3 / 4);
        free_ranking(&ranking);
        close_world(&world);
    }
}

/* ---- saving and restoring with holes ---- */

static bool put_bytes(void *context, const void *bytes, size_t size) {
    bytes_put(context, bytes, size);
    return true;
}

static void restore_segments(const world_t *world, engine_store_t *to) {
    dfaiss_error_t err;
    bool codes = engine_template_class(world->template) == ENGINE_CODES;
    for (int64_t segment = 0; segment < engine_store_segments(world->store); segment++) {
        int64_t first = 0, n = 0;
        engine_store_segment(world->store, segment, &first, &n);
        int64_t *rows = malloc(sizeof *rows * (size_t)n);
        const int64_t *numbers = engine_store_segment_rows(world->store, segment);
        for (int64_t i = 0; i < n; i++)
            rows[i] = numbers ? numbers[i] : first + i;
        assert_int_equal(rows[0], first);
        assert_ok(engine_store_restore_rows(to, n, rows, &err), err);
        free(rows);
        if (codes) {
            uint8_t *to_codes = NULL;
            assert_ok(engine_store_restore_segment(to, n, &to_codes, &err), err);
            memcpy(to_codes, engine_store_segment_codes(world->store, segment), (size_t)n * engine_template_code_size(world->template));
            continue;
        }
        bytes_writer_t bytes = {.data = NULL};
        assert_ok(engine_store_segment_write(world->store, segment, put_bytes, &bytes, &err), err);
        assert_ok(engine_store_restore_blob(to, bytes.data, bytes.size, n, &err), err);
        bytes_writer_destroy(&bytes);
    }
}

static void restore_lists(const world_t *world, engine_store_t *to) {
    dfaiss_error_t err;
    for (int64_t list = 0; list < engine_template_lists(world->template); list++) {
        int64_t size = 0, *to_rows = NULL;
        const int64_t *rows = NULL;
        const uint8_t *codes = NULL;
        uint8_t *to_codes = NULL;
        engine_store_list(world->store, list, &size, &codes, &rows);
        assert_ok(engine_store_restore_list(to, list, size, &to_codes, &to_rows, &err), err);
        if (size) {
            memcpy(to_codes, codes, (size_t)size * engine_template_code_size(world->template));
            memcpy(to_rows, rows, (size_t)size * sizeof *rows);
        }
    }
}

static void holes_are_saved_and_restored(void **state) {
    (void)state;
    dfaiss_error_t err;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_t world = open_before(&kinds[i]);
        uint64_t alive[WORDS], dead[WORDS];
        let_live(alive);
        for (size_t word = 0; word < WORDS; word++)
            dead[word] = ~alive[word];
        compact(&world, alive);
        engine_store_t *restored = NULL;
        assert_ok(engine_store_create(world.template, SEGMENT, &restored, &err), err);
        if (engine_template_class(world.template) == ENGINE_IVF)
            restore_lists(&world, restored);
        else
            restore_segments(&world, restored);
        if (can_compact(&world))
            assert_fails(engine_store_restore_end(restored, BEFORE, NULL, &err), DFAISS_ERR_CHECKPOINT, err, "700 were expected");
        if (can_compact(&world)) /* those that live may not be missing */
            assert_fails(engine_store_restore_end(restored, BEFORE, one_block(dead), &err), DFAISS_ERR_CHECKPOINT, err, "is not there");
        assert_fails(engine_store_restore_end(restored, 300, one_block(alive), &err), DFAISS_ERR_CHECKPOINT, err, "were expected");
        assert_ok(engine_store_restore_end(restored, BEFORE, one_block(alive), &err), err);
        assert_int_equal(engine_store_held(restored), engine_store_held(world.store));
        int64_t *rows = malloc(sizeof *rows * (size_t)(world.nq * world.k));
        search_living(&world, alive, BEFORE, NEVER);
        memcpy(rows, world.rows, sizeof *rows * (size_t)(world.nq * world.k));
        engine_store_destroy(world.store);
        world.store = restored;
        search_living(&world, alive, BEFORE, NEVER);
        assert_same_rows(&world, world.rows, rows);
        build_rows(&world, BEFORE, ROWS, 140);
        search_all(&world, 0);
        assert_well_formed(&world, ROWS);
        free(rows);
        close_world(&world);
    }
}

static void rows_of_segments_are_checked(void **state) {
    (void)state;
    static const struct {
        int64_t n, rows[3];
    } wrong[] = {{2, {7, 7}}, {3, {9, 11, 10}}, {1, {4}}, {1, {-1}}, {1, {INT64_MIN}}, {1, {INT64_MAX}}, {0, {0}}, {-1, {0}}};
    static const int64_t good[] = {1, 3, 4}, further[] = {8, 20};
    dfaiss_error_t err;
    uint8_t *codes = NULL;
    world_t world = open_world(engine_config("SQ8", 32, CONFIG_METRIC_l2), ROWS, QUERIES, 1);
    assert_ok(engine_store_restore_rows(world.store, 3, good, &err), err);
    assert_fails(engine_store_restore_segment(world.store, 4, &codes, &err), DFAISS_ERR_CHECKPOINT, err, "4 vectors and 3 rows");
    assert_ok(engine_store_restore_segment(world.store, 3, &codes, &err), err);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails(engine_store_restore_rows(world.store, wrong[i].n, wrong[i].rows, &err), DFAISS_ERR_CHECKPOINT, err, "row");
    assert_ok(engine_store_restore_rows(world.store, 2, good + 1, &err) == DFAISS_ERR_CHECKPOINT ? DFAISS_OK : DFAISS_ERR_INTERNAL, err);
    assert_ok(engine_store_restore_rows(world.store, 2, further, &err), err);
    assert_ok(engine_store_restore_segment(world.store, 2, &codes, &err), err);
    const uint64_t all_dead[] = {0}, some_dead[] = {UINT64_C(1) << 2};
    assert_fails(engine_store_restore_end(world.store, 20, one_block(all_dead), &err), DFAISS_ERR_CHECKPOINT, err, "row 20");
    assert_fails(engine_store_restore_end(world.store, 21, one_block(some_dead), &err), DFAISS_ERR_CHECKPOINT, err, "row 2 is not there");
    assert_fails(engine_store_restore_end(world.store, 4, one_block(all_dead), &err), DFAISS_ERR_CHECKPOINT, err, "4 were expected");
    assert_ok(engine_store_restore_end(world.store, 21, one_block(all_dead), &err), err);
    assert_int_equal(engine_store_held(world.store), 5);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_come_back_as_from_faiss),
        cmocka_unit_test(later_rows_come_back_too),
        cmocka_unit_test(rows_that_are_not_there_are_refused),
        cmocka_unit_test(kinds_without_a_way_back_say_so),
        cmocka_unit_test(dropped_rows_are_gone),
        cmocka_unit_test(graphs_without_dropped_rows_are_walked),
        cmocka_unit_test(blocks_that_are_given_up_drop_nothing),
        cmocka_unit_test(stores_may_lose_all_their_rows),
        cmocka_unit_test(builders_drop_rows_beside_searches),
        cmocka_unit_test(holes_are_saved_and_restored),
        cmocka_unit_test(rows_of_segments_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
