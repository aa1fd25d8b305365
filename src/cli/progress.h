/* How far a long step is: a bar where stderr is a terminal, a line every few seconds otherwise, nothing with --quiet. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/program.h"

typedef struct progress {
    bool silent;
    int columns;         /* of the terminal; 0 where there is none */
    double begun, shown; /* clock_seconds */
    bool drawn;          /* a bar stands on the terminal's last line */
} progress_t;

progress_t progress_begin(const program_t *program);

/* `context` is a progress_t; fraction of the step that is done, 0 to 1. Cheap to call often. (Fits generate_progress_t.) */
void progress_update(void *context, const char *step, double fraction);

/* Takes the bar away; to be called before anything else is printed. */
void progress_end(progress_t *progress);

/* The width of the terminal that stderr is, 0 where it is none. A job that this program started has its parent's terminal. */
int progress_columns(void);

/* Where a parent tells the job that it started how wide its terminal is. */
#define PROGRESS_COLUMNS_VARIABLE "DFAISS_COLUMNS"

#endif
