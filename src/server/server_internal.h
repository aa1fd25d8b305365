/* What the files of the server room share: the server's state, the indexes it hosts, and the three ways in which work waits here.
 *
 *   operation  something that all servers do together, down a tree of servers and back up (operation.c); one table row each
 *   job        something for the builder thread (job.c)
 *   request    something that a client asked for (request.c); the answer goes to that client
 */
#ifndef SERVER_SERVER_INTERNAL_H
#define SERVER_SERVER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <dfaiss/server.h>

#include "base/bytes.h"
#include "base/list.h"
#include "checkpoint/basis.h"
#include "checkpoint/lease.h"
#include "checkpoint/manifest.h"
#include "message/add.h"
#include "message/message.h"
#include "message/statistics.h"
#include "server/server.h"
#include "shard/builder.h"
#include "shard/search.h"
#include "shard/shard.h"

typedef struct server server_t;

/* ---- jobs of the builder ---- */

typedef struct hosted hosted_t;
typedef struct job job_t;
struct job {
    job_t *next;
    hosted_t *hosted;                                            /* whose shard must not be changing when the job starts; NULL: none */
    dfaiss_status_t (*prepare)(job_t *job, dfaiss_error_t *err); /* main thread, right before the work; may be NULL */
    builder_work_t *work;                                        /* gets the job's context */
    void (*done)(server_t *server, job_t *job, dfaiss_status_t status, const dfaiss_error_t *error); /* main thread; owns the job then */
    void *context;
};

/* ---- indexes ---- */

struct hosted {
    hosted_t *next;
    char name[MESSAGE_NAME];
    shard_t *shard;
    team_t *team; /* of its own, where its configuration asks for a number of threads; NULL: the server's */
    bool own_ids;
    bool dropping;          /* goes as soon as nobody uses it; new users are refused */
    bool overwrite;         /* the next save replaces what the storage has under this name */
    manifest_basis_t basis; /* what was loaded or saved last; on server 0 */
    lease_t *lease;         /* owned; on server 0, where it was claimed; NULL: not yet */
    int64_t saved_vectors;  /* of the whole index, in that generation */
    int64_t next_id;        /* greater than every id in that generation, and on server 0 than every id that was dealt out */
    uint64_t incarnation;   /* the same on all servers; an index that comes later under the same name has another */
    int64_t file_bytes;     /* of this server's files of it */
    basis_t *saved;         /* owned; what this server has saved or loaded last; NULL: the next save writes everything */
    basis_t *written;       /* owned; of the last save, of which it is not known here whether it was committed; NULL: none */
    uint64_t updates;       /* the last one whose new vectors are where they belong */
    uint64_t last_update;   /* on server 0: that was begun */
    int users;              /* operations, jobs and searches that hold on to the shard */
    int64_t queries;
    dfaiss_status_t build_status; /* the first failure of indexing */
    dfaiss_error_t build_error;
    uint64_t training;            /* number of the training that is under way; 0: none */
    dfaiss_error_t train_failure; /* of the last one; code DFAISS_OK: it did not fail */
    int64_t train_again;          /* vectors that there must be before it is tried again by itself */
    int64_t rows_told;            /* to server 0, while not trained */
    int64_t told_at;
    int64_t *rows_of;  /* on server 0: what servers have told; NULL: nothing yet */
    shard_mark_t mark; /* of what was loaded, or written last: into this generation, whether it was named or not */
    int64_t mark_generation;
    int64_t saved_at; /* on server 0: when it was created, loaded, or the last save of its own ended */
    bool autosaving;  /* one is under way */
    job_t release;    /* that frees it in the end */
};

/* NULL where there is none, or it is being dropped. */
hosted_t *hosted_find(server_t *server, const char *name);
/* ERR_NOT_FOUND where hosted_find finds none. */
CHECKED dfaiss_status_t hosted_get(server_t *server, const char *name, hosted_t **out, dfaiss_error_t *err);
/* The same for one incarnation of it: ERR_NOT_FOUND where it has gone, also where another has its name. */
CHECKED dfaiss_status_t hosted_get_same(server_t *server, const char *name, uint64_t incarnation, hosted_t **out, dfaiss_error_t *err);
/* The team that searches an index of this configuration: *own is a new one where it asks for a number of threads that --threads does not overrule,
 * else NULL. */
CHECKED dfaiss_status_t hosted_team(const server_t *server, const index_config_t *config, team_t **own, dfaiss_error_t *err);
/* Takes over the shard and its own team (NULL: the server's), also on failure. ERR_EXISTS where the name is taken. */
CHECKED dfaiss_status_t hosted_add(server_t *server, const char *name, shard_t *shard, team_t *own, hosted_t **out, dfaiss_error_t *err);
/* Nobody may be using it. It is gone at once; the builder frees it. */
void hosted_remove(server_t *server, hosted_t *hosted);
/* The same without a builder, when the server ends. */
void hosted_clear(server_t *server);
/* How far it is on this server. */
index_state_t hosted_state(const server_t *server, const hosted_t *hosted);
/* Server 0: holds the index's lease from now on; ERR_STATE where somebody else is writing the index. Any other failure counts where it is needed
 * alone (*lease is NULL otherwise). They may take some milliseconds of the storage's time, once for an index. */
CHECKED dfaiss_status_t claim_take(const char *storage, const char *index, bool needed, lease_t **lease, dfaiss_error_t *err);
CHECKED dfaiss_status_t hosted_claim(server_t *server, hosted_t *hosted, bool needed, dfaiss_error_t *err);
/* Server 0, before an index is changed: claims it, and looks whether somebody else has saved it since it was loaded (ERR_STATE). */
CHECKED dfaiss_status_t hosted_change(server_t *server, hosted_t *hosted, dfaiss_error_t *err);
/* How many rows of the whole index its training is for: all (shared), or this server's part of them (local). */
int64_t hosted_expected_rows(const server_t *server, const index_config_t *config, int64_t rows);
/* Where checkpoints of an index with this configuration lie. */
const char *hosted_storage(const server_t *server, const index_config_t *config);

/* ---- doing jobs ---- */

/* Queues a job, taken over; context is the caller's business. */
void job_submit(server_t *server, job_t *job);
/* The same for the trainer, a thread of its own, since training may take hours that saving, loading and indexing cannot wait for. */
void job_submit_training(server_t *server, job_t *job);
/* Takes the outcome of work that has ended and starts what waits, else indexing. True where something happened. */
bool jobs_advance(server_t *server);
void jobs_clear(server_t *server);

/* ---- operations of all servers ---- */

typedef struct operation operation_t;

typedef struct operation_type {
    const char *name;
    /* Does this server's part, or starts it; ends with operation_local_end, now or later. */
    void (*begin)(server_t *server, operation_t *operation);
    /* Merges another server's result, which is the operation's own so far, with one more: body appended, bulk by this function. NULL: no bulk. */
    void (*merge_bulk)(server_t *server, operation_t *operation, void *bulk, size_t bulk_size);
} operation_type_t;

typedef enum operation_kind {
    OPERATION_CREATE,
    OPERATION_SURVEY,
    OPERATION_LOAD,
    OPERATION_PREPARE,
    OPERATION_DRAW,
    OPERATION_TRAIN,
    OPERATION_TEMPLATE,
    OPERATION_ADOPT,
    OPERATION_INPUT,
    OPERATION_INPUTS,
    OPERATION_FLUSH,
    OPERATION_CHANGED,
    OPERATION_WRITE,
    OPERATION_INTERRUPT,
    OPERATION_DROP,
    OPERATION_REPLACE,
    OPERATION_HIDE,
    OPERATION_SETTLE,
    OPERATION_REMOVE,
    OPERATION_SEARCH,
    OPERATION_STATISTICS,
    OPERATION_SET_DIM,
    OPERATION_SET_NPROBE,
    OPERATION_SET_THREADS,
    OPERATION_OPEN,
    OPERATION_CLOSE,
    OPERATION_QUIET,
    OPERATION_STOP,
    OPERATION_COUNT
} operation_kind_t;

/* Called at the root when all servers have ended: status, error, result and bulk are merged. It may take the bulk (set it to NULL). */
typedef void operation_end_t(server_t *server, operation_t *operation, void *context);

struct operation {
    operation_t *next;
    const operation_type_t *type;
    uint32_t root;
    uint64_t number;
    int children_left;
    bool local_ended;
    bool ended;
    int sends_left; /* of the argument's bulk to children, or of the result's to the parent */

    bytes_writer_t argument; /* the operation's own argument */
    void *argument_bulk;     /* memory_map block; owned */
    size_t argument_bulk_size;

    dfaiss_status_t status; /* the first failure of any server */
    dfaiss_error_t error;
    bytes_writer_t result; /* the results of all servers so far, one after the other */
    void *bulk;            /* memory_map block; owned */
    size_t bulk_size;

    operation_end_t *end; /* at the root */
    void *context;
    void *state;           /* of the type's functions */
    bool larger_is_better; /* of a search's scores; the index may be gone when the last of them arrive */
};

/* Begins an operation here, as its root. argument's memory and the bulk are taken over, also on failure; end is called in any case, with the failure
 * if there was one. */
void operation_start(server_t *server, operation_kind_t kind, bytes_writer_t *argument, void *bulk, size_t bulk_size, operation_end_t *end,
                     void *context);
/* This server's part has ended; on success result and bulk may have been filled. */
void operation_local_end(server_t *server, operation_t *operation, dfaiss_status_t status, const dfaiss_error_t *error);
void operation_on_spread(server_t *server, transport_message_t *message);
void operation_on_gather(server_t *server, transport_message_t *message);
/* Frees operations that have ended and whose sends have left. */
bool operations_advance(server_t *server);
void operations_clear(server_t *server);
/* The row of the table. */
const operation_type_t *operation_type(uint32_t kind);

/* The parts of operations, a file each. */
void operation_create(server_t *server, operation_t *operation);
void operation_survey(server_t *server, operation_t *operation);
void operation_load(server_t *server, operation_t *operation);
void operation_prepare(server_t *server, operation_t *operation);
void operation_draw(server_t *server, operation_t *operation);
void operation_draw_merge(server_t *server, operation_t *operation, void *bulk, size_t bulk_size);
void operation_train(server_t *server, operation_t *operation);
void operation_template(server_t *server, operation_t *operation);
void operation_adopt(server_t *server, operation_t *operation);
void operation_input(server_t *server, operation_t *operation);
void operation_inputs(server_t *server, operation_t *operation);
void operation_flush(server_t *server, operation_t *operation);
void operation_changed(server_t *server, operation_t *operation);
void operation_write(server_t *server, operation_t *operation);
void operation_interrupt(server_t *server, operation_t *operation);
void operation_drop(server_t *server, operation_t *operation);
void operation_replace(server_t *server, operation_t *operation);
void operation_hide(server_t *server, operation_t *operation);
void operation_settle(server_t *server, operation_t *operation);
void operation_remove(server_t *server, operation_t *operation);
void operation_search(server_t *server, operation_t *operation);
void operation_search_merge(server_t *server, operation_t *operation, void *bulk, size_t bulk_size);
void operation_statistics(server_t *server, operation_t *operation);
void operation_set_dim(server_t *server, operation_t *operation);
void operation_set_nprobe(server_t *server, operation_t *operation);
void operation_set_threads(server_t *server, operation_t *operation);
void operation_open(server_t *server, operation_t *operation);
void operation_close(server_t *server, operation_t *operation);
void operation_quiet(server_t *server, operation_t *operation);
void operation_stop(server_t *server, operation_t *operation);

/* ---- requests of clients ---- */

typedef struct request request_t;
typedef void request_turn_t(server_t *server, request_t *request);
typedef void request_ended_t(server_t *server, const request_t *request, dfaiss_status_t status, const dfaiss_error_t *error);
struct request {
    request_t *next;
    int client;    /* world rank that the answer goes to */
    int64_t asker; /* no other client's: the rank, or of a client behind a gateway outside_asker */
    message_kind_t kind;
    uint64_t correlation;
    char index[MESSAGE_NAME]; /* control requests: for one index they take turns */
    bool running;
    transport_message_t message; /* body and bulk, until the handler takes them */
    void *state;                 /* of the handler */
    request_turn_t *turn;        /* in place of the handler, where no client has asked */
    request_ended_t *ended;      /* in place of an answer to a client */
};

/* Bytes that an answer's body may have; with its head it is well below what a message takes. */
enum { ANSWER_LIMIT = TRANSPORT_BODY_LIMIT / 2 };

/* Answers and frees the request. body (the result behind the outcome, may be NULL) is copied; the bulk is taken over. */
void request_answer(server_t *server, request_t *request, dfaiss_status_t status, const dfaiss_error_t *error, const bytes_writer_t *body, void *bulk,
                    size_t bulk_size);
/* Begins an operation here whose argument is the body of the request, and whose context is the request. */
void request_start_operation(server_t *server, request_t *request, operation_kind_t kind, operation_end_t *end);
/* The end of such an operation: answers with how it went. */
void request_answer_outcome(server_t *server, operation_t *operation, void *context);
/* Answers with success, and keeps the request for a second answer. */
void request_answer_first(server_t *server, request_t *request, const bytes_writer_t *body);
/* Answers CREATE and LOAD: what a client needs to know of the index, which is here now. */
void request_answer_loaded(server_t *server, request_t *request);
/* Removes what a failed CREATE or LOAD has left on some servers, then answers with the failure. */
void request_fail_and_drop(server_t *server, request_t *request, const dfaiss_error_t *error);
/* Takes a turn among the control requests of an index for something that no client has asked for: `turn` is called when it has come, now or later,
 * with `state` in the request. request_turn_end ends it. */
CHECKED dfaiss_status_t request_turn_take(server_t *server, const char *index, request_turn_t *turn, void *state, dfaiss_error_t *err);
void request_turn_end(server_t *server, request_t *request);
/* Is that what a client may ask? */
bool request_takes(uint32_t kind);
/* A message of a client arrived. Takes over body and bulk. */
void request_on_message(server_t *server, transport_message_t *message);
/* Answers a message of a client that is not there: its source, kind and correlation are. */
void request_refuse(server_t *server, const transport_message_t *message, dfaiss_status_t status, const dfaiss_error_t *error);
/* From now on requests are answered, first those that came before. */
void requests_open(server_t *server);
/* Does what a client might have asked for: `turn` (NULL: the handler of that kind) answers it, and `ended` is told the outcome in the place of a
 * client. body is taken over on success. */
CHECKED dfaiss_status_t request_own(server_t *server, message_kind_t kind, bytes_writer_t *body, request_turn_t *turn, request_ended_t *ended,
                                    dfaiss_error_t *err);
void requests_clear(server_t *server);

/* Handlers of requests: each ends with request_answer, now or later. */
void request_create(server_t *server, request_t *request);
void request_load(server_t *server, request_t *request);
void request_sample(server_t *server, request_t *request);
void request_train(server_t *server, request_t *request);
void request_train_start(server_t *server, request_t *request);
void request_centroids(server_t *server, request_t *request);
void request_add(server_t *server, request_t *request);
void request_input(server_t *server, request_t *request);
void request_inputs(server_t *server, request_t *request);
void request_flush(server_t *server, request_t *request);
void request_save(server_t *server, request_t *request);
void request_drop(server_t *server, request_t *request);
void request_update(server_t *server, request_t *request);
void request_remove(server_t *server, request_t *request);
void request_search(server_t *server, request_t *request);
void request_fetch(server_t *server, request_t *request);
void request_statistics(server_t *server, request_t *request);
void request_reserve_ids(server_t *server, request_t *request);
void request_list(server_t *server, request_t *request);
void request_get_config(server_t *server, request_t *request);
void request_get_ids(server_t *server, request_t *request);
void request_set_dim(server_t *server, request_t *request);
void request_set_nprobe(server_t *server, request_t *request);
void request_set_threads(server_t *server, request_t *request);
void request_shutdown(server_t *server, request_t *request);

/* ERR_MEMORY, naming bytes, where there is too little memory for what a message brings. */
CHECKED dfaiss_status_t ingest_admit(server_t *server, const char *index, const transport_message_t *message, dfaiss_error_t *err);
/* More than a buffer's worth waits for the builder: whoever sends more is made to wait. */
bool ingest_behind(const server_t *server, const hosted_t *hosted);
/* A batch without its vectors; on failure it is partly filled. */
CHECKED dfaiss_status_t ingest_make_batch(const message_add_t *add, shard_batch_t *batch, dfaiss_error_t *err);
/* Answers adds that were held back, where the builder has caught up. */
bool held_adds_advance(server_t *server);
/* Ends flushes whose rows are all indexed. */
bool flushes_advance(server_t *server);
/* Removes indexes that were dropped, when nobody uses them any more. */
bool drops_advance(server_t *server);

/* Lets clients come that are no ranks of the world, where the options say so; server 0 alone. */
CHECKED dfaiss_status_t outside_open(server_t *server, dfaiss_error_t *err);
void outside_close(server_t *server);
/* Takes what they ask, and gives them what was answered. */
bool outside_advance(server_t *server);
/* There is a client that may ask, or one may come. */
bool clients_left(const server_t *server);
/* The answer of a server to what one of them has asked. */
void outside_on_answer(server_t *server, transport_message_t *message);
/* Bytes that went to them and came from them. */
void outside_traffic(const server_t *server, uint64_t *sent, uint64_t *received);
/* Of a request that came from a server, in place of its client's rank: greater than every rank. */
int64_t outside_asker(uint64_t correlation);

/* Goes on with a fetch that waits. */
bool fetches_advance(server_t *server);

typedef struct removing removing_t;
/* Runs one slice of one removal from this server's shards. */
bool removals_advance(server_t *server);
void removals_clear(server_t *server);

typedef struct updating updating_t;
/* Goes on with this server's parts of updates. */
bool updates_advance(server_t *server);
void updates_clear(server_t *server);

typedef struct id_list id_list_t;
/* Goes on collecting ids. */
bool id_lists_advance(server_t *server);
void id_lists_clear(server_t *server);

typedef struct retired_team retired_team_t;
/* Ends the threads of teams that no search uses any more. */
bool teams_advance(server_t *server);
/* Ends all. */
void teams_clear(server_t *server);

/* Server 0: saves what has changed, as nobody but the configuration (save_interval_sec) or the options (`wish`) asks for. */
bool autosaves_advance(server_t *server);
/* Saves an index where it has changed, when its turn among control requests has come. */
CHECKED dfaiss_status_t autosave_start(server_t *server, const char *index, request_ended_t *ended, dfaiss_error_t *err);
/* Asks what is wished, and passes it on to server 0. */
bool wishes_advance(server_t *server);
/* Another server has passed on a wish. */
void wish_on_message(server_t *server, transport_message_t *message);

/* Begins to load what the options name. */
void preload(server_t *server);
/* Closes after SHUTDOWN, and stops when all clients have left. */
bool ending_advance(server_t *server);

/* ---- training (server/training.h) ---- */

typedef struct training_part training_part_t;
typedef struct course course_t;

/* Goes on with trainings, starts those that are due by themselves, and tells server 0 how many vectors are here. */
bool trainings_advance(server_t *server);
void trainings_clear(server_t *server);
/* Another server has told how many vectors of an index it holds. */
void rows_on_message(server_t *server, transport_message_t *message);

/* ---- searching ---- */

typedef struct lead lead_t;
typedef struct active_search active_search_t;

CHECKED dfaiss_status_t lead_create(lead_t **out, dfaiss_error_t *err);
void lead_destroy(lead_t *lead);
/* No search of a client is under way here. */
bool lead_idle(const lead_t *lead);
/* No search that began here is under way which does not know of an update of an index. */
bool lead_knows_update(const lead_t *lead, uint64_t incarnation, uint64_t update);
/* Puts waiting requests into operations. */
bool lead_advance(server_t *server);
/* Runs one slice of one search of this server's shards. */
bool searches_advance(server_t *server);
void searches_clear(server_t *server);
/* The number of the oldest search of this server's shards; UINT64_MAX where there is none. */
uint64_t searches_oldest(const server_t *server);

/* ---- the server ---- */

/* What is to be saved because the program that serves has said so. */
typedef struct wishes {
    dfaiss_wish_t next; /* on server 0: the greatest that came while another was under way */
    dfaiss_wish_t now;  /* on server 0: under way */
    int saves;          /* of it, that have not ended */
    int saved;
    dfaiss_error_t failure; /* of the first one that failed; code DFAISS_OK: none has */
    bool stopped;           /* the servers end as soon as all clients have left */
    dfaiss_error_t reason;
} wishes_t;

struct server {
    transport_t *transport;
    const server_options_t *options;
    int number;
    int servers;
    int threads;
    bool threads_set; /* by a client, for all indexes */
    team_t *team;
    retired_team_t *retired; /* teams that searches still use */
    builder_t *builder;
    builder_t *trainer;
    hosted_t *hosted;

    job_t *jobs;          /* waiting for the builder, first comes first */
    job_t *job;           /* under way */
    hosted_t *building;   /* indexing is under way for */
    job_t *training_jobs; /* waiting for the trainer */
    job_t *training_job;  /* under way */

    operation_t *operations;
    uint64_t last_operation;

    request_t *control;   /* control requests: running or waiting */
    request_t *held_adds; /* taken in, to be answered when the builder has caught up */
    request_t *fetches;   /* of vectors, when it is known where they lie */

    size_t room;     /* bytes of memory that were free when they were looked at */
    size_t admitted; /* bytes that have come since */
    int64_t looked_at;

    training_part_t *training_parts;
    course_t *courses;
    uint64_t last_training;

    struct gateway *gateway; /* to clients that are no ranks of the world; NULL: none */

    lead_t *lead;
    active_search_t *searches; /* of this server's shards, taking turns */
    uint64_t last_search;      /* its number */
    id_list_t *id_lists;
    removing_t *removing; /* from this server's shards, taking turns */
    updating_t *updating;
    void *merge_scratch;
    size_t merge_scratch_size;

    wishes_t wishes;

    int loading;          /* indexes that are still to be there before requests are answered */
    bool open;            /* requests are answered */
    request_t *postponed; /* until then */
    request_t *shutdown;  /* waits until control requests have ended */
    bool closed;          /* was shut down: requests are refused */
    bool ending;          /* server 0 has begun to end all */
    bool stopping;
    dfaiss_status_t failed; /* see server_fail */
    dfaiss_error_t failure;
};

/* The server cannot go on: its loop ends with the first failure. */
void server_fail(server_t *server, dfaiss_status_t status, const dfaiss_error_t *error);

/* Sends, and remembers a failure of MPI for the loop. bulk is borrowed until done is called; on failure done is called too. */
void server_send(server_t *server, int rank, message_kind_t kind, uint64_t correlation, const bytes_writer_t *body, const void *bulk,
                 size_t bulk_size, transport_done_t *done, void *context);

#endif
