/* A client's end of a connection to the gateway of servers: what transport/transport.h is to a client rank. One thread. */
#ifndef GATEWAY_REMOTE_H
#define GATEWAY_REMOTE_H

#include <stdbool.h>

#include "transport/transport.h"

typedef struct remote remote_t;

/* Connects to the gateway that a listen file names; waits at most some seconds, also where it has no room for one more. ERR_NOT_FOUND, ERR_DATA (the
 * file); ERR_PEER: nobody listens there, or what does has not written this file, or is another version. */
CHECKED dfaiss_status_t remote_connect(const char *listen_file, remote_t **out, dfaiss_error_t *err);
/* What was not sent is let go of. NULL is fine. */
void remote_destroy(remote_t *remote);

int remote_servers(const remote_t *remote);
int remote_lead(const remote_t *remote);   /* the server that takes this client's searches */
int remote_number(const remote_t *remote); /* of this client, which no other has */

/* As transport_send, transport_progress, transport_failed and transport_idle say, for messages to a server's number. ERR_ARG: larger than the gateway
 * takes. The connection is lost for good with ERR_PEER, or with what the gateway says as it ends it (ERR_STATE: the servers were shut down). */
CHECKED dfaiss_status_t remote_send(remote_t *remote, int server, uint32_t kind, uint64_t correlation, const void *body, size_t body_size,
                                    const void *bulk, size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err);
CHECKED dfaiss_status_t remote_progress(remote_t *remote, transport_message_t *message, bool *arrived, dfaiss_error_t *err);
bool remote_failed(const remote_t *remote);
void remote_idle(remote_t *remote);

#endif
