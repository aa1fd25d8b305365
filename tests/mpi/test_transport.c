/* Messages between ranks: every rank runs the same tests, with pieces of 64 KiB so that most large messages have many.
 *
 * A rank whose test failed aborts the others before the next one, since they would wait for it. Rank 0 alone writes to stdout.
 */
#include "check.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "transport/internal.h"

enum { SMALL_PIECES = 64 << 10 };

static int world_rank, world_size;
static bool passed = true;

/* Every message that is not one to oneself goes through MPI_Isend. */
static int isends;

int MPI_Isend(const void *buffer, int count, MPI_Datatype type, int destination, int tag, MPI_Comm comm, MPI_Request *request) {
    isends++;
    return PMPI_Isend(buffer, count, type, destination, tag, comm, request);
}

/* Changes what rank 1 says of itself when it joins. */
static int forged_version;

int MPI_Allgather(const void *mine, int count, MPI_Datatype type, void *all, int all_count, MPI_Datatype all_type, MPI_Comm comm) {
    int hello[8] = {0};
    if (!forged_version || count > 8 || world_rank != 1)
        return PMPI_Allgather(mine, count, type, all, all_count, all_type, comm);
    memcpy(hello, mine, (size_t)count * sizeof *hello);
    hello[1] = forged_version;
    return PMPI_Allgather(hello, count, type, all, all_count, all_type, comm);
}

/* The linker puts this in the place of memory_map. */
static bool refuse_memory;
void *__real_memory_map(size_t bytes);
void *__wrap_memory_map(size_t bytes);

void *__wrap_memory_map(size_t bytes) {
    return refuse_memory && bytes > SMALL_PIECES ? NULL : __real_memory_map(bytes);
}

static int begin(void **state) {
    (void)state;
    if (!passed)
        MPI_Abort(MPI_COMM_WORLD, 1);
    passed = false;
    return 0;
}

static transport_t *join_as(bool server) {
    dfaiss_error_t error;
    transport_t *transport = NULL;
    assert_ok(transport_create(MPI_COMM_WORLD, server, &transport, &error), error);
    transport_set_piece_size(transport, SMALL_PIECES);
    return transport;
}

/* The last rank is the client. */
static transport_t *join(void) {
    return join_as(world_rank < world_size - 1);
}

static void leave(transport_t *transport) {
    transport_destroy(transport);
    passed = true;
}

static bool poll_once(transport_t *transport, transport_message_t *message) {
    dfaiss_error_t error;
    bool arrived = false;
    assert_ok(transport_progress(transport, message, &arrived, &error), error);
    if (!arrived)
        transport_idle(transport);
    return arrived;
}

static transport_message_t receive(transport_t *transport) {
    transport_message_t message;
    while (!poll_once(transport, &message))
        ;
    return message;
}

static void send_small(transport_t *transport, int rank, uint32_t kind, const void *body, size_t size) {
    dfaiss_error_t error;
    assert_ok(transport_send(transport, rank, kind, 0, body, size, NULL, 0, NULL, NULL, &error), error);
}

/* Progresses until the call fails. */
static dfaiss_status_t progress_to_failure(transport_t *transport, dfaiss_error_t *error) {
    for (;;) {
        transport_message_t message;
        bool arrived = false;
        dfaiss_status_t status = transport_progress(transport, &message, &arrived, error);
        assert_false(arrived);
        if (status != DFAISS_OK)
            return status;
        transport_idle(transport);
    }
}

static void count_done(void *context) {
    ++*(int *)context;
}

static void numbers_the_roles(void **state) {
    (void)state;
    transport_t *transport = join_as(world_rank % 2 == 0);
    assert_int_equal(transport_rank(transport), world_rank);
    assert_int_equal(transport_servers(transport), (world_size + 1) / 2);
    assert_int_equal(transport_clients(transport), world_size / 2);
    assert_int_equal(transport_number(transport), world_rank / 2);
    for (int rank = 0; rank < world_size; rank++) {
        assert_int_equal(transport_is_server(transport, rank), rank % 2 == 0);
        int found = rank % 2 == 0 ? transport_server_rank(transport, rank / 2) : transport_client_rank(transport, rank / 2);
        assert_int_equal(found, rank);
    }
    leave(transport);
}

static void needs_a_server(void **state) {
    (void)state;
    dfaiss_error_t error;
    transport_t *transport = NULL;
    assert_ok(transport_create(MPI_COMM_WORLD, true, &transport, &error), error);
    assert_int_equal(transport_clients(transport), 0);
    transport_destroy(transport);
    transport = NULL;
    assert_fails(transport_create(MPI_COMM_WORLD, false, &transport, &error), DFAISS_ERR_ARG, error, "is a server");
    assert_null(transport);
    transport_destroy(NULL);
    leave(join());
}

static void refuses_ranks_of_another_version(void **state) {
    (void)state;
    dfaiss_error_t error;
    transport_t *transport = NULL;
    forged_version = 99;
    assert_fails(transport_create(MPI_COMM_WORLD, world_rank == 0, &transport, &error), DFAISS_ERR_PEER, error, "rank 1 has version 99");
    forged_version = 0;
    assert_null(transport);
    leave(join());
}

/* What a message of a source, a destination and a number holds. */
typedef struct content {
    uint8_t *body, *bulk;
    size_t body_size, bulk_size;
} content_t;

static size_t draw_size(random_state_t *random) {
    switch (random_below(random, 6)) {
    case 0:
        return 0;
    case 1:
        return random_below(random, 3 << 20);
    case 2: /* around the limits */
        return INLINE_LIMIT - 2 + random_below(random, 5);
    case 3:
        return SMALL_PIECES * (1 + random_below(random, 3)) - 1 + random_below(random, 3);
    default:
        return random_below(random, 2000);
    }
}

static void fill(uint8_t *data, size_t size, random_state_t *random) {
    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t word = random_u64(random);
        memcpy(data + i, &word, size - i < sizeof word ? size - i : sizeof word);
    }
}

static content_t make_content(int source, int destination, uint64_t number) {
    random_state_t random = random_stream(5, ((uint64_t)source * 1000 + (uint64_t)destination) * 1000 + number);
    content_t content = {.body_size = draw_size(&random), .bulk_size = draw_size(&random)};
    content.body = malloc(content.body_size + 1);
    content.bulk = malloc(content.bulk_size + 1);
    assert_true(content.body && content.bulk);
    fill(content.body, content.body_size, &random);
    fill(content.bulk, content.bulk_size, &random);
    return content;
}

static void check_content(const transport_message_t *message) {
    content_t expected = make_content(message->source, world_rank, message->correlation);
    assert_int_equal(message->body_size, expected.body_size);
    assert_int_equal(message->bulk_size, expected.bulk_size);
    assert_true(expected.body_size == 0 || memcmp(message->body, expected.body, expected.body_size) == 0);
    assert_true(expected.bulk_size == 0 || memcmp(message->bulk, expected.bulk, expected.bulk_size) == 0);
    free(expected.body);
    free(expected.bulk);
}

/* A bulk lent to the transport: given back, it is damaged before it is freed, so that a too early call shows. */
typedef struct loan {
    uint8_t *bulk;
    size_t size;
    int *returned;
} loan_t;

static void give_back(void *context) {
    loan_t *loan = context;
    memset(loan->bulk, 0xee, loan->size);
    free(loan->bulk);
    ++*loan->returned;
    free(loan);
}

static void send_content(transport_t *transport, int destination, uint64_t number, int *returned) {
    dfaiss_error_t error;
    content_t content = make_content(world_rank, destination, number);
    loan_t *loan = malloc(sizeof *loan);
    assert_non_null(loan);
    *loan = (loan_t){.bulk = content.bulk, .size = content.bulk_size, .returned = returned};
    assert_ok(
        transport_send(transport, destination, 77, number, content.body, content.body_size, content.bulk, content.bulk_size, give_back, loan, &error),
        error);
    memset(content.body, 0xdd, content.body_size); /* was copied */
    free(content.body);
}

static void carries_any_size_from_all_to_all(void **state) {
    (void)state;
    enum { EACH = 12 };
    transport_t *transport = join();
    int returned = 0;
    for (uint64_t number = 0; number < EACH; number++)
        for (int step = 0; step < world_size; step++)
            send_content(transport, (world_rank + step) % world_size, number, &returned);
    int left = EACH * world_size;
    bool seen[9][EACH] = {{false}};
    while (left > 0 || returned < EACH * world_size) {
        transport_message_t message;
        if (!poll_once(transport, &message))
            continue;
        assert_int_equal(message.kind, 77);
        assert_in_range(message.correlation, 0, EACH - 1);
        assert_false(seen[message.source][message.correlation]);
        seen[message.source][message.correlation] = true;
        check_content(&message);
        transport_message_clear(&message);
        left--;
    }
    transport_counts_t counts = transport_counts(transport);
    assert_int_equal(counts.sent_messages, EACH * (world_size - 1));
    assert_int_equal(counts.received_messages, EACH * (world_size - 1));
    leave(transport);
}

static void counts_every_byte_that_travels(void **state) {
    (void)state;
    transport_t *transport = join();
    size_t sizes[] = {10, 200000};
    uint8_t *data = calloc(1, sizes[1]);
    assert_non_null(data);
    dfaiss_error_t error;
    int done = 0, next = (world_rank + 1) % world_size;
    for (int i = 0; i < 2; i++)
        assert_ok(transport_send(transport, next, 1, 0, data, sizes[i], data, sizes[i], count_done, &done, &error), error);
    assert_int_equal(done, 1); /* the small one was copied */
    for (int i = 0; i < 2; i++) {
        transport_message_t message = receive(transport);
        transport_message_clear(&message);
    }
    transport_message_t none;
    while (done < 2)
        assert_false(poll_once(transport, &none));
    uint64_t bytes = 2 * (sizes[0] + sizes[1] + ENVELOPE_BYTES);
    transport_counts_t counts = transport_counts(transport);
    assert_int_equal(counts.sent_messages, 2);
    assert_int_equal(counts.received_messages, 2);
    assert_int_equal(counts.sent_bytes, bytes);
    assert_int_equal(counts.received_bytes, bytes);
    free(data);
    leave(transport);
}

/* Each client asks the one server; a question of 128 components and an answer of 10 hits are one MPI message each. */
static void asks_and_answers_with_one_message_each_way(void **state) {
    (void)state;
    enum { QUESTIONS = 100, WINDOW_OF_CLIENT = 5 };
    transport_t *transport = join_as(world_rank == 0);
    float query[128] = {0};
    uint8_t answer[10 * 24 + 32] = {0};
    dfaiss_error_t error;
    isends = 0;
    if (world_rank == 0) {
        for (int left = QUESTIONS * (world_size - 1); left > 0; left--) {
            transport_message_t message = receive(transport);
            assert_int_equal(message.kind, 1);
            assert_int_equal(message.body_size, sizeof query);
            memcpy(answer, message.body, sizeof(float));
            assert_ok(transport_send(transport, message.source, 2, message.correlation, answer, sizeof answer, NULL, 0, NULL, NULL, &error), error);
            transport_message_clear(&message);
        }
        assert_int_equal(isends, QUESTIONS * (world_size - 1));
    } else {
        for (int asked = 0, answered = 0; answered < QUESTIONS;) {
            for (; asked < QUESTIONS && asked - answered < WINDOW_OF_CLIENT; asked++) {
                query[0] = (float)(asked * world_rank);
                assert_ok(transport_send(transport, 0, 1, (uint64_t)asked, query, sizeof query, NULL, 0, NULL, NULL, &error), error);
            }
            transport_message_t message = receive(transport);
            float echoed;
            memcpy(&echoed, message.body, sizeof echoed);
            assert_true(echoed == (float)(message.correlation * (uint64_t)world_rank));
            transport_message_clear(&message);
            answered++;
        }
        transport_counts_t counts = transport_counts(transport);
        assert_int_equal(counts.sent_messages, QUESTIONS);
        assert_int_equal(counts.received_messages, QUESTIONS);
        assert_int_equal(isends, QUESTIONS);
    }
    leave(transport);
}

/* A chain of messages, each sent by the done call of the one before. */
typedef struct chain {
    transport_t *transport;
    int destination, left;
    const uint8_t *bulk;
} chain_t;

static void send_next(void *context) {
    chain_t *chain = context;
    if (chain->left == 0)
        return;
    dfaiss_error_t error;
    size_t size = chain->left % 3 == 0 ? 100 : 150000;
    chain->left--;
    assert_ok(transport_send(chain->transport, chain->destination, 3, 0, NULL, 0, chain->bulk, size, send_next, chain, &error), error);
}

static void sends_from_within_done_calls(void **state) {
    (void)state;
    enum { LENGTH = 30 };
    transport_t *transport = join();
    uint8_t *bulk = calloc(1, 150000);
    assert_non_null(bulk);
    chain_t chains[2] = {{transport, (world_rank + 1) % world_size, LENGTH, bulk}, {transport, world_rank, LENGTH, bulk}};
    send_next(&chains[0]);
    send_next(&chains[1]);
    for (int left = 2 * LENGTH; left > 0; left--) {
        transport_message_t message = receive(transport);
        assert_true(message.bulk_size == 100 || message.bulk_size == 150000);
        transport_message_clear(&message);
    }
    leave(transport);
    free(bulk);
}

static void refuses_what_cannot_be_sent(void **state) {
    (void)state;
    transport_t *transport = join();
    dfaiss_error_t error;
    int done = 0;
    char byte = 0;
    assert_fails(transport_send(transport, world_size, 1, 0, NULL, 0, &byte, 1, count_done, &done, &error), DFAISS_ERR_ARG, error,
                 "a message to rank");
    assert_fails(transport_send(transport, -1, 1, 0, NULL, 0, &byte, 1, count_done, &done, &error), DFAISS_ERR_ARG, error, "rank -1");
    assert_fails(transport_send(transport, 0, 1, 0, &byte, TRANSPORT_BODY_LIMIT + 1, NULL, 0, count_done, &done, &error), DFAISS_ERR_ARG, error,
                 "1073741825");
    assert_fails(transport_send(transport, 0, 1, 0, NULL, 1, NULL, 0, count_done, &done, &error), DFAISS_ERR_ARG, error, "address");
    assert_int_equal(done, 0);
    leave(transport);
}

/* Messages that nobody takes wait; none is lost, and small ones come as they were sent, although MPI tells of several at once in any order. */
static void keeps_what_waits_in_order(void **state) {
    (void)state;
    enum { FLOOD = 3 * ARRIVED_LIMIT };
    transport_t *transport = join_as(world_rank == 0);
    if (world_rank > 0) {
        for (uint32_t i = 0; i < FLOOD; i++)
            send_small(transport, 0, i, &i, sizeof i);
    } else {
        uint32_t *next = calloc((size_t)world_size, sizeof *next);
        assert_non_null(next);
        for (int left = FLOOD * (world_size - 1); left > 0; left--) {
            transport_message_t message = receive(transport);
            assert_int_equal(message.kind, next[message.source]++);
            transport_message_clear(&message);
        }
        free(next);
    }
    leave(transport);
}

/* Both know that the message was refused, and the next one arrives. */
static void reports_missing_memory_and_goes_on(void **state) {
    (void)state;
    enum { BULK = 1000000 };
    transport_t *transport = join();
    dfaiss_error_t error;
    transport_message_t none;
    if (world_rank == 0) {
        uint8_t *bulk = calloc(1, BULK);
        assert_non_null(bulk);
        int done = 0;
        assert_ok(transport_send(transport, 1, 9, 77, NULL, 0, bulk, BULK, count_done, &done, &error), error);
        while (done == 0)
            assert_false(poll_once(transport, &none));
        send_small(transport, 1, 10, "x", 1);
        free(bulk);
    } else if (world_rank == 1) {
        refuse_memory = true;
        transport_message_t refused;
        bool arrived = false;
        while (transport_progress(transport, &refused, &arrived, &error) != DFAISS_ERR_MEMORY)
            transport_idle(transport);
        assert_false(arrived || transport_failed(transport));
        assert_true(refused.source == 0 && refused.kind == 9 && refused.correlation == 77);
        assert_true(refused.body_size == 0 && refused.bulk_size == 0);
        assert_non_null(strstr(error.text, "1000000 bytes"));
        assert_string_equal(error.where, "rank 0");
        transport_message_t message = receive(transport);
        refuse_memory = false;
        assert_int_equal(message.kind, 10);
        transport_message_clear(&message);
    }
    leave(transport);
}

/* An envelope as rank 0 would send it, with room for what a test changes. */
static size_t make_packet(uint8_t *packet, size_t capacity, const envelope_t *envelope) {
    memset(packet, 0, capacity);
    bytes_writer_t writer = {.data = packet, .capacity = capacity};
    envelope_encode(&writer, envelope);
    return writer.size;
}

static void expect_blame(transport_t *transport, const char *part) {
    dfaiss_error_t error;
    assert_int_equal(progress_to_failure(transport, &error), DFAISS_ERR_PEER);
    assert_string_equal(error.where, "rank 0");
    if (!strstr(error.text, part) || !strstr(error.text, "rank 0 sent"))
        fail_msg("the text \"%s\" does not contain \"%s\"", error.text, part);
}

/* One after another: rank 1 asks for the next packet when it has refused the one before. */
static void exchange_bad_packet(transport_t *transport, const void *packet, size_t size, const char *part) {
    if (world_rank == 0) {
        assert_int_equal(MPI_Send(packet, (int)size, MPI_BYTE, 1, TAG_ENVELOPE, transport->comm), MPI_SUCCESS);
        transport_message_t message = receive(transport);
        transport_message_clear(&message);
    } else if (world_rank == 1) {
        expect_blame(transport, part);
        send_small(transport, 0, 1, NULL, 0);
    }
}

static void refuses_packets_that_are_none(void **state) {
    (void)state;
    uint8_t packet[100];
    const envelope_t good = {.kind = 1, .body_size = 0, .bulk_size = 0};
    const struct {
        envelope_t envelope;
        const char *part;
    } wrong[] = {
        {{.body_size = 10}, "announces 10 of body"},
        {{.bulk_size = UINT64_MAX}, "of bulk"},
        {{.body_size = 1, .bulk_size = UINT64_MAX}, "of bulk"},
        {{.flags = 1, .tag = 5, .piece_size = 100, .body_size = TRANSPORT_BODY_LIMIT + 1}, "at most"},
        {{.flags = 8, .tag = 5, .piece_size = 100}, "unknown flags"},
        {{.flags = 5, .tag = 5, .piece_size = 100}, "a farewell with more"},
        {{.flags = 4, .tag = 5}, "with tag 5"},
        {{.flags = 4, .body_size = 1}, "a farewell with more"},
        {{.flags = 4}, "a farewell, and is no client"},
        {{.flags = 2, .tag = 0, .piece_size = 100}, "with tag 0"},
        {{.flags = 2, .tag = 40000, .piece_size = 100}, "with tag 40000"},
        {{.flags = 0, .tag = 4, .piece_size = 100}, "with tag 4"},
        {{.flags = 2, .tag = 4, .piece_size = 0, .bulk_size = 1}, "pieces of 0 bytes"},
        {{.flags = 2, .tag = 4, .piece_size = ENVELOPE_PIECE_LIMIT + 1, .bulk_size = 1}, "expected 1 to"},
    };
    transport_t *transport = join();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        size_t size = make_packet(packet, sizeof packet, &wrong[i].envelope);
        exchange_bad_packet(transport, packet, size, wrong[i].part);
    }
    size_t size = make_packet(packet, sizeof packet, &good);
    exchange_bad_packet(transport, packet, size - 1, "an envelope has 40");
    exchange_bad_packet(transport, packet, 0, "0 bytes");
    exchange_bad_packet(transport, packet, size + 3, "3 bytes behind the envelope");
    packet[4] = 2;
    exchange_bad_packet(transport, packet, size, "version 2");
    packet[0] ^= 1;
    exchange_bad_packet(transport, packet, size, "magic");
    leave(transport);
}

static void send_with_bad_piece(transport_t *transport, const envelope_t *envelope, int piece) {
    uint8_t packet[ENVELOPE_BYTES];
    static const uint8_t zeros[2000];
    size_t size = make_packet(packet, sizeof packet, envelope);
    assert_int_equal(MPI_Send(packet, (int)size, MPI_BYTE, 1, TAG_ENVELOPE, transport->comm), MPI_SUCCESS);
    assert_int_equal(MPI_Send(zeros, piece, MPI_BYTE, 1, (int)envelope->tag, transport->comm), MPI_SUCCESS);
    transport_message_t message = receive(transport);
    transport_message_clear(&message);
}

static void refuses_pieces_of_another_length(void **state) {
    (void)state;
    transport_t *transport = join();
    /* Short: Open MPI 4.1.4 writes a large one past the end of the receive before it reports it. */
    const envelope_t envelope = {.flags = ENVELOPE_BULK_FOLLOWS, .tag = 30000, .piece_size = 1000, .bulk_size = 1000};
    if (world_rank == 0) {
        send_with_bad_piece(transport, &envelope, 999);
        send_with_bad_piece(transport, &envelope, 2000);
    } else if (world_rank == 1) {
        expect_blame(transport, "999 bytes where 1000");
        send_small(transport, 0, 1, NULL, 0);
        expect_blame(transport, "more than was announced");
        send_small(transport, 0, 1, NULL, 0);
    }
    leave(transport);
}

/* A bulk that is announced and never comes: everybody can leave nevertheless. */
static void leaves_without_what_never_comes(void **state) {
    (void)state;
    transport_t *transport = join();
    const envelope_t missing = {.flags = ENVELOPE_BULK_FOLLOWS, .tag = 30001, .piece_size = 10000, .bulk_size = 100000};
    const envelope_t huge = {.flags = ENVELOPE_BULK_FOLLOWS, .tag = 30002, .piece_size = 10000, .bulk_size = (uint64_t)1 << 62};
    uint8_t packet[ENVELOPE_BYTES];
    if (world_rank == 0) {
        size_t size = make_packet(packet, sizeof packet, &missing);
        assert_int_equal(MPI_Send(packet, (int)size, MPI_BYTE, 1, TAG_ENVELOPE, transport->comm), MPI_SUCCESS);
        size = make_packet(packet, sizeof packet, &huge);
        assert_int_equal(MPI_Send(packet, (int)size, MPI_BYTE, 1, TAG_ENVELOPE, transport->comm), MPI_SUCCESS);
    } else if (world_rank == 1) {
        dfaiss_error_t error;
        assert_int_equal(progress_to_failure(transport, &error), DFAISS_ERR_MEMORY);
        assert_non_null(strstr(error.text, "4611686018427387904 bytes"));
    }
    leave(transport);
}

static void delivers_what_was_sent_before_leaving(void **state) {
    (void)state;
    transport_t *transport = join();
    uint8_t *bulk = calloc(1, 1 << 20);
    assert_non_null(bulk);
    int done = 0;
    dfaiss_error_t error;
    for (int rank = 0; rank < world_size; rank++)
        assert_ok(transport_send(transport, rank, 1, 0, NULL, 0, bulk, 1 << 20, count_done, &done, &error), error);
    leave(transport);
    assert_int_equal(done, world_size);
    free(bulk);
}

/* Clients leave one after another; the servers count them, and go on exchanging messages meanwhile. */
static void servers_count_clients_that_leave(void **state) {
    (void)state;
    transport_t *transport = join_as(world_rank == 0);
    if (world_rank > 0) {
        send_small(transport, 0, 1, NULL, 0);
        transport_message_t go = receive(transport);
        transport_message_clear(&go);
        leave(transport);
        return;
    }
    transport_message_t message;
    int clients[64] = {0};
    assert_true(world_size <= 64);
    for (int i = 1; i < world_size; i++) {
        message = receive(transport);
        clients[i - 1] = message.source;
        transport_message_clear(&message);
    }
    assert_int_equal(transport_clients_gone(transport), 0);
    for (int i = 1; i < world_size; i++) {
        send_small(transport, clients[i - 1], 1, NULL, 0);
        while (transport_clients_gone(transport) < i) {
            assert_false(poll_once(transport, &message));
            transport_idle(transport);
        }
        assert_int_equal(transport_clients_gone(transport), i);
    }
    leave(transport);
}

int main(int argc, char **argv) {
    int provided;
    if (MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return 1;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN); /* as transport.h asks */
    MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world_size);
    if (world_rank > 0 && !freopen("/dev/null", "w", stdout))
        MPI_Abort(MPI_COMM_WORLD, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(numbers_the_roles, begin),
        cmocka_unit_test_setup(needs_a_server, begin),
        cmocka_unit_test_setup(refuses_ranks_of_another_version, begin),
        cmocka_unit_test_setup(carries_any_size_from_all_to_all, begin),
        cmocka_unit_test_setup(counts_every_byte_that_travels, begin),
        cmocka_unit_test_setup(asks_and_answers_with_one_message_each_way, begin),
        cmocka_unit_test_setup(sends_from_within_done_calls, begin),
        cmocka_unit_test_setup(refuses_what_cannot_be_sent, begin),
        cmocka_unit_test_setup(keeps_what_waits_in_order, begin),
        cmocka_unit_test_setup(reports_missing_memory_and_goes_on, begin),
        cmocka_unit_test_setup(refuses_packets_that_are_none, begin),
        cmocka_unit_test_setup(refuses_pieces_of_another_length, begin),
        cmocka_unit_test_setup(leaves_without_what_never_comes, begin),
        cmocka_unit_test_setup(delivers_what_was_sent_before_leaving, begin),
        cmocka_unit_test_setup(servers_count_clients_that_leave, begin),
    };
    int failures = cmocka_run_group_tests_name("transport", tests, NULL, NULL);
    if (failures)
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Finalize();
    return 0;
}
