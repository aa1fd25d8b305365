/* A gateway in a thread of its own whose servers give back what they are asked, for tests of what travels between it and its clients. */
#ifndef TESTS_TEST_GATEWAY_H
#define TESTS_TEST_GATEWAY_H

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/gateway.h"
#include "gateway/remote.h"

typedef struct echo {
    struct echo *next;
    transport_message_t answer;
} echo_t;

typedef struct test_gateway {
    char folder[256], path[300]; /* of the listen file */
    gateway_t *gateway;
    pthread_t thread;
    echo_t *echoes;      /* answers that are due; of the thread alone */
    atomic_bool silent;  /* servers answer nothing for now */
    atomic_bool closing; /* the gateway is to close */
    atomic_bool at_once; /* whatever is under way */
    atomic_bool ending;
    atomic_bool quiet; /* nobody is connected, nothing under way */
    atomic_int clients;
} test_gateway_t;

/* Every request is answered by an ANSWER with its body behind the head of a success, and its bulk. */
void test_gateway_start(test_gateway_t *test, gateway_limits_t limits);
void test_gateway_stop(test_gateway_t *test);
/* Waits until it holds nothing any more. */
void test_gateway_wait_quiet(test_gateway_t *test);

/* A socket that is connected to it and has said nothing; with the token, the welcome is read too. */
int test_gateway_raw(const test_gateway_t *test, bool token);
/* The gateway has ended it, within seconds. */
void assert_ended(int descriptor);

/* Asks one thing and checks that it comes back. */
void test_gateway_ask(remote_t *remote, size_t body_size, size_t bulk_size);
/* Waits for the next answer; the call that fails is returned. */
dfaiss_status_t test_gateway_wait(remote_t *remote, transport_message_t *message, dfaiss_error_t *err);

#endif
