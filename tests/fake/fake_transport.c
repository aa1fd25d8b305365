/* transport/transport.h for the ranks of a fake world: every rank has an inbox, and a list of what it has lent and may have back. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/random.h"
#include "fake_world.h"
#include "transport/transport.h"

enum {
    COPIED_BULK = 256,          /* what is no larger is copied when it is sent */
    IDLE_NANOSECONDS = 1000000, /* a rest lasts no longer, since a builder that ends wakes nobody */
    OVERTAKEN_ONE_IN = 2,
};

/* A message on its way; afterwards, the way back of what was lent. */
typedef struct parcel {
    struct parcel *next;
    int source;
    uint32_t kind;
    uint64_t correlation;
    void *body; /* owned until it is taken */
    size_t body_size;
    const void *bulk; /* the sender's where `lent`, else owned */
    size_t bulk_size;
    bool lent;
    transport_done_t *done;
    void *context;
} parcel_t;

struct transport {
    fake_world_t *world;
    int rank;
    bool joined, server;
    random_state_t random;
    int unreturned; /* lent and not back yet */
    int gone;       /* clients that have left, as far as this rank knows */
    transport_counts_t counts;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t arrived;
    parcel_t *inbox;
    parcel_t *returned;
    int leaving; /* clients that have left, and are not counted yet */
};

/* The transport of a rank is a part of its world from the beginning; ranks make it theirs. */
struct fake_rank {
    transport_t transport;
};

struct fake_world {
    int ranks;
    struct fake_rank *rank;
    pthread_mutex_t lock; /* of what follows, and of the ranks' roles until all have joined */
    pthread_cond_t changed;
    int joined, drained;
};

static void *need(void *memory) {
    if (!memory) {
        fputs("fake world: no memory\n", stderr);
        abort();
    }
    return memory;
}

fake_world_t *fake_world_create(int ranks, uint64_t seed) {
    fake_world_t *world = need(calloc(1, sizeof *world));
    world->ranks = ranks;
    world->rank = need(calloc((size_t)ranks, sizeof *world->rank));
    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->changed, NULL);
    for (int i = 0; i < ranks; i++) {
        transport_t *transport = &world->rank[i].transport;
        transport->world = world;
        transport->rank = i;
        transport->random = random_stream(seed, (uint64_t)i);
        pthread_mutex_init(&transport->lock, NULL);
        pthread_cond_init(&transport->arrived, NULL);
    }
    return world;
}

void fake_world_destroy(fake_world_t *world) {
    for (int i = 0; i < world->ranks; i++) {
        pthread_cond_destroy(&world->rank[i].transport.arrived);
        pthread_mutex_destroy(&world->rank[i].transport.lock);
    }
    pthread_cond_destroy(&world->changed);
    pthread_mutex_destroy(&world->lock);
    free(world->rank);
    free(world);
}

MPI_Comm fake_world_rank(fake_world_t *world, int rank) {
    return &world->rank[rank];
}

/* ---- ranks and roles ---- */

dfaiss_status_t transport_create(MPI_Comm rank, bool server, transport_t **out, dfaiss_error_t *err) {
    transport_t *transport = &rank->transport;
    fake_world_t *world = transport->world;
    pthread_mutex_lock(&world->lock);
    transport->server = server;
    transport->joined = true;
    world->joined++;
    pthread_cond_broadcast(&world->changed);
    while (world->joined < world->ranks)
        pthread_cond_wait(&world->changed, &world->lock);
    pthread_mutex_unlock(&world->lock);
    if (transport_servers(transport) == 0)
        return error_set(err, DFAISS_ERR_ARG, "servers", "none of the %d ranks is a server; at least one is needed", world->ranks);
    *out = transport;
    return DFAISS_OK;
}

int transport_rank(const transport_t *transport) {
    return transport->rank;
}

bool transport_is_server(const transport_t *transport, int rank) {
    return transport->world->rank[rank].transport.server;
}

/* How many of the ranks before `end` have this role. */
static int count_role(const transport_t *transport, bool server, int end) {
    int count = 0;
    for (int i = 0; i < end; i++)
        count += transport_is_server(transport, i) == server;
    return count;
}

static int rank_of(const transport_t *transport, bool server, int number) {
    for (int i = 0; i < transport->world->ranks; i++)
        if (transport_is_server(transport, i) == server && number-- == 0)
            return i;
    return -1;
}

int transport_servers(const transport_t *transport) {
    return count_role(transport, true, transport->world->ranks);
}

int transport_clients(const transport_t *transport) {
    return count_role(transport, false, transport->world->ranks);
}

int transport_server_rank(const transport_t *transport, int server) {
    return rank_of(transport, true, server);
}

int transport_client_rank(const transport_t *transport, int client) {
    return rank_of(transport, false, client);
}

int transport_number(const transport_t *transport) {
    return count_role(transport, transport->server, transport->rank);
}

int transport_core_sharers(const transport_t *transport) {
    return transport_servers(transport);
}

transport_counts_t transport_counts(const transport_t *transport) {
    return transport->counts;
}

/* ---- messages ---- */

void transport_message_clear(transport_message_t *message) {
    free(message->body);
    memory_unmap(message->bulk, message->bulk_size);
    message->body = message->bulk = NULL;
    message->body_size = message->bulk_size = 0;
}

static void put(transport_t *transport, parcel_t **list, parcel_t *parcel) {
    pthread_mutex_lock(&transport->lock);
    LIST_APPEND(*list, parcel);
    pthread_cond_signal(&transport->arrived);
    pthread_mutex_unlock(&transport->lock);
}

static void *copy(const void *from, size_t size) {
    return size ? memcpy(need(malloc(size)), from, size) : NULL;
}

/* A bulk in memory_map memory, as those who take it over free it. */
static void *map_copy(const void *from, size_t size) {
    return size ? memcpy(need(memory_map(size)), from, size) : NULL;
}

dfaiss_status_t transport_send(transport_t *transport, int rank, uint32_t kind, uint64_t correlation, const void *body, size_t body_size,
                               const void *bulk, size_t bulk_size, transport_done_t *done, void *context, dfaiss_error_t *err) {
    if (rank < 0 || rank >= transport->world->ranks)
        return error_set(err, DFAISS_ERR_ARG, "rank", "a message to rank %d; there are ranks 0 to %d", rank, transport->world->ranks - 1);
    parcel_t *parcel = need(malloc(sizeof *parcel));
    bool lent = bulk_size > COPIED_BULK;
    *parcel = (parcel_t){
        .source = transport->rank,
        .kind = kind,
        .correlation = correlation,
        .body = copy(body, body_size),
        .body_size = body_size,
        .bulk = lent ? bulk : map_copy(bulk, bulk_size),
        .bulk_size = bulk_size,
        .lent = lent,
        .done = lent ? done : NULL,
        .context = context,
    };
    transport->unreturned += lent;
    transport->counts.sent_messages += rank != transport->rank;
    transport->counts.sent_bytes += rank != transport->rank ? body_size + bulk_size : 0;
    put(&transport->world->rank[rank].transport, &transport->world->rank[rank].transport.inbox, parcel);
    if (!lent && done)
        done(context);
    return DFAISS_OK;
}

/* The next message in the order in which they were sent, but that what was lent may take longer. */
static parcel_t *take(transport_t *transport) {
    pthread_mutex_lock(&transport->lock);
    parcel_t *parcel = transport->inbox;
    while (parcel && parcel->lent && random_below(&transport->random, OVERTAKEN_ONE_IN) == 0)
        parcel = parcel->next;
    if (parcel)
        LIST_REMOVE(transport->inbox, parcel);
    pthread_mutex_unlock(&transport->lock);
    return parcel;
}

static bool receive(transport_t *transport, transport_message_t *message) {
    parcel_t *parcel = take(transport);
    if (!parcel)
        return false;
    *message = (transport_message_t){
        .source = parcel->source,
        .kind = parcel->kind,
        .correlation = parcel->correlation,
        .body = parcel->body,
        .body_size = parcel->body_size,
        .bulk = parcel->lent ? map_copy(parcel->bulk, parcel->bulk_size) : (void *)(uintptr_t)parcel->bulk,
        .bulk_size = parcel->bulk_size,
    };
    transport->counts.received_messages += parcel->source != transport->rank;
    transport->counts.received_bytes += parcel->source != transport->rank ? parcel->body_size + parcel->bulk_size : 0;
    if (parcel->lent) {
        transport_t *sender = &transport->world->rank[parcel->source].transport;
        put(sender, &sender->returned, parcel);
    } else {
        free(parcel);
    }
    return true;
}

/* What others have told this rank besides messages. */
static void finish_posted(transport_t *transport) {
    pthread_mutex_lock(&transport->lock);
    parcel_t *parcel = transport->returned;
    transport->returned = NULL;
    transport->gone += transport->leaving;
    transport->leaving = 0;
    pthread_mutex_unlock(&transport->lock);
    for (parcel_t *next; parcel; parcel = next) {
        next = parcel->next;
        transport->unreturned--;
        if (parcel->done)
            parcel->done(parcel->context);
        free(parcel);
    }
}

dfaiss_status_t transport_progress(transport_t *transport, transport_message_t *message, bool *arrived, dfaiss_error_t *err) {
    (void)err;
    finish_posted(transport);
    *arrived = receive(transport, message);
    return DFAISS_OK;
}

void transport_idle(transport_t *transport) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += IDLE_NANOSECONDS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&transport->lock);
    if (!transport->inbox && !transport->returned && transport->leaving == 0)
        (void)pthread_cond_timedwait(&transport->arrived, &transport->lock, &until);
    pthread_mutex_unlock(&transport->lock);
}

/* A rest is short anyway. */
void transport_set_waker(transport_t *transport, int descriptor) {
    (void)transport;
    (void)descriptor;
}

void transport_busy(transport_t *transport) {
    (void)transport;
}

bool transport_failed(const transport_t *transport) {
    (void)transport;
    return false;
}

/* ---- leaving ---- */

int transport_clients_gone(const transport_t *transport) {
    return transport->gone;
}

static void tell_servers(transport_t *transport) {
    for (int i = 0; i < transport_servers(transport); i++) {
        transport_t *server = &transport->world->rank[transport_server_rank(transport, i)].transport;
        pthread_mutex_lock(&server->lock);
        server->leaving++;
        pthread_cond_signal(&server->arrived);
        pthread_mutex_unlock(&server->lock);
    }
}

/* Takes what still comes, until what this rank has sent is gone. */
static void drop_messages(transport_t *transport) {
    transport_message_t message;
    for (bool arrived = true; arrived || transport->unreturned > 0;) {
        finish_posted(transport);
        arrived = receive(transport, &message);
        if (arrived)
            transport_message_clear(&message);
        else
            transport_idle(transport);
    }
}

void transport_destroy(transport_t *transport) {
    if (!transport)
        return;
    fake_world_t *world = transport->world;
    bool all = false, counted = false;
    if (!transport->server)
        tell_servers(transport);
    while (!all) {
        drop_messages(transport);
        pthread_mutex_lock(&world->lock);
        world->drained += !counted;
        counted = true;
        all = world->drained == world->ranks;
        pthread_mutex_unlock(&world->lock);
    }
    drop_messages(transport);
}
