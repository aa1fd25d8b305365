/* Servers that are behind with indexing: whoever adds waits when more than `buffer_bsz` vectors are, no vector is refused or lost for it, and
 * searches find all of them.
 *
 * The linker puts functions of this file in the place of some that servers call: the one that indexes rests while there is a file "no-blocks" in the
 * storage, and fsync while there is "no-sync". */
#include "api_job.h"

#include "engine/engine.h"

enum { DIM = 8, BUFFER = 100, EACH = 50, CREDITS_OF_A_SERVER = 3, K = 5 };

/* Two fill the buffer, the next ones are held back, and the last credit is gone. */
enum { TAKEN = BUFFER / EACH + CREDITS_OF_A_SERVER };

dfaiss_status_t __real_engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                          dfaiss_error_t *err);
dfaiss_status_t __wrap_engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                          dfaiss_error_t *err);

int __real_fsync(int descriptor);
int __wrap_fsync(int descriptor);

dfaiss_status_t __wrap_engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                          dfaiss_error_t *err) {
    while (api_is_marked("no-blocks"))
        api_rest();
    return __real_engine_block_build(store, first, n, x, seal, out, err);
}

int __wrap_fsync(int descriptor) {
    if (api_is_marked("no-sync"))
        api_mark("in-sync");
    while (api_is_marked("no-sync"))
        api_rest();
    return __real_fsync(descriptor);
}

/* ---- indexing ---- */

static void make_client(double long_timeout) {
    dfaiss_client_options_t options = {.timeout = 120, .long_timeout = long_timeout};
    dfaiss_client_destroy(job.client);
    assert_ok(dfaiss_client_create(job.world, &options, &job.client, &job.error), job.error);
}

static dfaiss_status_t add(const float *base, const int64_t *ids, int64_t batch) {
    dfaiss_batch_t one = {.element = DFAISS_F32, .n = EACH, .dim = DIM, .vectors = base + batch * EACH * DIM, .ids = ids + batch * EACH};
    return dfaiss_add(job.client, "behind", &one, NULL, &job.error);
}

static void test_adds_wait_for_servers_that_are_behind(void **state) {
    (void)state;
    int64_t batches = 3 * TAKEN * job.servers, taken = 0, rows = batches * EACH;
    float *base = api_vectors(rows, DIM, 1);
    int64_t *ids = malloc((size_t)rows * sizeof *ids);
    assert_non_null(ids);
    for (int64_t i = 0; i < rows; i++)
        ids[i] = i;
    api_mark("no-blocks");
    api_create("behind", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8, \"buffer_bsz\": 100}", true);
    make_client(0.2);
    dfaiss_status_t status = DFAISS_OK;
    for (; status == DFAISS_OK && taken < batches; taken += status == DFAISS_OK)
        status = add(base, ids, taken);
    assert_fails(status, DFAISS_ERR_TIMEOUT, job.error, "behind with indexing");
    assert_int_equal(taken, TAKEN * job.servers);
    assert_int_equal(api_ntotal("behind"), taken * EACH);
    assert_int_equal(api_state("behind"), DFAISS_ADD);
    api_check_exact("behind", false, base, taken * EACH, DIM, base, 10, K);
    api_unmark("no-blocks");
    make_client(0);
    for (; taken < batches; taken++)
        assert_ok(add(base, ids, taken), job.error);
    assert_ok(dfaiss_flush(job.client, "behind", &job.error), job.error);
    assert_int_equal(api_ntotal("behind"), rows);
    api_check_exact("behind", false, base, rows, DIM, base, 10, K);
    api_drop("behind");
    free(ids);
    free(base);
}

/* ---- saving ---- */

enum { ROWS = 400, MORE = 200 };

/* Everything but what changes the index as a whole is answered while its files are not on their device yet. */
static void use_while_saved(const float *base) {
    dfaiss_statistics_t statistics[64];
    int64_t *ids = NULL, n = 0;
    char **names = NULL;
    while (!api_is_marked("in-sync"))
        api_rest();
    for (int64_t row = 0; row < MORE; row += 10) {
        api_add("saved", base, DIM, ROWS + row, 10, 5);
        api_check_exact("saved", false, base, ROWS + row + 10, DIM, base + row * DIM, 3, K);
        assert_int_equal(api_ntotal("saved"), ROWS + row + 10);
    }
    (void)api_state("saved");
    assert_ok(dfaiss_get_statistics(job.client, "saved", statistics, &job.error), job.error);
    assert_ok(dfaiss_get_ids(job.client, "saved", &ids, &n, &job.error), job.error);
    assert_int_equal(n, ROWS + MORE);
    assert_ok(dfaiss_list_indexes(job.client, &names, &n, &job.error), job.error);
    assert_ok(dfaiss_set_nprobe(job.client, "saved", 2, &job.error), job.error);
    free(names);
    free(ids);
    api_unmark("no-sync");
}

static void test_everything_goes_on_while_an_index_is_saved(void **state) {
    (void)state;
    if (job.clients < 2)
        skip();
    float *base = api_vectors(ROWS + MORE, DIM, 2);
    int64_t generation = 0;
    if (job.number == 0) {
        api_create("saved", "{\"index_builder_type\": \"flat\", \"metric\": \"l2\", \"dim\": 8}", true);
        api_add("saved", base, DIM, 0, ROWS, 20);
        api_mark("no-sync");
    }
    api_barrier();
    if (job.number == 1)
        assert_ok(dfaiss_save_index(job.client, "saved", &generation, &job.error), job.error);
    else
        use_while_saved(base);
    api_barrier();
    if (job.number == 1) {
        assert_int_equal(generation, 1);
        assert_int_equal(api_ntotal("saved"), ROWS + MORE);
        assert_ok(dfaiss_load_index(job.client, "saved", NULL, true, &job.error), job.error);
        api_check_exact("saved", false, base, ROWS, DIM, base, 10, K);
        api_drop("saved");
    }
    free(base);
}

static int run(void) {
    const struct CMUnitTest alone[] = {cmocka_unit_test(test_adds_wait_for_servers_that_are_behind)};
    const struct CMUnitTest together[] = {cmocka_unit_test(test_everything_goes_on_while_an_index_is_saved)};
    int failures = job.number == 0 ? cmocka_run_group_tests(alone, NULL, NULL) : 0;
    if (failures)
        return failures;
    api_barrier();
    return cmocka_run_group_tests(together, NULL, NULL);
}

int main(int argc, char **argv) {
    return api_job_main(argc, argv, api_two, 1, &(api_phase_t){.run = run});
}
