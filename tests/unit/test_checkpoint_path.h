/* What the tests of one shard's file share: each has a folder of its own, and in it the path of the file. */
#ifndef TESTS_CHECKPOINT_PATH_H
#define TESTS_CHECKPOINT_PATH_H

#include "check.h"

#include <limits.h>

#include "base/file.h"

static char folder[PATH_MAX / 4], path[PATH_MAX];
static dfaiss_error_t err;

static inline int set_up_server(int server) {
    memset(&err, 0, sizeof err);
    check_make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/shard-%04d.h5", folder, server);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    return file_remove_tree(folder, &err) == DFAISS_OK ? 0 : -1;
}

#endif
