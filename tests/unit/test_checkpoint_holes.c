/* Stores that have dropped rows, in files: what is left comes back under the same numbers, and files that say something else are refused with the
 * place. */
#include "test_checkpoint_path.h"

#include <hdf5.h>

#include "base/clock.h"
#include "checkpoint/shard_file.h"

enum { DIM = 32, ROWS = 600, SEGMENT = 100 };

static int set_up(void **state) {
    (void)state;
    return set_up_server(0);
}

static const char *const factories[] = {"Flat", "SQ8", "IVF4,Flat", "HNSW8,Flat", "PCA4,HNSW8_SQ8"};

static bool lives(int64_t row) {
    return row % 3 != 0 && (row < 200 || row >= 300);
}

/* Component 0 of a vector is its row. */
static float *make_vectors(void) {
    float *x = calloc(ROWS * DIM, sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < ROWS * DIM; i++)
        x[i] = i % DIM ? (float)(i * 7919 % 101) : (float)(i / DIM);
    return x;
}

static void link_whole(engine_store_t *store, engine_block_t *block) {
    while (!engine_block_link(store, block, clock_nanoseconds()))
        ;
    engine_block_destroy(block);
}

/* All rows are indexed; those that do not live are dropped, where there is an index that does that. */
static shard_content_t make_content(const char *factory) {
    char text[256];
    shard_content_t content = {.index = "wiki", .generation = 1, .servers = 1, .rows = ROWS};
    snprintf(text, sizeof text, "{\"faiss_factory\": \"%s\", \"dim\": 32, \"metric\": \"l2\"}", factory);
    assert_ok(index_config_parse(text, strlen(text), "test", &content.config, &err), err);
    assert_ok(engine_template_create(content.config, ROWS, &content.template, &err), err);
    float *x = make_vectors();
    assert_ok(engine_template_train(content.template, ROWS, x, &err), err);
    assert_ok(engine_store_create(content.template, SEGMENT, &content.store, &err), err);
    engine_block_t *block = NULL;
    assert_ok(engine_block_build(content.store, 0, ROWS, x, true, &block, &err), err);
    link_whole(content.store, block);
    free(x);
    content.living = bitmap_create(ROWS, false);
    for (int64_t row = 0; row < ROWS; row++)
        bitmap_set(content.living, row, lives(row));
    for (;;) {
        assert_ok(engine_block_compact(content.store, bitmap_rows(content.living), &block, &err), err);
        if (!block)
            break;
        link_whole(content.store, block);
    }
    assert_true(engine_store_held(content.store) < ROWS);
    content.batches = calloc(1, sizeof *content.batches);
    content.batches[content.batch_count++] = (shard_batch_t){.first_row = 0, .first_id = 0, .n = ROWS};
    return content;
}

static void compare_vectors(engine_store_t *written, engine_store_t *read) {
    for (int64_t row = 0; row < ROWS; row++) {
        float expected[DIM], found[DIM];
        dfaiss_status_t status = engine_store_reconstruct(written, 1, &row, expected, &err);
        assert_true(!lives(row) || status == DFAISS_OK);
        assert_int_equal(engine_store_reconstruct(read, 1, &row, found, &err), status);
        if (status == DFAISS_OK)
            assert_memory_equal(found, expected, sizeof found);
    }
}

static void test_holes_come_back(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof factories / sizeof *factories; i++) {
        shard_content_t written = make_content(factories[i]), read;
        uint64_t checksums[2], bytes[2];
        assert_ok(shard_file_write(path, &written, &err), err);
        assert_ok(file_checksum(path, &checksums[0], &bytes[0], &err), err);
        assert_ok(shard_file_read(path, &read, &err), err);
        assert_int_equal(engine_store_rows(read.store), ROWS);
        assert_int_equal(engine_store_held(read.store), engine_store_held(written.store));
        compare_vectors(written.store, read.store);
        assert_ok(shard_file_write(path, &read, &err), err);
        assert_ok(file_checksum(path, &checksums[1], &bytes[1], &err), err);
        assert_true(bytes[0] == bytes[1] && checksums[0] == checksums[1]);
        shard_content_clear(&read);
        shard_content_clear(&written);
    }
}

/* Writes number `value` into place `place` of a dataset. */
static void change(const char *name, hsize_t place, int64_t value) {
    hsize_t one = 1;
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), dataset = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(dataset);
    hid_t memory = H5Screate_simple(1, &one, NULL);
    assert_true(file >= 0 && dataset >= 0 && space >= 0 && memory >= 0);
    assert_true(H5Sselect_hyperslab(space, H5S_SELECT_SET, &place, NULL, &one, NULL) >= 0);
    assert_true(H5Dwrite(dataset, H5T_NATIVE_INT64, memory, space, H5P_DEFAULT, &value) >= 0);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(dataset);
    H5Fclose(file);
}

static void drop_dataset(const char *name) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0 && H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    H5Fclose(file);
}

static void expect_refusal(const char *factory, const char *part) {
    shard_content_t read;
    assert_fails(shard_file_read(path, &read, &err), DFAISS_ERR_CHECKPOINT, err, part);
    if (!strstr(err.text, path))
        fail_msg("%s: the text \"%s\" does not name the file", factory, err.text);
}

static void test_other_rows_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *factory, *name;
        hsize_t place;
        int64_t value;
        const char *part;
    } cases[] = {
        {"SQ8", "/held_rows", 3, 0, "/held_rows"},            /* does not ascend */
        {"SQ8", "/held_rows", 0, -5, "/held_rows"},           /* no row */
        {"SQ8", "/held_rows", 0, 0, "row 1 is not there"},    /* one that lives is missing */
        {"SQ8", "/segments", 0, 1000, "/segments"},           /* more than there are */
        {"IVF4,Flat", "/lists/rows", 0, ROWS, "/lists/rows"}, /* no row */
        {"IVF4,Flat", "/lists/sizes", 0, 1, "/lists/sizes"},  /* fewer than there are */
        {"HNSW8,Flat", "/held_rows", 2, 5, "/held_rows"},     /* twice */
        {"HNSW8,Flat", "/held_rows", 0, 0, "first"},          /* another than the graph says */
        {"Flat", "/held_rows", 1, INT64_MAX, "/held_rows"},   /* overflows */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shard_content_t written = make_content(cases[i].factory);
        assert_ok(shard_file_write(path, &written, &err), err);
        shard_content_clear(&written);
        change(cases[i].name, cases[i].place, cases[i].value);
        expect_refusal(cases[i].factory, cases[i].part);
    }
}

/* Without what tells which rows were removed nothing may be missing. */
static void test_missing_datasets_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof factories / sizeof *factories; i++) {
        shard_content_t written = make_content(factories[i]);
        bool has_rows = engine_template_class(written.template) != ENGINE_IVF;
        assert_ok(shard_file_write(path, &written, &err), err);
        drop_dataset("/living");
        expect_refusal(factories[i], "were expected");
        assert_ok(shard_file_write(path, &written, &err), err);
        if (has_rows) {
            drop_dataset("/held_rows");
            expect_refusal(factories[i], "expected");
        }
        shard_content_clear(&written);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_holes_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_rows_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_datasets_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
