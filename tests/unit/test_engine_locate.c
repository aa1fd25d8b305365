/* Inverted lists are looked through for rows in slices, whatever is linked and dropped between them. */
#include "test_engine.h"

enum { DIM = 4, BEFORE = 60000, BETWEEN = 70000, ROWS = 90000, WORDS = (ROWS + 63) / 64 };

static dfaiss_error_t err;

/* Two of three of the rows that were first there. */
static bool lives(int64_t row) {
    return row >= BEFORE || row % 3 != 1;
}

static void drop_rows(world_t *world) {
    static uint64_t alive[WORDS];
    const uint64_t *const blocks[] = {alive, alive + ENGINE_ROWS_A_BLOCK / 64};
    for (int64_t row = 0; row < ROWS; row++) {
        if (lives(row))
            set_row(alive, row);
    }
    for (;;) {
        engine_block_t *block = NULL;
        assert_ok(engine_block_compact(world->store, blocks, &block, &err), err);
        if (!block)
            return;
        while (!engine_block_link(world->store, block, clock_nanoseconds()))
            ;
        engine_block_destroy(block);
    }
}

/* The shortest slice. */
static bool locate(world_t *world) {
    bool ready = false;
    assert_ok(engine_store_locate(world->store, 0, &ready, &err), err);
    return ready;
}

static void check(world_t *world, int64_t rows) {
    for (int64_t row = 0; row < rows; row++) {
        float vector[DIM];
        dfaiss_status_t status = engine_store_reconstruct(world->store, 1, &row, vector, &err);
        assert_int_equal(status, lives(row) ? DFAISS_OK : DFAISS_ERR_ARG);
        if (lives(row))
            assert_memory_equal(vector, world->x + row * DIM, sizeof vector);
    }
}

static void test_slices(void **state) {
    (void)state;
    world_t world = open_world(engine_config("IVF2,Flat", DIM, CONFIG_METRIC_l2), ROWS, 1, 1);
    assert_true(locate(&world));
    build_rows(&world, 0, BEFORE, 7000);
    size_t bytes = engine_store_bytes(world.store);
    assert_false(locate(&world));
    build_rows(&world, BEFORE, BETWEEN, 3000);
    assert_false(locate(&world));
    drop_rows(&world);
    while (!locate(&world))
        ;
    assert_true(engine_store_bytes(world.store) > bytes / 2 + BETWEEN * 4);
    check(&world, BETWEEN);
    /* Rows that come later are known at once. */
    build_rows(&world, BETWEEN, ROWS, 9000);
    assert_true(locate(&world));
    check(&world, ROWS);
    close_world(&world);
}

static void test_without_slices(void **state) {
    (void)state;
    world_t world = open_world(engine_config("IVF300,Flat", DIM, CONFIG_METRIC_l2), ROWS, 1, 1);
    build_rows(&world, 0, BEFORE, 5000);
    drop_rows(&world);
    check(&world, BEFORE);
    assert_true(locate(&world));
    build_rows(&world, BEFORE, BETWEEN, 5000);
    assert_true(locate(&world));
    check(&world, BETWEEN);
    close_world(&world);
    world = open_world(engine_config("Flat", DIM, CONFIG_METRIC_l2), ROWS, 1, 1);
    build_rows(&world, 0, BEFORE, 5000);
    assert_true(locate(&world));
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_without_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
