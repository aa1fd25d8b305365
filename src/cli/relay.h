/* Waits for a child process while passing on what it prints and the signals that arrive. */
#ifndef CLI_RELAY_H
#define CLI_RELAY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

typedef struct relay_outcome {
    int code;      /* the child's exit code; 128 + number where a signal ended it */
    int signal;    /* the last signal that was passed on and that ends a job, which SIGUSR1 does not; 0 for none */
    bool answered; /* something came on the child's stdout */
    bool reported; /* a line "dfaiss: ..." came on its stderr */
} relay_outcome_t;

/* Runs argv[0] (a path) with argv and this process's environment, in a process group of its own, so that a signal to this group (Ctrl-C, timeout)
 * reaches the child only through the relay. The child's stdin is empty: the caller's is left unread. */
CHECKED dfaiss_status_t relay_run(char *const *argv, relay_outcome_t *outcome, dfaiss_error_t *err);

#endif
