/* Messages that no client of ours sends: of every kind, cut off, lengthened, with numbers of any size, to any server, with a bulk that does not fit.
 * Every one is answered, with a failure or not, and the servers go on: other clients meanwhile add, search and save, and nothing of theirs is lost.
 * Servers and clients are threads of the same process (tests/fake). An argument is another seed.
 */
#include "check.h"

#include "client/client_internal.h"
#include "fake_job.h"
#include "message/create.h"
#include "message/fetch.h"
#include "message/load.h"
#include "message/named.h"
#include "message/remove.h"
#include "message/rows.h"
#include "message/search.h"
#include "message/setting.h"
#include "message/spread.h"
#include "message/update.h"

enum { DIM = 8, K = 3, ATTACKS = 1500, ROUNDS = 60, BATCH = 20, BULK = 1024, KINDS = MESSAGE_KIND_COUNT + 3 };

static const char *const target = "target", *const safe = "safe";

#define KEYS "\"metric\": \"l2\", \"dim\": 8, \"attributes\": {\"year\": \"int\"}"
static const char flat[] = "{\"index_builder_type\": \"flat\", " KEYS "}";
static const char lists[] = "{\"index_builder_type\": \"ivf_simple\", \"centroids\": 4, \"nprobe\": 4, " KEYS "}";

/* ---- messages that would do, but for what is done to them ---- */

static const float vectors[BATCH * DIM];
static const int64_t ids[BATCH] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};

static message_add_t good_add(void) {
    message_add_t add = {.element = ELEMENT_f32, .n = BATCH, .dim = DIM, .ids = (const uint8_t *)ids};
    snprintf(add.index, sizeof add.index, "%s", target);
    return add;
}

static void encode_add(bytes_writer_t *body) {
    message_add_t add = good_add();
    message_add_encode(&add, body);
}

static void encode_update(bytes_writer_t *body) {
    message_update_t update = {.add = good_add(), .sorted = (const uint8_t *)ids};
    message_update_encode(&update, body);
}

static void encode_search(bytes_writer_t *body) {
    static const char filter[] = "year == 3";
    message_search_t search = {
        .nq = BATCH, .dim = DIM, .k = K, .nprobe = 2, .filter = filter, .filter_size = sizeof filter - 1, .has_radius = true, .radius = 2};
    snprintf(search.index, sizeof search.index, "%s", target);
    message_search_encode(&search, body);
}

static void encode_fetch(bytes_writer_t *body) {
    message_fetch_t fetch = {.incarnation = 1, .wanted = FETCH_METADATA | FETCH_EMBEDDINGS, .n = BATCH, .rows = (const uint8_t *)ids};
    snprintf(fetch.index, sizeof fetch.index, "%s", target);
    message_fetch_encode(&fetch, body);
}

static void encode_create(bytes_writer_t *body) {
    message_create_t create = {.overwrite = true, .expected_rows = 7, .config = lists, .config_size = sizeof lists - 1};
    snprintf(create.index, sizeof create.index, "%s", target);
    message_create_encode(&create, body);
}

static void encode_load(bytes_writer_t *body) {
    static const char overrides[] = "{\"nprobe\": 3}";
    message_load_t load = {.force = true, .overrides = overrides, .overrides_size = sizeof overrides - 1};
    snprintf(load.index, sizeof load.index, "%s", target);
    message_load_encode(&load, body);
}

static void encode_remove(bytes_writer_t *body) {
    message_remove_t remove = {.n = BATCH};
    snprintf(remove.index, sizeof remove.index, "%s", target);
    message_remove_encode(&remove, body);
}

static void encode_rows(bytes_writer_t *body) {
    message_rows_t rows = {.server = 1, .rows = 1000};
    snprintf(rows.index, sizeof rows.index, "%s", target);
    message_rows_encode(&rows, body);
}

static void encode_spread(bytes_writer_t *body) {
    message_spread_t spread = {.operation = 3, .root = 1, .number = 1};
    message_spread_encode(&spread, body);
}

static void encode_setting(bytes_writer_t *body) {
    message_setting_encode(target, DIM, body);
}

static void encode_named(bytes_writer_t *body) {
    message_named_encode(target, body);
}

static void encode(int kind, bytes_writer_t *body) {
    switch (kind) {
    case MESSAGE_ADD:
    case MESSAGE_SAMPLE:
        encode_add(body);
        return;
    case MESSAGE_UPDATE:
        encode_update(body);
        return;
    case MESSAGE_SEARCH:
        encode_search(body);
        return;
    case MESSAGE_FETCH:
        encode_fetch(body);
        return;
    case MESSAGE_CREATE:
        encode_create(body);
        return;
    case MESSAGE_LOAD:
        encode_load(body);
        return;
    case MESSAGE_REMOVE:
        encode_remove(body);
        return;
    case MESSAGE_ROWS:
        encode_rows(body);
        return;
    case MESSAGE_SPREAD:
    case MESSAGE_GATHER:
        encode_spread(body);
        return;
    case MESSAGE_RESERVE_IDS:
    case MESSAGE_SET_DIM:
    case MESSAGE_SET_NPROBE:
    case MESSAGE_SET_THREADS:
        encode_setting(body);
        return;
    default:
        encode_named(body);
    }
}

/* ---- what is done to them ---- */

static void cut(member_t *member, bytes_writer_t *body) {
    body->size = (size_t)random_below(&member->random, body->size);
}

static void lengthen(member_t *member, bytes_writer_t *body) {
    for (uint64_t i = random_below(&member->random, 20); i < 20; i++)
        bytes_put_u8(body, (uint8_t)random_below(&member->random, 256));
}

static void change_bytes(member_t *member, bytes_writer_t *body) {
    for (int i = 0; i < 3 && body->size > 0; i++)
        body->data[random_below(&member->random, body->size)] = (uint8_t)random_below(&member->random, 256);
}

/* A number that is large, or less than there can be, wherever one may stand. */
static void change_number(member_t *member, bytes_writer_t *body) {
    static const int64_t numbers[] = {INT64_MIN, INT64_MAX, -1, 0, (int64_t)1 << 31, (int64_t)1 << 32, (int64_t)1 << 61, INT64_MAX - 1};
    if (body->size >= 8)
        memcpy(body->data + random_below(&member->random, body->size - 7), &numbers[random_below(&member->random, 8)], 8);
}

static void (*const changes[])(member_t *member, bytes_writer_t *body) = {cut, lengthen, change_bytes, change_number};
enum { CHANGES = sizeof changes / sizeof *changes };

/* What would do in earnest what is no harm of a message: end the servers, or start thousands of threads. */
static bool is_left_alone(int kind, uint64_t change) {
    return (kind == MESSAGE_SHUTDOWN || kind == MESSAGE_SET_THREADS) && change > 1;
}

/* Answered in any case. */
static void attack(member_t *member) {
    static const size_t bulks[] = {0, 8, BATCH * sizeof(int64_t), sizeof vectors};
    int kind = (int)random_below(&member->random, KINDS), server = (int)random_below(&member->random, FAKE_SERVERS);
    uint64_t change = random_below(&member->random, CHANGES);
    question_t *question = NULL;
    bytes_writer_t body = {0};
    if (is_left_alone(kind, change))
        return;
    encode(kind, &body);
    changes[change](member, &body);
    size_t bulk_size = bulks[random_below(&member->random, 4)];
    const void *bulk = random_below(&member->random, 2) ? (const void *)vectors : ids;
    bulk_size = bulk == ids && bulk_size > sizeof ids ? sizeof ids : bulk_size;
    dfaiss_status_t status =
        client_ask(member->client, server, (message_kind_t)kind, &body, bulk, bulk_size, PATIENCE_SHORT, &question, &member->error);
    expect(status != DFAISS_ERR_TIMEOUT && status != DFAISS_ERR_INTERNAL);
    expect_ok(member, client_check_broken(member->client, &member->error));
    question_forget(question);
}

static void play_attacks(member_t *member) {
    for (int i = 0; i < ATTACKS; i++) {
        dfaiss_status_t status = DFAISS_OK;
        if (i % 100 == 0) {
            dfaiss_config_t *config = NULL;
            const dfaiss_create_options_t options = {.own_ids = i % 200 == 0, .overwrite = true};
            expect_ok(member, dfaiss_config_parse(i % 300 ? flat : lists, i % 300 ? sizeof flat - 1 : sizeof lists - 1, &config, &member->error));
            (void)!dfaiss_drop_index(member->client, target, NULL);
            status = dfaiss_create_index(member->client, target, config, &options, &member->error);
            dfaiss_config_destroy(config);
        }
        expect_ok(member, status);
        attack(member);
    }
}

/* ---- others meanwhile ---- */

static void play_well(member_t *member) {
    float own[ROUNDS][BATCH][DIM];
    const char *const indexes[] = {safe};
    for (int round = 0; round < ROUNDS; round++) {
        int64_t first = (member->number * ROUNDS + round) * BATCH, numbers[BATCH];
        dfaiss_result_t *result = NULL;
        for (int i = 0; i < BATCH; i++) {
            numbers[i] = first + i;
            for (int j = 0; j < DIM; j++)
                own[round][i][j] = (float)random_below(&member->random, 1 << 20);
        }
        dfaiss_batch_t batch = {.element = DFAISS_F32, .n = BATCH, .dim = DIM, .vectors = own[round][0], .ids = numbers};
        expect_ok(member, dfaiss_add(member->client, safe, &batch, NULL, &member->error));
        int past = (int)random_below(&member->random, (uint64_t)round + 1);
        expect_ok(member, dfaiss_search(member->client, 1, indexes, 1, DIM, own[past][3], K, NULL, &result, &member->error));
        expect(dfaiss_result_scores(result)[0] == 0);
        expect(dfaiss_result_ids(result)[0] == (member->number * ROUNDS + past) * BATCH + 3);
        dfaiss_result_destroy(result);
        if (member->number == 1 && round % 20 == 19)
            expect_ok(member, dfaiss_save_index(member->client, safe, NULL, &member->error));
    }
}

static void play(member_t *member) {
    int64_t total = 0;
    if (member->number == 1) {
        const dfaiss_create_options_t options = {.own_ids = true};
        fake_create(member, safe, flat, &options);
    }
    fake_meet(member);
    if (member->number == 0)
        play_attacks(member);
    else
        play_well(member);
    fake_meet(member);
    expect_ok(member, dfaiss_get_ntotal(member->client, safe, &total, &member->error));
    expect(total == (FAKE_CLIENTS - 1) * ROUNDS * BATCH);
}

static void test_messages_of_any_kind(void **state) {
    (void)state;
    fake_job_run_alone(31, true, play);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages_of_any_kind)};
    fake_job_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
