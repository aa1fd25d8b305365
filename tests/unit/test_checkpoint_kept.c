/* Rows that are gone take no room in files when there are many of them: the others come back with everything that belongs to them, under new numbers.
 */
#include "test_checkpoint_path.h"

#include "base/clock.h"
#include "base/memory.h"
#include "checkpoint/shard_file.h"
#include "filter/expression.h"

enum { DIM = 8, INDEXED = 1200, ROWS = 1800, BATCH = 60, SEGMENT = 200 };

static int set_up(void **state) {
    (void)state;
    return set_up_server(0);
}

/* ---- contents ---- */

static const char *const factories[] = {"Flat", "SQ8", "IVF4,Flat", "HNSW8,Flat", "PCA4,Flat"};

typedef bool lives_t(int64_t row);

static bool few(int64_t row) {
    return row % 5 == 2 && row % 7 != 0;
}

static bool late(int64_t row) {
    return row >= INDEXED - 100;
}

static bool early(int64_t row) {
    return row < 150;
}

static bool none(int64_t row) {
    (void)row;
    return false;
}

static int64_t id_of(int64_t row) {
    return row / BATCH % 2 ? 5000 - row : 100 + row;
}

/* Component 0 of a vector is its row. */
static float component(int64_t row, int i) {
    return i ? (float)((row * DIM + i) * 7919 % 101) : (float)row;
}

static void fill_batch(shard_batch_t *batch, int64_t first, lives_t *lives) {
    *batch = (shard_batch_t){.first_row = first, .n = BATCH, .first_id = id_of(first)};
    batch->metadata_ends = malloc(BATCH * sizeof *batch->metadata_ends);
    batch->metadata = malloc(BATCH * 32);
    assert_true(batch->metadata_ends && batch->metadata);
    if (first / BATCH % 2)
        batch->ids = malloc(BATCH * sizeof *batch->ids);
    if (first >= INDEXED) {
        batch->vector_bytes = BATCH * DIM * sizeof(float);
        batch->vectors = memory_map(batch->vector_bytes);
    }
    uint64_t end = 0;
    for (int64_t i = 0; i < BATCH; i++) {
        if (batch->ids)
            batch->ids[i] = id_of(first + i);
        for (int c = 0; batch->vectors && c < DIM; c++)
            ((float *)batch->vectors)[i * DIM + c] = component(first + i, c);
        if (first % (3 * BATCH))
            end += (uint64_t)snprintf((char *)batch->metadata + end, 32, "{\"row\": %d}", (int)(first + i));
        batch->metadata_ends[i] = end;
        batch->removed += !lives(first + i);
    }
}

static void make_store(shard_content_t *content) {
    float *x = malloc(INDEXED * DIM * sizeof *x);
    engine_block_t *block = NULL;
    assert_non_null(x);
    for (int64_t i = 0; i < INDEXED * DIM; i++)
        x[i] = component(i / DIM, (int)(i % DIM));
    assert_ok(engine_template_create(content->config, INDEXED, &content->template, &err), err);
    assert_ok(engine_template_train(content->template, INDEXED, x, &err), err);
    assert_ok(engine_store_create(content->template, SEGMENT, &content->store, &err), err);
    assert_ok(engine_block_build(content->store, 0, INDEXED, x, true, &block, &err), err);
    while (block) {
        while (!engine_block_link(content->store, block, clock_nanoseconds()))
            continue;
        engine_block_destroy(block);
        assert_ok(engine_block_compact(content->store, bitmap_rows(content->living), &block, &err), err);
    }
    free(x);
}

static shard_content_t make_content(const char *factory, lives_t *lives) {
    char text[256];
    shard_content_t content = {.index = "wiki", .generation = 1, .servers = 1, .rows = ROWS};
    snprintf(text, sizeof text, "{\"faiss_factory\": \"%s\", \"dim\": 8, \"metric\": \"l2\", \"attributes\": {\"row\": \"int\"}}", factory);
    assert_ok(index_config_parse(text, strlen(text), "test", &content.config, &err), err);
    assert_ok(attribute_schema_create(content.config->attributes, "test", &content.schema, &err), err);
    assert_ok(attribute_columns_create(content.schema, &content.attributes, &err), err);
    content.living = bitmap_create(ROWS, false);
    content.batches = calloc(ROWS / BATCH, sizeof *content.batches);
    assert_true(content.living && content.batches);
    for (int64_t row = 0; row < ROWS; row++)
        bitmap_set(content.living, row, lives(row));
    for (int64_t row = 0; row < ROWS; row += BATCH) {
        shard_batch_t *batch = &content.batches[content.batch_count++];
        fill_batch(batch, row, lives);
        attribute_rows_t rows = {.n = BATCH, .metadata = batch->metadata, .metadata_ends = batch->metadata_ends};
        assert_ok(attribute_columns_append(content.attributes, &rows, &err), err);
    }
    make_store(&content);
    return content;
}

/* Rows that a file must get: those that the store holds, and those that wait and are there. */
static int64_t count_kept(const shard_content_t *content) {
    return engine_store_held(content->store) + bitmap_count(content->living, INDEXED, ROWS);
}

/* ---- comparing ---- */

static const shard_batch_t *batch_of(const shard_content_t *content, int64_t row) {
    int64_t i = 0;
    while (row >= content->batches[i].first_row + content->batches[i].n)
        i++;
    return &content->batches[i];
}

/* Which row it was when it was written. */
static int64_t old_row(int64_t id) {
    return id_of(id - 100) == id && id >= 100 && id - 100 < ROWS ? id - 100 : 5000 - id;
}

static void check_metadata(const shard_batch_t *batch, int64_t row, int64_t old) {
    char expected[32] = "";
    int64_t i = row - batch->first_row;
    uint64_t begin = batch->metadata_ends && i > 0 ? batch->metadata_ends[i - 1] : 0, end = batch->metadata_ends ? batch->metadata_ends[i] : 0;
    if (old / BATCH * BATCH % (3 * BATCH))
        snprintf(expected, sizeof expected, "{\"row\": %d}", (int)old);
    assert_int_equal(end - begin, strlen(expected));
    if (end > begin)
        assert_memory_equal(batch->metadata + begin, expected, end - begin);
}

static void check_attribute(const shard_content_t *read, int64_t row, int64_t old) {
    char text[32];
    uint64_t bit = 0;
    filter_t *filter = NULL;
    bool has = old / BATCH * BATCH % (3 * BATCH) != 0;
    int length = snprintf(text, sizeof text, has ? "row == %d" : "not has(row)", (int)old);
    assert_ok(filter_parse(read->schema, text, (size_t)length, &filter, &err), err);
    filter_evaluate(filter, read->attributes, row, 1, &bit);
    assert_true(bit == 1);
    filter_destroy(filter);
}

static void check_vector(shard_content_t *read, const shard_batch_t *batch, int64_t row, int64_t old, bool exact) {
    float vector[DIM];
    int64_t indexed = engine_store_rows(read->store);
    if (row < indexed)
        assert_ok(engine_store_reconstruct(read->store, 1, &row, vector, &err), err);
    else
        memcpy(vector, (const float *)batch->vectors + (row - batch->first_row) * DIM, sizeof vector);
    for (int c = 0; exact && c < DIM; c++)
        assert_true(vector[c] == component(old, c));
}

static void compare(const shard_content_t *written, shard_content_t *read, lives_t *lives, bool exact) {
    int64_t last = -1;
    assert_int_equal(read->rows, count_kept(written));
    assert_int_equal(engine_store_rows(read->store), engine_store_held(written->store));
    assert_int_equal(engine_store_held(read->store), engine_store_held(written->store));
    assert_int_equal(attribute_columns_rows(read->attributes), read->rows);
    for (int64_t row = 0; row < read->rows; row++) {
        const shard_batch_t *batch = batch_of(read, row);
        int64_t old = old_row(shard_batch_id(batch, row));
        assert_true(old > last);
        last = old;
        assert_int_equal(!read->living || bitmap_get(read->living, row), lives(old));
        check_metadata(batch, row, old);
        check_attribute(read, row, old);
        check_vector(read, batch, row, old, exact);
    }
}

/* ---- tests ---- */

static void test_rows_are_numbered_anew(void **state) {
    (void)state;
    lives_t *const ways[] = {few, late, early, none};
    for (size_t i = 0; i < sizeof factories / sizeof *factories; i++) {
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
            shard_content_t written = make_content(factories[i], ways[way]), read;
            uint64_t checksums[2], bytes[2];
            bool exact = strcmp(factories[i], "SQ8") != 0 && strcmp(factories[i], "PCA4,Flat") != 0;
            assert_ok(shard_file_write(path, &written, &err), err);
            assert_ok(file_checksum(path, &checksums[0], &bytes[0], &err), err);
            assert_ok(shard_file_read(path, &read, &err), err);
            compare(&written, &read, ways[way], exact);
            /* Nothing is left that could be left out. */
            assert_ok(shard_file_write(path, &read, &err), err);
            assert_ok(file_checksum(path, &checksums[1], &bytes[1], &err), err);
            assert_true(bytes[0] == bytes[1] && checksums[0] == checksums[1]);
            shard_content_clear(&read);
            shard_content_clear(&written);
        }
    }
}

/* Rows that the index holds stay, although they are not there. */
static void test_held_rows_are_kept(void **state) {
    (void)state;
    shard_content_t written = make_content("IVF4,PQ4x4fs", few), read;
    assert_int_equal(engine_store_held(written.store), INDEXED);
    assert_ok(shard_file_write(path, &written, &err), err);
    assert_ok(shard_file_read(path, &read, &err), err);
    assert_int_equal(read.rows, ROWS);
    assert_int_equal(bitmap_count(read.living, 0, ROWS), bitmap_count(written.living, 0, ROWS));
    shard_content_clear(&read);
    shard_content_clear(&written);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_are_numbered_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_held_rows_are_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
