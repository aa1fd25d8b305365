#include "test_gateway.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/list.h"
#include "base/memory.h"
#include "gateway/frame.h"
#include "gateway/socket.h"
#include "message/message.h"
#include "message/outcome.h"

enum { SERVERS = 3, PATIENCE = 20 /* seconds until a test has failed */ };

/* ---- the servers ---- */

static bool takes(uint32_t kind) {
    return kind == MESSAGE_ADD || kind == MESSAGE_SEARCH || kind == MESSAGE_TRAIN;
}

static dfaiss_status_t forward(void *context, int server, const transport_message_t *message, transport_done_t *done, void *done_context,
                               dfaiss_error_t *err) {
    test_gateway_t *test = context;
    (void)err;
    assert_in_range(server, 0, SERVERS - 1);
    assert_true(takes(message->kind));
    echo_t *echo = calloc(1, sizeof *echo);
    bytes_writer_t body = {0};
    assert_non_null(echo);
    message_outcome_encode(DFAISS_OK, NULL, &body);
    bytes_put(&body, message->body, message->body_size);
    echo->answer = (transport_message_t){.kind = MESSAGE_ANSWER, .correlation = message->correlation, .body = body.data, .body_size = body.size};
    echo->answer.bulk = memory_map(message->bulk_size);
    echo->answer.bulk_size = message->bulk_size;
    if (message->bulk_size > 0)
        memcpy(echo->answer.bulk, message->bulk, message->bulk_size);
    LIST_APPEND(test->echoes, echo);
    done(done_context);
    return DFAISS_OK;
}

static bool answer(test_gateway_t *test) {
    bool something = false;
    while (test->echoes && !test->silent) {
        echo_t *echo = test->echoes;
        test->echoes = echo->next;
        gateway_answer(test->gateway, &echo->answer);
        free(echo);
        something = true;
    }
    return something;
}

static void *run(void *context) {
    test_gateway_t *test = context;
    dfaiss_error_t reason = {0};
    (void)error_set(&reason, DFAISS_ERR_STATE, "", "the servers were shut down");
    while (!test->ending) {
        if (test->closing)
            gateway_close(test->gateway, &reason, test->at_once);
        bool something = gateway_advance(test->gateway) | answer(test);
        test->quiet = gateway_quiet(test->gateway);
        test->clients = gateway_clients(test->gateway);
        struct pollfd watched = {.fd = gateway_descriptor(test->gateway), .events = POLLIN};
        if (!something)
            (void)poll(&watched, 1, 5);
    }
    return NULL;
}

void test_gateway_start(test_gateway_t *test, gateway_limits_t limits) {
    dfaiss_error_t error;
    *test = (test_gateway_t){0};
    check_make_folder(test->folder, sizeof test->folder);
    snprintf(test->path, sizeof test->path, "%s/listen", test->folder);
    gateway_options_t options = {
        .listen_file = test->path, .servers = SERVERS, .lead = 1, .limits = limits, .takes = takes, .forward = forward, .context = test};
    assert_ok(gateway_open(&options, &test->gateway, &error), error);
    assert_ok(gateway_publish(test->gateway, &error), error);
    assert_int_equal(pthread_create(&test->thread, NULL, run, test), 0);
}

void test_gateway_stop(test_gateway_t *test) {
    dfaiss_error_t error;
    test->ending = true;
    assert_int_equal(pthread_join(test->thread, NULL), 0);
    test->silent = false;
    answer(test);
    gateway_destroy(test->gateway);
    assert_false(file_exists(test->path));
    assert_ok(file_remove_tree(test->folder, &error), error);
}

void test_gateway_wait_quiet(test_gateway_t *test) {
    double begin = clock_seconds();
    while (!test->quiet) {
        assert_true(clock_seconds() - begin < PATIENCE);
        usleep(1000);
    }
}

/* ---- clients ---- */

int test_gateway_raw(const test_gateway_t *test, bool token) {
    listen_file_t file;
    dfaiss_error_t error;
    struct addrinfo *addresses;
    assert_ok(listen_file_read(test->path, &file, &error), error);
    assert_ok(socket_resolve(file.host, file.port, false, &addresses, &error), error);
    int descriptor = socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(connect(descriptor, addresses->ai_addr, addresses->ai_addrlen), 0);
    freeaddrinfo(addresses);
    if (token) {
        uint8_t hello[FRAME_HELLO], bytes[FRAME_WELCOME_BYTES];
        frame_welcome_t welcome;
        frame_hello_encode(file.token, hello);
        assert_int_equal(send(descriptor, hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
        assert_int_equal(recv(descriptor, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
        assert_ok(frame_welcome_decode(bytes, &welcome, &error), error);
        assert_int_equal(welcome.verdict, FRAME_WELCOME);
    }
    return descriptor;
}

void assert_ended(int descriptor) {
    double begin = clock_seconds();
    char nothing[4096];
    for (;;) {
        struct pollfd watched = {.fd = descriptor, .events = POLLIN};
        assert_true(clock_seconds() - begin < PATIENCE);
        if (poll(&watched, 1, 100) <= 0)
            continue;
        ssize_t got = recv(descriptor, nothing, sizeof nothing, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            break;
    }
    assert_int_equal(close(descriptor), 0);
}

dfaiss_status_t test_gateway_wait(remote_t *remote, transport_message_t *message, dfaiss_error_t *err) {
    double begin = clock_seconds();
    bool arrived = false;
    while (!arrived) {
        assert_true(clock_seconds() - begin < PATIENCE);
        dfaiss_status_t status = remote_progress(remote, message, &arrived, err);
        if (status != DFAISS_OK)
            return status;
        if (!arrived)
            remote_idle(remote);
    }
    return DFAISS_OK;
}

static void note_done(void *context) {
    ++*(int *)context;
}

void test_gateway_ask(remote_t *remote, size_t body_size, size_t bulk_size) {
    static uint64_t correlation = 1000;
    uint8_t *body = malloc(body_size + 1), *bulk = malloc(bulk_size + 1);
    transport_message_t message;
    dfaiss_error_t error;
    int done = 0;
    assert_non_null(body);
    assert_non_null(bulk);
    for (size_t i = 0; i < body_size; i++)
        body[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < bulk_size; i++)
        bulk[i] = (uint8_t)(i * 13 + i / 251);
    correlation++;
    assert_ok(remote_send(remote, 2, MESSAGE_ADD, correlation, body, body_size, bulk, bulk_size, note_done, &done, &error), error);
    assert_ok(test_gateway_wait(remote, &message, &error), error);
    assert_int_equal(done, 1);
    assert_int_equal(message.kind, MESSAGE_ANSWER);
    assert_int_equal(message.correlation, correlation);
    assert_int_equal(message.body_size, body_size + 1);
    assert_int_equal(((uint8_t *)message.body)[0], DFAISS_OK);
    assert_memory_equal((uint8_t *)message.body + 1, body, body_size);
    assert_int_equal(message.bulk_size, bulk_size);
    if (bulk_size > 0)
        assert_memory_equal(message.bulk, bulk, bulk_size);
    transport_message_clear(&message);
    free(body);
    free(bulk);
}
