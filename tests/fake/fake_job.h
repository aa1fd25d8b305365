/* A job in one process: servers and clients that are threads, in a fake world.
 *
 * What a client finds wrong ends the process, since the other ranks would wait for it for ever.
 */
#ifndef FAKE_JOB_H
#define FAKE_JOB_H

#include <dfaiss/dfaiss.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"

enum { FAKE_SERVERS = 3, FAKE_CLIENTS = 3 };

/* Of all that is random; fake_job_begin sets it. */
extern uint64_t fake_seed;

#define expect(condition)                                                                                                       \
    do {                                                                                                                        \
        if (!(condition)) {                                                                                                     \
            fprintf(stderr, "%s:%d: expected %s (seed %llu)\n", __FILE__, __LINE__, #condition, (unsigned long long)fake_seed); \
            abort();                                                                                                            \
        }                                                                                                                       \
    } while (0)

/* A client. */
typedef struct member {
    int number; /* among the clients */
    dfaiss_client_t *client;
    random_state_t random;
    dfaiss_error_t error; /* of its last call that failed */
    pthread_barrier_t *meeting;
} member_t;

/* What every client does. */
typedef void fake_play_t(member_t *member);

/* Runs a job over a storage folder to its end; `stream` makes its random numbers others than those of other jobs. Client 0 shuts the servers down
 * when all have played, or, where shut_down is false, clients leave as they have played. */
void fake_job_run(const char *storage, uint64_t stream, bool shut_down, fake_play_t *play);
/* The same in a folder of its own that is removed. */
void fake_job_run_alone(uint64_t stream, bool shut_down, fake_play_t *play);

/* Waits until all clients are here. */
void fake_meet(member_t *member);
/* The call succeeded; its error is shown otherwise. */
void expect_ok(const member_t *member, dfaiss_status_t status);
/* The same, or the index is not there, or not in a state for the call, as may be where other clients change it. */
void expect_possible(const member_t *member, dfaiss_status_t status);
/* Makes an index of a configuration's text. */
void fake_create(member_t *member, const char *index, const char *config, const dfaiss_create_options_t *options);

/* Takes the seed from the arguments where there is one, and shows it. */
void fake_job_begin(int argc, char **argv);

#endif
