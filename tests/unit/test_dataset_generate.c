/* Generated data sets: the same bytes for any number of threads, and neighbours that a plain comparison of all pairs finds too. */
#include "check.h"

#include <math.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/file.h"
#include "dataset/dataset.h"
#include "dataset/generate.h"
#include "dataset/id_file.h"

typedef struct fixture {
    char folder[256];
    dfaiss_error_t error;
} fixture_t;

static int set_up(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    check_make_folder(fixture->folder, sizeof fixture->folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    fixture_t *fixture = *state;
    assert_ok(file_remove_tree(fixture->folder, &fixture->error), fixture->error);
    free(fixture);
    return 0;
}

static generate_options_t small_options(const char *directory) {
    return (generate_options_t){.directory = directory,
                                .rows = 1500,
                                .dim = 12,
                                .queries = 20,
                                .element = ELEMENT_f32,
                                .seed = 11,
                                .k = 10,
                                .metric = CONFIG_METRIC_l2,
                                .threads = 2};
}

/* Vectors of a file as fp32, normalised for cosine: float[rows][dim], malloc'ed. */
typedef struct vectors {
    int64_t rows;
    int64_t dim;
    float *values;
} vectors_t;

static vectors_t read_vectors(fixture_t *fixture, const char *directory, const char *name, config_metric_t metric) {
    char path[512];
    dataset_t *dataset = NULL;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    const char *paths[] = {path};
    assert_ok(dataset_open(paths, 1, NULL, &dataset, &fixture->error), fixture->error);
    vectors_t vectors = {.rows = dataset_rows(dataset), .dim = dataset_dim(dataset)};
    size_t count = (size_t)(vectors.rows * vectors.dim);
    vectors.values = malloc(count * sizeof *vectors.values);
    assert_non_null(vectors.values);
    element_widen(dataset_element(dataset), dataset_rows_at(dataset, 0, vectors.rows, NULL), count, vectors.values);
    if (metric == CONFIG_METRIC_cosine)
        element_normalize(vectors.values, vectors.rows, vectors.dim);
    dataset_close(dataset);
    return vectors;
}

typedef struct neighbour {
    double score; /* smaller is nearer */
    int64_t id;
} neighbour_t;

static int compare_neighbours(const void *a, const void *b) {
    const neighbour_t *left = a, *right = b;
    if (left->score != right->score)
        return left->score < right->score ? -1 : 1;
    return (left->id > right->id) - (left->id < right->id);
}

static double score(config_metric_t metric, const float *x, const float *y, int64_t dim) {
    double sum = 0;
    for (int64_t i = 0; i < dim; i++) {
        double a = x[i], b = y[i];
        sum += metric == CONFIG_METRIC_l2 ? (a - b) * (a - b) : -a * b;
    }
    return sum;
}

/* The ids of one query are those that comparing with every vector gives. Where sums are rounded (`exact` is false), others of the same score may
 * stand in their place. */
static void check_query(config_metric_t metric, const vectors_t *base, const float *query, int64_t k, const int64_t *ids, bool exact) {
    neighbour_t *all = malloc((size_t)base->rows * sizeof *all);
    assert_non_null(all);
    for (int64_t row = 0; row < base->rows; row++)
        all[row] = (neighbour_t){.score = score(metric, query, base->values + row * base->dim, base->dim), .id = row};
    qsort(all, (size_t)base->rows, sizeof *all, compare_neighbours);
    for (int64_t i = 0; i < k; i++) {
        if (i >= base->rows) {
            assert_int_equal(ids[i], -1);
            continue;
        }
        assert_in_range(ids[i], 0, base->rows - 1);
        for (int64_t j = 0; j < i; j++)
            assert_int_not_equal(ids[i], ids[j]);
        if (exact)
            assert_int_equal(ids[i], all[i].id);
        double found = score(metric, query, base->values + ids[i] * base->dim, base->dim);
        assert_true(fabs(found - all[i].score) <= 1e-5 * fabs(all[i].score));
    }
    free(all);
}

static void check_truth(fixture_t *fixture, const generate_options_t *options) {
    char name[64], path[512];
    id_matrix_t truth;
    bool integers = options->element == ELEMENT_u8 || options->element == ELEMENT_i8;
    const char *ending = options->element == ELEMENT_f32 ? "f" : element_name(options->element);
    snprintf(name, sizeof name, "base.%sbin", ending);
    vectors_t base = read_vectors(fixture, options->directory, name, options->metric);
    snprintf(name, sizeof name, "query.%sbin", ending);
    vectors_t queries = read_vectors(fixture, options->directory, name, options->metric);
    snprintf(path, sizeof path, "%s/groundtruth.ibin", options->directory);
    assert_ok(id_matrix_read(path, &truth, &fixture->error), fixture->error);
    assert_int_equal(base.rows, options->rows);
    assert_int_equal(base.dim, options->dim);
    assert_int_equal(queries.rows, options->queries);
    assert_int_equal(queries.dim, options->dim);
    assert_int_equal(truth.rows, options->queries);
    assert_int_equal(truth.columns, options->k);
    for (int64_t query = 0; query < queries.rows; query++)
        check_query(options->metric, &base, queries.values + query * queries.dim, options->k, truth.values + query * options->k,
                    integers && options->metric != CONFIG_METRIC_cosine);
    id_matrix_destroy(&truth);
    free(base.values);
    free(queries.values);
}

static void truth_is_exact(void **state) {
    fixture_t *fixture = *state;
    for (int element = 0; element < ELEMENT_COUNT; element++) {
        for (config_metric_t metric = CONFIG_METRIC_dot; metric <= CONFIG_METRIC_cosine; metric++) {
            generate_options_t options = small_options(fixture->folder);
            options.element = (element_t)element;
            options.metric = metric;
            assert_ok(dataset_generate(&options, NULL, NULL, &fixture->error), fixture->error);
            check_truth(fixture, &options);
        }
    }
}

/* Rows so wide that several blocks are needed. */
static void blocks_join(void **state) {
    fixture_t *fixture = *state;
    generate_options_t options = small_options(fixture->folder);
    options.dim = 4096;
    options.queries = 3;
    options.rows = 2100;
    options.element = ELEMENT_i8;
    assert_ok(dataset_generate(&options, NULL, NULL, &fixture->error), fixture->error);
    check_truth(fixture, &options);
}

/* Few values in one dimension: most neighbours are tied, and stand by id. */
static void ties_stand_by_id(void **state) {
    fixture_t *fixture = *state;
    generate_options_t options = small_options(fixture->folder);
    options.dim = 1;
    options.element = ELEMENT_i8;
    assert_ok(dataset_generate(&options, NULL, NULL, &fixture->error), fixture->error);
    check_truth(fixture, &options);
}

static void missing_neighbours_are_padded(void **state) {
    fixture_t *fixture = *state;
    generate_options_t options = small_options(fixture->folder);
    options.rows = 3;
    assert_ok(dataset_generate(&options, NULL, NULL, &fixture->error), fixture->error);
    check_truth(fixture, &options);
}

static uint64_t checksum_in(fixture_t *fixture, const char *directory, const char *name) {
    char path[512];
    uint64_t checksum = 0, bytes = 0;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_ok(file_checksum(path, &checksum, &bytes, &fixture->error), fixture->error);
    return checksum;
}

static void bytes_depend_on_the_seed_alone(void **state) {
    fixture_t *fixture = *state;
    static const char *const names[] = {"base.fbin", "query.fbin", "groundtruth.ibin"};
    uint64_t checksums[3][3];
    for (int run = 0; run < 3; run++) {
        char directory[300];
        snprintf(directory, sizeof directory, "%s/run/%d", fixture->folder, run);
        generate_options_t options = small_options(directory);
        options.threads = run == 1 ? 3 : 1;
        options.seed = run == 2 ? 12 : 11;
        assert_ok(dataset_generate(&options, NULL, NULL, &fixture->error), fixture->error);
        for (int name = 0; name < 3; name++)
            checksums[run][name] = checksum_in(fixture, directory, names[name]);
    }
    for (int name = 0; name < 3; name++) {
        assert_true(checksums[0][name] == checksums[1][name]);
        assert_true(checksums[0][name] != checksums[2][name]);
    }
}

/* The bytes of a release: whoever compares results over machines and versions relies on them. */
static void bytes_stay_what_they_were(void **state) {
    fixture_t *fixture = *state;
    generate_options_t options = small_options(fixture->folder);
    assert_ok(dataset_generate(&options, NULL, NULL, &fixture->error), fixture->error);
    assert_true(checksum_in(fixture, fixture->folder, "base.fbin") == UINT64_C(0x71287cd2545e3bb6));
    assert_true(checksum_in(fixture, fixture->folder, "query.fbin") == UINT64_C(0xaedf8c67a4a5b0d7));
}

/* Components use the range of their type without running into its ends, and differ from row to row. */
static void values_fill_their_range(void **state) {
    fixture_t *fixture = *state;
    generate_options_t options = small_options(fixture->folder);
    options.dim = 64;
    options.element = ELEMENT_u8;
    assert_ok(dataset_generate(&options, NULL, NULL, &fixture->error), fixture->error);
    vectors_t base = read_vectors(fixture, fixture->folder, "base.u8bin", CONFIG_METRIC_l2);
    double count = (double)(base.rows * base.dim), sum = 0, squares = 0, at_end = 0;
    for (int64_t i = 0; i < base.rows * base.dim; i++) {
        double value = base.values[i];
        sum += value;
        squares += value * value;
        at_end += value == 0 || value == 255;
    }
    double mean = sum / count, deviation = sqrt(squares / count - mean * mean);
    assert_true(mean > 118 && mean < 138);
    assert_true(deviation > 25 && deviation < 50);
    assert_true(at_end / count < 0.01);
    free(base.values);
}

typedef struct progress {
    int calls;
    double last;
} progress_t;

static void note_progress(void *context, const char *step, double fraction) {
    progress_t *progress = context;
    assert_non_null(step);
    assert_true(fraction > 0 && fraction <= 1);
    progress->calls++;
    progress->last = fraction;
}

static void progress_ends_at_one(void **state) {
    fixture_t *fixture = *state;
    progress_t progress = {0};
    generate_options_t options = small_options(fixture->folder);
    assert_ok(dataset_generate(&options, note_progress, &progress, &fixture->error), fixture->error);
    assert_true(progress.calls >= 2);
    assert_true(progress.last == 1);
}

static void check_refused(fixture_t *fixture, generate_options_t options, const char *part) {
    assert_fails(dataset_generate(&options, NULL, NULL, &fixture->error), DFAISS_ERR_ARG, fixture->error, part);
}

static void options_out_of_range_are_refused(void **state) {
    fixture_t *fixture = *state;
    const generate_options_t good = small_options(fixture->folder);
    generate_options_t options = good;
    options.rows = 0;
    check_refused(fixture, options, "rows is 0; 1 to 2147483647 is accepted");
    options = good;
    options.dim = 65537;
    check_refused(fixture, options, "dim is 65537; 1 to 65536");
    options = good;
    options.queries = 0;
    check_refused(fixture, options, "queries is 0");
    options = good;
    options.clusters = -1;
    check_refused(fixture, options, "clusters is -1");
    options = good;
    options.k = 0;
    check_refused(fixture, options, "k is 0");
    options = good;
    options.threads = 0;
    check_refused(fixture, options, "threads is 0");
    options = good;
    options.element = ELEMENT_COUNT;
    check_refused(fixture, options, "f32, f16, u8, i8");
}

static bool exists_in(const fixture_t *fixture, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    return file_exists(path);
}

/* A folder stands where the ground truth should: nothing is left under the final names, nor beside them. */
static void failure_leaves_no_file(void **state) {
    fixture_t *fixture = *state;
    char path[512];
    generate_options_t options = small_options(fixture->folder);
    snprintf(path, sizeof path, "%s/groundtruth.ibin", fixture->folder);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_fails(dataset_generate(&options, NULL, NULL, &fixture->error), DFAISS_ERR_IO, fixture->error, "groundtruth.ibin");
    static const char *const names[] = {"base.fbin", "base.fbin.new", "query.fbin", "query.fbin.new", "groundtruth.ibin.new"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(exists_in(fixture, names[i]));

    snprintf(path, sizeof path, "%s/groundtruth.ibin/file", fixture->folder);
    options.directory = path;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_fails(dataset_generate(&options, NULL, NULL, &fixture->error), DFAISS_ERR_IO, fixture->error, "groundtruth.ibin/file");
}

#define FILES_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILES_TEST(truth_is_exact),
        FILES_TEST(blocks_join),
        FILES_TEST(ties_stand_by_id),
        FILES_TEST(missing_neighbours_are_padded),
        FILES_TEST(bytes_depend_on_the_seed_alone),
        FILES_TEST(bytes_stay_what_they_were),
        FILES_TEST(values_fill_their_range),
        FILES_TEST(progress_ends_at_one),
        FILES_TEST(options_out_of_range_are_refused),
        FILES_TEST(failure_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
