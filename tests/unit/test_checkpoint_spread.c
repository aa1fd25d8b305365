/* Dividing a generation between another number of servers: every row goes to one of them, no server gets much more than another, and graphs stay
 * whole where they can. */
#include "check.h"

#include <stdbool.h>

#include "checkpoint/spread.h"

enum { SERVERS = 9, PARTS = 9, UNITS = 8, BLOCK = 64, ROWS = 5000 };

static dfaiss_error_t err;
static spread_t plans[SERVERS];
static spread_part_t parts[PARTS];

static void clear(int servers, int count) {
    for (int m = 0; m < servers; m++)
        spread_clear(&plans[m]);
    for (int p = 0; p < count; p++)
        spread_part_clear(&parts[p]);
}

static void give_units(spread_part_t *part, int64_t count) {
    part->unit_count = count;
    part->units = calloc((size_t)count, sizeof *part->units);
    assert_non_null(part->units);
    for (int64_t i = 0; i < count; i++)
        part->units[i] = part->indexed * i / count;
}

/* In every block as many rows are left as `left` says for it. */
static void remove_rows(spread_part_t *part, int64_t (*left)(int64_t block, int64_t rows)) {
    part->block_rows = BLOCK;
    part->block_count = (part->rows + BLOCK - 1) / BLOCK;
    part->living = calloc((size_t)part->block_count + 1, sizeof *part->living);
    assert_non_null(part->living);
    for (int64_t i = 0; i < part->block_count; i++)
        part->living[i] = left(i, part->rows - i * BLOCK < BLOCK ? part->rows - i * BLOCK : BLOCK);
}

static int64_t none_of_first_half(int64_t block, int64_t rows) {
    return block * BLOCK < ROWS / 2 ? 0 : rows;
}

/* Rows of a range that are there: whole blocks count, others as they are cut. */
static double living_of(const spread_range_t *range) {
    const spread_part_t *part = &parts[range->part];
    double living = 0;
    if (!part->living)
        return (double)(range->end - range->first);
    for (int64_t i = 0; i < part->block_count; i++) {
        int64_t begin = i * BLOCK, end = begin + BLOCK < part->rows ? begin + BLOCK : part->rows;
        int64_t from = range->first > begin ? range->first : begin, to = range->end < end ? range->end : end;
        if (from < to)
            living += (double)part->living[i] * (double)(to - from) / (double)(end - begin);
    }
    return living;
}

static double load_of(int server, int form) {
    double load = 0;
    for (int64_t i = 0; i < plans[server].count; i++)
        if (form < 0 || (int)plans[server].ranges[i].form == form)
            load += living_of(&plans[server].ranges[i]);
    return load;
}

static void expect_balanced(int servers, int form, double tolerance) {
    double total = 0;
    for (int m = 0; m < servers; m++)
        total += load_of(m, form);
    for (int m = 0; m < servers; m++)
        if (load_of(m, form) > total / servers * tolerance + 2 * BLOCK || load_of(m, form) < total / servers / tolerance - 2 * BLOCK)
            fail_msg("server %d of %d has %g rows of %g", m, servers, load_of(m, form), total);
}

/* Every row is in one range, with its form; forms and rows of a part stand in order. */
static void expect_complete(int servers, int count) {
    static uint8_t seen[PARTS][ROWS];
    memset(seen, 0, sizeof seen);
    for (int m = 0; m < servers; m++) {
        const spread_t *plan = &plans[m];
        assert_in_range(plan->home, 0, count - 1);
        for (int64_t i = 0; i < plan->count; i++) {
            const spread_range_t *range = &plan->ranges[i];
            assert_true(i == 0 || range->form >= plan->ranges[i - 1].form);
            assert_true(range->first < range->end);
            for (int64_t row = range->first; row < range->end; row++) {
                assert_int_equal(seen[range->part][row]++, 0);
                assert_int_equal(range->form == SPREAD_WAITING, row >= parts[range->part].indexed);
            }
        }
    }
    for (int p = 0; p < count; p++)
        for (int64_t row = 0; row < parts[p].rows; row++)
            assert_int_equal(seen[p][row], 1);
}

static const int numbers[] = {1, 2, 3, 4, 7, 8, 9};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static void test_divides_anywhere(void **state) {
    (void)state;
    for (int i = 0; i < NUMBERS * NUMBERS; i++) {
        int count = numbers[i / NUMBERS], servers = numbers[i % NUMBERS];
        for (int p = 0; p < count; p++) {
            parts[p] = (spread_part_t){.rows = ROWS - 300 * p, .indexed = ROWS - 300 * p - (p % 2) * 900};
            if (p % 3 == 1)
                remove_rows(&parts[p], none_of_first_half);
        }
        assert_ok(spread_plan(SPREAD_ANYWHERE, count, parts, servers, plans, &err), err);
        expect_complete(servers, count);
        expect_balanced(servers, SPREAD_INDEXED, 1.01);
        expect_balanced(servers, SPREAD_WAITING, 1.01);
        clear(servers, count);
    }
}

static void test_whole_parts_stay_whole(void **state) {
    (void)state;
    for (int p = 0; p < 8; p++)
        parts[p] = (spread_part_t){.rows = 1000, .indexed = 1000};
    assert_ok(spread_plan(SPREAD_ANYWHERE, 8, parts, 4, plans, &err), err);
    for (int m = 0; m < 4; m++) {
        assert_int_equal(plans[m].count, 2);
        assert_int_equal(plans[m].home, 2 * m);
        assert_int_equal(plans[m].ranges[1].end - plans[m].ranges[1].first, 1000);
    }
    clear(4, 8);
}

static int64_t count_form(int servers, spread_form_t form) {
    int64_t rows = 0;
    for (int m = 0; m < servers; m++)
        for (int64_t i = 0; i < plans[m].count; i++)
            rows += plans[m].ranges[i].form == form ? plans[m].ranges[i].end - plans[m].ranges[i].first : 0;
    return rows;
}

static void plan_graphs(spread_rule_t rule, int count, int servers, int64_t units) {
    for (int p = 0; p < count; p++) {
        parts[p] = (spread_part_t){.rows = 1200 + p, .indexed = 1000 + p};
        give_units(&parts[p], units);
    }
    assert_ok(spread_plan(rule, count, parts, servers, plans, &err), err);
    expect_complete(servers, count);
}

static void test_graphs_stay_whole_where_they_divide_well(void **state) {
    static const struct {
        int parts, servers;
        int64_t units, cut; /* rows, about */
    } cases[] = {{4, 2, 1, 0},    {8, 4, 1, 0},    {8, 1, 1, 0},    {2, 4, 2, 0},    {1, 8, 8, 0},   {3, 3, 1, 0},
                 {4, 3, 1, 1000}, {8, 7, 1, 1000}, {3, 4, 1, 3000}, {1, 2, 1, 1000}, {1, 7, 8, 125}, {7, 8, 8, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plan_graphs(SPREAD_GRAPHS, cases[i].parts, cases[i].servers, cases[i].units);
        int64_t cut = count_form(cases[i].servers, SPREAD_DECODED);
        if (cut < cases[i].cut - 20 || cut > cases[i].cut + 20)
            fail_msg("case %zu: %lld rows were cut", i, (long long)cut);
        expect_balanced(cases[i].servers, -1, 1.13);
        clear(cases[i].servers, cases[i].parts);
    }
}

static void test_blobs_are_never_cut(void **state) {
    (void)state;
    for (int i = 0; i < NUMBERS * NUMBERS; i++) {
        int count = numbers[i / NUMBERS], servers = numbers[i % NUMBERS];
        plan_graphs(SPREAD_BLOBS, count, servers, 1 + i % UNITS);
        assert_int_equal(count_form(servers, SPREAD_DECODED), 0);
        for (int m = 0; m < servers; m++) {
            for (int64_t j = 0; j < plans[m].count; j++) {
                const spread_range_t *range = &plans[m].ranges[j];
                const spread_part_t *part = &parts[range->part];
                bool begins = range->form == SPREAD_WAITING;
                for (int64_t u = 0; u < part->unit_count; u++)
                    begins = begins || range->first == part->units[u];
                assert_true(begins);
            }
        }
        clear(servers, count);
    }
}

/* Nothing indexed, nothing at all, parts that are empty, units that are all gone. */
static void test_odd_parts(void **state) {
    (void)state;
    parts[0] = (spread_part_t){.rows = 0};
    parts[1] = (spread_part_t){.rows = 10};
    parts[2] = (spread_part_t){.rows = 100, .indexed = 100};
    for (int rule = 0; rule < SPREAD_RULES; rule++) {
        for (int servers = 1; servers <= SERVERS; servers++) {
            assert_ok(spread_plan((spread_rule_t)rule, 3, parts, servers, plans, &err), err);
            expect_complete(servers, 3);
            clear(servers, 0);
            assert_ok(spread_plan((spread_rule_t)rule, 1, parts, servers, plans, &err), err);
            assert_int_equal(plans[servers - 1].count, 0);
            assert_int_equal(plans[servers - 1].home, 0);
            clear(servers, 0);
        }
    }
    clear(0, 3);
}

static void test_whole(void **state) {
    (void)state;
    assert_ok(spread_whole(5, 30, 20, &plans[0], &err), err);
    assert_int_equal(plans[0].home, 5);
    assert_int_equal(plans[0].count, 2);
    assert_int_equal(plans[0].ranges[1].first, 20);
    assert_int_equal(plans[0].ranges[1].end, 30);
    clear(1, 0);
    assert_ok(spread_whole(0, 0, 0, &plans[0], &err), err);
    assert_int_equal(plans[0].count, 0);
}

/* Every file is looked at once, by its own server where there are as many. */
static void test_verifiers(void **state) {
    (void)state;
    for (int i = 0; i < NUMBERS * NUMBERS; i++) {
        int count = numbers[i / NUMBERS], servers = numbers[i % NUMBERS];
        for (int p = 0; p < count; p++) {
            int server = spread_verifier(p, count, servers);
            assert_in_range(server, 0, servers - 1);
            if (count == servers)
                assert_int_equal(server, p);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divides_anywhere),
        cmocka_unit_test(test_whole_parts_stay_whole),
        cmocka_unit_test(test_graphs_stay_whole_where_they_divide_well),
        cmocka_unit_test(test_blobs_are_never_cut),
        cmocka_unit_test(test_odd_parts),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_verifiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
