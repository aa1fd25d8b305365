/* What a server tells of itself, and of one index on it; the answer to STATISTICS is one of these a server. */
#ifndef MESSAGE_STATISTICS_H
#define MESSAGE_STATISTICS_H

#include "message/message.h"

/* field of type int64_t */
#define STATISTICS_MAP(X)                                             \
    X(server)                                                         \
    X(threads)                                                        \
    X(rows)           /* of the index on this server */               \
    X(buffered)       /* those of them not indexed yet */             \
    X(removed)        /* removed, and their memory not freed yet */   \
    X(state)          /* index_state_t */                             \
    X(index_bytes)    /* codes, rows of lists, links */               \
    X(metadata_bytes) /* metadata and explicit ids */                 \
    X(buffered_bytes) /* vectors not indexed yet */                   \
    X(resident_bytes) /* of the process, now */                       \
    X(resident_peak)  /* the most it ever was */                      \
    X(file_bytes)     /* of the file that the last save wrote here */ \
    X(queries)        /* searched so far */                           \
    X(sent_bytes)     /* by the server, to servers and clients */     \
    X(received_bytes)                                                 \
    X(build_nanoseconds) /* the builder thread's, spent on indexing so far */

/* In the order in which an index goes through them, as dfaiss_state_t has them. */
typedef enum index_state { INDEX_NOT_TRAINED, INDEX_TRAINING, INDEX_ADD, INDEX_TRAINED } index_state_t;

typedef struct message_statistics {
#define STATISTICS_FIELD(name) int64_t name;
    STATISTICS_MAP(STATISTICS_FIELD)
#undef STATISTICS_FIELD
    dfaiss_error_t failure; /* of the last training, or of indexing; code DFAISS_OK: none */
} message_statistics_t;

void message_statistics_encode(const message_statistics_t *message, bytes_writer_t *out);
/* The reader has failed where it is malformed. */
void message_statistics_decode(bytes_reader_t *in, message_statistics_t *message);

#endif
