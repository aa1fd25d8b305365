/* bench_checkpoint: saving and loading beside plain reading and writing of the same bytes, on every rank of a job at once.
 *
 * Each rank makes a part of an index in memory, then writes its file again and again, in turn with a file of as many bytes that write() fills, both
 * synced; then it gives the part up and loads it again and again, in turn with read() of the file into memory that was taken for it. Each measurement
 * begins together on all ranks, and takes as long as the slowest needs. Rank 0 prints a line of JSON a round. benchmarks/checkpoint.sh runs this.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpi.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "checkpoint/generation.h"

enum { PIECE = 8 << 20, BLOCK_ROWS = 16384, SAMPLE_ROWS = 20000 };

typedef struct options {
    const char *storage, *config;
    int64_t bytes; /* of a rank's file, about */
    int64_t rounds;
} options_t;

typedef struct bench {
    options_t options;
    int rank, ranks;
    char path[PATH_MAX], beside[PATH_MAX]; /* the rank's file, and that of plain writing */
    shard_content_t content;
    manifest_part_t part;
    manifest_file_t file;
    dfaiss_error_t error;
} bench_t;

/* What one measurement took on the slowest rank, and the memory of the greediest. */
typedef struct measured {
    double seconds;
    double cpu;   /* of all threads; says more where other programs use the machine */
    double extra; /* bytes above what there was before, at the most */
    double left;  /* and at its end */
} measured_t;

/* ---- measuring ---- */

/* The peak counts from now on. */
static void forget_peak(void) {
    int descriptor = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (descriptor >= 0 && write(descriptor, "5", 1) != 1)
        fprintf(stderr, "bench_checkpoint: the peak of memory cannot be reset: %s\n", strerror(errno));
    if (descriptor >= 0)
        close(descriptor);
}

typedef dfaiss_status_t action_t(bench_t *bench);

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double over_ranks(double value) {
    double largest = value;
    MPI_Allreduce(&value, &largest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return largest;
}

static dfaiss_status_t measure(bench_t *bench, action_t *action, measured_t *out) {
    memory_trim();
    forget_peak();
    double before = (double)memory_resident();
    MPI_Barrier(MPI_COMM_WORLD);
    double begun = clock_seconds(), cpu = cpu_seconds();
    dfaiss_status_t status = action(bench);
    cpu = cpu_seconds() - cpu;
    double seconds = clock_seconds() - begun, peak = (double)memory_resident_peak(), left = (double)memory_resident();
    *out =
        (measured_t){.seconds = over_ranks(seconds), .cpu = over_ranks(cpu), .extra = over_ranks(peak - before), .left = over_ranks(left - before)};
    return status;
}

/* ---- the index ---- */

static void make_vectors(const bench_t *bench, int64_t first, int64_t n, int64_t dim, float *to) {
    random_state_t random = random_stream(1, (uint64_t)bench->rank << 40 | (uint64_t)first);
    for (int64_t i = 0; i < n * dim; i++)
        to[i] = (float)random_below(&random, 1 << 16) / (1 << 16);
}

/* Of the same vectors on every rank. */
static dfaiss_status_t train(bench_t *bench, float *vectors, dfaiss_error_t *err) {
    shard_content_t *content = &bench->content;
    bench_t first = {.rank = 0};
    TRY(engine_template_create(content->config, 0, &content->template, err));
    make_vectors(&first, 0, SAMPLE_ROWS, content->config->dim, vectors);
    if (!engine_template_trained(content->template))
        TRY(engine_template_train(content->template, SAMPLE_ROWS, vectors, err));
    return engine_store_create(content->template, content->config->segment_rows, &content->store, err);
}

static dfaiss_status_t add(bench_t *bench, int64_t rows, float *vectors, dfaiss_error_t *err) {
    shard_content_t *content = &bench->content;
    for (int64_t row = 0; row < rows; row += BLOCK_ROWS) {
        engine_block_t *block = NULL;
        int64_t n = rows - row < BLOCK_ROWS ? rows - row : BLOCK_ROWS;
        make_vectors(bench, row, n, content->config->dim, vectors);
        TRY(engine_block_build(content->store, row, n, vectors, row + n == rows, &block, err));
        while (!engine_block_link(content->store, block, INT64_MAX))
            continue;
        engine_block_destroy(block);
    }
    content->rows = rows;
    content->batches = calloc(1, sizeof *content->batches);
    if (!content->batches)
        return error_memory(err, sizeof *content->batches, "a batch");
    content->batches[content->batch_count++] = (shard_batch_t){.n = rows, .first_id = rows * bench->rank};
    return DFAISS_OK;
}

static dfaiss_status_t build(bench_t *bench) {
    shard_content_t *content = &bench->content;
    dfaiss_error_t *err = &bench->error;
    *content = (shard_content_t){.index = "benchmark", .generation = 1, .server = bench->rank, .servers = bench->ranks};
    TRY(index_config_read(bench->options.config, &content->config, err));
    int64_t most = SAMPLE_ROWS > BLOCK_ROWS ? SAMPLE_ROWS : BLOCK_ROWS;
    float *vectors = malloc((size_t)(most * content->config->dim) * sizeof *vectors);
    if (!vectors)
        return error_memory(err, (size_t)(most * content->config->dim) * sizeof *vectors, "vectors");
    dfaiss_status_t status = train(bench, vectors, err);
    int64_t row_bytes = status == DFAISS_OK ? (int64_t)(engine_template_code_size(content->template) + engine_template_link_size(content->template)) +
                                                  (int64_t)sizeof(int64_t)
                                            : 1;
    if (status == DFAISS_OK)
        status = add(bench, bench->options.bytes / row_bytes + 1, vectors, err);
    free(vectors);
    return status;
}

/* ---- writing ---- */

static dfaiss_status_t save(bench_t *bench) {
    return shard_file_write(bench->path, &bench->content, &bench->error);
}

static dfaiss_status_t verify(bench_t *bench) {
    return file_checksum(bench->path, &bench->file.checksum, &bench->file.bytes, &bench->error);
}

static dfaiss_status_t write_pieces(bench_t *bench, int descriptor, const char *piece) {
    for (uint64_t at = 0; at < bench->file.bytes;) {
        size_t size = bench->file.bytes - at < PIECE ? (size_t)(bench->file.bytes - at) : PIECE;
        ssize_t put = write(descriptor, piece, size);
        if (put <= 0)
            return error_system(&bench->error, "write", bench->beside, errno);
        at += (uint64_t)put;
    }
    return fsync(descriptor) == 0 ? DFAISS_OK : error_system(&bench->error, "sync", bench->beside, errno);
}

static dfaiss_status_t write_plain(bench_t *bench) {
    char *piece = malloc(PIECE);
    if (!piece)
        return error_memory(&bench->error, PIECE, "a piece");
    memset(piece, 0x5a, PIECE);
    (void)unlink(bench->beside);
    int descriptor = open(bench->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    dfaiss_status_t status = descriptor >= 0 ? write_pieces(bench, descriptor, piece) : error_system(&bench->error, "create", bench->beside, errno);
    if (descriptor >= 0 && close(descriptor) != 0 && status == DFAISS_OK)
        status = error_system(&bench->error, "close", bench->beside, errno);
    free(piece);
    return status;
}

/* ---- reading ---- */

static dfaiss_status_t load(bench_t *bench) {
    return generation_read(bench->options.storage, "benchmark", 1, bench->rank, bench->ranks, &bench->part, &bench->content, &bench->error);
}

static dfaiss_status_t read_into(bench_t *bench, int descriptor, char *to) {
    for (uint64_t at = 0; at < bench->file.bytes;) {
        uint64_t left = bench->file.bytes - at;
        ssize_t got = read(descriptor, to + at, left < (1 << 30) ? (size_t)left : 1 << 30);
        if (got <= 0)
            return error_system(&bench->error, "read", bench->path, got < 0 ? errno : EIO);
        at += (uint64_t)got;
    }
    return DFAISS_OK;
}

static dfaiss_status_t read_plain(bench_t *bench) {
    char *memory = malloc(bench->file.bytes);
    int descriptor = open(bench->path, O_RDONLY | O_CLOEXEC);
    dfaiss_status_t status = DFAISS_OK;
    if (!memory)
        status = error_memory(&bench->error, bench->file.bytes, "a file");
    else if (descriptor < 0)
        status = error_system(&bench->error, "open", bench->path, errno);
    else
        status = read_into(bench, descriptor, memory);
    if (descriptor >= 0)
        close(descriptor);
    free(memory);
    return status;
}

/* ---- rounds ---- */

/* Which of two comes first changes from round to round. */
static dfaiss_status_t measure_both(bench_t *bench, int64_t round, action_t *one, measured_t *of_one, action_t *other, measured_t *of_other) {
    if (round % 2 == 0)
        TRY(measure(bench, one, of_one));
    TRY(measure(bench, other, of_other));
    return round % 2 == 0 ? DFAISS_OK : measure(bench, one, of_one);
}

static double all_bytes(const bench_t *bench) {
    double mine = (double)bench->file.bytes, sum = 0;
    MPI_Allreduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return sum;
}

static dfaiss_status_t measure_saves(bench_t *bench) {
    TRY(save(bench));
    TRY(verify(bench));
    for (int64_t round = 0; round < bench->options.rounds; round++) {
        measured_t saved, plain, verified;
        TRY(measure_both(bench, round, save, &saved, write_plain, &plain));
        TRY(measure(bench, verify, &verified));
        double bytes = all_bytes(bench);
        if (bench->rank == 0)
            printf("{\"what\": \"save\", \"bytes\": %.0f, \"seconds\": %.6f, \"plain_seconds\": %.6f, \"cpu\": %.6f, \"plain_cpu\": %.6f, "
                   "\"verify_seconds\": %.6f, \"extra_bytes\": %.0f}\n",
                   bytes, saved.seconds, plain.seconds, saved.cpu, plain.cpu, verified.seconds, saved.extra);
        fflush(stdout);
    }
    (void)unlink(bench->beside);
    return DFAISS_OK;
}

static dfaiss_status_t measure_loads(bench_t *bench) {
    shard_content_clear(&bench->content);
    for (int64_t round = -1; round < bench->options.rounds; round++) {
        measured_t loaded, plain;
        TRY(measure_both(bench, round + 1, read_plain, &plain, load, &loaded));
        shard_content_clear(&bench->content);
        double bytes = all_bytes(bench);
        if (bench->rank == 0 && round >= 0) /* the first is not counted */
            printf("{\"what\": \"load\", \"bytes\": %.0f, \"seconds\": %.6f, \"plain_seconds\": %.6f, \"cpu\": %.6f, \"plain_cpu\": %.6f, "
                   "\"extra_bytes\": %.0f, \"left_bytes\": %.0f}\n",
                   bytes, loaded.seconds, plain.seconds, loaded.cpu, plain.cpu, loaded.extra, loaded.left);
        fflush(stdout);
    }
    return DFAISS_OK;
}

static dfaiss_status_t run(bench_t *bench) {
    dfaiss_error_t *err = &bench->error;
    char folder[PATH_MAX];
    TRY(manifest_generation_path(bench->options.storage, "benchmark", 1, folder, sizeof folder, err));
    TRY(file_make_directories(folder, err));
    snprintf(bench->file.name, sizeof bench->file.name, "g000001/shard-%04d.h5", bench->rank);
    TRY(manifest_file_path(bench->options.storage, "benchmark", &bench->file, bench->path, sizeof bench->path, err));
    snprintf(folder, sizeof folder, "plain-%04d", bench->rank);
    TRY(file_join(bench->beside, sizeof bench->beside, bench->options.storage, folder, err));
    TRY(build(bench));
    bench->file.rows = bench->file.indexed = bench->file.held = bench->content.rows;
    bench->part = (manifest_part_t){.vectors = bench->content.rows, .file_count = 1, .files = &bench->file};
    TRY(measure_saves(bench));
    return measure_loads(bench);
}

static bool parse(int argc, char **argv, options_t *options) {
    static const struct option table[] = {{"storage", required_argument, NULL, 's'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"bytes", required_argument, NULL, 'b'},
                                          {"rounds", required_argument, NULL, 'r'},
                                          {0}};
    *options = (options_t){.bytes = 256 << 20, .rounds = 7};
    for (int found; (found = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (found == 's')
            options->storage = optarg;
        else if (found == 'c')
            options->config = optarg;
        else if (found == 'b')
            options->bytes = strtoll(optarg, NULL, 10);
        else if (found == 'r')
            options->rounds = strtoll(optarg, NULL, 10);
        else
            return false;
    }
    return optind == argc && options->storage && options->config && options->bytes > 0 && options->rounds > 0;
}

int main(int argc, char **argv) {
    bench_t bench = {0};
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &bench.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &bench.ranks);
    memory_return_freed();
    if (!parse(argc, argv, &bench.options)) {
        fprintf(stderr, "usage: --storage DIR --config FILE [--bytes N] [--rounds N]; benchmarks/checkpoint.sh runs this program\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    if (run(&bench) != DFAISS_OK) {
        fprintf(stderr, "bench_checkpoint: %s\n", bench.error.text);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    shard_content_clear(&bench.content);
    MPI_Finalize();
    return 0;
}
