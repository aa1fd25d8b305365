/* What a shard's file holds of rows beyond ids and metadata: attributes, and which rows are there, come back as they were, and damage is told with
 * its place. */
#include "test_checkpoint_path.h"

#include <hdf5.h>

#include "base/memory.h"
#include "checkpoint/shard_file.h"
#include "filter/expression.h"

enum { DIM = 4, ROWS = 700, BATCH = 100 };

static const char config_text[] =
    "{\"index_builder_type\": \"flat\", \"dim\": 4, \"metric\": \"l2\", \"attributes\": {\"year\": \"int\", \"weight\": \"float\", "
    "\"lang\": \"string\", \"free\": \"bool\", \"never\": \"string\"}}";

static int set_up(void **state) {
    (void)state;
    return set_up_server(0);
}

/* ---- contents ---- */

/* Every seventh row has no metadata; weight is missing now and then, free never is where there is metadata. */
static void describe(int64_t row, char *text, size_t capacity) {
    static const char *const langs[] = {"de", "en", "", "a longer language"};
    if (row % 7 == 6) {
        text[0] = 0;
        return;
    }
    int length =
        snprintf(text, capacity, "{\"year\": %d, \"lang\": \"%s\", \"free\": %s", (int)(2000 + row % 13), langs[row % 4], row % 3 ? "true" : "false");
    if (row % 5)
        length += snprintf(text + length, capacity - (size_t)length, ", \"weight\": %g", (double)(row % 11) / 4);
    snprintf(text + length, capacity - (size_t)length, "}");
}

static void fill_batch(shard_batch_t *batch, int64_t first) {
    char text[256];
    batch->first_row = batch->first_id = first;
    batch->n = BATCH;
    batch->vector_bytes = BATCH * DIM * sizeof(float);
    batch->vectors = memory_map(batch->vector_bytes);
    batch->metadata_ends = malloc(BATCH * sizeof *batch->metadata_ends);
    batch->metadata = malloc(BATCH * sizeof text);
    assert_true(batch->vectors && batch->metadata_ends && batch->metadata);
    uint64_t end = 0;
    for (int64_t i = 0; i < BATCH; i++) {
        describe(first + i, text, sizeof text);
        memcpy(batch->metadata + end, text, strlen(text));
        batch->metadata_ends[i] = end += strlen(text);
    }
}

static void add_attributes(shard_content_t *content, const shard_batch_t *batch) {
    attribute_rows_t rows = {.n = batch->n, .metadata = batch->metadata, .metadata_ends = batch->metadata_ends};
    assert_ok(attribute_columns_append(content->attributes, &rows, &err), err);
}

static shard_content_t make_content(int64_t rows) {
    shard_content_t content = {.index = "wiki", .generation = 1, .servers = 1, .rows = rows};
    assert_ok(index_config_parse(config_text, strlen(config_text), "test", &content.config, &err), err);
    assert_ok(attribute_schema_create(content.config->attributes, "test", &content.schema, &err), err);
    assert_ok(attribute_columns_create(content.schema, &content.attributes, &err), err);
    assert_ok(engine_template_create(content.config, 0, &content.template, &err), err);
    assert_ok(engine_store_create(content.template, 0, &content.store, &err), err);
    content.batches = calloc((size_t)(rows / BATCH) + 1, sizeof *content.batches);
    assert_non_null(content.batches);
    for (int64_t row = 0; row < rows; row += BATCH) {
        shard_batch_t *batch = &content.batches[content.batch_count++];
        fill_batch(batch, row);
        add_attributes(&content, batch);
    }
    return content;
}

/* Every third row. */
static void remove_some(shard_content_t *content) {
    content->living = bitmap_create(content->rows, true);
    assert_non_null(content->living);
    for (int64_t row = 0; row < content->rows; row += 3)
        bitmap_set(content->living, row, false);
}

static void write_content(int64_t rows) {
    shard_content_t content = make_content(rows);
    remove_some(&content);
    assert_ok(shard_file_write(path, &content, &err), err);
    shard_content_clear(&content);
}

/* ---- attributes ---- */

/* How many rows match a filter. */
static int64_t count_matches(const shard_content_t *content, const char *text) {
    uint64_t bits[(ROWS + 63) / 64];
    int64_t count = 0;
    filter_t *filter = NULL;
    assert_ok(filter_parse(content->schema, text, strlen(text), &filter, &err), err);
    filter_evaluate(filter, content->attributes, 0, content->rows, bits);
    for (int64_t word = 0; word < (content->rows + 63) / 64; word++)
        count += __builtin_popcountll(bits[word]);
    filter_destroy(filter);
    return count;
}

static void compare_matches(const shard_content_t *written, const shard_content_t *read) {
    static const char *const filters[] = {"year == 2004", "year != 2004", "has(weight)", "weight > 1.25", "lang == 'de'",
                                          "lang == \"\"", "not free",     "has(never)",  "not has(lang)", "lang in ('en', 'a longer language')"};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        assert_int_equal(count_matches(written, filters[i]), count_matches(read, filters[i]));
    assert_int_equal(count_matches(read, "has(never)"), 0);
    assert_true(count_matches(read, "weight > 1.25") > 0);
}

static void test_attributes_come_back(void **state) {
    (void)state;
    shard_content_t written = make_content(ROWS), read;
    assert_ok(shard_file_write(path, &written, &err), err);
    assert_ok(shard_file_read(path, &read, &err), err);
    assert_int_equal(attribute_columns_rows(read.attributes), ROWS);
    compare_matches(&written, &read);
    /* More can be added to what was read. */
    read.rows += BATCH;
    add_attributes(&read, &written.batches[0]);
    assert_int_equal(attribute_columns_rows(read.attributes), ROWS + BATCH);
    shard_content_clear(&read);
    shard_content_clear(&written);
}

static void test_no_rows(void **state) {
    (void)state;
    shard_content_t read;
    write_content(0);
    assert_ok(shard_file_read(path, &read, &err), err);
    assert_int_equal(attribute_columns_rows(read.attributes), 0);
    shard_content_clear(&read);
}

static void test_second_writing_is_the_same(void **state) {
    (void)state;
    shard_content_t read;
    uint64_t checksums[2], bytes[2];
    write_content(ROWS);
    assert_ok(file_checksum(path, &checksums[0], &bytes[0], &err), err);
    assert_ok(shard_file_read(path, &read, &err), err);
    assert_ok(shard_file_write(path, &read, &err), err);
    assert_ok(file_checksum(path, &checksums[1], &bytes[1], &err), err);
    assert_true(bytes[0] == bytes[1] && checksums[0] == checksums[1]);
    shard_content_clear(&read);
}

/* ---- removed rows ---- */

static void test_removed_rows_stay_removed(void **state) {
    (void)state;
    shard_content_t written = make_content(ROWS), read;
    uint64_t checksums[2], bytes[2];
    remove_some(&written);
    assert_ok(shard_file_write(path, &written, &err), err);
    assert_ok(file_checksum(path, &checksums[0], &bytes[0], &err), err);
    assert_ok(shard_file_read(path, &read, &err), err);
    assert_int_equal(read.living->rows, ROWS);
    for (int64_t row = 0; row < ROWS; row++)
        assert_int_equal(bitmap_get(read.living, row), row % 3 != 0);
    assert_ok(shard_file_write(path, &read, &err), err);
    assert_ok(file_checksum(path, &checksums[1], &bytes[1], &err), err);
    assert_true(bytes[0] == bytes[1] && checksums[0] == checksums[1]);
    shard_content_clear(&read);
    shard_content_clear(&written);
}

/* Of a batch that is gone as a whole nothing may be left but its rows' numbers. */
static void test_batches_without_vectors(void **state) {
    (void)state;
    shard_content_t written = make_content(ROWS), read;
    shard_batch_t *batch = &written.batches[2];
    written.living = bitmap_create(ROWS, true);
    assert_non_null(written.living);
    for (int64_t row = 2 * BATCH; row < 3 * BATCH; row++)
        bitmap_set(written.living, row, false);
    batch->removed = BATCH;
    memory_unmap(batch->vectors, batch->vector_bytes);
    free(batch->metadata_ends);
    free(batch->metadata);
    batch->vectors = NULL;
    batch->metadata_ends = NULL;
    batch->metadata = NULL;
    assert_ok(shard_file_write(path, &written, &err), err);
    assert_ok(shard_file_read(path, &read, &err), err);
    assert_int_equal(read.rows, ROWS);
    assert_int_equal(bitmap_count(read.living, 0, ROWS), ROWS - BATCH);
    compare_matches(&written, &read);
    shard_content_clear(&read);
    batch->removed = BATCH - 1;
    assert_fails(shard_file_write(path, &written, &err), DFAISS_ERR_INTERNAL, err, "batch 2 at row 200 is not whole");
    shard_content_clear(&written);
}

static void test_no_removed_rows(void **state) {
    (void)state;
    shard_content_t written = make_content(ROWS), read;
    written.living = bitmap_create(ROWS, true);
    assert_ok(shard_file_write(path, &written, &err), err);
    assert_ok(shard_file_read(path, &read, &err), err);
    assert_null(read.living);
    shard_content_clear(&read);
    shard_content_clear(&written);
}

/* ---- files that say something else ---- */

static hid_t open_to_change(void) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void change_number(hid_t file, const char *name, hsize_t row, int64_t value) {
    const hsize_t one = 1;
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    hid_t space = H5Dget_space(dataset), memory = H5Screate_simple(1, &one, NULL);
    assert_true(H5Sselect_hyperslab(space, H5S_SELECT_SET, &row, NULL, &one, NULL) >= 0);
    assert_true(H5Dwrite(dataset, H5T_NATIVE_INT64, memory, space, H5P_DEFAULT, &value) >= 0);
    H5Sclose(space);
    H5Sclose(memory);
    H5Dclose(dataset);
}

static const struct {
    const char *object;
    int64_t row; /* below 0: the object is removed */
    int64_t value;
    const char *expected;
} lies[] = {
    {"/attributes", -1, 0, "/attributes/free: expected a group"},
    {"/attributes/year", -1, 0, "/attributes/year: expected a group"},
    {"/attributes/year/values", -1, 0, "attribute year, values: expected 700 elements, found 0"},
    {"/attributes/year/present", 3, 2, "attribute year, present: expected 0 or 1 in element 3, found 2"},
    {"/attributes/free/values", 5, 9, "attribute free, values: expected 0 or 1 in element 5, found 9"},
    {"/attributes/year/values", 6, 9, "attribute year, values: expected 0 in element 6, which has no value"},
    {"/attributes/lang/values", 10, 4, "attribute lang, values: expected a number below 4 in element 10, found 4"},
    {"/attributes/lang/string_blocks", 0, 5, "attribute lang, string_ends: expected 5 elements, found 4"},
    {"/attributes/lang/string_ends", 1, 99, "attribute lang, string_ends: expected"},
    {"/attributes/lang/string_bytes", -1, 0, "attribute lang, string_bytes: expected"},
    {"/living", 5, 2, "dataset /living: expected 0 or 1 in row 5, found 2"},
    {"/living", 650, 255, "dataset /living: expected 0 or 1 in row 650, found 255"},
};

static void test_lies(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        shard_content_t content;
        write_content(ROWS);
        hid_t file = open_to_change();
        if (lies[i].row < 0)
            assert_true(H5Ldelete(file, lies[i].object, H5P_DEFAULT) >= 0);
        else
            change_number(file, lies[i].object, (hsize_t)lies[i].row, lies[i].value);
        assert_true(H5Fclose(file) >= 0);
        assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_CHECKPOINT, err, lies[i].expected);
        assert_non_null(strstr(err.text, "shard-0000.h5"));
        assert_null(content.batches);
    }
}

/* Bits of rows that there are not are as wrong as missing ones. */
static void test_bits_of_other_rows(void **state) {
    (void)state;
    for (hsize_t rows = ROWS - 1; rows <= ROWS + 1; rows += 2) {
        shard_content_t content;
        char expected[64];
        write_content(ROWS);
        hid_t file = open_to_change(), space = H5Screate_simple(1, &rows, NULL);
        assert_true(H5Ldelete(file, "/living", H5P_DEFAULT) >= 0);
        hid_t dataset = H5Dcreate2(file, "/living", H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(dataset >= 0);
        H5Dclose(dataset);
        H5Sclose(space);
        assert_true(H5Fclose(file) >= 0);
        snprintf(expected, sizeof expected, "dataset /living: expected uint8[700], found uint8[%d]", (int)rows);
        assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_CHECKPOINT, err, expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_attributes_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_second_writing_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removed_rows_stay_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_batches_without_vectors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_removed_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bits_of_other_rows, set_up, tear_down),
    };
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
