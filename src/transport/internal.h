/* What the files of this room share: the transport itself, messages on their way, and the table of MPI requests under way.
 *
 *   world.c     roles, create, destroy
 *   send.c      transport_send to what has left
 *   receive.c   posted receives to the queue of complete messages
 *   progress.c  the table of requests, polling them, what went wrong
 *   idle.c      waiting without burning a core
 */
#ifndef TRANSPORT_INTERNAL_H
#define TRANSPORT_INTERNAL_H

#include "transport/envelope.h"
#include "transport/transport.h"

enum {
    INLINE_LIMIT = 1 << 14, /* bytes of body and bulk that travel with the envelope */
    PACKET_LIMIT = ENVELOPE_BYTES + INLINE_LIMIT,
    PIECE_SIZE = 1 << 23, /* small enough that a slow transfer shows life often, large enough that a piece's handshake is nothing */
    RECEIVES = 8,         /* posted for envelopes */
    WINDOW = 4,           /* pieces under way of one message */
    ARRIVED_LIMIT = 256,  /* complete messages that wait for the caller, beyond which no more are taken in */
    SPARE_LIMIT = 64,     /* objects kept for the next message */
    TAG_ENVELOPE = 0,
};

/* Body and bulk of one message that follow the envelope, and how far they have been posted. */
typedef struct pieces {
    uint8_t *part[2]; /* NULL: received into nowhere */
    size_t size[2];
    size_t piece_size;
    int current;
    size_t offset; /* in the current part */
} pieces_t;

typedef struct outgoing {
    struct outgoing *next; /* among the spare or the finished ones */
    int destination;
    int tag;     /* of the pieces; 0 where nothing follows */
    int pending; /* requests under way */
    pieces_t pieces;
    void *body; /* owned copy of a body that follows in pieces */
    transport_done_t *done;
    void *context;
    size_t packet_size;
    uint8_t packet[PACKET_LIMIT];
} outgoing_t;

typedef struct incoming {
    struct incoming *next; /* among the spare or the arrived ones */
    transport_message_t message;
    int tag;
    int pending;
    size_t wanted; /* not 0: stands for a message that was refused, since so many bytes were not to be had */
    bool broken;   /* reported already: its pieces are received, since its sender waits for that, and thrown away */
    pieces_t pieces;
    void *nowhere; /* owned, piece_size bytes; where pieces go that found no memory */
} incoming_t;

typedef enum work { WORK_PACKET_IN, WORK_PIECE_IN, WORK_OUT } work_t;

/* What a request belongs to. */
typedef struct owner {
    work_t work;
    int length;   /* of a piece */
    void *object; /* incoming_t, outgoing_t, or the packet's memory */
} owner_t;

struct transport {
    MPI_Comm comm; /* own */
    int rank, size;
    int servers;
    int *number;  /* [size]: number of a rank among the servers or among the clients */
    bool *server; /* [size] */
    bool *gone;   /* [size]: a client that has said that it leaves */
    int clients_gone;
    int *ranks;  /* [size]: the servers, then the clients */
    int *hellos; /* what each rank said when it joined */
    bool joined; /* on all ranks: leaving is collective */

    /* The first RECEIVES entries are the receives for envelopes, posted or MPI_REQUEST_NULL; behind them everything else under way. */
    MPI_Request *requests;
    owner_t *owners;
    int *finished; /* out of MPI_Testsome, as statuses */
    MPI_Status *statuses;
    int count, capacity;

    uint8_t *packets; /* [RECEIVES][PACKET_LIMIT] */
    /* MPI fills receives in the order in which they were posted, but tells of them in the order of the table: they are posted and handled in turn. */
    int first_posted, posted; /* the receive whose turn is next, and how many from there on, round the table, are posted or held */
    struct {
        bool finished;
        MPI_Status status;
        int code;
    } held[RECEIVES]; /* finished, and not handled yet */
    incoming_t *arrived_first, *arrived_last;
    int arrived;
    incoming_t *spare_incoming;
    int spare_incomings;

    outgoing_t *spare_outgoing;
    int spare_outgoings;
    outgoing_t *finished_first, *finished_last; /* all sent: their done calls are due */
    int unsent;                                 /* outgoing messages that have not left */
    uint32_t piece_size;
    uint32_t last_tag;
    bool tag_used[ENVELOPE_TAG_LAST + 1];

    dfaiss_error_t complaint; /* for the next transport_progress; code DFAISS_OK: none */
    bool failed;              /* for good: MPI does not work */

    int core_sharers;   /* servers that may run on this rank's cores */
    bool crowded;       /* more ranks than cores on this node */
    bool active;        /* something happened since the last transport_idle */
    int64_t idle_since; /* clock_nanoseconds */
    int64_t nap;        /* nanoseconds */
    bool napped;        /* since the last poll */
    int waker;          /* descriptor that ends a nap when it is readable; -1: none */

    transport_counts_t counts;
};

/* ERR_MPI with the text of an MPI error code and the name of the call. */
dfaiss_status_t transport_mpi_error(int code, const char *call, dfaiss_error_t *err);

/* Fails the next transport_progress, the first complaint counting. For good: every later one too. */
void transport_complain(transport_t *transport, const dfaiss_error_t *error, bool for_good);

/* Room for `more` requests: transport_requests_add cannot fail after it. */
CHECKED dfaiss_status_t transport_requests_reserve(transport_t *transport, int more, dfaiss_error_t *err);
void transport_requests_add(transport_t *transport, MPI_Request request, owner_t owner);

/* The next piece, which counts as posted then; false where there is none. *address is NULL where the part has no memory. */
bool transport_pieces_next(pieces_t *pieces, uint8_t **address, int *length);

/* Handles the receives for envelopes that have finished, but none before one that was posted earlier. */
void transport_receive_finished(transport_t *transport);

/* Posts the receives for envelopes that are not posted, unless too many messages wait for the caller. */
CHECKED dfaiss_status_t transport_receive_post(transport_t *transport, dfaiss_error_t *err);
/* The receive of a piece has finished: code MPI_SUCCESS or what went wrong. */
void transport_receive_piece(transport_t *transport, incoming_t *incoming, int length, const MPI_Status *status, int code);
/* An empty one; NULL where there is no memory. */
incoming_t *transport_incoming_take(transport_t *transport);
void transport_incoming_release(transport_t *transport, incoming_t *incoming);
void transport_arrived_push(transport_t *transport, incoming_t *incoming);
/* *wanted: of incoming_t. */
bool transport_arrived_pop(transport_t *transport, transport_message_t *message, size_t *wanted);

/* Tells a server that this client leaves. */
CHECKED dfaiss_status_t transport_send_farewell(transport_t *transport, int rank, dfaiss_error_t *err);
/* A request of an outgoing message has finished. */
void transport_send_step(transport_t *transport, outgoing_t *outgoing);
/* Calls what was to be called when messages have left. */
void transport_send_finish(transport_t *transport);
void transport_outgoing_release(transport_t *transport, outgoing_t *outgoing);

/* Collective: finds out whether ranks share cores. */
CHECKED dfaiss_status_t transport_idle_prepare(transport_t *transport, dfaiss_error_t *err);

/* For tests: the size of the pieces that this rank sends, 1 to ENVELOPE_PIECE_LIMIT. */
void transport_set_piece_size(transport_t *transport, uint32_t bytes);

#endif
