/* The clients of a benchmark among themselves: all but the first rank are clients. */
#include "check.h"

#include <stdbool.h>

#include <mpi.h>

#include "cli/bench_machine.h"
#include "cli/bench_peers.h"

enum { SERVERS = 1 };

static int world_rank, world_size;
static bench_peers_t peers;

static bool is_client(void) {
    return world_rank >= SERVERS;
}

static int begin(void **state) {
    (void)state;
    return bench_peers_create(MPI_COMM_WORLD, SERVERS, &peers, NULL) == DFAISS_OK ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    bench_peers_destroy(&peers);
    return 0;
}

static void numbers_the_clients(void **state) {
    (void)state;
    if (!is_client()) {
        assert_true(peers.communicator == MPI_COMM_NULL);
        return;
    }
    assert_int_equal(peers.count, world_size - SERVERS);
    assert_int_equal(peers.number, world_rank - SERVERS);
}

static void goes_on_where_nobody_failed(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    if (!is_client())
        return;
    assert_ok(bench_peers_meet(&peers, &err), err);
    assert_ok(bench_peers_agree(&peers, DFAISS_OK, &err), err);
    assert_string_equal(err.text, "");
}

/* In turn each client, and those behind it, fail: all of them tell of the first. */
static void tells_all_of_the_first_failure(void **state) {
    (void)state;
    for (int first = 0; is_client() && first < peers.count; first++) {
        dfaiss_error_t err = {0};
        char text[64];
        dfaiss_status_t mine = DFAISS_OK;
        if (peers.number >= first)
            mine = error_set(&err, peers.number == first ? DFAISS_ERR_DATA : DFAISS_ERR_IO, "file", "client %d cannot read", peers.number);
        snprintf(text, sizeof text, "client %d cannot read", first);
        assert_fails(bench_peers_agree(&peers, mine, &err), DFAISS_ERR_DATA, err, text);
        assert_int_equal(err.code, DFAISS_ERR_DATA);
        assert_string_equal(err.where, "file");
    }
}

/* The job is aborted then: nobody waits for the others. */
static void returns_by_itself_from_lost_peers(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    if (world_rank != SERVERS)
        return;
    dfaiss_status_t mine = error_set(&err, DFAISS_ERR_TIMEOUT, "", "server 0 is silent");
    assert_fails(bench_peers_agree(&peers, mine, &err), DFAISS_ERR_TIMEOUT, err, "server 0 is silent");
}

static void adds_up_on_the_first_client(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    uint64_t counts[3] = {1, (uint64_t)peers.number, 0};
    double rates[2] = {0.5, peers.number};
    if (!is_client())
        return;
    assert_ok(bench_peers_add(&peers, counts, 3, rates, 2, &err), err);
    if (peers.number > 0)
        return;
    int sum = peers.count * (peers.count - 1) / 2;
    assert_int_equal(counts[0], peers.count);
    assert_int_equal(counts[1], sum);
    assert_int_equal(counts[2], 0);
    assert_true(rates[0] == 0.5 * peers.count && rates[1] == sum);
}

static void tells_the_first_client_of_all_hosts(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    bench_machine_t machine = {0};
    assert_ok(bench_machine_gather(MPI_COMM_WORLD, SERVERS, &machine, &err), err);
    int servers = 0, clients = 0;
    for (int i = 0; i < machine.count; i++) {
        servers += machine.hosts[i].servers;
        clients += machine.hosts[i].clients;
        assert_true(machine.hosts[i].cores >= 1);
        assert_true(machine.hosts[i].first->host[0] && machine.hosts[i].first->simd[0]);
    }
    assert_int_equal(servers, world_rank == SERVERS ? SERVERS : 0);
    assert_int_equal(clients, world_rank == SERVERS ? world_size - SERVERS : 0);
    bench_machine_clear(&machine);
}

/* Two hosts: on `a` three ranks share two cores, on `b` two ranks are bound to one core each. */
static void counts_cores_once(void **state) {
    (void)state;
    dfaiss_error_t err = {0};
    bench_machine_t machine = {0};
    bench_rank_t *ranks = calloc(5, sizeof *ranks);
    assert_non_null(ranks);
    for (int i = 0; i < 5; i++) {
        snprintf(ranks[i].host, sizeof ranks[i].host, "%s", i % 2 ? "b" : "a");
        ranks[i].server = i < 3;
        ranks[i].cores = i % 2 ? 1 : 2;
        for (int processor = 0; processor < 2; processor++)
            if (i % 2 == 0 || processor == i / 2)
                CPU_SET((size_t)processor, &ranks[i].allowed);
    }
    assert_ok(bench_machine_make(ranks, 5, &machine, &err), err);
    assert_int_equal(machine.count, 2);
    assert_string_equal(machine.hosts[0].first->host, "a");
    assert_int_equal(machine.hosts[0].cores, 2);
    assert_int_equal(machine.hosts[0].servers, 2);
    assert_int_equal(machine.hosts[0].clients, 1);
    assert_int_equal(machine.hosts[1].cores, 2);
    assert_int_equal(machine.hosts[1].servers, 1);
    assert_int_equal(machine.hosts[1].clients, 1);
    bench_machine_clear(&machine);
}

int main(int argc, char **argv) {
    if (MPI_Init(&argc, &argv) != MPI_SUCCESS)
        return 1;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world_size);
    if (world_rank > 0 && !freopen("/dev/null", "w", stdout))
        MPI_Abort(MPI_COMM_WORLD, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_the_clients, begin, end),
        cmocka_unit_test_setup_teardown(goes_on_where_nobody_failed, begin, end),
        cmocka_unit_test_setup_teardown(tells_all_of_the_first_failure, begin, end),
        cmocka_unit_test_setup_teardown(returns_by_itself_from_lost_peers, begin, end),
        cmocka_unit_test_setup_teardown(adds_up_on_the_first_client, begin, end),
        cmocka_unit_test(tells_the_first_client_of_all_hosts),
        cmocka_unit_test(counts_cores_once),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
