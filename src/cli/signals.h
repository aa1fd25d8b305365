/* Signals that reach the ranks of a job.
 *
 * SIGUSR1: the servers save what has changed, and everything goes on. SIGUSR2 and SIGTERM: they save, and the job ends with exit code 99. A second
 * one of these two ends the rank, and with it the job, at once, and so does a save that takes longer than the grace time: the exit code is 1 then,
 * and the last generation stays what it was. A launcher and a batch system may both deliver one signal: what comes within a second counts as one.
 *
 * Handlers only note what has come; the servers ask for it between two steps (dfaiss_server_options_t).
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <dfaiss/server.h>

#include "cli/arguments.h"

/* The option that says how long that is, and its range. */
#define SIGNALS_GRACE_ROW(key) \
    { "grace", key, "SECONDS", 0, "After SIGUSR2 or SIGTERM: how long saving may take before the job ends without it (default: any time)", 30 }
CHECKED dfaiss_status_t signals_grace(const argument_t *argument, double *grace, dfaiss_error_t *err);

/* Takes the signals, before MPI starts. grace: seconds that a save may take once it is asked for; 0: no limit. */
void signals_take(double grace);

/* Which of the ranks says why the job ends, as soon as that is known. Borrows the program. */
void signals_set_program(const program_t *program);

/* What a server's options need: dfaiss_wish_function_t, whose context is not looked at, and dfaiss_wish_ended_t with the program. A save that fails
 * before a stop is reported, and aborts the job. */
dfaiss_wish_t signals_wish(void *context);
void signals_wish_ended(void *program, dfaiss_wish_t wish, dfaiss_status_t status, const dfaiss_error_t *error);

/* Everything is saved: this rank ends with 99, in a few seconds even if it is busy then with what cannot be interrupted. */
void signals_saved(void);

#endif
