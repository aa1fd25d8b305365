/* Servers that are behind with indexing: whoever adds waits when more than `buffer_bsz` vectors are, no vector is refused or lost for it, and
 * searches find all of them.
 *
 * The linker puts a function of this file in the place of the one that indexes: it rests while there is a file "no-end" in the storage. */
#include "api_job.h"

#include <time.h>
#include <unistd.h>

#include "engine/engine.h"

enum { DIM = 8, BUFFER = 100, EACH = 50, CREDITS_OF_A_SERVER = 3, K = 5 };

/* Two fill the buffer, the next ones are held back, and the last credit is gone. */
enum { TAKEN = BUFFER / EACH + CREDITS_OF_A_SERVER };

dfaiss_status_t __real_engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                          dfaiss_error_t *err);
dfaiss_status_t __wrap_engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                          dfaiss_error_t *err);

static char no_end[512];

static void rest(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

dfaiss_status_t __wrap_engine_block_build(engine_store_t *store, int64_t first, int64_t n, const float *x, bool seal, engine_block_t **out,
                                          dfaiss_error_t *err) {
    char path[512];
    snprintf(path, sizeof path, "%s/no-end", job.storage);
    while (access(path, F_OK) == 0)
        rest();
    return __real_engine_block_build(store, first, n, x, seal, out, err);
}

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
    snprintf(no_end, sizeof no_end, "%s/no-end", job.storage);
    FILE *file = fopen(no_end, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
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
    assert_int_equal(remove(no_end), 0);
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

static int run(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_adds_wait_for_servers_that_are_behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv) {
    return api_job_main(argc, argv, api_one, 1, &(api_phase_t){.run = run});
}
