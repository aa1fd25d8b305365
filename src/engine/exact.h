/* Inside the engine room: exact neighbours among fp32 rows, for flat indexes, for vectors that are not indexed yet, for coarse centroids, and for
 * whole files.
 *
 * Few queries are compared row by row; many as one matrix product a tile of rows, from which only what beats a query's k-th candidate is looked at.
 * The answer is the k best by score and row, whatever the tiles and threads.
 */
#ifndef ENGINE_EXACT_H
#define ENGINE_EXACT_H

#include "base/team.h"
#include "engine/engine.h"

typedef struct exact_scan exact_scan_t;

/* A pointer to rows from `row` on, *count of them at most, which it may make smaller (not 0): the rows themselves, or made in scratch
 * float[*count][dim]. NULL: faiss refused. */
typedef const float *exact_rows_t(void *context, int64_t row, int64_t *count, float *scratch);

/* What was found for a query in one share of the rows: n <= k, sorted; may be changed. Called once or more a query, never for one query by two
 * threads. */
typedef void exact_take_t(void *context, int64_t query, int64_t n, float *scores, int64_t *rows, int thread);

/* The first row from `row` on that may be found; `end` where there is none before. */
typedef int64_t exact_next_t(const void *context, int64_t row, int64_t end);

typedef struct exact_job {
    bool larger_is_better;
    bool copies;     /* rows_of uses its scratch */
    bool gathers;    /* few rows may be found: they are put together before they are compared */
    bool has_radius; /* scores must be better than radius */
    float radius;
    int64_t dim;
    int64_t nq;
    const float *queries; /* borrowed until the job is done */
    int64_t k;
    int64_t rows; /* numbered from 0 */
    exact_rows_t *rows_of;
    exact_next_t *next; /* NULL: every row may be found */
    exact_take_t *take;
    void *context; /* of all three */
} exact_job_t;

CHECKED dfaiss_status_t exact_scan_create(team_t *team, exact_scan_t **out, dfaiss_error_t *err);
void exact_scan_destroy(exact_scan_t *scan);

CHECKED dfaiss_status_t exact_scan_begin(exact_scan_t *scan, const exact_job_t *job, dfaiss_error_t *err);
CHECKED dfaiss_status_t exact_scan_run(exact_scan_t *scan, int64_t deadline, bool *done, dfaiss_error_t *err);
/* Rows scanned so far, averaged over the queries. */
int64_t exact_scan_progress(const exact_scan_t *scan);

#endif
