/* A shard's file: what is written comes back for every class of index, and what is damaged, cut off or newer is refused without a crash. */
#include "test_checkpoint_path.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hdf5.h>
#include <omp.h>

#include "base/memory.h"
#include "base/random.h"
#include "checkpoint/manifest.h"
#include "checkpoint/shard_file.h"

enum { DIM = 8 };

/* Bytes between two damages. */
enum { FLIP_STEP = 7, CUT_STEP = 97 };

static int set_up(void **state) {
    (void)state;
    return set_up_server(3);
}

/* ---- contents to write ---- */

typedef enum ids { IDS_RUNS, IDS_OWN, IDS_MIXED } ids_t;

/* What a content is made of. Rows are indexed in blocks of `block`; they arrive in batches of `batch`. */
typedef struct recipe {
    const char *name;
    const char *config;
    bool trained;
    int64_t rows, indexed, batch, block;
    element_t element; /* of even batches; odd ones have f32 when `two_types` is set */
    bool two_types;
    bool metadata;
    ids_t ids;
} recipe_t;

static const recipe_t recipes[] = {
    {"flat", "{\"index_builder_type\": \"flat\", \"dim\": 8, \"metric\": \"l2\"}", true, 1000, 1000, 100, 400, ELEMENT_f32, false, true, IDS_RUNS},
    {"flat, a batch partly indexed", "{\"index_builder_type\": \"flat\", \"dim\": 8, \"metric\": \"dot\"}", true, 1000, 730, 100, 365, ELEMENT_f16,
     false, true, IDS_OWN},
    {"flat, two element types", "{\"index_builder_type\": \"flat\", \"dim\": 8}", true, 900, 250, 90, 250, ELEMENT_u8, true, true, IDS_MIXED},
    {"flat, nothing in it", "{\"index_builder_type\": \"flat\", \"dim\": 8}", true, 0, 0, 1, 1, ELEMENT_f32, false, false, IDS_RUNS},
    {"sq", "{\"faiss_factory\": \"SQ8\", \"dim\": 8, \"metric\": \"l2\"}", true, 1100, 1100, 64, 300, ELEMENT_i8, false, false, IDS_MIXED},
    {"ivf", "{\"index_builder_type\": \"ivf_simple\", \"dim\": 8, \"centroids\": 5, \"metric\": \"l2\"}", true, 1000, 900, 150, 300, ELEMENT_f32,
     false, true, IDS_MIXED},
    {"ivf, nothing indexed", "{\"index_builder_type\": \"ivf_simple\", \"dim\": 8, \"centroids\": 5, \"metric\": \"l2\"}", true, 200, 0, 50, 300,
     ELEMENT_i8, false, false, IDS_OWN},
    {"hnsw", "{\"index_builder_type\": \"hnswsq\", \"dim\": 8, \"store_n\": 4, \"metric\": \"l2\"}", true, 600, 500, 100, 250, ELEMENT_f16, false,
     true, IDS_RUNS},
    {"hnsw, several graphs", "{\"index_builder_type\": \"hnswsq\", \"dim\": 8, \"store_n\": 4, \"segment_rows\": 1024, \"metric\": \"l2\"}", true,
     2500, 2300, 500, 1150, ELEMENT_f32, false, false, IDS_RUNS},
    {"behind a transform", "{\"faiss_factory\": \"PCA4,SQ8\", \"dim\": 8, \"metric\": \"l2\"}", true, 300, 300, 300, 300, ELEMENT_f32, false, false,
     IDS_RUNS},
    {"opaque", "{\"faiss_factory\": \"IVF4,PQ8x4fs\", \"dim\": 8, \"metric\": \"l2\"}", true, 700, 700, 350, 700, ELEMENT_f32, false, false,
     IDS_RUNS},
    {"refined", "{\"faiss_factory\": \"IVF4,SQ8,RFlat\", \"dim\": 8, \"metric\": \"l2\"}", true, 400, 400, 400, 400, ELEMENT_f32, false, false,
     IDS_RUNS},
    {"untrained", "{\"index_builder_type\": \"ivf_simple\", \"dim\": 8, \"centroids\": 5}", false, 333, 0, 40, 1, ELEMENT_f16, true, true, IDS_MIXED},
    {"untrained and empty", "{\"index_builder_type\": \"knnlm\", \"dim\": 8, \"centroids\": 3, \"code_size\": 2}", false, 0, 0, 1, 1, ELEMENT_f32,
     false, false, IDS_RUNS},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static float *make_vectors(int64_t rows) {
    random_state_t random = random_stream(7, 0);
    float *vectors = calloc((size_t)rows * DIM + 1, sizeof *vectors);
    assert_non_null(vectors);
    for (int64_t i = 0; i < rows * DIM; i++)
        vectors[i] = (float)random_below(&random, 100);
    return vectors;
}

/* Own ids: descending with gaps. Mixed: batches take turns with runs. */
static void give_ids(const recipe_t *recipe, int64_t number, shard_batch_t *batch) {
    bool own = recipe->ids == IDS_OWN || (recipe->ids == IDS_MIXED && number % 2);
    batch->first_id = 5000 + batch->first_row;
    if (!own)
        return;
    batch->ids = calloc((size_t)batch->n, sizeof *batch->ids);
    assert_non_null(batch->ids);
    for (int64_t i = 0; i < batch->n; i++)
        batch->ids[i] = INT64_MAX - 3 * (batch->first_row + i);
}

/* Rows have 0 to 6 bytes of metadata; every third batch has none. */
static void give_metadata(int64_t number, shard_batch_t *batch) {
    if (number % 3 == 2)
        return;
    batch->metadata_ends = calloc((size_t)batch->n, sizeof *batch->metadata_ends);
    batch->metadata = malloc((size_t)batch->n * 7);
    assert_non_null(batch->metadata_ends);
    assert_non_null(batch->metadata);
    uint64_t end = 0;
    for (int64_t i = 0; i < batch->n; batch->metadata_ends[i++] = end)
        for (int64_t j = 0; j < (batch->first_row + i) % 7; j++)
            batch->metadata[end++] = (uint8_t)('a' + (batch->first_row + i + j) % 26);
}

static void give_vectors(const recipe_t *recipe, int64_t number, const float *vectors, shard_batch_t *batch) {
    batch->element = recipe->two_types && number % 4 > 1 ? ELEMENT_f32 : recipe->element;
    if (batch->first_row + batch->n <= recipe->indexed)
        return;
    batch->vector_bytes = (size_t)batch->n * DIM * element_size(batch->element);
    batch->vectors = memory_map(batch->vector_bytes);
    assert_non_null(batch->vectors);
    element_narrow(batch->element, vectors + batch->first_row * DIM, (size_t)(batch->n * DIM), batch->vectors);
}

static void make_batches(const recipe_t *recipe, const float *vectors, shard_content_t *content) {
    content->batches = calloc((size_t)(recipe->rows / recipe->batch + 1), sizeof *content->batches);
    assert_non_null(content->batches);
    for (int64_t row = 0; row < recipe->rows; row += recipe->batch) {
        int64_t number = content->batch_count++, left = recipe->rows - row;
        shard_batch_t *batch = &content->batches[number];
        batch->first_row = row;
        batch->n = left < recipe->batch ? left : recipe->batch;
        give_ids(recipe, number, batch);
        if (recipe->metadata)
            give_metadata(number, batch);
        give_vectors(recipe, number, vectors, batch);
    }
}

static void make_store(const recipe_t *recipe, const float *vectors, shard_content_t *content) {
    float *sample = make_vectors(1000);
    assert_ok(engine_template_create(content->config, 1000, &content->template, &err), err);
    assert_ok(engine_template_train(content->template, 1000, sample, &err), err);
    free(sample);
    assert_ok(engine_store_create(content->template, content->config->segment_rows, &content->store, &err), err);
    for (int64_t row = 0; row < recipe->indexed; row += recipe->block) {
        engine_block_t *block = NULL;
        int64_t left = recipe->indexed - row;
        assert_ok(engine_block_build(content->store, row, left < recipe->block ? left : recipe->block, vectors + row * DIM, true, &block, &err), err);
        while (!engine_block_link(content->store, block, INT64_MAX))
            continue;
        engine_block_destroy(block);
    }
    assert_int_equal(engine_store_rows(content->store), recipe->indexed);
}

static shard_content_t make_content(const recipe_t *recipe) {
    shard_content_t content = {.index = "wiki", .generation = 12, .server = 3, .servers = 4, .rows = recipe->rows};
    float *vectors = make_vectors(recipe->rows);
    assert_ok(index_config_parse(recipe->config, strlen(recipe->config), "test", &content.config, &err), err);
    make_batches(recipe, vectors, &content);
    if (recipe->trained)
        make_store(recipe, vectors, &content);
    free(vectors);
    return content;
}

static void write_recipe(const recipe_t *recipe) {
    shard_content_t content = make_content(recipe);
    assert_ok(shard_file_write(path, &content, &err), err);
    shard_content_clear(&content);
}

/* ---- comparing ---- */

static const shard_batch_t *batch_of(const shard_content_t *content, int64_t row) {
    for (int64_t i = 0; i < content->batch_count; i++)
        if (row < content->batches[i].first_row + content->batches[i].n)
            return &content->batches[i];
    fail_msg("no batch holds row %lld", (long long)row);
    return NULL;
}

static size_t metadata_of(const shard_batch_t *batch, int64_t row, const uint8_t **bytes) {
    int64_t i = row - batch->first_row;
    uint64_t start = batch->metadata_ends && i > 0 ? batch->metadata_ends[i - 1] : 0;
    *bytes = batch->metadata ? batch->metadata + start : NULL;
    return batch->metadata_ends ? (size_t)(batch->metadata_ends[i] - start) : 0;
}

static const uint8_t *vector_of(const shard_batch_t *batch, int64_t row) {
    return (const uint8_t *)batch->vectors + (size_t)((row - batch->first_row) * DIM) * element_size(batch->element);
}

static void compare_rows(const shard_content_t *written, const shard_content_t *read, int64_t indexed) {
    for (int64_t row = 0; row < written->rows; row++) {
        const shard_batch_t *left = batch_of(written, row), *right = batch_of(read, row);
        const uint8_t *left_bytes, *right_bytes;
        assert_true(shard_batch_id(left, row) == shard_batch_id(right, row));
        size_t size = metadata_of(left, row, &left_bytes);
        assert_int_equal(metadata_of(right, row, &right_bytes), size);
        if (size)
            assert_memory_equal(left_bytes, right_bytes, size);
        assert_int_equal(right->vectors != NULL, row >= indexed);
        if (row < indexed)
            continue;
        assert_int_equal(left->element, right->element);
        assert_memory_equal(vector_of(left, row), vector_of(right, row), DIM * element_size(left->element));
    }
}

static void check_batches(const shard_content_t *content) {
    int64_t row = 0;
    for (int64_t i = 0; i < content->batch_count; row += content->batches[i++].n) {
        assert_int_equal(content->batches[i].first_row, row);
        assert_true(content->batches[i].n > 0);
    }
    assert_int_equal(row, content->rows);
}

static bool append_bytes(void *context, const void *bytes, size_t size) {
    bytes_put(context, bytes, size);
    return true;
}

static void compare_lists(const engine_store_t *left, const engine_store_t *right, int64_t lists, size_t code_size) {
    for (int64_t list = 0; list < lists; list++) {
        int64_t size, other;
        const uint8_t *codes, *other_codes;
        const int64_t *rows, *other_rows;
        engine_store_list(left, list, &size, &codes, &rows);
        engine_store_list(right, list, &other, &other_codes, &other_rows);
        assert_int_equal(size, other);
        if (size == 0)
            continue;
        assert_memory_equal(codes, other_codes, (size_t)size * code_size);
        assert_memory_equal(rows, other_rows, (size_t)size * sizeof *rows);
    }
}

/* All segments in one: codes as they are, graphs as faiss writes them. */
static bytes_writer_t segment_bytes(const engine_store_t *store, bool codes, size_t code_size) {
    bytes_writer_t bytes = {0};
    for (int64_t i = 0; i < engine_store_segments(store); i++) {
        int64_t first = 0, rows = 0;
        engine_store_segment(store, i, &first, &rows);
        if (codes)
            bytes_put(&bytes, engine_store_segment_codes(store, i), (size_t)rows * code_size);
        else
            assert_ok(engine_store_segment_write(store, i, append_bytes, &bytes, &err), err);
    }
    assert_false(bytes.failed);
    return bytes;
}

static void compare_stores(const shard_content_t *written, const shard_content_t *read) {
    engine_class_t class = engine_template_class(written->template);
    size_t code_size = engine_template_code_size(written->template);
    assert_int_equal(engine_template_class(read->template), class);
    assert_int_equal(engine_store_rows(read->store), engine_store_rows(written->store));
    if (class == ENGINE_IVF) {
        compare_lists(written->store, read->store, engine_template_lists(written->template), code_size);
        return;
    }
    bytes_writer_t left = segment_bytes(written->store, class == ENGINE_CODES, code_size);
    bytes_writer_t right = segment_bytes(read->store, class == ENGINE_CODES, code_size);
    assert_int_equal(left.size, right.size);
    if (left.size)
        assert_memory_equal(left.data, right.data, left.size);
    bytes_writer_destroy(&left);
    bytes_writer_destroy(&right);
}

static void compare_configs(const index_config_t *left, const index_config_t *right) {
    json_t *left_json = index_config_json(left, true), *right_json = index_config_json(right, true);
    assert_non_null(left_json);
    assert_true(json_equal(left_json, right_json));
    json_decref(left_json);
    json_decref(right_json);
}

/* ---- round trips ---- */

static void test_round_trips(void **state) {
    (void)state;
    for (int i = 0; i < RECIPES; i++) {
        shard_content_t written = make_content(&recipes[i]), read;
        print_message("%s\n", recipes[i].name);
        assert_ok(shard_file_write(path, &written, &err), err);
        assert_ok(shard_file_read(path, &read, &err), err);
        assert_string_equal(read.index, "wiki");
        assert_int_equal(read.generation, 12);
        assert_int_equal(read.server, 3);
        assert_int_equal(read.servers, 4);
        assert_int_equal(read.rows, written.rows);
        compare_configs(written.config, read.config);
        check_batches(&read);
        compare_rows(&written, &read, recipes[i].indexed);
        assert_int_equal(read.template != NULL, recipes[i].trained);
        assert_int_equal(read.store != NULL, recipes[i].trained);
        if (recipes[i].trained)
            compare_stores(&written, &read);
        shard_content_clear(&written);
        shard_content_clear(&read);
    }
}

/* Written, read and written again: the same bytes. */
static void test_second_writing_is_the_same(void **state) {
    (void)state;
    for (int i = 0; i < RECIPES; i++) {
        shard_content_t content;
        uint64_t checksums[2], bytes[2];
        write_recipe(&recipes[i]);
        assert_ok(file_checksum(path, &checksums[0], &bytes[0], &err), err);
        assert_ok(shard_file_read(path, &content, &err), err);
        assert_ok(shard_file_write(path, &content, &err), err);
        assert_ok(file_checksum(path, &checksums[1], &bytes[1], &err), err);
        shard_content_clear(&content);
        assert_int_equal(bytes[0], bytes[1]);
        assert_true(checksums[0] == checksums[1]);
    }
}

static void test_runs_become_batches_without_ids(void **state) {
    (void)state;
    shard_content_t content;
    write_recipe(&recipes[0]);
    assert_ok(shard_file_read(path, &content, &err), err);
    assert_int_equal(content.batch_count, 1);
    assert_null(content.batches[0].ids);
    assert_int_equal(content.batches[0].first_id, 5000);
    shard_content_clear(&content);
    write_recipe(&recipes[6]);
    assert_ok(shard_file_read(path, &content, &err), err);
    assert_int_equal(content.batch_count, 1);
    assert_non_null(content.batches[0].ids);
    shard_content_clear(&content);
}

/* Vectors that wait come back in pieces, so that memory is given back as they are indexed, and a graph larger than the buffer is cut into chunks. */
static void test_large(void **state) {
    (void)state;
    const recipe_t waiting = {"waiting", "{\"index_builder_type\": \"flat\", \"dim\": 8}", false, 700000, 0, 700000, 1, ELEMENT_f32, false, false,
                              IDS_RUNS};
    const recipe_t graph = {"graph", "{\"faiss_factory\": \"IVF4,PQ8x4fs\", \"dim\": 8, \"metric\": \"l2\"}",
                            true,    500000,
                            500000,  500000,
                            500000,  ELEMENT_f32,
                            false,   false,
                            IDS_RUNS};
    shard_content_t content, read;
    write_recipe(&waiting);
    assert_ok(shard_file_read(path, &content, &err), err);
    assert_int_equal(content.batch_count, 2);
    check_batches(&content);
    shard_content_clear(&content);
    content = make_content(&graph);
    assert_ok(shard_file_write(path, &content, &err), err);
    assert_ok(shard_file_read(path, &read, &err), err);
    compare_stores(&content, &read);
    shard_content_clear(&content);
    shard_content_clear(&read);
}

/* ---- damage ---- */

static void put_file(const char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Reading what is damaged may succeed (a changed component of a vector looks like any other); it never crashes, and fails as a damaged file does. */
static void read_damaged(const char *what, size_t at) {
    shard_content_t content;
    dfaiss_status_t status = shard_file_read(path, &content, &err);
    if (status == DFAISS_OK)
        check_batches(&content);
    else if (status != DFAISS_ERR_CHECKPOINT && status != DFAISS_ERR_MEMORY)
        fail_msg("%s at byte %zu: %s: %s", what, at, dfaiss_status_name(status), err.text);
    shard_content_clear(&content);
}

static char *whole_file(const recipe_t *recipe, size_t *size) {
    char *bytes = NULL;
    write_recipe(recipe);
    assert_ok(file_read_whole(path, 1 << 28, &bytes, size, &err), err);
    return bytes;
}

/* Small files, since each is read once per damage. */
static recipe_t smaller(const recipe_t *recipe) {
    recipe_t made = *recipe;
    made.rows = recipe->rows < 90 ? recipe->rows : 90;
    made.indexed = recipe->indexed * made.rows / (recipe->rows ? recipe->rows : 1);
    made.batch = 30;
    return made;
}

static void put_byte(size_t at, char byte) {
    int descriptor = open(path, O_WRONLY);
    assert_true(descriptor >= 0);
    assert_int_equal(pwrite(descriptor, &byte, 1, (off_t)at), 1);
    close(descriptor);
}

static void test_flipped_bytes(void **state) {
    (void)state;
    /* One of each class: two element types, ivf, hnsw, opaque, untrained. */
    const int flipped[] = {2, 5, 7, 10, 12};
    for (int i = 0; i < 5; i++) {
        recipe_t recipe = smaller(&recipes[flipped[i]]);
        size_t size = 0;
        char *bytes = whole_file(&recipe, &size);
        for (size_t at = (size_t)i; at < size; at += FLIP_STEP) {
            put_byte(at, (char)(bytes[at] ^ (1 << (at / 7 % 8))));
            read_damaged(recipe.name, at);
            put_byte(at, bytes[at]);
        }
        free(bytes);
    }
}

static void test_cut_files(void **state) {
    (void)state;
    for (int i = 0; i < RECIPES; i++) {
        recipe_t recipe = smaller(&recipes[i]);
        size_t size = 0;
        char *bytes = whole_file(&recipe, &size);
        for (size_t cut = 1; cut < size; cut += CUT_STEP) {
            shard_content_t content;
            assert_int_equal(truncate(path, (off_t)(size - cut)), 0);
            assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_CHECKPOINT, err, "shard-0003.h5");
            assert_null(content.config);
        }
        free(bytes);
    }
}

/* The checksum of the manifest sees every damage. */
static void test_checksum_sees_all(void **state) {
    (void)state;
    recipe_t recipe = smaller(&recipes[5]);
    manifest_file_t file = {.name = "g000001/shard-0000.h5"};
    size_t size = 0;
    assert_ok(manifest_generation_path(folder, "wiki", 1, path, sizeof path, &err), err);
    assert_ok(file_make_directories(path, &err), err);
    assert_ok(manifest_shard_path(folder, "wiki", 1, 0, path, sizeof path, &err), err);
    char *bytes = whole_file(&recipe, &size);
    assert_ok(file_checksum(path, &file.checksum, &file.bytes, &err), err);
    assert_ok(manifest_verify_file(folder, "wiki", &file, &err), err);
    for (size_t at = 0; at < size; at += 7) {
        put_byte(at, (char)(bytes[at] ^ 1));
        assert_fails(manifest_verify_file(folder, "wiki", &file, &err), DFAISS_ERR_CHECKPOINT, err, "is damaged: expected checksum");
        put_byte(at, bytes[at]);
    }
    free(bytes);
}

/* ---- files that HDF5 finds whole but that say something else ---- */

static void change_integer(hid_t file, const char *object, const char *name, int64_t value) {
    /* HDF5 1.10.8 cannot write an attribute that H5Aopen_by_name opened. */
    hid_t holder = H5Oopen(file, object, H5P_DEFAULT);
    hid_t attribute = H5Aopen(holder, name, H5P_DEFAULT);
    if (attribute < 0 || H5Awrite(attribute, H5T_NATIVE_INT64, &value) < 0 || H5Aclose(attribute) < 0 || H5Oclose(holder) < 0)
        fail_msg("attribute %s of %s cannot be changed", name, object);
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

/* Removes a dataset, and puts one of another shape in its place where rows >= 0. */
static void replace_dataset(hid_t file, const char *name, hid_t type, int64_t rows, bool external) {
    assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    if (rows < 0)
        return;
    const hsize_t shape = (hsize_t)rows;
    hid_t space = H5Screate_simple(1, &shape, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    if (external)
        assert_true(H5Pset_external(list, "/proc/self/maps", 0, H5F_UNLIMITED) >= 0);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(dataset >= 0);
    H5Dclose(dataset);
    H5Pclose(list);
    H5Sclose(space);
}

typedef enum change { SET_ATTRIBUTE, SET_NUMBER, REPLACE, REMOVE } change_t;

static const struct {
    int recipe;
    change_t change;
    const char *object, *name;
    int64_t row, value;
    const char *expected;
} lies[] = {
    {0, SET_ATTRIBUTE, "/", "format_version", 0, 4, "has format version 4; this dfaiss reads version 3"},
    {0, SET_ATTRIBUTE, "/", "format_version", 0, 2, "has format version 2; this dfaiss reads version 3"},
    {0, SET_ATTRIBUTE, "/", "server", 0, 4, "attribute server of /: expected an integer from 0 to 3, found 4"},
    {0, SET_ATTRIBUTE, "/", "rows", 0, -1, "attribute rows of /"},
    {0, SET_ATTRIBUTE, "/", "rows", 0, 1001, "dataset /ids: expected int64[1001], found int64[1000]"},
    {0, SET_ATTRIBUTE, "/", "indexed_rows", 0, 1001, "expected an integer from 0 to 1000, found 1001"},
    {0, SET_ATTRIBUTE, "/", "indexed_rows", 0, 999, "dataset /vectors: expected float32[999][8], found float32[1000][8]"},
    {0, REMOVE, "/ids", NULL, 0, 0, "dataset /ids: expected int64, found nothing"},
    {0, REMOVE, "/config", NULL, 0, 0, "/config: the dataset is missing"},
    {0, REMOVE, "/trained", NULL, 0, 0, "dataset /trained: expected uint8, found nothing"},
    {0, REMOVE, "/segments", NULL, 0, 0, "dataset /segments: expected int64, found nothing"},
    {0, REMOVE, "/vectors", NULL, 0, 0, "dataset /vectors: expected float32, found nothing"},
    {0, REMOVE, "/metadata/bytes", NULL, 0, 0, "dataset /metadata/bytes: expected uint8, found nothing"},
    {0, REPLACE, "/ids", NULL, 0, 1000, "dataset /ids: expected int64[1000], found float32[1000]"},
    {0, REPLACE, "/config", NULL, 0, 1, "/config: expected one text of fixed size"},
    {0, SET_NUMBER, "/ids", NULL, 7, -7, "dataset /ids: expected ids from 0 on, found -7 in row 7"},
    {0, SET_NUMBER, "/segments", NULL, 0, -1, "/segments: expected sizes that add up to 1000, found -1 as number 0"},
    {0, SET_NUMBER, "/segments", NULL, 0, INT64_MAX, "/segments: expected sizes that add up to 1000"},
    {0, SET_NUMBER, "/metadata/ends", NULL, 3, 1 << 30, "dataset /metadata/ends: expected"},
    {0, SET_NUMBER, "/metadata/ends", NULL, 3, 0, "dataset /metadata/ends: expected"},
    {0, SET_NUMBER, "/trained", NULL, 5, 77, "dataset /trained: expected checksum"},
    {2, SET_ATTRIBUTE, "/buffered", "count", 0, 1, "/buffered: expected vectors up to row 900"},
    {2, SET_ATTRIBUTE, "/buffered", "count", 0, 99, "/buffered/0004"},
    {2, SET_ATTRIBUTE, "/buffered/0000", "first", 0, 0, "attribute first of /buffered/0000: expected an integer from 250 to 250, found 0"},
    {2, REMOVE, "/buffered/0001", NULL, 0, 0, "/buffered/0001"},
    {5, SET_NUMBER, "/lists/sizes", NULL, 2, INT64_MAX, "/lists/sizes: expected sizes that add up to 900"},
    {5, SET_NUMBER, "/lists/rows", NULL, 2, 900, "shard-0003.h5"},
    {5, SET_NUMBER, "/lists/rows", NULL, 2, -1, "shard-0003.h5"},
    {5, REPLACE, "/lists/sizes", NULL, 0, 5, "dataset /lists/sizes: expected int64[5], found float32[5]"},
    {5, REMOVE, "/lists/codes", NULL, 0, 0, "dataset /lists/codes: expected uint8, found nothing"},
    {7, SET_ATTRIBUTE, "/graphs", "count", 0, 0, "/graphs: expected 500 rows, found 0"},
    {7, SET_ATTRIBUTE, "/graphs", "count", 0, 2, "dataset /graphs/0001: expected uint8, found nothing"},
    {7, SET_ATTRIBUTE, "/graphs/0000", "first", 0, 1, "attribute first of /graphs/0000: expected an integer from 0 to 0, found 1"},
    {7, SET_ATTRIBUTE, "/graphs/0000", "rows", 0, 0, "attribute rows of /graphs/0000"},
    {7, SET_ATTRIBUTE, "/graphs/0000", "rows", 0, 499, "shard-0003.h5"},
    {7, SET_NUMBER, "/graphs/0000", NULL, 100, 255, "/graphs/0000: expected checksum"},
    {7, REMOVE, "/graphs/0000", NULL, 0, 0, "dataset /graphs/0000: expected uint8, found nothing"},
};

static void tell_lie(size_t i) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    if (lies[i].change == SET_ATTRIBUTE)
        change_integer(file, lies[i].object, lies[i].name, lies[i].value);
    else if (lies[i].change == SET_NUMBER)
        change_number(file, lies[i].object, (hsize_t)lies[i].row, lies[i].value);
    else
        replace_dataset(file, lies[i].object, H5T_IEEE_F32LE, lies[i].change == REMOVE ? -1 : lies[i].value, false);
    assert_true(H5Fclose(file) >= 0);
}

static void test_lies(void **state) {
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        shard_content_t content;
        if (i == 0 || lies[i].recipe != lies[i - 1].recipe) {
            free(bytes);
            bytes = whole_file(&recipes[lies[i].recipe], &size);
        }
        put_file(bytes, size);
        tell_lie(i);
        assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_CHECKPOINT, err, lies[i].expected);
        assert_non_null(strstr(err.text, "shard-0003.h5"));
        assert_null(content.batches);
    }
    free(bytes);
}

/* Data outside the file, or space that was never written, is not believed: it could be another user's file, or without end. */
static void test_data_elsewhere(void **state) {
    (void)state;
    shard_content_t content;
    for (int external = 0; external < 2; external++) {
        write_recipe(&recipes[0]);
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(file >= 0);
        replace_dataset(file, "/ids", H5T_STD_I64LE, 1000, external);
        assert_true(H5Fclose(file) >= 0);
        assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_CHECKPOINT, err, "not all of it is in the file");
    }
    write_recipe(&recipes[0]);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(H5Ldelete(file, "/ids", H5P_DEFAULT) >= 0 && H5Lcreate_external("other.h5", "/ids", file, "/ids", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Fclose(file) >= 0);
    assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_CHECKPOINT, err, "dataset /ids: expected int64, found nothing");
}

static void test_not_a_shard_file(void **state) {
    (void)state;
    shard_content_t content;
    assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_NOT_FOUND, err, path);
    assert_fails(shard_file_read(folder, &content, &err), DFAISS_ERR_CHECKPOINT, err, "not a regular file");
    put_file("not HDF5", 8);
    assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_CHECKPOINT, err, "HDF5 says");
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0 && H5Fclose(file) >= 0);
    assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_CHECKPOINT, err, "attribute format of /");
    put_file("", 0);
    assert_fails(shard_file_read(path, &content, &err), DFAISS_ERR_CHECKPOINT, err, path);
    assert_fails(shard_file_read(path, &content, NULL), DFAISS_ERR_CHECKPOINT, err, path);
}

/* ---- writing that fails ---- */

static void test_wrong_contents(void **state) {
    (void)state;
    shard_content_t content = make_content(&recipes[1]);
    content.rows++;
    assert_fails(shard_file_write(path, &content, &err), DFAISS_ERR_INTERNAL, err, "batches have 1000 rows of 1001");
    content.rows--;
    content.batches[2].first_row++;
    assert_fails(shard_file_write(path, &content, &err), DFAISS_ERR_INTERNAL, err, "batch 2");
    content.batches[2].first_row--;
    size_t bytes = content.batches[8].vector_bytes;
    content.batches[8].vector_bytes--;
    assert_fails(shard_file_write(path, &content, &err), DFAISS_ERR_INTERNAL, err, "batch 8");
    content.batches[8].vector_bytes = bytes;
    assert_false(file_exists(path));
    shard_content_clear(&content);
}

static void test_folder_that_cannot_be_written(void **state) {
    (void)state;
    shard_content_t content = make_content(&recipes[0]);
    char other[PATH_MAX];
    snprintf(other, sizeof other, "%s/nowhere/shard-0000.h5", folder);
    assert_fails(shard_file_write(other, &content, &err), DFAISS_ERR_NOT_FOUND, err, "cannot create");
    put_file("x", 1);
    snprintf(other, sizeof other, "%.*s/shard-0000.h5", (int)sizeof other - 16, path);
    assert_fails(shard_file_write(other, &content, &err), DFAISS_ERR_IO, err, other);
    if (geteuid() != 0) {
        assert_int_equal(chmod(folder, 0555), 0);
        snprintf(other, sizeof other, "%s/shard-0000.h5", folder);
        assert_fails(shard_file_write(other, &content, &err), DFAISS_ERR_IO, err, "Permission denied");
        assert_int_equal(chmod(folder, 0755), 0);
    }
    shard_content_clear(&content);
}

/* Every size at which writing can be cut off: data, HDF5's own structures, and the flush at the end. True where all attempts failed as they should.
 */
static bool writing_fails_below(const shard_content_t *content, uint64_t whole) {
    struct rlimit limit;
    bool right = getrlimit(RLIMIT_FSIZE, &limit) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR;
    for (rlim_t bytes = 0; right && bytes < whole; bytes += 4999) {
        limit.rlim_cur = bytes;
        right = setrlimit(RLIMIT_FSIZE, &limit) == 0 && shard_file_write(path, content, &err) == DFAISS_ERR_IO &&
                strstr(err.text, "File too large") && !file_exists(path);
    }
    return right;
}

/* In a process of its own that does not end the usual way: HDF5 trips over a file that it could not write when it is taken down. */
static void test_file_size_limit(void **state) {
    (void)state;
    uint64_t whole = 0;
    int child_status = 0;
    shard_content_t content = make_content(&recipes[5]);
    assert_ok(shard_file_write(path, &content, &err), err);
    assert_ok(file_size(path, &whole, &err), err);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(writing_fails_below(&content, whole) ? 0 : 1);
    assert_int_equal(waitpid(child, &child_status, 0), child);
    assert_true(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 0);
    shard_content_clear(&content);
}

static int descriptors(void) {
    int count = 0;
    for (int i = 0; i < 256; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

/* Goes into a mount namespace of its own, where a small file system can be mounted; false where that is not allowed. */
static bool mount_small(uint64_t bytes) {
    char size[32];
    snprintf(size, sizeof size, "size=%llu", (unsigned long long)bytes);
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("tmpfs", folder, "tmpfs", 0, size) == 0;
}

static void test_full_device(void **state) {
    (void)state;
    uint64_t whole = 0;
    shard_content_t content = make_content(&recipes[5]);
    assert_ok(shard_file_write(path, &content, &err), err);
    assert_ok(file_size(path, &whole, &err), err);
    for (uint64_t pages = 1; (pages + 1) * 4096 < whole; pages += 3) {
        if (!mount_small(pages * 4096)) {
            shard_content_clear(&content);
            skip();
        }
        int before = descriptors();
        assert_fails(shard_file_write(path, &content, &err), DFAISS_ERR_SPACE, err, "No space left on device");
        assert_non_null(strstr(err.text, path));
        assert_false(file_exists(path));
        assert_int_equal(descriptors(), before);
        assert_int_equal(umount2(folder, MNT_DETACH), 0);
    }
    shard_content_clear(&content);
}

/* HDF5 1.10 forgets to free an object whose checksum is wrong. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

int main(void) {
    /* Threads that share their cores with other tests wait for each other longer than they work. */
    omp_set_num_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trips, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_second_writing_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_runs_become_batches_without_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flipped_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_checksum_sees_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_data_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_a_shard_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_contents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folder_that_cannot_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_size_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_device, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
