#include "checkpoint/spread.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/share.h"

enum { TOLERANCE = 8 }; /* a server may get one part in so many more than its share, where units stay whole for it */

void spread_part_clear(spread_part_t *part) {
    free(part->living);
    free(part->units);
    *part = (spread_part_t){0};
}

void spread_clear(spread_t *plan) {
    free(plan->ranges);
    *plan = (spread_t){0};
}

int spread_verifier(int part, int parts, int servers) {
    return (int)share_of(servers, part, parts);
}

/* ---- counting rows that are there ---- */

/* Of the first `row` rows of a part. */
static int64_t living_before(const spread_part_t *part, int64_t row) {
    int64_t living = 0, begin = 0;
    if (!part->living)
        return row;
    for (int64_t block = 0; block < part->block_count && begin < row; block++, begin += part->block_rows) {
        int64_t rows = part->rows - begin < part->block_rows ? part->rows - begin : part->block_rows;
        living += row - begin >= rows ? part->living[block] : share_of(part->living[block], row - begin, rows);
    }
    return living;
}

static int64_t living_in(const spread_part_t *part, int64_t first, int64_t end) {
    return living_before(part, end) - living_before(part, first);
}

/* The first row from `first` on, at most `end`, before which there are `wanted` rows of first to end - 1. */
static int64_t row_with(const spread_part_t *part, int64_t first, int64_t end, int64_t wanted) {
    int64_t low = first, high = end, before = living_before(part, first);
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (living_before(part, middle) - before < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- ranges ---- */

static dfaiss_status_t add_range(spread_t *plan, const spread_range_t *range, dfaiss_error_t *err) {
    spread_range_t *last = plan->count ? &plan->ranges[plan->count - 1] : NULL;
    if (range->first == range->end)
        return DFAISS_OK;
    if (last && last->part == range->part && last->form == range->form && last->end == range->first) {
        last->end = range->end;
        return DFAISS_OK;
    }
    spread_range_t *grown = realloc(plan->ranges, (size_t)(plan->count + 1) * sizeof *grown);
    if (!grown)
        return error_memory(err, (size_t)(plan->count + 1) * sizeof *grown, "dividing an index");
    plan->ranges = grown;
    plan->ranges[plan->count++] = *range;
    return DFAISS_OK;
}

static int compare_ranges(const void *one, const void *other) {
    const spread_range_t *a = one, *b = other;
    if (a->form != b->form)
        return a->form < b->form ? -1 : 1;
    if (a->part != b->part)
        return a->part < b->part ? -1 : 1;
    return (a->first > b->first) - (a->first < b->first);
}

/* Puts ranges into order, and those that follow each other into one. */
static void order_ranges(spread_t *plan) {
    int64_t kept = 0;
    if (plan->count > 1)
        qsort(plan->ranges, (size_t)plan->count, sizeof *plan->ranges, compare_ranges);
    for (int64_t i = 0; i < plan->count; i++) {
        spread_range_t range = plan->ranges[i], *last = kept ? &plan->ranges[kept - 1] : NULL;
        if (last && last->part == range.part && last->form == range.form && last->end == range.first)
            last->end = range.end;
        else
            plan->ranges[kept++] = range;
    }
    plan->count = kept;
}

dfaiss_status_t spread_whole(int part, int64_t rows, int64_t indexed, spread_t *plan, dfaiss_error_t *err) {
    spread_t made = {.home = part};
    dfaiss_status_t status = add_range(&made, &(spread_range_t){part, SPREAD_INDEXED, 0, indexed}, err);
    if (status == DFAISS_OK)
        status = add_range(&made, &(spread_range_t){part, SPREAD_WAITING, indexed, rows}, err);
    if (status == DFAISS_OK)
        *plan = made;
    else
        spread_clear(&made);
    return status;
}

/* ---- dividing ---- */

/* Ranges that can be cut anywhere, one after the other, and how many of their rows are there. */
typedef struct pool {
    const spread_part_t *parts;
    spread_t ranges;
    int64_t living;
} pool_t;

static dfaiss_status_t pool_add(pool_t *pool, int part, spread_form_t form, int64_t first, int64_t end, dfaiss_error_t *err) {
    pool->living += living_in(&pool->parts[part], first, end);
    return add_range(&pool->ranges, &(spread_range_t){part, form, first, end}, err);
}

/* Deals a pool out: server m gets what lies between wanted[m - 1] and wanted[m] of its rows that are there, the last one the rest. */
static dfaiss_status_t pool_deal(const pool_t *pool, int servers, const int64_t *wanted, spread_t *plans, dfaiss_error_t *err) {
    int server = 0;
    int64_t dealt = 0;
    for (int64_t i = 0; i < pool->ranges.count; i++) {
        spread_range_t left = pool->ranges.ranges[i];
        const spread_part_t *part = &pool->parts[left.part];
        while (left.first < left.end) {
            spread_range_t taken = left;
            while (server < servers - 1 && dealt >= wanted[server])
                server++;
            if (server < servers - 1)
                taken.end = row_with(part, left.first, left.end, wanted[server] - dealt);
            TRY(add_range(&plans[server], &taken, err));
            dealt += living_in(part, taken.first, taken.end);
            left.first = taken.end;
        }
    }
    return DFAISS_OK;
}

/* Fills servers up to the same height, of which some are at `loads` already: wanted[m] is what the first m + 1 of them get of `total`. */
static void level(int servers, const int64_t *loads, int64_t total, int64_t *wanted) {
    int64_t all = total, room = 0;
    for (int m = 0; m < servers; m++)
        all += loads[m];
    for (int m = 0; m < servers; m++) {
        int64_t share = share_of(all, m + 1, servers) - share_of(all, m, servers);
        room += loads[m] < share ? share - loads[m] : 0;
        wanted[m] = room;
    }
    for (int m = 0; m < servers; m++)
        wanted[m] = room > 0 ? share_of(total, wanted[m], room) : total;
}

static dfaiss_status_t deal_evenly(const pool_t *pool, int servers, int64_t *loads, int64_t *wanted, spread_t *plans, dfaiss_error_t *err) {
    level(servers, loads, pool->living, wanted);
    TRY(pool_deal(pool, servers, wanted, plans, err));
    for (int m = 0; m < servers; m++)
        loads[m] += wanted[m] - (m > 0 ? wanted[m - 1] : 0);
    return DFAISS_OK;
}

/* ---- units ---- */

typedef struct unit {
    int part;
    int64_t first, end;
    int64_t living;
} unit_t;

static int compare_units(const void *one, const void *other) {
    const unit_t *a = one, *b = other;
    if (a->living != b->living)
        return a->living > b->living ? -1 : 1;
    if (a->part != b->part)
        return a->part < b->part ? -1 : 1;
    return (a->first > b->first) - (a->first < b->first);
}

/* The units of all parts, large ones first. Rows that were dropped between two units go with the one before. */
static dfaiss_status_t list_units(int count, const spread_part_t *parts, unit_t **out, int64_t *unit_count, dfaiss_error_t *err) {
    int64_t most = 0, made = 0;
    for (int p = 0; p < count; p++)
        most += parts[p].unit_count + 1;
    unit_t *units = calloc((size_t)most, sizeof *units);
    if (!units)
        return error_memory(err, (size_t)most * sizeof *units, "dividing an index");
    for (int p = 0; p < count; p++) {
        const spread_part_t *part = &parts[p];
        for (int64_t i = 0; part->indexed > 0 && (i == 0 || i < part->unit_count); i++) {
            int64_t first = i > 0 ? part->units[i] : 0, end = i + 1 < part->unit_count ? part->units[i + 1] : part->indexed;
            units[made++] = (unit_t){p, first, end, living_in(part, first, end)};
        }
    }
    qsort(units, (size_t)made, sizeof *units, compare_units);
    *out = units;
    *unit_count = made;
    return DFAISS_OK;
}

static int least_loaded(int servers, const int64_t *loads) {
    int least = 0;
    for (int m = 1; m < servers; m++)
        least = loads[m] < loads[least] ? m : least;
    return least;
}

/* Every unit goes to the server that has least; one that is too much for it is cut, where units can be. */
static dfaiss_status_t deal_units(int64_t count, const unit_t *units, int servers, bool can_cut, int64_t *loads, spread_t *plans, pool_t *cut,
                                  dfaiss_error_t *err) {
    int64_t total = 0;
    for (int64_t i = 0; i < count; i++)
        total += units[i].living;
    int64_t most = total / servers + total / servers / TOLERANCE + 1;
    for (int64_t i = 0; i < count; i++) {
        const unit_t *unit = &units[i];
        int m = least_loaded(servers, loads);
        if (can_cut && loads[m] + unit->living > most) {
            TRY(pool_add(cut, unit->part, SPREAD_DECODED, unit->first, unit->end, err));
            continue;
        }
        TRY(add_range(&plans[m], &(spread_range_t){unit->part, SPREAD_INDEXED, unit->first, unit->end}, err));
        loads[m] += unit->living;
    }
    return DFAISS_OK;
}

static dfaiss_status_t deal_index_units(bool can_cut, int count, const spread_part_t *parts, int servers, int64_t *loads, int64_t *wanted,
                                        spread_t *plans, dfaiss_error_t *err) {
    unit_t *units = NULL;
    int64_t unit_count = 0;
    pool_t cut = {.parts = parts};
    TRY(list_units(count, parts, &units, &unit_count, err));
    dfaiss_status_t status = deal_units(unit_count, units, servers, can_cut, loads, plans, &cut, err);
    order_ranges(&cut.ranges);
    if (status == DFAISS_OK)
        status = deal_evenly(&cut, servers, loads, wanted, plans, err);
    spread_clear(&cut.ranges);
    free(units);
    return status;
}

/* ---- the plan ---- */

static dfaiss_status_t deal_pool(spread_form_t form, int count, const spread_part_t *parts, int servers, int64_t *loads, int64_t *wanted,
                                 spread_t *plans, dfaiss_error_t *err) {
    pool_t pool = {.parts = parts};
    dfaiss_status_t status = DFAISS_OK;
    for (int p = 0; status == DFAISS_OK && p < count; p++) {
        const spread_part_t *part = &parts[p];
        bool waiting = form == SPREAD_WAITING;
        status = pool_add(&pool, p, form, waiting ? part->indexed : 0, waiting ? part->rows : part->indexed, err);
    }
    if (status == DFAISS_OK)
        status = deal_evenly(&pool, servers, loads, wanted, plans, err);
    spread_clear(&pool.ranges);
    return status;
}

static dfaiss_status_t deal_all(spread_rule_t rule, int count, const spread_part_t *parts, int servers, int64_t *loads, int64_t *wanted,
                                spread_t *plans, dfaiss_error_t *err) {
    if (rule == SPREAD_ANYWHERE)
        TRY(deal_pool(SPREAD_INDEXED, count, parts, servers, loads, wanted, plans, err));
    else
        TRY(deal_index_units(rule == SPREAD_GRAPHS, count, parts, servers, loads, wanted, plans, err));
    return deal_pool(SPREAD_WAITING, count, parts, servers, loads, wanted, plans, err);
}

dfaiss_status_t spread_plan(spread_rule_t rule, int count, const spread_part_t *parts, int servers, spread_t *plans, dfaiss_error_t *err) {
    int64_t *loads = calloc(2 * (size_t)servers, sizeof *loads);
    for (int m = 0; m < servers; m++)
        plans[m] = (spread_t){0};
    if (!loads)
        return error_memory(err, 2 * (size_t)servers * sizeof *loads, "dividing an index");
    dfaiss_status_t status = deal_all(rule, count, parts, servers, loads, loads + servers, plans, err);
    free(loads);
    for (int m = 0; m < servers; m++) {
        order_ranges(&plans[m]);
        plans[m].home = plans[m].count ? plans[m].ranges[0].part : m % count;
        if (status != DFAISS_OK)
            spread_clear(&plans[m]);
    }
    return status;
}
