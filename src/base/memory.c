#include "base/memory.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory_limit.h"

/* Below this a mapping of its own costs more than it gives back. */
enum { MAPPED_FROM = 256 << 10 };

void *memory_map(size_t bytes) {
    if (bytes == 0)
        return NULL;
    if (bytes < MAPPED_FROM)
        return calloc(1, bytes);
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

void memory_unmap(void *block, size_t bytes) {
    if (bytes < MAPPED_FROM)
        free(block);
    else if (block)
        munmap(block, bytes);
}

void memory_return_freed(void) {
#ifdef __GLIBC__
    enum { KEPT = 1 << 20 };
    mallopt(M_MMAP_THRESHOLD, KEPT);
    mallopt(M_TRIM_THRESHOLD, KEPT);
#endif
}

void memory_trim(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

/* The value of a "Key:   123 kB" line of a file in /proc, in bytes; `missing` where there is none. */
static size_t proc_value(const char *path, const char *key, size_t missing) {
    FILE *file = fopen(path, "re");
    if (!file)
        return missing;
    char line[256];
    size_t key_length = strlen(key), value = missing;
    while (fgets(line, sizeof line, file)) {
        unsigned long long kilobytes;
        if (strncmp(line, key, key_length) == 0 && sscanf(line + key_length, ": %llu kB", &kilobytes) == 1) {
            value = (size_t)kilobytes * 1024;
            break;
        }
    }
    fclose(file);
    return value;
}

size_t memory_resident(void) {
    return proc_value("/proc/self/status", "VmRSS", 0);
}

size_t memory_resident_peak(void) {
    return proc_value("/proc/self/status", "VmHWM", 0);
}

size_t memory_available(void) {
    size_t node = proc_value("/proc/meminfo", "MemAvailable", SIZE_MAX);
    size_t room = memory_limit_room("/proc/self/cgroup", "/sys/fs/cgroup");
    return room < node ? room : node;
}
