/* Inside the engine room: scanning stored codes into heaps, leaving out rows that may not be found, and the scan of all codes of a store, as the
 * classes codes (every search) and hnsw (where a graph cannot answer) do it.
 *
 * Rows that may not be found never reach faiss: long runs of others are scanned where they lie, shorter ones are copied together first.
 */
#ifndef ENGINE_SCAN_H
#define ENGINE_SCAN_H

#include "engine/store.h"

/* Memory of all threads for codes that are copied together; for searches with a filter. */
CHECKED dfaiss_status_t scan_need(engine_search_t *search, dfaiss_error_t *err);

/* Codes of a run up to the first that may be found. */
int64_t scan_count_others(const row_filter_t *filter, const stored_run_t *run);

/* Takes from `left` the next codes that may be found, as they can be scanned; false: there are none. */
bool scan_next(const engine_search_t *search, search_thread_t *own, stored_run_t *left, stored_run_t *found);

/* Puts a run into the lane's heap: a call of the shim. The thread's scanner has the lane's query, and list. */
int scan_run(engine_search_t *search, const lane_t *lane, search_thread_t *own, const stored_run_t *run);

/* Codes that a step should scan. */
int64_t scan_step_codes(const engine_search_t *search);

/* All codes of the store that is searched, for the queries that are open. */
CHECKED dfaiss_status_t scan_store_begin(engine_search_t *search, dfaiss_error_t *err);
CHECKED dfaiss_status_t scan_store_run(engine_search_t *search, int64_t deadline, bool *done, dfaiss_error_t *err);

#endif
