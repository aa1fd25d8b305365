/* Files of plain faiss that were changed or cut off anywhere: a trial ends with a word about the file, and what it lets pass can be read and
 * searched. */
#include "test_engine.h"

#include <faiss/c_api/index_factory_c.h>

#include "base/file.h"
#include "cli/plain_trial.h"
#include "engine/plain.h"

static const char *const factories[] = {
    "Flat", "SQ8", "IVF16,Flat", "IVF16,SQ8", "IVF16,PQ8x4np", "PCA8,IVF16,SQfp16", "HNSW8,Flat", "PCA8,HNSW8_SQ8", "IDMap,PQ8x4np"};
enum { FACTORIES = sizeof factories / sizeof *factories, DIM = 16, ROWS = 640, CHANGES = 24, HEAD = 1600 };

static const char *path_of_test(void) {
    static char path[64];
    snprintf(path, sizeof path, "plain-trial-%ld.faiss", (long)getpid());
    return path;
}

static index_config_t config_of(const char *factory) {
    return engine_config(strncmp(factory, "IDMap,", 6) == 0 ? factory + 6 : factory, DIM, CONFIG_METRIC_l2);
}

static void make_file(const char *factory, const char *path) {
    FaissIndex *index = NULL;
    float *x = make_vectors(3, ROWS, DIM);
    idx_t ids[ROWS];
    for (int64_t i = 0; i < ROWS; i++)
        ids[i] = 5 * i;
    assert_int_equal(faiss_index_factory(&index, DIM, factory, METRIC_L2), 0);
    assert_int_equal(faiss_Index_train(index, ROWS, x), 0);
    assert_int_equal(strstr(factory, "IDMap") ? faiss_Index_add_with_ids(index, ROWS, x, ids) : faiss_Index_add(index, ROWS, x), 0);
    assert_int_equal(faiss_write_index_fname(index, path), 0);
    faiss_Index_free(index);
    free(x);
}

static void put_bytes(const char *path, const char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Whatever it finds. */
static void search_content(const index_config_t *config, engine_plain_content_t *content) {
    world_t world = {.config = *config, .template = content->template, .store = content->store, .dim = DIM, .nq = 2, .k = 5, .effort = 8};
    float scores[10];
    int64_t rows[10];
    world.queries = make_vectors(2, world.nq, DIM);
    world.scores = scores;
    world.rows = rows;
    open_search(&world, 1);
    search_all(&world, NEVER);
    engine_search_destroy(world.search);
    team_destroy(world.team);
    free(world.queries);
}

static void try_file(const char *path, const index_config_t *config) {
    dfaiss_error_t err = {0};
    engine_plain_header_t header;
    engine_plain_content_t content = {0};
    dfaiss_status_t status = engine_plain_check(path, config, &header, &err);
    if (status == DFAISS_OK)
        status = plain_trial(path, &err);
    if (status == DFAISS_OK)
        status = engine_plain_read(path, config, &content, &err);
    if (status == DFAISS_OK)
        search_content(config, &content);
    else
        assert_non_null(strstr(err.text, path));
    engine_plain_content_clear(&content);
}

static void change_and_try(const char *path, const index_config_t *config, const char *whole, size_t size, random_state_t *random) {
    char *changed = malloc(size);
    assert_non_null(changed);
    memcpy(changed, whole, size);
    /* Most of what decides stands in front, and a little at the end. */
    size_t place = (size_t)random_below(random, 4) ? (size_t)random_below(random, size < HEAD ? size : HEAD) : (size_t)random_below(random, size);
    static const char values[] = {'\x00', '\x01', '\x7f', '\x80', '\xff'};
    for (size_t i = place; i < size && i < place + 1 + (size_t)random_below(random, 4); i++)
        changed[i] = values[random_below(random, sizeof values)];
    put_bytes(path, changed, size);
    try_file(path, config);
    put_bytes(path, whole, (size_t)random_below(random, size));
    try_file(path, config);
    free(changed);
}

static void changed_files_end_no_process(void **state) {
    (void)state;
    const char *path = path_of_test();
    random_state_t random = random_stream(11, 0);
    for (int f = 0; f < FACTORIES; f++) {
        char *whole = NULL;
        size_t size = 0;
        index_config_t config = config_of(factories[f]);
        dfaiss_error_t err;
        make_file(factories[f], path);
        assert_ok(plain_trial(path, &err), err);
        assert_ok(file_read_whole(path, 1 << 24, &whole, &size, &err), err);
        for (int i = 0; i < CHANGES; i++)
            change_and_try(path, &config, whole, size, &random);
        free(whole);
    }
    assert_int_equal(remove(path), 0);
}

static void a_child_that_dies_is_told(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    assert_int_equal(plain_trial("there-is-none.faiss", &err), DFAISS_ERR_NOT_FOUND);
    put_bytes(path_of_test(), "nothing of faiss", 16);
    assert_int_equal(plain_trial(path_of_test(), &err), DFAISS_ERR_DATA);
    assert_non_null(strstr(err.text, path_of_test()));
    assert_int_equal(remove(path_of_test()), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_files_end_no_process),
        cmocka_unit_test(a_child_that_dies_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
