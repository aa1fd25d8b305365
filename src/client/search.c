/* Searching through the lead, and fetching the metadata of what was found from the servers that hold it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "client/client_internal.h"
#include "message/fetch.h"
#include "message/search.h"

static dfaiss_status_t check_arguments(int64_t nq, int64_t dim, int64_t k, int64_t nprobe, dfaiss_error_t *err) {
    if (nq < 1 || dim < 1)
        return error_set(err, DFAISS_ERR_ARG, "nq", "%lld queries of dimension %lld; both must be at least 1", (long long)nq, (long long)dim);
    if (k < 1 || k > MESSAGE_SEARCH_MAX_K)
        return error_set(err, DFAISS_ERR_ARG, "k", "k is %lld; it must be 1 to %d", (long long)k, MESSAGE_SEARCH_MAX_K);
    if (nprobe < 0)
        return error_set(err, DFAISS_ERR_ARG, "nprobe", "nprobe is %lld; it must be at least 1, or 0 for the configured one", (long long)nprobe);
    return DFAISS_OK;
}

dfaiss_status_t client_search(client_t *client, const char *index, int64_t nq, int64_t dim, const float *queries, int64_t k, int64_t nprobe,
                              void **block, size_t *block_size, dfaiss_error_t *err) {
    TRY(client_check_name(index, err));
    TRY(check_arguments(nq, dim, k, nprobe, err));
    message_search_t message = {.nq = nq, .dim = dim, .k = k, .nprobe = nprobe};
    snprintf(message.index, sizeof message.index, "%s", index);
    bytes_writer_t body = {0};
    message_search_encode(&message, &body);
    transport_message_t answer;
    bytes_reader_t result;
    int lead = transport_number(client->transport) % client_servers(client);
    TRY(client_ask(client, lead, MESSAGE_SEARCH, &body, queries, (size_t)nq * (size_t)dim * sizeof *queries, true, &answer, &result, err));
    size_t wanted;
    if (!topk_bytes(nq, k, &wanted) || answer.bulk_size != wanted || !bytes_reader_done(&result)) {
        transport_message_clear(&answer);
        return message_malformed(MESSAGE_ANSWER, err);
    }
    *block = answer.bulk;
    *block_size = answer.bulk_size;
    answer.bulk = NULL;
    transport_message_clear(&answer);
    return DFAISS_OK;
}

/* What one server holds of the hits that are asked for: places in the caller's arrays, in the order in which they are asked for. */
typedef struct fetched {
    int64_t n;
    int64_t *places;
    int64_t *rows;
    transport_message_t answer;
    bytes_reader_t result;
} fetched_t;

/* Hits that one question asks for, so that neither it nor its answer is ever very large. */
enum { FETCH_HITS = 16384 };

static dfaiss_status_t ask_server(client_t *client, int server, const char *index, fetched_t *fetched, dfaiss_error_t *err) {
    message_fetch_t message = {.n = fetched->n, .rows = (const uint8_t *)fetched->rows};
    snprintf(message.index, sizeof message.index, "%s", index);
    bytes_writer_t body = {0};
    message_fetch_encode(&message, &body);
    return client_ask(client, server, MESSAGE_FETCH, &body, NULL, 0, true, &fetched->answer, &fetched->result, err);
}

/* Keeps where each hit's metadata lies in the answer. */
static dfaiss_status_t note_blocks(fetched_t *fetched, const uint8_t **blocks, size_t *sizes, dfaiss_error_t *err) {
    for (int64_t i = 0; i < fetched->n; i++)
        blocks[fetched->places[i]] = bytes_get_block(&fetched->result, &sizes[fetched->places[i]]);
    return bytes_reader_done(&fetched->result) ? DFAISS_OK : message_malformed(MESSAGE_ANSWER, err);
}

static dfaiss_status_t fetch_from(client_t *client, int server, const char *index, int64_t n, const int32_t *servers, const int64_t *rows,
                                  const int64_t *ids, fetched_t *fetched, const uint8_t **blocks, size_t *sizes, dfaiss_error_t *err) {
    fetched->n = 0;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || servers[i] != server)
            continue;
        fetched->places[fetched->n] = i;
        fetched->rows[fetched->n++] = rows[i];
    }
    if (fetched->n == 0)
        return DFAISS_OK;
    TRY(ask_server(client, server, index, fetched, err));
    return note_blocks(fetched, blocks, sizes, err);
}

/* Appends the blocks of n hits to what is there; ends count from its begin. */
static dfaiss_status_t append(int64_t n, const uint8_t *const *blocks, const size_t *sizes, bytes_writer_t *metadata, uint64_t *ends,
                              dfaiss_error_t *err) {
    for (int64_t i = 0; i < n; i++) {
        bytes_put(metadata, blocks[i], sizes[i]);
        ends[i] = metadata->size;
    }
    return metadata->failed ? error_memory(err, metadata->size, "the metadata of hits") : DFAISS_OK;
}

/* Memory for one portion of hits, reused from one to the next. */
typedef struct fetching {
    const uint8_t **blocks;
    size_t *sizes;
    int64_t *places;
    int64_t *rows;
    fetched_t *fetched; /* one a server */
} fetching_t;

static void clear_answers(fetching_t *fetching, int servers) {
    for (int server = 0; fetching->fetched && server < servers; server++)
        transport_message_clear(&fetching->fetched[server].answer);
}

static dfaiss_status_t fetch_portion(client_t *client, const char *index, int64_t n, const int32_t *servers, const int64_t *rows, const int64_t *ids,
                                     fetching_t *fetching, bytes_writer_t *metadata, uint64_t *ends, dfaiss_error_t *err) {
    int count = client_servers(client);
    dfaiss_status_t status = DFAISS_OK;
    memset(fetching->blocks, 0, (size_t)n * sizeof *fetching->blocks);
    memset(fetching->sizes, 0, (size_t)n * sizeof *fetching->sizes);
    for (int server = 0; status == DFAISS_OK && server < count; server++) {
        fetching->fetched[server] = (fetched_t){.places = fetching->places, .rows = fetching->rows};
        status = fetch_from(client, server, index, n, servers, rows, ids, &fetching->fetched[server], fetching->blocks, fetching->sizes, err);
    }
    if (status == DFAISS_OK)
        status = append(n, fetching->blocks, fetching->sizes, metadata, ends, err);
    clear_answers(fetching, count);
    return status;
}

static dfaiss_status_t fetch_all(client_t *client, const char *index, int64_t n, const int32_t *servers, const int64_t *rows, const int64_t *ids,
                                 fetching_t *fetching, bytes_writer_t *metadata, uint64_t *ends, dfaiss_error_t *err) {
    if (!fetching->blocks || !fetching->sizes || !fetching->places || !fetching->rows || !fetching->fetched)
        return error_memory(err, FETCH_HITS * sizeof(fetched_t), "fetching metadata");
    for (int64_t first = 0; first < n; first += FETCH_HITS) {
        int64_t portion = n - first < FETCH_HITS ? n - first : FETCH_HITS;
        TRY(fetch_portion(client, index, portion, servers + first, rows + first, ids + first, fetching, metadata, ends + first, err));
    }
    return DFAISS_OK;
}

dfaiss_status_t client_fetch(client_t *client, const char *index, int64_t n, const int32_t *servers, const int64_t *rows, const int64_t *ids,
                             uint8_t **metadata, uint64_t *ends, dfaiss_error_t *err) {
    TRY(client_check_name(index, err));
    bytes_writer_t joined = {0};
    fetching_t fetching = {
        .blocks = malloc(FETCH_HITS * sizeof *fetching.blocks),
        .sizes = malloc(FETCH_HITS * sizeof *fetching.sizes),
        .places = malloc(FETCH_HITS * sizeof *fetching.places),
        .rows = malloc(FETCH_HITS * sizeof *fetching.rows),
        .fetched = calloc((size_t)client_servers(client), sizeof *fetching.fetched),
    };
    dfaiss_status_t status = fetch_all(client, index, n, servers, rows, ids, &fetching, &joined, ends, err);
    free(fetching.fetched);
    free(fetching.rows);
    free(fetching.places);
    free(fetching.sizes);
    free(fetching.blocks);
    if (status != DFAISS_OK) {
        bytes_writer_destroy(&joined);
        return status;
    }
    *metadata = joined.data;
    return DFAISS_OK;
}
