/* What a client asks of the servers: a rank of their world, or any process that connects to servers which listen.
 *
 * Not collective: every client works for itself, and several work on the same indexes at once. All calls with one client come from one thread. Unless
 * a call says otherwise it blocks until the servers have answered.
 *
 * Every call returns a status, and may fail with DFAISS_ERR_ARG (an argument out of its range, or NULL where none may be; the text names it with its
 * value), DFAISS_ERR_NOT_FOUND (no index of that name in the servers' memory), DFAISS_ERR_STATE (the servers were shut down), DFAISS_ERR_MEMORY,
 * DFAISS_ERR_MPI, DFAISS_ERR_PEER (an answer was not understood), DFAISS_ERR_TIMEOUT and, from when the servers are told to stop (dfaiss_wish_t) on,
 * DFAISS_ERR_INTERRUPTED; what else may happen stands with the call. Calls that change an index (add, update, remove, save, drop) may fail with
 * DFAISS_ERR_STATE also where servers of another job change it, or have saved it since it was loaded. On failure outputs are untouched and the
 * servers are as before, unless the call says otherwise; after DFAISS_ERR_TIMEOUT they may still do what was asked. A client is broken when MPI, or
 * its connection, has failed, when a message came that is no answer, and when after DFAISS_ERR_TIMEOUT MPI may still read what a call had been given:
 * every later call fails alike then, and memory that was lent stays lent until the world is destroyed (one that has connected: the client). The world
 * can have another client instead.
 *
 * Parameters: `index` is the name of an index, 1 to 200 letters, digits, '.', '_' or '-', not starting with '.' or '-'. `err` is an optional text,
 * filled on failure alone; NULL is fine everywhere. What is const is borrowed for the call. Other pointers are outputs, which must not be NULL unless
 * it says so, and are written on success alone.
 */
#ifndef DFAISS_CLIENT_H
#define DFAISS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dfaiss/config.h>
#include <dfaiss/result.h>
#include <dfaiss/world.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dfaiss_client dfaiss_client_t;

typedef struct dfaiss_client_options {
    double timeout;      /* seconds that a call may wait for an answer, that of a search or an add too; 0: no limit */
    double long_timeout; /* the same for calls that train, index, save, load, drop, update, remove, list ids, bring centroids or shut down, and for an
                            add that waits until a server has less to index; 0: no limit */
} dfaiss_client_options_t;

/* Makes the client of a client rank. options NULL: time-outs of 300 s and none. One client a world; DFAISS_ERR_STATE where it has one, or this rank
 * is a server. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_client_create(dfaiss_world_t *world, const dfaiss_client_options_t *options, dfaiss_client_t **out,
                                                               dfaiss_error_t *err);
/* Makes a client of a process that is no rank of the servers' world, with or without MPI: connects over TCP to servers that listen, whose listen file
 * says where (dfaiss_server_options_t, `dfaiss serve --listen FILE`). Any number of clients may connect and leave, one process may have several, and
 * every call is the same. Nothing is encrypted. Takes at most ten seconds. DFAISS_ERR_NOT_FOUND, DFAISS_ERR_DATA (the file); DFAISS_ERR_PEER: nobody
 * listens there, or another job does, or there are as many connections as it takes. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_connect(const char *listen_file, const dfaiss_client_options_t *options, dfaiss_client_t **out,
                                                         dfaiss_error_t *err);
/* How many servers there are. */
DFAISS_API int dfaiss_client_servers(const dfaiss_client_t *client);
/* Waits for what is under way, each for as long as it may take, then frees it, and with it the requests that nobody has waited for. NULL is fine. */
DFAISS_API void dfaiss_client_destroy(dfaiss_client_t *client);

/* ---- indexes ---- */

typedef struct dfaiss_create_options {
    bool own_ids;             /* every vector brings its id; else the index assigns them */
    bool overwrite;           /* an index of that name in the storage is replaced by the next save; without it that is DFAISS_ERR_EXISTS */
    int64_t expected_vectors; /* about how many there will be, which `infer_centroids` goes by; 0: not known */
} dfaiss_create_options_t;

/* Makes an empty index on all servers. config is copied; its dim 0: that of the first vectors added. options NULL: all zero.
 * DFAISS_ERR_EXISTS (in memory, or in the storage without `overwrite`), DFAISS_ERR_CONFIG (keys that do not go together; DFAISS_ERR_UNSUPPORTED where
 * this build cannot do what they ask). */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_create_index(dfaiss_client_t *client, const char *index, const dfaiss_config_t *config,
                                                              const dfaiss_create_options_t *options, dfaiss_error_t *err);
/* Removes an index from the servers and from the storage; one that is in the storage alone too. Whoever searches it meanwhile gets an answer, or
 * DFAISS_ERR_NOT_FOUND. DFAISS_ERR_IO where files cannot be removed: it has left memory then, and can be dropped again. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_drop_index(dfaiss_client_t *client, const char *index, dfaiss_error_t *err);

/* Writes a checkpoint, in any state, and makes it the newest generation of the index: *generation (may be NULL) is its number. Searches and adds go
 * on. DFAISS_ERR_IO, DFAISS_ERR_SPACE; generations before are then as they were. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_save_index(dfaiss_client_t *client, const char *index, int64_t *generation, dfaiss_error_t *err);
/* Loads the newest generation, from the folder that overrides name as index_storage_dir, else from where an index of that name in memory is stored,
 * else from the servers' storage. overrides (may be NULL) has precedence over the saved configuration in the keys that may change: nprobe, threads,
 * buffer_bsz, save_interval_sec, keep_generations, train_num, train_ratio, custom_meta_id_idx, index_storage_dir; DFAISS_ERR_CONFIG where it was set
 * to differ in another. force: an index of that name in memory is replaced by what was saved, and lost where that turns out to be damaged or too
 * large; without it that is DFAISS_ERR_EXISTS. DFAISS_ERR_CHECKPOINT, DFAISS_ERR_IO. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_load_index(dfaiss_client_t *client, const char *index, const dfaiss_config_t *overrides, bool force,
                                                            dfaiss_error_t *err);

/* The configuration of an index in memory, whole: *config is the caller's (dfaiss_config_destroy). */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_get_config(dfaiss_client_t *client, const char *index, dfaiss_config_t **config,
                                                            dfaiss_error_t *err);
/* The names of the *count indexes in memory, in alphabetical order: *names is one block, malloc'ed and the caller's (free). */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_list_indexes(dfaiss_client_t *client, char ***names, int64_t *count, dfaiss_error_t *err);

/* ---- vectors ---- */

/* The types that components may have. */
typedef enum dfaiss_element { DFAISS_F32, DFAISS_F16, DFAISS_U8, DFAISS_I8 } dfaiss_element_t;

/* One typed attribute of all vectors of a batch, as declared under `attributes` in the configuration. The array that belongs to the declared type is
 * given, the others are NULL. */
typedef struct dfaiss_column {
    const char *name;
    const int64_t *integers;
    const double *floats;       /* NaN in it: no value */
    const char *const *strings; /* NULL in it: no value */
    const bool *booleans;
} dfaiss_column_t;

/* Vectors with what belongs to them. */
typedef struct dfaiss_batch {
    dfaiss_element_t element;
    int64_t n;
    int64_t dim;
    const void *vectors;            /* element[n][dim], row-major, finite */
    const int64_t *ids;             /* int64_t[n], 0 to 2^63 - 2, each once; NULL where the index assigns them */
    const void *metadata;           /* all vectors' metadata, one after the other; NULL: none */
    const uint64_t *metadata_ends;  /* uint64_t[n]: where each one's ends, ascending, 2^28 bytes at most each; NULL: none */
    const dfaiss_column_t *columns; /* attributes; those that are declared and not given come from the metadata where it is a JSON object, else have
                                       no value */
    int column_count;
} dfaiss_batch_t;

/* Adds vectors. When it returns they are in a server's memory and seen by every search begun afterwards. Everything is borrowed for the call.
 *
 *   ids_out  out, int64_t[n]: the ids that they got; may be NULL
 *
 * DFAISS_ERR_DATA (a component is not finite), DFAISS_ERR_ARG (another dimension; ids where none belong, or none where they do; an id negative or
 * twice; a column that is no attribute of the index): nothing is added then. An id that an earlier call added is not looked for: use dfaiss_update.
 * Blocks while the server is more than `buffer_bsz` vectors behind with indexing, at most long_timeout seconds. DFAISS_ERR_MEMORY where a server has
 * no room for them. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_add(dfaiss_client_t *client, const char *index, const dfaiss_batch_t *batch, int64_t *ids_out,
                                                     dfaiss_error_t *err);

/* Replaces the vectors of the ids in the batch, wherever they lie, and adds those that there were not. A search meanwhile finds an old or the new
 * vector of an id, one begun afterwards the new one alone. For indexes with own ids and with assigned ones (ids then are ids that were assigned).
 * Failures as of dfaiss_add, and then nothing has changed; only where memory runs out while old vectors are looked for, which the text says, may
 * they be there beside the new ones. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_update(dfaiss_client_t *client, const char *index, const dfaiss_batch_t *batch, dfaiss_error_t *err);

/* Removes the vectors of n >= 0 ids (in any order; those that there are not are passed over), or those that match a filter expression, as of
 * dfaiss_search; *removed (may be NULL) is how many there were. Searches begun afterwards do not find them; memory is freed by and by.
 * DFAISS_ERR_ARG: an id negative or twice, or an expression that is wrong (text and `where` say at which place). */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_remove_ids(dfaiss_client_t *client, const char *index, int64_t n, const int64_t *ids,
                                                            int64_t *removed, dfaiss_error_t *err);
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_remove_matching(dfaiss_client_t *client, const char *index, const char *filter, int64_t *removed,
                                                                 dfaiss_error_t *err);

/* ---- training and indexing ---- */

/* States of an index, in their order. Of all servers together: the one that they have in common; else TRAINING where any trains; else NOT_TRAINED
 * where any is untrained; else ADD. */
typedef enum dfaiss_state {
    DFAISS_NOT_TRAINED, /* vectors are kept, and searched exactly */
    DFAISS_TRAINING,
    DFAISS_ADD, /* trained; vectors are being indexed */
    DFAISS_TRAINED,
} dfaiss_state_t;

/* "NOT_TRAINED" and so on; "UNKNOWN" for a number that is no state. Static; thread-safe. */
DFAISS_API const char *dfaiss_state_name(dfaiss_state_t state);

/* Trains the index on vectors that were added: as many as help of a share train_ratio of them, or with train_num as many as that says. Index kinds
 * that need no training are trained from the start. Blocks until all servers are trained; the index can be searched, added to, saved and dropped
 * meanwhile. DFAISS_ERR_STATE (trained, or being trained), DFAISS_ERR_CONFIG (too few vectors), DFAISS_ERR_NOT_FOUND also where it is dropped
 * meanwhile. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_train(dfaiss_client_t *client, const char *index, dfaiss_error_t *err);
/* The same without waiting: returns when training has begun. How it ends, dfaiss_wait_state tells. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_train_start(dfaiss_client_t *client, const char *index, dfaiss_error_t *err);

/* The state of all servers together, now. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_get_state(dfaiss_client_t *client, const char *index, dfaiss_state_t *state, dfaiss_error_t *err);
/* Waits for a state, or a later one: at most timeout seconds, whatever the client's are (0: no limit but theirs for each look). DFAISS_ERR_TIMEOUT;
 * where the last training that had begun, or indexing, has failed: that failure. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_wait_state(dfaiss_client_t *client, const char *index, dfaiss_state_t state, double timeout,
                                                            dfaiss_error_t *err);

/* Waits until every vector added before is indexed. DFAISS_ERR_STATE where the index is not trained. Where indexing has failed for want of memory, it
 * is tried again. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_flush(dfaiss_client_t *client, const char *index, dfaiss_error_t *err);

/* ---- searching ---- */

typedef struct dfaiss_search_options {
    int64_t nprobe;     /* inverted lists probed, or efSearch of HNSW; 0: as configured (a range search: all lists); more than there are: all */
    const char *filter; /* an expression over attributes that hits must match; NULL: none */
    bool metadata;      /* bring the hits' metadata */
    bool embeddings;    /* bring the hits' vectors */
} dfaiss_search_options_t;

/* Searches the k nearest of each query, over one index or several at once, in any state.
 *
 *   indexes      in,  char *[index_count]: 1 to 1024 names; of the same metric where there are several
 *   nq, dim      in,  queries, at least 1, and their dimension, that of each index
 *   queries      in,  float[nq][dim], row-major, finite; borrowed for the call
 *   k            in,  1 to 2^20
 *   options      in,  NULL: all zero
 *   out          out, the caller's; dfaiss_result_destroy
 *
 * A filter is an expression over the attributes of the configuration, such as
 *   lang == "de" and (year >= 2019 or topic in ("physics", 'maths')) and not retracted and has(year)
 * with == != < <= > >= in, not in, and or not (&& || !), parentheses and has(). A vector without a value of an attribute fulfils no comparison
 * but != and "not in". A search with a filter finds k hits wherever k vectors match.
 *
 * DFAISS_ERR_ARG (another dimension; a filter that is wrong: text and `where` say at which place), DFAISS_ERR_DATA (a query is not finite),
 * DFAISS_ERR_UNSUPPORTED (this kind of index, which is named, cannot give vectors back that it has indexed). */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_search(dfaiss_client_t *client, int index_count, const char *const *indexes, int64_t nq, int64_t dim,
                                                        const float *queries, int64_t k, const dfaiss_search_options_t *options,
                                                        dfaiss_result_t **out, dfaiss_error_t *err);

/* Searches all vectors within a radius: squared L2 distances below it, or inner products above it (cosine: of the normalised vectors). Otherwise as
 * dfaiss_search, but that HNSW indexes have their codes scanned.
 *
 *   radius       in,  finite; a negative one is no mistake, and for L2 finds nothing
 *   limit        in,  1 to 2^20: hits that a query has at most, the best ones; dfaiss_result_truncated says where there were more
 *
 * DFAISS_ERR_UNSUPPORTED: this kind of index cannot do it (fast-scan, refine, ...); kind and call are named. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_range_search(dfaiss_client_t *client, int index_count, const char *const *indexes, int64_t nq,
                                                              int64_t dim, const float *queries, float radius, int64_t limit,
                                                              const dfaiss_search_options_t *options, dfaiss_result_t **out, dfaiss_error_t *err);

/* ---- calls under way ---- */

/* A search or an add that is under way; dfaiss_request_wait frees it, or the end of its client. Queries, and all arrays of a batch, stay lent to it,
 * and ids_out with them, until it has ended; names, options and columns do not. Requests of one client may end in any order. */
typedef struct dfaiss_request dfaiss_request_t;

/* As dfaiss_search and dfaiss_add, but they return when the request is on its way (an add may wait for a server that has too much under way). */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_search_start(dfaiss_client_t *client, int index_count, const char *const *indexes, int64_t nq,
                                                              int64_t dim, const float *queries, int64_t k, const dfaiss_search_options_t *options,
                                                              dfaiss_request_t **out, dfaiss_error_t *err);
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_add_start(dfaiss_client_t *client, const char *index, const dfaiss_batch_t *batch, int64_t *ids_out,
                                                           dfaiss_request_t **out, dfaiss_error_t *err);

/* Goes on with everything that is under way with this client, without blocking; *done: dfaiss_request_wait will not block. How the request has ended,
 * that tells, too: here DFAISS_ERR_ARG alone. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_request_test(dfaiss_request_t *request, bool *done, dfaiss_error_t *err);
/* Waits for the end of a request, gives its outcome and frees it, in any case: there is no second wait. *result (NULL for an add, or where nobody
 * wants it) is the caller's on success; dfaiss_result_destroy. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_request_wait(dfaiss_request_t *request, dfaiss_result_t **result, dfaiss_error_t *err);

/* ---- what the servers tell, and settings ---- */

/* Vectors of an index that searches can find; 0 for an index that there is not. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_get_ntotal(dfaiss_client_t *client, const char *index, int64_t *ntotal, dfaiss_error_t *err);
/* The ids of all of them, ascending: *ids int64_t[*n] is malloc'ed and the caller's (NULL for none). Where a vector's metadata are a JSON array with
 * an integer at the place `custom_meta_id_idx` of the configuration, that integer stands for its id. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_get_ids(dfaiss_client_t *client, const char *index, int64_t **ids, int64_t *n, dfaiss_error_t *err);
/* A server's centroids: *centroids float[*lists][*dim] is malloc'ed and the caller's; dim is that behind the index's transforms. The same on all
 * servers where training is shared. DFAISS_ERR_STATE (not trained), DFAISS_ERR_UNSUPPORTED (a kind without inverted lists). */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_get_centroids(dfaiss_client_t *client, const char *index, int server, float **centroids,
                                                               int64_t *lists, int64_t *dim, dfaiss_error_t *err);

/* Sets what searches of all clients with this index use from now on, and what a later save keeps: 1 to 2^20. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_set_nprobe(dfaiss_client_t *client, const char *index, int64_t nprobe, dfaiss_error_t *err);
/* Sets the threads of every server, for all indexes: 1 to 4096. Where one server cannot start them, others may have them. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_set_threads(dfaiss_client_t *client, int threads, dfaiss_error_t *err);

/* One server, and one index on it. Bytes and counts since the server's start or the index's load. */
typedef struct dfaiss_statistics {
    int server;
    int threads;
    dfaiss_state_t state;
    int64_t vectors;        /* that searches can find */
    int64_t buffered;       /* those of them not indexed yet */
    int64_t removed;        /* removed, and their memory not freed yet */
    int64_t queries;        /* searched */
    int64_t index_bytes;    /* codes, rows of lists, links */
    int64_t metadata_bytes; /* metadata, attributes and explicit ids */
    int64_t buffered_bytes; /* vectors not indexed yet */
    int64_t resident_bytes; /* of the whole process, now */
    int64_t resident_peak;  /* the most it ever was */
    int64_t sent_bytes;     /* by the server, to servers and clients */
    int64_t received_bytes;
    double imbalance; /* vectors here over the average of the servers; 0 for an empty index */
} dfaiss_statistics_t;

/* statistics dfaiss_statistics_t[dfaiss_client_servers] out, by server. index NULL: of the servers alone, fields of an index 0. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_get_statistics(dfaiss_client_t *client, const char *index, dfaiss_statistics_t *statistics,
                                                                dfaiss_error_t *err);

/* Shuts the servers down when what this client has under way has ended: what else is under way ends, indexes leave their memory without being saved,
 * and every later call of any client fails with DFAISS_ERR_STATE. The servers end when all clients have left the world; those that have connected are
 * disconnected. */
DFAISS_API DFAISS_CHECKED dfaiss_status_t dfaiss_shutdown(dfaiss_client_t *client, dfaiss_error_t *err);

#ifdef __cplusplus
}
#endif
#endif
