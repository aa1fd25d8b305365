/* What clients and those who are none can do to a gateway, and what it bears. */
#include "test_gateway.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "gateway/frame.h"
#include "gateway/listen_file.h"
#include "message/message.h"

static remote_t *connected(const test_gateway_t *test) {
    remote_t *remote = NULL;
    dfaiss_error_t error;
    assert_ok(remote_connect(test->path, &remote, &error), error);
    return remote;
}

/* Somebody else is still served. */
static void assert_serves(const test_gateway_t *test) {
    remote_t *remote = connected(test);
    test_gateway_ask(remote, 10, 100);
    remote_destroy(remote);
}

static void send_head(int descriptor, const frame_head_t *head) {
    uint8_t bytes[FRAME_HEAD];
    frame_head_encode(head, bytes);
    assert_int_equal(send(descriptor, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
}

/* ---- the listen file ---- */

static void listen_file_is_the_owners_alone(void **state) {
    char folder[256], path[300];
    dfaiss_error_t error;
    struct stat info;
    listen_file_t file = {.host = "localhost", .port = 1234}, found;
    (void)state;
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/listen", folder);
    assert_ok(listen_file_make_token(file.token, &error), error);
    mode_t mask = umask(0);
    assert_ok(listen_file_write(path, &file, &error), error);
    umask(mask);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_ok(listen_file_read(path, &found, &error), error);
    assert_string_equal(found.host, file.host);
    assert_int_equal(found.port, file.port);
    assert_true(frame_token_equal(found.token, file.token));
    assert_ok(file_remove_tree(folder, &error), error);
}

/* Servers may be told to stop while their indexes still load. */
static void what_has_closed_invites_nobody(void **state) {
    char folder[256], path[300];
    dfaiss_error_t error, reason = {0};
    gateway_t *gateway;
    (void)state;
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/listen", folder);
    gateway_options_t options = {.listen_file = path, .servers = 1, .limits = gateway_usual_limits()};
    assert_ok(gateway_open(&options, &gateway, &error), error);
    gateway_close(gateway, &reason, true);
    assert_ok(gateway_publish(gateway, &error), error);
    assert_false(file_exists(path));
    gateway_destroy(gateway);
    assert_ok(file_remove_tree(folder, &error), error);
}

static void listen_file_of_another_job_stays(void **state) {
    char folder[256], path[300];
    dfaiss_error_t error;
    listen_file_t mine = {.host = "localhost", .port = 1234, .token = {1}}, other = {.host = "localhost", .port = 1235, .token = {2}};
    (void)state;
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/listen", folder);
    assert_ok(listen_file_write(path, &mine, &error), error);
    assert_ok(listen_file_write(path, &other, &error), error);
    listen_file_remove(path, &mine);
    assert_true(file_exists(path));
    listen_file_remove(path, &other);
    assert_false(file_exists(path));
    assert_ok(file_remove_tree(folder, &error), error);
}

static void other_files_are_no_listen_files(void **state) {
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "important",
        "{\"format\": \"dfaiss listen\", \"host\": \"\", \"port\": 1, \"token\": \"\"}",
        "{\"format\": \"dfaiss listen\", \"host\": \"a\", \"port\": 65536, "
        "\"token\": \"0000000000000000000000000000000000000000000000000000000000000000\"}",
        "{\"format\": \"dfaiss listen\", \"host\": \"a\", \"port\": 1, "
        "\"token\": \"000000000000000000000000000000000000000000000000000000000000000g\"}",
        "{\"format\": \"another\", \"host\": \"a\", \"port\": 1, \"token\": \"0000000000000000000000000000000000000000000000000000000000000000\"}",
    };
    char folder[256], path[300];
    dfaiss_error_t error;
    listen_file_t file = {.host = "localhost", .port = 1234}, found;
    (void)state;
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/listen", folder);
    assert_fails(listen_file_read(path, &found, &error), DFAISS_ERR_NOT_FOUND, error, path);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_ok(file_replace(path, texts[i], strlen(texts[i]), &error), error);
        assert_fails(listen_file_read(path, &found, &error), DFAISS_ERR_DATA, error, "is no listen file");
        assert_fails(listen_file_write(path, &file, &error), DFAISS_ERR_EXISTS, error, "would be lost");
    }
    assert_ok(file_remove_tree(folder, &error), error);
}

static void addresses_that_cannot_be_listened_at_are_named(void **state) {
    gateway_t *gateway;
    dfaiss_error_t error;
    gateway_options_t options = {.listen_file = "/nowhere/listen", .servers = 1, .limits = gateway_usual_limits(), .bind = "256.1.1.1"};
    (void)state;
    assert_fails(gateway_open(&options, &gateway, &error), DFAISS_ERR_ARG, error, "256.1.1.1");
    options.bind = "203.0.113.1";
    assert_fails(gateway_open(&options, &gateway, &error), DFAISS_ERR_IO, error, "203.0.113.1");
}

/* ---- good clients ---- */

static void messages_come_back_whole(void **state) {
    test_gateway_t test;
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    remote_t *remote = connected(&test);
    assert_int_equal(remote_servers(remote), 3);
    assert_int_equal(remote_lead(remote), 1);
    test_gateway_ask(remote, 0, 0);
    test_gateway_ask(remote, 1, 0);
    test_gateway_ask(remote, 0, 1);
    test_gateway_ask(remote, 20000, 3);
    test_gateway_ask(remote, 5 << 20, 0);
    test_gateway_ask(remote, 3 << 20, 50 << 20);
    remote_destroy(remote);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

static void clients_do_not_get_each_others_answers(void **state) {
    enum { CLIENTS = 20, ROUNDS = 5 };
    test_gateway_t test;
    remote_t *remotes[CLIENTS];
    transport_message_t message;
    dfaiss_error_t error;
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    for (int i = 0; i < CLIENTS; i++)
        remotes[i] = connected(&test);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++)
            assert_ok(remote_send(remotes[i], i % 3, MESSAGE_SEARCH, 7, &i, sizeof i, NULL, 0, NULL, NULL, &error), error);
        for (int i = 0; i < CLIENTS; i++) {
            assert_ok(test_gateway_wait(remotes[i], &message, &error), error);
            assert_int_equal(message.correlation, 7);
            assert_int_equal(message.body_size, 1 + sizeof i);
            assert_memory_equal((uint8_t *)message.body + 1, &i, sizeof i);
            transport_message_clear(&message);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        for (int j = 0; j < i; j++)
            assert_int_not_equal(remote_number(remotes[i]), remote_number(remotes[j]));
    }
    for (int i = 0; i < CLIENTS; i++)
        remote_destroy(remotes[i]);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

static void a_client_that_dies_leaves_nothing(void **state) {
    test_gateway_t test;
    dfaiss_error_t error;
    static char bulk[1 << 20];
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    test.silent = true;
    for (int i = 0; i < 10; i++) {
        remote_t *remote = connected(&test);
        for (uint64_t j = 0; j < 3; j++)
            assert_ok(remote_send(remote, 0, MESSAGE_ADD, j, &j, sizeof j, bulk, sizeof bulk, NULL, NULL, &error), error);
        remote_destroy(remote);
    }
    test.silent = false;
    test_gateway_wait_quiet(&test);
    assert_serves(&test);
    test_gateway_stop(&test);
}

/* What a client asked before the servers were shut down is answered; then it is told. */
static void clients_are_told_of_the_end(void **state) {
    test_gateway_t test;
    transport_message_t message;
    dfaiss_error_t error;
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    remote_t *busy = connected(&test), *idle = connected(&test);
    test.silent = true;
    assert_ok(remote_send(busy, 0, MESSAGE_SEARCH, 5, "x", 1, NULL, 0, NULL, NULL, &error), error);
    usleep(50000);
    test.closing = true;
    assert_fails(test_gateway_wait(idle, &message, &error), DFAISS_ERR_STATE, error, "the servers were shut down");
    assert_true(remote_failed(idle));
    test.silent = false;
    assert_ok(test_gateway_wait(busy, &message, &error), error);
    transport_message_clear(&message);
    assert_fails(test_gateway_wait(busy, &message, &error), DFAISS_ERR_STATE, error, "the servers were shut down");
    assert_fails(remote_send(busy, 0, MESSAGE_SEARCH, 6, "x", 1, NULL, 0, NULL, NULL, &error), DFAISS_ERR_STATE, error, "shut down");
    remote_destroy(busy);
    remote_destroy(idle);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

/* Where the servers stop, what is under way is not waited for. */
static void clients_are_told_of_a_stop_at_once(void **state) {
    test_gateway_t test;
    transport_message_t message;
    dfaiss_error_t error;
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    remote_t *busy = connected(&test);
    test.silent = true;
    assert_ok(remote_send(busy, 0, MESSAGE_SEARCH, 5, "x", 1, NULL, 0, NULL, NULL, &error), error);
    usleep(50000);
    test.at_once = true;
    test.closing = true;
    assert_fails(test_gateway_wait(busy, &message, &error), DFAISS_ERR_STATE, error, "the servers were shut down");
    remote_destroy(busy);
    test_gateway_stop(&test);
}

static void a_gateway_that_is_gone_is_named(void **state) {
    test_gateway_t test;
    listen_file_t file;
    char folder[256], path[300];
    dfaiss_error_t error;
    remote_t *remote;
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    assert_ok(listen_file_read(test.path, &file, &error), error);
    test_gateway_stop(&test);
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/listen", folder);
    assert_fails(remote_connect(path, &remote, &error), DFAISS_ERR_NOT_FOUND, error, path);
    assert_ok(listen_file_write(path, &file, &error), error);
    assert_fails(remote_connect(path, &remote, &error), DFAISS_ERR_PEER, error, path);
    assert_ok(file_remove_tree(folder, &error), error);
}

/* ---- others ---- */

static void a_wrong_token_gets_no_further(void **state) {
    test_gateway_t test;
    listen_file_t file;
    char wrong[600];
    dfaiss_error_t error;
    remote_t *remote;
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    assert_ok(listen_file_read(test.path, &file, &error), error);
    snprintf(wrong, sizeof wrong, "%s/wrong", test.folder);
    for (int i = 0; i < LISTEN_TOKEN; i += LISTEN_TOKEN - 1) {
        file.token[i] ^= 1;
        assert_ok(listen_file_write(wrong, &file, &error), error);
        assert_fails(remote_connect(wrong, &remote, &error), DFAISS_ERR_PEER, error, "have not written this file");
        file.token[i] ^= 1;
    }
    assert_int_equal(test.clients, 0);
    assert_serves(&test);
    test_gateway_stop(&test);
}

static void other_versions_are_told(void **state) {
    test_gateway_t test;
    listen_file_t file;
    uint8_t hello[FRAME_HELLO], bytes[FRAME_WELCOME_BYTES];
    frame_welcome_t welcome;
    dfaiss_error_t error;
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    assert_ok(listen_file_read(test.path, &file, &error), error);
    for (size_t place = LISTEN_TOKEN; place < sizeof hello; place += 4) {
        int descriptor = test_gateway_raw(&test, false);
        frame_hello_encode(file.token, hello);
        hello[place] ^= 1;
        assert_int_equal(send(descriptor, hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
        assert_int_equal(recv(descriptor, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
        assert_ok(frame_welcome_decode(bytes, &welcome, &error), error);
        assert_int_equal(welcome.verdict, FRAME_WRONG_VERSION);
        assert_ended(descriptor);
    }
    test_gateway_stop(&test);
}

/* Half a token, a token byte by byte, and silence. */
static void strangers_do_not_stay(void **state) {
    test_gateway_t test;
    gateway_limits_t limits = gateway_usual_limits();
    (void)state;
    limits.greeting_seconds = 0.3;
    test_gateway_start(&test, limits);
    int silent = test_gateway_raw(&test, false), half = test_gateway_raw(&test, false);
    assert_int_equal(send(half, "0123456789", 10, MSG_NOSIGNAL), 10);
    assert_ended(silent);
    assert_ended(half);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

/* Many who say nothing keep nobody out. */
static void two_hundred_strangers_are_borne(void **state) {
    enum { STRANGERS = 200 };
    test_gateway_t test;
    int descriptors[STRANGERS];
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    for (int i = 0; i < STRANGERS; i++)
        descriptors[i] = test_gateway_raw(&test, false);
    for (int i = 0; i < 10; i++)
        assert_serves(&test);
    for (int i = 0; i < STRANGERS; i++)
        assert_int_equal(close(descriptors[i]), 0);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

/* As many as may connect do; one more waits until one has gone. */
static void connections_are_counted(void **state) {
    enum { CONNECTIONS = 200, MOST = 50 };
    test_gateway_t test;
    gateway_limits_t limits = gateway_usual_limits();
    int descriptors[CONNECTIONS];
    listen_file_t file;
    uint8_t hello[FRAME_HELLO], bytes[FRAME_WELCOME_BYTES];
    frame_welcome_t welcome;
    dfaiss_error_t error;
    int welcomed = 0;
    (void)state;
    limits.connections = MOST;
    test_gateway_start(&test, limits);
    assert_ok(listen_file_read(test.path, &file, &error), error);
    frame_hello_encode(file.token, hello);
    for (int i = 0; i < CONNECTIONS; i++) {
        descriptors[i] = test_gateway_raw(&test, false);
        assert_int_equal(send(descriptors[i], hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        /* One that was made room of before its token was read is as good as refused. */
        if (recv(descriptors[i], bytes, sizeof bytes, MSG_WAITALL) != (ssize_t)sizeof bytes)
            continue;
        assert_ok(frame_welcome_decode(bytes, &welcome, &error), error);
        assert_true(welcome.verdict == FRAME_WELCOME || welcome.verdict == FRAME_BUSY);
        welcomed += welcome.verdict == FRAME_WELCOME;
    }
    assert_int_equal(welcomed, MOST);
    for (int i = 0; i < CONNECTIONS; i++)
        assert_int_equal(close(descriptors[i]), 0);
    assert_serves(&test);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

static void garbage_ends_its_connection_alone(void **state) {
    test_gateway_t test;
    char garbage[5000];
    (void)state;
    memset(garbage, 'x', sizeof garbage);
    test_gateway_start(&test, gateway_usual_limits());
    remote_t *good = connected(&test);
    int descriptor = test_gateway_raw(&test, true);
    assert_int_equal(send(descriptor, garbage, sizeof garbage, MSG_NOSIGNAL), sizeof garbage);
    assert_ended(descriptor);
    test_gateway_ask(good, 10, 100000);
    remote_destroy(good);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

static void messages_that_are_none_of_clients_are_refused(void **state) {
    static const frame_head_t heads[] = {
        {.kind = MESSAGE_SPREAD},
        {.kind = MESSAGE_GATHER},
        {.kind = MESSAGE_ROWS},
        {.kind = MESSAGE_ANSWER},
        {.kind = MESSAGE_KIND_COUNT},
        {.kind = FRAME_GOODBYE},
        {.kind = MESSAGE_SEARCH, .server = 3},
        {.kind = MESSAGE_SEARCH, .server = UINT32_MAX},
        {.kind = MESSAGE_ADD, .bulk_size = (uint64_t)1 << 40},
        {.kind = MESSAGE_ADD, .bulk_size = UINT64_MAX / 2 - 1},
        {.kind = MESSAGE_ADD, .bulk_size = UINT64_MAX},
        {.kind = MESSAGE_ADD, .body_size = UINT32_MAX},
    };
    test_gateway_t test;
    (void)state;
    test_gateway_start(&test, gateway_usual_limits());
    remote_t *good = connected(&test);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int descriptor = test_gateway_raw(&test, true);
        send_head(descriptor, &heads[i]);
        assert_ended(descriptor);
    }
    test_gateway_ask(good, 10, 100);
    remote_destroy(good);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

/* A client that keeps the rules is told before anything is sent, and goes on. */
static void too_large_a_message_is_told(void **state) {
    test_gateway_t test;
    gateway_limits_t limits = gateway_usual_limits();
    dfaiss_error_t error;
    (void)state;
    limits.message_bytes = 1000;
    test_gateway_start(&test, limits);
    remote_t *remote = connected(&test);
    test_gateway_ask(remote, 500, 500);
    assert_fails(remote_send(remote, 0, MESSAGE_ADD, 1, &test, 501, &test, 500, NULL, NULL, &error), DFAISS_ERR_ARG, error, "takes 1000 at most");
    test_gateway_ask(remote, 1, 999);
    remote_destroy(remote);
    test_gateway_stop(&test);
}

static void half_a_message_is_forgotten(void **state) {
    const frame_head_t head = {.kind = MESSAGE_ADD, .body_size = 100, .bulk_size = 1 << 24};
    test_gateway_t test;
    gateway_limits_t limits = gateway_usual_limits();
    static char bytes[1 << 16];
    (void)state;
    limits.stall_seconds = 0.3;
    test_gateway_start(&test, limits);
    int leaves = test_gateway_raw(&test, true), stays = test_gateway_raw(&test, true), head_alone = test_gateway_raw(&test, true);
    send_head(leaves, &head);
    send_head(stays, &head);
    assert_int_equal(send(leaves, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
    assert_int_equal(send(stays, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
    assert_int_equal(send(head_alone, "d", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(close(leaves), 0);
    assert_serves(&test);
    assert_ended(stays);
    assert_ended(head_alone);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

/* Requests wait while others hold the memory for them, and are served then. */
static void memory_is_shared_out(void **state) {
    const frame_head_t head = {.kind = MESSAGE_ADD, .bulk_size = 1 << 20};
    test_gateway_t test;
    gateway_limits_t limits = gateway_usual_limits();
    transport_message_t message;
    dfaiss_error_t error;
    static char bytes[1 << 20];
    (void)state;
    limits.held_bytes = 1 << 20;
    test_gateway_start(&test, limits);
    int slow = test_gateway_raw(&test, true);
    send_head(slow, &head);
    assert_int_equal(send(slow, bytes, 1000, MSG_NOSIGNAL), 1000);
    usleep(50000);
    remote_t *large = connected(&test), *small = connected(&test);
    assert_ok(remote_send(large, 0, MESSAGE_ADD, 1, "x", 1, bytes, sizeof bytes, NULL, NULL, &error), error);
    test_gateway_ask(small, 10, 1000);
    assert_int_equal(close(slow), 0);
    assert_ok(test_gateway_wait(large, &message, &error), error);
    transport_message_clear(&message);
    test_gateway_ask(large, 10, 5 << 20);
    remote_destroy(large);
    remote_destroy(small);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

/* It asks and asks, and takes no answer: it is not listened to any more, then dropped. */
static void a_slow_reader_is_bounded(void **state) {
    enum { ASKED = 1 << 16 };
    const frame_head_t head = {.kind = MESSAGE_SEARCH, .bulk_size = ASKED};
    test_gateway_t test;
    gateway_limits_t limits = gateway_usual_limits();
    static char bytes[ASKED];
    (void)state;
    limits.stall_seconds = 1;
    limits.unsent_bytes = 8 << 20;
    limits.under_way = 8;
    test_gateway_start(&test, limits);
    remote_t *good = connected(&test);
    int slow = test_gateway_raw(&test, true);
    struct timeval patience = {.tv_usec = 200000};
    assert_int_equal(setsockopt(slow, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
    for (int i = 0; i < 10000; i++) {
        uint8_t head_bytes[FRAME_HEAD];
        frame_head_encode(&head, head_bytes);
        if (send(slow, head_bytes, sizeof head_bytes, MSG_NOSIGNAL) < 0 || send(slow, bytes, sizeof bytes, MSG_NOSIGNAL) < (ssize_t)sizeof bytes)
            break;
        if (i % 10 == 0)
            test_gateway_ask(good, 10, 1000);
    }
    assert_ended(slow);
    test_gateway_ask(good, 10, 1000);
    remote_destroy(good);
    test_gateway_wait_quiet(&test);
    test_gateway_stop(&test);
}

static void who_is_idle_is_told(void **state) {
    test_gateway_t test;
    gateway_limits_t limits = gateway_usual_limits();
    transport_message_t message;
    dfaiss_error_t error;
    (void)state;
    limits.idle_seconds = 0.3;
    test_gateway_start(&test, limits);
    remote_t *remote = connected(&test);
    test.silent = true;
    assert_ok(remote_send(remote, 0, MESSAGE_TRAIN, 1, "x", 1, NULL, 0, NULL, NULL, &error), error);
    usleep(600000);
    test.silent = false;
    assert_ok(test_gateway_wait(remote, &message, &error), error);
    transport_message_clear(&message);
    assert_fails(test_gateway_wait(remote, &message, &error), DFAISS_ERR_PEER, error, "idle for too long");
    remote_destroy(remote);
    test_gateway_stop(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_file_is_the_owners_alone),
        cmocka_unit_test(what_has_closed_invites_nobody),
        cmocka_unit_test(listen_file_of_another_job_stays),
        cmocka_unit_test(other_files_are_no_listen_files),
        cmocka_unit_test(addresses_that_cannot_be_listened_at_are_named),
        cmocka_unit_test(messages_come_back_whole),
        cmocka_unit_test(clients_do_not_get_each_others_answers),
        cmocka_unit_test(a_client_that_dies_leaves_nothing),
        cmocka_unit_test(clients_are_told_of_the_end),
        cmocka_unit_test(clients_are_told_of_a_stop_at_once),
        cmocka_unit_test(a_gateway_that_is_gone_is_named),
        cmocka_unit_test(a_wrong_token_gets_no_further),
        cmocka_unit_test(other_versions_are_told),
        cmocka_unit_test(strangers_do_not_stay),
        cmocka_unit_test(two_hundred_strangers_are_borne),
        cmocka_unit_test(connections_are_counted),
        cmocka_unit_test(garbage_ends_its_connection_alone),
        cmocka_unit_test(messages_that_are_none_of_clients_are_refused),
        cmocka_unit_test(too_large_a_message_is_told),
        cmocka_unit_test(half_a_message_is_forgotten),
        cmocka_unit_test(memory_is_shared_out),
        cmocka_unit_test(a_slow_reader_is_bounded),
        cmocka_unit_test(who_is_idle_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
