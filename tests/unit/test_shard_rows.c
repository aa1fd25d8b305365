/* The rows of a shard in one process: their attributes. */
#include "check.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "base/random.h"
#include "filter/expression.h"
#include "shard/search.h"

enum { DIM = 8, SEED = 815 };

static const char flat[] =
    "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"attributes\": {\"year\": \"int\", \"lang\": \"string\"}}";

static dfaiss_error_t error;
static team_t *team;

static shard_t *make_shard(const char *text) {
    shard_t *shard = NULL;
    index_config_t *config = NULL;
    assert_ok(index_config_parse(text, strlen(text), "test", &config, &error), error);
    assert_ok(shard_create("test", config, 1000, 0, team, &shard, &error), error);
    return shard;
}

/* n random vectors with ids from first_id on. */
static shard_batch_t make_batch(int64_t n, int64_t first_id) {
    shard_batch_t batch = {.n = n, .first_id = first_id, .element = ELEMENT_f32, .vector_bytes = (size_t)n * DIM * sizeof(float)};
    float *vectors = memory_map(batch.vector_bytes);
    assert_non_null(vectors);
    random_state_t random = random_stream(SEED, (uint64_t)first_id);
    for (int64_t i = 0; i < n * DIM; i++)
        vectors[i] = (float)(int64_t)random_below(&random, 50) - 25;
    batch.vectors = vectors;
    return batch;
}

/* As `year`, an attribute of its own, goes along with a batch: first, first + 1, ... */
static bytes_writer_t make_years(int64_t n, int64_t first, const char *name) {
    bytes_writer_t columns = {0};
    int64_t *years = malloc((size_t)n * sizeof *years);
    assert_non_null(years);
    for (int64_t i = 0; i < n; i++)
        years[i] = first + i;
    attribute_arrays_t arrays = {.name = name, .integers = years};
    assert_ok(attribute_given_encode(&arrays, 1, n, &columns, &error), error);
    free(years);
    return columns;
}

static void append_years(shard_t *shard, int64_t n, int64_t first) {
    shard_batch_t batch = make_batch(n, shard_rows(shard));
    bytes_writer_t columns = make_years(n, first, "year");
    assert_ok(shard_append(shard, &batch, columns.data, columns.size, &error), error);
    bytes_writer_destroy(&columns);
}

/* ---- attributes ---- */

static void refuse(shard_t *shard, shard_batch_t batch, const void *columns, size_t bytes, dfaiss_status_t status, const char *text) {
    int64_t rows = shard_rows(shard);
    size_t held = shard_bytes(shard).metadata;
    assert_fails(shard_append(shard, &batch, columns, bytes, &error), status, error, text);
    assert_int_equal(shard_rows(shard), rows);
    assert_true(shard_bytes(shard).metadata == held);
    shard_batch_clear(&batch);
}

static void test_attributes_are_all_or_nothing(void **state) {
    (void)state;
    shard_t *shard = make_shard(flat);
    append_years(shard, 10, 2000);
    bytes_writer_t columns = make_years(5, 2000, "yera");
    refuse(shard, make_batch(5, 10), columns.data, columns.size, DFAISS_ERR_ARG, "did you mean \"year\"?");
    bytes_writer_destroy(&columns);
    columns = make_years(5, 2000, "lang");
    refuse(shard, make_batch(5, 10), columns.data, columns.size, DFAISS_ERR_ARG, "lang");
    bytes_writer_destroy(&columns);
    columns = make_years(5, 2000, "year");
    refuse(shard, make_batch(5, 10), columns.data, columns.size - 1, DFAISS_ERR_PEER, "");
    refuse(shard, make_batch(6, 10), columns.data, columns.size, DFAISS_ERR_PEER, "");
    bytes_writer_destroy(&columns);
    append_years(shard, 10, 2010);
    assert_int_equal(shard_rows(shard), 20);
    shard_destroy(shard);
}

static void test_columns_need_attributes(void **state) {
    (void)state;
    shard_t *shard = make_shard("{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}");
    bytes_writer_t columns = make_years(5, 2000, "year");
    refuse(shard, make_batch(5, 0), columns.data, columns.size, DFAISS_ERR_ARG, "declares no attributes");
    bytes_writer_destroy(&columns);
    shard_destroy(shard);
}

static void test_attributes_are_counted(void **state) {
    (void)state;
    enum { ROWS = 100000 };
    shard_t *shard = make_shard(flat);
    append_years(shard, ROWS, 0);
    size_t bytes = shard_bytes(shard).metadata;
    assert_true(bytes >= ROWS * (8 + 2) && bytes < ROWS * 20);
    shard_destroy(shard);
}

static void test_snapshot_holds_attributes(void **state) {
    (void)state;
    shard_t *shard = make_shard(flat);
    shard_snapshot_t snapshot;
    append_years(shard, 10, 2000);
    assert_ok(shard_snapshot(shard, &snapshot, &error), error);
    append_years(shard, 10, 2010);
    assert_int_equal(attribute_columns_rows(snapshot.attributes), 10);
    assert_int_equal(snapshot.batch_count, 1);
    shard_snapshot_clear(&snapshot);
    shard_destroy(shard);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes_are_all_or_nothing),
        cmocka_unit_test(test_columns_need_attributes),
        cmocka_unit_test(test_attributes_are_counted),
        cmocka_unit_test(test_snapshot_holds_attributes),
    };
    if (team_create(2, &team, &error) != DFAISS_OK)
        return 1;
    printf("seed %d\n", SEED);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    team_destroy(team);
    return failures;
}
