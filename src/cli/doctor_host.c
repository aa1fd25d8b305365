#include "cli/doctor_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <mpi.h>

#include "base/memory.h"

enum { SHARED_MEMORY_A_RANK = 16 << 20, LOCKED_MEMORY_LEAST = 64 << 20, NUMA_NODES_MOST = 1024 };
static const double slow_start = 10;

/* ---- one rank ---- */

double doctor_process_age(void) {
    char line[1024] = "";
    double up = 0;
    unsigned long long begun = 0;
    FILE *file = fopen("/proc/uptime", "re");
    if (!file || fscanf(file, "%lf", &up) != 1)
        up = 0;
    if (file)
        fclose(file);
    file = fopen("/proc/self/stat", "re");
    if (file && !fgets(line, sizeof line, file))
        line[0] = 0;
    if (file)
        fclose(file);
    /* The name, in parentheses, may hold anything; the start is the 20th number behind it. */
    const char *place = strrchr(line, ')');
    for (int i = 0; place && i < 20; i++)
        place = strchr(place + 1, ' ');
    if (!place || sscanf(place, " %llu", &begun) != 1 || up <= 0)
        return 0;
    double age = up - (double)begun / (double)sysconf(_SC_CLK_TCK);
    return age > 0 ? age : 0;
}

static bool processor_has(const char *flag) {
    char line[8192];
    bool found = false;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "flags", 5) != 0)
            continue;
        for (char *word = strtok(line, " \t\n"); word && !found; word = strtok(NULL, " \t\n"))
            found = strcmp(word, flag) == 0;
        break;
    }
    if (file)
        fclose(file);
    return found;
}

/* NUMA nodes that have one of the processors. */
static int count_numa_nodes(const cpu_set_t *allowed) {
    int count = 0;
    for (int node = 0; node < NUMA_NODES_MOST; node++) {
        char path[96], list[4096] = "";
        snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", node);
        FILE *file = fopen(path, "re");
        if (!file)
            break;
        bool meets = false;
        if (fgets(list, sizeof list, file))
            for (char *range = strtok(list, ","); range; range = strtok(NULL, ",")) {
                int first = 0, last = 0, read = sscanf(range, "%d-%d", &first, &last);
                for (int cpu = first; read > 0 && cpu <= (read > 1 ? last : first) && cpu < CPU_SETSIZE; cpu++)
                    meets = meets || CPU_ISSET((size_t)cpu, allowed);
            }
        fclose(file);
        count += meets;
    }
    return count;
}

static int64_t free_shared_memory(void) {
    struct statvfs system;
    if (statvfs("/dev/shm", &system) != 0)
        return INT64_MAX;
    return (int64_t)system.f_bavail * (int64_t)system.f_frsize;
}

static int64_t lockable_memory(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > INT64_MAX)
        return INT64_MAX;
    return (int64_t)limit.rlim_cur;
}

static void note_bound_threads(char *text, size_t capacity) {
    static const char *const names[] = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"};
    text[0] = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0] && strcasecmp(value, "false") != 0) {
            snprintf(text, capacity, "%s=%s", names[i], value);
            return;
        }
    }
}

void doctor_rank_describe(int thread_level, doctor_rank_t *rank) {
    memset(rank, 0, sizeof *rank);
    bench_rank_describe(true, &rank->rank);
    size_t memory = memory_available();
    rank->memory = memory > INT64_MAX ? INT64_MAX : (int64_t)memory;
    rank->shared_memory = free_shared_memory();
    rank->locked_memory = lockable_memory();
    rank->host_processors = (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
    rank->numa_nodes = count_numa_nodes(&rank->rank.allowed);
    rank->thread_level = thread_level;
    rank->avx2 = processor_has("avx2");
    rank->infiniband = access("/sys/class/infiniband", F_OK) == 0;
    note_bound_threads(rank->bound_threads, sizeof rank->bound_threads);
    rank->start_seconds = doctor_process_age();
}

/* ---- all ranks ---- */

int doctor_host_of(const doctor_rank_t *ranks, int rank) {
    for (int i = 0; i < rank; i++)
        if (strcmp(ranks[i].rank.host, ranks[rank].rank.host) == 0)
            return i;
    return rank;
}

static void check_start(const doctor_rank_t *ranks, int n, doctor_findings_t *findings) {
    int hosts = 0, slowest = 0, least = MPI_THREAD_MULTIPLE;
    for (int i = 0; i < n; i++) {
        hosts += doctor_host_of(ranks, i) == i;
        slowest = ranks[i].start_seconds > ranks[slowest].start_seconds ? i : slowest;
        least = ranks[i].thread_level < least ? ranks[i].thread_level : least;
    }
    double seconds = ranks[slowest].start_seconds;
    doctor_find(findings, "start", seconds > slow_start ? DOCTOR_ADVICE : DOCTOR_OK, "%d rank%s on %d host%s, MPI ready after %.1f s", n,
                n == 1 ? "" : "s", hosts, hosts == 1 ? "" : "s", seconds);
    if (seconds > slow_start)
        doctor_advise(findings, "%s was last: the program and its libraries may lie on a slow file system; copy them to each node first (sbcast)",
                      ranks[slowest].rank.host);
    if (least < MPI_THREAD_FUNNELED) {
        doctor_find(findings, "threads", DOCTOR_PROBLEM, "MPI grants no threads beside the one that calls it");
        doctor_advise(findings, "servers need MPI_THREAD_FUNNELED: take an MPI that was built with threads");
    }
}

/* What the ranks of one host have to themselves. */
typedef struct host_sum {
    int ranks;
    int cores;      /* physical, of all their processors together */
    int processors; /* hyperthreads counted */
    int sharers;    /* ranks that have some of another one's processors, but not the same ones */
    int numa_nodes; /* the most that a rank spans */
} host_sum_t;

static bool same_host(const doctor_rank_t *a, const doctor_rank_t *b) {
    return strcmp(a->rank.host, b->rank.host) == 0;
}

/* Adds what rank i brings to the host of rank `first`. */
static void add_rank(const doctor_rank_t *ranks, int n, int first, int i, cpu_set_t *all, host_sum_t *sum) {
    const cpu_set_t *mine = &ranks[i].rank.allowed;
    bool same = false, same_before = false, overlaps = false;
    for (int j = first; j < n; j++) {
        cpu_set_t both;
        if (j == i || !same_host(&ranks[j], &ranks[first]))
            continue;
        CPU_AND(&both, mine, &ranks[j].rank.allowed);
        bool equal = CPU_EQUAL(mine, &ranks[j].rank.allowed);
        same = same || equal;
        same_before = same_before || (equal && j < i);
        overlaps = overlaps || (!equal && CPU_COUNT(&both) > 0);
    }
    CPU_OR(all, all, mine);
    sum->ranks++;
    sum->cores += same_before ? 0 : ranks[i].rank.cores;
    sum->sharers += overlaps;
    sum->numa_nodes = ranks[i].numa_nodes > sum->numa_nodes ? ranks[i].numa_nodes : sum->numa_nodes;
}

static host_sum_t sum_host(const doctor_rank_t *ranks, int n, int first) {
    host_sum_t sum = {0};
    cpu_set_t all;
    CPU_ZERO(&all);
    for (int i = first; i < n; i++)
        if (same_host(&ranks[i], &ranks[first]))
            add_rank(ranks, n, first, i, &all, &sum);
    sum.processors = CPU_COUNT(&all);
    return sum;
}

enum { TOLD_CROWDED = 1, TOLD_OVERLAPPING = 2, TOLD_IDLE = 4, TOLD_WIDE = 8 };

static bool tell_once(unsigned *told, unsigned what) {
    bool first = !(*told & what);
    *told |= what;
    return first;
}

/* Of a large job the first host of each kind stands for all like it. */
static void check_host_binding(const doctor_rank_t *first, const host_sum_t *sum, unsigned *told, doctor_findings_t *findings) {
    const char *host = first->rank.host;
    if (sum->ranks > sum->cores && tell_once(told, TOLD_CROWDED)) {
        doctor_find(findings, "binding", DOCTOR_ADVICE, "%s: %d ranks on %d core%s", host, sum->ranks, sum->cores, sum->cores == 1 ? "" : "s");
        doctor_advise(findings, "start fewer ranks a node, ask for more cores (--cpus-per-task), or do not bind (mpirun --bind-to none)");
    }
    if (sum->sharers > 0 && tell_once(told, TOLD_OVERLAPPING)) {
        doctor_find(findings, "binding", DOCTOR_ADVICE, "%s: %d ranks share some of their cores with others", host, sum->sharers);
        doctor_advise(findings, "bind every rank to cores of its own (srun --cpu-bind=cores, mpirun --map-by slot:PE=CORES), or none at all");
    }
    if (sum->processors * 2 < first->host_processors && sum->ranks <= sum->cores && tell_once(told, TOLD_IDLE)) {
        doctor_find(findings, "binding", DOCTOR_ADVICE, "%s: the ranks may use %d of the host's %d processors", host, sum->processors,
                    first->host_processors);
        doctor_advise(findings, "where the node is yours: srun --cpus-per-task=CORES (sbatch's is not handed on: export SRUN_CPUS_PER_TASK), mpirun "
                                "--bind-to none or --map-by slot:PE=CORES");
    }
    if (sum->numa_nodes > 1 && tell_once(told, TOLD_WIDE)) {
        doctor_find(findings, "binding", DOCTOR_ADVICE, "%s: a rank runs on %d NUMA nodes", host, sum->numa_nodes);
        doctor_advise(findings, "one server a NUMA node, bound to it, reads memory of its own (mpirun --map-by numa --bind-to numa)");
    }
}

static void check_binding(const doctor_rank_t *ranks, int n, doctor_findings_t *findings) {
    unsigned told = 0;
    for (int first = 0; first < n; first++) {
        if (doctor_host_of(ranks, first) != first)
            continue;
        host_sum_t sum = sum_host(ranks, n, first);
        check_host_binding(&ranks[first], &sum, &told, findings);
    }
    if (!told)
        doctor_find(findings, "binding", DOCTOR_OK, "no rank lacks cores; the first has %d", ranks[0].rank.cores);
}

/* The first rank whose faiss makes less of its processor than it could; n: none. */
static int find_generic(const doctor_rank_t *ranks, int n) {
    int i = 0;
    while (i < n && !(ranks[i].avx2 && strcmp(ranks[i].rank.simd, "generic") == 0))
        i++;
    return i;
}

static int find_other_processor(const doctor_rank_t *ranks, int n) {
    int i = 1;
    while (i < n && strcmp(ranks[i].rank.processor, ranks[0].rank.processor) == 0)
        i++;
    return i;
}

static void check_processors(const doctor_rank_t *ranks, int n, doctor_findings_t *findings) {
    int generic = find_generic(ranks, n), other = find_other_processor(ranks, n);
    if (generic < n) {
        doctor_find(findings, "simd", DOCTOR_ADVICE, "%s: faiss runs without the processor's AVX2", ranks[generic].rank.host);
        doctor_advise(findings, "searches take several times as long: build faiss with -DFAISS_OPT_LEVEL=avx2 or -march=x86-64-v3");
    } else {
        doctor_find(findings, "simd", DOCTOR_OK, "faiss with %s on %s", ranks[0].rank.simd, ranks[0].rank.processor);
    }
    if (other < n) {
        doctor_find(findings, "simd", DOCTOR_ADVICE, "%s has another processor (%s) than %s", ranks[other].rank.host, ranks[other].rank.processor,
                    ranks[0].rank.host);
        doctor_advise(findings, "a search is as fast as its slowest server; a program that was built for the newer one may not run on the other");
    }
}

static void check_threads(const doctor_rank_t *ranks, int n, doctor_findings_t *findings) {
    for (int i = 0; i < n; i++)
        if (ranks[i].bound_threads[0]) {
            doctor_find(findings, "threads", DOCTOR_ADVICE, "%s is set on %s", ranks[i].bound_threads, ranks[i].rank.host);
            doctor_advise(findings, "it ties the threads that build in the background to the cores of those that search: unset it");
            return;
        }
}

static void check_limits(const doctor_rank_t *ranks, int n, doctor_findings_t *findings) {
    for (int first = 0; first < n; first++) {
        if (doctor_host_of(ranks, first) != first)
            continue;
        int64_t wanted = (int64_t)sum_host(ranks, n, first).ranks * SHARED_MEMORY_A_RANK;
        if (ranks[first].shared_memory < wanted) {
            doctor_find(findings, "limits", DOCTOR_PROBLEM, "%s: /dev/shm has %lld MB free; MPI passes messages of the ranks of a host through it",
                        ranks[first].rank.host, (long long)(ranks[first].shared_memory >> 20));
            doctor_advise(findings,
                          "ranks may end with a bus error: remove what killed jobs have left there, or give the container more (--shm-size)");
            return;
        }
        if (ranks[first].infiniband && ranks[first].locked_memory < LOCKED_MEMORY_LEAST) {
            doctor_find(findings, "limits", DOCTOR_ADVICE, "%s: %lld kB of memory may be locked, which InfiniBand needs", ranks[first].rank.host,
                        (long long)(ranks[first].locked_memory >> 10));
            doctor_advise(findings, "ulimit -l unlimited; under Slurm PropagateResourceLimitsExcept=MEMLOCK");
            return;
        }
    }
    doctor_find(findings, "limits", DOCTOR_OK, "shared memory and locked memory suffice");
}

void doctor_check_hosts(const doctor_rank_t *ranks, int n, doctor_findings_t *findings) {
    check_start(ranks, n, findings);
    check_binding(ranks, n, findings);
    check_processors(ranks, n, findings);
    check_threads(ranks, n, findings);
    check_limits(ranks, n, findings);
}
