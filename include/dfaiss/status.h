/* What a call of dfaiss answers: a status, and optionally a text for people.
 *
 * Every fallible call returns a dfaiss_status_t and takes an optional dfaiss_error_t as its last argument. On failure the status says what class
 * of failure it was and the error names the file, key, value or rank and what was expected. On success the error is not touched.
 */
#ifndef DFAISS_STATUS_H
#define DFAISS_STATUS_H

#include <dfaiss/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* name, meaning */
#define DFAISS_STATUS_MAP(X)                                                \
    X(OK, "done")                                                           \
    X(ERR_ARG, "an argument is out of its range")                           \
    X(ERR_CONFIG, "the configuration is wrong")                             \
    X(ERR_NOT_FOUND, "no such file or index")                               \
    X(ERR_EXISTS, "exists already")                                         \
    X(ERR_DATA, "an input file is damaged or holds wrong values")           \
    X(ERR_CHECKPOINT, "a checkpoint is damaged")                            \
    X(ERR_IO, "reading or writing a file failed")                           \
    X(ERR_SPACE, "no space is left on a device")                            \
    X(ERR_MEMORY, "not enough memory")                                      \
    X(ERR_UNSUPPORTED, "this kind of index or this build cannot do it")     \
    X(ERR_STATE, "the index is not in a state that allows it")              \
    X(ERR_FAISS, "faiss reported an error")                                 \
    X(ERR_MPI, "MPI reported an error")                                     \
    X(ERR_PEER, "a peer was lost or sent something that is not understood") \
    X(ERR_TIMEOUT, "a time-out ran out")                                    \
    X(ERR_INTERRUPTED, "stopped by a signal")                               \
    X(ERR_INTERNAL, "a defect of dfaiss")

typedef enum dfaiss_status {
#define DFAISS_STATUS_ENUM(name, meaning) DFAISS_##name,
    DFAISS_STATUS_MAP(DFAISS_STATUS_ENUM)
#undef DFAISS_STATUS_ENUM
        DFAISS_STATUS_COUNT
} dfaiss_status_t;

/* The text of a failure: `text` for people, `where` the file (with row), key or rank that it is about (may be empty). */
typedef struct dfaiss_error {
    dfaiss_status_t code;
    char text[768];
    char where[256];
} dfaiss_error_t;

/* "ERR_ARG" for DFAISS_ERR_ARG; "UNKNOWN" for a number that is no status. Static; thread-safe. */
DFAISS_API const char *dfaiss_status_name(dfaiss_status_t status);

/* What a status means, in a few words. Static; thread-safe. */
DFAISS_API const char *dfaiss_status_meaning(dfaiss_status_t status);

#ifdef __cplusplus
}
#endif
#endif
