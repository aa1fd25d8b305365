#include "base/memory_limit.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The two versions of control groups say the same in files of other names. */
typedef struct group_files {
    const char *tree; /* under the root */
    const char *limit, *usage;
    const char *inactive_file, *active_file; /* lines of memory.stat, everything below the group included */
} group_files_t;

static const group_files_t version_1 = {"/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "total_active_file"};
static const group_files_t version_2 = {"", "memory.max", "memory.current", "inactive_file", "active_file"};

/* The number in a file; `missing` where there is no such file, or no number in it ("max"). */
static size_t number_in(const char *folder, const char *name, size_t missing) {
    char path[PATH_MAX];
    unsigned long long number;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (!file)
        return missing;
    size_t value = fscanf(file, "%llu", &number) == 1 ? (size_t)number : missing;
    fclose(file);
    return value;
}

/* Bytes of cached files, which the kernel takes back before it ends a process. */
static size_t cached_in(const char *folder, const group_files_t *files) {
    char path[PATH_MAX], name[64];
    unsigned long long number;
    size_t cached = 0;
    int length = snprintf(path, sizeof path, "%s/memory.stat", folder);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    while (fscanf(file, "%63s %llu", name, &number) == 2) {
        if (strcmp(name, files->inactive_file) == 0 || strcmp(name, files->active_file) == 0)
            cached += (size_t)number;
    }
    fclose(file);
    return cached;
}

static size_t room_of_group(const char *folder, const group_files_t *files) {
    size_t limit = number_in(folder, files->limit, SIZE_MAX);
    if (limit == SIZE_MAX)
        return SIZE_MAX;
    size_t usage = number_in(folder, files->usage, 0), cached = cached_in(folder, files);
    size_t taken = usage > cached ? usage - cached : 0;
    return limit > taken ? limit - taken : 0;
}

/* The least room of a group and of all above it: each of them limits the process. */
static size_t room_up_from(const char *root, const char *group, const group_files_t *files) {
    char folder[PATH_MAX];
    int length = snprintf(folder, sizeof folder, "%s%s%s", root, files->tree, group);
    size_t top = strlen(root) + strlen(files->tree), least = SIZE_MAX;
    if (length < 0 || (size_t)length >= sizeof folder)
        return SIZE_MAX;
    for (;;) {
        size_t room = room_of_group(folder, files);
        least = room < least ? room : least;
        char *slash = strrchr(folder + top, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

/* A line is NUMBER:CONTROLLERS:GROUP; version 2 has number 0 and no controllers. */
static bool has_memory(const char *controllers) {
    for (const char *name = controllers; name; name = strchr(name, ',')) {
        name += *name == ',';
        if (strncmp(name, "memory", 6) == 0 && (name[6] == 0 || name[6] == ','))
            return true;
    }
    return false;
}

static size_t room_of_line(char *line, const char *root) {
    char *rest = line;
    const char *number = strsep(&rest, ":"), *controllers = strsep(&rest, ":"), *group = rest;
    if (!controllers || !group)
        return SIZE_MAX;
    if (has_memory(controllers))
        return room_up_from(root, group, &version_1);
    return strcmp(number, "0") == 0 && *controllers == 0 ? room_up_from(root, group, &version_2) : SIZE_MAX;
}

size_t memory_limit_room(const char *membership, const char *root) {
    char line[PATH_MAX];
    size_t least = SIZE_MAX;
    FILE *file = fopen(membership, "re");
    if (!file)
        return SIZE_MAX;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        size_t room = room_of_line(line, root);
        least = room < least ? room : least;
    }
    fclose(file);
    return least;
}
