/* The gateway: clients that are no ranks of the servers' world reach the servers through one of them, over TCP. It knows nothing of what they ask: it
 * gives each request a correlation number of its own, hands it to whoever sends messages to servers, and brings the answer back.
 *
 * Whoever has the token of the listen file is a client like any other. Nobody else gets further than 32 bytes. What anybody can make the gateway hold
 * is bounded: connections, bytes of requests on their way, answers that nobody takes, and time without a sign of life. Nothing is encrypted.
 *
 * It is polled: one thread, which must call gateway_advance whenever gateway_descriptor is readable, and as long as that has done something.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include <stdbool.h>

#include "transport/transport.h"

typedef struct gateway gateway_t;

/* What clients may take up. Seconds 0: no limit. */
typedef struct gateway_limits {
    int connections;         /* of clients, at once */
    int strangers;           /* connections without a token so far; the oldest makes room for one more */
    int under_way;           /* requests of a client that are not answered; beyond, it is not listened to */
    uint64_t message_bytes;  /* of one request */
    size_t held_bytes;       /* of requests that come in or go out to servers, all together; one alone may be larger */
    size_t unsent_bytes;     /* of answers that are not taken, all together; beyond, who has most of them is ended */
    double greeting_seconds; /* for a stranger's token */
    double stall_seconds;    /* in the middle of a message, or of an answer that is not taken */
    double idle_seconds;     /* of a client that asks nothing */
} gateway_limits_t;

gateway_limits_t gateway_usual_limits(void);

/* Sends a request to a server, as transport_send does: the body is copied, the bulk borrowed until `done` is called; the source does not count. The
 * upper half of the correlation is the client's number. */
typedef dfaiss_status_t gateway_forward_t(void *context, int server, const transport_message_t *message, transport_done_t *done, void *done_context,
                                          dfaiss_error_t *err);

/* Is that what a client may ask? Anything else is what servers say among themselves, who would take it for another server's. */
typedef bool gateway_takes_t(uint32_t kind);

typedef struct gateway_options {
    const char *listen_file; /* copied, as `bind` */
    const char *bind;        /* name or address to listen on; NULL: loopback */
    int port;                /* 0: any that is free */
    int servers;
    int lead; /* that takes the searches of its clients */
    gateway_limits_t limits;
    gateway_takes_t *takes;
    gateway_forward_t *forward;
    void *context; /* of forward */
} gateway_options_t;

/* Listens from now on. ERR_ARG (address), ERR_EXISTS (the listen file would replace something else), ERR_IO. */
CHECKED dfaiss_status_t gateway_open(const gateway_options_t *options, gateway_t **out, dfaiss_error_t *err);
/* Ends all connections and removes the listen file. NULL is fine. */
void gateway_destroy(gateway_t *gateway);
/* Writes the listen file, once, and not when it closes already: clients may come. */
CHECKED dfaiss_status_t gateway_publish(gateway_t *gateway, dfaiss_error_t *err);
int gateway_descriptor(const gateway_t *gateway);

/* One turn; true where something happened. */
bool gateway_advance(gateway_t *gateway);
/* The answer to a request that was forwarded; body and bulk are taken over. */
void gateway_answer(gateway_t *gateway, transport_message_t *message);

/* Nobody comes any more, and clients are told why: at once, or each when it is answered. The first call counts. */
void gateway_close(gateway_t *gateway, const dfaiss_error_t *reason, bool at_once);
/* No client is left, nor anything that one has asked. */
bool gateway_quiet(const gateway_t *gateway);

/* Clients, those included that are being told why they are disconnected. */
int gateway_clients(const gateway_t *gateway);
/* Bytes that clients were sent and have sent. */
void gateway_traffic(const gateway_t *gateway, uint64_t *sent, uint64_t *received);

#endif
