/* Indexes for plain faiss: what is written is what was put in, faiss finds in it what a store finds, and reading brings a store back. Files that are
 * wrong are refused by name. */
#include "test_engine.h"

#include <faiss/c_api/index_factory_c.h>

#include "engine/plain.h"

static const char *const factories[] = {"Flat",           "SQ8",       "PCA8,PQ8x4np",    "IVF16,Flat",     "IVF16,PQ8x5np",
                                        "PCA8,IVF16,SQ8", "HNSW8_SQ8", "PCA8,HNSW8,Flat", "IVF16,SQ8,RFlat"};
enum { FACTORIES = sizeof factories / sizeof *factories, ROWS = 1200, BUILT = 1100, WORDS = ROWS / 64 + 1 };

static int64_t id_of(int64_t row) {
    return 100000 - 3 * row;
}

/* A file of a test, in the folder where it runs. */
static void path_of(const char *name, char *path, size_t capacity) {
    snprintf(path, capacity, "plain-%ld-%s.faiss", (long)getpid(), name);
}

static bool is_whole(const world_t *world) {
    engine_class_t class = engine_template_class(world->template);
    return class == ENGINE_HNSW || class == ENGINE_OPAQUE;
}

/* The first BUILT rows from the store, where `alive` allows, and the others as vectors. */
static dfaiss_status_t put_together(world_t *world, const uint64_t *alive, const char *path, int64_t *vectors, dfaiss_error_t *err) {
    int64_t ids[ROWS];
    uint64_t bytes = 0;
    engine_plain_t *plain = NULL;
    for (int64_t row = 0; row < ROWS; row++)
        ids[row] = id_of(row);
    const uint64_t *const blocks[] = {alive};
    const uint64_t *const *bits = alive ? blocks : NULL;
    assert_ok(engine_plain_create(world->template, world->effort, &plain, err), *err);
    dfaiss_status_t status = is_whole(world) ? engine_plain_add_segment(plain, world->store, 0, bits, ids, err)
                                             : engine_plain_add_store(plain, world->store, bits, ids, err);
    if (status == DFAISS_OK)
        status = engine_plain_add_vectors(plain, ROWS - BUILT, world->x + BUILT * world->dim, ids + BUILT, err);
    if (status == DFAISS_OK)
        status = engine_plain_write(plain, path, &bytes, err);
    *vectors = engine_plain_vectors(plain);
    engine_plain_destroy(plain);
    return status;
}

/* What faiss finds in a file, with the parameters that it says. */
static void search_file(const world_t *world, const char *path, float *scores, idx_t *ids) {
    FaissIndex *index = NULL;
    assert_int_equal(faiss_read_index_fname(path, 0, &index), 0);
    assert_int_equal(faiss_Index_search(index, world->nq, world->queries, world->k, scores, ids), 0);
    faiss_Index_free(index);
}

/* The same file, taken apart, and searched as a store. */
static void search_taken_apart(world_t *world, const char *path, int64_t expected_rows) {
    dfaiss_error_t err;
    engine_plain_header_t header;
    engine_plain_content_t content = {0};
    assert_ok(engine_plain_check(path, &world->config, &header, &err), err);
    assert_int_equal(header.dim, world->dim);
    assert_int_equal(header.vectors, expected_rows);
    assert_ok(engine_plain_try(path, &err), err);
    assert_ok(engine_plain_read(path, &world->config, &content, &err), err);
    assert_int_equal(content.rows, expected_rows);
    assert_non_null(content.ids);
    world_t other = *world;
    other.template = content.template;
    other.store = content.store;
    other.search = NULL;
    assert_ok(engine_search_create(content.template, world->team, &other.search, &err), err);
    search_all(&other, NEVER);
    for (int64_t i = 0; i < world->nq * world->k; i++)
        world->rows[i] = world->rows[i] < 0 ? -1 : content.ids[world->rows[i]];
    engine_search_destroy(other.search);
    engine_plain_content_clear(&content);
}

static void compare_answers(const char *factory, const world_t *world, const float *scores, const idx_t *ids, const uint64_t *alive) {
    for (int64_t i = 0; i < world->nq * world->k; i++) {
        assert_true(ids[i] >= 0);
        int64_t row = (100000 - ids[i]) / 3;
        assert_int_equal(id_of(row), ids[i]);
        assert_true(!alive || is_set(alive, row));
        if (!nearly(scores[i], world->scores[i]))
            fail_msg("%s: query %d place %d: id %d with %g, id %d with %g", factory, (int)(i / world->k), (int)(i % world->k), (int)ids[i],
                     (double)scores[i], (int)world->rows[i], (double)world->scores[i]);
    }
}

static void out_and_in(const char *factory, config_metric_t metric, const uint64_t *alive) {
    dfaiss_error_t err;
    char path[64];
    int64_t vectors = 0, expected = alive ? count_set(alive, ROWS) : ROWS;
    path_of("index", path, sizeof path);
    world_t world = open_world(engine_config(factory, 16, metric), ROWS, 20, 1);
    world.effort = is_whole(&world) ? 64 : 4;
    build_rows(&world, 0, BUILT, BUILT);
    assert_ok(put_together(&world, alive, path, &vectors, &err), err);
    assert_int_equal(vectors, expected);
    size_t places = (size_t)(world.nq * world.k);
    float *scores = malloc(places * sizeof *scores);
    idx_t *ids = malloc(places * sizeof *ids);
    search_file(&world, path, scores, ids);
    search_taken_apart(&world, path, expected);
    compare_answers(factory, &world, scores, ids, alive);
    free(scores);
    free(ids);
    close_world(&world);
    assert_int_equal(remove(path), 0);
}

static void what_goes_out_comes_in(void **state) {
    (void)state;
    for (int f = 0; f < FACTORIES; f++) {
        out_and_in(factories[f], CONFIG_METRIC_l2, NULL);
        if (!strstr(factories[f], "HNSW"))
            out_and_in(factories[f], f % 2 ? CONFIG_METRIC_dot : CONFIG_METRIC_cosine, NULL);
    }
}

static void rows_that_are_gone_stay_behind(void **state) {
    (void)state;
    uint64_t alive[WORDS] = {0};
    for (int64_t row = 0; row < ROWS; row++)
        if (row >= BUILT || row % 3 != 1)
            set_row(alive, row);
    for (int f = 0; f < FACTORIES; f++)
        if (!strstr(factories[f], "RFlat")) /* gives back what it refines with, and the codes are not the same then */
            out_and_in(factories[f], CONFIG_METRIC_l2, alive);
}

static void content_is_encoded_anew(void **state) {
    (void)state;
    dfaiss_error_t err;
    char path[64];
    int64_t vectors = 0;
    uint64_t one = 0, other = 0;
    engine_plain_content_t content = {0};
    path_of("apart", path, sizeof path);
    world_t world = open_world(engine_config("IVF16,Flat", 16, CONFIG_METRIC_l2), ROWS, 5, 1);
    world_t apart = open_world(engine_config("IVF16,Flat", 16, CONFIG_METRIC_l2), ROWS / 2, 5, 1);
    build_rows(&world, 0, BUILT, BUILT);
    assert_ok(put_together(&world, NULL, path, &vectors, &err), err);
    assert_ok(engine_plain_read(path, &world.config, &content, &err), err);
    assert_ok(engine_template_checksum(content.template, &one, &err), err);
    assert_ok(engine_template_checksum(apart.template, &other, &err), err);
    assert_int_not_equal(one, other);
    assert_ok(engine_plain_encode_anew(&world.config, apart.template, &content, &err), err);
    assert_ok(engine_template_checksum(content.template, &one, &err), err);
    assert_int_equal(one, other);
    assert_int_equal(content.rows, ROWS);
    assert_int_equal(engine_store_rows(content.store), ROWS);
    for (int64_t row = 0; row < ROWS; row += 97) {
        float x[16];
        assert_ok(engine_store_reconstruct(content.store, 1, &row, x, &err), err);
        assert_memory_equal(x, world.x + (100000 - content.ids[row]) / 3 * 16, sizeof x);
    }
    engine_plain_content_clear(&content);
    close_world(&apart);
    close_world(&world);
    assert_int_equal(remove(path), 0);
}

/* ---- files that are refused ---- */

static void write_bytes(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void expect_refused(const char *path, const index_config_t *config, dfaiss_status_t status, const char *text) {
    dfaiss_error_t err = {0};
    engine_plain_header_t header;
    assert_int_equal(engine_plain_check(path, config, &header, &err), status);
    assert_non_null(strstr(err.text, path));
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
}

static void beginnings_are_looked_at(void **state) {
    (void)state;
    dfaiss_error_t err;
    char path[64];
    int64_t vectors;
    uint8_t bytes[64] = {0};
    path_of("wrong", path, sizeof path);
    world_t world = open_world(engine_config("Flat", 16, CONFIG_METRIC_l2), ROWS, 5, 1);
    build_rows(&world, 0, BUILT, BUILT);
    assert_ok(put_together(&world, NULL, path, &vectors, &err), err);
    index_config_t config = world.config;
    config.dim = 8;
    expect_refused(path, &config, DFAISS_ERR_CONFIG, "holds vectors of dimension 16; the configuration expects dim 8");
    config.dim = 0;
    config.metric = CONFIG_METRIC_cosine;
    expect_refused(path, &config, DFAISS_ERR_CONFIG, "an index of squared L2 distances; the configuration's metric expects inner products");
    write_bytes(path, "IxFI", 4);
    expect_refused(path, &world.config, DFAISS_ERR_DATA, "no index that faiss has written");
    memcpy(bytes, "IBxF", 4);
    write_bytes(path, bytes, sizeof bytes);
    expect_refused(path, &world.config, DFAISS_ERR_UNSUPPORTED, "a binary index");
    memcpy(bytes, "IxF2\20\0\0\0\377\377\377\377\0\0\0\0", 16);
    write_bytes(path, bytes, sizeof bytes);
    expect_refused(path, &world.config, DFAISS_ERR_DATA, "it says that it holds 4294967295 vectors, and has 64 bytes");
    memcpy(bytes + 4, "\0\0\0\200", 4);
    write_bytes(path, bytes, sizeof bytes);
    expect_refused(path, &world.config, DFAISS_ERR_DATA, "its dimension is -2147483648");
    close_world(&world);
    assert_int_equal(remove(path), 0);
    expect_refused(path, &world.config, DFAISS_ERR_NOT_FOUND, "");
}

/* Two vectors with the same id, and one below 0. */
static void ids_are_looked_at(void **state) {
    (void)state;
    static const idx_t wrong[][2] = {{7, 7}, {7, -2}};
    static const char *const texts[] = {"two vectors with the id 7", "a vector with the id -2"};
    dfaiss_error_t err;
    char path[64];
    float x[2 * 16] = {0};
    path_of("ids", path, sizeof path);
    index_config_t config = engine_config("Flat", 16, CONFIG_METRIC_l2);
    for (int i = 0; i < 2; i++) {
        FaissIndex *index = NULL;
        engine_plain_content_t content = {0};
        assert_int_equal(faiss_index_factory(&index, 16, "IDMap,Flat", METRIC_L2), 0);
        assert_int_equal(faiss_Index_add_with_ids(index, 2, x, wrong[i]), 0);
        assert_int_equal(faiss_write_index_fname(index, path), 0);
        faiss_Index_free(index);
        assert_int_equal(engine_plain_read(path, &config, &content, &err), DFAISS_ERR_DATA);
        assert_non_null(strstr(err.text, texts[i]));
        assert_null(content.template);
    }
    assert_int_equal(remove(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_out_comes_in),  cmocka_unit_test(rows_that_are_gone_stay_behind),
        cmocka_unit_test(content_is_encoded_anew), cmocka_unit_test(beginnings_are_looked_at),
        cmocka_unit_test(ids_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
