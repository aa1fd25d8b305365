/* What servers answer, and what a client makes of it: the states of an index, and answers that are too short, too long, or say what cannot be. Those
 * are failures that leave outputs as they were, and later calls as before.
 */
#include "scripted_servers.h"

#include "message/centroids.h"
#include "message/fetch.h"
#include "message/search.h"
#include "message/statistics.h"
#include "transport/topk.h"

enum { DIM = 4, K = 2 };

static dfaiss_client_t *client;
static dfaiss_error_t error;
static const float vectors[16 * DIM];
static const char *const indexes[] = {"index", "other"};

static int make_client(void **state) {
    (void)state;
    dfaiss_client_options_t options = {.timeout = 1000, .long_timeout = 1000};
    script_begin();
    assert_ok(dfaiss_client_create(&script_world, &options, &client, &error), error);
    return 0;
}

static int end_client(void **state) {
    (void)state;
    dfaiss_client_destroy(client);
    script_begin();
    return 0;
}

/* ---- states ---- */

static message_statistics_t told[SCRIPT_SERVERS];
static int tellers;

static void tell(const script_message_t *message) {
    bytes_writer_t result = {0};
    assert_int_equal(message->kind, MESSAGE_STATISTICS);
    for (int i = 0; i < tellers; i++)
        message_statistics_encode(&told[i], &result);
    script_answer(message, &result, NULL, 0);
}

static void begin_telling(void) {
    script = tell;
    tellers = SCRIPT_SERVERS;
    for (int i = 0; i < SCRIPT_SERVERS; i++)
        told[i] = (message_statistics_t){.server = SCRIPT_SERVERS - 1 - i, .state = INDEX_TRAINED};
}

/* The one that they have in common; else TRAINING where any trains; else NOT_TRAINED where any is untrained; else ADD. */
static dfaiss_state_t combined(const int *count) {
    for (int state = DFAISS_NOT_TRAINED; state <= DFAISS_TRAINED; state++) {
        if (count[state] == SCRIPT_SERVERS)
            return (dfaiss_state_t)state;
    }
    if (count[DFAISS_TRAINING])
        return DFAISS_TRAINING;
    return count[DFAISS_NOT_TRAINED] ? DFAISS_NOT_TRAINED : DFAISS_ADD;
}

static void test_states_of_all_servers_together(void **state) {
    (void)state;
    begin_telling();
    for (int draw = 0; draw < 64; draw++) {
        int count[4] = {0};
        dfaiss_state_t found = DFAISS_NOT_TRAINED;
        for (int i = 0; i < SCRIPT_SERVERS; i++) {
            told[i].state = draw >> 2 * i & 3;
            count[told[i].state]++;
        }
        assert_ok(dfaiss_get_state(client, "index", &found, &error), error);
        assert_string_equal(dfaiss_state_name(found), dfaiss_state_name(combined(count)));
        dfaiss_status_t status = dfaiss_wait_state(client, "index", combined(count), 0, &error);
        assert_ok(status, error);
    }
}

/* A failure is that of the wait, unless another training is under way. */
static void test_failures_of_servers(void **state) {
    (void)state;
    begin_telling();
    told[1].state = INDEX_NOT_TRAINED;
    told[1].failure = (dfaiss_error_t){.code = DFAISS_ERR_FAISS, .text = "training has failed"};
    assert_fails(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 0, &error), DFAISS_ERR_FAISS, error, "training has failed");
    assert_ok(dfaiss_wait_state(client, "index", DFAISS_NOT_TRAINED, 0, &error), error);
    told[0].state = INDEX_TRAINING;
    assert_fails(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 0.02, &error), DFAISS_ERR_TIMEOUT, error, "TRAINING");
}

static void statistics_are_refused(void) {
    dfaiss_statistics_t statistics[SCRIPT_SERVERS] = {{.server = 77}, {.server = 78}, {.server = 79}};
    dfaiss_state_t index_state = (dfaiss_state_t)77;
    int64_t total = 77;
    assert_fails(dfaiss_get_statistics(client, "index", statistics, &error), DFAISS_ERR_PEER, error, "malformed");
    assert_fails(dfaiss_get_state(client, "index", &index_state, &error), DFAISS_ERR_PEER, error, "malformed");
    assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_PEER, error, "malformed");
    for (int i = 0; i < SCRIPT_SERVERS; i++)
        assert_int_equal(statistics[i].server, 77 + i);
    assert_int_equal(index_state, 77);
    assert_int_equal(total, 77);
    begin_telling();
    assert_ok(dfaiss_get_statistics(client, "index", statistics, &error), error);
}

static void test_statistics_that_cannot_be(void **state) {
    (void)state;
    begin_telling();
    told[1].server = told[0].server;
    statistics_are_refused();
    told[1].server = SCRIPT_SERVERS;
    statistics_are_refused();
    told[1].server = -1;
    statistics_are_refused();
    told[2].state = INDEX_TRAINED + 1;
    statistics_are_refused();
    told[2].state = -1;
    statistics_are_refused();
    told[2].threads = (int64_t)1 << 40;
    statistics_are_refused();
    tellers = SCRIPT_SERVERS - 1;
    statistics_are_refused();
    told[0].failure.code = DFAISS_STATUS_COUNT;
    statistics_are_refused();
}

/* ---- answers of other kinds ---- */

/* What is answered: this many zero bytes behind the outcome, with a bulk of as many. */
static size_t result_size, bulk_size;

static void answer_zeroes(const script_message_t *message) {
    static const uint8_t zeroes[4096];
    bytes_writer_t result = {0};
    script_leave_all();
    bytes_put(&result, zeroes, result_size);
    script_answer(message, &result, zeroes, bulk_size);
}

/* 1 is no status, and then there is nothing at all. */
static void answer_nothing(const script_message_t *message) {
    script_leave_all();
    script_answer_bytes(message, "", 0);
}

static char sentinel;
#define UNTOUCHED ((void *)&sentinel)

/* Every call that expects an answer of its own; the number of those that there are, where `call` is beyond. */
static dfaiss_status_t make_call(int call) {
    static const int64_t ids[] = {1};
    int64_t number = 77, other = 77, *found = UNTOUCHED;
    char **names = UNTOUCHED;
    float *centroids = UNTOUCHED;
    dfaiss_config_t *config = UNTOUCHED;
    dfaiss_result_t *result = UNTOUCHED;
    dfaiss_batch_t own = {.element = DFAISS_F32, .n = 1, .dim = DIM, .vectors = vectors, .ids = ids}, assigned = own;
    assigned.ids = NULL;
    dfaiss_status_t status = DFAISS_OK;
    switch (call) {
    case 0:
        status = dfaiss_save_index(client, "index", &number, &error);
        break;
    case 1:
        status = dfaiss_get_config(client, "index", &config, &error);
        break;
    case 2:
        status = dfaiss_list_indexes(client, &names, &number, &error);
        break;
    case 3:
        status = dfaiss_add(client, "index", &own, &number, &error);
        break;
    case 4:
        status = dfaiss_add(client, "index", &assigned, &number, &error);
        break;
    case 5:
        status = dfaiss_update(client, "index", &own, &error);
        break;
    case 6:
        status = dfaiss_remove_ids(client, "index", 1, ids, &number, &error);
        break;
    case 7:
        status = dfaiss_remove_matching(client, "index", "a", &number, &error);
        break;
    case 8:
        status = dfaiss_search(client, 1, indexes, 1, DIM, vectors, K, NULL, &result, &error);
        break;
    case 9:
        status = dfaiss_search(client, 2, indexes, 1, DIM, vectors, K, NULL, &result, &error);
        break;
    case 10:
        status = dfaiss_range_search(client, 1, indexes, 1, DIM, vectors, 1, K, NULL, &result, &error);
        break;
    case 11:
        status = dfaiss_get_ids(client, "index", &found, &number, &error);
        break;
    case 12:
        status = dfaiss_get_centroids(client, "index", 2, &centroids, &number, &other, &error);
        break;
    case 13:
        status = dfaiss_train(client, "index", &error);
        break;
    case 14:
        status = dfaiss_flush(client, "index", &error);
        break;
    case 15:
        status = dfaiss_set_nprobe(client, "index", 3, &error);
        break;
    case 16:
        status = dfaiss_drop_index(client, "index", &error);
        break;
    default:
        return DFAISS_OK;
    }
    assert_true(found == UNTOUCHED && names == UNTOUCHED && centroids == UNTOUCHED && config == UNTOUCHED && result == UNTOUCHED);
    assert_int_equal(number + other, 2 * 77);
    return status;
}

enum { CALLS = 17 };

/* 3 and 5 bytes are less than any number or length takes, 1000 more than any answer has. */
static void test_answers_of_the_wrong_size(void **state) {
    static const size_t results[] = {3, 5, 1000}, bulks[] = {0, 7, 4096};
    script = answer_zeroes;
    for (int call = 0; call < CALLS; call++) {
        for (size_t i = 0; i < 9; i++) {
            result_size = results[i % 3];
            bulk_size = bulks[i / 3];
            dfaiss_status_t status = make_call(call);
            if (status != DFAISS_ERR_PEER || !strstr(error.text, "malformed"))
                fail_msg("call %d, answer of %zu and %zu bytes: %s", call, result_size, bulk_size, dfaiss_status_name(status));
        }
        end_client(state);
        make_client(state);
        script = answer_zeroes;
    }
}

/* Not even whether it worked: nothing can be understood any more. */
static void test_answers_that_say_nothing(void **state) {
    for (int call = 0; call < CALLS; call++) {
        script = answer_nothing;
        assert_fails(make_call(call), DFAISS_ERR_PEER, error, "malformed");
        assert_fails(make_call(8), DFAISS_ERR_PEER, error, "malformed");
        end_client(state);
        make_client(state);
    }
}

/* ---- hits ---- */

/* Servers and rows that there are not, or ids after the end of the hits. */
static int32_t hit_server;
static size_t fetched;

static void answer_hits(const script_message_t *message) {
    bytes_writer_t result = {0};
    int64_t block[2 * K * 3] = {0};
    size_t bytes;
    if (message->kind == MESSAGE_FETCH) {
        fetched++;
        bytes_put_block(&result, "said", 4);
        script_answer(message, &result, NULL, 0);
        return;
    }
    topk_t hits = topk_view(block, 1, K);
    topk_clear(&hits);
    hits.ids[0] = 5;
    hits.servers[0] = hit_server;
    assert_true(topk_bytes(1, K, &bytes) && bytes <= sizeof block);
    message_found_t found = {.incarnation = 1, .metric = 1};
    message_found_encode(&found, &result);
    script_answer(message, &result, block, bytes);
}

static void test_hits_of_no_server(void **state) {
    (void)state;
    static const int32_t servers[] = {-1, SCRIPT_SERVERS, INT32_MAX, INT32_MIN, 1};
    const dfaiss_search_options_t options = {.metadata = true};
    script = answer_hits;
    fetched = 0;
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        dfaiss_result_t *result = NULL;
        size_t size = 77;
        hit_server = servers[i];
        assert_ok(dfaiss_search(client, 1, indexes, 1, DIM, vectors, K, &options, &result, &error), error);
        assert_int_equal(dfaiss_result_count(result, 0), 1);
        bool there = servers[i] == 1;
        assert_int_equal(dfaiss_result_metadata(result, 0, 0, &size) != NULL, there);
        assert_int_equal(size, there ? 4 : 0);
        dfaiss_result_destroy(result);
    }
    assert_int_equal(fetched, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_states_of_all_servers_together, make_client, end_client),
        cmocka_unit_test_setup_teardown(test_failures_of_servers, make_client, end_client),
        cmocka_unit_test_setup_teardown(test_statistics_that_cannot_be, make_client, end_client),
        cmocka_unit_test_setup_teardown(test_answers_of_the_wrong_size, make_client, end_client),
        cmocka_unit_test_setup_teardown(test_answers_that_say_nothing, make_client, end_client),
        cmocka_unit_test_setup_teardown(test_hits_of_no_server, make_client, end_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
