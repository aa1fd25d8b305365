/* Bringing the metadata and the vectors of hits from the servers that hold them: all servers are asked at once, each for a portion at a time. */
#ifndef CLIENT_FETCH_H
#define CLIENT_FETCH_H

#include "client/client_internal.h"
#include "client/result.h"

typedef struct fetch fetch_t;

/* What is brought, and of which indexes: incarnations uint64_t[index_count] are those that were searched. */
typedef struct fetch_wish {
    int index_count;
    char (*indexes)[MESSAGE_NAME];
    const uint64_t *incarnations;
    int64_t dim;
    uint8_t wanted; /* FETCH_METADATA, FETCH_EMBEDDINGS (message/fetch.h) or both */
} fetch_wish_t;

/* Everything but the wish itself is borrowed. Nothing is asked yet. */
CHECKED dfaiss_status_t fetch_create(dfaiss_client_t *client, const fetch_wish_t *wish, dfaiss_result_t *result, fetch_t **out, dfaiss_error_t *err);
/* Goes on as far as that goes without waiting; *done: all of it is in the result. */
CHECKED dfaiss_status_t fetch_advance(fetch_t *fetch, bool *done, dfaiss_error_t *err);
/* NULL is fine. */
void fetch_destroy(fetch_t *fetch);

#endif
