/* What travels: the kinds of messages and of operations.
 *
 * A client's request goes to one server and is answered by one MESSAGE_ANSWER with the same correlation number. Servers among themselves
 * use MESSAGE_SPREAD, which carries an operation down a tree of servers, and MESSAGE_GATHER, which carries its merged result back up.
 * Each message has a file of its own here, encoding beside decoding. Decoding never trusts a length; left-over bytes are an error.
 */
#ifndef MESSAGE_MESSAGE_H
#define MESSAGE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

enum { MESSAGE_NAME = 256 }; /* an index's name with its final zero */

/* kind, body */
#define MESSAGE_KIND_MAP(X) \
    X(CREATE)               \
    X(LOAD)                 \
    X(SAMPLE)               \
    X(TRAIN)                \
    X(TRAIN_START)          \
    X(CENTROIDS)            \
    X(ROWS)                 \
    X(ADD)                  \
    X(INPUT)                \
    X(INPUTS)               \
    X(FLUSH)                \
    X(SAVE)                 \
    X(DROP)                 \
    X(UPDATE)               \
    X(REMOVE)               \
    X(SEARCH)               \
    X(FETCH)                \
    X(STATISTICS)           \
    X(RESERVE_IDS)          \
    X(LIST)                 \
    X(GET_CONFIG)           \
    X(GET_IDS)              \
    X(SET_DIM)              \
    X(SET_NPROBE)           \
    X(SET_THREADS)          \
    X(SHUTDOWN)             \
    X(WISH)                 \
    X(INTERRUPTED)          \
    X(ANSWER)               \
    X(SPREAD)               \
    X(GATHER)

typedef enum message_kind {
#define MESSAGE_KIND_ENUM(name) MESSAGE_##name,
    MESSAGE_KIND_MAP(MESSAGE_KIND_ENUM)
#undef MESSAGE_KIND_ENUM
        MESSAGE_KIND_COUNT
} message_kind_t;

/* "SEARCH"; "?" for a number that is no kind. */
const char *message_kind_name(uint32_t kind);

/* ERR_PEER: a message of this kind was not understood. */
dfaiss_status_t message_malformed(message_kind_t kind, dfaiss_error_t *err);

/* ERR_MEMORY where a writer ran out of memory. */
CHECKED dfaiss_status_t message_written(const bytes_writer_t *out, message_kind_t kind, dfaiss_error_t *err);

#endif
