#include "engine/lanes.h"

#include "base/clock.h"

typedef struct lanes_slice {
    lanes_t *lanes;
    int64_t deadline;
    lane_scan_t *scan;
    lane_fold_t *fold;
    void *context;
    atomic_bool began; /* the one step that is always done */
    atomic_bool failed;
    dfaiss_status_t status; /* of the step that failed first */
    dfaiss_error_t err;
} lanes_slice_t;

static _Atomic int64_t *waiting_of(lanes_t *lanes, int64_t group) {
    return (_Atomic int64_t *)lanes->waiting.data + group;
}

dfaiss_status_t lanes_begin(lanes_t *lanes, int64_t nq, int64_t groups, int64_t shares, dfaiss_error_t *err) {
    size_t count;
    if (!size_multiply((size_t)groups, (size_t)shares, &count))
        return error_memory(err, SIZE_MAX, "searching");
    TRY(scratch_need(&lanes->memory, count, sizeof(lane_t), err));
    TRY(scratch_need(&lanes->waiting, (size_t)groups, sizeof(_Atomic int64_t), err));
    for (int64_t group = 0; group < groups; group++) {
        int64_t first = nq * group / groups, last = nq * (group + 1) / groups;
        atomic_init(waiting_of(lanes, group), shares);
        for (int64_t share = 0; share < shares; share++)
            *((lane_t *)lanes->memory.data + group * shares + share) =
                (lane_t){.query = first, .queries = last - first, .group = group, .share = share};
    }
    lanes->count = (int64_t)count;
    lanes->groups = groups;
    lanes->shares = shares;
    lanes->open = 0;
    return DFAISS_OK;
}

void lanes_free(lanes_t *lanes) {
    scratch_free(&lanes->memory);
    scratch_free(&lanes->waiting);
}

static bool may_go_on(lanes_slice_t *slice) {
    if (atomic_load_explicit(&slice->failed, memory_order_relaxed))
        return false;
    bool late = clock_nanoseconds() >= slice->deadline;
    if (!late && atomic_load_explicit(&slice->began, memory_order_relaxed))
        return true;
    return !atomic_exchange(&slice->began, true) || !late;
}

static void scan_step(lanes_slice_t *slice, lane_t *lane, int thread) {
    dfaiss_error_t err;
    dfaiss_status_t status = slice->scan(slice->context, lane, thread, &err);
    if (status != DFAISS_OK) {
        if (!atomic_exchange(&slice->failed, true)) {
            slice->status = status;
            slice->err = err;
        }
        return;
    }
    if (lane->scanned && atomic_fetch_sub(waiting_of(slice->lanes, lane->group), 1) != 1)
        lane->done = true; /* another lane of the group will fold */
}

static void fold_step(lanes_slice_t *slice, lane_t *lane, int thread) {
    slice->fold(slice->context, lane, lane->query + lane->folded, thread);
    if (++lane->folded == lane->queries)
        lane->done = true;
}

static void run_lane(void *context, int64_t task, int thread) {
    lanes_slice_t *slice = context;
    lane_t *lane = lanes_at(slice->lanes, slice->lanes->open + task);
    while (!lane->done && may_go_on(slice)) {
        if (lane->scanned)
            fold_step(slice, lane, thread);
        else
            scan_step(slice, lane, thread);
    }
}

dfaiss_status_t lanes_run(lanes_t *lanes, team_t *team, int64_t deadline, lane_scan_t *scan, lane_fold_t *fold, void *context, bool *done,
                          dfaiss_error_t *err) {
    lanes_slice_t slice = {.lanes = lanes, .deadline = deadline, .scan = scan, .fold = fold, .context = context, .status = DFAISS_OK};
    team_run(team, lanes->count - lanes->open, run_lane, &slice);
    if (slice.status != DFAISS_OK) {
        if (err)
            *err = slice.err;
        return slice.status;
    }
    while (lanes->open < lanes->count && lanes_at(lanes, lanes->open)->done)
        lanes->open++;
    *done = lanes->open == lanes->count;
    return DFAISS_OK;
}
