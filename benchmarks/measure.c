#include "measure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/element.h"
#include "dataset/id_file.h"

enum {
    CALLS_MIN = 5,        /* of a measurement, however long they take */
    RECALL_QUERIES = 256, /* at least, or one batch, or all there are */
    RECALLS = 64,         /* batch sizes whose recall is remembered */
    LINE = 256,
};

typedef struct measure {
    const bench_options_t *options;
    measure_search_t *search;
    void *context;
    float *queries;
    int64_t rows, dim;
    id_matrix_t truth;
    int64_t *ids;     /* [rows][k] */
    int64_t next;     /* query */
    int64_t answered; /* queries of this command, not timed ones too */
    int64_t *nanoseconds;
    int64_t calls, capacity;
    struct {
        int64_t batch, queries;
        double recall;
    } recalls[RECALLS];
    int recall_count;
} measure_t;

static void clear(measure_t *measure) {
    free(measure->queries);
    free(measure->ids);
    free(measure->nanoseconds);
    id_matrix_destroy(&measure->truth);
}

static dfaiss_status_t load(measure_t *measure, dfaiss_error_t *err) {
    const bench_options_t *options = measure->options;
    TRY(bench_read_all(options->queries, &measure->queries, &measure->rows, &measure->dim, err));
    TRY(id_matrix_read(options->truth, &measure->truth, err));
    if (measure->truth.rows < measure->rows || measure->truth.columns < options->k)
        return error_set(err, DFAISS_ERR_DATA, options->truth, "%s has %lld rows of %lld; expected %lld of at least %lld", options->truth,
                         (long long)measure->truth.rows, (long long)measure->truth.columns, (long long)measure->rows, (long long)options->k);
    size_t bytes = (size_t)measure->rows * (size_t)options->k * sizeof *measure->ids;
    measure->ids = malloc(bytes);
    return measure->ids ? DFAISS_OK : error_memory(err, bytes, "ids");
}

static dfaiss_status_t remember(measure_t *measure, int64_t nanoseconds, dfaiss_error_t *err) {
    if (measure->calls == measure->capacity) {
        int64_t capacity = measure->capacity ? measure->capacity * 2 : 4096;
        int64_t *grown = realloc(measure->nanoseconds, (size_t)capacity * sizeof *grown);
        if (!grown)
            return error_memory(err, (size_t)capacity * sizeof *grown, "times");
        measure->nanoseconds = grown;
        measure->capacity = capacity;
    }
    measure->nanoseconds[measure->calls++] = nanoseconds;
    return DFAISS_OK;
}

static dfaiss_status_t search_next(measure_t *measure, int64_t batch, int64_t *nanoseconds, dfaiss_error_t *err) {
    if (measure->next + batch > measure->rows)
        measure->next = 0;
    const float *queries = measure->queries + measure->next * measure->dim;
    int64_t *ids = measure->ids + measure->next * measure->options->k;
    int64_t begun = clock_nanoseconds();
    TRY(measure->search(measure->context, batch, queries, ids, err));
    *nanoseconds = clock_nanoseconds() - begun;
    measure->next += batch;
    measure->answered += batch;
    return DFAISS_OK;
}

static dfaiss_status_t find_recall(measure_t *measure, int64_t batch, int *place, dfaiss_error_t *err) {
    for (*place = 0; *place < measure->recall_count; ++*place)
        if (measure->recalls[*place].batch == batch)
            return DFAISS_OK;
    if (*place == RECALLS)
        return error_set(err, DFAISS_ERR_ARG, "search", "more than %d different batches", RECALLS);
    int64_t queries = measure->rows < RECALL_QUERIES ? measure->rows : RECALL_QUERIES, nanoseconds;
    measure->next = 0;
    while (measure->next < queries && measure->next + batch <= measure->rows)
        TRY(search_next(measure, batch, &nanoseconds, err));
    queries = measure->next;
    int64_t k = measure->options->k;
    measure->recalls[*place].batch = batch;
    measure->recalls[*place].queries = queries;
    measure->recalls[*place].recall = recall_at(k, queries, k, measure->ids, &measure->truth);
    measure->recall_count++;
    return DFAISS_OK;
}

static int by_size(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* The smallest time that at least this share of the calls stayed within. */
static double percentile_us(const measure_t *measure, int percent) {
    int64_t place = (measure->calls * percent + 99) / 100 - 1;
    return (double)measure->nanoseconds[place < 0 ? 0 : place] * 1e-3;
}

static void print_measured(measure_t *measure, int64_t batch, int64_t total, int recall) {
    double seconds = (double)total * 1e-9;
    int64_t queries = measure->calls * batch;
    qsort(measure->nanoseconds, (size_t)measure->calls, sizeof *measure->nanoseconds, by_size);
    printf("{\"batch\": %" PRId64 ", \"calls\": %" PRId64 ", \"queries\": %" PRId64
           ", \"seconds\": %.6f, \"qps\": %.3f, \"p50_us\": %.3f, \"p99_us\": %.3f, "
           "\"recall\": %.6f, \"recall_queries\": %" PRId64 ", \"answered\": %" PRId64 "}\n",
           batch, measure->calls, queries, seconds, (double)queries / seconds, percentile_us(measure, 50), percentile_us(measure, 99),
           measure->recalls[recall].recall, measure->recalls[recall].queries, measure->answered);
}

static dfaiss_status_t measure_batch(measure_t *measure, int64_t batch, double seconds, dfaiss_error_t *err) {
    int recall;
    int64_t nanoseconds, total = 0;
    if (batch < 1 || batch > measure->rows)
        return error_set(err, DFAISS_ERR_ARG, "search", "a batch of %lld queries; expected 1 to %lld, which is all there are", (long long)batch,
                         (long long)measure->rows);
    measure->answered = 0;
    TRY(find_recall(measure, batch, &recall, err));
    /* Others had the caches meanwhile. */
    int64_t warm = clock_nanoseconds() + (int64_t)(seconds * 0.1e9);
    do
        TRY(search_next(measure, batch, &nanoseconds, err));
    while (clock_nanoseconds() < warm);
    measure->calls = 0;
    while (measure->calls < CALLS_MIN || (double)total < seconds * 1e9) {
        TRY(search_next(measure, batch, &nanoseconds, err));
        TRY(remember(measure, nanoseconds, err));
        total += nanoseconds;
    }
    print_measured(measure, batch, total, recall);
    return DFAISS_OK;
}

static dfaiss_status_t obey(measure_t *measure, FILE *commands, dfaiss_error_t *err) {
    char line[LINE];
    while (fgets(line, sizeof line, commands)) {
        long long batch;
        double seconds;
        if (strncmp(line, "quit", 4) == 0)
            return DFAISS_OK;
        if (sscanf(line, "search %lld %lf", &batch, &seconds) != 2 || !(seconds >= 0 && seconds < 1e6))
            return error_set(err, DFAISS_ERR_ARG, "commands", "'%.*s' is no command; expected: search BATCH SECONDS, or quit",
                             (int)strcspn(line, "\n"), line);
        TRY(measure_batch(measure, batch, seconds, err));
        if (fflush(stdout) != 0)
            return error_system(err, "write", "stdout", errno);
    }
    return ferror(commands) ? error_system(err, "read", "the commands", errno) : DFAISS_OK;
}

static dfaiss_status_t open_and_obey(measure_t *measure, dfaiss_error_t *err) {
    const char *path = measure->options->commands;
    FILE *commands = path ? fopen(path, "re") : stdin;
    if (!commands)
        return error_system(err, "open", path, errno);
    dfaiss_status_t status = obey(measure, commands, err);
    if (path)
        (void)fclose(commands);
    return status;
}

dfaiss_status_t measure_serve(const bench_options_t *options, const measure_built_t *built, measure_search_t *search, void *context,
                              dfaiss_error_t *err) {
    measure_t measure = {.options = options, .search = search, .context = context};
    printf("{\"vectors\": %" PRId64
           ", \"train_seconds\": %.6f, \"ingest_seconds\": %.6f, \"ingest_rate\": %.1f, \"rss_bytes\": %zu, \"rss_servers\": %zu}\n",
           built->vectors, built->train_seconds, built->ingest_seconds, (double)built->vectors / built->ingest_seconds, built->rss_bytes,
           built->rss_servers);
    dfaiss_status_t status = fflush(stdout) == 0 ? load(&measure, err) : error_system(err, "write", "stdout", errno);
    if (status == DFAISS_OK)
        status = open_and_obey(&measure, err);
    clear(&measure);
    return status;
}
