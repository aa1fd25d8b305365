#include "cli/bench_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/report.h"
#include "engine/engine.h"
#include "server/threads.h"

/* "model name : AMD EPYC" of the first processor; the architecture where the system names none. */
static void find_processor(char *text, size_t capacity) {
    char line[512];
    struct utsname names;
    snprintf(text, capacity, "%s", uname(&names) == 0 ? names.machine : "");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        const char *value = strstr(line, ": ");
        if (strncmp(line, "model name", 10) != 0 || !value)
            continue;
        snprintf(text, capacity, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
        break;
    }
    fclose(file);
}

void bench_rank_describe(bool server, bench_rank_t *rank) {
    memset(rank, 0, sizeof *rank);
    if (gethostname(rank->host, sizeof rank->host - 1) != 0)
        snprintf(rank->host, sizeof rank->host, "%s", "unknown");
    find_processor(rank->processor, sizeof rank->processor);
    snprintf(rank->simd, sizeof rank->simd, "%s", engine_simd_level());
    if (sched_getaffinity(0, sizeof rank->allowed, &rank->allowed) != 0)
        CPU_ZERO(&rank->allowed);
    rank->cores = threads_physical_cores();
    rank->server = server;
}

/* Do earlier ranks of its host have the same processors? Then they share its cores; ranks that were bound apart bring their own. */
static bool shares_cores(const bench_rank_t *ranks, int rank) {
    for (int i = 0; i < rank; i++)
        if (strcmp(ranks[i].host, ranks[rank].host) == 0 && CPU_EQUAL(&ranks[i].allowed, &ranks[rank].allowed))
            return true;
    return false;
}

static bench_host_t *find_host(bench_machine_t *machine, const bench_rank_t *rank) {
    for (int i = 0; i < machine->count; i++)
        if (strcmp(machine->hosts[i].first->host, rank->host) == 0)
            return &machine->hosts[i];
    machine->hosts[machine->count] = (bench_host_t){.first = rank};
    return &machine->hosts[machine->count++];
}

dfaiss_status_t bench_machine_make(bench_rank_t *ranks, int n, bench_machine_t *out, dfaiss_error_t *err) {
    bench_machine_t made = {.ranks = ranks, .hosts = calloc((size_t)n, sizeof *made.hosts)};
    if (!made.hosts) {
        free(ranks);
        return error_memory(err, (size_t)n * sizeof *made.hosts, "the hosts of the job");
    }
    for (int i = 0; i < n; i++) {
        bench_host_t *host = find_host(&made, &ranks[i]);
        host->cores += shares_cores(ranks, i) ? 0 : ranks[i].cores;
        host->servers += ranks[i].server;
        host->clients += !ranks[i].server;
    }
    *out = made;
    return DFAISS_OK;
}

dfaiss_status_t bench_machine_gather(MPI_Comm ranks, int servers, bench_machine_t *machine, dfaiss_error_t *err) {
    int number, size, ready = 1;
    bench_rank_t mine, *all = NULL;
    if (MPI_Comm_rank(ranks, &number) != MPI_SUCCESS || MPI_Comm_size(ranks, &size) != MPI_SUCCESS)
        return error_set(err, DFAISS_ERR_MPI, "MPI_Comm_rank", "MPI does not tell this rank's number");
    bench_rank_describe(number < servers, &mine);
    if (number == servers)
        ready = (all = calloc((size_t)size, sizeof *all)) != NULL;
    if (MPI_Bcast(&ready, 1, MPI_INT, servers, ranks) != MPI_SUCCESS ||
        (ready && MPI_Gather(&mine, (int)sizeof mine, MPI_BYTE, all, (int)sizeof mine, MPI_BYTE, servers, ranks) != MPI_SUCCESS)) {
        free(all);
        return error_set(err, DFAISS_ERR_MPI, "MPI_Gather", "the ranks cannot tell what they run on");
    }
    if (!ready)
        return error_memory(err, (size_t)size * sizeof mine, "the hosts of the job");
    return number == servers ? bench_machine_make(all, size, machine, err) : DFAISS_OK;
}

void bench_machine_clear(bench_machine_t *machine) {
    free(machine->hosts);
    free(machine->ranks);
    *machine = (bench_machine_t){0};
}

json_t *bench_machine_json(const bench_machine_t *machine) {
    json_t *all = json_array();
    for (int i = 0; all && i < machine->count; i++) {
        const bench_host_t *host = &machine->hosts[i];
        json_t *one = json_pack("{s:o, s:o, s:i, s:s, s:i, s:i}", "name", report_text_json(host->first->host), "processor",
                                report_text_json(host->first->processor), "cores", host->cores, "simd", host->first->simd, "servers", host->servers,
                                "clients", host->clients);
        if (json_array_append_new(all, one) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}
