#include "server/threads.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

/* The lowest-numbered processor of the core that `processor` belongs to; itself where the system does not say. */
static int first_sibling(int processor) {
    char path[128];
    int first = processor;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", processor);
    FILE *file = fopen(path, "re");
    if (!file)
        return processor;
    if (fscanf(file, "%d", &first) != 1)
        first = processor;
    fclose(file);
    return first;
}

int threads_physical_cores(void) {
    cpu_set_t allowed, counted;
    CPU_ZERO(&counted);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    for (int processor = 0; processor < CPU_SETSIZE; processor++) {
        if (!CPU_ISSET((size_t)processor, &allowed))
            continue;
        int first = first_sibling(processor);
        CPU_SET((size_t)(first < CPU_SETSIZE && first >= 0 ? first : processor), &counted);
    }
    int cores = CPU_COUNT(&counted);
    return cores < 1 ? 1 : cores;
}
