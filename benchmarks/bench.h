/* What the benchmark programs share: options, the input, and how rows are dealt to shards.
 *
 * A program builds one index, prints a line of JSON on how that went, then obeys the commands it reads (measure.h) and prints a line of JSON for
 * each, so that programs which hold the same data can be measured in turn.
 */
#ifndef BENCHMARKS_BENCH_H
#define BENCHMARKS_BENCH_H

#include <stdint.h>

#include "base/error.h"
#include "dataset/dataset.h"

enum { BENCH_ADD_ROWS = 50000 }; /* handed to an index in one piece: the default of buffer_bsz */

typedef struct bench_options {
    const char *data, *queries, *truth; /* vector files, and the true neighbours */
    const char *commands;               /* a file or FIFO; NULL: stdin */
    const char *factory;                /* plain faiss: what index_factory takes */
    const char *config, *storage;       /* dfaiss: configuration file, folder of checkpoints */
    int64_t shards;                     /* lockstep: how many, each with a thread of its own; dfaiss: as many as servers */
    int64_t threads;                    /* OpenMP threads of an undivided index, or of each shard */
    int64_t k;
    int64_t effort;       /* nprobe, or efSearch; 0: none */
    int64_t construction; /* efConstruction; 0: faiss's default */
    int64_t sample;       /* rows to train on; 0: the kind is not trained */
    uint64_t seed;        /* of the sample */
} bench_options_t;

/* Defaults, then the command line. ERR_ARG. */
CHECKED dfaiss_status_t bench_options_parse(int argc, char **argv, bench_options_t *options, dfaiss_error_t *err);

/* A file of fp32 vectors. */
CHECKED dfaiss_status_t bench_open(const char *path, dataset_t **out, dfaiss_error_t *err);

/* A float matrix of all rows of a file, or of a random sample: *values is malloc'ed and the caller's. */
CHECKED dfaiss_status_t bench_read_all(const char *path, float **values, int64_t *rows, int64_t *dim, dfaiss_error_t *err);
CHECKED dfaiss_status_t bench_sample(const dataset_t *dataset, int64_t n, uint64_t seed, float **values, dfaiss_error_t *err);

/* How `dfaiss build` deals rows to servers: in batches of `each` rows, in turn. bench_dfaiss checks that this still holds. */
typedef struct bench_deal {
    int64_t rows;
    int64_t shards;
    int64_t each;
} bench_deal_t;

bench_deal_t bench_deal(const dataset_t *dataset, int64_t shards);
/* Rows of one shard, and the row of the file that is row `row` of the shard. */
int64_t bench_deal_rows(const bench_deal_t *deal, int64_t shard);
int64_t bench_deal_row(const bench_deal_t *deal, int64_t shard, int64_t row);

/* The exit code of a program: prints the error of one that failed. */
int bench_exit(const char *program, dfaiss_status_t status, const dfaiss_error_t *err);

#endif
