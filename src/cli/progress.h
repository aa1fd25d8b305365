/* How far a long step is: a bar where stderr is a terminal, a line every few seconds otherwise, nothing with --quiet.
 *
 * A thread of its own shows it, so that a step that waits for the servers is seen to go on.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/program.h"

typedef struct progress progress_t;

/* Starts to show; NULL, which the calls below accept, where nothing is to be shown. */
progress_t *progress_begin(const program_t *program);

/* `context` is a progress_t; fraction of the step that is done, 0 to 1, or PROGRESS_UNKNOWN. Cheap to call often. (Fits generate_progress_t.) */
void progress_update(void *context, const char *step, double fraction);
#define PROGRESS_UNKNOWN (-1.0)

/* Takes the bar away, and frees; to be called before anything else is printed. */
void progress_end(progress_t *progress);

/* The width of the terminal that stderr is, 0 where it is none. A job that this program started has its parent's terminal. */
int progress_columns(void);

/* Where a parent tells the job that it started how wide its terminal is. */
#define PROGRESS_COLUMNS_VARIABLE "DFAISS_COLUMNS"

#endif
