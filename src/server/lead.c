/* SEARCH at a lead: queries of clients are put into tiles, each an operation of all servers; small requests of several clients for the same index and
 * the same parameters share one. A few tiles are under way at a time, so that broadcast, search and reduction of different tiles overlap. */
#include <stdlib.h>
#include <string.h>

#include "base/element.h"
#include "base/memory.h"
#include "filter/expression.h"
#include "message/search.h"
#include "server/server_internal.h"

enum {
    TILE_QUERIES = 256,
    TILE_HIT_BYTES = 8 << 20, /* bounds queries x k where k is large */
    HIT_BYTES_UNASKED = 64 << 20,
    TILES_UNDER_WAY = 4,
    TILES_OF_ONE_CLIENT = 2, /* so that one with many queries, in one request or in several, leaves room for another's few */
};

_Static_assert((int)MESSAGE_SEARCH_FILTER == (int)FILTER_BYTES, "a filter that may be asked for can travel");

/* A client's request while it is worked on. */
typedef struct lead_request {
    struct lead_request *next;
    request_t *request;
    message_search_t search;
    message_found_t found;
    int64_t next_query; /* the first that is in no tile yet */
    int64_t answered;
    int tiles;  /* under way */
    void *hits; /* topk block of all its queries */
    size_t hit_bytes;
    dfaiss_status_t status;
    dfaiss_error_t error;
} lead_request_t;

/* Queries first to first + n - 1 of a request, which stand in a tile from `at` on. */
typedef struct tile_part {
    lead_request_t *request;
    int64_t first;
    int64_t n;
    int64_t at;
} tile_part_t;

typedef struct tile {
    lead_t *lead;
    int64_t nq;
    int64_t k;
    uint64_t incarnation;
    uint64_t updates;
    int part_count;
    tile_part_t parts[TILE_QUERIES];
} tile_t;

struct lead {
    lead_request_t *requests;
    tile_t *under_way[TILES_UNDER_WAY]; /* NULL: room for one more */
};

dfaiss_status_t lead_create(lead_t **out, dfaiss_error_t *err) {
    lead_t *lead = calloc(1, sizeof *lead);
    if (!lead)
        return error_memory(err, sizeof *lead, "searches");
    *out = lead;
    return DFAISS_OK;
}

static void free_lead_request(lead_request_t *asked) {
    memory_unmap(asked->hits, asked->hit_bytes);
    free(asked);
}

bool lead_idle(const lead_t *lead) {
    for (int i = 0; i < TILES_UNDER_WAY; i++) {
        if (lead->under_way[i])
            return false;
    }
    return !lead->requests;
}

void lead_destroy(lead_t *lead) {
    while (lead && lead->requests) {
        lead_request_t *asked = lead->requests;
        lead->requests = asked->next;
        transport_message_clear(&asked->request->message);
        free(asked->request);
        free_lead_request(asked);
    }
    free(lead);
}

/* Checked here for each client: in a tile the queries of one would fail those of the others. */
static dfaiss_status_t check_queries(const hosted_t *hosted, const message_search_t *search, const float *queries, dfaiss_error_t *err) {
    int64_t dim = shard_config(hosted->shard)->dim;
    if (search->dim != dim && dim != 0)
        return error_set(err, DFAISS_ERR_ARG, hosted->name, "queries have dimension %lld; index '%s' has %lld", (long long)search->dim, hosted->name,
                         (long long)dim);
    dim = search->dim;
    size_t components = (size_t)(search->nq * dim);
    size_t bad = element_first_not_finite(ELEMENT_f32, queries, components);
    if (bad < components)
        return error_set(err, DFAISS_ERR_DATA, hosted->name, "component %zu of query %zu is NaN or infinite", bad % (size_t)dim, bad / (size_t)dim);
    return DFAISS_OK;
}

/* Mapping takes no memory yet: where an answer is large, what is free is looked at first, or filling it in would end the server. */
static dfaiss_status_t take_memory_for_hits(lead_request_t *asked, dfaiss_error_t *err) {
    size_t bytes;
    if (!topk_bytes(asked->search.nq, asked->search.k, &bytes))
        return error_set(err, DFAISS_ERR_ARG, "k", "%lld queries with k %lld: the answer does not fit", (long long)asked->search.nq,
                         (long long)asked->search.k);
    size_t available = bytes > HIT_BYTES_UNASKED ? memory_available() : SIZE_MAX;
    if (bytes > available)
        return error_set(err, DFAISS_ERR_MEMORY, "k", "the hits of %lld queries with k %lld need %zu bytes of memory; the server has %zu free",
                         (long long)asked->search.nq, (long long)asked->search.k, bytes, available);
    asked->hits = memory_map(bytes);
    asked->hit_bytes = asked->hits ? bytes : 0;
    return asked->hits ? DFAISS_OK : error_memory(err, bytes, "the hits of a search");
}

static dfaiss_status_t make_lead_request(server_t *server, request_t *request, lead_request_t **out, dfaiss_error_t *err) {
    transport_message_t *message = &request->message;
    lead_request_t *asked = calloc(1, sizeof *asked);
    if (!asked)
        return error_memory(err, sizeof *asked, "a search");
    hosted_t *hosted = NULL;
    dfaiss_status_t status = message_search_decode(message->body, message->body_size, message->bulk_size, &asked->search, err);
    if (status == DFAISS_OK)
        status = hosted_get(server, asked->search.index, &hosted, err);
    if (status == DFAISS_OK)
        status = check_queries(hosted, &asked->search, message->bulk, err);
    if (status == DFAISS_OK && asked->search.filter)
        status = shard_check_filter(hosted->shard, asked->search.filter, asked->search.filter_size, err);
    if (status == DFAISS_OK && asked->search.has_radius)
        status = shard_check_radius(hosted->shard, err);
    if (status == DFAISS_OK)
        status = take_memory_for_hits(asked, err);
    if (status != DFAISS_OK) {
        free_lead_request(asked);
        return status;
    }
    config_metric_t metric = shard_config(hosted->shard)->metric;
    asked->search.incarnation = hosted->incarnation;
    asked->found = (message_found_t){.incarnation = hosted->incarnation, .metric = (uint8_t)metric, .larger_is_better = metric != CONFIG_METRIC_l2};
    asked->request = request;
    *out = asked;
    return DFAISS_OK;
}

void request_search(server_t *server, request_t *request) {
    dfaiss_error_t error = {0};
    lead_request_t *asked = NULL;
    dfaiss_status_t status = make_lead_request(server, request, &asked, &error);
    if (status != DFAISS_OK) {
        request_answer(server, request, status, &error, NULL, NULL, 0);
        return;
    }
    LIST_APPEND(server->lead->requests, asked);
}

/* ---- tiles come back ---- */

/* Where a tile that is under way stands, or with NULL where another may; NULL where there is no such place. */
static tile_t **tile_place(lead_t *lead, const tile_t *tile) {
    for (int i = 0; i < TILES_UNDER_WAY; i++) {
        if (lead->under_way[i] == tile)
            return &lead->under_way[i];
    }
    return NULL;
}

static void answer_if_complete(server_t *server, lead_request_t *asked) {
    bool all = asked->answered == asked->search.nq;
    bool failed = asked->status != DFAISS_OK && asked->tiles == 0;
    if (!all && !failed)
        return;
    LIST_REMOVE(server->lead->requests, asked);
    void *hits = asked->status == DFAISS_OK ? asked->hits : NULL;
    if (hits)
        asked->hits = NULL;
    bytes_writer_t body = {0};
    message_found_encode(&asked->found, &body);
    request_answer(server, asked->request, asked->status, &asked->error, &body, hits, hits ? asked->hit_bytes : 0);
    bytes_writer_destroy(&body);
    free_lead_request(asked);
}

static void copy_part(const tile_t *tile, const tile_part_t *part, void *bulk) {
    topk_t from = topk_view(bulk, tile->nq, tile->k);
    topk_t into = topk_view(part->request->hits, part->request->search.nq, tile->k);
    size_t begin = (size_t)(part->at * tile->k), to = (size_t)(part->first * tile->k), hits = (size_t)(part->n * tile->k);
    memcpy(into.ids + to, from.ids + begin, hits * sizeof *into.ids);
    memcpy(into.rows + to, from.rows + begin, hits * sizeof *into.rows);
    memcpy(into.scores + to, from.scores + begin, hits * sizeof *into.scores);
    memcpy(into.servers + to, from.servers + begin, hits * sizeof *into.servers);
}

static void tile_ended(server_t *server, operation_t *operation, void *context) {
    tile_t *tile = context;
    dfaiss_error_t error = operation->error;
    dfaiss_status_t status = operation->status;
    if (status == DFAISS_OK && !operation->bulk)
        status = error_set(&error, DFAISS_ERR_INTERNAL, "", "a search ended without hits");
    *tile_place(tile->lead, tile) = NULL;
    for (int i = 0; i < tile->part_count; i++) {
        tile_part_t *part = &tile->parts[i];
        lead_request_t *asked = part->request;
        asked->tiles--;
        asked->answered += part->n;
        if (status == DFAISS_OK) {
            copy_part(tile, part, operation->bulk);
        } else if (asked->status == DFAISS_OK) {
            asked->status = status;
            asked->error = error;
        }
        answer_if_complete(server, asked);
    }
    free(tile);
}

/* ---- tiles go out ---- */

static bool same_filter(const message_search_t *a, const message_search_t *b) {
    return a->filter_size == b->filter_size && (a->filter_size == 0 || memcmp(a->filter, b->filter, a->filter_size) == 0);
}

static bool same_radius(const message_search_t *a, const message_search_t *b) {
    return a->has_radius == b->has_radius && (!a->has_radius || a->radius == b->radius);
}

static bool same_search(const message_search_t *a, const message_search_t *b) {
    return a->k == b->k && a->dim == b->dim && a->nprobe == b->nprobe && a->incarnation == b->incarnation && strcmp(a->index, b->index) == 0 &&
           same_filter(a, b) && same_radius(a, b);
}

static int tiles_of_client(const lead_t *lead, int64_t asker) {
    int tiles = 0;
    for (int i = 0; i < TILES_UNDER_WAY; i++) {
        const tile_t *tile = lead->under_way[i];
        int part = 0;
        while (tile && part < tile->part_count && tile->parts[part].request->request->asker != asker)
            part++;
        tiles += tile && part < tile->part_count;
    }
    return tiles;
}

static bool may_start(const lead_t *lead, const lead_request_t *asked) {
    return asked->status == DFAISS_OK && asked->next_query < asked->search.nq && tiles_of_client(lead, asked->request->asker) < TILES_OF_ONE_CLIENT;
}

static int64_t tile_queries(const message_search_t *search) {
    size_t bytes = 0;
    if (!topk_bytes(1, search->k, &bytes))
        return 1;
    int64_t fitting = (int64_t)(TILE_HIT_BYTES / bytes);
    return fitting < 1 ? 1 : fitting > TILE_QUERIES ? TILE_QUERIES : fitting;
}

/* Takes queries of a request into a tile, as many as there is room for. */
static void take_part(tile_t *tile, lead_request_t *asked, int64_t most) {
    int64_t left = asked->search.nq - asked->next_query;
    int64_t n = left < most - tile->nq ? left : most - tile->nq;
    tile->parts[tile->part_count++] = (tile_part_t){.request = asked, .first = asked->next_query, .n = n, .at = tile->nq};
    asked->next_query += n;
    asked->tiles++;
    tile->nq += n;
}

static void fill_tile(tile_t *tile, lead_request_t *first) {
    int64_t most = tile_queries(&first->search);
    tile->k = first->search.k;
    for (lead_request_t *asked = first; asked && tile->nq < most; asked = asked->next) {
        if (may_start(tile->lead, asked) && same_search(&asked->search, &first->search))
            take_part(tile, asked, most);
    }
}

static void *copy_queries(const tile_t *tile, int64_t dim, size_t *bytes) {
    *bytes = (size_t)tile->nq * (size_t)dim * sizeof(float);
    float *block = memory_map(*bytes);
    for (int i = 0; block && i < tile->part_count; i++) {
        const tile_part_t *part = &tile->parts[i];
        const float *queries = part->request->request->message.bulk;
        memcpy(block + part->at * dim, queries + part->first * dim, (size_t)part->n * (size_t)dim * sizeof *block);
    }
    return block;
}

static void start_tile(server_t *server, tile_t *tile) {
    const message_search_t *search = &tile->parts[0].request->search;
    message_search_t message = *search;
    const hosted_t *hosted = hosted_find(server, search->index);
    message.nq = tile->nq;
    message.client = tile->parts[0].request->request->asker;
    tile->incarnation = message.incarnation;
    tile->updates = message.updates = hosted ? hosted->updates : 0;
    bytes_writer_t argument = {0};
    message_search_encode(&message, &argument);
    size_t bytes;
    void *queries = copy_queries(tile, search->dim, &bytes);
    if (!queries)
        argument.failed = true;
    *tile_place(tile->lead, NULL) = tile;
    operation_start(server, OPERATION_SEARCH, &argument, queries, bytes, tile_ended, tile);
}

/* The request whose turn it is; NULL where none may start a tile. */
static lead_request_t *next_request(lead_t *lead) {
    for (lead_request_t *asked = lead->requests; asked; asked = asked->next) {
        if (may_start(lead, asked))
            return asked;
    }
    return NULL;
}

bool lead_advance(server_t *server) {
    lead_t *lead = server->lead;
    bool something = false;
    while (tile_place(lead, NULL)) {
        lead_request_t *asked = next_request(lead);
        tile_t *tile = asked ? calloc(1, sizeof *tile) : NULL;
        if (!tile)
            break;
        tile->lead = lead;
        fill_tile(tile, asked);
        /* The others have their turn before it. */
        LIST_REMOVE(lead->requests, asked);
        LIST_APPEND(lead->requests, asked);
        start_tile(server, tile);
        something = true;
    }
    return something;
}

bool lead_knows_update(const lead_t *lead, uint64_t incarnation, uint64_t update) {
    for (int i = 0; i < TILES_UNDER_WAY; i++) {
        const tile_t *tile = lead->under_way[i];
        if (tile && tile->incarnation == incarnation && tile->updates < update)
            return false;
    }
    return true;
}
