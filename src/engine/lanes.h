/* Inside the engine room: a search cut into lanes, which the threads of a team work off in slices of time.
 *
 * A lane is a share of what is to be scanned (rows, probed lists, graphs) for a group of queries. One thread at a time works on a lane, in steps
 * that are clearly shorter than a slice, and leaves off at a deadline; the next slice goes on from there. When all shares of a group are scanned,
 * the thread that finished the last one folds them into the answer, again in steps.
 */
#ifndef ENGINE_LANES_H
#define ENGINE_LANES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/team.h"
#include "engine/scratch.h"

typedef struct lane {
    int64_t query;   /* the first of its group */
    int64_t queries; /* how many */
    int64_t group;
    int64_t share;
    int64_t position; /* what was scanned: the steps decide what they count in it */
    int64_t end;
    int64_t offset; /* inside the position, where it is worked off in parts */
    int64_t wanted; /* hits to ask an index for, where the lane's query has been asked before; else 0 */
    int64_t folded; /* queries of the group that are folded */
    bool started;   /* for the steps; set by them */
    bool scanned;
    bool done;
} lane_t;

typedef struct lanes {
    scratch_t memory;  /* lane_t[count] */
    scratch_t waiting; /* _Atomic int64_t[groups]: shares that are not scanned yet */
    int64_t count;
    int64_t groups;
    int64_t shares;
    int64_t open; /* all lanes before this one are done */
} lanes_t;

/* Cuts nq queries into groups of nearly equal size, each with `shares` lanes from position 0 to 0; the caller sets position and end. */
CHECKED dfaiss_status_t lanes_begin(lanes_t *lanes, int64_t nq, int64_t groups, int64_t shares, dfaiss_error_t *err);
void lanes_free(lanes_t *lanes);
static inline lane_t *lanes_at(const lanes_t *lanes, int64_t lane) {
    return (lane_t *)lanes->memory.data + lane;
}

/* One step of scanning; sets lane->scanned with the last. */
typedef dfaiss_status_t lane_scan_t(void *context, lane_t *lane, int thread, dfaiss_error_t *err);
/* Folds all shares of one query of a group. */
typedef void lane_fold_t(void *context, lane_t *lane, int64_t query, int thread);

/* Works until all lanes are done or the deadline is reached, but always one step. */
CHECKED dfaiss_status_t lanes_run(lanes_t *lanes, team_t *team, int64_t deadline, lane_scan_t *scan, lane_fold_t *fold, void *context, bool *done,
                                  dfaiss_error_t *err);

#endif
