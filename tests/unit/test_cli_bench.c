/* What a benchmark is made of: percentiles out of the histogram of latencies, lists of values, and how runs are written for people, as CSV and for
 * gnuplot. */
#include "check.h"

#include <math.h>
#include <stdbool.h>

#include "cli/bench_latency.h"
#include "cli/bench_options.h"
#include "cli/bench_plot.h"
#include "cli/bench_table.h"

/* ---- latencies ---- */

static bench_latency_t latency;

static int clear_latency(void **state) {
    (void)state;
    memset(&latency, 0, sizeof latency);
    return 0;
}

static void percentiles_are_by_nearest_rank(void **state) {
    (void)state;
    assert_true(bench_latency_percentile(&latency, 0.5) == 0);
    for (int i = 100; i >= 1; i--)
        bench_latency_add(&latency, i);
    assert_int_equal(bench_latency_count(&latency), 100);
    assert_true(bench_latency_percentile(&latency, 0) == 1);
    assert_true(bench_latency_percentile(&latency, 0.50) == 50);
    assert_true(bench_latency_percentile(&latency, 0.95) == 95);
    assert_true(bench_latency_percentile(&latency, 0.99) == 99);
    assert_true(bench_latency_percentile(&latency, 0.991) == 100);
    assert_true(bench_latency_percentile(&latency, 1) == 100);
}

static void one_request_is_every_percentile(void **state) {
    (void)state;
    bench_latency_add(&latency, 77);
    assert_true(bench_latency_percentile(&latency, 0.5) == 77);
    assert_true(bench_latency_percentile(&latency, 0.99) == 77);
}

/* From a nanosecond to hours, at the edges of buckets and between them. */
static void long_times_are_off_by_a_fifth_of_a_per_cent_at_most(void **state) {
    (void)state;
    for (int64_t time = 1; time < (int64_t)1 << BENCH_LATENCY_BITS; time = time * 5 / 4 + 1)
        for (int64_t near = time > 1 ? time - 1 : 1; near <= time + 1; near++) {
            clear_latency(NULL);
            bench_latency_add(&latency, near);
            double told = bench_latency_percentile(&latency, 0.5);
            if (fabs(told - (double)near) > 0.002 * (double)near)
                fail_msg("%lld ns are told as %f", (long long)near, told);
        }
}

static void times_beyond_the_buckets_count_at_their_ends(void **state) {
    (void)state;
    bench_latency_add(&latency, -5);
    assert_true(bench_latency_percentile(&latency, 1) == 0);
    bench_latency_add(&latency, INT64_MAX);
    bench_latency_add(&latency, (int64_t)1 << BENCH_LATENCY_BITS);
    assert_int_equal(bench_latency_count(&latency), 3);
    assert_true(bench_latency_percentile(&latency, 1) > 0.99 * (double)((int64_t)1 << BENCH_LATENCY_BITS));
}

/* ---- lists ---- */

static void lists_keep_their_order(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    bench_list_t list;
    argument_t argument = {.option = "--batch", .value = "128,1,16"};
    assert_ok(bench_list_parse(&argument, 1, 1000, &list, &err), err);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.values[0], 128);
    assert_int_equal(list.values[1], 1);
    assert_int_equal(list.values[2], 16);
    assert_int_equal(bench_list_largest(&list), 128);
}

static void lists_are_whole_numbers_once_each(void **state) {
    (void)state;
    static const char *const wrong[] = {"", ",", "1,", ",1", "1,,2", "1;2", "1,x", "0", "1001", "1,1", "1.5", "99999999999999999999999999"};
    char many[BENCH_LIST_MOST * 4 + 8] = "1";
    for (size_t i = 0; i <= sizeof wrong / sizeof wrong[0]; i++) {
        dfaiss_error_t err = {0};
        bench_list_t list = {.count = 7};
        argument_t argument = {.option = "--batch", .value = i < sizeof wrong / sizeof wrong[0] ? wrong[i] : many};
        for (int number = 2; many == argument.value && number <= BENCH_LIST_MOST + 1; number++)
            snprintf(many + strlen(many), sizeof many - strlen(many), ",%d", number);
        assert_fails(bench_list_parse(&argument, 1, 1000, &list, &err), DFAISS_ERR_ARG, err, "whole numbers from 1 to 1000, separated by commas");
        assert_int_equal(list.count, 7);
    }
}

/* ---- what is written ---- */

static bench_options_t options;
static bench_result_t result;
static bench_run_t runs[8];
static char *written;

/* Two batches, two k of which the truth reaches one, two nprobe in falling order. */
static int make_result(void **state) {
    (void)state;
    options = (bench_options_t){.search = {.index = "it_s", .queries = "query.fbin"},
                                .batch = {2, {1, 100000}},
                                .k = {2, {10, 1000}},
                                .nprobe = {2, {64, 8}},
                                .clients = {1, {4}},
                                .threads = {1, {2}},
                                .seconds = 0.5,
                                .repeats = 3};
    for (int i = 0; i < 8; i++)
        runs[i] = (bench_run_t){.threads = 2,
                                .clients = 4,
                                .batch = options.batch.values[i / 4],
                                .k = options.k.values[i / 2 % 2],
                                .nprobe = options.nprobe.values[i % 2],
                                .requests = 600 + i,
                                .qps = 1234.5 * (i + 1),
                                .qps_least = 1000,
                                .qps_most = 20000,
                                .p50_us = 83.25,
                                .p95_us = 250,
                                .p99_us = 1234567.891,
                                .recall = i / 2 % 2 ? -1
                                          : i % 2   ? 0.75
                                                    : 0.9375};
    result = (bench_result_t){.servers = 3, .vectors = 1234567, .dim = 96, .queries = 1000, .truth_columns = 100, .count = 8, .runs = runs};
    result.config = json_pack("{s:s, s:s}", "faiss_factory", "IVF'64,Flat", "metric", "l2");
    return result.config ? 0 : -1;
}

static int drop_result(void **state) {
    (void)state;
    json_decref(result.config);
    free(written);
    written = NULL;
    return 0;
}

/* Prints into `written`. */
static FILE *begin_writing(void) {
    static size_t size;
    FILE *out = open_memstream(&written, &size);
    assert_non_null(out);
    return out;
}

static void csv_has_a_line_a_run(void **state) {
    (void)state;
    FILE *out = begin_writing();
    result.count = 3;
    bench_csv_print(out, &result);
    fclose(out);
    assert_string_equal(written, "servers,threads,clients,batch,k,nprobe,requests,qps,qps_least,qps_most,p50_us,p95_us,p99_us,recall\n"
                                 "3,2,4,1,10,64,600,1234.500,1000.000,20000.000,83.25,250.00,1234567.89,0.937500\n"
                                 "3,2,4,1,10,8,601,2469.000,1000.000,20000.000,83.25,250.00,1234567.89,0.750000\n"
                                 "3,2,4,1,1000,64,602,3703.500,1000.000,20000.000,83.25,250.00,1234567.89,\n");
}

static void table_fits_a_terminal(void **state) {
    (void)state;
    FILE *out = begin_writing();
    bench_table_print(out, &options, &result);
    fclose(out);
    assert_non_null(strstr(written, "it_s: IVF'64,Flat, l2, 1,234,567 x 96 on 3 servers\n"));
    assert_non_null(strstr(written, "\n      2       4      1   10     64     1,234    0.083    0.250 1234.568   0.9375\n"));
    assert_non_null(strstr(written, "\n      2       4 100000 1000      8     9,876    0.083    0.250 1234.568        -\n"));
    for (const char *line = written; *line; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, 80);
}

static void numbers_are_grouped(void **state) {
    (void)state;
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0, "0.00"}, {7.254, "7.25"}, {99.99, "99.99"}, {99.999, "100"}, {999.4, "999"}, {1000, "1,000"}, {123456789, "123,456,789"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        bench_number_text(cases[i].number, text);
        assert_string_equal(text, cases[i].text);
    }
}

static int occurrences(const char *part) {
    int count = 0;
    for (const char *at = written; (at = strstr(at, part)); at++)
        count++;
    return count;
}

/* Of the two k one has no recall, and so no panel. A curve runs from the smaller nprobe to the larger. */
static void pictures_show_what_has_a_recall(void **state) {
    (void)state;
    FILE *out = begin_writing();
    assert_true(bench_plot_possible(&result));
    bench_plot_print(out, &options, &result);
    fclose(out);
    assert_int_equal(occurrences("\nplot "), 1);
    assert_int_equal(occurrences("set multiplot"), 0);
    assert_non_null(strstr(written, "$curve_0_0 << EOD\n0.750000 2469.000\n0.937500 1234.500\nEOD\n"));
    assert_non_null(strstr(written, "$curve_0_1 << EOD\n0.750000 7407.000\n0.937500 6172.500\nEOD\n"));
    assert_non_null(strstr(written, "$nprobe_0 << EOD\n0.750000 7407.000 \"nprobe 8\"\n0.937500 6172.500 \"64\"\nEOD\n"));
    assert_non_null(strstr(written, "set title 'it_s: IVF''64,Flat, l2, 1,234,567 x 96 on 3 servers; 4 clients, 2 threads'\n"));
    assert_non_null(strstr(written, "title 'batch 100000'"));
    for (int i = 0; i < 8; i++)
        runs[i].recall = -1;
    assert_false(bench_plot_possible(&result));
}

static void pictures_have_a_panel_a_k(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++)
        runs[i].recall = 0.5;
    FILE *out = begin_writing();
    bench_plot_print(out, &options, &result);
    fclose(out);
    assert_int_equal(occurrences("\nplot "), 2);
    assert_int_equal(occurrences("set multiplot layout 1, 2 "), 1);
    assert_non_null(strstr(written, "set xlabel 'recall@1000'"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(percentiles_are_by_nearest_rank, clear_latency),
        cmocka_unit_test_setup(one_request_is_every_percentile, clear_latency),
        cmocka_unit_test_setup(long_times_are_off_by_a_fifth_of_a_per_cent_at_most, clear_latency),
        cmocka_unit_test_setup(times_beyond_the_buckets_count_at_their_ends, clear_latency),
        cmocka_unit_test(lists_keep_their_order),
        cmocka_unit_test(lists_are_whole_numbers_once_each),
        cmocka_unit_test_setup_teardown(csv_has_a_line_a_run, make_result, drop_result),
        cmocka_unit_test_setup_teardown(table_fits_a_terminal, make_result, drop_result),
        cmocka_unit_test(numbers_are_grouped),
        cmocka_unit_test_setup_teardown(pictures_show_what_has_a_recall, make_result, drop_result),
        cmocka_unit_test_setup_teardown(pictures_have_a_panel_a_k, make_result, drop_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
