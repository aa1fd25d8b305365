/* Which rows of which input a shard has: noted with the rows or not at all, in a snapshot, in its file, and in what is restored from it. */
#include "check.h"

#include <limits.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/team.h"
#include "checkpoint/shard_file.h"
#include "shard/shard.h"

enum { DIM = 8, ROWS = 100 };

static char folder[PATH_MAX / 4], path[PATH_MAX];
static dfaiss_error_t error;
static team_t *team;

static int set_up(void **state) {
    (void)state;
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/shard-0000.h5", folder);
    return team_create(1, &team, &error) == DFAISS_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    team_destroy(team);
    return file_remove_tree(folder, &error) == DFAISS_OK ? 0 : -1;
}

static shard_t *make_shard(void) {
    static const char text[] = "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}";
    index_config_t *config = NULL;
    shard_t *shard = NULL;
    assert_ok(index_config_parse(text, sizeof text - 1, "test", &config, &error), error);
    assert_ok(shard_create("test", config, ROWS, 0, team, &shard, &error), error);
    return shard;
}

static void declare(shard_t *shard, uint64_t number, const char *identity) {
    input_t input = {.number = number, .rows = ROWS, .first_id = 1000, .identity = (char *)identity};
    assert_ok(shard_declare_input(shard, &input, &error), error);
}

static dfaiss_status_t append(shard_t *shard, uint64_t input, int64_t row, int64_t n) {
    size_t bytes = (size_t)n * DIM * sizeof(float);
    shard_batch_t batch = {.n = n,
                           .first_id = row > 0 && row < ROWS ? 1000 + row : 1000,
                           .vectors = memory_map(bytes),
                           .vector_bytes = bytes,
                           .input = input,
                           .input_row = row};
    dfaiss_status_t status = shard_append(shard, &batch, NULL, 0, &error);
    if (status != DFAISS_OK)
        shard_batch_clear(&batch);
    return status;
}

static int64_t held(const inputs_t *inputs, uint64_t number) {
    const input_t *input = inputs_find(inputs, number);
    assert_non_null(input);
    return ranges_rows(&input->held);
}

static void test_rows_are_noted_once(void **state) {
    (void)state;
    shard_t *shard = make_shard();
    declare(shard, 1, "one");
    assert_ok(append(shard, 1, 10, 5), error);
    assert_ok(append(shard, 0, 0, 7), error);
    assert_int_equal(held(shard_inputs(shard), 1), 5);
    assert_fails(append(shard, 1, 14, 2), DFAISS_ERR_STATE, error, "rows of input 1 of index 'test' come a second time: 2 from row 14 on");
    assert_fails(append(shard, 2, 0, 2), DFAISS_ERR_STATE, error, "input 2 of index 'test' was not declared");
    assert_fails(append(shard, 1, 99, 2), DFAISS_ERR_ARG, error, "2 vectors from row 99 of an input that has 100");
    assert_fails(append(shard, 1, -1, 2), DFAISS_ERR_ARG, error, "from row -1");
    assert_fails(append(shard, 1, INT64_MAX, 2), DFAISS_ERR_ARG, error, "from row");
    assert_int_equal(shard_rows(shard), 12);
    assert_int_equal(held(shard_inputs(shard), 1), 5);
    shard_destroy(shard);
}

/* What comes after a snapshot is not in it, neither the rows nor that they came. */
static void write_snapshot(shard_t *shard) {
    shard_snapshot_t snapshot;
    uint64_t checksum, bytes;
    assert_ok(shard_snapshot(shard, &snapshot, &error), error);
    assert_ok(append(shard, 1, 50, 25), error);
    shard_content_t content = shard_content_of_snapshot(&snapshot);
    snprintf(content.index, sizeof content.index, "test");
    content.generation = 1;
    content.servers = 1;
    assert_ok(shard_file_save(path, &content, &checksum, &bytes, &error), error);
    shard_snapshot_clear(&snapshot);
}

static shard_t *read_shard(void) {
    shard_content_t content;
    shard_t *shard = NULL;
    assert_ok(shard_file_read(path, &content, &error), error);
    shard_restored_t restored = shard_content_restored(&content);
    assert_ok(shard_restore("test", &restored, ROWS, 0, team, &shard, &error), error);
    return shard;
}

static void test_saved_with_the_rows(void **state) {
    (void)state;
    shard_t *shard = make_shard();
    declare(shard, 1, "[\"one\"]");
    declare(shard, 2, "[\"two\"]");
    for (int64_t row = 0; row < 40; row += 20)
        assert_ok(append(shard, 1, row, 10), error);
    write_snapshot(shard);
    shard_destroy(shard);
    shard = read_shard();
    const inputs_t *inputs = shard_inputs(shard);
    assert_int_equal(shard_rows(shard), 20);
    assert_int_equal(held(inputs, 1), 20);
    assert_int_equal(inputs_find(inputs, 1)->held.count, 2);
    assert_int_equal(inputs_find(inputs, 1)->rows, ROWS);
    assert_int_equal(inputs_find(inputs, 1)->first_id, 1000);
    assert_string_equal(inputs_find(inputs, 1)->identity, "[\"one\"]");
    assert_int_equal(held(inputs, 2), 0);
    assert_fails(append(shard, 1, 5, 1), DFAISS_ERR_STATE, error, "come a second time");
    assert_ok(append(shard, 1, 10, 10), error);
    assert_int_equal(inputs_find(inputs, 1)->held.count, 1);
    inputs_t alone = {0};
    assert_ok(shard_file_read_inputs(path, &alone, &error), error);
    assert_int_equal(held(&alone, 1), 20);
    inputs_clear(&alone);
    shard_destroy(shard);
}

/* A file whose inputs make no sense is damaged. */
static void test_nonsense_is_refused(void **state) {
    (void)state;
    range_t touching[] = {{0, 10}, {10, 20}};
    input_t one = {.number = 1, .rows = ROWS, .identity = (char *)"one", .held = {.list = touching, .count = 2}};
    shard_t *shard = make_shard();
    shard_snapshot_t snapshot;
    shard_content_t content = {.index = "test", .generation = 1, .servers = 1}, found;
    assert_ok(shard_snapshot(shard, &snapshot, &error), error);
    content.config = snapshot.config;
    content.inputs = (inputs_t){.list = &one, .count = 1};
    assert_ok(shard_file_write(path, &content, &error), error);
    assert_fails(shard_file_read(path, &found, &error), DFAISS_ERR_CHECKPOINT, error, "/inputs/0000/held: expected ascending ranges of 100 rows");
    one.held.count = 1;
    one.rows = 9;
    assert_ok(shard_file_write(path, &content, &error), error);
    assert_fails(shard_file_read(path, &found, &error), DFAISS_ERR_CHECKPOINT, error, "expected ascending ranges of 9 rows");
    input_t twice[] = {{.number = 3, .identity = (char *)"one"}, {.number = 3, .identity = (char *)"two"}};
    content.inputs = (inputs_t){.list = twice, .count = 2};
    assert_ok(shard_file_write(path, &content, &error), error);
    assert_fails(shard_file_read(path, &found, &error), DFAISS_ERR_CHECKPOINT, error, "found 3 twice");
    shard_snapshot_clear(&snapshot);
    shard_destroy(shard);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_are_noted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_saved_with_the_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nonsense_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
