/* Questions of a client that are answered late, twice or never, and what was lent to them: every call ends in time, nothing is given back to a caller
 * that may still be read, and nothing is read that was given back (AddressSanitizer sees that, and what is left behind).
 */
#include "scripted_servers.h"

#include "message/add.h"
#include "message/ids.h"
#include "message/statistics.h"

enum { DIM = 4, LARGE = 2 * SCRIPT_LENT, CREDITS_OF_A_SERVER = 3 };

static dfaiss_client_t *client;
static dfaiss_error_t error;
static const float vectors[LARGE];

static const char *const indexes[] = {"index"};

static void make_client(double timeout) {
    dfaiss_client_options_t options = {.timeout = timeout, .long_timeout = timeout};
    script_begin();
    assert_ok(dfaiss_client_create(&script_world, &options, &client, &error), error);
}

static void end_client(void) {
    dfaiss_client_destroy(client);
    client = NULL;
    script_begin();
}

static dfaiss_batch_t batch_of(int64_t n) {
    return (dfaiss_batch_t){.element = DFAISS_F32, .n = n, .dim = DIM, .vectors = vectors};
}

/* ---- time-outs ---- */

static int looks;
static int64_t told_state;

/* Nobody is trained before the third look. */
static void train_slowly(const script_message_t *message) {
    bytes_writer_t result = {0};
    assert_int_equal(message->kind, MESSAGE_STATISTICS);
    looks++;
    for (int server = 0; server < SCRIPT_SERVERS; server++) {
        message_statistics_t told = {.server = server, .state = looks < 3 ? INDEX_TRAINING : told_state};
        message_statistics_encode(&told, &result);
    }
    script_answer(message, &result, NULL, 0);
}

/* A call without a limit of its own: the one of the wait counts. */
static void test_waiting_for_a_state_ends_without_answers(void **state) {
    (void)state;
    make_client(0);
    assert_fails(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 0.02, &error), DFAISS_ERR_TIMEOUT, error, "STATISTICS");
    end_client();
    make_client(1000);
    assert_fails(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 0.02, &error), DFAISS_ERR_TIMEOUT, error, "STATISTICS");
    end_client();
    make_client(0.02);
    assert_fails(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 0, &error), DFAISS_ERR_TIMEOUT, error, "STATISTICS");
    /* Such a message has left, so that later calls are as before. */
    script = train_slowly;
    looks = 2;
    told_state = INDEX_TRAINED;
    assert_ok(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 1000, &error), error);
    end_client();
}

static void test_waiting_for_a_state(void **state) {
    (void)state;
    make_client(1000);
    script = train_slowly;
    looks = 0;
    told_state = INDEX_TRAINED;
    assert_ok(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 1000, &error), error);
    assert_int_equal(looks, 3);
    looks = 0;
    assert_ok(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 0, &error), error);
    assert_int_equal(looks, 3);
    told_state = INDEX_ADD;
    assert_fails(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 0.05, &error), DFAISS_ERR_TIMEOUT, error, "in state ADD");
    assert_ok(dfaiss_wait_state(client, "index", DFAISS_ADD, 1000, &error), error);
    end_client();
}

static void test_late_answers_are_dropped(void **state) {
    (void)state;
    int64_t total = 77;
    make_client(0.01);
    assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_TIMEOUT, error, "STATISTICS");
    script_fail(script_message(0), DFAISS_ERR_IO, "late");
    script_fail(script_message(0), DFAISS_ERR_IO, "late, and twice");
    assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_TIMEOUT, error, "STATISTICS");
    assert_int_equal(total, 77);
    end_client();
}

/* ---- what was lent ---- */

/* What is still read stays lent, and no call goes on; afterwards it is as if nothing had been. */
static void test_time_out_while_a_bulk_is_read(void **state) {
    (void)state;
    dfaiss_result_t *result = NULL;
    int64_t total = 77;
    make_client(0.01);
    assert_fails(dfaiss_search(client, 1, indexes, LARGE / DIM, DIM, vectors, 1, NULL, &result, &error), DFAISS_ERR_TIMEOUT, error, "SEARCH");
    size_t asked = script_count(MESSAGE_KIND_COUNT);
    assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_TIMEOUT, error, "SEARCH");
    assert_int_equal(script_count(MESSAGE_KIND_COUNT), asked);
    assert_null(result);
    assert_int_equal(total, 77);
    dfaiss_client_destroy(client);
    script_leave_all();
    make_client(1000);
    script = train_slowly;
    assert_ok(dfaiss_get_ntotal(client, "index", &total, &error), error);
    assert_int_equal(total, 0);
    end_client();
}

static void fail_without_taking(const script_message_t *message) {
    script_fail(message, DFAISS_ERR_MEMORY, "no memory for so many");
}

/* A server refuses what it has no memory for before it has taken it in; it may end in the middle of that. */
static void test_answer_before_the_bulk_has_left(void **state) {
    (void)state;
    dfaiss_batch_t batch = batch_of(LARGE / DIM);
    int64_t total = 77, id = 0;
    batch.ids = calloc((size_t)batch.n, sizeof id);
    assert_non_null(batch.ids);
    make_client(0.01);
    script = fail_without_taking;
    assert_fails(dfaiss_add(client, "index", &batch, NULL, &error), DFAISS_ERR_MEMORY, error, "so many");
    script = NULL;
    assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_TIMEOUT, error, "taken in");
    dfaiss_client_destroy(client);
    script_leave_all();
    script_begin();
    free((void *)(uintptr_t)batch.ids);
}

/* The call's own copy of the ids stays until it has left, and then goes, whether there is a client or not. */
static void test_ids_to_remove_are_kept_while_they_are_read(void **state) {
    (void)state;
    enum { N = LARGE };
    int64_t *ids = malloc(N * sizeof *ids), removed = 77;
    assert_non_null(ids);
    for (int64_t i = 0; i < N; i++)
        ids[i] = N - i;
    make_client(0.01);
    assert_fails(dfaiss_remove_ids(client, "index", N, ids, &removed, &error), DFAISS_ERR_TIMEOUT, error, "REMOVE");
    memset(ids, 0, N * sizeof *ids);
    const int64_t *lent = script_message(0)->bulk;
    assert_ptr_not_equal(lent, ids);
    for (int64_t i = 0; i < N; i++)
        assert_int_equal(lent[i], i + 1);
    dfaiss_client_destroy(client);
    for (int64_t i = 0; i < N; i++)
        assert_int_equal(lent[i], i + 1);
    script_leave_all();
    assert_int_equal(removed, 77);
    free(ids);
    script_begin();
}

static void answer_removal(const script_message_t *message) {
    bytes_writer_t result = {0};
    script_leave_all();
    bytes_put_i64(&result, 5);
    script_answer(message, &result, NULL, 0);
}

static void test_ids_to_remove_few_or_none(void **state) {
    (void)state;
    int64_t ids[] = {5, 2, 9}, removed = 77;
    make_client(1000);
    script = answer_removal;
    for (int64_t n = 0; n <= 3; n++) {
        assert_ok(dfaiss_remove_ids(client, "index", n, ids, &removed, &error), error);
        assert_int_equal(removed, 5);
    }
    end_client();
}

static void test_leaving_with_requests_under_way(void **state) {
    (void)state;
    dfaiss_request_t *search, *several, *add, *waits;
    static const int64_t ids[LARGE / DIM];
    static const char *const two[] = {"one", "two"};
    dfaiss_batch_t own = batch_of(LARGE / DIM), assigned = batch_of(LARGE / DIM);
    own.ids = ids;
    make_client(0.01);
    assert_ok(dfaiss_search_start(client, 1, indexes, LARGE / DIM, DIM, vectors, 1, NULL, &search, &error), error);
    assert_ok(dfaiss_search_start(client, 2, two, LARGE / DIM, DIM, vectors, 1, NULL, &several, &error), error);
    assert_ok(dfaiss_add_start(client, "index", &own, NULL, &add, &error), error);
    assert_ok(dfaiss_add_start(client, "index", &assigned, NULL, &waits, &error), error);
    assert_ok(dfaiss_add_start(client, "index", &assigned, NULL, &waits, &error), error);
    dfaiss_client_destroy(client);
    script_leave_all();
    script_begin();
}

/* ---- what the client itself meets ---- */

static void test_answer_without_room_for_it(void **state) {
    (void)state;
    int64_t total = 77;
    make_client(1000);
    script = script_refuse_answer;
    assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_MEMORY, error, "for an answer");
    assert_int_equal(total, 77);
    script = train_slowly;
    assert_ok(dfaiss_get_ntotal(client, "index", &total, &error), error);
    end_client();
}

static void break_mpi(const script_message_t *message) {
    (void)message;
    script_break(DFAISS_ERR_MPI, "MPI has failed");
}

static void test_mpi_fails(void **state) {
    (void)state;
    dfaiss_request_t *requests[2];
    int64_t total = 77;
    make_client(0);
    for (int i = 0; i < 2; i++)
        assert_ok(dfaiss_search_start(client, 1, indexes, 1, DIM, vectors, 1, NULL, &requests[i], &error), error);
    script = break_mpi;
    for (int i = 1; i >= 0; i--)
        assert_fails(dfaiss_request_wait(requests[i], NULL, &error), DFAISS_ERR_MPI, error, "MPI has failed");
    assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_MPI, error, "MPI has failed");
    assert_fails(dfaiss_shutdown(client, &error), DFAISS_ERR_MPI, error, "MPI has failed");
    end_client();
}

static void interrupt(const script_message_t *message) {
    (void)message;
    script_say(MESSAGE_INTERRUPTED, DFAISS_ERR_INTERRUPTED, "the servers stop");
}

/* All that is under way ends with it, and nothing is asked any more; what was lent still leaves. */
static void test_servers_that_stop(void **state) {
    (void)state;
    dfaiss_request_t *search, *adds[2];
    dfaiss_batch_t batch = batch_of(LARGE / DIM);
    int64_t total = 77, ids[LARGE / DIM] = {-7};
    make_client(0);
    assert_ok(dfaiss_search_start(client, 1, indexes, LARGE / DIM, DIM, vectors, 1, NULL, &search, &error), error);
    for (int i = 0; i < 2; i++)
        assert_ok(dfaiss_add_start(client, "index", &batch, ids, &adds[i], &error), error);
    size_t asked = script_count(MESSAGE_KIND_COUNT);
    script_say(MESSAGE_INTERRUPTED, DFAISS_ERR_INTERRUPTED, "the servers stop");
    script_leave_all();
    for (int i = 1; i >= 0; i--)
        assert_fails(dfaiss_request_wait(adds[i], NULL, &error), DFAISS_ERR_INTERRUPTED, error, "the servers stop");
    assert_fails(dfaiss_request_wait(search, NULL, &error), DFAISS_ERR_INTERRUPTED, error, "the servers stop");
    assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_INTERRUPTED, error, "the servers stop");
    assert_fails(dfaiss_wait_state(client, "index", DFAISS_TRAINED, 0, &error), DFAISS_ERR_INTERRUPTED, error, "the servers stop");
    assert_int_equal(script_count(MESSAGE_KIND_COUNT), asked);
    assert_int_equal(total + ids[0], 77 - 7);
    end_client();
    make_client(0);
    script = interrupt;
    assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_INTERRUPTED, error, "the servers stop");
    end_client();
}

/* What servers say among themselves is nothing for a client. */
static void test_messages_that_are_no_answers(void **state) {
    (void)state;
    static const message_kind_t kinds[] = {MESSAGE_SPREAD, MESSAGE_GATHER, MESSAGE_SEARCH, MESSAGE_KIND_COUNT};
    int64_t total = 77;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        make_client(1000);
        script_say(kinds[i], DFAISS_ERR_IO, "nonsense");
        assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_PEER, error, "sent a client a message of kind");
        assert_fails(dfaiss_get_ntotal(client, "index", &total, &error), DFAISS_ERR_PEER, error, "sent a client a message of kind");
        end_client();
    }
    assert_int_equal(total, 77);
}

/* Nothing is asked that no memory holds. */
static void test_sizes_that_do_not_fit(void **state) {
    (void)state;
    static const int64_t ids[] = {1};
    static const int64_t sizes[][2] = {{INT64_MAX, 1}, {INT64_MAX, 2}, {(int64_t)1 << 61, 1}, {(int64_t)1 << 32, (int64_t)1 << 32}, {1, INT64_MAX}};
    const char *names[1025];
    dfaiss_request_t *request = NULL;
    make_client(1000);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        dfaiss_batch_t batch = {.element = DFAISS_U8, .n = sizes[i][0], .dim = sizes[i][1], .vectors = vectors, .ids = ids};
        assert_true(sizes[i][0] == 1 || dfaiss_add_start(client, "index", &batch, NULL, &request, &error) == DFAISS_ERR_ARG);
        batch.element = DFAISS_F32;
        assert_fails(dfaiss_add_start(client, "index", &batch, NULL, &request, &error), DFAISS_ERR_ARG, error, "fits into memory");
        assert_fails(dfaiss_update(client, "index", &batch, &error), DFAISS_ERR_ARG, error, "fits into memory");
        assert_fails(dfaiss_search_start(client, 1, indexes, sizes[i][0], sizes[i][1], vectors, 1, NULL, &request, &error), DFAISS_ERR_ARG, error,
                     "fits into memory");
    }
    assert_fails(dfaiss_remove_ids(client, "index", INT64_MAX, ids, NULL, &error), DFAISS_ERR_ARG, error, "9223372036854775807");
    for (int i = 0; i < 1025; i++)
        names[i] = indexes[0];
    assert_fails(dfaiss_search_start(client, 1025, names, 1, DIM, vectors, 1, NULL, &request, &error), DFAISS_ERR_ARG, error, "1025");
    assert_fails(dfaiss_search_start(client, INT32_MAX, names, 1, DIM, vectors, 1, NULL, &request, &error), DFAISS_ERR_ARG, error, "2147483647");
    assert_int_equal(script_count(MESSAGE_KIND_COUNT), 0);
    assert_null(request);
    end_client();
}

/* ---- ids that are assigned ---- */

enum { BATCH = 10, ADDS = CREDITS_OF_A_SERVER * SCRIPT_SERVERS };

static int64_t dealt, block; /* ids dealt out so far, and how many at once */
static bool refuse_ids;

static void deal_and_take(const script_message_t *message) {
    bytes_writer_t result = {0};
    if (message->kind == MESSAGE_ADD) {
        script_leave_all();
        bytes_put_u8(&result, MESSAGE_ADD_DONE);
        script_answer(message, &result, NULL, 0);
        return;
    }
    assert_int_equal(message->kind, MESSAGE_RESERVE_IDS);
    if (refuse_ids) {
        script_fail(message, DFAISS_ERR_NOT_FOUND, "there is no such index");
        return;
    }
    message_ids_t ids = {.first = dealt, .count = block, .incarnation = 1};
    dealt += block;
    message_ids_encode(&ids, &result);
    script_answer(message, &result, NULL, 0);
}

static void start_adds(dfaiss_request_t *requests[ADDS], int64_t ids[ADDS][BATCH]) {
    dfaiss_batch_t batch = batch_of(BATCH);
    for (int i = 0; i < ADDS; i++) {
        for (int j = 0; j < BATCH; j++)
            ids[i][j] = -7;
        assert_ok(dfaiss_add_start(client, "index", &batch, ids[i], &requests[i], &error), error);
    }
}

/* Batches of a client that begin together take ids of one block, and of the next when it is used up; no id is given twice. */
static void check_blocks(int64_t ids_at_once, size_t blocks) {
    dfaiss_request_t *requests[ADDS];
    int64_t ids[ADDS][BATCH];
    bool given[ADDS * BATCH * 2] = {false};
    make_client(1000);
    dealt = 0;
    block = ids_at_once;
    refuse_ids = false;
    start_adds(requests, ids);
    assert_int_equal(script_count(MESSAGE_RESERVE_IDS), 1);
    script = deal_and_take;
    for (int i = ADDS - 1; i >= 0; i--)
        assert_ok(dfaiss_request_wait(requests[i], NULL, &error), error);
    assert_int_equal(script_count(MESSAGE_RESERVE_IDS), blocks);
    assert_int_equal(script_count(MESSAGE_ADD), ADDS);
    for (int i = 0; i < ADDS * BATCH; i++) {
        int64_t id = ids[i / BATCH][i % BATCH];
        assert_in_range(id, 0, sizeof given - 1);
        assert_false(given[id]);
        given[id] = true;
    }
    end_client();
}

static void test_batches_that_begin_together_share_a_block(void **state) {
    (void)state;
    check_blocks(2 * ADDS * BATCH, 1);
    check_blocks(ADDS * BATCH, 1);
    /* Two batches a block, and a rest that is too small for a third. */
    check_blocks(2 * BATCH + 5, (ADDS + 1) / 2);
    check_blocks(BATCH, ADDS);
}

/* Whoever waits for ids that are not dealt out is told so too; a later batch asks again. */
static void test_refused_ids(void **state) {
    (void)state;
    dfaiss_request_t *requests[ADDS];
    int64_t ids[ADDS][BATCH];
    dfaiss_batch_t batch = batch_of(BATCH);
    make_client(1000);
    refuse_ids = true;
    start_adds(requests, ids);
    script = deal_and_take;
    for (int i = 0; i < ADDS; i++) {
        assert_fails(dfaiss_request_wait(requests[i], NULL, &error), DFAISS_ERR_NOT_FOUND, error, "no such index");
        assert_int_equal(ids[i][0], -7);
    }
    assert_int_equal(script_count(MESSAGE_RESERVE_IDS), 1);
    refuse_ids = false;
    dealt = 500;
    block = BATCH;
    assert_ok(dfaiss_add(client, "index", &batch, ids[0], &error), error);
    assert_int_equal(ids[0][BATCH - 1], 500 + BATCH - 1);
    end_client();
}

/* Nobody waits longer than for one answer. */
static void test_ids_that_are_never_dealt_out(void **state) {
    (void)state;
    dfaiss_request_t *requests[ADDS];
    int64_t ids[ADDS][BATCH];
    make_client(0.01);
    start_adds(requests, ids);
    for (int i = ADDS - 1; i >= 0; i--)
        assert_fails(dfaiss_request_wait(requests[i], NULL, &error), DFAISS_ERR_TIMEOUT, error, "RESERVE_IDS");
    assert_int_equal(script_count(MESSAGE_KIND_COUNT), 1);
    end_client();
}

static void answer_drop(const script_message_t *message) {
    if (message->kind == MESSAGE_DROP)
        script_answer(message, NULL, NULL, 0);
}

/* The client forgets what it knows of the index, while batches wait for ids; those that come then are of the index that is gone. */
static void test_index_is_dropped_while_batches_wait_for_ids(void **state) {
    (void)state;
    dfaiss_request_t *requests[ADDS];
    int64_t ids[ADDS][BATCH];
    bool done = true;
    make_client(1000);
    dealt = 0;
    block = ADDS * BATCH;
    refuse_ids = false;
    start_adds(requests, ids);
    script = answer_drop;
    assert_ok(dfaiss_drop_index(client, "index", &error), error);
    assert_ok(dfaiss_request_test(requests[1], &done, &error), error);
    assert_false(done);
    script = deal_and_take;
    deal_and_take(script_message(0));
    for (int i = 0; i < ADDS; i++)
        assert_ok(dfaiss_request_wait(requests[i], NULL, &error), error);
    assert_int_equal(script_count(MESSAGE_RESERVE_IDS), 2);
    end_client();
}

/* ---- credits ---- */

static size_t held;

/* The first three are held back, until the client asks how many vectors there are. */
static void hold(const script_message_t *message) {
    bytes_writer_t result = {0};
    bytes_put_u8(&result, held < CREDITS_OF_A_SERVER * SCRIPT_SERVERS ? MESSAGE_ADD_HELD : MESSAGE_ADD_DONE);
    held += message->kind == MESSAGE_ADD;
    script_answer(message, &result, NULL, 0);
}

static void test_credits_come_back_with_the_second_answer(void **state) {
    (void)state;
    const int64_t ids[] = {1};
    dfaiss_batch_t batch = batch_of(1);
    dfaiss_request_t *request;
    batch.ids = ids;
    make_client(0.01);
    script = hold;
    held = 0;
    for (int i = 0; i < ADDS; i++)
        assert_ok(dfaiss_add(client, "index", &batch, NULL, &error), error);
    assert_fails(dfaiss_add(client, "index", &batch, NULL, &error), DFAISS_ERR_TIMEOUT, error, "server 0 has been behind");
    assert_int_equal(script_count(MESSAGE_ADD), ADDS);
    for (size_t i = 0; i < ADDS; i++) {
        bytes_writer_t result = {0};
        bytes_put_u8(&result, MESSAGE_ADD_DONE);
        script_answer(script_message(i), &result, NULL, 0);
    }
    assert_ok(dfaiss_add_start(client, "index", &batch, NULL, &request, &error), error);
    assert_ok(dfaiss_request_wait(request, NULL, &error), error);
    end_client();
}

/* Whoever does not answer is not waited for as long as somebody who has much to index. */
static void test_credits_of_a_server_that_does_not_answer(void **state) {
    (void)state;
    const int64_t ids[] = {1};
    dfaiss_batch_t batch = batch_of(1);
    dfaiss_client_options_t options = {.timeout = 0.01, .long_timeout = 0};
    batch.ids = ids;
    script_begin();
    assert_ok(dfaiss_client_create(&script_world, &options, &client, &error), error);
    for (int i = 0; i < ADDS; i++)
        assert_fails(dfaiss_add(client, "index", &batch, NULL, &error), DFAISS_ERR_TIMEOUT, error, "ADD");
    assert_fails(dfaiss_add(client, "index", &batch, NULL, &error), DFAISS_ERR_TIMEOUT, error, "server 0 has not answered earlier batches");
    assert_int_equal(script_count(MESSAGE_ADD), ADDS);
    /* Late answers give the credits back. */
    for (size_t i = 0; i < ADDS; i++)
        script_fail(script_message(i), DFAISS_ERR_MEMORY, "late");
    script = hold;
    held = ADDS;
    assert_ok(dfaiss_add(client, "index", &batch, NULL, &error), error);
    end_client();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_for_a_state_ends_without_answers),
        cmocka_unit_test(test_waiting_for_a_state),
        cmocka_unit_test(test_late_answers_are_dropped),
        cmocka_unit_test(test_time_out_while_a_bulk_is_read),
        cmocka_unit_test(test_answer_before_the_bulk_has_left),
        cmocka_unit_test(test_ids_to_remove_are_kept_while_they_are_read),
        cmocka_unit_test(test_ids_to_remove_few_or_none),
        cmocka_unit_test(test_leaving_with_requests_under_way),
        cmocka_unit_test(test_answer_without_room_for_it),
        cmocka_unit_test(test_mpi_fails),
        cmocka_unit_test(test_servers_that_stop),
        cmocka_unit_test(test_messages_that_are_no_answers),
        cmocka_unit_test(test_sizes_that_do_not_fit),
        cmocka_unit_test(test_batches_that_begin_together_share_a_block),
        cmocka_unit_test(test_refused_ids),
        cmocka_unit_test(test_ids_that_are_never_dealt_out),
        cmocka_unit_test(test_index_is_dropped_while_batches_wait_for_ids),
        cmocka_unit_test(test_credits_come_back_with_the_second_answer),
        cmocka_unit_test(test_credits_of_a_server_that_does_not_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
