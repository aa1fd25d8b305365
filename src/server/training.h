/* What the files of training share.
 *
 *   part    what one server does in a training (train.c): it learns, from vectors of its own or gathered ones, or takes over what another has learned
 *   course  a training of all servers, led by server 0 (course.c): the parts are prepared, the sample is gathered, one server trains for all (shared)
 *           or each for itself (local), and all adopt what was trained only when all have it
 *
 * Training starts when a client asks, or by itself (train_alone.c). It takes no turn of the index's control requests, and nothing of it refers to an
 * index but by name and number, so that the index may be dropped meanwhile; the trainer thread then ends what it is at for nobody.
 */
#ifndef SERVER_TRAINING_H
#define SERVER_TRAINING_H

#include "server/server_internal.h"
#include "shard/training.h"

struct training_part {
    training_part_t *next;
    char index[MESSAGE_NAME];
    uint64_t number;
    training_t *training;        /* of this server; NULL: another one trains, or has trained, for all */
    engine_template_t *template; /* trained, not adopted yet */
    int64_t rows;                /* that were here when it was prepared: the sample is drawn from them */
    int64_t drawn;               /* vectors of the sample */
    enum { PART_PREPARED, PART_DRAWS, PART_TRAINS } stage;
    operation_t *operation; /* waits for the end of the training here; NULL: started by itself, and adopted at once */
    job_t job;
};

/* The index of a training; NULL where it is gone, or another one has its name. */
hosted_t *training_index(server_t *server, const char *index, uint64_t number);
/* Somebody may still use what is trained: the index (NULL: none) is there, and so is a client. */
bool training_wanted(const server_t *server, const hosted_t *hosted);
/* ERR_NOT_FOUND: that is so. */
dfaiss_status_t training_index_gone(const char *index, dfaiss_error_t *err);

/* Keeps why an index is not trained. By itself that is tried again when there are twice as many vectors: twice the `rows` that all servers had, or
 * with local training what this one has. */
void training_keep_failure(hosted_t *hosted, const dfaiss_error_t *failure, int64_t rows);

/* Makes a part and marks its index. The training (may be NULL) is taken over, also on failure. */
CHECKED dfaiss_status_t training_part_add(server_t *server, hosted_t *hosted, uint64_t number, training_t *training, training_part_t **out,
                                          dfaiss_error_t *err);
/* Begins to draw and train; the end is told to the operation where there is one. */
void training_part_start(training_part_t *part, operation_t *operation);
bool training_parts_advance(server_t *server);
void training_parts_clear(server_t *server);

/* Starts a training of all servers. `waits`: the request is answered at the end, else at the beginning; NULL: started by itself, which comes to
 * nothing where the servers hold fewer vectors than they should. A failure to begin is told to the request. */
void course_start(server_t *server, const char *index, request_t *request, bool waits);
bool courses_advance(server_t *server);
void courses_clear(server_t *server);

/* How many vectors an index needs before training starts by itself, of all servers or with local training of this one; 0: it never does. */
int64_t training_due_rows(const server_t *server, const hosted_t *hosted);

#endif
