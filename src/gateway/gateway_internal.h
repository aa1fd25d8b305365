/* What the files of the gateway share.
 *
 *   gateway.c     listening, the turn, what is looked after now and then
 *   connection.c  one connection: greeting, requests in, answers out
 *   route.c       requests under way, and who waits for their answers
 */
#ifndef GATEWAY_GATEWAY_INTERNAL_H
#define GATEWAY_GATEWAY_INTERNAL_H

#include "gateway/gateway.h"
#include "gateway/stream.h"

typedef enum stage {
    STAGE_GREETING, /* no token so far */
    STAGE_OPEN,
    STAGE_LEAVING, /* a goodbye is on its way out */
    STAGE_GONE,    /* to be freed */
} stage_t;

typedef struct connection {
    struct connection *next;
    stage_t stage;
    int descriptor;
    uint32_t number; /* of the client, from 1 */
    bool readable;   /* there may be more */
    bool hung_up;
    uint8_t hello[FRAME_HELLO];
    size_t got;       /* of the hello */
    stream_t *stream; /* owns the descriptor then; NULL: greeting */
    size_t reserved;  /* bytes of the message that comes in, counted among the held ones */
    int under_way;    /* requests that are not answered */
    int64_t came_at;  /* clock_nanoseconds; or when it was told to leave */
    int64_t heard_at; /* the last byte came in, or an answer went out whole */
    int64_t took_at;  /* the last byte went out, or there was nothing to send */
} connection_t;

/* A request that a server works on. */
typedef struct route {
    connection_t *connection; /* NULL: gone */
    uint64_t correlation;     /* the client's */
    uint32_t number;          /* of the client */
    uint32_t kind;
    bool used;
    bool acknowledged; /* a second answer is to come, which only the client waits for */
    size_t next_free;
} route_t;

/* The bulk of a request on its way to a server. */
typedef struct transit {
    struct transit *next;
    gateway_t *gateway; /* NULL: gone */
    void *bulk;
    size_t bulk_size;
    size_t held;
} transit_t;

struct gateway {
    gateway_limits_t limits;
    gateway_takes_t *takes;
    gateway_forward_t *forward;
    void *context;
    int servers;
    int lead;

    char *path; /* of the listen file */
    listen_file_t file;
    bool published;
    bool closing;
    bool at_once;          /* whatever clients still wait for */
    dfaiss_error_t reason; /* of closing */
    int listener;          /* -1: closed */
    int events;            /* epoll */
    bool acceptable;
    int64_t accept_at; /* not before, since there were no descriptors left */

    connection_t *connections;
    int clients; /* that have shown the token, and are not gone */
    int strangers;
    uint32_t last_number;

    route_t *routes;
    size_t route_capacity;
    size_t free_route; /* the first; route_capacity: none */
    size_t unanswered; /* routes whose request nobody has answered */
    transit_t *transits;
    size_t held;
    uint64_t sent, received; /* bytes */
    int64_t looked_at;
};

/* ---- connections ---- */

/* A new one, of an accepted socket, which is closed on failure. */
void connection_accept(gateway_t *gateway, int descriptor, int64_t now);
/* Takes what has come and sends what waits. True where something happened. */
bool connection_advance(gateway_t *gateway, connection_t *connection, int64_t now);
/* Ends it where it has been silent for too long. */
void connection_look_after(gateway_t *gateway, connection_t *connection, int64_t now);
/* Queues an answer for its client; takes over body and bulk. */
void connection_answer(gateway_t *gateway, connection_t *connection, uint64_t correlation, transport_message_t *message);
/* Tells the client why, and ends the connection when that has gone. */
void connection_dismiss(gateway_t *gateway, connection_t *connection, dfaiss_status_t status, const dfaiss_error_t *error);
/* Ends it at once; connection_free later. */
void connection_drop(gateway_t *gateway, connection_t *connection);
void connection_free(connection_t *connection);

/* ---- routes ---- */

/* Hands a whole request on; what it holds is in connection->reserved. Takes over body and bulk. */
void route_request(gateway_t *gateway, connection_t *connection, transport_message_t *message);
/* Nobody waits for the answers to its requests any more. */
void routes_abandon(gateway_t *gateway, const connection_t *connection);
void routes_clear(gateway_t *gateway);

#endif
