/* What carries a client's messages to the servers and their answers back: MPI for a rank of the servers' world, TCP to their gateway for
 * anybody else. The rest of the room knows servers by their numbers alone.
 *
 * All calls come from one thread.
 */
#ifndef CLIENT_CARRIER_H
#define CLIENT_CARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include <dfaiss/world.h>

#include "base/error.h"
#include "transport/transport.h"

typedef struct carrier_type carrier_type_t;

typedef struct carrier {
    const carrier_type_t *type;
    void *object; /* of the type */
    int servers;
    int lead;                  /* the server that takes this client's searches */
    int number;                /* of the client, which others do not have: what different clients had better do with different servers goes by it */
    uint64_t last_correlation; /* of questions that were asked before there was this client */
} carrier_t;

/* Takes the world for this client; carrier_leave gives it back. ERR_STATE where it is a server's, or taken. */
CHECKED dfaiss_status_t carrier_of_world(dfaiss_world_t *world, carrier_t *out, dfaiss_error_t *err);
/* Connects to the gateway of a listen file (gateway/remote.h). */
CHECKED dfaiss_status_t carrier_of_gateway(const char *listen_file, carrier_t *out, dfaiss_error_t *err);
/* last_correlation: of the client's questions. */
void carrier_leave(carrier_t *carrier, uint64_t last_correlation);

/* As transport_send, transport_progress, transport_failed and transport_idle say (transport/transport.h), but that a message goes to a server's
 * number. */
CHECKED dfaiss_status_t carrier_send(const carrier_t *carrier, int server, uint32_t kind, uint64_t correlation, const void *body, size_t body_size,
                                     const void *bulk, size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err);
CHECKED dfaiss_status_t carrier_progress(const carrier_t *carrier, transport_message_t *message, bool *arrived, dfaiss_error_t *err);
bool carrier_failed(const carrier_t *carrier);
void carrier_idle(const carrier_t *carrier);

#endif
