#include "engine/scan.h"

#include <string.h>

enum {
    STEP_BYTES = 1 << 19, /* of codes scanned in one step */
    LEAST_STEP = 256,
    MOST_STEP = 16384,
    LONG_RUN = 32,         /* codes that are scanned where they lie, rather than copied */
    SIFTED_BYTES = 1 << 17 /* of copied codes, which are still in the cache when they are scanned */
};

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

static int64_t code_size(const engine_search_t *search) {
    return (int64_t)search->template->layout.code_size;
}

static int64_t sifted_codes(const engine_search_t *search) {
    return clamp(SIFTED_BYTES / code_size(search), 2 * LONG_RUN, MOST_STEP);
}

int64_t scan_step_codes(const engine_search_t *search) {
    return clamp(STEP_BYTES / code_size(search), LEAST_STEP, MOST_STEP);
}

dfaiss_status_t scan_need(engine_search_t *search, dfaiss_error_t *err) {
    size_t codes = (size_t)sifted_codes(search);
    for (int i = 0; search->filter.blocks && i < team_threads(search->team); i++) {
        TRY(scratch_need(&search->threads[i].sifted_codes, codes, (size_t)code_size(search), err));
        TRY(scratch_need(&search->threads[i].sifted_rows, codes, sizeof(int64_t), err));
    }
    return DFAISS_OK;
}

static int64_t row_of(const stored_run_t *run, int64_t i) {
    return run->rows ? run->rows[i] : run->first + i;
}

static void skip_codes(stored_run_t *run, int64_t codes, int64_t bytes_each) {
    run->codes += codes * bytes_each;
    run->first += codes;
    run->rows = run->rows ? run->rows + codes : NULL;
    run->count -= codes;
}

int64_t scan_count_others(const row_filter_t *filter, const stored_run_t *run) {
    if (!run->rows)
        return row_next(filter, run->first, run->first + run->count) - run->first;
    int64_t count = 0;
    while (count < run->count && !row_passes(filter, run->rows[count]))
        count++;
    return count;
}

static int64_t count_passing(const row_filter_t *filter, const stored_run_t *run) {
    int64_t count = 0;
    while (count < run->count && row_passes(filter, row_of(run, count)))
        count++;
    return count;
}

static void copy_codes(search_thread_t *own, const stored_run_t *from, int64_t count, int64_t at, int64_t bytes_each) {
    memcpy((uint8_t *)own->sifted_codes.data + at * bytes_each, from->codes, (size_t)(count * bytes_each));
    for (int64_t i = 0; i < count; i++)
        ((int64_t *)own->sifted_rows.data)[at + i] = row_of(from, i);
}

bool scan_next(const engine_search_t *search, search_thread_t *own, stored_run_t *left, stored_run_t *found) {
    const row_filter_t *filter = &search->filter;
    int64_t bytes_each = code_size(search), most = sifted_codes(search), copied = 0;
    if (!filter->blocks) {
        *found = *left;
        left->count = 0;
        return found->count > 0;
    }
    for (;;) {
        skip_codes(left, scan_count_others(filter, left), bytes_each);
        int64_t passing = count_passing(filter, left);
        if (copied == 0 && passing >= LONG_RUN) {
            *found = (stored_run_t){.codes = left->codes, .rows = left->rows, .first = left->first, .count = passing};
            skip_codes(left, passing, bytes_each);
            return true;
        }
        if (passing == 0 || passing >= LONG_RUN || copied + passing > most)
            break;
        copy_codes(own, left, passing, copied, bytes_each);
        copied += passing;
        skip_codes(left, passing, bytes_each);
    }
    *found = (stored_run_t){.codes = own->sifted_codes.data, .rows = own->sifted_rows.data, .count = copied};
    return copied > 0;
}

int scan_run(engine_search_t *search, const lane_t *lane, search_thread_t *own, const stored_run_t *run) {
    return shim_scanner_scan(own->scanner, run->count, run->codes, run->rows, run->first, search_slot_scores(search, lane->share, lane->query),
                             search_slot_rows(search, lane->share, lane->query), search->k);
}

/* ---- all codes of a store ---- */

/* A lane is one query and a share of the codes. */
static dfaiss_status_t scan_codes(void *context, lane_t *lane, int thread, dfaiss_error_t *err) {
    engine_search_t *search = context;
    search_thread_t *own = &search->threads[thread];
    int64_t step = scan_step_codes(search), wanted = lane->end - lane->position;
    search_start_lane(search, lane);
    if (wanted > 0) {
        stored_run_t left = search->class->codes_at(search->store, lane->position, wanted < step ? wanted : step), run;
        lane->position += left.count;
        TRY(search_enter_lane(search, lane, thread, err));
        while (scan_next(search, own, &left, &run)) {
            int code = scan_run(search, lane, own, &run);
            if (code != SHIM_OK)
                return engine_failure(code, DFAISS_ERR_FAISS, "searching", err);
        }
    }
    lane->scanned = lane->position == lane->end;
    return DFAISS_OK;
}

dfaiss_status_t scan_store_begin(engine_search_t *search, dfaiss_error_t *err) {
    int64_t codes = search->class->held(search->store);
    int64_t shares = search_shares(search, codes / 4096 + 1);
    TRY(scan_need(search, err));
    TRY(search_slots(search, shares, err));
    TRY(lanes_begin(&search->lanes, search->nq, search->nq, shares, err));
    for (int64_t i = 0; i < search->lanes.count; i++) {
        lane_t *lane = lanes_at(&search->lanes, i);
        if (!search_is_open(search, lane->query))
            continue;
        lane->position = codes * lane->share / shares;
        lane->end = codes * (lane->share + 1) / shares;
    }
    return DFAISS_OK;
}

dfaiss_status_t scan_store_run(engine_search_t *search, int64_t deadline, bool *done, dfaiss_error_t *err) {
    return lanes_run(&search->lanes, search->team, deadline, scan_codes, search_fold_heaps, search, done, err);
}
