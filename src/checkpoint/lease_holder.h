/* Who holds a lease: a process, by what another one, perhaps on another host, can tell of it. Private to this room. */
#ifndef CHECKPOINT_LEASE_HOLDER_H
#define CHECKPOINT_LEASE_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lease_holder {
    char host[128];
    int64_t pid;
    char machine[128]; /* which boot of which machine, and which of its pid name spaces, the pid is of; empty: not known */
    int64_t started;   /* when the process did, in clock ticks since that boot: pids are used again */
    char job[64];      /* of the batch system; empty: none */
    int64_t restart;   /* how often the batch system has put the job back into its queue */
    char since[32];    /* UTC */
    char nonce[40];    /* tells this lease from all others, those of the same process included */
} lease_holder_t;

/* This process, now. */
CHECKED dfaiss_status_t lease_holder_self(lease_holder_t *holder, dfaiss_error_t *err);

/* JSON: malloc'ed, the caller's; NULL where there is no memory. */
char *lease_holder_encode(const lease_holder_t *holder);
/* False where the text is not that of a holder. */
bool lease_holder_decode(const char *text, size_t size, lease_holder_t *holder);

/* Is it certain that the holder has ended? A process of this machine is looked for; a job that was put back into the queue runs once at a time. */
bool lease_holder_ended(const lease_holder_t *holder, const lease_holder_t *self);

/* "process 4711 on host n1 (job 99, since 2026-01-01T12:00:00Z)" */
void lease_holder_text(const lease_holder_t *holder, char *text, size_t capacity);

#endif
