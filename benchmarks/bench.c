#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/element.h"
#include "base/random.h"

/* ---- options ---- */

enum { OPTION_TEXT, OPTION_NUMBER };

typedef struct field {
    const char *name;
    int type;
    size_t offset;
    int64_t least;
} field_t;

static const field_t fields[] = {
    {"data", OPTION_TEXT, offsetof(bench_options_t, data), 0},         {"queries", OPTION_TEXT, offsetof(bench_options_t, queries), 0},
    {"truth", OPTION_TEXT, offsetof(bench_options_t, truth), 0},       {"commands", OPTION_TEXT, offsetof(bench_options_t, commands), 0},
    {"factory", OPTION_TEXT, offsetof(bench_options_t, factory), 0},   {"config", OPTION_TEXT, offsetof(bench_options_t, config), 0},
    {"storage", OPTION_TEXT, offsetof(bench_options_t, storage), 0},   {"shards", OPTION_NUMBER, offsetof(bench_options_t, shards), 1},
    {"threads", OPTION_NUMBER, offsetof(bench_options_t, threads), 1}, {"k", OPTION_NUMBER, offsetof(bench_options_t, k), 1},
    {"effort", OPTION_NUMBER, offsetof(bench_options_t, effort), 0},   {"construction", OPTION_NUMBER, offsetof(bench_options_t, construction), 0},
    {"sample", OPTION_NUMBER, offsetof(bench_options_t, sample), 0},   {"seed", OPTION_NUMBER, offsetof(bench_options_t, seed), 0},
};
enum { FIELDS = sizeof fields / sizeof fields[0], MOST = 1 << 30 };

static dfaiss_status_t set_field(bench_options_t *options, const field_t *field, const char *value, dfaiss_error_t *err) {
    char *place = (char *)options + field->offset;
    if (field->type == OPTION_TEXT) {
        memcpy(place, &value, sizeof value);
        return DFAISS_OK;
    }
    char *end;
    errno = 0;
    int64_t number = strtoll(value, &end, 10);
    if (errno || end == value || *end || number < field->least || number > MOST)
        return error_set(err, DFAISS_ERR_ARG, field->name, "--%s is '%s'; expected a number from %lld to %d", field->name, value,
                         (long long)field->least, MOST);
    memcpy(place, &number, sizeof number);
    return DFAISS_OK;
}

dfaiss_status_t bench_options_parse(int argc, char **argv, bench_options_t *options, dfaiss_error_t *err) {
    struct option table[FIELDS + 1] = {0};
    for (int i = 0; i < FIELDS; i++)
        table[i] = (struct option){.name = fields[i].name, .has_arg = required_argument};
    *options = (bench_options_t){.shards = 1, .threads = 1, .k = 10, .seed = 1};
    opterr = 0;
    int found;
    while (getopt_long(argc, argv, "", table, &found) == 0)
        TRY(set_field(options, &fields[found], optarg, err));
    if (optind < argc || !options->data || !options->queries || !options->truth)
        return error_set(err, DFAISS_ERR_ARG, "",
                         "usage: --data FILE --queries FILE --truth FILE [--OPTION VALUE...]; benchmarks/search.sh runs this program");
    return DFAISS_OK;
}

/* ---- input ---- */

dfaiss_status_t bench_open(const char *path, dataset_t **out, dfaiss_error_t *err) {
    TRY(dataset_open(&path, 1, NULL, out, err));
    if (dataset_element(*out) == ELEMENT_f32)
        return DFAISS_OK;
    dfaiss_status_t status = error_set(err, DFAISS_ERR_DATA, path, "%s holds %s; the benchmark takes f32", path, element_name(dataset_element(*out)));
    dataset_close(*out);
    return status;
}

static dfaiss_status_t make_space(int64_t rows, int64_t dim, float **space, dfaiss_error_t *err) {
    size_t bytes = (size_t)rows * (size_t)dim * sizeof(float);
    *space = malloc(bytes ? bytes : 1);
    return *space ? DFAISS_OK : error_memory(err, bytes, "vectors");
}

dfaiss_status_t bench_read_all(const char *path, float **values, int64_t *rows, int64_t *dim, dfaiss_error_t *err) {
    dataset_t *dataset;
    TRY(bench_open(path, &dataset, err));
    *rows = dataset_rows(dataset);
    *dim = dataset_dim(dataset);
    dfaiss_status_t status = make_space(*rows, *dim, values, err);
    if (status == DFAISS_OK) {
        const float *found = dataset_rows_at(dataset, 0, *rows, *values);
        if (found != *values)
            memcpy(*values, found, (size_t)*rows * (size_t)*dim * sizeof(float));
    }
    dataset_close(dataset);
    return status;
}

static dfaiss_status_t draw(const dataset_t *dataset, int64_t n, uint64_t seed, int64_t **out, dfaiss_error_t *err) {
    if (n > dataset_rows(dataset))
        return error_set(err, DFAISS_ERR_ARG, "sample", "--sample is %lld; the data has %lld rows", (long long)n, (long long)dataset_rows(dataset));
    int64_t *rows = malloc((size_t)n * sizeof *rows + 1);
    if (!rows)
        return error_memory(err, (size_t)n * sizeof *rows, "the training sample");
    random_state_t random = random_stream(seed, 0);
    random_sample(&random, dataset_rows(dataset), n, rows);
    *out = rows;
    return DFAISS_OK;
}

dfaiss_status_t bench_sample(const dataset_t *dataset, int64_t n, uint64_t seed, float **values, dfaiss_error_t *err) {
    int64_t *rows = NULL;
    int64_t dim = dataset_dim(dataset);
    TRY(draw(dataset, n, seed, &rows, err));
    dfaiss_status_t status = make_space(n, dim, values, err);
    for (int64_t i = 0; status == DFAISS_OK && i < n; i++) {
        float *place = *values + i * dim;
        const float *found = dataset_rows_at(dataset, rows[i], 1, place);
        if (found != place)
            memcpy(place, found, (size_t)dim * sizeof *place);
    }
    free(rows);
    return status;
}

/* ---- dealing ---- */

enum { BATCH_BYTES = 4 << 20, BATCH_ROWS_MAX = 65536, BATCHES_A_SERVER = 8 };

bench_deal_t bench_deal(const dataset_t *dataset, int64_t shards) {
    int64_t rows = dataset_rows(dataset);
    int64_t each = BATCH_BYTES / (int64_t)dataset_row_bytes(dataset);
    int64_t even = rows / (shards * BATCHES_A_SERVER);
    each = each > BATCH_ROWS_MAX ? BATCH_ROWS_MAX : each;
    each = each > even ? even : each;
    return (bench_deal_t){.rows = rows, .shards = shards, .each = each < 1 ? 1 : each};
}

int64_t bench_deal_rows(const bench_deal_t *deal, int64_t shard) {
    int64_t turn = deal->each * deal->shards;
    int64_t rest = deal->rows % turn - shard * deal->each;
    rest = rest < 0 ? 0 : rest > deal->each ? deal->each : rest;
    return deal->rows / turn * deal->each + rest;
}

int64_t bench_deal_row(const bench_deal_t *deal, int64_t shard, int64_t row) {
    return (row / deal->each * deal->shards + shard) * deal->each + row % deal->each;
}

int bench_exit(const char *program, dfaiss_status_t status, const dfaiss_error_t *err) {
    if (status == DFAISS_OK && fflush(stdout) == 0)
        return 0;
    fprintf(stderr, "%s: %s\n", program, status == DFAISS_OK ? "cannot write to stdout" : err->text);
    return status == DFAISS_ERR_ARG ? 2 : 1;
}
