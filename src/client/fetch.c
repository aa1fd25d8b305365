#include "client/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message/fetch.h"

/* Hits that one question asks for, so that neither it nor its answer is ever very large. */
enum { FETCH_HITS = 16384 };

/* The hits that one server has in one index: places in the result, in order. */
typedef struct bucket {
    int64_t *places; /* within the fetch's */
    int64_t n;
    int64_t answered;
    int64_t asked; /* by the question that is under way */
    question_t *question;
} bucket_t;

struct fetch {
    dfaiss_client_t *client;
    fetch_wish_t wish;
    dfaiss_result_t *result;
    int servers;
    int bucket_count;
    bucket_t *buckets; /* [index][server] */
    int64_t *places;   /* of all hits, by bucket */
    int64_t *rows;     /* of one question */
};

static bucket_t *bucket_of(const fetch_t *fetch, size_t place) {
    const dfaiss_result_t *result = fetch->result;
    int32_t server = result->hits.servers[place];
    if (result->hits.ids[place] < 0 || server < 0 || server >= fetch->servers)
        return NULL;
    return &fetch->buckets[(size_t)result->indexes[place] * (size_t)fetch->servers + (size_t)server];
}

/* Deals the hits out, after counting how many there are for each. */
static void fill_buckets(fetch_t *fetch) {
    size_t hits = (size_t)fetch->result->hits.nq * (size_t)fetch->result->hits.k;
    for (size_t place = 0; place < hits; place++) {
        bucket_t *bucket = bucket_of(fetch, place);
        if (bucket)
            bucket->n++;
    }
    int64_t *next = fetch->places;
    for (int i = 0; i < fetch->bucket_count; i++) {
        fetch->buckets[i].places = next;
        next += fetch->buckets[i].n;
        fetch->buckets[i].n = 0;
    }
    for (size_t place = 0; place < hits; place++) {
        bucket_t *bucket = bucket_of(fetch, place);
        if (bucket)
            bucket->places[bucket->n++] = (int64_t)place;
    }
}

dfaiss_status_t fetch_create(dfaiss_client_t *client, const fetch_wish_t *wish, dfaiss_result_t *result, fetch_t **out, dfaiss_error_t *err) {
    if (wish->wanted & FETCH_METADATA)
        TRY(result_expect_metadata(result, err));
    if (wish->wanted & FETCH_EMBEDDINGS)
        TRY(result_expect_embeddings(result, err));
    size_t hits = (size_t)result->hits.nq * (size_t)result->hits.k;
    fetch_t *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return error_memory(err, sizeof *fetch, "what hits bring along");
    fetch->client = client;
    fetch->wish = *wish;
    fetch->result = result;
    fetch->servers = client->carrier.servers;
    fetch->bucket_count = wish->index_count * fetch->servers;
    fetch->buckets = calloc((size_t)fetch->bucket_count, sizeof *fetch->buckets);
    fetch->places = malloc(hits * sizeof *fetch->places);
    fetch->rows = malloc((hits < FETCH_HITS ? hits : FETCH_HITS) * sizeof *fetch->rows);
    if (!fetch->buckets || !fetch->places || !fetch->rows) {
        fetch_destroy(fetch);
        return error_memory(err, hits * sizeof *fetch->places, "what hits bring along");
    }
    fill_buckets(fetch);
    *out = fetch;
    return DFAISS_OK;
}

void fetch_destroy(fetch_t *fetch) {
    if (!fetch)
        return;
    for (int i = 0; fetch->buckets && i < fetch->bucket_count; i++)
        question_forget(fetch->buckets[i].question);
    free(fetch->buckets);
    free(fetch->places);
    free(fetch->rows);
    free(fetch);
}

static dfaiss_status_t ask(fetch_t *fetch, int number, dfaiss_error_t *err) {
    bucket_t *bucket = &fetch->buckets[number];
    int64_t left = bucket->n - bucket->answered;
    bucket->asked = left < FETCH_HITS ? left : FETCH_HITS;
    for (int64_t i = 0; i < bucket->asked; i++)
        fetch->rows[i] = fetch->result->hits.rows[bucket->places[bucket->answered + i]];
    int index = number / fetch->servers;
    message_fetch_t message = {
        .incarnation = fetch->wish.incarnations[index], .wanted = fetch->wish.wanted, .n = bucket->asked, .rows = (const uint8_t *)fetch->rows};
    memcpy(message.index, fetch->wish.indexes[index], sizeof message.index);
    bytes_writer_t body = {0};
    message_fetch_encode(&message, &body);
    return question_ask(fetch->client, number % fetch->servers, MESSAGE_FETCH, &body, NULL, 0, PATIENCE_SHORT, &bucket->question, err);
}

/* One hit out of an answer; vectors: those that it has not taken yet. */
static void take_hit(const fetch_t *fetch, int64_t place, bytes_reader_t *in, bytes_reader_t *vectors) {
    dfaiss_result_t *result = fetch->result;
    if (fetch->wish.wanted & FETCH_EMBEDDINGS) {
        const float *vector = bytes_get(vectors, (size_t)fetch->wish.dim * sizeof *vector);
        result->embeddings[place] = bytes_get_u8(in) ? vector : NULL;
    }
    if (fetch->wish.wanted & FETCH_METADATA)
        result->metadata[place] = bytes_get_block(in, &result->metadata_sizes[place]);
}

/* The answer may hold the first ones alone of those that were asked for. */
static dfaiss_status_t take_hits(const fetch_t *fetch, bucket_t *bucket, dfaiss_error_t *err) {
    question_t *question = bucket->question;
    TRY(question_outcome(question, err));
    bytes_reader_t *in = &question->result, vectors = bytes_reader(question->answer.bulk, question->answer.bulk_size);
    int64_t taken = 0;
    for (; taken < bucket->asked && in->left > 0 && !in->failed; taken++)
        take_hit(fetch, bucket->places[bucket->answered + taken], in, &vectors);
    if (taken == 0 || !bytes_reader_done(in) || !bytes_reader_done(&vectors))
        return message_malformed(MESSAGE_ANSWER, err);
    bucket->answered += taken;
    return DFAISS_OK;
}

static dfaiss_status_t take_answer(fetch_t *fetch, bucket_t *bucket, dfaiss_error_t *err) {
    TRY(take_hits(fetch, bucket, err));
    transport_message_t *answer = &bucket->question->answer;
    result_part_t part = {.body = answer->body, .bulk = answer->bulk, .bulk_size = answer->bulk_size};
    answer->body = NULL;
    answer->bulk = NULL;
    question_forget(bucket->question);
    bucket->question = NULL;
    return result_keep_part(fetch->result, &part, err);
}

dfaiss_status_t fetch_advance(fetch_t *fetch, bool *done, dfaiss_error_t *err) {
    bool all = true;
    for (int i = 0; i < fetch->bucket_count; i++) {
        bucket_t *bucket = &fetch->buckets[i];
        if (bucket->question && question_over(bucket->question))
            TRY(take_answer(fetch, bucket, err));
        if (!bucket->question && bucket->answered < bucket->n)
            TRY(ask(fetch, i, err));
        all = all && bucket->answered == bucket->n;
    }
    *done = all;
    return DFAISS_OK;
}
