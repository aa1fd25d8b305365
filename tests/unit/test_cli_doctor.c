/* What the doctor makes of what ranks say: hosts made up here, of every kind that real ones can be. */
#include "check.h"

#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include <mpi.h>

#include "cli/doctor_host.h"
#include "cli/doctor_memory.h"
#include "cli/doctor_network.h"
#include "cli/doctor_storage.h"

enum { RANKS = 8, GIGABYTE = 1 << 30 };

/* A rank on a host of 64 processors that may use those from first to last. */
static doctor_rank_t make_rank(const char *host, int first, int last) {
    doctor_rank_t rank = {.start_seconds = 1,
                          .memory = (int64_t)64 * GIGABYTE,
                          .shared_memory = GIGABYTE,
                          .locked_memory = INT64_MAX,
                          .host_processors = 64,
                          .numa_nodes = 1,
                          .thread_level = MPI_THREAD_FUNNELED,
                          .avx2 = 1};
    snprintf(rank.rank.host, sizeof rank.rank.host, "%s", host);
    snprintf(rank.rank.processor, sizeof rank.rank.processor, "a processor");
    snprintf(rank.rank.simd, sizeof rank.rank.simd, "AVX2");
    CPU_ZERO(&rank.rank.allowed);
    for (int cpu = first; cpu <= last; cpu++)
        CPU_SET((size_t)cpu, &rank.rank.allowed);
    rank.rank.cores = last - first + 1;
    return rank;
}

/* The finding with this text is there, with its verdict and, unless all is well, with advice. */
static void assert_found(const doctor_findings_t *findings, doctor_verdict_t verdict, const char *text) {
    for (int i = 0; i < findings->count; i++)
        if (strstr(findings->list[i].text, text)) {
            assert_int_equal(findings->list[i].verdict, verdict);
            assert_int_equal(findings->list[i].advice[0] != 0, verdict != DOCTOR_OK);
            return;
        }
    doctor_findings_print(stderr, findings);
    fail_msg("not found: %s", text);
}

static void expect_of_hosts(const doctor_rank_t *ranks, int n, doctor_verdict_t verdict, const char *text) {
    doctor_findings_t findings = {0};
    doctor_check_hosts(ranks, n, &findings);
    assert_found(&findings, verdict, text);
    assert_int_equal(doctor_count(&findings, DOCTOR_ADVICE) + doctor_count(&findings, DOCTOR_PROBLEM), verdict == DOCTOR_OK ? 0 : 1);
    doctor_findings_clear(&findings);
}

static void test_binding(void **state) {
    (void)state;
    const doctor_rank_t apart[] = {make_rank("a", 0, 31), make_rank("a", 32, 63), make_rank("b", 0, 31), make_rank("b", 32, 63)};
    expect_of_hosts(apart, 4, DOCTOR_OK, "no rank lacks cores");
    const doctor_rank_t unbound[] = {make_rank("a", 0, 63), make_rank("a", 0, 63), make_rank("a", 0, 63)};
    expect_of_hosts(unbound, 3, DOCTOR_OK, "no rank lacks cores");
    const doctor_rank_t crowded[] = {make_rank("a", 0, 0), make_rank("a", 0, 0), make_rank("b", 0, 63), make_rank("b", 0, 63)};
    expect_of_hosts(crowded, 4, DOCTOR_ADVICE, "a: 2 ranks on 1 core");
    const doctor_rank_t overlapping[] = {make_rank("a", 0, 40), make_rank("a", 32, 63)};
    expect_of_hosts(overlapping, 2, DOCTOR_ADVICE, "a: 2 ranks share some of their cores");
    const doctor_rank_t idle[] = {make_rank("a", 0, 0), make_rank("a", 1, 1)};
    expect_of_hosts(idle, 2, DOCTOR_ADVICE, "a: the ranks may use 2 of the host's 64 processors");
    doctor_rank_t wide[] = {make_rank("a", 0, 63)};
    wide[0].numa_nodes = 2;
    expect_of_hosts(wide, 1, DOCTOR_ADVICE, "a: a rank runs on 2 NUMA nodes");
}

static void test_processors_and_limits(void **state) {
    (void)state;
    const struct {
        const char *simd, *processor, *variable;
        double start;
        int64_t shared, locked;
        int level, infiniband;
        doctor_verdict_t verdict;
        const char *text;
    } cases[] = {
        {"generic", "a processor", "", 1, GIGABYTE, INT64_MAX, MPI_THREAD_FUNNELED, 0, DOCTOR_ADVICE, "b: faiss runs without the processor's AVX2"},
        {"AVX2", "another", "", 1, GIGABYTE, INT64_MAX, MPI_THREAD_FUNNELED, 0, DOCTOR_ADVICE, "b has another processor (another) than a"},
        {"AVX2", "a processor", "OMP_PLACES=cores", 1, GIGABYTE, INT64_MAX, MPI_THREAD_FUNNELED, 0, DOCTOR_ADVICE, "OMP_PLACES=cores is set on b"},
        {"AVX2", "a processor", "", 60, GIGABYTE, INT64_MAX, MPI_THREAD_FUNNELED, 0, DOCTOR_ADVICE, "MPI ready after 60.0 s"},
        {"AVX2", "a processor", "", 1, 1 << 20, INT64_MAX, MPI_THREAD_FUNNELED, 0, DOCTOR_PROBLEM, "b: /dev/shm has 1 MB free"},
        {"AVX2", "a processor", "", 1, GIGABYTE, 65536, MPI_THREAD_FUNNELED, 1, DOCTOR_ADVICE, "b: 64 kB of memory may be locked"},
        {"AVX2", "a processor", "", 1, GIGABYTE, 65536, MPI_THREAD_FUNNELED, 0, DOCTOR_OK, "shared memory and locked memory suffice"},
        {"AVX2", "a processor", "", 1, GIGABYTE, INT64_MAX, MPI_THREAD_SINGLE, 0, DOCTOR_PROBLEM, "MPI grants no threads"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        doctor_rank_t ranks[] = {make_rank("a", 0, 63), make_rank("b", 0, 63)};
        snprintf(ranks[1].rank.simd, sizeof ranks[1].rank.simd, "%s", cases[i].simd);
        snprintf(ranks[1].rank.processor, sizeof ranks[1].rank.processor, "%s", cases[i].processor);
        snprintf(ranks[1].bound_threads, sizeof ranks[1].bound_threads, "%s", cases[i].variable);
        ranks[1].start_seconds = cases[i].start;
        ranks[1].shared_memory = cases[i].shared;
        ranks[1].locked_memory = cases[i].locked;
        ranks[1].thread_level = cases[i].level;
        ranks[1].infiniband = cases[i].infiniband;
        expect_of_hosts(ranks, 2, cases[i].verdict, cases[i].text);
    }
}

static void test_partners(void **state) {
    (void)state;
    const char *const hosts[RANKS] = {"a", "a", "b", "b", "c", "d", "e", "a"};
    doctor_rank_t ranks[RANKS];
    int partners[RANKS];
    for (int i = 0; i < RANKS; i++)
        ranks[i] = make_rank(hosts[i], 0, 63);
    const int all[] = {1, 2, 4, 5, 6};
    assert_int_equal(doctor_network_partners(ranks, RANKS, RANKS, partners), 5);
    assert_memory_equal(partners, all, sizeof all);
    /* Where there are too many hosts, some of them. */
    assert_int_equal(doctor_network_partners(ranks, RANKS, 3, partners), 3);
    assert_int_equal(partners[0], 1);
    assert_true(partners[1] < partners[2]);
    assert_int_equal(doctor_network_partners(ranks, 1, RANKS, partners), 0);
}

static void test_network(void **state) {
    (void)state;
    const doctor_rank_t ranks[] = {make_rank("a", 0, 31), make_rank("a", 32, 63), make_rank("b", 0, 31), make_rank("c", 0, 31)};
    const doctor_link_t good[] = {{1, true, 1e-6, 1e10}, {2, true, 2e-6, 2e10}, {3, true, 2e-6, 1e10}};
    const doctor_link_t slow[] = {{1, true, 1e-6, 1e10}, {2, true, 2e-6, 2e10}, {3, true, 50e-6, 1e8}};
    const doctor_link_t lost[] = {{1, true, 1e-6, 1e10}, {2, false, 0, 0}, {0}};
    doctor_findings_t findings = {0};
    doctor_check_network(ranks, 3, good, &findings);
    assert_found(&findings, DOCTOR_OK, "within a");
    assert_found(&findings, DOCTOR_OK, "a to c");
    doctor_check_network(ranks, 3, slow, &findings);
    assert_int_equal(doctor_count(&findings, DOCTOR_ADVICE), 1);
    doctor_check_network(ranks, 3, lost, &findings);
    assert_found(&findings, DOCTOR_PROBLEM, "messages between a (rank 0) and b (rank 2) do not arrive");
    json_t *object = doctor_findings_json(&findings);
    assert_non_null(object);
    assert_int_equal(json_integer_value(json_object_get(object, "problems")), 1);
    assert_int_equal(json_array_size(json_object_get(object, "checks")), (size_t)findings.count);
    json_decref(object);
    doctor_findings_clear(&findings);
}

static void test_memory(void **state) {
    (void)state;
    doctor_rank_t ranks[] = {make_rank("a", 0, 31), make_rank("a", 32, 63), make_rank("b", 0, 63), make_rank("c", 0, 63)};
    const bool servers[] = {true, true, true, false};
    doctor_need_t need = {.vector = 1000, .known = true, .dim = 250};
    doctor_findings_t findings = {0};
    /* 96 GB are 32 GB a server: 64 GB on a. */
    doctor_check_memory(ranks, 4, servers, 80000000, &need, &findings);
    assert_found(&findings, DOCTOR_OK, "a needs 53.3 GB and has 68.7 GB");
    doctor_check_memory(ranks, 4, servers, 96000000, &need, &findings);
    assert_found(&findings, DOCTOR_PROBLEM, "a needs 64.0 GB");
    need.training = 1e12;
    doctor_check_memory(ranks, 4, servers, 1000, &need, &findings);
    assert_found(&findings, DOCTOR_PROBLEM, "a needs 1000.0 GB");
    assert_non_null(strstr(findings.list[findings.count - 1].advice, "training alone"));
    doctor_findings_clear(&findings);
}

static void expect_of_storage(const doctor_trial_t *trials, double index_bytes, doctor_verdict_t verdict, const char *text) {
    const doctor_rank_t ranks[] = {make_rank("a", 0, 63), make_rank("b", 0, 63)};
    const int hosts[] = {0, 1};
    doctor_findings_t findings = {0};
    doctor_check_storage("st", ranks, 2, hosts, trials, index_bytes, &findings);
    assert_found(&findings, verdict, text);
    doctor_findings_clear(&findings);
}

static void test_storage(void **state) {
    (void)state;
    const doctor_trial_t good = {.write_rate = 1e9,
                                 .read_rate = 1e9,
                                 .sync_seconds = 0.01,
                                 .renames = 1,
                                 .links = 1,
                                 .locks = 1,
                                 .free_bytes = INT64_C(1) << 40,
                                 .kind = 0x0BD00BD0};
    doctor_trial_t trials[2] = {good, good};
    expect_of_storage(trials, 0, DOCTOR_OK, "Lustre: 1000 MB/s written and synced");
    expect_of_storage(trials, 0.8e12, DOCTOR_ADVICE, "st has 1099.5 GB free");
    expect_of_storage(trials, 2e12, DOCTOR_PROBLEM, "st has 1099.5 GB free");
    trials[1].seen_after = -1;
    expect_of_storage(trials, 0, DOCTOR_PROBLEM, "b does not see in st what a wrote there");
    trials[1] = good;
    trials[1].renames = 0;
    expect_of_storage(trials, 0, DOCTOR_PROBLEM, "b: a rename does not replace a file");
    trials[1] = good;
    trials[1].write_rate = 1e7;
    expect_of_storage(trials, 1e12, DOCTOR_ADVICE, "10 MB/s written and synced");
    trials[1] = good;
    trials[1].seen_after = 9;
    expect_of_storage(trials, 0, DOCTOR_ADVICE, "b saw a new file 9.0 s after");
    trials[1] = good;
    trials[0].kind = 0x01021994;
    expect_of_storage(trials, 0, DOCTOR_ADVICE, "st is on tmpfs");
}

static void test_trial(void **state) {
    (void)state;
    char storage[PATH_MAX], folder[PATH_MAX];
    doctor_trial_t trial;
    dfaiss_error_t err = {0};
    check_make_folder(storage, sizeof storage);
    assert_ok(doctor_storage_begin(storage, folder, &err), err);
    doctor_storage_try(folder, 0, &trial);
    assert_int_equal(trial.error.code, DFAISS_OK);
    assert_true(trial.seen_after >= 0 && trial.renames && trial.free_bytes > 0 && trial.write_rate > 0 && trial.read_rate > 0);
    assert_ok(doctor_storage_end(folder, &err), err);
    assert_int_equal(rmdir(storage), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binding),  cmocka_unit_test(test_processors_and_limits),
        cmocka_unit_test(test_partners), cmocka_unit_test(test_network),
        cmocka_unit_test(test_memory),   cmocka_unit_test(test_storage),
        cmocka_unit_test(test_trial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
