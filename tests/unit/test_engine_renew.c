/* Large graphs lose rows in pieces, and the store may change between them. */
#include "test_engine.h"

enum { DIM = 4, SEGMENT = 19000, BEFORE = 18000, ROWS = 19500, WORDS = (ROWS + 63) / 64 };

static dfaiss_error_t err;

static world_t open_graph(void) {
    index_config_t config = engine_config("HNSW4,Flat", DIM, CONFIG_METRIC_l2);
    config.ef_construction = 8;
    world_t world = open_world(config, ROWS, 5, 2);
    world.effort = 200;
    open_store(&world, SEGMENT);
    build_rows(&world, 0, BEFORE, BEFORE);
    return world;
}

/* Two of three rows. */
static bool lives(int64_t row) {
    return row % 3 != 1;
}

static int64_t living(int64_t rows) {
    int64_t count = 0;
    for (int64_t row = 0; row < rows; row++)
        count += lives(row);
    return count;
}

/* One block, linked (true), or none (false). */
static bool compact_once(world_t *world, bool linked) {
    static uint64_t alive[WORDS];
    engine_block_t *block = NULL;
    memset(alive, 0, sizeof alive);
    for (int64_t row = 0; row < ROWS; row++) {
        if (lives(row))
            set_row(alive, row);
    }
    assert_ok(engine_block_compact(world->store, one_block(alive), &block, &err), err);
    bool worth = block != NULL;
    while (block && linked && !engine_block_link(world->store, block, clock_nanoseconds()))
        ;
    engine_block_destroy(block);
    return worth;
}

/* Rows are found that live, and no others; each has its own vector. */
static void check(world_t *world, int64_t rows, int64_t held) {
    assert_int_equal(engine_store_rows(world->store), rows);
    assert_int_equal(engine_store_held(world->store), held);
    search_all(world, 0);
    assert_well_formed(world, rows);
    for (int64_t row = 0; row < rows; row += 7) {
        float vector[DIM];
        dfaiss_status_t status = engine_store_reconstruct(world->store, 1, &row, vector, &err);
        if (lives(row) || held == rows) {
            assert_ok(status, err);
            assert_memory_equal(vector, world->x + row * DIM, sizeof vector);
        }
    }
}

static void test_pieces(void **state) {
    (void)state;
    world_t world = open_graph();
    assert_true(compact_once(&world, true));
    check(&world, BEFORE, BEFORE);
    assert_true(compact_once(&world, true));
    check(&world, BEFORE, living(BEFORE));
    assert_false(compact_once(&world, true));
    build_rows(&world, BEFORE, ROWS, 500);
    check(&world, ROWS, living(BEFORE) + ROWS - BEFORE);
    close_world(&world);
}

/* The segment is extended while it is built anew: that begins again. */
static void test_segments_that_grow_meanwhile(void **state) {
    (void)state;
    world_t world = open_graph();
    assert_true(compact_once(&world, true));
    build_rows(&world, BEFORE, BEFORE + 500, 500);
    check(&world, BEFORE + 500, BEFORE + 500);
    assert_true(compact_once(&world, true));
    check(&world, BEFORE + 500, BEFORE + 500);
    assert_true(compact_once(&world, true));
    check(&world, BEFORE + 500, living(BEFORE + 500));
    close_world(&world);
}

/* Another segment comes behind it, and a block is open that extends it: nothing is lost. */
static void test_segments_that_come_meanwhile(void **state) {
    (void)state;
    world_t world = open_graph();
    assert_true(compact_once(&world, true));
    build_rows(&world, BEFORE, ROWS, ROWS - BEFORE);
    check(&world, ROWS, ROWS);
    assert_true(compact_once(&world, true));
    check(&world, ROWS, living(BEFORE) + ROWS - BEFORE);
    assert_true(compact_once(&world, true));
    check(&world, ROWS, living(ROWS));
    assert_false(compact_once(&world, true));
    close_world(&world);
}

static void test_blocks_that_are_given_up(void **state) {
    (void)state;
    world_t world = open_graph();
    assert_true(compact_once(&world, false));
    assert_true(compact_once(&world, false));
    check(&world, BEFORE, BEFORE);
    assert_true(compact_once(&world, true));
    check(&world, BEFORE, BEFORE);
    assert_true(compact_once(&world, true));
    check(&world, BEFORE, living(BEFORE));
    close_world(&world);
    world = open_graph();
    assert_true(compact_once(&world, true)); /* the store goes with half a graph */
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_segments_that_grow_meanwhile),
        cmocka_unit_test(test_segments_that_come_meanwhile),
        cmocka_unit_test(test_blocks_that_are_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
