/* A job of servers and clients for the tests of the public calls. The first ranks are servers, the last ones clients, throughout; a job has phases,
 * and in each a new world is made of all clients and of some of the servers (the others wait), so that what one number of servers has saved or
 * answered can be compared with another's.
 *
 * With DFAISS_TEST_GATEWAY in the environment the clients connect to the servers over TCP, and their world has nothing to do with it.
 */
#ifndef TESTS_API_JOB_H
#define TESTS_API_JOB_H

#include "check.h"

#include <stdbool.h>

#include <mpi.h>

#include <dfaiss/dfaiss.h>

/* What every test may look at; set before a phase begins. */
typedef struct api_job {
    int ranks;
    int servers; /* of this phase */
    int clients;
    int number;       /* of this client */
    MPI_Comm fellows; /* the clients alone */
    dfaiss_world_t *world;
    dfaiss_client_t *client;
    dfaiss_error_t error;
    char storage[256]; /* the servers' */
    bool gateway;      /* clients connect over TCP */
    char listen[300];  /* to what this file says */
} api_job_t;

extern api_job_t job;

typedef struct api_phase {
    int servers;      /* how many; 0: all that the job has */
    int (*run)(void); /* on every client: the number of failed tests */
    int threads;      /* of each server; 0: one */
} api_phase_t;

/* The whole program: clients_of says how many of `ranks` are clients. Any failed test aborts the job, since it leaves the others waiting. */
int api_job_main(int argc, char **argv, int (*clients_of)(int ranks), int phase_count, const api_phase_t *phases);

/* One more client; job.error says why not. */
dfaiss_status_t api_make_client(const dfaiss_client_options_t *options, dfaiss_client_t **client);

/* All clients wait for each other, without using a core. */
void api_barrier(void);
/* Client `root` gives bytes to the others. */
void api_share(int root, void *bytes, size_t size);

/* ---- files in the storage, by which clients tell functions that the linker has put into servers what to do ---- */

void api_path(const char *name, char path[512]);
bool api_is_marked(const char *name);
void api_mark(const char *name);
void api_unmark(const char *name);
/* A millisecond, for those that wait for one. */
void api_rest(void);

/* Half of the ranks, the smaller one where they are odd; one; two where there are at least three. */
int api_half(int ranks);
int api_one(int ranks);
int api_two(int ranks);

/* ---- calls that tests make often; they fail the test ---- */

/* An index with this configuration (JSON). */
void api_create(const char *index, const char *config, bool own_ids);
void api_drop(const char *index);
/* Adds rows first to first + n - 1 of base float[][dim] in batches of `each`, ids being row numbers. */
void api_add(const char *index, const float *base, int64_t dim, int64_t first, int64_t n, int64_t each);
int64_t api_ntotal(const char *index);
dfaiss_state_t api_state(const char *index);

/* n vectors of small whole numbers, which every computation keeps exact: malloc'ed. */
float *api_vectors(int64_t n, int64_t dim, uint64_t stream);

/* Searches each query for its k nearest among base float[n][dim], ids being row numbers, and compares scores and ids with brute force (inner product
 * with dot, else squared distance). */
void api_check_exact(const char *index, bool dot, const float *base, int64_t n, int64_t dim, const float *queries, int64_t nq, int64_t k);

#endif
