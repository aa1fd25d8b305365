/* A team of threads that share out the tasks of one job at a time.
 *
 * dfaiss splits work over threads itself and lets every faiss call inside a task run with one thread: two threads that both opened OpenMP
 * teams would stall each other. Each thread of a team, the caller included, has its own number of OpenMP threads set to 1.
 */
#ifndef BASE_TEAM_H
#define BASE_TEAM_H

#include <stdint.h>

#include "base/error.h"

typedef struct team team_t;

/* Does task number `task`; `thread` (0 to team_threads - 1) tells the threads of a team apart. */
typedef void team_task_t(void *context, int64_t task, int thread);

/* `threads` >= 1, the calling thread counted: threads - 1 are started. */
CHECKED dfaiss_status_t team_create(int threads, team_t **team, dfaiss_error_t *err);
/* Waits for the threads to end. NULL is fine. */
void team_destroy(team_t *team);
int team_threads(const team_t *team);

/* Runs tasks 0 to tasks - 1, each once, in any order, the caller among the workers; returns when all are done. Only the thread that created
 * the team may call it. */
void team_run(team_t *team, int64_t tasks, team_task_t *task, void *context);

#endif
