/* What a control group lets its processes take: batch systems and containers end a job that goes beyond it, however much memory the node has. */
#ifndef BASE_MEMORY_LIMIT_H
#define BASE_MEMORY_LIMIT_H

#include <stddef.h>

/* Bytes that the control groups of a process leave it, what cached files occupy counted as free; SIZE_MAX where nothing limits it. `membership` is
 * the process's list of groups (/proc/self/cgroup), `root` the folder where their trees are mounted (/sys/fs/cgroup). */
size_t memory_limit_room(const char *membership, const char *root);

#endif
