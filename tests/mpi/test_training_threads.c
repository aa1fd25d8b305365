/* Training beside searching, with two threads each, which share the cores of a server: each goes on while the other does.
 *
 * The linker puts a function of this file in the place of the one that trains. While there is a file "practice" in the storage it trains in earnest,
 * over and over again, something that nobody uses, so that training lasts as long as the test wants. */
#include "api_job.h"

#include <stdio.h>
#include <time.h>

#include "config/index_config.h"
#include "engine/engine.h"

enum { DIM = 16, ROWS = 2000, K = 10, SEARCHES = 100, PRACTICES = 3 };

dfaiss_status_t __real_engine_template_train(engine_template_t *template, int64_t n, const float *x, dfaiss_error_t *err);
dfaiss_status_t __wrap_engine_template_train(engine_template_t *template, int64_t n, const float *x, dfaiss_error_t *err);

static FILE *open_file(const char *name, const char *mode) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", job.storage, name);
    return fopen(path, mode);
}

static bool is_there(const char *name) {
    FILE *file = open_file(name, "r");
    if (file)
        fclose(file);
    return file != NULL;
}

static void take_away(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", job.storage, name);
    (void)remove(path);
}

/* A byte in a file for each training that was thrown away. */
static void note_practice(void) {
    FILE *file = open_file("practices", "a");
    if (file) {
        fputc('.', file);
        fclose(file);
    }
}

static long practices(void) {
    FILE *file = open_file("practices", "r");
    long count = 0;
    while (file && fgetc(file) != EOF)
        count++;
    if (file)
        fclose(file);
    return count;
}

static void practise(int64_t n, const float *x) {
    static const char text[] = "{\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 32}";
    index_config_t *config = NULL;
    engine_template_t *template = NULL;
    dfaiss_error_t error;
    dfaiss_status_t status = index_config_parse(text, strlen(text), "practice", &config, &error);
    if (status == DFAISS_OK)
        status = engine_template_create(config, n, &template, &error);
    if (status == DFAISS_OK)
        status = __real_engine_template_train(template, n, x, &error);
    if (status == DFAISS_OK)
        note_practice();
    engine_template_destroy(template);
    index_config_destroy(config);
}

dfaiss_status_t __wrap_engine_template_train(engine_template_t *template, int64_t n, const float *x, dfaiss_error_t *err) {
    while (is_there("practice"))
        practise(n, x);
    return __real_engine_template_train(template, n, x, err);
}

/* `servers` train. Were searches to wait for the end of training, or training for a time without searches, this would not end. */
static void search_while_threads_train(const char *config, int servers) {
    float *base = api_vectors(ROWS, DIM, 1);
    api_create("threads", config, true);
    assert_ok(dfaiss_set_threads(job.client, 2, &job.error), job.error);
    api_add("threads", base, DIM, 0, ROWS, 100);
    FILE *file = open_file("practice", "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_ok(dfaiss_train_start(job.client, "threads", &job.error), job.error);
    for (int searches = 0; searches < SEARCHES || practices() < (long)PRACTICES * servers; searches++) {
        api_check_exact("threads", false, base, ROWS, DIM, base + searches % ROWS * DIM, 1, K);
        assert_int_equal(api_state("threads"), DFAISS_TRAINING);
        /* Training has the cores that nobody else wants: they are left to it when enough was searched. */
        if (searches >= SEARCHES)
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    take_away("practice");
    assert_ok(dfaiss_wait_state(job.client, "threads", DFAISS_TRAINED, 0, &job.error), job.error);
    take_away("practices");
    api_check_exact("threads", false, base, ROWS, DIM, base, 20, K);
    api_drop("threads");
    free(base);
}

#define KEYS "\"index_builder_type\": \"ivf_simple\", \"metric\": \"l2\", \"dim\": 16, \"centroids\": 8, \"nprobe\": 8"

static void test_one_server_trains_for_all(void **state) {
    (void)state;
    search_while_threads_train("{" KEYS "}", 1);
}

static void test_every_server_trains(void **state) {
    (void)state;
    search_while_threads_train("{" KEYS ", \"training\": \"local\"}", job.servers);
}

static int run(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_server_trains_for_all), cmocka_unit_test(test_every_server_trains)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv) {
    return api_job_main(argc, argv, api_one, 1, &(api_phase_t){.run = run, .threads = 2});
}
